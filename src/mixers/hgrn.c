/* hgrn.c - the hierarchically gated recurrent network (Qin et al. 2023, arXiv 2311.04823, eq. 2-5): h_t = a_t h_{t-1} + (1 -
 * a_t) silu(i_t), a = b + (1 - b) sigmoid(f), normed and gated. Reference: fla HGRNAttention. */
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"inner", WF_KEY_INT, "dim", 1, NULL, "channels of the recurrence"},
                              {"conv", WF_KEY_INT, "null", 1, NULL, "taps of a short convolution on i and f"},
                              {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "its biases"},
                              {"lower_bound", WF_KEY_FLOAT, "0.0", 0, NULL, "smallest forget gate, below 1"},
                              {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm of the states"},
                              {0}};

static const wf_slot slots[] = {{"i.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"f.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"i_conv.weight", "[inner, 1, conv]", "uniform:0.5", "conv != null", NULL, false, NULL},
                                {"i_conv.bias", "[inner]", "zeros", "conv != null && conv_bias", NULL, false, NULL},
                                {"f_conv.weight", "[inner, 1, conv]", "uniform:0.5", "conv != null", NULL, false, NULL},
                                {"f_conv.bias", "[inner]", "zeros", "conv != null && conv_bias", NULL, false, NULL},
                                {"gate.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"norm.weight", "[inner]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, inner]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, "[inner]", NULL, NULL, 0},
                                       {"i_conv", WF_STATE_FIXED, "[inner, conv - 1]", NULL, "conv != null && conv > 1", 0},
                                       {"f_conv", WF_STATE_FIXED, "[inner, conv - 1]", NULL, "conv != null && conv > 1", 0},
                                       {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_float(l, "lower_bound") < 1.0, err, WEFT_USAGE, "'lower_bound' must be below 1");
    return WEFT_OK;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    float low = (float)wf_float(l, "lower_bound");
    wf_tensor *h = NULL, *x = wf_mask_rows(t, io->x, io->mask);
    wf_tensor *i = wf_mask_rows(t, wf_project_conv(r, l, "i", x, WF_IDENTITY), io->mask),
              *f = wf_project_conv(r, l, "f", x, WF_IDENTITY);
    wf_tensor *keep = wf_affine(t, wf_activate(t, f, WF_SIGMOID), 1.0f - low, low);
    wf_tensor *enter =
        wf_scale(t, wf_activate(t, wf_scale(t, f, -1.0f), WF_SIGMOID), 1.0f - low); /* 1 - keep, with all its digits */
    wf_tensor *y = wf_lane_scan(t, keep, wf_gate(t, i, enter, WF_SILU), wf_state_in(r, l, "h"), wf_state_wanted(r) ? &h : NULL);
    y = wf_rms_norm(t, y, wf_weight(r, l, "norm.weight"), 0.0f, (float)wf_float(l, "norm_eps"));
    io->y = wf_project(r, l, "o", wf_gate(t, wf_project(r, l, "gate", x), y, WF_SILU));
    wf_state_out(r, l, "h", h);
    return WEFT_OK;
}

const wf_mixer wf_mixer_hgrn = {.name = "hgrn",
                                .about = "h = a h + (1 - a) silu(i), a = b + (1 - b) sigmoid(f), normed, gated",
                                .source = "Qin et al. 2023, arXiv 2311.04823, eq. 2-5",
                                .keys = keys,
                                .slots = slots,
                                .states = states,
                                .inputs = "x mask?",
                                .outputs = "y",
                                .flops = "2*T*inner",
                                .bf16 = 0.015,
                                .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                .companion = "glu",
                                .check = check,
                                .run = run};
