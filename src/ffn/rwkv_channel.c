/* rwkv_channel.c - the channel mix of RWKV (Peng et al. 2023, arXiv 2305.13048, eq. 17-18; versions 4 to 6 with a receptance, 7
 * without): u_n = x mix_n + shifted(x) (1 - mix_n),  y = Lin(v, relu(Lin(k, u_k))^2) [sigmoid(Lin(r, u_r))] */
#include "base/str.h"
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "4*dim", 1, NULL, "width inside"},
    {"receptance", WF_KEY_BOOL, "true", 0, NULL, "a sigmoid gate on y: versions 4 to 6; false: version 7"},
    {"mix_of", WF_KEY_STRING, "'x'", 0, "x|shifted",
     "what mix_n is the share of: x, or, as versions 6 and 7 store it, the row before"},
    {NULL}};

static const wf_slot slots[] = {{"mix_k", "[dim]", "uniform:1", NULL, NULL, false, NULL},
                                {"mix_r", "[dim]", "uniform:1", "receptance", NULL, false, NULL},
                                {"k.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"r.weight", "[dim, dim]", "linear", "receptance", NULL, false, NULL},
                                {"v.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {NULL}};

static const wf_state_slot states[] = {{"shift", WF_STATE_FIXED, "[dim]", NULL, NULL, 0}, {NULL}};

/* from + mix (to - from) */
static wf_tensor *mixed(wf_run *r, const wf_layer *l, const char *mix, wf_tensor *x, wf_tensor *shifted) {
    bool of_x = wf_is(l, "mix_of", "x");
    wf_tensor *from = of_x ? shifted : x, *apart = wf_add_scaled(r->tape, of_x ? x : shifted, from, -1.0f);
    return wf_add(r->tape, from, wf_mul_rows(r->tape, apart, wf_weight(r, l, mix)));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *last = NULL;
    wf_tensor *shifted = wf_time_shift(r->tape, io->x, wf_state_in(r, l, "shift"), wf_state_wanted(r) ? &last : NULL);
    wf_tensor *h = wf_activate(r->tape, wf_project(r, l, "k", mixed(r, l, "mix_k", io->x, shifted)), WF_RELU2);
    io->y = wf_project(r, l, "v", h);
    if (wf_flag(l, "receptance"))
        io->y = wf_gate(r->tape, wf_project(r, l, "r", mixed(r, l, "mix_r", io->x, shifted)), io->y, WF_SIGMOID);
    wf_state_out(r, l, "shift", last);
    return WEFT_OK;
}

const wf_mixer wf_mixer_rwkv_channel = {.name = "rwkv_channel",
                                        .about = "v(relu(k(u))^2) * sigmoid(r(u)), u a mix of x and the row before it",
                                        .source = "Peng et al. 2023, arXiv 2305.13048, eq. 17-18",
                                        .keys = keys,
                                        .slots = slots,
                                        .states = states,
                                        .inputs = "x",
                                        .outputs = "y",
                                        .flops = "0",
                                        .bf16 = 0.01,
                                        .traits = WF_CAUSAL | WF_STREAMS,
                                        .run = run};
