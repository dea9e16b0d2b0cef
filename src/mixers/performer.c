/* performer.c - linear attention with random features (Choromanski et al. 2021, arXiv 2009.14794): FAVOR+ estimates softmax by
 * phi(u) = R^-1/2 (e^{W u - |u|^2/2 - st} + eps), u = x K^-1/4, and the generalised kernel is relu(W u) + eps. The key
 * stabiliser is the largest feature of the whole sequence: it is there for parity with the reference and keeps such a layer
 * from streaming. Reference: performer-pytorch SelfAttention. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    {"bias", WF_KEY_LIST, "['o']", 0, NULL, "projections with a bias, of q k v o"},
    {"kernel", WF_KEY_STRING, "'softmax'", 0, "softmax|relu", "what the features estimate"},
    {"rows", WF_KEY_INT, "max(1, int(key_dim * ln(key_dim + 1)))", 0, NULL,
     "random directions; 0: none, features of u itself (relu)"},
    {"feature_eps", WF_KEY_FLOAT, "0.0", 0, NULL, "added to every feature"},
    {"stabiliser", WF_KEY_STRING, "'none'", 0, "max|none", "what is subtracted in the exponent"},
    {"mask_keys", WF_KEY_STRING, "'features'", 0, "features|values", "what padding loses: all, or its values only"},
    {"eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "added to the sum of the keys"},
    {"ortho_scaling", WF_KEY_FLOAT, "0.0", 0, NULL, "lengths of the directions: 0 as of normal vectors, 1 all sqrt(K)"},
    {"redraw", WF_KEY_INT, "0", 0, NULL, "training draws new directions after every so many updates; 0: never"},
    {0}};

/* Less of a row in the direction of another. */
static void take_away(float *row, const float *other, int64_t n) {
    double along = 0.0, norm = 0.0;
    for (int64_t i = 0; i < n; i++) {
        along += (double)row[i] * (double)other[i];
        norm += (double)other[i] * (double)other[i];
    }
    for (int64_t i = 0; i < n; i++)
        row[i] -= (float)(along / norm * (double)other[i]);
}

static double length(const float *row, int64_t n) {
    double squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)row[i] * (double)row[i];
    return sqrt(squares);
}

/* Directions in orthogonal blocks of K (the paper's section 2.4): Gram-Schmidt of normal vectors, which keep their lengths, or
 * get those that normal vectors have on average. */
static void start_directions(float *value, const int64_t *dims, wf_rng rng, bool same_length) {
    int64_t width = dims[1];
    for (int64_t r = 0; r < dims[0]; r++) {
        float *row = value + r * width;
        for (int64_t i = 0; i < width; i++)
            row[i] = (float)wf_rng_normal(rng, (uint64_t)(r * width + i));
        double wanted = same_length ? sqrt((double)width) : length(row, width);
        for (int64_t before = r / width * width; before < r; before++)
            take_away(row, value + before * width, width);
        double scale = wanted / length(row, width);
        for (int64_t i = 0; i < width; i++)
            row[i] *= (float)scale;
    }
}

static void start_free(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)count;
    start_directions(value, dims, rng, false);
}

static void start_equal(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)count;
    start_directions(value, dims, rng, true);
}

/* New directions by the number of the update (section 4.2 of the paper). */
static void redraw_free(wf_param *p, const wf_buffer_change *change) {
    start_directions(p->value, p->dims, change->rng, false);
}
static void redraw_equal(wf_param *p, const wf_buffer_change *change) {
    start_directions(p->value, p->dims, change->rng, true);
}

static const wf_slot slots[] = {
    {"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"q.bias", "[heads*key_dim]", "zeros", "has(bias, 'q')", NULL, false, NULL},
    {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"k.bias", "[heads*key_dim]", "zeros", "has(bias, 'k')", NULL, false, NULL},
    {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"v.bias", "[heads*value_dim]", "zeros", "has(bias, 'v')", NULL, false, NULL},
    {"features", "[rows, key_dim]", "custom", "rows > 0 && ortho_scaling == 0", NULL, true, start_free},
    {"features", "[rows, key_dim]", "custom", "rows > 0 && ortho_scaling == 1", NULL, true, start_equal},
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
    {0}};

static const wf_state_slot states[] = {
    {"s", WF_STATE_FIXED, "[heads, rows > 0 ? rows : key_dim, value_dim]", NULL, "causal", 0},
    {"z", WF_STATE_FIXED, "[heads, rows > 0 ? rows : key_dim]", NULL, "causal", 0},
    {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    bool softmax = wf_is(l, "kernel", "softmax");
    double scaling = wf_float(l, "ortho_scaling");
    WF_CHECK(!softmax || wf_int(l, "rows") > 0, err, WEFT_USAGE,
             "the softmax kernel needs 'rows': features without directions are those of relu");
    WF_CHECK(scaling == 0.0 || scaling == 1.0, err, WEFT_USAGE, "'ortho_scaling' is 0 or 1");
    WF_CHECK(wf_int(l, "redraw") == 0 || wf_int(l, "rows") > 0, err, WEFT_USAGE,
             "'redraw' needs rows: there are no directions to draw");
    return wf_check_bias(l, (const char *const[]){"q", "k", "v", "o"}, 4, err);
}

/* The largest feature of the whole sequence looks ahead, and at padding. */
static unsigned lost_traits(const wf_layer *l) {
    bool ahead = wf_is(l, "kernel", "softmax") && wf_is(l, "stabiliser", "max");
    return (ahead ? WF_CAUSAL : 0u) | (ahead || wf_is(l, "mask_keys", "values") ? WF_PADDING_INERT : 0u);
}

static wf_tensor *features(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, wf_favor_stabiliser stabiliser) {
    wf_tape *t = r->tape;
    float eps = (float)wf_float(l, "feature_eps");
    wf_tensor *u = wf_split_heads(r, wf_project_f32(r, l, name, x), wf_int(l, "heads"), wf_int(l, "key_dim")), *h = u;
    u = wf_scale(t, u, (float)pow((double)wf_int(l, "key_dim"), -0.25));
    h = wf_int(l, "rows") > 0 ? wf_linear_exact(t, u, wf_weight(r, l, "features"), NULL) : u;
    if (wf_is(l, "kernel", "softmax"))
        return wf_favor(t, h, u, wf_is(l, "stabiliser", "max") ? stabiliser : WF_FAVOR_NONE, eps);
    return wf_affine(t, wf_activate(t, h, WF_RELU), 1.0f, eps);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    bool causal = wf_flag(l, "causal"), out = causal && wf_state_wanted(r), values = wf_is(l, "mask_keys", "values");
    wf_tensor *s = NULL, *z = NULL, *q = features(r, l, "q", io->x, WF_FAVOR_ROW),
              *k = features(r, l, "k", io->x, WF_FAVOR_SEQUENCE), *o;
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", io->x), wf_int(l, "heads"), wf_int(l, "value_dim"));
    k = wf_mask_rows(r->tape, k, values ? NULL : io->mask);
    v = wf_mask_rows(r->tape, v, values ? io->mask : NULL);
    wf_recurrence_spec spec = {.scale = 1.0f, .s_in = causal ? wf_state_in(r, l, "s") : NULL, .s_out = out ? &s : NULL};
    wf_normalise_spec norm = {.causal = causal,
                              .eps_inside = true,
                              .eps = (float)wf_float(l, "eps"),
                              .z_in = causal ? wf_state_in(r, l, "z") : NULL,
                              .z_out = out ? &z : NULL};
    o = causal ? wf_recurrence(r->tape, q, k, v, &spec) : wf_full_linear(r->tape, q, k, v);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_normalise_sum(r->tape, o, q, k, &norm)));
    if (wf_int(l, "redraw") > 0)
        wf_move_buffer(r, &(wf_buffer_update){.param = wf_slot_param(l, "features"),
                                              .apply = wf_float(l, "ortho_scaling") == 1.0 ? redraw_equal : redraw_free,
                                              .every = wf_int(l, "redraw")});
    wf_state_out(r, l, "s", s);
    wf_state_out(r, l, "z", z);
    return WEFT_OK;
}

const wf_mixer wf_mixer_performer = {.name = "performer",
                                     .about = "linear attention whose random features estimate softmax",
                                     .source = "Choromanski et al. 2021, arXiv 2009.14794, section 2.3-2.4",
                                     .keys = keys,
                                     .slots = slots,
                                     .states = states,
                                     .inputs = "x mask?",
                                     .outputs = "y",
                                     .flops = "4*T*heads*rows*value_dim + 4*T*heads*rows*key_dim",
                                     .bf16 = 0.01,
                                     .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION,
                                     .lost_traits = lost_traits,
                                     .streams = "kernel == 'relu' || stabiliser == 'none'",
                                     .companion = "mlp",
                                     .check = check,
                                     .run = run};
