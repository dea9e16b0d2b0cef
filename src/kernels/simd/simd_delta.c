/* simd_delta.c - vector forms of kernel D. A token is one pass over the slice of the state, which stays in cache: every vector
 * of it is loaded once, decayed, corrected, read for whatever needs it and stored. The forward reads S_t for o_t and for the
 * correction of the token after it. With r_t = S_{t-1}^T a_t and G_t the gradient of S_t by what comes after token t (mixers.md
 * U4; ref_delta.c has the map from the delta rule to this form), the backward is three such scans: values, over G, last token
 * first:   dr_t = (G_t + q_t do_t^T)^T b_t, dv_t alike with k_t;  G_{t-1} = D_t (G_t + q_t do_t^T) + a_t dr_t^T queries, over
 * S^T, first token first: da_t = S_{t-1} dr_t, dq_t = S_t do_t keys, over G^T, last token first:   db_t = (G_t + q_t do_t^T)
 * r_t, dk_t alike with v_t The transposed states turn sums over value channels into sums over rows. What a token adds to its
 * own reads is added apart, so that dg, a running sum of differences, stays relative to the decay. */
#include "kernels/vec/decay.h"
#include "kernels/vec/fill.h"
#include "kernels/vec/vec.h"

enum { WIDTH = WF_RECURRENCE_SLICE };

#if defined(__AVX512F__) || defined(__aarch64__)
enum { COLUMNS = 4 }; /* vectors a pass holds of every row it writes or sums: 4*(2 + 2) of 32 registers */
#else
enum { COLUMNS = 2 };
#endif

typedef struct token {
    float *q, *k, *a, *b, *e;
} token; /* [keys] each; q scaled, e the decays */

typedef struct piece { /* one slice of one head of one sequence */
    const wf_delta_args *a;
    int64_t head, shared, slice, first, width, tokens; /* shared: the q, k head; tokens: index of the sequence's first token */
    int64_t keys, columns;                             /* key and value channels in whole vectors */
    bool general;
    token now, other;                               /* the token at hand; the one before or after it */
    float *key_out[2], *sums;                       /* [keys] */
    float *v, *dout, *kept, *dr, *u, *value_out[2]; /* [64] */
    float *state, *anchors;                         /* [keys*64], [wf_recurrence_anchors + 1] of them */
} piece;

static float *carve(float **at, int64_t n) {
    float *p = *at;
    *at += n;
    return p;
}

static int64_t whole(int64_t n) { return (n + WF_VL - 1) / WF_VL * WF_VL; }

static void carve_token(token *t, float **at, int64_t keys) {
    float **const rows[] = {&t->q, &t->k, &t->a, &t->b, &t->e};
    for (int i = 0; i < 5; i++)
        *rows[i] = carve(at, keys);
}

static piece make_piece(const wf_delta_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    int64_t first = slice * WIDTH, left = a->value_dim - first;
    piece p = {
        .a = a, .head = head, .slice = slice, .first = first, .width = left < WIDTH ? left : WIDTH, .tokens = batch * a->t};
    float *at = scratch;
    p.shared = head / (a->heads / a->qk_heads);
    p.keys = whole(a->key_dim);
    p.columns = whole(p.width);
    p.general = !a->beta;
    carve_token(&p.now, &at, p.keys);
    carve_token(&p.other, &at, p.keys);
    p.key_out[0] = carve(&at, p.keys);
    p.key_out[1] = carve(&at, p.keys);
    p.sums = carve(&at, p.keys);
    float **const rows[] = {&p.v, &p.dout, &p.kept, &p.dr, &p.u, &p.value_out[0], &p.value_out[1]};
    for (int i = 0; i < 7; i++)
        *rows[i] = carve(&at, WIDTH);
    p.state = carve(&at, p.keys * WIDTH);
    p.anchors = at;
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
static float beta_of(const piece *p, int64_t t) { return p->a->beta[row(p, t)]; }

/* The n (any number) first of WF_VL lanes. */
WF_INLINE vf take(const float *p, int64_t n) { return n >= WF_VL ? vf_load(p) : n > 0 ? vf_load_n(p, n) : vf_set(0.0f); }
WF_INLINE void put(float *p, vf v, int64_t n) {
    if (n >= WF_VL)
        vf_store(p, v);
    else if (n > 0)
        vf_store_n(p, v, n);
}

/* ---- the pass over the state ---- */

/* Writes are state += y_r z (y a number per row, z a row), reads are out = sum_r x_r state_r. Each pass has a fixed number of
 * them, in this order: reads, writes, decay, writes, reads, writes; they are numbered through. The decay is one number per row,
 * or a row. */
typedef struct sweep {
    int64_t rows, columns, stride;
    float *state;
    const float *decay, *x[2], *y[2], *z[2];
    float *out[2];
} sweep;

WF_INLINE void sweep_block(const sweep *s, int64_t c, int nb, int reads0, int writes0, int writes1, int reads1, int writes2,
                           bool by_row) {
    int reads = reads0 + reads1, writes = writes0 + writes1 + writes2;
    vf z[2][COLUMNS], sum[2][COLUMNS], decay[COLUMNS];
    const float *x[2], *y[2],
        *decays = s->decay; /* locals: the stores below could otherwise change *s, for all the compiler knows */
    int64_t rows = s->rows, stride = s->stride;
    float *at = s->state + c;
    for (int i = 0; i < 2; i++) {
        x[i] = i < reads ? s->x[i] : NULL;
        y[i] = i < writes ? s->y[i] : NULL;
        for (int b = 0; b < nb; b++) {
            z[i][b] = i < writes ? vf_load(s->z[i] + c + b * WF_VL) : vf_set(0.0f);
            sum[i][b] = vf_set(0.0f);
        }
    }
    for (int b = 0; b < nb; b++)
        decay[b] = by_row ? vf_set(1.0f) : vf_load(decays + c + b * WF_VL);
    for (int64_t r = 0; r < rows; r++, at += stride) {
        vf state[COLUMNS];
        for (int b = 0; b < nb; b++)
            state[b] = vf_load(at + b * WF_VL);
        for (int i = 0; i < reads0; i++)
            for (int b = 0; b < nb; b++)
                sum[i][b] = vf_fma(vf_set(x[i][r]), state[b], sum[i][b]);
        for (int i = 0; i < writes0; i++)
            for (int b = 0; b < nb; b++)
                state[b] = vf_fma(vf_set(y[i][r]), z[i][b], state[b]);
        for (int b = 0; b < nb; b++)
            state[b] = state[b] * (by_row ? vf_set(decays[r]) : decay[b]);
        for (int i = writes0; i < writes0 + writes1; i++)
            for (int b = 0; b < nb; b++)
                state[b] = vf_fma(vf_set(y[i][r]), z[i][b], state[b]);
        for (int i = reads0; i < reads; i++)
            for (int b = 0; b < nb; b++)
                sum[i][b] = vf_fma(vf_set(x[i][r]), state[b], sum[i][b]);
        for (int i = writes0 + writes1; i < writes; i++)
            for (int b = 0; b < nb; b++)
                state[b] = vf_fma(vf_set(y[i][r]), z[i][b], state[b]);
        for (int b = 0; b < nb; b++)
            vf_store(at + b * WF_VL, state[b]);
    }
    for (int i = 0; i < reads; i++)
        for (int b = 0; b < nb; b++)
            vf_store(s->out[i] + c + b * WF_VL, sum[i][b]);
}

WF_INLINE void sweep_all(const sweep *s, int reads0, int writes0, int writes1, int reads1, int writes2, bool by_row) {
    int64_t c = 0;
    for (; c + COLUMNS * WF_VL <= s->columns; c += COLUMNS * WF_VL)
        sweep_block(s, c, COLUMNS, reads0, writes0, writes1, reads1, writes2, by_row);
    for (; c < s->columns; c += WF_VL)
        sweep_block(s, c, 1, reads0, writes0, writes1, reads1, writes2, by_row);
}

static void forward_sweep(const sweep *s, bool general) {
    if (general)
        sweep_all(s, 0, 0, 2, 2, 0, true);
    else
        sweep_all(s, 0, 0, 1, 2, 0, true);
}
static void value_sweep(const sweep *s, bool general) {
    if (general)
        sweep_all(s, 0, 0, 1, 2, 1, true);
    else
        sweep_all(s, 0, 0, 1, 1, 1, true);
}
static void query_sweep(const sweep *s, bool general) {
    if (general)
        sweep_all(s, 1, 0, 0, 1, 2, false);
    else
        sweep_all(s, 1, 0, 0, 1, 1, false);
}
static void key_sweep(const sweep *s, bool general) {
    if (general)
        sweep_all(s, 2, 1, 1, 0, 0, false);
    else
        sweep_all(s, 1, 1, 1, 0, 0, false);
}

/* out = S^T x. */
static void read_state(const piece *p, const float *x, float *out) {
    for (int64_t c = 0; c < p->columns; c += WF_VL) {
        vf sum = vf_set(0.0f);
        for (int64_t d = 0; d < p->a->key_dim; d++)
            sum = vf_fma(vf_set(x[d]), vf_load(p->state + d * WIDTH + c), sum);
        vf_store(out + c, sum);
    }
}

/* ---- the rows of a token ---- */

static void fetch_keys(const piece *p, int64_t t, token *to) {
    const wf_delta_args *a = p->a;
    const float *q = a->q + qk_row(p, t), *k = a->k + qk_row(p, t),
                *g = a->decay == WF_DECAY_VECTOR ? a->g + row(p, t) * a->key_dim : NULL;
    vf flat = a->decay == WF_DECAY_SCALAR ? vf_exp_decay(vf_set(a->g[row(p, t)])) : vf_set(1.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        int64_t n = a->key_dim - c;
        vf key = take(k + c, n), e = g ? vf_exp_decay(take(g + c, n)) : flat;
        vf_store(to->q + c, take(q + c, n) * a->scale);
        vf_store(to->k + c, key);
        vf_store(to->e + c, e);
        vf_store(to->a + c, p->general ? take(a->a + qk_row(p, t) + c, n) : e * key);
        if (p->general)
            vf_store(to->b + c, take(a->b + qk_row(p, t) + c, n));
    }
}

/* [64] from row t of an array like v; NULL: zeros. */
static void fetch_values(const piece *p, const float *from, int64_t t, float *to) {
    for (int64_t c = 0; c < p->columns; c += WF_VL)
        vf_store(to + c, from ? take(from + value_row(p, t) + c, p->width - c) : vf_set(0.0f));
}
static void write_values(const piece *p, float *to, int64_t t, const float *from) {
    for (int64_t c = 0; c < p->columns; c += WF_VL)
        put(to + value_row(p, t) + c, vf_load(from + c), p->width - c);
}

/* What a token writes: beta_t times the kept error, or the kept read beside v. */
static void fetch_written(const piece *p, int64_t t) {
    fetch_values(p, p->a->e, t, p->kept);
    if (p->general) {
        fetch_values(p, p->a->v, t, p->v);
        return;
    }
    for (int64_t c = 0; c < p->columns; c += WF_VL)
        vf_store(p->u + c, vf_load(p->kept + c) * beta_of(p, t));
}

static float inner(const float *a, const float *b, int64_t n) {
    vf sum = vf_set(0.0f);
    for (int64_t c = 0; c < n; c += WF_VL)
        sum = vf_fma(vf_load(a + c), vf_load(b + c), sum);
    return vf_sum(sum);
}

/* to += x * row */
static void add_row(float *to, float x, const float *from, int64_t n) {
    for (int64_t c = 0; c < n; c += WF_VL)
        vf_store(to + c, vf_fma(vf_set(x), vf_load(from + c), vf_load(to + c)));
}

/* ---- fetching ahead ---- */

/* Rows of one head lie a whole token apart, too far for the processor to foresee: they are asked for some tokens early. Always
 * inlined: gcc takes a function that only prefetches for one without effect, and drops its calls. */
enum { AHEAD = 3, LINE = 16 };

WF_INLINE void ask(const float *from, int64_t at, int64_t n) {
    for (int64_t i = 0; from && i < n; i += LINE)
        __builtin_prefetch(from + at + i);
}

/* q, k and their like of token t, its rows of arrays like v and of parts like dq; some may be NULL. */
WF_INLINE void ask_token(const piece *p, int64_t t, const float *const values[4], const float *const parts[2]) {
    const wf_delta_args *a = p->a;
    if (t < 0 || t >= a->t)
        return;
    const float *const keys[4] = {a->q, a->k, a->a, a->b};
    for (int i = 0; i < 4; i++) {
        ask(keys[i], qk_row(p, t), a->key_dim);
        ask(values[i], value_row(p, t), p->width);
    }
    for (int i = 0; i < 2; i++)
        ask(parts[i], part_row(p, t) * a->key_dim, a->key_dim);
    if (a->decay == WF_DECAY_VECTOR)
        ask(a->g, row(p, t) * a->key_dim, a->key_dim);
}

static void swap_tokens(piece *p) {
    token t = p->now;
    p->now = p->other;
    p->other = t;
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

/* value_out[1] holds r_t: turns it into what is kept and written. */
static void correct(const piece *p, int64_t t) {
    for (int64_t c = 0; c < p->columns; c += WF_VL) {
        vf read = vf_load(p->value_out[1] + c), kept = p->general ? read : vf_load(p->v + c) - read;
        vf_store(p->kept + c, kept);
        if (!p->general)
            vf_store(p->u + c, kept * beta_of(p, t));
    }
    if (p->a->e)
        write_values(p, p->a->e, t, p->kept);
}

static void delta(const wf_delta_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    load_state(&p, p.state, a->s_in);
    if (a->t > 0) {
        fetch_keys(&p, 0, &p.now);
        read_state(&p, p.now.a, p.value_out[1]);
    }
    for (int64_t t = 0; t < a->t; t++) {
        bool last = t + 1 == a->t;
        ask_token(&p, t + AHEAD, (const float *const[4]){a->v, a->o, a->e}, (const float *const[2]){NULL});
        fetch_values(&p, a->v, t, p.v);
        correct(&p, t);
        if (!last)
            fetch_keys(&p, t + 1, &p.other);
        sweep s = {.rows = a->key_dim,
                   .columns = p.columns,
                   .stride = WIDTH,
                   .state = p.state,
                   .decay = p.now.e,
                   .x = {p.now.q, last ? p.now.q : p.other.a},
                   .y = {p.general ? p.now.b : p.now.k, p.now.k},
                   .z = {p.general ? p.kept : p.u, p.v},
                   .out = {p.value_out[0], p.value_out[1]}};
        forward_sweep(&s, p.general);
        write_values(&p, a->o, t, p.value_out[0]);
        swap_tokens(&p);
    }
    save_state(&p, p.state, a->s_out);
}

/* ---- backward ---- */

/* dv_t, dr_t (kept in de) and dbeta_t from the reads of G; do is at hand. */
static void finish_values(const piece *p, int64_t t) {
    const wf_delta_args *a = p->a;
    if (p->general) {
        add_row(p->value_out[0], inner(p->now.b, p->now.q, p->keys), p->dout, p->columns);
        add_row(p->value_out[1], inner(p->now.k, p->now.q, p->keys), p->dout, p->columns);
        memcpy(p->dr, p->value_out[0], (size_t)p->columns * sizeof(float));
        write_values(p, a->dv, t, p->value_out[1]);
    } else { /* du = value_out[0]: dv = beta du, dr = -dv */
        add_row(p->value_out[0], inner(p->now.k, p->now.q, p->keys), p->dout, p->columns);
        fetch_values(p, a->e, t, p->kept);
        a->dbeta_part[part_row(p, t)] = inner(p->value_out[0], p->kept, p->columns);
        for (int64_t c = 0; c < p->columns; c += WF_VL) {
            vf dv = vf_load(p->value_out[0] + c) * beta_of(p, t);
            put(a->dv + value_row(p, t) + c, dv, p->width - c);
            vf_store(p->dr + c, -dv);
        }
    }
    write_values(p, a->de, t, p->dr);
}

/* Over G: a step brings in the decay and the correction of the token after it. */
static void value_pass(piece *p) {
    const wf_delta_args *a = p->a;
    load_state(p, p->state, a->ds_out);
    memset(p->dr, 0, WIDTH * sizeof(float));
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf_store(p->other.e + c, vf_set(1.0f));
        vf_store(p->other.a + c, vf_set(0.0f));
    }
    for (int64_t t = a->t - 1; t >= 0; t--) {
        fetch_keys(p, t, &p->now);
        fetch_values(p, a->do_, t, p->dout);
        ask_token(p, t - AHEAD, (const float *const[4]){a->do_, a->e, a->dv, a->de}, (const float *const[2]){NULL});
        sweep s = {.rows = a->key_dim,
                   .columns = p->columns,
                   .stride = WIDTH,
                   .state = p->state,
                   .decay = p->other.e,
                   .x = {p->general ? p->now.b : p->now.k, p->now.k},
                   .y = {p->other.a, p->now.q},
                   .z = {p->dr, p->dout},
                   .out = {p->value_out[0], p->value_out[1]}};
        value_sweep(&s, p->general);
        finish_values(p, t);
        swap_tokens(p);
    }
    for (int64_t d = 0; a->ds_in && d < a->key_dim; d++)
        for (int64_t c = 0; c < p->columns; c += WF_VL) {
            vf grad = vf_load(p->state + d * WIDTH + c) * p->other.e[d];
            put(a->ds_in + state_row(p, d) + c, vf_fma(vf_set(p->other.a[d]), vf_load(p->dr + c), grad), p->width - c);
        }
}

/* dg is a running sum over time of differences (mixers.md U6.4), and starts afresh at each anchor: a state kept from the
 * forward scan. */
static bool at_anchor(const piece *p, int64_t t) { return p->a->dg_part && t % wf_recurrence_anchor_step(p->a->t) == 0; }
static float *anchor(const piece *p, int64_t i) { return p->anchors + i * p->keys * WIDTH; }

/* da_t and dq_t, which what the token itself has written is still missing from. dg gets q dq without it: k dk has the same
 * number. */
static void finish_queries(const piece *p, int64_t t) {
    const wf_delta_args *a = p->a;
    int64_t at = part_row(p, t) * a->key_dim;
    float first = inner(p->general ? p->kept : p->u, p->dout, p->columns),
          second = p->general ? inner(p->v, p->dout, p->columns) : 0.0f;
    vf all = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        int64_t n = a->key_dim - c;
        vf da = vf_load(p->key_out[0] + c), dq = vf_load(p->key_out[1] + c), k = vf_load(p->now.k + c),
           own = vf_load(p->now.q + c) * dq;
        all += own;
        if (a->dg_part && a->decay == WF_DECAY_VECTOR)
            put(a->dg_part + at + c, own, n);
        dq = vf_fma(vf_set(first), p->general ? vf_load(p->now.b + c) : k, dq);
        put(a->dq_part + at + c, vf_fma(vf_set(second), k, dq) * a->scale, n);
        put((p->general ? a->da_part : a->dk_part) + at + c, p->general ? da : da * vf_load(p->now.e + c), n);
    }
    if (a->dg_part && a->decay != WF_DECAY_VECTOR)
        a->dg_part[part_row(p, t)] = vf_sum(all);
}

static void query_pass(piece *p) {
    const wf_delta_args *a = p->a;
    load_transposed(p, p->state, a->s_in);
    for (int64_t t = 0; t < a->t; t++) {
        if (at_anchor(p, t))
            memcpy(anchor(p, t / wf_recurrence_anchor_step(a->t)), p->state, (size_t)(p->keys * WIDTH) * sizeof(float));
        ask_token(p, t + AHEAD, (const float *const[4]){a->e, a->do_, a->de, p->general ? a->v : NULL},
                  (const float *const[2]){a->dq_part, p->general ? a->da_part : a->dk_part});
        fetch_keys(p, t, &p->now);
        fetch_written(p, t);
        fetch_values(p, a->do_, t, p->dout);
        fetch_values(p, a->de, t, p->dr);
        sweep s = {.rows = p->width,
                   .columns = p->keys,
                   .stride = p->keys,
                   .state = p->state,
                   .decay = p->now.e,
                   .x = {p->dr, p->dout},
                   .y = {p->general ? p->kept : p->u, p->v},
                   .z = {p->general ? p->now.b : p->now.k, p->now.k},
                   .out = {p->key_out[0], p->key_out[1]}};
        query_sweep(&s, p->general);
        finish_queries(p, t);
    }
}

/* sums = what dg starts from: the row sums of S * G, all of them together when the decay is one number. */
static void start_sums(const piece *p, const float *s, const float *grad) {
    vf all = vf_set(0.0f);
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        vf sum = vf_set(0.0f);
        for (int64_t j = 0; j < p->width; j++)
            sum = vf_fma(vf_load(s + j * p->keys + c), vf_load(grad + j * p->keys + c), sum);
        vf_store(p->sums + c, sum);
        all += sum;
    }
    if (p->a->decay != WF_DECAY_VECTOR)
        p->sums[0] = vf_sum(all);
}

/* With A_t the row sums of S_t * G_t: those of D_t S_{t-1} * (G_t + q do^T) are A_t + q dq - b db - k dk, and with a da added
 * A_{t-1}. The first are dg in the general form; in the delta rule a = e^g k depends on g too, and dg is A_{t-1}. */
static void step_sums(const piece *p, int64_t t, int64_t c, vf less, vf through, vf *flat) {
    const wf_delta_args *a = p->a;
    int64_t n = a->key_dim - c;
    if (a->decay != WF_DECAY_VECTOR) {
        flat[0] += less;
        flat[1] += through;
        return;
    }
    float *at = a->dg_part + part_row(p, t) * a->key_dim + c;
    vf core = vf_load(p->sums + c) + take(at, n) - less, next = core + through;
    put(at, p->general ? core : next, n);
    vf_store(p->sums + c, next);
}

static void finish_keys(const piece *p, int64_t t) {
    const wf_delta_args *a = p->a;
    int64_t at = part_row(p, t) * a->key_dim;
    float first = inner(p->general ? p->kept : p->u, p->dout, p->columns),
          second = p->general ? inner(p->v, p->dout, p->columns) : 0.0f;
    vf flat[2] = {vf_set(0.0f), vf_set(0.0f)};
    for (int64_t c = 0; c < p->keys; c += WF_VL) {
        int64_t n = a->key_dim - c;
        vf q = vf_load(p->now.q + c), k = vf_load(p->now.k + c), read = vf_load(p->key_out[0] + c), less, through;
        if (p->general) {
            vf dk = vf_load(p->key_out[1] + c);
            less = vf_fma(vf_load(p->now.b + c), read, k * dk);
            through = vf_load(p->now.a + c) * take(a->da_part + at + c, n);
            put(a->db_part + at + c, vf_fma(vf_set(first), q, read), n);
            put(a->dk_part + at + c, vf_fma(vf_set(second), q, dk), n);
        } else {
            vf before = take(a->dk_part + at + c, n); /* e da, from the queries' scan */
            less = k * read;
            through = k * before;
            put(a->dk_part + at + c, before + vf_fma(vf_set(first), q, read), n);
        }
        if (a->dg_part)
            step_sums(p, t, c, less, through, flat);
    }
    if (!a->dg_part || a->decay == WF_DECAY_VECTOR)
        return;
    float *dg = a->dg_part + part_row(p, t), core = p->sums[0] + *dg - vf_sum(flat[0]);
    p->sums[0] = core + vf_sum(flat[1]);
    *dg = p->general ? core : p->sums[0];
}

static void key_pass(piece *p) {
    const wf_delta_args *a = p->a;
    for (int64_t t = a->t - 1; t >= 0; t--) {
        ask_token(p, t - AHEAD, (const float *const[4]){a->e, a->do_, a->de, p->general ? a->v : NULL},
                  (const float *const[2]){a->dk_part, p->general ? a->db_part : NULL});
        fetch_keys(p, t, &p->now);
        fetch_written(p, t);
        fetch_values(p, a->do_, t, p->dout);
        fetch_values(p, a->de, t, p->dr);
        sweep s = {.rows = p->width,
                   .columns = p->keys,
                   .stride = p->keys,
                   .state = p->state,
                   .decay = p->now.e,
                   .x = {p->general ? p->kept : p->u, p->v},
                   .y = {p->dout, p->dr},
                   .z = {p->now.q, p->now.a},
                   .out = {p->key_out[0], p->key_out[1]}};
        key_sweep(&s, p->general);
        finish_keys(p, t);
        if (at_anchor(p, t))
            start_sums(p, anchor(p, t / wf_recurrence_anchor_step(a->t)), p->state);
    }
}

static void delta_back(const wf_delta_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    memset(p.sums, 0, (size_t)p.keys * sizeof(float));
    value_pass(&p);
    query_pass(&p);
    if (a->dg_part && a->ds_out) { /* the last state lies in p.state */
        float *last = anchor(&p, wf_recurrence_anchors(a->t));
        load_transposed(&p, last, a->ds_out);
        start_sums(&p, p.state, last);
    }
    load_transposed(&p, p.state, a->ds_out);
    key_pass(&p);
}

WF_FILL(delta) {
    k->delta = delta;
    k->delta_back = delta_back;
}
