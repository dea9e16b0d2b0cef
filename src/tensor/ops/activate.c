/* activate.c - y = act(x). */
#include "tensor/ops/elementwise.h"

typedef struct activate {
    wf_activation kind;
} activate;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], buffer[TILE], *y = out_or(node, first, buffer);
    w->k->activate(((const activate *)node->attr)->kind, y, load_in(node, 0, first, n, tmp, w), n);
    put_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tx[TILE], ty[TILE], dx[TILE];
    w->k->activate_back(((const activate *)node->attr)->kind, dx, load_in(node, 0, first, n, tx, w),
                        load_dout(node, first, n, ty, w), n);
    store_din(node, 0, first, n, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    elementwise_rows(node, first, end, forward, w);
}

const wf_op wf_op_activate = {
    .name = "activate", .pieces = elementwise_pieces, .run = run, .run_rows = run_rows, .over = 1, .saves_in = 1};

wf_tensor *wf_activate(wf_tape *t, wf_tensor *x, wf_activation kind) {
    if (!x || kind == WF_IDENTITY)
        return x;
    activate *attr = attr_copy(t, &(activate){kind}, sizeof(activate));
    return attr ? record_like(t, &wf_op_activate, 1, &x, x, x->type, attr) : NULL;
}
