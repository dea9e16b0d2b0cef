#include "families/rules.h"
#include <string.h>

enum { DEEPEST = 24, MOST_REPEATS = 4096 };

/* ---- variables ---- */
weft_status wf_vars_put(wf_vars *vars, const char *name, wf_value value, weft_error *err) {
    if (vars->count == vars->capacity) {
        size_t capacity = vars->capacity ? 2 * vars->capacity : 64;
        wf_var *list = wf_arena_alloc(vars->arena, capacity * sizeof *list);
        if (!list)
            return wf_fail_memory(err);
        if (vars->count)
            memcpy(list, vars->list, vars->count * sizeof *list);
        vars->list = list;
        vars->capacity = capacity;
    }
    vars->list[vars->count++] = (wf_var){name, value};
    return WEFT_OK;
}

static bool look_up(const void *user, const char *name, size_t length, wf_value *out) {
    const wf_vars *vars = user;
    for (size_t i = vars->count; i-- > 0;)
        if (strncmp(vars->list[i].name, name, length) == 0 && vars->list[i].name[length] == 0) {
            *out = vars->list[i].value;
            return true;
        }
    return false;
}

weft_status wf_vars_eval(const wf_vars *vars, const char *expression, wf_value *out, weft_error *err) {
    wf_scope scope = {look_up, wf_word_call, vars};
    if (vars->said)
        *vars->said = (weft_error){.offset = -1};
    weft_status status = wf_expr_eval(expression, &scope, vars->arena, out, err);
    if (status != WEFT_OK && err && vars->said && vars->said->status == status && vars->said->message[0])
        *err = *vars->said; /* the user knows the config, not our formula */
    return status;
}

/* ---- templates ---- */
static weft_status fill(wf_vars *vars, const wf_json *t, int depth, wf_json **out, weft_error *err);

static weft_status fill_expression(const wf_vars *vars, const wf_json *t, wf_json **out, weft_error *err) {
    wf_value v;
    WF_TRY(wf_vars_eval(vars, t->string + 1, &v, err));
    *out = wf_value_to_json(vars->arena, &v);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

/* What no branch says is left out: *out is NULL. */
static weft_status fill_choice(wf_vars *vars, const wf_json *t, int depth, wf_json **out, weft_error *err) {
    wf_value v;
    WF_TRY(wf_vars_eval(vars, wf_json_text(t, "?", ""), &v, err));
    const wf_json *chosen = wf_json_get(t, wf_value_true(&v) ? "then" : "else");
    *out = NULL;
    return chosen ? fill(vars, chosen, depth + 1, out, err) : WEFT_OK;
}

/* {"switch": expression, "case": {"text": a, ..}, "else": b}: by the text an expression gives */
static weft_status fill_switch(wf_vars *vars, const wf_json *t, int depth, wf_json **out, weft_error *err) {
    wf_value v;
    WF_TRY(wf_vars_eval(vars, wf_json_text(t, "switch", ""), &v, err));
    const wf_json *chosen = v.type == WF_STRING ? wf_json_get(wf_json_get(t, "case"), v.string) : NULL;
    chosen = chosen ? chosen : wf_json_get(t, "else");
    *out = NULL;
    return chosen ? fill(vars, chosen, depth + 1, out, err) : WEFT_OK;
}

static weft_status fill_repeat(wf_vars *vars, const wf_json *t, int depth, wf_json **out, weft_error *err) {
    wf_value count;
    const wf_json *body = wf_json_get(t, "do");
    wf_json *list = wf_json_new(vars->arena, WF_JSON_ARRAY);
    size_t before = vars->count;
    WF_TRY(wf_vars_eval(vars, wf_json_text(t, "count", ""), &count, err));
    WF_CHECK(body && count.type == WF_INT && count.integer >= 0 && count.integer <= MOST_REPEATS, err, WEFT_BAD_INPUT,
             "'%s' repetitions of a part (at most %d)", wf_json_text(t, "count", "?"), MOST_REPEATS);
    for (int64_t i = 0; i < count.integer; i++) {
        wf_json *item;
        WF_TRY(wf_vars_put(vars, wf_json_text(t, "each", ""), wf_value_int(i), err));
        WF_TRY(fill(vars, body, depth + 1, &item, err));
        vars->count = before;
        if (item && !wf_json_push(list, item))
            return wf_fail_memory(err);
    }
    *out = list;
    return list ? WEFT_OK : wf_fail_memory(err);
}

static weft_status fill_members(wf_vars *vars, const wf_json *t, int depth, wf_json **out, weft_error *err) {
    bool object = t->kind == WF_JSON_OBJECT;
    wf_json *copy = wf_json_new(vars->arena, t->kind), *value;
    for (const wf_json *child = t->child; child; child = child->next) {
        WF_TRY(fill(vars, child, depth + 1, &value, err));
        if (!value || (object && !vars->nulls && value->kind == WF_JSON_NULL && child->kind != WF_JSON_NULL))
            continue;
        if (!(object ? wf_json_put(vars->arena, copy, child->key, value) : wf_json_push(copy, value)))
            return wf_fail_memory(err);
    }
    *out = copy;
    return copy ? WEFT_OK : wf_fail_memory(err);
}

static weft_status fill(wf_vars *vars, const wf_json *t, int depth, wf_json **out, weft_error *err) {
    WF_CHECK(depth < DEEPEST, err, WEFT_BAD_INPUT, "a template is nested more than %d deep", DEEPEST);
    if (t->kind == WF_JSON_STRING && t->string[0] == '=')
        return fill_expression(vars, t, out, err);
    if (wf_json_get(t, "?"))
        return fill_choice(vars, t, depth, out, err);
    if (wf_json_get(t, "switch"))
        return fill_switch(vars, t, depth, out, err);
    if (wf_json_get(t, "each"))
        return fill_repeat(vars, t, depth, out, err);
    if (t->kind == WF_JSON_OBJECT || t->kind == WF_JSON_ARRAY)
        return fill_members(vars, t, depth, out, err);
    *out = wf_json_copy(vars->arena, t);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_template_fill(wf_vars *vars, const wf_json *template_, wf_json **out, weft_error *err) {
    WF_CHECK(template_, err, WEFT_BAD_INPUT, "a template is missing");
    WF_TRY(fill(vars, template_, 0, out, err));
    if (!*out)
        *out = wf_json_new(vars->arena, WF_JSON_NULL);
    return *out ? WEFT_OK : wf_fail_memory(err);
}
