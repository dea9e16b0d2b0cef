/* parts.h - for ops on the block kernels: gradients that pieces leave in parts, in the memory of a pass, and that a second
 * phase sums in a fixed order. */
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
static inline void add_rows(float *to, float beta, const float *from, int64_t count, int64_t stride, int64_t n,
                            const wf_worker *w) {
    if (to == from)
        return;
    for (int64_t i = 0; i < count; i++, beta = 1.0f)
        wf_store(w, to, WF_F32, 0, n, from + i * stride, beta);
}

/* Elements first..end-1 of the gradient of in[i] += those of `count` parts, `stride` apart. */
typedef struct sum_of {
    const float *from;
    int64_t count, stride;
} sum_of;
static inline void add_parts(const wf_node *node, int i, int64_t first, int64_t end, sum_of sum, const wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (grad && grad != sum.from)
        add_rows(grad + first, beta, sum.from + first, sum.count, sum.stride, end - first, w);
}

/* Rows that heads read in groups: [tokens, groups, width] of q, k and their like, parts [slices, tokens, heads, width]. */
typedef struct head_rows {
    int64_t tokens, heads, groups, width, slices;
} head_rows;

/* Gradient of in[i], tokens first..end-1: over the slices, and within each over the heads that read the same row. */
static inline void add_heads(const wf_node *node, int i, const float *from, int64_t first, int64_t end, const head_rows *a,
                             const wf_worker *w) {
    int64_t group = a->heads / a->groups, all = a->heads * a->width, slice = a->tokens * all;
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (!grad || grad == from)
        return;
    if (group == 1) {
        add_rows(grad + first * all, beta, from + first * all, a->slices, slice, (end - first) * all, w);
        return;
    }
    for (int64_t row = first * a->groups; row < end * a->groups; row++)
        for (int64_t s = 0; s < a->slices; s++)
            add_rows(grad + row * a->width, s ? 1.0f : beta, from + s * slice + row * group * a->width, group, a->width,
                     a->width, w);
}
#endif
