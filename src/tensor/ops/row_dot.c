/* row_dot.c - the product of two rows, one number per row: y[r] = sum_c a[r,c] b[r,c]. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[0]), 64) : 0;
}

static void forward(const wf_node *node, int64_t r, const wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1);
    float ta[TILE], tb[TILE];
    double sum = 0.0;
    for (int64_t c = 0; c < n; c += TILE) {
        int64_t m = n - c < TILE ? n - c : TILE;
        sum += w->k->dot(load_in(node, 0, r * n + c, m, ta, w), load_in(node, 1, r * n + c, m, tb, w), m);
    }
    ((float *)node->out[0]->data)[r] = (float)sum;
}

static void backward(const wf_node *node, int64_t r, const wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1);
    float dy = ((const float *)node->out[0]->grad)[r], tmp[TILE], dx[TILE];
    for (int i = 0; i < 2; i++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            w->k->scale(dx, dy, load_in(node, 1 - i, r * n + c, m, tmp, w), m);
            store_din(node, i, r * n + c, m, dx, w);
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t first, end, rows = wf_row_count(node->in[0]);
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 64), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        if (pass == WF_FORWARD)
            forward(node, r, w);
        else
            backward(node, r, w);
}

const wf_op wf_op_row_dot = {.name = "row_dot", .pieces = pieces, .run = run, .saves_in = 3};

wf_tensor *wf_row_dot(wf_tape *t, wf_tensor *a, wf_tensor *b) {
    if (!a || !b)
        return NULL;
    if (a->rank < 2 || !wf_same_shape(a, b))
        return wf_tape_error(t, WEFT_USAGE, "row_dot: rows of one shape are needed");
    wf_tensor *y = wf_out(t, WF_F32, a->rank - 1, a->dims);
    return y && wf_record(t, &wf_op_row_dot, 2, (wf_tensor *[]){a, b}, 1, &y, NULL) ? y : NULL;
}
