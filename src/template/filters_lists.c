/* filters_lists.c - the filters over sequences. What is a generator in the reference is one here: nothing happens until somebody
 * draws from it, and then once. */
#include <string.h>
#include "template/engine.h"

/* ---- attribute paths: "a.b.0" ---- */

typedef struct path {
    wf_tpl_items parts;
    const wf_var *fallback; /* for what is undefined on the way; NULL: none */
    bool fold;              /* lower case, for comparing */
} path;

static weft_status add_parts(wf_tpl *r, const char *data, size_t bytes, path *out) {
    for (size_t start = 0, end; start <= bytes; start = end + 1) {
        const char *dot = memchr(data + start, '.', bytes - start);
        wf_var part;
        end = dot ? (size_t)(dot - data) : bytes;
        WF_TRY(wf_var_string(r, data + start, end - start, &part));
        if (wf_tpl_text_is(WF_IS_DIGIT, part.text->data, part.text->bytes) && !wf_tpl_read_int(part.text->data, part.text->bytes, 10, r, &part))
            return wf_tpl_type_error(r, "invalid number in an attribute path");
        WF_TRY(wf_tpl_push(r, &out->parts, part));
    }
    return WEFT_OK;
}

static weft_status read_path(wf_tpl *r, const wf_var *attribute, bool fold, path *out) {
    *out = (path){.fold = fold};
    if (!attribute || attribute->type == WF_VAR_NONE)
        return WEFT_OK;
    if (attribute->type == WF_VAR_STRING)
        return add_parts(r, attribute->text->data, attribute->text->bytes, out);
    return wf_tpl_push(r, &out->parts, *attribute);
}

static weft_status follow(wf_tpl *r, const path *p, wf_var v, wf_var *out) {
    for (size_t i = 0; i < p->parts.count; i++) {
        WF_TRY(wf_tpl_item(r, v, p->parts.list[i], &v));
        if (v.type == WF_VAR_UNDEFINED && p->fallback)
            v = *p->fallback;
    }
    if (p->fold && v.type == WF_VAR_STRING)
        WF_TRY(wf_tpl_cased(r, v, WF_CASE_LOWER, &v));
    *out = v;
    return WEFT_OK;
}

/* ---- generators ---- */

typedef weft_status (*list_fn)(wf_tpl *r, const wf_tpl_call *c, wf_tpl_items *out);
typedef struct deferred {
    wf_tpl_call call;
    list_fn make;
} deferred;

static weft_status next_deferred(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    deferred *d = it->extra;
    wf_tpl_items items = {0};
    wf_var list;
    if (!it->begun) {
        it->begun = true;
        WF_TRY(d->make(r, &d->call, &items));
        WF_TRY(wf_var_list_of(r, &items, &list));
        WF_TRY(wf_tpl_iterate(r, list, &it->inner));
    }
    return wf_tpl_next(r, it->inner, out, done);
}

static weft_status defer(wf_tpl *r, const wf_tpl_call *c, list_fn make, wf_var *out) {
    deferred *d = wf_arena_alloc(&r->arena, sizeof *d);
    WF_TPL_NEED(r, d);
    *d = (deferred){*c, make};
    return wf_tpl_new_iter(r, next_deferred, c->self, d, out);
}

static weft_status make_unique(wf_tpl *r, const wf_tpl_call *c, wf_tpl_items *out) {
    wf_tpl_items all = {0};
    wf_tpl_dict *seen;
    path p;
    WF_TRY(read_path(r, c->in[1], !wf_tpl_arg_true(c, 0, false), &p));
    WF_TRY(wf_dict_new(r, &seen));
    WF_TRY(wf_tpl_collect(r, c->self, &all));
    for (size_t i = 0; i < all.count; i++) {
        wf_var key;
        size_t before = seen->count;
        WF_TRY(follow(r, &p, all.list[i], &key));
        WF_TRY(wf_dict_put(r, seen, key, wf_var_none()));
        if (seen->count > before)
            WF_TRY(wf_tpl_push(r, out, all.list[i]));
    }
    return WEFT_OK;
}

static weft_status make_batch(wf_tpl *r, const wf_tpl_call *c, wf_tpl_items *out) {
    wf_tpl_items all = {0}, row = {0};
    const wf_var *fill = c->in[1] && c->in[1]->type != WF_VAR_NONE ? c->in[1] : NULL;
    int64_t size;
    wf_var list;
    WF_TRY(wf_tpl_arg_int(r, c, 0, 1, &size));
    WF_TRY(wf_tpl_collect(r, c->self, &all));
    for (size_t i = 0; i < all.count; i++) {
        if ((int64_t)row.count == size) {
            WF_TRY(wf_var_list_of(r, &row, &list));
            WF_TRY(wf_tpl_push(r, out, list));
            row = (wf_tpl_items){0};
        }
        WF_TRY(wf_tpl_push(r, &row, all.list[i]));
    }
    while (fill && row.count && (int64_t)row.count < size)
        WF_TRY(wf_tpl_push(r, &row, *fill));
    if (!row.count)
        return WEFT_OK;
    WF_TRY(wf_var_list_of(r, &row, &list));
    return wf_tpl_push(r, out, list);
}

static weft_status make_slice(wf_tpl *r, const wf_tpl_call *c, wf_tpl_items *out) {
    wf_tpl_items all = {0};
    const wf_var *fill = c->in[1] && c->in[1]->type != WF_VAR_NONE ? c->in[1] : NULL;
    int64_t n;
    size_t at = 0;
    WF_TRY(wf_tpl_arg_int(r, c, 0, 1, &n));
    WF_TRY(wf_tpl_collect(r, c->self, &all));
    if (n == 0)
        return wf_tpl_type_error(r, "integer division or modulo by zero");
    for (int64_t i = 0; i < n; i++) {
        wf_tpl_items row = {0};
        bool extra = i < (int64_t)all.count % n;
        wf_var list;
        for (size_t left = all.count / (size_t)n + extra; left > 0; left--)
            WF_TRY(wf_tpl_push(r, &row, all.list[at++]));
        if (fill && !extra)
            WF_TRY(wf_tpl_push(r, &row, *fill));
        WF_TRY(wf_var_list_of(r, &row, &list));
        WF_TRY(wf_tpl_push(r, out, list));
    }
    return WEFT_OK;
}

static weft_status make_items(wf_tpl *r, const wf_tpl_call *c, wf_tpl_items *out) {
    wf_var pair;
    if (c->self.type == WF_VAR_UNDEFINED)
        return WEFT_OK;
    if (c->self.type != WF_VAR_DICT)
        return wf_tpl_type_error(r, "Can only get item pairs from a mapping.");
    for (size_t i = 0; i < c->self.dict->count; i++) {
        wf_var both[2] = {c->self.dict->pairs[i].key, c->self.dict->pairs[i].value};
        WF_TRY(wf_var_new_tuple(r, both, 2, &pair));
        WF_TRY(wf_tpl_push(r, out, pair));
    }
    return WEFT_OK;
}

static weft_status run_unique(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return defer(r, c, make_unique, out); }
static weft_status run_batch(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return defer(r, c, make_batch, out); }
static weft_status run_slice(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return defer(r, c, make_slice, out); }
static weft_status run_items(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return defer(r, c, make_items, out); }

/* ---- map, select ---- */

typedef struct mapping {
    const wf_tpl_call *call;
    const wf_tpl_row *row; /* the filter or test; NULL: the attribute, or truth */
    wf_tpl_args rest;
    path path;
} mapping;
enum { BY_ATTRIBUTE = 1, REJECT = 2 };

static weft_status named_row(wf_tpl *r, wf_var name, bool is_test, const wf_tpl_row **out) {
    *out = name.type != WF_VAR_STRING ? NULL : is_test ? wf_tpl_test(name.text) : wf_tpl_filter(name.text);
    if (*out)
        return WEFT_OK;
    return wf_tpl_type_error(r, "No %s named '%.100s'.", is_test ? "test" : "filter", name.type == WF_VAR_STRING ? name.text->data : wf_var_type_word(name));
}

static weft_status prepare_map(wf_tpl *r, mapping *m) {
    const wf_tpl_args *all = &m->call->all;
    const wf_var *attribute = all->named ? wf_dict_find_text(all->named, "attribute", 9) : NULL;
    if (all->count || !attribute) {
        if (!all->count)
            return wf_tpl_type_error(r, "map requires a filter argument");
        m->rest = (wf_tpl_args){all->list + 1, all->count - 1, all->named};
        return named_row(r, all->list[0], false, &m->row);
    }
    const wf_var *fallback = wf_dict_find_text(all->named, "default", 7);
    if (all->named->count != 1u + (fallback != NULL))
        return wf_tpl_type_error(r, "Unexpected keyword argument");
    WF_TRY(read_path(r, attribute, false, &m->path));
    m->path.fallback = fallback && fallback->type != WF_VAR_NONE ? fallback : NULL;
    return WEFT_OK;
}

static weft_status prepare_select(wf_tpl *r, mapping *m) {
    const wf_tpl_args *all = &m->call->all;
    size_t off = m->call->row->which & BY_ATTRIBUTE ? 1 : 0;
    if (off && !all->count)
        return wf_tpl_type_error(r, "Missing parameter for attribute name");
    WF_TRY(read_path(r, off ? &all->list[0] : NULL, false, &m->path));
    if (all->count <= off)
        return WEFT_OK;
    m->rest = (wf_tpl_args){all->list + off + 1, all->count - off - 1, all->named};
    return named_row(r, all->list[off], true, &m->row);
}

/* The first draw: an empty source is not even looked into. */
static weft_status begin(wf_tpl *r, wf_tpl_iter *it, weft_status (*prepare)(wf_tpl *, mapping *), bool *empty) {
    *empty = !it->begun && !wf_var_true(it->source);
    if (it->begun || *empty)
        return WEFT_OK;
    it->begun = true;
    WF_TRY(prepare(r, it->extra));
    return wf_tpl_iterate(r, it->source, &it->inner);
}

static weft_status next_mapped(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    mapping *m = it->extra;
    wf_var item;
    WF_TRY(begin(r, it, prepare_map, done));
    if (!*done)
        WF_TRY(wf_tpl_next(r, it->inner, &item, done));
    if (*done)
        return WEFT_OK;
    return m->row ? wf_tpl_run_row(r, m->row, item, &m->rest, out) : follow(r, &m->path, item, out);
}

static weft_status next_selected(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    mapping *m = it->extra;
    bool wanted = !(m->call->row->which & REJECT), is;
    WF_TRY(begin(r, it, prepare_select, done));
    while (!*done) {
        wf_var v;
        WF_TRY(wf_tpl_next(r, it->inner, out, done));
        if (*done)
            break;
        WF_TRY(follow(r, &m->path, *out, &v));
        is = wf_var_true(v);
        if (m->row)
            WF_TRY(wf_tpl_truth(r, m->row, v, &m->rest, &is));
        if (is == wanted)
            break;
    }
    return WEFT_OK;
}

static weft_status new_mapping(wf_tpl *r, const wf_tpl_call *c, wf_tpl_next_fn next, wf_var *out) {
    mapping *m = wf_arena_alloc(&r->arena, sizeof *m);
    wf_tpl_call *call = wf_arena_alloc(&r->arena, sizeof *call);
    WF_TPL_NEED(r, m && call ? m : NULL);
    *call = *c;
    m->call = call;
    return wf_tpl_new_iter(r, next, c->self, m, out);
}

static weft_status run_map(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return new_mapping(r, c, next_mapped, out); }
static weft_status run_select(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return new_mapping(r, c, next_selected, out); }

/* ---- one element ---- */

static weft_status run_first(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_iter *it;
    bool done = false;
    WF_TRY(wf_tpl_iterate(r, c->self, &it));
    WF_TRY(wf_tpl_next(r, it, out, &done));
    return done ? wf_var_undefined_hint(r, "No first item, sequence was empty.", out) : WEFT_OK;
}

static weft_status run_last(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_iter *it;
    bool done = false, can;
    WF_TRY(wf_tpl_reversed(r, c->self, &it, &can));
    if (!can)
        return wf_tpl_type_error(r, "'%s' object is not reversible", wf_tpl_types[c->self.type].name);
    WF_TRY(wf_tpl_next(r, it, out, &done));
    return done ? wf_var_undefined_hint(r, "No last item, sequence was empty.", out) : WEFT_OK;
}

/* Any element will do; this one depends on the moment and on how far the template has come. */
static weft_status run_random(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    size_t length;
    if (!wf_var_length(c->self, &length))
        return wf_tpl_type_error(r, "object of type '%s' has no len()", wf_var_type_word(c->self));
    if (!length)
        return wf_var_undefined_hint(r, "No random item, sequence was empty.", out);
    uint64_t pick = ((uint64_t)r->in->now * 6364136223846793005u + (uint64_t)r->steps) >> 7;
    return wf_tpl_item(r, c->self, wf_var_int((int64_t)(pick % length)), out);
}

static weft_status run_extreme(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_iter *it;
    wf_var item, key, best;
    bool done = false, better;
    path p;
    WF_TRY(wf_tpl_iterate(r, c->self, &it));
    WF_TRY(wf_tpl_next(r, it, out, &done));
    if (done)
        return wf_var_undefined_hint(r, "No aggregated item, sequence was empty.", out);
    WF_TRY(read_path(r, c->in[1], !wf_tpl_arg_true(c, 0, false), &p));
    WF_TRY(follow(r, &p, *out, &best));
    for (;;) {
        WF_TRY(wf_tpl_next(r, it, &item, &done));
        if (done)
            return WEFT_OK;
        WF_TRY(follow(r, &p, item, &key));
        WF_TRY(wf_var_ordered(r, (wf_tpl_compare)c->row->which, key, best, &better));
        if (better) {
            *out = item;
            best = key;
        }
    }
}

static weft_status run_sum(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    path p;
    wf_var v;
    WF_TRY(read_path(r, c->in[0], false, &p));
    *out = c->in[1] ? *c->in[1] : wf_var_int(0);
    if (out->type == WF_VAR_STRING)
        return wf_tpl_type_error(r, "sum() can't sum strings [use ''.join(seq) instead]");
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    for (size_t i = 0; i < items.count; i++) {
        WF_TRY(follow(r, &p, items.list[i], &v));
        WF_TRY(wf_tpl_binary(r, '+', *out, v, out));
    }
    return WEFT_OK;
}

/* ---- whole sequences ---- */

static weft_status run_length(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    size_t length;
    if (!wf_var_length(c->self, &length))
        return wf_tpl_type_error(r, "object of type '%s' has no len()", wf_tpl_types[c->self.type].name);
    *out = wf_var_int((int64_t)length);
    return WEFT_OK;
}

static weft_status run_list(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    return wf_var_list_of(r, &items, out);
}

static weft_status run_reverse(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var bounds[3] = {wf_var_none(), wf_var_none(), wf_var_int(-1)};
    wf_tpl_items items = {0};
    wf_tpl_iter *it;
    bool can;
    if (c->self.type == WF_VAR_STRING)
        return wf_tpl_slice(r, c->self, bounds, out);
    WF_TRY(wf_tpl_reversed(r, c->self, &it, &can));
    if (can) {
        *out = (wf_var){.type = WF_VAR_ITERATOR, .iter = it};
        return WEFT_OK;
    }
    if (!wf_var_iterable(c->self))
        return wf_tpl_type_error(r, "argument must be iterable");
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    for (size_t i = 0; i < items.count / 2; i++) {
        wf_var swap = items.list[i];
        items.list[i] = items.list[items.count - 1 - i];
        items.list[items.count - 1 - i] = swap;
    }
    return wf_var_list_of(r, &items, out);
}

/* The keys of sort: lists, for the attribute may name several, "a,b". */
static weft_status sort_key(wf_tpl *r, const path *paths, size_t n, wf_var item, wf_var *out) {
    wf_tpl_list *key;
    WF_TRY(wf_var_new_list(r, n, &key));
    for (size_t i = 0; i < n; i++)
        WF_TRY(follow(r, &paths[i], item, &key->items[i]));
    *out = wf_var_of_list(WF_VAR_LIST, key);
    return WEFT_OK;
}

static weft_status read_paths(wf_tpl *r, const wf_var *attribute, bool fold, path **out, size_t *n) {
    bool text = attribute && attribute->type == WF_VAR_STRING;
    *n = 1;
    for (size_t i = 0; text && i < attribute->text->bytes; i++)
        *n += attribute->text->data[i] == ',';
    *out = wf_arena_alloc(&r->arena, *n * sizeof **out);
    WF_TPL_NEED(r, *out);
    if (!text)
        return read_path(r, attribute, fold, &(*out)[0]);
    const char *at = attribute->text->data, *end = at + attribute->text->bytes;
    for (size_t i = 0; i < *n; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        (*out)[i].fold = fold;
        WF_TRY(add_parts(r, at, (size_t)((comma ? comma : end) - at), &(*out)[i]));
        at = comma ? comma + 1 : end;
    }
    return WEFT_OK;
}

static weft_status run_sort(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    wf_tpl_list *keys;
    path *paths;
    size_t n;
    WF_TRY(read_paths(r, c->in[2], !wf_tpl_arg_true(c, 1, false), &paths, &n));
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    WF_TRY(wf_var_new_list(r, items.count, &keys));
    for (size_t i = 0; i < items.count; i++)
        WF_TRY(sort_key(r, paths, n, items.list[i], &keys->items[i]));
    WF_TRY(wf_var_sort(r, items.list, keys->items, items.count, wf_tpl_arg_true(c, 0, false)));
    return wf_var_list_of(r, &items, out);
}

static weft_status run_dictsort(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items pairs = {0};
    wf_tpl_list *keys;
    const wf_tpl_text *by;
    path fold = {.fold = !wf_tpl_arg_true(c, 0, false)};
    WF_TRY(wf_tpl_arg_text(r, c, 1, &by));
    bool by_value = by && wf_text_is(by, "value");
    if (by && !by_value && !wf_text_is(by, "key"))
        return wf_tpl_type_error(r, "You can only sort by either \"key\" or \"value\"");
    if (c->self.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, c->self);
    if (c->self.type != WF_VAR_DICT)
        return wf_tpl_type_error(r, "'%s' object has no attribute 'items'", wf_tpl_types[c->self.type].name);
    WF_TRY(make_items(r, c, &pairs));
    WF_TRY(wf_var_new_list(r, pairs.count, &keys));
    for (size_t i = 0; i < pairs.count; i++)
        WF_TRY(follow(r, &fold, pairs.list[i].list->items[by_value], &keys->items[i]));
    WF_TRY(wf_var_sort(r, pairs.list, keys->items, pairs.count, wf_tpl_arg_true(c, 2, false)));
    return wf_var_list_of(r, &pairs, out);
}

static weft_status push_group(wf_tpl *r, wf_tpl_items *groups, const path *shown, const wf_var *items, size_t count) {
    wf_tpl_items copy = {0};
    wf_var both[2], tuple;
    for (size_t i = 0; i < count; i++)
        WF_TRY(wf_tpl_push(r, &copy, items[i]));
    WF_TRY(follow(r, shown, items[0], &both[0]));
    WF_TRY(wf_var_list_of(r, &copy, &both[1]));
    WF_TRY(wf_var_new_tuple(r, both, 2, &tuple));
    wf_tpl_list *list = wf_arena_alloc(&r->arena, sizeof *list);
    WF_TPL_NEED(r, list);
    *list = *tuple.list;
    list->pair = true;
    return wf_tpl_push(r, groups, wf_var_of_list(WF_VAR_TUPLE, list));
}

static weft_status run_groupby(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0}, groups = {0};
    wf_tpl_list *keys;
    path p, shown;
    WF_TRY(read_path(r, c->in[0], !wf_tpl_arg_true(c, 2, false), &p));
    p.fallback = c->in[1] && c->in[1]->type != WF_VAR_NONE ? c->in[1] : NULL;
    shown = p;
    shown.fold = false;
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    WF_TRY(wf_var_new_list(r, items.count, &keys));
    for (size_t i = 0; i < items.count; i++)
        WF_TRY(follow(r, &p, items.list[i], &keys->items[i]));
    WF_TRY(wf_var_sort(r, items.list, keys->items, items.count, false));
    for (size_t start = 0, end = 0; start < items.count; start = end) {
        bool same = true;
        for (end = start; end < items.count; end += same) {
            WF_TRY(wf_var_equal(r, keys->items[start], keys->items[end], &same));
            if (!same)
                break;
        }
        WF_TRY(push_group(r, &groups, &shown, items.list + start, end - start));
    }
    return wf_var_list_of(r, &groups, out);
}

static weft_status run_join(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    static const wf_tpl_text empty = {0, 0, ""};
    const wf_tpl_text *separator = &empty;
    wf_tpl_items items = {0};
    path p;
    wf_str s = wf_str_new(r->arena.mem);
    weft_status status = WEFT_OK;
    WF_TRY(read_path(r, c->in[1], false, &p));
    if (c->in[0])
        WF_TRY(wf_var_to_text(r, *c->in[0], &separator));
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    for (size_t i = 0; i < items.count && status == WEFT_OK; i++) {
        wf_var v = items.list[i];
        wf_str_put(&s, separator->data, i ? separator->bytes : 0);
        status = follow(r, &p, v, &v);
        if (status == WEFT_OK)
            status = wf_tpl_print(r, v, &s);
    }
    if (status)
        wf_str_clear(&s);
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

const wf_tpl_row wf_tpl_filters_lists[] = {
    {"first", "", run_first, 0},
    {"last", "", run_last, 0},
    {"random", "", run_random, 0},
    {"min", "case_sensitive= attribute=", run_extreme, WF_LESS},
    {"max", "case_sensitive= attribute=", run_extreme, WF_GREATER},
    {"sum", "attribute= start=", run_sum, 0},
    {"length", "", run_length, 0},
    {"count", "", run_length, 0},
    {"list", "", run_list, 0},
    {"reverse", "", run_reverse, 0},
    {"sort", "reverse= case_sensitive= attribute=", run_sort, 0},
    {"dictsort", "case_sensitive= by= reverse=", run_dictsort, 0},
    {"groupby", "attribute default= case_sensitive=", run_groupby, 0},
    {"join", "d= attribute=", run_join, 0},
    {"unique", "case_sensitive= attribute=", run_unique, 0},
    {"batch", "linecount fill_with=", run_batch, 0},
    {"slice", "slices fill_with=", run_slice, 0},
    {"items", "", run_items, 0},
    {"map", "*", run_map, 0},
    {"select", "*", run_select, 0},
    {"reject", "*", run_select, REJECT},
    {"selectattr", "*", run_select, BY_ATTRIBUTE},
    {"rejectattr", "*", run_select, BY_ATTRIBUTE | REJECT},
    {NULL, NULL, NULL, 0}};
