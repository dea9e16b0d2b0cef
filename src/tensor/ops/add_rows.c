/* add_rows.c - y[.., n] = x[.., n] + b[n]: one row added to all. */
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
    const float *row = node->in[1]->data;
    float tmp[TILE], y[TILE];
    wf_split_bounds(count, wf_split_pieces(count, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            if (pass == WF_BACKWARD) {
                store_din(node, 0, r * n + c, m, load_dout(node, r * n + c, m, tmp, w), w);
                continue;
            }
            w->k->add(y, load_in(node, 0, r * n + c, m, tmp, w), row + c, m);
            store_out(node, r * n + c, m, y, w);
        }
}

static void columns(const wf_node *node, int piece, wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1), first = (int64_t)piece * COLUMNS, m = n - first < COLUMNS ? n - first : COLUMNS;
    float tmp[COLUMNS], sum[COLUMNS] = {0};
    for (int64_t r = 0; r < wf_row_count(node->in[0]); r++)
        w->k->add(sum, sum, load_dout(node, r * n + first, m, tmp, w), m);
    store_din(node, 1, first, m, sum, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 0)
        rows(node, pass, piece, w);
    else
        columns(node, piece, w);
}

const wf_op wf_op_add_rows = {.name = "add_rows", .pieces = pieces, .run = run};

wf_tensor *wf_add_rows(wf_tape *t, wf_tensor *x, wf_tensor *row) {
    if (!x || !row)
        return NULL;
    if (row->count != wf_dim(x, -1) || row->type != WF_F32)
        return wf_tape_error(t, WEFT_USAGE, "add_rows: a row of %lld for rows of %lld", (long long)row->count,
                             (long long)wf_dim(x, -1));
    return record_like(t, &wf_op_add_rows, 2, (wf_tensor *[]){x, row}, x, x->type, NULL);
}
