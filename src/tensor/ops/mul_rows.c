/* mul_rows.c - y[.., n] = x[.., n] * w[n]: learned gates and multipliers per channel. */
#include "tensor/ops/elementwise.h"

enum { COLUMNS = 256 };

static int column_pieces(const wf_node *node) { return (int)((wf_dim(node->in[0], -1) + COLUMNS - 1) / COLUMNS); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    if (phase == 0)
        return wf_split_pieces(wf_row_count(node->in[0]), 16);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[1] ? column_pieces(node) : 0;
}

static void rows(const wf_node *node, wf_pass pass, int piece, wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1), count = wf_row_count(node->in[0]), first, end;
    const float *weight = node->in[1]->data;
    float tmp[TILE], y[TILE];
    wf_split_bounds(count, wf_split_pieces(count, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            const float *x =
                pass == WF_FORWARD ? load_in(node, 0, r * n + c, m, tmp, w) : load_dout(node, r * n + c, m, tmp, w);
            w->k->mul(y, x, weight + c, m);
            if (pass == WF_FORWARD)
                store_out(node, r * n + c, m, y, w);
            else
                store_din(node, 0, r * n + c, m, y, w);
        }
}

static void columns(const wf_node *node, int piece, wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1), first = (int64_t)piece * COLUMNS, m = n - first < COLUMNS ? n - first : COLUMNS;
    float tx[COLUMNS], ty[COLUMNS], sum[COLUMNS] = {0};
    for (int64_t r = 0; r < wf_row_count(node->in[0]); r++) {
        w->k->mul(ty, load_in(node, 0, r * n + first, m, tx, w), load_dout(node, r * n + first, m, ty, w), m);
        w->k->add(sum, sum, ty, m);
    }
    store_din(node, 1, first, m, sum, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 0)
        rows(node, pass, piece, w);
    else
        columns(node, piece, w);
}

const wf_op wf_op_mul_rows = {.name = "mul_rows", .pieces = pieces, .run = run, .saves_in = 3};

wf_tensor *wf_mul_rows(wf_tape *t, wf_tensor *x, wf_tensor *weight) {
    if (!x || !weight)
        return NULL;
    if (weight->count != wf_dim(x, -1) || weight->type != WF_F32)
        return wf_tape_error(t, WEFT_USAGE, "mul_rows: a weight of %lld for rows of %lld", (long long)weight->count,
                             (long long)wf_dim(x, -1));
    return record_like(t, &wf_op_mul_rows, 2, (wf_tensor *[]){x, weight}, x, x->type, NULL);
}
