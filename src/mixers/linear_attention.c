/* linear_attention.c - softmax replaced by a feature map (Katharopoulos et al. 2020, arXiv 2006.16236, eq. 5-12): with
 * S = sum phi(k) v^T and z = sum phi(k), running or over all keys, o = S^T phi(q) / (phi(q).z + eps). */
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"memory_dim", WF_KEY_INT, "dim", 1, NULL, "width of what keys and values come from"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
    {"feature", WF_KEY_STRING, "'elu1'", 0, "elu1|relu|relu2|softplus|exp|sigmoid|silu|identity",
     "the feature map of queries and keys"},
    {"eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "added to the denominator"},
    {"scale", WF_KEY_FLOAT, "1.0", 0, NULL, "of the queries, after the feature map"},
    {"normalise", WF_KEY_BOOL, "true", 0, NULL, "divide by the sum of the weights"},
    {0}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q.bias", "[heads*key_dim]", "zeros", "has(bias, 'q')", NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, memory_dim]", "linear", NULL, NULL, false, NULL},
                                {"k.bias", "[heads*key_dim]", "zeros", "has(bias, 'k')", NULL, false, NULL},
                                {"v.weight", "[heads*value_dim, memory_dim]", "linear", NULL, NULL, false, NULL},
                                {"v.bias", "[heads*value_dim]", "zeros", "has(bias, 'v')", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, "causal", 0},
                                       {"z", WF_STATE_FIXED, "[heads, key_dim]", NULL, "causal && normalise", 0},
                                       {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    return wf_check_bias(l, (const char *const[]){"q", "k", "v", "o"}, 4, err);
}

static wf_tensor *features(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, wf_tensor *mask) {
    int kind = wf_activation_by_name(wf_string(l, "feature"));
    x = wf_mask_rows(r->tape, wf_activate(r->tape, wf_project(r, l, name, x), (wf_activation)kind), mask);
    return wf_split_heads(r, x, wf_int(l, "heads"), wf_int(l, "key_dim"));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *memory = io->memory ? io->memory : io->x, *mask = io->memory ? io->memory_mask : io->mask, *s = NULL, *z = NULL;
    wf_tensor *q = features(r, l, "q", io->x, NULL), *k = features(r, l, "k", memory, mask);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", memory), wf_int(l, "heads"), wf_int(l, "value_dim")), *o;
    bool causal = wf_flag(l, "causal"), out = causal && wf_state_wanted(r);
    double scale = wf_float(l, "scale");
    if (causal && io->memory) {
        wf_tape_error(r->tape, WEFT_UNSUPPORTED, "%s: linear_attention with 'causal' reads no memory", l->where);
        return WEFT_UNSUPPORTED;
    }
    if (scale != 1.0)
        q = wf_scale(r->tape, q, (float)scale);
    wf_recurrence_spec spec = {.scale = 1.0f, .s_in = causal ? wf_state_in(r, l, "s") : NULL, .s_out = out ? &s : NULL};
    o = causal ? wf_recurrence(r->tape, q, k, v, &spec) : wf_full_linear(r->tape, q, k, v);
    if (wf_flag(l, "normalise")) {
        wf_normalise_spec norm = {.causal = causal,
                                  .eps = (float)wf_float(l, "eps"),
                                  .z_in = causal ? wf_state_in(r, l, "z") : NULL,
                                  .z_out = out ? &z : NULL};
        o = wf_normalise_sum(r->tape, o, q, k, &norm);
    }
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    wf_state_out(r, l, "s", s);
    wf_state_out(r, l, "z", z);
    return WEFT_OK;
}

const wf_mixer wf_mixer_linear_attention = {.name = "linear_attention",
                                            .about = "phi(q) sum phi(k) v^T / phi(q).sum phi(k)",
                                            .source = "Katharopoulos et al. 2020, arXiv 2006.16236",
                                            .keys = keys,
                                            .slots = slots,
                                            .states = states,
                                            .inputs = "x memory? memory_mask? mask?",
                                            .outputs = "y",
                                            .flops = "4*T*heads*key_dim*value_dim",
                                            .bf16 = 0.01,
                                            .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION,
                                            .companion = "glu",
                                            .check = check,
                                            .run = run};
