/* mul.c - y = a * b elementwise. */
#include "tensor/ops/elementwise.h"

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float ta[TILE], tb[TILE], y[TILE];
    w->k->mul(y, load_in(node, 0, first, n, ta, w), load_in(node, 1, first, n, tb, w), n);
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float t0[TILE], t1[TILE], dx[TILE];
    const float *dy = load_dout(node, first, n, t0, w);
    for (int i = 0; i < 2; i++) {
        w->k->mul(dx, dy, load_in(node, 1 - i, first, n, t1, w), n);
        store_din(node, i, first, n, dx, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    elementwise_rows(node, first, end, forward, w);
}

const wf_op wf_op_mul = {
    .name = "mul", .pieces = elementwise_pieces, .run = run, .run_rows = run_rows, .over = 3, .saves_in = 3};

wf_tensor *wf_mul(wf_tape *t, wf_tensor *a, wf_tensor *b) {
    if (!a || !b)
        return NULL;
    if (a->count != b->count)
        return wf_tape_error(t, WEFT_USAGE, "mul: shapes differ");
    wf_dtype type = a->type == WF_F32 || b->type == WF_F32 ? WF_F32 : a->type;
    return record_like(t, &wf_op_mul, 2, (wf_tensor *[]){a, b}, a, type, NULL);
}
