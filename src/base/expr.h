/* expr.h - the expression language of slot shapes, cost laws and family files (design: interfaces 1).
 * Values: null, integers (int64), floats, booleans, strings, lists, JSON objects. Operators, loosest first: ?:  ??  ||  &&
 * == != < <= > >=  + -  * / // %  unary - !  postfix .name [index] call(). `/` gives a float, `//` floors and `%` follows it;
 * `a ?? b` is b when a is null or an unknown name (also a missing member); `&&` `||` and `?:` evaluate only what they need.
 *
 * Functions: min max sum floor ceil round sqrt ln exp pow abs len int float str, has(name) (is it there and not null),
 * has(list, value) and has(object, name) (is it in there), plus the words the caller adds. Lists: [a, b]. Strings: 'a' "a",
 * with \\ \' \" \n \t.
 *
 * Booleans count as 0 and 1; + also joins two strings or two lists; == compares values of any type, < numbers or strings. A
 * member of null is missing, as is an element out of range. floor ceil round int give integers (halves away from zero); pow of
 * integers is exact; min, max and sum also take a list.
 *
 * Bounded: source length 4096, depth 64, 10,000 evaluation steps, 1,000,000 list elements touched; integer overflow, division
 * by zero and results that are not finite are errors. Errors of the text and of values are WEFT_BAD_INPUT; an unknown function
 * is WEFT_UNSUPPORTED; the status and message of a failing word are kept. */
#ifndef WF_BASE_EXPR_H
#define WF_BASE_EXPR_H
#include "base/json.h"

typedef enum wf_type { WF_NULL, WF_BOOL, WF_INT, WF_FLOAT, WF_STRING, WF_LIST, WF_OBJECT } wf_type;
typedef struct wf_value wf_value;
struct wf_value {
    wf_type type;
    int64_t integer;       /* INT, BOOL */
    double number;         /* FLOAT, and INT as a double */
    const char *string;    /* STRING, 0-terminated */
    const wf_value *items; /* LIST */
    size_t count;
    const wf_json *object; /* OBJECT */
};

typedef struct wf_scope {
    /* Looks a bare name up; false when unknown. Values must outlive the evaluation. */
    bool (*lookup)(const void *user, const char *name, size_t length, wf_value *out);
    /* Calls a word that is not built in; WEFT_UNSUPPORTED when unknown. May be NULL. */
    weft_status (*call)(const void *user, const char *name, const wf_value *args, size_t count, wf_arena *arena, wf_value *out,
                        weft_error *err);
    const void *user;
} wf_scope;

/* Evaluates `source`; lists and strings of the result live in `arena`. Errors say the column and quote the source. */
weft_status wf_expr_eval(const char *source, const wf_scope *scope, wf_arena *arena, wf_value *out, weft_error *err);
/* JSON -> value (lists converted, objects by reference) and back. */
weft_status wf_value_of_json(wf_arena *arena, const wf_json *j, wf_value *out, weft_error *err);
wf_json *wf_value_to_json(wf_arena *arena, const wf_value *v);
bool wf_value_true(const wf_value *v); /* null, false, 0, "" and [] are false */
wf_value wf_value_int(int64_t i);
wf_value wf_value_float(double d);
wf_value wf_value_bool(bool b);
wf_value wf_value_string(const char *s);
#endif
