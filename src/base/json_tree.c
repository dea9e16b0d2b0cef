#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- looking things up ---- */

static const wf_json *member(const wf_json *object, const char *key, size_t length) {
    if (!object || object->kind != WF_JSON_OBJECT || !key)
        return NULL;
    for (const wf_json *j = object->child; j; j = j->next)
        if (strncmp(j->key, key, length) == 0 && j->key[length] == 0)
            return j;
    return NULL;
}

const wf_json *wf_json_get(const wf_json *object, const char *key) { return key ? member(object, key, strlen(key)) : NULL; }

const wf_json *wf_json_at(const wf_json *array, size_t i) {
    if (!array || array->kind != WF_JSON_ARRAY || i >= array->count)
        return NULL;
    const wf_json *j = array->child;
    while (i-- > 0)
        j = j->next;
    return j;
}

const wf_json *wf_json_path(const wf_json *root, const char *dotted) {
    const wf_json *at = root;
    while (at && dotted) {
        size_t length = strcspn(dotted, ".");
        int64_t index;
        if (at->kind == WF_JSON_ARRAY)
            at = wf_parse_i64(dotted, length, &index) && index >= 0 ? wf_json_at(at, (size_t)index) : NULL;
        else
            at = member(at, dotted, length);
        dotted = dotted[length] ? dotted + length + 1 : NULL;
    }
    return at;
}

bool wf_json_is_string(const wf_json *j, const char *text) {
    return j && j->kind == WF_JSON_STRING && j->length == strlen(text) && memcmp(j->string, text, j->length) == 0;
}

int64_t wf_json_int(const wf_json *object, const char *key, int64_t fallback) {
    const wf_json *j = wf_json_get(object, key);
    return j && j->kind == WF_JSON_NUMBER && j->is_integer ? j->integer : fallback;
}

double wf_json_double(const wf_json *object, const char *key, double fallback) {
    const wf_json *j = wf_json_get(object, key);
    return j && j->kind == WF_JSON_NUMBER ? j->number : fallback;
}

bool wf_json_bool(const wf_json *object, const char *key, bool fallback) {
    const wf_json *j = wf_json_get(object, key);
    if (!j || (j->kind != WF_JSON_TRUE && j->kind != WF_JSON_FALSE))
        return fallback;
    return j->kind == WF_JSON_TRUE;
}

const char *wf_json_text(const wf_json *object, const char *key, const char *fallback) {
    const wf_json *j = wf_json_get(object, key);
    return j && j->kind == WF_JSON_STRING ? j->string : fallback;
}

/* ---- building ---- */

wf_json *wf_json_new(wf_arena *arena, wf_json_kind kind) {
    wf_json *j = wf_arena_alloc(arena, sizeof *j);
    if (j) {
        j->kind = kind;
        j->offset = -1;
        j->string = kind == WF_JSON_STRING ? "" : NULL;
    }
    return j;
}

static wf_json *new_number(wf_arena *arena, const char *text, double number) {
    wf_json *j = wf_json_new(arena, WF_JSON_NUMBER);
    char *copy = wf_arena_strdup(arena, text);
    if (!j || !copy)
        return NULL;
    j->string = copy;
    j->length = strlen(copy);
    j->number = number;
    return j;
}

wf_json *wf_json_new_int(wf_arena *arena, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    wf_json *j = new_number(arena, text, (double)value);
    if (j) {
        j->integer = value;
        j->is_integer = true;
    }
    return j;
}

wf_json *wf_json_new_double(wf_arena *arena, double value) {
    char text[32];
    if (!isfinite(value))
        return wf_json_new(arena, WF_JSON_NULL);
    wf_format_double(value, text);
    wf_json *j = new_number(arena, text, value);
    if (j)
        j->is_integer = wf_parse_i64(j->string, j->length, &j->integer);
    return j;
}

wf_json *wf_json_new_float(wf_arena *arena, double value) {
    wf_json *j = wf_json_new_double(arena, value);
    if (!j || !j->is_integer)
        return j;
    char *text = wf_arena_printf(arena, "%s.0", j->string);
    if (!text)
        return NULL;
    j->string = text;
    j->length += 2;
    j->is_integer = false;
    return j;
}

wf_json *wf_json_new_string(wf_arena *arena, const char *text, size_t length) {
    wf_json *j = wf_json_new(arena, WF_JSON_STRING);
    char *copy = wf_arena_strndup(arena, text, length);
    if (!j || !copy)
        return NULL;
    j->string = copy;
    j->length = length;
    return j;
}

wf_json *wf_json_new_bool(wf_arena *arena, bool value) { return wf_json_new(arena, value ? WF_JSON_TRUE : WF_JSON_FALSE); }

static wf_json *append(wf_json *parent, wf_json *value) {
    value->next = NULL;
    if (parent->last)
        parent->last->next = value;
    else
        parent->child = value;
    parent->last = value;
    parent->count++;
    return value;
}

wf_json *wf_json_push(wf_json *array, wf_json *value) { return array && value ? append(array, value) : NULL; }

/* Puts `value` where the member before it points, in place of the member with its name. */
static void replace(wf_json *object, wf_json *value) {
    wf_json *before = NULL, *old = object->child;
    while (strcmp(old->key, value->key) != 0) {
        before = old;
        old = old->next;
    }
    value->next = old == value ? value->next : old->next;
    if (before)
        before->next = value;
    else
        object->child = value;
    if (object->last == old)
        object->last = value;
}

wf_json *wf_json_put(wf_arena *arena, wf_json *object, const char *key, wf_json *value) {
    if (!object || !value || !key)
        return NULL;
    bool present = wf_json_get(object, key) != NULL;
    value->key = wf_arena_strdup(arena, key);
    if (!value->key)
        return NULL;
    if (!present)
        return append(object, value);
    replace(object, value);
    return value;
}

/* ---- whole trees, without recursion ---- */

static wf_json *copy_node(wf_arena *arena, const wf_json *j) {
    wf_json *copy = wf_arena_alloc(arena, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *j;
    copy->child = copy->next = copy->last = NULL;
    copy->count = 0;
    if (j->key)
        copy->key = wf_arena_strdup(arena, j->key);
    if (j->string)
        copy->string = wf_arena_strndup(arena, j->string, j->length);
    return (j->key && !copy->key) || (j->string && !copy->string) ? NULL : copy;
}

wf_json *wf_json_copy(wf_arena *arena, const wf_json *j) {
    const wf_json *from[WF_JSON_MAX_DEPTH];
    wf_json *to[WF_JSON_MAX_DEPTH];
    wf_json *root = j ? copy_node(arena, j) : NULL, *copy = root;
    for (int depth = 0; copy;) {
        if (j->child) {
            if (depth == WF_JSON_MAX_DEPTH)
                return NULL;
            from[depth] = j;
            to[depth++] = copy;
            j = j->child;
        } else {
            while (depth > 0 && !j->next)
                j = from[--depth];
            if (depth == 0)
                return root;
            j = j->next;
        }
        copy = wf_json_push(to[depth - 1], copy_node(arena, j));
    }
    return NULL;
}

static bool same_scalar(const wf_json *a, const wf_json *b) {
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == WF_JSON_STRING)
        return a->length == b->length && memcmp(a->string, b->string, a->length) == 0;
    if (a->kind == WF_JSON_NUMBER)
        return a->is_integer && b->is_integer ? a->integer == b->integer : a->number == b->number;
    return true;
}

/* The element of `other` to compare with `a`: for members the one of that name, which usually stands at the same place. */
static const wf_json *partner(const wf_json *other, const wf_json *a, const wf_json *same_place) {
    if (other->kind != WF_JSON_OBJECT || (same_place && strcmp(same_place->key, a->key) == 0))
        return same_place;
    return wf_json_get(other, a->key);
}

typedef struct pair {
    const wf_json *a, *b, *place; /* two elements and what stands at the place of `a` in the other container */
} pair;

bool wf_json_equal(const wf_json *a, const wf_json *b) {
    pair stack[WF_JSON_MAX_DEPTH];
    pair at = {a, b, NULL};
    if (!a || !b)
        return a == b;
    for (int depth = 0;;) {
        if (!at.b || !same_scalar(at.a, at.b))
            return false;
        if (at.a->child) {
            if (depth == WF_JSON_MAX_DEPTH)
                return false;
            stack[depth++] = at;
            at.a = at.a->child;
            at.place = at.b->child;
        } else {
            while (depth > 0 && !at.a->next)
                at = stack[--depth];
            if (depth == 0)
                return true;
            at.a = at.a->next;
            at.place = at.place ? at.place->next : NULL;
        }
        at.b = partner(stack[depth - 1].b, at.a, at.place);
    }
}
