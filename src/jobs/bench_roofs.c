/* bench_roofs.c - what this machine can do at best, now: register arithmetic, big matrix products, reading from memory. Other
 * work on the machine lowers the roofs as it lowers the numbers below them, so they are measured around every benchmark. */
#include <string.h>
#include "jobs/bench.h"
#include "kernels/gemm/gemm.h"
#include "kernels/kernels.h"

const char *const wf_roof_names[WF_ROOF_COUNT] = {"", "register arithmetic fp32", "matrix product fp32", "matrix product bf16",
                                                  "memory read"};

enum { THREADS_MAX = 256 };
static const double probe_seconds = 0.15;

/* ---- registers ---- */
typedef struct fma_probe {
    const wf_env *env;
    float zero, sums[THREADS_MAX];
    int64_t rounds;
    int lanes;
} fma_probe;

static void fma_region(void *arg, int thread, int n) {
    fma_probe *p = arg;
    int lanes;
    (void)n;
    p->sums[thread] = p->env->kernels->probe_fma(p->zero, p->rounds, &lanes);
    if (thread == 0)
        p->lanes = lanes;
}

static double fma_roof(const wf_env *env) {
    fma_probe p = {.env = env, .rounds = 1 << 20};
    double best = 0.0;
    for (double started = wf_seconds(); wf_seconds() - started < probe_seconds;) {
        double from = wf_seconds();
        wf_pool_run(env->pool, fma_region, &p);
        double rate = 2.0 * WF_PROBE_CHAINS * p.lanes * (double)p.rounds * wf_pool_threads(env->pool) / (wf_seconds() - from);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- memory ---- */
enum { READ_BYTES = 1 << 30, QUICK_BYTES = 1 << 26 }; /* beyond any cache that is not shared with half a rack */

typedef struct read_probe {
    const wf_env *env;
    float *data, sums[THREADS_MAX];
    int64_t count;
    bool fill;
} read_probe;

static void read_region(void *arg, int thread, int n) {
    read_probe *p = arg;
    int64_t first = p->count * thread / n, end = p->count * (thread + 1) / n;
    if (!p->fill) {
        p->sums[thread] = p->env->kernels->probe_read(p->data + first, end - first);
        return;
    }
    for (int64_t i = first; i < end; i++)
        p->data[i] = 1.0f;
}

static weft_status read_roof(const wf_env *env, int64_t bytes, double *best, weft_error *err) {
    read_probe p = {.env = env, .count = bytes / (int64_t)sizeof(float), .fill = true};
    p.data = wf_alloc_big(&env->mem, (size_t)bytes);
    if (!p.data)
        return wf_fail_memory(err);
    wf_pool_run(env->pool, read_region, &p);
    p.fill = false;
    *best = 0.0;
    for (int i = 0; i < 8; i++) {
        double from = wf_seconds();
        wf_pool_run(env->pool, read_region, &p);
        double rate = (double)bytes / (wf_seconds() - from);
        *best = rate > *best ? rate : *best;
    }
    wf_free_big(&env->mem, p.data);
    return WEFT_OK;
}

/* ---- matrix products ---- */
typedef struct matmul_probe {
    const wf_env *env;
    wf_gemm_plan *plan;
    void *a, *b, *c;
    char *scratch;
    size_t scratch_size;
} matmul_probe;

static void matmul_region(void *arg, int thread, int n) {
    matmul_probe *p = arg;
    int tiles = wf_gemm_tiles(p->plan), end = tiles * (thread + 1) / n;
    wf_gemm_thread_init();
    for (int t = tiles * thread / n; t < end; t++)
        wf_gemm_run(p->plan, t, p->a, p->b, p->c, NULL, 0.0f, p->scratch + (size_t)thread * p->scratch_size);
}

static double time_matmul(matmul_probe *p, const wf_gemm *g) {
    double best = 0.0, flops = 2.0 * (double)g->m * (double)g->n * (double)g->k;
    wf_pool_run(p->env->pool, matmul_region, p);
    for (double started = wf_seconds(); wf_seconds() - started < probe_seconds;) {
        double from = wf_seconds();
        wf_pool_run(p->env->pool, matmul_region, p);
        double rate = flops / (wf_seconds() - from);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Values that are small and no zeros: 2^-1 in either type, so sums stay finite. */
static void fill_halves(void *data, wf_dtype type, int64_t count) {
    uint16_t half16 = wf_f32_to_bf16(0.5f);
    for (int64_t i = 0; i < count; i++) {
        if (type == WF_BF16)
            ((uint16_t *)data)[i] = half16;
        else
            ((float *)data)[i] = 0.5f;
    }
}

static weft_status try_matmul(const wf_env *env, const wf_gemm *g, double *best, weft_error *err) {
    const wf_mem *mem = &env->mem;
    matmul_probe p = {.env = env};
    size_t size = wf_dtypes[g->a_type].size;
    WF_TRY(wf_gemm_plan_create(env, g, &p.plan, err));
    p.scratch_size = (wf_gemm_scratch(p.plan) + 63) & ~(size_t)63;
    p.a = wf_alloc_big(mem, (size_t)(g->m * g->k) * size);
    p.b = wf_alloc_big(mem, (size_t)(g->n * g->k) * size);
    p.c = wf_alloc_big(mem, (size_t)(g->m * g->n) * sizeof(float));
    p.scratch = wf_alloc_big(mem, p.scratch_size * (size_t)wf_pool_threads(env->pool) + 64);
    bool good = p.a && p.b && p.c && p.scratch;
    if (good) {
        fill_halves(p.a, g->a_type, g->m * g->k);
        fill_halves(p.b, g->b_type, g->n * g->k);
        double rate = time_matmul(&p, g);
        *best = rate > *best ? rate : *best;
    }
    wf_free_big(mem, p.a);
    wf_free_big(mem, p.b);
    wf_free_big(mem, p.c);
    wf_free_big(mem, p.scratch);
    wf_gemm_plan_free(env, p.plan);
    return good ? WEFT_OK : wf_fail_memory(err);
}

static weft_status matmul_roof(const wf_env *env, wf_dtype type, bool quick, double *best, weft_error *err) {
    static const int64_t shapes[][3] = {{1024, 1024, 1024}, {2048, 2048, 2048}, {1024, 4096, 1024}};
    *best = 0.0;
    for (size_t i = 0; i < (quick ? 1 : sizeof shapes / sizeof *shapes); i++)
        for (int trans = 0; trans < 2; trans++) {
            wf_gemm g = {.m = shapes[i][0],
                         .n = shapes[i][1],
                         .k = shapes[i][2],
                         .a_type = type,
                         .b_type = type,
                         .c_type = WF_F32,
                         .trans_b = trans};
            WF_TRY(try_matmul(env, &g, best, err));
        }
    return WEFT_OK;
}

weft_status wf_roofs_measure(const wf_env *env, bool quick, wf_roofs *out, weft_error *err) {
    memset(out, 0, sizeof *out);
    out->per_second[WF_ROOF_FMA] = fma_roof(env);
    WF_TRY(matmul_roof(env, WF_F32, quick, &out->per_second[WF_ROOF_MATMUL_F32], err));
    WF_TRY(matmul_roof(env, WF_BF16, quick, &out->per_second[WF_ROOF_MATMUL_BF16], err));
    WF_TRY(read_roof(env, quick ? QUICK_BYTES : READ_BYTES, &out->per_second[WF_ROOF_READ], err));
    return wf_stopped(env);
}
