/* scale_by.c - y = x * s with a learned or computed scalar s. ds = sum of dy*x, in fp64 over fixed pieces. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    if (phase == 1)
        return pass == WF_BACKWARD && node->grad_mode[1] ? 1 : 0;
    return elementwise_pieces(node, pass, phase);
}

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], y[TILE];
    w->k->scale(y, ((const float *)node->in[1]->data)[0], load_in(node, 0, first, n, tmp, w), n);
    store_out(node, first, n, y, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE], other[TILE], dx[TILE];
    const float *dy = load_dout(node, first, n, tmp, w);
    double *sums = node->work_data[WF_BACKWARD];
    sums[first / TILE] = w->k->dot(dy, load_in(node, 0, first, n, other, w), n);
    w->k->scale(dx, ((const float *)node->in[1]->data)[0], dy, n);
    store_din(node, 0, first, n, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t count = node->out[0]->count, n = wf_split_pieces(count, 8192), first, end;
    const double *sums = node->work_data[WF_BACKWARD];
    double total = 0.0;
    wf_split_bounds(count / TILE + 1, (int)n, piece, &first, &end); /* whole tiles, so that each has one sum */
    end = end * TILE < count ? end * TILE : count;
    if (phase == 0) {
        for (int64_t i = first * TILE; i < end; i += TILE)
            (pass == WF_FORWARD ? forward : backward)(node, i, end - i < TILE ? end - i : TILE, w);
        return;
    }
    for (int64_t i = 0; i * TILE < count; i++)
        total += sums[i];
    store_din(node, 1, 0, 1, &(float){(float)total}, w);
}

const wf_op wf_op_scale_by = {.name = "scale_by", .pieces = pieces, .run = run, .saves_in = 3};

wf_tensor *wf_scale_by(wf_tape *t, wf_tensor *x, wf_tensor *s) {
    if (!x || !s)
        return NULL;
    if (s->count != 1 || s->type != WF_F32)
        return wf_tape_error(t, WEFT_USAGE, "scale_by: the factor is not one number");
    wf_tensor *y = record_like(t, &wf_op_scale_by, 2, (wf_tensor *[]){x, s}, x, x->type, NULL);
    if (y)
        y->producer->work[WF_BACKWARD] = (size_t)(x->count / TILE + 1) * sizeof(double);
    return y;
}
