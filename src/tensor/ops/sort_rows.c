/* sort_rows.c - the rows of all choices of all tokens into the order of a dispatch, and back: what an expert makes for each of
 * its tokens, kept apart (mixtures of attention heads). One op in two directions, each the other's backward. */
#include "tensor/experts.h"
#include "tensor/ops/elementwise.h"

enum { X, OUT_FROM_IN, IN_FROM_OUT };
typedef struct sort_rows {
    int64_t width, in, out;
} sort_rows; /* of a row; rows on either side */

static int row_pieces(const wf_node *node, wf_pass pass, int phase) {
    const sort_rows *a = node->attr;
    return phase == 0 ? wf_split_pieces(pass == WF_FORWARD ? a->out : a->in, 16) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const sort_rows *a = node->attr;
    bool forward = pass == WF_FORWARD;
    const int32_t *from = node->in[forward ? OUT_FROM_IN : IN_FROM_OUT]->data;
    int64_t rows = forward ? a->out : a->in, first, end;
    float tmp[TILE], none[TILE] = {0};
    (void)phase;
    wf_split_bounds(rows, row_pieces(node, pass, 0), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < a->width; c += TILE) {
            int64_t n = a->width - c < TILE ? a->width - c : TILE, at = from[r] * a->width + c;
            const float *x = from[r] < 0 ? none : forward ? load_in(node, X, at, n, tmp, w) : load_dout(node, at, n, tmp, w);
            if (forward)
                store_out(node, r * a->width + c, n, x, w);
            else
                store_din(node, X, r * a->width + c, n, x, w);
        }
}

const wf_op wf_op_sort_rows = {
    .name = "sort_rows", .pieces = row_pieces, .run = run, .saves_in = 1u << OUT_FROM_IN | 1u << IN_FROM_OUT};

static wf_tensor *record(wf_tape *t, wf_tensor *x, const wf_dispatch *d, int64_t batch) {
    int64_t all = d->tokens * d->top_k, in = batch ? d->rows : all, out = batch ? all : d->rows;
    if (!x || !d->slot || !d->row)
        return NULL;
    if (x->count % in != 0 || (batch && d->tokens % batch != 0))
        return wf_tape_error(t, WEFT_USAGE, "sort_rows: the rows do not fit");
    sort_rows *a = attr_copy(t, &(sort_rows){x->count / in, in, out}, sizeof(sort_rows));
    int64_t width = x->count / in;
    wf_tensor *y = batch ? wf_out(t, x->type, 3, (int64_t[]){batch, d->tokens / batch, d->top_k * width})
                         : wf_out(t, x->type, 2, (int64_t[]){d->rows, width});
    wf_tensor *inputs[] = {x, batch ? d->row : d->slot, batch ? d->slot : d->row};
    return a && y && wf_record(t, &wf_op_sort_rows, 3, inputs, 1, &y, a) ? y : NULL;
}

wf_tensor *wf_sort_rows(wf_tape *t, wf_tensor *x, const wf_dispatch *d) { return record(t, x, d, 0); }
wf_tensor *wf_unsort_rows(wf_tape *t, wf_tensor *rows, const wf_dispatch *d, int64_t batch) {
    return record(t, rows, d, batch);
}
