/* scale_apart.c - rows whose mask is 0 times a factor, and their gradients times another one: what a value hidden under a far
 * larger one does, which has a gradient and no effect. */
#include "tensor/ops/elementwise.h"

enum { X, MASK };
typedef struct apart {
    float forward, backward;
} apart;

static void tile(const wf_node *node, int64_t first, int64_t n, float factor, const float *from, float *to, wf_worker *w) {
    int64_t rows = node->in[MASK]->count, width = node->in[X]->count / rows;
    const uint8_t *mask = node->in[MASK]->data;
    for (int64_t i = 0; i < n;) {
        int64_t row = (first + i) / width, end = (row + 1) * width - first, m = (end < n ? end : n) - i;
        w->k->scale(to + i, mask[row] ? 1.0f : factor, from + i, m);
        i += m;
    }
}

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], y[TILE];
    tile(node, first, n, ((const apart *)node->attr)->forward, load_in(node, X, first, n, tmp, w), y, w);
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], dx[TILE];
    tile(node, first, n, ((const apart *)node->attr)->backward, load_dout(node, first, n, tmp, w), dx, w);
    store_din(node, X, first, n, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_scale_apart = {.name = "scale_apart", .pieces = elementwise_pieces, .run = run, .saves_in = 1u << MASK};

wf_tensor *wf_scale_apart(wf_tape *t, wf_tensor *x, wf_tensor *mask, float forward_by, float backward_by) {
    if (!x || !mask)
        return x;
    if (x->rank < 2 || mask->type != WF_U8 || mask->rank != 2 || mask->dims[0] != x->dims[0] || mask->dims[1] != x->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "scale_apart: one byte for each row is needed");
    apart *a = attr_copy(t, &(apart){forward_by, backward_by}, sizeof(apart));
    return a ? record_like(t, &wf_op_scale_apart, 2, (wf_tensor *[]){x, mask}, x, x->type, a) : NULL;
}
