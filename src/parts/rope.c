#include "parts/rope.h"
#include <math.h>
#include <string.h>
#include "base/str.h"

static const double PI = 3.14159265358979323846;

/* What a scaling rule works on: pairs frequencies to be changed in place. */
typedef struct angles {
    const wf_json *rule;
    double theta, *frequency, magnitude;
    int64_t dim, pairs, length;
} angles;

typedef struct rule_row {
    const char *name, *keys; /* space-separated option names */
    weft_status (*apply)(angles *a, weft_error *err);
} rule_row;

static double number(const angles *a, const char *key, double fallback) { return wf_json_double(a->rule, key, fallback); }

static weft_status need(const angles *a, const char *key, double *out, weft_error *err) {
    *out = number(a, key, 0.0);
    WF_CHECK(*out > 0.0, err, WEFT_USAGE, "rope scaling '%s' needs a positive '%s'", wf_json_text(a->rule, "type", ""), key);
    return WEFT_OK;
}

static double plain(const angles *a, int64_t p) { return pow(a->theta, -2.0 * (double)p / (double)a->dim); }

static weft_status none(angles *a, weft_error *err) {
    (void)a, (void)err;
    return WEFT_OK;
}

static weft_status linear(angles *a, weft_error *err) {
    double factor;
    WF_TRY(need(a, "factor", &factor, err));
    for (int64_t p = 0; p < a->pairs; p++)
        a->frequency[p] /= factor;
    return WEFT_OK;
}

/* theta grows with the length of the call once it passes the trained one (NTK by length). */
static weft_status dynamic(angles *a, weft_error *err) {
    double factor, most;
    WF_TRY(need(a, "factor", &factor, err));
    WF_TRY(need(a, "max_position_embeddings", &most, err));
    double length = (double)a->length > most ? (double)a->length : most;
    a->theta *= pow(factor * length / most - (factor - 1.0), (double)a->dim / ((double)a->dim - 2.0));
    for (int64_t p = 0; p < a->pairs; p++)
        a->frequency[p] = plain(a, p);
    return WEFT_OK;
}

static double yarn_scale(double factor, double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * log(factor) + 1.0; }

static double yarn_magnitude(const angles *a, double factor) {
    double m = number(a, "mscale", 0.0), all = number(a, "mscale_all_dim", 0.0), given = number(a, "attention_factor", 0.0);
    if (given > 0.0)
        return given;
    return m != 0.0 && all != 0.0 ? yarn_scale(factor, m) / yarn_scale(factor, all) : yarn_scale(factor, 1.0);
}

static double yarn_dim(const angles *a, double turns, double original) {
    return (double)a->dim * log(original / (turns * 2.0 * PI)) / (2.0 * log(a->theta));
}

static weft_status yarn(angles *a, weft_error *err) {
    double factor, original, low, high;
    WF_TRY(need(a, "factor", &factor, err));
    WF_TRY(need(a, "original_max_position_embeddings", &original, err));
    low = yarn_dim(a, number(a, "beta_fast", 32.0), original);
    high = yarn_dim(a, number(a, "beta_slow", 1.0), original);
    if (wf_json_bool(a->rule, "truncate", true)) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0.0);
    high = fmin(high, (double)a->dim - 1.0);
    high += low == high ? 0.001 : 0.0;
    for (int64_t p = 0; p < a->pairs; p++) {
        double ramp = fmin(fmax(((double)p - low) / (high - low), 0.0), 1.0);
        a->frequency[p] = a->frequency[p] / factor * ramp + a->frequency[p] * (1.0 - ramp);
    }
    a->magnitude = yarn_magnitude(a, factor);
    return WEFT_OK;
}

/* One of the two lists of divisors, one per pair. */
static weft_status divisors(const angles *a, const char *name, const wf_json **out, weft_error *err) {
    const wf_json *list = *out = wf_json_get(a->rule, name);
    WF_CHECK(list && list->kind == WF_JSON_ARRAY && (int64_t)list->count == a->pairs, err, WEFT_USAGE,
             "rope scaling 'longrope': '%s' must be a list of %lld numbers", name, (long long)a->pairs);
    for (const wf_json *j = list->child; j; j = j->next)
        WF_CHECK(j->kind == WF_JSON_NUMBER && j->number > 0.0, err, WEFT_USAGE,
                 "rope scaling 'longrope': '%s' must hold positive numbers", name);
    return WEFT_OK;
}

static weft_status longrope(angles *a, weft_error *err) {
    double original, factor = number(a, "factor", 0.0), given = number(a, "attention_factor", 0.0);
    const wf_json *longer, *shorter;
    WF_TRY(need(a, "original_max_position_embeddings", &original, err));
    WF_TRY(divisors(a, "long_factor", &longer, err));
    WF_TRY(divisors(a, "short_factor", &shorter, err));
    const wf_json *j = (double)a->length > original ? longer->child : shorter->child;
    for (int64_t p = 0; p < a->pairs; p++, j = j->next)
        a->frequency[p] /= j->number;
    if (factor == 0.0)
        factor = number(a, "max_position_embeddings", original) / original;
    a->magnitude = given > 0.0 ? given : factor <= 1.0 ? 1.0 : sqrt(1.0 + log(factor) / log(original));
    return WEFT_OK;
}

static weft_status llama3(angles *a, weft_error *err) {
    double factor, low, high, original;
    WF_TRY(need(a, "factor", &factor, err));
    WF_TRY(need(a, "low_freq_factor", &low, err));
    WF_TRY(need(a, "high_freq_factor", &high, err));
    WF_TRY(need(a, "original_max_position_embeddings", &original, err));
    for (int64_t p = 0; p < a->pairs; p++) {
        double f = a->frequency[p], wave = 2.0 * PI / f, s = (original / wave - low) / (high - low);
        if (wave > original / low)
            a->frequency[p] = f / factor;
        else if (wave >= original / high)
            a->frequency[p] = (1.0 - s) * f / factor + s * f;
    }
    return WEFT_OK;
}

static const rule_row rules[] = {
    {"default", "", none},
    {"linear", "factor", linear},
    {"dynamic", "factor max_position_embeddings original_max_position_embeddings", dynamic},
    {"yarn",
     "factor original_max_position_embeddings max_position_embeddings attention_factor beta_fast beta_slow mscale "
     "mscale_all_dim truncate",
     yarn},
    {"longrope", "factor original_max_position_embeddings max_position_embeddings attention_factor short_factor long_factor",
     longrope},
    {"llama3", "factor low_freq_factor high_freq_factor original_max_position_embeddings", llama3},
};

static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0))
            return true;
    return false;
}

static weft_status only_keys(const wf_json *object, const char *words, const char *what, weft_error *err) {
    for (const wf_json *j = object ? object->child : NULL; j; j = j->next)
        if (!has_word(words, j->key) && !wf_streq(j->key, "type"))
            return wf_fail_at(err, WEFT_UNSUPPORTED, j->offset, "%s has no option '%s'", what, j->key);
    return WEFT_OK;
}

static weft_status find_rule(const wf_json *scaling, const rule_row **out, weft_error *err) {
    const char *type = scaling ? wf_json_text(scaling, "type", "") : "default";
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (wf_streq(rules[i].name, type)) {
            *out = &rules[i];
            return only_keys(scaling, rules[i].keys, "this rope scaling", err);
        }
    return wf_fail(err, WEFT_UNSUPPORTED,
                   "rope scaling type '%s' is unknown (default, linear, dynamic, yarn, longrope, llama3)", type);
}

weft_status wf_rope_args(wf_arena *arena, const wf_json *rope, int64_t key_dim, int64_t length, wf_rotate_args *args,
                         weft_error *err) {
    const wf_json *scaling = wf_json_get(rope, "scaling");
    const char *pairing = wf_json_text(rope, "pairing", "half");
    const rule_row *rule = NULL;
    angles a = {.rule = scaling,
                .theta = wf_json_double(rope, "theta", 10000.0),
                .dim = wf_json_int(rope, "dim", key_dim),
                .length = length,
                .magnitude = 1.0};
    if (scaling && scaling->kind != WF_JSON_OBJECT)
        scaling = NULL;
    WF_TRY(only_keys(rope, "theta dim pairing reverse scaling", "rope", err));
    WF_CHECK(a.theta > 0.0, err, WEFT_USAGE, "'rope': 'theta' must be positive");
    WF_CHECK(a.dim >= 1 && (a.dim + 1) / 2 * 2 <= key_dim, err, WEFT_USAGE,
             "'rope': 'dim' must fit into the channels of a key (%lld) in pairs, not %lld", (long long)key_dim,
             (long long)a.dim);
    WF_CHECK(wf_streq(pairing, "half") || wf_streq(pairing, "interleaved"), err, WEFT_USAGE,
             "'rope': pairing is 'half' or 'interleaved', not '%s'", pairing);
    WF_TRY(find_rule(scaling, &rule, err));
    WF_CHECK(number(&a, "attention_factor", 1.0) > 0.0, err, WEFT_USAGE, "rope scaling: 'attention_factor' must be positive");
    a.pairs = (a.dim + 1) / 2; /* of an odd number one channel more turns, by the angles of the odd number */
    if (!(a.frequency = wf_arena_alloc(arena, (size_t)a.pairs * sizeof *a.frequency)))
        return wf_fail_memory(err);
    for (int64_t p = 0; p < a.pairs; p++)
        a.frequency[p] = plain(&a, p);
    WF_TRY(rule->apply(&a, err));
    for (int64_t p = 0; wf_json_bool(rope, "reverse", false) && p < a.pairs; p++)
        a.frequency[p] = -a.frequency[p];
    for (int64_t p = 0; p < a.pairs; p++)
        WF_CHECK(isfinite(a.frequency[p]) && isfinite(a.magnitude), err, WEFT_USAGE,
                 "'rope': these numbers give no finite angles");
    *args = (wf_rotate_args){.pairs = a.pairs,
                             .interleaved = wf_streq(pairing, "interleaved"),
                             .frequencies = a.frequency,
                             .magnitude = (float)a.magnitude};
    return WEFT_OK;
}

weft_status wf_rope_check(const wf_mem *mem, const wf_json *rope, int64_t key_dim, weft_error *err) {
    wf_arena arena;
    wf_rotate_args args;
    wf_arena_init(&arena, mem, 0);
    weft_status status = wf_rope_args(&arena, rope, key_dim, 1, &args, err);
    wf_arena_free(&arena);
    return status;
}

float *wf_alibi_slopes(wf_arena *arena, int64_t heads) {
    float *slopes = wf_arena_alloc(arena, (size_t)heads * sizeof *slopes);
    int64_t n = 1;
    while (2 * n <= heads)
        n *= 2;
    for (int64_t h = 0; slopes && h < heads; h++)
        slopes[h] = (float)(h < n ? pow(2.0, -8.0 * (double)(h + 1) / (double)n)
                                  : pow(2.0, -4.0 * (double)(2 * (h - n) + 1) / (double)n));
    return slopes;
}
