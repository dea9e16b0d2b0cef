/* deltanet.c - the delta rule (Yang et al. 2024, arXiv 2406.06484, eq. 1-3): S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T
 * k_t)^T, o_t = S_t^T q_t, with q and k of length one. Reference: fla DeltaNet over its plain recurrence. */
#include "mixers/delta_rows.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"conv", WF_KEY_INT, "null", 1, NULL, "taps of a short convolution on q, k and v"},
    {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "its biases"},
    {"gate", WF_KEY_STRING, "null", 0, "silu|sigmoid", "activation of an output gate"},
    WF_DELTA_KEYS_LAST,
    {0}};

static const wf_slot slots[] = {WF_DELTA_SLOTS("heads"),
                                {"gate.weight", "[heads*value_dim, dim]", "linear", "gate != null", NULL, false, NULL},
                                {"norm.weight", "[value_dim]", "ones", "norm_affine", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {WF_DELTA_STATES("heads"), {0}};

/* The bias of the convolution makes keys and values of padding. */
static unsigned lost_traits(const wf_layer *l) {
    return wf_given(l, "conv") && wf_flag(l, "conv_bias") ? 0u : WF_PADDING_TRACE;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *x = wf_mask_rows(r->tape, io->x, io->mask);
    wf_delta_spec spec = {.decay = WF_DECAY_NONE};
    wf_tensor *o = wf_delta_rows_run(r, l, &(wf_delta_rows){x, wf_int(l, "heads"), WF_SILU}, &spec);
    wf_tensor *gate = wf_given(l, "gate") ? wf_project(r, l, "gate", x) : NULL;
    io->y = wf_finish_heads(r, l, o, gate, wf_is(l, "gate", "silu") ? WF_SILU : WF_SIGMOID);
    return WEFT_OK;
}

const wf_mixer wf_mixer_deltanet = {.name = "deltanet",
                                    .about = "S += beta k (v - S k)^T, o = norm(q S), gated",
                                    .source = "Yang et al. 2024, arXiv 2406.06484, eq. 1-3",
                                    .keys = keys,
                                    .slots = slots,
                                    .states = states,
                                    .inputs = "x mask?",
                                    .outputs = "y",
                                    .flops = "6*T*heads*key_dim*value_dim",
                                    .bf16 = 0.1,
                                    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                    .lost_traits = lost_traits,
                                    .companion = "glu",
                                    .run = run};
