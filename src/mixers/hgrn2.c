/* hgrn2.c - gated recurrence with an expanded state (Qin et al. 2024, arXiv 2404.07904, eq. 7): gated linear attention whose
 * keys are what the forget gate lets go, S_t = diag(f_t) S_{t-1} + (1 - f_t) i_t^T, o_t = S_t^T q_t, f at least a lower bound.
 * Reference: fla HGRN2Attention. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads; they divide dim"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"lower_bound", WF_KEY_FLOAT, "0.0", 0, NULL, "least value of the forget gate, below 1"},
    {"conv", WF_KEY_INT, "null", 1, NULL, "taps of the short convolutions on q, f and i; null: none"},
    {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "their bias"},
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm over all heads"},
    {0}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"f.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"i.weight", "[dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q_conv.weight", "[heads*key_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},
                                {"f_conv.weight", "[heads*key_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},
                                {"i_conv.weight", "[dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},
                                {"q_conv.bias", "[heads*key_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},
                                {"f_conv.bias", "[heads*key_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},
                                {"i_conv.bias", "[dim]", "zeros", "conv && conv_bias", NULL, false, NULL},
                                {"norm.weight", "[dim]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"s", WF_STATE_FIXED, "[heads, key_dim, dim // heads]", NULL, NULL, 0},
                                       {"q_conv", WF_STATE_FIXED, "[heads*key_dim, conv - 1]", NULL, "conv && conv > 1", 0},
                                       {"f_conv", WF_STATE_FIXED, "[heads*key_dim, conv - 1]", NULL, "conv && conv > 1", 0},
                                       {"i_conv", WF_STATE_FIXED, "[dim, conv - 1]", NULL, "conv && conv > 1", 0},
                                       {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long dim = wf_int(l, "dim"), heads = wf_int(l, "heads");
    WF_CHECK(dim % heads == 0, err, WEFT_USAGE, "'dim' (%lld) must be a multiple of 'heads' (%lld)", dim, heads);
    WF_CHECK(wf_float(l, "lower_bound") < 1.0, err, WEFT_USAGE, "'lower_bound' must be below 1");
    return WEFT_OK;
}

/* Through the short convolution, when there is one: it must not reach into padding. */
static wf_tensor *project(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, wf_tensor *mask) {
    return wf_mask_rows(r->tape, wf_project_conv(r, l, name, x, WF_IDENTITY), wf_given(l, "conv") ? mask : NULL);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    float low = (float)wf_float(l, "lower_bound");
    wf_tape *t = r->tape;
    wf_tensor *s = NULL, *x = wf_mask_rows(t, io->x, io->mask), *q = project(r, l, "q", x, io->mask);
    wf_tensor *f = project(r, l, "f", x, io->mask), *v = project(r, l, "i", x, io->mask);
    wf_tensor *k = wf_scale(t, wf_activate(t, wf_scale(t, f, -1.0f), WF_SIGMOID), 1.0f - low); /* 1 - forget */
    wf_tensor *g = wf_mask_rows(t, wf_log_gate(t, f, low, 1.0f), io->mask);
    wf_recurrence_spec spec = {.decay = WF_DECAY_VECTOR,
                               .g = wf_split_heads(r, g, heads, width),
                               .scale = 1.0f / sqrtf((float)width),
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    q = wf_split_heads(r, wf_activate(t, q, WF_SILU), heads, width);
    wf_tensor *o =
        wf_recurrence(t, q, wf_split_heads(r, k, heads, width), wf_split_heads(r, v, heads, wf_int(l, "dim") / heads), &spec);
    o = wf_rms_norm(t, wf_merge_heads(r, o), wf_weight(r, l, "norm.weight"), 0.0f, (float)wf_float(l, "norm_eps"));
    io->y = wf_project(r, l, "o", o);
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_hgrn2 = {.name = "hgrn2",
                                 .about = "S = diag(f) S + (1 - f) i^T, o = norm(q S)",
                                 .source = "Qin et al. 2024, arXiv 2404.07904, eq. 7",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x mask?",
                                 .outputs = "y",
                                 .flops = "4*T*key_dim*dim",
                                 .bf16 = 0.01,
                                 .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                 .companion = "glu",
                                 .check = check,
                                 .run = run};
