/* attention_buffers.h - how kernel F's vector forms divide their scratch: one walk that both counts the bytes and hands out the
 * pointers. Tiles are 64 x 64 floats with query rows along the lanes: [key][row]. Channel counts are padded to 16. */
#ifndef WF_KERNELS_ATTENTION_BUFFERS_H
#define WF_KERNELS_ATTENTION_BUFFERS_H
#include "kernels/attention.h"

enum { WF_ATTENTION_FEW = 4, WF_ATTENTION_TILE = WF_ATTENTION_ROWS * WF_ATTENTION_KEYS };

typedef struct wf_attention_buffers {
    int64_t key_pad, value_pad;          /* key_dim and value_dim up to a multiple of 16 */
    float *m, *l, *correction, *delta;   /* [64]: running maximum, sum and rescaling factor; backward: lse in m */
    int32_t *segment_low, *segment_high; /* [64] halves of the rows' segment numbers; of a pattern, the rows' numbers */
    float *reversed, *diagonal;          /* [128]: distance bias of a tile by i-j; its gradient */
    float *few_q, *few_o;                /* [4][pad]: the rows of a block of few rows */
    float *q_t, *o_t;                    /* [key_dim][64], [value_dim][64] */
    float *s, *extra, *stage;            /* [64 keys][64 rows]: scores; bias or dropout factors; a tile on its way */
    float *k, *v;                        /* [64][key_pad], [64][value_pad]: a BF16 tile in fp32, or keys that lie apart */
    float *dk, *dv;                      /* backward of a pattern: gradients of keys that lie apart */
    float *q_n, *do_n, *do_t, *dq_t;     /* backward: rows as they are, and transposed */
    float *dp, *cap;                     /* backward: [64 keys][64 rows] */
    double *distances;                   /* backward: gradient of the distance bias */
} wf_attention_buffers;

static inline void *wf_attention_take(char *base, size_t *used, int64_t count, size_t size) {
    char *p = base ? base + *used : NULL;
    *used += ((size_t)count * size + 63) / 64 * 64;
    return p;
}

static inline size_t wf_attention_divide(const wf_attention_args *a, bool backward, void *scratch, wf_attention_buffers *m) {
    size_t used = 0;
    char *base = scratch;
    const int64_t r = WF_ATTENTION_ROWS, pad = 16;
#define TAKE(field, count) m->field = wf_attention_take(base, &used, count, sizeof *m->field)
    m->key_pad = (a->key_dim + pad - 1) / pad * pad;
    m->value_pad = (a->value_dim + pad - 1) / pad * pad;
    TAKE(m, r);
    TAKE(l, r);
    TAKE(correction, r);
    TAKE(delta, r);
    TAKE(segment_low, r);
    TAKE(segment_high, r);
    TAKE(reversed, 2 * r);
    TAKE(diagonal, 2 * r);
    TAKE(few_q, WF_ATTENTION_FEW * m->key_pad);
    TAKE(few_o, WF_ATTENTION_FEW * m->value_pad);
    TAKE(q_t, r * m->key_pad);
    TAKE(o_t, r * m->value_pad);
    TAKE(s, WF_ATTENTION_TILE);
    TAKE(extra, WF_ATTENTION_TILE);
    TAKE(stage, WF_ATTENTION_TILE);
    if (a->type == WF_BF16 || a->pattern) {
        TAKE(k, r * m->key_pad);
        TAKE(v, r * m->value_pad);
    }
    if (backward) {
        TAKE(q_n, r * m->key_pad);
        TAKE(do_n, r * m->value_pad);
        TAKE(do_t, r * m->value_pad);
        TAKE(dq_t, r * m->key_pad);
        TAKE(dp, WF_ATTENTION_TILE);
        TAKE(cap, WF_ATTENTION_TILE);
        TAKE(distances, a->distances);
        TAKE(dk, a->pattern ? r * m->key_pad : 0);
        TAKE(dv, a->pattern ? r * m->value_pad : 0);
    }
#undef TAKE
    return used;
}
#endif
