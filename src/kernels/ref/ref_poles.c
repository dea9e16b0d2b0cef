/* ref_poles.c - the diagonal state space in plain C, straight from the definitions and in double. */
#include "kernels/ref/ref.h"

enum { STRETCH = WF_SCAN_CHECKPOINT };

typedef struct number {
    double re, im;
} number;

static int64_t stretches(int64_t t) { return (t + STRETCH - 1) / STRETCH; }
static number at(const wf_pole_args *a, const float *x, int64_t i) {
    if (!x)
        return (number){0, 0};
    return a->real ? (number){x[i], 0} : (number){x[2 * i], x[2 * i + 1]};
}
static void put(const wf_pole_args *a, float *x, int64_t i, number v) {
    x[a->real ? i : 2 * i] = (float)v.re;
    if (!a->real)
        x[2 * i + 1] = (float)v.im;
}
static double twice(const wf_pole_args *a) { return a->real ? 1 : 2; }
/* Element of [B,T,D] at a step of running order. */
static int64_t token(const wf_pole_args *a, int64_t batch, int64_t step, int64_t d) {
    return (batch * a->t + (a->reverse ? a->t - 1 - step : step)) * a->channels + d;
}

/* What the term of rank one reads: 2 Re(v h). */
static double feedback(const wf_pole_args *a, const number *h, int64_t d) {
    double sum = 0;
    for (int64_t m = 0; a->v && m < a->modes; m++) {
        number v = at(a, a->v, d * a->modes + m);
        sum += v.re * h[m].re - v.im * h[m].im;
    }
    return twice(a) * sum;
}

static void step(const wf_pole_args *a, number *h, const number *before, double x, int64_t d) {
    double s = feedback(a, before, d);
    for (int64_t m = 0; m < a->modes; m++) {
        int64_t i = d * a->modes + m;
        number p = at(a, a->a, i), b = at(a, a->b, i), e = at(a, a->e, i), old = before[m];
        h[m].re = p.re * old.re - p.im * old.im + b.re * x - e.re * s;
        h[m].im = p.re * old.im + p.im * old.re + b.im * x - e.im * s;
    }
}

static double read_out(const wf_pole_args *a, const number *h, int64_t d) {
    double sum = 0;
    for (int64_t m = 0; m < a->modes; m++) {
        number c = at(a, a->c, d * a->modes + m);
        sum += c.re * h[m].re - c.im * h[m].im;
    }
    return twice(a) * sum;
}

static void scan_channel(const wf_pole_args *a, int64_t batch, int64_t d, number *h) {
    int64_t first = (batch * a->channels + d) * a->modes;
    for (int64_t m = 0; m < a->modes; m++)
        h[m] = at(a, a->h_in, first + m);
    for (int64_t s = 0; s < a->t; s++) {
        int64_t i = token(a, batch, s, d), kept = ((batch * stretches(a->t) + s / STRETCH) * a->channels + d) * a->modes;
        for (int64_t m = 0; a->checkpoints && s % STRETCH == 0 && m < a->modes; m++)
            put(a, a->checkpoints, kept + m, h[m]);
        double before = read_out(a, h, d);
        step(a, h, h, a->x[i], d);
        a->y[i] = (float)((a->reverse ? before : read_out(a, h, d)) + (a->skip ? (double)a->skip[d] * a->x[i] : 0));
    }
    for (int64_t m = 0; a->h_out && m < a->modes; m++)
        put(a, a->h_out, first + m, h[m]);
}

static int64_t block_end(const wf_pole_args *a, int64_t block) {
    int64_t end = (block + 1) * WF_SCAN_BLOCK;
    return end < a->channels ? end : a->channels;
}

void wf_ref_pole_scan(const wf_pole_args *a, int64_t batch, int64_t block, void *scratch) {
    for (int64_t d = block * WF_SCAN_BLOCK; d < block_end(a, block); d++)
        scan_channel(a, batch, d, scratch);
}

typedef struct sweep { /* one channel, last step to first */
    const wf_pole_args *a;
    int64_t batch, d;
    number *h;                      /* [STRETCH+1, modes]: h[i] is the state before step i of the stretch */
    number *lambda;                 /* [modes]: gradient of the state by what comes later */
    number *da, *db, *dc, *de, *dv; /* [modes] */
    double dskip;
} sweep;

/* The read of one step: gradients of c and of the state that was read. */
static void back_read(sweep *w, double dy, const number *h) {
    const wf_pole_args *a = w->a;
    for (int64_t m = 0; m < a->modes; m++) {
        number c = at(a, a->c, w->d * a->modes + m);
        w->dc[m].re += twice(a) * dy * h[m].re;
        w->dc[m].im -= twice(a) * dy * h[m].im;
        w->lambda[m].re += twice(a) * dy * c.re;
        w->lambda[m].im -= twice(a) * dy * c.im;
    }
}

/* The term of rank one: lambda is that of h_t; returns the gradient of s_t. */
static double back_feedback(sweep *w, const number *before) {
    const wf_pole_args *a = w->a;
    double s = feedback(a, before, w->d), ds = 0;
    for (int64_t m = 0; a->e && m < a->modes; m++) {
        number e = at(a, a->e, w->d * a->modes + m), l = w->lambda[m];
        ds -= l.re * e.re + l.im * e.im;
        w->de[m].re -= l.re * s;
        w->de[m].im -= l.im * s;
    }
    return ds;
}

static void back_step(sweep *w, int64_t i, const number *before, const number *after) {
    const wf_pole_args *a = w->a;
    double dy = a->dy ? a->dy[i] : 0, x = a->x[i], dx = a->skip ? a->skip[w->d] * dy : 0;
    w->dskip += dy * x;
    if (!a->reverse)
        back_read(w, dy, after);
    double ds = twice(a) * back_feedback(w, before);
    for (int64_t m = 0; m < a->modes; m++) {
        number p = at(a, a->a, w->d * a->modes + m), b = at(a, a->b, w->d * a->modes + m), l = w->lambda[m], h = before[m];
        w->da[m].re += l.re * h.re + l.im * h.im;
        w->da[m].im += l.im * h.re - l.re * h.im;
        w->db[m].re += l.re * x;
        w->db[m].im += l.im * x;
        dx += l.re * b.re + l.im * b.im;
        number v = at(a, a->v, w->d * a->modes + m);
        w->dv[m].re += ds * h.re;
        w->dv[m].im -= ds * h.im;
        w->lambda[m] = (number){l.re * p.re + l.im * p.im + ds * v.re, l.im * p.re - l.re * p.im - ds * v.im};
    }
    if (a->reverse)
        back_read(w, dy, before);
    a->dx[i] = (float)dx;
}

static void back_channel(sweep *w) {
    const wf_pole_args *a = w->a;
    int64_t n = a->modes, first = (w->batch * a->channels + w->d) * n;
    for (int64_t m = 0; m < n; m++) {
        w->lambda[m] = at(a, a->dh_out, first + m);
        w->da[m] = w->db[m] = w->dc[m] = w->de[m] = w->dv[m] = (number){0, 0};
    }
    w->dskip = 0;
    for (int64_t s = stretches(a->t) - 1; s >= 0; s--) {
        int64_t from = s * STRETCH, count = a->t - from < STRETCH ? a->t - from : STRETCH;
        int64_t kept = ((w->batch * stretches(a->t) + s) * a->channels + w->d) * n;
        for (int64_t m = 0; m < n; m++)
            w->h[m] = at(a, a->checkpoints, kept + m);
        for (int64_t i = 0; i < count; i++)
            step(a, w->h + (i + 1) * n, w->h + i * n, a->x[token(a, w->batch, from + i, w->d)], w->d);
        for (int64_t i = count - 1; i >= 0; i--)
            back_step(w, token(a, w->batch, from + i, w->d), w->h + i * n, w->h + (i + 1) * n);
    }
    for (int64_t m = 0; m < n; m++) {
        put(a, a->da_part, first + m, w->da[m]);
        put(a, a->db_part, first + m, w->db[m]);
        put(a, a->dc_part, first + m, w->dc[m]);
        if (a->e) {
            put(a, a->de_part, first + m, w->de[m]);
            put(a, a->dv_part, first + m, w->dv[m]);
        }
        if (a->dh_in)
            put(a, a->dh_in, first + m, w->lambda[m]);
    }
    if (a->dskip_part)
        a->dskip_part[w->batch * a->channels + w->d] = (float)w->dskip;
}

void wf_ref_pole_scan_back(const wf_pole_args *a, int64_t batch, int64_t block, void *scratch) {
    number *h = scratch, *rest = h + (STRETCH + 1) * a->modes;
    sweep w = {.a = a,
               .batch = batch,
               .h = h,
               .lambda = rest,
               .da = rest + a->modes,
               .db = rest + 2 * a->modes,
               .dc = rest + 3 * a->modes,
               .de = rest + 4 * a->modes,
               .dv = rest + 5 * a->modes};
    for (w.d = block * WF_SCAN_BLOCK; w.d < block_end(a, block); w.d++)
        back_channel(&w);
}

/* Enough for both forms: the vector form keeps the parameters, states and gradients of a vector of channels side by side, in
 * fp32. */
size_t wf_pole_scratch(const wf_pole_args *a, bool backward) {
    size_t row = (size_t)a->modes * 2 * WF_SCAN_BLOCK * sizeof(float);
    return backward ? row * (STRETCH + 1 + 17) : row * 6;
}
