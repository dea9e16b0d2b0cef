/* poles.h - kernel E with constant complex decays, the diagonal state space (Gu et al. 2022, arXiv 2206.11893): per channel and
 * mode h_t = a h_{t-1} + b x_t, y_t = 2 Re(sum_m c_m h_tm) + skip x_t; or real numbers without the 2. Reversed, time runs from
 * the last token to the first and the read comes before the token. With e and v the decay has a term of rank one (S4: Gu et al.
 * 2022, arXiv 2111.00396): h_t = a h_{t-1} + b x_t - e s_t, s_t = 2 Re(sum_m v_m h_{t-1,m}), without the 2 for real numbers. A
 * block is WF_SCAN_BLOCK channels of one sequence; the backward recomputes h from checkpoints every WF_SCAN_CHECKPOINT tokens.
 */
#ifndef WF_KERNELS_POLES_H
#define WF_KERNELS_POLES_H
#include "kernels/scan.h"

typedef struct wf_pole_args {
    int64_t batch, t, channels, modes;
    bool real, reverse;     /* real: the last dimension 2 (re, im) of what follows is absent */
    const float *x;         /* [B,T,D] */
    const float *a, *b, *c; /* [D,M,2] */
    const float *e, *v;     /* [D,M,2], or NULL both; not reversed */
    const float *skip;      /* [D] or NULL */
    const float *h_in;      /* [B,D,M,2] or NULL */
    float *h_out;           /* [B,D,M,2] or NULL; may be h_in */
    float *y;               /* [B,T,D] */
    float *checkpoints;     /* [B, ceil(T/WF_SCAN_CHECKPOINT), D, M, 2]: h before each stretch in running order; or NULL */
    /* backward: overwritten; parts are per sequence and summed by the caller in order */
    const float *dy, *dh_out;           /* [B,T,D], [B,D,M,2]; NULL: zeros */
    float *dx;                          /* [B,T,D] */
    float *da_part, *db_part, *dc_part; /* [B,D,M,2] */
    float *de_part, *dv_part;           /* [B,D,M,2], or NULL both */
    float *dskip_part;                  /* [B,D] or NULL */
    float *dh_in;                       /* [B,D,M,2] or NULL */
} wf_pole_args;

/* Bytes of scratch (64-aligned) per thread for forward and backward pieces of these arguments. */
size_t wf_pole_scratch(const wf_pole_args *a, bool backward);
#endif
