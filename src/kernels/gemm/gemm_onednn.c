/* gemm_onednn.c - matrix products by oneDNN (version 2), one thread per call. Its thread runtime is told so in
 * wf_gemm_thread_init; with more threads it would split a tile, and for some shapes the sums, by their number.
 *
 * Three ways, by what each does best on one thread:
 *   GEMM       dnnl_sgemm, or its bf16 sister where the processor multiplies bf16. sgemm is at the roof when B is [K,N] and
 * rows are not far apart, so operands that are otherwise are first copied into scratch, DEPTH steps of k at a time; PRIMITIVE
 * bf16, both operands contiguous along k (a linear layer's forward): the batch-reduce matmul, which wants dense operands, so
 * the tile is computed in scratch and copied out; BLOCKS     our own kernels: bf16 where the processor does not multiply it,
 * which oneDNN would emulate slowly. */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#include <dnnl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include "kernels/gemm/blocks.h"
#include "kernels/gemm/turned.h"

enum { DEPTH = 384, SLAB = 128, FAR = 1024, FEW = 48, BUNDLES = 64, KINDS = 4, ROW_REST = 1, COLUMN_REST = 2 };

typedef dnnl_status_t (*bf16_gemm)(char ta, char tb, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha, const uint16_t *a,
                                   dnnl_dim_t lda, const uint16_t *b, dnnl_dim_t ldb, float beta, float *c, dnnl_dim_t ldc);
typedef void (*set_threads)(int threads);
typedef int (*get_threads)(void);

/* ---- the library as a whole ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static bool rows_alike;     /* a row of an fp32 product has the same bits wherever it lies: not so with AVX2 */
static bf16_gemm gemm_bf16; /* exported but not declared; NULL when absent or when the processor lacks bf16 */
static set_threads omp_set;
static get_threads omp_get;
static char backend_name[48] = "oneDNN";

/* Their API takes no const pointers. */
static void *unconst(const void *p) {
    union {
        const void *in;
        void *out;
    } u = {p};
    return u.out;
}

/* dlsym returns an object pointer; C has no cast from it to a function pointer. */
static void find(const char *name, void *out) {
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(out, &symbol, sizeof symbol);
}

static void start(void) {
    const dnnl_version_t *v = dnnl_version();
    snprintf(backend_name, sizeof backend_name, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    find("omp_set_num_threads", &omp_set);
    find("omp_get_max_threads", &omp_get);
    rows_alike = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    if ((dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16)
        find("dnnl_gemm_bf16bf16f32", &gemm_bf16);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

const char *wf_gemm_backend(void) {
    pthread_once(&once, start);
    return backend_name;
}

static _Thread_local bool alone;

void wf_gemm_thread_init(void) {
    pthread_once(&once, start);
    if (omp_set)
        omp_set(1);
    alone = true;
}

/* ---- primitives ---- */

/* What one execution needs. Two threads never share one. */
typedef struct bundle {
    dnnl_stream_t stream;
    dnnl_memory_t a, b, c, scratch;
} bundle;

/* One size of tile: the full one, or that of the last row, the last column, the corner. */
typedef struct size_kind {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t a, b, c, scratch;
    size_t scratch_size;
    _Atomic(bundle *) idle[BUNDLES]; /* taken for a tile and put back: as many as there were ever tiles at once */
} size_kind;

typedef struct onednn {
    enum { GEMM, PRIMITIVE, BLOCKS } way;
    wf_mem mem;
    size_t scratch_size;
    size_kind *kinds; /* [KINDS], of primitives only: a record is large, and experts have hundreds of plans */
} onednn;

static void bundle_free(const wf_mem *mem, bundle *b) {
    if (!b)
        return;
    dnnl_memory_destroy(b->scratch);
    dnnl_memory_destroy(b->c);
    dnnl_memory_destroy(b->b);
    dnnl_memory_destroy(b->a);
    dnnl_stream_destroy(b->stream);
    wf_free(mem, b);
}

static bundle *bundle_new(const wf_mem *mem, const size_kind *k) {
    bundle *b = wf_calloc(mem, 1, sizeof *b);
    if (!b)
        return NULL;
    bool ok = dnnl_stream_create(&b->stream, engine, dnnl_stream_default_flags) == dnnl_success &&
              dnnl_memory_create(&b->a, &k->a, engine, DNNL_MEMORY_NONE) == dnnl_success &&
              dnnl_memory_create(&b->b, &k->b, engine, DNNL_MEMORY_NONE) == dnnl_success &&
              dnnl_memory_create(&b->c, &k->c, engine, DNNL_MEMORY_NONE) == dnnl_success &&
              (!k->scratch_size || dnnl_memory_create(&b->scratch, &k->scratch, engine, DNNL_MEMORY_NONE) == dnnl_success);
    if (ok)
        return b;
    bundle_free(mem, b);
    return NULL;
}

static bundle *bundle_take(const wf_mem *mem, size_kind *k) {
    for (int i = 0; i < BUNDLES; i++)
        if (atomic_load_explicit(&k->idle[i], memory_order_relaxed)) {
            bundle *b = atomic_exchange(&k->idle[i], NULL);
            if (b)
                return b;
        }
    return bundle_new(mem, k);
}

static void bundle_put(const wf_mem *mem, size_kind *k, bundle *b) {
    for (int i = 0; i < BUNDLES; i++) {
        bundle *none = NULL;
        if (atomic_compare_exchange_strong(&k->idle[i], &none, b))
            return;
    }
    bundle_free(mem, b);
}

/* A dense matmul of m rows and n columns with B transposed, fp32 sums out. The threads of the library are one also while it is
 * created: they decide the blocking. */
static bool make_primitive(const wf_gemm *g, int64_t m, int64_t n, size_kind *k) {
    dnnl_data_type_t type = g->a_type == WF_BF16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t a = {m, g->k}, a_strides = {g->k, 1}, b = {g->k, n}, b_strides = {1, g->k}, c = {m, n},
                      c_strides = {n, 1};
    dnnl_matmul_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t made = NULL;
    bool ok = dnnl_memory_desc_init_by_strides(&k->a, 2, a, type, a_strides) == dnnl_success &&
              dnnl_memory_desc_init_by_strides(&k->b, 2, b, type, b_strides) == dnnl_success &&
              dnnl_memory_desc_init_by_strides(&k->c, 2, c, dnnl_f32, c_strides) == dnnl_success &&
              dnnl_matmul_desc_init(&desc, &k->a, &k->b, NULL, &k->c) == dnnl_success &&
              dnnl_primitive_attr_create(&attr) == dnnl_success &&
              dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user) == dnnl_success &&
              dnnl_primitive_desc_create(&made, &desc, attr, engine, NULL) == dnnl_success &&
              dnnl_primitive_create(&k->primitive, made) == dnnl_success;
    if (ok) {
        const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(made, dnnl_query_scratchpad_md, 0);
        k->scratch_size = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
        if (k->scratch_size)
            k->scratch = *scratch;
    }
    dnnl_primitive_desc_destroy(made);
    dnnl_primitive_attr_destroy(attr);
    return ok;
}

static int kind_of(const wf_gemm_plan *plan, int64_t m, int64_t n) {
    return (m < plan->tile_m ? ROW_REST : 0) | (n < plan->tile_n ? COLUMN_REST : 0);
}

static bool make_primitives(const wf_gemm_plan *plan, onednn *d) {
    const int64_t rows[2] = {plan->tile_m, plan->g.m % plan->tile_m}, columns[2] = {plan->tile_n, plan->g.n % plan->tile_n};
    int before = omp_get ? omp_get() : 1;
    d->kinds = wf_calloc(&d->mem, KINDS, sizeof *d->kinds);
    bool ok = engine != NULL && d->kinds != NULL;
    if (omp_set)
        omp_set(1);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (ok && rows[i] && columns[j]) {
                size_kind *k = &d->kinds[kind_of(plan, rows[i], columns[j])];
                ok = make_primitive(&plan->g, rows[i], columns[j], k);
                d->scratch_size = k->scratch_size > d->scratch_size ? k->scratch_size : d->scratch_size;
            }
    if (omp_set)
        omp_set(before);
    return ok;
}

/* ---- plans ---- */

/* Rows enough to prepare operands for; one of many products goes the way of many rows whatever it has. */
static bool many(const wf_gemm *g) { return g->usual || g->m >= FEW; }

/* One of many products, each with a B of its own that lies right: read in place, SLAB whole rows after the other, in the order
 * of memory. */
static bool slabs(const wf_gemm *g) { return g->usual && g->a_type == WF_F32 && !g->trans_a && !g->trans_b; }

/* bf16 products of many rows, both operands dense and contiguous along k. */
static bool wants_primitive(const wf_gemm *g) {
    return g->a_type == WF_BF16 && gemm_bf16 && g->trans_b && !g->trans_a && g->lda == g->k && g->ldb == g->k && many(g);
}

/* B is copied when it has to be turned, which takes many rows to pay, and when its rows lie a multiple of 4 KiB apart, so that
 * they fall into the same few lines of the caches; the turned A when its rows are far apart. */
static bool stages_b(const wf_gemm *g) {
    return g->a_type == WF_F32 && many(g) && !slabs(g) && (g->trans_b || g->ldb % FAR == 0);
}
static bool stages_a(const wf_gemm *g) { return g->a_type == WF_F32 && g->trans_a && g->lda >= FAR; }

static bool by_blocks(const wf_gemm *g) {
    return g->a_type == WF_BF16 ? !gemm_bf16 : wf_gemm_is_turned(g) || (g->usual && !rows_alike);
}

/* Measured on one thread with the shapes of a transformer (gemm_test --bench). */
wf_gemm_tiling wf_gemm_backend_tiling(const wf_gemm *g) {
    pthread_once(&once, start);
    if (by_blocks(g))
        return wf_gemm_blocks_tiling(g);
    wf_gemm_tiling law = {
        .row_step = 8, .column_step = 48, .most_rows = 768, .most_columns = 768, .row_cost = 5, .column_cost = 6};
    if (wants_primitive(g))
        law = (wf_gemm_tiling){16, 32, 512, 256, 24, 4};
    if (slabs(g))
        law = (wf_gemm_tiling){8, 48, 256, 2048, 16, 6};
    if (!many(g))
        law.most_columns = 192; /* a sweep over B: wider tiles miss the first cache (m 8: 49 against 74 GFLOP/s) */
    if (stages_b(g)) {
        law.row_cost = 16, law.column_cost = 3;
        law.most_columns = 288; /* the copy stays in the second cache */
    }
    if (stages_a(g)) {
        law.column_cost = 60;
        law.most_rows = 384;
    } else if (g->trans_a) {
        law.column_cost = 15;
    }
    return law;
}

weft_status wf_gemm_backend_open(const wf_env *env, wf_gemm_plan *plan, weft_error *err) {
    onednn *d = wf_calloc(&env->mem, 1, sizeof *d);
    if (!d)
        return wf_fail_memory(err);
    plan->backend = d;
    d->mem = env->mem;
    d->way = by_blocks(&plan->g) ? BLOCKS : GEMM;
    if (wants_primitive(&plan->g) && make_primitives(plan, d))
        d->way = PRIMITIVE;
    return WEFT_OK;
}

void wf_gemm_backend_close(const wf_env *env, wf_gemm_plan *plan) {
    onednn *d = plan->backend;
    if (!d)
        return;
    for (int i = 0; d->kinds && i < KINDS; i++) {
        for (int j = 0; j < BUNDLES; j++)
            bundle_free(&d->mem, atomic_load(&d->kinds[i].idle[j]));
        dnnl_primitive_destroy(d->kinds[i].primitive);
    }
    wf_free(&env->mem, d->kinds);
    wf_free(&env->mem, d);
}

/* ---- tiles ---- */

/* A tile whose sums go through scratch: they are dense there. */
static bool through_scratch(const wf_gemm_plan *plan) {
    const onednn *d = plan->backend;
    return d->way == PRIMITIVE || plan->g.c_type == WF_BF16;
}

static size_t aligned(int64_t floats) { return ((size_t)floats * sizeof(float) + 63) / 64 * 64; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static size_t sums_size(const wf_gemm_plan *plan) { return through_scratch(plan) ? aligned(plan->tile_m * plan->tile_n) : 0; }
static size_t stage_a_size(const wf_gemm_plan *plan) {
    return stages_a(&plan->g) ? aligned(plan->tile_m * least(plan->g.k, DEPTH)) : 0;
}
static size_t stage_b_size(const wf_gemm_plan *plan) {
    return stages_b(&plan->g) ? aligned(plan->tile_n * least(plan->g.k, DEPTH)) : 0;
}

/* Sums of the tile first, then what the way needs beside them. Our own kernels stand in when the library refuses. */
size_t wf_gemm_backend_scratch(const wf_gemm_plan *plan) {
    const onednn *d = plan->backend;
    size_t library = sums_size(plan) + stage_a_size(plan) + stage_b_size(plan) + d->scratch_size,
           own = wf_gemm_blocks_scratch(plan);
    return own > library ? own : library;
}

/* False when there is no memory for its arguments. */
static bool run_primitive(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    onednn *d = plan->backend;
    size_kind *k = &d->kinds[kind_of(plan, t->m, t->n)];
    bundle *b = bundle_take(&d->mem, k);
    if (!b)
        return false;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, b->a}, {DNNL_ARG_WEIGHTS, b->b}, {DNNL_ARG_DST, b->c}, {DNNL_ARG_SCRATCHPAD, b->scratch}};
    bool ok = dnnl_memory_set_data_handle(b->a, unconst(o->a)) == dnnl_success &&
              dnnl_memory_set_data_handle(b->b, unconst(o->b)) == dnnl_success &&
              dnnl_memory_set_data_handle(b->c, scratch) == dnnl_success &&
              (!b->scratch || dnnl_memory_set_data_handle(b->scratch, (char *)scratch + sums_size(plan)) == dnnl_success) &&
              dnnl_primitive_execute(k->primitive, b->stream, b->scratch ? 4 : 3, args) == dnnl_success;
    bundle_put(&d->mem, k, b);
    return ok;
}

static bool run_bf16(const wf_gemm *g, const wf_gemm_tile *t, const wf_gemm_operands *o, float *c, int64_t ldc, float beta) {
    return gemm_bf16(g->trans_a ? 'T' : 'N', g->trans_b ? 'T' : 'N', t->m, t->n, g->k, 1.0f, o->a, g->lda, o->b, g->ldb, beta,
                     c, ldc) == dnnl_success;
}

/* Where steps p.. of an operand lie. */
static const float *at(const void *data, bool along_k, int64_t ld, int64_t p) {
    return (const float *)data + (along_k ? p : p * ld);
}

/* Returns how many steps of k are in the sums: all of them, unless the library refuses. */
static int64_t run_f32(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, float *c, int64_t ldc,
                       float beta, char *stage) {
    const wf_gemm *g = &plan->g;
    const wf_kernels *kernels = plan->kernels;
    bool copy_a = stages_a(g), copy_b = stages_b(g);
    float *stage_a = (float *)(void *)stage, *stage_b = (float *)(void *)(stage + stage_a_size(plan));
    int64_t depth = slabs(g) ? SLAB : copy_a || copy_b ? DEPTH : g->k;
    for (int64_t p = 0; p < g->k; p += depth) {
        int64_t k = least(g->k - p, depth), lda = copy_a ? t->m : g->lda, ldb = copy_b ? t->n : g->ldb;
        const float *a = at(o->a, !g->trans_a, g->lda, p), *b = at(o->b, g->trans_b, g->ldb, p);
        if (copy_a)
            kernels->gemm_pack_rows(stage_a, a, false, g->lda, t->m, k, t->m);
        if (copy_b)
            (g->trans_b ? kernels->gemm_pack_columns : kernels->gemm_pack_rows)(stage_b, b, false, g->ldb, t->n, k, t->n);
        if (dnnl_sgemm(g->trans_a ? 'T' : 'N', g->trans_b && !copy_b ? 'T' : 'N', t->m, t->n, k, 1.0f, copy_a ? stage_a : a,
                       lda, copy_b ? stage_b : b, ldb, p ? 1.0f : beta, c, ldc) != dnnl_success)
            return p;
    }
    return g->k;
}

/* Steps from `done` on by our own kernels, for a tile whose first steps are in the output already. */
static void run_rest(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, int64_t done, void *scratch) {
    const wf_gemm *g = &plan->g;
    wf_gemm_plan rest = *plan;
    rest.g.k = g->k - done;
    wf_gemm_operands from = {.a = at(o->a, !g->trans_a, g->lda, done),
                             .b = at(o->b, g->trans_b, g->ldb, done),
                             .c = o->c,
                             .beta = done ? 1.0f : o->beta};
    wf_gemm_blocks_run(&rest, t, &from, scratch);
}

/* The bias is in the output already when the sums come. */
static wf_gemm_operands put_bias(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o) {
    wf_gemm_operands rest = *o;
    for (int64_t i = 0; o->bias && i < t->m; i++) {
        float *row = (float *)o->c + i * plan->g.ldc;
        if (o->beta != 0)
            plan->kernels->add(row, row, o->bias, t->n);
        else
            memcpy(row, o->bias, (size_t)t->n * sizeof *row);
    }
    if (o->bias)
        rest.beta = 1.0f;
    rest.bias = NULL;
    return rest;
}

/* Into the output, the last steps by our own kernels when the library refuses. */
static void run_direct(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    wf_gemm_operands rest = put_bias(plan, t, o);
    int64_t done;
    if (plan->g.a_type == WF_BF16)
        done = run_bf16(&plan->g, t, &rest, rest.c, plan->g.ldc, rest.beta) ? plan->g.k : 0;
    else
        done = run_f32(plan, t, &rest, rest.c, plan->g.ldc, rest.beta, scratch);
    if (done < plan->g.k)
        run_rest(plan, t, &rest, done, scratch);
}

/* Into scratch; false when the library refuses. */
static bool run_apart(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    const onednn *d = plan->backend;
    if (d->way == PRIMITIVE)
        return run_primitive(plan, t, o, scratch);
    return run_bf16(&plan->g, t, o, scratch, t->n, 0.0f);
}

void wf_gemm_backend_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    const onednn *d = plan->backend;
    if (!alone)
        wf_gemm_thread_init();
    if (d->way != BLOCKS && !through_scratch(plan))
        run_direct(plan, t, o, scratch);
    else if (d->way == BLOCKS || !run_apart(plan, t, o, scratch))
        wf_gemm_blocks_run(plan, t, o, scratch);
    else
        wf_gemm_finish(plan, t, o, scratch, t->n);
}
