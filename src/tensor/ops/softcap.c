/* softcap.c - y = cap * tanh(x / cap) (Gemma 2, arXiv 2408.00118). */
#include "tensor/ops/elementwise.h"

typedef struct softcap {
    float cap;
} softcap;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float cap = ((const softcap *)node->attr)->cap, tmp[TILE], y[TILE];
    w->k->scale(y, 1.0f / cap, load_in(node, 0, first, n, tmp, w), n);
    w->k->activate(WF_TANH, y, y, n);
    w->k->scale(y, cap, y, n);
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float cap = ((const softcap *)node->attr)->cap, tx[TILE], ty[TILE], x[TILE];
    w->k->scale(x, 1.0f / cap, load_in(node, 0, first, n, tx, w), n);
    w->k->activate_back(WF_TANH, ty, x, load_dout(node, first, n, ty, w), n);
    store_din(node, 0, first, n, ty, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_softcap = {.name = "softcap", .pieces = elementwise_pieces, .run = run, .saves_in = 1};

wf_tensor *wf_softcap(wf_tape *t, wf_tensor *x, float cap) {
    if (!x || cap == 0.0f)
        return x;
    softcap *attr = attr_copy(t, &(softcap){cap}, sizeof(softcap));
    return attr ? record_like(t, &wf_op_softcap, 1, &x, x, x->type, attr) : NULL;
}
