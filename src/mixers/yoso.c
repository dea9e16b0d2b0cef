/* yoso.c - attention by the chance that rows hash alike, in expectation (YOSO, Zeng et al. 2021, arXiv 2111.09714, section 3):
 * o_i = unit(sum_j (1 - arccos(q_i . k_j) / pi)^bits v_j) on unit q and k, and a convolution of the values per head beside it.
 * Padding is not masked, but for the convolution; the backward is the paper's surrogate. */
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a query, key or value, per head"},
    {"bits", WF_KEY_INT, "9", 1, NULL, "of a hash"},
    {"conv", WF_KEY_INT, "null", 1, NULL, "taps of the convolution, odd; null: none"},
    {NULL}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q.bias", "[heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.bias", "[heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.bias", "[heads*key_dim]", "zeros", NULL, NULL, false, NULL},
                                {"conv.weight", "[heads, 1, conv]", "uniform:0.3", "conv != null", NULL, false, NULL},
                                {"o.weight", "[dim, heads*key_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(!wf_given(l, "conv") || wf_int(l, "conv") % 2 == 1, err, WEFT_USAGE, "'conv' must be odd");
    return wf_int(l, "bits") <= 64 ? WEFT_OK : wf_fail(err, WEFT_USAGE, "'bits' must be at most 64");
}

static wf_tensor *heads_of(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x) {
    return wf_split_heads(r, wf_project_f32(r, l, name, x), wf_int(l, "heads"), wf_int(l, "key_dim"));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    const float eps = 1e-12f; /* of the reference's division by a length */
    wf_tape *t = r->tape;
    wf_tensor *q = wf_unit(t, heads_of(r, l, "q", io->x), WF_UNIT_FLOORED, eps),
              *k = wf_unit(t, heads_of(r, l, "k", io->x), WF_UNIT_FLOORED, eps), *v = heads_of(r, l, "v", io->x);
    wf_tensor *o = wf_unit(t, wf_collide(t, q, k, v, wf_int(l, "bits")), WF_UNIT_FLOORED, eps);
    if (wf_given(l, "conv"))
        o = wf_add(t, o, wf_conv_heads(t, wf_mask_rows(t, v, io->mask), wf_weight(r, l, "conv.weight")));
    io->y = wf_project(r, l, "o", o ? wf_merge_heads(r, o) : NULL);
    return WEFT_OK;
}

/* The convolution knows an order. */
static unsigned lost_traits(const wf_layer *l) { return wf_given(l, "conv") ? WF_PERMUTATION : 0u; }

const wf_mixer wf_mixer_yoso = {.name = "yoso",
                                .about = "values weighed by the chance that query and key hash alike",
                                .source = "Zeng et al. 2021, arXiv 2111.09714, section 3",
                                .keys = keys,
                                .slots = slots,
                                .inputs = "x mask?",
                                .outputs = "y",
                                .time = "T*T",
                                .flops = "4*heads*key_dim*T*T",
                                .bf16 = 0.02,
                                .traits = WF_PERMUTATION,
                                .lost_traits = lost_traits,
                                .companion = "mlp",
                                .check = check,
                                .run = run};
