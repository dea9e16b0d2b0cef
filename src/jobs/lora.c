#include "jobs/lora.h"
#include <stdlib.h>
#include <string.h>
#include "jobs/put.h"

/* A word of the option: its short name, PEFT's key, what its value is. */
typedef enum word_kind { NUMBER, FLAG, TEXT, NAMES, PATTERN, NUMBERS } word_kind;
typedef struct word {
    const char *name, *key;
    word_kind kind;
} word;
static const word words[] = {{"r", "r", NUMBER},
                             {"alpha", "lora_alpha", NUMBER},
                             {"dropout", "lora_dropout", NUMBER},
                             {"targets", "target_modules", PATTERN},
                             {"exclude", "exclude_modules", PATTERN},
                             {"save", "modules_to_save", NAMES},
                             {"layers", "layers_to_transform", NUMBERS},
                             {"layers_pattern", "layers_pattern", NAMES},
                             {"bias", "bias", TEXT},
                             {"rslora", "use_rslora", FLAG},
                             {"dora", "use_dora", FLAG},
                             {"init", "init_lora_weights", TEXT}};

typedef struct reader {
    wf_job *job;
    wf_json *config;
    const word *last; /* a value without a name belongs to it */
} reader;

static const word *find_word(const char *name, size_t n) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((strlen(words[i].name) == n && memcmp(words[i].name, name, n) == 0) ||
            (strlen(words[i].key) == n && memcmp(words[i].key, name, n) == 0))
            return &words[i];
    return NULL;
}

static weft_status put(reader *r, const word *w, wf_json *value) {
    return wf_json_put(r->job->arena, r->config, w->key, value) ? WEFT_OK : wf_fail_memory(r->job->err);
}

static weft_status read_number(const reader *r, const word *w, const char *text, wf_json **out) {
    char *end;
    double value = strtod(text, &end);
    WF_CHECK(*text && !*end, r->job->err, WEFT_USAGE, "'lora': %s=%s is no number", w->name, text);
    *out = value == (double)(int64_t)value ? wf_json_new_int(r->job->arena, (int64_t)value)
                                           : wf_json_new_double(r->job->arena, value);
    return *out ? WEFT_OK : wf_fail_memory(r->job->err);
}

static weft_status read_flag(const reader *r, const word *w, const char *text, wf_json **out) {
    bool yes = wf_streq(text, "true") || wf_streq(text, "1"), no = wf_streq(text, "false") || wf_streq(text, "0");
    WF_CHECK(yes || no, r->job->err, WEFT_USAGE, "'lora': %s=%s is neither true nor false", w->name, text);
    *out = wf_json_new_bool(r->job->arena, yes);
    return *out ? WEFT_OK : wf_fail_memory(r->job->err);
}

/* One more element of a list. */
static weft_status append(reader *r, const word *w, const char *text) {
    const wf_json *old = wf_json_get(r->config, w->key);
    wf_json *list = old ? wf_json_copy(r->job->arena, old) : wf_json_new(r->job->arena, WF_JSON_ARRAY), *value = NULL;
    if (w->kind == NUMBERS)
        WF_TRY(read_number(r, w, text, &value));
    else
        value = wf_json_new_string(r->job->arena, text, strlen(text));
    if (!wf_json_push(list, value))
        return wf_fail_memory(r->job->err);
    return put(r, w, list);
}

static weft_status read_value(reader *r, const word *w, const char *text) {
    wf_json *value = NULL;
    if (w->kind == NAMES || w->kind == PATTERN || w->kind == NUMBERS)
        return append(r, w, text);
    WF_CHECK(!wf_json_get(r->config, w->key), r->job->err, WEFT_USAGE, "'lora': %s is given twice", w->name);
    if (w->kind == NUMBER)
        WF_TRY(read_number(r, w, text, &value));
    else if (w->kind == FLAG)
        WF_TRY(read_flag(r, w, text, &value));
    else
        value = wf_json_new_string(r->job->arena, text, strlen(text));
    return put(r, w, value);
}

/* "name=value", or one more value of the last list. */
static weft_status read_word(reader *r, const char *text) {
    size_t n = strcspn(text, "=");
    const word *w = text[n] ? find_word(text, n) : NULL;
    if (w) {
        r->last = w;
        return read_value(r, w, text + n + 1);
    }
    bool list = r->last && (r->last->kind == NAMES || r->last->kind == PATTERN || r->last->kind == NUMBERS);
    WF_CHECK(list && !text[n], r->job->err, WEFT_USAGE,
             "'lora' has no word '%s'; r, alpha, dropout, targets, exclude, save, layers, "
             "layers_pattern, bias, rslora, dora and init are there",
             text);
    return read_value(r, r->last, text);
}

/* "a,b,c" in pieces. */
static weft_status read_text(reader *r, const char *text) {
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, ",");
        char *piece = wf_arena_strndup(r->job->arena, at, n);
        if (!piece)
            return wf_fail_memory(r->job->err);
        WF_TRY(read_word(r, piece));
        at += n + (at[n] == ',');
    }
    return WEFT_OK;
}

/* One pattern is a regular expression, as PEFT takes a text: "all-linear", or what no name can be. */
static weft_status settle_pattern(reader *r, const word *w) {
    const wf_json *list = wf_json_get(r->config, w->key), *one = list && list->count == 1 ? list->child : NULL;
    bool text =
        one && one->kind == WF_JSON_STRING && (wf_streq(one->string, "all-linear") || strpbrk(one->string, "*+?()[]{}|\\^$"));
    return text ? put(r, w, wf_json_new_string(r->job->arena, one->string, one->length)) : WEFT_OK;
}

/* What PEFT's folder holds beside what was asked for. */
static weft_status complete(reader *r, const char *base) {
    wf_arena *arena = r->job->arena;
    wf_json *c = r->config;
    const struct {
        const char *key;
        wf_json *value;
    } usual[] = {{"peft_type", wf_json_new_string(arena, "LORA", 4)},
                 {"task_type", wf_json_new_string(arena, "CAUSAL_LM", 9)},
                 {"base_model_name_or_path", wf_json_new_string(arena, base, strlen(base))},
                 {"r", wf_json_new_int(arena, 8)},
                 {"lora_alpha", wf_json_new_int(arena, 8)},
                 {"lora_dropout", wf_json_new_float(arena, 0.0)},
                 {"target_modules", wf_json_new_string(arena, "all-linear", 10)},
                 {"bias", wf_json_new_string(arena, "none", 4)},
                 {"fan_in_fan_out", wf_json_new_bool(arena, false)},
                 {"inference_mode", wf_json_new_bool(arena, true)}};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!wf_json_get(c, usual[i].key))
            wf_json_put(arena, c, usual[i].key, usual[i].value);
    const wf_json *init = wf_json_get(c, "init_lora_weights");
    WF_CHECK(!init || init->kind == WF_JSON_TRUE || wf_json_is_string(init, "gaussian") || wf_json_is_string(init, "true"),
             r->job->err, WEFT_UNSUPPORTED, "'lora': a new adapter begins with init=true or init=gaussian");
    if (wf_json_is_string(init, "true"))
        wf_json_put(arena, c, "init_lora_weights", wf_json_new_bool(arena, true));
    return arena->failed ? wf_fail_memory(r->job->err) : WEFT_OK;
}

weft_status wf_lora_read(wf_job *job, const wf_json *option, const char *base, wf_json **config) {
    reader r = {.job = job};
    *config = NULL;
    if (!option || option->kind == WF_JSON_NULL)
        return WEFT_OK;
    WF_CHECK(option->kind == WF_JSON_OBJECT || option->kind == WF_JSON_ARRAY || option->kind == WF_JSON_STRING, job->err,
             WEFT_USAGE, "'lora' must be words such as r=8,alpha=16 or an object");
    r.config = option->kind == WF_JSON_OBJECT ? wf_json_copy(job->arena, option) : wf_json_new(job->arena, WF_JSON_OBJECT);
    if (!r.config)
        return wf_fail_memory(job->err);
    r.config->key = NULL;
    if (option->kind == WF_JSON_STRING)
        WF_TRY(read_text(&r, option->string));
    for (const wf_json *e = option->kind == WF_JSON_ARRAY ? option->child : NULL; e; e = e->next) {
        WF_CHECK(e->kind == WF_JSON_STRING, job->err, WEFT_USAGE, "'lora' must be words such as r=8,alpha=16");
        WF_TRY(read_text(&r, e->string));
    }
    for (size_t i = 0; i < sizeof words / sizeof *words && option->kind != WF_JSON_OBJECT; i++)
        if (words[i].kind == PATTERN)
            WF_TRY(settle_pattern(&r, &words[i]));
    WF_TRY(complete(&r, base));
    *config = r.config;
    return WEFT_OK;
}
