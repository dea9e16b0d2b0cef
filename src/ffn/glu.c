/* glu.c - gated linear units (Shazeer 2020, arXiv 2002.05202): y = Lin(down, act(Lin(gate, x)) * Lin(up, x)). */
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "(8*dim//3 + 15) // 16 * 16", 1, NULL, "width inside"},
    {"activation", WF_KEY_STRING, "'silu'", 0, WF_ACTIVATION_WORDS,
     "of the gate: silu is SwiGLU, gelu GEGLU, relu ReGLU, sigmoid GLU, identity bilinear"},
    {"bias", WF_KEY_BOOL, "false", 0, NULL, "biases on all projections"},
    {"down_bias", WF_KEY_BOOL, "bias", 0, NULL, "a bias on down"},
    {"dropout", WF_KEY_FLOAT, "0.0", 0, NULL, "of what goes into down, in training"},
    {"norm", WF_KEY_OBJECT, "null", 0, "['eps', 1e-6]", "RMS norm of what goes into down {eps}"},
    {"gate_scale", WF_KEY_FLOAT, "1.0", -1e30, NULL, "multiplies what goes into the non-linearity"},
    {"low_rank", WF_KEY_INT, "null", 1, NULL,
     "products of two matrices of this rank, the first one shared, are added to those of gate and up"},
    {"scale", WF_KEY_FLOAT, "1.0", -1e30, NULL, "multiplies y"},
    {"chunk", WF_KEY_INT, "null", 1, NULL,
     "tokens that are worked on at a time (more where it would be over 1024 times): bounds the memory, never changes the "
     "result"},
    {NULL}};

static const wf_slot slots[] = {{"gate.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.bias", "[hidden]", "zeros", "bias", NULL, false, NULL},
                                {"up.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"up.bias", "[hidden]", "zeros", "bias", NULL, false, NULL},
                                {"low.weight", "[low_rank, dim]", "linear", "low_rank != null", NULL, false, NULL},
                                {"gate.high.weight", "[hidden, low_rank]", "zeros", "low_rank != null", NULL, false, NULL},
                                {"up.high.weight", "[hidden, low_rank]", "zeros", "low_rank != null", NULL, false, NULL},
                                {"norm.weight", "[hidden]", "ones", "norm != null", NULL, false, NULL},
                                {"down.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {"down.bias", "[dim]", "zeros", "down_bias", NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_float(l, "dropout") < 1.0, err, WEFT_USAGE, "'dropout' must be below 1");
    return WEFT_OK;
}

static wf_tensor *inside(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tensor *gate = wf_project(r, l, "gate", x), *up = wf_project(r, l, "up", x);
    if (wf_given(l, "low_rank")) {
        wf_tensor *low = wf_project(r, l, "low", x);
        gate = wf_add(r->tape, gate, wf_project(r, l, "gate.high", low));
        up = wf_add(r->tape, up, wf_project(r, l, "up.high", low));
    }
    gate = wf_scale(r->tape, gate, (float)wf_float(l, "gate_scale"));
    wf_tensor *h = wf_gate(r->tape, gate, up, (wf_activation)wf_activation_by_name(wf_string(l, "activation")));
    if (wf_given(l, "norm"))
        h = wf_rms_norm(r->tape, h, wf_weight(r, l, "norm.weight"), 0.0f,
                        (float)wf_json_double(wf_get(l, "norm")->object, "eps", 1e-6));
    h = wf_project(r, l, "down", r->drop ? wf_dropout(r->tape, h, (float)wf_float(l, "dropout")) : h);
    return wf_scale(r->tape, h, (float)wf_float(l, "scale"));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    io->y = wf_in_pieces(r, l, inside, io->x);
    return WEFT_OK;
}

const wf_mixer wf_mixer_glu = {.name = "glu",
                               .about = "down(act(gate(x)) * up(x)), every token by itself",
                               .source = "Shazeer 2020, arXiv 2002.05202",
                               .keys = keys,
                               .slots = slots,
                               .inputs = "x",
                               .outputs = "y",
                               .flops = "0",
                               .bf16 = 0.008,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN,
                               .check = check,
                               .run = run};
