/* gru.c - the gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), gates r, z, n and h = (1-z) n + z h. The reset gate acts
 * after the product, n = tanh(ih_n + r (hh_n h + b)), as libraries have it, or before it, n = tanh(ih_n + hh_n (r h) + b), as
 * in the paper: then a step has two products, one after the other. */
#include "tensor/ops/rnn.h"

enum { R, Z, N, GATES }; /* and in what is saved: */
enum { U = GATES };      /* hh_n h + b (reset after) */

static const float zeros[RNN_LANES];

/* z rows of gates g0..g1-1 start as the bias, plus ih where it is added before the activation. */
static void start(const wf_node *node, rnn_at at, int g0, int g1, float *z, bool with_last, wf_worker *w) {
    for (int64_t i = 0; i < at.rows; i++)
        for (int g = g0; g < g1; g++) {
            const float *bias = wf_rnn_bias(node, at, g);
            bool ih = g != N || with_last;
            w->k->add(z + (i * RNN_SAVED + g) * at.n, ih ? wf_rnn_ih(node, at, at.b0 + i, g) : zeros, bias ? bias : zeros,
                      at.n);
        }
}

/* h = n + z (h - n). */
static void write_state(const wf_node *node, rnn_at at, int64_t b, const float *saved) {
    const float *before = wf_rnn_before(node, at, b), *z = saved + Z * at.n, *n = saved + N * at.n;
    float h[RNN_LANES];
    for (int64_t j = 0; j < at.n; j++)
        h[j] = n[j] + z[j] * (before[j] - n[j]);
    wf_rnn_write(node, at, b, h);
}

static void forward_after(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    float *all = w->scratch;
    (void)stage;
    start(node, at, R, GATES, all, false, w);
    wf_rnn_product(node, at, R, GATES, NULL, all, w);
    for (int64_t i = 0; i < at.rows; i++) {
        float *from = all + i * RNN_SAVED * at.n, *u = from + N * at.n, *saved = wf_rnn_saved(node, at, at.b0 + i),
              *n = saved + N * at.n;
        if (wf_rnn_padding(node, at, at.b0 + i)) {
            wf_rnn_write(node, at, at.b0 + i, NULL);
            continue;
        }
        w->k->activate(WF_SIGMOID, saved, from, 2 * at.n); /* r and z */
        w->k->mul(n, saved, u, at.n);
        w->k->add(n, n, wf_rnn_ih(node, at, at.b0 + i, N), at.n);
        w->k->activate(WF_TANH, n, n, at.n);
        memcpy(saved + U * at.n, u, (size_t)at.n * sizeof *u);
        write_state(node, at, at.b0 + i, saved);
    }
}

/* First r and z, and r*h for the second product; then n. */
static void forward_before(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    const rnn *a = node->attr;
    float *all = w->scratch, *reset = wf_rnn_memory(node, WF_FORWARD, NULL).reset;
    int g0 = stage ? N : R, g1 = stage ? GATES : N;
    start(node, at, g0, g1, all, true, w);
    wf_rnn_product(node, at, g0, g1, stage ? reset : NULL, all, w);
    for (int64_t i = 0; i < at.rows; i++) {
        int64_t b = at.b0 + i;
        float *from = all + i * RNN_SAVED * at.n, *saved = wf_rnn_saved(node, at, b);
        if (!stage) {
            w->k->activate(WF_SIGMOID, saved, from, 2 * at.n);
            w->k->mul(reset + b * a->hidden + at.j0, saved, wf_rnn_before(node, at, b), at.n);
            continue;
        }
        w->k->activate(WF_TANH, saved + N * at.n, from + N * at.n, at.n);
        if (wf_rnn_padding(node, at, b))
            wf_rnn_write(node, at, b, NULL);
        else
            write_state(node, at, b, saved);
    }
}

/* From dh of the step: gradients before the activations of z and n; dh becomes what goes straight to the state before. */
static void back_state(const wf_node *node, rnn_at at, int64_t b, const float *saved, float *dh, float *dz, float *dn) {
    const float *before = wf_rnn_before(node, at, b), *dy = wf_rnn_dy(node, at, b), *z = saved + Z * at.n,
                *n = saved + N * at.n;
    for (int64_t j = 0; j < at.n; j++) {
        float d = dh[j] + dy[j];
        dz[j] = d * (before[j] - n[j]) * z[j] * (1.0f - z[j]);
        dn[j] = d * (1.0f - z[j]) * (1.0f - n[j] * n[j]);
        dh[j] = d * z[j];
    }
}

static void write_zeros(const wf_node *node, rnn_at at, int64_t b, const wf_worker *w) {
    for (int g = 0; g < GATES; g++)
        wf_rnn_write_back(node, at, b, g, NULL, NULL, w);
}

static void backward_after(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    float dr[RNN_LANES], dz[RNN_LANES], dn[RNN_LANES], du[RNN_LANES];
    (void)stage;
    wf_rnn_carry(node, at, GATES, w);
    for (int64_t i = 0; i < at.rows; i++) {
        int64_t b = at.b0 + i;
        const float *r = wf_rnn_saved(node, at, b), *u = r + U * at.n;
        if (wf_rnn_padding(node, at, b)) {
            write_zeros(node, at, b, w);
            continue;
        }
        back_state(node, at, b, r, m.dh + b * a->hidden + at.j0, dz, dn);
        for (int64_t j = 0; j < at.n; j++) {
            dr[j] = dn[j] * u[j] * r[j] * (1.0f - r[j]);
            du[j] = dn[j] * r[j];
        }
        wf_rnn_write_back(node, at, b, R, dr, dr, w);
        wf_rnn_write_back(node, at, b, Z, dz, dz, w);
        wf_rnn_write_back(node, at, b, N, du, dn, w);
    }
}

/* Stage 1 makes the gradients of z and n, stage 0 that of r from what comes back through the product with r*h. */
static void backward_before(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    float dz[RNN_LANES], dn[RNN_LANES], *through = w->scratch;
    if (stage) {
        wf_rnn_carry(node, at, N, w);
    } else {
        memset(through, 0, (size_t)(at.rows * RNN_LANES) * sizeof *through);
        wf_rnn_product_back(node, at, N, GATES, through, RNN_LANES, w);
    }
    for (int64_t i = 0; i < at.rows; i++, through += RNN_LANES) {
        int64_t b = at.b0 + i;
        const float *r = wf_rnn_saved(node, at, b), *before = wf_rnn_before(node, at, b);
        float *dh = m.dh + b * a->hidden + at.j0;
        if (wf_rnn_padding(node, at, b)) {
            if (stage) /* stage 0 reads the gradient of n of all lanes: not touched there */
                write_zeros(node, at, b, w);
        } else if (stage) {
            back_state(node, at, b, r, dh, dz, dn);
            wf_rnn_write_back(node, at, b, Z, dz, dz, w);
            wf_rnn_write_back(node, at, b, N, dn, dn, w);
        } else {
            for (int64_t j = 0; j < at.n; j++) {
                dh[j] += through[j] * r[j];
                dz[j] = through[j] * before[j] * r[j] * (1.0f - r[j]);
            }
            wf_rnn_write_back(node, at, b, R, dz, dz, w);
        }
    }
}

static const rnn_cell after = {.gates = GATES, .stages = 1, .forward = forward_after, .backward = backward_after};
static const rnn_cell before = {.gates = GATES, .stages = 2, .forward = forward_before, .backward = backward_before};

const wf_op wf_op_gru = WF_RNN_OP("gru");

wf_tensor *wf_gru(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec) {
    return wf_rnn_record(t, &wf_op_gru, spec->reset_before ? &before : &after, !spec->reset_before, ih, spec);
}
