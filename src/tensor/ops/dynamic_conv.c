/* dynamic_conv.c - a convolution over time whose filters come with the rows (Wu et al. 2019, arXiv 1901.10430): y[t,h] = sum
 * over k of softmax(z[t,h])_k x[t + k - left, h], rows beyond the ends are zero. A piece is one head of one sequence. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { X, FILTERS, MOST_TAPS = 256 };
typedef struct dynamic_conv {
    int64_t left;
} dynamic_conv;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[X]->dims[0] * node->in[X]->dims[2]) : 0;
}

typedef struct line { /* rows of one head of one sequence; the filters of row t begin at filters + t*heads*taps */
    int64_t at, step, rows, width, taps, left;
    const float *filters;
    int64_t filter_at, filter_step;
} line;

static void softmax(const float *z, int64_t n, float *p) {
    float most = z[0];
    double sum = 0.0;
    for (int64_t k = 1; k < n; k++)
        most = fmaxf(most, z[k]);
    for (int64_t k = 0; k < n; k++)
        sum += (double)(p[k] = expf(z[k] - most));
    for (int64_t k = 0; k < n; k++)
        p[k] = (float)((double)p[k] / sum);
}

static void forward(const wf_node *node, const line *l, wf_worker *w) {
    const float *x = (const float *)node->in[X]->data + l->at;
    float *y = (float *)node->out[0]->data + l->at, p[MOST_TAPS];
    for (int64_t t = 0; t < l->rows; t++) {
        softmax(l->filters + l->filter_at + t * l->filter_step, l->taps, p);
        memset(y + t * l->step, 0, (size_t)l->width * sizeof *y);
        for (int64_t k = 0; k < l->taps; k++) {
            int64_t s = t + k - l->left;
            if (s >= 0 && s < l->rows)
                w->k->axpy(y + t * l->step, p[k], x + s * l->step, l->width);
        }
    }
}

static void backward(const wf_node *node, const line *l, wf_worker *w) {
    const float *x = (const float *)node->in[X]->data + l->at, *dy = (const float *)node->out[0]->grad + l->at;
    float beta, p[MOST_TAPS], dp[MOST_TAPS], *dx = wf_grad_in(node, X, w, &beta);
    for (int64_t t = 0; dx && beta == 0.0f && t < l->rows; t++)
        memset(dx + l->at + t * l->step, 0, (size_t)l->width * sizeof *dx);
    for (int64_t t = 0; t < l->rows; t++) {
        double mean = 0.0;
        softmax(l->filters + l->filter_at + t * l->filter_step, l->taps, p);
        for (int64_t k = 0; k < l->taps; k++) {
            int64_t s = t + k - l->left;
            bool there = s >= 0 && s < l->rows;
            dp[k] = there ? (float)w->k->dot(dy + t * l->step, x + s * l->step, l->width) : 0.0f;
            mean += (double)p[k] * (double)dp[k];
            if (dx && there)
                w->k->axpy(dx + l->at + s * l->step, p[k], dy + t * l->step, l->width);
        }
        for (int64_t k = 0; k < l->taps; k++)
            dp[k] = (float)((double)p[k] * ((double)dp[k] - mean));
        store_din(node, FILTERS, l->filter_at + t * l->filter_step, l->taps, dp, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[X];
    int64_t heads = x->dims[2], taps = node->in[FILTERS]->dims[3], h = piece % heads,
            first = piece / heads * x->dims[1] * heads + h;
    line l = {
        first * x->dims[3],      heads * x->dims[3], x->dims[1],  x->dims[3], taps, ((const dynamic_conv *)node->attr)->left,
        node->in[FILTERS]->data, first * taps,       heads * taps};
    (void)phase;
    if (pass == WF_FORWARD)
        forward(node, &l, w);
    else
        backward(node, &l, w);
}

const wf_op wf_op_dynamic_conv = {.name = "dynamic_conv", .pieces = pieces, .run = run, .saves_in = 3};

wf_tensor *wf_dynamic_conv(wf_tape *t, wf_tensor *x, wf_tensor *filters, int64_t left) {
    if (!x || !filters)
        return NULL;
    x = wf_cast(t, x, WF_F32);
    filters = wf_cast(t, filters, WF_F32);
    if (!x || !filters)
        return NULL;
    if (x->rank != 4 || filters->rank != 4 || memcmp(x->dims, filters->dims, 3 * sizeof *x->dims) != 0 ||
        filters->dims[3] > MOST_TAPS)
        return wf_tape_error(t, WEFT_USAGE, "dynamic_conv: the filters do not fit the rows (at most %d taps)", (int)MOST_TAPS);
    dynamic_conv *a = attr_copy(t, &(dynamic_conv){left}, sizeof(dynamic_conv));
    return a ? record_like(t, &wf_op_dynamic_conv, 2, (wf_tensor *[]){x, filters}, x, WF_F32, a) : NULL;
}
