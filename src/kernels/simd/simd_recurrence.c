/* simd_recurrence.c - vector forms of kernel L (mixers.md U3, U7): four tokens per pass over a slice of the state that stays in
 * cache. With b_i the sum of the log decays up to token i of the four, S_in the state before them and q already scaled,
 *     o_i = e^{b_i} q_i S_in + sum_{j<=i} P_ij v_j,  P_ij = sum_d q_id k_jd e^{b_i - b_j},  S_out = e^{b_3} S_in + sum_j k_j e^{b_3 - b_j} v_j^T.
 * Every exponent difference is a product of at most three decays <= 1, never a quotient. The backward is three such scans: dq
 * forward in time over S^T; dk and dv backward over G^T and G, where G is the gradient of the state. The two transposed ones
 * turn sums over value channels into sums over rows, so that no pass adds lanes. */
#include "kernels/vec/fill.h"
#include "kernels/vec/reduce.h"
#include "kernels/vec/vec.h"

enum { TOKENS = 4, WIDTH = WF_RECURRENCE_SLICE };

#if defined(__AVX512F__) || defined(__aarch64__)
enum { COLUMNS = 2 }; /* vectors a pass holds per token: 2*(4 sums + 4 inputs) of 32 registers */
#else
enum { COLUMNS = 1 };
#endif

typedef enum decay_mode { DECAY_OFF, DECAY_ONE, DECAY_ROWS, DECAY_COLUMNS } decay_mode;

typedef struct piece { /* one slice of one head of one sequence */
    const wf_recurrence_args *a;
    int64_t head, shared, tokens, slice, first, width; /* shared: the q, k head; tokens: index of the sequence's first token */
    int64_t keys;                                      /* key channels rounded up to 16: the stride of what follows */
    float *q, *k, *e, *total;  /* [4][keys]: e^{b_i} q_i, e^{b_3-b_j} k_j, the decays; [keys]: e^{b_3} */
    float *v, *dout, *out;     /* [4][64], [4][64], [4][max(keys, 64)] */
    float *sums;               /* [keys]: running sums of the backward */
    float *bonus;              /* [2][keys]: dbonus since the last anchor, and before */
    float *state;              /* [keys*64] */
    float *anchors;            /* [wf_recurrence_anchors + 1][keys*64] */
    float score[TOKENS * TOKENS]; /* P, or the products do_i.v_j */
} piece;

static float *carve(float **at, int64_t n) {
    float *p = *at;
    *at += n;
    return p;
}

static piece make_piece(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    int64_t first = slice * WIDTH, left = a->value_dim - first;
    piece p = {.a = a, .head = head, .slice = slice, .first = first, .width = left < WIDTH ? left : WIDTH};
    p.shared = head / (a->heads / a->qk_heads);
    p.tokens = batch * a->t;
    p.keys = (a->key_dim + 15) / 16 * 16;
    float *at = scratch;
    p.q = carve(&at, TOKENS * p.keys);
    p.k = carve(&at, TOKENS * p.keys);
    p.e = carve(&at, TOKENS * p.keys);
    p.total = carve(&at, p.keys);
    p.v = carve(&at, TOKENS * WIDTH);
    p.dout = carve(&at, TOKENS * WIDTH);
    p.out = carve(&at, TOKENS * (p.keys > WIDTH ? p.keys : WIDTH));
    p.sums = carve(&at, p.keys);
    p.bonus = carve(&at, 2 * p.keys);
    p.state = carve(&at, p.keys * WIDTH);
    p.anchors = at;
    return p;
}

static int64_t row(const piece *p, int64_t t) { return (p->tokens + t) * p->a->heads + p->head; }
static const float *qk_row(const piece *p, const float *x, int64_t t) {
    return x + ((p->tokens + t) * p->a->qk_heads + p->shared) * p->a->key_dim;
}
static int64_t value_row(const piece *p, int64_t t) { return row(p, t) * p->a->value_dim + p->first; }
static int64_t part_row(const piece *p, int64_t t) { return p->slice * p->a->batch * p->a->t * p->a->heads + row(p, t); }
static int64_t state_row(const piece *p, int64_t d) {
    int64_t batch = p->a->t ? p->tokens / p->a->t : 0;
    return ((batch * p->a->heads + p->head) * p->a->key_dim + d) * p->a->value_dim + p->first;
}

/* The n (any number) first of WF_VL lanes. */
WF_INLINE vf take(const float *p, int64_t n) { return n >= WF_VL ? vf_load(p) : n > 0 ? vf_load_n(p, n) : vf_set(0.0f); }
WF_INLINE void put(float *p, vf v, int64_t n) {
    if (n >= WF_VL)
        vf_store(p, v);
    else if (n > 0)
        vf_store_n(p, v, n);
}

/* ---- the pass over the state ---- */

typedef struct sweep { /* out_i = sum_r x_ir S_r; S_r = decay S_r + sum_j y_jr z_j */
    int64_t rows, columns;
    const float *src; /* the state before; may be dst */
    float *dst;
    int64_t src_stride, dst_stride;
    const float *x, *y; /* [4][xy_stride] */
    int64_t xy_stride;
    const float *decay; /* one number, one per row, or one per column */
    const float *z;     /* [4][z_stride] */
    float *out;
    int64_t z_stride, out_stride;
} sweep;

WF_INLINE void sweep_block(const sweep *s, int64_t c, int m, int nb, decay_mode mode) {
    vf z[TOKENS][4], sum[TOKENS][4], decay[4];
    for (int b = 0; b < nb; b++) {
        decay[b] = mode == DECAY_COLUMNS ? vf_load(s->decay + c + b * WF_VL) : mode == DECAY_ONE ? vf_set(*s->decay) : vf_set(1.0f);
        for (int i = 0; i < m; i++) {
            z[i][b] = vf_load(s->z + i * s->z_stride + c + b * WF_VL);
            sum[i][b] = vf_set(0.0f);
        }
    }
    const float *src = s->src + c, *x = s->x, *y = s->y;
    float *dst = s->dst + c;
    for (int64_t r = 0; r < s->rows; r++, src += s->src_stride, dst += s->dst_stride) {
        vf state[4];
        for (int b = 0; b < nb; b++)
            state[b] = vf_load(src + b * WF_VL);
        for (int i = 0; i < m; i++) {
            vf read = vf_set(x[i * s->xy_stride + r]);
            for (int b = 0; b < nb; b++)
                sum[i][b] = vf_fma(read, state[b], sum[i][b]);
        }
        if (mode == DECAY_ROWS)
            decay[0] = vf_set(s->decay[r]);
        for (int b = 0; b < nb && mode != DECAY_OFF; b++)
            state[b] = state[b] * decay[mode == DECAY_ROWS ? 0 : b];
        for (int i = 0; i < m; i++) {
            vf write = vf_set(y[i * s->xy_stride + r]);
            for (int b = 0; b < nb; b++)
                state[b] = vf_fma(write, z[i][b], state[b]);
        }
        for (int b = 0; b < nb; b++)
            vf_store(dst + b * WF_VL, state[b]);
    }
    for (int i = 0; i < m; i++)
        for (int b = 0; b < nb; b++)
            vf_store(s->out + i * s->out_stride + c + b * WF_VL, sum[i][b]);
}

WF_INLINE void sweep_mode(const sweep *s, int m, int nb, decay_mode mode) {
    int64_t c = 0;
    for (; c + nb * WF_VL <= s->columns; c += nb * WF_VL)
        sweep_block(s, c, m, nb, mode);
    for (; c < s->columns; c += WF_VL)
        sweep_block(s, c, m, 1, mode);
}

static void sweep_four(const sweep *s, decay_mode mode) {
    switch (mode) {
    case DECAY_OFF: sweep_mode(s, TOKENS, COLUMNS, DECAY_OFF); break;
    case DECAY_ONE: sweep_mode(s, TOKENS, COLUMNS, DECAY_ONE); break;
    case DECAY_ROWS: sweep_mode(s, TOKENS, COLUMNS, DECAY_ROWS); break;
    case DECAY_COLUMNS: sweep_mode(s, TOKENS, COLUMNS, DECAY_COLUMNS); break;
    }
}

/* One token: bound by the traffic to the state, so a pass takes whole rows. */
static void sweep_one(const sweep *s, decay_mode mode) {
    switch (mode) {
    case DECAY_OFF: sweep_mode(s, 1, 4, DECAY_OFF); break;
    case DECAY_ONE: sweep_mode(s, 1, 4, DECAY_ONE); break;
    case DECAY_ROWS: sweep_mode(s, 1, 4, DECAY_ROWS); break;
    case DECAY_COLUMNS: sweep_mode(s, 1, 4, DECAY_COLUMNS); break;
    }
}

static decay_mode mode_of(const piece *p, decay_mode vector) {
    return p->a->decay == WF_DECAY_NONE ? DECAY_OFF : p->a->decay == WF_DECAY_VECTOR ? vector : DECAY_ONE;
}

/* ---- what a pass is fed with ---- */

/* Sixteen lane sums into the score table. */
static void store_scores(piece *p, const vf *sum) {
    for (int i = 0; i < TOKENS * TOKENS; i += WF_VL)
        vf_store(p->score + i, vf_sum_rows(sum + i));
}

typedef struct four { /* one vector of key channels of four tokens; tokens beyond the last are q = k = 0, decay 1 */
    vf q[TOKENS], k[TOKENS], e[TOKENS], u;
} four;

/* Channels c.. of the q or k of token t+i; 0 beyond the last token. */
WF_INLINE vf qk_lanes(const piece *p, const float *x, int64_t t, int i, int live, int64_t c) {
    return i < live ? take(qk_row(p, x, t + i) + c, p->a->key_dim - c) : vf_set(0.0f);
}
WF_INLINE vf bonus_row(const piece *p, int64_t c, bool bonus) {
    return bonus ? take(p->a->bonus + p->head * p->a->key_dim + c, p->a->key_dim - c) : vf_set(1.0f);
}

WF_INLINE void load_four(const piece *p, four *f, int64_t t, int m, int live, int64_t c, const vf *flat, bool vector, bool bonus) {
    const wf_recurrence_args *a = p->a;
    for (int i = 0; i < m; i++) {
        f->q[i] = qk_lanes(p, a->q, t, i, live, c) * a->scale;
        f->k[i] = qk_lanes(p, a->k, t, i, live, c);
        if (vector)
            f->e[i] = i < live ? vf_exp(take(a->g + row(p, t + i) * a->key_dim + c, a->key_dim - c)) : vf_set(1.0f);
        else
            f->e[i] = flat[i];
    }
    f->u = bonus_row(p, c, bonus);
}

/* The decays of four tokens when they do not depend on the channel. */
static void flat_decays(const piece *p, int64_t t, int live, vf *flat) {
    const wf_recurrence_args *a = p->a;
    float g[WF_VL] = {0};
    for (int i = 0; i < live; i++)
        g[i] = a->decay == WF_DECAY_CONST ? a->g[p->head] : a->decay == WF_DECAY_SCALAR ? a->g[row(p, t + i)] : 0.0f;
    vf_store(g, vf_exp(vf_load(g)));
    for (int i = 0; i < TOKENS; i++)
        flat[i] = vf_set(g[i]);
}

/* q, k, decay factors and P of tokens t..t+live-1. bonus: the read is exclusive, S_{t-1} plus diag(u) k v^T. */
WF_INLINE void prepare_keys(piece *p, int64_t t, int m, int live, bool vector, bool bonus) {
    vf sum[TOKENS * TOKENS], flat[TOKENS];
    for (int i = 0; i < TOKENS * TOKENS; i++)
        sum[i] = vf_set(0.0f);
    if (!vector)
        flat_decays(p, t, live, flat);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        four f;
        load_four(p, &f, t, m, live, c, flat, vector, bonus);
        vf past = vf_set(1.0f);
        for (int i = 0; i < m; i++) {
            vf here = past * f.e[i];
            vf_store(p->q + i * p->keys + c, f.q[i] * (bonus ? past : here));
            vf_store(p->e + i * p->keys + c, f.e[i]);
            past = here;
        }
        vf_store(p->total + c, past);
        for (int j = 0; j < m; j++) {
            vf w = f.k[j];
            sum[j * TOKENS + j] = vf_fma(f.q[j], bonus ? f.u * w : w, sum[j * TOKENS + j]);
            for (int i = j + 1; i < m; i++) {
                vf decayed = w * f.e[i];
                sum[i * TOKENS + j] = vf_fma(f.q[i], bonus ? w : decayed, sum[i * TOKENS + j]);
                w = decayed;
            }
            vf_store(p->k + j * p->keys + c, w);
        }
    }
    store_scores(p, sum);
}

static void prepare_four(piece *p, int64_t t, int live) {
    bool vector = p->a->decay == WF_DECAY_VECTOR;
    if (p->a->bonus && vector)
        prepare_keys(p, t, TOKENS, live, true, true);
    else if (p->a->bonus)
        prepare_keys(p, t, TOKENS, live, false, true);
    else if (vector)
        prepare_keys(p, t, TOKENS, live, true, false);
    else
        prepare_keys(p, t, TOKENS, live, false, false);
}

static void prepare_one(piece *p, int64_t t) {
    bool vector = p->a->decay == WF_DECAY_VECTOR;
    if (p->a->bonus)
        prepare_keys(p, t, 1, 1, vector, true);
    else
        prepare_keys(p, t, 1, 1, vector, false);
}

/* Rows of v or do of this slice, padded with zeros. */
static void prepare_values(const piece *p, float *to, const float *from, int64_t t, int live) {
    for (int i = 0; i < TOKENS; i++)
        for (int64_t c = 0; c < WIDTH; c += WF_VL)
            vf_store(to + i * WIDTH + c, i < live ? take(from + value_row(p, t + i) + c, p->width - c) : vf_set(0.0f));
}

/* The products do_i.v_j. */
static void prepare_products(piece *p) {
    vf sum[TOKENS * TOKENS];
    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++) {
            sum[i * TOKENS + j] = vf_set(0.0f);
            for (int64_t c = 0; j <= i && c < WIDTH; c += WF_VL)
                sum[i * TOKENS + j] = vf_fma(vf_load(p->dout + i * WIDTH + c), vf_load(p->v + j * WIDTH + c), sum[i * TOKENS + j]);
        }
    store_scores(p, sum);
}

/* ---- states in and out ---- */

static void load_state(const piece *p, float *s, const float *from) {
    for (int64_t d = 0; d < p->a->key_dim; d++)
        for (int64_t c = 0; c < WIDTH; c += WF_VL)
            vf_store(s + d * WIDTH + c, from ? take(from + state_row(p, d) + c, p->width - c) : vf_set(0.0f));
}

static void save_state(const piece *p, const float *s, float *to) {
    for (int64_t d = 0; to && d < p->a->key_dim; d++)
        for (int64_t c = 0; c < WIDTH; c += WF_VL)
            put(to + state_row(p, d) + c, vf_load(s + d * WIDTH + c), p->width - c);
}

/* [width, keys] from [key_dim, width]. */
static void load_transposed(const piece *p, float *s, const float *from) {
    memset(s, 0, (size_t)(p->keys * WIDTH) * sizeof(float));
    for (int64_t d = 0; from && d < p->a->key_dim; d++)
        for (int64_t j = 0; j < p->width; j++)
            s[j * p->keys + d] = from[state_row(p, d) + j];
}

/* ---- forward ---- */

static void write_rows(const piece *p, float *to, const float *in, int64_t t, int live, bool reverse) {
    for (int64_t c = 0; c < p->width; c += WF_VL)
        for (int i = 0; i < live; i++) {
            vf sum = vf_load(p->out + i * WIDTH + c);
            for (int j = reverse ? i : 0; j < (reverse ? live : i + 1); j++)
                sum = vf_fma(vf_set(p->score[reverse ? j * TOKENS + i : i * TOKENS + j]), vf_load(in + j * WIDTH + c), sum);
            put(to + value_row(p, t + i) + c, sum, p->width - c);
        }
}

static sweep forward_sweep(const piece *p) {
    return (sweep){.rows = p->a->key_dim, .columns = (p->width + WF_VL - 1) / WF_VL * WF_VL, .x = p->q, .y = p->k,
                   .xy_stride = p->keys, .decay = p->total, .z = p->v, .out = p->out, .z_stride = WIDTH, .out_stride = WIDTH};
}

static void recurrence(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    decay_mode mode = mode_of(&p, DECAY_ROWS);
    bool direct = p.width % WF_VL == 0 && a->t > 0; /* the first and last pass read and write the caller's state */
    sweep s = forward_sweep(&p);
    if (!direct || !a->s_in)
        load_state(&p, p.state, a->s_in);
    for (int64_t t = 0; t < a->t; t += TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        bool first = direct && t == 0 && a->s_in, last = direct && t + live == a->t && a->s_out;
        s.src = first ? a->s_in + state_row(&p, 0) : p.state;
        s.dst = last ? a->s_out + state_row(&p, 0) : p.state;
        s.src_stride = first ? a->value_dim : WIDTH;
        s.dst_stride = last ? a->value_dim : WIDTH;
        prepare_values(&p, p.v, a->v, t, live);
        if (live == 1) {
            prepare_one(&p, t);
            sweep_one(&s, mode);
        } else {
            prepare_four(&p, t, live);
            sweep_four(&s, mode);
        }
        write_rows(&p, a->o, p.v, t, live, false);
    }
    if (!direct)
        save_state(&p, p.state, a->s_out);
}

/* ---- backward ---- */

/* dg is a running sum over time of differences (U6.4), and starts afresh at each anchor: a state kept from the forward pass. */
static bool at_anchor(const piece *p, int64_t t) { return p->a->dg_part && t % wf_recurrence_anchor_step(p->a->t) == 0; }
static float *anchor(const piece *p, int64_t i) { return p->anchors + i * p->keys * WIDTH; }

/* Sums over the lanes of four vectors. */
static void sum_four(const vf *in, float *out) {
    vf rows[WF_VL];
    float sums[WF_VL];
    for (int i = 0; i < WF_VL; i++)
        rows[i] = i < TOKENS ? in[i] : vf_set(0.0f);
    vf_store(sums, vf_sum_rows(rows));
    memcpy(out, sums, TOKENS * sizeof(float));
}

/* dq_i = e^{b_i} S_in do_i + sum_{j<=i} (do_i.v_j) e^{b_i-b_j} k_j. dg gets q*dq without the term j = i: that term is the same
 * number in k*dk and cancels, and leaving it out keeps dg relative to the decay. */
WF_INLINE void finish_queries(const piece *p, int64_t t, int live, bool vector, bool bonus) {
    const wf_recurrence_args *a = p->a;
    vf products[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        products[i] = vf_set(0.0f);
    for (int64_t c = 0; c < a->key_dim; c += WF_VL) {
        int64_t n = a->key_dim - c;
        vf past = vf_set(1.0f), e[TOKENS], k[TOKENS], u = bonus_row(p, c, bonus);
        for (int i = 0; i < TOKENS; i++) {
            e[i] = vf_load(p->e + i * p->keys + c);
            k[i] = qk_lanes(p, a->k, t, i, live, c);
            vf here = past * e[i], sum = vf_load(p->out + i * p->keys + c) * (bonus ? past : here);
            vf w = bonus ? vf_set(1.0f) : e[i];
            past = here;
            for (int j = i - 1; j >= 0; j--) {
                sum = vf_fma(vf_set(p->score[i * TOKENS + j]), w * k[j], sum);
                w = w * e[j];
            }
            vf own = qk_lanes(p, a->q, t, i, live, c) * a->scale * sum;
            products[i] += own;
            if (i >= live)
                continue;
            if (vector && a->dg_part)
                put(a->dg_part + part_row(p, t + i) * a->key_dim + c, own, n);
            sum = vf_fma(vf_set(p->score[i * TOKENS + i]), u * k[i], sum);
            put(a->dq_part + part_row(p, t + i) * a->key_dim + c, sum * a->scale, n);
        }
    }
    if (vector || !a->dg_part)
        return;
    float sums[TOKENS];
    sum_four(products, sums);
    for (int i = 0; i < live; i++)
        a->dg_part[part_row(p, t + i)] = sums[i];
}

static void query_pass(piece *p) {
    const wf_recurrence_args *a = p->a;
    decay_mode mode = mode_of(p, DECAY_COLUMNS);
    bool vector = a->decay == WF_DECAY_VECTOR;
    sweep s = {.rows = p->width, .columns = p->keys, .src = p->state, .dst = p->state, .src_stride = p->keys, .dst_stride = p->keys,
               .x = p->dout, .y = p->v, .xy_stride = WIDTH, .decay = p->total, .z = p->k, .out = p->out, .z_stride = p->keys,
               .out_stride = p->keys};
    load_transposed(p, p->state, a->s_in);
    for (int64_t t = 0; t < a->t; t += TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        if (at_anchor(p, t))
            memcpy(anchor(p, t / wf_recurrence_anchor_step(a->t)), p->state, (size_t)(p->keys * WIDTH) * sizeof(float));
        prepare_values(p, p->v, a->v, t, live);
        prepare_values(p, p->dout, a->do_, t, live);
        prepare_four(p, t, live);
        prepare_products(p);
        sweep_four(&s, mode);
        if (vector)
            a->bonus ? finish_queries(p, t, live, true, true) : finish_queries(p, t, live, true, false);
        else
            a->bonus ? finish_queries(p, t, live, false, true) : finish_queries(p, t, live, false, false);
    }
}

/* sums[d] = sum over value channels of S*G, both transposed: what dg has added up to from here to the end. */
static void start_sums(const piece *p, const float *s, const float *grad) {
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf sum = vf_set(0.0f);
        for (int64_t j = 0; j < p->width; j++)
            sum = vf_fma(vf_load(s + j * p->keys + c), vf_load(grad + j * p->keys + c), sum);
        vf_store(p->sums + c, sum);
    }
    for (int64_t c = WF_VL; c < p->keys && p->a->decay != WF_DECAY_VECTOR; c += WF_VL)
        vf_store(p->sums, vf_load(p->sums) + vf_load(p->sums + c));
    if (p->a->decay != WF_DECAY_VECTOR)
        p->sums[0] = vf_sum(vf_load(p->sums));
}

/* With A_t = rowsum(S_{t-1} * grad of S_{t-1}): A_t = A_{t+1} + q*dq - k*dk, and dg_t = A_t, less q*dq when the read is
 * exclusive. dg_part holds q*dq from the pass over the queries. */
WF_INLINE vf step_sums(const piece *p, vf sum, int64_t t, int64_t c, int64_t n, vf own) {
    float *at = p->a->dg_part + part_row(p, t) * p->a->key_dim + c;
    vf query = take(at, n), less = sum - own, next = less + query;
    put(at, p->a->bonus ? less : next, n);
    return next;
}

static void step_flat_sums(const piece *p, int64_t t, int live, const vf *products) {
    float own[TOKENS];
    sum_four(products, own);
    for (int j = live - 1; j >= 0; j--) {
        float *at = p->a->dg_part + part_row(p, t + j), less = p->sums[0] - own[j];
        p->sums[0] = less + *at;
        *at = p->a->bonus ? less : p->sums[0];
    }
}

/* dk_j = e^{b_3-b_j} G v_j + sum_{i>=j} (do_i.v_j) e^{b_i-b_j} q_i. */
WF_INLINE void finish_keys(const piece *p, int64_t t, int live, bool vector, bool bonus) {
    const wf_recurrence_args *a = p->a;
    vf products[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        products[i] = vf_set(0.0f);
    for (int64_t c = 0; c < a->key_dim; c += WF_VL) {
        int64_t n = a->key_dim - c;
        vf past = vf_set(1.0f), e[TOKENS], q[TOKENS], u = bonus_row(p, c, bonus), running = vf_load(p->sums + c);
        for (int j = TOKENS - 1; j >= 0; j--) {
            e[j] = vf_load(p->e + j * p->keys + c);
            q[j] = qk_lanes(p, a->q, t, j, live, c) * a->scale;
            vf sum = vf_load(p->out + j * p->keys + c) * past, w = vf_set(1.0f), k = qk_lanes(p, a->k, t, j, live, c);
            past = past * e[j];
            for (int i = j + 1; i < TOKENS; i++) {
                vf decayed = w * e[i];
                sum = vf_fma(vf_set(p->score[i * TOKENS + j]), (bonus ? w : decayed) * q[i], sum);
                w = decayed;
            }
            products[j] += k * sum;
            if (j >= live)
                continue;
            vf inner = vf_set(p->score[j * TOKENS + j]);
            if (vector && a->dg_part)
                running = step_sums(p, running, t + j, c, n, k * sum);
            if (bonus)
                vf_store(p->bonus + c, vf_fma(inner, q[j] * k, vf_load(p->bonus + c)));
            put(a->dk_part + part_row(p, t + j) * a->key_dim + c, vf_fma(inner, u * q[j], sum), n);
        }
        if (vector)
            vf_store(p->sums + c, running);
    }
    if (!vector && a->dg_part)
        step_flat_sums(p, t, live, products);
}

/* dbonus over many tokens: sums of sums, so that its error does not grow with their number. */
static void fold_bonus(const piece *p) {
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf_store(p->bonus + p->keys + c, vf_load(p->bonus + p->keys + c) + vf_load(p->bonus + c));
        vf_store(p->bonus + c, vf_set(0.0f));
    }
}

static void key_pass(piece *p) {
    const wf_recurrence_args *a = p->a;
    decay_mode mode = mode_of(p, DECAY_COLUMNS);
    bool vector = a->decay == WF_DECAY_VECTOR;
    sweep s = {.rows = p->width, .columns = p->keys, .src = p->state, .dst = p->state, .src_stride = p->keys, .dst_stride = p->keys,
               .x = p->v, .y = p->dout, .xy_stride = WIDTH, .decay = p->total, .z = p->q, .out = p->out, .z_stride = p->keys,
               .out_stride = p->keys};
    for (int64_t t = (a->t - 1) / TOKENS * TOKENS; t >= 0; t -= TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        prepare_values(p, p->v, a->v, t, live);
        prepare_values(p, p->dout, a->do_, t, live);
        prepare_four(p, t, live);
        prepare_products(p);
        sweep_four(&s, mode);
        if (vector)
            a->bonus ? finish_keys(p, t, live, true, true) : finish_keys(p, t, live, true, false);
        else
            a->bonus ? finish_keys(p, t, live, false, true) : finish_keys(p, t, live, false, false);
        if (at_anchor(p, t))
            start_sums(p, anchor(p, t / wf_recurrence_anchor_step(a->t)), p->state);
        if (t % wf_recurrence_anchor_step(a->t) == 0)
            fold_bonus(p);
    }
}

static void value_pass(piece *p) {
    const wf_recurrence_args *a = p->a;
    decay_mode mode = mode_of(p, DECAY_ROWS);
    sweep s = forward_sweep(p); /* the same sums with k for q and do for v */
    s.x = p->k;
    s.y = p->q;
    s.z = p->dout;
    s.src = s.dst = p->state;
    s.src_stride = s.dst_stride = WIDTH;
    load_state(p, p->state, a->ds_out);
    for (int64_t t = (a->t - 1) / TOKENS * TOKENS; t >= 0; t -= TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        prepare_values(p, p->dout, a->do_, t, live);
        prepare_four(p, t, live);
        sweep_four(&s, mode);
        write_rows(p, a->dv, p->dout, t, live, true);
    }
    save_state(p, p->state, a->ds_in);
}

static void recurrence_back(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    memset(p.bonus, 0, (size_t)(2 * p.keys) * sizeof(float));
    memset(p.sums, 0, (size_t)p.keys * sizeof(float));
    query_pass(&p);
    if (a->dg_part && a->ds_out) { /* the last state lies in p.state */
        float *last = anchor(&p, wf_recurrence_anchors(a->t));
        load_transposed(&p, last, a->ds_out);
        start_sums(&p, p.state, last);
    }
    load_transposed(&p, p.state, a->ds_out);
    key_pass(&p);
    value_pass(&p);
    for (int64_t c = 0; a->dbonus_part && c < a->key_dim; c += WF_VL)
        put(a->dbonus_part + ((slice * a->batch + batch) * a->heads + head) * a->key_dim + c, vf_load(p.bonus + p.keys + c),
            a->key_dim - c);
}

WF_FILL(recurrence) {
    k->recurrence = recurrence;
    k->recurrence_back = recurrence_back;
}
