/* mlstm.c - the matrix LSTM of xLSTM (Beck et al. 2024, arXiv 2405.04517, eq. 19-27; arXiv 2503.13427): S_t = f S_{t-1} + i k_t
 * v_t^T and n_t = f n_{t-1} + i k_t with exponential gates, o_t = S_t^T q_t / max(|n_t.q_t|, 1), all relative to a running
 * maximum m. Reference: transformers xLSTMLayer. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"gate_cap", WF_KEY_FLOAT, "15.0", 0, NULL, "the gates become c tanh(gate / c); 0: as they are"},
    {"eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "added to the normaliser"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the norm of a head"},
    {0}};

/* Forget gates that start almost open, spread over the heads. */
static void start_forget(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims, (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = 3.0f + 3.0f * (count > 1 ? (float)i / (float)(count - 1) : 0.0f);
}

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"i.weight", "[heads, dim]", "zeros", NULL, NULL, false, NULL},
                                {"i.bias", "[heads]", "constant:-10", NULL, NULL, false, NULL},
                                {"f.weight", "[heads, dim]", "zeros", NULL, NULL, false, NULL},
                                {"f.bias", "[heads]", "custom", NULL, NULL, false, start_forget},
                                {"norm.weight", "[heads*value_dim]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, NULL, 0},
                                       {"n", WF_STATE_FIXED, "[heads, key_dim]", NULL, NULL, 0},
                                       {"m", WF_STATE_FIXED, "[heads]", NULL, NULL, 0},
                                       {0}};

static wf_tensor *gate(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x) {
    return wf_softcap(r->tape, wf_project_f32(r, l, name, x), (float)wf_float(l, "gate_cap"));
}

/* S and n are one recurrence with the values i v and i; its decay is the forget gate. */
static wf_tensor *normalised(wf_run *r, const wf_layer *l, wf_tensor *x) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    bool out = wf_state_wanted(r);
    wf_tape *t = r->tape;
    wf_tensor *q = wf_split_heads(r, wf_project(r, l, "q", x), heads, width),
              *k = wf_split_heads(r, wf_project(r, l, "k", x), heads, width);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", x), heads, wf_int(l, "value_dim")), *u, *m, *m_out = NULL, *s = NULL,
              *n = NULL;
    wf_exp_gates_spec gates = {.m_in = wf_state_in(r, l, "m"), .m_out = out ? &m_out : NULL, .u = &u, .m = &m};
    wf_tensor *g = wf_exp_gates(t, gate(r, l, "i", x), wf_log_gate(t, gate(r, l, "f", x), 0.0f, 1.0f), &gates);
    wf_recurrence_spec spec = {.decay = WF_DECAY_SCALAR,
                               .g = g,
                               .scale = 1.0f / sqrtf((float)width),
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = out ? &s : NULL};
    wf_tensor *o = wf_recurrence(t, q, k, wf_scale_rows(t, v, u), &spec);
    spec.s_in = wf_state_in(r, l, "n");
    spec.s_out = out ? &n : NULL;
    wf_tensor *nq = wf_recurrence(t, q, k, wf_split_heads(r, u, heads, 1), &spec);
    wf_state_out(r, l, "s", s);
    wf_state_out(r, l, "n", n ? wf_reshape(t, n, 3, (int64_t[]){r->batch, heads, width}) : NULL);
    wf_state_out(r, l, "m", m_out);
    return wf_normalise_exp(t, o, nq, m, (float)wf_float(l, "eps"));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *h = wf_layer_norm(r->tape, normalised(r, l, io->x), wf_weight(r, l, "norm.weight"), NULL, 0.0f,
                                 (float)wf_float(l, "norm_eps"));
    io->y = wf_project(r, l, "o", wf_gate(r->tape, wf_project(r, l, "gate", io->x), wf_merge_heads(r, h), WF_SIGMOID));
    return WEFT_OK;
}

const wf_mixer wf_mixer_mlstm = {.name = "mlstm",
                                 .about = "S = f S + i k v^T with exponential gates, o = q S / max(|q n|, 1), gated",
                                 .source = "Beck et al. 2024, arXiv 2405.04517, eq. 19-27",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x",
                                 .outputs = "y",
                                 .flops = "4*T*heads*key_dim*(value_dim + 1)",
                                 .bf16 = 0.04,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .companion = "glu",
                                 .run = run};
