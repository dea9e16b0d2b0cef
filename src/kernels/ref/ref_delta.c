/* ref_delta.c - kernel D in plain C (mixers.md section 14 and U4), straight from the definitions and in double. Both forms run
 * as the general one: the delta rule is a = e^g k, b = -beta k, with beta k in the place of k. */
#include <math.h>
#include <string.h>
#include "kernels/ref/ref.h"

enum { WIDTH = WF_RECURRENCE_SLICE };

typedef struct piece { /* one slice of one head of one sequence, and where its rows lie */
    const wf_delta_args *a;
    int64_t batch, head, shared, slice, first, width; /* shared: the q, k head this head reads; value channels first.. */
    double *states;                                   /* of [key_dim, width] each */
} piece;

static piece make_piece(const wf_delta_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
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
static double *state(const piece *p, int64_t i) { return p->states + i * p->a->key_dim * p->width; }

static double decay(const piece *p, int64_t t, int64_t d) {
    const wf_delta_args *a = p->a;
    switch (a->decay) {
    case WF_DECAY_SCALAR:
        return exp((double)a->g[row(p, t)]);
    case WF_DECAY_VECTOR:
        return exp((double)a->g[row(p, t) * a->key_dim + d]);
    default:
        return 1;
    }
}

/* Key channel d of the vectors of the general form. */
static double beta(const piece *p, int64_t t) { return p->a->beta ? (double)p->a->beta[row(p, t)] : 1; }
static double write_key(const piece *p, int64_t t, int64_t d) { return beta(p, t) * qk_row(p, p->a->k, t)[d]; }
static double read_key(const piece *p, int64_t t, int64_t d) {
    return p->a->beta ? decay(p, t, d) * qk_row(p, p->a->k, t)[d] : (double)qk_row(p, p->a->a, t)[d];
}
static double correction(const piece *p, int64_t t, int64_t d) {
    return p->a->beta ? -write_key(p, t, d) : (double)qk_row(p, p->a->b, t)[d];
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

/* r_t = S_{t-1}^T a_t. */
static void read_before(const piece *p, const double *before, int64_t t, double *r) {
    memset(r, 0, (size_t)p->width * sizeof *r);
    for (int64_t d = 0; d < p->a->key_dim; d++) {
        double a = read_key(p, t, d);
        for (int64_t j = 0; j < p->width; j++)
            r[j] += a * before[d * p->width + j];
    }
}

/* S_t = D_t S_{t-1} + b_t r_t^T + k_t v_t^T; s may be before. */
static void step(const piece *p, double *s, const double *before, int64_t t) {
    const float *v = p->a->v + value_row(p, t);
    double r[WIDTH];
    read_before(p, before, t, r);
    for (int64_t d = 0; d < p->a->key_dim; d++) {
        double e = decay(p, t, d), b = correction(p, t, d), k = write_key(p, t, d);
        for (int64_t j = 0; j < p->width; j++)
            s[d * p->width + j] = e * before[d * p->width + j] + b * r[j] + k * v[j];
    }
}

static void keep(const piece *p, const double *before, int64_t t) {
    const wf_delta_args *a = p->a;
    double r[WIDTH];
    if (!a->e)
        return;
    read_before(p, before, t, r);
    for (int64_t j = 0; j < p->width; j++)
        a->e[value_row(p, t) + j] = (float)(a->beta ? a->v[value_row(p, t) + j] - r[j] : r[j]);
}

static void read_out(const piece *p, const double *s, int64_t t) {
    const float *q = qk_row(p, p->a->q, t);
    for (int64_t j = 0; j < p->width; j++) {
        double sum = 0;
        for (int64_t d = 0; d < p->a->key_dim; d++)
            sum += (double)p->a->scale * q[d] * s[d * p->width + j];
        p->a->o[value_row(p, t) + j] = (float)sum;
    }
}

void wf_ref_delta(const wf_delta_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    piece p = make_piece(a, batch, head, slice, scratch);
    double *s = state(&p, 0);
    load(&p, s, a->s_in);
    for (int64_t t = 0; t < a->t; t++) {
        keep(&p, s, t);
        step(&p, s, s, t);
        read_out(&p, s, t);
    }
    save(&p, s, a->s_out);
}

/* ---- backward ---- */

typedef struct sweep { /* what the backward carries from the last token to the first */
    piece p;
    double *grad; /* gradient of S_t by everything after token t, [key_dim, width] */
} sweep;

typedef struct key_grads {
    double q, k, a, b, g;
} key_grads; /* of one key channel, in the general form */

/* Gradients of the inputs as they were given, from those of the general form. */
static void store_keys(const sweep *w, int64_t t, int64_t d, key_grads x, double *dbeta, double *dg) {
    const piece *p = &w->p;
    const wf_delta_args *a = p->a;
    int64_t i = part_row(p, t) * a->key_dim + d;
    double k = qk_row(p, a->k, t)[d], own = x.g;
    a->dq_part[i] = (float)x.q;
    if (a->beta) {
        double read = x.a * decay(p, t, d);
        *dbeta += k * (x.k - x.b);
        own += read * k;
        a->dk_part[i] = (float)(beta(p, t) * (x.k - x.b) + read);
    } else {
        a->dk_part[i] = (float)x.k;
        a->da_part[i] = (float)x.a;
        a->db_part[i] = (float)x.b;
    }
    *dg += own;
    if (a->dg_part && a->decay == WF_DECAY_VECTOR)
        a->dg_part[i] = (float)own;
}

/* dv_t and dr_t = (dS_t)^T b_t; the gradient of S_t takes in what o_t sends first. */
static void back_values(const sweep *w, int64_t t, double *dr) {
    const piece *p = &w->p;
    const wf_delta_args *a = p->a;
    const float *dout = a->do_ ? a->do_ + value_row(p, t) : zeros;
    double dv[WIDTH] = {0};
    memset(dr, 0, (size_t)p->width * sizeof *dr);
    for (int64_t d = 0; d < a->key_dim; d++) {
        double q = (double)a->scale * qk_row(p, a->q, t)[d], b = correction(p, t, d), k = write_key(p, t, d),
               *grad = w->grad + d * p->width;
        for (int64_t j = 0; j < p->width; j++) {
            grad[j] += q * dout[j];
            dr[j] += b * grad[j];
            dv[j] += k * grad[j];
        }
    }
    for (int64_t j = 0; j < p->width; j++)
        a->dv[value_row(p, t) + j] = (float)dv[j];
}

/* One key channel: its gradients, and dS_{t-1} in place of dS_t. */
static key_grads back_row(const sweep *w, int64_t t, int64_t d, const double *before, const double *after, const double *r,
                          const double *dr) {
    const piece *p = &w->p;
    const wf_delta_args *a = p->a;
    const float *v = a->v + value_row(p, t), *dout = a->do_ ? a->do_ + value_row(p, t) : zeros;
    double e = decay(p, t, d), read = read_key(p, t, d), *grad = w->grad + d * p->width;
    key_grads x = {0};
    for (int64_t j = 0; j < p->width; j++) {
        double old = before[d * p->width + j];
        x.q += (double)a->scale * after[d * p->width + j] * dout[j];
        x.k += grad[j] * v[j];
        x.b += grad[j] * r[j];
        x.a += old * dr[j];
        x.g += e * old * grad[j];
        grad[j] = e * grad[j] + read * dr[j];
    }
    return x;
}

static void back_token(const sweep *w, int64_t t, const double *before, const double *after) {
    const piece *p = &w->p;
    double r[WIDTH], dr[WIDTH], dbeta = 0, dg = 0;
    read_before(p, before, t, r);
    back_values(w, t, dr);
    for (int64_t d = 0; d < p->a->key_dim; d++)
        store_keys(w, t, d, back_row(w, t, d, before, after, r, dr), &dbeta, &dg);
    if (p->a->beta)
        p->a->dbeta_part[part_row(p, t)] = (float)dbeta;
    if (p->a->dg_part && p->a->decay != WF_DECAY_VECTOR)
        p->a->dg_part[part_row(p, t)] = (float)dg;
}

/* Tokens lo..hi-1 backwards; state(level) holds S_{lo-1}. Halving costs log2(T) states and keeps every S exact. */
static void back_range(const sweep *w, int64_t lo, int64_t hi, int64_t level) {
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

void wf_ref_delta_back(const wf_delta_args *a, int64_t batch, int64_t head, int64_t slice, void *scratch) {
    sweep w = {.p = make_piece(a, batch, head, slice, scratch)};
    w.grad = state(&w.p, levels(a->t));
    load(&w.p, state(&w.p, 0), a->s_in);
    load(&w.p, w.grad, a->ds_out);
    if (a->t > 0)
        back_range(&w, 0, a->t, 0);
    save(&w.p, w.grad, a->ds_in);
}

/* Serves both forms. The vector form: a slice of the state, the anchors, and rows of a token (simd_delta.c). */
size_t wf_delta_scratch(const wf_delta_args *a, bool backward) {
    int64_t keys = (a->key_dim + 15) / 16 * 16, anchors = backward ? wf_recurrence_anchors(a->t) + 1 : 0;
    int64_t wide = keys * WIDTH * (1 + anchors) + 16 * keys + 12 * WIDTH;
    int64_t plain = a->key_dim * WIDTH * (backward ? levels(a->t) + 1 : 1);
    size_t wide_bytes = (size_t)wide * sizeof(float), plain_bytes = (size_t)plain * sizeof(double);
    return wide_bytes > plain_bytes ? wide_bytes : plain_bytes;
}
