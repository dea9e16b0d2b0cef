/* cases_recurrent.c - cases of operations that carry a state over time: recurrences, delta rules, scans, convolutions, cells.
 */
#include "ops/cases.h"
#include <math.h>
#include "tensor/experts.h"

/* clang-format off */
/* Log decays below zero, shaped like x. */
static wf_tensor *decay_of(fixture *f, wf_tensor *x) { return wf_scale(f->tape, wf_activate(f->tape, x, WF_SIGMOID), -0.5f); }
/* A first part whose state the second part starts from, so that states have gradients too. */
static wf_tensor *recurrence_case(fixture *f, wf_decay decay, int64_t groups, bool bonus, int64_t value_dim) {
    wf_tensor *s0 = leaf4(f, 2, 4, 5, value_dim), *s1, *o1, *o2, *u = bonus ? leaf2(f, 4, 5) : NULL, *g = NULL;
    wf_tensor *q = leaf4(f, 2, 7, groups, 5), *k = leaf4(f, 2, 7, groups, 5), *v = leaf4(f, 2, 7, 4, value_dim);
    if (decay == WF_DECAY_CONST)
        g = decay_of(f, leaf1(f, 4));
    else if (decay == WF_DECAY_CHANNEL)
        g = decay_of(f, leaf2(f, 4, 5));
    else if (decay != WF_DECAY_NONE)
        g = decay_of(f, leaf4(f, 2, 7, 4, decay == WF_DECAY_VECTOR ? 5 : 1));
    bool timed = wf_decay_per_token(decay);
    wf_recurrence_spec a = {.decay = decay, .scale = 0.4f, .bonus = u, .s_in = s0, .s_out = &s1, .g = timed ? wf_time_slice(f->tape, g, 0, 3) : g};
    o1 = wf_recurrence(f->tape, wf_time_slice(f->tape, q, 0, 3), wf_time_slice(f->tape, k, 0, 3), wf_time_slice(f->tape, v, 0, 3), &a);
    wf_recurrence_spec b = {.decay = decay, .scale = 0.4f, .bonus = u, .s_in = s1, .g = timed ? wf_time_slice(f->tape, g, 3, 4) : g};
    o2 = wf_recurrence(f->tape, wf_time_slice(f->tape, q, 3, 4), wf_time_slice(f->tape, k, 3, 4), wf_time_slice(f->tape, v, 3, 4), &b);
    return wf_time_concat(f->tape, o1, o2);
}
static wf_tensor *recurrence_none(fixture *f) { return recurrence_case(f, WF_DECAY_NONE, 4, false, 3); }
static wf_tensor *recurrence_const(fixture *f) { return recurrence_case(f, WF_DECAY_CONST, 4, false, 6); }
static wf_tensor *recurrence_groups(fixture *f) { return recurrence_case(f, WF_DECAY_SCALAR, 2, false, 70); }
static wf_tensor *recurrence_bonus(fixture *f) { return recurrence_case(f, WF_DECAY_VECTOR, 1, true, 66); }
static wf_tensor *recurrence_channel(fixture *f) { return recurrence_case(f, WF_DECAY_CHANNEL, 4, true, 66); }
static wf_tensor *recurrence_alone(fixture *f) {
    wf_tensor *q = leaf4(f, 2, 9, 3, 8);
    return wf_recurrence(f->tape, q, q, leaf4(f, 2, 9, 3, 8), &(wf_recurrence_spec){.scale = 1.0f});
}

/* Unit vectors keep the correction a contraction. */
static wf_tensor *unit4(fixture *f, int64_t a, int64_t b, int64_t c, int64_t d) { return wf_scale(f->tape, leaf4(f, a, b, c, d), 0.3f); }
static wf_tensor *delta_part(fixture *f, wf_tensor *const in[7], int64_t first, int64_t count, wf_delta_spec spec) {
    wf_tensor *x[7];
    for (int i = 0; i < 7; i++)
        x[i] = in[i] ? wf_time_slice(f->tape, in[i], first, count) : NULL;
    spec.g = x[3];
    spec.beta = x[4];
    spec.a = x[5];
    spec.b = x[6];
    return wf_delta(f->tape, x[0], x[1], x[2], &spec);
}
static wf_tensor *delta_case(fixture *f, wf_decay decay, int64_t groups, bool general, int64_t value_dim) {
    wf_tensor *s0 = leaf4(f, 2, 4, 5, value_dim), *s1, *in[7] = {leaf4(f, 2, 7, groups, 5), unit4(f, 2, 7, groups, 5), leaf4(f, 2, 7, 4, value_dim)};
    if (decay != WF_DECAY_NONE)
        in[3] = decay_of(f, leaf4(f, 2, 7, 4, decay == WF_DECAY_VECTOR ? 5 : 1));
    if (general) {
        in[5] = unit4(f, 2, 7, groups, 5);
        in[6] = unit4(f, 2, 7, groups, 5);
    } else {
        in[4] = wf_activate(f->tape, leaf3(f, 2, 7, 4), WF_SIGMOID);
    }
    wf_tensor *o = delta_part(f, in, 0, 3, (wf_delta_spec){.decay = decay, .scale = 0.4f, .s_in = s0, .s_out = &s1});
    return wf_time_concat(f->tape, o, delta_part(f, in, 3, 4, (wf_delta_spec){.decay = decay, .scale = 0.4f, .s_in = s1}));
}
static wf_tensor *delta_none(fixture *f) { return delta_case(f, WF_DECAY_NONE, 4, false, 3); }
static wf_tensor *delta_groups(fixture *f) { return delta_case(f, WF_DECAY_SCALAR, 2, false, 70); }
static wf_tensor *delta_vector(fixture *f) { return delta_case(f, WF_DECAY_VECTOR, 4, false, 6); }
static wf_tensor *delta_general(fixture *f) { return delta_case(f, WF_DECAY_VECTOR, 4, true, 66); }
static wf_tensor *delta_general_groups(fixture *f) { return delta_case(f, WF_DECAY_SCALAR, 1, true, 5); }

static wf_tensor *scan_case(fixture *f) {
    wf_tensor *u = leaf3(f, 2, 7, 21), *x = leaf3(f, 2, 7, 21), *b = leaf3(f, 2, 7, 5), *c = leaf3(f, 2, 7, 5), *h;
    wf_tensor *dt = wf_activate(f->tape, x, WF_SOFTPLUS), *a_log = leaf2(f, 21, 5), *h0 = leaf3(f, 2, 21, 5);
    wf_scan_spec first = {.a_log = a_log, .skip = leaf1(f, 21), .z = wf_time_slice(f->tape, x, 0, 4), .h_in = h0, .h_out = &h};
    wf_tensor *y = wf_selective_scan(f->tape, wf_time_slice(f->tape, u, 0, 4), wf_time_slice(f->tape, dt, 0, 4), wf_time_slice(f->tape, b, 0, 4),
                                     wf_time_slice(f->tape, c, 0, 4), &first);
    wf_scan_spec second = {.a_log = a_log, .h_in = h};
    return wf_time_concat(f->tape, y,
                          wf_selective_scan(f->tape, wf_time_slice(f->tape, u, 4, 3), wf_time_slice(f->tape, dt, 4, 3),
                                            wf_time_slice(f->tape, b, 4, 3), wf_time_slice(f->tape, c, 4, 3), &second));
}

/* Three groups of channels, each with its own b and c. */
static wf_tensor *scan_groups(fixture *f) {
    wf_tensor *u = leaf3(f, 2, 7, 51), *dt = wf_activate(f->tape, leaf3(f, 2, 7, 51), WF_SOFTPLUS);
    wf_scan_spec spec = {.a_log = leaf2(f, 51, 5), .skip = leaf1(f, 51)};
    return wf_selective_scan(f->tape, u, dt, leaf4(f, 2, 7, 3, 5), leaf4(f, 2, 7, 3, 5), &spec);
}

static wf_tensor *long_conv_case(fixture *f) { return wf_long_conv(f->tape, leaf3(f, 2, 11, 19), leaf2(f, 13, 19), leaf1(f, 19)); }
static wf_tensor *long_conv_long(fixture *f) { return wf_long_conv(f->tape, leaf3(f, 1, 300, 17), leaf2(f, 300, 17), leaf1(f, 17)); }
static wf_tensor *long_conv_plain(fixture *f) { return wf_long_conv(f->tape, leaf3(f, 3, 1, 3), leaf2(f, 1, 3), NULL); }
static wf_tensor *fourier_case(fixture *f) { return wf_fourier(f->tape, leaf3(f, 2, 11, 18)); }
static wf_tensor *sine_case(fixture *f) { return wf_sine(f->tape, wf_scale(f->tape, leaf2(f, 5, 7), 3.0f)); }
static wf_tensor *discretise_case(fixture *f, bool bilinear, bool real) {
    wf_tensor *b, *a = wf_discretise(f->tape, leaf1(f, 21), leaf2(f, 21, 3), real ? NULL : leaf2(f, 21, 3), bilinear, &b);
    return wf_add_scaled(f->tape, a, b, 0.3f);
}
static wf_tensor *discretise_zoh(fixture *f) { return discretise_case(f, false, false); }
static wf_tensor *discretise_bilinear(fixture *f) { return discretise_case(f, true, false); }
static wf_tensor *discretise_real(fixture *f) { return discretise_case(f, false, true); }
static wf_low_rank low_rank(fixture *f) { return (wf_low_rank){leaf1(f, 5), leaf2(f, 5, 3), leaf2(f, 5, 3), leaf3(f, 5, 3, 2), leaf3(f, 5, 3, 2)}; }
static wf_tensor *low_rank_step_case(fixture *f) {
    wf_tensor *out[4];
    wf_low_rank m = low_rank(f);
    if (!wf_low_rank_step(f->tape, &m, out))
        return NULL;
    wf_tensor *y = wf_add_scaled(f->tape, out[0], out[1], 0.7f);
    return wf_add(f->tape, wf_mul(f->tape, y, out[2]), wf_scale(f->tape, out[3], 0.4f));
}
static wf_tensor *low_rank_kernel_case(fixture *f) {
    wf_low_rank m = low_rank(f);
    return wf_low_rank_kernel(f->tape, &m, leaf3(f, 5, 3, 2), 7);
}
static wf_tensor *pole_case(fixture *f, int rank, bool reverse, bool ranked) {
    int64_t dims[] = {19, 3, 2}, state[] = {2, 19, 3, 2};
    wf_tensor *x = leaf3(f, 2, 7, 19), *a = wf_scale(f->tape, leaf(f, rank, dims), 0.5f), *b = leaf(f, rank, dims), *c = leaf(f, rank, dims), *h;
    wf_tensor *e = ranked ? wf_scale(f->tape, leaf(f, rank, dims), 0.3f) : NULL, *v = ranked ? wf_scale(f->tape, leaf(f, rank, dims), 0.3f) : NULL;
    wf_pole_spec first = {.e = e, .v = v, .skip = ranked ? NULL : leaf1(f, 19), .reverse = reverse, .h_in = leaf(f, rank + 1, state), .h_out = &h};
    wf_tensor *y = wf_pole_scan(f->tape, wf_time_slice(f->tape, x, 0, 4), a, b, c, &first);
    return wf_time_concat(f->tape, y, wf_pole_scan(f->tape, wf_time_slice(f->tape, x, 4, 3), a, b, c, &(wf_pole_spec){.e = e, .v = v, .reverse = reverse, .h_in = h}));
}
static wf_tensor *pole_complex(fixture *f) { return pole_case(f, 3, false, false); }
static wf_tensor *pole_ranked(fixture *f) { return pole_case(f, 3, false, true); }
static wf_tensor *pole_reverse(fixture *f) { return pole_case(f, 3, true, false); }
static wf_tensor *pole_real(fixture *f) { return pole_case(f, 2, false, false); }
static wf_tensor *lane_scan_case(fixture *f) {
    wf_tensor *a = wf_activate(f->tape, leaf3(f, 2, 7, 71), WF_SIGMOID), *x = leaf3(f, 2, 7, 71), *h0 = leaf2(f, 2, 71), *h;
    wf_tensor *y = wf_lane_scan(f->tape, wf_time_slice(f->tape, a, 0, 4), wf_time_slice(f->tape, x, 0, 4), h0, &h);
    return wf_time_concat(f->tape, y, wf_lane_scan(f->tape, wf_time_slice(f->tape, a, 4, 3), wf_time_slice(f->tape, x, 4, 3), h, NULL));
}
static wf_tensor *lane_scan_same(fixture *f) {
    wf_tensor *a = leaf3(f, 1, 5, 3);
    return wf_lane_scan(f->tape, a, a, NULL, NULL);
}
static wf_tensor *decay_root_case(fixture *f) {
    wf_tensor *root, *la = wf_scale(f->tape, wf_activate(f->tape, leaf3(f, 2, 5, 9), WF_SIGMOID), -0.7f);
    wf_tensor *a = wf_decay_root(f->tape, la, NULL, NULL, &root);
    return wf_mul(f->tape, a, wf_activate(f->tape, root, WF_SILU));
}
static wf_tensor *head_linear_case(fixture *f) { return wf_head_linear(f->tape, leaf4(f, 2, 5, 3, 4), leaf3(f, 3, 4, 6), leaf2(f, 3, 6)); }
static wf_tensor *head_linear_plain(fixture *f) { return wf_head_linear(f->tape, leaf4(f, 1, 35, 2, 33), leaf3(f, 2, 33, 7), NULL); }

/* Parts of `first` and 9 - first tokens: shorter and longer than the filter. */
static wf_tensor *conv_parts(fixture *f, int64_t first, bool silu) {
    wf_tensor *x = leaf3(f, 2, 9, 70), *w = leaf3(f, 70, 1, 4), *bias = leaf1(f, 70), *s0 = leaf3(f, 2, 70, 3), *s1, *s2, *s3;
    wf_tensor *a = wf_conv(f->tape, wf_time_slice(f->tape, x, 0, first), w, bias, silu, s0, &s1);
    wf_tensor *b = wf_conv(f->tape, wf_time_slice(f->tape, x, first, 9 - first), w, silu ? bias : NULL, silu, s1, &s2);
    wf_tensor *c = wf_conv(f->tape, wf_time_slice(f->tape, x, 0, 2), w, bias, silu, s2, &s3);
    return wf_time_concat(f->tape, wf_time_concat(f->tape, a, b), c);
}
static wf_tensor *conv_case(fixture *f) { return conv_parts(f, 5, false); }
static wf_tensor *conv_silu(fixture *f) { return conv_parts(f, 1, true); }
static wf_tensor *conv_plain(fixture *f) { return wf_conv(f->tape, leaf3(f, 1, 11, 3), leaf2(f, 3, 3), NULL, true, NULL, NULL); }

typedef wf_tensor *(*rnn_op)(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec);
static wf_tensor *rnn_case(fixture *f, rnn_op op, int64_t batch, int64_t hidden, bool masked, bool reverse, bool before) {
    int64_t gates = op == wf_lstm ? 4 : op == wf_gru ? 3 : 1, part = 3;
    wf_tensor *ih = leaf3(f, batch, 7, gates * hidden), *hh = wf_scale(f->tape, leaf2(f, gates * hidden, hidden), 0.3f), *h, *c = NULL;
    wf_tensor *mask = masked ? wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){batch, part}) : NULL;
    wf_rnn_spec a = {.hh = hh, .hh_bias = leaf1(f, gates * hidden), .mask = mask, .reverse = reverse, .reset_before = before,
                     .h_in = leaf2(f, batch, hidden), .c_in = gates == 4 ? leaf2(f, batch, hidden) : NULL, .h_out = &h, .c_out = &c};
    wf_tensor *y = op(f->tape, wf_time_slice(f->tape, ih, 0, part), &a);
    wf_rnn_spec b = {.hh = hh, .reverse = reverse, .reset_before = before, .h_in = h, .c_in = c};
    return wf_time_concat(f->tape, y, op(f->tape, wf_time_slice(f->tape, ih, part, 7 - part), &b));
}
static wf_tensor *rnn_tanh(fixture *f) { return rnn_case(f, wf_plain_rnn, 3, 6, true, true, false); }
static wf_tensor *rnn_wide(fixture *f) { return rnn_case(f, wf_plain_rnn, 14, 37, true, false, false); }
static wf_tensor *lstm_case(fixture *f) { return rnn_case(f, wf_lstm, 2, 5, true, false, false); }
static wf_tensor *lstm_wide(fixture *f) { return rnn_case(f, wf_lstm, 14, 37, true, true, false); }
static wf_tensor *gru_case(fixture *f) { return rnn_case(f, wf_gru, 3, 6, true, true, false); }
static wf_tensor *gru_wide(fixture *f) { return rnn_case(f, wf_gru, 9, 33, true, false, false); }
static wf_tensor *gru_before(fixture *f) { return rnn_case(f, wf_gru, 2, 35, true, false, true); }
static wf_tensor *gru_before_wide(fixture *f) { return rnn_case(f, wf_gru, 13, 7, true, true, true); }

static wf_tensor *slstm_case(fixture *f) {
    wf_tensor *x = leaf4(f, 4, 2, 7, 12), *r = leaf4(f, 4, 3, 4, 4), *first[4], *states[4];
    wf_slstm_spec a = {.mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 4}), .out = states}, b = {0};
    for (int g = 0; g < 4; g++) {
        wf_tensor *gate = wf_reshape(f->tape, wf_rows(f->tape, x, g, 1), 3, (int64_t[]){2, 7, 12});
        a.recurrent[g] = b.recurrent[g] = wf_reshape(f->tape, wf_rows(f->tape, r, g, 1), 3, (int64_t[]){3, 4, 4});
        first[g] = wf_time_slice(f->tape, gate, 0, 4);
        a.gates[g] = first[g];
        b.gates[g] = wf_time_slice(f->tape, gate, 4, 3);
    }
    wf_tensor *y = wf_slstm(f->tape, &a);
    for (int i = 0; i < 4; i++)
        b.in[i] = states[i];
    return wf_time_concat(f->tape, y, wf_slstm(f->tape, &b));
}

/* A matrix memory of exponential gates over a part of the sequence: the gradient of a gate is right for the whole only. */
typedef struct memory { wf_tensor *q, *k, *v, *in, *forget, *s, *n, *m; } memory;
static wf_tensor *remember(fixture *f, memory *a, int64_t first, int64_t count) {
    wf_tensor *u, *all, *m_in = a->m, *q = wf_time_slice(f->tape, a->q, first, count), *k = wf_time_slice(f->tape, a->k, first, count);
    wf_exp_gates_spec gates = {.m_in = m_in, .m_out = &a->m, .u = &u, .m = &all};
    wf_tensor *g = wf_exp_gates(f->tape, wf_time_slice(f->tape, a->in, first, count), wf_time_slice(f->tape, a->forget, first, count), &gates);
    wf_tensor *v = wf_scale_rows(f->tape, wf_time_slice(f->tape, a->v, first, count), u);
    wf_recurrence_spec spec = {.decay = WF_DECAY_SCALAR, .g = g, .scale = 1.0f, .s_in = a->s, .s_out = &a->s};
    wf_tensor *o = wf_recurrence(f->tape, q, k, v, &spec);
    spec.s_in = a->n;
    spec.s_out = &a->n;
    wf_tensor *nq = wf_recurrence(f->tape, q, k, u ? wf_reshape(f->tape, u, 4, (int64_t[]){2, count, 3, 1}) : NULL, &spec);
    return wf_normalise_exp(f->tape, o, nq, all, 1e-3f);
}
/* Gates about `level`: far above 0 the normaliser is |n.q|, far below it the floor e^-m; between lie kinks that differences see. */
static wf_tensor *remember_at(fixture *f, float level) {
    memory a = {.q = positive4(f, 2, 9, 3, 4), .k = positive4(f, 2, 9, 3, 4), .v = leaf4(f, 2, 9, 3, 5),
                .in = wf_affine(f->tape, leaf3(f, 2, 9, 3), 1.0f, level), .forget = wf_log_gate(f->tape, leaf3(f, 2, 9, 3), 0.0f, 1.0f)};
    wf_tensor *y = remember(f, &a, 0, 5);
    return wf_time_concat(f->tape, y, remember(f, &a, 5, 4));
}
static wf_tensor *exp_gates_case(fixture *f) { return remember_at(f, 4.0f); }
static wf_tensor *normalise_exp_case(fixture *f) { return remember_at(f, -9.0f); }
static wf_tensor *wkv_case(fixture *f) {
    wf_tensor *k = wf_scale(f->tape, leaf3(f, 2, 9, 70), 3.0f), *v = leaf3(f, 2, 9, 70), *u = leaf1(f, 70), *s[3];
    wf_tensor *w = decay_of(f, leaf1(f, 70));
    wf_wkv_spec a = {.out = s}, b = {.out = NULL};
    wf_tensor *y = wf_wkv(f->tape, wf_time_slice(f->tape, k, 0, 5), wf_time_slice(f->tape, v, 0, 5), w, u, &a);
    memcpy(b.in, s, sizeof s);
    return wf_time_concat(f->tape, y, wf_wkv(f->tape, wf_time_slice(f->tape, k, 5, 4), wf_time_slice(f->tape, v, 5, 4), w, u, &b));
}

const op_case wf_op_cases_recurrent[] = {
    {"exp_gates", exp_gates_case, 4e-3}, {"normalise_exp", normalise_exp_case, 4e-3}, {"wkv", wkv_case, 4e-3},
    {"recurrence", recurrence_none, 2e-3}, {"recurrence", recurrence_const, 2e-3}, {"recurrence", recurrence_groups, 2e-3},
    {"recurrence", recurrence_bonus, 2e-3}, {"recurrence", recurrence_channel, 2e-3}, {"recurrence", recurrence_alone, 2e-3},
    {"delta", delta_none, 2e-3}, {"delta", delta_groups, 2e-3}, {"delta", delta_vector, 2e-3}, {"delta", delta_general, 2e-3},
    {"delta", delta_general_groups, 2e-3}, {"selective_scan", scan_case, 4e-3}, {"selective_scan", scan_groups, 4e-3},
    {"long_conv", long_conv_case, 2e-3}, {"long_conv", long_conv_long, 2e-3}, {"long_conv", long_conv_plain, 2e-3},
    {"sine", sine_case, 2e-3}, {"discretise", discretise_zoh, 4e-3}, {"discretise", discretise_bilinear, 4e-3},
    {"discretise", discretise_real, 4e-3}, {"low_rank_step", low_rank_step_case, 4e-3},
    {"low_rank_kernel", low_rank_kernel_case, 4e-3}, {"pole_scan", pole_complex, 2e-3}, {"pole_scan", pole_reverse, 2e-3},
    {"pole_scan", pole_ranked, 2e-3}, {"pole_scan", pole_real, 2e-3}, {"lane_scan", lane_scan_case, 2e-3},
    {"lane_scan", lane_scan_same, 2e-3}, {"decay_root", decay_root_case, 4e-3}, {"head_linear", head_linear_case, 2e-3},
    {"head_linear", head_linear_plain, 2e-3}, {"conv", conv_case, 2e-3}, {"conv", conv_silu, 2e-3}, {"conv", conv_plain, 2e-3},
    {"plain_rnn", rnn_tanh, 2e-3}, {"plain_rnn", rnn_wide, 2e-3}, {"lstm", lstm_case, 2e-3}, {"lstm", lstm_wide, 2e-3},
    {"gru", gru_case, 2e-3}, {"gru", gru_wide, 2e-3}, {"gru", gru_before, 2e-3}, {"gru", gru_before_wide, 2e-3},
    {"slstm", slstm_case, 2e-3}, {"fourier", fourier_case, 2e-3},
    {NULL, NULL, 0.0},
};
