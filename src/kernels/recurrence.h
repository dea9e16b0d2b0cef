/* recurrence.h - kernel L: S_t = decay_t * S_{t-1} + k_t v_t^T, o_t = S_t^T q_t (mixers.md U3, U7). Four tokens per pass over a
 * cache-resident slice of the state; the backward is two scans without checkpoints. A slice is WF_RECURRENCE_SLICE value
 * channels of one head; slices are independent but for dq, dk and ddecay, which each slice writes to its own partial buffer. */
#ifndef WF_KERNELS_RECURRENCE_H
#define WF_KERNELS_RECURRENCE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WF_RECURRENCE_SLICE = 64 };

/* One decay for all tokens: per head, or per key channel; one for every token: per head, or per key channel. */
typedef enum wf_decay { WF_DECAY_NONE, WF_DECAY_CONST, WF_DECAY_CHANNEL, WF_DECAY_SCALAR, WF_DECAY_VECTOR } wf_decay;
static inline bool wf_decay_per_channel(wf_decay decay) { return decay == WF_DECAY_CHANNEL || decay == WF_DECAY_VECTOR; }
static inline bool wf_decay_per_token(wf_decay decay) { return decay == WF_DECAY_SCALAR || decay == WF_DECAY_VECTOR; }

typedef struct wf_recurrence_args {
    int64_t batch, t, heads, qk_heads, key_dim, value_dim; /* heads % qk_heads == 0: head h reads q,k head h/(heads/qk_heads) */
    const float *q, *k;                                    /* [B,T,qk_heads,K] contiguous */
    const float *v;                                        /* [B,T,H,V] */
    wf_decay decay;
    const float *g;     /* log decay <= 0: [H] const, [H,K] channel, [B,T,H] scalar, [B,T,H,K] vector */
    const float *bonus; /* [H,K] or NULL: exclusive read, o_t = (S_{t-1} + diag(bonus) k_t v_t^T)^T q_t (RWKV-6) */
    float scale;        /* multiplies q */
    const float *s_in;  /* [B,H,K,V] or NULL: zeros */
    float *s_out;       /* [B,H,K,V] or NULL; may be s_in */
    float *o;           /* [B,T,H,V] */
    /* backward */
    const float *do_, *ds_out; /* [B,T,H,V], [B,H,K,V]; NULL: zeros */
    float *dq_part, *dk_part;  /* [slices,B,T,H,K], overwritten: the caller sums slices and groups in order */
    float *dv;                 /* [B,T,H,V], overwritten */
    float *dg_part;            /* per token, summed later: [slices,B,T,H], per channel [slices,B,T,H,K]; or NULL */
    float *dbonus_part;        /* [slices,B,H,K] or NULL */
    float *ds_in;              /* [B,H,K,V] overwritten, or NULL */
} wf_recurrence_args;

static inline int64_t wf_recurrence_slices(int64_t value_dim) {
    return (value_dim + WF_RECURRENCE_SLICE - 1) / WF_RECURRENCE_SLICE;
}
/* The backward of a decay keeps at most WF_RECURRENCE_ANCHORS states in scratch, evenly spaced in time: dg is summed over the
 * tokens between two of them only (mixers.md U6.4). Scratch is flat in T. */
enum { WF_RECURRENCE_ANCHORS = 32, WF_RECURRENCE_ANCHOR_TOKENS = 16 };
static inline int64_t wf_recurrence_anchor_step(int64_t t) {
    int64_t step = WF_RECURRENCE_ANCHOR_TOKENS;
    while ((t + step - 1) / step > WF_RECURRENCE_ANCHORS)
        step *= 2;
    return step;
}
static inline int64_t wf_recurrence_anchors(int64_t t) {
    return (t + wf_recurrence_anchor_step(t) - 1) / wf_recurrence_anchor_step(t);
}
/* Bytes of scratch (64-aligned) per thread for forward and backward pieces of these arguments. */
size_t wf_recurrence_scratch(const wf_recurrence_args *a, bool backward);
#endif
