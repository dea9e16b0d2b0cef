/* span_conv.c - attention and, beside it, a convolution whose filters depend on the spans around the rows (ConvBERT, Jiang et
 * al. 2020, arXiv 2008.02496, eq. 5-7): filters = softmax(Lin(filter, Lin(q, x) * s)), s a separable convolution of x; heads of
 * both side by side go into Lin(o). The convolutions see padding. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"heads", WF_KEY_INT, NULL, 1, NULL, "heads of attention, and as many of the convolution"},
                              {"key_dim", WF_KEY_INT, "dim % (2*heads) == 0 ? dim // (2*heads) : null", 1, NULL,
                               "channels of a query, key or value, per head"},
                              {"taps", WF_KEY_INT, "9", 1, NULL, "of both convolutions, odd"},
                              {NULL}};

#define WIDE "heads*key_dim"
static const wf_slot slots[] = {{"q.weight", "[" WIDE ", dim]", "linear", NULL, NULL, false, NULL},
                                {"q.bias", "[" WIDE "]", "zeros", NULL, NULL, false, NULL},
                                {"k.weight", "[" WIDE ", dim]", "linear", NULL, NULL, false, NULL},
                                {"k.bias", "[" WIDE "]", "zeros", NULL, NULL, false, NULL},
                                {"v.weight", "[" WIDE ", dim]", "linear", NULL, NULL, false, NULL},
                                {"v.bias", "[" WIDE "]", "zeros", NULL, NULL, false, NULL},
                                {"depth.weight", "[dim, 1, taps]", "uniform:0.5", NULL, NULL, false, NULL},
                                {"point.weight", "[" WIDE ", dim]", "linear", NULL, NULL, false, NULL},
                                {"point.bias", "[" WIDE "]", "zeros", NULL, NULL, false, NULL},
                                {"filter.weight", "[heads*taps, " WIDE "]", "linear", NULL, NULL, false, NULL},
                                {"filter.bias", "[heads*taps]", "zeros", NULL, NULL, false, NULL},
                                {"conv.weight", "[" WIDE ", dim]", "linear", NULL, NULL, false, NULL},
                                {"conv.bias", "[" WIDE "]", "zeros", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, 2*" WIDE "]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "taps") % 2 == 1 && wf_int(l, "taps") < 256, err, WEFT_USAGE, "'taps' (%lld) must be odd and below 256",
             (long long)wf_int(l, "taps"));
    return WEFT_OK;
}

/* The convolution of the heads, [B,T,heads,key_dim]. */
static wf_tensor *convolve(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor *q) {
    int64_t heads = wf_int(l, "heads"), taps = wf_int(l, "taps");
    wf_tensor *s = wf_conv_heads(r->tape, wf_split_heads(r, x, wf_int(l, "dim"), 1), wf_weight(r, l, "depth.weight"));
    s = wf_mul(r->tape, wf_project_f32(r, l, "point", s ? wf_merge_heads(r, s) : NULL), wf_cast(r->tape, q, WF_F32));
    wf_tensor *filters = wf_split_heads(r, wf_project_f32(r, l, "filter", s), heads, taps);
    wf_tensor *v = wf_split_heads(r, wf_project_f32(r, l, "conv", x), heads, wf_int(l, "key_dim"));
    return wf_dynamic_conv(r->tape, v, filters, taps / 2);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "key_dim");
    wf_tensor *q = wf_project(r, l, "q", io->x), *k = wf_project(r, l, "k", io->x), *v = wf_project(r, l, "v", io->x);
    wf_attention_spec s = {.scale = 1.0f / sqrtf((float)width),
                           .dropout = r->attention_dropout,
                           .left = INT64_MAX,
                           .right = INT64_MAX,
                           .key_mask = io->mask,
                           .probs = r->want_attention ? &io->attention : NULL};
    wf_tensor *o = wf_attention(r->tape, wf_split_heads(r, q, heads, width), wf_split_heads(r, k, heads, width),
                                wf_split_heads(r, v, heads, width), &s);
    wf_tensor *c = convolve(r, l, io->x, q);
    io->y = o && c ? wf_project(r, l, "o", wf_join_channels(r->tape, wf_merge_heads(r, o), wf_merge_heads(r, c))) : NULL;
    return WEFT_OK;
}

const wf_mixer wf_mixer_span_conv = {.name = "span_conv",
                                     .about = "attention, and a convolution with filters made of the rows around, side by side",
                                     .source = "Jiang et al. 2020, arXiv 2008.02496, eq. 5-7",
                                     .keys = keys,
                                     .slots = slots,
                                     .inputs = "x mask?",
                                     .outputs = "y attention?",
                                     .time = "T*T",
                                     .flops = "4*heads*key_dim*T*T + 2*T*taps*(dim + heads*key_dim)",
                                     .bf16 = 0.012,
                                     .traits = 0,
                                     .companion = "mlp",
                                     .check = check,
                                     .run = run};
