/* unfold.c - the rows around each row side by side: y[b,t,k,:] = x[b, t + first + k*step, :], zeros beyond the ends. */
#include "tensor/ops/elementwise.h"

typedef struct unfold {
    int64_t first, count, step;
} unfold;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void forward(const wf_node *node, int64_t b, wf_worker *w) {
    const unfold *a = node->attr;
    int64_t rows = node->in[0]->dims[1], n = node->in[0]->dims[2];
    float tmp[TILE], zero[TILE] = {0};
    for (int64_t t = 0; t < rows; t++)
        for (int64_t k = 0; k < a->count; k++)
            for (int64_t c = 0; c < n; c += TILE) {
                int64_t from = t + a->first + k * a->step, m = n - c < TILE ? n - c : TILE;
                bool inside = from >= 0 && from < rows;
                store_out(node, ((b * rows + t) * a->count + k) * n + c, m,
                          inside ? load_in(node, 0, (b * rows + from) * n + c, m, tmp, w) : zero, w);
            }
}

static void backward(const wf_node *node, int64_t b, wf_worker *w) {
    const unfold *a = node->attr;
    int64_t rows = node->in[0]->dims[1], n = node->in[0]->dims[2];
    float tmp[TILE], sum[TILE];
    for (int64_t t = 0; t < rows; t++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            memset(sum, 0, (size_t)m * sizeof *sum);
            for (int64_t k = 0; k < a->count; k++) {
                int64_t to = t - a->first - k * a->step;
                if (to >= 0 && to < rows)
                    w->k->add(sum, sum, load_dout(node, ((b * rows + to) * a->count + k) * n + c, m, tmp, w), m);
            }
            store_din(node, 0, (b * rows + t) * n + c, m, sum, w);
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    (pass == WF_FORWARD ? forward : backward)(node, piece, w);
}

const wf_op wf_op_unfold = {.name = "unfold", .pieces = batch_pieces, .run = run};

wf_tensor *wf_unfold(wf_tape *t, wf_tensor *x, int64_t first, int64_t count, int64_t step) {
    if (!x || (first == 0 && count == 1))
        return x;
    if (x->rank != 3 || count < 1)
        return wf_tape_error(t, WEFT_USAGE, "unfold: rows [B,T,n] are needed");
    unfold *a = attr_copy(t, &(unfold){first, count, step}, sizeof(unfold));
    wf_tensor *y = wf_out(t, x->type, 3, (int64_t[]){x->dims[0], x->dims[1], count * x->dims[2]});
    return a && y && wf_record(t, &wf_op_unfold, 1, &x, 1, &y, a) ? y : NULL;
}
