/* mlp.c - the two-layer feed-forward network (Vaswani et al. 2017, eq. 2): y = Lin(down, act(Lin(up, x))).
 * `chunk` bounds the memory of the reference; here the planner does, and the key changes nothing. */
#include "mixers/mixer.h"

#define ACTIVATIONS "relu|gelu|gelu_tanh|quick_gelu|silu|relu2|sigmoid|tanh|identity"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "4*dim", 1, NULL, "width inside"},
    {"activation", WF_KEY_STRING, "'gelu'", 0, ACTIVATIONS, "the non-linearity"},
    {"bias", WF_KEY_BOOL, "false", 0, NULL, "biases on both projections"},
    {"chunk", WF_KEY_INT, "null", 1, NULL, "tokens per piece in the reference; never changes the result"},
    {NULL}};

static const wf_slot slots[] = {
    {"up.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
    {"up.bias", "[hidden]", "zeros", "bias", NULL, false, NULL},
    {"down.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
    {"down.bias", "[dim]", "zeros", "bias", NULL, false, NULL},
    {NULL}};

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *h = wf_project(r, l, "up", io->x);
    h = wf_activate(r->tape, h, (wf_activation)wf_activation_by_name(wf_string(l, "activation")));
    io->y = wf_project(r, l, "down", h);
    return WEFT_OK;
}

const wf_mixer wf_mixer_mlp = {
    .name = "mlp", .about = "down(act(up(x))), every token by itself", .source = "Vaswani et al. 2017, arXiv 1706.03762, eq. 2",
    .keys = keys, .slots = slots, .inputs = "x", .outputs = "y", .flops = "0",
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN, .run = run};
