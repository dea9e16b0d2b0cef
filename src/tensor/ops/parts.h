/* parts.h - for ops on the block kernels: gradients that pieces leave in parts, in the memory of a pass, and that a second phase sums
 * in a fixed order. */
#ifndef WF_TENSOR_OPS_PARTS_H
#define WF_TENSOR_OPS_PARTS_H
#include "tensor/ops/elementwise.h"

/* The next n floats of a block; without memory only the count is wanted. */
static inline float *carve(float *base, size_t *at, int64_t n) {
    float *p = base ? base + *at : NULL;
    *at += (size_t)n;
    return p;
}

static inline float *data_of(const wf_tensor *x) { return x ? x->data : NULL; }

/* The gradient of in[i] itself, when a piece may write its share there (nothing to keep, nothing to sum), else `part`. */
static inline float *direct_or(const wf_node *node, int i, bool whole, float *part, const wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    return grad && whole && beta == 0.0f ? grad : part;
}

/* to = beta*to + the sum of `count` rows of n, `stride` apart, in order; nothing when they are the same memory. */
static inline void add_rows(float *to, float beta, const float *from, int64_t count, int64_t stride, int64_t n, const wf_worker *w) {
    if (to == from)
        return;
    for (int64_t i = 0; i < count; i++, beta = 1.0f)
        wf_store(w, to, WF_F32, 0, n, from + i * stride, beta);
}

/* Elements first..end-1 of the gradient of in[i] += those of `count` parts, `stride` apart. */
static inline void add_parts(const wf_node *node, int i, int64_t first, int64_t end, const float *from, int64_t count, int64_t stride,
                             const wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (grad && grad != from)
        add_rows(grad + first, beta, from + first, count, stride, end - first, w);
}
#endif
