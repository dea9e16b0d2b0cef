/* time_shift.c - every row becomes the one before it: the token shift of RWKV (Peng et al. 2023, arXiv 2305.13048,
 * section 3.1.1). A piece is one sequence. */
#include "tensor/ops/elementwise.h"

enum { X, S_IN };
enum { Y, S_OUT };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->out[Y]->dims[0] : 0;
}

/* The state is read before it is written: they may be the same memory. */
static void forward(const wf_node *node, int64_t b, const wf_worker *w) {
    const wf_tensor *x = node->in[X], *y = node->out[Y];
    int64_t width = wf_dim(x, -1), n = x->dims[1] * width;
    size_t size = wf_dtypes[x->type].size, row = (size_t)width * size;
    char *to = (char *)y->data + (size_t)(b * n) * size;
    const char *from = (const char *)x->data + (size_t)(b * n) * size;
    if (node->in[S_IN])
        wf_store(w, y->data, y->type, b * n, width, (const float *)node->in[S_IN]->data + b * width, 0.0f);
    else
        memset(to, 0, row);
    memcpy(to + row, from, (size_t)(x->dims[1] - 1) * row);
    float tmp[TILE];
    for (int64_t c = 0; node->n_out > S_OUT && c < width; c += TILE) {
        int64_t m = width - c < TILE ? width - c : TILE;
        memcpy((float *)node->out[S_OUT]->data + b * width + c, load_in(node, X, (b + 1) * n - width + c, m, tmp, w),
               (size_t)m * sizeof(float));
    }
}

/* dx_t = dy_{t+1}; the last row is the state that went out, the first of y the one that came in. */
static void backward(const wf_node *node, int64_t b, const wf_worker *w) {
    int64_t width = wf_dim(node->in[X], -1), n = node->in[X]->dims[1] * width;
    const float *last = node->n_out > S_OUT ? node->out[S_OUT]->grad : NULL;
    float tmp[TILE], zero[TILE] = {0};
    for (int64_t i = 0; i < n; i += TILE) { /* of dy, one row on */
        int64_t m = n - width - i < TILE ? n - width - i : TILE;
        if (m > 0)
            store_din(node, X, b * n + i, m, node->out[Y]->grad ? load_dout(node, b * n + width + i, m, tmp, w) : zero, w);
    }
    for (int64_t c = 0; c < width; c += TILE) {
        int64_t m = width - c < TILE ? width - c : TILE;
        store_din(node, X, b * n + n - width + c, m, last ? last + b * width + c : zero, w);
        if (node->in[S_IN])
            store_din(node, S_IN, b * width + c, m, node->out[Y]->grad ? load_dout(node, b * n + c, m, tmp, w) : zero, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    if (pass == WF_FORWARD)
        forward(node, piece, w);
    else
        backward(node, piece, w);
}

const wf_op wf_op_time_shift = {.name = "time_shift", .pieces = pieces, .run = run, .in_place = 1u << S_OUT};

wf_tensor *wf_time_shift(wf_tape *t, wf_tensor *x, wf_tensor *s_in, wf_tensor **s_out) {
    wf_no_output(s_out);
    if (!x)
        return NULL;
    if (x->rank != 3 || (s_in && s_in->count != x->dims[0] * x->dims[2]))
        return wf_tape_error(t, WEFT_USAGE, "time_shift: the shapes of x and the state do not fit together");
    wf_tensor *in[] = {x, s_in ? wf_cast(t, s_in, WF_F32) : NULL};
    wf_tensor *out[2] = {wf_out(t, x->type, 3, x->dims),
                         s_out ? wf_out(t, WF_F32, 2, (int64_t[]){x->dims[0], x->dims[2]}) : NULL};
    if (!wf_record(t, &wf_op_time_shift, 2, in, s_out ? 2 : 1, out, NULL))
        return NULL;
    if (s_out)
        *s_out = out[S_OUT];
    return out[Y];
}
