/* find_token.c - the row of the first token of a kind in each sequence, for wf_take_rows; 0 where there is none. */
#include "tensor/ops/elementwise.h"

typedef struct find_token {
    int64_t token;
} find_token;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[0]->dims[1], at = 0, token = ((const find_token *)node->attr)->token;
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    while (at < rows && ids[at] != token)
        at++;
    ((int32_t *)node->out[0]->data)[piece] = at < rows ? (int32_t)at : 0;
}

const wf_op wf_op_find_token = {.name = "find_token", .pieces = batch_pieces, .run = run, .no_grad = true};

wf_tensor *wf_find_token(wf_tape *t, wf_tensor *ids, int64_t token) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "find_token: int32 ids [B,T] are needed");
    find_token *a = attr_copy(t, &(find_token){token}, sizeof(find_token));
    wf_tensor *y = wf_out(t, WF_I32, 3, (int64_t[]){ids->dims[0], 1, 1});
    return a && y && wf_record(t, &wf_op_find_token, 1, &ids, 1, &y, a) ? y : NULL;
}
