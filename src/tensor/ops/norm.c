/* norm.c - RMS norm (Zhang & Sennrich 2019) and layer norm (Ba et al. 2016) over the last dimension. A weight of several groups
 * of n serves the rows in turn: norms per head with weights of their own. The backward makes row gradients and, per piece of
 * rows, partial sums for weight and bias, which a second phase adds in the order of the pieces. */
#include "tensor/ops/elementwise.h"

typedef struct norm {
    float offset, eps;
    bool layer;
    int64_t groups;
} norm;
enum { X, W, B };
enum { Y, STATS };

static int row_pieces(const wf_node *node) { return wf_split_pieces(wf_row_count(node->in[X]), 16); }
static bool wants_weights(const wf_node *node) { return node->grad_mode[W] || node->grad_mode[B]; }
static int64_t weights(const wf_node *node) { return ((const norm *)node->attr)->groups * wf_dim(node->in[X], -1); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    if (phase == 0)
        return row_pieces(node);
    return phase == 1 && pass == WF_BACKWARD && wants_weights(node) ? wf_split_pieces(weights(node), 256) : 0;
}

static const float *weight_of(const wf_node *node, int i, int64_t row) {
    int64_t group = row % ((const norm *)node->attr)->groups;
    return node->in[i] ? (const float *)node->in[i]->data + group * wf_dim(node->in[X], -1) : NULL;
}

static void forward(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    const norm *a = node->attr;
    int64_t n = wf_dim(node->in[X], -1);
    float *stats = node->out[STATS]->data, *tmp = w->scratch, *y = tmp + n;
    for (int64_t r = first; r < end; r++) {
        const float *x = load_in(node, X, r * n, n, tmp, w);
        float *to = node->out[Y]->type == WF_F32 ? (float *)node->out[Y]->data + r * n : y;
        if (a->layer)
            stats[2 * r + 1] =
                w->k->layer_norm(to, &stats[2 * r], x, weight_of(node, W, r), weight_of(node, B, r), a->offset, a->eps, n);
        else
            stats[r] = w->k->rms_norm(to, x, weight_of(node, W, r), a->offset, a->eps, n);
        if (to == y)
            store_out(node, r * n, n, y, w);
    }
}

static void backward_rows(const wf_node *node, int piece, wf_worker *w) {
    const norm *a = node->attr;
    int64_t n = wf_dim(node->in[X], -1), rows = wf_row_count(node->in[X]), first, end;
    const float *stats = node->out[STATS]->data;
    float *tx = w->scratch, *ty = tx + n, *dx = ty + n;
    int64_t wide = weights(node);
    float *sums = wants_weights(node) ? (float *)node->work_data[WF_BACKWARD] + (int64_t)piece * 2 * wide : NULL;
    if (sums)
        memset(sums, 0, (size_t)(2 * wide) * sizeof *sums);
    wf_split_bounds(rows, row_pieces(node), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        const float *x = load_in(node, X, r * n, n, tx, w), *dy = load_dout(node, r * n, n, ty, w);
        float *dw = sums ? sums + r % a->groups * n : NULL, *db = sums ? dw + wide : NULL;
        if (a->layer)
            w->k->layer_norm_back(dx, dw, db, x, dy, weight_of(node, W, r), a->offset, stats[2 * r], stats[2 * r + 1], n);
        else
            w->k->rms_norm_back(dx, dw, x, dy, weight_of(node, W, r), a->offset, stats[r], n);
        store_din(node, X, r * n, n, dx, w);
    }
}

static void backward_weights(const wf_node *node, int piece, wf_worker *w) {
    int64_t n = weights(node), first, end;
    const float *parts = node->work_data[WF_BACKWARD];
    wf_split_bounds(n, wf_split_pieces(n, 256), piece, &first, &end);
    for (int i = W; i <= B; i++) {
        float *sum = w->scratch;
        memset(sum, 0, (size_t)(end - first) * sizeof *sum);
        for (int p = 0; p < row_pieces(node); p++)
            w->k->add(sum, sum, parts + (int64_t)p * 2 * n + (i == B ? n : 0) + first, end - first);
        store_din(node, i, first, end - first, sum, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (pass == WF_FORWARD) {
        int64_t first, end;
        wf_split_bounds(wf_row_count(node->in[X]), row_pieces(node), piece, &first, &end);
        forward(node, first, end, w);
    } else if (phase == 0) {
        backward_rows(node, piece, w);
    } else {
        backward_weights(node, piece, w);
    }
}

const wf_op wf_op_rms_norm = {.name = "rms_norm",
                              .pieces = pieces,
                              .run = run,
                              .run_rows = forward,
                              .over = 1u << X,
                              .saves_in = 1u << X | 1u << W,
                              .saves_out = 1u << STATS};
const wf_op wf_op_layer_norm = {.name = "layer_norm",
                                .pieces = pieces,
                                .run = run,
                                .run_rows = forward,
                                .over = 1u << X,
                                .saves_in = 1u << X | 1u << W,
                                .saves_out = 1u << STATS};

static wf_tensor *record(wf_tape *t, wf_tensor *x, wf_tensor *weight, wf_tensor *bias, norm a) {
    if (!x)
        return NULL;
    int64_t n = wf_dim(x, -1), rows = wf_row_count(x), wide = weight ? weight->count : bias ? bias->count : n;
    a.groups = wide / n;
    if (wide % n != 0 || rows % a.groups != 0 || (bias && bias->count != wide))
        return wf_tape_error(t, WEFT_USAGE, "norm: a weight of %lld for rows of %lld", (long long)wide, (long long)n);
    norm *attr = attr_copy(t, &a, sizeof a);
    wf_tensor *out[2] = {wf_out(t, wf_tape_type(t), x->rank, x->dims),
                         wf_out(t, WF_F32, 1, (int64_t[]){rows * (a.layer ? 2 : 1)})};
    wf_node *node =
        attr ? wf_record(t, a.layer ? &wf_op_layer_norm : &wf_op_rms_norm, 3, (wf_tensor *[]){x, weight, bias}, 2, out, attr)
             : NULL;
    if (!node)
        return NULL;
    node->rows = rows;
    node->scratch = (size_t)(3 * n > wide ? 3 * n : wide) * sizeof(float);
    node->work[WF_BACKWARD] = (size_t)(row_pieces(node) * 2 * wide) * sizeof(float);
    return out[Y];
}

wf_tensor *wf_rms_norm(wf_tape *t, wf_tensor *x, wf_tensor *weight, float offset, float eps) {
    return record(t, x, weight, NULL, (norm){offset, eps, false, 1});
}

wf_tensor *wf_layer_norm(wf_tape *t, wf_tensor *x, wf_tensor *weight, wf_tensor *bias, float offset, float eps) {
    return record(t, x, weight, bias, (norm){offset, eps, true, 1});
}
