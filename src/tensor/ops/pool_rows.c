/* pool_rows.c - one row per sequence: y[b] = sum over t of weight[b,t] x[b,t], the weights by the rows that count, or the
 * largest entry of each channel. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { X, MASK };
enum { Y, PICKED }; /* max: the row of each channel */
typedef struct pool {
    wf_pool_kind kind;
} pool;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->in[X]->dims[0] : 0;
}

static bool counts(const wf_node *node, int64_t b, int64_t t) {
    return !node->in[MASK] || ((const uint8_t *)node->in[MASK]->data)[b * node->in[X]->dims[1] + t];
}

/* What the weights are made of: rows that count, the last of them, and the sum 1 + 2 + .. over their numbers. */
typedef struct tally {
    double count, numbers;
    int64_t last, first;
} tally;

static tally tally_of(const wf_node *node, int64_t b) {
    tally s = {.last = -1, .first = -1};
    for (int64_t t = 0; t < node->in[X]->dims[1]; t++)
        if (counts(node, b, t)) {
            s.count += 1.0;
            s.numbers += (double)(t + 1);
            s.last = t;
            s.first = s.first < 0 ? t : s.first;
        }
    return s;
}

static double weight(const wf_node *node, const tally *s, int64_t b, int64_t t) {
    if (!counts(node, b, t))
        return 0.0;
    switch (((const pool *)node->attr)->kind) {
    case WF_POOL_MEAN:
        return 1.0 / s->count;
    case WF_POOL_MEAN_SQRT:
        return 1.0 / sqrt(s->count);
    case WF_POOL_WEIGHTED:
        return (double)(t + 1) / s->numbers;
    case WF_POOL_LAST:
        return t == s->last ? 1.0 : 0.0;
    case WF_POOL_FIRST:
        return t == s->first ? 1.0 : 0.0;
    default:
        return 0.0;
    }
}

static void forward_max(const wf_node *node, int64_t b, const tally *s) {
    int64_t rows = node->in[X]->dims[1], n = wf_dim(node->in[X], -1);
    const float *x = (const float *)node->in[X]->data + b * rows * n;
    float *y = (float *)node->out[Y]->data + b * n;
    int32_t *picked = (int32_t *)node->out[PICKED]->data + b * n;
    for (int64_t c = 0; c < n; c++) {
        int64_t at = s->first < 0 ? 0 : s->first;
        for (int64_t t = at; t <= s->last; t++)
            at = counts(node, b, t) && x[t * n + c] > x[at * n + c] ? t : at;
        y[c] = s->first < 0 ? 0.0f : x[at * n + c];
        picked[c] = s->first < 0 ? -1 : (int32_t)at;
    }
}

static void forward_sum(const wf_node *node, int64_t b, const tally *s, wf_worker *w) {
    int64_t rows = node->in[X]->dims[1], n = wf_dim(node->in[X], -1);
    const float *x = (const float *)node->in[X]->data + b * rows * n;
    float *y = (float *)node->out[Y]->data + b * n;
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t t = 0; t < rows; t++) {
        float by = (float)weight(node, s, b, t);
        if (by != 0.0f)
            w->k->axpy(y, by, x + t * n, n);
    }
}

static void backward(const wf_node *node, int64_t b, const tally *s, wf_worker *w) {
    int64_t rows = node->in[X]->dims[1], n = wf_dim(node->in[X], -1);
    const float *dy = (const float *)node->out[Y]->grad + b * n;
    const int32_t *picked = (const int32_t *)node->out[PICKED]->data + b * n;
    bool largest = ((const pool *)node->attr)->kind == WF_POOL_MAX;
    float tmp[TILE];
    for (int64_t t = 0; t < rows; t++) {
        float by = largest ? 0.0f : (float)weight(node, s, b, t);
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            w->k->scale(tmp, by, dy + c, m);
            for (int64_t i = 0; largest && i < m; i++)
                tmp[i] = picked[c + i] == t ? dy[c + i] : 0.0f;
            store_din(node, X, (b * rows + t) * n + c, m, tmp, w);
        }
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    tally s = tally_of(node, piece);
    (void)phase;
    if (pass == WF_BACKWARD)
        backward(node, piece, &s, w);
    else if (((const pool *)node->attr)->kind == WF_POOL_MAX)
        forward_max(node, piece, &s);
    else
        forward_sum(node, piece, &s, w);
}

const wf_op wf_op_pool_rows = {
    .name = "pool_rows", .pieces = batch_pieces, .run = run, .saves_in = 1u << MASK, .saves_out = 1u << PICKED};

wf_tensor *wf_pool_rows(wf_tape *t, wf_tensor *x, wf_pool_kind kind, wf_tensor *mask) {
    if (!x)
        return NULL;
    if (x->rank != 3 || (mask && (mask->type != WF_U8 || mask->count != x->dims[0] * x->dims[1])))
        return wf_tape_error(t, WEFT_USAGE, "pool: rows [B,T,n] and a byte for each are needed");
    x = wf_cast(t, x, WF_F32);
    int64_t dims[2] = {x ? x->dims[0] : 0, kind == WF_POOL_MAX && x ? x->dims[2] : 1};
    pool *a = attr_copy(t, &(pool){kind}, sizeof(pool));
    if (!x || !a)
        return NULL;
    wf_tensor *out[2] = {wf_out(t, WF_F32, 2, (int64_t[]){x->dims[0], x->dims[2]}), wf_out(t, WF_I32, 2, dims)};
    return wf_record(t, &wf_op_pool_rows, 2, (wf_tensor *[]){x, mask}, 2, out, a) ? out[Y] : NULL;
}
