/* lightning.c - lightning attention (Qin et al. 2024, arXiv 2401.04658; MiniMax-01, arXiv 2501.08313): S_t = e^{g_h} S_{t-1} +
 * k_t v_t^T, o_t = S_t^T q_t, a constant decay per head that weakens with depth; q, k and v are one projection with silu, the
 * output one RMS norm over all heads, gated. Reference: transformers MiniMaxLightningAttention. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key and of a value, per head"},
    {"layer", WF_KEY_INT, "0", 0, NULL, "index of the layer, for the decay"},
    {"layers", WF_KEY_INT, "max(1, layer + 1)", 1, NULL, "number of layers"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the norm"},
    {0}};

static const wf_slot slots[] = {{"qkv.weight", "[heads*3*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"norm.weight", "[heads*key_dim]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, heads*key_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"s", WF_STATE_FIXED, "[heads, key_dim, key_dim]", NULL, NULL, 0}, {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long layer = wf_int(l, "layer"), layers = wf_int(l, "layers");
    WF_CHECK(layer < layers, err, WEFT_USAGE, "'layer' (%lld) must be below 'layers' (%lld)", layer, layers);
    return WEFT_OK;
}

/* g_h = -2^(-8(h+1)/H) (1 - layer/(layers-1) + 1e-5), the last layer almost without decay. */
static const float *log_decays(wf_run *r, const wf_layer *l) {
    int64_t heads = wf_int(l, "heads");
    double depth = 1.0 - (double)wf_int(l, "layer") / ((double)wf_int(l, "layers") - 1.0 + 1e-5) + 1e-5;
    float *g = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)heads * sizeof *g);
    for (int64_t h = 0; g && h < heads; h++)
        g[h] = (float)(-exp2(-8.0 * (double)(h + 1) / (double)heads) * depth);
    return g;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    wf_tape *t = r->tape;
    wf_tensor *s = NULL, *all = wf_mask_rows(t, wf_activate(t, wf_project(r, l, "qkv", io->x), WF_SILU), io->mask);
    all = wf_split_heads(r, all, heads, 3 * width);
    wf_tensor *q = wf_slice_channels(t, all, 0, width), *k = wf_slice_channels(t, all, width, width),
              *v = wf_slice_channels(t, all, 2 * width, width);
    wf_recurrence_spec spec = {.decay = WF_DECAY_CONST,
                               .g_const = log_decays(r, l),
                               .scale = 1.0f,
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = wf_merge_heads(r, wf_recurrence(t, q, k, v, &spec));
    o = wf_rms_norm(t, o, wf_weight(r, l, "norm.weight"), 0.0f, (float)wf_float(l, "norm_eps"));
    io->y = wf_project(r, l, "o", wf_gate(t, wf_project(r, l, "gate", io->x), o, WF_SIGMOID));
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_lightning = {.name = "lightning",
                                     .about = "S = gamma_h S + k v^T, one norm over all heads, gated",
                                     .source = "Qin et al. 2024, arXiv 2401.04658; arXiv 2501.08313",
                                     .keys = keys,
                                     .slots = slots,
                                     .states = states,
                                     .inputs = "x mask?",
                                     .outputs = "y",
                                     .flops = "4*T*heads*key_dim*key_dim",
                                     .bf16 = 0.03,
                                     .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                     .companion = "glu",
                                     .check = check,
                                     .run = run};
