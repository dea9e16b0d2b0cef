/* kind_scores.c - scores that say whether two rows are of one kind: y[b,h,i,j] = x[b,i,h,same], same being 1 where the kinds of
 * i and j are equal or one of them is the common kind (Yang et al. 2019, arXiv 1906.08237, section 2.5). */
#include "tensor/ops/elementwise.h"

enum { X, QUERIES, KEYS };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[X]->dims[0] * node->in[X]->dims[2]) : 0;
}

static bool same(const wf_node *node, int64_t b, int64_t i, int64_t j) {
    const wf_kind_spec *a = node->attr;
    if (!node->in[QUERIES] || !node->in[KEYS])
        return true;
    int32_t q = ((const int32_t *)node->in[QUERIES]->data)[b * node->in[X]->dims[1] + i];
    int32_t k = ((const int32_t *)node->in[KEYS]->data)[b * a->keys + j];
    return q == k || q == a->common || k == a->common;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_kind_spec *a = node->attr;
    int64_t rows = node->in[X]->dims[1], heads = node->in[X]->dims[2], b = piece / heads, h = piece % heads;
    (void)phase;
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = ((b * rows + i) * heads + h) * 2, to = ((b * heads + h) * rows + i) * a->keys;
        float sum[2] = {0.0f, 0.0f};
        for (int64_t j = 0; j < a->keys; j++) {
            bool none = i < a->skip || j < a->skip;
            int which = same(node, b, i, j);
            if (pass == WF_FORWARD)
                ((float *)node->out[0]->data)[to + j] = none ? 0.0f : ((const float *)node->in[X]->data)[at + which];
            else
                sum[which] += none ? 0.0f : ((const float *)node->out[0]->grad)[to + j];
        }
        if (pass == WF_BACKWARD)
            store_din(node, X, at, 2, sum, w);
    }
}

const wf_op wf_op_kind_scores = {.name = "kind_scores", .pieces = pieces, .run = run, .saves_in = 1u << QUERIES | 1u << KEYS};

wf_tensor *wf_kind_scores(wf_tape *t, wf_tensor *x, const wf_kind_spec *spec) {
    x = wf_cast(t, x, WF_F32);
    if (!x)
        return NULL;
    wf_tensor *q = spec->q_kinds, *k = spec->k_kinds;
    bool fits = x->rank == 4 && x->dims[3] == 2 && spec->keys > 0;
    fits = fits && (!q || (q->type == WF_I32 && q->count == x->dims[0] * x->dims[1]));
    if (!fits || (k && (k->type != WF_I32 || k->count != x->dims[0] * spec->keys)))
        return wf_tape_error(t, WEFT_USAGE, "kind_scores: two numbers for each row and head, and int32 kinds are needed");
    wf_kind_spec *a = attr_copy(t, spec, sizeof *spec);
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], x->dims[2], x->dims[1], spec->keys});
    return a && y && wf_record(t, &wf_op_kind_scores, 3, (wf_tensor *[]){x, q, k}, 1, &y, a) ? y : NULL;
}
