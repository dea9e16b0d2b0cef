/* load.c - a tokenizer.json from its text: the top level. */
#include "text/engine.h"
#include "text/unicode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 64 };

/* ---- errors and values ---- */

static weft_status fail_message(const wf_loading *l, weft_status status, size_t at, const char *message) {
    size_t line, column;
    wf_json_position(l->tok->json, at < l->tok->json_length ? at : l->tok->json_length, &line, &column);
    return wf_fail_at(l->err, status, (int64_t)at, "line %zu, column %zu: %s: %s", line, column, l->where, message);
}

weft_status wf_load_fail_at(const wf_loading *l, weft_status status, size_t at, const char *fmt, ...) {
    char message[WEFT_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return fail_message(l, status, at, message);
}

weft_status wf_load_fail(const wf_loading *l, weft_status status, const wf_json *at, const char *fmt, ...) {
    char message[WEFT_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return fail_message(l, status, (size_t)(l->base + (at ? at->offset : 0)), message);
}

static bool absent(const wf_json *j) { return !j || j->kind == WF_JSON_NULL; }

weft_status wf_load_bool(const wf_loading *l, const wf_json *object, const char *key, bool fallback, bool *out) {
    const wf_json *j = wf_json_get(object, key);
    *out = absent(j) ? fallback : j->kind == WF_JSON_TRUE;
    if (!absent(j) && j->kind != WF_JSON_TRUE && j->kind != WF_JSON_FALSE)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "%s must be true or false", key);
    return WEFT_OK;
}

weft_status wf_load_text(const wf_loading *l, const wf_json *object, const char *key, const wf_json **out) {
    const wf_json *j = wf_json_get(object, key);
    *out = absent(j) ? NULL : j;
    if (!absent(j) && j->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "%s must be a text", key);
    return WEFT_OK;
}

weft_status wf_load_id(const wf_loading *l, const wf_json *j, uint32_t *out) {
    if (!j || j->kind != WF_JSON_NUMBER || !j->is_integer || j->integer < 0 || j->integer >= UINT32_MAX)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "an id must be a whole number from 0 to 4294967294");
    *out = (uint32_t)j->integer;
    return WEFT_OK;
}

weft_status wf_load_count(const wf_loading *l, const wf_json *object, const char *key, size_t fallback, size_t *out) {
    const wf_json *j = wf_json_get(object, key);
    *out = fallback;
    if (absent(j))
        return WEFT_OK;
    if (j->kind != WF_JSON_NUMBER || !j->is_integer || j->integer < 0 || j->integer > INT64_MAX / 4)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "%s must be a whole number, not below 0", key);
    *out = (size_t)j->integer;
    return WEFT_OK;
}

weft_status wf_load_string(const wf_loading *l, const wf_json *object, const char *key, size_t characters, wf_bytes *out) {
    const wf_json *j;
    WF_TRY(wf_load_text(l, object, key, &j));
    if (!j)
        return wf_load_fail(l, WEFT_BAD_INPUT, object, "%s is missing", key);
    if (characters && wf_count_chars((const uint8_t *)j->string, j->length) != characters)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "%s must have %zu character%s", key, characters, characters == 1 ? "" : "s");
    *out = (wf_bytes){j->string, j->length};
    return WEFT_OK;
}

weft_status wf_load_choice(const wf_loading *l, const wf_json *object, const char *key, const char *const *names, int *out) {
    const wf_json *j;
    WF_TRY(wf_load_text(l, object, key, &j));
    for (int i = 0; j && names[i]; i++)
        if (wf_json_is_string(j, names[i])) {
            *out = i;
            return WEFT_OK;
        }
    return j ? wf_load_fail(l, WEFT_BAD_INPUT, j, "%s cannot be \"%s\"", key, j->string) : WEFT_OK;
}

weft_status wf_load_options(const wf_loading *l, size_t size, void **out) {
    *out = wf_arena_alloc(l->arena, size);
    return *out ? WEFT_OK : wf_fail_memory(l->err);
}

weft_status wf_load_value(const wf_loading *l, wf_json_reader *r, wf_json_kind kind, wf_json **out, int64_t *base) {
    size_t start = r->value_offset;
    if (kind == WF_JSON_ARRAY || kind == WF_JSON_OBJECT)
        WF_TRY(wf_json_skip(r));
    *base = (int64_t)start;
    weft_status status = wf_json_parse(&l->tok->arena, l->tok->json + start, r->position - start, 0, out, l->err);
    if (status != WEFT_OK) /* the syntax was checked on the way: a name is given twice, or the memory is out */
        wf_fail_in(l->err, "in the value at byte %zu", start);
    return status;
}

/* ---- threads ---- */

typedef struct region {
    wf_region_fn fn;
    void *arg;
} region;

static void run_region(void *arg, int thread, int n_threads) {
    const region *r = arg;
    if (thread < WF_LOAD_THREADS)
        r->fn(r->arg, thread, n_threads < WF_LOAD_THREADS ? n_threads : WF_LOAD_THREADS);
}

void wf_load_region(const wf_loading *l, wf_region_fn fn, void *arg) {
    if (l->pool)
        wf_pool_run(l->pool, run_region, &(region){fn, arg});
    else
        fn(arg, 0, 1);
}

/* ---- the sections ---- */

static weft_status load_version(wf_loading *l, const wf_json *j) {
    return wf_json_is_string(j, "1.0") ? WEFT_OK : wf_load_fail(l, WEFT_BAD_INPUT, j, "only version \"1.0\" is known");
}

/* "as given": added tokens have the ids the file gives them. The reference numbers them anew. */
static weft_status load_added_ids(wf_loading *l, const wf_json *j) {
    l->tok->added_ids_given = true;
    return wf_json_is_string(j, "as given") ? WEFT_OK : wf_load_fail(l, WEFT_BAD_INPUT, j, "it can only be \"as given\"");
}

static weft_status load_splitting(wf_loading *l, const wf_json *j) {
    l->tok->splits_specials = j->kind == WF_JSON_TRUE;
    return j->kind == WF_JSON_TRUE || j->kind == WF_JSON_FALSE ? WEFT_OK : wf_load_fail(l, WEFT_BAD_INPUT, j, "true or false");
}

/* {"opens": ">>", "closes": "<<"}: what stands between them where a text begins is one token. */
static weft_status load_codes(wf_loading *l, const wf_json *j) {
    WF_TRY(wf_load_string(l, j, "opens", 0, &l->tok->code_opens));
    WF_TRY(wf_load_string(l, j, "closes", 0, &l->tok->code_closes));
    if (!l->tok->names_unknown || l->tok->code_closes.length == 0)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "codes need an end, and a model with an unknown token");
    return WEFT_OK;
}

/* In the order in which they are used: later ones build on earlier ones. The model comes between them, see load_all. */
typedef struct section {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j);
} section;
static const section sections[] = {
    {"version", load_version},
    {"truncation", wf_load_truncation},
    {"padding", wf_load_padding},
    {"normalizer", wf_load_normalizer},
    {"pre_tokenizer", wf_load_pretokenizer},
    {"decoder", wf_load_decoder},
    {"added_token_ids", load_added_ids},
    {"codes", load_codes},
    {"split_special_tokens", load_splitting},
    {"added_tokens", wf_load_added},
    {"post_processor", wf_load_postprocessor},
};
enum { SECTIONS = sizeof sections / sizeof *sections };
typedef struct found {
    wf_json *value;
    int64_t base;
} found;

static int section_by_name(const char *key, size_t length) {
    for (int i = 0; i < SECTIONS; i++)
        if (strlen(sections[i].name) == length && memcmp(sections[i].name, key, length) == 0)
            return i;
    return -1;
}

/* One member of the top level, already read up to its value. */
static weft_status read_member(wf_loading *l, wf_json_reader *r, const char *key, size_t length, wf_json_kind kind,
                               found *values) {
    int i = section_by_name(key, length);
    l->where = "tokenizer.json";
    if (i < 0 && length == 5 && memcmp(key, "model", 5) == 0) {
        if (kind != WF_JSON_OBJECT || l->tok->model_row)
            return wf_load_fail_at(l, WEFT_BAD_INPUT, r->value_offset,
                                   kind != WF_JSON_OBJECT ? "the model must be an object" : "a second model");
        l->where = "model";
        return wf_load_model(l, r);
    }
    if (i < 0)
        return wf_load_fail_at(l, WEFT_UNSUPPORTED, r->key_offset, "unknown member \"%.*s\"",
                               (int)(length < KEY_MAX ? length : KEY_MAX), key);
    if (values[i].value)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, r->key_offset, "a second \"%s\"", sections[i].name);
    return wf_load_value(l, r, kind, &values[i].value, &values[i].base);
}

static weft_status read_members(wf_loading *l, wf_json_reader *r, found *values) {
    wf_json_kind kind;
    const char *key;
    size_t length;
    WF_TRY(wf_json_next(r, &kind, NULL, NULL, NULL, NULL));
    if (kind != WF_JSON_OBJECT)
        return wf_fail_at(l->err, WEFT_BAD_INPUT, 0, "tokenizer.json must hold an object (byte 0)");
    for (;;) {
        WF_TRY(wf_json_next(r, &kind, &key, &length, NULL, NULL));
        if (kind == WF_JSON_END)
            break;
        WF_TRY(read_member(l, r, key, length, kind, values));
    }
    return wf_json_next(r, &kind, NULL, NULL, NULL, NULL); /* nothing but white space may follow */
}

static weft_status load_all(wf_loading *l) {
    wf_json_reader r;
    found values[SECTIONS] = {{0}};
    wf_json_open(&r, l->tok->mem, l->tok->json, l->tok->json_length, l->err);
    weft_status status = read_members(l, &r, values);
    wf_json_close(&r);
    WF_TRY(status);
    WF_CHECK(l->tok->model_row, l->err, WEFT_BAD_INPUT, "tokenizer.json has no 'model'");
    for (int i = 0; i < SECTIONS; i++) {
        l->where = sections[i].name;
        l->base = values[i].base;
        if (!absent(values[i].value))
            WF_TRY(sections[i].load(l, values[i].value));
    }
    l->where = "tokenizer.json";
    l->base = 0;
    return wf_load_tokens(l);
}

weft_status wf_tokenizer_parse(const wf_mem *mem, const char *json, size_t length, wf_tokenizer **out, weft_error *err) {
    return wf_tokenizer_take(mem, NULL, wf_strndup(mem, json, length), length, out, err);
}

weft_status wf_tokenizer_take(const wf_mem *mem, wf_pool *pool, char *json, size_t length, wf_tokenizer **out,
                              weft_error *err) {
    enum { LARGE = 1 << 17 };
    wf_tokenizer *tok = wf_calloc(mem, 1, sizeof *tok);
    if (!tok) {
        wf_free(mem, json);
        return wf_fail_memory(err);
    }
    tok->mem = mem;
    wf_arena_init(&tok->arena, mem, 0);
    wf_vocab_init(&tok->vocab, mem);
    wf_vocab_init(&tok->ids, mem);
    wf_vocab_init(&tok->added_vocab, mem);
    tok->json = json;
    tok->json_length = length;
    wf_loading l = {.tok = tok, .arena = &tok->arena, .mem = mem, .where = "tokenizer.json", .err = err};
    l.pool = length >= LARGE ? pool : NULL;
    weft_status status = tok->json ? WEFT_OK : wf_fail_memory(err);
    if (status == WEFT_OK && length >= UINT32_MAX) /* places in it are kept in 32 bits */
        status = wf_fail(err, WEFT_UNSUPPORTED, "a tokenizer.json of %zu bytes", length);
    status = status == WEFT_OK ? load_all(&l) : status;
    if (status != WEFT_OK) {
        wf_tokenizer_free(tok);
        return status;
    }
    *out = tok;
    return WEFT_OK;
}
