/* normalise_exp.c - the normaliser of the matrix LSTM (Beck et al. 2024, arXiv 2405.04517, eq. 21, stabilised): y = o / d with
 * d = max(|n.q|, e^{-m}) + eps, one d per row. o and n.q carry the factor e^{-m}, so that y depends on m by eps alone: that is
 * the gradient of m here, and exp_gates takes its m as constants. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { O, NQ, M };

typedef struct normalise_exp {
    float eps;
} normalise_exp;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[NQ]->count, 64) : 0;
}

static void back_row(const wf_node *node, int64_t r, float inverse, const wf_worker *w) {
    int64_t n = wf_dim(node->in[O], -1);
    float tmp[TILE], nq = ((const float *)node->in[NQ]->data)[r], floor = expf(-((const float *)node->in[M]->data)[r]);
    const float *y = node->out[0]->data;
    double dot = 0.0;
    for (int64_t c = 0; c < n; c += TILE) {
        int64_t m = n - c < TILE ? n - c : TILE;
        const float *dy = load_dout(node, r * n + c, m, tmp, w);
        dot += w->k->dot(dy, y + r * n + c, m);
        w->k->scale(tmp, inverse, dy, m);
        store_din(node, O, r * n + c, m, tmp, w);
    }
    float d = (float)-dot * inverse;
    bool floored = fabsf(nq) < floor;
    store_din(node, NQ, r, 1, &(float){floored ? 0.0f : nq < 0.0f ? -d : d}, w);
    store_din(node, M, r, 1, &(float){d * ((const normalise_exp *)node->attr)->eps}, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[NQ]->count, n = wf_dim(node->in[O], -1), first, end;
    const float *o = node->in[O]->data, *nq = node->in[NQ]->data, *m = node->in[M]->data;
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 64), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        float inverse = 1.0f / (fmaxf(fabsf(nq[r]), expf(-m[r])) + ((const normalise_exp *)node->attr)->eps);
        if (pass == WF_FORWARD)
            w->k->scale((float *)node->out[0]->data + r * n, inverse, o + r * n, n);
        else
            back_row(node, r, inverse, w);
    }
}

const wf_op wf_op_normalise_exp = {
    .name = "normalise_exp", .pieces = pieces, .run = run, .saves_in = 1u << NQ | 1u << M, .saves_out = 1};

wf_tensor *wf_normalise_exp(wf_tape *t, wf_tensor *o, wf_tensor *nq, wf_tensor *m, float eps) {
    if (!o || !nq || !m)
        return NULL;
    wf_tensor *in[] = {wf_cast(t, o, WF_F32), wf_cast(t, nq, WF_F32), wf_cast(t, m, WF_F32)};
    if (!in[O] || !in[NQ] || !in[M])
        return NULL;
    if (nq->count != wf_row_count(o) || m->count != nq->count)
        return wf_tape_error(t, WEFT_USAGE, "normalise_exp: one normaliser per row is needed");
    normalise_exp *attr = attr_copy(t, &(normalise_exp){eps}, sizeof(normalise_exp));
    return attr ? record_like(t, &wf_op_normalise_exp, 3, in, o, WF_F32, attr) : NULL;
}
