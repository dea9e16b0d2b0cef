/* gemm_test.c - the matrix product of this build's backend against a double loop, the same bits for any number of threads, and
 * `gemm_test --bench`: GFLOP/s of the shapes that matter against the machine's rate of multiply-adds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "base/rng.h"
#include "kernels/gemm/gemm.h"
#include "kernels/kernels.h"

static wf_kernels chosen;

static wf_env env_of(wf_pool *pool) {
    wf_env env = {.mem = wf_mem_default, .pool = pool, .kernels = &chosen};
    assert_int_equal(wf_kernels_choose(NULL, &chosen, NULL), WEFT_OK);
    return env;
}

/* ---- running a plan ---- */

typedef struct product {
    wf_gemm g;
    wf_gemm_plan *plan;
    void *a, *b, *c;
    float *bias;
    float beta;
    char *scratch;
    size_t scratch_each;
    double busy[256]; /* processor seconds of each thread in its tiles */
} product;

static int64_t rows_of_a(const wf_gemm *g) { return g->trans_a ? g->k : g->m; }
static int64_t rows_of_b(const wf_gemm *g) { return g->trans_b ? g->n : g->k; }

/* Values in [-1, 1), in the type's own rounding; NaN where nobody may read. */
static void *values(wf_dtype type, int64_t rows, int64_t columns, int64_t ld, uint32_t site) {
    size_t size = wf_dtypes[type].size;
    char *data = wf_alloc_big(&wf_mem_default, (size_t)(rows * ld) * size);
    assert_non_null(data);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < ld; j++) {
            float f = j < columns ? 2 * wf_rng_uniform(wf_rng_make(3, site, 0), (uint64_t)(i * ld + j)) - 1 : NAN;
            wf_dtypes[type].from_f32(data + (size_t)(i * ld + j) * size, &f, 1);
        }
    return data;
}

static double value(const void *data, wf_dtype type, int64_t at) {
    float f;
    wf_dtypes[type].to_f32(&f, (const char *)data + (size_t)at * wf_dtypes[type].size, 1);
    return f;
}

static product product_open(const wf_env *env, wf_gemm g, int64_t padding, float beta, int threads) {
    weft_error err = {0};
    product p = {.beta = beta};
    int64_t ka = g.trans_a ? g.m : g.k, kb = g.trans_b ? g.k : g.n;
    g.lda = ka + padding, g.ldb = kb + 2 * padding, g.ldc = g.n + 3 * padding;
    p.g = g;
    if (wf_gemm_plan_create(env, &g, &p.plan, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    p.a = values(g.a_type, rows_of_a(&g), ka, g.lda, 1);
    p.b = values(g.b_type, rows_of_b(&g), kb, g.ldb, 2);
    p.c = values(g.c_type, g.m, beta != 0 ? g.n : 0, g.ldc, 3);
    p.bias = values(WF_F32, 1, g.n, g.n, 4);
    p.scratch_each = (wf_gemm_scratch(p.plan) + 63) / 64 * 64 + 64;
    p.scratch = wf_alloc_big(&wf_mem_default, p.scratch_each * (size_t)threads);
    assert_non_null(p.scratch);
    return p;
}

static void product_close(const wf_env *env, product *p) {
    wf_gemm_plan_free(env, p->plan);
    wf_free_big(&wf_mem_default, p->a);
    wf_free_big(&wf_mem_default, p->b);
    wf_free_big(&wf_mem_default, p->c);
    wf_free_big(&wf_mem_default, p->bias);
    wf_free_big(&wf_mem_default, p->scratch);
}

/* Tiles dealt out in turn, as no real scheduler would: every thread meets every kind of tile. */
static void run_tiles(void *arg, int thread, int threads) {
    product *p = arg;
    wf_gemm_thread_init();
    for (int t = thread; t < wf_gemm_tiles(p->plan); t += threads)
        wf_gemm_run(p->plan, t, p->a, p->b, p->c, p->bias, p->beta, p->scratch + (size_t)thread * p->scratch_each);
}

/* ---- values ---- */

static const char *describe(const wf_gemm *g, float beta) {
    static char text[160];
    snprintf(text, sizeof text, "m %lld n %lld k %lld%s%s%s beta %g %s -> %s ldc %lld", (long long)g->m, (long long)g->n,
             (long long)g->k, g->trans_a ? " trans_a" : "", g->trans_b ? " trans_b" : "", g->bias ? " bias" : "", (double)beta,
             wf_dtypes[g->a_type].name, wf_dtypes[g->c_type].name, (long long)g->ldc);
    return text;
}

static float *as_floats(const void *data, wf_dtype type, int64_t count) {
    float *f = wf_alloc_big(&wf_mem_default, (size_t)count * sizeof *f);
    assert_non_null(f);
    wf_dtypes[type].to_f32(f, data, count);
    return f;
}

/* Sum of terms k and of their sizes: of row i of A and column j of B. */
static void expect(const wf_gemm *g, const float *a, const float *b, int64_t i, int64_t j, double *sum, double *size) {
    int64_t step_a = g->trans_a ? g->lda : 1, step_b = g->trans_b ? 1 : g->ldb;
    const float *x = a + i * (g->trans_a ? 1 : g->lda), *y = b + j * (g->trans_b ? g->ldb : 1);
    *sum = *size = 0;
    for (int64_t q = 0; q < g->k; q++) {
        double term = (double)x[q * step_a] * y[q * step_b];
        *sum += term;
        *size += fabs(term);
    }
}

static void check_values(const product *p, const void *old) {
    const wf_gemm *g = &p->g;
    double rounding = g->c_type == WF_BF16 ? 0x1p-8 : 0;
    float *a = as_floats(p->a, g->a_type, rows_of_a(g) * g->lda), *b = as_floats(p->b, g->b_type, rows_of_b(g) * g->ldb);
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) {
            if (g->m * g->n * g->k > 500000 && (13 * i + j) % 17 != 0)
                continue; /* of large products a sample */
            double sum, size;
            expect(g, a, b, i, j, &sum, &size);
            sum += (g->bias ? p->bias[j] : 0) + (p->beta != 0 ? value(old, g->c_type, i * g->ldc + j) : 0);
            double got = value(p->c, g->c_type, i * g->ldc + j);
            if (!(fabs(got - sum) <= 1e-6 * (size + 2) + rounding * (fabs(sum) + 1e-3)))
                fail_msg("%s: [%lld,%lld] is %.9g, expected %.9g", describe(g, p->beta), (long long)i, (long long)j, got, sum);
        }
        for (int64_t j = g->n; j < g->ldc; j++)
            if (!isnan(value(p->c, g->c_type, i * g->ldc + j)))
                fail_msg("%s: written past the row", describe(g, p->beta));
    }
    wf_free_big(&wf_mem_default, a);
    wf_free_big(&wf_mem_default, b);
}

static void check_product(const wf_env *env, wf_gemm g, int64_t padding, float beta) {
    product p = product_open(env, g, padding, beta, 1);
    void *old = values(g.c_type, g.m, g.n, p.g.ldc, 3);
    run_tiles(&p, 0, 1);
    check_values(&p, old);
    wf_free_big(&wf_mem_default, old);
    product_close(env, &p);
}

static const int64_t shapes[][3] = {{1, 1, 1},       {1, 17, 33},   {3, 5, 7},        {13, 33, 65},   {64, 64, 64},
                                    {67, 129, 30},   {2, 300, 768}, {8, 520, 130},    {1000, 3, 20},  {257, 31, 700},
                                    {150, 270, 131}, {5, 1100, 40}, {100, 100, 1024}, {40, 900, 2048}};
static const wf_dtype types[][2] = {{WF_F32, WF_F32}, {WF_BF16, WF_F32}, {WF_BF16, WF_BF16}};

static bool quick(void) { return getenv("WEFT_QUICK") != NULL; } /* instrumented builds take a part of the cases */

static void test_values(void **state) {
    wf_env env = env_of(NULL);
    size_t count = getenv("WEFT_QUICK") ? 9 : sizeof shapes / sizeof *shapes; /* the first ones are small */
    for (size_t s = 0; s < count; s++)
        for (int flags = 0; flags < 16; flags++)
            for (int t = 0; t < 3; t++) {
                if (quick() && (s + (size_t)flags + (size_t)t) % 5)
                    continue;
                wf_gemm g = {.m = shapes[s][0], .n = shapes[s][1], .k = shapes[s][2]};
                g.a_type = g.b_type = types[t][0], g.c_type = types[t][1];
                g.trans_a = flags & 1, g.trans_b = flags & 2, g.bias = flags & 4;
                check_product(&env, g, (int64_t)((s + (size_t)flags) % 3), flags & 8 ? 1.0f : 0.0f);
            }
}

static void test_refusals(void **state) {
    wf_env env = env_of(NULL);
    wf_gemm_plan *plan;
    weft_error err;
    wf_gemm mixed = {.m = 2, .n = 2, .k = 2, .a_type = WF_F32, .b_type = WF_BF16, .c_type = WF_F32};
    assert_int_equal(wf_gemm_plan_create(&env, &mixed, &plan, &err), WEFT_UNSUPPORTED);
    assert_null(plan);
    wf_gemm narrow = {.m = 2, .n = 2, .k = 2, .a_type = WF_F32, .b_type = WF_F32, .c_type = WF_BF16};
    assert_int_equal(wf_gemm_plan_create(&env, &narrow, &plan, &err), WEFT_UNSUPPORTED);
    wf_gemm empty = {.m = 0, .n = 2, .k = 2};
    assert_int_equal(wf_gemm_plan_create(&env, &empty, &plan, &err), WEFT_FAILURE);
    wf_gemm_plan_free(&env, NULL);
    assert_true(wf_gemm_reproducible());
    assert_non_null(wf_gemm_backend());
}

/* ---- bits ---- */

static uint64_t digest(const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint64_t h = 1469598103934665603ull;
    for (size_t i = 0; i < size; i++)
        h = (h ^ bytes[i]) * 1099511628211ull;
    return h;
}

static uint64_t digest_with(wf_gemm g, float beta, int threads) {
    wf_pool *pool = NULL;
    assert_int_equal(wf_pool_create(&wf_mem_default, threads, &pool, NULL), WEFT_OK);
    wf_env env = env_of(pool);
    product p = product_open(&env, g, 0, beta, threads);
    wf_pool_run(pool, run_tiles, &p);
    uint64_t h = digest(p.c, (size_t)(g.m * g.n) * wf_dtypes[g.c_type].size);
    product_close(&env, &p);
    wf_pool_free(pool);
    return h;
}

static void test_same_bits(void **state) {
    static const int64_t sizes[][3] = {{64, 64, 4096},  {128, 128, 4096}, {256, 768, 768},
                                       {131, 300, 517}, {1, 768, 768},    {48, 2000, 96}};
    for (size_t s = getenv("WEFT_QUICK") ? 3 : 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int t = 0; t < 3; t++)
            for (int flags = 0; flags < 3; flags++) {
                if (quick() && (s + (size_t)t + (size_t)flags) % 3)
                    continue;
                wf_gemm g = {
                    .m = sizes[s][0], .n = sizes[s][1], .k = sizes[s][2], .trans_a = flags == 1, .trans_b = flags == 2};
                g.a_type = g.b_type = types[t][0], g.c_type = types[t][1];
                float beta = flags == 1 ? 1.0f : 0.0f;
                uint64_t one = digest_with(g, beta, 1);
                assert_true(one == digest_with(g, beta, 2));
                assert_true(one == digest_with(g, beta, 3));
                assert_true(one == digest_with(g, beta, 8));
            }
}

/* A row of one of many products has the same bits in a block of any size. */
static void test_same_rows(void **state) {
    static const int64_t sizes[][3] = {{64, 300, 512}, {200, 300, 512}, {20, 100, 77}, {64, 2050, 130}, {3, 700, 1030}};
    wf_env env = env_of(NULL);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int turn = 0; turn < 2; turn++) {
            wf_gemm g = {.m = 256, .n = sizes[s][1], .k = sizes[s][2], .trans_b = turn == 1, .usual = sizes[s][0]};
            product all = product_open(&env, g, 0, 0.0f, 1);
            run_tiles(&all, 0, 1);
            check_values(&all, NULL);
            for (g.m = 4; g.m < 150; g.m += 20) {
                product some = product_open(&env, g, 0, 0.0f, 1);
                run_tiles(&some, 0, 1);
                assert_memory_equal(some.c, all.c, (size_t)(g.m * g.n) * sizeof(float));
                product_close(&env, &some);
            }
            product_close(&env, &all);
        }
}

/* ---- speed ---- */

typedef struct bench_shape {
    const char *name;
    int64_t m, n, k;
    bool trans_a, trans_b;
    float beta;
} bench_shape;

static double thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_timed(void *arg, int thread, int threads) {
    product *p = arg;
    double start = thread_seconds();
    run_tiles(p, thread, threads);
    p->busy[thread] += thread_seconds() - start;
}

/* By the processor time of the busiest thread, so that other programs on the machine disturb less. */
static double rate_of(const wf_env *env, const bench_shape *s, const wf_dtype type[2], int threads) {
    wf_gemm g = {.m = s->m, .n = s->n, .k = s->k, .trans_a = s->trans_a, .trans_b = s->trans_b};
    g.a_type = g.b_type = type[0], g.c_type = type[1];
    product p = product_open(env, g, 0, s->beta, threads);
    double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k, best = 0, stop = wf_seconds() + 0.5;
    int repeat = 1 + (int)(1e9 / flops);
    for (int i = 0; i < 3 || wf_seconds() < stop; i++) {
        double longest = 0;
        memset(p.busy, 0, sizeof p.busy);
        for (int r = 0; r < repeat; r++)
            wf_pool_run(env->pool, run_timed, &p);
        for (int t = 0; t < threads; t++)
            longest = p.busy[t] > longest ? p.busy[t] : longest;
        double rate = flops * repeat / longest * 1e-9;
        best = rate > best ? rate : best;
    }
    product_close(env, &p);
    return best;
}

/* The register block itself with everything in the first cache. */
static double roof(void) {
    static float panel[WF_GEMM_ROWS * 64 + WF_GEMM_COLUMNS * 64];
    float c[WF_GEMM_ROWS * WF_GEMM_COLUMNS];
    double best = 0, work = 20000.0 * 2 * WF_GEMM_ROWS * WF_GEMM_COLUMNS * 64;
    for (int i = 0; i < 20; i++) {
        double start = thread_seconds();
        for (int r = 0; r < 20000; r++)
            chosen.gemm_block(c, WF_GEMM_COLUMNS, panel, 1, WF_GEMM_ROWS, panel + WF_GEMM_ROWS * 64, 64, WF_GEMM_ROWS,
                              WF_GEMM_COLUMNS, false, NULL);
        double rate = work / (thread_seconds() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

/* The three products of a linear layer with W [out, in] over `rows` rows. */
static void bench_layer(int64_t rows, int64_t in, int64_t out, wf_env env[2]) {
    const bench_shape all[] = {{"fwd", rows, out, in, false, true, 0},
                               {"dX", rows, in, out, false, false, 0},
                               {"dW", out, in, rows, true, false, 0},
                               {"dW+=", out, in, rows, true, false, 1}};
    for (int s = 0; s < (rows < 16 ? 1 : 4); s++) {
        printf("%5lld %5lld %6lld  %-5s", (long long)rows, (long long)in, (long long)out, all[s].name);
        for (int t = 0; t < 2; t++)
            for (int n = 0; n < 2; n++)
                printf(" %8.1f", rate_of(&env[n], &all[s], types[t], n + 1));
        printf("\n");
    }
}

static int bench(int argc, char **argv) {
    static const int64_t layers[][2] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}, {768, 50257},
                                        {128, 128},  {128, 512}, {512, 128},  {256, 1024}, {1024, 256}};
    wf_pool *pools[2];
    wf_env env[2];
    for (int i = 0; i < 2; i++) {
        if (wf_pool_create(&wf_mem_default, i + 1, &pools[i], NULL) != WEFT_OK)
            return 1;
        env[i] = env_of(pools[i]);
    }
    printf("%s, %s; GFLOP/s by processor time, best of many; roof (register block in the first cache): %.1f a thread\n",
           wf_gemm_backend(), chosen.isa, roof());
    printf(" rows    in    out  what       f32 x1   f32 x2  bf16 x1  bf16 x2\n");
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
        for (int r = 0; r < 4; r++) {
            int64_t rows = (const int64_t[]){1, 8, 256, 1024}[r];
            if (layers[l][0] < 768)
                rows = rows == 256 ? 768 : rows == 1024 ? 2048 : rows;
            if (argc > 2 && atoll(argv[2]) != rows)
                continue;
            if (argc > 3 && atoll(argv[3]) != layers[l][1])
                continue;
            bench_layer(rows, layers[l][0], layers[l][1], env);
        }
    for (int i = 0; i < 2; i++)
        wf_pool_free(pools[i]);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_same_bits), cmocka_unit_test(test_same_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
