/* time_conv.c - a convolution over time that sees both sides and every channel: y_t = act(b + sum over k of W_k x_{t+k-left}),
 * zeros beyond the ends and at padding (the convolution beside the first layer of DeBERTa v2, He et al. 2020, arXiv 2006.03654,
 * section 4). */
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"width", WF_KEY_INT, "3", 1, NULL, "taps"},
                              {"left", WF_KEY_INT, "(width - 1) // 2", 0, NULL, "taps before the row"},
                              {"activation", WF_KEY_STRING, "'identity'", 0, WF_ACTIVATION_WORDS, "of the result"},
                              {"bias", WF_KEY_BOOL, "true", 0, NULL, "a bias"},
                              {NULL}};

static const wf_slot slots[] = {{"conv.weight", "[dim, width, dim]", "linear", NULL, NULL, false, NULL},
                                {"conv.bias", "[dim]", "zeros", "bias", NULL, false, NULL},
                                {NULL}};

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t dim = wf_int(l, "dim"), width = wf_int(l, "width");
    wf_tensor *w = wf_reshape(r->tape, wf_weight(r, l, "conv.weight"), 2, (int64_t[]){dim, width * dim});
    wf_tensor *x = wf_unfold(r->tape, wf_mask_rows(r->tape, io->x, io->mask), -wf_int(l, "left"), width, 1);
    wf_tensor *y = wf_mask_rows(r->tape, wf_linear(r->tape, x, w, wf_weight(r, l, "conv.bias")), io->mask);
    io->y = wf_activate(r->tape, y, (wf_activation)wf_activation_by_name(wf_string(l, "activation")));
    return WEFT_OK;
}

const wf_mixer wf_mixer_time_conv = {.name = "time_conv",
                                     .about = "a convolution over time and channels that sees both sides",
                                     .source = "He et al. 2020, arXiv 2006.03654, section 4",
                                     .keys = keys,
                                     .slots = slots,
                                     .inputs = "x mask?",
                                     .outputs = "y",
                                     .flops = "2*T*width*dim*dim",
                                     .bf16 = 0.006,
                                     .traits = WF_PADDING_INERT,
                                     .companion = "mlp",
                                     .run = run};
