/* rwkv5.c - the time mixing of RWKV-5 Eagle (Peng et al. 2024, arXiv 2404.05892, eq. 3-11): S_t = diag(e^w) S_{t-1} + k_t v_t^T
 * with a learned decay per channel, read before the token with a bonus for it, o_t = (S_{t-1} + diag(u) k_t v_t^T)^T r_t; r, k,
 * v and g read a learned mix of the token and the one before. Reference: the package rwkv, att_seq_v5_2. */
#include "mixers/mixer.h"
#include "parts/init.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"gate", WF_KEY_STRING, "'silu'", 0, "silu|sigmoid|none", "activation of the output gate; none: no gate (5.1)"},
    {"norm_eps", WF_KEY_FLOAT, "64e-5", 0, NULL, "of the norm of a head"},
    {0}};

static const wf_slot slots[] = {{"mix_r", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"mix_k", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"mix_v", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"mix_g", "[dim]", "constant:0.5", "gate != 'none'", NULL, false, NULL},
                                {"r.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.weight", "[heads*value_dim, dim]", "linear", "gate != 'none'", NULL, false, NULL},
                                {"decay", "[heads, key_dim]", "custom", NULL, NULL, false, wf_init_decay_curve},
                                {"bonus", "[heads, key_dim]", "uniform:0.5", NULL, NULL, false, NULL},
                                {"norm.weight", "[heads*value_dim]", "ones", NULL, NULL, false, NULL},
                                {"norm.bias", "[heads*value_dim]", "zeros", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"shift", WF_STATE_FIXED, "[dim]", NULL, NULL, 0},
                                       {"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, NULL, 0},
                                       {0}};

/* Lin(name, x mix + before (1 - mix)); change is x - before. */
static wf_tensor *read_mix(wf_run *r, const wf_layer *l, const char *name, const char *mix, wf_tensor *before,
                           wf_tensor *change) {
    return wf_project(r, l, name, wf_add(r->tape, before, wf_mul_rows(r->tape, change, wf_weight(r, l, mix))));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    wf_tape *t = r->tape;
    wf_tensor *s = NULL, *shift = NULL,
              *before = wf_time_shift(t, io->x, wf_state_in(r, l, "shift"), wf_state_wanted(r) ? &shift : NULL);
    wf_tensor *change = wf_add_scaled(t, io->x, before, -1.0f),
              *decay = wf_scale(t, wf_activate(t, wf_weight(r, l, "decay"), WF_EXP), -1.0f);
    wf_tensor *q = wf_split_heads(r, read_mix(r, l, "r", "mix_r", before, change), heads, width);
    wf_tensor *k = wf_split_heads(r, read_mix(r, l, "k", "mix_k", before, change), heads, width);
    wf_tensor *v = wf_split_heads(r, read_mix(r, l, "v", "mix_v", before, change), heads, wf_int(l, "value_dim"));
    wf_recurrence_spec spec = {.decay = WF_DECAY_CHANNEL,
                               .g = decay,
                               .bonus = wf_weight(r, l, "bonus"),
                               .scale = 1.0f,
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = wf_recurrence(t, q, k, v, &spec);
    o = wf_merge_heads(r, wf_layer_norm(t, o, wf_weight(r, l, "norm.weight"), wf_weight(r, l, "norm.bias"), 0.0f,
                                        (float)wf_float(l, "norm_eps")));
    if (!wf_is(l, "gate", "none"))
        o = wf_gate(t, read_mix(r, l, "gate", "mix_g", before, change), o,
                    (wf_activation)wf_activation_by_name(wf_string(l, "gate")));
    io->y = wf_project(r, l, "o", o);
    wf_state_out(r, l, "shift", shift);
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_rwkv5 = {.name = "rwkv5",
                                 .about = "S = diag(e^w) S + k v^T, read before the token with a bonus, gated",
                                 .source = "Peng et al. 2024, arXiv 2404.05892, eq. 3-11",
                                 .keys = keys,
                                 .slots = slots,
                                 .no_decay = "decay|bonus",
                                 .states = states,
                                 .inputs = "x",
                                 .outputs = "y",
                                 .flops = "4*T*heads*key_dim*value_dim",
                                 .bf16 = 0.08,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .companion = "glu",
                                 .run = run};
