/* xielu.c - the expanded integral of the exponential linear unit (Huang & Schlag 2024, arXiv 2411.13010, eq. 8), with learned
 * a_p = softplus(alpha_p) and a_n = beta + softplus(alpha_n):
 * y = a_p x^2 + beta x for x > 0, else a_n (expm1(min(x, eps)) - x) + beta x. */
#include <math.h>
#include "tensor/ops/elementwise.h"

typedef struct curve {
    float p, n, beta, eps;
} curve; /* p, n: after softplus */

static float scalar(const wf_node *node, int i) { return *(const float *)node->in[i]->data; }
static float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); }

static curve curve_of(const wf_node *node) {
    float beta = scalar(node, 3);
    return (curve){softplus(scalar(node, 1)), beta + softplus(scalar(node, 2)), beta, scalar(node, 4)};
}

static float bend(const curve *c, float x) { return expm1f(x < c->eps ? x : c->eps) - x; } /* what a_n multiplies */

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    curve c = curve_of(node);
    float tmp[TILE], y[TILE];
    const float *x = load_in(node, 0, first, n, tmp, w);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > 0.0f ? (c.p * x[i] + c.beta) * x[i] : c.n * bend(&c, x[i]) + c.beta * x[i];
    store_out(node, first, n, y, w);
}

static void backward_x(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    curve c = curve_of(node);
    float tx[TILE], ty[TILE], dx[TILE];
    const float *x = load_in(node, 0, first, n, tx, w), *dy = load_dout(node, first, n, ty, w);
    for (int64_t i = 0; i < n; i++) {
        float slope = x[i] > 0.0f ? 2.0f * c.p * x[i] : c.n * ((x[i] < c.eps ? expf(x[i]) : 0.0f) - 1.0f);
        dx[i] = dy[i] * (slope + c.beta);
    }
    store_din(node, 0, first, n, dx, w);
}

/* The sums of one piece for a_p and a_n, in double: there are few pieces and many elements. */
static void backward_sums(const wf_node *node, int piece, wf_worker *w) {
    int64_t first, end, count = node->out[0]->count;
    double *sums = (double *)node->work_data[1] + 2 * piece;
    curve c = curve_of(node);
    float tx[TILE], ty[TILE];
    sums[0] = sums[1] = 0.0;
    wf_split_bounds(count, wf_split_pieces(count, 8192), piece, &first, &end);
    for (int64_t at = first; at < end; at += TILE) {
        int64_t n = end - at < TILE ? end - at : TILE;
        const float *x = load_in(node, 0, at, n, tx, w), *dy = load_dout(node, at, n, ty, w);
        for (int64_t i = 0; i < n; i++)
            sums[x[i] > 0.0f ? 0 : 1] += (double)(dy[i] * (x[i] > 0.0f ? x[i] * x[i] : bend(&c, x[i])));
    }
}

/* Through the softplus, whose derivative is the logistic function. */
static void backward_alphas(const wf_node *node, wf_worker *w) {
    int pieces = wf_split_pieces(node->out[0]->count, 8192);
    const double *sums = node->work_data[1];
    for (int k = 0; k < 2; k++) {
        double total = 0.0;
        for (int p = 0; p < pieces; p++)
            total += sums[2 * p + k];
        float d = (float)(total / (1.0 + exp(-(double)scalar(node, 1 + k))));
        store_din(node, 1 + k, 0, 1, &d, w);
    }
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    if (phase == 0)
        return elementwise_pieces(node, pass, 0);
    return phase == 1 && pass == WF_BACKWARD ? 1 : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 1) {
        backward_alphas(node, w);
        return;
    }
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward_x, w);
    if (pass == WF_BACKWARD)
        backward_sums(node, piece, w);
}

const wf_op wf_op_xielu = {.name = "xielu", .pieces = pieces, .run = run, .saves_in = 31};

wf_tensor *wf_xielu(wf_tape *t, wf_tensor *x, wf_tensor *const scalars[4]) {
    for (int i = 0; i < 4; i++)
        if (!x || !scalars[i] || scalars[i]->count != 1 || scalars[i]->type != WF_F32)
            return x && scalars[i] ? wf_tape_error(t, WEFT_USAGE, "xielu: its numbers must be fp32 scalars") : NULL;
    wf_tensor *in[] = {x, scalars[0], scalars[1], scalars[2], scalars[3]}, *y = wf_out(t, x->type, x->rank, x->dims);
    wf_node *node = y ? wf_record(t, &wf_op_xielu, 5, in, 1, &y, NULL) : NULL;
    if (!node)
        return NULL;
    node->work[1] = 2 * sizeof(double) * (size_t)wf_split_pieces(x->count, 8192);
    return y;
}
