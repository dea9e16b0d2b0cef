/* dict.c - dicts in the order of insertion: a list of pairs, with an index by hash when there are many. */
#include <string.h>
#include "template/engine.h"

enum { SMALL = 8 };

weft_status wf_dict_new(wf_tpl *r, wf_tpl_dict **out) {
    *out = wf_arena_alloc(&r->arena, sizeof **out);
    WF_TPL_NEED(r, *out);
    return WEFT_OK;
}

/* Lists and dicts cannot be keys, nor can tuples that hold them. */
weft_status wf_var_hashable(wf_tpl *r, wf_var v) {
    if (v.type == WF_VAR_LIST || v.type == WF_VAR_DICT || (v.type == WF_VAR_VIEW && v.view->kind != WF_VIEW_VALUES))
        return wf_tpl_type_error(r, "unhashable type: '%s'", wf_var_type_word(v));
    for (size_t i = 0; v.type == WF_VAR_TUPLE && i < v.list->count; i++) {
        WF_TRY(wf_tpl_enter(r));
        WF_TRY(wf_var_hashable(r, v.list->items[i]));
        r->depth--;
    }
    return WEFT_OK;
}

static uint64_t mix(uint64_t h, uint64_t word) { return (h ^ word) * 0x9E3779B97F4A7C15u ^ h >> 29; }

static uint64_t hash_bytes(const char *data, size_t n) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)data[i]) * 1099511628211u;
    return h ^ h >> 31;
}

/* Equal values have equal hashes: 1, 1.0 and true are one key. The nesting of tuples was checked by wf_var_hashable. */
static uint64_t hash(wf_var v) {
    uint64_t h = 7, bits;
    if (v.type == WF_VAR_STRING)
        return hash_bytes(v.text->data, v.text->bytes);
    if (wf_var_is_number(v)) {
        double d = wf_var_double(v);
        d = d == 0 ? 0 : d;
        memcpy(&bits, &d, sizeof bits);
        return mix(h, bits);
    }
    for (size_t i = 0; v.type == WF_VAR_TUPLE && i < v.list->count; i++)
        h = mix(h, hash(v.list->items[i]));
    return mix(h, v.type);
}

static void index_pair(wf_tpl_dict *d, size_t i) {
    size_t slot = hash(d->pairs[i].key) & (d->n_slots - 1);
    while (d->slots[slot])
        slot = (slot + 1) & (d->n_slots - 1);
    d->slots[slot] = (uint32_t)i + 1;
}

static weft_status find_pair(wf_tpl *r, const wf_tpl_dict *d, wf_var key, wf_tpl_pair **out) {
    bool same = false;
    *out = NULL;
    if (!d->slots) {
        for (size_t i = 0; i < d->count && !same; i++) {
            *out = &d->pairs[i];
            WF_TRY(wf_var_equal(r, d->pairs[i].key, key, &same));
        }
        *out = same ? *out : NULL;
        return WEFT_OK;
    }
    for (size_t slot = hash(key) & (d->n_slots - 1); d->slots[slot]; slot = (slot + 1) & (d->n_slots - 1)) {
        wf_tpl_pair *pair = &d->pairs[d->slots[slot] - 1];
        WF_TRY(wf_tpl_spend(r, 1));
        WF_TRY(wf_var_equal(r, pair->key, key, &same));
        if (same) {
            *out = pair;
            return WEFT_OK;
        }
    }
    return WEFT_OK;
}

weft_status wf_dict_find(wf_tpl *r, const wf_tpl_dict *d, wf_var key, const wf_var **out) {
    wf_tpl_pair *pair;
    WF_TRY(wf_var_hashable(r, key));
    WF_TRY(find_pair(r, d, key, &pair));
    *out = pair ? &pair->value : NULL;
    return WEFT_OK;
}

static bool is_text(wf_var v, const char *data, size_t bytes) {
    return v.type == WF_VAR_STRING && v.text->bytes == bytes && memcmp(v.text->data, data, bytes) == 0;
}

const wf_var *wf_dict_find_text(const wf_tpl_dict *d, const char *data, size_t bytes) {
    if (!d->slots) {
        for (size_t i = 0; i < d->count; i++)
            if (is_text(d->pairs[i].key, data, bytes))
                return &d->pairs[i].value;
        return NULL;
    }
    for (size_t slot = hash_bytes(data, bytes) & (d->n_slots - 1); d->slots[slot]; slot = (slot + 1) & (d->n_slots - 1)) {
        const wf_tpl_pair *pair = &d->pairs[d->slots[slot] - 1];
        if (is_text(pair->key, data, bytes))
            return &pair->value;
    }
    return NULL;
}

static weft_status grow(wf_tpl *r, wf_tpl_dict *d) {
    size_t capacity = d->capacity ? d->capacity * 2 : 4;
    wf_tpl_pair *pairs = wf_arena_alloc(&r->arena, capacity * sizeof *pairs);
    WF_TPL_NEED(r, pairs);
    if (d->count)
        memcpy(pairs, d->pairs, d->count * sizeof *pairs);
    d->pairs = pairs;
    d->capacity = capacity;
    if (capacity <= SMALL)
        return WEFT_OK;
    d->n_slots = capacity * 2;
    d->slots = wf_arena_alloc(&r->arena, d->n_slots * sizeof *d->slots);
    WF_TPL_NEED(r, d->slots);
    for (size_t i = 0; i < d->count; i++)
        index_pair(d, i);
    return wf_tpl_spend(r, d->count);
}

weft_status wf_dict_put(wf_tpl *r, wf_tpl_dict *d, wf_var key, wf_var value) {
    wf_tpl_pair *pair;
    WF_TRY(wf_var_hashable(r, key));
    WF_TRY(find_pair(r, d, key, &pair));
    if (pair) {
        pair->value = value;
        return WEFT_OK;
    }
    if (d->count == d->capacity)
        WF_TRY(grow(r, d));
    d->pairs[d->count++] = (wf_tpl_pair){key, value};
    if (d->slots)
        index_pair(d, d->count - 1);
    return wf_tpl_spend(r, 1);
}

weft_status wf_dict_put_text(wf_tpl *r, wf_tpl_dict *d, const char *key, wf_var value) {
    wf_var text;
    WF_TRY(wf_var_string(r, key, strlen(key), &text));
    return wf_dict_put(r, d, text, value);
}

weft_status wf_dict_copy(wf_tpl *r, const wf_tpl_dict *from, wf_tpl_dict *to) {
    for (size_t i = 0; i < from->count; i++)
        WF_TRY(wf_dict_put(r, to, from->pairs[i].key, from->pairs[i].value));
    return WEFT_OK;
}

static weft_status put_pairs(wf_tpl *r, wf_tpl_dict *d, wf_var from) {
    wf_tpl_iter *it;
    wf_var item, pair[2];
    bool done = false;
    WF_TRY(wf_tpl_iterate(r, from, &it));
    for (;;) {
        WF_TRY(wf_tpl_next(r, it, &item, &done));
        if (done)
            return WEFT_OK;
        WF_TRY(wf_tpl_unpack(r, item, pair, 2));
        WF_TRY(wf_dict_put(r, d, pair[0], pair[1]));
    }
}

weft_status wf_dict_of(wf_tpl *r, const wf_tpl_args *args, wf_tpl_dict **out) {
    WF_TRY(wf_dict_new(r, out));
    if (args->count > 1)
        return wf_tpl_type_error(r, "dict expected at most 1 argument, got %zu", args->count);
    if (args->count && args->list[0].type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, args->list[0]);
    if (args->count && args->list[0].type == WF_VAR_DICT)
        WF_TRY(wf_dict_copy(r, args->list[0].dict, *out));
    else if (args->count)
        WF_TRY(put_pairs(r, *out, args->list[0]));
    return args->named ? wf_dict_copy(r, args->named, *out) : WEFT_OK;
}
