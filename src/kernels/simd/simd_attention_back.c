/* simd_attention_back.c - the backward of kernel F by recomputation (Dao et al. 2022, arXiv 2205.14135, algorithm 4): one head
 * of one sequence. For each block of rows, over its tiles: five products, S, dP, dV, dK and dQ. */
#include "kernels/simd/attention_tile.h"
#include "kernels/vec/fill.h"

typedef struct head { /* where this head's gradients go */
    view dout, dq;
    matrix dk, dv;  /* of every key: the result, or the packed sums */
    int64_t zeroed; /* rows of dk and dv before this one have been set (and packed); the others are not written yet */
    double sink;
    bool packed, last; /* the walk at hand is the last one */
    view k, v;         /* packed: where keys and values come from, and their gradients go */
    matrix to_k, to_v;
    int64_t put; /* rows before this one have gone there */
} head;

typedef struct sums { /* of the tile being worked on: where rows of the gradients of its keys are summed */
    matrix dk, dv;
    bool close, fresh;            /* in the scratch; the rows they are for have not been set */
    panel_ahead ahead_k, ahead_v; /* those rows */
} sums;

/* Numbers of this head that every row has one of. */
static const float *of_rows(const block *blk, const float *all) {
    return all + (blk->b * blk->a->heads + blk->h) * (blk->entries ? blk->a->s : blk->a->t);
}

static float d_lse_of(const block *blk, int64_t i) {
    return blk->a->d_lse ? of_rows(blk, blk->a->d_lse)[block_row(blk, i)] : 0.0f;
}

/* delta = rowsum(do * o) - dL/dlse, so that dS = P * (dP - delta) (ibid. eq. 4). */
static void row_deltas(const block *blk) {
    const wf_attention_args *a = blk->a;
    for (int64_t i = 0; i < blk->vectors * WF_VL; i++)
        blk->m.delta[i] = 0;
    for (int64_t i = 0; i < blk->n; i++) {
        vf sum = vf_set(0.0f);
        WF_ROW(c, m, a->value_dim,
               sum = vf_fma(view_take(blk->o, block_row(blk, i), c, m), vf_load(blk->m.do_n + i * blk->m.value_pad + c), sum););
        blk->m.delta[i] = vf_sum(sum) - d_lse_of(blk, i);
    }
}

/* The lse of a row without keys becomes +infinity: every e^(s-lse) is 0. So do rows that only fill the last vector up. */
static void row_lses(const block *blk) {
    const float *all = of_rows(blk, blk->a->lse);
    for (int64_t i = 0; i < blk->vectors * WF_VL; i++) {
        float lse = i < blk->n ? all[block_row(blk, i)] : -INFINITY;
        blk->m.m[i] = lse != -INFINITY ? lse : INFINITY;
    }
}

/* The sink is a key whose value is 0. */
static void add_sinks(const block *blk, head *hd) {
    const wf_attention_args *a = blk->a;
    for (int64_t i = 0; a->d_sinks && i < blk->n; i++)
        if (blk->m.m[i] != INFINITY)
            hd->sink -= (double)expf(a->sinks[blk->h] - blk->m.m[i]) * (double)blk->m.delta[i];
}

static void load_block(const block *blk, head *hd) {
    const wf_attention_args *a = blk->a;
    view_turn(block_view(blk, blk->q, a->key_dim, blk->m.k, blk->m.key_pad), 0, blk->n, a->key_dim, a->scale, blk->m.q_n,
              blk->m.key_pad, blk->m.q_t);
    view_turn(block_view(blk, hd->dout, a->value_dim, blk->m.v, blk->m.value_pad), 0, blk->n, a->value_dim, 1.0f, blk->m.do_n,
              blk->m.value_pad, blk->m.do_t);
    memset(blk->m.dq_t, 0, (size_t)(blk->m.key_pad * ROWS) * sizeof(float));
    row_deltas(blk);
    row_lses(blk);
}

/* s becomes the probabilities that weigh the values, dp the gradient of the logits. */
static void gradients_of_scores(const block *blk, const tile *t) {
    const float *factors = NULL;
    if (blk->a->dropout > 0) {
        tile_dropout(blk, t);
        factors = blk->m.extra;
    }
    EACH_CELL(t, i, j, v, blk->m.s, x, {
        float *d = blk->m.dp + j * ROWS + v * WF_VL;
        vf p = exp_score(vf_load(x) - vf_load(blk->m.m + v * WF_VL)), dp = vf_load(d), weight = p;
        if (factors) {
            vf factor = vf_load(factors + j * ROWS + v * WF_VL);
            weight = p * factor;
            dp *= factor;
        }
        vf_store(x, weight);
        vf_store(d, p * (dp - vf_load(blk->m.delta + v * WF_VL)));
    })
}

/* The same for a block that meets this tile only (and whose rows are in no other): delta = sum_j p_j dP_j / sum_j p_j of the
 * numbers at hand, not of a rounded o, so that what cancels does: a row with one key has a gradient of exactly 0. (In bf16 the
 * rounded o is what the sums would be compared with.) */
static void gradients_of_all_scores(const block *blk, const tile *t) {
    const wf_attention_args *a = blk->a;
    bool drops = a->dropout > 0;
    if (drops)
        tile_dropout(blk, t);
    for (int64_t i = 0; i < blk->vectors * WF_VL; i++)
        blk->m.delta[i] = blk->m.l[i] = 0.0f;
    EACH_CELL(t, i, j, v, blk->m.s, x, {
        float *d = blk->m.dp + j * ROWS + v * WF_VL, *delta = blk->m.delta + v * WF_VL, *sum = blk->m.l + v * WF_VL;
        vf p = exp_score(vf_load(x) - vf_load(blk->m.m + v * WF_VL)), dp = vf_load(d);
        if (drops)
            dp *= vf_load(blk->m.extra + j * ROWS + v * WF_VL);
        vf_store(x, p);
        vf_store(d, dp);
        vf_store(delta, vf_fma(p, dp, vf_load(delta)));
        vf_store(sum, vf_load(sum) + p);
    })
    for (int64_t i = 0; i < blk->n; i++) {
        float sum = a->sinks || blk->m.l[i] == 0.0f ? 1.0f : blk->m.l[i]; /* 1 but for rounding, and for what a sink takes */
        blk->m.delta[i] = blk->m.delta[i] / sum - d_lse_of(blk, i);
    }
    EACH_CELL(t, i, j, v, blk->m.s, x, {
        float *d = blk->m.dp + j * ROWS + v * WF_VL;
        vf p = vf_load(x);
        vf_store(d, p * (vf_load(d) - vf_load(blk->m.delta + v * WF_VL)));
        if (drops)
            vf_store(x, p * vf_load(blk->m.extra + j * ROWS + v * WF_VL));
    })
}

/* Sums of dp over the pairs with i - j = e - 63, e = 0..126, for the cells of one strip: rows of dp read in a slant. */
static void sum_diagonals(const block *blk, const strip *s) {
    const vi lane = lanes();
    const int32_t low = s->v0 * WF_VL, high = (int32_t)min64(s->v1 * WF_VL, blk->n);
    for (int e = 0; e < KEYS + ROWS; e += WF_VL) {
        vf sum = vf_load(blk->m.diagonal + e);
        for (int j = s->key; j < s->key + s->keys; j++) {
            int row = e + j - (KEYS - 1); /* of lane 0 */
            if (row <= low - WF_VL || row >= high)
                continue;
            float values[WF_VL];
            vi at = lane + row, inside = (at >= low) & (at < high);
            const float *from = blk->m.dp + j * ROWS + row;
            if (row >= 0 && row + WF_VL <= ROWS) {
                memcpy(values, from, sizeof values);
            } else {
                for (int x = 0; x < WF_VL; x++)
                    values[x] = row + x >= 0 && row + x < ROWS ? from[x] : 0.0f;
            }
            sum += vf_select(inside, vf_load(values), vf_set(0.0f));
        }
        vf_store(blk->m.diagonal + e, sum);
    }
}

static void add_distance_gradients(const block *blk, const tile *t) {
    memset(blk->m.diagonal, 0, (KEYS + ROWS) * sizeof(float));
    for (int i = 0; i < t->n_strips; i++)
        sum_diagonals(blk, &t->strips[i]);
    for (int64_t e = 0; e < KEYS + ROWS; e++)
        blk->m.distances[distance_entry(blk, t, e - (KEYS - 1))] += (double)blk->m.diagonal[e];
}

WF_INLINE float *row_of(matrix m, int64_t row) { return m.at + row * m.stride; }

static void zero_rows(const block *blk, matrix dk, matrix dv, int64_t first, int64_t end) {
    for (; first < end; first++) {
        memset(row_of(dk, first), 0, (size_t)blk->a->key_dim * sizeof(float));
        memset(row_of(dv, first), 0, (size_t)blk->a->value_dim * sizeof(float));
    }
}

/* Rows become zero just before the first tile adds to them, while they are in the cache; those to be packed are. */
static void zero_keys(const block *blk, head *hd, int64_t end) {
    int64_t first = hd->zeroed, n = end - first;
    if (n <= 0)
        return;
    zero_rows(blk, hd->dk, hd->dv, first, end);
    hd->zeroed = end;
    if (!hd->packed)
        return;
    view_read(hd->k, first, n, blk->a->key_dim, blk->m.k + first * blk->m.key_pad, blk->m.key_pad);
    view_read(hd->v, first, n, blk->a->value_dim, blk->m.v + first * blk->m.value_pad, blk->m.value_pad);
}

static panel_ahead rows_ahead(matrix to, int64_t slot, int64_t n, int64_t columns) {
    return view_ahead((view){WF_F32, (char *)to.at, to.stride}, slot, n, columns);
}

/* Of a packed head, what is fetched beside the work on a tile: the keys after it where they come from, and the rows of
 * gradients that come next, here or where they go to. */
static void fetch_packed(const block *blk, tile *t, const head *hd, sums *to) {
    const wf_attention_args *a = blk->a;
    const int64_t next = t->slot + t->n;
    if (next >= hd->zeroed) {
        t->ahead_k = view_ahead(hd->k, next, t->following, a->key_dim);
        t->ahead_v = view_ahead(hd->v, next, t->following, a->value_dim);
    }
    to->ahead_k =
        hd->last ? rows_ahead(hd->to_k, t->slot, t->n, a->key_dim) : rows_ahead(hd->dk, next, t->following, a->key_dim);
    to->ahead_v =
        hd->last ? rows_ahead(hd->to_v, t->slot, t->n, a->value_dim) : rows_ahead(hd->dv, next, t->following, a->value_dim);
    t->ahead_k.then = t->ahead_v.then = to->ahead_k.then = to->ahead_v.then = blk->later;
}

/* Where rows lie apart, or several blocks add to them, they are summed in the scratch first. */
static sums begin_keys(const block *blk, tile *t, head *hd) {
    const wf_attention_args *a = blk->a;
    sums to = {.dk = {row_of(hd->dk, t->slot), hd->dk.stride}, .dv = {row_of(hd->dv, t->slot), hd->dv.stride}};
    to.close = t->apart || (blk->grouped && !hd->packed);
    to.ahead_k.then = to.ahead_v.then = blk->later;
    zero_keys(blk, hd, a->pattern ? a->s : t->slot + (to.close ? 0 : t->n));
    if (hd->packed)
        fetch_packed(blk, t, hd, &to);
    if (!to.close)
        return to;
    if (hd->zeroed == t->slot) {
        to.fresh = true;
        hd->zeroed += t->n;
    }
    if (!t->apart) {
        to.ahead_k = rows_ahead(hd->dk, t->slot, t->n, a->key_dim);
        to.ahead_v = rows_ahead(hd->dv, t->slot, t->n, a->value_dim);
        to.ahead_k.then = to.ahead_v.then = blk->later;
    }
    to.dk = (matrix){blk->m.dk, blk->m.key_pad};
    to.dv = (matrix){blk->m.dv, blk->m.value_pad};
    memset(to.dk.at, 0, (size_t)(t->n * to.dk.stride) * sizeof(float));
    memset(to.dv.at, 0, (size_t)(t->n * to.dv.stride) * sizeof(float));
    return to;
}

WF_INLINE void add_row(float *to, const float *from, int64_t columns, bool fresh) {
    WF_ROW(c, m, columns, vput(to + c, fresh ? vf_load(from + c) : vtake(to + c, m) + vf_load(from + c), m););
}

/* The packed sums of rows up to `end` are complete. */
static void put_keys(const block *blk, head *hd, int64_t end) {
    for (; hd->put < end; hd->put++) {
        add_row(row_of(hd->to_k, hd->put), row_of(hd->dk, hd->put), blk->a->key_dim, true);
        add_row(row_of(hd->to_v, hd->put), row_of(hd->dv, hd->put), blk->a->value_dim, true);
    }
}

/* Rows summed in the scratch go to their slots. */
static void end_keys(const block *blk, const tile *t, head *hd, const sums *from) {
    if (hd->packed && hd->last)
        put_keys(blk, hd, t->slot + t->n);
    for (int j = 0; from->close && j < t->n; j++) {
        int64_t slot = t->apart ? t->slots[j] : t->slot + j;
        add_row(row_of(hd->dk, slot), row_of(from->dk, j), blk->a->key_dim, from->fresh);
        add_row(row_of(hd->dv, slot), row_of(from->dv, j), blk->a->value_dim, from->fresh);
    }
}

/* dV += P^T dO and dK += dS^T Q, Q scaled. */
static void add_key_gradients(const block *blk, const tile *t, sums *to) {
    for (int i = 0; i < t->n_strips; i++) {
        const strip *s = &t->strips[i];
        int64_t row = s->v0 * WF_VL, rows = min64(s->v1 * WF_VL, blk->n) - row, cell = s->key * ROWS + row;
        panel_run(&(panel){.c = row_of(to->dv, s->key),
                           .ldc = to->dv.stride,
                           .a = blk->m.s + cell,
                           .a_row = ROWS,
                           .a_col = 1,
                           .b = blk->m.do_n + row * blk->m.value_pad,
                           .ldb = blk->m.value_pad,
                           .m = s->keys,
                           .k = rows,
                           .n = blk->a->value_dim,
                           .add = true,
                           .ahead = &to->ahead_v});
        panel_run(&(panel){.c = row_of(to->dk, s->key),
                           .ldc = to->dk.stride,
                           .a = blk->m.dp + cell,
                           .a_row = ROWS,
                           .a_col = 1,
                           .b = blk->m.q_n + row * blk->m.key_pad,
                           .ldb = blk->m.key_pad,
                           .m = s->keys,
                           .k = rows,
                           .n = blk->a->key_dim,
                           .add = true,
                           .ahead = &to->ahead_k});
    }
}

/* dQ^T += K^T dS^T */
static void add_query_gradients(const block *blk, const tile *t) {
    for (int i = 0; i < t->n_strips; i++) {
        const strip *s = &t->strips[i];
        int64_t row = s->v0 * WF_VL;
        panel_run(&(panel){.c = blk->m.dq_t + row,
                           .ldc = ROWS,
                           .a = row_of(t->k, s->key),
                           .a_row = 1,
                           .a_col = t->k.stride,
                           .b = blk->m.dp + s->key * ROWS + row,
                           .ldb = ROWS,
                           .m = blk->a->key_dim,
                           .k = s->keys,
                           .n = (s->v1 - s->v0) * WF_VL,
                           .add = true,
                           .ahead = &(panel_ahead){.then = blk->later}});
    }
}

/* Whether the block meets one tile at most. */
static bool meets_one(const block *blk) {
    cursor c = {0};
    tile t;
    return !next_tile(blk, &c, &t) || !next_tile(blk, &c, &t);
}

static void back_tile(const block *blk, tile *t, sums *to) {
    const wf_attention_args *a = blk->a;
    tile_scores(blk, t, blk->m.cap);
    tile_products(t, t->v, blk->m.do_t, a->value_dim, blk->m.dp, &t->ahead_v);
    if (blk->alone)
        gradients_of_all_scores(blk, t);
    else
        gradients_of_scores(blk, t);
    if (a->d_distance_bias)
        add_distance_gradients(blk, t);
    if (a->d_bias)
        store_transposed(blk, t, blk->m.dp, a->d_bias + (blk->b * a->heads + blk->h) * a->t * a->s);
    if (a->softcap > 0)
        EACH_CELL(t, i, j, v, blk->m.dp, x, { vf_store(x, vf_load(x) * vf_load(blk->m.cap + j * ROWS + v * WF_VL)); })
    add_key_gradients(blk, t, to);
    add_query_gradients(blk, t);
}

/* dQ of the block's rows; entries add theirs to the rows they are of. */
static void store_queries(const block *blk, const head *hd) {
    const wf_attention_args *a = blk->a;
    for (int v = 0; v < blk->vectors; v++)
        vf_store(blk->m.correction + v * WF_VL, vf_set(a->scale));
    if (!blk->entries) {
        view_turn_back(hd->dq, blk->first, blk->n, a->key_dim, blk->m.correction, blk->m.dq_t);
        return;
    }
    view_turn_back((view){WF_F32, (char *)blk->m.q_n, blk->m.key_pad}, 0, blk->n, a->key_dim, blk->m.correction, blk->m.dq_t);
    for (int64_t i = 0; i < blk->n; i++) {
        float *dq = (float *)(void *)hd->dq.at + block_row(blk, i) * hd->dq.stride;
        const float *part = blk->m.q_n + i * blk->m.key_pad;
        WF_ROW(c, m, a->key_dim, vput(dq + c, vtake(dq + c, m) + vtake(part + c, m), m););
    }
}

static void begin_rows(block *blk, head *hd) {
    const wf_attention_args *a = blk->a;
    blk->alone = a->type == WF_F32 && !a->entries && meets_one(blk);
    load_block(blk, hd);
    if (a->d_bias)
        memset(a->d_bias + ((blk->b * a->heads + blk->h) * a->t + blk->first) * a->s, 0,
               (size_t)(blk->n * a->s) * sizeof(float));
}

static void end_rows(const block *blk, head *hd) {
    add_sinks(blk, hd);
    store_queries(blk, hd);
}

/* What this stack writes at its end and what the next one reads at its beginning. */
static void fetch_rows(stack *st, const head *hd) {
    const block *any = &st->blocks[0], *last = &st->blocks[st->n - 1];
    if (any->entries)
        return;
    int64_t first = last->first + last->n, n = min64(any->a->t - first, WF_ATTENTION_BLOCKS * ROWS);
    stack_fetch(st, hd->dq, any->first, first - any->first, any->a->key_dim, true);
    stack_fetch(st, any->q, first, n, any->a->key_dim, false);
    stack_fetch(st, hd->dout, first, n, any->a->value_dim, false);
    stack_fetch(st, any->o, first, n, any->a->value_dim, false);
}

static void back_stack(stack *st, head *hd) {
    const block *any = &st->blocks[0];
    cursor c = {0};
    tile t;
    bool more = next_place(any, &c, &t);
    if (more)
        tile_prefetch(any, &t);
    for (int i = 0; i < st->n; i++)
        begin_rows(&st->blocks[i], hd);
    for (bool ending = false; more; more = next_place(any, &c, &t)) {
        sums to = {0};
        bool met = false;
        if (!ending && stack_ending(st, &t)) {
            ending = true;
            fetch_rows(st, hd);
        }
        for (int i = 0; i < st->n; i++) {
            if (!tile_seen(&st->blocks[i], &t))
                continue;
            if (!met)
                to = begin_keys(any, &t, hd);
            met = true;
            back_tile(&st->blocks[i], &t, &to);
        }
        if (met)
            end_keys(any, &t, hd, &to);
    }
    for (int i = 0; i < st->n; i++)
        end_rows(&st->blocks[i], hd);
}

/* From now on the head's keys and values are in the scratch, as far as they have been met. */
static void pack_head(stack *st, head *hd) {
    const wf_attention_buffers *m = &st->blocks[0].m;
    hd->packed = true;
    hd->k = st->blocks[0].k;
    hd->v = st->blocks[0].v;
    hd->dk = (matrix){m->dk, m->key_pad};
    hd->dv = (matrix){m->dv, m->value_pad};
    for (int64_t i = 0; i < wf_attention_blocks(st->blocks[0].a, true); i++) {
        st->blocks[i].packed = true;
        st->blocks[i].k = (view){WF_F32, (char *)m->k, m->key_pad};
        st->blocks[i].v = (view){WF_F32, (char *)m->v, m->value_pad};
    }
}

static void attention_back(const wf_attention_args *a, int64_t batch, int64_t head_, void *scratch) {
    stack st;
    stack_open(a, batch, head_, true, scratch, &st);
    const block *any = &st.blocks[0];
    head hd = {.dout = view_of(a->type, a->do_, a->do_stride, batch, head_),
               .dq = view_of(a->entries ? WF_F32 : a->type, a->dq, a->dq_stride, batch, head_)};
    hd.to_k = (matrix){a->dk + (batch * a->s * a->heads + head_) * a->key_dim, a->heads * a->key_dim};
    hd.to_v = (matrix){a->dv + (batch * a->s * a->heads + head_) * a->value_dim, a->heads * a->value_dim};
    hd.dk = hd.to_k;
    hd.dv = hd.to_v;
    if (wf_attention_packs(a))
        pack_head(&st, &hd);
    for (int64_t i = 0; a->entries && i < a->s; i++)
        memset((float *)(void *)hd.dq.at + i * hd.dq.stride, 0, (size_t)a->key_dim * sizeof(float));
    if (a->d_distance_bias)
        memset(any->m.distances, 0, (size_t)a->distances * sizeof *any->m.distances);
    for (int64_t first = 0; first < a->t; first += st.n * ROWS) {
        stack_rows(&st, first);
        hd.last = first + st.n * ROWS >= a->t;
        back_stack(&st, &hd);
    }
    if (hd.packed)
        put_keys(any, &hd, hd.zeroed);
    zero_rows(any, hd.to_k, hd.to_v, hd.zeroed, a->s);
    for (int64_t e = 0; e < a->distances && a->d_distance_bias; e++)
        a->d_distance_bias[(batch * a->heads + head_) * a->distances + e] = (float)any->m.distances[e];
    if (a->d_sinks)
        a->d_sinks[batch * a->heads + head_] = (float)hd.sink;
}

WF_FILL(attention_back) { k->attention_back = attention_back; }
