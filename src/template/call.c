/* call.c - finding rows and giving them their arguments. */
#include <string.h>
#include "template/engine.h"

const wf_tpl_row *wf_tpl_find_row(const wf_tpl_row *rows, const wf_tpl_text *name) {
    for (; rows->name; rows++)
        if (wf_text_is(name, rows->name))
            return rows;
    return NULL;
}

const wf_tpl_row *wf_tpl_filter(const wf_tpl_text *name) {
    const wf_tpl_row *const tables[] = {wf_tpl_filters_text, wf_tpl_filters_lists, wf_tpl_filters_values};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const wf_tpl_row *row = wf_tpl_find_row(tables[i], name);
        if (row)
            return row;
    }
    return NULL;
}

/* ---- binding: the words of `params` against what was given ---- */

typedef struct parameter {
    const char *name;
    size_t bytes;
    bool optional, nameless; /* may be left out; cannot be named */
} parameter;

typedef struct signature {
    parameter list[8];
    size_t count;
    bool any;
} signature;

static void read_signature(const char *params, signature *s) {
    memset(s, 0, sizeof *s);
    while (params && *params) {
        size_t n = strcspn(params, " ");
        if (*params == '*')
            s->any = true;
        else if (*params == '/')
            for (size_t i = 0; i < s->count; i++)
                s->list[i].nameless = true;
        else if (s->count < 8)
            s->list[s->count++] = (parameter){params, n - (params[n - 1] == '='), params[n - 1] == '=', false};
        params += n + (params[n] == ' ');
    }
}

static weft_status bind_named(wf_tpl *r, const signature *s, wf_tpl_call *c, const wf_tpl_pair *given) {
    const wf_tpl_text *key = given->key.text;
    for (size_t i = 0; i < s->count; i++) {
        const parameter *p = &s->list[i];
        if (p->nameless || p->bytes != key->bytes || memcmp(p->name, key->data, p->bytes) != 0)
            continue;
        if (c->in[i])
            return wf_tpl_type_error(r, "%s() got multiple values for argument '%.100s'", c->row->name, key->data);
        c->in[i] = &given->value;
        return WEFT_OK;
    }
    return s->any ? WEFT_OK : wf_tpl_type_error(r, "%s() got an unexpected keyword argument '%.100s'", c->row->name, key->data);
}

weft_status wf_tpl_run_row(wf_tpl *r, const wf_tpl_row *row, wf_var self, const wf_tpl_args *args, wf_var *out) {
    signature s;
    wf_tpl_call c = {.row = row, .self = self, .all = *args};
    read_signature(row->params, &s);
    if (args->count > s.count && !s.any)
        return wf_tpl_type_error(r, "%s() takes at most %zu arguments (%zu given)", row->name, s.count, args->count);
    for (size_t i = 0; i < args->count && i < s.count; i++)
        c.in[i] = &args->list[i];
    for (size_t i = 0; args->named && i < args->named->count; i++)
        WF_TRY(bind_named(r, &s, &c, &args->named->pairs[i]));
    for (size_t i = 0; i < s.count; i++)
        if (!c.in[i] && !s.list[i].optional)
            return wf_tpl_type_error(r, "%s() missing a required argument: '%.*s'", row->name, (int)s.list[i].bytes, s.list[i].name);
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(row->run(r, &c, out));
    r->depth--;
    return WEFT_OK;
}

/* ---- arguments ---- */

weft_status wf_tpl_arg_int(wf_tpl *r, const wf_tpl_call *c, int i, int64_t fallback, int64_t *out) {
    const wf_var *v = c->in[i];
    *out = fallback;
    if (!v)
        return WEFT_OK;
    if (v->type == WF_VAR_BIG)
        return wf_tpl_type_error(r, "Python int too large to convert to C ssize_t");
    if (!wf_var_is_whole(*v))
        return wf_tpl_type_error(r, "'%s' object cannot be interpreted as an integer", wf_tpl_types[v->type].name);
    *out = wf_var_whole(*v);
    return WEFT_OK;
}

weft_status wf_tpl_arg_text(wf_tpl *r, const wf_tpl_call *c, int i, const wf_tpl_text **out) {
    const wf_var *v = c->in[i];
    *out = NULL;
    if (!v || v->type == WF_VAR_NONE)
        return WEFT_OK;
    if (v->type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "%s() argument must be str, not %s", c->row->name, wf_tpl_types[v->type].name);
    *out = v->text;
    return WEFT_OK;
}

bool wf_tpl_arg_true(const wf_tpl_call *c, int i, bool fallback) { return c->in[i] ? wf_var_true(*c->in[i]) : fallback; }

/* ---- calling ---- */

bool wf_tpl_callable(wf_var v) {
    return v.type == WF_VAR_FUNCTION || v.type == WF_VAR_METHOD || v.type == WF_VAR_MACRO || v.type == WF_VAR_LOOP || v.type == WF_VAR_JOINER ||
           v.type == WF_VAR_UNDEFINED;
}

static weft_status call_joiner(wf_tpl *r, wf_tpl_cycler *joiner, const wf_tpl_args *args, wf_var *out) {
    if (args->count || (args->named && args->named->count))
        return wf_tpl_type_error(r, "Joiner.__call__() takes 1 positional argument");
    if (joiner->at++)
        *out = joiner->separator;
    else
        return wf_var_string(r, "", 0, out);
    return WEFT_OK;
}

weft_status wf_tpl_call_value(wf_tpl *r, wf_var callee, const wf_tpl_args *args, wf_var *out) {
    switch (callee.type) {
    case WF_VAR_UNDEFINED:
        return wf_tpl_undefined_error(r, callee);
    case WF_VAR_FUNCTION:
        return wf_tpl_run_row(r, callee.function, wf_var_none(), args, out);
    case WF_VAR_METHOD:
        return wf_tpl_run_row(r, callee.method->row, callee.method->self, args, out);
    case WF_VAR_MACRO:
        return wf_tpl_call_macro(r, callee.macro, args, out);
    case WF_VAR_LOOP:
        return wf_tpl_call_loop(r, callee.loop, args, out);
    case WF_VAR_JOINER:
        return call_joiner(r, callee.cycler, args, out);
    default:
        return wf_tpl_type_error(r, "'%s' object is not callable", wf_tpl_types[callee.type].name);
    }
}

weft_status wf_tpl_truth(wf_tpl *r, const wf_tpl_row *test, wf_var v, const wf_tpl_args *args, bool *out) {
    wf_var result;
    WF_TRY(wf_tpl_run_row(r, test, v, args, &result));
    *out = wf_var_true(result);
    return WEFT_OK;
}
