/* pair_scores.c - the scores of product keys (Lample et al. 2019, arXiv 1907.05242, section 3.2): every sum of one score of a
 * row of a and one of b, y[r, i*m + j] = a[r,i] + b[r,j]. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[0]), 16) : 0;
}

static void row_back(const wf_node *node, int64_t r, wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1), m = wf_dim(node->in[1], -1);
    const float *dy = (const float *)node->out[0]->grad + r * n * m;
    float *da = w->scratch, *db = da + n;
    memset(da, 0, (size_t)(n + m) * sizeof *da);
    for (int64_t i = 0; i < n; i++) {
        w->k->add(db, db, dy + i * m, m);
        for (int64_t j = 0; j < m; j++)
            da[i] += dy[i * m + j];
    }
    store_din(node, 0, r * n, n, da, w);
    store_din(node, 1, r * m, m, db, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = wf_row_count(node->in[0]), n = wf_dim(node->in[0], -1), m = wf_dim(node->in[1], -1), first, end;
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        const float *a = (const float *)node->in[0]->data + r * n, *b = (const float *)node->in[1]->data + r * m;
        float *y = (float *)node->out[0]->data + r * n * m;
        if (pass == WF_BACKWARD)
            row_back(node, r, w);
        for (int64_t i = 0; pass == WF_FORWARD && i < n * m; i++)
            y[i] = a[i / m] + b[i % m];
    }
}

const wf_op wf_op_pair_scores = {.name = "pair_scores", .pieces = pieces, .run = run};

wf_tensor *wf_pair_scores(wf_tape *t, wf_tensor *a, wf_tensor *b) {
    a = wf_cast(t, a, WF_F32);
    b = wf_cast(t, b, WF_F32);
    if (!a || !b)
        return NULL;
    if (a->rank < 2 || wf_row_count(a) != wf_row_count(b) || wf_dim(a, -1) > INT32_MAX / wf_dim(b, -1))
        return wf_tape_error(t, WEFT_USAGE, "pair_scores: the rows do not fit");
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, a->dims, sizeof dims);
    dims[a->rank - 1] *= wf_dim(b, -1);
    wf_tensor *y = wf_out(t, WF_F32, a->rank, dims);
    wf_node *node = y ? wf_record(t, &wf_op_pair_scores, 2, (wf_tensor *[]){a, b}, 1, &y, NULL) : NULL;
    if (node)
        node->scratch = (size_t)(wf_dim(a, -1) + wf_dim(b, -1)) * sizeof(float);
    return node ? y : NULL;
}
