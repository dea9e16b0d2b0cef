/* options.c - option tables: see options.h. */
#include "train/options.h"
#include <stdio.h>
#include <string.h>

typedef struct key_pair {
    const wf_option *keys, *common;
} key_pair;

static size_t table_length(const wf_option *keys) {
    size_t n = 0;
    while (keys && keys[n].name)
        n++;
    return n;
}

static const wf_option *key_at(const key_pair *pair, size_t i) {
    size_t own = table_length(pair->keys);
    if (i < own)
        return &pair->keys[i];
    return i - own < table_length(pair->common) ? &pair->common[i - own] : NULL;
}

static const char *name_at(const void *user, size_t i) {
    const wf_option *key = key_at(user, i);
    return key ? key->name : NULL;
}

static const wf_option *find_key(const key_pair *pair, const char *name) {
    for (size_t i = 0; key_at(pair, i); i++)
        if (wf_streq(key_at(pair, i)->name, name))
            return key_at(pair, i);
    return NULL;
}

static int option_width(const wf_option *key) { return key->count > 1 ? key->count : 1; }

/* The index of `text` among the words of "a|b|c", -1 when absent. */
static int choice_index(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (int index = 0; *choices; index++) {
        size_t word = strcspn(choices, "|");
        if (word == length && memcmp(choices, text, word) == 0)
            return index;
        choices += word + (choices[word] == '|');
    }
    return -1;
}

static size_t choice_word(const char *choices, int index, const char **word) {
    while (index-- > 0)
        choices += strcspn(choices, "|") + 1;
    *word = choices;
    return strcspn(choices, "|");
}

static weft_status check_range(const wf_option *key, double v, const char *what, int64_t offset, weft_error *err) {
    bool high = key->below ? v >= key->max : v > key->max;
    if (v >= key->min && !high && isfinite(v))
        return WEFT_OK;
    if (isinf(key->max))
        return wf_fail_at(err, WEFT_USAGE, offset, "%s: option \"%s\" must be at least %g, not %g", what, key->name, key->min,
                          v);
    return wf_fail_at(err, WEFT_USAGE, offset, "%s: option \"%s\" must be in %g .. %g%s, not %g", what, key->name, key->min,
                      key->max, key->below ? " (the end left out)" : "", v);
}

static weft_status read_number(const wf_option *key, const wf_json *j, const char *what, double *out, weft_error *err) {
    if (j->kind != WF_JSON_NUMBER || (key->type == WF_OPTION_INT && !j->is_integer && j->number != floor(j->number)))
        return wf_fail_at(err, WEFT_USAGE, j->offset, "%s: option \"%s\" must be %s", what, key->name,
                          key->type == WF_OPTION_INT ? "a whole number" : "a number");
    *out = j->number;
    return check_range(key, *out, what, j->offset, err);
}

static weft_status read_scalar(const wf_option *key, const wf_json *j, const char *what, double *out, weft_error *err) {
    if (j->kind == WF_JSON_NULL && key->nullable) {
        *out = NAN;
        return WEFT_OK;
    }
    if (key->type == WF_OPTION_BOOL) {
        if (j->kind != WF_JSON_TRUE && j->kind != WF_JSON_FALSE)
            return wf_fail_at(err, WEFT_USAGE, j->offset, "%s: option \"%s\" must be true or false", what, key->name);
        *out = j->kind == WF_JSON_TRUE;
        return WEFT_OK;
    }
    if (key->type == WF_OPTION_CHOICE) {
        int index = j->kind == WF_JSON_STRING ? choice_index(key->choices, j->string) : -1;
        if (index < 0)
            return wf_fail_at(err, WEFT_USAGE, j->offset, "%s: option \"%s\" must be one of %s%s", what, key->name,
                              key->choices, key->nullable ? " or null" : "");
        *out = index;
        return WEFT_OK;
    }
    return read_number(key, j, what, out, err);
}

static weft_status read_option(const wf_option *key, const wf_json *j, const char *what, double *values, weft_error *err) {
    if (key->count <= 1)
        return read_scalar(key, j, what, &values[key->at], err);
    if (j->kind != WF_JSON_ARRAY || j->count != (size_t)key->count)
        return wf_fail_at(err, WEFT_USAGE, j->offset, "%s: option \"%s\" must be a list of %d numbers", what, key->name,
                          key->count);
    int i = 0;
    for (const wf_json *item = j->child; item; item = item->next)
        WF_TRY(read_scalar(key, item, what, &values[key->at + i++], err));
    return WEFT_OK;
}

static weft_status unknown_key(const key_pair *pair, const wf_json *member, const char *what, weft_error *err) {
    const char *near = wf_nearest(member->key, name_at, pair);
    if (near)
        return wf_fail_at(err, WEFT_USAGE, member->offset, "%s: unknown option \"%s\"; did you mean \"%s\"?", what, member->key,
                          near);
    return wf_fail_at(err, WEFT_USAGE, member->offset, "%s: unknown option \"%s\"", what, member->key);
}

static weft_status check_required(const key_pair *pair, const wf_json *object, const char *what, weft_error *err) {
    for (size_t i = 0; key_at(pair, i); i++) {
        const wf_option *key = key_at(pair, i);
        if (key->required && !wf_json_get(object, key->name))
            return wf_fail(err, WEFT_USAGE, "%s: option \"%s\" is missing", what, key->name);
    }
    return WEFT_OK;
}

weft_status wf_options_read(const wf_option *keys, const wf_option *common, const wf_json *object, const char *what,
                            double *values, weft_error *err) {
    key_pair pair = {keys, common};
    for (size_t i = 0; key_at(&pair, i); i++) {
        const wf_option *key = key_at(&pair, i);
        for (int k = 0; k < option_width(key); k++)
            values[key->at + k] = key->fallback[k];
    }
    if (object && object->kind != WF_JSON_OBJECT)
        return wf_fail_at(err, WEFT_USAGE, object->offset, "%s: options must be a JSON object", what);
    for (const wf_json *member = object ? object->child : NULL; member; member = member->next) {
        if (wf_streq(member->key, "name"))
            continue;
        const wf_option *key = find_key(&pair, member->key);
        if (!key)
            return unknown_key(&pair, member, what, err);
        WF_TRY(read_option(key, member, what, values, err));
    }
    return check_required(&pair, object, what, err);
}

static wf_json *scalar_json(wf_arena *arena, const wf_option *key, double v) {
    if (isnan(v))
        return wf_json_new(arena, WF_JSON_NULL);
    if (key->type == WF_OPTION_BOOL)
        return wf_json_new_bool(arena, v != 0);
    if (key->type == WF_OPTION_INT)
        return wf_json_new_int(arena, (int64_t)v);
    if (key->type == WF_OPTION_CHOICE) {
        const char *word;
        size_t length = choice_word(key->choices, (int)v, &word);
        return wf_json_new_string(arena, word, length);
    }
    return wf_json_new_double(arena, v);
}

void wf_options_write(wf_arena *arena, const wf_option *keys, const double *values, wf_json *object) {
    for (const wf_option *key = keys; key->name; key++) {
        if (key->count <= 1) {
            if (!isnan(values[key->at]) || !isnan(key->fallback[0]))
                wf_json_put(arena, object, key->name, scalar_json(arena, key, values[key->at]));
            continue;
        }
        wf_json *list = wf_json_new(arena, WF_JSON_ARRAY);
        for (int i = 0; i < key->count && list; i++)
            wf_json_push(list, scalar_json(arena, key, values[key->at + i]));
        wf_json_put(arena, object, key->name, list);
    }
}

static void scalar_text(const wf_option *key, double v, char out[40]) {
    const char *word;
    if (isnan(v))
        snprintf(out, 40, "null");
    else if (key->type == WF_OPTION_BOOL)
        snprintf(out, 40, "%s", v != 0 ? "true" : "false");
    else if (key->type == WF_OPTION_CHOICE) {
        int length = (int)choice_word(key->choices, (int)v, &word);
        snprintf(out, 40, "%.*s", length, word);
    } else
        wf_format_double(v, out);
}

void wf_option_default(const wf_option *key, char out[96]) {
    char one[40];
    if (key->required) {
        snprintf(out, 96, "required");
        return;
    }
    if (key->count <= 1) {
        scalar_text(key, key->fallback[0], one);
        snprintf(out, 96, "%s", one);
        return;
    }
    size_t used = 0;
    for (int i = 0; i < key->count; i++) {
        scalar_text(key, key->fallback[i], one);
        used += (size_t)snprintf(out + used, 96 - used, "%s%.24s", i ? ", " : "[", one);
    }
    snprintf(out + used, 96 - used, "]");
}
