/* exp_gates.c - the exponential gates of the matrix LSTM, kept finite (Beck et al. 2024, arXiv 2405.04517, eq. 15-17): with
 * m_t = max(f_t + m_{t-1}, i_t), the log of the forget gate becomes g_t = f_t + m_{t-1} - m_t <= 0 and the input gate
 * u_t = e^{i_t - m_t} <= 1. What is made with them does not depend on the m_t, which only set its scale (but for the eps of its
 * normaliser, whose gradient arrives by m): so the backward takes those in g and u as constants, whose true gradients are large
 * and cancel. A piece is one sequence. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { I, F, M_IN };
enum { G, U, M, M_OUT };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->in[I]->dims[0] : 0;
}

static void forward(const wf_node *node, int64_t b) {
    int64_t t = node->in[I]->dims[1], heads = node->in[I]->dims[2];
    const float *in = node->in[I]->data, *forget = node->in[F]->data, *before = node->in[M_IN] ? node->in[M_IN]->data : NULL;
    float *g = node->out[G]->data, *u = node->out[U]->data, *m = node->out[M]->data;
    for (int64_t h = 0; h < heads; h++) {
        float last = before ? before[b * heads + h] : 0.0f;
        for (int64_t i = 0; i < t; i++) {
            int64_t at = (b * t + i) * heads + h;
            float kept = forget[at] + last;
            last = fmaxf(kept, in[at]);
            g[at] = kept - last;
            u[at] = expf(in[at] - last);
            m[at] = last;
        }
        if (node->n_out > M_OUT)
            ((float *)node->out[M_OUT]->data)[b * heads + h] = last;
    }
}

static float grad_at(const wf_node *node, int i, int64_t at) {
    return node->out[i]->grad ? ((const float *)node->out[i]->grad)[at] : 0.0f;
}

/* The gradient of m_t goes where the maximum came from: g_t = 0 says f_t + m_{t-1}. */
static void backward(const wf_node *node, int64_t b, const wf_worker *w) {
    int64_t t = node->in[I]->dims[1], heads = node->in[I]->dims[2];
    const float *g = node->out[G]->data, *u = node->out[U]->data;
    for (int64_t h = 0; h < heads; h++) {
        float carry = node->n_out > M_OUT ? grad_at(node, M_OUT, b * heads + h) : 0.0f;
        for (int64_t i = t - 1; i >= 0; i--) {
            int64_t at = (b * t + i) * heads + h;
            float dg = grad_at(node, G, at), du = grad_at(node, U, at) * u[at], dm = carry + grad_at(node, M, at);
            bool kept = g[at] == 0.0f;
            carry = kept ? dm : 0.0f;
            store_din(node, I, at, 1, &(float){kept ? du : du + dm}, w);
            store_din(node, F, at, 1, &(float){dg + carry}, w);
        }
        if (node->in[M_IN])
            store_din(node, M_IN, b * heads + h, 1, &carry, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    if (pass == WF_FORWARD)
        forward(node, piece);
    else
        backward(node, piece, w);
}

const wf_op wf_op_exp_gates = {
    .name = "exp_gates", .pieces = pieces, .run = run, .in_place = 1u << M_OUT, .saves_out = 1u << G | 1u << U};

wf_tensor *wf_exp_gates(wf_tape *t, wf_tensor *in, wf_tensor *forget, const wf_exp_gates_spec *spec) {
    wf_no_output(spec->u);
    wf_no_output(spec->m);
    wf_no_output(spec->m_out);
    if (!in || !forget)
        return NULL;
    wf_tensor *ins[] = {wf_cast(t, in, WF_F32), wf_cast(t, forget, WF_F32), spec->m_in};
    if (!ins[I] || !ins[F])
        return NULL;
    if (in->rank != 3 || forget->count != in->count || (spec->m_in && spec->m_in->count != in->dims[0] * in->dims[2]))
        return wf_tape_error(t, WEFT_USAGE, "exp_gates: the shapes of the gates and the state do not fit together");
    wf_tensor *out[4] = {wf_out(t, WF_F32, 3, in->dims), wf_out(t, WF_F32, 3, in->dims), wf_out(t, WF_F32, 3, in->dims),
                         spec->m_out ? wf_out(t, WF_F32, 2, (int64_t[]){in->dims[0], in->dims[2]}) : NULL};
    if (!wf_record(t, &wf_op_exp_gates, 3, ins, spec->m_out ? 4 : 3, out, NULL))
        return NULL;
    *spec->u = out[U];
    *spec->m = out[M];
    if (spec->m_out)
        *spec->m_out = out[M_OUT];
    return out[G];
}
