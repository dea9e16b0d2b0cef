/* conv_heads.c - a centred convolution over time with one filter per head: y[t] = sum_k w[h,k] x[t + k - W/2]. A piece is one
 * head of one sequence. */
#include "tensor/ops/elementwise.h"

enum { X, WEIGHT };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const wf_tensor *x = node->in[X];
    if (phase == 0)
        return (int)(x->dims[0] * x->dims[2]);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[WEIGHT] ? 1 : 0;
}

typedef struct line { /* rows of one head of one sequence */
    int64_t at, step, rows, width, taps;
} line;

static void forward(const wf_node *node, const line *l, const float *filter, wf_worker *w) {
    const float *x = (const float *)node->in[X]->data + l->at;
    float *y = (float *)node->out[0]->data + l->at;
    for (int64_t t = 0; t < l->rows; t++) {
        memset(y + t * l->step, 0, (size_t)l->width * sizeof *y);
        for (int64_t k = 0; k < l->taps; k++) {
            int64_t s = t + k - l->taps / 2;
            if (s >= 0 && s < l->rows)
                w->k->axpy(y + t * l->step, filter[k], x + s * l->step, l->width);
        }
    }
}

static void backward(const wf_node *node, const line *l, const float *filter, double *dfilter, wf_worker *w) {
    const float *x = (const float *)node->in[X]->data + l->at, *dy = (const float *)node->out[0]->grad + l->at;
    float beta, *dx = wf_grad_in(node, X, w, &beta);
    for (int64_t t = 0; dx && beta == 0.0f && t < l->rows; t++)
        memset(dx + l->at + t * l->step, 0, (size_t)l->width * sizeof *dx);
    for (int64_t k = 0; k < l->taps; k++) {
        dfilter[k] = 0.0;
        for (int64_t t = 0; t < l->rows; t++) {
            int64_t s = t + k - l->taps / 2;
            if (s < 0 || s >= l->rows)
                continue;
            dfilter[k] += w->k->dot(dy + t * l->step, x + s * l->step, l->width);
            if (dx)
                w->k->axpy(dx + l->at + s * l->step, filter[k], dy + t * l->step, l->width);
        }
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[X];
    int64_t heads = x->dims[2], h = piece % heads, taps = wf_dim(node->in[WEIGHT], -1);
    line l = {(piece / heads * x->dims[1] * heads + h) * x->dims[3], heads * x->dims[3], x->dims[1], x->dims[3], taps};
    const float *filter = (const float *)node->in[WEIGHT]->data + h * taps;
    double *sums = node->work_data[WF_BACKWARD];
    if (pass == WF_FORWARD) {
        forward(node, &l, filter, w);
    } else if (phase == 0) {
        backward(node, &l, filter, sums + piece * taps, w);
    } else {
        for (int64_t i = 0; i < heads * taps; i++) {
            double sum = 0.0;
            for (int64_t b = 0; b < x->dims[0]; b++)
                sum += sums[b * heads * taps + i];
            store_din(node, WEIGHT, i, 1, &(float){(float)sum}, w);
        }
    }
}

const wf_op wf_op_conv_heads = {.name = "conv_heads", .pieces = pieces, .run = run, .saves_in = 3};

wf_tensor *wf_conv_heads(wf_tape *t, wf_tensor *x, wf_tensor *weight) {
    if (!x || !weight)
        return NULL;
    x = wf_cast(t, x, WF_F32);
    if (!x || x->rank != 4 || weight->dims[0] != x->dims[2] || weight->count != x->dims[2] * wf_dim(weight, -1) ||
        weight->type != WF_F32)
        return wf_tape_error(t, WEFT_USAGE, "conv_heads: the filters are not one per head");
    wf_tensor *y = record_like(t, &wf_op_conv_heads, 2, (wf_tensor *[]){x, weight}, x, WF_F32, NULL);
    if (y)
        y->producer->work[WF_BACKWARD] = (size_t)(x->dims[0] * weight->count) * sizeof(double);
    return y;
}
