/* attention_buffers.h - how kernel F's vector forms divide their scratch: one walk that both counts the bytes and hands out the
 * pointers. Tiles are 64 x 64 floats with query rows along the lanes: [key][row]. Channel counts are padded to 16. Blocks of
 * rows that meet the same tiles of keys have their own rows and sums, and share the rest. */
#ifndef WF_KERNELS_ATTENTION_BUFFERS_H
#define WF_KERNELS_ATTENTION_BUFFERS_H
#include "kernels/attention.h"

/* Sequences are packed (wf_attention_packs) whose keys and values several stacks meet, up to what a thread's scratch should be.
 */
enum { WF_ATTENTION_TILE = WF_ATTENTION_ROWS * WF_ATTENTION_KEYS, WF_ATTENTION_UNPACKED = 2048, WF_ATTENTION_PACKED = 8192 };

typedef struct wf_attention_buffers {
    int64_t key_pad, value_pad;          /* key_dim and value_dim up to a multiple of 16 */
    float *m, *l, *correction, *delta;   /* [64]: running maximum, sum and rescaling factor; backward: lse in m */
    int32_t *segment_low, *segment_high; /* [64] halves of the rows' segment numbers; of a pattern, the rows' numbers */
    float *reversed, *diagonal;          /* [128]: distance bias of a tile by i-j; its gradient */
    float *few_q, *few_o;                /* [4][pad]: the rows of a block of few rows */
    float *q_t, *o_t;                    /* [key_dim][64], [value_dim][64] */
    float *s, *extra, *stage;            /* [64 keys][64 rows]: scores; bias or dropout factors; a tile on its way */
    float *k, *v;                        /* [64][key_pad], [64][value_pad]: a tile in fp32, close together; or [s], the head */
    float *dk, *dv;                      /* backward: their gradients */
    float *q_n, *do_n, *do_t, *dq_t;     /* backward: rows as they are, and transposed */
    float *dp, *cap;                     /* backward: [64 keys][64 rows] */
    double *distances;                   /* backward: gradient of the distance bias */
} wf_attention_buffers;

static inline void *wf_attention_take(char *base, size_t *used, int64_t count, size_t size) {
    char *p = base ? base + *used : NULL;
    *used += ((size_t)count * size + 63) / 64 * 64;
    return p;
}

/* Whether the backward keeps a head's keys and values, and what their gradients have come to, close together while all blocks
 * go over them: rows of many heads lie so that their lines compete for a part of the caches. Longer sequences would need too
 * much. */
static inline bool wf_attention_packs(const wf_attention_args *a) {
    return !a->pattern && a->t > WF_ATTENTION_UNPACKED && a->s <= WF_ATTENTION_PACKED;
}

#define WF_TAKE(field, count) m->field = wf_attention_take(base, used, count, sizeof *m->field)
static inline void wf_attention_take_shared(const wf_attention_args *a, bool backward, int64_t keys, char *base, size_t *used,
                                            wf_attention_buffers *m) {
    const int64_t r = WF_ATTENTION_ROWS;
    WF_TAKE(reversed, 2 * r);
    WF_TAKE(diagonal, 2 * r);
    WF_TAKE(s, WF_ATTENTION_TILE);
    WF_TAKE(extra, WF_ATTENTION_TILE);
    WF_TAKE(stage, WF_ATTENTION_TILE);
    WF_TAKE(k, keys * m->key_pad);
    WF_TAKE(v, keys * m->value_pad);
    if (backward) {
        WF_TAKE(dp, WF_ATTENTION_TILE);
        WF_TAKE(cap, WF_ATTENTION_TILE);
        WF_TAKE(distances, a->distances);
        WF_TAKE(dk, keys * m->key_pad);
        WF_TAKE(dv, keys * m->value_pad);
    }
}

static inline void wf_attention_take_rows(bool backward, char *base, size_t *used, wf_attention_buffers *m) {
    const int64_t r = WF_ATTENTION_ROWS;
    WF_TAKE(m, r);
    WF_TAKE(l, r);
    WF_TAKE(correction, r);
    WF_TAKE(delta, r);
    WF_TAKE(segment_low, r);
    WF_TAKE(segment_high, r);
    WF_TAKE(q_t, r * m->key_pad);
    if (backward) {
        WF_TAKE(q_n, r * m->key_pad);
        WF_TAKE(do_n, r * m->value_pad);
        WF_TAKE(do_t, r * m->value_pad);
        WF_TAKE(dq_t, r * m->key_pad);
    } else {
        WF_TAKE(few_q, WF_ATTENTION_FEW * m->key_pad);
        WF_TAKE(few_o, WF_ATTENTION_FEW * m->value_pad);
        WF_TAKE(o_t, r * m->value_pad);
    }
}
#undef WF_TAKE

/* The buffers of all blocks of a stack into m; the bytes of all of them. */
static inline size_t wf_attention_divide(const wf_attention_args *a, bool backward, void *scratch,
                                         wf_attention_buffers m[WF_ATTENTION_BLOCKS]) {
    size_t used = 0;
    const int64_t pad = 16, blocks = wf_attention_blocks(a, backward);
    m[0].key_pad = (a->key_dim + pad - 1) / pad * pad;
    m[0].value_pad = (a->value_dim + pad - 1) / pad * pad;
    int64_t keys = a->type == WF_BF16 || a->pattern || blocks > 1 ? WF_ATTENTION_KEYS : 0;
    if (backward && wf_attention_packs(a))
        keys = (a->s + pad - 1) / pad * pad;
    wf_attention_take_shared(a, backward, keys, scratch, &used, &m[0]);
    for (int64_t i = 0; i < blocks || (!backward && i < wf_attention_heads(a)); i++) {
        m[i] = m[0];
        wf_attention_take_rows(backward, scratch, &used, &m[i]);
    }
    return used;
}
#endif
