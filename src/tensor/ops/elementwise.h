/* elementwise.h - the shared frame of ops that treat elements alike: pieces of at least 8192 elements, tiles of TILE. */
#ifndef WF_TENSOR_OPS_ELEMENTWISE_H
#define WF_TENSOR_OPS_ELEMENTWISE_H
#include "tensor/ops.h"

enum { TILE = 1024 };

static inline int elementwise_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->out[0]->count, 8192) : 0;
}

typedef void (*elementwise_tile)(const wf_node *node, int64_t first, int64_t n, wf_worker *w);

static inline void elementwise_run(const wf_node *node, int piece, elementwise_tile tile, wf_worker *w) {
    int64_t first, end, count = node->out[0]->count;
    wf_split_bounds(count, wf_split_pieces(count, 8192), piece, &first, &end);
    for (int64_t i = first; i < end; i += TILE)
        tile(node, i, end - i < TILE ? end - i : TILE, w);
}

/* Rows of the outermost dimensions: wf_op.run_rows. */
static inline void elementwise_rows(const wf_node *node, int64_t first, int64_t end, elementwise_tile tile, wf_worker *w) {
    int64_t n = node->out[0]->count / node->rows;
    for (int64_t i = first * n; i < end * n; i += TILE)
        tile(node, i, end * n - i < TILE ? end * n - i : TILE, w);
}

static inline const float *load_in(const wf_node *node, int i, int64_t first, int64_t n, float *tmp, const wf_worker *w) {
    return wf_load(w, node->in[i]->data, node->in[i]->type, first, n, tmp);
}
static inline const float *load_dout(const wf_node *node, int64_t first, int64_t n, float *tmp, const wf_worker *w) {
    return wf_load(w, node->out[0]->grad, node->out[0]->type, first, n, tmp);
}
static inline void store_out(const wf_node *node, int64_t first, int64_t n, const float *y, const wf_worker *w) {
    wf_store(w, node->out[0]->data, node->out[0]->type, first, n, y, 0.0f);
}
/* Where a tile of out[0] is computed: its place, or `tmp`, for put_out to convert. */
static inline float *out_or(const wf_node *node, int64_t first, float *tmp) {
    return node->out[0]->type == WF_F32 ? (float *)node->out[0]->data + first : tmp;
}
static inline void put_out(const wf_node *node, int64_t first, int64_t n, const float *y, const wf_worker *w) {
    if (node->out[0]->type != WF_F32)
        store_out(node, first, n, y, w);
}
/* Adds or writes the gradient of in[i]; nothing when none is wanted. */
static inline void store_din(const wf_node *node, int i, int64_t first, int64_t n, const float *dx, const wf_worker *w) {
    float beta;
    void *grad = wf_grad_in(node, i, w, &beta);
    if (grad)
        wf_store(w, grad, node->in[i]->type, first, n, dx, beta);
}
/* The record of an op of one shape: out like `like`, of type `type`. */
static inline wf_tensor *record_like(wf_tape *t, const wf_op *op, int n_in, wf_tensor *const *in, const wf_tensor *like,
                                     wf_dtype type, void *attr) {
    wf_tensor *y = wf_out(t, type, like->rank, like->dims);
    wf_node *node = y ? wf_record(t, op, n_in, in, 1, &y, attr) : NULL;
    if (node)
        node->rows = wf_row_count(y);
    return node ? y : NULL;
}
static inline void *attr_copy(wf_tape *t, const void *attr, size_t size) {
    void *copy = wf_arena_alloc(wf_tape_arena(t), size);
    if (!copy) {
        wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
        return NULL;
    }
    memcpy(copy, attr, size);
    return copy;
}
#endif
