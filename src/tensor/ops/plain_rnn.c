/* plain_rnn.c - the simple recurrent network (Elman 1990): h = act(ih + hh h + b), act tanh or relu. */
#include "tensor/ops/rnn.h"

enum { GATES = 1 };

static const float zeros[RNN_LANES];

static void forward(const wf_node *node, rnn_at at, wf_activation kind, wf_worker *w) {
    float *z = w->scratch;
    const float *bias = wf_rnn_bias(node, at, 0);
    for (int64_t i = 0; i < at.rows; i++)
        w->k->add(z + i * RNN_SAVED * at.n, wf_rnn_ih(node, at, at.b0 + i, 0), bias ? bias : zeros, at.n);
    wf_rnn_product(node, at, 0, GATES, NULL, z, w);
    for (int64_t i = 0; i < at.rows; i++) {
        float *h = wf_rnn_saved(node, at, at.b0 + i);
        bool padding = wf_rnn_padding(node, at, at.b0 + i);
        if (!padding)
            w->k->activate(kind, h, z + i * RNN_SAVED * at.n, at.n);
        wf_rnn_write(node, at, at.b0 + i, padding ? NULL : h);
    }
}

static void backward(const wf_node *node, rnn_at at, bool relu, wf_worker *w) {
    const rnn *a = node->attr;
    float dz[RNN_LANES], *all = wf_rnn_memory(node, WF_BACKWARD, w).dh;
    wf_rnn_carry(node, at, GATES, w);
    for (int64_t i = 0; i < at.rows; i++) {
        int64_t b = at.b0 + i;
        float *dh = all + b * a->hidden + at.j0;
        const float *h = wf_rnn_saved(node, at, b), *dy = wf_rnn_dy(node, at, b);
        bool padding = wf_rnn_padding(node, at, b);
        for (int64_t j = 0; !padding && j < at.n; j++) {
            dz[j] = (dh[j] + dy[j]) * (relu ? (float)(h[j] > 0.0f) : 1.0f - h[j] * h[j]);
            dh[j] = 0.0f;
        }
        wf_rnn_write_back(node, at, b, 0, padding ? NULL : dz, padding ? NULL : dz, w);
    }
}

static void forward_tanh(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    (void)stage;
    forward(node, at, WF_TANH, w);
}
static void forward_relu(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    (void)stage;
    forward(node, at, WF_RELU, w);
}
static void backward_tanh(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    (void)stage;
    backward(node, at, false, w);
}
static void backward_relu(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    (void)stage;
    backward(node, at, true, w);
}

static const rnn_cell tanh_cell = {.gates = GATES, .stages = 1, .forward = forward_tanh, .backward = backward_tanh};
static const rnn_cell relu_cell = {.gates = GATES, .stages = 1, .forward = forward_relu, .backward = backward_relu};

const wf_op wf_op_plain_rnn = WF_RNN_OP("plain_rnn");

wf_tensor *wf_plain_rnn(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec) {
    return wf_rnn_record(t, &wf_op_plain_rnn, spec->relu ? &relu_cell : &tanh_cell, false, ih, spec);
}
