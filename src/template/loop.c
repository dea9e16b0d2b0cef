/* loop.c - for loops and macros: what has a body of its own and is called. */
#include <string.h>
#include "template/syntax.h"

/* ---- drawing from the iterable ---- */

typedef struct condition {
    const wf_tpl_node *node;
    wf_tpl_scope *scope;
} condition;

/* for x in l if test: the test sees the target, and the loop of the outside. */
static weft_status next_filtered(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done) {
    const condition *c = it->extra;
    wf_tpl_scope *inner;
    wf_var test;
    WF_TRY(wf_tpl_new_scope(r, c->scope, &inner));
    for (;;) {
        WF_TRY(wf_tpl_next(r, it->inner, out, done));
        if (*done)
            return WEFT_OK;
        WF_TRY(wf_tpl_assign(r, inner, c->node->a, *out));
        WF_TRY(wf_tpl_eval(r, inner, c->node->c, &test));
        if (wf_var_true(test))
            return WEFT_OK;
    }
}

static weft_status begin(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var over, wf_tpl_loop *loop) {
    WF_TRY(wf_tpl_iterate(r, over, &loop->iter));
    loop->iterable = over;
    if (!n->c)
        return WEFT_OK;
    condition *c = wf_arena_alloc(&r->arena, sizeof *c);
    WF_TPL_NEED(r, c);
    *c = (condition){n, s};
    wf_tpl_iter *inner = loop->iter;
    WF_TRY(wf_tpl_new_iter(r, next_filtered, over, c, &loop->iterable));
    loop->iter = loop->iterable.iter;
    loop->iter->inner = inner;
    return WEFT_OK;
}

static weft_status peek(wf_tpl *r, wf_tpl_loop *loop) {
    bool done = false;
    if (loop->has_after || loop->ended)
        return WEFT_OK;
    WF_TRY(wf_tpl_next(r, loop->iter, &loop->after, &done));
    loop->ended = done;
    loop->has_after = !done;
    return WEFT_OK;
}

static weft_status advance(wf_tpl *r, wf_tpl_loop *loop, bool *done) {
    WF_TRY(peek(r, loop));
    *done = !loop->has_after;
    if (*done)
        return WEFT_OK;
    loop->has_after = false;
    loop->index0++;
    loop->before = loop->current;
    loop->current = loop->after;
    return WEFT_OK;
}

/* What has no length is drawn to its end to get one. */
static weft_status length_of(wf_tpl *r, wf_tpl_loop *loop, int64_t *out) {
    wf_tpl_items rest = {0};
    wf_var list;
    size_t length;
    if (loop->length < 0 && wf_var_length(loop->iterable, &length)) {
        loop->length = (int64_t)length;
    } else if (loop->length < 0) {
        list = (wf_var){.type = WF_VAR_ITERATOR, .iter = loop->iter};
        WF_TRY(wf_tpl_collect(r, list, &rest));
        WF_TRY(wf_var_list_of(r, &rest, &list));
        WF_TRY(wf_tpl_iterate(r, list, &loop->iter));
        loop->length = (int64_t)rest.count + loop->index0 + 1 + loop->has_after;
    }
    *out = loop->length;
    return WEFT_OK;
}

/* ---- the loop variable ---- */

typedef enum fact { INDEX0, INDEX, REVINDEX0, REVINDEX, FIRST, LAST, LENGTH, DEPTH0, DEPTH, PREVIOUS, NEXT } fact;

static weft_status neighbour(wf_tpl *r, wf_tpl_loop *loop, fact which, wf_var *out) {
    if (which == PREVIOUS) {
        *out = loop->before;
        return loop->index0 == 0 ? wf_var_undefined_hint(r, "there is no previous item", out) : WEFT_OK;
    }
    WF_TRY(peek(r, loop));
    *out = loop->after;
    return loop->has_after ? WEFT_OK : wf_var_undefined_hint(r, "there is no next item", out);
}

static weft_status tell(wf_tpl *r, wf_tpl_loop *loop, fact which, wf_var *out) {
    int64_t length = 0;
    if (which == REVINDEX || which == REVINDEX0 || which == LENGTH)
        WF_TRY(length_of(r, loop, &length));
    if (which == LAST)
        WF_TRY(peek(r, loop));
    int64_t numbers[] = {[INDEX0] = loop->index0,          [INDEX] = loop->index0 + 1, [REVINDEX0] = length - loop->index0 - 1,
                         [REVINDEX] = length - loop->index0, [LENGTH] = length,        [DEPTH0] = loop->depth0,
                         [DEPTH] = loop->depth0 + 1};
    if (which == FIRST || which == LAST)
        *out = wf_var_bool(which == FIRST ? loop->index0 == 0 : !loop->has_after);
    else if (which == PREVIOUS || which == NEXT)
        return neighbour(r, loop, which, out);
    else
        *out = wf_var_int(numbers[which]);
    return WEFT_OK;
}

weft_status wf_tpl_loop_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    static const char *const facts[] = {"index0", "index", "revindex0", "revindex", "first", "last", "length", "depth0", "depth", "previtem", "nextitem"};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (wf_text_is(name, facts[i])) {
            *found = true;
            return tell(r, v.loop, (fact)i, out);
        }
    return WEFT_OK;
}

/* ---- for ---- */

/* Every pass has its own variables; the scope is used again unless somebody kept it. */
static weft_status pass_scope(wf_tpl *r, wf_tpl_scope *s, wf_tpl_scope **inner) {
    if (!*inner || (*inner)->kept)
        return wf_tpl_new_scope(r, s, inner);
    (*inner)->count = 0;
    return WEFT_OK;
}

/* `untouched`: no pass came to its end, be it for break or continue; then the reference runs the else part. */
static weft_status run_passes(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_tpl_loop *loop, bool *untouched) {
    wf_tpl_scope *inner = NULL;
    bool done = false;
    for (*untouched = true;;) {
        wf_tpl_flow flow = WF_FLOW_ON;
        if (r->in->env)
            WF_TRY(wf_stopped(r->in->env));
        WF_TRY(advance(r, loop, &done));
        if (done)
            return WEFT_OK;
        WF_TRY(pass_scope(r, s, &inner));
        WF_TRY(wf_tpl_assign(r, inner, n->a, loop->current));
        WF_TRY(wf_tpl_store(r, inner, r->words[WF_WORD_LOOP], (wf_var){.type = WF_VAR_LOOP, .loop = loop}));
        WF_TRY(wf_tpl_exec(r, inner, n->body, &flow));
        if (flow == WF_FLOW_BREAK)
            return WEFT_OK;
        *untouched &= flow == WF_FLOW_CONTINUE;
    }
}

weft_status wf_tpl_run_loop(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var over, int64_t depth, wf_tpl_flow *flow) {
    wf_tpl_loop *loop = wf_arena_alloc(&r->arena, sizeof *loop);
    wf_tpl_scope *other;
    bool untouched;
    WF_TPL_NEED(r, loop);
    *loop = (wf_tpl_loop){.index0 = -1, .length = -1, .depth0 = depth, .recursive = n->recursive ? n : NULL, .scope = s};
    WF_TRY(begin(r, s, n, over, loop));
    WF_TRY(run_passes(r, s, n, loop, &untouched));
    if (!untouched || !n->other)
        return WEFT_OK;
    WF_TRY(wf_tpl_new_scope(r, s, &other));
    return wf_tpl_exec(r, other, n->other, flow);
}

weft_status wf_tpl_call_loop(wf_tpl *r, wf_tpl_loop *loop, const wf_tpl_args *args, wf_var *out) {
    wf_tpl_flow flow = WF_FLOW_ON;
    if (!loop->recursive)
        return wf_tpl_type_error(r, "The loop must have the 'recursive' marker to be called recursively.");
    if (args->count != 1 || args->named)
        return wf_tpl_type_error(r, "loop() takes one iterable");
    wf_tpl_mark mark = wf_tpl_capture(r);
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(wf_tpl_run_loop(r, loop->scope, loop->recursive, args->list[0], loop->depth0 + 1, &flow));
    r->depth--;
    return wf_tpl_captured(r, mark, out);
}

/* ---- macros ---- */

weft_status wf_tpl_new_macro(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out) {
    wf_tpl_macro *macro = wf_arena_alloc(&r->arena, sizeof *macro);
    WF_TPL_NEED(r, macro);
    *macro = (wf_tpl_macro){n, s};
    wf_tpl_keep_scope(s);
    *out = (wf_var){.type = WF_VAR_MACRO, .macro = macro};
    return WEFT_OK;
}

weft_status wf_tpl_macro_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found) {
    const wf_tpl_node *n = v.macro->node;
    wf_tpl_list *list;
    *found = true;
    if (wf_text_is(name, "name"))
        *out = n->name ? wf_var_of_text(n->name) : wf_var_none();
    else if (wf_text_is(name, "catch_kwargs"))
        *out = wf_var_bool(n->uses_kwargs);
    else if (wf_text_is(name, "catch_varargs"))
        *out = wf_var_bool(n->uses_varargs);
    else if (wf_text_is(name, "caller"))
        *out = wf_var_bool(n->uses_caller);
    else if (wf_text_is(name, "arguments")) {
        size_t i = 0;
        WF_TRY(wf_var_new_list(r, n->count, &list));
        for (const wf_tpl_node *p = n->list; p; p = p->next)
            list->items[i++] = wf_var_of_text(p->name);
        *out = wf_var_of_list(WF_VAR_TUPLE, list);
    } else
        *found = false;
    return WEFT_OK;
}

/* The named arguments that no parameter took: into `rest`. */
static weft_status leftover(wf_tpl *r, const wf_tpl_macro *m, const wf_tpl_args *args, wf_tpl_dict *rest) {
    const wf_tpl_node *n = m->node;
    for (size_t i = 0; args->named && i < args->named->count; i++) {
        const wf_tpl_pair *pair = &args->named->pairs[i];
        size_t at = 0;
        bool taken = n->uses_caller && wf_text_is(pair->key.text, "caller");
        for (const wf_tpl_node *p = n->list; p && !taken; p = p->next)
            taken = at++ >= args->count && wf_text_is(pair->key.text, p->name->data);
        if (!taken)
            WF_TRY(wf_dict_put(r, rest, pair->key, pair->value));
    }
    if (!rest->count || n->uses_kwargs)
        return WEFT_OK;
    return wf_tpl_type_error(r, "macro '%s' takes no keyword argument '%.100s'", n->name ? n->name->data : "caller", rest->pairs[0].key.text->data);
}

static weft_status bind_extras(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_macro *m, const wf_tpl_args *args) {
    const wf_tpl_node *n = m->node;
    wf_tpl_dict *rest;
    wf_var v;
    WF_TRY(wf_dict_new(r, &rest));
    WF_TRY(leftover(r, m, args, rest));
    if (n->uses_caller) {
        const wf_var *caller = args->named ? wf_dict_find_text(args->named, "caller", 6) : NULL;
        if (!caller || caller->type == WF_VAR_NONE)
            WF_TRY(wf_var_undefined_hint(r, "No caller defined", &v));
        WF_TRY(wf_tpl_store(r, s, r->words[WF_WORD_CALLER], caller && caller->type != WF_VAR_NONE ? *caller : v));
    }
    if (n->uses_kwargs)
        WF_TRY(wf_tpl_store(r, s, r->words[WF_WORD_KWARGS], wf_var_of_dict(rest)));
    if (!n->uses_varargs && args->count > n->count)
        return wf_tpl_type_error(r, "macro '%s' takes not more than %zu argument(s)", n->name ? n->name->data : "caller", n->count);
    size_t extra = args->count > n->count ? args->count - n->count : 0;
    WF_TRY(wf_var_new_tuple(r, extra ? args->list + n->count : NULL, extra, &v));
    return n->uses_varargs ? wf_tpl_store(r, s, r->words[WF_WORD_VARARGS], v) : WEFT_OK;
}

static weft_status missing_parameter(wf_tpl *r, const wf_tpl_text *name, wf_var *out) {
    char *hint = wf_arena_printf(&r->arena, "parameter '%s' was not provided", name->data);
    WF_TPL_NEED(r, hint);
    return wf_var_undefined_hint(r, hint, out);
}

/* What was given first, then the defaults, which may use it. */
static weft_status bind_parameters(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_macro *m, const wf_tpl_args *args) {
    for (int defaults = 0; defaults < 2; defaults++) {
        size_t i = 0;
        for (const wf_tpl_node *p = m->node->list; p; p = p->next, i++) {
            const wf_var *named = i >= args->count && args->named ? wf_dict_find_text(args->named, p->name->data, p->name->bytes) : NULL;
            bool given = i < args->count || named;
            wf_var v;
            if (given == (defaults == 1))
                continue;
            if (given)
                v = named ? *named : args->list[i];
            else
                WF_TRY(p->b ? wf_tpl_eval(r, s, p->b, &v) : missing_parameter(r, p->name, &v));
            WF_TRY(wf_tpl_store(r, s, p->name, v));
        }
    }
    return WEFT_OK;
}

weft_status wf_tpl_call_macro(wf_tpl *r, const wf_tpl_macro *m, const wf_tpl_args *args, wf_var *out) {
    wf_tpl_flow flow = WF_FLOW_ON;
    wf_tpl_scope *inner;
    wf_tpl_mark mark = wf_tpl_capture(r);
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(wf_tpl_new_scope(r, m->scope, &inner));
    WF_TRY(bind_parameters(r, inner, m, args));
    WF_TRY(bind_extras(r, inner, m, args));
    WF_TRY(wf_tpl_exec(r, inner, m->node->body, &flow));
    r->depth--;
    return wf_tpl_captured(r, mark, out);
}
