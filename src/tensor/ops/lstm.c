/* lstm.c - long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000): gates i, f, g, o,
 * c = f c + i g, h = o tanh(c). */
#include "tensor/ops/rnn.h"

enum { GATES = 4 };

static const float zeros[RNN_LANES];

static float *cell_row(const wf_node *node, int64_t time, rnn_at at, int64_t b) {
    const rnn *a = node->attr;
    return (float *)node->out[a->cells]->data + (b * a->t + time) * a->hidden + at.j0;
}
static const float *cell_before(const wf_node *node, rnn_at at, int64_t b) {
    const rnn *a = node->attr;
    const wf_tensor *first = node->in[RNN_C_IN];
    if (at.step > 0)
        return cell_row(node, at.before, at, b);
    return first ? (const float *)first->data + b * a->hidden + at.j0 : zeros;
}

static void forward(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    float *z = w->scratch, h[RNN_LANES];
    (void)stage;
    for (int64_t i = 0; i < at.rows; i++)
        for (int g = 0; g < GATES; g++) {
            float *to = z + (i * RNN_SAVED + g) * at.n;
            const float *bias = wf_rnn_bias(node, at, g);
            w->k->add(to, wf_rnn_ih(node, at, at.b0 + i, g), bias ? bias : zeros, at.n);
        }
    wf_rnn_product(node, at, 0, GATES, NULL, z, w);
    for (int64_t i = 0; i < at.rows; i++) {
        int64_t b = at.b0 + i;
        float *c = cell_row(node, at.time, at, b);
        bool padding = wf_rnn_padding(node, at, b);
        if (padding)
            memcpy(c, cell_before(node, at, b), (size_t)at.n * sizeof *c);
        else
            w->k->lstm_cell(h, c, wf_rnn_saved(node, at, b), z + i * RNN_SAVED * at.n, cell_before(node, at, b), at.n);
        wf_rnn_write(node, at, b, padding ? NULL : h);
    }
}

static void backward(const wf_node *node, int stage, rnn_at at, wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    float dz[GATES * RNN_LANES], sum[RNN_LANES];
    (void)stage;
    wf_rnn_carry(node, at, GATES, w);
    for (int64_t i = 0; i < at.rows; i++) {
        int64_t b = at.b0 + i;
        float *dh = m.dh + b * a->hidden + at.j0, *dc = m.dc + b * a->hidden + at.j0;
        bool padding = wf_rnn_padding(node, at, b);
        if (!padding) {
            w->k->add(sum, dh, wf_rnn_dy(node, at, b), at.n);
            w->k->lstm_cell_back(dz, dc, sum, dc, wf_rnn_saved(node, at, b), cell_row(node, at.time, at, b),
                                 cell_before(node, at, b), at.n);
            memset(dh, 0, (size_t)at.n * sizeof *dh);
        }
        for (int g = 0; g < GATES; g++)
            wf_rnn_write_back(node, at, b, g, padding ? NULL : dz + g * at.n, padding ? NULL : dz + g * at.n, w);
    }
}

static const rnn_cell cell = {.gates = GATES, .stages = 1, .cells = true, .forward = forward, .backward = backward};

const wf_op wf_op_lstm = WF_RNN_OP("lstm");

wf_tensor *wf_lstm(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec) {
    return wf_rnn_record(t, &wf_op_lstm, &cell, false, ih, spec);
}
