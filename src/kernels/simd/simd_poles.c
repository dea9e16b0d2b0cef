/* simd_poles.c - vector forms of the diagonal state space: lanes are channels, the modes of a vector of channels lie side by
 * side in scratch as [mode][re, im][lane]. Real modes run as complex ones whose imaginary parts are 0. */
#include "kernels/vec/fill.h"
#include "kernels/vec/vec.h"

enum { STRETCH = WF_SCAN_CHECKPOINT, PAIR = 2 * WF_VL };

typedef struct strip { /* up to WF_VL channels of one sequence */
    const wf_pole_args *a;
    int64_t batch, first, live;
    float twice;
    float *p, *b, *c, *e, *v;                          /* [M][2][VL] */
    float *h;                                          /* the state; backward: [STRETCH+1] of them */
    float *lambda, *da, *db, *dc, *de, *dv;            /* gradients, since the last checkpoint .. */
    float *da_all, *db_all, *dc_all, *de_all, *dv_all; /* .. and before: sums of sums, so that errors do not grow with T */
} strip;

static float *carve(float **at, int64_t n) {
    float *p = *at;
    *at += n;
    return p;
}

static strip make_strip(const wf_pole_args *a, int64_t batch, int64_t first, int64_t end, void *scratch, bool backward) {
    float *at = scratch;
    int64_t row = a->modes * PAIR;
    strip s = {.a = a,
               .batch = batch,
               .first = first,
               .live = end - first < WF_VL ? end - first : WF_VL,
               .twice = a->real ? 1.0f : 2.0f};
    s.p = carve(&at, row);
    s.b = carve(&at, row);
    s.c = carve(&at, row);
    s.e = carve(&at, row);
    s.v = carve(&at, row);
    s.h = carve(&at, backward ? (STRETCH + 1) * row : row);
    if (!backward)
        return s;
    float **const sums[] = {&s.lambda, &s.da,     &s.db,     &s.dc,     &s.de,    &s.dv,
                            &s.da_all, &s.db_all, &s.dc_all, &s.de_all, &s.dv_all};
    for (int i = 0; i < 11; i++)
        *sums[i] = carve(&at, row);
    return s;
}

WF_INLINE vf take(const float *p, int64_t n) { return n >= WF_VL ? vf_load(p) : vf_load_n(p, n); }
WF_INLINE void put(float *p, vf v, int64_t n) {
    if (n >= WF_VL)
        vf_store(p, v);
    else
        vf_store_n(p, v, n);
}

/* [mode][re, im][lane] from rows of [D,M,2] (or [D,M]); NULL: zeros. */
static void load_modes(const strip *s, float *to, const float *from) {
    int64_t n = s->a->modes, parts = s->a->real ? 1 : 2;
    memset(to, 0, (size_t)(n * PAIR) * sizeof *to);
    for (int64_t l = 0; from && l < s->live; l++)
        for (int64_t i = 0; i < n * parts; i++)
            to[i / parts * PAIR + i % parts * WF_VL + l] = from[(s->first + l) * n * parts + i];
}

static void save_modes(const strip *s, float *to, const float *from) {
    int64_t n = s->a->modes, parts = s->a->real ? 1 : 2;
    for (int64_t l = 0; to && l < s->live; l++)
        for (int64_t i = 0; i < n * parts; i++)
            to[(s->first + l) * n * parts + i] = from[i / parts * PAIR + i % parts * WF_VL + l];
}

/* Row i of an array of [D,M,2]; NULL stays. */
static float *modes_of(const strip *s, const float *base, int64_t i) {
    return base ? (float *)(uintptr_t)base + i * s->a->channels * s->a->modes * (s->a->real ? 1 : 2) : NULL;
}
static float *checkpoint(const strip *s, int64_t index) {
    return modes_of(s, s->a->checkpoints, s->batch * ((s->a->t + STRETCH - 1) / STRETCH) + index);
}
static int64_t token(const strip *s, int64_t step) {
    return (s->batch * s->a->t + (s->a->reverse ? s->a->t - 1 - step : step)) * s->a->channels + s->first;
}

static void load_parameters(const strip *s) {
    const wf_pole_args *a = s->a;
    load_modes(s, s->p, a->a);
    load_modes(s, s->b, a->b);
    load_modes(s, s->c, a->c);
    load_modes(s, s->e, a->e);
    load_modes(s, s->v, a->v);
}

/* What the term of rank one reads. */
WF_INLINE vf feedback(const strip *s, const float *h) {
    vf sum = vf_set(0.0f);
    for (int64_t m = 0, n = s->a->modes * PAIR; m < n; m += PAIR)
        sum = vf_fma(vf_load(s->v + m), vf_load(h + m), vf_fma(-vf_load(s->v + m + WF_VL), vf_load(h + m + WF_VL), sum));
    return sum * s->twice;
}

/* h_t of all modes from h_{t-1}; returns 2 Re(c h) of the state after, or before when reversed. */
WF_INLINE vf step(const strip *s, float *h, const float *before, vf x) {
    vf sum = vf_set(0.0f);
    bool reverse = s->a->reverse, ranked = s->a->e != NULL;
    vf minus = ranked ? -feedback(s, before) : vf_set(0.0f);
    for (int64_t m = 0, n = s->a->modes * PAIR; m < n; m += PAIR) {
        vf re = vf_load(before + m), im = vf_load(before + m + WF_VL), pr = vf_load(s->p + m), pi = vf_load(s->p + m + WF_VL);
        vf next = vf_fma(pr, re, vf_fma(-pi, im, vf_load(s->b + m) * x)),
           turned = vf_fma(pr, im, vf_fma(pi, re, vf_load(s->b + m + WF_VL) * x));
        if (ranked) {
            next = vf_fma(vf_load(s->e + m), minus, next);
            turned = vf_fma(vf_load(s->e + m + WF_VL), minus, turned);
        }
        vf cr = vf_load(s->c + m), ci = vf_load(s->c + m + WF_VL);
        sum = vf_fma(cr, reverse ? re : next, vf_fma(-ci, reverse ? im : turned, sum));
        vf_store(h + m, next);
        vf_store(h + m + WF_VL, turned);
    }
    return sum * s->twice;
}

static void scan_strip(const strip *s) {
    const wf_pole_args *a = s->a;
    vf skip = a->skip ? take(a->skip + s->first, s->live) : vf_set(0.0f);
    load_parameters(s);
    load_modes(s, s->h, modes_of(s, a->h_in, s->batch));
    for (int64_t i = 0; i < a->t; i++) {
        int64_t at = token(s, i);
        if (a->checkpoints && i % STRETCH == 0)
            save_modes(s, checkpoint(s, i / STRETCH), s->h);
        vf x = take(a->x + at, s->live);
        put(a->y + at, vf_fma(skip, x, step(s, s->h, s->h, x)), s->live);
    }
    save_modes(s, modes_of(s, a->h_out, s->batch), s->h);
}

/* One token of one channel, h and its parameters as they lie in memory: for a single token, bringing them into lanes and back
 * costs more than the step. `parts`: numbers of a mode. */
WF_INLINE float single(const wf_pole_args *a, int64_t at, int64_t parts, const float *before, float *h, float x) {
    float sum = 0.0f, read = 0.0f, scale = parts == 2 ? 2.0f : 1.0f;
    for (int64_t i = 0; a->e && i < a->modes * parts; i++)
        read += (i % parts ? -1.0f : 1.0f) * a->v[at + i] * before[i];
    read *= scale;
    for (int64_t m = 0; m < a->modes; m++) {
        const float *p = a->a + at + m * parts, *b = a->b + at + m * parts, *c = a->c + at + m * parts;
        float re = before[m * parts], im = parts == 2 ? before[m * parts + 1] : 0.0f, pi = parts == 2 ? p[1] : 0.0f;
        float next = p[0] * re - pi * im + b[0] * x - (a->e ? a->e[at + m * parts] * read : 0.0f);
        sum += c[0] * next;
        h[m * parts] = next;
        if (parts == 1)
            continue;
        float turned = p[0] * im + pi * re + b[1] * x - (a->e ? a->e[at + m * parts + 1] * read : 0.0f);
        sum -= c[1] * turned;
        h[m * parts + 1] = turned;
    }
    return scale * sum;
}

/* The only token of channels first..end-1. */
static void scan_single(const wf_pole_args *a, int64_t batch, int64_t first, int64_t end, float *scratch) {
    int64_t parts = a->real ? 1 : 2, width = a->modes * parts;
    for (int64_t d = first; d < end; d++) {
        int64_t row = (batch * a->channels + d) * width, at = batch * a->channels + d;
        float *h = a->h_out ? a->h_out + row : scratch;
        const float *before = a->h_in ? a->h_in + row : scratch;
        if (!a->h_in)
            memset(scratch, 0, (size_t)width * sizeof *scratch);
        if (a->checkpoints)
            memcpy(a->checkpoints + row, before, (size_t)width * sizeof *before);
        a->y[at] = single(a, d * width, parts, before, h, a->x[at]) + (a->skip ? a->skip[d] * a->x[at] : 0.0f);
    }
}

static int64_t block_end(const wf_pole_args *a, int64_t block) {
    int64_t end = (block + 1) * WF_SCAN_BLOCK;
    return end < a->channels ? end : a->channels;
}

static void pole_scan(const wf_pole_args *a, int64_t batch, int64_t block, void *scratch) {
    if (a->t == 1 && !a->reverse) {
        scan_single(a, batch, block * WF_SCAN_BLOCK, block_end(a, block), scratch);
        return;
    }
    for (int64_t d = block * WF_SCAN_BLOCK; d < block_end(a, block); d += WF_VL) {
        strip s = make_strip(a, batch, d, block_end(a, block), scratch, false);
        scan_strip(&s);
    }
}

/* ---- backward ---- */

WF_INLINE void add_to(float *p, vf v) { vf_store(p, vf_load(p) + v); }

/* The term of rank one: adds to de and returns the gradient of what it read, times 2. The gradient of h_t is lambda and what
 * the read sends. */
static vf back_feedback(const strip *s, const float *before, vf twice) {
    vf minus = -feedback(s, before), ds = vf_set(0.0f);
    for (int64_t m = 0, n = s->a->modes * PAIR; m < n; m += PAIR) {
        vf lr = vf_fma(twice, vf_load(s->c + m), vf_load(s->lambda + m));
        vf li = vf_fma(-twice, vf_load(s->c + m + WF_VL), vf_load(s->lambda + m + WF_VL));
        ds -= vf_fma(lr, vf_load(s->e + m), li * vf_load(s->e + m + WF_VL));
        add_to(s->de + m, lr * minus);
        add_to(s->de + m + WF_VL, li * minus);
    }
    return ds * s->twice;
}

/* One step: returns what b sends to dx. */
WF_INLINE vf back_step(const strip *s, const float *before, const float *after, vf x, vf dy, bool reverse) {
    vf dx = vf_set(0.0f), twice = dy * s->twice;
    const float *read = reverse ? before : after;
    bool ranked = s->a->e != NULL;
    vf ds = ranked ? back_feedback(s, before, twice) : vf_set(0.0f);
    for (int64_t m = 0, n = s->a->modes * PAIR; m < n; m += PAIR) {
        vf lr = vf_load(s->lambda + m), li = vf_load(s->lambda + m + WF_VL), cr = twice * vf_load(s->c + m),
           ci = twice * vf_load(s->c + m + WF_VL);
        vf hr = vf_load(before + m), hi = vf_load(before + m + WF_VL), pr = vf_load(s->p + m), pi = vf_load(s->p + m + WF_VL);
        add_to(s->dc + m, twice * vf_load(read + m));
        add_to(s->dc + m + WF_VL, -twice * vf_load(read + m + WF_VL));
        if (!reverse) {
            lr += cr;
            li -= ci;
        }
        add_to(s->da + m, vf_fma(lr, hr, li * hi));
        add_to(s->da + m + WF_VL, vf_fma(li, hr, -lr * hi));
        add_to(s->db + m, lr * x);
        add_to(s->db + m + WF_VL, li * x);
        dx = vf_fma(lr, vf_load(s->b + m), vf_fma(li, vf_load(s->b + m + WF_VL), dx));
        vf back = vf_fma(lr, pr, li * pi), turned = vf_fma(li, pr, -lr * pi);
        if (ranked) {
            back = vf_fma(ds, vf_load(s->v + m), back);
            turned = vf_fma(-ds, vf_load(s->v + m + WF_VL), turned);
            add_to(s->dv + m, ds * hr);
            add_to(s->dv + m + WF_VL, -ds * hi);
        }
        vf_store(s->lambda + m, reverse ? back + cr : back);
        vf_store(s->lambda + m + WF_VL, reverse ? turned - ci : turned);
    }
    return dx;
}

/* Steps from..from+count-1, last to first, from the checkpoint before them; returns their share of dskip. */
static vf back_stretch(const strip *s, int64_t index, int64_t count, vf skip) {
    const wf_pole_args *a = s->a;
    int64_t row = a->modes * PAIR, from = index * STRETCH;
    vf dskip = vf_set(0.0f);
    load_modes(s, s->h, checkpoint(s, index));
    for (int64_t i = 0; i < count; i++)
        step(s, s->h + (i + 1) * row, s->h + i * row, take(a->x + token(s, from + i), s->live));
    for (int64_t i = count - 1; i >= 0; i--) {
        int64_t at = token(s, from + i);
        const float *before = s->h + i * row;
        vf x = take(a->x + at, s->live), dy = a->dy ? take(a->dy + at, s->live) : vf_set(0.0f);
        vf dx = a->reverse ? back_step(s, before, before + row, x, dy, true) : back_step(s, before, before + row, x, dy, false);
        put(a->dx + at, vf_fma(skip, dy, dx), s->live);
        dskip = vf_fma(dy, x, dskip);
    }
    return dskip;
}

static void fold(float *all, float *part, int64_t n) {
    for (int64_t i = 0; i < n; i += WF_VL)
        add_to(all + i, vf_load(part + i));
    memset(part, 0, (size_t)n * sizeof *part);
}

static void back_strip(const strip *s) {
    const wf_pole_args *a = s->a;
    int64_t row = a->modes * PAIR, stretches = (a->t + STRETCH - 1) / STRETCH;
    vf skip = a->skip ? take(a->skip + s->first, s->live) : vf_set(0.0f), dskip = vf_set(0.0f);
    load_parameters(s);
    load_modes(s, s->lambda, modes_of(s, a->dh_out, s->batch));
    memset(s->da, 0, (size_t)(10 * row) * sizeof(float));
    for (int64_t index = stretches - 1; index >= 0; index--) {
        dskip += back_stretch(s, index, a->t - index * STRETCH < STRETCH ? a->t - index * STRETCH : STRETCH, skip);
        fold(s->da_all, s->da, row);
        fold(s->db_all, s->db, row);
        fold(s->dc_all, s->dc, row);
        fold(s->de_all, s->de, row);
        fold(s->dv_all, s->dv, row);
    }
    save_modes(s, modes_of(s, a->da_part, s->batch), s->da_all);
    save_modes(s, modes_of(s, a->db_part, s->batch), s->db_all);
    save_modes(s, modes_of(s, a->dc_part, s->batch), s->dc_all);
    if (a->e) {
        save_modes(s, modes_of(s, a->de_part, s->batch), s->de_all);
        save_modes(s, modes_of(s, a->dv_part, s->batch), s->dv_all);
    }
    save_modes(s, modes_of(s, a->dh_in, s->batch), s->lambda);
    if (a->dskip_part)
        put(a->dskip_part + s->batch * a->channels + s->first, dskip, s->live);
}

static void pole_scan_back(const wf_pole_args *a, int64_t batch, int64_t block, void *scratch) {
    for (int64_t d = block * WF_SCAN_BLOCK; d < block_end(a, block); d += WF_VL) {
        strip s = make_strip(a, batch, d, block_end(a, block), scratch, true);
        back_strip(&s);
    }
}

WF_FILL(poles) {
    k->pole_scan = pole_scan;
    k->pole_scan_back = pole_scan_back;
}
