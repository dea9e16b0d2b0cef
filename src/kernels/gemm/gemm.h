/* gemm.h - dense matrix products, computed tile by tile. A tile is a sub-block of the output whose bounds depend on the shape
 * only, never on the number of threads; one call computes one tile on the calling thread, so any thread may take any tile and
 * the bits stay the same. Backends: oneDNN, CBLAS, built-in (one gemm_<name>.c is linked in, see cmake/kernels.cmake).
 *
 *     wf_gemm g = {.m = M, .n = N, .k = K, .a_type = WF_F32, .b_type = WF_F32, .c_type = WF_F32, .trans_b = true};
 *     wf_gemm_plan *p; wf_gemm_plan_create(env, &g, &p, err);       // once per shape
 *     for (int t = 0; t < wf_gemm_tiles(p); t++)                    // on any threads
 *         wf_gemm_run(p, t, x, lda, w, ldb, y, ldc, bias, beta, thread);
 *
 * C[m,n] = beta*C + op(A)[m,k] op(B)[k,n] (+ bias[n]); A is [M,K] or, trans_a, [K,M]; B is [K,N] or, trans_b, [N,K]; all
 * row-major with the leading dimensions fixed in the plan. beta is 0 or 1 (0 never reads C). */
#ifndef WF_KERNELS_GEMM_H
#define WF_KERNELS_GEMM_H
#include <stdbool.h>
#include "base/env.h"
#include "kernels/dtype.h"

typedef struct wf_gemm {
    int64_t m, n, k;
    int64_t lda, ldb, ldc;           /* 0: contiguous */
    wf_dtype a_type, b_type, c_type; /* F32, or BF16 inputs with F32 or BF16 output; sums are always fp32 */
    bool trans_a, trans_b, bias;     /* bias: the run adds an fp32 bias[n] */
    int64_t usual; /* not 0: one of many products of rows grouped by what they hold, this many as a rule; a row of C has the
                    * same bits whatever m is */
} wf_gemm;

typedef struct wf_gemm_plan wf_gemm_plan;
weft_status wf_gemm_plan_create(const wf_env *env, const wf_gemm *g, wf_gemm_plan **out, weft_error *err);
void wf_gemm_plan_free(const wf_env *env, wf_gemm_plan *plan);
int wf_gemm_tiles(const wf_gemm_plan *plan);
/* Bytes of scratch one run needs (alignment 64); the caller gives each thread its own. */
size_t wf_gemm_scratch(const wf_gemm_plan *plan);
void wf_gemm_run(const wf_gemm_plan *plan, int tile, const void *a, const void *b, void *c, const float *bias, float beta,
                 void *scratch);
const char *wf_gemm_backend(void); /* "oneDNN 2.6.3", "CBLAS", "built-in" */
/* True when the backend gives the same bits for every number of threads by construction (single-threaded tile calls). */
bool wf_gemm_reproducible(void);
/* Called once by each thread of the pool before it runs tiles (a backend may need to be told that it is alone). */
void wf_gemm_thread_init(void);
#endif
