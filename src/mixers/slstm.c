/* slstm.c - the scalar LSTM of xLSTM (Beck et al. 2024, arXiv 2405.04517, eq. 8-18): exponential gates with a stabiliser, gates
 * that read the state of their own head, layer norm per head. Reference: the unstabilised exponential form. */
#include <stdio.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"hidden", WF_KEY_INT, "dim", 1, NULL, "channels of the states, a multiple of heads"},
                              {"heads", WF_KEY_INT, "1", 1, NULL, "blocks of the recurrent matrices"},
                              {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the norm of a head"},
                              {0}};

#define HEAD "hidden // heads"
static const wf_slot slots[] = {{"i.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"i.bias", "[hidden]", "zeros", NULL, NULL, false, NULL},
                                {"i.recurrent", "[heads, " HEAD ", " HEAD "]", "linear", NULL, NULL, false, NULL},
                                {"f.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"f.bias", "[hidden]", "constant:3", NULL, NULL, false, NULL},
                                {"f.recurrent", "[heads, " HEAD ", " HEAD "]", "linear", NULL, NULL, false, NULL},
                                {"z.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"z.bias", "[hidden]", "zeros", NULL, NULL, false, NULL},
                                {"z.recurrent", "[heads, " HEAD ", " HEAD "]", "linear", NULL, NULL, false, NULL},
                                {"og.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"og.bias", "[hidden]", "zeros", NULL, NULL, false, NULL},
                                {"og.recurrent", "[heads, " HEAD ", " HEAD "]", "linear", NULL, NULL, false, NULL},
                                {"norm.weight", "[hidden]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

#define STATE "[heads, " HEAD "]"
static const char *const names[] = {"h", "c", "n", "m"};
static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, STATE, NULL, NULL, 0},
                                       {"c", WF_STATE_FIXED, STATE, NULL, NULL, 0},
                                       {"n", WF_STATE_FIXED, STATE, NULL, NULL, 0}, /* 0: no token yet */
                                       {"m", WF_STATE_FIXED, STATE, NULL, NULL, 0},
                                       {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long hidden = wf_int(l, "hidden"), heads = wf_int(l, "heads");
    WF_CHECK(hidden % heads == 0, err, WEFT_USAGE, "'hidden' (%lld) must be a multiple of 'heads' (%lld)", hidden, heads);
    return WEFT_OK;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    static const char *const gates[] = {"i", "f", "z", "og"};
    wf_tape *t = r->tape;
    wf_tensor *out[4] = {NULL};
    wf_slstm_spec spec = {.mask = io->mask, .out = wf_state_wanted(r) ? out : NULL};
    int64_t heads = wf_int(l, "heads");
    for (int g = 0; g < 4; g++) {
        char slot[32];
        snprintf(slot, sizeof slot, "%s.recurrent", gates[g]);
        spec.gates[g] = wf_project_f32(r, l, gates[g], io->x);
        spec.recurrent[g] = wf_weight(r, l, slot);
        spec.in[g] = wf_state_in(r, l, names[g]);
    }
    wf_tensor *h = wf_split_heads(r, wf_slstm(t, &spec), heads, wf_int(l, "hidden") / heads);
    h = wf_layer_norm(t, h, wf_weight(r, l, "norm.weight"), NULL, 0.0f, (float)wf_float(l, "norm_eps"));
    io->y = wf_project(r, l, "o", wf_merge_heads(r, h));
    for (int i = 0; i < 4; i++)
        wf_state_out(r, l, names[i], out[i]);
    return WEFT_OK;
}

const wf_mixer wf_mixer_slstm = {.name = "slstm",
                                 .about = "c = F c + I tanh(z), n = F n + I, h = sigmoid(o) c / n, exponential gates",
                                 .source = "Beck et al. 2024, arXiv 2405.04517, eq. 8-18",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x mask?",
                                 .outputs = "y",
                                 .flops = "8*T*hidden*(hidden // heads)",
                                 .bf16 = 0.02,
                                 .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                 .companion = "mlp",
                                 .check = check,
                                 .run = run};
