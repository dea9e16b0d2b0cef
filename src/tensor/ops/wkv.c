/* wkv.c - the weighted average of RWKV-4 (Peng et al. 2023, arXiv 2305.13048, eq. 16-18), all exponents kept relative to a
 * running maximum: with N_t = e^w N_{t-1} + e^{k_t} v_t and D_t alike for 1, y_t = (N_{t-1} + e^{u+k_t} v_t) / (D_{t-1} +
 * e^{u+k_t}). N and D are stored as num e^max and den e^max. y does not depend on how they are split, so the maximum is a
 * constant of the backward. A piece is a block of channels of one sequence; a second phase sums the gradients of w and u over
 * the sequences. */
#include "tensor/ops/elementwise.h"

enum { K, V, W, U, NUM_IN, DEN_IN, MAX_IN, INPUTS };
enum { Y, NUM, DEN, MAX };
enum { LANES = 64, SUM = 256 };

static const float NOTHING = -1e38f; /* the maximum before the first token */

typedef struct wkv {
    int64_t batch, t, channels, blocks;
    bool states;
    int trail; /* index of the saved states before every token [3,B,T,A], -1: not there */
} wkv;

typedef struct lanes { /* channels c..c+n-1 of sequence b */
    int64_t b, c, n;
    float w[LANES], u[LANES];
    float num[LANES], den[LANES], max[LANES];
} lanes;

static const float *in_data(const wf_node *node, int i) { return node->in[i]->data; }

static lanes locate(const wf_node *node, int piece) {
    const wkv *a = node->attr;
    lanes l = {.b = piece / a->blocks, .c = piece % a->blocks * LANES};
    l.n = a->channels - l.c < LANES ? a->channels - l.c : LANES;
    for (int64_t i = 0; i < l.n; i++) {
        l.w[i] = in_data(node, W)[l.c + i];
        l.u[i] = in_data(node, U)[l.c + i];
        l.num[i] = node->in[NUM_IN] ? in_data(node, NUM_IN)[l.b * a->channels + l.c + i] : 0.0f;
        l.den[i] = node->in[DEN_IN] ? in_data(node, DEN_IN)[l.b * a->channels + l.c + i] : 0.0f;
        l.max[i] = node->in[MAX_IN] ? in_data(node, MAX_IN)[l.b * a->channels + l.c + i] : NOTHING;
    }
    return l;
}

/* e[0] = e^{x - p}, e[1] = e^{z - p} with p the larger. */
static void two_exps(const float *x, const float *z, float *p, float *e, int64_t n, const wf_worker *w) {
    for (int64_t i = 0; i < n; i++) {
        p[i] = x[i] > z[i] ? x[i] : z[i];
        e[i] = x[i] - p[i];
        e[n + i] = z[i] - p[i];
    }
    w->k->activate(WF_EXP, e, e, 2 * n);
}

typedef struct averaged {
    float p[LANES], e[2 * LANES], d[LANES];
} averaged; /* maximum; both weights relative to it; denominator */

static void average(const lanes *l, const float *k, const float *v, averaged *a, float *y, const wf_worker *w) {
    float own[LANES], *e = a->e;
    for (int64_t i = 0; i < l->n; i++)
        own[i] = l->u[i] + k[i];
    two_exps(l->max, own, a->p, e, l->n, w);
    for (int64_t i = 0; i < l->n; i++) {
        a->d[i] = e[i] * l->den[i] + e[l->n + i];
        y[i] = (e[i] * l->num[i] + e[l->n + i] * v[i]) / a->d[i];
    }
}

static void step(lanes *l, const float *k, const float *v, const wf_worker *w) {
    float kept[LANES], e[2 * LANES];
    for (int64_t i = 0; i < l->n; i++)
        kept[i] = l->max[i] + l->w[i];
    two_exps(kept, k, l->max, e, l->n, w);
    for (int64_t i = 0; i < l->n; i++) {
        l->num[i] = e[i] * l->num[i] + e[l->n + i] * v[i];
        l->den[i] = e[i] * l->den[i] + e[l->n + i];
    }
}

/* num, den or max before token t, of the trail. */
static float *trail(const wf_node *node, const lanes *l, int which, int64_t t) {
    const wkv *a = node->attr;
    return (float *)node->out[a->trail]->data + ((which * a->batch + l->b) * a->t + t) * a->channels + l->c;
}

static void forward(const wf_node *node, int piece, const wf_worker *w) {
    const wkv *a = node->attr;
    lanes l = locate(node, piece);
    size_t bytes = (size_t)l.n * sizeof(float);
    averaged all;
    for (int64_t t = 0; t < a->t; t++) {
        int64_t at = (l.b * a->t + t) * a->channels + l.c;
        if (a->trail >= 0) {
            memcpy(trail(node, &l, 0, t), l.num, bytes);
            memcpy(trail(node, &l, 1, t), l.den, bytes);
            memcpy(trail(node, &l, 2, t), l.max, bytes);
        }
        average(&l, in_data(node, K) + at, in_data(node, V) + at, &all, (float *)node->out[Y]->data + at, w);
        step(&l, in_data(node, K) + at, in_data(node, V) + at, w);
    }
    if (!a->states)
        return;
    memcpy((float *)node->out[NUM]->data + l.b * a->channels + l.c, l.num, bytes);
    memcpy((float *)node->out[DEN]->data + l.b * a->channels + l.c, l.den, bytes);
    memcpy((float *)node->out[MAX]->data + l.b * a->channels + l.c, l.max, bytes);
}

typedef struct carried { /* gradients of N_t and D_t are num e^top and den e^top */
    float num[LANES], den[LANES], top[LANES];
    float dw[LANES], du[LANES];
} carried;

static void begin(const wf_node *node, const lanes *l, carried *c) {
    const wkv *a = node->attr;
    const float *num = a->states ? node->out[NUM]->grad : NULL, *den = a->states ? node->out[DEN]->grad : NULL;
    bool any = num || den;
    for (int64_t i = 0; i < l->n; i++) {
        int64_t at = l->b * a->channels + l->c + i;
        c->num[i] = num ? num[at] : 0.0f;
        c->den[i] = den ? den[at] : 0.0f;
        c->top[i] = any ? -((const float *)node->out[MAX]->data)[at] : NOTHING;
        c->dw[i] = c->du[i] = 0.0f;
    }
}

/* What token t adds to the gradients, in units of e^{-p}: of N, -y times it of D. */
static void back_token(const wf_node *node, lanes *l, carried *c, int64_t t, const wf_worker *w) {
    int64_t n = l->n, at = (l->b * ((const wkv *)node->attr)->t + t) * ((const wkv *)node->attr)->channels + l->c;
    const float *k = in_data(node, K) + at, *v = in_data(node, V) + at,
                *dy = node->out[Y]->grad ? (const float *)node->out[Y]->grad + at : NULL;
    averaged all;
    float *p = all.p, *e = all.e, *d = all.d, y[LANES], more[2 * LANES], kept[LANES], dk[LANES], dv[LANES], ends[2 * LANES];
    memcpy(l->num, trail(node, l, 0, t), (size_t)n * sizeof(float));
    memcpy(l->den, trail(node, l, 1, t), (size_t)n * sizeof(float));
    memcpy(l->max, trail(node, l, 2, t), (size_t)n * sizeof(float));
    average(l, k, v, &all, y, w);
    for (int64_t i = 0; i < n; i++) {
        more[i] = k[i] + c->top[i];
        kept[i] = l->w[i] + c->top[i];
        more[n + i] = kept[i] + l->max[i];
        p[i] = -p[i];
    }
    w->k->activate(WF_EXP, more, more, 2 * n);
    two_exps(kept, p, c->top, ends, n, w);
    for (int64_t i = 0; i < n; i++) {
        float dn = dy ? dy[i] / d[i] : 0.0f, dd = -dn * y[i], own = e[n + i] * (dn * v[i] + dd);
        dk[i] = more[i] * (c->num[i] * v[i] + c->den[i]) + own;
        dv[i] = more[i] * c->num[i] + e[n + i] * dn;
        c->du[i] += own;
        c->dw[i] += more[n + i] * (c->num[i] * l->num[i] + c->den[i] * l->den[i]);
        c->num[i] = ends[i] * c->num[i] + ends[n + i] * dn;
        c->den[i] = ends[i] * c->den[i] + ends[n + i] * dd;
    }
    store_din(node, K, at, n, dk, w);
    store_din(node, V, at, n, dv, w);
}

static void backward(const wf_node *node, int piece, const wf_worker *w) {
    const wkv *a = node->attr;
    lanes l = locate(node, piece);
    carried c;
    int64_t at = l.b * a->channels + l.c;
    float *parts = node->work_data[WF_BACKWARD], zero[LANES] = {0};
    begin(node, &l, &c);
    for (int64_t t = a->t - 1; t >= 0; t--)
        back_token(node, &l, &c, t, w);
    memcpy(parts + at, c.dw, (size_t)l.n * sizeof(float));
    memcpy(parts + a->batch * a->channels + at, c.du, (size_t)l.n * sizeof(float));
    if (!node->in[NUM_IN] && !node->in[DEN_IN])
        return;
    for (int64_t i = 0; i < l.n; i++) /* l.max is that of the first token: what came in */
        c.top[i] += l.max[i];
    w->k->activate(WF_EXP, c.top, c.top, l.n);
    w->k->mul(c.num, c.num, c.top, l.n);
    w->k->mul(c.den, c.den, c.top, l.n);
    const float *of[] = {c.num, c.den, zero};
    for (int i = NUM_IN; i <= MAX_IN; i++)
        if (node->in[i])
            store_din(node, i, at, l.n, of[i - NUM_IN], w);
}

static void sum_sequences(const wf_node *node, int piece, const wf_worker *w) {
    const wkv *a = node->attr;
    const float *parts = node->work_data[WF_BACKWARD];
    int64_t first = (int64_t)piece * SUM, n = a->channels - first < SUM ? a->channels - first : SUM;
    for (int which = 0; which < 2; which++) {
        float sum[SUM] = {0};
        for (int64_t b = 0; b < a->batch; b++)
            w->k->add(sum, sum, parts + (which * a->batch + b) * a->channels + first, n);
        store_din(node, which ? U : W, first, n, sum, w);
    }
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const wkv *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->blocks);
    return phase == 1 && pass == WF_BACKWARD ? (int)((a->channels + SUM - 1) / SUM) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (pass == WF_FORWARD)
        forward(node, piece, w);
    else if (phase == 0)
        backward(node, piece, w);
    else
        sum_sequences(node, piece, w);
}

/* Four exponentials (16 each) and some arithmetic per channel and token; two more and twice the rest in the backward. */
static double flops(const wf_node *node, wf_pass pass) {
    const wkv *a = node->attr;
    double one = 80.0 * (double)a->batch * (double)a->t * (double)a->channels;
    return pass == WF_FORWARD ? one : 1.5 * one;
}

const wf_op wf_op_wkv = {.name = "wkv",
                         .pieces = pieces,
                         .run = run,
                         .flops = flops,
                         .in_place = 1u << NUM | 1u << DEN | 1u << MAX,
                         .saves_in = 1u << K | 1u << V | 1u << W | 1u << U | 1u << NUM_IN | 1u << DEN_IN | 1u << MAX_IN,
                         .saves_out = 1u << MAX | 1u << 1 | 1u << 4};

static bool fits(const wkv *a, wf_tensor *const *in) {
    for (int i = NUM_IN; i <= MAX_IN; i++)
        if (in[i] && in[i]->count != a->batch * a->channels)
            return false;
    return in[V]->count == in[K]->count && in[W]->count == a->channels && in[U]->count == a->channels;
}

wf_tensor *wf_wkv(wf_tape *t, wf_tensor *k, wf_tensor *v, wf_tensor *decay, wf_tensor *bonus, const wf_wkv_spec *spec) {
    if (!k || !v || !decay || !bonus)
        return NULL;
    wf_tensor *in[INPUTS] = {wf_cast(t, k, WF_F32), wf_cast(t, v, WF_F32), decay, bonus, spec->in[0], spec->in[1], spec->in[2]},
              *out[5] = {0};
    if (!in[K] || !in[V])
        return NULL;
    wkv a = {.batch = k->dims[0],
             .t = k->rank == 3 ? k->dims[1] : 0,
             .channels = wf_dim(k, -1),
             .states = spec->out != NULL,
             .trail = -1};
    a.blocks = (a.channels + LANES - 1) / LANES;
    if (k->rank != 3 || !fits(&a, in))
        return wf_tape_error(t, WEFT_USAGE, "wkv: the shapes of k, v, the decay and the states do not fit together");
    int n = 1;
    out[Y] = wf_out(t, WF_F32, 3, k->dims);
    for (; a.states && n <= MAX; n++)
        out[n] = wf_out(t, WF_F32, 2, (int64_t[]){a.batch, a.channels});
    if (wf_tape_grad(t))
        out[a.trail = n++] = wf_out(t, WF_F32, 4, (int64_t[]){3, a.batch, a.t, a.channels});
    wkv *attr = attr_copy(t, &a, sizeof a);
    wf_node *node = attr ? wf_record(t, &wf_op_wkv, INPUTS, in, n, out, attr) : NULL;
    if (!node)
        return NULL;
    node->work[WF_BACKWARD] = (size_t)(2 * a.batch * a.channels) * sizeof(float);
    for (int i = 0; a.states && i < 3; i++)
        spec->out[i] = out[NUM + i];
    return out[Y];
}
