/* panels.h - products with a matrix that lies in panels already: y = x W^T + b, row by row of x, W [n,k].
 *
 * A panel is some rows of W (missing ones are zero) side by side, [k][columns], as many as the kernels' panel_form says; one
 * behind the other. A row of y has the same bits whatever rows are beside it. */
#ifndef WF_KERNELS_GEMM_PANELS_H
#define WF_KERNELS_GEMM_PANELS_H
#include "kernels/kernels.h"

typedef struct wf_panels {
    const float *x, *panels, *bias; /* [m,k]; W; [n] or NULL */
    float *y;                       /* [m,n] */
    const void *ahead;              /* what is read next, fetched at the end; NULL: nothing */
    int64_t n, k;
    bool copied; /* the scratch is as a call before left it that had the same rows of x, where wf_panels_keeps */
} wf_panels;

enum {
    WF_PANELS_ROWS = 8 * WF_GEMM_ROWS
}; /* of x that a call had best have: they and what comes of them stay in the second cache */

static inline size_t wf_panels_size(int64_t n, int64_t k) { /* in floats */
    return (size_t)((n + WF_GEMM_COLUMNS - 1) / WF_GEMM_COLUMNS * WF_GEMM_COLUMNS * k);
}
/* W[i][j] lies at i*ld + j or, turned, at j*ld + i. */
void wf_panels_pack(const wf_kernels *kernels, float *panels, const float *w, int64_t ld, bool turned, int64_t n, int64_t k);
/* Bytes of scratch of wf_panels_run. */
size_t wf_panels_scratch(const wf_kernels *kernels, int64_t k);
/* Whether a call with so many rows leaves in its scratch what another one with the same rows would put there. */
bool wf_panels_keeps(const wf_kernels *kernels, int64_t rows, int64_t k);
/* Rows first..end-1 of y and of its columns from..to-1, `from` a multiple of WF_GEMM_COLUMNS. */
void wf_panels_run(const wf_kernels *kernels, const wf_panels *p, int64_t first, int64_t end, int64_t from, int64_t to,
                   void *scratch);
#endif
