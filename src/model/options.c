#include "model/options.h"
#include <stdarg.h>
#include <stdio.h>

void wf_option_fail(wf_options *o, const wf_json *at, const char *fmt, ...) {
    char text[WEFT_MESSAGE_SIZE];
    va_list args;
    if (o->status != WEFT_OK)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    o->status = wf_fail_at(o->err, WEFT_USAGE, at ? at->offset : -1, "%s: %s", o->what, text);
}

static const char *nth_word(const void *user, size_t i) { return ((const char *const *)user)[i]; }

static void check_key(wf_options *o, const wf_json *j, const char *const *words) {
    for (size_t i = 0; words[i]; i++)
        if (wf_streq(words[i], j->key))
            return;
    const char *near = wf_nearest(j->key, nth_word, words);
    if (near)
        wf_option_fail(o, j, "unknown option '%s', did you mean '%s'?", j->key, near);
    else
        wf_option_fail(o, j, "unknown option '%s'", j->key);
}

wf_options wf_options_open(const wf_json *object, const char *what, const char *const *words, weft_error *err) {
    wf_options o = {.object = object, .what = what, .err = err};
    if (object && object->kind != WF_JSON_OBJECT) {
        wf_option_fail(&o, object, "must be an object");
        o.object = NULL;
    }
    for (const wf_json *j = o.object ? o.object->child : NULL; j; j = j->next)
        check_key(&o, j, words);
    return o;
}

static const wf_json *given(wf_options *o, const char *key) {
    const wf_json *j = o->status == WEFT_OK ? wf_json_get(o->object, key) : NULL;
    return j && j->kind != WF_JSON_NULL ? j : NULL;
}

int64_t wf_option_int(wf_options *o, const char *key, int64_t fallback, int64_t min, int64_t max) {
    const wf_json *j = given(o, key);
    if (!j)
        return fallback;
    if (!j->is_integer || j->kind != WF_JSON_NUMBER)
        wf_option_fail(o, j, "'%s' must be an integer", key);
    else if (j->integer < min || j->integer > max)
        wf_option_fail(o, j, "'%s' must be between %lld and %lld, not %lld", key, (long long)min, (long long)max,
                       (long long)j->integer);
    return o->status == WEFT_OK ? j->integer : fallback;
}

double wf_option_float(wf_options *o, const char *key, double fallback, double min, double max) {
    const wf_json *j = given(o, key);
    if (!j)
        return fallback;
    if (j->kind != WF_JSON_NUMBER)
        wf_option_fail(o, j, "'%s' must be a number", key);
    else if (!(j->number >= min && j->number <= max))
        wf_option_fail(o, j, "'%s' must be between %g and %g, not %g", key, min, max, j->number);
    return o->status == WEFT_OK ? j->number : fallback;
}

bool wf_option_bool(wf_options *o, const char *key, bool fallback) {
    const wf_json *j = given(o, key);
    if (!j)
        return fallback;
    if (j->kind != WF_JSON_TRUE && j->kind != WF_JSON_FALSE)
        wf_option_fail(o, j, "'%s' must be true or false", key);
    return j->kind == WF_JSON_TRUE;
}

const char *wf_option_text(wf_options *o, const char *key, const char *fallback) {
    const wf_json *j = given(o, key);
    if (!j)
        return fallback;
    if (j->kind != WF_JSON_STRING)
        wf_option_fail(o, j, "'%s' must be a string", key);
    return j->kind == WF_JSON_STRING ? j->string : fallback;
}
