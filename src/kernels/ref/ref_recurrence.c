/* ref_recurrence.c - kernel L in plain C (mixers.md section 13 and U3), straight from the definitions and in double. */
#include <math.h>
#include <string.h>
#include "kernels/ref/ref.h"

enum { WIDTH = WF_RECURRENCE_SLICE };

typedef struct piece { /* one slice of one head of one sequence, and where its rows lie */
    const wf_recurrence_args *a;
    int64_t batch, head, shared, slice, first, width; /* shared: the q, k head this head reads; value channels first.. */
    double *states;                                   /* of [key_dim, width] each */
} piece;

static piece make_piece(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    int64_t first = slice * WIDTH, left = a->value_dim - first;
    return (piece){a, batch, head, head / (a->heads / a->qk_heads), slice, first, left < WIDTH ? left : WIDTH, scratch};
}

static const float zeros[WIDTH];

static const float *qk_row(const piece *p, const float *x, int64_t t) {
    return x + ((p->batch * p->a->t + t) * p->a->qk_heads + p->shared) * p->a->key_dim;
}
/* Index of (token, head); times value_dim or key_dim it is a row of v, o, g, dq. */
static int64_t row(const piece *p, int64_t t) { return (p->batch * p->a->t + t) * p->a->heads + p->head; }
static int64_t value_row(const piece *p, int64_t t) { return row(p, t) * p->a->value_dim + p->first; }
static int64_t part_row(const piece *p, int64_t t) { return p->slice * p->a->batch * p->a->t * p->a->heads + row(p, t); }
static int64_t state_row(const piece *p, int64_t d) {
    return ((p->batch * p->a->heads + p->head) * p->a->key_dim + d) * p->a->value_dim + p->first;
}
static const float *output_gradient(const piece *p, int64_t t) { return p->a->do_ ? p->a->do_ + value_row(p, t) : zeros; }
static double *state(const piece *p, int64_t i) { return p->states + i * p->a->key_dim * p->width; }

static double decay(const piece *p, int64_t t, int64_t d) {
    const wf_recurrence_args *a = p->a;
    switch (a->decay) {
    case WF_DECAY_CONST:
        return exp((double)a->g[p->head]);
    case WF_DECAY_CHANNEL:
        return exp((double)a->g[p->head * a->key_dim + d]);
    case WF_DECAY_SCALAR:
        return exp((double)a->g[row(p, t)]);
    case WF_DECAY_VECTOR:
        return exp((double)a->g[row(p, t) * a->key_dim + d]);
    default:
        return 1;
    }
}

static void load(const piece *p, double *s, const float *from) {
    for (int64_t d = 0; d < p->a->key_dim; d++)
        for (int64_t j = 0; j < p->width; j++)
            s[d * p->width + j] = from ? from[state_row(p, d) + j] : 0;
}

static void save(const piece *p, const double *s, float *to) {
    for (int64_t d = 0; to && d < p->a->key_dim; d++)
        for (int64_t j = 0; j < p->width; j++)
            to[state_row(p, d) + j] = (float)s[d * p->width + j];
}

/* S_t = decay_t S_{t-1} + k_t v_t^T; s may be before. */
static void step(const piece *p, double *s, const double *before, int64_t t) {
    const float *k = qk_row(p, p->a->k, t), *v = p->a->v + value_row(p, t);
    for (int64_t d = 0; d < p->a->key_dim; d++) {
        double e = decay(p, t, d);
        for (int64_t j = 0; j < p->width; j++)
            s[d * p->width + j] = e * before[d * p->width + j] + (double)k[d] * v[j];
    }
}

/* sum_d q_d u_d k_d: what the bonus adds to o_t, times v_t. */
static double bonus_score(const piece *p, int64_t t) {
    const wf_recurrence_args *a = p->a;
    const float *q = qk_row(p, a->q, t), *k = qk_row(p, a->k, t), *u = a->bonus + p->head * a->key_dim;
    double sum = 0;
    for (int64_t d = 0; d < a->key_dim; d++)
        sum += (double)a->scale * q[d] * u[d] * k[d];
    return sum;
}

static void read_out(const piece *p, const double *s, int64_t t) {
    const wf_recurrence_args *a = p->a;
    const float *q = qk_row(p, a->q, t), *v = a->v + value_row(p, t);
    double own = a->bonus ? bonus_score(p, t) : 0;
    for (int64_t j = 0; j < p->width; j++) {
        double sum = own * v[j];
        for (int64_t d = 0; d < a->key_dim; d++)
            sum += (double)a->scale * q[d] * s[d * p->width + j];
        a->o[value_row(p, t) + j] = (float)sum;
    }
}

void wf_ref_recurrence(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    double *s = state(&p, 0);
    load(&p, s, a->s_in);
    for (int64_t t = 0; t < a->t; t++) {
        if (a->bonus) /* RWKV-6 reads the state before the token */
            read_out(&p, s, t);
        step(&p, s, s, t);
        if (!a->bonus)
            read_out(&p, s, t);
    }
    save(&p, s, a->s_out);
}

typedef struct sweep { /* what the backward carries from the last token to the first */
    piece p;
    double *grad;   /* gradient of S_t by everything after token t, [key_dim, width] */
    double *dbonus; /* [key_dim] */
} sweep;

/* dk, dq and dg of key channel d, and dS_{t-1} in place of dS_t. before = S_{t-1}, after = S_t, inner = v_t.do_t. */
static double back_row(sweep *w, int64_t t, int64_t d, const double *before, const double *after, double inner) {
    const wf_recurrence_args *a = w->p.a;
    int64_t n = w->p.width;
    const float *v = a->v + value_row(&w->p, t), *dout = output_gradient(&w->p, t);
    double q = (double)a->scale * qk_row(&w->p, a->q, t)[d], k = qk_row(&w->p, a->k, t)[d], e = decay(&w->p, t, d);
    double u = a->bonus ? a->bonus[w->p.head * a->key_dim + d] : 0;
    double dq = u * k * inner, dk = u * q * inner, dg = 0;
    double *grad = w->grad + d * n;
    for (int64_t j = 0; j < n; j++) {
        double full = grad[j] + (a->bonus ? 0 : q * dout[j]);
        dq += (a->bonus ? before : after)[d * n + j] * dout[j];
        dk += full * v[j];
        dg += e * before[d * n + j] * full;
        grad[j] = e * full + (a->bonus ? q * dout[j] : 0);
    }
    int64_t i = part_row(&w->p, t) * a->key_dim + d;
    a->dq_part[i] = (float)(a->scale * dq);
    a->dk_part[i] = (float)dk;
    if (a->dg_part && wf_decay_per_channel(a->decay))
        a->dg_part[i] = (float)dg;
    if (a->dbonus_part)
        w->dbonus[d] += q * k * inner;
    return dg;
}

static void back_values(const sweep *w, int64_t t) {
    const wf_recurrence_args *a = w->p.a;
    const float *q = qk_row(&w->p, a->q, t), *k = qk_row(&w->p, a->k, t), *dout = output_gradient(&w->p, t);
    for (int64_t j = 0; j < w->p.width; j++) {
        double sum = a->bonus ? bonus_score(&w->p, t) * dout[j] : 0;
        for (int64_t d = 0; d < a->key_dim; d++)
            sum += (w->grad[d * w->p.width + j] + (a->bonus ? 0 : (double)a->scale * q[d] * dout[j])) * k[d];
        a->dv[value_row(&w->p, t) + j] = (float)sum;
    }
}

static void back_token(sweep *w, int64_t t, const double *before, const double *after) {
    const wf_recurrence_args *a = w->p.a;
    const float *v = a->v + value_row(&w->p, t), *dout = output_gradient(&w->p, t);
    double inner = 0, dg = 0;
    for (int64_t j = 0; j < w->p.width; j++)
        inner += (double)v[j] * dout[j];
    back_values(w, t);
    for (int64_t d = 0; d < a->key_dim; d++)
        dg += back_row(w, t, d, before, after, inner);
    if (a->dg_part && !wf_decay_per_channel(a->decay))
        a->dg_part[part_row(&w->p, t)] = (float)dg;
}

/* Tokens lo..hi-1 backwards; state(level) holds S_{lo-1}. Halving costs log2(T) states and keeps every S exact: no state is
 * ever divided back out of a later one. */
static void back_range(sweep *w, int64_t lo, int64_t hi, int64_t level) {
    const piece *p = &w->p;
    double *before = state(p, level), *after = state(p, level + 1);
    if (hi - lo == 1) {
        step(p, after, before, lo);
        back_token(w, lo, before, after);
        return;
    }
    int64_t mid = lo + (hi - lo) / 2;
    memcpy(after, before, (size_t)(p->a->key_dim * p->width) * sizeof(double));
    for (int64_t t = lo; t < mid; t++)
        step(p, after, after, t);
    back_range(w, mid, hi, level + 1);
    back_range(w, lo, mid, level);
}

static int64_t levels(int64_t t) {
    int64_t n = 2;
    for (; t > 1; t = (t + 1) / 2)
        n++;
    return n;
}

void wf_ref_recurrence_back(const wf_recurrence_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    sweep w = {.p = make_piece(a, batch, head, slice, scratch)};
    w.grad = state(&w.p, levels(a->t));
    w.dbonus = state(&w.p, levels(a->t) + 1);
    load(&w.p, state(&w.p, 0), a->s_in);
    load(&w.p, w.grad, a->ds_out);
    memset(w.dbonus, 0, (size_t)a->key_dim * sizeof(double));
    if (a->t > 0)
        back_range(&w, 0, a->t, 0);
    save(&w.p, w.grad, a->ds_in);
    for (int64_t d = 0; a->dbonus_part && d < a->key_dim; d++)
        a->dbonus_part[((slice * a->batch + batch) * a->heads + head) * a->key_dim + d] = (float)w.dbonus[d];
}

/* Serves both forms. The vector form: a slice of the state, the anchors, and rows of four tokens (simd_recurrence.c). */
size_t wf_recurrence_scratch(const wf_recurrence_args *a, bool backward) {
    int64_t keys = (a->key_dim + 15) / 16 * 16, anchors = backward ? wf_recurrence_anchors(a->t) + 1 : 0;
    int64_t wide = keys * WIDTH * (1 + anchors) + 29 * keys + 4 * (keys > WIDTH ? keys : WIDTH) + 8 * WIDTH;
    int64_t plain = a->key_dim * WIDTH * (backward ? levels(a->t) + 2 : 1);
    size_t wide_bytes = (size_t)wide * sizeof(float), plain_bytes = (size_t)plain * sizeof(double);
    return wide_bytes > plain_bytes ? wide_bytes : plain_bytes;
}
