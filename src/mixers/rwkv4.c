/* rwkv4.c - the time mixing of RWKV-4 (Peng et al. 2023, arXiv 2305.13048, eq. 11-18): a decaying weighted average of values
 * per channel, with a bonus for the token itself and a gate; k, v and r read a mix of the token and the one before. Reference:
 * transformers RwkvSelfAttention. */
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"}, {"inner", WF_KEY_INT, "dim", 1, NULL, "channels of the average"}, {0}};

/* Decays of e^-e^-5 to e^-e^3, more slow ones than fast ones. */
static void start_decay(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims, (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = -5.0f + 8.0f * (count > 1 ? (float)i / (float)(count - 1) : 0.0f);
}

static const wf_slot slots[] = {{"mix_k", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"mix_v", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"mix_r", "[dim]", "constant:0.5", NULL, NULL, false, NULL},
                                {"decay", "[inner]", "custom", NULL, NULL, false, start_decay},
                                {"first", "[inner]", "constant:-1.2", NULL, NULL, false, NULL},
                                {"k.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"r.weight", "[inner, dim]", "linear", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, inner]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"shift", WF_STATE_FIXED, "[dim]", NULL, NULL, 0},
                                       {"num", WF_STATE_FIXED, "[inner]", NULL, NULL, 0},
                                       {"den", WF_STATE_FIXED, "[inner]", NULL, NULL, 0},
                                       {"max", WF_STATE_FIXED, "[inner]", NULL, NULL, -1e38f},
                                       {0}};

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    wf_tensor *shift = NULL, *out[3] = {0},
              *before = wf_time_shift(t, io->x, wf_state_in(r, l, "shift"), wf_state_wanted(r) ? &shift : NULL);
    wf_tensor *u[3], *change = wf_add_scaled(t, io->x, before, -1.0f);
    static const char *const mixes[] = {"mix_k", "mix_v", "mix_r"};
    for (int i = 0; i < 3; i++)
        u[i] = wf_add(t, before, wf_mul_rows(t, change, wf_weight(r, l, mixes[i])));
    wf_tensor *decay = wf_scale(t, wf_activate(t, wf_weight(r, l, "decay"), WF_EXP), -1.0f);
    wf_wkv_spec spec = {.in = {wf_state_in(r, l, "num"), wf_state_in(r, l, "den"), wf_state_in(r, l, "max")},
                        .out = wf_state_wanted(r) ? out : NULL};
    wf_tensor *y = wf_wkv(t, wf_project(r, l, "k", u[0]), wf_project(r, l, "v", u[1]), decay, wf_weight(r, l, "first"), &spec);
    io->y = wf_project(r, l, "o", wf_gate(t, wf_project(r, l, "r", u[2]), y, WF_SIGMOID));
    wf_state_out(r, l, "shift", shift);
    wf_state_out(r, l, "num", out[0]);
    wf_state_out(r, l, "den", out[1]);
    wf_state_out(r, l, "max", out[2]);
    return WEFT_OK;
}

const wf_mixer wf_mixer_rwkv4 = {.name = "rwkv4",
                                 .about = "a decaying average of values weighted by e^k, gated",
                                 .source = "Peng et al. 2023, arXiv 2305.13048, eq. 11-18",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x",
                                 .outputs = "y",
                                 .flops = "80*T*inner",
                                 .bf16 = 0.008,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .run = run};
