/* value.c - making values, and what is asked of every type. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "template/engine.h"

/* ---- errors, limits ---- */

weft_status wf_tpl_fail(wf_tpl *r, wf_template_error kind, const char *fmt, ...) {
    char message[400];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(message, sizeof message, fmt, args) < 0)
        message[0] = 0;
    va_end(args);
    r->kind = kind;
    weft_status status = kind == WF_TEMPLATE_LIMIT ? WEFT_FAILURE : WEFT_BAD_INPUT;
    if (r->line)
        return wf_fail(r->err, status, "line %u: %s", (unsigned)r->line, message);
    return wf_fail(r->err, status, "%s", message);
}

weft_status wf_tpl_unsupported(wf_tpl *r, const char *what) {
    wf_tpl_fail(r, WF_TEMPLATE_RUNTIME, "%s is not supported", what);
    if (r->err)
        r->err->status = WEFT_UNSUPPORTED;
    return WEFT_UNSUPPORTED;
}

weft_status wf_tpl_type_error(wf_tpl *r, const char *fmt, ...) {
    char message[300];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(message, sizeof message, fmt, args) < 0)
        message[0] = 0;
    va_end(args);
    return wf_tpl_fail(r, WF_TEMPLATE_RUNTIME, "%s", message);
}

weft_status wf_tpl_no_memory(wf_tpl *r) {
    if (!r->arena.limit || r->arena.used < r->arena.limit / 2)
        return wf_fail_memory(r->err);
    return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "the values take more than %zu MiB", r->arena.limit >> 20);
}

weft_status wf_tpl_spend(wf_tpl *r, size_t work) {
    r->steps -= work > (size_t)INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)work;
    if (r->steps < 0)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "the template takes too many steps");
    return WEFT_OK;
}

weft_status wf_tpl_enter(wf_tpl *r) {
    if (++r->depth > WF_TPL_DEPTH)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "maximum recursion depth exceeded");
    return WEFT_OK;
}

/* ---- small values ---- */

wf_var wf_var_none(void) { return (wf_var){.type = WF_VAR_NONE}; }
wf_var wf_var_bool(bool b) { return (wf_var){.type = WF_VAR_BOOL, .truth = b}; }
wf_var wf_var_int(int64_t i) { return (wf_var){.type = WF_VAR_INT, .integer = i}; }
wf_var wf_var_float(double d) { return (wf_var){.type = WF_VAR_FLOAT, .number = d}; }
wf_var wf_var_of_text(const wf_tpl_text *text) { return (wf_var){.type = WF_VAR_STRING, .text = text}; }
wf_var wf_var_of_dict(wf_tpl_dict *dict) { return (wf_var){.type = WF_VAR_DICT, .dict = dict}; }
wf_var wf_var_of_list(wf_var_type type, const wf_tpl_list *list) { return (wf_var){.type = type, .list = list}; }
bool wf_var_is_whole(wf_var v) { return v.type == WF_VAR_INT || v.type == WF_VAR_BOOL; }
bool wf_var_is_number(wf_var v) { return v.type == WF_VAR_FLOAT || v.type == WF_VAR_BIG || wf_var_is_whole(v); }
int64_t wf_var_whole(wf_var v) { return v.type == WF_VAR_BOOL ? v.truth : v.integer; }
bool wf_text_is(const wf_tpl_text *text, const char *word) {
    return text->bytes == strlen(word) && memcmp(text->data, word, text->bytes) == 0;
}

double wf_var_double(wf_var v) {
    double d = 0;
    if (v.type == WF_VAR_FLOAT)
        return v.number;
    if (v.type != WF_VAR_BIG)
        return (double)wf_var_whole(v);
    wf_tpl_read_float(v.text->data, v.text->bytes, &d);
    return d;
}

weft_status wf_var_string(wf_tpl *r, const char *data, size_t bytes, wf_var *out) {
    size_t size;
    wf_tpl_text *text = wf_add_size(bytes, sizeof *text + 1, &size) ? wf_arena_alloc(&r->arena, size) : NULL;
    WF_TPL_NEED(r, text);
    WF_TRY(wf_tpl_spend(r, bytes / 16));
    char *copy = (char *)(text + 1);
    if (bytes)
        memcpy(copy, data, bytes);
    *text = (wf_tpl_text){bytes, wf_tpl_count_chars(copy, bytes), copy};
    *out = wf_var_of_text(text);
    return WEFT_OK;
}

weft_status wf_var_take(wf_tpl *r, wf_str *s, wf_var *out) {
    weft_status status = s->failed ? wf_fail_memory(r->err) : wf_var_string(r, s->data, s->length, out);
    wf_str_free(s);
    return status;
}

weft_status wf_var_undefined(wf_tpl *r, wf_var object, wf_var key, wf_var *out) {
    wf_tpl_absent *absent = wf_arena_alloc(&r->arena, sizeof *absent);
    WF_TPL_NEED(r, absent);
    *absent = (wf_tpl_absent){.object = object, .key = key};
    *out = (wf_var){.type = WF_VAR_UNDEFINED, .absent = absent};
    return WEFT_OK;
}

weft_status wf_var_undefined_hint(wf_tpl *r, const char *hint, wf_var *out) {
    wf_tpl_absent *absent = wf_arena_alloc(&r->arena, sizeof *absent);
    WF_TPL_NEED(r, absent);
    absent->hint = hint;
    *out = (wf_var){.type = WF_VAR_UNDEFINED, .absent = absent};
    return WEFT_OK;
}

/* What the reference says when an undefined value is used. */
weft_status wf_tpl_undefined_error(wf_tpl *r, wf_var v) {
    static const wf_tpl_absent nothing = {.hint = "the value is undefined"};
    const wf_tpl_absent *a = v.absent ? v.absent : &nothing;
    const char *kind = wf_var_type_word(a->object);
    if (a->forbidden)
        return wf_tpl_fail(r, WF_TEMPLATE_SECURITY, "access to attribute '%.200s' of '%s' object is unsafe.", a->key.text->data,
                           kind);
    if (a->hint)
        return wf_tpl_fail(r, WF_TEMPLATE_UNDEFINED, "%s", a->hint);
    if (a->object.type == WF_VAR_UNDEFINED)
        return wf_tpl_fail(r, WF_TEMPLATE_UNDEFINED, "'%.200s' is undefined", a->key.text->data);
    if (a->key.type == WF_VAR_STRING)
        return wf_tpl_fail(r, WF_TEMPLATE_UNDEFINED, "'%s%s' has no attribute '%.200s'", kind,
                           a->object.type == WF_VAR_NONE ? "" : " object", a->key.text->data);
    wf_str key = wf_str_new(r->arena.mem);
    weft_status status = wf_tpl_repr(r, a->key, &key);
    if (status == WEFT_OK)
        status = wf_tpl_fail(r, WF_TEMPLATE_UNDEFINED, "%s object has no element %.200s", kind, wf_str_text(&key));
    wf_str_free(&key);
    return status;
}

/* ---- lists ---- */

weft_status wf_var_new_list(wf_tpl *r, size_t count, wf_tpl_list **out) {
    size_t bytes;
    *out = wf_mul_size(count, sizeof(wf_var), &bytes) ? wf_arena_alloc(&r->arena, sizeof **out) : NULL;
    WF_TPL_NEED(r, *out);
    WF_TRY(wf_tpl_spend(r, count / 4));
    (*out)->items = wf_arena_alloc(&r->arena, bytes);
    WF_TPL_NEED(r, (*out)->items);
    (*out)->count = count;
    return WEFT_OK;
}

weft_status wf_var_new_tuple(wf_tpl *r, const wf_var *items, size_t count, wf_var *out) {
    wf_tpl_list *list;
    WF_TRY(wf_var_new_list(r, count, &list));
    if (count)
        memcpy(list->items, items, count * sizeof *items);
    *out = wf_var_of_list(WF_VAR_TUPLE, list);
    return WEFT_OK;
}

weft_status wf_tpl_push(wf_tpl *r, wf_tpl_items *items, wf_var v) {
    if (items->count == items->capacity) {
        size_t capacity = items->capacity ? items->capacity * 2 : 8;
        wf_var *more = wf_arena_alloc(&r->arena, capacity * sizeof *more);
        WF_TPL_NEED(r, more);
        if (items->count)
            memcpy(more, items->list, items->count * sizeof *more);
        items->list = more;
        items->capacity = capacity;
    }
    items->list[items->count++] = v;
    return wf_tpl_spend(r, 1);
}

weft_status wf_var_list_of(wf_tpl *r, const wf_tpl_items *items, wf_var *out) {
    wf_tpl_list *list = wf_arena_alloc(&r->arena, sizeof *list);
    WF_TPL_NEED(r, list);
    *list = (wf_tpl_list){.count = items->count, .items = items->list};
    *out = wf_var_of_list(WF_VAR_LIST, list);
    return WEFT_OK;
}

/* ---- JSON ---- */

static weft_status from_members(wf_tpl *r, const wf_json *j, wf_var *out) {
    wf_tpl_dict *dict;
    wf_var key, value;
    WF_TRY(wf_dict_new(r, &dict));
    for (const wf_json *child = j->child; child; child = child->next) {
        WF_TRY(wf_var_string(r, child->key, strlen(child->key), &key));
        WF_TRY(wf_var_from_json(r, child, &value));
        WF_TRY(wf_dict_put(r, dict, key, value));
    }
    *out = wf_var_of_dict(dict);
    return WEFT_OK;
}

static weft_status from_elements(wf_tpl *r, const wf_json *j, wf_var *out) {
    wf_tpl_list *list;
    size_t i = 0;
    WF_TRY(wf_var_new_list(r, j->count, &list));
    for (const wf_json *child = j->child; child; child = child->next)
        WF_TRY(wf_var_from_json(r, child, &list->items[i++]));
    *out = wf_var_of_list(WF_VAR_LIST, list);
    return WEFT_OK;
}

/* Numbers as Python's json reads them: without fraction and exponent they are whole, however long. */
static weft_status from_number(wf_tpl *r, const wf_json *j, wf_var *out) {
    bool whole = j->string ? !strpbrk(j->string, ".eE") : j->is_integer;
    *out = whole && j->is_integer ? wf_var_int(j->integer) : wf_var_float(j->number);
    if (whole && !j->is_integer && !wf_tpl_read_int(j->string, strlen(j->string), 10, r, out))
        return wf_tpl_no_memory(r);
    return WEFT_OK;
}

weft_status wf_var_from_json(wf_tpl *r, const wf_json *j, wf_var *out) {
    weft_status status = WEFT_OK;
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(wf_tpl_spend(r, 1));
    *out = wf_var_none();
    if (j->kind == WF_JSON_TRUE || j->kind == WF_JSON_FALSE)
        *out = wf_var_bool(j->kind == WF_JSON_TRUE);
    else if (j->kind == WF_JSON_NUMBER)
        status = from_number(r, j, out);
    else if (j->kind == WF_JSON_STRING)
        status = wf_var_string(r, j->string, j->length, out);
    else if (j->kind == WF_JSON_ARRAY)
        status = from_elements(r, j, out);
    else if (j->kind == WF_JSON_OBJECT)
        status = from_members(r, j, out);
    r->depth--;
    return status;
}

/* ---- questions ---- */

bool wf_var_length(wf_var v, size_t *out) {
    switch (v.type) {
    case WF_VAR_UNDEFINED:
        *out = 0;
        return true;
    case WF_VAR_STRING:
        *out = v.text->chars;
        return true;
    case WF_VAR_LIST:
    case WF_VAR_TUPLE:
        *out = v.list->count;
        return true;
    case WF_VAR_DICT:
        *out = v.dict->count;
        return true;
    case WF_VAR_RANGE:
        *out = (size_t)v.range->count;
        return true;
    case WF_VAR_VIEW:
        *out = v.view->dict->count;
        return true;
    default:
        return false;
    }
}

bool wf_var_true(wf_var v) {
    size_t length;
    switch (v.type) {
    case WF_VAR_NONE:
        return false;
    case WF_VAR_BOOL:
        return v.truth;
    case WF_VAR_INT:
        return v.integer != 0;
    case WF_VAR_FLOAT:
        return v.number != 0;
    default:
        return !wf_var_length(v, &length) || length > 0;
    }
}

bool wf_var_same(wf_var a, wf_var b) {
    if (a.type != b.type)
        return false;
    if (a.type == WF_VAR_NONE)
        return true;
    if (a.type == WF_VAR_BOOL)
        return a.truth == b.truth;
    if (a.type == WF_VAR_INT) /* small integers are one object in the reference; larger ones as it happens */
        return a.integer == b.integer;
    if (a.type == WF_VAR_FLOAT)
        return a.number == b.number;
    if (a.type == WF_VAR_STRING)
        return a.text->bytes == b.text->bytes && memcmp(a.text->data, b.text->data, a.text->bytes) == 0;
    return a.list == b.list;
}

/* ---- types ---- */

static const char *const list_unsafe[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
static const char *const dict_unsafe[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};

static weft_status list_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    *found = v.list->pair && (wf_text_is(name, "grouper") || wf_text_is(name, "list"));
    if (*found)
        *out = v.list->items[name->data[0] == 'l'];
    return WEFT_OK;
}

static weft_status range_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    int64_t values[] = {v.range->start, v.range->stop, v.range->step};
    static const char *const words[] = {"start", "stop", "step"};
    for (int i = 0; i < 3; i++)
        if (wf_text_is(name, words[i])) {
            *out = wf_var_int(values[i]);
            *found = true;
        }
    return WEFT_OK;
}

static weft_status number_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    bool whole = v.type != WF_VAR_FLOAT;
    if (wf_text_is(name, "real") || (whole && wf_text_is(name, "numerator")))
        *out = v.type == WF_VAR_BOOL ? wf_var_int(v.truth) : v;
    else if (wf_text_is(name, "imag"))
        *out = whole ? wf_var_int(0) : wf_var_float(0);
    else if (whole && wf_text_is(name, "denominator"))
        *out = wf_var_int(1);
    else
        return WEFT_OK;
    *found = true;
    return WEFT_OK;
}

static weft_status namespace_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    const wf_var *there;
    WF_TRY(wf_dict_find(r, v.dict, wf_var_of_text(name), &there));
    *found = there != NULL;
    if (there)
        *out = *there;
    return WEFT_OK;
}

static weft_status cycler_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    if (wf_text_is(name, "current"))
        *out = v.cycler->items->items[v.cycler->at];
    else if (wf_text_is(name, "pos"))
        *out = wf_var_int((int64_t)v.cycler->at);
    else if (wf_text_is(name, "items"))
        *out = wf_var_of_list(WF_VAR_TUPLE, v.cycler->items);
    else
        return WEFT_OK;
    *found = true;
    return WEFT_OK;
}

static weft_status joiner_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    *found = true;
    if (wf_text_is(name, "sep"))
        *out = v.cycler->separator;
    else if (wf_text_is(name, "used"))
        *out = wf_var_bool(v.cycler->at > 0);
    else
        *found = false;
    return WEFT_OK;
}

const wf_tpl_type wf_tpl_types[WF_VAR_TYPES] = {
    [WF_VAR_UNDEFINED] = {"Undefined", NULL, NULL, NULL},
    [WF_VAR_NONE] = {"NoneType", NULL, NULL, NULL},
    [WF_VAR_BOOL] = {"bool", wf_tpl_number_methods, NULL, number_attribute},
    [WF_VAR_INT] = {"int", wf_tpl_number_methods, NULL, number_attribute},
    [WF_VAR_BIG] = {"int", NULL, NULL, number_attribute},
    [WF_VAR_FLOAT] = {"float", wf_tpl_float_methods, NULL, number_attribute},
    [WF_VAR_STRING] = {"str", wf_tpl_string_methods, NULL, NULL},
    [WF_VAR_LIST] = {"list", wf_tpl_list_methods, list_unsafe, NULL},
    [WF_VAR_TUPLE] = {"tuple", wf_tpl_tuple_methods, NULL, list_attribute},
    [WF_VAR_DICT] = {"dict", wf_tpl_dict_methods, dict_unsafe, NULL},
    [WF_VAR_RANGE] = {"range", wf_tpl_tuple_methods, NULL, range_attribute},
    [WF_VAR_VIEW] = {"dict_keys", NULL, NULL, NULL},
    [WF_VAR_ITERATOR] = {"generator", NULL, NULL, NULL},
    [WF_VAR_NAMESPACE] = {"Namespace", NULL, NULL, namespace_attribute},
    [WF_VAR_LOOP] = {"LoopContext", wf_tpl_loop_methods, NULL, wf_tpl_loop_attribute},
    [WF_VAR_MACRO] = {"Macro", NULL, NULL, wf_tpl_macro_attribute},
    [WF_VAR_FUNCTION] = {"function", NULL, NULL, wf_tpl_function_attribute},
    [WF_VAR_METHOD] = {"builtin_function_or_method", NULL, NULL, NULL},
    [WF_VAR_CYCLER] = {"Cycler", wf_tpl_cycler_methods, NULL, cycler_attribute},
    [WF_VAR_JOINER] = {"Joiner", NULL, NULL, joiner_attribute},
};

const char *wf_var_type_word(wf_var v) {
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    if (v.type == WF_VAR_VIEW)
        return views[v.view->kind];
    if (v.type == WF_VAR_ITERATOR && v.iter->name)
        return v.iter->name;
    if (v.type == WF_VAR_STRING && v.safe)
        return "Markup";
    return v.type == WF_VAR_NONE ? "None" : wf_tpl_types[v.type].name;
}
