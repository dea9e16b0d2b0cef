/* filters_values.c - the filters on any value: defaults, numbers, JSON. */
#include <math.h>
#include <string.h>
#include "template/engine.h"

static weft_status run_default(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    bool replace = c->self.type == WF_VAR_UNDEFINED || (wf_tpl_arg_true(c, 1, false) && !wf_var_true(c->self));
    *out = c->self;
    if (!replace)
        return WEFT_OK;
    if (!c->in[0])
        return wf_var_string(r, "", 0, out);
    *out = *c->in[0];
    return WEFT_OK;
}

static weft_status run_attr(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *name;
    bool found, unsafe;
    WF_TRY(wf_tpl_arg_text(r, c, 0, &name));
    if (!name)
        return wf_tpl_type_error(r, "attribute name must be string");
    WF_TRY(wf_tpl_find_attribute(r, c->self, name, out, &found, &unsafe));
    if (!found && c->self.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, c->self);
    return found ? wf_tpl_attribute(r, c->self, name, out) : wf_var_undefined(r, c->self, wf_var_of_text(name), out);
}

/* ---- numbers ---- */

/* int(float(value)) where it works, else the default. */
static weft_status through_float(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    double d = NAN;
    bool read = c->self.type == WF_VAR_STRING && wf_tpl_read_float(c->self.text->data, c->self.text->bytes, &d);
    if (read && isfinite(d))
        return wf_var_from_double(r, d, out);
    *out = c->in[0] ? *c->in[0] : wf_var_int(0);
    return WEFT_OK;
}

static weft_status run_int(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var v = c->self;
    int64_t base = 10;
    if (v.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, v);
    if (v.type == WF_VAR_STRING) {
        if (c->in[1])
            WF_TRY(wf_tpl_arg_int(r, c, 1, 10, &base));
        bool read = base >= 0 && base <= 36 && wf_tpl_read_int(v.text->data, v.text->bytes, (int)base, r, out);
        return read ? WEFT_OK : through_float(r, c, out);
    }
    if (v.type == WF_VAR_FLOAT && !isnan(v.number))
        return wf_var_from_double(r, v.number, out);
    if (!wf_var_is_number(v) || v.type == WF_VAR_FLOAT)
        return through_float(r, c, out);
    *out = v.type == WF_VAR_BOOL ? wf_var_int(v.truth) : v;
    return WEFT_OK;
}

static weft_status run_float(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var v = c->self;
    double d;
    if (v.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, v);
    if (wf_var_is_number(v))
        *out = wf_var_float(wf_var_double(v));
    else if (v.type == WF_VAR_STRING && wf_tpl_read_float(v.text->data, v.text->bytes, &d))
        *out = wf_var_float(d);
    else
        *out = c->in[0] ? *c->in[0] : wf_var_float(0.0);
    return WEFT_OK;
}

static weft_status run_abs(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var v = c->self;
    if (!wf_var_is_number(v))
        return wf_tpl_type_error(r, "bad operand type for abs(): '%s'", wf_tpl_types[v.type].name);
    bool minus = v.type == WF_VAR_FLOAT ? signbit(v.number)
                 : v.type == WF_VAR_BIG ? v.text->data[0] == '-'
                                        : wf_var_whole(v) < 0;
    return wf_tpl_negate(r, minus ? '-' : '+', v, out);
}

static weft_status round_whole(wf_tpl *r, wf_var v, int64_t digits, wf_var *out) {
    int64_t power = 1, i = wf_var_whole(v);
    *out = v.type == WF_VAR_BOOL ? wf_var_int(i) : v;
    if (digits >= 0)
        return WEFT_OK;
    if (v.type == WF_VAR_BIG)
        return wf_tpl_unsupported(r, "rounding an integer beyond 64 bits");
    for (; digits < 0 && power <= INT64_MAX / 10; digits++)
        power *= 10;
    int64_t rest = ((i % power) + power) % power, down = i - rest; /* of tens: to the nearest, halves to even */
    if (digits < 0) {
        *out = wf_var_int(0);
        return WEFT_OK;
    }
    bool up = rest > power - rest || (rest == power - rest && (down / power) % 2 != 0);
    if (up && down > INT64_MAX - power)
        return wf_tpl_unsupported(r, "arithmetic beyond 64 bits");
    *out = wf_var_int(up ? down + power : down);
    return WEFT_OK;
}

static weft_status run_round(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *method;
    int64_t digits;
    WF_TRY(wf_tpl_arg_text(r, c, 1, &method));
    bool up = method && wf_text_is(method, "ceil"), down = method && wf_text_is(method, "floor");
    if (method && !up && !down && !wf_text_is(method, "common"))
        return wf_tpl_type_error(r, "method must be common, ceil or floor");
    WF_TRY(c->in[0] && c->in[0]->type == WF_VAR_NONE ? (digits = 0, WEFT_OK) : wf_tpl_arg_int(r, c, 0, 0, &digits));
    if (!wf_var_is_number(c->self))
        return wf_tpl_type_error(r, "type %s doesn't define __round__ method", wf_tpl_types[c->self.type].name);
    if (!up && !down && c->self.type != WF_VAR_FLOAT)
        return round_whole(r, c->self, digits, out);
    double d = wf_var_double(c->self), power = pow(10.0, (double)digits);
    if (!up && !down)
        *out = wf_var_float(wf_tpl_round(d, digits));
    else if (!isfinite(d * power))
        return wf_tpl_type_error(r, "cannot convert float infinity to integer");
    else
        *out = wf_var_float(((up ? ceil(d * power) : floor(d * power)) + 0.0) / power); /* of an integer: no -0 */
    ;
    return WEFT_OK;
}

static weft_status run_filesizeformat(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    static const char letters[] = "kMGTPEZY";
    bool binary = wf_tpl_arg_true(c, 0, false);
    double base = binary ? 1024 : 1000, unit = base * base, d = 0;
    wf_str s = wf_str_new(r->arena.mem);
    bool read = wf_var_is_number(c->self);
    if (read)
        d = wf_var_double(c->self);
    else if (c->self.type == WF_VAR_STRING)
        read = wf_tpl_read_float(c->self.text->data, c->self.text->bytes, &d);
    if (!read)
        return wf_tpl_type_error(r, "float() argument must be a string or a real number, not '%s'", wf_var_type_word(c->self));
    if (isinf(d) && d < 0)
        return wf_tpl_type_error(r, "cannot convert float infinity to integer");
    if (d < base) {
        wf_str_printf(&s, d == 1 ? "%.0f Byte" : "%.0f Bytes", trunc(d) + 0.0);
        return wf_var_take(r, &s, out);
    }
    int i = 0;
    for (; i < 7 && !(d < unit); i++) /* what is no number has the largest unit */
        unit *= base;
    wf_tpl_layout how = {.type = 'f', .width = -1, .precision = 1};
    weft_status status = wf_tpl_put_number(r, wf_var_float(base * d / unit), &how, &s);
    wf_str_printf(&s, " %c%sB", binary ? letters[i] & ~32 : letters[i], binary ? "i" : "");
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

/* ---- pprint: what fits one line ---- */

static weft_status sorted(wf_tpl *r, wf_var v, wf_var *out);

/* Keys that cannot be compared are sorted by the names of their types: 'NoneType', numbers, 'str', 'tuple'. */
static weft_status ranked_key(wf_tpl *r, wf_var key, wf_var *out) {
    wf_tpl_list *pair;
    WF_TRY(wf_var_new_list(r, 2, &pair));
    pair->items[0] = wf_var_int(key.type == WF_VAR_NONE ? 0 : wf_var_is_number(key) ? 1 : key.type == WF_VAR_STRING ? 2 : 3);
    pair->items[1] = key;
    *out = wf_var_of_list(WF_VAR_TUPLE, pair);
    return WEFT_OK;
}

static weft_status sorted_dict(wf_tpl *r, const wf_tpl_dict *d, wf_var *out) {
    wf_tpl_list *keys, *values;
    wf_tpl_dict *copy;
    WF_TRY(wf_var_new_list(r, d->count, &keys));
    WF_TRY(wf_var_new_list(r, d->count, &values));
    WF_TRY(wf_dict_new(r, &copy));
    for (size_t i = 0; i < d->count; i++) {
        WF_TRY(ranked_key(r, d->pairs[i].key, &keys->items[i]));
        WF_TRY(sorted(r, d->pairs[i].value, &values->items[i]));
    }
    WF_TRY(wf_var_sort(r, values->items, keys->items, d->count, false));
    for (size_t i = 0; i < d->count; i++)
        WF_TRY(wf_dict_put(r, copy, keys->items[i].list->items[1], values->items[i]));
    *out = wf_var_of_dict(copy);
    return WEFT_OK;
}

static weft_status sorted(wf_tpl *r, wf_var v, wf_var *out) {
    wf_tpl_list *list;
    *out = v;
    WF_TRY(wf_tpl_enter(r));
    if (v.type == WF_VAR_DICT)
        WF_TRY(sorted_dict(r, v.dict, out));
    if (v.type == WF_VAR_LIST || v.type == WF_VAR_TUPLE) {
        WF_TRY(wf_var_new_list(r, v.list->count, &list));
        for (size_t i = 0; i < v.list->count; i++)
            WF_TRY(sorted(r, v.list->items[i], &list->items[i]));
        *out = wf_var_of_list(v.type, list);
    }
    r->depth--;
    return WEFT_OK;
}

static weft_status run_pprint(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    wf_var v;
    WF_TRY(sorted(r, c->self, &v));
    weft_status status = wf_tpl_repr(r, v, &s);
    WF_TRY(wf_var_take(r, &s, out));
    WF_TRY(status);
    return out->text->chars < 80 ? WEFT_OK : wf_tpl_unsupported(r, "pprint of what does not fit a line");
}

const wf_tpl_row wf_tpl_filters_values[] = {{"default", "default_value= boolean=", run_default, 0},
                                            {"d", "default_value= boolean=", run_default, 0},
                                            {"attr", "name", run_attr, 0},
                                            {"int", "default= base=", run_int, 0},
                                            {"float", "default=", run_float, 0},
                                            {"abs", "", run_abs, 0},
                                            {"round", "precision= method=", run_round, 0},
                                            {"filesizeformat", "binary=", run_filesizeformat, 0},
                                            {"tojson", "ensure_ascii= indent= separators= sort_keys=", wf_tpl_json, 0},
                                            {"pprint", "", run_pprint, 0},
                                            {NULL, NULL, NULL, 0}};
