/* mlp.c - the two-layer feed-forward network (Vaswani et al. 2017, eq. 2): y = Lin(down, act(Lin(up, x))). */
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "4*dim", 1, NULL, "width inside"},
    {"activation", WF_KEY_STRING, "'gelu'", 0, WF_ACTIVATION_WORDS "|xielu",
     "the non-linearity; xielu has learned numbers (Huang & Schlag 2024)"},
    {"bias", WF_KEY_BOOL, "false", 0, NULL, "biases on both projections"},
    {"dropout", WF_KEY_FLOAT, "0.0", 0, NULL, "of what goes into down, in training"},
    {"up_groups", WF_KEY_INT, "1", 1, NULL, "pieces of x and of what is inside; each piece comes from one of x alone"},
    {"down_groups", WF_KEY_INT, "1", 1, NULL, "the same of what is inside, and y"},
    {"chunk", WF_KEY_INT, "null", 1, NULL,
     "tokens that are worked on at a time (more where it would be over 1024 times): bounds the memory, never changes the "
     "result"},
    {NULL}};

#define XIELU "activation == 'xielu'"
static const wf_slot slots[] = {
    {"up.weight", WF_GROUPED("up_groups", "hidden", "dim"), "linear", NULL, NULL, false, NULL},
    {"up.bias", "[hidden]", "zeros", "bias", NULL, false, NULL},
    {"xielu.alpha_p", "[1]", "constant:0.2035", XIELU, NULL, false, NULL},  /* softplus of it: 0.8 */
    {"xielu.alpha_n", "[1]", "constant:-1.0502", XIELU, NULL, false, NULL}, /* softplus of it: 0.8 - beta */
    {"xielu.beta", "[1]", "constant:0.5", XIELU, NULL, true, NULL},
    {"xielu.eps", "[1]", "constant:-1e-6", XIELU, NULL, true, NULL},
    {"down.weight", WF_GROUPED("down_groups", "dim", "hidden"), "linear_out", NULL, NULL, false, NULL},
    {"down.bias", "[dim]", "zeros", "bias", NULL, false, NULL},
    {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    int64_t dim = wf_int(l, "dim"), hidden = wf_int(l, "hidden");
    WF_CHECK(wf_float(l, "dropout") < 1.0, err, WEFT_USAGE, "'dropout' must be below 1");
    WF_TRY(wf_check_groups(l, "up_groups", dim, hidden, err));
    return wf_check_groups(l, "down_groups", hidden, dim, err);
}

static wf_tensor *activate(wf_run *r, const wf_layer *l, wf_tensor *h) {
    if (!wf_is(l, "activation", "xielu"))
        return wf_activate(r->tape, h, (wf_activation)wf_activation_by_name(wf_string(l, "activation")));
    return wf_xielu(r->tape, h,
                    (wf_tensor *[]){wf_weight(r, l, "xielu.alpha_p"), wf_weight(r, l, "xielu.alpha_n"),
                                    wf_weight(r, l, "xielu.beta"), wf_weight(r, l, "xielu.eps")});
}

static wf_tensor *inside(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tensor *h = activate(r, l, wf_project(r, l, "up", x));
    return wf_project(r, l, "down", r->drop ? wf_dropout(r->tape, h, (float)wf_float(l, "dropout")) : h);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    io->y = wf_in_pieces(r, l, inside, io->x);
    return WEFT_OK;
}

const wf_mixer wf_mixer_mlp = {.name = "mlp",
                               .about = "down(act(up(x))), every token by itself",
                               .source = "Vaswani et al. 2017, arXiv 1706.03762, eq. 2",
                               .keys = keys,
                               .slots = slots,
                               .inputs = "x",
                               .outputs = "y",
                               .flops = "0",
                               .bf16 = 0.008,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN,
                               .check = check,
                               .run = run};
