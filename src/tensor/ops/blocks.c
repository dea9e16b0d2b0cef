/* blocks.c - rows in fixed blocks with one more row each that stands for all of them (Guo et al. 2021, arXiv 2112.07916,
 * section 3.2): which block a row belongs to, the sums of their rows, which of the sums count, and T5's buckets of the
 * distances to them. */
#include "tensor/ops/elementwise.h"

typedef struct blocks {
    int64_t size, count, buckets, max_distance;
    bool bidirectional;
} blocks;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->out[0]->dims[0] : 0;
}

static int forward_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD ? batch_pieces(node, pass, phase) : 0;
}

/* ---- the block of a row ---- */
static void ids_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->out[0]->dims[1], size = ((const blocks *)node->attr)->size, full = 0;
    const uint8_t *mask = node->in[0] ? (const uint8_t *)node->in[0]->data + piece * rows : NULL;
    int32_t *to = (int32_t *)node->out[0]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = size - 1; i < rows; i += size)
        full += !mask || mask[i];
    for (int64_t i = 0; i < rows; i++) {
        int64_t block = i / size < full - 1 ? i / size : full - 1;
        to[i] = !mask || mask[i] ? (int32_t)block : -1;
    }
}

const wf_op wf_op_block_ids = {.name = "block_ids", .pieces = forward_pieces, .run = ids_run, .no_grad = true};

wf_tensor *wf_block_ids(wf_tape *t, wf_tensor *mask, int64_t batch, int64_t rows, int64_t size) {
    if (size < 1 || (mask && (mask->type != WF_U8 || mask->count != batch * rows)))
        return wf_tape_error(t, WEFT_USAGE, "block_ids: a mask [B,T] and blocks of a row or more are needed");
    blocks *a = attr_copy(t, &(blocks){.size = size}, sizeof(blocks));
    wf_tensor *y = wf_out(t, WF_I32, 2, (int64_t[]){batch, rows});
    return a && y && wf_record(t, &wf_op_block_ids, 1, &mask, 1, &y, a) ? y : NULL;
}

static bool are_ids(const wf_tensor *ids, int64_t count) { return ids->type == WF_I32 && ids->rank == 2 && count >= 1; }

/* ---- which blocks count ---- */
static void mask_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[0]->dims[1], count = node->out[0]->dims[1], last = -1;
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[0]->data + piece * count;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < rows; i++)
        last = ids[i] > last ? ids[i] : last;
    for (int64_t g = 0; g < count; g++)
        to[g] = g <= last;
}

const wf_op wf_op_block_mask = {.name = "block_mask", .pieces = forward_pieces, .run = mask_run, .no_grad = true};

wf_tensor *wf_block_mask(wf_tape *t, wf_tensor *ids, int64_t count) {
    if (!ids)
        return NULL;
    if (!are_ids(ids, count))
        return wf_tape_error(t, WEFT_USAGE, "block_mask: the blocks of rows [B,T] are needed");
    wf_tensor *y = wf_out(t, WF_U8, 2, (int64_t[]){ids->dims[0], count});
    return y && wf_record(t, &wf_op_block_mask, 1, &ids, 1, &y, NULL) ? y : NULL;
}

/* ---- distances ---- */
static void buckets_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const blocks *a = node->attr;
    int64_t rows = node->in[0]->dims[1];
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    int32_t *to = (int32_t *)node->out[0]->data + piece * rows * a->count;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < rows * a->count; i++)
        to[i] = (int32_t)wf_distance_bucket(i % a->count - ids[i / a->count], a->buckets, a->max_distance, a->bidirectional);
}

const wf_op wf_op_block_buckets = {.name = "block_buckets", .pieces = forward_pieces, .run = buckets_run, .no_grad = true};

wf_tensor *wf_block_buckets(wf_tape *t, wf_tensor *ids, int64_t count, int64_t buckets, int64_t max_distance,
                            bool bidirectional) {
    if (!ids)
        return NULL;
    if (!are_ids(ids, count) || ids->dims[1] > INT32_MAX / count)
        return wf_tape_error(t, WEFT_USAGE, "block_buckets: the blocks of rows [B,T] are needed");
    const blocks numbers = {.count = count, .buckets = buckets, .max_distance = max_distance, .bidirectional = bidirectional};
    blocks *a = attr_copy(t, &numbers, sizeof(blocks));
    wf_tensor *y = wf_out(t, WF_I32, 2, (int64_t[]){ids->dims[0], ids->dims[1] * count});
    return a && y && wf_record(t, &wf_op_block_buckets, 1, &ids, 1, &y, a) ? y : NULL;
}

/* ---- sums ---- */
enum { X, IDS };

static void sum_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[X], *y = node->out[0];
    int64_t rows = x->dims[1], width = x->dims[2], count = y->dims[1];
    const int32_t *ids = (const int32_t *)node->in[IDS]->data + piece * rows;
    float *sums = (float *)y->data + piece * count * width, *tmp = w->scratch;
    (void)phase;
    if (pass == WF_FORWARD)
        memset(sums, 0, (size_t)(count * width) * sizeof *sums);
    for (int64_t i = 0; i < rows; i++) {
        int64_t row = (piece * rows + i) * width;
        if (pass == WF_FORWARD && ids[i] >= 0) {
            w->k->axpy(sums + ids[i] * width, 1.0f, wf_load(w, x->data, x->type, row, width, tmp), width);
        } else if (pass == WF_BACKWARD) {
            if (ids[i] >= 0)
                memcpy(tmp, (const float *)y->grad + (piece * count + ids[i]) * width, (size_t)width * sizeof *tmp);
            else
                memset(tmp, 0, (size_t)width * sizeof *tmp);
            store_din(node, X, row, width, tmp, w);
        }
    }
}

const wf_op wf_op_block_sum = {.name = "block_sum", .pieces = batch_pieces, .run = sum_run, .saves_in = 1u << IDS};

wf_tensor *wf_block_sum(wf_tape *t, wf_tensor *x, wf_tensor *ids, int64_t count) {
    if (!x || !ids)
        return NULL;
    if (!are_ids(ids, count) || x->rank != 3 || x->dims[0] != ids->dims[0] || x->dims[1] != ids->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "block_sum: the blocks do not fit the rows");
    wf_tensor *y = wf_out(t, WF_F32, 3, (int64_t[]){x->dims[0], count, x->dims[2]});
    wf_node *node = y ? wf_record(t, &wf_op_block_sum, 2, (wf_tensor *[]){x, ids}, 1, &y, NULL) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)x->dims[2] * sizeof(float);
    return y;
}
