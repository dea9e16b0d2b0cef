/* repeat_batch.c - what all sequences share: x [1,..] -> [B,..]. The backward adds over the sequences. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[0]->count, 8192) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[0], *y = node->out[0];
    int64_t n = x->count, batch = y->count / n, first, end;
    float tmp[TILE], sum[TILE];
    wf_split_bounds(n, pieces(node, pass, phase), piece, &first, &end);
    for (int64_t i = first; i < end; i += TILE) {
        int64_t m = end - i < TILE ? end - i : TILE;
        memset(sum, 0, sizeof sum);
        for (int64_t b = 0; b < batch; b++)
            if (pass == WF_FORWARD)
                store_out(node, b * n + i, m, load_in(node, 0, i, m, tmp, w), w);
            else
                w->k->add(sum, sum, load_dout(node, b * n + i, m, tmp, w), m);
        if (pass == WF_BACKWARD)
            store_din(node, 0, i, m, sum, w);
    }
}

const wf_op wf_op_repeat_batch = {.name = "repeat_batch", .pieces = pieces, .run = run};

wf_tensor *wf_repeat_batch(wf_tape *t, wf_tensor *x, int64_t batch) {
    if (!x || (x->rank > 0 && x->dims[0] == batch && batch == 1))
        return x;
    if (x->rank < 1 || x->dims[0] != 1 || batch < 1)
        return wf_tape_error(t, WEFT_USAGE, "repeat_batch: one sequence is needed");
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[0] = batch;
    wf_tensor *y = wf_out(t, x->type, x->rank, dims);
    return y && wf_record(t, &wf_op_repeat_batch, 1, &x, 1, &y, NULL) ? y : NULL;
}
