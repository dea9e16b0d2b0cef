/* retention.c - retention (Sun et al. 2023, arXiv 2307.08621, eq. 5-8): S_t = gamma_h S_{t-1} + k_t v_t^T, o_t = S_t^T q_t,
 * queries and keys turned by their position, gamma_h = 1 - 2^(-5-h). References: torchscale 0.3.0 (parallel: clamped_sum,
 * recurrent: decay), fla's plain form. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 2, NULL, "channels of a key, per head; even"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"rotation", WF_KEY_STRING, "'linspace'", 0, "linspace|rope",
     "angles 10000^-linspace(0,1), interleaved pairs, or rotary halves"},
    {"row_norm", WF_KEY_STRING, "'decay'", 0, "decay|clamped_sum|none", "row factors before the norm of a head"},
    {"gate", WF_KEY_STRING, "'silu'", 0, "silu|sigmoid", "activation of the output gate"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the norm of a head"},
    {"norm_affine", WF_KEY_BOOL, "false", 0, NULL, "a weight on that norm"},
    {0}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"norm.weight", "[value_dim]", "ones", "norm_affine", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {
    {"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, NULL, 0},
    {"z", WF_STATE_FIXED, "[heads, key_dim]", NULL, "row_norm == 'clamped_sum'", 0}, /* what the clamp sums */
    {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    int64_t width = wf_int(l, "key_dim");
    WF_CHECK(width % 2 == 0, err, WEFT_USAGE, "'key_dim' (%lld) must be even: its channels turn in pairs", (long long)width);
    return WEFT_OK;
}

/* Angles of pair p: 10000^(-p/(K/2-1)), the endpoint included, or rotary 10000^(-2p/K). Keys also carry K^-1/2. */
static wf_tensor *turn(wf_run *r, const wf_layer *l, wf_tensor *x, float magnitude) {
    int64_t width = wf_int(l, "key_dim"), pairs = width / 2;
    bool rope = wf_is(l, "rotation", "rope");
    double steps = rope ? (double)pairs : pairs > 1 ? (double)(pairs - 1) : 1.0;
    double *frequencies = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)pairs * sizeof *frequencies);
    if (!frequencies)
        return wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    for (int64_t p = 0; p < pairs; p++)
        frequencies[p] = pow(10000.0, -(double)p / steps);
    wf_rotate_args args = {.pairs = pairs, .interleaved = !rope, .frequencies = frequencies, .magnitude = magnitude};
    return wf_rotate(r->tape, wf_split_heads(r, x, wf_int(l, "heads"), width), &args);
}

static const float *log_gammas(wf_run *r, int64_t heads) {
    float *g = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)heads * sizeof *g);
    for (int64_t h = 0; g && h < heads; h++)
        g[h] = (float)log1p(-exp2(-5.0 - (double)h));
    return g;
}

static wf_tensor *normalise_rows(wf_run *r, const wf_layer *l, wf_tensor *o, wf_tensor *q, wf_tensor *k, const float *g) {
    bool clamped = wf_is(l, "row_norm", "clamped_sum");
    wf_tensor *z = NULL;
    if (wf_is(l, "row_norm", "none"))
        return o;
    wf_decay_norm_spec spec = {.g = g};
    if (clamped) {
        spec.q = q;
        spec.k = k;
        spec.z_in = wf_state_in(r, l, "z");
        spec.z_out = wf_state_wanted(r) ? &z : NULL;
    }
    o = wf_decay_norm(r->tape, o, &spec);
    wf_state_out(r, l, "z", z);
    return o;
}

/* The row factors count the rows before. */
static unsigned lost_traits(const wf_layer *l) { return wf_is(l, "row_norm", "none") ? WF_PADDING_TRACE : 0u; }

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads");
    const float *g = log_gammas(r, heads);
    wf_tensor *s = NULL, *q = turn(r, l, wf_project(r, l, "q", io->x), 1.0f);
    wf_tensor *k = turn(r, l, wf_mask_rows(r->tape, wf_project(r, l, "k", io->x), io->mask),
                        (float)pow((double)wf_int(l, "key_dim"), -0.5));
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", io->x), heads, wf_int(l, "value_dim"));
    wf_recurrence_spec spec = {.decay = WF_DECAY_CONST,
                               .g_const = g,
                               .scale = 1.0f,
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = normalise_rows(r, l, wf_recurrence(r->tape, q, k, v, &spec), q, k, g);
    io->y =
        wf_finish_heads(r, l, o, wf_project(r, l, "gate", io->x), (wf_activation)wf_activation_by_name(wf_string(l, "gate")));
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}

const wf_mixer wf_mixer_retention = {.name = "retention",
                                     .about = "S = gamma S + k v^T, o = norm(q S), gated",
                                     .source = "Sun et al. 2023, arXiv 2307.08621, eq. 5-8",
                                     .keys = keys,
                                     .slots = slots,
                                     .states = states,
                                     .inputs = "x mask?",
                                     .outputs = "y",
                                     .flops = "4*T*heads*key_dim*value_dim",
                                     .bf16 = 0.03,
                                     .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                     .lost_traits = lost_traits,
                                     .companion = "glu",
                                     .check = check,
                                     .run = run};
