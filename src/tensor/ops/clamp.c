/* clamp.c - y = x between two bounds; the gradient passes where x lies within them, bounds included. */
#include "tensor/ops/elementwise.h"

typedef struct clamp {
    float low, high;
} clamp;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    const clamp *a = node->attr;
    float tmp[TILE], y[TILE];
    const float *x = load_in(node, 0, first, n, tmp, w);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < a->low ? a->low : x[i] > a->high ? a->high : x[i]; /* NaN stays */
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    const clamp *a = node->attr;
    float tx[TILE], ty[TILE], dx[TILE];
    const float *x = load_in(node, 0, first, n, tx, w), *dy = load_dout(node, first, n, ty, w);
    for (int64_t i = 0; i < n; i++)
        dx[i] = x[i] < a->low || x[i] > a->high ? 0.0f : dy[i];
    store_din(node, 0, first, n, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_clamp = {.name = "clamp", .pieces = elementwise_pieces, .run = run, .saves_in = 1};

wf_tensor *wf_clamp(wf_tape *t, wf_tensor *x, float low, float high) {
    if (!x)
        return NULL;
    clamp *attr = attr_copy(t, &(clamp){low, high}, sizeof(clamp));
    return attr ? record_like(t, &wf_op_clamp, 1, &x, x, x->type, attr) : NULL;
}
