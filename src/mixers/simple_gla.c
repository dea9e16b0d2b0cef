/* simple_gla.c - gated linear attention with one decay per head (Yang et al. 2024, arXiv 2312.06635, section 5): S_t = e^{g_t}
 * S_{t-1} + k_t v_t^T, o_t = S_t^T q_t, g read from x. Reference: fla SimpleGatedLinearAttention. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"kv_heads", WF_KEY_INT, "heads", 1, NULL, "heads of keys and values"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"gate_normalizer", WF_KEY_FLOAT, "16.0", 1e-6, NULL, "what the log decay is divided by"},
    {"feature", WF_KEY_STRING, "'identity'", 0, "identity|elu1|relu|relu2|softplus|exp|sigmoid|silu",
     "feature map of queries and keys"},
    {"conv", WF_KEY_INT, "null", 1, NULL, "taps of the short convolutions on q, k and v; null: none"},
    {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "their bias"},
    {"gate", WF_KEY_STRING, "null", 0, "silu|sigmoid", "activation of the output gate; null: no gate"},
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm of a head"},
    {"norm_affine", WF_KEY_BOOL, "true", 0, NULL, "a weight on that norm"},
    {0}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[kv_heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[kv_heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q_conv.weight", "[heads*key_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},
                                {"k_conv.weight", "[kv_heads*key_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},
                                {"v_conv.weight", "[kv_heads*value_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},
                                {"q_conv.bias", "[heads*key_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},
                                {"k_conv.bias", "[kv_heads*key_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},
                                {"v_conv.bias", "[kv_heads*value_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},
                                {"decay.weight", "[heads, dim]", "linear", NULL, NULL, false, NULL},
                                {"decay.bias", "[heads]", "zeros", NULL, NULL, false, NULL},
                                {"gate.weight", "[heads*value_dim, dim]", "linear", "gate", NULL, false, NULL},
                                {"norm.weight", "[value_dim]", "ones", "norm_affine", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {
    {"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, NULL, 0},
    {"q_conv", WF_STATE_FIXED, "[heads*key_dim, conv - 1]", NULL, "conv && conv > 1", 0},
    {"k_conv", WF_STATE_FIXED, "[kv_heads*key_dim, conv - 1]", NULL, "conv && conv > 1", 0},
    {"v_conv", WF_STATE_FIXED, "[kv_heads*value_dim, conv - 1]", NULL, "conv && conv > 1", 0},
    {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long heads = wf_int(l, "heads"), groups = wf_int(l, "kv_heads");
    WF_CHECK(heads % groups == 0, err, WEFT_USAGE, "'heads' (%lld) must be a multiple of 'kv_heads' (%lld)", heads, groups);
    return WEFT_OK;
}

/* Padding decays nothing. */
static wf_tensor *log_decay(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor *mask) {
    wf_tensor *g = wf_project_f32(r, l, "decay", x);
    return wf_mask_rows(r->tape, wf_log_gate(r->tape, g, 0.0f, 1.0f / (float)wf_float(l, "gate_normalizer")), mask);
}

/* Through the short convolution with its silu, when there is one: it must not reach into padding. */
static wf_tensor *project(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, wf_tensor *mask) {
    return wf_mask_rows(r->tape, wf_project_conv(r, l, name, x, wf_given(l, "conv") ? WF_SILU : WF_IDENTITY),
                        wf_given(l, "conv") ? mask : NULL);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_activation feature = (wf_activation)wf_activation_by_name(wf_string(l, "feature"));
    wf_tensor *s = NULL, *x = wf_mask_rows(r->tape, io->x, io->mask), *v = project(r, l, "v", x, io->mask);
    wf_tensor *q = wf_activate(r->tape, project(r, l, "q", x, io->mask), feature),
              *k = wf_activate(r->tape, project(r, l, "k", x, io->mask), feature);
    wf_recurrence_spec spec = {.decay = WF_DECAY_SCALAR,
                               .g = log_decay(r, l, x, io->mask),
                               .scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    q = wf_split_heads(r, q, wf_int(l, "heads"), wf_int(l, "key_dim"));
    wf_tensor *o = wf_recurrence(r->tape, q, wf_share_heads(r, l, k, "key_dim"), wf_share_heads(r, l, v, "value_dim"), &spec);
    wf_tensor *gate = wf_given(l, "gate") ? wf_project(r, l, "gate", io->x) : NULL;
    io->y = wf_finish_heads(r, l, o, gate, gate ? (wf_activation)wf_activation_by_name(wf_string(l, "gate")) : WF_IDENTITY);
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_simple_gla = {.name = "simple_gla",
                                      .about = "S = e^g S + k v^T, o = norm(q S), gated; one g per head, read from x",
                                      .source = "Yang et al. 2024, arXiv 2312.06635, section 5",
                                      .keys = keys,
                                      .slots = slots,
                                      .states = states,
                                      .inputs = "x mask?",
                                      .outputs = "y",
                                      .flops = "4*T*heads*key_dim*value_dim",
                                      .bf16 = 0.02,
                                      .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                      .companion = "glu",
                                      .check = check,
                                      .run = run};
