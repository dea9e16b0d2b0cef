/* gate.c - y = act(a) * b, the gated linear unit (Dauphin et al. 2017; Shazeer 2020, arXiv 2002.05202). */
#include "tensor/ops/elementwise.h"

typedef struct gate {
    wf_activation kind;
} gate;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float ta[TILE], tb[TILE], buffer[TILE], *y = out_or(node, first, buffer);
    w->k->activate(((const gate *)node->attr)->kind, y, load_in(node, 0, first, n, ta, w), n);
    w->k->mul(y, y, load_in(node, 1, first, n, tb, w), n);
    put_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    wf_activation kind = ((const gate *)node->attr)->kind;
    float ta[TILE], tb[TILE], ty[TILE], d[TILE];
    const float *a = load_in(node, 0, first, n, ta, w), *b = load_in(node, 1, first, n, tb, w),
                *dy = load_dout(node, first, n, ty, w);
    w->k->mul(d, dy, b, n);
    w->k->activate_back(kind, d, a, d, n);
    store_din(node, 0, first, n, d, w);
    w->k->activate(kind, d, a, n);
    w->k->mul(d, d, dy, n);
    store_din(node, 1, first, n, d, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    elementwise_rows(node, first, end, forward, w);
}

const wf_op wf_op_gate = {.name = "gate", .pieces = elementwise_pieces, .run = run, .run_rows = run_rows, .saves_in = 3};

wf_tensor *wf_gate(wf_tape *t, wf_tensor *a, wf_tensor *b, wf_activation kind) {
    if (!a || !b)
        return NULL;
    if (a->count != b->count)
        return wf_tape_error(t, WEFT_USAGE, "gate: shapes differ");
    gate *attr = attr_copy(t, &(gate){kind}, sizeof(gate));
    wf_dtype type = a->type == WF_F32 || b->type == WF_F32 ? WF_F32 : a->type;
    return attr ? record_like(t, &wf_op_gate, 2, (wf_tensor *[]){a, b}, b, type, attr) : NULL;
}
