/* minrnn.c - minGRU and minLSTM (Feng et al. 2024, arXiv 2410.01201, sections 3.1 and 3.2): gates that do not read the state,
 * h_t = a_t h_{t-1} + b_t g(Lin(h, x_t)). gru: b = sigmoid(z), a = 1 - b; lstm: a = f / (f + i), b = i / (f + i). Written with
 * the logit d of a: d = -z, or ln f - ln i. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"hidden", WF_KEY_INT, "dim", 1, NULL, "channels of the recurrence"},
                              {"cell", WF_KEY_STRING, "'gru'", 0, "gru|lstm", "one gate z, or two, f and i"},
                              {"candidate", WF_KEY_STRING, "'identity'", 0, "identity|positive",
                               "what enters: t, or t + 0.5 above 0 and sigmoid(t) below"},
                              {0}};

static const wf_slot slots[] = {{"h.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"z.weight", "[hidden, dim]", "linear", "cell == 'gru'", NULL, false, NULL},
                                {"f.weight", "[hidden, dim]", "linear", "cell == 'lstm'", NULL, false, NULL},
                                {"i.weight", "[hidden, dim]", "linear", "cell == 'lstm'", NULL, false, NULL},
                                {"o.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, "[hidden]", NULL, NULL, 0}, {0}};

/* -ln sigmoid(Lin(name, x)). */
static wf_tensor *gate_loss(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x) {
    return wf_activate(r->tape, wf_scale(r->tape, wf_project_f32(r, l, name, x), -1.0f), WF_SOFTPLUS);
}

static wf_tensor *logit(wf_run *r, const wf_layer *l, wf_tensor *x) {
    if (wf_is(l, "cell", "gru"))
        return wf_scale(r->tape, wf_project_f32(r, l, "z", x), -1.0f);
    return wf_add_scaled(r->tape, gate_loss(r, l, "i", x), gate_loss(r, l, "f", x), -1.0f);
}

static wf_tensor *candidate(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tape *t = r->tape;
    wf_tensor *c = wf_project_f32(r, l, "h", x);
    if (wf_is(l, "candidate", "identity"))
        return c;
    return wf_add(t, wf_activate(t, c, WF_RELU), wf_activate(t, wf_clamp(t, c, -INFINITY, 0.0f), WF_SIGMOID));
}

/* a, and 1 where there is padding: the state stays. */
static wf_tensor *kept(wf_run *r, wf_tensor *a, wf_tensor *mask) {
    wf_tape *t = r->tape;
    return mask ? wf_affine(t, wf_mask_rows(t, wf_affine(t, a, 1.0f, -1.0f), mask), 1.0f, 1.0f) : a;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    wf_tensor *h = NULL, *d = logit(r, l, io->x), *a = kept(r, wf_activate(t, d, WF_SIGMOID), io->mask);
    wf_tensor *enter = wf_mask_rows(t, wf_gate(t, wf_scale(t, d, -1.0f), candidate(r, l, io->x), WF_SIGMOID), io->mask);
    io->y = wf_project(r, l, "o", wf_lane_scan(t, a, enter, wf_state_in(r, l, "h"), wf_state_wanted(r) ? &h : NULL));
    wf_state_out(r, l, "h", h);
    return WEFT_OK;
}

const wf_mixer wf_mixer_minrnn = {.name = "minrnn",
                                  .about = "h = a h + b g(Lin(h, x)), gates of x alone: minGRU, minLSTM",
                                  .source = "Feng et al. 2024, arXiv 2410.01201, section 3",
                                  .keys = keys,
                                  .slots = slots,
                                  .states = states,
                                  .inputs = "x mask?",
                                  .outputs = "y",
                                  .flops = "2*T*hidden",
                                  .bf16 = 0.008,
                                  .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                  .companion = "mlp",
                                  .run = run};
