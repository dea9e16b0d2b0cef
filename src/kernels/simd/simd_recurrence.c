/* simd_recurrence.c - vector forms of kernel L (mixers.md U3, U7): four tokens per pass over a slice of the state that stays in
 * cache. With b_i the sum of the log decays up to token i of the four, S_in the state before them and q already scaled,
 *     o_i = e^{b_i} q_i S_in + sum_{j<=i} P_ij v_j,  P_ij = sum_d q_id k_jd e^{b_i - b_j},  S_out = e^{b_3} S_in + sum_j k_j
 * e^{b_3 - b_j} v_j^T. Every exponent difference is a product of at most three decays <= 1, never a quotient. The backward is
 * three such scans: dq forward in time over S^T; dk and dv backward over G^T and G, where G is the gradient of the state. The
 * two transposed ones turn sums over value channels into sums over rows, so that no pass adds lanes. */
#include "kernels/vec/decay.h"
#include "kernels/vec/fill.h"
#include "kernels/vec/reduce.h"
#include "kernels/vec/vec.h"

enum { TOKENS = 4, WIDTH = WF_RECURRENCE_SLICE, AHEAD = 12 /* tokens prefetched */ };

#if defined(__AVX512F__) || defined(__aarch64__)
enum { COLUMNS = 2 }; /* vectors a pass holds per token: 2*(4 sums + 4 inputs) of 32 registers */
#else
enum { COLUMNS = 1 };
#endif

typedef enum decay_mode { DECAY_OFF, DECAY_ONE, DECAY_ROWS, DECAY_COLUMNS } decay_mode;

typedef struct quad { /* of four tokens; rows beyond the last token are zeros */
    const float *at;
    int64_t stride;
} quad;

typedef struct piece { /* one slice of one head of one sequence */
    const wf_recurrence_args *a;
    int64_t head, shared, tokens, slice, first, width; /* shared: the q, k head; tokens: index of the sequence's first token */
    int64_t keys;                                      /* key channels in whole vectors: the stride of what follows */
    quad q, k, g, v, dout;                             /* the four tokens at hand, where they lie or in a padded copy */
    const float *bonus;                                /* [keys] or NULL */
    float flat[WF_VL], constant;                       /* their decays, when all channels share one */
    int64_t ahead;                                     /* where the scan goes, in tokens */
    float *pads[5], *bonus_pad;                        /* [4][keys] of q, k, g; [4][64] of v, do; [keys] */
    float *read, *write, *e, *total; /* [4][keys]: e^{b_i} q_i, e^{b_3-b_j} k_j, the decays; [keys]: e^{b_3} */
    float *out;                      /* [4][max(keys, 64)] */
    float *sums;                     /* [keys]: running sums of the backward */
    float *dbonus;                   /* [2][keys]: since the last anchor, and before */
    float *state;                    /* [keys*64] */
    float *anchors;                  /* [wf_recurrence_anchors + 1][keys*64] */
    float score[TOKENS * TOKENS];    /* P, or the products do_i.v_j */
} piece;

enum { PAD_Q, PAD_K, PAD_G, PAD_V, PAD_DO };

static float *carve(float **at, int64_t n) {
    float *p = *at;
    *at += n;
    return p;
}

static void carve_scratch(piece *p, float *at) {
    for (int i = 0; i < 5; i++)
        p->pads[i] = carve(&at, TOKENS * (i < PAD_V ? p->keys : WIDTH));
    p->read = carve(&at, TOKENS * p->keys);
    p->write = carve(&at, TOKENS * p->keys);
    p->e = carve(&at, TOKENS * p->keys);
    p->out = carve(&at, TOKENS * (p->keys > WIDTH ? p->keys : WIDTH));
    p->total = carve(&at, p->keys);
    p->bonus_pad = carve(&at, p->keys);
    p->sums = carve(&at, p->keys);
    p->dbonus = carve(&at, 2 * p->keys);
    p->state = carve(&at, p->keys * WIDTH);
    p->anchors = at;
}

static int64_t whole(int64_t n) { return (n + WF_VL - 1) / WF_VL * WF_VL; }

static piece make_piece(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    int64_t first = slice * WIDTH, left = a->value_dim - first;
    piece p = {.a = a,
               .head = head,
               .slice = slice,
               .first = first,
               .width = left < WIDTH ? left : WIDTH,
               .tokens = batch * a->t,
               .ahead = AHEAD};
    p.shared = head / (a->heads / a->qk_heads);
    p.keys = whole(a->key_dim);
    carve_scratch(&p, scratch);
    vf_store(p.flat, vf_set(1.0f));
    if (a->decay == WF_DECAY_CONST)
        p.constant = vf_exp_decay(vf_set(a->g[head]))[0];
    if (a->bonus) {
        memset(p.bonus_pad, 0, (size_t)p.keys * sizeof(float));
        memcpy(p.bonus_pad, a->bonus + head * a->key_dim, (size_t)a->key_dim * sizeof(float));
        p.bonus = p.bonus_pad;
    }
    return p;
}

static int64_t row(const piece *p, int64_t t) { return (p->tokens + t) * p->a->heads + p->head; }
static int64_t qk_row(const piece *p, int64_t t) { return ((p->tokens + t) * p->a->qk_heads + p->shared) * p->a->key_dim; }
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
    quad x, y;
    const float *decay; /* one number, one per row, or one per column */
    quad z;
    float *out;
    int64_t out_stride;
} sweep;

WF_INLINE void sweep_block(const sweep *s, int64_t c, int m, int nb, decay_mode mode) {
    vf z[TOKENS][4], sum[TOKENS][4], decay[4];
    for (int b = 0; b < nb; b++) {
        decay[b] = mode == DECAY_COLUMNS ? vf_load(s->decay + c + b * WF_VL)
                   : mode == DECAY_ONE   ? vf_set(*s->decay)
                                         : vf_set(1.0f);
        for (int i = 0; i < m; i++) {
            z[i][b] = vf_load(s->z.at + i * s->z.stride + c + b * WF_VL);
            sum[i][b] = vf_set(0.0f);
        }
    }
    /* Locals: the stores below could otherwise change *s, for all the compiler knows. */
    const float *src = s->src + c, *x = s->x.at, *y = s->y.at, *decays = s->decay;
    float *dst = s->dst + c;
    int64_t rows = s->rows, src_stride = s->src_stride, dst_stride = s->dst_stride, x_stride = s->x.stride,
            y_stride = s->y.stride;
    for (int64_t r = 0; r < rows; r++, x++, y++, src += src_stride, dst += dst_stride) {
        vf state[4];
        for (int b = 0; b < nb; b++)
            state[b] = vf_load(src + b * WF_VL);
        for (int i = 0; i < m; i++)
            for (int b = 0; b < nb; b++)
                sum[i][b] = vf_fma(vf_set(x[i * x_stride]), state[b], sum[i][b]);
        if (mode == DECAY_ROWS)
            decay[0] = vf_set(decays[r]);
        for (int b = 0; b < nb && mode != DECAY_OFF; b++)
            state[b] = state[b] * decay[mode == DECAY_ROWS ? 0 : b];
        for (int i = 0; i < m; i++)
            for (int b = 0; b < nb; b++)
                state[b] = vf_fma(vf_set(y[i * y_stride]), z[i][b], state[b]);
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
    case DECAY_OFF:
        sweep_mode(s, TOKENS, COLUMNS, DECAY_OFF);
        break;
    case DECAY_ONE:
        sweep_mode(s, TOKENS, COLUMNS, DECAY_ONE);
        break;
    case DECAY_ROWS:
        sweep_mode(s, TOKENS, COLUMNS, DECAY_ROWS);
        break;
    case DECAY_COLUMNS:
        sweep_mode(s, TOKENS, COLUMNS, DECAY_COLUMNS);
        break;
    }
}

/* One token: bound by the traffic to the state, so a pass takes whole rows. */
static void sweep_one(const sweep *s, decay_mode mode) {
    switch (mode) {
    case DECAY_OFF:
        sweep_mode(s, 1, 4, DECAY_OFF);
        break;
    case DECAY_ONE:
        sweep_mode(s, 1, 4, DECAY_ONE);
        break;
    case DECAY_ROWS:
        sweep_mode(s, 1, 4, DECAY_ROWS);
        break;
    case DECAY_COLUMNS:
        sweep_mode(s, 1, 4, DECAY_COLUMNS);
        break;
    }
}

static decay_mode mode_of(const piece *p, decay_mode vector) {
    return p->a->decay == WF_DECAY_NONE ? DECAY_OFF : wf_decay_per_channel(p->a->decay) ? vector : DECAY_ONE;
}

/* ---- what a pass is fed with ---- */

/* Element i of p, which may lie beyond the array; to the second level: the first holds the state. */
WF_INLINE void prefetch(const float *p, int64_t i) {
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)i * sizeof *p), 0, 2);
}

/* The rows of four tokens that a scan comes to soon. Rows that follow each other in memory are left to the hardware. Inline: a
 * function that only prefetches counts as one without effect, and gcc drops its calls. */
WF_INLINE void prefetch_rows(const piece *p, const float *at, int64_t stride, int64_t width) {
    if (stride <= width)
        return;
    for (int i = 0; i < TOKENS; i++)
        for (int64_t c = 0; c < width; c += 16)
            prefetch(at, (i + p->ahead) * stride + c);
}

/* `live` rows of `width`, and zeros up to four rows of whole vectors: a copy, unless they lie like that already. */
static quad fetch(const piece *p, const float *from, int64_t stride, int64_t width, int live, float *pad) {
    prefetch_rows(p, from, stride, width);
    if (live == TOKENS && width % WF_VL == 0)
        return (quad){from, stride};
    int64_t padded = whole(width);
    memset(pad, 0, (size_t)(TOKENS * padded) * sizeof(float));
    for (int i = 0; i < live; i++)
        memcpy(pad + i * padded, from + i * stride, (size_t)width * sizeof(float));
    return (quad){pad, padded};
}

static void fetch_keys(piece *p, int64_t t, int live) {
    const wf_recurrence_args *a = p->a;
    p->q = fetch(p, a->q + qk_row(p, t), a->qk_heads * a->key_dim, a->key_dim, live, p->pads[PAD_Q]);
    p->k = fetch(p, a->k + qk_row(p, t), a->qk_heads * a->key_dim, a->key_dim, live, p->pads[PAD_K]);
    if (a->decay == WF_DECAY_VECTOR)
        p->g = fetch(p, a->g + row(p, t) * a->key_dim, a->heads * a->key_dim, a->key_dim, live, p->pads[PAD_G]);
    if (a->decay == WF_DECAY_CHANNEL) /* the same row for every token */
        p->g = fetch(p, a->g + p->head * a->key_dim, 0, a->key_dim, live, p->pads[PAD_G]);
    for (int i = 0; a->decay == WF_DECAY_CONST && i < TOKENS; i++)
        p->flat[i] = i < live ? p->constant : 1.0f;
    if (a->decay != WF_DECAY_SCALAR)
        return;
    float g[WF_VL] = {0};
    for (int i = 0; i < live; i++)
        g[i] = a->g[row(p, t + i)];
    vf_store(p->flat, vf_exp(vf_load(g)));
}

static quad fetch_values(const piece *p, const float *from, int64_t t, int live, float *pad) {
    if (!from) {
        memset(pad, 0, TOKENS * WIDTH * sizeof(float));
        return (quad){pad, whole(p->width)};
    }
    return fetch(p, from + value_row(p, t), p->a->heads * p->a->value_dim, p->width, live, pad);
}

/* One vector of row i. */
WF_INLINE vf lanes(quad r, int i, int64_t c) { return vf_load(r.at + i * r.stride + c); }
WF_INLINE vf decay_lanes(const piece *p, int i, int64_t c, bool vector) {
    return vector ? vf_load(p->e + i * p->keys + c) : vf_set(p->flat[i]);
}

/* Sixteen lane sums into the score table. */
static void store_scores(piece *p, const vf *sum) {
    for (int i = 0; i < TOKENS * TOKENS; i += WF_VL)
        vf_store(p->score + i, vf_sum_rows(sum + i));
}

/* q, k, decay factors and P of four tokens. bonus: the read is exclusive, S_{t-1} plus diag(u) k v^T. Loops run over whole
 * squares so that compilers unroll them and keep the sums in registers. */
WF_INLINE void prepare_keys(piece *p, bool vector, bool bonus, bool scores) {
    vf sum[TOKENS][TOKENS], rows_of_sums[TOKENS * TOKENS];
    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++)
            sum[i][j] = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf q[TOKENS], e[TOKENS], past = vf_set(1.0f);
        for (int i = 0; i < TOKENS; i++) {
            e[i] = vector ? vf_exp_decay(lanes(p->g, i, c)) : vf_set(p->flat[i]);
            q[i] = lanes(p->q, i, c) * p->a->scale;
            vf here = past * e[i];
            vf_store(p->read + i * p->keys + c, q[i] * (bonus ? past : here));
            if (vector)
                vf_store(p->e + i * p->keys + c, e[i]);
            past = here;
        }
        vf_store(p->total + c, past);
        for (int j = 0; j < TOKENS; j++) {
            vf k = lanes(p->k, j, c), u = bonus ? vf_load(p->bonus + c) : vf_set(1.0f);
            for (int i = 0; i < TOKENS; i++) {
                if (i == j && scores)
                    sum[i][j] = vf_fma(q[i], bonus ? u * k : k, sum[i][j]);
                if (i > j) {
                    vf decayed = k * e[i];
                    if (scores)
                        sum[i][j] = vf_fma(q[i], bonus ? k : decayed, sum[i][j]);
                    k = decayed;
                }
            }
            vf_store(p->write + j * p->keys + c, k);
        }
    }
    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++)
            rows_of_sums[i * TOKENS + j] = sum[i][j];
    if (scores)
        store_scores(p, rows_of_sums);
}

/* scores: P is wanted too. */
static void prepare_four(piece *p, int64_t t, int live, bool scores) {
    bool vector = wf_decay_per_channel(p->a->decay);
    fetch_keys(p, t, live);
    if (p->bonus && vector)
        scores ? prepare_keys(p, true, true, true) : prepare_keys(p, true, true, false);
    else if (p->bonus)
        scores ? prepare_keys(p, false, true, true) : prepare_keys(p, false, true, false);
    else if (vector)
        scores ? prepare_keys(p, true, false, true) : prepare_keys(p, true, false, false);
    else
        scores ? prepare_keys(p, false, false, true) : prepare_keys(p, false, false, false);
}

static void prepare_one(piece *p, int64_t t) {
    fetch_keys(p, t, 1);
    vf sum = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf q = lanes(p->q, 0, c) * p->a->scale, k = lanes(p->k, 0, c);
        vf e = wf_decay_per_channel(p->a->decay) ? vf_exp_decay(lanes(p->g, 0, c)) : vf_set(p->flat[0]);
        sum = vf_fma(q, p->bonus ? vf_load(p->bonus + c) * k : k, sum);
        vf_store(p->read + c, p->bonus ? q : q * e);
        vf_store(p->write + c, k);
        vf_store(p->total + c, e);
    }
    p->score[0] = vf_sum(sum);
}

/* The products do_i.v_j. */
static void prepare_products(piece *p) {
    vf sum[TOKENS][TOKENS], rows_of_sums[TOKENS * TOKENS];
    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++)
            sum[i][j] = vf_set(0.0f);
    for (int64_t c = 0; c < p->width; c += WF_VL)
        for (int i = 0; i < TOKENS; i++)
            for (int j = 0; j < TOKENS; j++)
                if (j <= i)
                    sum[i][j] = vf_fma(lanes(p->dout, i, c), lanes(p->v, j, c), sum[i][j]);
    for (int i = 0; i < TOKENS; i++)
        for (int j = 0; j < TOKENS; j++)
            rows_of_sums[i * TOKENS + j] = sum[i][j];
    store_scores(p, rows_of_sums);
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

/* out_i plus sum_{j<=i} P_ij in_j to rows t.. of `to`; reverse: j >= i and P_ji. */
static void write_rows(const piece *p, float *to, quad in, int64_t t, int live, bool reverse) {
    prefetch_rows(p, to + value_row(p, t), p->a->heads * p->a->value_dim,
                  p->width); /* a store that misses holds up all behind it */
    for (int64_t c = 0; c < p->width; c += WF_VL)
        for (int i = 0; i < live; i++) {
            vf sum = vf_load(p->out + i * WIDTH + c);
            for (int j = reverse ? i : 0; j < (reverse ? TOKENS : i + 1); j++)
                sum = vf_fma(vf_set(p->score[reverse ? j * TOKENS + i : i * TOKENS + j]), lanes(in, j, c), sum);
            put(to + value_row(p, t + i) + c, sum, p->width - c);
        }
}

/* Over S with rows of key channels; z, src and dst are set for each four tokens. */
static sweep value_sweep(const piece *p, const float *x, const float *y) {
    return (sweep){.rows = p->a->key_dim,
                   .columns = whole(p->width),
                   .x = {x, p->keys},
                   .y = {y, p->keys},
                   .decay = p->total,
                   .out = p->out,
                   .out_stride = WIDTH,
                   .src = p->state,
                   .dst = p->state,
                   .src_stride = WIDTH,
                   .dst_stride = WIDTH};
}

static void recurrence(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    decay_mode mode = mode_of(&p, DECAY_ROWS);
    bool direct = p.width % WF_VL == 0 && a->t > 0; /* the first and last pass read and write the caller's state */
    sweep s = value_sweep(&p, p.read, p.write);
    if (!direct || !a->s_in)
        load_state(&p, p.state, a->s_in);
    for (int64_t t = 0; t < a->t; t += TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        bool first = direct && t == 0 && a->s_in, last = direct && t + live == a->t && a->s_out;
        s.src = first ? a->s_in + state_row(&p, 0) : p.state;
        s.dst = last ? a->s_out + state_row(&p, 0) : p.state;
        s.src_stride = first ? a->value_dim : WIDTH;
        s.dst_stride = last ? a->value_dim : WIDTH;
        p.v = fetch_values(&p, a->v, t, live, p.pads[PAD_V]);
        s.z = p.v;
        if (live == 1) {
            prepare_one(&p, t);
            sweep_one(&s, mode);
        } else {
            prepare_four(&p, t, live, true);
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

/* Over a transposed state, rows of value channels: what it reads has key channels. */
static sweep key_sweep(const piece *p, const float *z) {
    return (sweep){.rows = p->width,
                   .columns = p->keys,
                   .decay = p->total,
                   .z = {z, p->keys},
                   .out = p->out,
                   .out_stride = p->keys,
                   .src = p->state,
                   .dst = p->state,
                   .src_stride = p->keys,
                   .dst_stride = p->keys};
}

/* Sums over the lanes of four vectors. */
static void sum_four(const vf *in, float *out) {
    vf all[WF_VL];
    float sums[WF_VL];
    for (int i = 0; i < WF_VL; i++)
        all[i] = i < TOKENS ? in[i] : vf_set(0.0f);
    vf_store(sums, vf_sum_rows(all));
    memcpy(out, sums, TOKENS * sizeof(float));
}

/* dq_i = e^{b_i} S_in do_i + sum_{j<=i} (do_i.v_j) e^{b_i-b_j} k_j. dg gets q*dq without the term j = i: that term is the same
 * number in k*dk and cancels, and leaving it out keeps dg relative to the decay. */
WF_INLINE void finish_queries(const piece *p, int64_t t, int live, bool vector, bool bonus) {
    const wf_recurrence_args *a = p->a;
    vf products[TOKENS];
    prefetch_rows(p, a->dq_part + part_row(p, t) * a->key_dim, a->heads * a->key_dim, a->key_dim);
    for (int i = 0; i < TOKENS; i++)
        products[i] = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        int64_t n = a->key_dim - c;
        vf past = vf_set(1.0f), e[TOKENS], k[TOKENS];
        for (int i = 0; i < TOKENS; i++) {
            e[i] = decay_lanes(p, i, c, vector);
            k[i] = lanes(p->k, i, c);
            vf here = past * e[i], sum = vf_load(p->out + i * p->keys + c) * (bonus ? past : here);
            vf w = bonus ? vf_set(1.0f) : e[i], score = vf_set(p->score[i * TOKENS + i]);
            past = here;
            for (int j = TOKENS - 1; j >= 0; j--)
                if (j < i) {
                    sum = vf_fma(vf_set(p->score[i * TOKENS + j]), w * k[j], sum);
                    w = w * e[j];
                }
            vf own = lanes(p->q, i, c) * a->scale * sum;
            products[i] += own;
            if (i >= live)
                continue;
            if (vector && a->dg_part)
                put(a->dg_part + part_row(p, t + i) * a->key_dim + c, own, n);
            sum = vf_fma(score, bonus ? vf_load(p->bonus + c) * k[i] : k[i], sum);
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

/* v, do and their products. */
static void prepare_pairs(piece *p, int64_t t, int live) {
    p->v = fetch_values(p, p->a->v, t, live, p->pads[PAD_V]);
    p->dout = fetch_values(p, p->a->do_, t, live, p->pads[PAD_DO]);
    prepare_products(p);
}

static void query_pass(piece *p) {
    const wf_recurrence_args *a = p->a;
    decay_mode mode = mode_of(p, DECAY_COLUMNS);
    bool vector = wf_decay_per_channel(a->decay);
    sweep s = key_sweep(p, p->write);
    load_transposed(p, p->state, a->s_in);
    for (int64_t t = 0; t < a->t; t += TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        if (at_anchor(p, t))
            memcpy(anchor(p, t / wf_recurrence_anchor_step(a->t)), p->state, (size_t)(p->keys * WIDTH) * sizeof(float));
        prepare_four(p, t, live, false);
        prepare_pairs(p, t, live);
        s.x = p->dout;
        s.y = p->v;
        sweep_four(&s, mode);
        if (vector)
            p->bonus ? finish_queries(p, t, live, true, true) : finish_queries(p, t, live, true, false);
        else
            p->bonus ? finish_queries(p, t, live, false, true) : finish_queries(p, t, live, false, false);
    }
}

/* sums[d] = sum over value channels of S*G, both transposed: what dg has added up to from here to the end. */
static void start_sums(const piece *p, const float *s, const float *grad) {
    vf all = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf sum = vf_set(0.0f);
        for (int64_t j = 0; j < p->width; j++)
            sum = vf_fma(vf_load(s + j * p->keys + c), vf_load(grad + j * p->keys + c), sum);
        vf_store(p->sums + c, sum);
        all += sum;
    }
    if (!wf_decay_per_channel(p->a->decay))
        p->sums[0] = vf_sum(all);
}

/* With A_t = rowsum(S_{t-1} * grad of S_{t-1}): A_t = A_{t+1} + q*dq - k*dk, and dg_t = A_t, less q*dq when the read is
 * exclusive. dg_part holds q*dq from the pass over the queries. */
WF_INLINE vf step_sums(const piece *p, vf sum, int64_t t, int64_t c, vf own) {
    int64_t n = p->a->key_dim - c;
    float *at = p->a->dg_part + part_row(p, t) * p->a->key_dim + c;
    vf query = take(at, n), less = sum - own, next = less + query;
    put(at, p->bonus ? less : next, n);
    return next;
}

static void step_flat_sums(const piece *p, int64_t t, int live, const vf *products) {
    float own[TOKENS];
    sum_four(products, own);
    for (int j = live - 1; j >= 0; j--) {
        float *at = p->a->dg_part + part_row(p, t + j), less = p->sums[0] - own[j];
        p->sums[0] = less + *at;
        *at = p->bonus ? less : p->sums[0];
    }
}

/* dk_j = e^{b_3-b_j} G v_j + sum_{i>=j} (do_i.v_j) e^{b_i-b_j} q_i. */
WF_INLINE void finish_keys(const piece *p, int64_t t, int live, bool vector, bool bonus) {
    const wf_recurrence_args *a = p->a;
    vf products[TOKENS];
    prefetch_rows(p, a->dk_part + part_row(p, t) * a->key_dim, a->heads * a->key_dim, a->key_dim);
    for (int i = 0; i < TOKENS; i++)
        products[i] = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf past = vf_set(1.0f), e[TOKENS], q[TOKENS], u = bonus ? vf_load(p->bonus + c) : vf_set(1.0f),
           running = vf_load(p->sums + c);
        for (int j = TOKENS - 1; j >= 0; j--) {
            e[j] = decay_lanes(p, j, c, vector);
            q[j] = lanes(p->q, j, c) * a->scale;
            vf sum = vf_load(p->out + j * p->keys + c) * past, w = vf_set(1.0f), k = lanes(p->k, j, c);
            vf inner = vf_set(p->score[j * TOKENS + j]);
            past = past * e[j];
            for (int i = 0; i < TOKENS; i++)
                if (i > j) {
                    vf decayed = w * e[i];
                    sum = vf_fma(vf_set(p->score[i * TOKENS + j]), (bonus ? w : decayed) * q[i], sum);
                    w = decayed;
                }
            products[j] += k * sum;
            if (j >= live)
                continue;
            if (vector && a->dg_part)
                running = step_sums(p, running, t + j, c, k * sum);
            if (bonus)
                vf_store(p->dbonus + c, vf_fma(inner, q[j] * k, vf_load(p->dbonus + c)));
            put(a->dk_part + part_row(p, t + j) * a->key_dim + c, vf_fma(inner, bonus ? u * q[j] : q[j], sum), a->key_dim - c);
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
        vf_store(p->dbonus + p->keys + c, vf_load(p->dbonus + p->keys + c) + vf_load(p->dbonus + c));
        vf_store(p->dbonus + c, vf_set(0.0f));
    }
}

static void key_pass(piece *p) {
    const wf_recurrence_args *a = p->a;
    decay_mode mode = mode_of(p, DECAY_COLUMNS);
    bool vector = wf_decay_per_channel(a->decay);
    sweep s = key_sweep(p, p->read);
    for (int64_t t = (a->t - 1) / TOKENS * TOKENS; t >= 0; t -= TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        prepare_four(p, t, live, false);
        prepare_pairs(p, t, live);
        s.x = p->v;
        s.y = p->dout;
        sweep_four(&s, mode);
        if (vector)
            p->bonus ? finish_keys(p, t, live, true, true) : finish_keys(p, t, live, true, false);
        else
            p->bonus ? finish_keys(p, t, live, false, true) : finish_keys(p, t, live, false, false);
        if (at_anchor(p, t))
            start_sums(p, anchor(p, t / wf_recurrence_anchor_step(a->t)), p->state);
        if (p->bonus && t % wf_recurrence_anchor_step(a->t) == 0)
            fold_bonus(p);
    }
}

/* dv_j = G^T (e^{b_3-b_j} k_j) + sum_{i>=j} P_ij do_i; the last G is the gradient of s_in. */
static void value_pass(piece *p) {
    const wf_recurrence_args *a = p->a;
    decay_mode mode = mode_of(p, DECAY_ROWS);
    sweep s = value_sweep(p, p->write, p->read);
    load_state(p, p->state, a->ds_out);
    for (int64_t t = (a->t - 1) / TOKENS * TOKENS; t >= 0; t -= TOKENS) {
        int live = a->t - t < TOKENS ? (int)(a->t - t) : TOKENS;
        p->dout = fetch_values(p, a->do_, t, live, p->pads[PAD_DO]);
        s.z = p->dout;
        prepare_four(p, t, live, true);
        sweep_four(&s, mode);
        write_rows(p, a->dv, p->dout, t, live, true);
    }
    save_state(p, p->state, a->ds_in);
}

/* The first decay weighs a state of zeros: its gradient is zero, not what rounding leaves of two equal sums. */
static void clear_first_decay(const piece *p) {
    const wf_recurrence_args *a = p->a;
    size_t n = wf_decay_per_channel(a->decay) ? (size_t)a->key_dim : 1;
    if (a->dg_part && !a->s_in)
        memset(a->dg_part + part_row(p, 0) * (int64_t)n, 0, n * sizeof(float));
}

static void recurrence_back(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    memset(p.dbonus, 0, (size_t)(2 * p.keys) * sizeof(float));
    memset(p.sums, 0, (size_t)p.keys * sizeof(float));
    query_pass(&p);
    if (a->dg_part && a->ds_out) { /* the last state lies in p.state */
        float *last = anchor(&p, wf_recurrence_anchors(a->t));
        load_transposed(&p, last, a->ds_out);
        start_sums(&p, p.state, last);
    }
    load_transposed(&p, p.state, a->ds_out);
    p.ahead = -AHEAD;
    key_pass(&p);
    clear_first_decay(&p);
    value_pass(&p);
    for (int64_t c = 0; a->dbonus_part && c < a->key_dim; c += WF_VL)
        put(a->dbonus_part + ((slice * a->batch + batch) * a->heads + head) * a->key_dim + c, vf_load(p.dbonus + p.keys + c),
            a->key_dim - c);
}

WF_FILL(recurrence) {
    k->recurrence = recurrence;
    k->recurrence_back = recurrence_back;
}
