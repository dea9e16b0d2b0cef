/* max_pairs.c - y_k = max(x_2k, x_2k+1), maxout of two (Goodfellow et al. 2013, arXiv 1302.4389). A tie goes to the first. */
#include "tensor/ops/elementwise.h"

static void tile(const wf_node *node, int64_t first, int64_t n, wf_worker *w, bool back) {
    float tx[2 * TILE], ty[TILE], out[2 * TILE];
    const float *x = load_in(node, 0, 2 * first, 2 * n, tx, w), *dy = back ? load_dout(node, first, n, ty, w) : NULL;
    for (int64_t i = 0; i < n; i++) {
        bool second = x[2 * i + 1] > x[2 * i];
        if (back) {
            out[2 * i] = second ? 0.0f : dy[i];
            out[2 * i + 1] = second ? dy[i] : 0.0f;
        } else {
            out[i] = x[2 * i + second];
        }
    }
    if (back)
        store_din(node, 0, 2 * first, 2 * n, out, w);
    else
        store_out(node, first, n, out, w);
}

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) { tile(node, first, n, w, false); }
static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) { tile(node, first, n, w, true); }

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

const wf_op wf_op_max_pairs = {.name = "max_pairs", .pieces = elementwise_pieces, .run = run, .saves_in = 1};

wf_tensor *wf_max_pairs(wf_tape *t, wf_tensor *x) {
    if (!x)
        return NULL;
    if (x->rank < 1 || wf_dim(x, -1) % 2 != 0)
        return wf_tape_error(t, WEFT_USAGE, "max_pairs: an even number of channels is needed");
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] /= 2;
    wf_tensor *y = wf_out(t, x->type, x->rank, dims);
    return y && wf_record(t, &wf_op_max_pairs, 1, &x, 1, &y, NULL) ? y : NULL;
}
