/* token_globals.c - which rows are global when nobody says (Beltagy et al. 2020, section 3): the first, those before the first
 * token of a kind (the question before its separator), or those behind it and the one that follows. */
#include "tensor/ops/elementwise.h"

typedef struct token_globals {
    wf_globals kind;
    int64_t token;
} token_globals;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const token_globals *a = node->attr;
    int64_t rows = node->in[0]->dims[1], end = 0;
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[0]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    while (end < rows && ids[end] != a->token)
        end++;
    for (int64_t i = 0; i < rows; i++)
        to[i] = a->kind == WF_GLOBALS_FIRST ? i == 0 : a->kind == WF_GLOBALS_BEFORE ? i < end : i > end + 1;
}

const wf_op wf_op_token_globals = {.name = "token_globals", .pieces = batch_pieces, .run = run, .no_grad = true};

wf_tensor *wf_token_globals(wf_tape *t, wf_tensor *ids, wf_globals kind, int64_t token) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "token_globals: int32 ids [B,T] are needed");
    token_globals *a = attr_copy(t, &(token_globals){kind, token}, sizeof(token_globals));
    wf_tensor *y = wf_out(t, WF_U8, 2, ids->dims);
    return a && y && wf_record(t, &wf_op_token_globals, 1, &ids, 1, &y, a) ? y : NULL;
}
