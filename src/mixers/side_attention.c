/* side_attention.c - attention of a stream and of a narrower one beside it, which add up their scores (LiLT, Wang et al. 2022,
 * arXiv 2202.13669, eq. 3-4). The side stream s is joined and normed here, as what goes from layer to layer: s' = norm(s +
 * Lin(side_o, attention)). Without one it is plain attention. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"side_dim", WF_KEY_INT, NULL, 1, NULL, "width of the stream beside it"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads of both"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key of x, per head"},
    {"side_key_dim", WF_KEY_INT, "side_dim % heads == 0 ? side_dim // heads : null", 1, NULL, "the same of the side stream"},
    {"norm_eps", WF_KEY_FLOAT, "1e-12", 0, NULL, "of the side stream's norm"},
    {NULL}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q.bias", "[heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.bias", "[heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.bias", "[heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, heads*key_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_q.weight", "[heads*side_key_dim, side_dim]", "linear", NULL, NULL, false, NULL},
                                {"side_q.bias", "[heads*side_key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_k.weight", "[heads*side_key_dim, side_dim]", "linear", NULL, NULL, false, NULL},
                                {"side_k.bias", "[heads*side_key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_v.weight", "[heads*side_key_dim, side_dim]", "linear", NULL, NULL, false, NULL},
                                {"side_v.bias", "[heads*side_key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_o.weight", "[side_dim, heads*side_key_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"side_o.bias", "[side_dim]", "zeros", NULL, NULL, false, NULL},
                                {"side_norm.weight", "[side_dim]", "ones", NULL, NULL, false, NULL},
                                {"side_norm.bias", "[side_dim]", "zeros", NULL, NULL, false, NULL},
                                {NULL}};

static wf_tensor *heads_of(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, const char *width) {
    return wf_split_heads(r, wf_project(r, l, name, x), wf_int(l, "heads"), wf_int(l, width));
}

/* norm(side + Lin(side_o, o)) */
static wf_tensor *join_side(wf_run *r, const wf_layer *l, wf_tensor *side, wf_tensor *o) {
    wf_tensor *y = wf_dropout(r->tape, wf_project(r, l, "side_o", wf_merge_heads(r, o)), r->dropout);
    y = wf_layer_norm(r->tape, wf_add(r->tape, side, y), wf_weight(r, l, "side_norm.weight"), wf_weight(r, l, "side_norm.bias"),
                      0.0f, (float)wf_float(l, "norm_eps"));
    return wf_cast(r->tape, y, WF_F32);
}

/* One softmax for both: the channels of the side stream stand behind those of x, scaled by their own number. */
static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    float scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")), side = 1.0f / sqrtf((float)wf_int(l, "side_key_dim"));
    wf_tensor *q = heads_of(r, l, "q", io->x, "key_dim"), *k = heads_of(r, l, "k", io->x, "key_dim");
    wf_tensor *v = heads_of(r, l, "v", io->x, "key_dim");
    wf_attention_spec s = {.scale = scale,
                           .dropout = r->attention_dropout,
                           .left = INT64_MAX,
                           .right = INT64_MAX,
                           .key_mask = io->mask,
                           .probs = r->want_attention ? &io->attention : NULL};
    if (io->side) {
        wf_tensor *side_q = heads_of(r, l, "side_q", io->side, "side_key_dim");
        q = wf_join_channels(r->tape, q, wf_scale(r->tape, side_q, side / scale));
        k = wf_join_channels(r->tape, k, heads_of(r, l, "side_k", io->side, "side_key_dim"));
        wf_tensor *side_v = heads_of(r, l, "side_v", io->side, "side_key_dim");
        wf_attention_spec own = s;
        own.probs = NULL;
        io->side = join_side(r, l, io->side, wf_attention(r->tape, q, k, side_v, &own));
    }
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_attention(r->tape, q, k, v, &s)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_side_attention = {
    .name = "side_attention",
    .about = "softmax(q k^T + q' k'^T) of x and of a stream beside it",
    .source = "Wang et al. 2022, arXiv 2202.13669, eq. 3-4",
    .keys = keys,
    .slots = slots,
    .inputs = "x side? mask?",
    .outputs = "y attention? side?",
    .example = "{\"heads\": \"=max(1, dim // 32)\", \"side_dim\": \"=2 * (dim // 4)\", \"side_key_dim\": 8}",
    .time = "T*T",
    .flops = "6*heads*(key_dim + side_key_dim)*T*T",
    .bf16 = 0.012,
    .traits = WF_PADDING_INERT | WF_PERMUTATION,
    .companion = "mlp",
    .run = run};
