/* simd_scan.c - vector forms of kernel E (mixers.md U5): one channel per lane, the states in the inner loop. A strip is WF_VL
 * channels of a block over all tokens. The cost is the exponential of dt*A: A is kept in units of log2, so that exp(dt A) is a
 * power of two with no reduction constants. */
#include "kernels/vec/decay.h"
#include "kernels/vec/fill.h"
#include "kernels/vec/reduce.h"
#include "kernels/vec/vec.h"

enum { STRETCH = WF_SCAN_CHECKPOINT, AHEAD = 12 /* tokens prefetched */ };

typedef struct strip {
    const wf_scan_args *a;
    int64_t batch, first, live;    /* channels first..first+live-1 */
    int64_t group, groups, part;   /* that read the same b and c; the block within its group */
    bool more;                     /* not the first strip of its block: its db and dc add to what is there */
    float *rate, *h;               /* [state][WF_VL]: A*log2(e); the state */
    float *decays, *past;          /* backward, one stretch: [STRETCH][state][WF_VL]; one more state */
    float *u, *dt, *z, *dy, *outs; /* [STRETCH][WF_VL]: its rows side by side, and the ungated outputs */
    float *lambda, *da, *da_all;   /* [state][WF_VL] */
} strip;

WF_INLINE vf take(const float *p, int64_t n) { return n >= WF_VL ? vf_load(p) : vf_load_n(p, n); }
WF_INLINE void put(float *p, vf v, int64_t n) {
    if (n >= WF_VL)
        vf_store(p, v);
    else
        vf_store_n(p, v, n);
}

WF_INLINE vf sigmoid(vf z) { return 1.0f / (1.0f + vf_exp(-z)); }

/* [channels, state] rows of this strip to lanes, and back. */
static void load_lanes(const strip *s, float *to, const float *from) {
    int64_t size = s->a->state;
    memset(to, 0, (size_t)(size * WF_VL) * sizeof(float));
    for (int64_t c = 0; from && c < s->live; c++)
        for (int64_t n = 0; n < size; n++)
            to[n * WF_VL + c] = from[(s->first + c) * size + n];
}
static void save_lanes(const strip *s, float *to, const float *from) {
    int64_t size = s->a->state;
    for (int64_t c = 0; c < s->live; c++)
        for (int64_t n = 0; n < size; n++)
            to[(s->first + c) * size + n] = from[n * WF_VL + c];
}
/* Of a tensor [B, D, N] or of checkpoint i; NULL stays NULL. */
static float *states_of(const strip *s, float *x) { return x ? x + s->batch * s->a->channels * s->a->state : NULL; }
static float *checkpoint(const strip *s, int64_t i) {
    int64_t count = (s->a->t + STRETCH - 1) / STRETCH;
    return s->a->checkpoints + (s->batch * count + i) * s->a->channels * s->a->state;
}

static void load_rates(const strip *s) {
    load_lanes(s, s->rate, s->a->a_log);
    for (int64_t n = 0; n < s->a->state; n++) /* kept small enough for vf_exp2_decay; 0 * A must be 0 */
        vf_store(s->rate + n * WF_VL, vf_max(vf_exp(vf_load(s->rate + n * WF_VL)) * -WF_LOG2E, vf_set(-1e12f)));
}

/* Element i of p, which may lie outside the array; NULL is fine. Rows are a whole D apart: no hardware fetches ahead, and a few
 * of them fill their sets of the first cache, so that they come to the second. */
WF_INLINE void prefetch(const float *p, int64_t i) {
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)i * sizeof *p), 0, 2);
}

/* h_t in place of h_{t-1}; decays, when kept, receives exp(dt A). Returns the sum over states of C h. */
WF_INLINE vf step(const strip *s, const float *before, float *after, float *decays, int64_t token, vf dt, vf x) {
    int64_t read = (token * s->groups + s->group) * s->a->state;
    const float *b = s->a->b + read, *c = s->a->c + read;
    vf y = vf_set(0.0f);
    for (int64_t n = 0; n < s->a->state; n++) {
        vf e = vf_exp2_decay(dt, vf_load(s->rate + n * WF_VL));
        vf h = vf_fma(e, vf_load(before + n * WF_VL), x * vf_set(b[n]));
        y = vf_fma(vf_set(c[n]), h, y);
        vf_store(after + n * WF_VL, h);
        if (decays)
            vf_store(decays + n * WF_VL, e);
    }
    return y;
}

static void scan_strip(const strip *s) {
    const wf_scan_args *a = s->a;
    vf skip = a->skip ? take(a->skip + s->first, s->live) : vf_set(0.0f);
    load_rates(s);
    load_lanes(s, s->h, a->h_in ? a->h_in + s->batch * a->channels * a->state : NULL);
    for (int64_t t = 0; t < a->t; t++) {
        int64_t token = s->batch * a->t + t, i = token * a->channels + s->first;
        if (a->checkpoints && t % STRETCH == 0)
            save_lanes(s, checkpoint(s, t / STRETCH), s->h);
        prefetch(a->u, i + AHEAD * a->channels);
        prefetch(a->dt, i + AHEAD * a->channels);
        prefetch(a->z, i + AHEAD * a->channels);
        prefetch(a->y, i + AHEAD * a->channels);
        vf u = take(a->u + i, s->live), dt = take(a->dt + i, s->live);
        vf y = vf_fma(skip, u, step(s, s->h, s->h, NULL, token, dt, dt * u));
        if (a->z) {
            vf z = take(a->z + i, s->live);
            y = y * z * sigmoid(z);
        }
        put(a->y + i, y, s->live);
    }
    if (a->h_out)
        save_lanes(s, states_of(s, a->h_out), s->h);
}

static strip make_strip(const wf_scan_args *a, int64_t batch, const wf_scan_range *range, int64_t first, void *scratch) {
    int64_t left = range->end - first, row = a->state * WF_VL;
    float *at = scratch;
    strip s = {.a = a, .batch = batch, .first = first, .live = left < WF_VL ? left : WF_VL};
    s.group = range->group;
    s.groups = wf_scan_groups(a);
    s.part = range->part;
    s.more = first > range->first;
    s.rate = at;
    s.h = at + row;
    s.lambda = at + 2 * row;
    s.da = at + 3 * row;
    s.da_all = at + 4 * row;
    s.decays = at + 5 * row;
    s.past = s.decays + STRETCH * row;
    s.u = s.past + (STRETCH + 1) * row;
    s.dt = s.u + STRETCH * WF_VL;
    s.z = s.dt + STRETCH * WF_VL;
    s.dy = s.z + STRETCH * WF_VL;
    s.outs = s.dy + STRETCH * WF_VL;
    return s;
}

static void selective_scan(const wf_scan_args *a, int64_t batch, int64_t block, void *scratch) {
    wf_scan_range range = wf_scan_block(a, block);
    for (int64_t d = range.first; d < range.end; d += WF_VL) {
        strip s = make_strip(a, batch, &range, d, scratch);
        scan_strip(&s);
    }
}

/* ---- backward: lambda_t = e_{t+1} lambda_{t+1} + dy_t C_t (mixers.md section 12) ---- */

typedef struct token_grads {
    vf dt, x, dy;        /* x = dt u; dy of the ungated output */
    vf through_b, rates; /* sums over states of B lambda, and of A log2(e) * gradient of dt A */
} token_grads;

/* Up to WF_VL states of one token. */
WF_INLINE void back_states(const strip *s, token_grads *g, int64_t token, int64_t i, int64_t n0, int64_t count) {
    const wf_scan_args *a = s->a;
    vf to_b[WF_VL], to_c[WF_VL];
    int64_t read = (token * s->groups + s->group) * a->state + n0;
    const float *b = a->b + read, *c = a->c + read;
    int64_t row = a->state * WF_VL, at = n0 * WF_VL;
    const float *decays = s->decays + i * row + at, *before = s->past + i * row + at, *after = before + row;
    for (int64_t k = 0; k < WF_VL; k++, at += WF_VL) {
        if (k >= count) {
            to_b[k] = to_c[k] = vf_set(0.0f);
            continue;
        }
        vf lambda = vf_fma(g->dy, vf_set(c[k]), vf_load(s->lambda + at));
        vf carried = vf_load(decays + k * WF_VL) * lambda, through = carried * vf_load(before + k * WF_VL);
        vf_store(s->lambda + at, carried);
        vf_store(s->da + at, vf_fma(g->dt, through, vf_load(s->da + at)));
        g->rates = vf_fma(vf_load(s->rate + at), through, g->rates);
        g->through_b = vf_fma(vf_set(b[k]), lambda, g->through_b);
        to_b[k] = g->x * lambda;
        to_c[k] = g->dy * vf_load(after + k * WF_VL);
    }
    int64_t part = s->part * a->batch * a->t * s->groups * a->state + read;
    vf db = vf_sum_rows(to_b), dc = vf_sum_rows(to_c);
    put(a->db_part + part, s->more ? db + take(a->db_part + part, count) : db, count);
    put(a->dc_part + part, s->more ? dc + take(a->dc_part + part, count) : dc, count);
}

WF_INLINE void prefetch_inputs(const wf_scan_args *a, int64_t at) {
    prefetch(a->u, at);
    prefetch(a->dt, at);
    prefetch(a->dy, at);
    prefetch(a->z, at);
}

static vf back_token(const strip *s, int64_t token, int64_t i, vf skip) {
    const wf_scan_args *a = s->a;
    int64_t at = token * a->channels + s->first, soon = at - AHEAD * a->channels;
    prefetch(a->du, soon);
    prefetch(a->ddt, soon);
    prefetch(a->dz, soon);
    vf u = vf_load(s->u + i * WF_VL), dy = vf_load(s->dy + i * WF_VL);
    if (a->z) {
        vf z = vf_load(s->z + i * WF_VL), gate = sigmoid(z);
        put(a->dz + at, dy * vf_load(s->outs + i * WF_VL) * gate * vf_fma(z, 1.0f - gate, vf_set(1.0f)), s->live);
        dy = dy * z * gate;
    }
    token_grads g = {.dt = vf_load(s->dt + i * WF_VL), .dy = dy, .through_b = vf_set(0.0f), .rates = vf_set(0.0f)};
    g.x = g.dt * u;
    int64_t n = 0;
    for (; n + WF_VL <= a->state; n += WF_VL)
        back_states(s, &g, token, i, n, WF_VL);
    if (n < a->state)
        back_states(s, &g, token, i, n, a->state - n);
    put(a->du + at, vf_fma(g.dt, g.through_b, skip * dy), s->live);
    put(a->ddt + at, vf_fma(u, g.through_b, g.rates * WF_LN2), s->live);
    return dy * u;
}

/* h and exp(dt A) of every token of a stretch, from its checkpoint, and the rows of its inputs. */
static void replay(const strip *s, int64_t index, int64_t count, vf skip) {
    const wf_scan_args *a = s->a;
    int64_t row = a->state * WF_VL;
    load_lanes(s, s->past, checkpoint(s, index));
    for (int64_t i = 0; i < count; i++) {
        int64_t token = s->batch * a->t + index * STRETCH + i, at = token * a->channels + s->first, to = i * WF_VL;
        if (i + AHEAD < count)
            prefetch_inputs(a, at + AHEAD * a->channels);
        vf u = take(a->u + at, s->live), dt = take(a->dt + at, s->live);
        vf y = step(s, s->past + i * row, s->past + (i + 1) * row, s->decays + i * row, token, dt, dt * u);
        vf_store(s->u + to, u);
        vf_store(s->dt + to, dt);
        vf_store(s->dy + to, a->dy ? take(a->dy + at, s->live) : vf_set(0.0f));
        vf_store(s->z + to, a->z ? take(a->z + at, s->live) : vf_set(0.0f));
        vf_store(s->outs + to, vf_fma(skip, u, y));
    }
}

static void back_strip(const strip *s) {
    const wf_scan_args *a = s->a;
    int64_t row = a->state * WF_VL, stretches = (a->t + STRETCH - 1) / STRETCH;
    vf skip = a->skip ? take(a->skip + s->first, s->live) : vf_set(0.0f), dskip = vf_set(0.0f);
    load_rates(s);
    load_lanes(s, s->lambda, a->dh_out ? a->dh_out + s->batch * a->channels * a->state : NULL);
    memset(s->da_all, 0, (size_t)row * sizeof(float));
    for (int64_t index = stretches - 1; index >= 0; index--) {
        int64_t first = index * STRETCH, count = a->t - first < STRETCH ? a->t - first : STRETCH;
        vf part = vf_set(0.0f); /* sums of sums, so that their error does not grow with T */
        memset(s->da, 0, (size_t)row * sizeof(float));
        replay(s, index, count, skip);
        for (int64_t i = count - 1; i >= 0; i--) {
            if (i < AHEAD && index > 0) /* where the next replay begins */
                prefetch_inputs(a, (s->batch * a->t + first - STRETCH + i) * a->channels + s->first);
            part += back_token(s, s->batch * a->t + first + i, i, skip);
        }
        dskip += part;
        for (int64_t n = 0; n < row; n += WF_VL)
            vf_store(s->da_all + n, vf_load(s->da_all + n) + vf_load(s->da + n));
    }
    for (int64_t n = 0; n < row; n += WF_VL)
        vf_store(s->da_all + n, vf_load(s->da_all + n) * vf_load(s->rate + n) * WF_LN2);
    save_lanes(s, states_of(s, a->da_log_part), s->da_all);
    if (a->skip)
        put(a->dskip_part + s->batch * a->channels + s->first, dskip, s->live);
    if (a->dh_in)
        save_lanes(s, states_of(s, a->dh_in), s->lambda);
}

static void selective_scan_back(const wf_scan_args *a, int64_t batch, int64_t block, void *scratch) {
    wf_scan_range range = wf_scan_block(a, block);
    for (int64_t d = range.first; d < range.end; d += WF_VL) {
        strip s = make_strip(a, batch, &range, d, scratch);
        back_strip(&s);
    }
}

WF_FILL(scan) {
    k->selective_scan = selective_scan;
    k->selective_scan_back = selective_scan_back;
}
