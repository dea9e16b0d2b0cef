/* int8.h - weights kept as int8 for products without a gradient: y = x W^T + b, x quantised row by row as it comes.
 *
 * First both sides are balanced: column p of W is divided by balance[p], the root of its size in the mean, and x[p]
 * multiplied with it, so that a few large numbers of x, which meet small weights, do not make the steps of all coarse (Xiao
 * et al. 2022, arXiv 2211.10438, without looking at x); some columns change their sign with it. Then they are cut into groups
 * of WF_INT8_GROUP along k (the last one filled up with zeros), and both sides of a group are turned by the same Hadamard
 * matrix, which leaves their product as it is and spreads what is large over all numbers (Ashkboos et al. 2024, arXiv
 * 2404.00456). `span` groups, a span, share numbers of their own (the last span may have fewer):
 *     W[j, span] = scale * q, q in -127..127, those of FOUR above zero at most `four` together, those below at least -four
 *     x[i, span] = least + step * u, u in 0..levels
 *     y[i, j] = bias[j] + sum over spans of (step * scale * sum(u q) + least * scale * sum(q)), sums of products exact.
 * FOUR are numbers 8s + 2h + (0, 1, 4, 5), h 0 or 1: where levels * four < 2^15 their products fit 16 bits together, which is
 * how AVX2 sums them, two and two. Instructions that sum products of bytes in 32 bits need no such limit, and have finer steps
 * that more numbers share. Theirs are `centred`: least = -step * levels/2, and the second sum is in the first, exact, which
 * begins with -levels/2 * sum(q).
 *
 * A packed weight is balance [groups*GROUP], fp32, then panels of WF_INT8_PANEL rows of W (missing ones are zero), a panel one
 * block for each span: q [numbers of the span/4][PANEL][4], then scale [PANEL], fp32, and what the second sum takes, [PANEL]:
 * scale * sum(q), fp32, or, centred, -levels/2 * sum(q), int32. Wanted aligned to 64. */
#ifndef WF_KERNELS_INT8_H
#define WF_KERNELS_INT8_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WF_INT8_GROUP = 64, WF_INT8_PANEL = 16, WF_INT8_MOST_SPAN = 2 };
enum { WF_INT8_ROWS = 12, WF_INT8_COLUMNS = 2 * WF_INT8_PANEL, WF_INT8_STEPS = WF_INT8_GROUP / 4 }; /* most of one int8_block */

typedef struct wf_int8_form { /* how the kernels want both sides */
    int32_t levels;           /* the largest u */
    int32_t four;             /* the largest sum of FOUR q of one sign */
    int32_t span;             /* 1..WF_INT8_MOST_SPAN groups */
    bool centred;
} wf_int8_form;

typedef struct wf_int8_args {
    float *c;            /* [m,n], rows ldc apart */
    const uint8_t *q;    /* m rows quantised, one behind the other, */
    const float *ranges; /* and theirs */
    const uint8_t *w;    /* panels */
    const float *bias;   /* [n] or NULL */
    int64_t ldc, groups;
    int64_t m, n;         /* at most WF_INT8_ROWS, any */
    const uint8_t *ahead; /* groups * WF_INT8_STEPS * ahead_step bytes are fetched meanwhile, from here on */
    int64_t ahead_step;
    const wf_int8_form *form; /* the kernels' own */
} wf_int8_args;

static inline int64_t wf_int8_groups(int64_t k) { return (k + WF_INT8_GROUP - 1) / WF_INT8_GROUP; }
static inline int64_t wf_int8_spans(const wf_int8_form *form, int64_t groups) { return (groups + form->span - 1) / form->span; }
static inline size_t wf_int8_head(int64_t k) { return (size_t)(wf_int8_groups(k) * WF_INT8_GROUP) * sizeof(float); }
static inline int64_t wf_int8_panel_bytes(const wf_int8_form *form, int64_t groups) {
    return groups * WF_INT8_GROUP * WF_INT8_PANEL + wf_int8_spans(form, groups) * 2 * WF_INT8_PANEL * (int64_t)sizeof(float);
}
static inline size_t wf_int8_bytes(const wf_int8_form *form, int64_t rows, int64_t k) {
    return wf_int8_head(k) +
           (size_t)((rows + WF_INT8_PANEL - 1) / WF_INT8_PANEL * wf_int8_panel_bytes(form, wf_int8_groups(k)));
}
/* The Hadamard matrix of a group, v [GROUP][lanes] in place: sums and differences of numbers 32, 16, .., 1 apart. */
void wf_int8_rotate(float *v, int lanes);
/* W [rows, k], to [wf_int8_bytes]; balance: that of another matrix, NULL: its own. */
void wf_int8_pack(const wf_int8_form *form, uint8_t *to, const float *w, int64_t rows, int64_t k, const float *balance);
#endif
