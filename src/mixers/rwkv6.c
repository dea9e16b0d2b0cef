/* rwkv6.c - the time mixing of RWKV-6 Finch (Peng et al. 2024, arXiv 2404.05892, eq. 14-22): S_t = diag(e^{w_t}) S_{t-1} + k_t
 * v_t^T, read before the token with a bonus for it, o_t = (S_{t-1} + diag(u) k_t v_t^T)^T r_t. How far r, w, k, v and g read
 * the token before, and the decay w, depend on x through small ranks. Reference: fla RWKV6Attention. */
#include "mixers/mixer.h"
#include "parts/init.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"mix_rank", WF_KEY_INT, "32", 1, NULL, "width the mixes are read through"},
    {"decay_rank", WF_KEY_INT, "64", 1, NULL, "width the decay is read through"},
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm of a head"},
    {0}};

static const wf_slot slots[] = {{"mix.mu", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"mix.down.weight", "[5*mix_rank, dim]", "linear", NULL, NULL, false, NULL},
                                {"mix.up.weight", "[dim, 5*mix_rank]", "linear", NULL, NULL, false, NULL},
                                {"mix.bias", "[5, dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"r.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"decay.down.weight", "[decay_rank, dim]", "linear", NULL, NULL, false, NULL},
                                {"decay.up.weight", "[heads*key_dim, decay_rank]", "linear", NULL, NULL, false, NULL},
                                {"decay.up.bias", "[heads*key_dim]", "custom", NULL, NULL, false, wf_init_decay_curve},
                                {"bonus", "[heads, key_dim]", "uniform:0.5", NULL, NULL, false, NULL},
                                {"norm.weight", "[heads*value_dim]", "ones", NULL, NULL, false, NULL},
                                {"norm.bias", "[heads*value_dim]", "zeros", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"shift", WF_STATE_FIXED, "[dim]", NULL, NULL, 0},
                                       {"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, NULL, 0},
                                       {0}};

enum { R, W, K, V, G, PARTS };

/* u_n = x + d m_n: the mixes m_n are read from x and d, the change since the token before. */
static void mix(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor *d, wf_tensor *u[PARTS]) {
    int64_t rank = wf_int(l, "mix_rank");
    wf_tape *t = r->tape;
    wf_tensor *z = wf_add(t, x, wf_mul_rows(t, d, wf_weight(r, l, "mix.mu"))), *up = wf_weight(r, l, "mix.up.weight");
    z = wf_activate(t, wf_project(r, l, "mix.down", z), WF_TANH);
    for (int n = 0; n < PARTS; n++) {
        wf_tensor *bias = wf_rows(t, wf_weight(r, l, "mix.bias"), n, 1);
        wf_tensor *m = wf_linear(t, wf_slice_channels(t, z, n * rank, rank), wf_slice_channels(t, up, n * rank, rank), bias);
        u[n] = wf_add(t, x, wf_mul(t, d, m));
    }
}

static wf_tensor *log_decay(wf_run *r, const wf_layer *l, wf_tensor *u) {
    wf_tensor *low = wf_activate(r->tape, wf_project(r, l, "decay.down", u), WF_TANH);
    return wf_scale(r->tape, wf_activate(r->tape, wf_project_f32(r, l, "decay.up", low), WF_EXP), -1.0f);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    wf_tape *t = r->tape;
    wf_tensor *s = NULL, *shift = NULL, *u[PARTS],
              *before = wf_time_shift(t, io->x, wf_state_in(r, l, "shift"), wf_state_wanted(r) ? &shift : NULL);
    mix(r, l, io->x, wf_add_scaled(t, before, io->x, -1.0f), u);
    wf_recurrence_spec spec = {.decay = WF_DECAY_VECTOR,
                               .g = wf_split_heads(r, log_decay(r, l, u[W]), heads, width),
                               .bonus = wf_weight(r, l, "bonus"),
                               .scale = 1.0f,
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = wf_recurrence(t, wf_split_heads(r, wf_project(r, l, "r", u[R]), heads, width),
                                 wf_split_heads(r, wf_project(r, l, "k", u[K]), heads, width),
                                 wf_split_heads(r, wf_project(r, l, "v", u[V]), heads, wf_int(l, "value_dim")), &spec);
    o = wf_merge_heads(r, wf_layer_norm(t, o, wf_weight(r, l, "norm.weight"), wf_weight(r, l, "norm.bias"), 0.0f,
                                        (float)wf_float(l, "norm_eps")));
    io->y = wf_project(r, l, "o", wf_gate(t, wf_project(r, l, "gate", u[G]), o, WF_SILU));
    wf_state_out(r, l, "shift", shift);
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_rwkv6 = {.name = "rwkv6",
                                 .about = "S = diag(e^w) S + k v^T, read before the token with a bonus, gated; w read from x",
                                 .source = "Peng et al. 2024, arXiv 2404.05892, eq. 14-22",
                                 .keys = keys,
                                 .slots = slots,
                                 .no_decay = "mix.down.weight|mix.up.weight|mix.bias|decay.down.weight|decay.up.weight|bonus",
                                 .states = states,
                                 .inputs = "x",
                                 .outputs = "y",
                                 .flops = "4*T*heads*key_dim*value_dim",
                                 .bf16 = 0.02,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .companion = "glu",
                                 .run = run};
