/* find_token.c - the row of the first token of a kind in each sequence, for wf_take_rows, 0 where there is none; which rows
 * stand behind it. */
#include "tensor/ops/elementwise.h"

typedef struct find_token {
    int64_t token;
} find_token;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static int64_t first_row(const wf_node *node, int piece) {
    int64_t rows = node->in[0]->dims[1], at = 0, token = ((const find_token *)node->attr)->token;
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    while (at < rows && ids[at] != token)
        at++;
    return at < rows ? at : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)pass, (void)phase, (void)w;
    ((int32_t *)node->out[0]->data)[piece] = (int32_t)first_row(node, piece);
}

static void behind_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[0]->dims[1], first = first_row(node, piece), at = piece * rows;
    const wf_tensor *y = node->out[0];
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < rows; i++)
        if (y->type == WF_I32)
            ((int32_t *)y->data)[at + i] = i > first;
        else
            ((uint8_t *)y->data)[at + i] = i > first || i == 0;
}

const wf_op wf_op_find_token = {.name = "find_token", .pieces = batch_pieces, .run = run, .no_grad = true};
const wf_op wf_op_behind_token = {.name = "behind_token", .pieces = batch_pieces, .run = behind_run, .no_grad = true};

static wf_tensor *record(wf_tape *t, const wf_op *op, wf_tensor *ids, int64_t token, wf_tensor *y) {
    find_token *a = attr_copy(t, &(find_token){token}, sizeof(find_token));
    return a && y && wf_record(t, op, 1, &ids, 1, &y, a) ? y : NULL;
}

static bool fits(wf_tape *t, const wf_tensor *ids) {
    if (ids && (ids->type != WF_I32 || ids->rank != 2))
        wf_tape_error(t, WEFT_USAGE, "find_token: int32 ids [B,T] are needed");
    return ids && ids->type == WF_I32 && ids->rank == 2;
}

wf_tensor *wf_find_token(wf_tape *t, wf_tensor *ids, int64_t token) {
    if (!fits(t, ids))
        return NULL;
    return record(t, &wf_op_find_token, ids, token, wf_out(t, WF_I32, 3, (int64_t[]){ids->dims[0], 1, 1}));
}

wf_tensor *wf_behind_token(wf_tape *t, wf_tensor *ids, int64_t token, bool mask) {
    if (!fits(t, ids))
        return NULL;
    return record(t, &wf_op_behind_token, ids, token, wf_out(t, mask ? WF_U8 : WF_I32, 2, ids->dims));
}
