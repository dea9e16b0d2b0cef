/* attention.c - multi-head softmax attention with grouped keys, windows, prefixes, segments and every position scheme.
 * Vaswani et al. 2017 (arXiv 1706.03762, eq. 1); GQA Ainslie et al. 2023 (arXiv 2305.13245). The model row of the table. */
#include <math.h>
#include <stdio.h>
#include "base/str.h"
#include "mixers/mixer.h"
#include "parts/chunk.h"
#include "parts/rope.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "query heads"},
    {"kv_heads", WF_KEY_INT, "heads", 1, NULL, "key and value heads; heads is a multiple"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"memory_dim", WF_KEY_INT, "dim", 1, NULL, "width of what keys and values come from"},
    {"out_dim", WF_KEY_INT, "dim", 1, NULL, "width of y"},
    {"low_rank", WF_KEY_INT, "null", 1, NULL, "products of two matrices of this rank are added to those of q, k and v"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    WF_PREFIX_KEY,
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o gate dynamic"},
    {"scale", WF_KEY_FLOAT, "pow(key_dim, -0.5)", 0, NULL, "of the scores"},
    {"softcap", WF_KEY_FLOAT, "0.0", 0, NULL, "c*tanh(score/c); 0 is off"},
    {"window", WF_KEY_LIST, "null", 0, NULL, "[left, right] keys visible beside row i, inclusive; null is no limit"},
    {"chunk", WF_KEY_INT, "null", 1, NULL,
     "causal: rows of a chunk, and a row sees its own chunk only; instead of window, prefix, segments and biases"},
    {"rope", WF_KEY_OBJECT, "null", 0,
     "['theta', 10000.0, 'dim', key_dim, 'pairing', 'half', 'reverse', false, 'scaling', null]",
     "rotary positions {theta, dim, pairing, reverse, scaling}"},
    {"rope_values", WF_KEY_BOOL, "false", 0, NULL, "values turn as keys do (RoFormer)"},
    {"xpos", WF_KEY_OBJECT, "null", 0, "['base', 512.0]", "xPos rotary decay {base}"},
    {"temper", WF_KEY_OBJECT, "null", 0, "['scale', 0.1, 'step', 8192.0]",
     "queries grow with their position p: times 1 + scale*log1p(floor((p + 1)/step)) {scale, step}"},
    {"alibi", WF_KEY_BOOL, "false", 0, NULL, "linear biases by distance"},
    {"alibi_keys", WF_KEY_BOOL, "false", 0, NULL,
     "linear biases by the number of the key, rounded to bfloat16 and scaled with the scores (Falcon)"},
    {"t5_bias", WF_KEY_OBJECT, "null", 0, "['buckets', 32, 'max_distance', 128, 'bidirectional', true]",
     "learned bias by distance {buckets, max_distance, bidirectional}"},
    {"relative", WF_KEY_OBJECT, "null", 0, "['of', 'query', 'length', 512]",
     "learned vectors by distance whose products with the query (`of`: query) or with query and key (both) are added to the "
     "scores {of, length}"},
    {"dynamic", WF_KEY_OBJECT, "null", 0, "['keep', 2048]",
     "a bias by the key, exp(a softplus(Lin(dynamic, v))) of all its values, and a row sees the `keep` keys of the largest "
     "{keep} "
     "(Doge)"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "default of qk_norm.eps"},
    {"qk_norm", WF_KEY_OBJECT, "null", 0,
     "['kind', 'rms', 'eps', norm_eps, 'scope', 'head', 'affine', true, 'bias', true, 'offset', 0.0, 'after_rope', false]",
     "norm of queries and keys {kind, eps, scope: a head, all heads at once or each head with a weight of its own, affine, "
     "bias (layer), offset of the weight, after_rope}"},
    {"clip", WF_KEY_FLOAT, "null", 0, NULL,
     "queries, keys and values are kept within -clip and clip, after the norm of all heads"},
    {"o_norm", WF_KEY_OBJECT, "null", 0, "['eps', norm_eps]", "RMS norm of what goes into o, over all heads {eps}"},
    {"gate", WF_KEY_BOOL, "false", 0, NULL, "what goes into o times sigmoid(Lin(gate, x))"},
    {"q_groups", WF_KEY_INT, "1", 1, NULL, "pieces of x and of the queries; each piece comes from one of x alone"},
    {"k_groups", WF_KEY_INT, "1", 1, NULL, "the same of the keys"},
    {"v_groups", WF_KEY_INT, "1", 1, NULL, "the same of the values"},
    {"o_groups", WF_KEY_INT, "1", 1, NULL, "the same of what the heads give, and y"},
    {"sinks", WF_KEY_BOOL, "false", 0, NULL, "one learned logit per head in the denominator"},
    {NULL}};

#define QK_WEIGHTED "qk_norm != null && qk_norm.affine"
#define QK_BIASED "qk_norm != null && qk_norm.kind == 'layer' && qk_norm.affine && qk_norm.bias"
#define QK_SHAPE(heads)                                                                                                        \
    "qk_norm.scope == 'all' ? [" heads "*key_dim] : qk_norm.scope == 'heads' ? [" heads ", key_dim] : [key_dim]"
static const wf_slot slots[] = {
    {"q.weight", WF_GROUPED("q_groups", "heads*key_dim", "dim"), "linear", NULL, NULL, false, NULL},
    {"q.bias", "[heads*key_dim]", "zeros", "has(bias, 'q')", NULL, false, NULL},
    {"k.weight", WF_GROUPED("k_groups", "kv_heads*key_dim", "memory_dim"), "linear", NULL, NULL, false, NULL},
    {"k.bias", "[kv_heads*key_dim]", "zeros", "has(bias, 'k')", NULL, false, NULL},
    {"v.weight", WF_GROUPED("v_groups", "kv_heads*value_dim", "memory_dim"), "linear", NULL, NULL, false, NULL},
    {"v.bias", "[kv_heads*value_dim]", "zeros", "has(bias, 'v')", NULL, false, NULL},
    {"o.weight", WF_GROUPED("o_groups", "out_dim", "heads*value_dim"), "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[out_dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
    {"q.low.weight", "[low_rank, dim]", "linear", "low_rank != null", NULL, false, NULL},
    {"q.high.weight", "[heads*key_dim, low_rank]", "zeros", "low_rank != null", NULL, false, NULL},
    {"k.low.weight", "[low_rank, memory_dim]", "linear", "low_rank != null", NULL, false, NULL},
    {"k.high.weight", "[kv_heads*key_dim, low_rank]", "zeros", "low_rank != null", NULL, false, NULL},
    {"v.low.weight", "[low_rank, memory_dim]", "linear", "low_rank != null", NULL, false, NULL},
    {"v.high.weight", "[kv_heads*value_dim, low_rank]", "zeros", "low_rank != null", NULL, false, NULL},
    {"q_norm.weight", QK_SHAPE("heads"), "ones", QK_WEIGHTED, NULL, false, NULL},
    {"q_norm.bias", QK_SHAPE("heads"), "zeros", QK_BIASED, NULL, false, NULL},
    {"k_norm.weight", QK_SHAPE("kv_heads"), "ones", QK_WEIGHTED, NULL, false, NULL},
    {"k_norm.bias", QK_SHAPE("kv_heads"), "zeros", QK_BIASED, NULL, false, NULL},
    {"o_norm.weight", "[heads*value_dim]", "ones", "o_norm != null", NULL, false, NULL},
    {"gate.weight", "[heads*value_dim, dim]", "linear", "gate", NULL, false, NULL},
    {"gate.bias", "[heads*value_dim]", "zeros", "gate && has(bias, 'gate')", NULL, false, NULL},
    {"sinks", "[heads]", "zeros", "sinks", NULL, false, NULL},
    {"relative.weight", "[2*(relative.length ?? 512) - 1, key_dim]", "table:0.02", "relative != null", NULL, false, NULL},
    {"dynamic.weight", "[kv_heads, kv_heads*value_dim]", "linear", "dynamic != null", NULL, false, NULL},
    {"dynamic.bias", "[kv_heads]", "zeros", "dynamic != null && has(bias, 'dynamic')", NULL, false, NULL},
    {"dynamic.a", "[kv_heads]", "zeros", "dynamic != null", NULL, false, NULL},
    {"rel_bias.weight", "[t5_bias.buckets ?? 32, heads]", "table:0.02", "t5_bias != null", NULL, false, NULL},
    {NULL}};

/* clang-format off */
#define RING "chunk != null ? chunk : dynamic == null && causal && !prefix_lm && window != null && window[0] != null " \
             "? window[0] + 1 : null"
/* clang-format on */
static const wf_state_slot states[] = {{"k", WF_STATE_APPEND, "[kv_heads, key_dim]", RING, NULL, 0},
                                       {"v", WF_STATE_APPEND, "[kv_heads, value_dim]", RING, NULL, 0},
                                       {"key_bias", WF_STATE_APPEND, "[kv_heads]", RING, "dynamic != null", 0},
                                       {"memory_k", WF_STATE_SOURCE, "[kv_heads, key_dim]", NULL, NULL, 0},
                                       {"memory_v", WF_STATE_SOURCE, "[kv_heads, value_dim]", NULL, NULL, 0},
                                       {NULL}};

static weft_status window_side(const wf_value *window, size_t i, int64_t *out, weft_error *err) {
    *out = INT64_MAX;
    if (window->type == WF_NULL || window->items[i].type == WF_NULL)
        return WEFT_OK;
    WF_CHECK(window->items[i].type == WF_INT && window->items[i].integer >= 0, err, WEFT_USAGE,
             "'window' must be [left, right], each null or an integer from 0");
    *out = window->items[i].integer;
    return WEFT_OK;
}

static weft_status check_qk_norm(const wf_json *norm, weft_error *err) {
    const char *kind = wf_json_text(norm, "kind", "rms"), *scope = wf_json_text(norm, "scope", "head");
    WF_CHECK(wf_streq(kind, "rms") || wf_streq(kind, "layer") || wf_streq(kind, "l2"), err, WEFT_USAGE,
             "'qk_norm': kind is rms, layer or l2, not '%s'", kind);
    WF_CHECK(wf_streq(scope, "head") || wf_streq(scope, "all") || wf_streq(scope, "heads"), err, WEFT_USAGE,
             "'qk_norm': scope is head, all or heads, not '%s'", scope);
    bool own = wf_streq(scope, "heads"),
         bias = wf_streq(kind, "layer") && wf_json_bool(norm, "bias", true) && wf_json_bool(norm, "affine", true);
    WF_CHECK(!own || !bias, err, WEFT_USAGE, "'qk_norm': heads with weights of their own have no bias");
    WF_CHECK(!own || wf_json_double(norm, "offset", 0.0) == 0.0, err, WEFT_USAGE,
             "'qk_norm': heads with weights of their own have no offset");
    return WEFT_OK;
}

static weft_status check_relative(const wf_layer *l, weft_error *err) {
    const wf_json *relative = wf_get(l, "relative")->object;
    const char *of = wf_json_text(relative, "of", "query");
    WF_CHECK(wf_streq(of, "query") || wf_streq(of, "both"), err, WEFT_USAGE, "'relative': 'of' is query or both, not '%s'", of);
    WF_CHECK(wf_json_int(relative, "length", 512) >= 1, err, WEFT_USAGE, "'relative': 'length' must be at least 1");
    WF_CHECK(wf_int(l, "heads") == wf_int(l, "kv_heads"), err, WEFT_USAGE,
             "'relative': every query head needs keys of its own");
    return WEFT_OK;
}

static weft_status check_chunk(const wf_layer *l, weft_error *err) {
    static const char *const others[] = {"window", "t5_bias", "relative", "xpos"};
    if (wf_given(l, "temper"))
        WF_CHECK(wf_json_double(wf_get(l, "temper")->object, "step", 8192.0) > 0.0, err, WEFT_USAGE,
                 "'temper': 'step' must be positive");
    if (!wf_given(l, "chunk"))
        return WEFT_OK;
    WF_CHECK(wf_flag(l, "causal"), err, WEFT_USAGE, "'chunk' needs 'causal'");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        WF_CHECK(!wf_given(l, others[i]), err, WEFT_USAGE, "'chunk' does not go with '%s'", others[i]);
    WF_CHECK(!wf_flag(l, "alibi") && !wf_flag(l, "alibi_keys"), err, WEFT_USAGE,
             "'chunk' goes neither with 'alibi' nor with 'alibi_keys'");
    return WEFT_OK;
}

static weft_status check_dynamic(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_json_int(wf_get(l, "dynamic")->object, "keep", 2048) >= 1, err, WEFT_USAGE,
             "'dynamic': 'keep' must be at least 1");
    WF_CHECK(!wf_given(l, "chunk") && !wf_given(l, "relative") && !wf_flag(l, "alibi_keys"), err, WEFT_USAGE,
             "'dynamic' goes neither with 'chunk' nor with 'relative' nor with 'alibi_keys'");
    return WEFT_OK;
}

static weft_status check_prefix(const wf_layer *l, weft_error *err) {
    static const char *const others[] = {"chunk", "dynamic"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        WF_CHECK(!wf_flag(l, "prefix_lm") || !wf_given(l, others[i]), err, WEFT_USAGE, "'prefix_lm' does not go with '%s'",
                 others[i]);
    return wf_check_prefix(l, err);
}

static weft_status check(const wf_layer *l, weft_error *err) {
    int64_t heads = wf_int(l, "heads"), groups = wf_int(l, "kv_heads"), side;
    int64_t dim = wf_int(l, "dim"), memory = wf_int(l, "memory_dim"), key = wf_int(l, "key_dim"),
            value = wf_int(l, "value_dim");
    const wf_value *window = wf_get(l, "window");
    WF_TRY(wf_check_groups(l, "q_groups", dim, heads * key, err));
    WF_TRY(wf_check_groups(l, "k_groups", memory, groups * key, err));
    WF_TRY(wf_check_groups(l, "v_groups", memory, groups * value, err));
    WF_TRY(wf_check_groups(l, "o_groups", heads * value, dim, err));
    WF_CHECK(heads % groups == 0, err, WEFT_USAGE, "'heads' (%lld) must be a multiple of 'kv_heads' (%lld)", (long long)heads,
             (long long)groups);
    WF_TRY(wf_check_bias(l, (const char *const[]){"q", "k", "v", "o", "gate", "dynamic"}, 6, err));
    if (window->type != WF_NULL) {
        WF_CHECK(window->count == 2, err, WEFT_USAGE, "'window' must be [left, right]");
        WF_TRY(window_side(window, 0, &side, err));
        WF_TRY(window_side(window, 1, &side, err));
    }
    if (wf_given(l, "rope"))
        WF_TRY(wf_rope_check(l->mem, wf_get(l, "rope")->object, wf_int(l, "key_dim"), err));
    WF_CHECK(!wf_flag(l, "alibi_keys") || (window->type == WF_NULL && !wf_given(l, "relative")), err, WEFT_USAGE,
             "'alibi_keys' goes neither with a window nor with 'relative'");
    WF_TRY(check_chunk(l, err));
    WF_TRY(check_prefix(l, err));
    if (wf_given(l, "qk_norm"))
        WF_TRY(check_qk_norm(wf_get(l, "qk_norm")->object, err));
    WF_CHECK(!wf_flag(l, "rope_values") || wf_int(l, "value_dim") == wf_int(l, "key_dim"), err, WEFT_USAGE,
             "'rope_values' needs values as wide as keys");
    if (wf_given(l, "relative"))
        WF_TRY(check_relative(l, err));
    if (wf_given(l, "dynamic"))
        WF_TRY(check_dynamic(l, err));
    return wf_given(l, "t5_bias") ? wf_check_t5_bias(wf_get(l, "t5_bias")->object, err) : WEFT_OK;
}

static bool norms(const wf_layer *l, const char *scope) {
    return wf_given(l, "qk_norm") && wf_streq(wf_json_text(wf_get(l, "qk_norm")->object, "scope", "head"), scope);
}

/* The norm of qk_norm over the last dimension, with weight and bias or without. */
static wf_tensor *normalise(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor *weight, wf_tensor *bias) {
    const wf_json *norm = wf_get(l, "qk_norm")->object;
    const char *kind = wf_json_text(norm, "kind", "rms");
    float eps = (float)wf_json_double(norm, "eps", wf_float(l, "norm_eps")),
          offset = weight ? (float)wf_json_double(norm, "offset", 0.0) : 0.0f;
    double n = x ? (double)wf_dim(x, -1) : 1.0;
    if (wf_streq(kind, "layer"))
        return wf_layer_norm(r->tape, x, weight, bias, offset, eps);
    if (wf_streq(kind, "rms"))
        return wf_rms_norm(r->tape, x, weight, offset, eps);
    /* x/sqrt(sum x^2 + eps) = rms(x, eps/n)/sqrt(n) */
    return wf_scale(r->tape, wf_rms_norm(r->tape, x, weight, offset, (float)((double)eps / n)), (float)(1.0 / sqrt(n)));
}

/* Weights of a head each: [heads, key_dim] times rows of all heads. */
static wf_tensor *weigh_heads(wf_run *r, wf_tensor *x, wf_tensor *weight) {
    int64_t heads = x ? x->dims[2] : 1, width = x ? x->dims[3] : 1;
    return weight
               ? wf_split_heads(r, wf_mul_rows(r->tape, wf_merge_heads(r, x), wf_reshape(r->tape, weight, 1, &weight->count)),
                                heads, width)
               : x;
}

/* The norm of queries or keys, x [B,T,heads,width], when its turn is before (or after) the rotation. */
static wf_tensor *norm_heads(wf_run *r, const wf_layer *l, const char *which, wf_tensor *x, bool after_rope) {
    const wf_json *norm = wf_get(l, "qk_norm")->object;
    char name[32];
    if (!norm || !x || wf_json_bool(norm, "after_rope", false) != after_rope)
        return x;
    int64_t heads = x->dims[2], width = x->dims[3];
    snprintf(name, sizeof name, "%s_norm.weight", which);
    wf_tensor *weight = wf_weight(r, l, name);
    snprintf(name, sizeof name, "%s_norm.bias", which);
    wf_tensor *bias = wf_weight(r, l, name);
    if (norms(l, "all"))
        return wf_split_heads(r, normalise(r, l, wf_merge_heads(r, x), weight, bias), heads, width);
    if (norms(l, "heads"))
        return weigh_heads(r, normalise(r, l, x, NULL, NULL), weight);
    return normalise(r, l, x, weight, bias);
}

static wf_tensor *clip(wf_run *r, const wf_layer *l, wf_tensor *x) {
    float most = wf_given(l, "clip") ? (float)wf_float(l, "clip") : 0.0f;
    return wf_given(l, "clip") ? wf_clamp(r->tape, x, -most, most) : x;
}

/* Queries, keys or values of all heads: [B,T,heads,width]. The norm of all heads at once comes before the clip, that of a head
 * after. */
static wf_tensor *heads_of(wf_run *r, const wf_layer *l, const char *which, wf_tensor *x, int64_t heads) {
    bool values = wf_streq(which, "v");
    x = wf_split_heads(r, wf_project(r, l, which, x), heads, wf_int(l, values ? "value_dim" : "key_dim"));
    if (values)
        return clip(r, l, x);
    if (norms(l, "all"))
        return clip(r, l, norm_heads(r, l, which, x, false));
    return norm_heads(r, l, which, clip(r, l, x), false);
}

/* Rows of x stand at `positions` or count on from what was seen; rows of a memory count from 0. */
static wf_tensor *turn(wf_run *r, const wf_layer *l, wf_tensor *x, const wf_ports *io, bool memory, int sign) {
    static const wf_json xpos_rope = {.kind = WF_JSON_OBJECT}; /* theta 10000, all channels */
    bool xpos = wf_given(l, "xpos");
    const wf_json *rope = wf_given(l, "rope") ? wf_get(l, "rope")->object : xpos ? &xpos_rope : NULL;
    wf_rotate_args args;
    weft_error err = {0};
    if (!rope)
        return x;
    if (wf_rope_args(wf_tape_arena(r->tape), rope, wf_int(l, "key_dim"), r->length, &args, &err) != WEFT_OK)
        return wf_tape_error(r->tape, err.status, "%s: %s", l->where, err.message);
    args.positions = memory ? NULL : io->positions;
    args.from_zero = memory;
    if (xpos) {
        args.interleaved = true;
        args.xpos_base = (float)wf_json_double(wf_get(l, "xpos")->object, "base", 512.0);
        args.xpos_sign = sign;
    }
    return wf_rotate(r->tape, x, &args);
}

static wf_attention_spec attention_spec(const wf_run *r, const wf_layer *l, const wf_ports *io, bool memory) {
    wf_attention_spec s = {.scale = (float)wf_float(l, "scale"),
                           .softcap = (float)wf_float(l, "softcap"),
                           .dropout = r->attention_dropout,
                           .causal = wf_flag(l, "causal"),
                           .sinks = wf_weight(r, l, "sinks"),
                           .prefix = io->prefix,
                           .key_mask = memory ? io->memory_mask : io->mask,
                           .q_segments = memory ? NULL : io->segments,
                           .k_segments = memory ? NULL : io->segments};
    (void)window_side(wf_get(l, "window"), 0, &s.left, NULL);
    (void)window_side(wf_get(l, "window"), 1, &s.right, NULL);
    if (wf_flag(l, "alibi"))
        s.slopes = wf_alibi_slopes(wf_tape_arena(r->tape), wf_int(l, "heads"));
    if (wf_given(l, "t5_bias")) {
        const wf_json *t5 = wf_get(l, "t5_bias")->object;
        s.rel_bias = wf_weight(r, l, "rel_bias.weight");
        s.buckets = wf_json_int(t5, "buckets", 32);
        s.max_distance = wf_json_int(t5, "max_distance", 128);
        s.bidirectional = wf_json_bool(t5, "bidirectional", true);
    }
    return s;
}

/* Rows of the table lie by distance i - j + length - 1; what is farther away has the last one. */
static wf_tensor *relative_bias(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *k, bool cached) {
    const wf_json *relative = wf_get(l, "relative")->object;
    wf_tensor *table = wf_weight(r, l, "relative.weight");
    int64_t length = wf_json_int(relative, "length", 512), count = 2 * length - 1;
    int32_t *index = q && k ? wf_arena_alloc(wf_tape_arena(r->tape), (size_t)count * sizeof *index) : NULL;
    if (!index)
        return q && k ? wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory") : NULL;
    for (int64_t d = 0; d < count; d++)
        index[d] = (int32_t)d;
    wf_relative_spec s = {.queries = q->dims[1],
                          .keys = k->dims[1],
                          .index = index,
                          .count = count,
                          .zero = length - 1,
                          .scale = (float)wf_float(l, "scale"),
                          .offset_from_start = cached};
    wf_tensor *bias = wf_relative(r->tape, q, table, &s);
    s.of_keys = true;
    return wf_streq(wf_json_text(relative, "of", "query"), "both") ? wf_add(r->tape, bias, wf_relative(r->tape, k, table, &s))
                                                                   : bias;
}

/* Keys and values of the rows of x or of a memory; those of a memory may have been kept. */
static void keys_of(wf_run *r, const wf_layer *l, const wf_ports *io, bool memory, wf_tensor **k, wf_tensor **v) {
    int64_t groups = wf_int(l, "kv_heads");
    wf_tensor *from = memory ? io->memory : io->x;
    *k = memory && io->x ? wf_state_source(r, l, "memory_k", NULL) : NULL;
    *v = memory && io->x ? wf_state_source(r, l, "memory_v", NULL) : NULL;
    if (*k)
        return;
    *k = norm_heads(r, l, "k", turn(r, l, heads_of(r, l, "k", from, groups), io, memory, -1), true);
    *v = heads_of(r, l, "v", from, groups);
    if (wf_flag(l, "rope_values"))
        *v = turn(r, l, *v, io, memory, -1);
    if (memory && !io->x) {
        wf_state_source(r, l, "memory_k", *k);
        wf_state_source(r, l, "memory_v", *v);
    }
}

/* The bias of every key by its values; `s` says which keys a row may see. */
static wf_tensor *dynamic_bias(wf_run *r, const wf_layer *l, wf_tensor *v, const wf_ports *io, const wf_attention_spec *s) {
    wf_tensor *z = wf_project_f32(r, l, "dynamic", wf_merge_heads(r, v));
    if (io->prefix || io->segments || io->memory)
        return wf_tape_error(r->tape, WEFT_UNSUPPORTED, "%s: 'dynamic' with a prefix, segments or a memory", l->where);
    z = wf_mul_rows(r->tape, wf_activate(r->tape, z, WF_SOFTPLUS), wf_weight(r, l, "dynamic.a"));
    z = wf_state_append(r, l, "key_bias", wf_activate(r->tape, z, WF_EXP));
    wf_keep_spec keep = {.heads = wf_int(l, "heads"),
                         .rows = r->rows,
                         .keep = wf_json_int(wf_get(l, "dynamic")->object, "keep", 2048),
                         .length = r->length,
                         .causal = s->causal,
                         .cached = s->cached,
                         .offset_from_start = s->offset_from_start,
                         .left = s->left,
                         .right = s->right};
    return wf_keep_keys(r->tape, z, s->key_mask, &keep);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads");
    bool memory = io->memory || wf_state_source(r, l, "memory_k", NULL);
    wf_tensor *k, *v, *q = io->x ? heads_of(r, l, "q", io->x, heads) : NULL;
    keys_of(r, l, io, memory, &k, &v);
    if (!io->x)
        return WEFT_OK;
    q = norm_heads(r, l, "q", turn(r, l, q, io, false, 1), true);
    wf_attention_spec spec = attention_spec(r, l, io, memory);
    if (wf_given(l, "temper")) {
        const wf_json *t = wf_get(l, "temper")->object;
        q = wf_temper(r->tape, q, io->positions, (float)wf_json_double(t, "scale", 0.1),
                      (float)wf_json_double(t, "step", 8192.0));
    }
    if (wf_given(l, "chunk"))
        spec.pattern =
            wf_pattern(r, wf_own_chunk_weights, wf_own_chunk_next, &(wf_chunk){wf_int(l, "chunk")}, sizeof(wf_chunk));
    spec.pattern_keys = wf_given(l, "chunk") ? (double)wf_int(l, "chunk") / 2.0 : 0.0;
    spec.offset_from_start = wf_state_wanted(r);
    wf_tensor *values = v;
    if (!memory && wf_state_wanted(r)) {
        k = wf_state_append(r, l, "k", k);
        v = wf_state_append(r, l, "v", v);
        spec.cached = r->mode == WF_STATE_IN_PLACE;
        spec.ring = spec.cached && l->states[0].limit > 0;
    }
    if (wf_flag(l, "alibi_keys") && k)
        spec.bias = wf_alibi_keys(r->tape, spec.key_mask, k->dims[1], wf_alibi_slopes(wf_tape_arena(r->tape), heads), heads,
                                  spec.scale);
    if (wf_given(l, "dynamic"))
        spec.bias = dynamic_bias(r, l, values, io, &spec);
    if (wf_given(l, "relative"))
        spec.bias = relative_bias(r, l, q, k, spec.offset_from_start);
    spec.probs = r->want_attention ? &io->attention : NULL;
    wf_tensor *o = wf_merge_heads(r, wf_attention(r->tape, q, k, v, &spec));
    if (wf_given(l, "o_norm"))
        o = wf_rms_norm(r->tape, o, wf_weight(r, l, "o_norm.weight"), 0.0f,
                        (float)wf_json_double(wf_get(l, "o_norm")->object, "eps", wf_float(l, "norm_eps")));
    if (wf_flag(l, "gate"))
        o = wf_gate(r->tape, wf_project(r, l, "gate", io->x), o, WF_SIGMOID);
    io->y = wf_project(r, l, "o", o);
    return WEFT_OK;
}

/* `temper` looks at where a row stands, not at distances, and turned values tell it: padding before a row is counted. */
static unsigned lost_traits(const wf_layer *l) {
    return wf_given(l, "temper") || wf_flag(l, "rope_values") ? 0u : WF_PADDING_TRACE;
}

const wf_mixer wf_mixer_attention = {
    .name = "attention",
    .about = "softmax(q k^T) v over visible keys",
    .source = "Vaswani et al. 2017, arXiv 1706.03762, eq. 1",
    .keys = keys,
    .slots = slots,
    .together = "q.weight|k.weight|v.weight",
    .states = states,
    .inputs = "x memory? memory_mask? mask? positions? segments? prefix?",
    .outputs = "y attention?",
    .time = "chunk == null && (window == null || window[0] == null || !causal && window[1] == null) ? T*T : T",
    .flops = "2*heads*(key_dim + value_dim) * T * (chunk != null ? min(T, chunk) / 2 : window != "
             "null && window[0] != null && (causal || window[1] != null) ? min(T, window[0] + 1 + (causal ? 0 : "
             "window[1])) : causal ? (T + 1) / 2 : T)",
    .bf16 = 0.02,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE | WF_PERMUTATION,
    .lost_traits = lost_traits,
    .companion = "glu",
    .check = check,
    .run = run};
