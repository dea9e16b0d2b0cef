/* temper.c - queries grow with their position p: x * (1 + scale * log1p(floor((p + 1) / step))) (Llama 4; Nakanishi 2025, arXiv
 * 2501.19399). */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { X, POSITIONS };
typedef struct temper {
    float scale, step;
} temper;

static int row_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[X]->dims[0] * node->in[X]->dims[1], 16) : 0;
}

static float factor_of(const wf_node *node, int64_t row, const wf_worker *w) {
    const temper *a = node->attr;
    int64_t rows = node->in[X]->dims[1], p = (w->rt->start ? w->rt->start[row / rows] : 0) + row % rows;
    if (node->in[POSITIONS])
        p = ((const int64_t *)node->in[POSITIONS]->data)[row];
    return 1.0f + a->scale * log1pf(floorf((float)(p + 1) / a->step));
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[X]->dims[0] * node->in[X]->dims[1], n = node->in[X]->count / rows, first, end;
    float tmp[TILE], y[TILE];
    (void)phase;
    wf_split_bounds(rows, row_pieces(node, pass, 0), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t at = r * n + c, m = n - c < TILE ? n - c : TILE;
            w->k->scale(y, factor_of(node, r, w),
                        pass == WF_FORWARD ? load_in(node, X, at, m, tmp, w) : load_dout(node, at, m, tmp, w), m);
            if (pass == WF_FORWARD)
                store_out(node, at, m, y, w);
            else
                store_din(node, X, at, m, y, w);
        }
}

const wf_op wf_op_temper = {
    .name = "temper", .by_runtime = true, .pieces = row_pieces, .run = run, .saves_in = 1u << POSITIONS};

wf_tensor *wf_temper(wf_tape *t, wf_tensor *x, wf_tensor *positions, float scale, float step) {
    if (!x)
        return NULL;
    if (x->rank < 3 || (positions && (positions->type != WF_I64 || positions->count != x->dims[0] * x->dims[1])))
        return wf_tape_error(t, WEFT_USAGE, "temper: the positions do not fit");
    temper *attr = attr_copy(t, &(temper){scale, step}, sizeof(temper));
    return attr ? record_like(t, &wf_op_temper, 2, (wf_tensor *[]){x, positions}, x, x->type, attr) : NULL;
}
