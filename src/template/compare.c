/* compare.c - equality, order and membership as in Python. */
#include <math.h>
#include <string.h>
#include "template/engine.h"

/* ---- numbers ---- */

/* -1, 0, 1; 2 when one is NaN. An integer beyond 64 bits is larger than all others of its sign. */
static int compare_whole(wf_var a, wf_var b) {
    bool big_a = a.type == WF_VAR_BIG, big_b = b.type == WF_VAR_BIG;
    bool minus_a = big_a && a.text->data[0] == '-', minus_b = big_b && b.text->data[0] == '-';
    if (!big_a && !big_b) {
        int64_t x = wf_var_whole(a), y = wf_var_whole(b);
        return x < y ? -1 : x > y;
    }
    if (!big_a || !big_b || minus_a != minus_b)
        return big_a ? (minus_a ? -1 : 1) : (minus_b ? 1 : -1);
    int sign = minus_a ? -1 : 1;
    if (a.text->bytes != b.text->bytes)
        return a.text->bytes < b.text->bytes ? -sign : sign;
    int order = memcmp(a.text->data, b.text->data, a.text->bytes);
    return order < 0 ? -sign : order > 0 ? sign : 0;
}

/* An integer against a float, exactly: the float is split into a whole part and the rest. */
static int compare_mixed(wf_var whole, double d) {
    if (isnan(d))
        return 2;
    if (whole.type == WF_VAR_BIG || d >= 9223372036854775808.0 || d < -9223372036854775808.0) {
        double x = wf_var_double(whole);
        return x < d ? -1 : x > d;
    }
    int64_t x = wf_var_whole(whole), y = (int64_t)d;
    double rest = d - (double)y;
    if (x != y)
        return x < y ? -1 : 1;
    return rest > 0 ? -1 : rest < 0;
}

static int compare_numbers(wf_var a, wf_var b) {
    if (a.type != WF_VAR_FLOAT && b.type != WF_VAR_FLOAT)
        return compare_whole(a, b);
    if (a.type == WF_VAR_FLOAT && b.type == WF_VAR_FLOAT)
        return isnan(a.number) || isnan(b.number) ? 2 : a.number < b.number ? -1 : a.number > b.number;
    if (b.type == WF_VAR_FLOAT)
        return compare_mixed(a, b.number);
    int order = compare_mixed(b, a.number);
    return order == 2 ? 2 : -order;
}

static int compare_text(const wf_tpl_text *a, const wf_tpl_text *b) {
    size_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = n ? memcmp(a->data, b->data, n) : 0; /* UTF-8 sorts as its code points */
    if (order == 0)
        return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
    return order < 0 ? -1 : 1;
}

/* ---- equality ---- */

static weft_status equal_lists(wf_tpl *r, const wf_tpl_list *a, const wf_tpl_list *b, bool *out) {
    *out = a->count == b->count;
    for (size_t i = 0; *out && i < a->count; i++)
        WF_TRY(wf_var_equal(r, a->items[i], b->items[i], out));
    return WEFT_OK;
}

static weft_status equal_dicts(wf_tpl *r, const wf_tpl_dict *a, const wf_tpl_dict *b, bool *out) {
    *out = a->count == b->count;
    for (size_t i = 0; *out && i < a->count; i++) {
        const wf_var *other;
        WF_TRY(wf_dict_find(r, b, a->pairs[i].key, &other));
        *out = other != NULL;
        if (other)
            WF_TRY(wf_var_equal(r, a->pairs[i].value, *other, out));
    }
    return WEFT_OK;
}

static bool equal_ranges(const wf_tpl_range *a, const wf_tpl_range *b) {
    if (a->count != b->count || a->count == 0)
        return a->count == b->count;
    return a->start == b->start && (a->count == 1 || a->step == b->step);
}

/* Views of keys and items are sets. */
static weft_status equal_views(wf_tpl *r, wf_var a, wf_var b, bool *out) {
    wf_tpl_items items = {0};
    *out = a.view->kind != WF_VIEW_VALUES && b.view->kind == a.view->kind && a.view->dict->count == b.view->dict->count;
    if (!*out)
        return WEFT_OK;
    WF_TRY(wf_tpl_collect(r, a, &items));
    for (size_t i = 0; *out && i < items.count; i++)
        WF_TRY(wf_var_contains(r, b, items.list[i], out));
    return WEFT_OK;
}

static weft_status equal_same_type(wf_tpl *r, wf_var a, wf_var b, bool *out) {
    switch (a.type) {
    case WF_VAR_UNDEFINED:
        *out = true;
        return WEFT_OK;
    case WF_VAR_STRING:
        *out = compare_text(a.text, b.text) == 0;
        return WEFT_OK;
    case WF_VAR_LIST:
    case WF_VAR_TUPLE:
        return equal_lists(r, a.list, b.list, out);
    case WF_VAR_DICT:
        return equal_dicts(r, a.dict, b.dict, out);
    case WF_VAR_RANGE:
        *out = equal_ranges(a.range, b.range);
        return WEFT_OK;
    case WF_VAR_VIEW:
        return equal_views(r, a, b, out);
    case WF_VAR_METHOD:
        *out = a.method->row == b.method->row && wf_var_same(a.method->self, b.method->self);
        return WEFT_OK;
    default:
        *out = wf_var_same(a, b);
        return WEFT_OK;
    }
}

weft_status wf_var_equal(wf_tpl *r, wf_var a, wf_var b, bool *out) {
    WF_TRY(wf_tpl_spend(r, 1));
    if (wf_var_is_number(a) && wf_var_is_number(b)) {
        *out = compare_numbers(a, b) == 0;
        return WEFT_OK;
    }
    *out = false;
    if (a.type != b.type)
        return WEFT_OK;
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(equal_same_type(r, a, b, out));
    r->depth--;
    return WEFT_OK;
}

/* ---- order ---- */

static bool decide(wf_tpl_compare how, int order) {
    switch (how) {
    case WF_LESS:
        return order < 0;
    case WF_LESS_EQUAL:
        return order <= 0;
    case WF_GREATER:
        return order == 1;
    default:
        return order == 0 || order == 1;
    }
}

/* The first elements that differ decide, else the lengths. */
static weft_status ordered_lists(wf_tpl *r, wf_tpl_compare how, const wf_tpl_list *a, const wf_tpl_list *b, bool *out) {
    bool same = true;
    size_t i = 0;
    for (; i < a->count && i < b->count; i++) {
        WF_TRY(wf_var_equal(r, a->items[i], b->items[i], &same));
        if (!same)
            break;
    }
    if (!same) {
        WF_TRY(wf_tpl_enter(r));
        WF_TRY(wf_var_ordered(r, how, a->items[i], b->items[i], out));
        r->depth--;
        return WEFT_OK;
    }
    *out = decide(how, a->count < b->count ? -1 : a->count > b->count);
    return WEFT_OK;
}

weft_status wf_var_ordered(wf_tpl *r, wf_tpl_compare how, wf_var a, wf_var b, bool *out) {
    static const char *const signs[] = {"<", "<=", ">", ">="};
    WF_TRY(wf_tpl_spend(r, 1));
    if (a.type == WF_VAR_UNDEFINED || b.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, a.type == WF_VAR_UNDEFINED ? a : b);
    if (wf_var_is_number(a) && wf_var_is_number(b)) {
        int order = compare_numbers(a, b);
        *out = order != 2 && decide(how, order);
        return WEFT_OK;
    }
    if (a.type == WF_VAR_STRING && b.type == WF_VAR_STRING) {
        *out = decide(how, compare_text(a.text, b.text));
        return WEFT_OK;
    }
    if (a.type == b.type && (a.type == WF_VAR_LIST || a.type == WF_VAR_TUPLE))
        return ordered_lists(r, how, a.list, b.list, out);
    return wf_tpl_type_error(r, "'%s' not supported between instances of '%s' and '%s'", signs[how], wf_tpl_types[a.type].name,
                             wf_tpl_types[b.type].name);
}

/* ---- membership ---- */

static weft_status among(wf_tpl *r, wf_var container, wf_var v, bool *out) {
    wf_tpl_iter *it;
    wf_var item;
    bool done = false;
    *out = false;
    WF_TRY(wf_tpl_iterate(r, container, &it));
    while (!*out) {
        WF_TRY(wf_tpl_next(r, it, &item, &done));
        if (done)
            return WEFT_OK;
        WF_TRY(wf_var_equal(r, item, v, out));
        *out |= wf_var_same(item, v) && v.type != WF_VAR_FLOAT;
    }
    return WEFT_OK;
}

/* An item of a dict: a pair whose value is the one under its key. */
static weft_status among_items(wf_tpl *r, const wf_tpl_dict *d, wf_var v, bool *out) {
    const wf_var *value = NULL;
    *out = false;
    if (v.type != WF_VAR_TUPLE || v.list->count != 2)
        return WEFT_OK;
    WF_TRY(wf_dict_find(r, d, v.list->items[0], &value));
    return value ? wf_var_equal(r, *value, v.list->items[1], out) : WEFT_OK;
}

static weft_status in_text(wf_tpl *r, wf_var container, wf_var v, bool *out) {
    if (v.type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "'in <string>' requires string as left operand, not %s", wf_tpl_types[v.type].name);
    WF_TRY(wf_tpl_spend(r, container.text->bytes / 16));
    *out = wf_tpl_find(container.text->data, container.text->bytes, v.text->data, v.text->bytes) != NULL;
    return WEFT_OK;
}

weft_status wf_var_contains(wf_tpl *r, wf_var container, wf_var v, bool *out) {
    const wf_var *found;
    if (container.type == WF_VAR_STRING)
        return in_text(r, container, v, out);
    if (container.type == WF_VAR_VIEW && container.view->kind == WF_VIEW_ITEMS)
        return among_items(r, container.view->dict, v, out);
    if (container.type == WF_VAR_DICT || (container.type == WF_VAR_VIEW && container.view->kind == WF_VIEW_KEYS)) {
        WF_TRY(wf_dict_find(r, container.type == WF_VAR_DICT ? container.dict : container.view->dict, v, &found));
        *out = found != NULL;
        return WEFT_OK;
    }
    if (!wf_var_iterable(container))
        return wf_tpl_type_error(r, "argument of type '%s' is not iterable", wf_var_type_word(container));
    return among(r, container, v, out);
}

/* ---- sorting ---- */

typedef struct sorter {
    wf_tpl *r;
    wf_var *items, *keys, *spare_items, *spare_keys;
    bool reverse;
} sorter;

/* Does the right one come first? Only a strict order moves it, so equals keep their places (also when reversed). */
static weft_status goes_first(sorter *s, size_t left, size_t right, bool *out) {
    return wf_var_ordered(s->r, WF_LESS, s->keys[s->reverse ? left : right], s->keys[s->reverse ? right : left], out);
}

static weft_status merge(sorter *s, size_t from, size_t middle, size_t to) {
    size_t left = from, right = middle;
    for (size_t at = from; at < to; at++) {
        bool take_right = left == middle;
        if (!take_right && right < to)
            WF_TRY(goes_first(s, left, right, &take_right));
        size_t pick = take_right ? right++ : left++;
        s->spare_items[at] = s->items[pick];
        s->spare_keys[at] = s->keys[pick];
    }
    memcpy(s->items + from, s->spare_items + from, (to - from) * sizeof *s->items);
    memcpy(s->keys + from, s->spare_keys + from, (to - from) * sizeof *s->keys);
    return WEFT_OK;
}

weft_status wf_var_sort(wf_tpl *r, wf_var *items, wf_var *keys, size_t count, bool reverse) {
    wf_tpl_list *spare[2];
    WF_TRY(wf_var_new_list(r, count, &spare[0]));
    WF_TRY(wf_var_new_list(r, count, &spare[1]));
    sorter s = {r, items, keys, spare[0]->items, spare[1]->items, reverse};
    for (size_t width = 1; width < count; width *= 2)
        for (size_t from = 0; from + width < count; from += 2 * width)
            WF_TRY(merge(&s, from, from + width, from + 2 * width < count ? from + 2 * width : count));
    return WEFT_OK;
}
