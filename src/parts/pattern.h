/* pattern.h - the two halves of a sparsity pattern of kernel F (kernels/attention.h) from what a mixer says about one pair and
 * about one key: loops that every pattern shares. */
#ifndef WF_PARTS_PATTERN_H
#define WF_PARTS_PATTERN_H
#include "tensor/ops.h"

typedef enum wf_seen { WF_SEEN_NONE, WF_SEEN_SOME, WF_SEEN_ALL } wf_seen;
/* What is added to the score of row i and key j: -INFINITY hides the key. */
typedef float (*wf_pair_weight)(const wf_pattern_rows *r, int64_t i, int64_t j);
/* Which of the rows see key j; WF_SEEN_ALL only with weight 0. WF_SEEN_SOME may be said too often, which costs time only. */
typedef wf_seen (*wf_key_seen)(const wf_pattern_rows *r, int64_t j);

/* The function `weights` of a pattern. */
void wf_pattern_fill(const wf_pattern_rows *r, wf_pair_weight weight, const int64_t *keys, int count, float *out);
/* The function `next`: keys first..end-1 in order, those that no row sees left out. */
int wf_pattern_walk(const wf_pattern_rows *r, wf_key_seen seen, int64_t first, int64_t end, int64_t *at, int64_t *keys,
                    bool *whole);
#endif
