/* exec.c - running statements. */
#include <string.h>
#include "template/syntax.h"

/* ---- scopes ---- */

weft_status wf_tpl_new_scope(wf_tpl *r, wf_tpl_scope *parent, wf_tpl_scope **out) {
    *out = wf_arena_alloc(&r->arena, sizeof **out);
    WF_TPL_NEED(r, *out);
    (*out)->parent = parent;
    return WEFT_OK;
}

void wf_tpl_keep_scope(wf_tpl_scope *s) {
    for (; s && !s->kept; s = s->parent)
        s->kept = true;
}

weft_status wf_tpl_store(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_text *name, wf_var v) {
    WF_TRY(wf_tpl_spend(r, s->count / 16));
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].name == name) {
            s->list[i].value = v;
            return WEFT_OK;
        }
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 4;
        wf_tpl_variable *more = wf_arena_alloc(&r->arena, capacity * sizeof *more);
        WF_TPL_NEED(r, more);
        if (s->count)
            memcpy(more, s->list, s->count * sizeof *more);
        s->list = more;
        s->capacity = capacity;
    }
    s->list[s->count++] = (wf_tpl_variable){name, v};
    return WEFT_OK;
}

/* ---- targets ---- */

static weft_status check_namespaces(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *target) {
    wf_var v;
    for (const wf_tpl_node *one = target->kind == WF_NODE_TUPLE ? target->list : NULL; one; one = one->next)
        WF_TRY(check_namespaces(r, s, one));
    if (target->kind != WF_NODE_NSREF)
        return WEFT_OK;
    WF_TRY(wf_tpl_lookup(r, s, target->name, &v));
    return v.type == WF_VAR_NAMESPACE ? WEFT_OK
                                      : wf_tpl_fail(r, WF_TEMPLATE_RUNTIME, "cannot assign attribute on non-namespace object");
}

weft_status wf_tpl_assign(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *target, wf_var v) {
    wf_var ns;
    if (target->kind == WF_NODE_NAME)
        return wf_tpl_store(r, s, target->name, v);
    if (target->kind == WF_NODE_NSREF) {
        WF_TRY(wf_tpl_lookup(r, s, target->name, &ns));
        if (ns.type != WF_VAR_NAMESPACE)
            return wf_tpl_fail(r, WF_TEMPLATE_RUNTIME, "cannot assign attribute on non-namespace object");
        WF_TRY(wf_tpl_check_name(r, wf_var_of_text(target->attribute)));
        return wf_dict_put(r, ns.dict, wf_var_of_text(target->attribute), v);
    }
    wf_tpl_list *parts;
    size_t i = 0;
    WF_TRY(wf_var_new_list(r, target->count, &parts));
    WF_TRY(wf_tpl_unpack(r, v, parts->items, target->count));
    for (const wf_tpl_node *one = target->list; one; one = one->next)
        WF_TRY(wf_tpl_assign(r, s, one, parts->items[i++]));
    return WEFT_OK;
}

static weft_status exec_set(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_var v;
    WF_TRY(check_namespaces(r, s, n->a));
    WF_TRY(wf_tpl_eval(r, s, n->b, &v));
    return wf_tpl_assign(r, s, n->a, v);
}

/* ---- output ---- */

wf_tpl_mark wf_tpl_capture(wf_tpl *r) {
    wf_tpl_mark mark = {r->out.length, r->root_mark};
    if (r->root_mark == SIZE_MAX)
        r->root_mark = r->out.length;
    return mark;
}

weft_status wf_tpl_captured(wf_tpl *r, wf_tpl_mark mark, wf_var *out) {
    weft_status status = r->out.failed ? wf_fail_memory(r->err)
                                       : wf_var_string(r, wf_str_text(&r->out) + mark.length, r->out.length - mark.length, out);
    r->out.length = mark.length;
    r->root_mark = mark.root;
    return status;
}

static weft_status exec_data(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    return wf_tpl_print(r, n->value, &r->out);
}

static weft_status exec_print(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_var v;
    for (const wf_tpl_node *item = n->list; item; item = item->next) {
        r->printed = item;
        WF_TRY(wf_tpl_eval(r, s, item, &v));
        r->printed = NULL;
        WF_TRY(wf_tpl_print(r, v, &r->out));
    }
    return WEFT_OK;
}

/* The text of a body in a scope of its own; break and continue leave no text. */
static weft_status capture_body(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_scope **inner, wf_tpl_flow *flow,
                                wf_var *out) {
    wf_tpl_mark mark = wf_tpl_capture(r);
    WF_TRY(wf_tpl_new_scope(r, s, inner));
    WF_TRY(wf_tpl_exec(r, *inner, n->body, flow));
    return wf_tpl_captured(r, mark, out);
}

static weft_status apply_filters(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *filters, wf_var *text) {
    const wf_var *outer = r->block;
    wf_var v = *text;
    r->block = &v;
    WF_TRY(wf_tpl_eval(r, s, filters, text));
    r->block = outer;
    return WEFT_OK;
}

static weft_status exec_set_block(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_tpl_scope *inner;
    wf_var text;
    WF_TRY(capture_body(r, s, n, &inner, flow, &text));
    if (*flow != WF_FLOW_ON)
        return WEFT_OK;
    if (n->b)
        WF_TRY(apply_filters(r, inner, n->b, &text));
    return wf_tpl_assign(r, s, n->a, text);
}

static weft_status exec_filter_block(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_tpl_scope *inner;
    wf_var text;
    WF_TRY(capture_body(r, s, n, &inner, flow, &text));
    if (*flow != WF_FLOW_ON)
        return WEFT_OK;
    WF_TRY(apply_filters(r, inner, n->b, &text));
    if (text.type != WF_VAR_STRING) /* the parts of a text are joined as they are */
        return wf_tpl_type_error(r, "sequence item 0: expected str instance, %s found", wf_var_type_word(text));
    return wf_tpl_print(r, text, &r->out);
}

/* Where in the output this is, in code points. Positions only grow, so every byte is counted once. */
static size_t position(wf_tpl *r) {
    size_t at = r->root_mark == SIZE_MAX ? r->out.length : r->root_mark;
    r->counted_chars += wf_tpl_count_chars(wf_str_text(&r->out) + r->counted_bytes, at - r->counted_bytes);
    r->counted_bytes = at;
    return r->counted_chars;
}

static weft_status exec_generation(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_tpl_scope *inner;
    wf_template_result *result = r->result;
    wf_var text;
    WF_TRY(capture_body(r, s, n, &inner, flow, &text));
    size_t start = position(r);
    WF_TRY(wf_tpl_spend(r, 1));
    WF_TRY(
        wf_grow(r->arena.mem, (void **)&result->spans, &r->span_capacity, result->n_spans + 1, sizeof *result->spans, r->err));
    result->spans[result->n_spans++] = (wf_template_span){start, start + text.text->chars};
    return wf_tpl_print(r, text, &r->out);
}

/* ---- structure ---- */

static weft_status exec_if(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_var test;
    WF_TRY(wf_tpl_eval(r, s, n->a, &test));
    return wf_tpl_exec(r, s, wf_var_true(test) ? n->body : n->other, flow);
}

static weft_status exec_for(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_var over;
    WF_TRY(wf_tpl_eval(r, s, n->b, &over));
    return wf_tpl_run_loop(r, s, n, over, 0, flow);
}

static weft_status exec_with(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_tpl_scope *inner;
    wf_var v;
    WF_TRY(wf_tpl_new_scope(r, s, &inner));
    for (const wf_tpl_node *set = n->list; set; set = set->next) {
        WF_TRY(wf_tpl_eval(r, s, set->b, &v));
        WF_TRY(wf_tpl_assign(r, inner, set->a, v));
    }
    return wf_tpl_exec(r, inner, n->body, flow);
}

static weft_status exec_macro(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_var macro;
    WF_TRY(wf_tpl_new_macro(r, s, n, &macro));
    return wf_tpl_store(r, s, n->name, macro);
}

static weft_status exec_call_block(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_var caller, text;
    WF_TRY(wf_tpl_new_macro(r, s, n, &caller));
    WF_TRY(wf_tpl_eval_call(r, s, n->a, &caller, &text));
    return wf_tpl_print(r, text, &r->out);
}

/* A block sees the names of the top, a scoped one also those around it. */
static weft_status exec_block(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_tpl_scope *inner;
    WF_TRY(wf_tpl_new_scope(r, n->recursive ? s : r->globals, &inner));
    return wf_tpl_exec(r, inner, n->body, flow);
}

static weft_status exec_autoescape(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    wf_tpl_scope *inner;
    wf_var on;
    WF_TRY(wf_tpl_eval(r, s, n->a, &on));
    if (wf_var_true(on))
        return wf_tpl_unsupported(r, "autoescape");
    WF_TRY(wf_tpl_new_scope(r, s, &inner));
    return wf_tpl_exec(r, inner, n->body, flow);
}

static weft_status exec_jump(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    *flow = n->kind == WF_NODE_BREAK ? WF_FLOW_BREAK : WF_FLOW_CONTINUE;
    return WEFT_OK;
}

static weft_status exec_refused(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_flow *flow) {
    return wf_tpl_type_error(r, "%s", n->value.text->data);
}

weft_status wf_tpl_exec(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *first, wf_tpl_flow *flow) {
    static weft_status (*const rows[])(wf_tpl *, wf_tpl_scope *, const wf_tpl_node *,
                                       wf_tpl_flow *) = {[WF_NODE_DATA] = exec_data,
                                                         [WF_NODE_PRINT] = exec_print,
                                                         [WF_NODE_FOR] = exec_for,
                                                         [WF_NODE_IF] = exec_if,
                                                         [WF_NODE_SET] = exec_set,
                                                         [WF_NODE_SET_BLOCK] = exec_set_block,
                                                         [WF_NODE_MACRO] = exec_macro,
                                                         [WF_NODE_CALL_BLOCK] = exec_call_block,
                                                         [WF_NODE_FILTER_BLOCK] = exec_filter_block,
                                                         [WF_NODE_WITH] = exec_with,
                                                         [WF_NODE_BLOCK] = exec_block,
                                                         [WF_NODE_GENERATION] = exec_generation,
                                                         [WF_NODE_AUTOESCAPE] = exec_autoescape,
                                                         [WF_NODE_BREAK] = exec_jump,
                                                         [WF_NODE_CONTINUE] = exec_jump,
                                                         [WF_NODE_REFUSED] = exec_refused};
    WF_TRY(wf_tpl_enter(r));
    for (const wf_tpl_node *n = first; n && *flow == WF_FLOW_ON; n = n->next) {
        r->line = n->line;
        WF_TRY(wf_tpl_spend(r, 1));
        WF_TRY(rows[n->kind](r, s, n, flow));
    }
    r->depth--;
    return WEFT_OK;
}
