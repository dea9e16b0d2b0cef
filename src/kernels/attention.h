/* attention.h - kernel F: tiled softmax attention with online softmax (Dao et al. 2022, arXiv 2205.14135), log-sum-exp saved,
 * backward by recomputation. One call of the forward does wf_attention_blocks(a, false) blocks of WF_ATTENTION_ROWS query rows
 * of one head, or of wf_attention_heads(a) heads; one call of the backward does one head of one sequence (all its blocks in a
 * fixed order). Any thread may do any piece. */
#ifndef WF_KERNELS_ATTENTION_H
#define WF_KERNELS_ATTENTION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rng.h"
#include "kernels/dtype.h"

enum { WF_ATTENTION_ROWS = 64, WF_ATTENTION_KEYS = 64, WF_ATTENTION_BLOCKS = 8 };
enum { WF_ATTENTION_FEW = 4 }; /* rows that may go over the keys as they lie */

typedef struct wf_strides { /* in elements; channels of a head are contiguous */
    int64_t batch, token, head;
} wf_strides;

struct wf_attention_args;

typedef struct wf_pattern_rows { /* rows row..last of head h of sequence b, at most WF_ATTENTION_ROWS */
    const struct wf_attention_args *a;
    int64_t b, h, row, last;
} wf_pattern_rows;

/* Sparsity as data: which keys a row sees, and how often. Rows and keys are named by their indices (start[b] + i; key index j),
 * not by slots. With a pattern causal, left, right, prefix, segments and what is added to scores are not read; key_mask is. */
typedef struct wf_attention_pattern {
    /* The definition. out[k*WF_ATTENTION_ROWS + r] receives what is added to the score of row row + r and key keys[k], k <
     * count: -INFINITY hides the key, ln(n) counts it n times. */
    void (*weights)(const wf_pattern_rows *rows, const int64_t *keys, int count, float *out);
    /* The schedule, which makes time follow the sparsity: the next at most WF_ATTENTION_KEYS keys of a walk over all keys that
     * one of these rows may see, each once. *at begins at 0 and is the walk's own. Returns how many, 0 at the end; *whole
     * (false before the call): all of these rows see all of these keys with weight 0, beside what causal and others hide. */
    int (*next)(const wf_pattern_rows *rows, int64_t *at, int64_t *keys, bool *whole);
    const void *record; /* the pattern's own numbers */
    /* What every row does not see, as the weights say too: keys after it; its own key. Of entries the rows are compared. */
    bool causal, others;
} wf_attention_pattern;
enum { WF_PATTERN_DATA = 4 };

typedef struct wf_attention_args {
    /* heads % kv_heads == 0: head h reads kv head h/(heads/kv_heads) */
    int64_t batch, heads, kv_heads, t, s, key_dim, value_dim;
    /* How many heads one call of the forward does, `head` and those after it: up to WF_ATTENTION_BLOCKS; 0 is 1. Few rows of
     * several heads take half the time of one after the other; nothing else changes. */
    int64_t together;
    wf_dtype type; /* of q, k, v, o, do_ and dq: F32 or BF16 */
    const void *q, *k, *v;
    void *o;
    wf_strides q_stride, k_stride, v_stride, o_stride;
    float *lse;   /* [batch, heads, t] fp32, always written; the sink counts; -INFINITY for rows without an allowed key */
    float *probs; /* NULL, or [batch, heads, t, s]: the probabilities before dropout, for inspection (costs a second pass) */
    float scale, softcap; /* z = scale*q.k; softcap c > 0: z = c*tanh(z/c) */
    /* Which keys row i of sequence b may see. Row i has index start[b]+i; key j has index j, or, in a ring cache (ring > 0),
     * the largest p < kv_len[b] with p % ring == j. Slots no token has reached (index >= kv_len[b], or no such p >= 0) are
     * never read. allowed = ((causal: j <= i) and i-j <= left and j-i <= right, or j < prefix) and same segment and key_mask.
     */
    bool causal;
    int64_t left, right;   /* i-j <= left, j-i <= right; INT64_MAX: no limit */
    const int64_t *start;  /* [batch], NULL: 0 */
    const int64_t *kv_len; /* [batch] tokens in the cache, these rows included; NULL: s */
    int64_t ring;          /* 0: keys lie in order; else the number of slots, s <= ring */
    const int64_t *prefix; /* [batch] or NULL: keys j < prefix[b] are visible to every row (never through padding) */
    const int64_t *q_segments, *k_segments; /* [batch, t], [batch, s] by slot, or both NULL: must be equal */
    const uint8_t *key_mask;                /* [batch, s] by slot, or NULL: 0 = padding */
    /* what is added to the scores, after softcap */
    const float *slopes;        /* [heads] or NULL: -slope*|i-j| (ALiBi) */
    const float *distance_bias; /* [heads, distances] or NULL: entry (j-i) + distance_zero, clamped to the table */
    int64_t distances, distance_zero;
    /* NULL, or one term per (b, h, i, slot j) at b*bias_batch + h*bias_head + i*bias_row + j, strides that may be 0: -INFINITY
     * hides a key, ln(n) counts it n times */
    const float *bias;
    int64_t bias_batch, bias_head, bias_row;
    const wf_attention_pattern *pattern;       /* NULL: the rules above */
    const void *pattern_data[WF_PATTERN_DATA]; /* arrays that the pattern reads */
    /* NULL, or [batch, heads, t], with a pattern: rows and keys are entries, entry i is row entries[..i] of q and of k and v,
     * which have s rows; a row may have several. The forward gives o and lse of entries. The backward takes all entries of a
     * row as parts of one softmax: o, lse, do_ and d_lse are those of the rows, and dq, then fp32 too, is summed over them. No
     * probs, no sinks. */
    const int32_t *entries;
    const float *sinks; /* [heads] or NULL: one more logit in the denominator */
    /* of probabilities: kept where wf_rng_uniform(rng, ((b*heads+h)*t+i)*s+j) >= dropout, then p/(1-dropout) */
    float dropout;
    wf_rng rng;
    /* backward: o (at o_stride) and lse from the forward, do_ in; the rest is overwritten. When heads > kv_heads, dk and dv are
     * still per query head and the caller sums the groups. */
    const void *do_;
    void *dq;
    wf_strides do_stride, dq_stride;
    float *dk, *dv;         /* fp32 [batch, s, heads, key_dim], [batch, s, heads, value_dim], contiguous */
    float *d_distance_bias; /* [batch, heads, distances] or NULL */
    float *d_bias;          /* [batch, heads, t, s] or NULL: one per score, whatever the strides of bias */
    float *d_sinks;         /* [batch, heads] or NULL */
    const float *d_lse;     /* [batch, heads, t] or NULL */
} wf_attention_args;

/* Tokens (or entries) that sequence b has as keys: their indices are below it. */
static inline int64_t wf_attention_keys(const wf_attention_args *a, int64_t b) {
    return a->entries ? a->t : a->kv_len ? a->kv_len[b] : a->s;
}

/* Blocks of query rows that meet a tile of keys one after the other while it is in the cache. A function of the shape alone: a
 * forward piece grows with the sequence, so that short ones still make many pieces; a pattern walks the keys block by block. */
static inline int64_t wf_attention_blocks(const wf_attention_args *a, bool backward) {
    int64_t blocks = backward ? (a->t + WF_ATTENTION_ROWS - 1) / WF_ATTENTION_ROWS : a->t / (4 * WF_ATTENTION_ROWS);
    return a->pattern || blocks < 1 ? 1 : blocks < WF_ATTENTION_BLOCKS ? blocks : WF_ATTENTION_BLOCKS;
}

/* Heads of a forward piece. */
static inline int64_t wf_attention_heads(const wf_attention_args *a) { return a->together > 1 ? a->together : 1; }

/* Forward pieces of one head, or of wf_attention_heads(a). */
static inline int64_t wf_attention_pieces(const wf_attention_args *a) {
    int64_t rows = wf_attention_blocks(a, false) * WF_ATTENTION_ROWS;
    return (a->t + rows - 1) / rows;
}

/* Bytes of scratch (64-aligned) per thread for forward and backward pieces of these arguments. */
size_t wf_attention_scratch(const wf_attention_args *a, bool backward);
#endif
