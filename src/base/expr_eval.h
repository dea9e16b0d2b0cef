/* expr_eval.h - what the parts of the expression evaluator share. Private to base. */
#ifndef WF_BASE_EXPR_EVAL_H
#define WF_BASE_EXPR_EVAL_H
#include "base/expr.h"

enum { WF_EXPR_LENGTH = 4096, WF_EXPR_DEPTH = 64, WF_EXPR_STEPS = 10000, WF_EXPR_ELEMENTS = 1000000 };

typedef struct wf_eval {
    const char *source;
    size_t at; /* the next byte to read */
    const wf_scope *scope;
    wf_arena *arena;
    weft_error *err;
    int depth, steps;
    size_t elements; /* list elements that may still be converted, copied or compared */
    int skipping;    /* > 0: inside a branch that is read but not evaluated */
} wf_eval;

typedef enum wf_operator {
    WF_OP_DEFAULT,
    WF_OP_OR,
    WF_OP_AND,
    WF_OP_EQUAL,
    WF_OP_UNEQUAL,
    WF_OP_LESS,
    WF_OP_LESS_EQUAL,
    WF_OP_GREATER,
    WF_OP_GREATER_EQUAL,
    WF_OP_ADD,
    WF_OP_SUBTRACT,
    WF_OP_MULTIPLY,
    WF_OP_DIVIDE,
    WF_OP_FLOOR_DIVIDE,
    WF_OP_MODULO
} wf_operator;

/* WEFT_BAD_INPUT at a byte offset of the source: "column 3 of 'a + b': what". */
weft_status wf_eval_fail(wf_eval *e, size_t at, const char *fmt, ...) WF_PRINTF(3, 4);
weft_status wf_eval_spend(wf_eval *e, size_t at, size_t elements);
/* The eager operators, from == on; `at` is where the operator stands. */
weft_status wf_eval_binary(wf_eval *e, size_t at, wf_operator op, const wf_value *a, const wf_value *b, wf_value *out);
weft_status wf_eval_negate(wf_eval *e, size_t at, const wf_value *a, wf_value *out);
/* The built-in functions except has(). `found` says whether there is one of that name. */
weft_status wf_eval_function(wf_eval *e, size_t at, const char *name, const wf_value *args, size_t count, wf_value *out,
                             bool *found);

const char *wf_value_type_name(const wf_value *v); /* "an integer", "a list", ... */
bool wf_value_is_number(const wf_value *v);        /* integers, floats, and booleans as 0 and 1 */
bool wf_value_is_whole(const wf_value *v);         /* integers and booleans */
double wf_value_as_double(const wf_value *v);
bool wf_value_equal(const wf_value *a, const wf_value *b, size_t *budget); /* false when the budget of elements runs out */
weft_status wf_value_convert(wf_arena *arena, const wf_json *j, size_t *budget, wf_value *out, weft_error *err);
#endif
