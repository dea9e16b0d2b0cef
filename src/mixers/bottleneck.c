/* bottleneck.c - attention and a stack of feed-forward networks, all narrower than the stream (MobileBERT, Sun et al. 2020,
 * arXiv 2004.02984, section 3.1): h = norm(Lin(in, x)), h = norm(h + attention), h = norm(h + mlp(h)) so many times, y =
 * Lin(out, h). Without `inner` there is no narrower stream: h = x, and y is h. */
#include <math.h>
#include <stdio.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"inner", WF_KEY_INT, "null", 1, NULL, "width inside; null: that of x, and no projections in and out"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads of attention; they divide the width inside"},
    {"attend", WF_KEY_STRING, "'own'", 0, "own|inner|x",
     "what queries and keys come from: a projection of x of their own, h (then values too), or x; values come from x"},
    {"hidden", WF_KEY_INT, "4*(inner ?? dim)", 1, NULL, "width inside the feed-forward networks"},
    {"networks", WF_KEY_INT, "1", 1, NULL, "feed-forward networks"},
    {"activation", WF_KEY_STRING, "'relu'", 0, WF_ACTIVATION_WORDS, "their non-linearity"},
    {"norm", WF_KEY_STRING, "'scale'", 0, "scale|layer", "every norm: a factor and a bias for each channel, or layer norm"},
    {"norm_eps", WF_KEY_FLOAT, "1e-12", 0, NULL, "of layer norms"},
    {"last_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the last one"},
    {NULL}};

#define W "(inner ?? dim)"
#define Q "(attend == 'x' ? dim : " W ")"
#define V "(attend == 'inner' ? " W " : dim)"
#define OWN "inner != null && attend == 'own'"
#define NORM(name, when, repeat)                                                                                               \
    {name ".weight", "[" W "]", "ones", when, repeat, false, NULL}, {                                                          \
        name ".bias", "[" W "]", "zeros", when, repeat, false, NULL                                                            \
    }
#define LINEAR(name, out, in, when, repeat)                                                                                    \
    {name ".weight", "[" out ", " in "]", "linear", when, repeat, false, NULL}, {                                              \
        name ".bias", "[" out "]", "zeros", when, repeat, false, NULL                                                          \
    }
static const wf_slot slots[] = {LINEAR("in", W, "dim", "inner != null", NULL),
                                NORM("in_norm", "inner != null", NULL),
                                LINEAR("own", W, "dim", OWN, NULL),
                                NORM("own_norm", OWN, NULL),
                                LINEAR("q", W, Q, NULL, NULL),
                                LINEAR("k", W, Q, NULL, NULL),
                                LINEAR("v", W, V, NULL, NULL),
                                LINEAR("o", W, W, NULL, NULL),
                                NORM("o_norm", NULL, NULL),
                                LINEAR("stack.{n}.up", "hidden", W, NULL, "networks - 1"),
                                LINEAR("stack.{n}.down", W, "hidden", NULL, "networks - 1"),
                                NORM("stack.{n}.norm", NULL, "networks - 1"),
                                LINEAR("up", "hidden", W, NULL, NULL),
                                LINEAR("down", W, "hidden", NULL, NULL),
                                NORM("norm", NULL, NULL),
                                LINEAR("out", "dim", W, "inner != null", NULL),
                                {NULL}};

static int64_t width_of(const wf_layer *l) { return wf_given(l, "inner") ? wf_int(l, "inner") : wf_int(l, "dim"); }

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(width_of(l) % wf_int(l, "heads") == 0, err, WEFT_USAGE, "'heads' (%lld) must divide the width inside (%lld)",
             (long long)wf_int(l, "heads"), (long long)width_of(l));
    WF_CHECK(wf_given(l, "inner") || wf_is(l, "attend", "inner"), err, WEFT_USAGE, "without 'inner', 'attend' must be inner");
    return wf_int(l, "networks") <= 64 ? WEFT_OK : wf_fail(err, WEFT_USAGE, "'networks' must be at most 64");
}

static wf_tensor *normed(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, double eps) {
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    wf_tensor *w = wf_weight(r, l, weight), *b = wf_weight(r, l, bias);
    wf_tensor *y = wf_is(l, "norm", "layer") ? wf_layer_norm(r->tape, x, w, b, 0.0f, (float)eps)
                                             : wf_add_rows(r->tape, wf_mul_rows(r->tape, x, w), b);
    return wf_cast(r->tape, y, WF_F32);
}

/* What the reference drops where there is no narrower stream. */
static wf_tensor *dropped(wf_run *r, const wf_layer *l, wf_tensor *x) {
    return wf_given(l, "inner") ? x : wf_dropout(r->tape, x, r->dropout);
}

static wf_tensor *attend(wf_run *r, const wf_layer *l, wf_ports *io, wf_tensor *h) {
    int64_t heads = wf_int(l, "heads"), width = width_of(l) / heads;
    bool inner = wf_is(l, "attend", "inner");
    wf_tensor *from = inner ? h : io->x;
    if (wf_is(l, "attend", "own"))
        from = normed(r, l, "own_norm", wf_project(r, l, "own", io->x), wf_float(l, "norm_eps"));
    wf_attention_spec s = {.scale = 1.0f / sqrtf((float)width),
                           .dropout = r->attention_dropout,
                           .left = INT64_MAX,
                           .right = INT64_MAX,
                           .key_mask = io->mask,
                           .probs = r->want_attention ? &io->attention : NULL};
    wf_tensor *q = wf_split_heads(r, wf_project(r, l, "q", from), heads, width);
    wf_tensor *k = wf_split_heads(r, wf_project(r, l, "k", from), heads, width);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", inner ? h : io->x), heads, width);
    return wf_project(r, l, "o", wf_merge_heads(r, wf_attention(r->tape, q, k, v, &s)));
}

/* norm(h + mlp(h)) with the slots behind a prefix. */
static wf_tensor *network(wf_run *r, const wf_layer *l, const char *prefix, bool last, wf_tensor *h) {
    char up[32], down[32], norm[32];
    snprintf(up, sizeof up, "%sup", prefix);
    snprintf(down, sizeof down, "%sdown", prefix);
    snprintf(norm, sizeof norm, "%snorm", prefix);
    wf_activation kind = (wf_activation)wf_activation_by_name(wf_string(l, "activation"));
    wf_tensor *y = wf_project(r, l, down, wf_activate(r->tape, wf_project(r, l, up, h), kind));
    y = last ? dropped(r, l, y) : y;
    return normed(r, l, norm, wf_add(r->tape, h, y), wf_float(l, last ? "last_eps" : "norm_eps"));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    char prefix[40];
    wf_tensor *h = io->x;
    if (wf_given(l, "inner"))
        h = normed(r, l, "in_norm", wf_project(r, l, "in", h), wf_float(l, "norm_eps"));
    h = normed(r, l, "o_norm", wf_add(r->tape, h, dropped(r, l, attend(r, l, io, h))), wf_float(l, "norm_eps"));
    for (int64_t n = 0; n + 1 < wf_int(l, "networks"); n++) {
        snprintf(prefix, sizeof prefix, "stack.%lld.", (long long)n);
        h = network(r, l, prefix, false, h);
    }
    h = network(r, l, "", true, h);
    io->y = wf_given(l, "inner") ? wf_project(r, l, "out", h) : h;
    return WEFT_OK;
}

const wf_mixer wf_mixer_bottleneck = {.name = "bottleneck",
                                      .about = "attention and feed-forward networks on a narrower stream",
                                      .source = "Sun et al. 2020, arXiv 2004.02984, section 3.1",
                                      .keys = keys,
                                      .slots = slots,
                                      .inputs = "x mask?",
                                      .outputs = "y attention?",
                                      .example = "{\"heads\": 2, \"inner\": \"=2 * (dim // 4)\", \"hidden\": \"=hidden\"}",
                                      .time = "T*T",
                                      .flops = "4*" W "*T*T",
                                      .bf16 = 0.1,
                                      .traits = WF_PADDING_INERT | WF_PERMUTATION,
                                      .check = check,
                                      .run = run};
