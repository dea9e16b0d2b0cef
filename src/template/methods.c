/* methods.c - the methods of lists, dicts, numbers, loops and cyclers. */
#include <math.h>
#include "template/engine.h"

/* ---- lists, tuples, ranges ---- */

static weft_status run_count(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    int64_t count = 0;
    bool same;
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    for (size_t i = 0; i < items.count; i++) {
        WF_TRY(wf_var_equal(r, items.list[i], *c->in[0], &same));
        count += same;
    }
    *out = wf_var_int(count);
    return WEFT_OK;
}

static weft_status run_index(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    int64_t from, to;
    bool same;
    WF_TRY(wf_tpl_collect(r, c->self, &items));
    int64_t length = (int64_t)items.count;
    WF_TRY(wf_tpl_arg_int(r, c, 1, 0, &from));
    WF_TRY(wf_tpl_arg_int(r, c, 2, length, &to));
    from = from < 0 ? (from + length < 0 ? 0 : from + length) : from;
    to = to < 0 ? to + length : to;
    for (int64_t i = from; i < length && i < to; i++) {
        WF_TRY(wf_var_equal(r, items.list[i], *c->in[0], &same));
        if (same) {
            *out = wf_var_int(i);
            return WEFT_OK;
        }
    }
    return wf_tpl_type_error(r, "the value is not in the %s", wf_tpl_types[c->self.type].name);
}

static weft_status run_copy(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    *out = c->self; /* nothing changes it */
    return WEFT_OK;
}

/* ---- dicts ---- */

static weft_status run_view(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_view *view = wf_arena_alloc(&r->arena, sizeof *view);
    WF_TPL_NEED(r, view);
    *view = (wf_tpl_view){(wf_tpl_view_kind)c->row->which, c->self.dict};
    *out = (wf_var){.type = WF_VAR_VIEW, .view = view};
    return WEFT_OK;
}

static weft_status run_get(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_var *found;
    WF_TRY(wf_dict_find(r, c->self.dict, *c->in[0], &found));
    *out = found ? *found : c->in[1] ? *c->in[1] : wf_var_none();
    return WEFT_OK;
}

static weft_status run_fromkeys(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items keys = {0};
    wf_tpl_dict *dict;
    WF_TRY(wf_dict_new(r, &dict));
    WF_TRY(wf_tpl_collect(r, *c->in[0], &keys));
    for (size_t i = 0; i < keys.count; i++)
        WF_TRY(wf_dict_put(r, dict, keys.list[i], c->in[1] ? *c->in[1] : wf_var_none()));
    *out = wf_var_of_dict(dict);
    return WEFT_OK;
}

/* ---- numbers ---- */

static weft_status run_bits(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    int64_t i = wf_var_whole(c->self), bits = 0, ones = 0;
    for (uint64_t left = i < 0 ? 0u - (uint64_t)i : (uint64_t)i; left; left >>= 1) {
        bits++;
        ones += left & 1;
    }
    *out = wf_var_int(c->row->which ? ones : bits);
    return WEFT_OK;
}

static weft_status run_conjugate(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return wf_tpl_negate(r, '+', c->self, out); }

static weft_status run_is_integer(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    *out = wf_var_bool(c->self.type != WF_VAR_FLOAT || (isfinite(c->self.number) && c->self.number == floor(c->self.number)));
    return WEFT_OK;
}

/* ---- loops ---- */

static weft_status run_cycle(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    if (!c->all.count)
        return wf_tpl_type_error(r, "no items for cycling given");
    *out = c->all.list[(uint64_t)c->self.loop->index0 % c->all.count];
    return WEFT_OK;
}

static weft_status run_changed(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_loop *loop = c->self.loop;
    wf_var now;
    bool same = false;
    WF_TRY(wf_var_new_tuple(r, c->all.list, c->all.count, &now));
    if (loop->has_changed)
        WF_TRY(wf_var_equal(r, loop->changed, now, &same));
    loop->changed = now;
    loop->has_changed = true;
    *out = wf_var_bool(!same);
    return WEFT_OK;
}

static weft_status run_next(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_cycler *cycler = c->self.cycler;
    *out = cycler->items->items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items->count;
    return WEFT_OK;
}

static weft_status run_reset(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    c->self.cycler->at = 0;
    *out = wf_var_none();
    return WEFT_OK;
}

const wf_tpl_row wf_tpl_list_methods[] = {
    {"count", "value /", run_count, 0}, {"index", "value start= stop= /", run_index, 0}, {"copy", "", run_copy, 0}, {NULL, NULL, NULL, 0}};
const wf_tpl_row wf_tpl_tuple_methods[] = {{"count", "value /", run_count, 0}, {"index", "value start= stop= /", run_index, 0}, {NULL, NULL, NULL, 0}};
const wf_tpl_row wf_tpl_dict_methods[] = {{"keys", "", run_view, WF_VIEW_KEYS},   {"values", "", run_view, WF_VIEW_VALUES},
                                          {"items", "", run_view, WF_VIEW_ITEMS}, {"get", "key default= /", run_get, 0},
                                          {"copy", "", run_copy, 0},              {"fromkeys", "iterable value= /", run_fromkeys, 0},
                                          {NULL, NULL, NULL, 0}};
const wf_tpl_row wf_tpl_number_methods[] = {{"bit_length", "", run_bits, 0}, {"bit_count", "", run_bits, 1}, {"conjugate", "", run_conjugate, 0}, {NULL, NULL, NULL, 0}};
const wf_tpl_row wf_tpl_float_methods[] = {{"is_integer", "", run_is_integer, 0}, {"conjugate", "", run_conjugate, 0}, {NULL, NULL, NULL, 0}};
const wf_tpl_row wf_tpl_loop_methods[] = {{"cycle", "*", run_cycle, 0}, {"changed", "*", run_changed, 0}, {NULL, NULL, NULL, 0}};
const wf_tpl_row wf_tpl_cycler_methods[] = {{"next", "", run_next, 0}, {"reset", "", run_reset, 0}, {NULL, NULL, NULL, 0}};
