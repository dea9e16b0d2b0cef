/* gemm.c - plans and tiles: the part of the matrix product that is the same for every backend. */
#include <math.h>
#include "kernels/gemm/backend.h"

/* The shortest side of a tile worth trying, and the fixed price of one call in multiply-adds (a few microseconds). */
enum { SMALLEST = 32, CALL = 200000 };

static int64_t pieces(int64_t total, int64_t size) { return (total + size - 1) / size; }

/* Splits `total` into `count` equal pieces, rounded up to multiples of `step`: no thin last tile. */
static int64_t even(int64_t total, int64_t count, int64_t step) {
    int64_t each = pieces(pieces(total, count), step) * step;
    return each < total ? each : total;
}

/* Time of a tiling on `threads` threads that each take the next tile, in units of the whole product on one. */
static double makespan(const wf_gemm *g, const wf_gemm_tiling *law, int64_t m, int64_t n, int64_t threads) {
    int64_t tiles = pieces(g->m, m) * pieces(g->n, n);
    double one = (double)m * (double)n * (1 + law->row_cost / (double)m + law->column_cost / (double)n) + CALL / (double)g->k;
    return (double)pieces(tiles, threads) * one / ((double)g->m * (double)g->n);
}

/* The tiling that does best on 2 threads and on 8, or where there are many products on one: a fixed question, so the answer
 * depends on the shape only. */
static void choose_tile(const wf_gemm *g, wf_gemm_plan *plan) {
    wf_gemm_tiling law = wf_gemm_backend_tiling(g);
    double best = INFINITY;
    for (int64_t rows = pieces(g->m, law.most_rows); rows <= pieces(g->m, SMALLEST); rows += 1 + rows / 16)
        for (int64_t columns = pieces(g->n, law.most_columns); columns <= pieces(g->n, SMALLEST); columns += 1 + columns / 16) {
            int64_t m = even(g->m, rows, law.row_step), n = even(g->n, columns, law.column_step);
            double cost =
                g->usual ? makespan(g, &law, m, n, 1) : 2 * 2 * makespan(g, &law, m, n, 2) + 8 * makespan(g, &law, m, n, 8);
            if (cost < best) {
                best = cost;
                plan->tile_m = m;
                plan->tile_n = n;
            }
        }
}

static weft_status check(const wf_gemm *g, weft_error *err) {
    bool bf16 = g->a_type == WF_BF16 && g->b_type == WF_BF16;
    WF_CHECK(g->m > 0 && g->n > 0 && g->k > 0, err, WEFT_FAILURE, "matrix product of an empty shape");
    WF_CHECK(bf16 || (g->a_type == WF_F32 && g->b_type == WF_F32), err, WEFT_UNSUPPORTED,
             "matrix product: both inputs must be fp32, or both bf16");
    WF_CHECK(g->c_type == WF_F32 || (bf16 && g->c_type == WF_BF16), err, WEFT_UNSUPPORTED,
             "matrix product: the output must be fp32, or bf16 when the inputs are");
    WF_CHECK(g->lda >= (g->trans_a ? g->m : g->k) && g->ldb >= (g->trans_b ? g->k : g->n) && g->ldc >= g->n, err, WEFT_FAILURE,
             "matrix product: a leading dimension is shorter than its row");
    return WEFT_OK;
}

weft_status wf_gemm_plan_create(const wf_env *env, const wf_gemm *g, wf_gemm_plan **out, weft_error *err) {
    *out = NULL;
    wf_gemm full = *g;
    full.lda = g->lda ? g->lda : g->trans_a ? g->m : g->k;
    full.ldb = g->ldb ? g->ldb : g->trans_b ? g->k : g->n;
    full.ldc = g->ldc ? g->ldc : g->n;
    WF_TRY(check(&full, err));
    wf_gemm_plan *plan = wf_calloc(&env->mem, 1, sizeof *plan);
    if (!plan)
        return wf_fail_memory(err);
    plan->g = full;
    plan->kernels = env->kernels ? env->kernels : &wf_kernels_ref;
    choose_tile(&full, plan);
    plan->rows = (int)pieces(full.m, plan->tile_m);
    plan->columns = (int)pieces(full.n, plan->tile_n);
    weft_status status = wf_gemm_backend_open(env, plan, err);
    if (status != WEFT_OK) {
        wf_gemm_plan_free(env, plan);
        return status;
    }
    *out = plan;
    return WEFT_OK;
}

void wf_gemm_plan_free(const wf_env *env, wf_gemm_plan *plan) {
    if (!plan)
        return;
    wf_gemm_backend_close(env, plan);
    wf_free(&env->mem, plan);
}

int wf_gemm_tiles(const wf_gemm_plan *plan) { return plan->rows * plan->columns; }
size_t wf_gemm_scratch(const wf_gemm_plan *plan) { return wf_gemm_backend_scratch(plan); }
bool wf_gemm_reproducible(void) {
    return true;
} /* every backend computes a tile on one thread, and tiles depend on the shape only */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void wf_gemm_run(const wf_gemm_plan *plan, int tile, const void *a, const void *b, void *c, const float *bias, float beta,
                 void *scratch) {
    const wf_gemm *g = &plan->g;
    wf_gemm_tile t = {.row = tile / plan->columns * plan->tile_m, .column = tile % plan->columns * plan->tile_n};
    t.m = least(plan->tile_m, g->m - t.row);
    t.n = least(plan->tile_n, g->n - t.column);
    int64_t at_a = g->trans_a ? t.row : t.row * g->lda, at_b = g->trans_b ? t.column * g->ldb : t.column;
    int64_t at_c = t.row * g->ldc + t.column;
    wf_gemm_operands o = {.a = (const char *)a + at_a * (int64_t)wf_dtypes[g->a_type].size,
                          .b = (const char *)b + at_b * (int64_t)wf_dtypes[g->b_type].size,
                          .c = (char *)c + at_c * (int64_t)wf_dtypes[g->c_type].size,
                          .bias = g->bias && bias ? bias + t.column : NULL,
                          .beta = beta};
    wf_gemm_backend_run(plan, &t, &o, scratch);
}
