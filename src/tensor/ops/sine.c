/* sine.c - y = sin(x), the activation of implicit filters (Sitzmann et al. 2020, arXiv 2006.09661). */
#include <math.h>
#include "tensor/ops/elementwise.h"

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], y[TILE];
    const float *x = load_in(node, 0, first, n, tmp, w);
    for (int64_t i = 0; i < n; i++)
        y[i] = sinf(x[i]);
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tx[TILE], ty[TILE], dx[TILE];
    const float *x = load_in(node, 0, first, n, tx, w), *dy = load_dout(node, first, n, ty, w);
    for (int64_t i = 0; i < n; i++)
        dx[i] = cosf(x[i]) * dy[i];
    store_din(node, 0, first, n, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_sine = {.name = "sine", .pieces = elementwise_pieces, .run = run, .saves_in = 1};

wf_tensor *wf_sine(wf_tape *t, wf_tensor *x) { return x ? record_like(t, &wf_op_sine, 1, &x, x, x->type, NULL) : NULL; }
