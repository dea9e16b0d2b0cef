/* gemm_cblas.c - matrix products by a CBLAS: one cblas_sgemm a tile, on one thread. bf16 goes to our own kernels. */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include "kernels/gemm/blocks.h"

typedef void (*set_threads)(int threads);

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* OpenBLAS has threads of its own, which would split a tile by their number; the reference BLAS and others have none. */
static void start(void) {
    void *symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    set_threads set;
    memcpy(&set, &symbol, sizeof set); /* C has no cast from an object pointer to a function pointer */
    if (set)
        set(1);
}

const char *wf_gemm_backend(void) { return "CBLAS"; }
void wf_gemm_thread_init(void) { pthread_once(&once, start); }

static bool by_blocks(const wf_gemm *g) { return g->a_type == WF_BF16 || g->usual; }

wf_gemm_tiling wf_gemm_backend_tiling(const wf_gemm *g) {
    if (by_blocks(g))
        return wf_gemm_blocks_tiling(g);
    return (wf_gemm_tiling){
        .row_step = 8, .column_step = 16, .most_rows = 768, .most_columns = 768, .row_cost = 20, .column_cost = 20};
}

/* Dimensions are ints there. */
weft_status wf_gemm_backend_open(const wf_env *env, wf_gemm_plan *plan, weft_error *err) {
    const wf_gemm *g = &plan->g;
    WF_CHECK(g->k <= INT32_MAX && g->lda <= INT32_MAX && g->ldb <= INT32_MAX && g->ldc <= INT32_MAX, err, WEFT_UNSUPPORTED,
             "matrix product: a dimension is above 2^31");
    return WEFT_OK;
}
void wf_gemm_backend_close(const wf_env *env, wf_gemm_plan *plan) {}

size_t wf_gemm_backend_scratch(const wf_gemm_plan *plan) {
    if (by_blocks(&plan->g))
        return wf_gemm_blocks_scratch(plan);
    return plan->g.bias ? (size_t)(plan->tile_m * plan->tile_n) * sizeof(float) : 0;
}

static void multiply(const wf_gemm *g, const wf_gemm_tile *t, const wf_gemm_operands *o, float *c, int64_t ldc, float beta) {
    cblas_sgemm(CblasRowMajor, g->trans_a ? CblasTrans : CblasNoTrans, g->trans_b ? CblasTrans : CblasNoTrans, (int)t->m,
                (int)t->n, (int)g->k, 1.0f, o->a, (int)g->lda, o->b, (int)g->ldb, beta, c, (int)ldc);
}

void wf_gemm_backend_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    const wf_gemm *g = &plan->g;
    wf_gemm_thread_init();
    if (by_blocks(g)) {
        wf_gemm_blocks_run(plan, t, o, scratch);
    } else if (o->bias) {
        multiply(g, t, o, scratch, t->n, 0.0f);
        wf_gemm_finish(plan, t, o, scratch, t->n);
    } else {
        multiply(g, t, o, o->c, g->ldc, o->beta);
    }
}
