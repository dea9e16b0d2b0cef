/* blocks.c - matrix products by our own kernels. For each DEPTH steps of k, the columns of B are packed (transposed, converted)
 * into panels, and the rows of the tile pass over each panel, which stays in the first cache, by blocks of registers. Rows of A
 * are read in place where that is cheap; else they are packed too. */
#include "kernels/gemm/blocks.h"
#include "kernels/gemm/turned.h"

enum { DEPTH = 256, STRIP = 512, R = WF_GEMM_ROWS, C = WF_GEMM_COLUMNS };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

wf_gemm_tiling wf_gemm_blocks_tiling(const wf_gemm *g) {
    if (wf_gemm_is_turned(g))
        return wf_gemm_turned_tiling();
    bool cheap = g->a_type == WF_F32 && !g->trans_a;
    return (wf_gemm_tiling){.row_step = R,
                            .column_step = C,
                            .most_rows = 64 * R,
                            .most_columns = 12 * C,
                            .row_cost = 24,
                            .column_cost = cheap ? 6 : 24};
}

typedef struct scratch_map {
    size_t b, c, size; /* offsets in floats: A's panels, then B's, then the fp32 tile */
} scratch_map;

/* Rows a multiple of 4 KiB apart fall into the same few lines of the first cache: better copied. */
static bool in_place(const wf_gemm *g) { return g->a_type == WF_F32 && !g->trans_a && g->lda % 1024 != 0; }

static scratch_map map_scratch(const wf_gemm_plan *plan) {
    scratch_map s = {0};
    int64_t depth = least(plan->g.k, DEPTH);
    s.b = in_place(&plan->g) ? 0 : (size_t)round_up(round_up(plan->tile_m, R) * depth, 16);
    s.c = s.b + (size_t)(round_up(plan->tile_n, C) * depth);
    s.size = s.c + (plan->g.c_type == WF_BF16 || plan->g.bias ? (size_t)round_up(plan->tile_m * plan->tile_n, 16) : 0);
    return s;
}
size_t wf_gemm_blocks_scratch(const wf_gemm_plan *plan) {
    return wf_gemm_is_turned(&plan->g) ? wf_gemm_turned_scratch(plan) : map_scratch(plan).size * sizeof(float);
}

static const void *at(const void *data, wf_dtype type, int64_t i) {
    return (const char *)data + i * (int64_t)wf_dtypes[type].size;
}

/* How the register blocks read A at steps p..: a pointer and strides. */
typedef struct left {
    const float *data;
    int64_t row, step, block; /* block: distance of one group of R rows to the next */
} left;

static void copy_row(const wf_gemm_plan *plan, float *out, const void *row, int64_t depth) {
    if (plan->g.a_type == WF_BF16)
        plan->kernels->bf16_to_f32(out, row, depth);
    else
        memcpy(out, row, (size_t)depth * sizeof *out);
}

static left prepare_left(const wf_gemm_plan *plan, int64_t m, const void *a, int64_t p, int64_t depth, float *scratch) {
    const wf_gemm *g = &plan->g;
    if (in_place(g))
        return (left){(const float *)a + p, g->lda, 1, R * g->lda};
    if (!g->trans_a) {
        for (int64_t i = 0; i < m; i++)
            copy_row(plan, scratch + i * depth, at(a, g->a_type, i * g->lda + p), depth);
        return (left){scratch, depth, 1, R * depth};
    }
    plan->kernels->gemm_pack_rows(scratch, at(a, g->a_type, p * g->lda), g->a_type == WF_BF16, g->lda, m, depth, R);
    return (left){scratch, 1, R, R * depth};
}

static void prepare_right(const wf_gemm_plan *plan, int64_t n, const void *b, int64_t p, int64_t depth, float *panels) {
    const wf_gemm *g = &plan->g;
    if (g->trans_b)
        plan->kernels->gemm_pack_columns(panels, at(b, g->b_type, p), g->b_type == WF_BF16, g->ldb, n, depth, C);
    else
        plan->kernels->gemm_pack_rows(panels, at(b, g->b_type, p * g->ldb), g->b_type == WF_BF16, g->ldb, n, depth, C);
}

void wf_gemm_finish(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, const float *sums, int64_t ld) {
    const wf_gemm *g = &plan->g;
    const wf_kernels *k = plan->kernels;
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j += STRIP) { /* short pieces: what is added twice stays in the first cache */
            float buffer[STRIP], *out = g->c_type == WF_F32 ? (float *)o->c + i * g->ldc + j : buffer;
            const float *row = sums + i * ld + j, *old = out;
            int64_t n = least(t->n - j, STRIP);
            uint16_t *packed = (uint16_t *)o->c + i * g->ldc + j;
            if (o->beta != 0) {
                if (g->c_type == WF_BF16)
                    k->bf16_to_f32(buffer, packed, n);
                k->add(out, row, old, n);
                row = out;
            }
            if (o->bias)
                k->add(out, row, o->bias + j, n);
            else if (row != out)
                memcpy(out, row, (size_t)n * sizeof *out);
            if (g->c_type == WF_BF16)
                k->f32_to_bf16(packed, out, n);
        }
}

/* Brings steps p..p+depth-1 of lines first..first+count-1, contiguous along k, towards the second cache. */
static void fetch(const void *data, wf_dtype type, int64_t ld, int64_t first, int64_t count, int64_t p, int64_t depth) {
    int64_t size = (int64_t)wf_dtypes[type].size;
    for (int64_t i = first; i < first + count; i++)
        for (int64_t b = 0; b < depth * size; b += 64)
            __builtin_prefetch((const char *)data + (i * ld + p) * size + b, 0, 2);
}

/* While a panel of this depth is multiplied, the operands of the next depth are on their way: a share with each block of rows.
 */
static void fetch_next(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, int64_t p, int64_t j,
                       int64_t i) {
    const wf_gemm *g = &plan->g;
    int64_t depth = least(g->k - p, DEPTH), blocks = (t->m + R - 1) / R, share = (t->n + blocks - 1) / blocks;
    if (depth <= 0 || j > 0)
        return;
    if (!g->trans_a)
        fetch(o->a, g->a_type, g->lda, i, least(t->m - i, R), p, depth);
    int64_t first = i / R * share;
    if (g->trans_b && first < t->n)
        fetch(o->b, g->b_type, g->ldb, first, least(t->n - first, share), p, depth);
}

static void run_packed(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    const wf_gemm *g = &plan->g;
    scratch_map map = map_scratch(plan);
    bool direct = g->c_type == WF_F32 && !o->bias;
    float *panels = (float *)scratch + map.b, *sums = direct ? o->c : (float *)scratch + map.c;
    int64_t ld = direct ? g->ldc : t->n;
    for (int64_t p = 0; p < g->k; p += DEPTH) {
        int64_t depth = least(g->k - p, DEPTH);
        bool add = p > 0 || (direct && o->beta != 0);
        left a = prepare_left(plan, t->m, o->a, p, depth, scratch);
        prepare_right(plan, t->n, o->b, p, depth, panels);
        for (int64_t j = 0; j < t->n; j += C)
            for (int64_t i = 0; i < t->m; i += R) {
                fetch_next(plan, t, o, p + DEPTH, j, i);
                plan->kernels->gemm_block(sums + i * ld + j, ld, a.data + i / R * a.block, a.row, a.step, panels + j * depth,
                                          depth, least(t->m - i, R), least(t->n - j, C), add, NULL);
            }
    }
    if (!direct)
        wf_gemm_finish(plan, t, o, sums, ld);
}

void wf_gemm_blocks_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    (wf_gemm_is_turned(&plan->g) ? wf_gemm_turned_run : run_packed)(plan, t, o, scratch);
}
