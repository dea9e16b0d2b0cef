/* config.c - a config.json against a family's tables: types, defaults, other spellings, keys that are refused or unknown. */
#include "families/config.h"
#include <stdio.h>
#include <string.h>

/* ---- text ---- */
static void quote(char *text, size_t at, size_t n) {
    memset(text + at, ' ', n);
    text[at] = text[at + n - 1] = '"';
}

static size_t skip_string(const char *text, size_t at, size_t size) {
    for (at++; at < size && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at;
}

/* Bare NaN, Infinity and -Infinity outside strings, in place: " ", "      ". The text keeps its length, so offsets hold. */
static void quote_bare(char *text, size_t size) {
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    for (size_t at = 0; at < size; at++) {
        if (text[at] == '"') {
            at = skip_string(text, at, size);
            continue;
        }
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            size_t n = strlen(words[i]);
            if (at + n > size || memcmp(text + at, words[i], n) != 0)
                continue;
            quote(text, at, n);
            at += n - 1;
            break;
        }
    }
}

enum { CONFIG_BYTES = 16 << 20, CONFIG_NODES = 200000 };

weft_status wf_config_parse(wf_arena *arena, const char *text, size_t size, wf_json **out, weft_error *err) {
    WF_CHECK(size <= CONFIG_BYTES, err, WEFT_BAD_INPUT, "a config of %zu bytes (at most %d)", size, (int)CONFIG_BYTES);
    char *copy = wf_arena_strndup(arena, text, size);
    if (!copy)
        return wf_fail_memory(err);
    quote_bare(copy, size);
    WF_TRY(wf_json_parse(arena, copy, size, CONFIG_NODES, out, err));
    if ((*out)->kind != WF_JSON_OBJECT)
        return wf_fail_at(err, WEFT_BAD_INPUT, (*out)->offset, "a config must be an object (byte %lld)",
                          (long long)(*out)->offset);
    return WEFT_OK;
}

/* ---- types ---- */
typedef struct type_row {
    const char *name;
    wf_json_kind kind;
    bool whole;
    double least, below; /* least <= number < below */
    bool open;           /* least itself is not allowed */
    const char *says;
} type_row;

#define ANY 1e300
static const type_row types[] = {
    {"size", WF_JSON_NUMBER, true, 1.0, 2147483648.0, false, "a positive integer of a sensible size"},
    {"count", WF_JSON_NUMBER, true, 0.0, 2147483648.0, false, "an integer from 0 of a sensible size"},
    {"int", WF_JSON_NUMBER, true, -2147483648.0, 2147483648.0, false, "an integer"},
    {"number", WF_JSON_NUMBER, false, -ANY, ANY, false, "a number"},
    {"amount", WF_JSON_NUMBER, false, 0.0, ANY, false, "a number from 0"},
    {"positive", WF_JSON_NUMBER, false, 0.0, ANY, true, "a positive number"},
    {"rate", WF_JSON_NUMBER, false, 0.0, 1.0, false, "a number from 0 to below 1"},
    {"flag", WF_JSON_TRUE, false, 0.0, 0.0, false, "true or false"},
    {"text", WF_JSON_STRING, false, 0.0, 0.0, false, "a string"},
    {"any", WF_JSON_NULL, false, 0.0, 0.0, false, "anything"},
    {"list", WF_JSON_ARRAY, false, 0.0, 0.0, false, "a list"},
    {"object", WF_JSON_OBJECT, false, 0.0, 0.0, false, "an object"},
};

static const type_row *find_type(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == length && memcmp(types[i].name, name, length) == 0)
            return &types[i];
    return NULL;
}

static bool fits(const type_row *type, const wf_json *j) {
    if (type->kind == WF_JSON_NULL)
        return true;
    if (type->kind == WF_JSON_TRUE)
        return j->kind == WF_JSON_TRUE || j->kind == WF_JSON_FALSE;
    if (j->kind != type->kind)
        return false;
    if (j->kind != WF_JSON_NUMBER)
        return true;
    return (!type->whole || j->is_integer) && j->number >= type->least && j->number < type->below &&
           !(type->open && j->number == type->least);
}

static const char *shown(const wf_json *j, char *text, size_t size) {
    static const char *const words[] = {[WF_JSON_NULL] = "null",
                                        [WF_JSON_FALSE] = "false",
                                        [WF_JSON_TRUE] = "true",
                                        [WF_JSON_ARRAY] = "a list",
                                        [WF_JSON_OBJECT] = "an object"};
    if (j->kind == WF_JSON_NUMBER)
        snprintf(text, size, "%.40s", j->string);
    else if (j->kind == WF_JSON_STRING && j->length > 0 && strspn(j->string, " ") == j->length)
        return "NaN or Infinity"; /* what wf_config_parse makes of them */
    else if (j->kind == WF_JSON_STRING)
        snprintf(text, size, "the string '%.40s'", j->string);
    else
        return words[j->kind];
    return text;
}

/* ---- keys ---- */
typedef struct config_reader {
    const wf_family *family;
    const wf_json *config;
    wf_vars *vars;
    weft_error *err;
} config_reader;

/* The member of the config that a key reads: its own, or another spelling of it, which wins. */
static const wf_json *given(const config_reader *r, const char *key) {
    const wf_json *found = wf_json_get(r->config, key), *aliases = wf_json_get(r->family->json, "aliases");
    for (const wf_json *a = aliases ? aliases->child : NULL; a; a = a->next)
        if (wf_json_is_string(a, key) && wf_json_get(r->config, a->key))
            found = wf_json_get(r->config, a->key);
    return found;
}

static weft_status read_default(config_reader *r, const wf_json *key, wf_value *out) {
    const wf_json *fallback = wf_json_at(key, 1);
    if (fallback && fallback->kind == WF_JSON_STRING && fallback->string[0] == '=')
        return wf_vars_eval(r->vars, fallback->string + 1, out, r->err);
    return wf_value_of_json(r->vars->arena, fallback, out, r->err);
}

static bool is_listed(const config_reader *r, const char *key);

/* "key": ["type", default]; a type that ends in ? may be null, and is when there is no default. */
static weft_status read_members(config_reader *r, const wf_json *key, const wf_json *given_object, wf_value *out);

static weft_status read_value(config_reader *r, const wf_json *key, const wf_json *j, wf_value *out) {
    const wf_json *word = wf_json_at(key, 0);
    const char *name = word && word->kind == WF_JSON_STRING ? word->string : "";
    bool optional = wf_ends_with(name, "?");
    const type_row *type = find_type(name, strlen(name) - optional);
    char text[64];
    WF_CHECK(type, r->err, WEFT_BAD_INPUT, "family %s: key '%s' has no type '%s'", r->family->name, key->key, name);
    if (!j) {
        WF_CHECK(optional || key->count > 1, r->err, WEFT_BAD_INPUT, "'%s' is missing", key->key);
        const wf_json *fallback = wf_json_at(key, 1);
        return key->count > 2 && fallback->kind == WF_JSON_OBJECT ? read_members(r, key, fallback, out)
                                                                  : read_default(r, key, out);
    }
    if (!fits(type, j) && !(optional && j->kind == WF_JSON_NULL))
        return wf_fail_at(r->err, WEFT_BAD_INPUT, j->offset, "'%s' must be %s, not %s", j->key, type->says,
                          shown(j, text, sizeof text));
    if (key->count > 2 && j->kind == WF_JSON_OBJECT)
        return read_members(r, key, j, out);
    return wf_value_of_json(r->vars->arena, j, out, r->err);
}

static weft_status read_key(config_reader *r, const wf_json *key) {
    wf_value value;
    WF_TRY(read_value(r, key, given(r, key->key), &value));
    return wf_vars_put(r->vars, key->key, value, r->err);
}

/* "key": ["object", {}, {keys}]: a config inside the config, with keys of its own. The value has all of them. */
static weft_status read_members(config_reader *r, const wf_json *key, const wf_json *object, wf_value *out) {
    const wf_json *keys = wf_json_at(key, 2);
    wf_json *full = wf_json_new(r->vars->arena, WF_JSON_OBJECT);
    wf_value value;
    for (const wf_json *k = keys->child; k; k = k->next) {
        if (read_value(r, k, wf_json_get(object, k->key), &value) != WEFT_OK)
            return wf_fail_in(r->err, "in '%s'", key->key);
        if (!wf_json_put(r->vars->arena, full, k->key, wf_value_to_json(r->vars->arena, &value)))
            return wf_fail_memory(r->err);
    }
    for (const wf_json *j = object->child; j; j = j->next)
        if (!wf_json_get(keys, j->key) && !is_listed(r, j->key))
            WF_TRY(wf_unlisted(r->vars->options, key->key, j, r->err));
    return wf_value_of_json(r->vars->arena, full, out, r->err);
}

static weft_status read_keys(config_reader *r, const wf_json *keys) {
    for (const wf_json *key = keys ? keys->child : NULL; key; key = key->next)
        WF_TRY(read_key(r, key));
    return WEFT_OK;
}

static weft_status read_lets(config_reader *r, const wf_json *let) {
    for (const wf_json *j = let ? let->child : NULL; j; j = j->next) {
        wf_value value;
        WF_CHECK(j->kind == WF_JSON_STRING, r->err, WEFT_BAD_INPUT, "family %s: let '%s' is no expression", r->family->name,
                 j->key);
        WF_TRY(wf_vars_eval(r->vars, j->string, &value, r->err));
        WF_TRY(wf_vars_put(r->vars, j->key, value, r->err));
    }
    return WEFT_OK;
}

static bool lists(const wf_json *table, const char *section, const char *key) {
    const wf_json *list = wf_json_get(table, section);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next)
        if (list->kind == WF_JSON_ARRAY ? wf_json_is_string(j, key) : wf_streq(j->key, key))
            return true;
    return false;
}

static bool is_listed(const config_reader *r, const char *key) {
    static const char *const sections[] = {"keys", "aliases", "ignored", "refused"};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (lists(r->family->json, sections[i], key) || lists(r->family->common, sections[i], key))
            return true;
    return false;
}

weft_status wf_unlisted(const wf_config_options *options, const char *inside, const wf_json *key, weft_error *err) {
    const char *before = inside ? inside : "", *dot = inside ? "." : "";
    if (options && options->strict)
        return wf_fail_at(err, WEFT_UNSUPPORTED, key->offset, "unknown key '%s%s%s'", before, dot, key->key);
    if (options && options->env)
        wf_log(options->env, WF_WARN, "%s: unknown key '%s%s%s' is not used", options->where ? options->where : "config",
               before, dot, key->key);
    return WEFT_OK;
}

static weft_status check_listed(const config_reader *r) {
    for (const wf_json *j = r->config->child; j; j = j->next)
        if (!is_listed(r, j->key))
            WF_TRY(wf_unlisted(r->vars->options, NULL, j, r->err));
    return WEFT_OK;
}

/* ---- what is refused, and what must hold ---- */
static weft_status check_refused(const config_reader *r, const wf_json *table) {
    const wf_json *refused = wf_json_get(table, "refused");
    for (const wf_json *j = refused ? refused->child : NULL; j; j = j->next) {
        bool condition = j->key[0] == '=';
        if (table == r->family->common && lists(r->family->json, "keys", j->key))
            continue; /* the family knows what to do with it */
        const wf_json *at = condition ? NULL : wf_json_get(r->config, j->key);
        wf_value value = {.type = WF_NULL};
        if (condition)
            WF_TRY(wf_vars_eval(r->vars, j->key + 1, &value, r->err));
        else
            WF_TRY(wf_value_of_json(r->vars->arena, at, &value, r->err));
        if (wf_value_true(&value))
            return wf_fail_at(r->err, WEFT_UNSUPPORTED, at ? at->offset : -1, "%s%s%s%s", condition ? "" : "'",
                              condition ? "" : j->key,
                              condition ? "" : "': ", j->kind == WF_JSON_STRING ? j->string : "not supported");
    }
    return WEFT_OK;
}

static weft_status check_rules(const config_reader *r, const wf_json *table) {
    const wf_json *checks = wf_json_get(table, "checks");
    wf_value value;
    for (const wf_json *j = checks ? checks->child : NULL; j; j = j->next) {
        WF_TRY(wf_vars_eval(r->vars, j->key, &value, r->err));
        WF_CHECK(wf_value_true(&value), r->err, WEFT_BAD_INPUT, "%s", j->kind == WF_JSON_STRING ? j->string : j->key);
    }
    return WEFT_OK;
}

weft_status wf_config_read(const wf_family *family, const wf_json *config, wf_vars *vars, weft_error *err) {
    config_reader r = {family, config, vars, err};
    const wf_json *tables[] = {family->common, family->json};
    for (size_t i = 0; i < 2; i++)
        WF_TRY(read_keys(&r, wf_json_get(tables[i], "keys")));
    for (size_t i = 0; i < 2; i++)
        WF_TRY(read_lets(&r, wf_json_get(tables[i], "let")));
    for (size_t i = 0; i < 2; i++)
        WF_TRY(check_refused(&r, tables[i]));
    WF_TRY(check_listed(&r));
    for (size_t i = 0; i < 2; i++)
        WF_TRY(check_rules(&r, tables[i]));
    return WEFT_OK;
}
