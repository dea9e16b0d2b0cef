/* embed.c - rows of a table by id or by position. The backward scatters: each piece owns a range of table columns and walks all
 * rows in order, so that equal ids add in a fixed order. */
#include "tensor/ops/elementwise.h"

enum { IDS, TABLE };
typedef struct embed {
    int64_t padding, offset, batch, rows;
    bool by_position;
} embed;

static int64_t row_id(const wf_node *node, int64_t i, const wf_worker *w) {
    const embed *a = node->attr;
    if (!a->by_position && node->in[IDS]->type == WF_I64)
        return ((const int64_t *)node->in[IDS]->data)[i];
    if (!a->by_position)
        return ((const int32_t *)node->in[IDS]->data)[i];
    if (node->in[IDS])
        return a->offset + ((const int64_t *)node->in[IDS]->data)[i];
    return a->offset + (w->rt->start ? w->rt->start[i / a->rows] : 0) + i % a->rows;
}

static int column_pieces(const wf_node *node) { return wf_split_pieces(wf_dim(node->in[TABLE], -1), 32); }
static int table_pieces(const wf_node *node) { return wf_split_pieces(node->in[TABLE]->count, 65536); }
static int64_t out_rows(const wf_node *node) { return node->out[0]->count / wf_dim(node->in[TABLE], -1); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    if (pass == WF_FORWARD)
        return phase == 0 ? wf_split_pieces(out_rows(node), 16) : 0;
    return phase == 0 ? table_pieces(node) : phase == 1 ? column_pieces(node) : 0;
}

static void forward(const wf_node *node, int piece, wf_worker *w) {
    int64_t n = wf_dim(node->in[TABLE], -1), entries = node->in[TABLE]->dims[0], first, end;
    const float *table = node->in[TABLE]->data;
    wf_split_bounds(out_rows(node), wf_split_pieces(out_rows(node), 16), piece, &first, &end);
    for (int64_t i = first; i < end; i++) {
        int64_t id = row_id(node, i, w);
        float *y = (float *)node->out[0]->data + i * n;
        if (id >= 0 && id < entries)
            memcpy(y, table + id * n, (size_t)n * sizeof *y);
        else
            memset(y, 0, (size_t)n * sizeof *y);
    }
}

static void zero_table(const wf_node *node, int piece, wf_worker *w) {
    float beta, *grad = wf_grad_in(node, TABLE, w, &beta);
    int64_t first, end;
    if (!grad || beta != 0.0f)
        return;
    wf_split_bounds(node->in[TABLE]->count, table_pieces(node), piece, &first, &end);
    memset(grad + first, 0, (size_t)(end - first) * sizeof *grad);
}

static void scatter(const wf_node *node, int piece, wf_worker *w) {
    const embed *a = node->attr;
    float beta, *grad = wf_grad_in(node, TABLE, w, &beta);
    const float *dy = node->out[0]->grad;
    int64_t n = wf_dim(node->in[TABLE], -1), entries = node->in[TABLE]->dims[0], first, end;
    if (!grad)
        return;
    wf_split_bounds(n, column_pieces(node), piece, &first, &end);
    for (int64_t i = 0; i < out_rows(node); i++) {
        int64_t id = row_id(node, i, w);
        if (id >= 0 && id < entries && id != a->padding)
            w->k->add(grad + id * n + first, grad + id * n + first, dy + i * n + first, end - first);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (pass == WF_FORWARD)
        forward(node, piece, w);
    else if (phase == 0)
        zero_table(node, piece, w);
    else
        scatter(node, piece, w);
}

const wf_op wf_op_embed = {
    .name = "embed", .by_runtime = true, .pieces = pieces, .run = run, .saves_in = 1u << IDS, .bare = true};
const wf_op wf_op_embed_positions = {
    .name = "embed_positions", .by_runtime = true, .pieces = pieces, .run = run, .saves_in = 1u << IDS};

static wf_tensor *lookup(wf_tape *t, wf_tensor *ids, wf_tensor *table, int64_t padding) {
    if (!table || (ids->type != WF_I32 && ids->type != WF_I64) || ids->rank + 1 > WF_MAX_RANK || table->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "embed: integer ids and a table [V, dim] are needed");
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, ids->dims, sizeof dims);
    dims[ids->rank] = table->dims[1];
    embed *attr = attr_copy(t, &(embed){.padding = padding}, sizeof(embed));
    wf_tensor *y = wf_out(t, WF_F32, ids->rank + 1, dims);
    return attr && y && wf_record(t, &wf_op_embed, 2, (wf_tensor *[]){ids, table}, 1, &y, attr) ? y : NULL;
}

/* E[ids] + scale * L[ids] R: rows of the adapted table without the table. */
static wf_tensor *adapted_rows(wf_tape *t, wf_tensor *ids, wf_tensor *table, const wf_adapter *a, int64_t padding) {
    wf_tensor *left = wf_rows(t, wf_use(t, a->left), a->first, a->rows), *right = wf_use(t, a->right);
    wf_tensor *y = lookup(t, ids, table, padding), *low = left ? lookup(t, ids, left, padding) : NULL;
    if (!y || !low || !right)
        return NULL;
    low = wf_reshape(t, low, 4, (int64_t[]){1, ids->count, 1, a->rank});
    low = wf_head_linear(t, low, wf_reshape(t, right, 3, (int64_t[]){1, a->rank, a->columns}), NULL);
    return low ? wf_add_scaled(t, y, wf_reshape(t, low, y->rank, y->dims), a->scales[0]) : NULL;
}

wf_tensor *wf_embed(wf_tape *t, wf_tensor *ids, wf_tensor *table, int64_t padding) {
    if (!ids || !table)
        return NULL;
    const wf_adapter *a = wf_adapter_of(table);
    if (a && !table->base && !a->magnitude && a->slices == 1 && table->rank == 2)
        return adapted_rows(t, ids, table, a, padding);
    return lookup(t, ids, wf_adapted(t, table), padding);
}

wf_tensor *wf_embed_positions(wf_tape *t, wf_tensor *table, int64_t batch, int64_t rows, wf_tensor *positions, int64_t offset) {
    if (!table)
        return NULL;
    embed *attr = attr_copy(t, &(embed){.padding = -1, .offset = offset, .batch = batch, .rows = rows, .by_position = true},
                            sizeof(embed));
    wf_tensor *y = wf_out(t, WF_F32, 3, (int64_t[]){batch, rows, table->dims[1]});
    return attr && y && wf_record(t, &wf_op_embed_positions, 2, (wf_tensor *[]){positions, table}, 1, &y, attr) ? y : NULL;
}
