/* iterate.c - walking over values one element at a time. */
#include <string.h>
#include "template/engine.h"

bool wf_var_iterable(wf_var v) {
    size_t length;
    return wf_var_length(v, &length) || v.type == WF_VAR_ITERATOR || v.type == WF_VAR_LOOP;
}

static weft_status next_char(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    const wf_tpl_text *text = it->source.text;
    size_t length;
    *done = it->at >= text->bytes;
    if (*done)
        return WEFT_OK;
    if (it->backwards) {
        size_t end = text->bytes - it->at, start = end - 1;
        while (start > 0 && ((unsigned char)text->data[start] & 0xC0u) == 0x80u)
            start--;
        it->at += end - start;
        return wf_var_string(r, text->data + start, end - start, out);
    }
    wf_tpl_char(text->data + it->at, text->bytes - it->at, &length);
    it->at += length;
    return wf_var_string(r, text->data + it->at - length, length, out);
}

static weft_status pair_of(wf_tpl *r, const wf_tpl_pair *pair, wf_var *out) {
    wf_var both[2] = {pair->key, pair->value};
    return wf_var_new_tuple(r, both, 2, out);
}

/* Element i of what has a length, strings aside. */
static weft_status element(wf_tpl *r, wf_var v, size_t i, wf_var *out) {
    switch (v.type) {
    case WF_VAR_LIST:
    case WF_VAR_TUPLE:
        *out = v.list->items[i];
        return WEFT_OK;
    case WF_VAR_DICT:
        *out = v.dict->pairs[i].key;
        return WEFT_OK;
    case WF_VAR_RANGE:
        *out = wf_var_int(v.range->start + (int64_t)i * v.range->step);
        return WEFT_OK;
    case WF_VAR_VIEW:
        if (v.view->kind == WF_VIEW_ITEMS)
            return pair_of(r, &v.view->dict->pairs[i], out);
        *out = v.view->kind == WF_VIEW_KEYS ? v.view->dict->pairs[i].key : v.view->dict->pairs[i].value;
        return WEFT_OK;
    default:
        *out = wf_var_none();
        return WEFT_OK;
    }
}

static weft_status next_element(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    size_t length = 0;
    wf_var_length(it->source, &length);
    *done = it->at >= length;
    if (*done)
        return WEFT_OK;
    size_t i = it->at++;
    return element(r, it->source, it->backwards ? length - 1 - i : i, out);
}

weft_status wf_tpl_new_iter(wf_tpl *r, wf_tpl_next_fn next, wf_var source, void *extra, wf_var *out) {
    wf_tpl_iter *it = wf_arena_alloc(&r->arena, sizeof *it);
    WF_TPL_NEED(r, it);
    *it = (wf_tpl_iter){.next = next, .source = source, .extra = extra};
    *out = (wf_var){.type = WF_VAR_ITERATOR, .iter = it};
    return WEFT_OK;
}

/* A loop is an iterator over (element, loop); nobody asks for it, and walking it would change the loop. */
weft_status wf_tpl_iterate(wf_tpl *r, wf_var v, wf_tpl_iter **out) {
    wf_var made = wf_var_none();
    if (v.type == WF_VAR_LOOP)
        return wf_tpl_unsupported(r, "iterating over 'loop'");
    if (!wf_var_iterable(v))
        return wf_tpl_type_error(r, "'%s' object is not iterable", wf_tpl_types[v.type].name);
    if (v.type == WF_VAR_ITERATOR) {
        *out = v.iter;
        return WEFT_OK;
    }
    WF_TRY(wf_tpl_new_iter(r, v.type == WF_VAR_STRING ? next_char : next_element, v, NULL, &made));
    *out = made.iter;
    return WEFT_OK;
}

weft_status wf_tpl_reversed(wf_tpl *r, wf_var v, wf_tpl_iter **out, bool *can) {
    static const struct {
        wf_var_type type;
        const char *name;
    } names[] = {{WF_VAR_LIST, "list_reverseiterator"}, {WF_VAR_DICT, "dict_reversekeyiterator"}, {WF_VAR_RANGE, "range_iterator"}};
    *can = v.type == WF_VAR_STRING || v.type == WF_VAR_LIST || v.type == WF_VAR_TUPLE || v.type == WF_VAR_DICT || v.type == WF_VAR_RANGE ||
           v.type == WF_VAR_VIEW || v.type == WF_VAR_UNDEFINED;
    if (!*can)
        return WEFT_OK;
    WF_TRY(wf_tpl_iterate(r, v, out));
    (*out)->backwards = true;
    (*out)->name = "reversed";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == v.type)
            (*out)->name = names[i].name;
    return WEFT_OK;
}

weft_status wf_tpl_next(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    WF_TRY(wf_tpl_spend(r, 1));
    WF_TRY(wf_tpl_enter(r)); /* filters over filters */
    WF_TRY(it->next(r, it, out, done));
    r->depth--;
    return WEFT_OK;
}

weft_status wf_tpl_collect(wf_tpl *r, wf_var v, wf_tpl_items *out) {
    wf_tpl_iter *it;
    wf_var item;
    bool done = false;
    WF_TRY(wf_tpl_iterate(r, v, &it));
    for (;;) {
        WF_TRY(wf_tpl_next(r, it, &item, &done));
        if (done)
            return WEFT_OK;
        WF_TRY(wf_tpl_push(r, out, item));
    }
}

weft_status wf_tpl_unpack(wf_tpl *r, wf_var v, wf_var *out, size_t count) {
    wf_tpl_iter *it;
    wf_var item;
    bool done = false;
    if (!wf_var_iterable(v))
        return wf_tpl_type_error(r, "cannot unpack non-iterable %s object", wf_tpl_types[v.type].name);
    WF_TRY(wf_tpl_iterate(r, v, &it));
    for (size_t i = 0; i < count; i++) {
        WF_TRY(wf_tpl_next(r, it, &out[i], &done));
        if (done)
            return wf_tpl_type_error(r, "not enough values to unpack (expected %zu, got %zu)", count, i);
    }
    WF_TRY(wf_tpl_next(r, it, &item, &done));
    if (!done)
        return wf_tpl_type_error(r, "too many values to unpack (expected %zu)", count);
    return WEFT_OK;
}
