/* tests.c - what stands behind `is`. */
#include "template/engine.h"

typedef enum question {
    DEFINED,
    UNDEFINED,
    NONE,
    BOOLEAN,
    IS_TRUE,
    IS_FALSE,
    INTEGER,
    FLOAT,
    NUMBER,
    STRING,
    MAPPING,
    SEQUENCE,
    ITERABLE,
    CALLABLE,
    ESCAPED,
    FILTER,
    TEST
} question;

static bool answer(question which, wf_var v) {
    size_t length;
    switch (which) {
    case DEFINED:
    case UNDEFINED:
        return (v.type == WF_VAR_UNDEFINED) == (which == UNDEFINED);
    case NONE:
        return v.type == WF_VAR_NONE;
    case BOOLEAN:
        return v.type == WF_VAR_BOOL;
    case IS_TRUE:
    case IS_FALSE:
        return v.type == WF_VAR_BOOL && v.truth == (which == IS_TRUE);
    case INTEGER:
        return v.type == WF_VAR_INT || v.type == WF_VAR_BIG;
    case FLOAT:
        return v.type == WF_VAR_FLOAT;
    case NUMBER:
        return wf_var_is_number(v);
    case STRING:
        return v.type == WF_VAR_STRING;
    case MAPPING:
        return v.type == WF_VAR_DICT;
    case SEQUENCE: /* has a length and can be subscripted; views cannot */
        return wf_var_length(v, &length) && v.type != WF_VAR_VIEW;
    case ITERABLE:
        return wf_var_iterable(v);
    case CALLABLE:
        return wf_tpl_callable(v);
    case ESCAPED:
        return v.type == WF_VAR_STRING && v.safe;
    case FILTER:
        return v.type == WF_VAR_STRING && wf_tpl_filter(v.text);
    case TEST:
        return v.type == WF_VAR_STRING && wf_tpl_test(v.text);
    }
    return false;
}

static weft_status run_question(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    if (c->row->which == FILTER || c->row->which == TEST) /* looked up in a table */
        WF_TRY(wf_var_hashable(r, c->self));
    *out = wf_var_bool(answer((question)c->row->which, c->self));
    return WEFT_OK;
}

/* value % n == rest */
static weft_status has_rest(wf_tpl *r, wf_var v, wf_var n, int64_t rest, wf_var *out) {
    bool same;
    wf_var left;
    WF_TRY(wf_tpl_binary(r, '%', v, n, &left));
    WF_TRY(wf_var_equal(r, left, wf_var_int(rest), &same));
    *out = wf_var_bool(same);
    return WEFT_OK;
}

static weft_status run_parity(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return has_rest(r, c->self, wf_var_int(2), c->row->which, out); }
static weft_status run_divisible(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return has_rest(r, c->self, *c->in[0], 0, out); }

static weft_status run_case(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *text;
    WF_TRY(wf_var_to_text(r, c->self, &text));
    *out = wf_var_bool(wf_tpl_text_is((wf_tpl_class)c->row->which, text->data, text->bytes));
    return wf_tpl_spend(r, text->bytes / 4);
}

static weft_status run_same(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    *out = wf_var_bool(wf_var_same(c->self, *c->in[0]));
    return WEFT_OK;
}

static weft_status run_in(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    bool is;
    WF_TRY(wf_var_contains(r, *c->in[0], c->self, &is));
    *out = wf_var_bool(is);
    return WEFT_OK;
}

static weft_status run_equal(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    bool is;
    WF_TRY(wf_var_equal(r, c->self, *c->in[0], &is));
    *out = wf_var_bool(is == (c->row->which == 0));
    return WEFT_OK;
}

static weft_status run_order(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    bool is;
    WF_TRY(wf_var_ordered(r, (wf_tpl_compare)c->row->which, c->self, *c->in[0], &is));
    *out = wf_var_bool(is);
    return WEFT_OK;
}

static const wf_tpl_row rows[] = {
    {"defined", "", run_question, DEFINED},
    {"undefined", "", run_question, UNDEFINED},
    {"none", "", run_question, NONE},
    {"boolean", "", run_question, BOOLEAN},
    {"true", "", run_question, IS_TRUE},
    {"false", "", run_question, IS_FALSE},
    {"integer", "", run_question, INTEGER},
    {"float", "", run_question, FLOAT},
    {"number", "", run_question, NUMBER},
    {"string", "", run_question, STRING},
    {"mapping", "", run_question, MAPPING},
    {"sequence", "", run_question, SEQUENCE},
    {"iterable", "", run_question, ITERABLE},
    {"callable", "", run_question, CALLABLE},
    {"escaped", "", run_question, ESCAPED},
    {"filter", "", run_question, FILTER},
    {"test", "", run_question, TEST},
    {"odd", "", run_parity, 1},
    {"even", "", run_parity, 0},
    {"divisibleby", "num", run_divisible, 0},
    {"lower", "", run_case, WF_IS_LOWER},
    {"upper", "", run_case, WF_IS_UPPER},
    {"sameas", "other", run_same, 0},
    {"in", "seq", run_in, 0},
    {"==", "other /", run_equal, 0},
    {"eq", "other /", run_equal, 0},
    {"equalto", "other /", run_equal, 0},
    {"!=", "other /", run_equal, 1},
    {"ne", "other /", run_equal, 1},
    {"<", "other /", run_order, WF_LESS},
    {"lt", "other /", run_order, WF_LESS},
    {"lessthan", "other /", run_order, WF_LESS},
    {"<=", "other /", run_order, WF_LESS_EQUAL},
    {"le", "other /", run_order, WF_LESS_EQUAL},
    {">", "other /", run_order, WF_GREATER},
    {"gt", "other /", run_order, WF_GREATER},
    {"greaterthan", "other /", run_order, WF_GREATER},
    {">=", "other /", run_order, WF_GREATER_EQUAL},
    {"ge", "other /", run_order, WF_GREATER_EQUAL},
    {NULL, NULL, NULL, 0}};

const wf_tpl_row *wf_tpl_test(const wf_tpl_text *name) { return wf_tpl_find_row(rows, name); }
