/* class_loss.c - softmax cross-entropy of logits that exist already: x[R,n,C], the softmax over the middle dimension. C = 1 is
 * one row of n classes per target; [B,T,2] is the start and the end of a span, each a class among the T rows. The loss of
 * column c counts inverse[c] times. Phases: losses of pieces of rows, then their sum in a fixed order. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { X, TARGETS, INVERSE };
enum { LOSS, TERMS };
typedef struct class_loss {
    int64_t rows, classes, columns;
} class_loss;

static int row_pieces(const class_loss *a) { return wf_split_pieces(a->rows * a->columns, 4); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const class_loss *a = node->attr;
    return phase == 0 ? row_pieces(a) : phase == 1 && pass == WF_FORWARD ? 1 : 0;
}

/* Where row i of R*C begins, and how far apart its classes are. */
static int64_t begin_of(const class_loss *a, int64_t i) { return i / a->columns * a->classes * a->columns + i % a->columns; }

static double log_sum(const class_loss *a, const float *x, int64_t at, double *most) {
    double sum = 0.0;
    *most = (double)x[at];
    for (int64_t k = 1; k < a->classes; k++)
        *most = fmax(*most, (double)x[at + k * a->columns]);
    for (int64_t k = 0; k < a->classes; k++)
        sum += exp((double)x[at + k * a->columns] - *most);
    return log(sum);
}

static bool counts(const class_loss *a, int32_t target) { return target >= 0 && target < a->classes; }

static void forward(const wf_node *node, int piece) {
    const class_loss *a = node->attr;
    const float *x = node->in[X]->data, *inverse = node->in[INVERSE]->data;
    const int32_t *targets = node->in[TARGETS]->data;
    float *terms = node->out[TERMS]->data;
    int64_t first, end;
    wf_split_bounds(a->rows * a->columns, row_pieces(a), piece, &first, &end);
    for (int64_t i = first; i < end; i++) {
        double most, loss = 0.0;
        if (counts(a, targets[i])) {
            double log_total = log_sum(a, x, begin_of(a, i), &most) + most;
            loss = log_total - (double)x[begin_of(a, i) + targets[i] * a->columns];
        }
        terms[i] = (float)(loss * (double)inverse[i % a->columns]);
    }
}

static void sum_terms(const wf_node *node) {
    const float *terms = node->out[TERMS]->data;
    double sum = 0.0;
    for (int64_t i = 0; i < node->out[TERMS]->count; i++)
        sum += (double)terms[i];
    *(float *)node->out[LOSS]->data = (float)sum;
}

static void backward(const wf_node *node, int piece, wf_worker *w) {
    const class_loss *a = node->attr;
    const float *x = node->in[X]->data, *inverse = node->in[INVERSE]->data, *dy = node->out[LOSS]->grad;
    const int32_t *targets = node->in[TARGETS]->data;
    float beta, *dx = wf_grad_in(node, X, w, &beta);
    int64_t first, end;
    wf_split_bounds(a->rows * a->columns, row_pieces(a), piece, &first, &end);
    for (int64_t i = first; dx && i < end; i++) {
        double most, by = counts(a, targets[i]) ? (double)inverse[i % a->columns] * (double)*dy : 0.0;
        int64_t at = begin_of(a, i);
        double log_total = log_sum(a, x, at, &most) + most;
        for (int64_t k = 0; k < a->classes; k++) {
            double p = exp((double)x[at + k * a->columns] - log_total) - (k == targets[i] ? 1.0 : 0.0);
            float *to = &dx[at + k * a->columns];
            *to = (float)(by * p) + (beta != 0.0f ? beta * *to : 0.0f);
        }
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (pass == WF_BACKWARD)
        backward(node, piece, w);
    else if (phase == 0)
        forward(node, piece);
    else
        sum_terms(node);
}

const wf_op wf_op_class_loss = {
    .name = "class_loss", .pieces = pieces, .run = run, .saves_in = 1u << X | 1u << TARGETS | 1u << INVERSE};

wf_tensor *wf_class_loss(wf_tape *t, wf_tensor *x, int64_t classes, wf_tensor *targets, wf_tensor *inverse) {
    if (!x || !targets || !inverse)
        return NULL;
    int64_t columns = inverse->count;
    if (targets->type != WF_I32 || classes < 1 || targets->count % columns != 0 || x->count != targets->count * classes)
        return wf_tape_error(t, WEFT_USAGE, "class_loss: %lld targets do not fit the logits", (long long)targets->count);
    x = wf_cast(t, x, WF_F32);
    class_loss *a = attr_copy(t, &(class_loss){targets->count / columns, classes, columns}, sizeof(class_loss));
    wf_tensor *out[2] = {wf_out(t, WF_F32, 1, (int64_t[]){1}), wf_out(t, WF_F32, 1, (int64_t[]){targets->count})};
    return x && a && wf_record(t, &wf_op_class_loss, 3, (wf_tensor *[]){x, targets, inverse}, 2, out, a) ? out[LOSS] : NULL;
}
