#include "base/expr_eval.h"
#include <string.h>

enum { DEEPEST_VALUE = 128 };

wf_value wf_value_int(int64_t i) { return (wf_value){.type = WF_INT, .integer = i, .number = (double)i}; }
wf_value wf_value_float(double d) { return (wf_value){.type = WF_FLOAT, .number = d}; }
wf_value wf_value_bool(bool b) { return (wf_value){.type = WF_BOOL, .integer = b, .number = b}; }
wf_value wf_value_string(const char *s) { return s ? (wf_value){.type = WF_STRING, .string = s} : (wf_value){.type = WF_NULL}; }

const char *wf_value_type_name(const wf_value *v) {
    static const char *const names[] = {
        [WF_NULL] = "null",       [WF_BOOL] = "a boolean", [WF_INT] = "an integer",  [WF_FLOAT] = "a float",
        [WF_STRING] = "a string", [WF_LIST] = "a list",    [WF_OBJECT] = "an object"};
    return names[v->type];
}

bool wf_value_is_whole(const wf_value *v) { return v->type == WF_INT || v->type == WF_BOOL; }
bool wf_value_is_number(const wf_value *v) { return v->type == WF_FLOAT || wf_value_is_whole(v); }
double wf_value_as_double(const wf_value *v) { return v->type == WF_FLOAT ? v->number : (double)v->integer; }

bool wf_value_true(const wf_value *v) {
    switch (v->type) {
    case WF_NULL:
        return false;
    case WF_BOOL:
    case WF_INT:
        return v->integer != 0;
    case WF_FLOAT:
        return v->number != 0;
    case WF_STRING:
        return v->string && v->string[0];
    case WF_LIST:
        return v->count > 0;
    case WF_OBJECT:
        return true;
    }
    return false;
}

/* ---- equality ---- */

static bool same(const wf_value *a, const wf_value *b, size_t *budget, int depth);

static bool same_items(const wf_value *a, const wf_value *b, size_t *budget, int depth) {
    if (a->count != b->count || a->count > *budget || depth == DEEPEST_VALUE)
        return false;
    *budget -= a->count;
    for (size_t i = 0; i < a->count; i++)
        if (!same(&a->items[i], &b->items[i], budget, depth + 1))
            return false;
    return true;
}

static bool same(const wf_value *a, const wf_value *b, size_t *budget, int depth) {
    if (wf_value_is_whole(a) && wf_value_is_whole(b))
        return a->integer == b->integer;
    if (wf_value_is_number(a) && wf_value_is_number(b))
        return wf_value_as_double(a) == wf_value_as_double(b);
    if (a->type != b->type)
        return false;
    if (a->type == WF_STRING)
        return strcmp(a->string, b->string) == 0;
    if (a->type == WF_LIST)
        return same_items(a, b, budget, depth);
    return a->type == WF_NULL || wf_json_equal(a->object, b->object);
}

bool wf_value_equal(const wf_value *a, const wf_value *b, size_t *budget) { return same(a, b, budget, 0); }

/* ---- JSON ---- */

static weft_status convert(wf_arena *arena, const wf_json *j, size_t *budget, int depth, wf_value *out, weft_error *err);

static weft_status convert_list(wf_arena *arena, const wf_json *j, size_t *budget, int depth, wf_value *out, weft_error *err) {
    WF_CHECK(depth < WF_EXPR_DEPTH, err, WEFT_BAD_INPUT, "lists nested more than %d deep", (int)WF_EXPR_DEPTH);
    WF_CHECK(j->count <= *budget, err, WEFT_BAD_INPUT, "a list of %zu elements is too long", j->count);
    *budget -= j->count;
    wf_value *items = wf_arena_alloc(arena, j->count * sizeof *items);
    if (!items)
        return wf_fail_memory(err);
    size_t i = 0;
    for (const wf_json *child = j->child; child; child = child->next)
        WF_TRY(convert(arena, child, budget, depth + 1, &items[i++], err));
    *out = (wf_value){.type = WF_LIST, .items = items, .count = j->count};
    return WEFT_OK;
}

static weft_status convert(wf_arena *arena, const wf_json *j, size_t *budget, int depth, wf_value *out, weft_error *err) {
    *out = (wf_value){.type = WF_NULL};
    switch (j->kind) {
    case WF_JSON_NULL:
    case WF_JSON_END:
        return WEFT_OK;
    case WF_JSON_TRUE:
    case WF_JSON_FALSE:
        *out = wf_value_bool(j->kind == WF_JSON_TRUE);
        return WEFT_OK;
    case WF_JSON_NUMBER:
        *out = j->is_integer ? wf_value_int(j->integer) : wf_value_float(j->number);
        return WEFT_OK;
    case WF_JSON_STRING:
        WF_CHECK(!memchr(j->string, 0, j->length), err, WEFT_BAD_INPUT, "a string with a zero byte");
        *out = wf_value_string(j->string);
        return WEFT_OK;
    case WF_JSON_OBJECT:
        *out = (wf_value){.type = WF_OBJECT, .object = j};
        return WEFT_OK;
    case WF_JSON_ARRAY:
        return convert_list(arena, j, budget, depth, out, err);
    }
    return WEFT_OK;
}

weft_status wf_value_convert(wf_arena *arena, const wf_json *j, size_t *budget, wf_value *out, weft_error *err) {
    return convert(arena, j, budget, 0, out, err);
}

weft_status wf_value_of_json(wf_arena *arena, const wf_json *j, wf_value *out, weft_error *err) {
    size_t budget = WF_EXPR_ELEMENTS;
    *out = (wf_value){.type = WF_NULL};
    return j ? convert(arena, j, &budget, 0, out, err) : WEFT_OK;
}

static wf_json *to_json(wf_arena *arena, const wf_value *v, int depth) {
    switch (v->type) {
    case WF_NULL:
        return wf_json_new(arena, WF_JSON_NULL);
    case WF_BOOL:
        return wf_json_new_bool(arena, v->integer != 0);
    case WF_INT:
        return wf_json_new_int(arena, v->integer);
    case WF_FLOAT:
        return wf_json_new_float(arena, v->number);
    case WF_STRING:
        return wf_json_new_string(arena, v->string, strlen(v->string));
    case WF_OBJECT:
        return wf_json_copy(arena, v->object);
    case WF_LIST:
        break;
    }
    wf_json *array = depth < DEEPEST_VALUE ? wf_json_new(arena, WF_JSON_ARRAY) : NULL;
    for (size_t i = 0; array && i < v->count; i++)
        if (!wf_json_push(array, to_json(arena, &v->items[i], depth + 1)))
            return NULL;
    return array;
}

wf_json *wf_value_to_json(wf_arena *arena, const wf_value *v) { return to_json(arena, v, 0); }
