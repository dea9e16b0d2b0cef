/* hide_pairs.c - scores less 1e30 where a row may not see a key: a row that may see none sees all alike, for what its scores
 * were is lost in the sum (Yang et al. 2019, arXiv 1906.08237, the reference's masks). */
#include "tensor/ops/elementwise.h"

enum { X, MASK, PAIRS };
typedef struct hide_pairs {
    wf_hide_spec spec;
    int64_t b, h, t, s;
} hide_pairs;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const hide_pairs *a = node->attr;
    (void)pass;
    return phase == 0 ? (int)(a->b * a->h) : 0;
}

static bool hidden(const wf_node *node, int64_t b, int64_t row, int64_t j, int64_t start) {
    const hide_pairs *a = node->attr;
    const wf_hide_spec *s = &a->spec;
    const uint8_t *mask = node->in[MASK] ? node->in[MASK]->data : NULL, *pairs = node->in[PAIRS] ? node->in[PAIRS]->data : NULL;
    int64_t i = row + (s->offset_from_start ? start : 0);
    if (s->self && i == j)
        return false;
    if (mask && !mask[b * a->s + j])
        return true;
    if (s->first && j == 0)
        return false;
    return (s->causal && j > i - s->behind) || i - j > s->left || (pairs && pairs[(b * a->t + row) * a->s + j]);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const hide_pairs *a = node->attr;
    int64_t b = piece / a->h, n = a->t * a->s, start = w->rt->start ? w->rt->start[b] : 0;
    const float *x = (const float *)node->in[X]->data + piece * n;
    float *y = (float *)node->out[0]->data + piece * n;
    (void)phase;
    if (pass == WF_BACKWARD) {
        store_din(node, X, piece * n, n, (const float *)node->out[0]->grad + piece * n, w);
        return;
    }
    for (int64_t i = 0; i < a->t; i++)
        for (int64_t j = 0; j < a->s; j++)
            y[i * a->s + j] = x[i * a->s + j] - (hidden(node, b, i, j, start) ? 1e30f : 0.0f);
}

const wf_op wf_op_hide_pairs = {.name = "hide_pairs", .by_runtime = true, .pieces = pieces, .run = run};

wf_tensor *wf_hide_pairs(wf_tape *t, wf_tensor *x, wf_tensor *mask, wf_tensor *pairs, const wf_hide_spec *spec) {
    if (!x)
        return NULL;
    int64_t rows = x->rank == 4 ? x->dims[0] * x->dims[2] : 0;
    if (x->rank != 4 || x->type != WF_F32 || (mask && (mask->type != WF_U8 || mask->count != x->dims[0] * x->dims[3])) ||
        (pairs && (pairs->type != WF_U8 || pairs->count != rows * x->dims[3])))
        return wf_tape_error(t, WEFT_USAGE, "hide_pairs: scores, mask and pairs do not fit");
    hide_pairs *a = attr_copy(t, &(hide_pairs){*spec, x->dims[0], x->dims[1], x->dims[2], x->dims[3]}, sizeof *a);
    return a ? record_like(t, &wf_op_hide_pairs, 3, (wf_tensor *[]){x, mask, pairs}, x, WF_F32, a) : NULL;
}
