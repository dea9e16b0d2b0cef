/* kda.c - Kimi delta attention (Kimi team 2025, arXiv 2510.26692, eq. 1): the delta rule with a decay per key channel, S~ =
 * Diag(e^g) S, S_t = S~ + beta_t k_t (v_t - S~^T k_t)^T; decay and output gate come through narrow projections. References: fla
 * KimiDeltaAttention over its plain recurrence, transformers KimiLinearDeltaAttention. */
#include <math.h>
#include "mixers/delta_rows.h"
#include "parts/init.h"

static const wf_key keys[] = {
    WF_DELTA_KEYS_FIRST,
    {"rank", WF_KEY_INT, "value_dim", 1, NULL, "width that the decay and the gate are read through"},
    WF_DELTA_KEYS_CONV,
    {"lower_bound", WF_KEY_FLOAT, "null", -INFINITY, NULL, "smallest log decay, below 0: g = bound * sigmoid(e^a f)"},
    {"gate_bias", WF_KEY_BOOL, "false", 0, NULL, "a bias on the output gate"},
    WF_DELTA_KEYS_LAST,
    {0}};

static const wf_slot slots[] = {WF_DELTA_SLOTS("v_heads"),
                                {"decay.down.weight", "[rank, dim]", "linear", NULL, NULL, false, NULL},
                                {"decay.up.weight", "[v_heads*key_dim, rank]", "linear", NULL, NULL, false, NULL},
                                {"dt.bias", "[v_heads*key_dim]", "custom", NULL, NULL, false, wf_init_step_bias},
                                {"a_log", "[v_heads]", "custom", NULL, NULL, false, wf_init_log_rates},
                                {"gate.down.weight", "[rank, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.up.weight", "[v_heads*value_dim, rank]", "linear", NULL, NULL, false, NULL},
                                {"gate.up.bias", "[v_heads*value_dim]", "zeros", "gate_bias", NULL, false, NULL},
                                {"norm.weight", "[value_dim]", "ones", "norm_affine", NULL, false, NULL},
                                {"o.weight", "[dim, v_heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {WF_DELTA_STATES("v_heads"), {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_TRY(wf_delta_rows_check(l, err));
    WF_CHECK(!wf_given(l, "lower_bound") || wf_float(l, "lower_bound") < 0.0, err, WEFT_USAGE, "'lower_bound' must be below 0");
    return WEFT_OK;
}

/* g [B,T,Hv,K] from f = Lin(decay.up, Lin(decay.down, x)) + dt: -e^a softplus(f), or bound * sigmoid(e^a f). */
static wf_tensor *log_decay(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tape *t = r->tape;
    wf_tensor *rates = wf_activate(t, wf_weight(r, l, "a_log"), WF_EXP), *low = wf_project_f32(r, l, "decay.down", x);
    wf_tensor *f = wf_linear_as(t, low, wf_weight(r, l, "decay.up.weight"), wf_weight(r, l, "dt.bias"), WF_F32);
    f = wf_split_heads(r, f, wf_int(l, "v_heads"), wf_int(l, "key_dim"));
    if (wf_given(l, "lower_bound"))
        return wf_scale(t, wf_activate(t, wf_scale_rows(t, f, rates), WF_SIGMOID), (float)wf_float(l, "lower_bound"));
    return wf_scale(t, wf_scale_rows(t, wf_activate(t, f, WF_SOFTPLUS), rates), -1.0f);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *x = wf_mask_rows(r->tape, io->x, io->mask);
    wf_delta_spec spec = {.decay = WF_DECAY_VECTOR, .g = log_decay(r, l, x)};
    wf_tensor *o = wf_delta_rows_run(r, l, &(wf_delta_rows){x, wf_int(l, "v_heads"), wf_delta_rows_activation(l)}, &spec);
    wf_tensor *gate = wf_project(r, l, "gate.up", wf_project(r, l, "gate.down", x));
    io->y = wf_finish_heads(r, l, o, gate, WF_SIGMOID);
    return WEFT_OK;
}

const wf_mixer wf_mixer_kda = {.name = "kda",
                               .about = "S = Diag(e^g) S, S += beta k (v - S k)^T, o = norm(q S), gated",
                               .source = "Kimi team 2025, arXiv 2510.26692, eq. 1",
                               .keys = keys,
                               .slots = slots,
                               .no_decay = "dt.bias|a_log",
                               .states = states,
                               .inputs = "x mask?",
                               .outputs = "y",
                               .flops = "6*T*v_heads*key_dim*value_dim",
                               .bf16 = 0.06,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                               .lost_traits = wf_delta_rows_lost,
                               .companion = "glu",
                               .check = check,
                               .run = run};
