/* short_conv.c - a gated short convolution (Liquid AI's LFM2, 2025, arXiv 2511.23404, section 3.1): [B | C | x] = Lin(in, x), y
 * = Lin(o, C * conv(B * x)). Reference: transformers Lfm2ShortConv. */
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"inner", WF_KEY_INT, "dim", 1, NULL, "channels of the convolution"},
                              {"conv", WF_KEY_INT, "3", 1, NULL, "its taps"},
                              {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "its bias"},
                              {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of in o"},
                              {0}};

/* Rows of `in`: B | C | x. */
static const wf_slot slots[] = {{"in.weight", "[3*inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"in.bias", "[3*inner]", "zeros", "has(bias, 'in')", NULL, false, NULL},
                                {"conv.weight", "[inner, 1, conv]", "uniform:0.5", NULL, NULL, false, NULL},
                                {"conv.bias", "[inner]", "zeros", "conv_bias", NULL, false, NULL},
                                {"o.weight", "[dim, inner]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"conv", WF_STATE_FIXED, "[inner, conv - 1]", NULL, "conv > 1", 0}, {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    return wf_check_bias(l, (const char *const[]){"in", "o"}, 2, err);
}

/* The bias of `in` reaches the convolution's window of the first rows behind padding. */
static unsigned lost_traits(const wf_layer *l) {
    return wf_int(l, "conv") > 1 && wf_lists(l, "bias", "in") ? 0u : WF_PADDING_TRACE;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t inner = wf_int(l, "inner");
    wf_tensor *x = wf_mask_rows(r->tape, io->x, io->mask), *window = NULL, *all = wf_project(r, l, "in", x);
    wf_tensor *b = wf_slice_channels(r->tape, all, 0, inner), *c = wf_slice_channels(r->tape, all, inner, inner);
    wf_tensor *u = wf_mul(r->tape, b, wf_slice_channels(r->tape, all, 2 * inner, inner));
    u = wf_conv(r->tape, u, wf_weight(r, l, "conv.weight"), wf_weight(r, l, "conv.bias"), false, wf_state_in(r, l, "conv"),
                wf_state_wanted(r) ? &window : NULL);
    io->y = wf_project(r, l, "o", wf_mul(r->tape, c, u));
    wf_state_out(r, l, "conv", window);
    return WEFT_OK;
}

const wf_mixer wf_mixer_short_conv = {.name = "short_conv",
                                      .about = "C * conv(B * x), all read from x",
                                      .source = "Liquid AI 2025, arXiv 2511.23404, section 3.1",
                                      .keys = keys,
                                      .slots = slots,
                                      .states = states,
                                      .inputs = "x mask?",
                                      .outputs = "y",
                                      .flops = "T*inner*(2*conv + 2)",
                                      .bf16 = 0.01,
                                      .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                      .lost_traits = lost_traits,
                                      .companion = "glu",
                                      .check = check,
                                      .run = run};
