/* differential.c - the difference of two softmax maps over pairs of values: noise that both maps share cancels. Ye et al. 2024
 * (arXiv 2410.05258, eq. 1-3), with the heads laid out as transformers' DiffLlama does: maps h and h + heads/2 make a pair. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/rope.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 2, NULL, "softmax maps, two for each head of the result; even"},
    {"kv_heads", WF_KEY_INT, "heads", 2, NULL, "key and value heads, even; heads is a multiple"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per kv head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    WF_PREFIX_KEY,
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
    {"rope", WF_KEY_OBJECT, "null", 0, "['theta', 10000.0, 'dim', key_dim, 'pairing', 'half', 'scaling', null]",
     "rotary positions {theta, dim, pairing, scaling}"},
    {"layer", WF_KEY_INT, "0", 0, NULL, "number of the layer, from 0: what lambda_init depends on"},
    {"lambda_init", WF_KEY_FLOAT, "0.8 - 0.6*exp(-0.3*layer)", 0, NULL, "constant part of lambda"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the norm over a head's result"},
    {NULL}};

static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q.bias", "[heads*key_dim]", "zeros", "has(bias, 'q')", NULL, false, NULL},
                                {"k.weight", "[kv_heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.bias", "[kv_heads*key_dim]", "zeros", "has(bias, 'k')", NULL, false, NULL},
                                {"v.weight", "[kv_heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.bias", "[kv_heads*value_dim]", "zeros", "has(bias, 'v')", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
                                {"lambda_q1", "[key_dim]", "normal:0.1", NULL, NULL, false, NULL},
                                {"lambda_k1", "[key_dim]", "normal:0.1", NULL, NULL, false, NULL},
                                {"lambda_q2", "[key_dim]", "normal:0.1", NULL, NULL, false, NULL},
                                {"lambda_k2", "[key_dim]", "normal:0.1", NULL, NULL, false, NULL},
                                {NULL}};

static const wf_state_slot states[] = {{"k1", WF_STATE_APPEND, "[kv_heads // 2, key_dim]", NULL, NULL, 0},
                                       {"k2", WF_STATE_APPEND, "[kv_heads // 2, key_dim]", NULL, NULL, 0},
                                       {"v", WF_STATE_APPEND, "[kv_heads // 2, 2*value_dim]", NULL, NULL, 0},
                                       {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    static const char *const names[] = {"q", "k", "v", "o"};
    int64_t heads = wf_int(l, "heads"), groups = wf_int(l, "kv_heads");
    WF_CHECK(heads % 2 == 0 && groups % 2 == 0, err, WEFT_USAGE, "'heads' (%lld) and 'kv_heads' (%lld) must be even",
             (long long)heads, (long long)groups);
    WF_CHECK(heads % groups == 0, err, WEFT_USAGE, "'heads' (%lld) must be a multiple of 'kv_heads' (%lld)", (long long)heads,
             (long long)groups);
    WF_TRY(wf_check_bias(l, names, sizeof names / sizeof *names, err));
    WF_TRY(wf_check_prefix(l, err));
    return wf_given(l, "rope") ? wf_rope_check(l->mem, wf_get(l, "rope")->object, wf_int(l, "key_dim"), err) : WEFT_OK;
}

/* Heads of one half of a projection: half 0 or 1. */
static wf_tensor *half_of(wf_run *r, wf_tensor *x, int half, int64_t heads, int64_t width) {
    int64_t n = heads / 2 * width;
    return wf_split_heads(r, wf_slice_channels(r->tape, x, half * n, n), heads / 2, width);
}

/* exp(q.k) */
static wf_tensor *exp_dot(wf_run *r, const wf_layer *l, const char *q, const char *k) {
    int64_t dims[2] = {1, wf_int(l, "key_dim")};
    wf_tensor *dot = wf_linear_as(r->tape, wf_reshape(r->tape, wf_weight(r, l, q), 2, dims),
                                  wf_reshape(r->tape, wf_weight(r, l, k), 2, dims), NULL, WF_F32);
    return wf_activate(r->tape, dot, WF_EXP);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), groups = wf_int(l, "kv_heads"), width = wf_int(l, "key_dim"),
            value = wf_int(l, "value_dim");
    wf_tape *t = r->tape;
    float init = (float)wf_float(l, "lambda_init");
    wf_tensor *q = wf_project(r, l, "q", io->x), *k = wf_project(r, l, "k", io->x), *v = wf_project(r, l, "v", io->x), *map[2];
    v = wf_state_append(r, l, "v", wf_join_channels(t, half_of(r, v, 0, groups, value), half_of(r, v, 1, groups, value)));
    for (int half = 0; half < 2; half++) {
        wf_tensor *qh = wf_turn_heads(r, l, half_of(r, q, half, heads, width), io);
        wf_tensor *kh = wf_state_append(r, l, half ? "k2" : "k1", wf_turn_heads(r, l, half_of(r, k, half, groups, width), io));
        wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)width),
                                  .dropout = r->attention_dropout,
                                  .causal = wf_flag(l, "causal"),
                                  .left = INT64_MAX,
                                  .right = INT64_MAX,
                                  .key_mask = io->mask,
                                  .prefix = io->prefix,
                                  .q_segments = io->segments,
                                  .k_segments = io->segments,
                                  .offset_from_start = wf_state_wanted(r),
                                  .cached = wf_state_wanted(r) && r->mode == WF_STATE_IN_PLACE};
        map[half] = wf_attention(t, qh, kh, v, &spec);
    }
    /* a1 - (e1 - e2 + init) a2 */
    wf_tensor *lambda =
        wf_add_scaled(t, exp_dot(r, l, "lambda_q1", "lambda_k1"), exp_dot(r, l, "lambda_q2", "lambda_k2"), -1.0f);
    wf_tensor *y = wf_add_scaled(t, wf_add_scaled(t, map[0], map[1], -init), wf_scale_by(t, map[1], lambda), -1.0f);
    y = wf_scale(t, wf_rms_norm(t, y, NULL, 0.0f, (float)wf_float(l, "norm_eps")), 1.0f - init);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, y));
    return WEFT_OK;
}

const wf_mixer wf_mixer_differential = {.name = "differential",
                                        .about = "(softmax(q1 k1^T) - lambda softmax(q2 k2^T)) v, normed",
                                        .source = "Ye et al. 2024, arXiv 2410.05258, eq. 1-3",
                                        .keys = keys,
                                        .slots = slots,
                                        .states = states,
                                        .inputs = "x mask? positions? segments? prefix?",
                                        .outputs = "y",
                                        .example = "{\"heads\": \"=2*max(1, dim // 64)\", \"key_dim\": 32, \"causal\": true}",
                                        .time = "T*T",
                                        .flops = "2*heads*(key_dim + 2*value_dim) * T * (causal ? (T + 1) / 2 : T)",
                                        .bf16 = 0.06,
                                        .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION,
                                        .companion = "glu",
                                        .check = check,
                                        .run = run};
