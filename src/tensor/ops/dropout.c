/* dropout.c - inverted dropout (Srivastava et al. 2014) by counter: the mask is f(seed, site, step, index), so the backward and
 * a recomputed region draw the same one and nothing is stored. */
#include "tensor/ops/elementwise.h"

typedef struct dropout {
    float p;
    uint32_t site;
} dropout;

static wf_rng stream(const wf_node *node, const wf_worker *w) {
    const dropout *a = node->attr;
    return wf_rng_make(w->rt->seed + ((uint64_t)(unsigned)w->rt->micro << 32), 0xd0u + (a->site << 8), w->rt->step);
}

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], y[TILE];
    const float *x = load_in(node, 0, first, n, tmp, w);
    if (w->rt->training) {
        w->k->dropout(y, x, ((const dropout *)node->attr)->p, stream(node, w), (uint64_t)first, n);
        x = y;
    }
    store_out(node, first, n, x, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], dx[TILE];
    const float *dy = load_dout(node, first, n, tmp, w);
    if (w->rt->training) {
        w->k->dropout(dx, dy, ((const dropout *)node->attr)->p, stream(node, w), (uint64_t)first, n);
        dy = dx;
    }
    store_din(node, 0, first, n, dy, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_dropout = {.name = "dropout", .by_runtime = true, .pieces = elementwise_pieces, .run = run};

wf_tensor *wf_dropout(wf_tape *t, wf_tensor *x, float p) {
    if (!x || p == 0.0f)
        return x;
    if (!(p >= 0.0f && p < 1.0f))
        return wf_tape_error(t, WEFT_USAGE, "dropout must be in [0, 1), not %g", (double)p);
    if (!wf_tape_grad(t))
        return x;
    dropout *attr = attr_copy(t, &(dropout){p, wf_tape_site(t)}, sizeof(dropout));
    return attr ? record_like(t, &wf_op_dropout, 1, &x, x, x->type, attr) : NULL;
}
