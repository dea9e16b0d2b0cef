/* attention_tile.h - what the forward and the backward of kernel F share: which keys a block of query rows meets, in tiles of
 * 64, and the scores of a tile. Query rows lie along the vector lanes (s[key][row]), so that a row's maximum, sum and rescaling
 * are plain vector operations, K and V are read where they lie, and a causal tile leaves out whole vectors of rows. */
#ifndef WF_KERNELS_ATTENTION_TILE_H
#define WF_KERNELS_ATTENTION_TILE_H
#include <stdbool.h>
#include "kernels/attention_buffers.h"
#include "kernels/vec/math.h"
#include "kernels/vec/panel.h"
#include "kernels/vec/philox.h"
#include "kernels/vec/rows.h"
#include "kernels/vec/transpose.h"

enum { ROWS = WF_ATTENTION_ROWS, KEYS = WF_ATTENTION_KEYS, STRIP = 16, STRIPS = KEYS / STRIP };
#define WF_LOCAL static __attribute__((unused))

/* The rows of one head of one sequence. */
typedef struct view {
    wf_dtype type;
    char *at;
    int64_t stride; /* elements between rows */
} view;

/* fp32 rows. */
typedef struct matrix {
    float *at;
    int64_t stride;
} matrix;

typedef struct run {
    int64_t slot, count, index;
} run; /* keys in consecutive slots with consecutive indices */

typedef struct block { /* query rows of one head, at most 64 */
    const wf_attention_args *a;
    wf_attention_buffers m;
    int64_t b, h;
    view q, k, v, o;
    const int32_t *entries;  /* of this head, or NULL */
    int64_t first, n, index; /* first row, rows, index of the first row */
    int vectors;             /* that hold the rows */
    int64_t ahead, behind;   /* key j is in the band of row i when j-i <= ahead and i-j <= behind */
    int64_t prefix, segment_min, segment_max;
    run runs[2];
    int n_runs;
    panel_ahead *later;
    bool backward;
    bool grouped; /* other blocks meet its tiles while they are in the cache */
    bool packed;  /* backward: k and v lie close together, in fp32 (wf_attention_packs) */
    bool alone;   /* backward: it meets one tile at most */
    int met;      /* forward: tiles so far */
} block;

enum { FETCHES = 4 * WF_ATTENTION_BLOCKS };
typedef struct stack { /* blocks of one head, one below the other */
    block blocks[WF_ATTENTION_BLOCKS];
    panel_ahead later, fetches[FETCHES]; /* rows that the stack or the next one will need: a list, its head and its members */
    int n_fetches;
    int n;
    bool backward;
} stack;

/* Keys key..key+keys-1 of a tile against row vectors v0..v1-1: the part of a tile that is computed. */
typedef struct strip {
    int key, keys, v0, v1;
    bool masked;
} strip;

typedef struct tile {
    int64_t slot, index; /* of its first key */
    int64_t following;   /* keys of the tile after it: they are prefetched while this one is worked on */
    panel_ahead ahead_k, ahead_v;
    int n, n_strips;
    bool segments;        /* rows and keys of several segments meet */
    bool apart, weighted; /* of a pattern: the keys lie apart, at slots[]; its weights are added */
    int64_t slots[KEYS], indices[KEYS];
    strip strips[STRIPS];
    int16_t low[KEYS], high[KEYS]; /* key j is in the band of rows low..high-1; valid where strips are masked */
    matrix k, v;                   /* at NULL: not looked up yet */
} tile;

typedef struct cursor {
    int run;
    int64_t at;
} cursor; /* the walk over a block's tiles */

WF_INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
WF_INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

WF_LOCAL view view_of(wf_dtype type, const void *base, wf_strides s, int64_t b, int64_t h) {
    int64_t size = type == WF_BF16 ? 2 : 4;
    return (view){type, (char *)(uintptr_t)base + (b * s.batch + h * s.head) * size, s.token};
}

WF_INLINE vf view_take(view from, int64_t row, int64_t c, int64_t m) {
    if (from.type == WF_BF16)
        return vtake_bf16((const uint16_t *)(const void *)from.at + row * from.stride + c, m);
    return vtake((const float *)(const void *)from.at + row * from.stride + c, m);
}

WF_INLINE void view_put(view to, int64_t row, int64_t c, vf x, int64_t m) {
    if (to.type == WF_BF16)
        vput_bf16((uint16_t *)(void *)to.at + row * to.stride + c, x, m);
    else
        vput((float *)(void *)to.at + row * to.stride + c, x, m);
}

/* Rows first..first+n-1 as fp32, in vectors: columns up to a whole vector are 0. */
WF_LOCAL void view_read(view from, int64_t first, int64_t n, int64_t columns, float *to, int64_t pad) {
    for (int64_t i = 0; i < n; i++)
        WF_ROW(c, m, columns, vf_store(to + i * pad + c, view_take(from, first + i, c, m)););
}

/* Columns c.. of WF_VL rows from `row` on, of which `rows` are there; what is not there is 0. */
WF_INLINE void view_square(view from, int64_t row, int64_t rows, int64_t c, int64_t columns, vf r[WF_VL]) {
    if (from.type == WF_F32 && rows >= WF_VL && columns >= WF_VL) {
        const float *at = (const float *)(const void *)from.at + row * from.stride + c;
        WF_UNROLL
        for (int64_t x = 0; x < WF_VL; x++)
            r[x] = vf_load(at + x * from.stride);
    } else {
        for (int64_t x = 0; x < WF_VL; x++)
            r[x] = x < rows ? view_take(from, row + x, c, columns < WF_VL ? columns : WF_VL) : vf_set(0.0f);
    }
}

/* The same rows times scale with rows along the lanes, to_t[column][row], in whole vectors both ways; and, when `to` is not
 * NULL, as they are. */
WF_LOCAL void view_turn(view from, int64_t first, int64_t n, int64_t columns, float scale, float *to, int64_t pad,
                        float *to_t) {
    for (int64_t i = 0; i < n; i += WF_VL)
        for (int64_t c = 0; c < columns; c += WF_VL) {
            vf r[WF_VL];
            view_square(from, first + i, n - i, c, columns - c, r);
            for (int64_t x = 0; x < WF_VL; x++)
                r[x] *= scale;
            for (int64_t x = 0; to && x < WF_VL; x++)
                vf_store(to + (i + x) * pad + c, r[x]);
            vf_transpose(r);
            for (int64_t x = 0; x < WF_VL; x++)
                vf_store(to_t + (c + x) * ROWS + i, r[x]);
        }
}

/* Back: rows first..first+n-1 from from_t[column][row], row i times factor[i]. */
WF_LOCAL void view_turn_back(view to, int64_t first, int64_t n, int64_t columns, const float *factor, const float *from_t) {
    for (int64_t i = 0; i < n; i += WF_VL)
        for (int64_t c = 0; c < columns; c += WF_VL) {
            int64_t m = columns - c < WF_VL ? columns - c : WF_VL;
            vf r[WF_VL], f = vf_load(factor + i);
            for (int64_t x = 0; x < WF_VL; x++)
                r[x] = vf_load(from_t + (c + x) * ROWS + i) * f;
            vf_transpose(r);
            for (int64_t x = 0; x < WF_VL && i + x < n; x++)
                view_put(to, first + i + x, c, r[x], m);
        }
}

/* Row i of the block in what has one row for all entries of a token. */
WF_INLINE int64_t block_row(const block *blk, int64_t i) {
    return blk->entries ? blk->entries[blk->first + i] : blk->first + i;
}

/* The block's rows of `from`, from row 0 on: where they lie, or those of its entries, gathered into `to`. */
WF_LOCAL view block_view(const block *blk, view from, int64_t columns, float *to, int64_t pad) {
    if (!blk->entries)
        return (view){from.type, from.at + blk->first * from.stride * (from.type == WF_BF16 ? 2 : 4), from.stride};
    for (int64_t i = 0; i < blk->n; i++)
        view_read(from, block_row(blk, i), 1, columns, to + i * pad, pad);
    return (view){WF_F32, (char *)to, pad};
}

/* Rows lie far apart in memory, which hides them from the processor's own prefetching. */
WF_LOCAL panel_ahead view_ahead(view from, int64_t first, int64_t n, int64_t columns) {
    const int64_t size = from.type == WF_BF16 ? 2 : 4;
    return (panel_ahead){from.at + first * from.stride * size, from.stride * size, columns * size, n, false, NULL};
}
WF_LOCAL void view_prefetch(view from, int64_t first, int64_t n, int64_t columns) {
    panel_ahead ahead = view_ahead(from, first, n, columns);
    panel_prefetch(&ahead, n);
}

/* A ring is one run, or two where its newest token wraps. Slots beyond the tokens are in none. */
WF_LOCAL void find_runs(block *blk) {
    const wf_attention_args *a = blk->a;
    int64_t len = a->kv_len ? a->kv_len[blk->b] : a->s;
    blk->n_runs = 0;
    if (a->ring == 0 || len <= a->ring) {
        blk->runs[blk->n_runs++] = (run){0, min64(len, a->s), 0};
        return;
    }
    int64_t newest = len % a->ring; /* slots before it hold the newest tokens */
    blk->runs[blk->n_runs++] = (run){0, min64(newest, a->s), len - newest};
    blk->runs[blk->n_runs++] = (run){newest, min64(a->ring, a->s) - newest, len - a->ring};
}

WF_LOCAL void find_segments(block *blk) {
    const int64_t *s = blk->a->q_segments;
    if (!s)
        return;
    s += blk->b * blk->a->t + blk->first;
    blk->segment_min = blk->segment_max = s[0];
    for (int64_t i = 0; i < blk->n; i++) {
        blk->segment_min = min64(blk->segment_min, s[i]);
        blk->segment_max = max64(blk->segment_max, s[i]);
        blk->m.segment_low[i] = (int32_t)(uint32_t)s[i];
        blk->m.segment_high[i] = (int32_t)(s[i] >> 32);
    }
}

/* What a pattern's order compares: entries are of rows, others have indices. */
WF_LOCAL void find_numbers(block *blk) {
    for (int64_t i = 0; i < ROWS; i++)
        blk->m.segment_low[i] = i >= blk->n ? 0 : blk->entries ? blk->entries[blk->first + i] : (int32_t)(blk->index + i);
}

WF_LOCAL block block_open(const wf_attention_args *a, int64_t b, int64_t h, const wf_attention_buffers *m) {
    const int64_t far = INT64_C(1) << 60; /* no limit, without overflow when indices are added */
    int64_t kv = h / (a->heads / a->kv_heads);
    block blk = {.a = a, .b = b, .h = h, .m = *m};
    blk.q = view_of(a->type, a->q, a->q_stride, b, h);
    blk.k = view_of(a->type, a->k, a->k_stride, b, kv);
    blk.v = view_of(a->type, a->v, a->v_stride, b, kv);
    blk.o = view_of(a->type, a->o, a->o_stride, b, h);
    blk.entries = a->entries ? a->entries + (b * a->heads + h) * a->t : NULL;
    blk.ahead = max64(min64(a->right, a->causal ? 0 : far), -far);
    blk.behind = max64(min64(a->left, far), -far);
    blk.prefix = a->prefix ? a->prefix[b] : INT64_MIN;
    find_runs(&blk);
    return blk;
}

WF_LOCAL void block_rows(block *blk, int64_t first) {
    const wf_attention_args *a = blk->a;
    blk->first = first;
    blk->n = min64(ROWS, a->t - first);
    blk->index = (a->start ? a->start[blk->b] : 0) + first;
    blk->vectors = (int)((blk->n + WF_VL - 1) / WF_VL);
    blk->met = 0;
    if (a->pattern)
        find_numbers(blk);
    else
        find_segments(blk);
}

WF_LOCAL void stack_open(const wf_attention_args *a, int64_t b, int64_t h, bool backward, void *scratch, stack *st) {
    wf_attention_buffers m[WF_ATTENTION_BLOCKS] = {0};
    wf_attention_divide(a, backward, scratch, m);
    st->backward = backward;
    st->later = (panel_ahead){0};
    for (int64_t i = 0; i < wf_attention_blocks(a, backward); i++)
        st->blocks[i] = block_open(a, b, h, &m[i]);
}

/* Whether the walk over keys has come to the stack's last rows, where a causal one ends: what is fetched much earlier has left
 * the cache when it is needed. */
WF_INLINE bool stack_ending(const stack *st, const tile *t) {
    return t->index + t->n > st->blocks[st->n > 3 ? st->n - 3 : 0].index;
}

/* Rows first..first+n-1 are to be fetched when there is time. */
WF_LOCAL void stack_fetch(stack *st, view rows, int64_t first, int64_t n, int64_t columns, bool write) {
    if (n <= 0 || st->n_fetches == FETCHES)
        return;
    panel_ahead *fetch = &st->fetches[st->n_fetches], *last = st->later.then ? fetch - 1 : &st->later;
    *fetch = view_ahead(rows, first, n, columns);
    fetch->write = write;
    last->then = fetch;
    st->n_fetches++;
}

/* As many blocks as there are rows left from `first` on. */
WF_LOCAL void stack_rows(stack *st, int64_t first) {
    const wf_attention_args *a = st->blocks[0].a;
    st->n = (int)min64(wf_attention_blocks(a, st->backward), (a->t - first + ROWS - 1) / ROWS);
    st->later.then = NULL;
    st->n_fetches = 0;
    for (int i = 0; i < st->n; i++) {
        st->blocks[i].backward = st->backward;
        st->blocks[i].grouped = st->n > 1;
        st->blocks[i].later = &st->later;
        block_rows(&st->blocks[i], first + i * ROWS);
    }
}

/* ---- which keys ---- */

/* Whether some pair of the tile may be allowed by segments; sets t->segments when not all are. */
WF_LOCAL bool tile_segments(const block *blk, tile *t) {
    const int64_t *s = blk->a->k_segments;
    t->segments = false;
    if (!s)
        return true;
    s += blk->b * blk->a->s + t->slot;
    int64_t low = s[0], high = s[0];
    for (int j = 1; j < t->n; j++) {
        low = min64(low, s[j]);
        high = max64(high, s[j]);
    }
    t->segments = low != high || blk->segment_min != blk->segment_max;
    return low <= blk->segment_max && high >= blk->segment_min;
}

/* The rows low..high-1 that key j of the tile is visible to, segments aside. */
WF_LOCAL void key_rows(const block *blk, tile *t, int j) {
    const uint8_t *mask = blk->a->key_mask;
    int64_t index = t->index + j, low = 0, high = blk->n;
    if (index >= blk->prefix) {
        low = min64(max64(index - blk->ahead - blk->index, 0), blk->n);
        high = min64(max64(index + blk->behind + 1 - blk->index, 0), blk->n);
    }
    if (high < low || (mask && !mask[blk->b * blk->a->s + t->slot + j]))
        low = high = 0;
    t->low[j] = (int16_t)low;
    t->high[j] = (int16_t)high;
}

WF_LOCAL void add_strip(const block *blk, tile *t, int key) {
    strip s = {.key = key, .keys = t->n - key < STRIP ? t->n - key : STRIP, .v0 = blk->vectors};
    for (int j = key; j < key + s.keys; j++) {
        if (t->low[j] == t->high[j])
            continue;
        s.v0 = (int)min64(s.v0, t->low[j] / WF_VL);
        s.v1 = (int)max64(s.v1, (t->high[j] + WF_VL - 1) / WF_VL);
    }
    if (s.v1 == 0)
        return;
    s.masked = t->segments;
    for (int j = key; j < key + s.keys; j++)
        s.masked |= t->low[j] > s.v0 * WF_VL || t->high[j] < min64(s.v1 * WF_VL, blk->n);
    strip *last = t->n_strips ? &t->strips[t->n_strips - 1] : NULL;
    if (last && last->key + last->keys == key && last->v0 == s.v0 && last->v1 == s.v1) {
        last->keys += s.keys;
        last->masked |= s.masked;
    } else {
        t->strips[t->n_strips++] = s;
    }
}

/* Plans the tile of n keys at `slot`; false when no row sees any of them. */
WF_LOCAL bool tile_plan(const block *blk, tile *t) {
    const uint8_t *mask = blk->a->key_mask;
    int64_t low = t->index, high = t->index + t->n - 1, last = blk->index + blk->n - 1;
    if ((low - blk->ahead > last || high + blk->behind < blk->index) && low >= blk->prefix)
        return false;
    if (!tile_segments(blk, t))
        return false;
    bool whole = (high - blk->ahead <= blk->index && low + blk->behind >= last) || high < blk->prefix;
    t->n_strips = 0;
    if (whole && !t->segments && !(mask && memchr(mask + blk->b * blk->a->s + t->slot, 0, (size_t)t->n))) {
        t->strips[t->n_strips++] = (strip){0, t->n, 0, blk->vectors, false};
        return true;
    }
    for (int j = 0; j < t->n; j++)
        key_rows(blk, t, j);
    for (int key = 0; key < t->n; key += STRIP)
        add_strip(blk, t, key);
    return t->n_strips > 0;
}

/* The slot of key `index`, -1 when no slot holds it or it is padding. */
WF_LOCAL int64_t slot_of(const block *blk, int64_t index) {
    const wf_attention_args *a = blk->a;
    int64_t len = wf_attention_keys(a, blk->b), slot = a->ring ? index % a->ring : index;
    if (blk->entries)
        slot = index >= 0 && index < len ? blk->entries[index] : -1;
    if (index < 0 || index >= len || slot < 0 || slot >= a->s || (a->ring && index < len - a->ring))
        return -1;
    return a->key_mask && !a->key_mask[blk->b * a->s + slot] ? -1 : slot;
}

WF_INLINE wf_pattern_rows pattern_rows(const block *blk) {
    return (wf_pattern_rows){blk->a, blk->b, blk->h, blk->index, blk->index + blk->n - 1};
}

/* The n keys from `at` of a run of slots, `following` keys after them. */
WF_LOCAL void tile_place(const block *blk, tile *t, run at, int64_t following) {
    t->slot = at.slot;
    t->index = at.index;
    t->n = (int)at.count;
    t->following = following;
    t->ahead_k = view_ahead(blk->k, t->slot + t->n, following, blk->a->key_dim);
    t->ahead_v = view_ahead(blk->v, t->slot + t->n, following, blk->a->value_dim);
    t->ahead_k.then = t->ahead_v.then = blk->later;
    t->k.at = t->v.at = NULL;
}

/* The next tile of a pattern's walk: one strip. */
WF_LOCAL bool next_of_pattern(const block *blk, cursor *c, tile *t) {
    const wf_attention_args *a = blk->a;
    const wf_pattern_rows rows = pattern_rows(blk);
    int64_t keys[KEYS];
    bool whole;
    for (int count; whole = false, (count = a->pattern->next(&rows, &c->at, keys, &whole)) > 0;) {
        t->n = 0;
        t->apart = false;
        for (int j = 0; j < count; j++) {
            int64_t slot = slot_of(blk, keys[j]);
            if (slot < 0)
                continue;
            t->apart |= t->n > 0 && slot != t->slots[t->n - 1] + 1;
            t->slots[t->n] = slot;
            t->indices[t->n++] = keys[j];
        }
        if (t->n == 0)
            continue;
        tile_place(blk, t, (run){t->slots[0], t->n, 0}, 0);
        t->weighted = !whole;
        t->segments = false;
        t->n_strips = 1;
        t->strips[0] = (strip){0, t->n, 0, blk->vectors, false};
        return true;
    }
    return false;
}

/* The next tile, whichever rows see it; the same ones for every block of a stack. Tiles come in the order of slots, those of a
 * pattern planned and in its order. */
WF_LOCAL bool next_place(const block *blk, cursor *c, tile *t) {
    if (blk->a->pattern)
        return next_of_pattern(blk, c, t);
    t->apart = t->weighted = false;
    for (; c->run < blk->n_runs; c->run++, c->at = 0) {
        const run *r = &blk->runs[c->run];
        if (c->at < r->count) {
            int64_t n = min64(KEYS, r->count - c->at), from = c->at;
            c->at += n;
            tile_place(blk, t, (run){r->slot + from, n, r->index + from}, min64(KEYS, r->count - c->at));
            return true;
        }
    }
    return false;
}

/* Plans the tile for a block; false when none of its rows sees it. */
WF_LOCAL bool tile_seen(const block *blk, tile *t) { return blk->a->pattern || tile_plan(blk, t); }

/* The next tile that some row of the block sees. */
WF_LOCAL bool next_tile(const block *blk, cursor *c, tile *t) {
    while (next_place(blk, c, t))
        if (tile_seen(blk, t))
            return true;
    return false;
}

/* ---- scores ---- */

WF_LOCAL void tile_prefetch(const block *blk, const tile *t) {
    if (t->apart)
        return;
    view_prefetch(blk->k, t->slot, t->n, blk->a->key_dim);
    view_prefetch(blk->v, t->slot, t->n, blk->a->value_dim);
}

/* The tile's rows of K or V in fp32: where they lie, or converted or close together in `to`. */
WF_LOCAL matrix tile_rows(const tile *t, view from, int64_t columns, bool close, float *to, int64_t pad) {
    if (!t->apart && !close && from.type == WF_F32)
        return (matrix){(float *)(void *)from.at + t->slot * from.stride, from.stride};
    for (int j = 0; t->apart && j < t->n; j++)
        view_read(from, t->slots[j], 1, columns, to + j * pad, pad);
    if (!t->apart)
        view_read(from, t->slot, t->n, columns, to, pad);
    return (matrix){to, pad};
}

/* Rows of many heads lie a power of two or nearly one apart, where few of them stay in the first cache at a time: that is in
 * the way of the product that goes down columns, of V in the forward and of K in the backward. */
WF_LOCAL void tile_operands(const block *blk, tile *t) {
    const wf_attention_args *a = blk->a;
    bool apart = blk->grouped && !blk->packed;
    t->k = tile_rows(t, blk->k, a->key_dim, apart && blk->backward, blk->m.k, blk->m.key_pad);
    t->v = tile_rows(t, blk->v, a->value_dim, apart && !blk->backward, blk->m.v, blk->m.value_pad);
}

/* Products of the tile's keys (or values) with the transposed rows: out[key][row], in the strips. */
WF_LOCAL void tile_products(const tile *t, matrix keys, const float *rows_t, int64_t depth, float *out, panel_ahead *ahead) {
    for (int i = 0; i < t->n_strips; i++) {
        const strip *s = &t->strips[i];
        int64_t row = s->v0 * WF_VL;
        panel_run(&(panel){.c = out + s->key * ROWS + row,
                           .ldc = ROWS,
                           .a = keys.at + s->key * keys.stride,
                           .a_row = keys.stride,
                           .a_col = 1,
                           .b = rows_t + row,
                           .ldb = ROWS,
                           .m = s->keys,
                           .k = depth,
                           .n = (s->v1 - s->v0) * WF_VL,
                           .ahead = ahead});
    }
}

/* x[key][row] of every cell in the strips, in a body that may use j (key), v (vector of rows) and x (its address). */
#define EACH_CELL(t, i, j, v, tile_, x, ...)                                                                                   \
    for (int i = 0; i < (t)->n_strips; i++)                                                                                    \
        for (int j = (t)->strips[i].key; j < (t)->strips[i].key + (t)->strips[i].keys; j++)                                    \
            for (int v = (t)->strips[i].v0; v < (t)->strips[i].v1; v++) {                                                      \
                float *x = (tile_) + j * ROWS + v * WF_VL;                                                                     \
                __VA_ARGS__                                                                                                    \
            }

WF_INLINE vi lanes(void) {
    vi lane;
    for (int32_t i = 0; i < WF_VL; i++)
        lane[i] = i;
    return lane;
}

/* z = c tanh(z/c); its derivative 1 - tanh^2 goes to `slope` when that is wanted. */
WF_LOCAL void soften(const block *blk, const tile *t, float *slope) {
    const vf cap = vf_set(blk->a->softcap), inverse = vf_set(1.0f / blk->a->softcap);
    EACH_CELL(t, i, j, v, blk->m.s, x, {
        vf th = vf_tanh(vf_load(x) * inverse);
        vf_store(x, th * cap);
        if (slope)
            vf_store(slope + j * ROWS + v * WF_VL, 1.0f - th * th);
    })
}

WF_LOCAL void add_slopes(const block *blk, const tile *t) {
    const vf slope = vf_set(-blk->a->slopes[blk->h]), lane = __builtin_convertvector(lanes(), vf);
    EACH_CELL(t, i, j, v, blk->m.s, x, {
        vf distance = lane + (float)(blk->index + v * WF_VL - (t->index + j));
        vf_store(x, vf_fma(slope, vf_abs(distance), vf_load(x)));
    })
}

WF_INLINE int64_t distance_entry(const block *blk, const tile *t,
                                 int64_t back) { /* of key index - row index = first pair's - back */
    int64_t entry = blk->a->distance_zero + t->index - blk->index - back;
    return min64(max64(entry, 0), blk->a->distances - 1);
}

/* The bias of a pair depends on i - j alone, -63..63 in a tile: those entries once, backwards, then vectors of them. */
WF_LOCAL void add_distances(const block *blk, const tile *t) {
    const float *table = blk->a->distance_bias + blk->h * blk->a->distances;
    for (int64_t e = 0; e < KEYS + ROWS; e++)
        blk->m.reversed[e] = table[distance_entry(blk, t, e - (KEYS - 1))];
    EACH_CELL(t, i, j, v, blk->m.s, x, { vf_store(x, vf_load(x) + vf_load(blk->m.reversed + KEYS - 1 - j + v * WF_VL)); })
}

/* A [row][key] piece of a [t, s] matrix into a transposed tile. */
WF_LOCAL void load_transposed(const block *blk, const tile *t, const float *from, int64_t stride, float *to) {
    view rows = {WF_F32, (char *)(uintptr_t)(from + blk->first * stride + t->slot), stride};
    view_turn(rows, 0, blk->n, t->n, 1.0f, NULL, 0, to);
}

WF_LOCAL void add_bias(const block *blk, const tile *t) {
    const wf_attention_args *a = blk->a;
    load_transposed(blk, t, a->bias + blk->b * a->bias_batch + blk->h * a->bias_head, a->bias_row, blk->m.extra);
    EACH_CELL(t, i, j, v, blk->m.s, x, { vf_store(x, vf_load(x) + vf_load(blk->m.extra + j * ROWS + v * WF_VL)); })
}

WF_LOCAL void add_weights(const block *blk, const tile *t) {
    memset(blk->m.extra, 0, (size_t)(t->n * ROWS) * sizeof(float));
    const wf_pattern_rows rows = pattern_rows(blk);
    blk->a->pattern->weights(&rows, t->indices, t->n, blk->m.extra);
    EACH_CELL(t, i, j, v, blk->m.s, x, { vf_store(x, vf_load(x) + vf_load(blk->m.extra + j * ROWS + v * WF_VL)); })
}

/* What a whole tile of a pattern leaves to its order. */
WF_LOCAL void mask_order(const block *blk, const tile *t) {
    const bool causal = blk->a->pattern->causal, others = blk->a->pattern->others;
    const vf hidden = vf_set(-INFINITY);
    if (!causal && !others)
        return;
    EACH_CELL(t, i, j, v, blk->m.s, x, {
        int32_t key = (int32_t)(blk->entries ? t->slots[j] : t->indices[j]);
        vi row, seen;
        memcpy(&row, blk->m.segment_low + v * WF_VL, sizeof row);
        if (causal)
            seen = row > (others ? key : key - 1);
        else
            seen = row != key;
        vf_store(x, vf_select(seen, vf_load(x), hidden));
    })
}

WF_LOCAL void mask_strip(const block *blk, const tile *t, const strip *s) {
    const vf hidden = vf_set(-INFINITY);
    const int64_t *segments = t->segments ? blk->a->k_segments + blk->b * blk->a->s + t->slot : NULL;
    for (int j = s->key; j < s->key + s->keys; j++)
        for (int v = s->v0; v < s->v1; v++) {
            if (!segments && t->low[j] <= v * WF_VL && t->high[j] >= (v + 1) * WF_VL)
                continue;
            float *x = blk->m.s + j * ROWS + v * WF_VL;
            vi row = lanes() + v * WF_VL, ok = (row >= (int32_t)t->low[j]) & (row < (int32_t)t->high[j]);
            if (segments) {
                vi low, high;
                memcpy(&low, blk->m.segment_low + v * WF_VL, sizeof low);
                memcpy(&high, blk->m.segment_high + v * WF_VL, sizeof high);
                ok &= (low == (int32_t)(uint32_t)segments[j]) & (high == (int32_t)(segments[j] >> 32));
            }
            vf_store(x, vf_select(ok, vf_load(x), hidden));
        }
}

/* Logits of the tile into m.s, hidden pairs -INFINITY; cells outside the strips are not touched. */
WF_LOCAL void tile_scores(const block *blk, tile *t, float *slope) {
    const wf_attention_args *a = blk->a;
    if (!t->k.at)
        tile_operands(blk, t);
    tile_products(t, t->k, blk->m.q_t, a->key_dim, blk->m.s, &t->ahead_k);
    if (a->softcap > 0)
        soften(blk, t, slope);
    if (a->slopes)
        add_slopes(blk, t);
    if (a->distance_bias)
        add_distances(blk, t);
    if (a->bias)
        add_bias(blk, t);
    if (t->weighted)
        add_weights(blk, t);
    else if (a->pattern)
        mask_order(blk, t);
    for (int i = 0; i < t->n_strips; i++)
        if (t->strips[i].masked)
            mask_strip(blk, t, &t->strips[i]);
}

/* e^x for x <= 0 (a little above is harmless), exactly 0 for -infinity and 1 for 0; NaN stays. Shorter than vf_exp: x/ln 2 is
 * rounded once, a relative error of 4e-8 * |x|. */
#if defined(__AVX512DQ__)
/* 2^y by what is left of y above the integer below it; the polynomial is the minimax one of degree 5 on [0, 1) that is 1 at 0
 * (relative error 8.3e-8). Threads flush the denormals that the result comes to near -87 (base/pool.h). */
WF_INLINE vf exp_score(vf x) {
    vf y = x * 1.44269504088896341f, r = (vf)_mm512_reduce_ps((__m512)y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    vf p = vf_fma(vf_set(1.8669525161385536e-3f), r, vf_set(9.017480537295341e-3f));
    p = vf_fma(p, r, vf_set(5.5799514055252075e-2f));
    p = vf_fma(p, r, vf_set(2.401645928621292e-1f));
    p = vf_fma(p, r, vf_set(6.931512951850891e-1f));
    p = vf_fma(p, r, vf_set(1.0f));
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)y); /* times 2 to the integer below y */
}
#else
/* The polynomial is the minimax one of degree 5 (relative error 1.1e-7, as much as one rounding). */
WF_INLINE vf exp_score(vf x) {
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to the nearest integer */
    const vf lowest = vf_set(-87.33654f); /* e^lowest is the least normal number: no denormals, they cost 100 cycles */
    vf c = vf_max(lowest, x), biased = vf_fma(c, vf_set(1.44269504088896341f), magic), n = biased - magic;
    vf r = vf_fma(n, vf_set(-0.69314718055994531f), c);
    vf p = vf_fma(vf_set(8.312477678131282e-3f), r, vf_set(4.1890550231355274e-2f));
    p = vf_fma(p, r, vf_set(1.6667116314622432e-1f));
    p = vf_fma(p, r, vf_set(4.999922882393284e-1f));
    p = vf_fma(p, r, vf_set(1.0f));
    p = vf_fma(p, r, vf_set(1.0f));
    p = (vf)((vi)p + ((vi)biased << 23)); /* magic's own bits leave the word */
    return vf_select(x < lowest, vf_set(0.0f), p);
}
#endif

WF_LOCAL void dropout_apart(const block *blk, const tile *t) {
    const wf_attention_args *a = blk->a;
    for (int j = 0; j < t->n; j++)
        for (int64_t i = 0; i < blk->n; i++) {
            uint64_t index = (uint64_t)(((blk->b * a->heads + blk->h) * a->t + blk->first + i) * a->s + t->slots[j]);
            blk->m.extra[j * ROWS + i] = wf_rng_uniform(a->rng, index) >= a->dropout ? 1.0f / (1.0f - a->dropout) : 0.0f;
        }
}

/* What dropout multiplies each probability by, 0 or 1/(1-rate), transposed into m.extra: rows of words, then a turn. */
WF_LOCAL void tile_dropout(const block *blk, const tile *t) {
    const wf_attention_args *a = blk->a;
    if (t->apart) {
        dropout_apart(blk, t);
        return;
    }
    const vf rate = vf_set(a->dropout), keep = vf_set(1.0f / (1.0f - a->dropout));
    uint32_t words[KEYS + 2 * PHILOX_WORDS] = {0};
    for (int64_t i = 0; i < blk->n; i++) {
        uint64_t index = (uint64_t)(((blk->b * a->heads + blk->h) * a->t + blk->first + i) * a->s + t->slot);
        int64_t skip = (int64_t)(index % 4);
        for (int64_t w = 0; w < skip + t->n; w += PHILOX_WORDS)
            philox_draw(a->rng, (index + (uint64_t)w) / 4, words + w);
        for (int64_t j = 0; j < KEYS; j += WF_VL) {
            vi bits;
            memcpy(&bits, words + skip + j, sizeof bits);
            vf uniform = __builtin_convertvector((bits >> 8) & 0xffffff, vf) * 0x1p-24f;
            vf_store(blk->m.stage + i * KEYS + j, vf_select(uniform >= rate, keep, vf_set(0.0f)));
        }
    }
    vf_transpose_tile(blk->m.extra, ROWS, blk->m.stage, KEYS, blk->vectors * WF_VL, KEYS);
}

WF_LOCAL void store_apart(const block *blk, const tile *t, const float *from, float *to) {
    for (int64_t i = 0; i < blk->n; i++)
        for (int j = 0; j < t->n; j++)
            to[(blk->first + i) * blk->a->s + t->slots[j]] = from[j * ROWS + i];
}

/* A tile [key][row] into rows of a [t, s] matrix; 0 outside the strips. */
WF_LOCAL void store_transposed(const block *blk, const tile *t, const float *from, float *to) {
    if (t->apart) {
        store_apart(blk, t, from, to);
        return;
    }
    memset(blk->m.stage, 0, WF_ATTENTION_TILE * sizeof(float));
    EACH_CELL(t, i, j, v, blk->m.stage, x, { vf_store(x, vf_load(from + j * ROWS + v * WF_VL)); })
    for (int v = 0; v < blk->vectors; v++)
        vf_store(blk->m.l + v * WF_VL, vf_set(1.0f));
    view rows = {WF_F32, (char *)(to + blk->first * blk->a->s + t->slot), blk->a->s};
    view_turn_back(rows, 0, blk->n, t->n, blk->m.l, blk->m.stage);
}
#endif
