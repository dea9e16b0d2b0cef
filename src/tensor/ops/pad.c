/* pad.c - what stands behind a sequence that is filled up: a token, and a mask of zeros. */
#include "tensor/ops/elementwise.h"

typedef struct mask_pad {
    int64_t rows, value;
} mask_pad;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->out[0]->dims[0] : 0;
}

static void mask_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *mask = node->in[0];
    int64_t rows = ((const mask_pad *)node->attr)->rows, all = node->out[0]->dims[1];
    uint8_t *to = (uint8_t *)node->out[0]->data + piece * all;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < all; i++)
        to[i] = i < rows && (!mask || ((const uint8_t *)mask->data)[piece * rows + i]);
}

const wf_op wf_op_mask_pad = {.name = "mask_pad", .pieces = batch_pieces, .run = mask_run, .no_grad = true};

wf_tensor *wf_mask_pad(wf_tape *t, wf_tensor *mask, int64_t batch, int64_t rows, int64_t total) {
    mask_pad *a = attr_copy(t, &(mask_pad){rows, 0}, sizeof(mask_pad));
    wf_tensor *y = wf_out(t, WF_U8, 2, (int64_t[]){batch, total});
    return a && y && wf_record(t, &wf_op_mask_pad, 1, &mask, 1, &y, a) ? y : NULL;
}

static void id_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const mask_pad *a = node->attr;
    int64_t all = node->out[0]->dims[1];
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * a->rows;
    int32_t *to = (int32_t *)node->out[0]->data + piece * all;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < all; i++)
        to[i] = i < a->rows ? ids[i] : (int32_t)a->value;
}

const wf_op wf_op_id_pad = {.name = "id_pad", .pieces = batch_pieces, .run = id_run, .no_grad = true};

wf_tensor *wf_id_pad(wf_tape *t, wf_tensor *ids, int64_t total, int64_t id) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2 || total < ids->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "id_pad: int32 ids [B,T] and more rows are needed");
    mask_pad *a = attr_copy(t, &(mask_pad){ids->dims[1], id}, sizeof(mask_pad));
    wf_tensor *y = wf_out(t, WF_I32, 2, (int64_t[]){ids->dims[0], total});
    return a && y && wf_record(t, &wf_op_id_pad, 1, &ids, 1, &y, a) ? y : NULL;
}
