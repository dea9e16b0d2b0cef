/* turned.c - products of few rows with a large B that lies [N,K]: C^T = B A^T. B is the left operand then, which the register
 * blocks read where it is: it comes from memory once, in long runs, and only A, which is small, is packed. Strips of sums are
 * turned back in the caches. */
#include "kernels/gemm/turned.h"
#include "kernels/gemm/blocks.h"

/* FEW: rows for which packing B costs more than lanes without a row. SPREAD: floats between the rows of B that are read side by
 * side; the processor foresees one run of reads in each page of 4 KiB. STRIP: the fewest rows of B in one go. */
enum { FEW = 96, SPREAD = 2048, MOST_APART = 16, STRIP = 48, R = WF_GEMM_ROWS, C = WF_GEMM_COLUMNS };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

bool wf_gemm_is_turned(const wf_gemm *g) {
    return g->usual > 0 && g->usual <= FEW && g->a_type == WF_F32 && g->trans_b && !g->trans_a;
}

wf_gemm_tiling wf_gemm_turned_tiling(void) {
    return (wf_gemm_tiling){
        .row_step = C, .column_step = STRIP, .most_rows = 8 * C, .most_columns = 12 * STRIP, .row_cost = 60, .column_cost = 12};
}

static int64_t apart(const wf_gemm *g) {
    int64_t rows = SPREAD / g->ldb;
    return rows < 1 ? 1 : least(rows, MOST_APART);
}
static int64_t strip(const wf_gemm *g) { return round_up(STRIP, R * apart(g)); }

typedef struct map {
    size_t sums, turned, size; /* offsets in floats, behind the panels of A: [strip, ld], then [m, strip] */
    int64_t ld;
} map;

static map map_scratch(const wf_gemm_plan *plan) {
    map s = {.ld = round_up(plan->tile_m, C)};
    s.sums = (size_t)(s.ld * plan->g.k);
    s.turned = s.sums + (size_t)(s.ld * strip(&plan->g));
    s.size = s.turned + (size_t)round_up(plan->tile_m * strip(&plan->g), 16);
    return s;
}
size_t wf_gemm_turned_scratch(const wf_gemm_plan *plan) { return map_scratch(plan).size * sizeof(float); }

/* Sums [rows, m] of rows of B; every apart-th one in the same register block. */
static void multiply(const wf_gemm_plan *plan, int64_t m, int64_t rows, const float *b, const float *panels, float *sums,
                     int64_t ld) {
    const wf_gemm *g = &plan->g;
    int64_t step = apart(g);
    for (int64_t i = 0; i < rows; i += R * step)
        for (int64_t q = i; q < least(i + step, rows); q++)
            for (int64_t j = 0; j < m; j += C)
                plan->kernels->gemm_block(sums + q * ld + j, ld * step, b + q * g->ldb, g->ldb * step, 1, panels + j * g->k,
                                          g->k, least((rows - q + step - 1) / step, R), least(m - j, C), false, NULL);
}

void wf_gemm_turned_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    const wf_gemm *g = &plan->g;
    map s = map_scratch(plan);
    float *panels = scratch, *sums = panels + s.sums, *turned = panels + s.turned;
    plan->kernels->gemm_pack_columns(panels, o->a, false, g->lda, t->m, g->k, C);
    for (int64_t j = 0; j < t->n; j += strip(g)) {
        int64_t rows = least(t->n - j, strip(g));
        multiply(plan, t->m, rows, (const float *)o->b + j * g->ldb, panels, sums, s.ld);
        plan->kernels->gemm_pack_columns(turned, sums, false, s.ld, rows, t->m, rows);
        const wf_gemm_tile part = {t->row, t->column + j, t->m, rows};
        const wf_gemm_operands to = {o->a, o->b, (float *)o->c + j, o->bias ? o->bias + j : NULL, o->beta};
        wf_gemm_finish(plan, &part, &to, turned, rows);
    }
}
