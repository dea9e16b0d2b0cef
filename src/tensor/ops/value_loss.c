/* value_loss.c - losses of logits against numbers, element by element: binary cross-entropy of sigmoid(x) with targets in 0..1,
 * or squares. The sum counts `inverse` times; elements whose mask is 0 do not count. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { X, TARGETS, INVERSE, MASK };
enum { LOSS, TERMS };
typedef struct value_loss {
    wf_value_loss_kind kind;
} value_loss;

static int count_pieces(const wf_node *node) { return wf_split_pieces(node->in[X]->count, 1024); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    return phase == 0 ? count_pieces(node) : phase == 1 && pass == WF_FORWARD ? 1 : 0;
}

/* max(x, 0) - x y + log(1 + exp(-|x|)): no exponential overflows. */
static double term(wf_value_loss_kind kind, double x, double y) {
    return kind == WF_LOSS_SQUARE ? (x - y) * (x - y) : fmax(x, 0.0) - x * y + log1p(exp(-fabs(x)));
}

static double slope(wf_value_loss_kind kind, double x, double y) {
    return kind == WF_LOSS_SQUARE ? 2.0 * (x - y) : 1.0 / (1.0 + exp(-x)) - y;
}

static bool counts(const wf_node *node, int64_t i) { return !node->in[MASK] || ((const uint8_t *)node->in[MASK]->data)[i]; }

static void each(const wf_node *node, wf_pass pass, int piece, wf_worker *w) {
    wf_value_loss_kind kind = ((const value_loss *)node->attr)->kind;
    const float *x = node->in[X]->data, *y = node->in[TARGETS]->data;
    double inverse = (double)*(const float *)node->in[INVERSE]->data;
    int64_t first, end;
    wf_split_bounds(node->in[X]->count, count_pieces(node), piece, &first, &end);
    for (int64_t i = first; i < end; i++) {
        double by = counts(node, i) ? inverse : 0.0;
        if (pass == WF_FORWARD) {
            ((float *)node->out[TERMS]->data)[i] = (float)(by * term(kind, (double)x[i], (double)y[i]));
        } else {
            float dx = (float)(by * slope(kind, (double)x[i], (double)y[i]) * (double)*(const float *)node->out[LOSS]->grad);
            store_din(node, X, i, 1, &dx, w);
        }
    }
}

static void sum_terms(const wf_node *node) {
    const float *terms = node->out[TERMS]->data;
    double sum = 0.0;
    for (int64_t i = 0; i < node->out[TERMS]->count; i++)
        sum += (double)terms[i];
    *(float *)node->out[LOSS]->data = (float)sum;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 0)
        each(node, pass, piece, w);
    else
        sum_terms(node);
}

const wf_op wf_op_value_loss = {.name = "value_loss", .pieces = pieces, .run = run, .saves_in = (1u << (MASK + 1)) - 1u};

wf_tensor *wf_value_loss(wf_tape *t, wf_value_loss_kind kind, wf_tensor *x, wf_tensor *targets, wf_tensor *inverse,
                         wf_tensor *mask) {
    if (!x || !targets || !inverse)
        return NULL;
    if (targets->type != WF_F32 || targets->count != x->count || inverse->count != 1 || (mask && mask->count != x->count))
        return wf_tape_error(t, WEFT_USAGE, "value_loss: %lld targets for %lld logits", (long long)targets->count,
                             (long long)x->count);
    x = wf_cast(t, x, WF_F32);
    value_loss *a = attr_copy(t, &(value_loss){kind}, sizeof(value_loss));
    wf_tensor *out[2] = {wf_out(t, WF_F32, 1, (int64_t[]){1}), wf_out(t, WF_F32, 1, (int64_t[]){targets->count})};
    return x && a && wf_record(t, &wf_op_value_loss, 4, (wf_tensor *[]){x, targets, inverse, mask}, 2, out, a) ? out[LOSS]
                                                                                                               : NULL;
}
