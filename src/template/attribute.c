/* attribute.c - v.name, v[key] and v[a:b:c] as the sandbox resolves them. */
#include <string.h>
#include "template/engine.h"

static weft_status forbidden(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out) {
    wf_tpl_absent *absent = wf_arena_alloc(&r->arena, sizeof *absent);
    WF_TPL_NEED(r, absent);
    *absent = (wf_tpl_absent){.object = v, .key = wf_var_of_text(name), .forbidden = true};
    *out = (wf_var){.type = WF_VAR_UNDEFINED, .absent = absent};
    return WEFT_OK;
}

weft_status wf_tpl_bind(wf_tpl *r, const wf_tpl_row *row, wf_var self, wf_var *out) {
    wf_tpl_method *method = wf_arena_alloc(&r->arena, sizeof *method);
    WF_TPL_NEED(r, method);
    *method = (wf_tpl_method){row, self};
    *out = (wf_var){.type = WF_VAR_METHOD, .method = method};
    return WEFT_OK;
}

static bool is_dunder(const wf_tpl_text *name) {
    return name->bytes > 4 && memcmp(name->data, "__", 2) == 0 && memcmp(name->data + name->bytes - 2, "__", 2) == 0;
}

weft_status wf_tpl_find_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found, bool *unsafe) {
    const wf_tpl_type *type = &wf_tpl_types[v.type];
    const wf_tpl_row *row = type->methods ? wf_tpl_find_row(type->methods, name) : NULL;
    *unsafe = is_dunder(name);
    for (const char *const *word = type->unsafe; word && *word; word++)
        *unsafe |= wf_text_is(name, *word);
    *found = *unsafe || row;
    if (*unsafe)
        return WEFT_OK;
    if (row)
        return wf_tpl_bind(r, row, v, out);
    return type->attribute ? type->attribute(r, v, name, out, found) : WEFT_OK;
}

/* obj[key] of Python; *found false where it would raise a TypeError or LookupError. */
static weft_status subscript(wf_tpl *r, wf_var v, wf_var key, wf_var *out, bool *found) {
    size_t length;
    *found = false;
    if (v.type == WF_VAR_DICT) {
        const wf_var *value;
        if (key.type == WF_VAR_LIST || key.type == WF_VAR_DICT)
            return WEFT_OK;
        WF_TRY(wf_dict_find(r, v.dict, key, &value));
        *found = value != NULL;
        if (value)
            *out = *value;
        return WEFT_OK;
    }
    if ((v.type != WF_VAR_STRING && v.type != WF_VAR_LIST && v.type != WF_VAR_TUPLE && v.type != WF_VAR_RANGE) ||
        !wf_var_is_whole(key))
        return WEFT_OK;
    wf_var_length(v, &length);
    int64_t i = wf_var_whole(key);
    if (i < 0)
        i += (int64_t)length;
    if (i < 0 || i >= (int64_t)length)
        return WEFT_OK;
    *found = true;
    if (v.type == WF_VAR_RANGE)
        *out = wf_var_int(v.range->start + i * v.range->step);
    else if (v.type != WF_VAR_STRING)
        *out = v.list->items[i];
    else {
        size_t at = wf_tpl_offset(v.text, (size_t)i), one;
        WF_TRY(wf_tpl_spend(r, v.text->chars == v.text->bytes ? 0 : at / 16));
        wf_tpl_char(v.text->data + at, v.text->bytes - at, &one);
        WF_TRY(wf_var_string(r, v.text->data + at, one, out));
        out->safe = v.safe;
    }
    return WEFT_OK;
}

weft_status wf_tpl_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out) {
    bool found, unsafe;
    wf_var key = wf_var_of_text(name);
    WF_TRY(wf_tpl_spend(r, 1));
    if (v.type == WF_VAR_UNDEFINED && !wf_text_is(name, "__class__"))
        return wf_tpl_undefined_error(r, v);
    WF_TRY(wf_tpl_find_attribute(r, v, name, out, &found, &unsafe));
    if (unsafe)
        return forbidden(r, v, name, out);
    if (found)
        return WEFT_OK;
    WF_TRY(subscript(r, v, key, out, &found));
    return found ? WEFT_OK : wf_var_undefined(r, v, key, out);
}

weft_status wf_tpl_item(wf_tpl *r, wf_var v, wf_var key, wf_var *out) {
    bool found, unsafe = false;
    WF_TRY(wf_tpl_spend(r, 1));
    if (v.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, v);
    WF_TRY(subscript(r, v, key, out, &found));
    if (!found && key.type == WF_VAR_STRING)
        WF_TRY(wf_tpl_find_attribute(r, v, key.text, out, &found, &unsafe));
    if (unsafe)
        return forbidden(r, v, key.text, out);
    return found ? WEFT_OK : wf_var_undefined(r, v, key, out);
}

/* ---- slices ---- */

/* A bound as an integer; those beyond 64 bits are as good as infinite. */
static weft_status bound(wf_tpl *r, wf_var v, int64_t fallback, int64_t *out) {
    *out = fallback;
    if (v.type == WF_VAR_NONE)
        return WEFT_OK;
    if (v.type == WF_VAR_BIG) {
        *out = v.text->data[0] == '-' ? -INT64_MAX : INT64_MAX;
        return WEFT_OK;
    }
    if (!wf_var_is_whole(v))
        return wf_tpl_type_error(r, "slice indices must be integers or None or have an __index__ method");
    *out = wf_var_whole(v) < -INT64_MAX ? -INT64_MAX : wf_var_whole(v);
    return WEFT_OK;
}

static int64_t clamp(int64_t i, int64_t length, int64_t low, int64_t high) {
    if (i < 0)
        i += length;
    return i < low ? low : i > high ? high : i;
}

typedef struct cut {
    int64_t start, stop, step, count;
} cut;

static weft_status read_cut(wf_tpl *r, const wf_var bounds[3], int64_t length, cut *out) {
    int64_t start, stop;
    WF_TRY(bound(r, bounds[2], 1, &out->step));
    if (out->step == 0)
        return wf_tpl_type_error(r, "slice step cannot be zero");
    bool back = out->step < 0;
    int64_t low = back ? -1 : 0, high = back ? length - 1 : length;
    WF_TRY(bound(r, bounds[0], 0, &start));
    WF_TRY(bound(r, bounds[1], 0, &stop));
    start = bounds[0].type == WF_VAR_NONE ? (back ? high : low) : clamp(start, length, low, high);
    stop = bounds[1].type == WF_VAR_NONE ? (back ? low : high) : clamp(stop, length, low, high);
    int64_t span = back ? start - stop : stop - start, step = back ? -out->step : out->step;
    out->start = start;
    out->stop = stop;
    out->count = span > 0 ? (span - 1) / step + 1 : 0;
    return WEFT_OK;
}

static weft_status slice_text(wf_tpl *r, wf_var v, const cut *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    weft_status status = WEFT_OK;
    WF_TRY(wf_tpl_spend(r, v.text->chars == v.text->bytes ? 0 : v.text->bytes / 16));
    if (c->step == 1 && c->count > 0) {
        size_t from = wf_tpl_offset(v.text, (size_t)c->start), to = wf_tpl_offset(v.text, (size_t)(c->start + c->count));
        wf_str_put(&s, v.text->data + from, to - from);
    } else if (c->count > 0) { /* code points first, so that every step is short */
        uint32_t *chars = wf_arena_alloc(&r->arena, v.text->chars * sizeof *chars);
        WF_TPL_NEED(r, chars);
        status = wf_tpl_spend(r, v.text->chars / 4);
        for (size_t at = 0, i = 0, length; at < v.text->bytes; at += length)
            chars[i++] = wf_tpl_char(v.text->data + at, v.text->bytes - at, &length);
        for (int64_t i = 0; i < c->count; i++)
            wf_tpl_put_char(&s, chars[c->start + i * c->step]);
    }
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = v.safe;
    return status;
}

static weft_status slice_range(wf_tpl *r, const wf_tpl_range *v, const cut *c, wf_var *out) {
    wf_tpl_range *range = wf_arena_alloc(&r->arena, sizeof *range);
    int64_t start, stop, step;
    WF_TPL_NEED(r, range);
    bool over = __builtin_mul_overflow(c->start, v->step, &start) || __builtin_add_overflow(start, v->start, &start) ||
                __builtin_mul_overflow(c->stop, v->step, &stop) || __builtin_add_overflow(stop, v->start, &stop) ||
                __builtin_mul_overflow(c->step, v->step, &step);
    if (over)
        return wf_tpl_unsupported(r, "arithmetic beyond 64 bits");
    *range = (wf_tpl_range){start, stop, step, c->count};
    *out = (wf_var){.type = WF_VAR_RANGE, .range = range};
    return WEFT_OK;
}

weft_status wf_tpl_slice(wf_tpl *r, wf_var v, const wf_var bounds[3], wf_var *out) {
    size_t length;
    cut c;
    wf_tpl_list *list;
    if (v.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, v);
    if (v.type == WF_VAR_DICT)
        return wf_tpl_type_error(r, "unhashable type: 'slice'");
    if (v.type != WF_VAR_STRING && v.type != WF_VAR_LIST && v.type != WF_VAR_TUPLE && v.type != WF_VAR_RANGE)
        return wf_tpl_type_error(r, "'%s' object is not subscriptable", wf_tpl_types[v.type].name);
    wf_var_length(v, &length);
    WF_TRY(read_cut(r, bounds, (int64_t)length, &c));
    if (v.type == WF_VAR_STRING)
        return slice_text(r, v, &c, out);
    if (v.type == WF_VAR_RANGE)
        return slice_range(r, v.range, &c, out);
    WF_TRY(wf_var_new_list(r, (size_t)c.count, &list));
    for (int64_t i = 0; i < c.count; i++)
        list->items[i] = v.list->items[c.start + i * c.step];
    *out = wf_var_of_list(v.type, list);
    return WEFT_OK;
}
