/* ops.h - the constructors of all operations. Shapes as [B,T,..]; B sequences of T rows. Every constructor takes NULL tensors
 * as "an earlier error" (returns NULL) unless it says that an argument may be NULL. Result types: `act` is the tape's
 * activation type, fp32 otherwise. One file per op in ops/. A result handed out through a pointer is NULL when the constructor
 * fails. */
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
/* The same in fp32 whatever the tape's type: for routers, whose choices should not depend on rounding. */
wf_tensor *wf_linear_exact(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b);
/* What the adapter of a parameter makes of it, whole: fp32, of x's shape; one that lies turned (wf_param.turned) in order; x
 * itself when it is neither. Every op but projections and tables gets its parameters so, from wf_record. */
wf_tensor *wf_adapted(wf_tape *t, wf_tensor *x);
wf_tensor *wf_straighten(wf_tape *t, wf_tensor *w); /* of a whole parameter that lies turned */
/* The same of given tensors: w, left [slices*rows, rank], right, magnitude (NULL: none) and the shapes and scales of `a`. */
wf_tensor *wf_adapt(wf_tape *t, wf_tensor *w, wf_tensor *left, wf_tensor *right, wf_tensor *magnitude, const wf_adapter *a);
wf_tensor *wf_turn_repeat(wf_tape *t, wf_tensor *x, int64_t batch); /* [m,n] -> [B,n,m], the same for every sequence */
/* rows of table[V, dim] by ids (I32 or I64, any shape [..]) -> fp32 [.., dim]. An id outside the table gives a row of zeros and
 * no gradient (callers check ids from users); `padding` >= 0: that row gets no gradient here. */
wf_tensor *wf_embed(wf_tape *t, wf_tensor *ids, wf_tensor *table, int64_t padding);
/* table rows by position, [B,T,dim]: row offset + (positions[b,t], or start[b]+t when positions is NULL). */
wf_tensor *wf_embed_positions(wf_tape *t, wf_tensor *table, int64_t batch, int64_t rows, wf_tensor *positions, int64_t offset);
/* I32 [B,T] of ids [B,T] or [B,T,C] (I32): add + column `plus` - column `minus`, where these are not -1. No gradient. */
wf_tensor *wf_id_column(wf_tape *t, wf_tensor *ids, int64_t plus, int64_t minus, int64_t add);
/* U8 [B,T]: 1 for as many rows as ids[B,T] (I32) of the sequence differ from `padding`, then 0. No gradient. */
wf_tensor *wf_token_mask(wf_tape *t, wf_tensor *ids, int64_t padding);
/* U8 [B,T]: the rows whose ids[B,T] (I32) are `token`, or with `others` all the others; those `later` (0..) rows behind them,
 * at most the last. No gradient. */
wf_tensor *wf_token_rows(wf_tape *t, wf_tensor *ids, int64_t token, bool others, int64_t later);
/* I32 [B,T]: ids[B,T] (I32) one row later; row 0 has `token`, or with `rotate` the last of ids that is not `padding`. Ids below
 * 0 become `padding`. No gradient. */
wf_tensor *wf_shift_right(wf_tape *t, wf_tensor *ids, bool rotate, int64_t token, int64_t padding);
/* U8 [B,T]: the first row, the rows before the first `token` of ids[B,T] (I32), or those behind it and the row after it. No
 * gradient. */
typedef enum wf_globals { WF_GLOBALS_NONE, WF_GLOBALS_FIRST, WF_GLOBALS_BEFORE, WF_GLOBALS_BEHIND } wf_globals;
wf_tensor *wf_token_globals(wf_tape *t, wf_tensor *ids, wf_globals kind, int64_t token);
/* I32 of ids' shape: (id + 1) * multiplier mod buckets. No gradient. */
wf_tensor *wf_hash_ids(wf_tape *t, wf_tensor *ids, int64_t multiplier, int64_t buckets);
/* I32 [B,1,1]: the row of the first `token` of ids[B,T] (I32) in each sequence, 0 where there is none. No gradient. */
wf_tensor *wf_find_token(wf_tape *t, wf_tensor *ids, int64_t token);
/* I32 [B,T]: 1 for the rows behind that row, 0 up to it; with `mask` U8, and row 0 has 1 too. No gradient. */
wf_tensor *wf_behind_token(wf_tape *t, wf_tensor *ids, int64_t token, bool mask);
/* Rows of the positions of ids[B,T] (I32), I64: padding + how many tokens up to this one are not `padding`; a padding token has
 * `padding` itself (RoBERTa), or with `blank` no row (-1). `kept` (NULL: none before) is an I32 [B,cap] input with the counts
 * of the rows so far; those of these rows are written behind them. No gradient. */
wf_tensor *wf_token_positions(wf_tape *t, wf_tensor *ids, wf_tensor *kept, int64_t padding, bool blank);
/* Positions by mask[B,T] (U8), I64: how many rows up to this one are not padding, less one; -1 for padding. No gradient. */
wf_tensor *wf_mask_positions(wf_tape *t, wf_tensor *mask);

/* x[B,T,n] whose rows with ids[B,T] (I32) equal to `token` are zero and whose other rows are scaled by (1 - rate) / (1 - the
 * share of `token` among the rows whose mask (U8 [B,T]; NULL: all) is not 0). */
wf_tensor *wf_token_dropout(wf_tape *t, wf_tensor *x, wf_tensor *ids, wf_tensor *mask, int64_t token, double rate);

/* ---- elementwise ---- */
wf_tensor *wf_add(wf_tape *t, wf_tensor *a, wf_tensor *b);                     /* same shape; fp32 when one is fp32 */
wf_tensor *wf_add_scaled(wf_tape *t, wf_tensor *a, wf_tensor *b, float scale); /* a + scale*b */
wf_tensor *wf_mul(wf_tape *t, wf_tensor *a, wf_tensor *b);
wf_tensor *wf_mul_rows(wf_tape *t, wf_tensor *x, wf_tensor *w); /* x[.., n] * w[n] */
wf_tensor *wf_row_dot(wf_tape *t, wf_tensor *a, wf_tensor *b); /* [.., n], [.., n] -> fp32 [..]: sums over the last dimension */
wf_tensor *wf_add_rows(wf_tape *t, wf_tensor *x, wf_tensor *b); /* x[.., n] + b[n] */
wf_tensor *wf_scale_rows(wf_tape *t, wf_tensor *x,
                         wf_tensor *s); /* row r times s[r mod count]: s [H] or [B,T,H] for x [B,T,H,n] */
wf_tensor *wf_scale(wf_tape *t, wf_tensor *x, float scale);
wf_tensor *wf_affine(wf_tape *t, wf_tensor *x, float scale, float add); /* scale*x + add */
wf_tensor *wf_activate(wf_tape *t, wf_tensor *x, wf_activation kind);
wf_tensor *wf_gate(wf_tape *t, wf_tensor *a, wf_tensor *b, wf_activation kind); /* act(a) * b */
wf_tensor *wf_softcap(wf_tape *t, wf_tensor *x, float cap);                     /* cap * tanh(x / cap) */
/* xIELU with learned numbers; scalars: alpha_p, alpha_n, beta, eps, each F32 [1]. */
wf_tensor *wf_xielu(wf_tape *t, wf_tensor *x, wf_tensor *const scalars[4]);
wf_tensor *wf_log_gate(wf_tape *t, wf_tensor *x, float low, float scale); /* scale * log(low + (1 - low) sigmoid(x)), fp32 */
wf_tensor *wf_scale_by(wf_tape *t, wf_tensor *x, wf_tensor *s);           /* x * s, s fp32 [1] */
wf_tensor *wf_sine(wf_tape *t, wf_tensor *x);
wf_tensor *wf_cast(wf_tape *t, wf_tensor *x, wf_dtype type);          /* x itself when it has the type */
wf_tensor *wf_clamp(wf_tape *t, wf_tensor *x, float low, float high); /* the gradient passes between the bounds */
/* x times uniform noise in [1-range, 1+range] while training; x itself when range is 0. */
wf_tensor *wf_jitter(wf_tape *t, wf_tensor *x, float range);
/* inverted dropout by counter; x itself when p is 0. Every call site has its own stream. */
wf_tensor *wf_dropout(wf_tape *t, wf_tensor *x, float p); /* x itself on a tape without gradients */

/* ---- norms over the last dimension; w [n] or NULL, b [n] or NULL; y = xhat*(w + offset) + b. Result act. With w and b [H*n]
 * the rows of x [.., H, n] take their own n in turn. ---- */
wf_tensor *wf_rms_norm(wf_tape *t, wf_tensor *x, wf_tensor *w, float offset, float eps);
wf_tensor *wf_layer_norm(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, float offset, float eps);

/* Rows of length one, fp32: x / sqrt(sum x^2 + eps), x / max(sqrt(sum x^2), eps) or x / max(sum |x|, eps). */
typedef enum wf_unit_kind { WF_UNIT_L2, WF_UNIT_FLOORED, WF_UNIT_SUM } wf_unit_kind;
wf_tensor *wf_unit(wf_tape *t, wf_tensor *x, wf_unit_kind kind, float eps);

/* ---- channels, the last dimension ---- */
wf_tensor *wf_slice_channels(wf_tape *t, wf_tensor *x, int64_t first,
                             int64_t count); /* x[.., n] -> [.., count]; x itself when whole */
/* [.., n] and [.., m] -> [.., n+m] of a's type; b may have fewer rows: each stands beside a's rows in turn (b [B,T,1,m] beside
 * a [B,T,H,n] is one row for all heads). */
wf_tensor *wf_join_channels(wf_tape *t, wf_tensor *a, wf_tensor *b);
wf_tensor *wf_repeat_heads(wf_tape *t, wf_tensor *x,
                           int64_t times); /* [B,T,G,n] -> [B,T,G*times,n], each head `times` in a row */
/* Monomials of the last dimension, fp32: phi(x).phi(y) = (x.y)^2, or with taylor 1 + x.y + (x.y)^2/2. */
wf_tensor *wf_quadratic(wf_tape *t, wf_tensor *x, bool taylor);

/* ---- time ---- */
wf_tensor *wf_time_slice(wf_tape *t, wf_tensor *x, int64_t first, int64_t count); /* x[B,T,..] -> [B,count,..] */
wf_tensor *wf_time_concat(wf_tape *t, wf_tensor *a, wf_tensor *b); /* [B,S,..], [B,T,..] -> [B,S+T,..]; a may be NULL: b */
/* Rows around each row side by side, zeros beyond the ends: x[B,T,n] -> [B,T,count*n], part k of row t is x[t + first +
 * k*step]. */
wf_tensor *wf_unfold(wf_tape *t, wf_tensor *x, int64_t first, int64_t count, int64_t step);
/* Windows of `kernel` rows, `stride` apart, side by side: x[B,T,n] -> [B,T',kernel*n], part k of row t is x[t*stride - padding
 * + k], zeros beyond the ends; T' is wf_frame_count. */
int64_t wf_frame_count(int64_t rows, int64_t kernel, int64_t stride, int64_t padding);
wf_tensor *wf_frames(wf_tape *t, wf_tensor *x, int64_t kernel, int64_t stride, int64_t padding);
/* U8 [B,rows]: row t of it is row t*stride of mask[B,T] (U8), 0 beyond. NULL for NULL. No gradient. */
wf_tensor *wf_frame_mask(wf_tape *t, wf_tensor *mask, int64_t rows, int64_t stride);
/* Rows cut into windows: `stride` rows each, or with `apart` the first row alone and then the others; the last `drop` rows are
 * in none. */
typedef struct wf_windows {
    int64_t stride, drop;
    bool apart;
} wf_windows;
int64_t wf_window_count(const wf_windows *how, int64_t rows);
/* x[B,T,n] -> fp32 [B,count,n]: the mean of each window, or the largest entry of each channel. */
wf_tensor *wf_pool_windows(wf_tape *t, wf_tensor *x, const wf_windows *how, bool largest);
/* Of the first `rows` windows: U8 [B,rows], whether all (or any) rows of each count in mask[B,T]; I32 [B,rows], what its first
 * row has in ids[B,T]. NULL for NULL. No gradient. */
wf_tensor *wf_window_mask(wf_tape *t, wf_tensor *mask, const wf_windows *how, int64_t rows, bool all);
wf_tensor *wf_window_first(wf_tape *t, wf_tensor *ids, const wf_windows *how, int64_t rows);
/* U8 [B,T] of mask[B,T] in windows of `stride` rows: the mask and all rows of windows in which none counts; or with `any` all
 * rows of windows in which one does. NULL for NULL. No gradient. */
wf_tensor *wf_window_open(wf_tape *t, wf_tensor *mask, int64_t stride, bool any);
/* x[B,W,n] -> [B,rows,n]: row t is that of the window it lies in; with `skip` (and not `apart`) that of the next one. Beyond
 * the last window rows are zeros, or with `last` its row. */
typedef struct wf_fill_spec {
    wf_windows how;
    int64_t rows;
    bool skip, last;
} wf_fill_spec;
wf_tensor *wf_fill_windows(wf_tape *t, wf_tensor *x, const wf_fill_spec *spec);
/* Sequences filled up behind: ids[B,T] (I32) -> [B,total] with `id`; mask[B,rows] (U8; NULL: all ones) -> [B,total] with 0. No
 * gradient. */
wf_tensor *wf_id_pad(wf_tape *t, wf_tensor *ids, int64_t total, int64_t id);
wf_tensor *wf_mask_pad(wf_tape *t, wf_tensor *mask, int64_t batch, int64_t rows, int64_t total);
wf_tensor *wf_mask_rows(wf_tape *t, wf_tensor *x, wf_tensor *mask); /* rows with mask[B,T] (U8) 0 become 0; mask NULL: x */
wf_tensor *wf_lower_rows(wf_tape *t, wf_tensor *x, wf_tensor *mask, float by); /* the same rows become x - by */
/* Rows with mask[B,T] (U8) 0 times `forward_by`, their gradients times `backward_by`; mask NULL: x. */
wf_tensor *wf_scale_apart(wf_tape *t, wf_tensor *x, wf_tensor *mask, float forward_by, float backward_by);
/* y_t = x_{t-1}, y_0 = s_in (or 0): x [B,T,n], s_in [B,n] or NULL; *s_out receives the last x when not NULL. */
wf_tensor *wf_time_shift(wf_tape *t, wf_tensor *x, wf_tensor *s_in, wf_tensor **s_out);
/* Appends x[B,T,..] to a cache bound by the caller, cache[B,cap,..], at row start[b]+t (modulo cap for a ring); the result is
 * the whole cache after it. No gradient. */
wf_tensor *wf_cache_append(wf_tape *t, wf_tensor *cache, wf_tensor *x);
/* Copies x into memory the caller binds to `target` (a state), at the end of the op's turn; result: target. No gradient. */
wf_tensor *wf_store_state(wf_tape *t, wf_tensor *target, wf_tensor *x);

/* x[B,T,n] -> fp32 [B,n] over the rows whose mask[B,T] (U8; NULL: all) is not 0: their mean, their sum / sqrt(count), the mean
 * weighted by 1, 2, .. T, the last of them, the largest entry of each channel. No row that counts gives zeros. */
typedef enum wf_pool_kind {
    WF_POOL_MEAN,
    WF_POOL_MEAN_SQRT,
    WF_POOL_WEIGHTED,
    WF_POOL_FIRST,
    WF_POOL_LAST,
    WF_POOL_MAX
} wf_pool_kind;
wf_tensor *wf_pool_rows(wf_tape *t, wf_tensor *x, wf_pool_kind kind, wf_tensor *mask);
wf_tensor *wf_swap_rows(wf_tape *t, wf_tensor *x);              /* [A,N,M,w] -> [A,M,N,w] */
wf_tensor *wf_mean_rows(wf_tape *t, wf_tensor *x, int64_t per); /* [B,T,..] -> fp32 [B,T/per,..], means of consecutive rows */
/* Rows of time mixed: x [B,S,G,W], e [P,L,R] with L >= S, P = 1 or a multiple of G -> fp32 [B,R,G or P,W], y_h = e_h[:S]^T x_h.
 */
wf_tensor *wf_time_project(wf_tape *t, wf_tensor *x, wf_tensor *e);
/* A centred convolution over time, one filter per head: x [B,T,H,V], w [H,1,W] -> fp32. */
wf_tensor *wf_conv_heads(wf_tape *t, wf_tensor *x, wf_tensor *w);
/* A convolution over time whose filters come with the rows: y[t,h] = sum over k of softmax(z[t,h])_k x[t + k - left, h], x
 * [B,T,H,V], z [B,T,H,taps] -> fp32. */
wf_tensor *wf_dynamic_conv(wf_tape *t, wf_tensor *x, wf_tensor *z, int64_t left);
/* Rows weighed by the chance that hashes of so many bits meet: y_i = sum_j (1 - arccos(q_i . k_j)/pi)^bits v_j, q, k [B,T,H,K]
 * of length one, v [B,T,H,V] -> fp32; the gradient of q and k is YOSO's surrogate. */
wf_tensor *wf_collide(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, int64_t bits);
/* Z u, Z the iterated pseudo-inverse of softmax(q k^T) (see nystrom.c): q, k [B,L,H,K], u [B,L,H,V] -> fp32 like u. */
wf_tensor *wf_nystrom(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *u);

/* ---- positions ---- */
typedef struct wf_rotate_args {
    int64_t first, pairs; /* channels first..first+2*pairs-1 turn */
    bool interleaved;
    const double *frequencies; /* [pairs], in the tape's arena: angle = position * frequency */
    float magnitude;           /* multiplies cos and sin (yarn, longrope); 1 otherwise */
    wf_tensor *positions;      /* [B,T] I64, or NULL: start[b] + t */
    bool from_zero;            /* without positions: rows of a memory, row t has position t whatever the sequences have seen */
    int64_t shift;             /* added to every position */
    /* xPos: channel pair p is also multiplied by zeta_p^(sign*i/base), i the position; base 0: off */
    float xpos_base;
    int xpos_sign; /* +1 queries, -1 keys */
} wf_rotate_args;
wf_tensor *wf_rotate(wf_tape *t, wf_tensor *x, const wf_rotate_args *args); /* x [B,T,H,K] */
/* x[B,T,..] times 1 + scale*log1p(floor((p+1)/step)), p = positions[b,t] (I64 [B,T]), or start[b]+t when positions is NULL. */
wf_tensor *wf_temper(wf_tape *t, wf_tensor *x, wf_tensor *positions, float scale, float step);

/* ---- the block kernels ---- */
typedef struct wf_attention_spec { /* see kernels/attention.h for meanings; tensors may be NULL */
    float scale, softcap, dropout;
    bool causal;
    int64_t left, right; /* INT64_MAX: no limit */
    const float *slopes; /* [H] in the tape's arena, or NULL */
    wf_tensor *rel_bias; /* [buckets, H] with `buckets`, `max_distance`, `bidirectional` (T5) */
    int64_t buckets, max_distance;
    bool bidirectional;
    wf_tensor *bias;     /* F32 [B or 1, H or 1, T (or, without a gradient, 1), S], added to the scores: -INFINITY hides a key,
                            ln(n) counts it n times */
    wf_tensor *sinks;    /* [H] */
    wf_tensor *key_mask; /* U8 [B,S] */
    wf_tensor *prefix;   /* I64 [B] */
    wf_tensor *q_segments, *k_segments; /* I64 [B,T], [B,S] */
    bool cached; /* k, v are caches [B,cap,..]: valid rows are start[b] + T; `ring`: cap rows used modulo cap */
    bool ring;
    bool offset_from_start; /* query row i has index start[b]+i (decoding) */
    wf_tensor **probs;      /* not NULL: receives [B,H,T,S] */
    wf_tensor **lse;        /* not NULL: receives [B,H,T] fp32, ln of the sum of e^score; differentiable */
    const wf_attention_pattern
        *pattern; /* in the tape's arena: which keys a row sees, instead of causal, left, right, prefix, segments, biases */
    wf_tensor *pattern_data[WF_PATTERN_DATA]; /* what it reads */
    double pattern_keys;                      /* keys of a row, on the average: for the count of operations */
    /* Not NULL: rows and keys of the pattern are entries, I32 [B,H,P*T]: entry e is row entries[e] of q, k and v, each row P
     * times. All entries of a row stand under one softmax. places I32 [B,H,P*T]: where part p of row t stands, at p*T + t. */
    wf_tensor *entries, *places;
} wf_attention_spec;
/* T5's bucket of a distance j-i (Raffel et al. 2020, section 2.1). */
int64_t wf_distance_bucket(int64_t distance, int64_t buckets, int64_t max_distance, bool bidirectional);
/* A bias by the number of the key, [B or 1,H,1,S]: scale * slope[h] * how many keys before j are not padding, slopes ([H], in
 * the tape's arena) and products rounded to bfloat16. mask U8 [B,S] or NULL: none is. No gradient. */
wf_tensor *wf_alibi_keys(wf_tape *t, wf_tensor *mask, int64_t keys, const float *slopes, int64_t heads, float scale);
/* q [B,T,H,K], k [B,S,G,K], v [B,S,G,V] -> [B,T,H,V] (act). */
wf_tensor *wf_attention(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_attention_spec *spec);

/* Scores with vectors that stand for distances, F32 [B,H,queries,keys]: scale * x_i . table[row of i - j], or with x_j. A
 * distance d has the row index[d + zero], d + zero cut to 0..count-1; -1 is none. x [B,T,H,K]; table [R,K], or [R,H,K]: one for
 * each head. Queries may lie `step` keys apart (0: 1): the distance is i*step - j. The first `skip` queries and keys have 0. */
typedef struct wf_relative_spec {
    int64_t queries, keys;
    bool of_keys;           /* x are the rows j */
    bool offset_from_start; /* query row i has index start[b]+i (decoding) */
    bool mirrored;          /* sequences of the second half of the batch have the distance j - i (XLNet) */
    const int32_t *index;   /* [count], in the tape's arena */
    int64_t count, zero, step, skip;
    int64_t behind; /* added to every distance: the keys are rows that came so much earlier */
    float scale;
} wf_relative_spec;
wf_tensor *wf_relative(wf_tape *t, wf_tensor *x, wf_tensor *table, const wf_relative_spec *spec);
/* Scores with one of two vectors, table [2,H,K], F32 [B,H,T,keys]: scale * x_i . table[0] where the segments of row i and key j
 * are equal, else with table[1]. x [B,T,H,K]; segments I64 [B,T] of the rows and [B,keys] of the keys, NULL: 0. */
wf_tensor *wf_segment_scores(wf_tape *t, wf_tensor *x, wf_tensor *table, wf_tensor *const segments[2], int64_t keys,
                             float scale);
/* Scores x F32 [B,H,T,S] less 1e30 where row i may not see key j: a row that may see none sees all alike. mask U8 [B,S] (0:
 * padding) or NULL; pairs U8 [B,T,S] (1: hidden) or NULL. */
typedef struct wf_hide_spec {
    bool causal, offset_from_start;
    bool self, first; /* a row sees itself whatever is hidden; the first key is seen by all, if it is no padding */
    int64_t behind;   /* causal: row i sees keys up to i - behind */
    int64_t left;     /* i - j <= left */
} wf_hide_spec;
wf_tensor *wf_hide_pairs(wf_tape *t, wf_tensor *x, wf_tensor *mask, wf_tensor *pairs, const wf_hide_spec *spec);
/* Rows x[B,n,w] mixed by map F32 [B,m,n] -> [B,m,w]; turned: x[B,m,w] -> [B,n,w]. No gradient for the map. */
wf_tensor *wf_map_rows(wf_tape *t, wf_tensor *x, wf_tensor *map, bool turned);
/* The adaptive softmax: logits x[.., V+C] of V classes in C+1 clusters that end at ends[C+1] (in the tape's arena), the logits
 * of all clusters but the first behind them -> fp32 [.., V], ln of the probabilities. */
wf_tensor *wf_cluster_softmax(wf_tape *t, wf_tensor *x, const int64_t *ends, int64_t clusters);
/* x [B,T,H,2] -> fp32 [B,H,T,keys]: entry 1 of row i where its kind is that of key j or one of the two is `common`, else entry
 * 0; the first `skip` rows and keys have 0. Kinds I32 [B,T], [B,keys]; NULL: all are of one kind. */
typedef struct wf_kind_spec {
    wf_tensor *q_kinds, *k_kinds;
    int64_t keys, common, skip;
} wf_kind_spec;
wf_tensor *wf_kind_scores(wf_tape *t, wf_tensor *x, const wf_kind_spec *spec);
/* A bias by the key, x[B,S,G] for the heads of group g, and of the keys that a row may see only those with the `keep` largest:
 * F32 [B,heads,rows,S], -INFINITY for the others (see base/select.h for equal ones). Visibility and caches as in
 * wf_attention_spec, without rings; mask U8 [B,S] or NULL; `length`: keys that the whole sequence will have, 0: as many as
 * there are. */
typedef struct wf_keep_spec {
    int64_t heads, rows, keep, length;
    bool causal, cached, offset_from_start;
    int64_t left, right;
} wf_keep_spec;
wf_tensor *wf_keep_keys(wf_tape *t, wf_tensor *x, wf_tensor *mask, const wf_keep_spec *spec);
/* a[..,n] and b[..,m] of as many rows -> fp32 [..,n*m]: the sums of every pair. */
wf_tensor *wf_pair_scores(wf_tape *t, wf_tensor *a, wf_tensor *b);
/* Experts of one hidden unit: x [B,T,n], indices I64 and gates F32 [B,T,k], tables {down, up} [E,n] -> fp32 [B,T,n]: the sum
 * over a row's choices e of gate * act(x . down_e) up_e. */
wf_tensor *wf_retrieve(wf_tape *t, wf_tensor *x, wf_tensor *indices, wf_tensor *gates, wf_tensor *const tables[2],
                       wf_activation kind);
/* Attention computed in parts becomes whole: o [B,P*T,H,V] and lse [B,H,P*T], row (p, t) of them at place[b,h,p*T+t] (I32,
 * NULL: at p*T+t) -> fp32 [B,T,H,V]. A token no part has keys for takes its row of `fallback` [B,T,H,V], or 0. */
wf_tensor *wf_merge_partials(wf_tape *t, wf_tensor *o, wf_tensor *lse, wf_tensor *place, wf_tensor *fallback, int64_t parts);
/* Rows gathered per head: x [B,T,H,K], index I32 [B,H,N] -> [B,N,H,K], zeros where negative. */
wf_tensor *wf_take_rows(wf_tape *t, wf_tensor *x, wf_tensor *index);
/* The Reformer's hashing of q [B,T,H,K] by rotations [H or 1,K,R,sum(factors)/2]; factors: even, their product is the number of
 * buckets. buckets I64 [B,H,R,T] (padding: one more); order I32 [B,H,R*T]: the token of each entry, sorted by round, bucket,
 * position; place I32 [B,H,R*T]: where entry (r, t) stands. */
enum { WF_LSH_FACTORS = 8 };
typedef struct wf_lsh_order {
    wf_tensor *buckets, *order, *place;
} wf_lsh_order;
wf_lsh_order wf_lsh_sort(wf_tape *t, wf_tensor *q, wf_tensor *rotations, wf_tensor *mask, const int64_t *factors,
                         int64_t n_factors);
wf_tensor *wf_order_places(wf_tape *t, wf_tensor *order, int64_t rows); /* the places of such an order of `rows` tokens */

typedef struct wf_memory_spec { /* tensors may be NULL */
    wf_tensor *v;               /* [U]: scores v . tanh(q + k); NULL: q . k */
    wf_tensor *mask;            /* U8 [B,S] */
    bool local, bell;           /* only keys with |j - p| <= window; times exp(-(j-p)^2 / (2 (window/2)^2)) after the softmax */
    wf_tensor *centre;          /* [B,T]: p as a share of the real keys; NULL: p = start[b] + first + t */
    int64_t window, first;
} wf_memory_spec;
/* q [B,T,U], k [B,S,U], values [B,S,D] -> fp32 [B,T,D]; *probs (may be NULL) receives fp32 [B,T,S], without gradient. */
wf_tensor *wf_memory_attention(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *values, const wf_memory_spec *spec,
                               wf_tensor **probs);
wf_tensor *wf_max_pairs(wf_tape *t, wf_tensor *x); /* [.., 2n] -> [.., n], the larger of two neighbours */
/* While decoding: the state [B,..] of sequences that have seen tokens, `first` (NULL: zeros) for new ones. No gradient. */
wf_tensor *wf_begin_state(wf_tape *t, wf_tensor *state, wf_tensor *first);
/* Routing (cluster.c): the rows nearest to every centroid, x [B,T,H,K], centroids [H,C,K] -> I32 [B,H,C*take], most similar
 * first; *members the same as I64 [B,H,C,take]. */
wf_tensor *wf_cluster_select(wf_tape *t, wf_tensor *x, wf_tensor *centroids, int64_t take, wf_tensor **members);
/* x [B,N,H,V] -> fp32 [B,rows,H,V]: the sum of the entries with that index [B,H,N], over their number + eps. */
wf_tensor *wf_scatter_mean(wf_tape *t, wf_tensor *x, wf_tensor *index, int64_t rows, float eps);
/* The mean of (x - the centroid most like it)^2, [1]; centroids are constants. *sums [H,C,K+1]: of the rows of each, and their
 * number, without gradient. */
wf_tensor *wf_commitment(wf_tape *t, wf_tensor *x, wf_tensor *centroids, wf_tensor **sums);
/* Rows in blocks of `size`, I32 [B,rows]: the number of the block of each row, -1 for padding (mask U8 [B,rows] or NULL). A
 * block is full when its last row is no padding; rows behind as many blocks as there are full ones join the last of these, and
 * without one have none. */
wf_tensor *wf_block_ids(wf_tape *t, wf_tensor *mask, int64_t batch, int64_t rows, int64_t size);
wf_tensor *wf_block_sum(wf_tape *t, wf_tensor *x, wf_tensor *ids, int64_t count); /* x[B,T,n] -> fp32 [B,count,n] */
wf_tensor *wf_block_mask(wf_tape *t, wf_tensor *ids, int64_t count); /* U8 [B,count]: up to the last block of a row */
/* T5's bucket of block g seen from the block of row t, I32 [B,T*count] at t*count + g. */
wf_tensor *wf_block_buckets(wf_tape *t, wf_tensor *ids, int64_t count, int64_t buckets, int64_t max_distance,
                            bool bidirectional);
wf_tensor *wf_repeat_batch(wf_tape *t, wf_tensor *x, int64_t batch); /* [1,..] -> [B,..] */

typedef struct wf_recurrence_spec {
    wf_decay decay;
    wf_tensor *g, *bonus; /* log decay [H] | [H,K] | [B,T,H] | [B,T,H,K]; bonus [H,K]; NULL when unused */
    const float *g_const; /* [H] in the arena instead of a tensor, for WF_DECAY_CONST */
    float scale;
    wf_tensor *s_in;   /* [B,H,K,V] or NULL */
    wf_tensor **s_out; /* receives the state after the last token, or NULL */
} wf_recurrence_spec;
/* q, k [B,T,G,K], v [B,T,H,V] -> [B,T,H,V] fp32. Inputs are cast to fp32. */
wf_tensor *wf_recurrence(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_recurrence_spec *spec);

typedef struct wf_delta_spec { /* see kernels/delta.h */
    wf_decay decay;            /* none, scalar or vector */
    wf_tensor *g;              /* log decay [B,T,H] | [B,T,H,K], NULL for none */
    wf_tensor *beta;           /* [B,T,H]: the delta rule */
    wf_tensor *a, *b;          /* [B,T,G,K]: the general form; exactly one of beta and (a, b) */
    float scale;               /* multiplies q */
    wf_tensor *s_in;           /* [B,H,K,V] or NULL */
    wf_tensor **s_out;         /* receives the state after the last token, or NULL */
} wf_delta_spec;
/* q, k [B,T,G,K], v [B,T,H,V] -> [B,T,H,V] fp32. Inputs are cast to fp32. */
wf_tensor *wf_delta(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_delta_spec *spec);

/* The denominators of linear attention: y = o / (q.z + eps), or o / (q.(z + eps)) with eps_inside; z the running sum of k
 * (causal) or the sum of all k. q [B,T,H,K], k [B,S,H,K], o [B,T,H,V] -> fp32 like o. */
typedef struct wf_normalise_spec {
    bool causal, eps_inside;
    float eps;
    wf_tensor *z_in, **z_out; /* [B,H,K]: the sum before and after; or NULL */
} wf_normalise_spec;
wf_tensor *wf_normalise_sum(wf_tape *t, wf_tensor *o, wf_tensor *q, wf_tensor *k, const wf_normalise_spec *spec);
/* Linear attention without causality: y = q (sum_s k_s v_s^T). q [B,T,H,K], k [B,S,H,K], v [B,S,H,V] -> [B,T,H,V] fp32. */
wf_tensor *wf_full_linear(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v);
/* The row factors of retention: o / sqrt(sum_{j<=t} gamma^j), t counted from the start of the sequence; with q and k also
 * / max(1, |sum_j q_t.k_j gamma^(t-j) / sqrt(..)|). Constants of the backward. */
typedef struct wf_decay_norm_spec {
    const float *g;           /* [H] ln gamma, in the tape's arena */
    wf_tensor *q, *k;         /* [B,T,H,K] or NULL */
    wf_tensor *z_in, **z_out; /* [B,H,K] or NULL: the decayed sum of k that the clamp needs */
} wf_decay_norm_spec;
wf_tensor *wf_decay_norm(wf_tape *t, wf_tensor *o, const wf_decay_norm_spec *spec);

/* Positive random features (Performer): of h = u W^T [B,T,H,R] and u [B,T,H,K], R^-1/2 (e^{h - |u|^2/2 - st} + eps), fp32. st:
 * 0, the largest h of the row, or that of the head's whole sequence; no gradient. */
typedef enum wf_favor_stabiliser { WF_FAVOR_NONE, WF_FAVOR_ROW, WF_FAVOR_SEQUENCE } wf_favor_stabiliser;
wf_tensor *wf_favor(wf_tape *t, wf_tensor *h, wf_tensor *u, wf_favor_stabiliser kind, float eps);

/* The gates of the matrix LSTM: in, forget [B,T,H] (log), m_t = max(forget_t + m_{t-1}, in_t). Returns the log decay
 * forget_t + m_{t-1} - m_t; *u is e^{in_t - m_t}, *m all m_t. For use with wf_normalise_exp only: together they have the
 * gradient of the memory without its scale e^-m. */
typedef struct wf_exp_gates_spec {
    wf_tensor *m_in, **m_out; /* [B,H] or NULL (zeros) */
    wf_tensor **u, **m;       /* [B,T,H] */
} wf_exp_gates_spec;
wf_tensor *wf_exp_gates(wf_tape *t, wf_tensor *in, wf_tensor *forget, const wf_exp_gates_spec *spec);
/* o [.., V] / (max(|nq|, e^-m) + eps), one nq and m per row. */
wf_tensor *wf_normalise_exp(wf_tape *t, wf_tensor *o, wf_tensor *nq, wf_tensor *m, float eps);

/* The weighted average of RWKV-4: k, v [B,T,A], decay (w < 0) and bonus (u) [A] -> [B,T,A] fp32. States num, den, max [B,A]:
 * those of `in` that are NULL start at 0, 0, -1e38; `out` [3] receives those after the last token, or is NULL. No gradient goes
 * through max: nothing depends on it alone. */
typedef struct wf_wkv_spec {
    wf_tensor *in[3], **out;
} wf_wkv_spec;
wf_tensor *wf_wkv(wf_tape *t, wf_tensor *k, wf_tensor *v, wf_tensor *decay, wf_tensor *bonus, const wf_wkv_spec *spec);

typedef struct wf_scan_spec {
    wf_tensor *a_log, *skip, *z; /* [D,N]; [D] or NULL; [B,T,D] or NULL */
    wf_tensor *h_in, **h_out;    /* [B,D,N] or NULL */
} wf_scan_spec;
/* u, dt [B,T,D], b, c [B,T,N], or [B,T,G,N] for G groups of neighbouring channels -> [B,T,D] fp32. */
wf_tensor *wf_selective_scan(wf_tape *t, wf_tensor *u, wf_tensor *dt, wf_tensor *b, wf_tensor *c, const wf_scan_spec *spec);

/* y_t = sum_{s<=t} k_{t-s} v_s + bias v_t: v [B,T,D], k [N,D] with N >= T, bias [D] or NULL -> fp32. By Fourier transforms. */
wf_tensor *wf_long_conv(wf_tape *t, wf_tensor *v, wf_tensor *k, wf_tensor *bias);
/* Its last rows while decoding: cache [B,S,D] fp32 holds all rows so far (start + rows of them), k [N,D] with N >= S ->
 * [B,rows,D]. No gradient. */
wf_tensor *wf_history_conv(wf_tape *t, wf_tensor *cache, wf_tensor *k, wf_tensor *bias, int64_t rows);
/* Re(DFT over T of DFT over D of x), unscaled: [B,T,D] -> fp32. */
wf_tensor *wf_fourier(wf_tape *t, wf_tensor *x);

/* Continuous poles -e^a_log + i a_imag [D,M] and steps e^log_dt [D] -> a [D,M,2] and *b by the zero-order hold or the bilinear
 * rule (see kernels/poles.h); a_imag NULL: real ones, [D,M]. */
wf_tensor *wf_discretise(wf_tape *t, wf_tensor *log_dt, wf_tensor *a_log, wf_tensor *a_imag, bool bilinear, wf_tensor **b);
typedef struct wf_pole_spec {
    wf_tensor *e, *v; /* like a, or NULL: h_t = a h_{t-1} + b x_t - e s_t, s_t = 2 Re(sum_m v_m h_{t-1,m}); not reversed */
    wf_tensor *skip;  /* [D] or NULL */
    bool reverse;     /* from the last token to the first, each read before its token */
    wf_tensor *h_in, **h_out; /* [B,D,M,2], or [B,D,M] when real; or NULL */
} wf_pole_spec;
/* y = 2 Re(sum_m c_m h_m) + skip x, h_t = a h_{t-1} + b x_t; x [B,T,D], a, b, c [D,M,2] (real: [D,M], without the 2) -> [B,T,D]
 * fp32. */
wf_tensor *wf_pole_scan(wf_tape *t, wf_tensor *x, wf_tensor *a, wf_tensor *b, wf_tensor *c, const wf_pole_spec *spec);

/* Poles with a term of rank one, -e^a_log + i a_imag less p p^* (S4), bilinear rule: log_dt [D], a_log, a_imag [D,M], p, b
 * [D,M,2]. The step of its recurrence, out: a, b, e, v of wf_pole_scan; false after an error. The kernel of its convolution, c
 * [D,M,2] -> [taps,D] fp32. */
typedef struct wf_low_rank {
    wf_tensor *log_dt, *a_log, *a_imag, *p, *b;
} wf_low_rank;
bool wf_low_rank_step(wf_tape *t, const wf_low_rank *m, wf_tensor *out[4]);
wf_tensor *wf_low_rank_kernel(wf_tape *t, const wf_low_rank *m, wf_tensor *c, int64_t taps);

/* h_t = a_t h_{t-1} + x_t, every lane by itself: a, x [B,T,D] -> h [B,T,D] fp32; h_in [B,D] or NULL, *h_out (may be NULL) the
 * last. */
wf_tensor *wf_lane_scan(wf_tape *t, wf_tensor *a, wf_tensor *x, wf_tensor *h_in, wf_tensor **h_out);
/* a = e^la and *root = sqrt(1 - a^2) of log decays la [B,T,D], fp32. Rows of position 0 (I64 [B,T]) have a = 0 and root = 1;
 * without positions the first row of a sequence has, unless `state` [B,..] came from tokens before. */
wf_tensor *wf_decay_root(wf_tape *t, wf_tensor *la, wf_tensor *positions, wf_tensor *state, wf_tensor **root);
/* A matrix per head: x [B,T,H,n], w [H,n,m], b [H,m] or NULL -> x w (+ b) [B,T,H,m] fp32. */
wf_tensor *wf_head_linear(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b);

/* x [B,T,C], w [C,1,W] or [C,W], bias [C] or NULL, s_in [B,C,W-1] or NULL, *s_out receives the new state when not NULL. fp32.
 */
wf_tensor *wf_conv(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *bias, bool silu, wf_tensor *s_in, wf_tensor **s_out);

typedef struct wf_rnn_spec {
    wf_tensor *hh, *hh_bias;    /* [4h, 3h or h, h], [4h, 3h or h] or NULL */
    wf_tensor *mask;            /* U8 [B,T] or NULL: a padding step leaves the state and outputs 0 */
    bool reverse, reset_before; /* direction; gru: reset applied before the product */
    bool relu;                  /* plain_rnn: instead of tanh */
    wf_tensor *h_in, *c_in;     /* [B,h] or NULL */
    wf_tensor **h_out, **c_out; /* or NULL */
} wf_rnn_spec;
wf_tensor *wf_plain_rnn(wf_tape *t, wf_tensor *ih,
                        const wf_rnn_spec *spec);                       /* ih [B,T,h] -> h = act(ih + hh h + b) [B,T,h] fp32 */
wf_tensor *wf_lstm(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec); /* ih [B,T,4h] = Lin(x) rows i,f,g,o -> [B,T,h] fp32 */
wf_tensor *wf_gru(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec);  /* ih [B,T,3h] rows r,z,n */

/* The scalar LSTM: gates i, f, z, o before R h [B,T,H*d], recurrent [H,d,d] each; states h, c, n, m [B,H*d] (NULL: none yet; a
 * state whose n is 0 is one without tokens); mask as above. -> [B,T,H*d] fp32. out: [4] receives the states, or NULL. */
typedef struct wf_slstm_spec {
    wf_tensor *gates[4], *recurrent[4], *mask, *in[4], **out;
} wf_slstm_spec;
wf_tensor *wf_slstm(wf_tape *t, const wf_slstm_spec *spec);

/* ---- losses ---- */
typedef struct wf_cross_entropy_spec {
    int64_t ignore;           /* targets equal to it do not count (-100) */
    float smoothing;          /* label smoothing */
    float logit_scale;        /* multiplies the logits; 1 */
    float softcap;            /* 0: off */
    float z_loss;             /* this times the mean over all rows of log(sum(exp(logit)))^2 joins the loss; 0: off */
    wf_tensor *inverse_count; /* F32 [1] input: the loss is the sum of token losses times this */
} wf_cross_entropy_spec;
/* x [.., dim], head w [V, dim] (+ b [V] or NULL), targets I32 [..] -> loss [1]; *token_loss (may be NULL) receives fp32 [..]:
 * the loss of each token, 0 where ignored. Works in row blocks: neither logits nor probabilities of all rows are ever stored,
 * the gradient is made in the forward of a training tape. */
wf_tensor *wf_cross_entropy(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_tensor *targets,
                            const wf_cross_entropy_spec *spec, wf_tensor **token_loss);
/* Softmax cross-entropy of logits x[R,classes,C] over the middle dimension against targets I32 [R,C] (those outside the classes
 * do not count): the sum of the losses of column c times inverse[c], an F32 [C] input -> [1]. */
wf_tensor *wf_class_loss(wf_tape *t, wf_tensor *x, int64_t classes, wf_tensor *targets, wf_tensor *inverse);
/* Per element against F32 targets of x's shape: -y log sigmoid(x) - (1-y) log(1 - sigmoid(x)), or (x-y)^2; the sum over
 * elements whose mask (U8; NULL: all) is not 0, times inverse, an F32 [1] input -> [1]. */
typedef enum wf_value_loss_kind { WF_LOSS_SIGMOID, WF_LOSS_SQUARE } wf_value_loss_kind;
wf_tensor *wf_value_loss(wf_tape *t, wf_value_loss_kind kind, wf_tensor *x, wf_tensor *targets, wf_tensor *inverse,
                         wf_tensor *mask);
#endif
