/* mask_positions.c - positions counted over the rows that are not padding (OPT): 0, 1, ..; padding stands at -1. A sequence
 * that has been decoded for a while goes on counting from there. */
#include "tensor/ops/elementwise.h"

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[0]->dims[1], seen = (w->rt->start ? w->rt->start[piece] : 0) - 1;
    const uint8_t *mask = (const uint8_t *)node->in[0]->data + piece * rows;
    int64_t *to = (int64_t *)node->out[0]->data + piece * rows;
    (void)pass, (void)phase;
    for (int64_t i = 0; i < rows; i++) {
        seen += mask[i] != 0;
        to[i] = mask[i] ? seen : -1;
    }
}

const wf_op wf_op_mask_positions = {
    .name = "mask_positions", .by_runtime = true, .pieces = batch_pieces, .run = run, .no_grad = true};

wf_tensor *wf_mask_positions(wf_tape *t, wf_tensor *mask) {
    if (!mask)
        return NULL;
    if (mask->type != WF_U8 || mask->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "mask_positions: a mask [B,T] is needed");
    wf_tensor *y = wf_out(t, WF_I64, 2, mask->dims);
    return y && wf_record(t, &wf_op_mask_positions, 1, &mask, 1, &y, NULL) ? y : NULL;
}
