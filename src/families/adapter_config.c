#include "families/adapter_config.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "text/regex.h"

enum { LONGEST_NAME = 512, LONGEST_PATTERN = 4096, LARGEST_RANK = 1 << 16 };

/* ---- keys ---- */

/* Keys that change nothing once the adapter's tensors are there, or that only say where they came from. */
static const char *const harmless[] = {"peft_type",
                                       "auto_mapping",
                                       "base_model_name_or_path",
                                       "revision",
                                       "task_type",
                                       "inference_mode",
                                       "peft_version",
                                       "megatron_core",
                                       "loftq_config",
                                       "eva_config",
                                       "corda_config",
                                       "lora_ga_config",
                                       "runtime_config",
                                       "qalora_group_size",
                                       "r",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "fan_in_fan_out",
                                       "bias",
                                       "use_rslora",
                                       "use_dora",
                                       "rank_pattern",
                                       "alpha_pattern",
                                       "target_modules",
                                       "exclude_modules",
                                       "modules_to_save",
                                       "layers_pattern",
                                       "init_lora_weights",
                                       "layers_to_transform"};

static bool among(const char *const *list, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (wf_streq(list[i], word))
            return true;
    return false;
}

static bool says_nothing(const wf_json *j) {
    return !j || j->kind == WF_JSON_NULL || j->kind == WF_JSON_FALSE ||
           ((j->kind == WF_JSON_ARRAY || j->kind == WF_JSON_OBJECT) && j->count == 0);
}

static weft_status check_keys(const wf_json *json, weft_error *err) {
    static const char *const starts[] = {"gaussian", "eva", "orthogonal", "mica"}; /* others change the base as well */
    for (const wf_json *j = json->child; j; j = j->next)
        if (!says_nothing(j) && !among(harmless, sizeof harmless / sizeof *harmless, j->key))
            return wf_fail_at(err, WEFT_UNSUPPORTED, j->offset, "'%s' of an adapter is not supported", j->key);
    const wf_json *start = wf_json_get(json, "init_lora_weights");
    if (start && start->kind == WF_JSON_STRING && !among(starts, sizeof starts / sizeof *starts, start->string))
        return wf_fail_at(err, WEFT_UNSUPPORTED, start->offset,
                          "'init_lora_weights' \"%s\" changes the base, which is not supported", start->string);
    const char *type = wf_json_text(json, "peft_type", "LORA");
    WF_CHECK(wf_streq(type, "LORA"), err, WEFT_UNSUPPORTED, "'peft_type' \"%s\" is not supported, only LORA", type);
    return WEFT_OK;
}

/* ---- values ---- */
typedef struct reader {
    const wf_json *json;
    weft_error *err;
} reader;

static weft_status bad(const reader *r, const wf_json *at, const char *what) {
    return wf_fail_at(r->err, WEFT_BAD_INPUT, at->offset, "'%s' must be %s", at->key ? at->key : "an element", what);
}

static const wf_json *given(const reader *r, const char *key) {
    const wf_json *j = wf_json_get(r->json, key);
    return j && j->kind != WF_JSON_NULL ? j : NULL;
}

static weft_status read_number(const reader *r, const char *key, double least, double most, double *value) {
    const wf_json *j = given(r, key);
    if (!j)
        return WEFT_OK;
    if (j->kind != WF_JSON_NUMBER || !(j->number >= least && j->number <= most))
        return bad(r, j, "a number in its range");
    *value = j->number;
    return WEFT_OK;
}

static weft_status read_flag(const reader *r, const char *key, bool *value) {
    const wf_json *j = given(r, key);
    if (!j)
        return WEFT_OK;
    if (j->kind != WF_JSON_TRUE && j->kind != WF_JSON_FALSE)
        return bad(r, j, "true or false");
    *value = j->kind == WF_JSON_TRUE;
    return WEFT_OK;
}

static bool is_name(const wf_json *j) { return j->kind == WF_JSON_STRING && j->length == strlen(j->string); }

/* A name or a list of names; `lone`: a string alone is allowed, an empty one says nothing. */
static weft_status read_names(const reader *r, const char *key, bool lone, const wf_json **out) {
    const wf_json *j = given(r, key);
    if (!j || says_nothing(j) || (lone && wf_json_is_string(j, "")))
        return WEFT_OK;
    if (j->kind != WF_JSON_ARRAY && !(lone && is_name(j)))
        return bad(r, j, lone ? "a text or a list of texts" : "a list of texts");
    for (const wf_json *e = j->child; e && j->kind == WF_JSON_ARRAY; e = e->next)
        if (!is_name(e))
            return bad(r, j, "a list of texts");
    *out = j;
    return WEFT_OK;
}

static weft_status read_pattern(const reader *r, const char *key, double least, double most, const wf_json **out) {
    const wf_json *j = given(r, key);
    if (!j || says_nothing(j))
        return WEFT_OK;
    if (j->kind != WF_JSON_OBJECT)
        return bad(r, j, "an object of numbers");
    for (const wf_json *e = j->child; e; e = e->next)
        if (e->kind != WF_JSON_NUMBER || !(e->number >= least && e->number <= most) || (least >= 1 && !e->is_integer))
            return bad(r, e, "a number in its range");
    *out = j;
    return WEFT_OK;
}

static weft_status read_layers(const reader *r, const wf_json **out) {
    const wf_json *j = given(r, "layers_to_transform");
    if (!j || (j->kind == WF_JSON_ARRAY && j->count == 0))
        return WEFT_OK;
    bool good = j->is_integer || j->kind == WF_JSON_ARRAY;
    for (const wf_json *e = j->kind == WF_JSON_ARRAY ? j->child : NULL; e; e = e->next)
        good = good && e->is_integer;
    if (!good)
        return bad(r, j, "a layer or a list of layers");
    *out = j;
    return WEFT_OK;
}

static weft_status read_bias(const reader *r, wf_adapter_bias *out) {
    static const char *const words[] = {
        [WF_ADAPTER_BIAS_NONE] = "none", [WF_ADAPTER_BIAS_ALL] = "all", [WF_ADAPTER_BIAS_TARGETS] = "lora_only"};
    const wf_json *j = given(r, "bias");
    for (int i = 0; j && i < (int)(sizeof words / sizeof *words); i++)
        if (wf_json_is_string(j, words[i])) {
            *out = (wf_adapter_bias)i;
            return WEFT_OK;
        }
    return j ? bad(r, j, "none, all or lora_only") : WEFT_OK;
}

/* Heads that PEFT's model of a task saves whole. */
static const char *const *heads_of(const char *task) {
    static const struct {
        const char *task, *heads[3];
    } rows[] = {
        {"SEQ_CLS", {"classifier", "score"}}, {"TOKEN_CLS", {"classifier", "score"}}, {"QUESTION_ANS", {"qa_outputs"}}, {""}};
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof *rows && !wf_streq(rows[i].task, task))
        i++;
    return rows[i].heads;
}

static weft_status read_which(const reader *r, wf_adapter_config *c) {
    static const char every[] = "all-linear";
    WF_TRY(read_names(r, "target_modules", true, &c->targets));
    WF_TRY(read_names(r, "exclude_modules", true, &c->excluded));
    WF_TRY(read_names(r, "modules_to_save", false, &c->saved));
    WF_TRY(read_names(r, "layers_pattern", true, &c->layers_pattern));
    WF_TRY(read_layers(r, &c->layers));
    bool text = c->targets && c->targets->kind == WF_JSON_STRING;
    c->all_linear = text && c->targets->length == strlen(every);
    for (size_t i = 0; c->all_linear && every[i]; i++)
        c->all_linear = (c->targets->string[i] | (every[i] == '-' ? 0 : 0x20)) == every[i];
    c->heads = heads_of(wf_json_text(r->json, "task_type", ""));
    WF_CHECK(c->targets, r->err, WEFT_UNSUPPORTED, "an adapter without 'target_modules' is not supported");
    WF_CHECK(!text || !c->layers, r->err, WEFT_BAD_INPUT, "'layers_to_transform' needs a list of 'target_modules'");
    WF_CHECK(c->layers || !c->layers_pattern, r->err, WEFT_BAD_INPUT, "'layers_pattern' needs 'layers_to_transform'");
    return WEFT_OK;
}

weft_status wf_adapter_config_read(const wf_mem *mem, const wf_json *json, wf_adapter_config *out, weft_error *err) {
    reader r = {json, err};
    double rank = 8, dropout = 0;
    WF_CHECK(json && json->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "an adapter's config must be an object");
    WF_TRY(check_keys(json, err));
    *out = (wf_adapter_config){.mem = mem, .json = json, .alpha = 8};
    WF_TRY(read_number(&r, "r", 1, LARGEST_RANK, &rank));
    WF_TRY(read_number(&r, "lora_alpha", -1e9, 1e9, &out->alpha));
    WF_TRY(read_number(&r, "lora_dropout", 0, 0.999, &dropout));
    WF_CHECK(rank == floor(rank), err, WEFT_BAD_INPUT, "'r' must be an integer");
    out->rank = (int64_t)rank;
    out->dropout = (float)dropout;
    WF_TRY(read_flag(&r, "use_rslora", &out->root_scaled));
    WF_TRY(read_flag(&r, "use_dora", &out->dora));
    WF_TRY(read_pattern(&r, "rank_pattern", 1, LARGEST_RANK, &out->rank_pattern));
    WF_TRY(read_pattern(&r, "alpha_pattern", -1e9, 1e9, &out->alpha_pattern));
    WF_TRY(read_bias(&r, &out->bias));
    return read_which(&r, out);
}

/* ---- regular expressions ---- */
/* The end of the match of `before` PATTERN `after` at the start of `name`; 0: none. */
static weft_status match(const wf_adapter_config *c, const char *before, const char *pattern, const char *after,
                         const char *name, size_t *end, weft_error *err) {
    size_t n = strlen(name), span[2];
    wf_regex *regex = NULL;
    wf_regex_scratch *scratch = NULL;
    bool found = false;
    wf_str text = wf_str_new(c->mem);
    *end = 0;
    WF_CHECK(strlen(pattern) <= LONGEST_PATTERN, err, WEFT_BAD_INPUT, "an adapter's pattern of more than %d bytes",
             LONGEST_PATTERN);
    wf_str_printf(&text, "\\A%s(?:%s)%s", before, pattern, after);
    weft_status status =
        text.failed ? wf_fail_memory(err) : wf_regex_compile(c->mem, text.data, text.length, WF_PERL, &regex, err);
    if (status == WEFT_OK)
        status = wf_regex_scratch_create(c->mem, &scratch, err);
    if (status == WEFT_OK) {
        wf_regex_allow(scratch, n);
        status = wf_regex_find(regex, scratch, (wf_regex_text){name, n, 0}, span, &found, err);
    }
    *end = status == WEFT_OK && found ? span[1] : 0;
    wf_regex_scratch_free(scratch);
    wf_regex_free(regex);
    wf_str_free(&text);
    return status == WEFT_OK || status == WEFT_NO_MEMORY ? status : wf_fail_in(err, "an adapter's pattern '%s'", pattern);
}

static weft_status matches_whole(const wf_adapter_config *c, const char *pattern, const char *name, bool *yes,
                                 weft_error *err) {
    size_t end;
    WF_TRY(match(c, "", pattern, "\\z", name, &end, err));
    *yes = end > 0;
    return WEFT_OK;
}

/* ---- modules ---- */
/* The entry itself, or a name that ends in `.entry`. */
static bool ends_in(const char *name, const char *entry) {
    size_t n = strlen(name), m = strlen(entry);
    return n >= m && strcmp(name + n - m, entry) == 0 && (n == m || name[n - m - 1] == '.');
}

static weft_status is_listed(const wf_adapter_config *c, const wf_json *list, const char *name, bool *yes, weft_error *err) {
    *yes = false;
    if (list && list->kind == WF_JSON_STRING)
        return matches_whole(c, list->string, name, yes, err);
    for (const wf_json *e = list ? list->child : NULL; e && !*yes; e = e->next)
        *yes = ends_in(name, e->string);
    return WEFT_OK;
}

/* Whether a module on the way to `tensor` has a name that ends with `entry`. */
static bool saved_by(const char *entry, const char *tensor) {
    size_t m = strlen(entry);
    for (const char *dot = strchr(tensor, '.'); dot && m; dot = strchr(dot + 1, '.'))
        if ((size_t)(dot - tensor) >= m && strncmp(dot - m, entry, m) == 0)
            return true;
    return false;
}

bool wf_adapter_saves(const wf_adapter_config *c, const char *tensor) {
    for (const char *const *head = c->heads; *head; head++)
        if (saved_by(*head, tensor))
            return true;
    for (const wf_json *e = c->saved ? c->saved->child : NULL; e; e = e->next)
        if (saved_by(e->string, tensor))
            return true;
    return false;
}

/* The number of the layer that a module is in: the first number behind a list of layers. -1: none. */
static weft_status layer_of(const wf_adapter_config *c, const char *name, int64_t *layer, weft_error *err) {
    const wf_json *list = c->layers_pattern;
    size_t end = 0;
    *layer = -1;
    if (!list)
        WF_TRY(match(c, ".*?\\.", "[^.]*\\.\\d+\\.", "", name, &end, err));
    if (list && list->kind == WF_JSON_STRING)
        WF_TRY(match(c, "(?:|.*?\\.)", list->string, "\\.\\d+\\.", name, &end, err));
    for (const wf_json *e = list && list->kind == WF_JSON_ARRAY ? list->child : NULL; e && end == 0; e = e->next)
        WF_TRY(match(c, "(?:|.*?\\.)", e->string, "\\.\\d+\\.", name, &end, err));
    if (end < 2)
        return WEFT_OK;
    size_t first = end - 1;
    while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9')
        first--;
    *layer = strtoll(name + first, NULL, 10);
    return WEFT_OK;
}

static bool has_layer(const wf_json *layers, int64_t layer) {
    if (layers->is_integer)
        return layers->integer == layer;
    for (const wf_json *e = layers->child; e; e = e->next)
        if (e->integer == layer)
            return true;
    return false;
}

static bool names_exactly(const wf_json *list, const char *name) {
    for (const wf_json *e = list->kind == WF_JSON_ARRAY ? list->child : NULL; e; e = e->next)
        if (wf_streq(e->string, name))
            return true;
    return false;
}

weft_status wf_adapter_targets(const wf_adapter_config *c, const wf_adapter_module *module, bool *yes, weft_error *err) {
    char weight[LONGEST_NAME + 8];
    size_t n = strlen(module->name);
    bool excluded;
    int64_t layer;
    *yes = false;
    WF_CHECK(n < LONGEST_NAME, err, WEFT_BAD_INPUT, "a module's name of %zu bytes", n);
    memcpy(weight, module->name, n);
    memcpy(weight + n, ".weight", 8);
    WF_TRY(is_listed(c, c->excluded, module->name, &excluded, err));
    if (excluded || wf_adapter_saves(c, weight))
        return WEFT_OK;
    if (c->all_linear) {
        *yes = module->linear;
        return WEFT_OK;
    }
    WF_TRY(is_listed(c, c->targets, module->name, yes, err));
    if (!*yes || !c->layers || names_exactly(c->targets, module->name))
        return WEFT_OK;
    WF_TRY(layer_of(c, module->name, &layer, err));
    *yes = layer >= 0 && has_layer(c->layers, layer);
    return WEFT_OK;
}

/* The value of the first pattern for which (.*\.)?(KEY)$ matches. */
static weft_status look_up(const wf_adapter_config *c, const wf_json *patterns, const char *module, double *value,
                           weft_error *err) {
    for (const wf_json *e = patterns ? patterns->child : NULL; e; e = e->next) {
        size_t end;
        WF_TRY(match(c, "(?:.*\\.)?", e->key, "\\z", module, &end, err));
        if (end) {
            *value = e->number;
            return WEFT_OK;
        }
    }
    return WEFT_OK;
}

weft_status wf_adapter_strength(const wf_adapter_config *c, const char *module, int64_t *rank, float *scale, weft_error *err) {
    double r = (double)c->rank, alpha = c->alpha;
    WF_TRY(look_up(c, c->rank_pattern, module, &r, err));
    WF_TRY(look_up(c, c->alpha_pattern, module, &alpha, err));
    *rank = (int64_t)r;
    *scale = (float)(alpha / (c->root_scaled ? sqrt(r) : r));
    return WEFT_OK;
}
