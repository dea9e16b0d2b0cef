/* gemm_builtin.c - matrix products without a library: both operands are packed into panels (transposes and bf16 are undone on
 * the way) and multiplied by the register block of the chosen instruction set. Sums run over k in blocks of DEPTH, in order. */
#include "kernels/gemm/backend.h"

enum { DEPTH = 256, R = WF_GEMM_ROWS, C = WF_GEMM_COLUMNS };

const char *wf_gemm_backend(void) { return "built-in"; }
void wf_gemm_thread_init(void) {}

/* Large enough that packing is a small part, small enough that both packed blocks stay in the second cache. */
void wf_gemm_backend_tile(const wf_gemm *g, int64_t *m, int64_t *n) {
    *m = 144;
    *n = 256;
}
weft_status wf_gemm_backend_open(const wf_env *env, wf_gemm_plan *plan, weft_error *err) { return WEFT_OK; }
void wf_gemm_backend_close(const wf_env *env, wf_gemm_plan *plan) {}

static int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

typedef struct scratch_map {
    size_t a, b, c, size; /* offsets in floats of the packed blocks and of the fp32 tile */
} scratch_map;

static scratch_map map_scratch(const wf_gemm_plan *plan) {
    scratch_map s = {0};
    int64_t depth = plan->g.k < DEPTH ? plan->g.k : DEPTH;
    s.b = (size_t)round_up(round_up(plan->tile_m, R) * depth, 16);
    s.c = s.b + (size_t)round_up(round_up(plan->tile_n, C) * depth, 16);
    s.size = s.c + (plan->g.c_type == WF_BF16 ? (size_t)round_up(plan->tile_m * plan->tile_n, 16) : 0);
    return s;
}
size_t wf_gemm_backend_scratch(const wf_gemm_plan *plan) { return map_scratch(plan).size * sizeof(float); }

/* An operand seen as rows of `lanes` lines by k: line i, step p lies at i*line + p*step. */
typedef struct operand {
    const void *data;
    wf_dtype type;
    int64_t line, step;
} operand;

static float element(const operand *o, int64_t i, int64_t p) {
    int64_t at = i * o->line + p * o->step;
    return o->type == WF_F32 ? ((const float *)o->data)[at] : wf_bf16_to_f32(((const uint16_t *)o->data)[at]);
}

/* Packs lines i0.. (at most `width`) and steps p0..p0+depth-1 as [depth, width]; missing lines become zeros. */
static void pack_panel(float *out, const operand *o, int64_t i0, int64_t lines, int64_t p0, int64_t depth, int64_t width) {
    int64_t have = lines - i0 < width ? lines - i0 : width;
    if (o->line == 1) {
        for (int64_t p = 0; p < depth; p++)
            for (int64_t i = 0; i < width; i++)
                out[p * width + i] = i < have ? element(o, i0 + i, p0 + p) : 0.0f;
        return;
    }
    for (int64_t i = 0; i < width; i++)
        for (int64_t p = 0; p < depth; p++)
            out[p * width + i] = i < have ? element(o, i0 + i, p0 + p) : 0.0f;
}

static void pack(float *out, const operand *o, int64_t lines, int64_t p0, int64_t depth, int64_t width) {
    for (int64_t i = 0; i < lines; i += width)
        pack_panel(out + i * depth, o, i, lines, p0, depth, width);
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
    float *a = (float *)scratch + map.a, *b = (float *)scratch + map.b;
    float *sums = g->c_type == WF_F32 ? o->c : (float *)scratch + map.c;
    int64_t ld = g->c_type == WF_F32 ? g->ldc : t->n;
    operand left = {o->a, g->a_type, g->trans_a ? 1 : g->lda, g->trans_a ? g->lda : 1};
    operand right = {o->b, g->b_type, g->trans_b ? g->ldb : 1, g->trans_b ? 1 : g->ldb};
    for (int64_t p = 0; p < g->k; p += DEPTH) {
        int64_t depth = g->k - p < DEPTH ? g->k - p : DEPTH;
        bool add = p > 0 || (g->c_type == WF_F32 && o->beta != 0);
        pack(a, &left, t->m, p, depth, R);
        pack(b, &right, t->n, p, depth, C);
        for (int64_t j = 0; j < t->n; j += C)
            for (int64_t i = 0; i < t->m; i += R)
                plan->kernels->gemm_block(sums + i * ld + j, ld, a + i * depth, b + j * depth, depth,
                                          t->m - i < R ? t->m - i : R, t->n - j < C ? t->n - j : C, add);
    }
    if (o->bias || g->c_type != WF_F32)
        finish(plan, t, o, sums, ld);
}
