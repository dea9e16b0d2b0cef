/* cast.c - fp32 <-> bf16. */
#include "tensor/ops/elementwise.h"

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE];
    store_out(node, first, n, load_in(node, 0, first, n, tmp, w), w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    float tmp[TILE];
    store_din(node, 0, first, n, load_dout(node, first, n, tmp, w), w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    elementwise_rows(node, first, end, forward, w);
}

const wf_op wf_op_cast = {.name = "cast", .pieces = elementwise_pieces, .run = run, .run_rows = run_rows};

wf_tensor *wf_cast(wf_tape *t, wf_tensor *x, wf_dtype type) {
    if (!x || x->type == type)
        return x;
    if ((x->type != WF_F32 && x->type != WF_BF16) || (type != WF_F32 && type != WF_BF16))
        return wf_tape_error(t, WEFT_USAGE, "cast: only between fp32 and bf16");
    return record_like(t, &wf_op_cast, 1, &x, x, type, NULL);
}
