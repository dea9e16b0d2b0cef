/* head_linear.c - a matrix of its own for every head: y[b,t,h,:] = x[b,t,h,:] W[h] (+ bias[h]), the block-diagonal projections
 * of gated recurrences. A piece is a tile of the product of one head. */
#include "kernels/gemm/gemm.h"
#include "tensor/ops/elementwise.h"

enum { X, W, B, INPUTS };
enum { MAKE_Y, MAKE_DX, MAKE_DW, PLANS };

typedef struct head_linear {
    int64_t rows, heads, in, out;
    wf_gemm_plan *plans[PLANS];
} head_linear;

static int tiles(const head_linear *a, int plan) { return wf_gemm_tiles(a->plans[plan]); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const head_linear *a = node->attr;
    if (phase > 0)
        return 0;
    if (pass == WF_FORWARD)
        return (int)a->heads * tiles(a, MAKE_Y);
    return (int)a->heads * (tiles(a, MAKE_DX) + tiles(a, MAKE_DW) + 1);
}

static void bias_gradient(const wf_node *node, int64_t h, const wf_worker *w) {
    const head_linear *a = node->attr;
    const float *dy = (const float *)node->out[0]->grad + h * a->out;
    float sum[TILE];
    for (int64_t c = 0; c < a->out; c += TILE) {
        int64_t m = a->out - c < TILE ? a->out - c : TILE;
        memset(sum, 0, sizeof sum);
        for (int64_t r = 0; r < a->rows; r++)
            w->k->add(sum, sum, dy + r * a->heads * a->out + c, m);
        store_din(node, B, h * a->out + c, m, sum, w);
    }
}

static void backward(const wf_node *node, int64_t h, int tile, const wf_worker *w) {
    const head_linear *a = node->attr;
    const float *x = (const float *)node->in[X]->data + h * a->in,
                *weight = (const float *)node->in[W]->data + h * a->in * a->out;
    const float *dy = (const float *)node->out[0]->grad + h * a->out;
    float beta, *grad;
    if (tile == 0 && node->in[B])
        bias_gradient(node, h, w);
    if (--tile < 0)
        return;
    if (tile < tiles(a, MAKE_DX)) {
        if ((grad = wf_grad_in(node, X, w, &beta)))
            wf_gemm_run(a->plans[MAKE_DX], tile, dy, weight, grad + h * a->in, NULL, beta, w->scratch);
    } else if ((grad = wf_grad_in(node, W, w, &beta))) {
        wf_gemm_run(a->plans[MAKE_DW], tile - tiles(a, MAKE_DX), x, dy, grad + h * a->in * a->out, NULL, beta, w->scratch);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const head_linear *a = node->attr;
    int64_t h = piece % a->heads;
    (void)phase;
    if (pass == WF_BACKWARD) {
        backward(node, h, (int)(piece / a->heads), w);
        return;
    }
    const float *bias = node->in[B] ? (const float *)node->in[B]->data + h * a->out : NULL;
    wf_gemm_run(a->plans[MAKE_Y], (int)(piece / a->heads), (const float *)node->in[X]->data + h * a->in,
                (const float *)node->in[W]->data + h * a->in * a->out, (float *)node->out[0]->data + h * a->out, bias, 0.0f,
                w->scratch);
}

static double flops(const wf_node *node, wf_pass pass) {
    const head_linear *a = node->attr;
    double one = 2.0 * (double)(a->rows * a->heads) * (double)(a->in * a->out);
    return pass == WF_FORWARD ? one : 2 * one;
}

static void release(const wf_env *env, wf_node *node) {
    head_linear *a = node->attr;
    for (int i = 0; i < PLANS; i++)
        wf_gemm_plan_free(env, a->plans[i]);
}

const wf_op wf_op_head_linear = {
    .name = "head_linear", .pieces = pieces, .run = run, .flops = flops, .release = release, .saves_in = 1u << X | 1u << W};

static weft_status make_plans(const wf_env *env, head_linear *a, bool bias, int count, weft_error *err) {
    int64_t wide = a->heads * a->in, wide_out = a->heads * a->out;
    const wf_gemm shapes[PLANS] = {
        [MAKE_Y] = {.m = a->rows, .n = a->out, .k = a->in, .lda = wide, .ldb = a->out, .ldc = wide_out, .bias = bias},
        [MAKE_DX] = {.m = a->rows, .n = a->in, .k = a->out, .lda = wide_out, .ldb = a->out, .ldc = wide, .trans_b = true},
        [MAKE_DW] = {.m = a->in, .n = a->out, .k = a->rows, .lda = wide, .ldb = wide_out, .ldc = a->out, .trans_a = true}};
    for (int i = 0; i < count; i++)
        WF_TRY(wf_gemm_plan_create(env, &shapes[i], &a->plans[i], err));
    return WEFT_OK;
}

wf_tensor *wf_head_linear(wf_tape *t, wf_tensor *x, wf_tensor *weight, wf_tensor *bias) {
    if (!x || !weight || !(x = wf_cast(t, x, WF_F32)))
        return NULL;
    if (x->rank != 4 || weight->rank != 3 || weight->dims[0] != x->dims[2] || weight->dims[1] != x->dims[3] ||
        (bias && bias->count != weight->dims[0] * weight->dims[2]))
        return wf_tape_error(t, WEFT_USAGE, "head_linear: x [B,T,H,n] and a weight [H,n,m] are needed");
    head_linear attr = {.rows = x->dims[0] * x->dims[1], .heads = x->dims[2], .in = x->dims[3], .out = weight->dims[2]};
    head_linear *a = attr_copy(t, &attr, sizeof attr);
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], x->dims[1], attr.heads, attr.out});
    wf_node *node = a && y ? wf_record(t, &wf_op_head_linear, INPUTS, (wf_tensor *[]){x, weight, bias}, 1, &y, a) : NULL;
    weft_error err = {0};
    if (!node)
        return NULL;
    if (make_plans(wf_tape_env(t), a, bias != NULL, wf_tape_grad(t) ? PLANS : MAKE_DX, &err) != WEFT_OK)
        return wf_tape_error(t, err.status, "%s", err.message);
    for (int i = 0; i < PLANS; i++)
        if (a->plans[i] && wf_gemm_scratch(a->plans[i]) > node->scratch)
            node->scratch = wf_gemm_scratch(a->plans[i]);
    return y;
}
