/* delta.h - kernel D: a decaying matrix state with a rank-one correction (mixers.md U4). Two forms of one recurrence, D_t =
 * Diag(e^{g_t}): delta:   e_t = v_t - (D_t S_{t-1})^T k_t,  S_t = D_t S_{t-1} + beta_t k_t e_t^T        (Yang et al. 2024,
 * arXiv 2406.06484; 2412.06464) general: e_t = S_{t-1}^T a_t,              S_t = D_t S_{t-1} + b_t e_t^T + k_t v_t^T   (RWKV-7:
 * Peng et al. 2025, arXiv 2503.14456) and o_t = S_t^T q_t. One pass over a cache-resident slice of the state serves a token: it
 * writes S_t and reads it for o_t and for e_{t+1}. The backward is three such scans, without stored states: e is kept by the
 * forward. A slice is WF_RECURRENCE_SLICE value channels of one head; slices are independent but for what has no value channel,
 * which each writes to its own partial buffer. */
#ifndef WF_KERNELS_DELTA_H
#define WF_KERNELS_DELTA_H
#include "kernels/recurrence.h"

typedef struct wf_delta_args {
    int64_t batch, t, heads, qk_heads, key_dim,
        value_dim;      /* heads % qk_heads == 0: head h reads q,k,a,b head h/(heads/qk_heads) */
    const float *q, *k; /* [B,T,qk_heads,K] contiguous */
    const float *v;     /* [B,T,H,V] */
    wf_decay decay;     /* none, scalar or vector */
    const float *g;     /* log decay <= 0: [B,T,H] scalar, [B,T,H,K] vector */
    const float *beta;  /* [B,T,H]: the delta form */
    const float *a, *b; /* [B,T,qk_heads,K]: the general form; exactly one of beta and (a, b) is given */
    float scale;        /* multiplies q */
    const float *s_in;  /* [B,H,K,V] or NULL: zeros */
    float *s_out;       /* [B,H,K,V] or NULL; may be s_in */
    float *o;           /* [B,T,H,V] */
    float *e;           /* [B,T,H,V] or NULL: for the backward */
    /* backward */
    const float *do_, *ds_out; /* [B,T,H,V], [B,H,K,V]; NULL: zeros */
    float *dq_part, *dk_part;  /* [slices,B,T,H,K], overwritten: the caller sums slices and groups in order */
    float *da_part, *db_part;  /* the same, general form */
    float *dv;                 /* [B,T,H,V], overwritten */
    float *de;                 /* [B,T,H,V]: gradient of e, between the scans */
    float *dbeta_part;         /* [slices,B,T,H], delta form */
    float *dg_part;            /* [slices,B,T,H] scalar, [slices,B,T,H,K] vector, or NULL */
    float *ds_in;              /* [B,H,K,V] overwritten, or NULL */
} wf_delta_args;

/* Bytes of scratch (64-aligned) per thread for forward and backward pieces of these arguments. */
size_t wf_delta_scratch(const wf_delta_args *a, bool backward);
#endif
