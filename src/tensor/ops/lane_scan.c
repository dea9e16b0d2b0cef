/* lane_scan.c - the elementwise scan h_t = a_t h_{t-1} + x_t of gated linear recurrent units. A piece is a block of lanes of
 * one sequence. */
#include "tensor/ops/parts.h"

enum { A, X, H_IN, INPUTS };
enum { H, H_OUT };
enum { BLOCK = 64 };

static int64_t blocks(const wf_node *node) { return (wf_dim(node->in[X], 2) + BLOCK - 1) / BLOCK; }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[X]->dims[0] * blocks(node)) : 0;
}

typedef struct piece_at {
    int64_t t, stride, n, row, state;
} piece_at; /* first element in [B,T,D] and in [B,D] */
static piece_at locate(const wf_node *node, int piece) {
    int64_t t = node->in[X]->dims[1], d = node->in[X]->dims[2], b = piece / blocks(node), j = piece % blocks(node) * BLOCK;
    return (piece_at){t, d, d - j < BLOCK ? d - j : BLOCK, b * t * d + j, b * d + j};
}

static const float *at_or_null(const float *base, int64_t i) { return base ? base + i : NULL; }

static void forward(const wf_node *node, piece_at at, const wf_worker *w) {
    float *h = (float *)node->out[H]->data + at.row;
    w->k->lane_scan(h, (const float *)node->in[A]->data + at.row, (const float *)node->in[X]->data + at.row,
                    at_or_null(data_of(node->in[H_IN]), at.state), at.t, at.stride, at.n);
    if (node->n_out > H_OUT)
        memcpy((float *)node->out[H_OUT]->data + at.state, h + (at.t - 1) * at.stride, (size_t)at.n * sizeof *h);
}

/* Rows of a block to the gradient of in[i], from memory laid out like it. */
static void add_block(const wf_node *node, int i, piece_at at, const float *from, const wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    for (int64_t s = 0; grad && grad != from && s < at.t; s++)
        wf_store(w, grad, WF_F32, at.row + s * at.stride, at.n, from + at.row + s * at.stride, beta);
}

static void backward(const wf_node *node, piece_at at, const wf_worker *w) {
    float *work = node->work_data[WF_BACKWARD], before[BLOCK], beta, *grad = wf_grad_in(node, H_IN, w, &beta);
    float *da = direct_or(node, A, true, work, w), *dx = direct_or(node, X, true, work + node->in[X]->count, w);
    const float *last = node->n_out > H_OUT ? node->out[H_OUT]->grad : NULL;
    w->k->lane_scan_back(dx + at.row, da + at.row, before, (const float *)node->in[A]->data + at.row,
                         (const float *)node->out[H]->data + at.row, at_or_null(data_of(node->in[H_IN]), at.state),
                         at_or_null(node->out[H]->grad, at.row), at_or_null(last, at.state), at.t, at.stride, at.n);
    add_block(node, A, at, da, w);
    add_block(node, X, at, dx, w);
    if (grad)
        wf_store(w, grad, WF_F32, at.state, at.n, before, beta);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    if (pass == WF_FORWARD)
        forward(node, locate(node, piece), w);
    else
        backward(node, locate(node, piece), w);
}

static double flops(const wf_node *node, wf_pass pass) { return (pass == WF_FORWARD ? 2.0 : 4.0) * (double)node->in[X]->count; }

const wf_op wf_op_lane_scan = {.name = "lane_scan",
                               .pieces = pieces,
                               .run = run,
                               .flops = flops,
                               .in_place = 1u << H_OUT,
                               .saves_in = 1u << A | 1u << H_IN,
                               .saves_out = 1u << H};

wf_tensor *wf_lane_scan(wf_tape *t, wf_tensor *a, wf_tensor *x, wf_tensor *h_in, wf_tensor **h_out) {
    wf_no_output(h_out);
    if (!a || !x)
        return NULL;
    wf_tensor *in[INPUTS] = {wf_cast(t, a, WF_F32), wf_cast(t, x, WF_F32), h_in ? wf_cast(t, h_in, WF_F32) : NULL};
    if (!in[A] || !in[X])
        return NULL;
    if (x->rank != 3 || !wf_same_shape(in[A], in[X]) || (h_in && h_in->count != x->dims[0] * x->dims[2]))
        return wf_tape_error(t, WEFT_USAGE, "lane_scan: the shapes of a, x and the state do not fit together");
    wf_tensor *out[2] = {wf_out(t, WF_F32, 3, x->dims),
                         h_out ? wf_out(t, WF_F32, 2, (int64_t[]){x->dims[0], x->dims[2]}) : NULL};
    wf_node *node = wf_record(t, &wf_op_lane_scan, INPUTS, in, h_out ? 2 : 1, out, NULL);
    if (!node)
        return NULL;
    node->work[WF_BACKWARD] = 2 * (size_t)x->count * sizeof(float);
    if (h_out)
        *h_out = out[H_OUT];
    return out[H];
}
