/* segment_scores.c - scores of queries with one of two vectors, for keys of their own segment and of others: y[b,h,i,j] = scale
 * * x[b,i,h] . table[s_i != s_j, h] (Yang et al. 2019, arXiv 1906.08237, section 2.5). */
#include "tensor/ops/elementwise.h"

enum { X, TABLE, QUERIES, KEYS };
typedef struct segment_scores {
    int64_t b, t, s, h, k;
    float scale;
} segment_scores;

static bool differs(const wf_node *node, int64_t b, int64_t i, int64_t j) {
    const segment_scores *a = node->attr;
    int64_t own = ((const int64_t *)node->in[QUERIES]->data)[b * a->t + i];
    return own != (node->in[KEYS] ? ((const int64_t *)node->in[KEYS]->data)[b * a->s + j] : 0);
}
static const float *vector(const wf_node *node, int64_t which, int64_t h) {
    const segment_scores *a = node->attr;
    return (const float *)node->in[TABLE]->data + (which * a->h + h) * a->k;
}
static const float *x_row(const wf_node *node, int64_t b, int64_t i, int64_t h) {
    const segment_scores *a = node->attr;
    return (const float *)node->in[X]->data + ((b * a->t + i) * a->h + h) * a->k;
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const segment_scores *a = node->attr;
    if (phase == 0)
        return (int)(a->b * a->h);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[TABLE] ? (int)a->h : 0;
}

/* What both products of one row get. */
static void sum_row(const wf_node *node, int64_t b, int64_t h, int64_t i, float sum[2]) {
    const segment_scores *a = node->attr;
    const float *dy = (const float *)node->out[0]->grad + ((b * a->h + h) * a->t + i) * a->s;
    sum[0] = sum[1] = 0.0f;
    for (int64_t j = 0; j < a->s; j++)
        sum[differs(node, b, i, j)] += a->scale * dy[j];
}

static void score_row(const wf_node *node, int64_t b, int64_t h, int64_t i, wf_worker *w) {
    const segment_scores *a = node->attr;
    float *y = (float *)node->out[0]->data + ((b * a->h + h) * a->t + i) * a->s, both[2];
    for (int64_t n = 0; n < 2; n++)
        both[n] = (float)((double)a->scale * (double)w->k->dot(x_row(node, b, i, h), vector(node, n, h), a->k));
    for (int64_t j = 0; j < a->s; j++)
        y[j] = both[differs(node, b, i, j)];
}

static void row_back(const wf_node *node, int64_t b, int64_t h, int64_t i, wf_worker *w) {
    const segment_scores *a = node->attr;
    float sum[2], *dx = w->scratch;
    sum_row(node, b, h, i, sum);
    memset(dx, 0, (size_t)a->k * sizeof *dx);
    for (int64_t n = 0; n < 2; n++)
        w->k->axpy(dx, sum[n], vector(node, n, h), a->k);
    store_din(node, X, ((b * a->t + i) * a->h + h) * a->k, a->k, dx, w);
}

static void table_back(const wf_node *node, int64_t h, wf_worker *w) {
    const segment_scores *a = node->attr;
    float *d = w->scratch, sum[2];
    memset(d, 0, (size_t)(2 * a->k) * sizeof *d);
    for (int64_t b = 0; b < a->b; b++)
        for (int64_t i = 0; i < a->t; i++) {
            sum_row(node, b, h, i, sum);
            for (int64_t n = 0; n < 2; n++)
                w->k->axpy(d + n * a->k, sum[n], x_row(node, b, i, h), a->k);
        }
    for (int64_t n = 0; n < 2; n++)
        store_din(node, TABLE, (n * a->h + h) * a->k, a->k, d + n * a->k, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const segment_scores *a = node->attr;
    if (phase == 1) {
        table_back(node, piece, w);
        return;
    }
    for (int64_t i = 0; i < a->t; i++)
        (pass == WF_FORWARD ? score_row : row_back)(node, piece / a->h, piece % a->h, i, w);
}

const wf_op wf_op_segment_scores = {
    .name = "segment_scores", .pieces = pieces, .run = run, .saves_in = 1u << X | 1u << TABLE | 1u << QUERIES | 1u << KEYS};

wf_tensor *wf_segment_scores(wf_tape *t, wf_tensor *x, wf_tensor *table, wf_tensor *const segments[2], int64_t keys,
                             float scale) {
    x = wf_cast(t, x, WF_F32);
    table = wf_cast(t, table, WF_F32);
    if (!x || !table)
        return NULL;
    bool fits = x->rank == 4 && table->count == 2 * x->dims[2] * x->dims[3] && segments[0] && segments[0]->type == WF_I64 &&
                segments[0]->count == x->dims[0] * x->dims[1];
    if (!fits || (segments[1] && (segments[1]->type != WF_I64 || segments[1]->count != x->dims[0] * keys)))
        return wf_tape_error(t, WEFT_USAGE, "segment_scores: rows, vectors and segments do not fit");
    segment_scores *a = attr_copy(t, &(segment_scores){x->dims[0], x->dims[1], keys, x->dims[2], x->dims[3], scale}, sizeof *a);
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], x->dims[2], x->dims[1], keys});
    wf_node *node =
        a && y ? wf_record(t, &wf_op_segment_scores, 4, (wf_tensor *[]){x, table, segments[0], segments[1]}, 1, &y, a) : NULL;
    if (node)
        node->scratch = (size_t)(2 * a->k) * sizeof(float);
    return node ? y : NULL;
}
