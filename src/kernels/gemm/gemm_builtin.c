/* gemm_builtin.c - matrix products without a library. For each DEPTH steps of k, a panel of WF_GEMM_COLUMNS columns of B is
 * packed (transposed, converted) into the first cache and all rows of the tile pass over it by blocks of registers. Rows of A
 * are read in place, unless they lie across memory or are bf16: then a block of them is packed first. */
#include "kernels/gemm/backend.h"

enum { DEPTH = 256, R = WF_GEMM_ROWS, C = WF_GEMM_COLUMNS, FEW = 8, SWEEP = 8 };

const char *wf_gemm_backend(void) { return "built-in"; }
void wf_gemm_thread_init(void) {}
weft_status wf_gemm_backend_open(const wf_env *env, wf_gemm_plan *plan, weft_error *err) { return WEFT_OK; }
void wf_gemm_backend_close(const wf_env *env, wf_gemm_plan *plan) {}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

void wf_gemm_backend_tile(const wf_gemm *g, int64_t *m, int64_t *n) {
    *m = 512;
    *n = 96;
}

typedef struct scratch_map {
    size_t b, c, size; /* offsets in floats: A's panels, then B's, then the fp32 tile */
} scratch_map;

static bool in_place(const wf_gemm *g) { return g->a_type == WF_F32 && !g->trans_a; }

static scratch_map map_scratch(const wf_gemm_plan *plan) {
    scratch_map s = {0};
    int64_t depth = least(plan->g.k, DEPTH);
    s.b = in_place(&plan->g) ? 0 : (size_t)round_up(round_up(plan->tile_m, R) * depth, 16);
    s.c = s.b + (size_t)(round_up(plan->tile_n, C) * depth);
    s.size = s.c + (plan->g.c_type == WF_BF16 ? (size_t)round_up(plan->tile_m * plan->tile_n, 16) : 0);
    return s;
}
size_t wf_gemm_backend_scratch(const wf_gemm_plan *plan) { return map_scratch(plan).size * sizeof(float); }

static const void *at(const void *data, wf_dtype type, int64_t i) {
    return (const char *)data + i * (int64_t)wf_dtypes[type].size;
}

/* How the register blocks read A at steps p..: a pointer and strides. */
typedef struct left {
    const float *data;
    int64_t row, step, block; /* block: distance of one group of R rows to the next */
} left;

static left prepare_left(const wf_gemm_plan *plan, int64_t m, const void *a, int64_t p, int64_t depth, float *scratch) {
    const wf_gemm *g = &plan->g;
    if (in_place(g))
        return (left){(const float *)a + p, g->lda, 1, R * g->lda};
    if (!g->trans_a) {
        for (int64_t i = 0; i < m; i++)
            plan->kernels->bf16_to_f32(scratch + i * depth, (const uint16_t *)a + i * g->lda + p, depth);
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

/* Adds the bias and, for bf16 outputs, the old value; converts. */
static void finish(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, float *sums, int64_t ld) {
    const wf_kernels *k = plan->kernels;
    for (int64_t i = 0; i < t->m; i++) {
        float *row = sums + i * ld;
        if (o->bias)
            k->add(row, row, o->bias, t->n);
        if (plan->g.c_type == WF_F32)
            continue;
        uint16_t *out = (uint16_t *)o->c + i * plan->g.ldc;
        for (int64_t j = 0; o->beta != 0 && j < t->n; j++)
            row[j] += wf_bf16_to_f32(out[j]);
        k->f32_to_bf16(out, row, t->n);
    }
}

void wf_gemm_backend_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    const wf_gemm *g = &plan->g;
    scratch_map map = map_scratch(plan);
    float *panels = (float *)scratch + map.b;
    float *sums = g->c_type == WF_F32 ? o->c : (float *)scratch + map.c;
    int64_t ld = g->c_type == WF_F32 ? g->ldc : t->n;
    for (int64_t p = 0; p < g->k; p += DEPTH) {
        int64_t depth = least(g->k - p, DEPTH);
        bool add = p > 0 || (g->c_type == WF_F32 && o->beta != 0);
        left a = prepare_left(plan, t->m, o->a, p, depth, scratch);
        prepare_right(plan, t->n, o->b, p, depth, panels);
        for (int64_t j = 0; j < t->n; j += C)
            for (int64_t i = 0; i < t->m; i += R)
                plan->kernels->gemm_block(sums + i * ld + j, ld, a.data + i / R * a.block, a.row, a.step, panels + j * depth,
                                          depth, least(t->m - i, R), least(t->n - j, C), add);
    }
    if (o->bias || g->c_type != WF_F32)
        finish(plan, t, o, sums, ld);
}
