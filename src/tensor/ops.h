/* ops.h - the constructors of all operations. Shapes as [B,T,..]; B sequences of T rows. Every constructor takes NULL tensors as
 * "an earlier error" (returns NULL) unless it says that an argument may be NULL. Result types: `act` is the tape's activation
 * type, fp32 otherwise. One file per op in ops/. A result handed out through a pointer is NULL when the constructor fails. */
#ifndef WF_TENSOR_OPS_H
#define WF_TENSOR_OPS_H
#include "tensor/tensor.h"

static inline void wf_no_output(wf_tensor **out) {
    if (out)
        *out = NULL;
}

/* ---- projections, tables ---- */
/* y[.., out] = x[.., in] w[out, in]^T + b[out]; b may be NULL. Result act. */
wf_tensor *wf_linear(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b);
wf_tensor *wf_linear_as(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_dtype type);
/* rows of table[V, dim] by ids (I32, any shape [..]) -> fp32 [.., dim]. An id outside the table gives a row of zeros and no
 * gradient (callers check ids from users); `padding` >= 0: that row gets no gradient here. */
wf_tensor *wf_embed(wf_tape *t, wf_tensor *ids, wf_tensor *table, int64_t padding);
/* table rows by position, [B,T,dim]: row offset + (positions[b,t], or start[b]+t when positions is NULL). */
wf_tensor *wf_embed_positions(wf_tape *t, wf_tensor *table, int64_t batch, int64_t rows, wf_tensor *positions, int64_t offset);

/* ---- elementwise ---- */
wf_tensor *wf_add(wf_tape *t, wf_tensor *a, wf_tensor *b);                      /* same shape; fp32 when one is fp32 */
wf_tensor *wf_add_scaled(wf_tape *t, wf_tensor *a, wf_tensor *b, float scale);  /* a + scale*b */
wf_tensor *wf_mul(wf_tape *t, wf_tensor *a, wf_tensor *b);
wf_tensor *wf_mul_rows(wf_tape *t, wf_tensor *x, wf_tensor *w);                 /* x[.., n] * w[n] */
wf_tensor *wf_scale(wf_tape *t, wf_tensor *x, float scale);
wf_tensor *wf_activate(wf_tape *t, wf_tensor *x, wf_activation kind);
wf_tensor *wf_gate(wf_tape *t, wf_tensor *a, wf_tensor *b, wf_activation kind); /* act(a) * b */
wf_tensor *wf_softcap(wf_tape *t, wf_tensor *x, float cap);                     /* cap * tanh(x / cap) */
wf_tensor *wf_scale_by(wf_tape *t, wf_tensor *x, wf_tensor *s);                 /* x * s, s fp32 [1] */
wf_tensor *wf_cast(wf_tape *t, wf_tensor *x, wf_dtype type);                    /* x itself when it has the type */
/* inverted dropout by counter; x itself when p is 0. Every call site has its own stream. */
wf_tensor *wf_dropout(wf_tape *t, wf_tensor *x, float p);

/* ---- norms over the last dimension; w [n] or NULL, b [n] or NULL; y = xhat*(w + offset) + b. Result act. ---- */
wf_tensor *wf_rms_norm(wf_tape *t, wf_tensor *x, wf_tensor *w, float offset, float eps);
wf_tensor *wf_layer_norm(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, float offset, float eps);

/* ---- channels, the last dimension ---- */
wf_tensor *wf_slice_channels(wf_tape *t, wf_tensor *x, int64_t first, int64_t count); /* x[.., n] -> [.., count]; x itself when whole */
/* [.., n] and [.., m] -> [.., n+m] of a's type; b may have fewer rows: each stands beside a's rows in turn (b [B,T,1,m] beside
 * a [B,T,H,n] is one row for all heads). */
wf_tensor *wf_join_channels(wf_tape *t, wf_tensor *a, wf_tensor *b);

/* ---- time ---- */
wf_tensor *wf_time_slice(wf_tape *t, wf_tensor *x, int64_t first, int64_t count); /* x[B,T,..] -> [B,count,..] */
wf_tensor *wf_time_concat(wf_tape *t, wf_tensor *a, wf_tensor *b);                /* [B,S,..], [B,T,..] -> [B,S+T,..]; a may be NULL: b */
wf_tensor *wf_mask_rows(wf_tape *t, wf_tensor *x, wf_tensor *mask);               /* rows with mask[B,T] (U8) 0 become 0; mask NULL: x */
/* Appends x[B,T,..] to a cache bound by the caller, cache[B,cap,..], at row start[b]+t (modulo cap for a ring); the result is the
 * whole cache after it. No gradient. */
wf_tensor *wf_cache_append(wf_tape *t, wf_tensor *cache, wf_tensor *x);
/* Copies x into memory the caller binds to `target` (a state), at the end of the op's turn; result: target. No gradient. */
wf_tensor *wf_store_state(wf_tape *t, wf_tensor *target, wf_tensor *x);

wf_tensor *wf_swap_rows(wf_tape *t, wf_tensor *x);                /* [A,N,M,w] -> [A,M,N,w] */
wf_tensor *wf_mean_rows(wf_tape *t, wf_tensor *x, int64_t per);   /* [B,T,..] -> fp32 [B,T/per,..], means of consecutive rows */
/* Rows of time mixed: x [B,S,G,W], e [P,L,R] with L >= S, P = 1 or a multiple of G -> fp32 [B,R,G or P,W], y_h = e_h[:S]^T x_h. */
wf_tensor *wf_time_project(wf_tape *t, wf_tensor *x, wf_tensor *e);
/* A centred convolution over time, one filter per head: x [B,T,H,V], w [H,1,W] -> fp32. */
wf_tensor *wf_conv_heads(wf_tape *t, wf_tensor *x, wf_tensor *w);
/* Z u, Z the iterated pseudo-inverse of softmax(q k^T) (see nystrom.c): q, k [B,L,H,K], u [B,L,H,V] -> fp32 like u. */
wf_tensor *wf_nystrom(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *u);

/* ---- positions ---- */
typedef struct wf_rotate_args {
    int64_t first, pairs;     /* channels first..first+2*pairs-1 turn */
    bool interleaved;
    const double *frequencies; /* [pairs], in the tape's arena: angle = position * frequency */
    float magnitude;          /* multiplies cos and sin (yarn, longrope); 1 otherwise */
    wf_tensor *positions;     /* [B,T] I64, or NULL: start[b] + t */
    bool from_zero;           /* without positions: rows of a memory, row t has position t whatever the sequences have seen */
    int64_t shift;            /* added to every position */
    /* xPos: channel pair p is also multiplied by zeta_p^(sign*i/base), i the position; base 0: off */
    float xpos_base;
    int xpos_sign;            /* +1 queries, -1 keys */
} wf_rotate_args;
wf_tensor *wf_rotate(wf_tape *t, wf_tensor *x, const wf_rotate_args *args); /* x [B,T,H,K] */

/* ---- the block kernels ---- */
typedef struct wf_attention_spec { /* see kernels/attention.h for meanings; tensors may be NULL */
    float scale, softcap, dropout;
    bool causal;
    int64_t left, right;      /* INT64_MAX: no limit */
    const float *slopes;      /* [H] in the tape's arena, or NULL */
    wf_tensor *rel_bias;      /* [buckets, H] with `buckets`, `max_distance`, `bidirectional` (T5) */
    int64_t buckets, max_distance;
    bool bidirectional;
    wf_tensor *bias;          /* F32 [B or 1, H or 1, T, S], added to the scores: -INFINITY hides a key, ln(n) counts it n times */
    wf_tensor *sinks;         /* [H] */
    wf_tensor *key_mask;      /* U8 [B,S] */
    wf_tensor *prefix;        /* I64 [B] */
    wf_tensor *q_segments, *k_segments; /* I64 [B,T], [B,S] */
    bool cached;              /* k, v are caches [B,cap,..]: valid rows are start[b] + T; `ring`: cap rows used modulo cap */
    bool ring;
    bool offset_from_start;   /* query row i has index start[b]+i (decoding) */
    wf_tensor **probs;        /* not NULL: receives [B,H,T,S] */
    wf_tensor **lse;          /* not NULL: receives [B,H,T] fp32, ln of the sum of e^score; differentiable */
    const wf_attention_pattern *pattern; /* in the tape's arena: which keys a row sees, instead of causal, left, right, prefix, segments, biases */
    wf_tensor *pattern_data[WF_PATTERN_DATA]; /* what it reads */
    double pattern_keys;      /* keys of a row, on the average: for the count of operations */
} wf_attention_spec;
/* q [B,T,H,K], k [B,S,G,K], v [B,S,G,V] -> [B,T,H,V] (act). */
wf_tensor *wf_attention(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_attention_spec *spec);

/* Attention computed in parts becomes whole: o [B,P*T,H,V] and lse [B,H,P*T], row (p, t) of them at place[b,h,p*T+t] (I32, NULL: at
 * p*T+t) -> fp32 [B,T,H,V]. A token no part has keys for takes its row of `fallback` [B,T,H,V], or 0. */
wf_tensor *wf_merge_partials(wf_tape *t, wf_tensor *o, wf_tensor *lse, wf_tensor *place, wf_tensor *fallback, int64_t parts);
/* Rows gathered per head: x [B,T,H,K], index I32 [B,H,N] -> [B,N,H,K], zeros where negative. */
wf_tensor *wf_take_rows(wf_tape *t, wf_tensor *x, wf_tensor *index);
/* The Reformer's hashing of q [B,T,H,K] by rotations [H or 1,K,R,sum(factors)/2]; factors: even, their product is the number of buckets.
 * buckets I64 [B,H,R,T] (padding: one more); order I32 [B,H,R*T]: the token of each entry, sorted by round, bucket, position; place I32
 * [B,H,R*T]: where entry (r, t) stands. */
enum { WF_LSH_FACTORS = 8 };
typedef struct wf_lsh_order { wf_tensor *buckets, *order, *place; } wf_lsh_order;
wf_lsh_order wf_lsh_sort(wf_tape *t, wf_tensor *q, wf_tensor *rotations, wf_tensor *mask, const int64_t *factors, int64_t n_factors);

typedef struct wf_memory_spec { /* tensors may be NULL */
    wf_tensor *v;      /* [U]: scores v . tanh(q + k); NULL: q . k */
    wf_tensor *mask;   /* U8 [B,S] */
    bool local, bell;  /* only keys with |j - p| <= window; times exp(-(j-p)^2 / (2 (window/2)^2)) after the softmax */
    wf_tensor *centre; /* [B,T]: p as a share of the real keys; NULL: p = start[b] + first + t */
    int64_t window, first;
} wf_memory_spec;
/* q [B,T,U], k [B,S,U], values [B,S,D] -> fp32 [B,T,D]; *probs (may be NULL) receives fp32 [B,T,S], without gradient. */
wf_tensor *wf_memory_attention(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *values, const wf_memory_spec *spec, wf_tensor **probs);
wf_tensor *wf_max_pairs(wf_tape *t, wf_tensor *x); /* [.., 2n] -> [.., n], the larger of two neighbours */
/* While decoding: the state [B,..] of sequences that have seen tokens, `first` (NULL: zeros) for new ones. No gradient. */
wf_tensor *wf_begin_state(wf_tape *t, wf_tensor *state, wf_tensor *first);

typedef struct wf_recurrence_spec {
    wf_decay decay;
    wf_tensor *g, *bonus;     /* log decay [H] | [B,T,H] | [B,T,H,K]; bonus [H,K]; NULL when unused */
    const float *g_const;     /* [H] in the arena instead of a tensor, for WF_DECAY_CONST */
    float scale;
    wf_tensor *s_in;          /* [B,H,K,V] or NULL */
    wf_tensor **s_out;        /* receives the state after the last token, or NULL */
} wf_recurrence_spec;
/* q, k [B,T,G,K], v [B,T,H,V] -> [B,T,H,V] fp32. Inputs are cast to fp32. */
wf_tensor *wf_recurrence(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_recurrence_spec *spec);

/* The denominators of linear attention: y = o / (q.z + eps), or o / (q.(z + eps)) with eps_inside; z the running sum of k (causal)
 * or the sum of all k. q [B,T,H,K], k [B,S,H,K], o [B,T,H,V] -> fp32 like o. */
typedef struct wf_normalise_spec {
    bool causal, eps_inside;
    float eps;
    wf_tensor *z_in, **z_out;    /* [B,H,K]: the sum before and after; or NULL */
} wf_normalise_spec;
wf_tensor *wf_normalise_sum(wf_tape *t, wf_tensor *o, wf_tensor *q, wf_tensor *k, const wf_normalise_spec *spec);
/* Linear attention without causality: y = q (sum_s k_s v_s^T). q [B,T,H,K], k [B,S,H,K], v [B,S,H,V] -> [B,T,H,V] fp32. */
wf_tensor *wf_full_linear(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v);
/* The row factors of retention: o / sqrt(sum_{j<=t} gamma^j), t counted from the start of the sequence; with q and k also
 * / max(1, |sum_j q_t.k_j gamma^(t-j) / sqrt(..)|). Constants of the backward. */
typedef struct wf_decay_norm_spec {
    const float *g;              /* [H] ln gamma, in the tape's arena */
    wf_tensor *q, *k;            /* [B,T,H,K] or NULL */
    wf_tensor *z_in, **z_out;    /* [B,H,K] or NULL: the decayed sum of k that the clamp needs */
} wf_decay_norm_spec;
wf_tensor *wf_decay_norm(wf_tape *t, wf_tensor *o, const wf_decay_norm_spec *spec);

typedef struct wf_scan_spec {
    wf_tensor *a_log, *skip, *z; /* [D,N]; [D] or NULL; [B,T,D] or NULL */
    wf_tensor *h_in, **h_out;    /* [B,D,N] or NULL */
} wf_scan_spec;
/* u, dt [B,T,D], b, c [B,T,N] -> [B,T,D] fp32. */
wf_tensor *wf_selective_scan(wf_tape *t, wf_tensor *u, wf_tensor *dt, wf_tensor *b, wf_tensor *c, const wf_scan_spec *spec);

/* x [B,T,C], w [C,1,W] or [C,W], bias [C] or NULL, s_in [B,C,W-1] or NULL, *s_out receives the new state when not NULL. fp32. */
wf_tensor *wf_conv(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *bias, bool silu, wf_tensor *s_in, wf_tensor **s_out);

typedef struct wf_rnn_spec {
    wf_tensor *hh, *hh_bias;    /* [4h or 3h, h], [4h or 3h] or NULL */
    wf_tensor *mask;            /* U8 [B,T] or NULL: a padding step leaves the state and outputs 0 */
    bool reverse, reset_before; /* direction; gru: reset applied before the product */
    wf_tensor *h_in, *c_in;     /* [B,h] or NULL */
    wf_tensor **h_out, **c_out; /* or NULL */
} wf_rnn_spec;
wf_tensor *wf_lstm(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec); /* ih [B,T,4h] = Lin(x) rows i,f,g,o -> [B,T,h] fp32 */
wf_tensor *wf_gru(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec);  /* ih [B,T,3h] rows r,z,n */

/* ---- losses ---- */
typedef struct wf_cross_entropy_spec {
    int64_t ignore;    /* targets equal to it do not count (-100) */
    float smoothing;   /* label smoothing */
    float logit_scale; /* multiplies the logits; 1 */
    float softcap;     /* 0: off */
    wf_tensor *inverse_count; /* F32 [1] input: the loss is the sum of token losses times this */
} wf_cross_entropy_spec;
/* x [.., dim], head w [V, dim] (+ b [V] or NULL), targets I32 [..] -> loss [1]; *token_loss (may be NULL) receives fp32 [..]: the
 * loss of each token, 0 where ignored. Works in row blocks: neither logits nor probabilities of all rows are ever stored, the
 * gradient is made in the forward of a training tape. */
wf_tensor *wf_cross_entropy(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_tensor *targets, const wf_cross_entropy_spec *spec,
                            wf_tensor **token_loss);
#endif
