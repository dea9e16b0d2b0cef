/* panels.h - products with a matrix that lies in panels already: y = x W^T + b, row by row of x, W [n,k], in fp32 or in bf16.
 *
 * A panel is some rows of W (missing ones are zero) side by side, one panel behind the other: [k][columns], as many as the
 * kernels' panel_form says; of bf16 pairs of steps, [(k + 1)/2][WF_GEMM_COLUMNS][2]. A row of y has the same bits whatever rows
 * are beside it. */
#ifndef WF_KERNELS_GEMM_PANELS_H
#define WF_KERNELS_GEMM_PANELS_H
#include "kernels/kernels.h"

typedef struct wf_panels {
    const void *x, *panels; /* [m,k]; W; both of `type` */
    const float *bias;      /* [n] or NULL */
    void *y;                /* [m,n] */
    const void *ahead;      /* what is read next, fetched at the end; NULL: nothing */
    int64_t n, k;
    wf_dtype type, y_type; /* WF_F32 both; or WF_BF16, and either */
    bool copied;           /* the scratch is as a call before left it that had the same rows of x, where wf_panels_keeps */
} wf_panels;

enum {
    WF_PANELS_ROWS = 8 * WF_GEMM_ROWS
}; /* of x that a call had best have: they and what comes of them stay in the second cache */

/* Is there a fast product of this type? Otherwise W had better be read as it lies. */
bool wf_panels_fast(const wf_kernels *kernels, wf_dtype type);
/* Elements from the beginning of W's panels to those of row n, a multiple of WF_GEMM_COLUMNS. */
static inline int64_t wf_panels_at(wf_dtype type, int64_t n, int64_t k) { return n * (type == WF_BF16 ? (k + 1) / 2 * 2 : k); }
static inline size_t wf_panels_bytes(wf_dtype type, int64_t n, int64_t k) {
    int64_t rows = (n + WF_GEMM_COLUMNS - 1) / WF_GEMM_COLUMNS * WF_GEMM_COLUMNS;
    return (size_t)wf_panels_at(type, rows, k) * wf_dtypes[type].size;
}
/* W[i][j] lies at i*ld + j or, turned, at j*ld + i. */
void wf_panels_pack(const wf_kernels *kernels, float *panels, const float *w, int64_t ld, bool turned, int64_t n, int64_t k);
void wf_panels_pack_bf16(uint16_t *panels, const uint16_t *w, int64_t n, int64_t k);
/* Bytes of scratch of wf_panels_run. */
size_t wf_panels_scratch(const wf_kernels *kernels, wf_dtype type, int64_t k);
/* Whether a call with so many rows leaves in its scratch what another one with the same rows would put there. */
bool wf_panels_keeps(const wf_kernels *kernels, wf_dtype type, int64_t rows, int64_t k);
/* Rows first..end-1 of y and of its columns from..to-1, `from` a multiple of WF_GEMM_COLUMNS. */
void wf_panels_run(const wf_kernels *kernels, const wf_panels *p, int64_t first, int64_t end, int64_t from, int64_t to,
                   void *scratch);
#endif
