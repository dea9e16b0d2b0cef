/* simple_gla.c - gated linear attention with one decay per head (Yang et al. 2024, arXiv 2312.06635, section 5): S_t = e^{g_t}
 * S_{t-1} + k_t v_t^T, o_t = S_t^T q_t, g read from x. Reference: fla SimpleGatedLinearAttention. */
#include "mixers/gla_rows.h"

static const wf_key keys[] = {WF_GLA_KEYS_FIRST("keys and values"),
                              {"gate_normalizer", WF_KEY_FLOAT, "16.0", 1e-6, NULL, "what the log decay is divided by"},
                              WF_GLA_KEYS_LAST,
                              {0}};

static const wf_slot slots[] = {WF_GLA_SLOTS_FIRST,
                                {"decay.weight", "[heads, dim]", "linear", NULL, NULL, false, NULL},
                                {"decay.bias", "[heads]", "zeros", NULL, NULL, false, NULL},
                                WF_GLA_SLOTS_LAST,
                                {0}};

static const wf_state_slot states[] = {WF_GLA_STATES, {0}};

/* Padding decays nothing. */
static wf_tensor *log_decay(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor *mask) {
    wf_tensor *g = wf_project_f32(r, l, "decay", x);
    return wf_mask_rows(r->tape, wf_log_gate(r->tape, g, 0.0f, 1.0f / (float)wf_float(l, "gate_normalizer")), mask);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *x = wf_mask_rows(r->tape, io->x, io->mask);
    return wf_gla_rows_run(r, l, io, x, WF_DECAY_SCALAR, log_decay(r, l, x, io->mask));
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
                                      .check = wf_gla_rows_check,
                                      .run = run};
