/* side_mlp.c - a feed-forward network for the stream and a narrower one for the stream beside it, which is joined and normed
 * here: s' = norm(s + mlp'(s)) (LiLT, Wang et al. 2022, arXiv 2202.13669, section 3.1). */
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"side_dim", WF_KEY_INT, NULL, 1, NULL, "width of the stream beside it"},
                              {"hidden", WF_KEY_INT, "4*dim", 1, NULL, "width inside"},
                              {"side_hidden", WF_KEY_INT, "4*side_dim", 1, NULL, "width inside, of the side stream"},
                              {"activation", WF_KEY_STRING, "'gelu'", 0, WF_ACTIVATION_WORDS, "the non-linearity of both"},
                              {"norm_eps", WF_KEY_FLOAT, "1e-12", 0, NULL, "of the side stream's norm"},
                              {NULL}};

static const wf_slot slots[] = {{"up.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"up.bias", "[hidden]", "zeros", NULL, NULL, false, NULL},
                                {"down.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {"down.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_up.weight", "[side_hidden, side_dim]", "linear", NULL, NULL, false, NULL},
                                {"side_up.bias", "[side_hidden]", "zeros", NULL, NULL, false, NULL},
                                {"side_down.weight", "[side_dim, side_hidden]", "linear_out", NULL, NULL, false, NULL},
                                {"side_down.bias", "[side_dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_norm.weight", "[side_dim]", "ones", NULL, NULL, false, NULL},
                                {"side_norm.bias", "[side_dim]", "zeros", NULL, NULL, false, NULL},
                                {NULL}};

static wf_tensor *network(wf_run *r, const wf_layer *l, wf_tensor *x, const char *up, const char *down) {
    wf_activation kind = (wf_activation)wf_activation_by_name(wf_string(l, "activation"));
    return wf_project(r, l, down, wf_activate(r->tape, wf_project(r, l, up, x), kind));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    if (io->side) {
        wf_tensor *y = wf_dropout(t, network(r, l, io->side, "side_up", "side_down"), r->dropout);
        y = wf_layer_norm(t, wf_add(t, io->side, y), wf_weight(r, l, "side_norm.weight"), wf_weight(r, l, "side_norm.bias"),
                          0.0f, (float)wf_float(l, "norm_eps"));
        io->side = wf_cast(t, y, WF_F32);
    }
    io->y = network(r, l, io->x, "up", "down");
    return WEFT_OK;
}

const wf_mixer wf_mixer_side_mlp = {.name = "side_mlp",
                                    .about = "down(act(up(x))), and another one of a stream beside x",
                                    .source = "Wang et al. 2022, arXiv 2202.13669, section 3.1",
                                    .keys = keys,
                                    .slots = slots,
                                    .inputs = "x side?",
                                    .outputs = "y side?",
                                    .example = "{\"side_dim\": \"=2 * (dim // 4)\", \"hidden\": \"=hidden\"}",
                                    .flops = "0",
                                    .bf16 = 0.012,
                                    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN,
                                    .run = run};
