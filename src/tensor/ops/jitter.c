/* jitter.c - y = x times uniform noise in [1-e, 1+e] while training (Fedus et al. 2022, arXiv 2101.03961, appendix C), by
 * counter as dropout. */
#include "tensor/ops/elementwise.h"

typedef struct jitter {
    float range;
    uint32_t site;
} jitter;

static void multiply(const wf_node *node, const float *x, float *y, int64_t first, int64_t n, const wf_worker *w) {
    const jitter *a = node->attr;
    wf_rng rng = wf_rng_make(w->rt->seed + ((uint64_t)(unsigned)w->rt->micro << 32), 0x31u + (a->site << 8), w->rt->step);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * (1.0f + a->range * (2.0f * wf_rng_uniform(rng, (uint64_t)(first + i)) - 1.0f));
}

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], y[TILE];
    const float *x = load_in(node, 0, first, n, tmp, w);
    if (w->rt->training)
        multiply(node, x, y, first, n, w);
    store_out(node, first, n, w->rt->training ? y : x, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], dx[TILE];
    const float *dy = load_dout(node, first, n, tmp, w);
    if (w->rt->training)
        multiply(node, dy, dx, first, n, w);
    store_din(node, 0, first, n, w->rt->training ? dx : dy, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_jitter = {.name = "jitter", .by_runtime = true, .pieces = elementwise_pieces, .run = run};

wf_tensor *wf_jitter(wf_tape *t, wf_tensor *x, float range) {
    if (!x || range == 0.0f)
        return x;
    if (!(range > 0.0f && range < 1.0f))
        return wf_tape_error(t, WEFT_USAGE, "jitter must be in [0, 1), not %g", (double)range);
    jitter *attr = attr_copy(t, &(jitter){range, wf_tape_site(t)}, sizeof(jitter));
    return attr ? record_like(t, &wf_op_jitter, 1, &x, x, x->type, attr) : NULL;
}
