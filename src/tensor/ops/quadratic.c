/* quadratic.c - feature maps whose products are polynomials of z = x.y: all monomials of degree 2 give z^2 (ReBased, Aksenov et
 * al. 2024, arXiv 2402.10644), with those of degree 0 and 1 they give 1 + z + z^2/2, the Taylor series of e^z (Based, Arora et
 * al. 2024, arXiv 2402.18668). Order: [1 | x |] x_i^2 | x_i x_j, i < j. */
#include <math.h>
#include "tensor/ops/elementwise.h"

typedef struct quadratic {
    bool taylor;
} quadratic;

static int64_t features(int64_t n, bool taylor) { return n * (n + 1) / 2 + (taylor ? n + 1 : 0); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[0]), 16) : 0;
}

static void forward_row(const float *x, float *y, int64_t n, bool taylor) {
    float square = taylor ? sqrtf(0.5f) : 1.0f, cross = taylor ? 1.0f : sqrtf(2.0f);
    if (taylor) {
        *y++ = 1.0f;
        memcpy(y, x, (size_t)n * sizeof *y);
        y += n;
    }
    for (int64_t i = 0; i < n; i++)
        *y++ = square * x[i] * x[i];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            *y++ = cross * x[i] * x[j];
}

static void backward_row(const float *x, const float *dy, float *dx, int64_t n, bool taylor) {
    float square = taylor ? sqrtf(0.5f) : 1.0f, cross = taylor ? 1.0f : sqrtf(2.0f);
    memset(dx, 0, (size_t)n * sizeof *dx);
    if (taylor) {
        memcpy(dx, dy + 1, (size_t)n * sizeof *dx);
        dy += n + 1;
    }
    for (int64_t i = 0; i < n; i++)
        dx[i] += 2.0f * square * x[i] * *dy++;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, dy++) {
            dx[i] += cross * x[j] * *dy;
            dx[j] += cross * x[i] * *dy;
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    bool taylor = ((const quadratic *)node->attr)->taylor;
    int64_t n = wf_dim(node->in[0], -1), wide = features(n, taylor), rows = wf_row_count(node->in[0]), first, end;
    const float *x = node->in[0]->data;
    float *dx = w->scratch;
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        if (pass == WF_FORWARD) {
            forward_row(x + r * n, (float *)node->out[0]->data + r * wide, n, taylor);
            continue;
        }
        backward_row(x + r * n, (const float *)node->out[0]->grad + r * wide, dx, n, taylor);
        store_din(node, 0, r * n, n, dx, w);
    }
}

const wf_op wf_op_quadratic = {.name = "quadratic", .pieces = pieces, .run = run, .saves_in = 1};

wf_tensor *wf_quadratic(wf_tape *t, wf_tensor *x, bool taylor) {
    if (!x || !(x = wf_cast(t, x, WF_F32)))
        return NULL;
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = features(wf_dim(x, -1), taylor);
    quadratic *attr = attr_copy(t, &(quadratic){taylor}, sizeof(quadratic));
    wf_tensor *y = wf_out(t, WF_F32, x->rank, dims);
    wf_node *node = attr && y ? wf_record(t, &wf_op_quadratic, 1, &x, 1, &y, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)wf_dim(x, -1) * sizeof(float);
    return y;
}
