/* log_gate.c - the logarithm of a forget gate with a lower bound: y = scale * log(low + (1 - low) sigmoid(x)), fp32. Written
 * with c = sigmoid(-x), so that gates near 1 keep their digits: log1p(-(1 - low) c), and without a bound -softplus(-x). */
#include <math.h>
#include "tensor/ops/elementwise.h"

typedef struct log_gate {
    float low, scale;
} log_gate;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    const log_gate *a = node->attr;
    float tmp[TILE], y[TILE];
    w->k->scale(y, -1.0f, load_in(node, 0, first, n, tmp, w), n);
    w->k->activate(a->low > 0.0f ? WF_SIGMOID : WF_SOFTPLUS, y, y, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = a->low > 0.0f ? a->scale * log1pf(-(1.0f - a->low) * y[i]) : -a->scale * y[i];
    store_out(node, first, n, y, w);
}

/* dy/dx = scale (1 - low) c s / (low + (1 - low) s), s = 1 - c; without a bound scale * c. */
static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    const log_gate *a = node->attr;
    float tx[TILE], ty[TILE], c[TILE], s[TILE];
    const float *x = load_in(node, 0, first, n, tx, w), *dy = load_dout(node, first, n, ty, w);
    w->k->activate(WF_SIGMOID, s, x, n);
    w->k->scale(c, -1.0f, x, n);
    w->k->activate(WF_SIGMOID, c, c, n);
    for (int64_t i = 0; i < n; i++) {
        float slope = a->low > 0.0f ? (1.0f - a->low) * c[i] * (s[i] / (a->low + (1.0f - a->low) * s[i])) : c[i];
        c[i] = a->scale * slope * dy[i];
    }
    store_din(node, 0, first, n, c, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_log_gate = {.name = "log_gate", .pieces = elementwise_pieces, .run = run, .saves_in = 1};

wf_tensor *wf_log_gate(wf_tape *t, wf_tensor *x, float low, float scale) {
    if (!x)
        return NULL;
    if (!(low >= 0.0f && low <= 1.0f))
        return wf_tape_error(t, WEFT_USAGE, "log_gate: a lower bound of %g lies outside 0..1", (double)low);
    log_gate *attr = attr_copy(t, &(log_gate){low, scale}, sizeof(log_gate));
    return attr ? record_like(t, &wf_op_log_gate, 1, &x, x, WF_F32, attr) : NULL;
}
