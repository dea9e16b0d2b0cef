#include "base/checked.h"
#include "base/expr_eval.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- results ---- */

static weft_status give_float(wf_eval *e, size_t at, double d, wf_value *out) {
    if (!isfinite(d))
        return wf_eval_fail(e, at, "the result is not a finite number");
    *out = wf_value_float(d);
    return WEFT_OK;
}

static weft_status give_int(wf_eval *e, size_t at, bool fits, int64_t i, wf_value *out) {
    if (!fits)
        return wf_eval_fail(e, at, "integer overflow");
    *out = wf_value_int(i);
    return WEFT_OK;
}

/* A float that is a whole number already, as an integer. */
static weft_status give_whole(wf_eval *e, size_t at, double d, wf_value *out) {
    bool fits = d >= -0x1p63 && d < 0x1p63;
    return give_int(e, at, fits, fits ? (int64_t)d : 0, out);
}

/* ---- operators ---- */

static int64_t floor_quotient(int64_t a, int64_t b) {
    int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

/* Not a - quotient * b: that product can overflow. */
static int64_t whole_remainder(int64_t a, int64_t b) {
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double floor_remainder(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static weft_status whole_arithmetic(wf_eval *e, size_t at, wf_operator op, int64_t a, int64_t b, wf_value *out) {
    int64_t r = 0;
    bool fits = true;
    switch (op) {
    case WF_OP_ADD:
        fits = wf_add_i64(a, b, &r);
        break;
    case WF_OP_SUBTRACT:
        fits = !__builtin_sub_overflow(a, b, &r);
        break;
    case WF_OP_MULTIPLY:
        fits = wf_mul_i64(a, b, &r);
        break;
    case WF_OP_FLOOR_DIVIDE:
        if (b == -1) /* the one quotient that can overflow */
            fits = wf_mul_i64(a, -1, &r);
        else
            r = floor_quotient(a, b);
        break;
    default:
        r = b == -1 ? 0 : whole_remainder(a, b);
    }
    return give_int(e, at, fits, r, out);
}

static weft_status float_arithmetic(wf_eval *e, size_t at, wf_operator op, double a, double b, wf_value *out) {
    switch (op) {
    case WF_OP_ADD:
        return give_float(e, at, a + b, out);
    case WF_OP_SUBTRACT:
        return give_float(e, at, a - b, out);
    case WF_OP_MULTIPLY:
        return give_float(e, at, a * b, out);
    case WF_OP_DIVIDE:
        return give_float(e, at, a / b, out);
    case WF_OP_FLOOR_DIVIDE:
        return give_float(e, at, floor(a / b), out);
    default:
        return give_float(e, at, floor_remainder(a, b), out);
    }
}

static weft_status fail_types(wf_eval *e, size_t at, const wf_value *a, const wf_value *b) {
    return wf_eval_fail(e, at, "the operator does not take %s and %s", wf_value_type_name(a), wf_value_type_name(b));
}

static weft_status join_strings(wf_eval *e, const wf_value *a, const wf_value *b, wf_value *out) {
    char *text = wf_arena_printf(e->arena, "%s%s", a->string, b->string);
    if (!text)
        return wf_fail_memory(e->err);
    *out = wf_value_string(text);
    return WEFT_OK;
}

static weft_status join_lists(wf_eval *e, size_t at, const wf_value *a, const wf_value *b, wf_value *out) {
    size_t count = a->count + b->count;
    WF_TRY(wf_eval_spend(e, at, count));
    wf_value *items = wf_arena_alloc(e->arena, count * sizeof *items);
    if (!items)
        return wf_fail_memory(e->err);
    if (a->count)
        memcpy(items, a->items, a->count * sizeof *items);
    if (b->count)
        memcpy(items + a->count, b->items, b->count * sizeof *items);
    *out = (wf_value){.type = WF_LIST, .items = items, .count = count};
    return WEFT_OK;
}

static weft_status arithmetic(wf_eval *e, size_t at, wf_operator op, const wf_value *a, const wf_value *b, wf_value *out) {
    if (op == WF_OP_ADD && a->type == WF_STRING && b->type == WF_STRING)
        return join_strings(e, a, b, out);
    if (op == WF_OP_ADD && a->type == WF_LIST && b->type == WF_LIST)
        return join_lists(e, at, a, b, out);
    if (!wf_value_is_number(a) || !wf_value_is_number(b))
        return fail_types(e, at, a, b);
    if (op >= WF_OP_DIVIDE && wf_value_as_double(b) == 0)
        return wf_eval_fail(e, at, "division by zero");
    if (op != WF_OP_DIVIDE && wf_value_is_whole(a) && wf_value_is_whole(b))
        return whole_arithmetic(e, at, op, a->integer, b->integer, out);
    return float_arithmetic(e, at, op, wf_value_as_double(a), wf_value_as_double(b), out);
}

/* -1, 0 or 1 */
static int order(const wf_value *a, const wf_value *b) {
    if (a->type == WF_STRING) {
        int c = strcmp(a->string, b->string);
        return (c > 0) - (c < 0);
    }
    if (wf_value_is_whole(a) && wf_value_is_whole(b))
        return (a->integer > b->integer) - (a->integer < b->integer);
    double x = wf_value_as_double(a), y = wf_value_as_double(b);
    return (x > y) - (x < y);
}

weft_status wf_eval_binary(wf_eval *e, size_t at, wf_operator op, const wf_value *a, const wf_value *b, wf_value *out) {
    if (op >= WF_OP_ADD)
        return arithmetic(e, at, op, a, b, out);
    if (op == WF_OP_EQUAL || op == WF_OP_UNEQUAL) {
        *out = wf_value_bool(wf_value_equal(a, b, &e->elements) == (op == WF_OP_EQUAL));
        return WEFT_OK;
    }
    if (!(a->type == WF_STRING && b->type == WF_STRING) && !(wf_value_is_number(a) && wf_value_is_number(b)))
        return fail_types(e, at, a, b);
    int c = order(a, b);
    bool results[] = {[WF_OP_LESS - WF_OP_LESS] =
                          c<0, [WF_OP_LESS_EQUAL - WF_OP_LESS] = c <= 0, [WF_OP_GREATER - WF_OP_LESS] = c> 0,
                      [WF_OP_GREATER_EQUAL - WF_OP_LESS] = c >= 0};
    *out = wf_value_bool(results[op - WF_OP_LESS]);
    return WEFT_OK;
}

weft_status wf_eval_negate(wf_eval *e, size_t at, const wf_value *a, wf_value *out) {
    if (!wf_value_is_number(a))
        return wf_eval_fail(e, at, "cannot negate %s", wf_value_type_name(a));
    if (a->type == WF_FLOAT)
        return give_float(e, at, -a->number, out);
    int64_t r = 0;
    bool fits = wf_mul_i64(a->integer, -1, &r);
    return give_int(e, at, fits, r, out);
}

/* ---- functions ---- */

typedef struct call {
    size_t at;
    const char *name;
    const wf_value *args;
    size_t count;
} call;
typedef weft_status (*function)(wf_eval *e, const call *c, wf_value *out);

static weft_status fail_argument(wf_eval *e, const call *c, const wf_value *v) {
    return wf_eval_fail(e, c->at, "%s() does not take %s", c->name, wf_value_type_name(v));
}

/* min and max take numbers, or one list of them. */
static weft_status extreme(wf_eval *e, const call *c, int sign, wf_value *out) {
    bool list = c->count == 1 && c->args[0].type == WF_LIST;
    const wf_value *items = list ? c->args[0].items : c->args;
    size_t count = list ? c->args[0].count : c->count;
    if (count == 0)
        return wf_eval_fail(e, c->at, "%s() of nothing", c->name);
    WF_TRY(wf_eval_spend(e, c->at, count));
    const wf_value *best = items;
    for (size_t i = 0; i < count; i++) {
        if (!wf_value_is_number(&items[i]))
            return fail_argument(e, c, &items[i]);
        if (order(&items[i], best) == sign)
            best = &items[i];
    }
    *out = *best;
    return WEFT_OK;
}

static weft_status call_min(wf_eval *e, const call *c, wf_value *out) { return extreme(e, c, -1, out); }
static weft_status call_max(wf_eval *e, const call *c, wf_value *out) { return extreme(e, c, 1, out); }

/* sum takes what min and max take; of nothing it is 0. */
static weft_status call_sum(wf_eval *e, const call *c, wf_value *out) {
    bool list = c->count == 1 && c->args[0].type == WF_LIST;
    const wf_value *items = list ? c->args[0].items : c->args;
    size_t count = list ? c->args[0].count : c->count;
    WF_TRY(wf_eval_spend(e, c->at, count));
    bool whole = true, fits = true;
    int64_t integer = 0;
    double number = 0.0;
    for (size_t i = 0; i < count; i++) {
        if (!wf_value_is_number(&items[i]))
            return fail_argument(e, c, &items[i]);
        whole &= items[i].type != WF_FLOAT;
        number += wf_value_as_double(&items[i]);
        fits &= items[i].type == WF_FLOAT || !__builtin_add_overflow(integer, items[i].integer, &integer);
    }
    return whole ? give_int(e, c->at, fits, integer, out) : give_float(e, c->at, number, out);
}

static weft_status rounded(wf_eval *e, const call *c, double (*to_whole)(double), wf_value *out) {
    const wf_value *v = c->args;
    if (!wf_value_is_number(v))
        return fail_argument(e, c, v);
    return v->type == WF_FLOAT ? give_whole(e, c->at, to_whole(v->number), out) : give_int(e, c->at, true, v->integer, out);
}

static weft_status call_floor(wf_eval *e, const call *c, wf_value *out) { return rounded(e, c, floor, out); }
static weft_status call_ceil(wf_eval *e, const call *c, wf_value *out) { return rounded(e, c, ceil, out); }
static weft_status call_round(wf_eval *e, const call *c, wf_value *out) { return rounded(e, c, round, out); }

static weft_status real(wf_eval *e, const call *c, double (*f)(double), wf_value *out) {
    if (!wf_value_is_number(c->args))
        return fail_argument(e, c, c->args);
    return give_float(e, c->at, f(wf_value_as_double(c->args)), out);
}

static weft_status call_sqrt(wf_eval *e, const call *c, wf_value *out) { return real(e, c, sqrt, out); }
static weft_status call_ln(wf_eval *e, const call *c, wf_value *out) { return real(e, c, log, out); }
static weft_status call_exp(wf_eval *e, const call *c, wf_value *out) { return real(e, c, exp, out); }

/* Integers with an exponent that is not negative stay integers. */
static weft_status call_pow(wf_eval *e, const call *c, wf_value *out) {
    const wf_value *a = &c->args[0], *b = &c->args[1];
    if (!wf_value_is_number(a) || !wf_value_is_number(b))
        return fail_argument(e, c, wf_value_is_number(a) ? b : a);
    if (!wf_value_is_whole(a) || !wf_value_is_whole(b) || b->integer < 0)
        return give_float(e, c->at, pow(wf_value_as_double(a), wf_value_as_double(b)), out);
    int64_t result = 1, base = a->integer;
    if (base >= -1 && base <= 1) /* these may have any exponent; others overflow before 64 */
        return give_int(e, c->at, true, b->integer == 0 ? 1 : base < 0 && b->integer % 2 == 0 ? 1 : base, out);
    for (int64_t i = 0; i < b->integer; i++)
        if (!wf_mul_i64(result, base, &result))
            return give_int(e, c->at, false, 0, out);
    return give_int(e, c->at, true, result, out);
}

static weft_status call_abs(wf_eval *e, const call *c, wf_value *out) {
    const wf_value *v = c->args;
    if (!wf_value_is_number(v))
        return fail_argument(e, c, v);
    if (v->type == WF_FLOAT)
        return give_float(e, c->at, fabs(v->number), out);
    return v->integer < 0 ? wf_eval_negate(e, c->at, v, out) : give_int(e, c->at, true, v->integer, out);
}

static weft_status call_len(wf_eval *e, const call *c, wf_value *out) {
    const wf_value *v = c->args;
    size_t length;
    if (v->type == WF_LIST)
        length = v->count;
    else if (v->type == WF_STRING)
        length = strlen(v->string);
    else if (v->type == WF_OBJECT)
        length = v->object->count;
    else
        return fail_argument(e, c, v);
    *out = wf_value_int((int64_t)length);
    return WEFT_OK;
}

static weft_status call_int(wf_eval *e, const call *c, wf_value *out) {
    const wf_value *v = c->args;
    int64_t i;
    if (v->type != WF_STRING)
        return rounded(e, c, trunc, out);
    if (!wf_parse_i64(v->string, strlen(v->string), &i))
        return wf_eval_fail(e, c->at, "'%s' is not an integer", v->string);
    *out = wf_value_int(i);
    return WEFT_OK;
}

static weft_status call_float(wf_eval *e, const call *c, wf_value *out) {
    const wf_value *v = c->args;
    double d;
    if (wf_value_is_number(v))
        return give_float(e, c->at, wf_value_as_double(v), out);
    if (v->type != WF_STRING)
        return fail_argument(e, c, v);
    if (!wf_parse_double(v->string, strlen(v->string), &d))
        return wf_eval_fail(e, c->at, "'%s' is not a number", v->string);
    *out = wf_value_float(d);
    return WEFT_OK;
}

static weft_status call_str(wf_eval *e, const call *c, wf_value *out) {
    const wf_value *v = c->args;
    char number[32];
    const char *text = v->string;
    if (v->type == WF_NULL)
        text = "null";
    else if (v->type == WF_BOOL)
        text = v->integer ? "true" : "false";
    else if (v->type == WF_INT)
        text = wf_arena_printf(e->arena, "%" PRId64, v->integer);
    else if (v->type == WF_FLOAT) {
        wf_format_double(v->number, number);
        text = wf_arena_strdup(e->arena, number);
    } else if (v->type != WF_STRING)
        return fail_argument(e, c, v);
    if (!text)
        return wf_fail_memory(e->err);
    *out = wf_value_string(text);
    return WEFT_OK;
}

weft_status wf_eval_function(wf_eval *e, size_t at, const char *name, const wf_value *args, size_t count, wf_value *out,
                             bool *found) {
    static const struct {
        const char *name;
        size_t fewest, most;
        function run;
    } functions[] = {{"min", 1, SIZE_MAX, call_min}, {"max", 1, SIZE_MAX, call_max}, {"sum", 1, SIZE_MAX, call_sum},
                     {"floor", 1, 1, call_floor},    {"ceil", 1, 1, call_ceil},      {"round", 1, 1, call_round},
                     {"sqrt", 1, 1, call_sqrt},      {"ln", 1, 1, call_ln},          {"exp", 1, 1, call_exp},
                     {"pow", 2, 2, call_pow},        {"abs", 1, 1, call_abs},        {"len", 1, 1, call_len},
                     {"int", 1, 1, call_int},        {"float", 1, 1, call_float},    {"str", 1, 1, call_str}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) != 0)
            continue;
        *found = true;
        if (count < functions[i].fewest || count > functions[i].most)
            return wf_eval_fail(e, at, "%s() does not take %zu arguments", name, count);
        call c = {at, name, args, count};
        return functions[i].run(e, &c, out);
    }
    *found = false;
    return WEFT_OK;
}
