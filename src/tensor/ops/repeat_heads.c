/* repeat_heads.c - every head of [B,T,G,K] several times in a row, [B,T,G*times,K]: keys and values that heads share. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[0]), 16) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t n = wf_dim(node->in[0], -1), rows = wf_row_count(node->in[0]), times = wf_row_count(node->out[0]) / rows, first,
            end;
    float tmp[TILE], sum[TILE];
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            const float *x = pass == WF_FORWARD ? load_in(node, 0, r * n + c, m, tmp, w) : NULL;
            for (int64_t i = 0; x && i < times; i++)
                store_out(node, (r * times + i) * n + c, m, x, w);
            if (x)
                continue;
            memset(sum, 0, (size_t)m * sizeof *sum);
            for (int64_t i = 0; i < times; i++)
                w->k->add(sum, sum, load_dout(node, (r * times + i) * n + c, m, tmp, w), m);
            store_din(node, 0, r * n + c, m, sum, w);
        }
}

const wf_op wf_op_repeat_heads = {.name = "repeat_heads", .pieces = pieces, .run = run};

wf_tensor *wf_repeat_heads(wf_tape *t, wf_tensor *x, int64_t times) {
    if (!x || times == 1)
        return x;
    if (x->rank != 4 || times < 1)
        return wf_tape_error(t, WEFT_USAGE, "repeat_heads: x needs a batch, a time, heads and channels");
    wf_tensor *y = wf_out(t, x->type, 4, (int64_t[]){x->dims[0], x->dims[1], x->dims[2] * times, x->dims[3]});
    return y && wf_record(t, &wf_op_repeat_heads, 1, &x, 1, &y, NULL) ? y : NULL;
}
