/* based.c - linear attention with polynomial feature maps: weights 1 + z + z^2/2 (Based, Arora et al. 2024, arXiv 2402.18668,
 * section 4.1) or z^2 of normed queries and keys (ReBased, Aksenov et al. 2024, arXiv 2402.10644, eq. 9), z = q.k / sqrt(K),
 * divided by their sum. References: fla naive_parallel_based, naive_parallel_rebased. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL,
     "channels of a key, per head; small: the state has their square"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    {"feature", WF_KEY_STRING, "'taylor'", 0, "taylor|rebased", "1 + z + z^2/2, or z^2 after a learned norm"},
    {"eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "added to the denominator"},
    {0}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"feature.weight", "[key_dim]", "ones", "feature == 'rebased'", NULL, false, NULL},
                                {"feature.bias", "[key_dim]", "zeros", "feature == 'rebased'", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

/* Monomials of a key: those of degree 2, and with taylor also 1 and the channels themselves. */
#define MONOMIALS "key_dim*(key_dim + 1) // 2 + (feature == 'taylor' ? key_dim + 1 : 0)"
static const wf_state_slot states[] = {{"s", WF_STATE_FIXED, "[heads, " MONOMIALS ", value_dim + 1]", NULL, "causal", 0}, {0}};

/* phi(q).phi(k) is the weight; queries carry K^-1/2. */
static wf_tensor *features(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, float scale) {
    wf_tensor *y =
        wf_cast(r->tape, wf_split_heads(r, wf_project(r, l, name, x), wf_int(l, "heads"), wf_int(l, "key_dim")), WF_F32);
    bool taylor = wf_is(l, "feature", "taylor");
    if (!taylor)
        y = wf_layer_norm(r->tape, y, wf_weight(r, l, "feature.weight"), wf_weight(r, l, "feature.bias"), 0.0f, 1e-5f);
    return wf_quadratic(r->tape, scale == 1.0f ? y : wf_scale(r->tape, y, scale), taylor);
}

/* The sums of weights are one more channel of the values, all ones: a weight z^2 is made of monomials that nearly cancel where
 * z is small, and numerator and denominator of the first rows then have the same rounding. */
static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    bool causal = wf_flag(l, "causal");
    int64_t width = wf_int(l, "value_dim");
    wf_tensor *s = NULL, *q = features(r, l, "q", io->x, 1.0f / sqrtf((float)wf_int(l, "key_dim")));
    wf_tensor *k = wf_mask_rows(t, features(r, l, "k", io->x, 1.0f), io->mask);
    wf_tensor *v = wf_split_heads(r, wf_cast(t, wf_project(r, l, "v", io->x), WF_F32), wf_int(l, "heads"), width);
    wf_tensor *ones = wf_affine(t, wf_slice_channels(t, v, 0, 1), 0.0f, 1.0f), *both = wf_join_channels(t, v, ones);
    wf_recurrence_spec spec = {
        .scale = 1.0f, .s_in = causal ? wf_state_in(r, l, "s") : NULL, .s_out = causal && wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = causal ? wf_recurrence(t, q, k, both, &spec) : wf_full_linear(t, q, k, both);
    wf_tensor *sums = wf_slice_channels(t, o, width, 1);
    const wf_normalise_spec norm = {.eps = (float)wf_float(l, "eps")}; /* by the sums times one */
    o = wf_normalise_sum(t, wf_slice_channels(t, o, 0, width), sums, wf_time_slice(t, ones, 0, 1), &norm);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_based = {.name = "based",
                                 .about = "linear attention with weights 1 + z + z^2/2 or z^2",
                                 .source = "Arora et al. 2024, arXiv 2402.18668; Aksenov et al. 2024, arXiv 2402.10644",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x mask?",
                                 .outputs = "y",
                                 .flops = "2*T*heads*key_dim*key_dim*(value_dim + 1)",
                                 .bf16 = 0.012,
                                 .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION,
                                 .companion = "glu",
                                 .run = run};
