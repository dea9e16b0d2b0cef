/* operate.c - the operators of Python on values. */
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "template/engine.h"

static const char *sign_of(char op) { return op == 'f' ? "//" : op == 'p' ? "** or pow()" : op == '+' ? "+" : op == '-' ? "-" : op == '*' ? "*" : op == '/' ? "/" : "%"; }

static weft_status mismatch(wf_tpl *r, char op, wf_var a, wf_var b) {
    return wf_tpl_type_error(r, "unsupported operand type(s) for %s: '%s' and '%s'", sign_of(op), wf_tpl_types[a.type].name, wf_tpl_types[b.type].name);
}

static weft_status by_zero(wf_tpl *r) { return wf_tpl_type_error(r, "division by zero"); }
static weft_status too_large(wf_tpl *r) { return wf_tpl_unsupported(r, "arithmetic beyond 64 bits"); }

/* ---- integers ---- */

static weft_status power(wf_tpl *r, int64_t base, int64_t exponent, wf_var *out) {
    int64_t result = 1;
    if (exponent < 0) {
        if (base == 0)
            return wf_tpl_type_error(r, "0.0 cannot be raised to a negative power");
        *out = wf_var_float(pow((double)base, (double)exponent));
        return WEFT_OK;
    }
    if (base == 0 || base == 1 || base == -1) { /* the only bases with endless exponents */
        *out = wf_var_int(exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
        return WEFT_OK;
    }
    for (; exponent > 0; exponent--)
        if (!wf_mul_i64(result, base, &result))
            return too_large(r);
    *out = wf_var_int(result);
    return WEFT_OK;
}

/* Floors: the remainder has the sign of the divisor. */
static weft_status divide(wf_tpl *r, char op, int64_t a, int64_t b, wf_var *out) {
    if (b == 0)
        return by_zero(r);
    if (op == '/') {
        *out = wf_var_float((double)((long double)a / (long double)b));
        return WEFT_OK;
    }
    if (b == -1) { /* the smallest integer has no negative */
        if (op == 'f' && a == INT64_MIN)
            return too_large(r);
        *out = wf_var_int(op == 'f' ? -a : 0);
        return WEFT_OK;
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = wf_var_int(op == 'f' ? quotient : rest);
    return WEFT_OK;
}

static weft_status whole_binary(wf_tpl *r, char op, int64_t a, int64_t b, wf_var *out) {
    int64_t result = 0;
    bool fits;
    if (op == 'p')
        return power(r, a, b, out);
    if (op == '/' || op == 'f' || op == '%')
        return divide(r, op, a, b, out);
    fits = op == '+' ? wf_add_i64(a, b, &result) : op == '-' ? !__builtin_sub_overflow(a, b, &result) : wf_mul_i64(a, b, &result);
    *out = wf_var_int(result);
    return fits ? WEFT_OK : too_large(r);
}

/* ---- floats ---- */

static double floor_divide(double a, double b, double *rest) {
    *rest = fmod(a, b);
    double quotient = (a - *rest) / b;
    if (*rest != 0) {
        if ((b < 0) != (*rest < 0)) {
            *rest += b;
            quotient -= 1.0;
        }
    } else {
        *rest = copysign(0.0, b);
    }
    if (quotient == 0)
        return copysign(0.0, a / b);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

static weft_status float_power(wf_tpl *r, double a, double b, wf_var *out) {
    if (a == 0 && b < 0)
        return wf_tpl_type_error(r, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(b) && b != floor(b))
        return wf_tpl_unsupported(r, "a complex number");
    *out = wf_var_float(pow(a, b));
    if (isinf(out->number) && isfinite(a) && isfinite(b))
        return wf_tpl_type_error(r, "(34, 'Numerical result out of range')");
    return WEFT_OK;
}

static weft_status float_binary(wf_tpl *r, char op, double a, double b, wf_var *out) {
    double rest, quotient;
    if (op == 'p')
        return float_power(r, a, b, out);
    if ((op == '/' || op == 'f' || op == '%') && b == 0)
        return by_zero(r);
    if (op == 'f' || op == '%') {
        quotient = floor_divide(a, b, &rest);
        *out = wf_var_float(op == 'f' ? quotient : rest);
        return WEFT_OK;
    }
    *out = wf_var_float(op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b);
    return WEFT_OK;
}

/* ---- sequences ---- */

static weft_status join_texts(wf_tpl *r, wf_var a, wf_var b, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    bool safe = a.safe || b.safe;
    if (safe && !a.safe)
        WF_TRY(wf_tpl_escape(r, a, &a));
    if (safe && !b.safe)
        WF_TRY(wf_tpl_escape(r, b, &b));
    if (a.text->bytes + b.text->bytes > r->arena.limit && r->arena.limit)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "the values take more than %zu MiB", r->arena.limit >> 20);
    wf_str_put(&s, a.text->data, a.text->bytes);
    wf_str_put(&s, b.text->data, b.text->bytes);
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = safe;
    return WEFT_OK;
}

static weft_status join_lists(wf_tpl *r, wf_var a, wf_var b, wf_var *out) {
    wf_tpl_list *list;
    WF_TRY(wf_var_new_list(r, a.list->count + b.list->count, &list));
    if (a.list->count)
        memcpy(list->items, a.list->items, a.list->count * sizeof(wf_var));
    if (b.list->count)
        memcpy(list->items + a.list->count, b.list->items, b.list->count * sizeof(wf_var));
    *out = wf_var_of_list(a.type, list);
    return WEFT_OK;
}

static weft_status add_sequences(wf_tpl *r, wf_var a, wf_var b, wf_var *out) {
    if (a.type == WF_VAR_STRING && b.type == WF_VAR_STRING)
        return join_texts(r, a, b, out);
    if (a.type == b.type && (a.type == WF_VAR_LIST || a.type == WF_VAR_TUPLE))
        return join_lists(r, a, b, out);
    if (a.type == WF_VAR_STRING || a.type == WF_VAR_LIST || a.type == WF_VAR_TUPLE)
        return wf_tpl_type_error(r, "can only concatenate %s (not \"%s\") to %s", wf_tpl_types[a.type].name, wf_tpl_types[b.type].name,
                                 wf_tpl_types[a.type].name);
    return mismatch(r, '+', a, b);
}

static bool is_sequence(wf_var v) { return v.type == WF_VAR_STRING || v.type == WF_VAR_LIST || v.type == WF_VAR_TUPLE; }

static weft_status repeat_text(wf_tpl *r, wf_var v, size_t times, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    for (size_t i = 0; i < times; i++)
        wf_str_put(&s, v.text->data, v.text->bytes);
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = v.safe;
    return WEFT_OK;
}

weft_status wf_tpl_repeat(wf_tpl *r, wf_var v, int64_t times, wf_var *out) {
    size_t one = v.type == WF_VAR_STRING ? v.text->bytes : v.list->count * sizeof(wf_var), total;
    size_t n = times > 0 && one > 0 ? (size_t)times : 0;
    if (!wf_mul_size(one, n, &total) || (r->arena.limit && total > r->arena.limit))
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "the values take more than %zu MiB", r->arena.limit >> 20);
    WF_TRY(wf_tpl_spend(r, total / 16));
    if (v.type == WF_VAR_STRING)
        return repeat_text(r, v, n, out);
    wf_tpl_list *list;
    WF_TRY(wf_var_new_list(r, v.list->count * n, &list));
    for (size_t i = 0; i < n; i++)
        memcpy(list->items + i * v.list->count, v.list->items, one);
    *out = wf_var_of_list(v.type, list);
    return WEFT_OK;
}

static weft_status multiply_sequence(wf_tpl *r, wf_var a, wf_var b, wf_var *out) {
    wf_var sequence = is_sequence(a) ? a : b, times = is_sequence(a) ? b : a;
    if (!is_sequence(sequence))
        return mismatch(r, '*', a, b);
    if (times.type == WF_VAR_BIG)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "cannot fit 'int' into an index-sized integer");
    if (!wf_var_is_whole(times))
        return wf_tpl_type_error(r, "can't multiply sequence by non-int of type '%s'", wf_tpl_types[times.type].name);
    return wf_tpl_repeat(r, sequence, wf_var_whole(times), out);
}

static weft_status print_formatted(wf_tpl *r, wf_var a, wf_var b, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    weft_status status = wf_tpl_percent(r, a, b, &s);
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = a.safe;
    return status;
}

weft_status wf_tpl_binary(wf_tpl *r, char op, wf_var a, wf_var b, wf_var *out) {
    WF_TRY(wf_tpl_spend(r, 1));
    if (op == '%' && a.type == WF_VAR_STRING)
        return print_formatted(r, a, b, out);
    if (a.type == WF_VAR_UNDEFINED || b.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, a.type == WF_VAR_UNDEFINED ? a : b);
    if (wf_var_is_number(a) && wf_var_is_number(b)) {
        if (a.type == WF_VAR_FLOAT || b.type == WF_VAR_FLOAT)
            return float_binary(r, op, wf_var_double(a), wf_var_double(b), out);
        if (a.type == WF_VAR_BIG || b.type == WF_VAR_BIG)
            return too_large(r);
        return whole_binary(r, op, wf_var_whole(a), wf_var_whole(b), out);
    }
    if (op == '+')
        return add_sequences(r, a, b, out);
    if (op == '*')
        return multiply_sequence(r, a, b, out);
    return mismatch(r, op, a, b);
}

static weft_status negate_big(wf_tpl *r, wf_var v, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    bool minus = v.text->data[0] == '-';
    wf_str_puts(&s, minus ? "" : "-");
    wf_str_put(&s, v.text->data + minus, v.text->bytes - minus);
    bool read = !s.failed && wf_tpl_read_int(s.data, s.length, 10, r, out);
    wf_str_free(&s);
    return read ? WEFT_OK : wf_tpl_no_memory(r);
}

weft_status wf_tpl_negate(wf_tpl *r, char op, wf_var v, wf_var *out) {
    if (v.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(r, v);
    if (!wf_var_is_number(v))
        return wf_tpl_type_error(r, "bad operand type for unary %c: '%s'", op, wf_tpl_types[v.type].name);
    *out = v;
    if (v.type == WF_VAR_FLOAT)
        *out = wf_var_float(op == '-' ? -v.number : v.number);
    else if (v.type == WF_VAR_BIG)
        return op == '-' ? negate_big(r, v, out) : WEFT_OK;
    else if (op == '-' && wf_var_whole(v) == INT64_MIN)
        return too_large(r);
    else
        *out = wf_var_int(op == '-' ? -wf_var_whole(v) : wf_var_whole(v));
    return WEFT_OK;
}
