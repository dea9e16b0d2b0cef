/* gla.c - gated linear attention (Yang et al. 2024, arXiv 2312.06635, eq. 3-4): S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T, o_t =
 * S_t^T q_t, with a log decay g per channel of a key, read from x through a small rank. Reference: fla GatedLinearAttention. */
#include "mixers/gla_rows.h"

static const wf_key keys[] = {WF_GLA_KEYS_FIRST("keys, values and decays"),
                              {"rank", WF_KEY_INT, "16", 1, NULL, "width the decay is read through"},
                              {"gate_normalizer", WF_KEY_FLOAT, "16.0", 1e-6, NULL, "what the log decay is divided by"},
                              {"clamp_min", WF_KEY_FLOAT, "null", -1e30, NULL, "least log decay; null: none"},
                              WF_GLA_KEYS_LAST,
                              {0}};

static const wf_slot slots[] = {WF_GLA_SLOTS_FIRST,
                                {"decay.down.weight", "[rank, dim]", "linear", NULL, NULL, false, NULL},
                                {"decay.up.weight", "[kv_heads*key_dim, rank]", "linear", NULL, NULL, false, NULL},
                                {"decay.up.bias", "[kv_heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                WF_GLA_SLOTS_LAST,
                                {0}};

static const wf_state_slot states[] = {WF_GLA_STATES, {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_TRY(wf_gla_rows_check(l, err));
    WF_CHECK(!wf_given(l, "clamp_min") || wf_float(l, "clamp_min") <= 0.0, err, WEFT_USAGE,
             "'clamp_min' must not be above 0: decays only shrink");
    return WEFT_OK;
}

/* Padding decays nothing. */
static wf_tensor *log_decay(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor *mask) {
    wf_tensor *g = wf_project_f32(r, l, "decay.up", wf_project(r, l, "decay.down", x));
    g = wf_log_gate(r->tape, g, 0.0f, 1.0f / (float)wf_float(l, "gate_normalizer"));
    if (wf_given(l, "clamp_min"))
        g = wf_clamp(r->tape, g, (float)wf_float(l, "clamp_min"), 0.0f);
    return wf_share_heads(r, l, wf_mask_rows(r->tape, g, mask), "key_dim");
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *x = wf_mask_rows(r->tape, io->x, io->mask);
    return wf_gla_rows_run(r, l, io, x, WF_DECAY_VECTOR, log_decay(r, l, x, io->mask));
}

const wf_mixer wf_mixer_gla = {.name = "gla",
                               .about = "S = diag(e^g) S + k v^T, o = norm(q S), gated; g read from x",
                               .source = "Yang et al. 2024, arXiv 2312.06635, eq. 3-4",
                               .keys = keys,
                               .slots = slots,
                               .states = states,
                               .inputs = "x mask?",
                               .outputs = "y",
                               .flops = "4*T*heads*key_dim*value_dim",
                               .bf16 = 0.03,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                               .companion = "glu",
                               .check = check,
                               .run = run};
