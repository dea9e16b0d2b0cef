/* slstm.c - the scalar LSTM with exponential gates (Beck et al. 2024, arXiv 2405.04517, eq. 8-18): c = F c + I tanh(z), n = F n
 * + I, h = sigmoid(o) c / n, with F = e^{f~ + m - m'}, I = e^{i - m'}, m' = max(f~ + m, i), f~ = logsigmoid(f). The gates read
 * the state of their own head, so a piece is one head of one sequence for all steps. The stabiliser m changes no output: its
 * gradient is 0. */
#include <math.h>
#include "tensor/ops/parts.h"

enum { GATE_I, GATE_F, GATE_Z, GATE_O, GATES };
enum { X = 0, R = GATES, MASK = 2 * GATES, H_IN, C_IN, N_IN, M_IN, INPUTS };
enum { Y, SAVED, H_OUT, C_OUT, N_OUT, M_OUT };
enum { KEPT_I, KEPT_F, KEPT_Z, KEPT_O, KEPT_AWAY, KEPT_C, KEPT_N, KEPT_H, KEPT }; /* AWAY: 1 - sigmoid(f) */

typedef struct slstm {
    int64_t batch, t, heads, width, hidden;
} slstm; /* width: of a head */

typedef struct head_at {
    int64_t b, j0;
    const float *r[GATES];
} head_at; /* lanes j0.. of a row [hidden] */
static head_at locate(const wf_node *node, int piece) {
    const slstm *a = node->attr;
    int64_t h = piece % a->heads;
    head_at at = {piece / a->heads, h * a->width, {0}};
    for (int g = 0; g < GATES; g++)
        at.r[g] = (const float *)node->in[R + g]->data + h * a->width * a->width;
    return at;
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const slstm *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->heads);
    return pass == WF_BACKWARD && phase == 1 ? (int)(GATES * a->heads) : 0;
}

static float *kept(const wf_node *node, head_at at, int64_t t, int which) {
    const slstm *a = node->attr;
    return (float *)node->out[SAVED]->data + ((at.b * a->t + t) * KEPT + which) * a->hidden + at.j0;
}
static bool padding(const wf_node *node, head_at at, int64_t t) {
    const slstm *a = node->attr;
    return node->in[MASK] && !((const uint8_t *)node->in[MASK]->data)[at.b * a->t + t];
}
/* A state before step t: the one kept, or what came in; NULL: zeros. */
static const float *before(const wf_node *node, head_at at, int64_t t, int which, int input) {
    const slstm *a = node->attr;
    if (t > 0)
        return kept(node, at, t - 1, which);
    return node->in[input] ? (const float *)node->in[input]->data + at.b * a->hidden + at.j0 : NULL;
}

/* pre[g] = x_g + R_g h. */
static void preactivations(const wf_node *node, head_at at, int64_t t, float *pre, const wf_worker *w) {
    const slstm *a = node->attr;
    const float *h = before(node, at, t, KEPT_H, H_IN);
    for (int g = 0; g < GATES; g++) {
        const float *x = (const float *)node->in[X + g]->data + (at.b * a->t + t) * a->hidden + at.j0;
        if (h)
            w->k->gemv(pre + g * a->width, at.r[g], h, x, a->width, 0, a->width);
        else
            memcpy(pre + g * a->width, x, (size_t)a->width * sizeof *pre);
    }
}

/* One step; m moves on. */
static void cell(const wf_node *node, head_at at, int64_t t, float *pre, float *m, const wf_worker *w) {
    const slstm *a = node->attr;
    const float *c0 = before(node, at, t, KEPT_C, C_IN), *n0 = before(node, at, t, KEPT_N, N_IN);
    float *c = kept(node, at, t, KEPT_C), *n = kept(node, at, t, KEPT_N), *h = kept(node, at, t, KEPT_H),
          *in = kept(node, at, t, KEPT_I);
    float *keep = kept(node, at, t, KEPT_F), *z = kept(node, at, t, KEPT_Z), *o = kept(node, at, t, KEPT_O),
          *away = kept(node, at, t, KEPT_AWAY);
    float *f = pre + GATE_F * a->width;
    w->k->activate(WF_TANH, z, pre + GATE_Z * a->width, a->width);
    w->k->activate(WF_SIGMOID, o, pre + GATE_O * a->width, a->width);
    w->k->scale(f, -1.0f, f, a->width);
    w->k->activate(WF_SIGMOID, away, f, a->width);
    w->k->activate(WF_SOFTPLUS, f, f, a->width); /* -f~ */
    for (int64_t j = 0; j < a->width; j++) {
        float i = pre[GATE_I * a->width + j], old_n = n0 ? n0[j] : 0.0f, past = m[j] - f[j];
        m[j] = old_n > 0.0f && past > i ? past : i; /* n is above 0 once there was a token */
        keep[j] = old_n > 0.0f ? expf(past - m[j]) : 0.0f;
        in[j] = expf(i - m[j]);
        c[j] = keep[j] * (c0 ? c0[j] : 0.0f) + in[j] * z[j];
        n[j] = keep[j] * old_n + in[j];
        h[j] = o[j] * c[j] / n[j];
    }
}

/* Padding: the states stay. */
static void hold(const wf_node *node, head_at at, int64_t t) {
    static const int states[] = {KEPT_C, KEPT_N, KEPT_H}, inputs[] = {C_IN, N_IN, H_IN};
    const slstm *a = node->attr;
    for (int i = 0; i < 3; i++) {
        const float *old = before(node, at, t, states[i], inputs[i]);
        if (old)
            memcpy(kept(node, at, t, states[i]), old, (size_t)a->width * sizeof(float));
        else
            memset(kept(node, at, t, states[i]), 0, (size_t)a->width * sizeof(float));
    }
}

static void forward(const wf_node *node, head_at at, wf_worker *w) {
    const slstm *a = node->attr;
    size_t bytes = (size_t)a->width * sizeof(float);
    float *pre = w->scratch, *m = pre + GATES * a->width;
    if (node->in[M_IN])
        memcpy(m, (const float *)node->in[M_IN]->data + at.b * a->hidden + at.j0, bytes);
    else
        memset(m, 0, bytes);
    for (int64_t t = 0; t < a->t; t++) {
        float *y = (float *)node->out[Y]->data + (at.b * a->t + t) * a->hidden + at.j0;
        if (padding(node, at, t)) {
            hold(node, at, t);
            memset(y, 0, bytes);
            continue;
        }
        preactivations(node, at, t, pre, w);
        cell(node, at, t, pre, m, w);
        memcpy(y, kept(node, at, t, KEPT_H), bytes);
    }
    static const int states[] = {KEPT_H, KEPT_C, KEPT_N};
    for (int i = 0; node->n_out > H_OUT && i < 3; i++)
        memcpy((float *)node->out[H_OUT + i]->data + at.b * a->hidden + at.j0, kept(node, at, a->t - 1, states[i]), bytes);
    if (node->n_out > H_OUT)
        memcpy((float *)node->out[M_OUT]->data + at.b * a->hidden + at.j0, m, bytes);
}

/* ---- backward ---- */

/* The workspace: c and n in double, then the gradients of the pre-activations. A constant added to all i cancels in c / n, so
 * that its gradient is a sum of steps that is 0: they are as exact as fp32 can hold them. */
static double *exact(const wf_node *node, head_at at, int64_t t, int norm) {
    const slstm *a = node->attr;
    return (double *)node->work_data[WF_BACKWARD] + ((at.b * a->t + t) * 2 + norm) * a->hidden + at.j0;
}

static float *dpre_at(const wf_node *node, head_at at, int64_t t, int gate) {
    const slstm *a = node->attr;
    float *first = (float *)((double *)node->work_data[WF_BACKWARD] + a->batch * a->t * 2 * a->hidden);
    return first + ((at.b * a->t + t) * GATES + gate) * a->hidden + at.j0;
}

static double exact_before(const wf_node *node, head_at at, int64_t t, int norm, int64_t j) {
    const float *first = t > 0 ? NULL : before(node, at, 0, 0, norm ? N_IN : C_IN);
    return t > 0 ? exact(node, at, t - 1, norm)[j] : first ? (double)first[j] : 0.0;
}

static void make_exact(const wf_node *node, head_at at) {
    const slstm *a = node->attr;
    for (int64_t t = 0; t < a->t; t++) {
        bool real = !padding(node, at, t);
        const float *z = kept(node, at, t, KEPT_Z), *in = kept(node, at, t, KEPT_I), *keep = kept(node, at, t, KEPT_F);
        for (int64_t j = 0; j < a->width; j++)
            for (int norm = 0; norm < 2; norm++) {
                double old = exact_before(node, at, t, norm, j), new = norm ? 1.0 : (double)(real ? z[j] : 0.0f);
                exact(node, at, t, norm)[j] = real ? (double)keep[j] * old + (double)in[j] * new : old;
            }
    }
}

/* Gradients of the pre-activations from dh, dc and dn, which become those of the states before, but for what R sends to h. */
static void cell_back(const wf_node *node, head_at at, int64_t t, float *dh, double *dc, double *dn) {
    const slstm *a = node->attr;
    const float *dy = node->out[Y]->grad, *in = kept(node, at, t, KEPT_I), *keep = kept(node, at, t, KEPT_F);
    const float *z = kept(node, at, t, KEPT_Z), *o = kept(node, at, t, KEPT_O), *away = kept(node, at, t, KEPT_AWAY);
    for (int64_t j = 0; j < a->width; j++) {
        float up = dh[j] + (dy ? dy[(at.b * a->t + t) * a->hidden + at.j0 + j] : 0.0f);
        double n = exact(node, at, t, 1)[j], ratio = exact(node, at, t, 0)[j] / n, from_h = (double)up * (double)o[j] / n;
        double dcell = dc[j] + from_h, dnorm = dn[j] - from_h * ratio;
        double past = dcell * exact_before(node, at, t, 0, j) + dnorm * exact_before(node, at, t, 1, j);
        dpre_at(node, at, t, GATE_O)[j] = up * (float)ratio * o[j] * (1.0f - o[j]);
        dpre_at(node, at, t, GATE_I)[j] = (float)((dcell * (double)z[j] + dnorm) * (double)in[j]);
        dpre_at(node, at, t, GATE_F)[j] = (float)past * keep[j] * away[j];
        dpre_at(node, at, t, GATE_Z)[j] = (float)dcell * in[j] * (1.0f - z[j] * z[j]);
        dc[j] = dcell * (double)keep[j];
        dn[j] = dnorm * (double)keep[j];
        dh[j] = 0.0f;
    }
}

static float gradient_out(const wf_node *node, head_at at, int output, int64_t j) {
    const slstm *a = node->attr;
    const float *from = node->n_out > output ? node->out[output]->grad : NULL;
    return from ? from[at.b * a->hidden + at.j0 + j] : 0.0f;
}

/* One step's gradients of the gates, and what R sends to h. */
static void step_back(const wf_node *node, head_at at, int64_t t, bool real, float *dh, wf_worker *w) {
    const slstm *a = node->attr;
    for (int g = 0; g < GATES; g++) {
        float *dpre = dpre_at(node, at, t, g);
        if (!real)
            memset(dpre, 0, (size_t)a->width * sizeof *dpre);
        for (int64_t j = 0; real && j < a->width; j++)
            w->k->axpy(dh, dpre[j], at.r[g] + j * a->width, a->width);
        store_din(node, X + g, (at.b * a->t + t) * a->hidden + at.j0, a->width, dpre, w);
    }
}

static void backward(const wf_node *node, head_at at, wf_worker *w) {
    const slstm *a = node->attr;
    double *dc = w->scratch, *dn = dc + a->width;
    float *dh = (float *)(dn + a->width), *one = dh + a->width;
    for (int64_t j = 0; j < a->width; j++) {
        dh[j] = gradient_out(node, at, H_OUT, j);
        dc[j] = (double)gradient_out(node, at, C_OUT, j);
        dn[j] = (double)gradient_out(node, at, N_OUT, j);
    }
    make_exact(node, at);
    for (int64_t t = a->t - 1; t >= 0; t--) {
        bool real = !padding(node, at, t);
        if (real)
            cell_back(node, at, t, dh, dc, dn);
        step_back(node, at, t, real, dh, w);
    }
    for (int i = H_IN; i < INPUTS; i++) {
        for (int64_t j = 0; j < a->width; j++)
            one[j] = i == H_IN ? dh[j] : i == C_IN ? (float)dc[j] : i == N_IN ? (float)dn[j] : 0.0f;
        if (node->in[i])
            store_din(node, i, at.b * a->hidden + at.j0, a->width, one, w);
    }
}

/* Gradient of the recurrent matrix of one gate of one head: over all steps, dpre h^T. */
static void recurrent_gradient(const wf_node *node, int gate, int64_t head, wf_worker *w) {
    const slstm *a = node->attr;
    float beta, *grad = wf_grad_in(node, R + gate, w, &beta), *first = grad + head * a->width * a->width;
    if (!grad)
        return;
    if (beta == 0.0f)
        memset(first, 0, (size_t)(a->width * a->width) * sizeof *grad);
    for (int64_t i = 0; i < a->batch * a->t; i++) {
        head_at at = {.b = i / a->t, .j0 = head * a->width};
        const float *h = before(node, at, i % a->t, KEPT_H, H_IN), *dpre = dpre_at(node, at, i % a->t, gate);
        for (int64_t j = 0; h && j < a->width; j++)
            w->k->axpy(first + j * a->width, dpre[j], h, a->width);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 1)
        recurrent_gradient(node, piece % GATES, piece / GATES, w);
    else if (pass == WF_FORWARD)
        forward(node, locate(node, piece), w);
    else
        backward(node, locate(node, piece), w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const slstm *a = node->attr;
    double one = 2.0 * GATES * (double)(a->batch * a->t) * (double)a->hidden * (double)a->width;
    return pass == WF_FORWARD ? one : 2 * one;
}

const wf_op wf_op_slstm = {.name = "slstm",
                           .pieces = pieces,
                           .run = run,
                           .flops = flops,
                           .in_place = 1u << H_OUT | 1u << C_OUT | 1u << N_OUT | 1u << M_OUT,
                           .saves_in = 15u << R | 1u << MASK | 7u << H_IN,
                           .saves_out = 1u << SAVED};

static bool fits(const slstm *a, wf_tensor *const *in) {
    bool fit =
        a->width * a->heads == a->hidden && (!in[MASK] || (in[MASK]->type == WF_U8 && in[MASK]->count == a->batch * a->t));
    for (int g = 0; g < GATES; g++)
        fit = fit && in[X + g]->count == a->batch * a->t * a->hidden && in[R + g]->count == a->hidden * a->width;
    for (int i = H_IN; i < INPUTS; i++)
        fit = fit && (!in[i] || in[i]->count == a->batch * a->hidden);
    return fit;
}

wf_tensor *wf_slstm(wf_tape *t, const wf_slstm_spec *spec) {
    wf_tensor *in[INPUTS] = {NULL}, *out[6];
    for (int i = 0; spec->out && i < 4; i++)
        spec->out[i] = NULL;
    for (int g = 0; g < GATES; g++)
        if (!(in[X + g] = wf_cast(t, spec->gates[g], WF_F32)) || !(in[R + g] = spec->recurrent[g]))
            return NULL;
    in[MASK] = spec->mask;
    for (int i = 0; i < 4; i++)
        in[H_IN + i] = spec->in[i];
    const wf_tensor *x = in[X], *r = in[R];
    slstm a = {.batch = x->dims[0], .t = x->dims[1], .hidden = wf_dim(x, -1), .heads = r->dims[0], .width = wf_dim(r, -1)};
    if (x->rank != 3 || r->rank != 3 || !fits(&a, in))
        return wf_tape_error(t, WEFT_USAGE, "slstm: gates [B,T,H*d], recurrent matrices [H,d,d] and states [B,H*d] are needed");
    out[Y] = wf_out(t, WF_F32, 3, x->dims);
    out[SAVED] = wf_out(t, WF_F32, 4, (int64_t[]){a.batch, a.t, KEPT, a.hidden});
    for (int i = 0; spec->out && i < 4; i++)
        out[H_OUT + i] = wf_out(t, WF_F32, 2, (int64_t[]){a.batch, a.hidden});
    slstm *attr = attr_copy(t, &a, sizeof a);
    wf_node *node = attr ? wf_record(t, &wf_op_slstm, INPUTS, in, spec->out ? 6 : 2, out, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)((GATES + 2) * a.width) * sizeof(float);
    node->work[WF_BACKWARD] = (size_t)(a.batch * a.t * a.hidden) * (GATES * sizeof(float) + 2 * sizeof(double));
    for (int i = 0; spec->out && i < 4; i++)
        spec->out[i] = out[H_OUT + i];
    return out[Y];
}
