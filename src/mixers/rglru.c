/* rglru.c - the recurrent block of Griffin (De et al. 2024, arXiv 2402.19427, section 2.4): a short convolution and a
 * real-gated linear recurrent unit, h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t u_t), a = e^{-8 r softplus(lambda)}, gated by
 * gelu. Reference: transformers RecurrentGemmaRecurrentBlock. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"inner", WF_KEY_INT, "dim", 1, NULL, "channels of the recurrence, a multiple of heads"},
                              {"heads", WF_KEY_INT, "1", 1, NULL, "blocks of the gates' matrices"},
                              {"conv", WF_KEY_INT, "4", 1, NULL, "taps of the short convolution"},
                              {"activation", WF_KEY_STRING, "'gelu_tanh'", 0, WF_ACTIVATION_WORDS, "of the output gate"},
                              {0}};

/* a^8 at full gates between 0.9 and 0.999, so that softplus(lambda) = -ln(a). */
static void init_lambda(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims;
    for (int64_t i = 0; i < count; i++) {
        double a = 0.9 + 0.099 * wf_rng_uniform_double(rng, (uint64_t)i);
        value[i] = (float)log(expm1(-log(a) / 8.0));
    }
}

#define BLOCK "inner // heads"
static const wf_slot slots[] = {{"gate.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.bias", "[inner]", "zeros", NULL, NULL, false, NULL},
                                {"in.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"in.bias", "[inner]", "zeros", NULL, NULL, false, NULL},
                                {"conv.weight", "[inner, 1, conv]", "uniform:0.5", NULL, NULL, false, NULL},
                                {"conv.bias", "[inner]", "zeros", NULL, NULL, false, NULL},
                                {"input_gate.weight", "[heads, " BLOCK ", " BLOCK "]", "linear", NULL, NULL, false, NULL},
                                {"input_gate.bias", "[heads, " BLOCK "]", "zeros", NULL, NULL, false, NULL},
                                {"recurrence_gate.weight", "[heads, " BLOCK ", " BLOCK "]", "linear", NULL, NULL, false, NULL},
                                {"recurrence_gate.bias", "[heads, " BLOCK "]", "zeros", NULL, NULL, false, NULL},
                                {"lambda", "[inner]", "custom", NULL, NULL, false, init_lambda},
                                {"o.weight", "[dim, inner]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {
    {"h", WF_STATE_FIXED, "[inner]", NULL, NULL, 0}, {"conv", WF_STATE_FIXED, "[inner, conv - 1]", NULL, "conv > 1", 0}, {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long inner = wf_int(l, "inner"), heads = wf_int(l, "heads");
    WF_CHECK(inner % heads == 0, err, WEFT_USAGE, "'inner' (%lld) must be a multiple of 'heads' (%lld)", inner, heads);
    return WEFT_OK;
}

/* sigmoid(u W + b), a block of channels at a time. */
static wf_tensor *block_gate(wf_run *r, const wf_layer *l, const char *weight, const char *bias, wf_tensor *u) {
    int64_t heads = wf_int(l, "heads");
    wf_tensor *x = wf_split_heads(r, u, heads, wf_int(l, "inner") / heads);
    return wf_activate(r->tape, wf_merge_heads(r, wf_head_linear(r->tape, x, wf_weight(r, l, weight), wf_weight(r, l, bias))),
                       WF_SIGMOID);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    bool states_out = wf_state_wanted(r);
    wf_tensor *window = NULL, *h = NULL, *root, *before = wf_state_in(r, l, "h");
    wf_tensor *u = wf_conv(t, wf_project_f32(r, l, "in", io->x), wf_weight(r, l, "conv.weight"), wf_weight(r, l, "conv.bias"),
                           false, wf_state_in(r, l, "conv"), states_out ? &window : NULL);
    wf_tensor *in = block_gate(r, l, "input_gate.weight", "input_gate.bias", u);
    wf_tensor *la = block_gate(r, l, "recurrence_gate.weight", "recurrence_gate.bias", u);
    la = wf_scale(t, wf_mul_rows(t, la, wf_activate(t, wf_weight(r, l, "lambda"), WF_SOFTPLUS)), -8.0f);
    wf_tensor *a = wf_decay_root(t, la, io->positions, before, &root);
    wf_tensor *y = wf_lane_scan(t, a, wf_mul(t, wf_mul(t, u, in), root), before, states_out ? &h : NULL);
    wf_activation kind = (wf_activation)wf_activation_by_name(wf_string(l, "activation"));
    io->y = wf_project(r, l, "o", wf_gate(t, wf_project(r, l, "gate", io->x), y, kind));
    wf_state_out(r, l, "h", h);
    wf_state_out(r, l, "conv", window);
    return WEFT_OK;
}

const wf_mixer wf_mixer_rglru = {.name = "rglru",
                                 .about = "h = a h + sqrt(1 - a^2) (i u), a = e^{-8 r softplus(lambda)}, gated",
                                 .source = "De et al. 2024, arXiv 2402.19427, eq. 1-4",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x positions?",
                                 .outputs = "y",
                                 .flops = "T*inner*(4*inner//heads + 2*conv + 2)",
                                 .bf16 = 0.008,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .companion = "glu",
                                 .check = check,
                                 .run = run};
