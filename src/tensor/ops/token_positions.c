/* token_positions.c - what padding tokens say: positions counted over the tokens that are not padding (RoBERTa): padding + 1,
 * padding + 2, ..; a padding token stands at `padding`. A sequence that is being decoded goes on from the count that it has
 * kept behind its last row. */
#include "tensor/ops/elementwise.h"

typedef struct token_positions {
    int64_t padding;
    bool flag;     /* positions: padding has none; rows: those of other tokens */
    int64_t later; /* rows: so many behind them */
} token_positions;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const token_positions *a = node->attr;
    int64_t padding = a->padding, rows = node->in[0]->dims[1], start = w->rt->start ? w->rt->start[piece] : 0;
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    int32_t *kept = node->n_in > 1 ? (int32_t *)node->in[1]->data + piece * node->in[1]->dims[1] + start : NULL;
    int64_t *to = (int64_t *)node->out[0]->data + piece * rows, seen = !kept ? start : start > 0 ? kept[-1] : 0;
    (void)pass, (void)phase;
    for (int64_t i = 0; i < rows; i++) {
        bool there = ids[i] != padding;
        seen += there;
        to[i] = there ? padding + seen : a->flag ? -1 : padding;
        if (kept && start + i < node->in[1]->dims[1])
            kept[i] = (int32_t)seen;
    }
}

const wf_op wf_op_token_positions = {
    .name = "token_positions", .by_runtime = true, .pieces = batch_pieces, .run = run, .no_grad = true};

wf_tensor *wf_token_positions(wf_tape *t, wf_tensor *ids, wf_tensor *kept, int64_t padding, bool blank) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "token_positions: int32 ids [B,T] are needed");
    if (kept && (kept->type != WF_I32 || kept->rank != 2 || kept->dims[0] != ids->dims[0]))
        return wf_tape_error(t, WEFT_USAGE, "token_positions: kept counts are int32 [B,cap]");
    token_positions *a = attr_copy(t, &(token_positions){padding, blank, 0}, sizeof(token_positions));
    wf_tensor *y = wf_out(t, WF_I64, 2, ids->dims);
    return a && y && wf_record(t, &wf_op_token_positions, kept ? 2 : 1, (wf_tensor *[]){ids, kept}, 1, &y, a) ? y : NULL;
}

/* ---- as many rows as there are other tokens ---- */
static void mask_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t padding = ((const token_positions *)node->attr)->padding, rows = node->in[0]->dims[1], length = 0;
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[0]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < rows; i++)
        length += ids[i] != padding;
    for (int64_t i = 0; i < rows; i++)
        to[i] = i < length;
}

const wf_op wf_op_token_mask = {
    .name = "token_mask", .by_runtime = true, .pieces = batch_pieces, .run = mask_run, .no_grad = true};

wf_tensor *wf_token_mask(wf_tape *t, wf_tensor *ids, int64_t padding) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "token_mask: int32 ids [B,T] are needed");
    token_positions *a = attr_copy(t, &(token_positions){padding, false, 0}, sizeof(token_positions));
    wf_tensor *y = wf_out(t, WF_U8, 2, ids->dims);
    return a && y && wf_record(t, &wf_op_token_mask, 1, &ids, 1, &y, a) ? y : NULL;
}

/* ---- the rows of one token ---- */
static void rows_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const token_positions *a = node->attr;
    int64_t rows = node->in[0]->dims[1];
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[0]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    memset(to, 0, (size_t)rows);
    for (int64_t i = 0; i < rows; i++)
        to[i + a->later < rows ? i + a->later : rows - 1] |= (ids[i] == a->padding) != a->flag;
}

const wf_op wf_op_token_rows = {.name = "token_rows", .pieces = batch_pieces, .run = rows_run, .no_grad = true};

wf_tensor *wf_token_rows(wf_tape *t, wf_tensor *ids, int64_t token, bool others, int64_t later) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "token_rows: int32 ids [B,T] are needed");
    token_positions *a = attr_copy(t, &(token_positions){token, others, later}, sizeof(token_positions));
    wf_tensor *y = wf_out(t, WF_U8, 2, ids->dims);
    return a && y && wf_record(t, &wf_op_token_rows, 1, &ids, 1, &y, a) ? y : NULL;
}
