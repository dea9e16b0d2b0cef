/* token_dropout.c - rows of one token become zero, and all rows of a sequence are scaled as if the usual share of them had: by
 * (1 - rate) / (1 - share of the token among the rows that are not padding) (Rives et al. 2021, ESM). */
#include "tensor/ops/elementwise.h"

enum { X, IDS, MASK };
typedef struct token_dropout {
    int64_t token;
    double rate;
} token_dropout;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->in[IDS]->dims[0] : 0;
}

static float scale_of(const wf_node *node, int64_t b) {
    const token_dropout *a = node->attr;
    int64_t rows = node->in[IDS]->dims[1], hidden = 0, length = 0;
    for (int64_t t = b * rows; t < (b + 1) * rows; t++) {
        hidden += ((const int32_t *)node->in[IDS]->data)[t] == a->token;
        length += node->in[MASK] ? ((const uint8_t *)node->in[MASK]->data)[t] != 0 : 1;
    }
    return (float)((1.0 - a->rate) / (1.0 - (double)hidden / (double)length));
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const token_dropout *a = node->attr;
    int64_t rows = node->in[IDS]->dims[1], n = wf_dim(node->in[X], -1);
    float by = scale_of(node, piece), tmp[TILE], y[TILE];
    (void)phase;
    for (int64_t t = piece * rows; t < (piece + 1) * rows; t++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            float row = ((const int32_t *)node->in[IDS]->data)[t] == a->token ? 0.0f : by;
            w->k->scale(y, row,
                        pass == WF_FORWARD ? load_in(node, X, t * n + c, m, tmp, w) : load_dout(node, t * n + c, m, tmp, w), m);
            if (pass == WF_FORWARD)
                store_out(node, t * n + c, m, y, w);
            else
                store_din(node, X, t * n + c, m, y, w);
        }
}

const wf_op wf_op_token_dropout = {
    .name = "token_dropout", .pieces = batch_pieces, .run = run, .saves_in = 1u << IDS | 1u << MASK};

wf_tensor *wf_token_dropout(wf_tape *t, wf_tensor *x, wf_tensor *ids, wf_tensor *mask, int64_t token, double rate) {
    if (!x || !ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2 || wf_row_count(x) != ids->count || (mask && mask->count != ids->count))
        return wf_tape_error(t, WEFT_USAGE, "token_dropout: an id for every row is needed");
    token_dropout *a = attr_copy(t, &(token_dropout){token, rate}, sizeof(token_dropout));
    return a ? record_like(t, &wf_op_token_dropout, 3, (wf_tensor *[]){x, ids, mask}, x, x->type, a) : NULL;
}
