/* scale.c - y = scale * x + add. */
#include "tensor/ops/elementwise.h"

typedef struct scale {
    float by, add;
} scale;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], y[TILE];
    const scale *a = node->attr;
    w->k->scale(y, a->by, load_in(node, 0, first, n, tmp, w), n);
    for (int64_t i = 0; a->add != 0.0f && i < n; i++)
        y[i] += a->add;
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], dx[TILE];
    w->k->scale(dx, ((const scale *)node->attr)->by, load_dout(node, first, n, tmp, w), n);
    store_din(node, 0, first, n, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    elementwise_rows(node, first, end, forward, w);
}

const wf_op wf_op_scale = {.name = "scale", .pieces = elementwise_pieces, .run = run, .run_rows = run_rows, .over = 1};

wf_tensor *wf_affine(wf_tape *t, wf_tensor *x, float by, float add) {
    if (!x || (by == 1.0f && add == 0.0f))
        return x;
    scale *attr = attr_copy(t, &(scale){by, add}, sizeof(scale));
    return attr ? record_like(t, &wf_op_scale, 1, &x, x, x->type, attr) : NULL;
}

wf_tensor *wf_scale(wf_tape *t, wf_tensor *x, float by) { return wf_affine(t, x, by, 0.0f); }
