/* int8.h - weights kept as int8 for products without a gradient: y = x W^T + b, x quantised row by row as it comes.
 *
 * First both sides are balanced: column p of W is divided by balance[p], the root of its size in the mean, and x[p]
 * multiplied with it, so that a few large numbers of x, which meet small weights, do not make the steps of all coarse (Xiao
 * et al. 2022, arXiv 2211.10438, without looking at x); some columns change their sign with it. Then they are cut into groups
 * of WF_INT8_GROUP along k (the last one filled up with zeros), and both sides of a group are turned by the same Hadamard
 * matrix, which leaves their product as it is and spreads what is large over all numbers (Ashkboos et al. 2024, arXiv
 * 2404.00456). Each group has numbers of its own:
 *     W[j, group] = scale * q, q in -127..127, those of FOUR above zero at most SUM together, those below at least -SUM
 *     x[i, group] = least + step * u, u in 0..LEVELS
 *     y[i, j] = bias[j] + sum over groups of (step * scale * sum(u q) + least * scale * sum(q)), sums of products exact.
 * FOUR are numbers 8s + 2h + (0, 1, 4, 5), h 0 or 1: their products fit 16 bits together (LEVELS * SUM < 2^15), which is how
 * AVX2 sums them, two and two.
 *
 * A packed weight is balance [groups*GROUP], fp32, then panels of WF_INT8_PANEL rows of W (missing ones are zero), a panel one
 * block for each group: q [GROUP/4][PANEL][4], then scale [PANEL] and scale * sum(q) [PANEL], fp32: WF_INT8_BLOCK bytes,
 * wanted aligned to 64. */
#ifndef WF_KERNELS_INT8_H
#define WF_KERNELS_INT8_H
#include <stddef.h>
#include <stdint.h>

enum { WF_INT8_GROUP = 64, WF_INT8_PANEL = 16, WF_INT8_BLOCK = WF_INT8_GROUP * WF_INT8_PANEL + 8 * WF_INT8_PANEL };
enum { WF_INT8_LEVELS = 150, WF_INT8_SUM = 218 }; /* the largest u; the largest sum of four q of one sign */
enum { WF_INT8_ROWS = 12, WF_INT8_COLUMNS = 2 * WF_INT8_PANEL, WF_INT8_STEPS = WF_INT8_GROUP / 4 }; /* most of one int8_block */

static inline int64_t wf_int8_groups(int64_t k) { return (k + WF_INT8_GROUP - 1) / WF_INT8_GROUP; }
static inline size_t wf_int8_head(int64_t k) { return (size_t)(wf_int8_groups(k) * WF_INT8_GROUP) * sizeof(float); }
static inline size_t wf_int8_bytes(int64_t rows, int64_t k) {
    return wf_int8_head(k) + (size_t)((rows + WF_INT8_PANEL - 1) / WF_INT8_PANEL * wf_int8_groups(k)) * WF_INT8_BLOCK;
}
/* The Hadamard matrix of a group, v [GROUP][lanes] in place: sums and differences of numbers 32, 16, .., 1 apart. */
void wf_int8_rotate(float *v, int lanes);
void wf_int8_pack(uint8_t *to, const float *w, int64_t rows, int64_t k); /* W [rows, k], to [wf_int8_bytes] */
#endif
