/* simd_attention.c - the forward of kernel F (Dao et al. 2022, arXiv 2205.14135, algorithm 1; the division by l once at the end
 * is Dao 2023, arXiv 2307.08691, section 3.1). */
#include "kernels/simd/attention_tile.h"
#include "kernels/vec/fill.h"

/* ---- many rows: tiles ---- */

/* The greatest of n values (four chains, so that their latencies overlap) and `max`. */
WF_INLINE vf column_max(const float *column, int n, vf max) {
    vf m1 = max, m2 = max, m3 = max;
    int j = 0;
    for (; j + 4 <= n; j += 4) {
        max = vf_max(max, vf_load(column + j * ROWS));
        m1 = vf_max(m1, vf_load(column + (j + 1) * ROWS));
        m2 = vf_max(m2, vf_load(column + (j + 2) * ROWS));
        m3 = vf_max(m3, vf_load(column + (j + 3) * ROWS));
    }
    for (; j < n; j++)
        max = vf_max(max, vf_load(column + j * ROWS));
    return vf_max(vf_max(max, m1), vf_max(m2, m3));
}

/* Each of n values becomes e^(value - base); their sum. */
WF_INLINE vf column_exp(float *column, int n, vf base) {
    vf sum = vf_set(0.0f);
    for (int j = 0; j < n; j++) {
        vf p = exp_score(vf_load(column + j * ROWS) - base);
        sum += p;
        vf_store(column + j * ROWS, p);
    }
    return sum;
}

/* The running maximum m and sum l of every row take the tile in, s becomes e^(s-m), and the factor for what was summed before
 * goes to `correction`. A row that has seen no key has m = -infinity; 0 stands for it inside the exponent. */
static void online_softmax(const block *blk, const tile *t) {
    for (int v = 0; v < blk->vectors; v++) {
        float *column = blk->m.s + v * WF_VL;
        vf before = vf_load(blk->m.m + v * WF_VL), max = before, sum = vf_set(0.0f);
        for (int i = 0; i < t->n_strips; i++)
            if (v >= t->strips[i].v0 && v < t->strips[i].v1)
                max = column_max(column + t->strips[i].key * ROWS, t->strips[i].keys, max);
        vf base = vf_select(max == -INFINITY, vf_set(0.0f), max);
        for (int i = 0; i < t->n_strips; i++)
            if (v >= t->strips[i].v0 && v < t->strips[i].v1)
                sum += column_exp(column + t->strips[i].key * ROWS, t->strips[i].keys, base);
        vf correction = exp_score(before - base);
        vf_store(blk->m.correction + v * WF_VL, correction);
        vf_store(blk->m.l + v * WF_VL, vf_fma(vf_load(blk->m.l + v * WF_VL), correction, sum));
        vf_store(blk->m.m + v * WF_VL, max);
    }
}

static void rescale(const block *blk) {
    for (int64_t c = 0; c < blk->a->value_dim; c++)
        for (int v = 0; v < blk->vectors; v++) {
            float *o = blk->m.o_t + c * ROWS + v * WF_VL;
            vf_store(o, vf_load(o) * vf_load(blk->m.correction + v * WF_VL));
        }
}

/* o^T = o^T * correction + V^T p^T; before the first tile o^T holds nothing. */
static void add_values(const block *blk, tile *t) {
    bool first = blk->met == 0;
    bool whole = t->n_strips == 1 && t->strips[0].v0 == 0 && t->strips[0].v1 == blk->vectors;
    if (first && !whole)
        memset(blk->m.o_t, 0, (size_t)(blk->a->value_dim * ROWS) * sizeof(float));
    else if (!whole)
        rescale(blk);
    for (int i = 0; i < t->n_strips; i++) {
        const strip *s = &t->strips[i];
        int64_t row = s->v0 * WF_VL;
        panel_run(&(panel){.c = blk->m.o_t + row,
                           .ldc = ROWS,
                           .a = t->v.at + s->key * t->v.stride,
                           .a_row = 1,
                           .a_col = t->v.stride,
                           .b = blk->m.s + s->key * ROWS + row,
                           .ldb = ROWS,
                           .m = blk->a->value_dim,
                           .k = s->keys,
                           .n = (s->v1 - s->v0) * WF_VL,
                           .add = !(first && whole),
                           .scale = whole && !first ? blk->m.correction : NULL,
                           .ahead = &t->ahead_v});
    }
}

/* The sink joins, o is divided by the sum; correction becomes the factor of each row and m its lse. */
static void finish_rows(const block *blk) {
    const vf none = vf_set(-INFINITY), zero = vf_set(0.0f);
    for (int v = 0; v < blk->vectors; v++) {
        vf m = vf_load(blk->m.m + v * WF_VL), l = vf_load(blk->m.l + v * WF_VL), factor = vf_set(1.0f);
        vi empty = m == none;
        if (blk->a->sinks) {
            vf sink = vf_set(blk->a->sinks[blk->h]), max = vf_max(sink, m);
            factor = exp_score(m - max);
            l = vf_fma(l, factor, exp_score(sink - max));
            m = max;
        }
        vf_store(blk->m.correction + v * WF_VL, vf_select(empty, zero, factor / l));
        vf_store(blk->m.m + v * WF_VL, vf_select(empty, none, m + vf_log(l)));
    }
    float *lse = blk->a->lse + (blk->b * blk->a->heads + blk->h) * blk->a->t + blk->first;
    memcpy(lse, blk->m.m, (size_t)blk->n * sizeof *lse);
}

/* p = e^(s-lse) once the lse is known: a second pass, only for who asks to see the probabilities. */
static void store_probabilities(const block *blk) {
    const wf_attention_args *a = blk->a;
    float *probs = a->probs + (blk->b * a->heads + blk->h) * a->t * a->s;
    memset(probs + blk->first * a->s, 0, (size_t)(blk->n * a->s) * sizeof *probs);
    cursor c = {0};
    for (tile t; next_tile(blk, &c, &t);) {
        tile_scores(blk, &t, NULL);
        EACH_CELL(&t, i, j, v, blk->m.s, x, {
            vf lse = vf_load(blk->m.m + v * WF_VL);
            vf_store(x, exp_score(vf_load(x) - vf_select(lse == -INFINITY, vf_set(0.0f), lse)));
        })
        store_transposed(blk, &t, blk->m.s, probs);
    }
}

static void begin_rows(const block *blk) {
    view_turn(block_view(blk, blk->q, blk->a->key_dim, blk->m.k, blk->m.key_pad), 0, blk->n, blk->a->key_dim, blk->a->scale,
              NULL, 0, blk->m.q_t);
    for (int v = 0; v < blk->vectors; v++) {
        vf_store(blk->m.m + v * WF_VL, vf_set(-INFINITY));
        vf_store(blk->m.l + v * WF_VL, vf_set(0.0f));
    }
}

static void forward_tile(block *blk, tile *t) {
    if (blk->met == 0)
        begin_rows(blk);
    tile_scores(blk, t, NULL);
    online_softmax(blk, t);
    if (blk->a->dropout > 0) {
        tile_dropout(blk, t);
        EACH_CELL(t, i, j, v, blk->m.s, x, { vf_store(x, vf_load(x) * vf_load(blk->m.extra + j * ROWS + v * WF_VL)); })
    }
    add_values(blk, t);
    blk->met++;
}

static void end_rows(const block *blk) {
    if (blk->met == 0) {
        begin_rows(blk);
        memset(blk->m.o_t, 0, (size_t)(blk->a->value_dim * ROWS) * sizeof(float));
    }
    finish_rows(blk);
    view_turn_back(blk->o, blk->first, blk->n, blk->a->value_dim, blk->m.correction, blk->m.o_t);
    if (blk->a->probs)
        store_probabilities(blk);
}

/* What the next head begins with, which is most often the next piece: its rows, and its first keys and values. */
static void fetch_next_head(stack *st) {
    const block *blk = &st->blocks[0];
    const wf_attention_args *a = blk->a;
    const int64_t h = blk->h + 1, per = a->heads / a->kv_heads;
    if (h == a->heads || a->entries || a->pattern)
        return;
    stack_fetch(st, view_of(a->type, a->q, a->q_stride, blk->b, h), blk->first, blk->n, a->key_dim, false);
    if (h % per)
        return;
    const int64_t slot = blk->runs[0].slot, n = min64(blk->runs[0].count, KEYS);
    stack_fetch(st, view_of(a->type, a->k, a->k_stride, blk->b, h / per), slot, n, a->key_dim, false);
    stack_fetch(st, view_of(a->type, a->v, a->v_stride, blk->b, h / per), slot, n, a->value_dim, false);
}

static void forward_tiles(stack *st) {
    cursor c = {0};
    tile t;
    bool more = next_place(&st->blocks[0], &c, &t);
    if (more)
        tile_prefetch(&st->blocks[0], &t);
    for (int i = 1; i < st->n; i++)
        stack_fetch(st, st->blocks[i].q, st->blocks[i].first, st->blocks[i].n, st->blocks[i].a->key_dim, false);
    for (bool ending = false; more; more = next_place(&st->blocks[0], &c, &t)) {
        if (!ending && stack_ending(st, &t)) {
            ending = true;
            for (int i = 0; i < st->n; i++)
                stack_fetch(st, st->blocks[i].o, st->blocks[i].first, st->blocks[i].n, st->blocks[i].a->value_dim, true);
            fetch_next_head(st);
        }
        for (int i = 0; i < st->n; i++)
            if (tile_seen(&st->blocks[i], &t))
                forward_tile(&st->blocks[i], &t);
    }
    panel_fetch_all(&st->later);
    for (int i = 0; i < st->n; i++)
        end_rows(&st->blocks[i]);
}

/* ---- few rows (decoding): K and V are read once, where they lie, with channels along the lanes. The heads of one call go over
 * them together, since what a token has for all heads lies side by side: memory gives it twice as fast as rows far apart ----
 */

enum { FEW_KEYS = 4 /* of a head before the next one has its turn */, FEW_BYTES = 16384 /* to be fetched ahead */ };

WF_INLINE vf take(bool bf16, const char *row, int64_t c, int64_t m) {
    return bf16 ? vtake_bf16((const uint16_t *)(const void *)row + c, m) : vtake((const float *)(const void *)row + c, m);
}

/* Rows of K or V, of all the stack's heads, that the walk comes to soon. `from` is that of its first head. */
static panel_ahead few_ahead(const stack *st, const tile *t, view from, int64_t columns, int64_t head_stride) {
    const block *first = &st->blocks[0], *last = &st->blocks[st->n - 1];
    const int64_t per = first->a->heads / first->a->kv_heads, heads = last->h / per - first->h / per + 1;
    panel_ahead ahead = view_ahead(from, t->slot, t->n, head_stride == columns ? heads * columns : columns);
    const int64_t skipped = max64(min64(FEW_BYTES / max64(ahead.bytes, 1), KEYS), 1);
    ahead.at += skipped * ahead.stride;
    ahead.rows = max64(t->n + min64(t->following, skipped) - skipped, 0);
    return ahead;
}

WF_INLINE float row_product(const float *q, const char *k, int64_t dim, const bool bf16) {
    vf sum0 = vf_set(0.0f), sum1 = sum0;
    int64_t d = 0;
    for (; d + 2 * WF_VL <= dim; d += 2 * WF_VL) {
        sum0 = vf_fma(vf_load(q + d), take(bf16, k, d, WF_VL), sum0);
        sum1 = vf_fma(vf_load(q + d + WF_VL), take(bf16, k, d + WF_VL, WF_VL), sum1);
    }
    for (; d < dim; d += WF_VL)
        sum0 = vf_fma(vf_load(q + d), take(bf16, k, d, min64(WF_VL, dim - d)), sum0);
    return vf_sum(sum0 + sum1);
}

/* Runs DO for every head (h), FEW_KEYS keys at a time (from j on, before end), and fetches a row for each key. */
#define EACH_HEAD(st, t, h, j, end, ahead, ...)                                                                                \
    for (int j = 0, end; end = j + FEW_KEYS < (t)->n ? j + FEW_KEYS : (t)->n, j < (t)->n; j = end)                             \
        for (int h = 0; h < (st)->n; h++) {                                                                                    \
            panel_prefetch(&ahead, (end - j) * (h + 1) / (st)->n - (end - j) * h / (st)->n);                                   \
            __VA_ARGS__                                                                                                        \
        }

/* s[j] = q . k_j for row i of every head and the keys of a tile. */
WF_INLINE void row_products(const stack *st, const tile *t, int64_t i, const bool bf16) {
    const wf_attention_args *a = st->blocks[0].a;
    panel_ahead ahead = few_ahead(st, t, st->blocks[0].k, a->key_dim, a->k_stride.head);
    EACH_HEAD(st, t, h, j, end, ahead, {
        const block *blk = &st->blocks[h];
        const float *q = blk->m.few_q + i * blk->m.key_pad;
        const int64_t stride = blk->k.stride * (bf16 ? 2 : 4);
        const char *k = blk->k.at + (t->slot + j) * stride;
        for (int x = j; x < end; x++, k += stride)
            blk->m.s[x] = row_product(q, k, a->key_dim, bf16);
    })
}

/* n vectors of o += p_j v_j over keys first..end-1. */
WF_INLINE void add_weighted(float *o, const float *p, const char *v, int64_t stride, int keys, const int n, int64_t m,
                            const bool bf16) {
    vf sum[4];
    for (int x = 0; x < n; x++)
        sum[x] = vf_load(o + x * WF_VL);
    for (int j = 0; j < keys; j++, v += stride)
        for (int x = 0; x < n; x++)
            sum[x] = vf_fma(vf_set(p[j]), take(bf16, v, x * WF_VL, n > 1 ? WF_VL : m), sum[x]);
    for (int x = 0; x < n; x++)
        vf_store(o + x * WF_VL, sum[x]);
}

/* o += p_j v_j for row i of every head and the keys of a tile, four vectors of channels at a time. */
WF_INLINE void row_values(const stack *st, const tile *t, int64_t i, const bool bf16) {
    const wf_attention_args *a = st->blocks[0].a;
    const int64_t size = bf16 ? 2 : 4, dim = a->value_dim;
    panel_ahead ahead = few_ahead(st, t, st->blocks[0].v, dim, a->v_stride.head);
    EACH_HEAD(st, t, h, j, end, ahead, {
        const block *blk = &st->blocks[h];
        const int64_t stride = blk->v.stride * size;
        const char *v = blk->v.at + (t->slot + j) * stride;
        float *o = blk->m.few_o + i * blk->m.value_pad;
        int64_t c = 0;
        for (; c + 4 * WF_VL <= dim; c += 4 * WF_VL)
            add_weighted(o + c, blk->m.s + j, v + c * size, stride, end - j, 4, WF_VL, bf16);
        for (; c < dim; c += WF_VL)
            add_weighted(o + c, blk->m.s + j, v + c * size, stride, end - j, 1, min64(WF_VL, dim - c), bf16);
    })
}
#undef EACH_HEAD

static bool shaped(const wf_attention_args *a) { return a->softcap > 0 || a->slopes || a->distance_bias || a->bias; }

/* What tile_scores does to a score, for row i of the block. */
static void shape_row(const block *blk, const tile *t, int64_t i, float *s) {
    const wf_attention_args *a = blk->a;
    if (a->softcap > 0)
        for (int j = 0; j < t->n; j += WF_VL)
            vf_store(s + j, vf_tanh(vf_load(s + j) * (1.0f / a->softcap)) * a->softcap);
    for (int j = 0; j < t->n; j++) {
        int64_t distance = t->index + j - blk->index - i;
        if (a->slopes)
            s[j] -= a->slopes[blk->h] * fabsf((float)distance);
        if (a->distance_bias)
            s[j] += a->distance_bias[blk->h * a->distances + distance_entry(blk, t, i - j)];
        if (a->bias)
            s[j] += a->bias[blk->b * a->bias_batch + blk->h * a->bias_head + (blk->first + i) * a->bias_row + t->slot + j];
    }
}

static void mask_row(const block *blk, const tile *t, int64_t i, float *s) {
    const wf_attention_args *a = blk->a;
    for (int j = 0; j < t->n; j++)
        if (i < t->low[j] || i >= t->high[j] ||
            (t->segments && a->q_segments[blk->b * a->t + blk->first + i] != a->k_segments[blk->b * a->s + t->slot + j]))
            s[j] = -INFINITY;
}

/* Scores of row i become weights, its running maximum and sum take the tile in, and what was summed before is rescaled. */
static void soften_row(const block *blk, const tile *t, int64_t i) {
    const wf_attention_args *a = blk->a;
    bool masked = t->n_strips != 1 || t->strips[0].masked || t->strips[0].keys != t->n;
    float *o = blk->m.few_o + i * blk->m.value_pad, *s = blk->m.s;
    if (shaped(a))
        shape_row(blk, t, i, s);
    if (masked)
        mask_row(blk, t, i, s);
    for (int j = t->n; j % WF_VL; j++)
        s[j] = -INFINITY;
    vf maxima = vf_load(s), sum = vf_set(0.0f);
    for (int j = WF_VL; j < t->n; j += WF_VL)
        maxima = vf_max(maxima, vf_load(s + j));
    float max = fmaxf(blk->m.m[i], vf_hmax(maxima)), base = max == -INFINITY ? 0.0f : max;
    for (int j = 0; j < t->n; j += WF_VL) {
        vf p = exp_score(vf_load(s + j) - base);
        sum += p;
        vf_store(s + j, p);
    }
    float correction = exp_score(vf_set(blk->m.m[i] - base))[0];
    blk->m.l[i] = blk->m.l[i] * correction + vf_sum(sum);
    blk->m.m[i] = max;
    for (int64_t c = 0; c < a->value_dim; c += WF_VL)
        vf_store(o + c, vf_load(o + c) * correction);
}

static void forward_row(const stack *st, const tile *t, int64_t i) {
    bool bf16 = st->blocks[0].a->type == WF_BF16;
    if (bf16)
        row_products(st, t, i, true);
    else
        row_products(st, t, i, false);
    for (int h = 0; h < st->n; h++)
        soften_row(&st->blocks[h], t, i);
    if (bf16)
        row_values(st, t, i, true);
    else
        row_values(st, t, i, false);
}

static void begin_few(const block *blk) {
    const wf_attention_args *a = blk->a;
    for (int64_t i = 0; i < blk->n; i++)
        WF_ROW(d, m, a->key_dim,
               vf_store(blk->m.few_q + i * blk->m.key_pad + d, view_take(blk->q, blk->first + i, d, m) * a->scale););
    for (int64_t i = 0; i < blk->vectors * WF_VL; i++) {
        blk->m.m[i] = -INFINITY;
        blk->m.l[i] = 0;
    }
    memset(blk->m.few_o, 0, (size_t)(blk->n * blk->m.value_pad) * sizeof(float));
}

static void end_few(const block *blk) {
    finish_rows(blk);
    for (int64_t i = 0; i < blk->n; i++)
        WF_ROW(
            d, m, blk->a->value_dim,
            view_put(blk->o, blk->first + i, d, vf_load(blk->m.few_o + i * blk->m.value_pad + d) * blk->m.correction[i], m););
}

/* The blocks are of the same rows, of one head each: the same keys are visible to them. */
static void forward_few(const stack *st) {
    const block *any = &st->blocks[0];
    for (int h = 0; h < st->n; h++)
        begin_few(&st->blocks[h]);
    cursor c = {0};
    for (tile t; next_tile(any, &c, &t);)
        for (int64_t i = 0; i < any->n; i++)
            forward_row(st, &t, i);
    for (int h = 0; h < st->n; h++)
        end_few(&st->blocks[h]);
}

/* A stack of heads instead of rows. */
static void few_open(const wf_attention_args *a, int64_t batch, int64_t head, int64_t first, void *scratch, stack *st) {
    wf_attention_buffers m[WF_ATTENTION_BLOCKS] = {0};
    wf_attention_divide(a, false, scratch, m);
    st->n = (int)wf_attention_heads(a);
    for (int i = 0; i < st->n; i++) {
        m[i].s += i * KEYS;
        st->blocks[i] = block_open(a, batch, head + i, &m[i]);
        block_rows(&st->blocks[i], first);
    }
}

static void attention(const wf_attention_args *a, int64_t batch, int64_t head, int64_t piece, void *scratch) {
    stack st;
    const int64_t first = piece * wf_attention_blocks(a, false) * ROWS;
    if (a->t - first <= WF_ATTENTION_FEW * WF_VL / 16 && !a->probs && !a->pattern && a->dropout == 0) {
        few_open(a, batch, head, first, scratch, &st);
        forward_few(&st);
        return;
    }
    for (int64_t h = head; h < head + wf_attention_heads(a); h++) {
        stack_open(a, batch, h, false, scratch, &st);
        stack_rows(&st, first);
        forward_tiles(&st);
    }
}

WF_FILL(attention) { k->attention = attention; }
