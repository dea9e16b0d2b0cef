/* eval.c - the values of expressions. */
#include <string.h>
#include "template/syntax.h"

/* ---- names ---- */

weft_status wf_tpl_lookup(wf_tpl *r, const wf_tpl_scope *s, const wf_tpl_text *name, wf_var *out) {
    const wf_tpl_row *function;
    const wf_var *found;
    for (; s; s = s->parent) {
        WF_TRY(wf_tpl_spend(r, s->count / 16));
        for (size_t i = s->count; i-- > 0;)
            if (s->list[i].name == name) {
                *out = s->list[i].value;
                return WEFT_OK;
            }
    }
    if ((found = wf_dict_find_text(r->context, name->data, name->bytes)) != NULL) {
        *out = *found;
        return WEFT_OK;
    }
    if ((function = wf_tpl_function(name)) != NULL) {
        *out = (wf_var){.type = WF_VAR_FUNCTION, .function = function};
        return WEFT_OK;
    }
    return wf_var_undefined(r, (wf_var){.type = WF_VAR_UNDEFINED}, wf_var_of_text(name), out);
}

/* ---- displays ---- */

static weft_status eval_list(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_tpl_list *list;
    size_t i = 0;
    WF_TRY(wf_var_new_list(r, n->count, &list));
    for (const wf_tpl_node *item = n->list; item; item = item->next)
        WF_TRY(wf_tpl_eval(r, s, item, &list->items[i++]));
    *out = wf_var_of_list(n->kind == WF_NODE_LIST ? WF_VAR_LIST : WF_VAR_TUPLE, list);
    return WEFT_OK;
}

static weft_status eval_dict(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_tpl_dict *dict;
    wf_var key, value;
    WF_TRY(wf_dict_new(r, &dict));
    for (const wf_tpl_node *item = n->list; item; item = item->next->next) {
        WF_TRY(wf_tpl_eval(r, s, item, &key));
        WF_TRY(wf_tpl_eval(r, s, item->next, &value));
        WF_TRY(wf_dict_put(r, dict, key, value));
    }
    *out = wf_var_of_dict(dict);
    return WEFT_OK;
}

/* ---- operators ---- */

static weft_status eval_concat(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_str text = wf_str_new(r->arena.mem);
    weft_status status = WEFT_OK;
    wf_var v;
    for (const wf_tpl_node *item = n->list; item && status == WEFT_OK; item = item->next) {
        status = wf_tpl_eval(r, s, item, &v);
        if (status == WEFT_OK)
            status = wf_tpl_print(r, v, &text);
    }
    if (status) {
        wf_str_free(&text);
        return status;
    }
    return wf_var_take(r, &text, out);
}

static weft_status compare(wf_tpl *r, char op, wf_var a, wf_var b, bool *out) {
    static const char orders[] = "<l>g";
    const char *order = strchr(orders, op);
    if (order)
        return wf_var_ordered(r, (wf_tpl_compare)(order - orders), a, b, out);
    WF_TRY(op == 'e' || op == 'n' ? wf_var_equal(r, a, b, out) : wf_var_contains(r, b, a, out));
    *out ^= op == 'n' || op == 'o';
    return WEFT_OK;
}

/* a < b < c: each operand once, and none after the first that fails. */
static weft_status eval_compare(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var left, right;
    bool is = true;
    WF_TRY(wf_tpl_eval(r, s, n->a, &left));
    for (const wf_tpl_node *operand = n->list; operand && is; operand = operand->next) {
        WF_TRY(wf_tpl_eval(r, s, operand->a, &right));
        WF_TRY(compare(r, operand->op, left, right, &is));
        left = right;
    }
    *out = wf_var_bool(is);
    return WEFT_OK;
}

static weft_status eval_binary(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var a, b;
    WF_TRY(wf_tpl_eval(r, s, n->a, &a));
    WF_TRY(wf_tpl_eval(r, s, n->b, &b));
    r->line = n->line;
    return wf_tpl_binary(r, n->op, a, b, out);
}

/* and, or give an operand, not a truth. */
static weft_status eval_logic(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    WF_TRY(wf_tpl_eval(r, s, n->a, out));
    return wf_var_true(*out) == (n->kind == WF_NODE_AND) ? wf_tpl_eval(r, s, n->b, out) : WEFT_OK;
}

static weft_status eval_condition(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var test;
    WF_TRY(wf_tpl_eval(r, s, n->b, &test));
    if (wf_var_true(test))
        return wf_tpl_eval(r, s, n->a, out);
    if (n->c)
        return wf_tpl_eval(r, s, n->c, out);
    return wf_var_undefined_hint(r, "the inline if-expression evaluated to false and no else section was defined.", out);
}

/* ---- members ---- */

static weft_status eval_bounds(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var bounds[3]) {
    const wf_tpl_node *parts[] = {n->a, n->b, n->c};
    for (int i = 0; i < 3; i++) {
        bounds[i] = wf_var_none();
        if (parts[i])
            WF_TRY(wf_tpl_eval(r, s, parts[i], &bounds[i]));
    }
    return WEFT_OK;
}

/* Known when the template is compiled: no names, no calls, no filters that look at the context. */
static bool is_constant(const wf_tpl_node *n) {
    const wf_tpl_node *const parts[] = {n->a, n->b, n->c}, *const lists[] = {n->list, n->named};
    if (n->kind == WF_NODE_NAME || n->kind == WF_NODE_CALL || (n->row && n->row->params[0] == '*'))
        return false;
    for (int i = 0; i < 3; i++)
        if (parts[i] && !is_constant(parts[i]))
            return false;
    for (int i = 0; i < 2; i++)
        for (const wf_tpl_node *one = lists[i]; one; one = one->next)
            if (!is_constant(one))
                return false;
    return true;
}

/* A slice of what has none is an error, but not in a printed constant: the reference reckons that when it compiles, by another
 * way that gives undefined. */
static weft_status eval_slice(wf_tpl *r, wf_var v, const wf_var bounds[3], wf_var *out) {
    weft_status status = wf_tpl_slice(r, v, bounds, out);
    bool zero = wf_var_is_whole(bounds[2]) && wf_var_whole(bounds[2]) == 0;
    if (status != WEFT_BAD_INPUT || v.type == WF_VAR_UNDEFINED || zero || !r->printed || !is_constant(r->printed))
        return status;
    return wf_var_undefined(r, v, wf_var_none(), out);
}

static weft_status eval_item(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var v, key, bounds[3];
    WF_TRY(wf_tpl_eval(r, s, n->a, &v));
    if (n->b->kind == WF_NODE_SLICE) {
        WF_TRY(eval_bounds(r, s, n->b, bounds));
        return eval_slice(r, v, bounds, out);
    }
    WF_TRY(wf_tpl_eval(r, s, n->b, &key));
    r->line = n->line;
    return wf_tpl_item(r, v, key, out);
}

static weft_status eval_attribute(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var v;
    WF_TRY(wf_tpl_eval(r, s, n->a, &v));
    r->line = n->line;
    return wf_tpl_attribute(r, v, n->name, out);
}

/* ---- calls ---- */

static weft_status put_named(wf_tpl *r, wf_tpl_dict *named, wf_var key, wf_var value) {
    if (key.type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "keywords must be strings");
    if (wf_dict_find_text(named, key.text->data, key.text->bytes))
        return wf_tpl_type_error(r, "got multiple values for keyword argument '%.100s'", key.text->data);
    return wf_dict_put(r, named, key, value);
}

static weft_status eval_named(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, const wf_var *caller, wf_tpl_dict **out) {
    wf_var value;
    *out = NULL;
    if (!n->named && !n->c && !caller)
        return WEFT_OK;
    WF_TRY(wf_dict_new(r, out));
    for (const wf_tpl_node *one = n->named; one; one = one->next) {
        WF_TRY(wf_tpl_eval(r, s, one->a, &value));
        WF_TRY(put_named(r, *out, wf_var_of_text(one->name), value));
    }
    if (caller)
        WF_TRY(put_named(r, *out, wf_var_of_text(r->words[WF_WORD_CALLER]), *caller));
    if (!n->c)
        return WEFT_OK;
    WF_TRY(wf_tpl_eval(r, s, n->c, &value));
    if (value.type != WF_VAR_DICT)
        return wf_tpl_type_error(r, "argument after ** must be a mapping, not %s", wf_tpl_types[value.type].name);
    for (size_t i = 0; i < value.dict->count; i++)
        WF_TRY(put_named(r, *out, value.dict->pairs[i].key, value.dict->pairs[i].value));
    return WEFT_OK;
}

static weft_status eval_args(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, const wf_var *caller, wf_tpl_args *out) {
    wf_tpl_items items = {0};
    wf_tpl_dict *named;
    wf_var v;
    *out = (wf_tpl_args){0};
    for (const wf_tpl_node *item = n->list; item; item = item->next) {
        WF_TRY(wf_tpl_eval(r, s, item, &v));
        WF_TRY(wf_tpl_push(r, &items, v));
    }
    bool star = n->b && (n->kind == WF_NODE_CALL || n->kind == WF_NODE_FILTER || n->kind == WF_NODE_TEST);
    if (star) {
        WF_TRY(wf_tpl_eval(r, s, n->b, &v));
        if (!wf_var_iterable(v))
            return wf_tpl_type_error(r, "argument after * must be an iterable, not %s", wf_tpl_types[v.type].name);
        WF_TRY(wf_tpl_collect(r, v, &items));
    }
    WF_TRY(eval_named(r, s, n, caller, &named));
    *out = (wf_tpl_args){items.list, items.count, named};
    r->line = n->line;
    return WEFT_OK;
}

weft_status wf_tpl_eval_call(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, const wf_var *caller, wf_var *out) {
    wf_var callee;
    wf_tpl_args args;
    WF_TRY(wf_tpl_eval(r, s, n->a, &callee));
    WF_TRY(eval_args(r, s, n, caller, &args));
    return wf_tpl_call_value(r, callee, &args, out);
}

static weft_status eval_filter(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var v;
    wf_tpl_args args;
    if (n->a)
        WF_TRY(wf_tpl_eval(r, s, n->a, &v));
    else
        v = *r->block;
    WF_TRY(eval_args(r, s, n, NULL, &args));
    if (!n->row)
        return wf_tpl_type_error(r, "No filter named '%.100s' found.", n->name->data);
    return wf_tpl_run_row(r, n->row, v, &args, out);
}

static weft_status eval_test(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var v;
    wf_tpl_args args;
    WF_TRY(wf_tpl_eval(r, s, n->a, &v));
    WF_TRY(eval_args(r, s, n, NULL, &args));
    if (!n->row)
        return wf_tpl_type_error(r, "No test named '%.100s' found.", n->name->data);
    return wf_tpl_run_row(r, n->row, v, &args, out);
}

static weft_status eval_unary(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_var v;
    WF_TRY(wf_tpl_eval(r, s, n->a, &v));
    if (n->kind == WF_NODE_UNARY)
        return wf_tpl_negate(r, n->op, v, out);
    *out = wf_var_bool(!wf_var_true(v));
    return WEFT_OK;
}

static weft_status eval_const(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    *out = n->value;
    return WEFT_OK;
}

static weft_status eval_name(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    return wf_tpl_lookup(r, s, n->name, out);
}
static weft_status eval_call(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    return wf_tpl_eval_call(r, s, n, NULL, out);
}
static weft_status eval_loose_slice(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    return wf_tpl_unsupported(r, "a slice among several subscripts");
}

weft_status wf_tpl_eval(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    static weft_status (*const rows[])(wf_tpl *, wf_tpl_scope *, const wf_tpl_node *, wf_var *) = {
        [WF_NODE_CONST] = eval_const,      [WF_NODE_NAME] = eval_name,     [WF_NODE_TUPLE] = eval_list,
        [WF_NODE_LIST] = eval_list,        [WF_NODE_DICT] = eval_dict,     [WF_NODE_BINARY] = eval_binary,
        [WF_NODE_UNARY] = eval_unary,      [WF_NODE_NOT] = eval_unary,     [WF_NODE_AND] = eval_logic,
        [WF_NODE_OR] = eval_logic,         [WF_NODE_CONCAT] = eval_concat, [WF_NODE_COMPARE] = eval_compare,
        [WF_NODE_COND] = eval_condition,   [WF_NODE_ITEM] = eval_item,     [WF_NODE_ATTRIBUTE] = eval_attribute,
        [WF_NODE_CALL] = eval_call,        [WF_NODE_FILTER] = eval_filter, [WF_NODE_TEST] = eval_test,
        [WF_NODE_SLICE] = eval_loose_slice};
    r->line = n->line;
    WF_TRY(wf_tpl_spend(r, 1));
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(rows[n->kind](r, s, n, out));
    r->depth--;
    return WEFT_OK;
}
