/* gated_deltanet.c - the delta rule with a decay per head (Yang et al. 2024, arXiv 2412.06464, eq. 10): S~ = e^g S, S_t = S~ +
 * beta_t k_t (v_t - S~^T k_t)^T, g = -e^a softplus(Lin(dt, x)); several value heads may share a key head. References: fla
 * GatedDeltaNet over its plain recurrence, transformers Qwen3NextGatedDeltaNet. */
#include "mixers/delta_rows.h"
#include "parts/init.h"

static const wf_key keys[] = {WF_DELTA_KEYS_FIRST,
                              WF_DELTA_KEYS_CONV,
                              {"gate", WF_KEY_STRING, "null", 0, "silu|sigmoid", "activation of an output gate"},
                              WF_DELTA_KEYS_LAST,
                              {0}};

static const wf_slot slots[] = {WF_DELTA_SLOTS("v_heads"),
                                {"dt.weight", "[v_heads, dim]", "linear", NULL, NULL, false, NULL},
                                {"dt.bias", "[v_heads]", "custom", NULL, NULL, false, wf_init_step_bias},
                                {"a_log", "[v_heads]", "custom", NULL, NULL, false, wf_init_log_rates},
                                {"gate.weight", "[v_heads*value_dim, dim]", "linear", "gate != null", NULL, false, NULL},
                                {"norm.weight", "[value_dim]", "ones", "norm_affine", NULL, false, NULL},
                                {"o.weight", "[dim, v_heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {WF_DELTA_STATES("v_heads"), {0}};

/* g = -e^a softplus(Lin(dt, x)), one per value head. */
static wf_tensor *log_decay(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tape *t = r->tape;
    wf_tensor *step = wf_activate(t, wf_project_f32(r, l, "dt", x), WF_SOFTPLUS);
    return wf_scale(t, wf_mul_rows(t, step, wf_activate(t, wf_weight(r, l, "a_log"), WF_EXP)), -1.0f);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *x = wf_mask_rows(r->tape, io->x, io->mask);
    wf_delta_spec spec = {.decay = WF_DECAY_SCALAR, .g = log_decay(r, l, x)};
    wf_tensor *o = wf_delta_rows_run(r, l, &(wf_delta_rows){x, wf_int(l, "v_heads"), wf_delta_rows_activation(l)}, &spec);
    wf_tensor *gate = wf_given(l, "gate") ? wf_project(r, l, "gate", x) : NULL;
    io->y = wf_finish_heads(r, l, o, gate, wf_is(l, "gate", "silu") ? WF_SILU : WF_SIGMOID);
    return WEFT_OK;
}

const wf_mixer wf_mixer_gated_deltanet = {.name = "gated_deltanet",
                                          .about = "S = e^g S, S += beta k (v - S k)^T, o = norm(q S), gated",
                                          .source = "Yang et al. 2024, arXiv 2412.06464, eq. 10",
                                          .keys = keys,
                                          .slots = slots,
                                          .no_decay = "dt.bias|a_log",
                                          .states = states,
                                          .inputs = "x mask?",
                                          .outputs = "y",
                                          .flops = "6*T*v_heads*key_dim*value_dim",
                                          .bf16 = 0.05,
                                          .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                          .lost_traits = wf_delta_rows_lost,
                                          .companion = "glu",
                                          .check = wf_delta_rows_check,
                                          .run = run};
