/* id_column.c - ids made of ids: a column of several that stand together, the difference of two (a width from two corners), or
 * one id for every row. */
#include "tensor/ops/elementwise.h"

typedef struct id_column {
    int64_t plus, minus, add;
} id_column;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? wf_split_pieces(node->out[0]->count, 4096) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const id_column *a = node->attr;
    const int32_t *ids = node->in[0]->data;
    int64_t columns = node->in[0]->count / node->out[0]->count, first, end;
    int32_t *y = node->out[0]->data;
    (void)pass, (void)phase, (void)w;
    wf_split_bounds(node->out[0]->count, wf_split_pieces(node->out[0]->count, 4096), piece, &first, &end);
    for (int64_t i = first; i < end; i++)
        y[i] = (int32_t)(a->add + (a->plus < 0 ? 0 : ids[i * columns + a->plus]) -
                         (a->minus < 0 ? 0 : ids[i * columns + a->minus]));
}

const wf_op wf_op_id_column = {.name = "id_column", .pieces = pieces, .run = run, .no_grad = true};

wf_tensor *wf_id_column(wf_tape *t, wf_tensor *ids, int64_t plus, int64_t minus, int64_t add) {
    if (!ids)
        return NULL;
    int64_t columns = ids->rank == 3 ? ids->dims[2] : 1;
    if (ids->type != WF_I32 || ids->rank < 2 || ids->rank > 3 || plus >= columns || minus >= columns)
        return wf_tape_error(t, WEFT_USAGE, "id_column: int32 ids [B,T] or [B,T,columns] are needed");
    id_column *a = attr_copy(t, &(id_column){plus, minus, add}, sizeof(id_column));
    wf_tensor *y = wf_out(t, WF_I32, 2, ids->dims);
    return a && y && wf_record(t, &wf_op_id_column, 1, &ids, 1, &y, a) ? y : NULL;
}
