#include "base/expr_eval.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The source is evaluated while it is read. What must not be evaluated (`false && x`) is read with `skipping` set, so that a
 * syntax error is found wherever it stands. */

typedef struct operand {
    wf_value value;
    bool missing;      /* an unknown name or member: an error unless ?? or has() catches it */
    size_t start, end; /* where it stands, to name it */
} operand;

weft_status wf_eval_fail(wf_eval *e, size_t at, const char *fmt, ...) {
    char what[256];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(what, sizeof what, fmt, args) < 0)
        what[0] = 0;
    va_end(args);
    return wf_fail_at(e->err, WEFT_BAD_INPUT, (int64_t)at, "column %zu of '%.200s%s': %s", at + 1, e->source,
                      strlen(e->source) > 200 ? "..." : "", what);
}

weft_status wf_eval_spend(wf_eval *e, size_t at, size_t elements) {
    if (elements > e->elements)
        return wf_eval_fail(e, at, "the lists are too long");
    e->elements -= elements;
    return WEFT_OK;
}

/* ---- reading ---- */

static char peek(wf_eval *e) {
    while (e->source[e->at] == ' ' || (e->source[e->at] >= '\t' && e->source[e->at] <= '\r'))
        e->at++;
    return e->source[e->at];
}

static bool accept(wf_eval *e, char c) {
    if (peek(e) != c)
        return false;
    e->at++;
    return true;
}

static weft_status expect(wf_eval *e, char c) {
    if (accept(e, c))
        return WEFT_OK;
    return wf_eval_fail(e, e->at, e->source[e->at] ? "expected '%c'" : "expected '%c' but the text ends", c);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static size_t name_length(const char *text) {
    size_t n = 0;
    while (begins_name(text[n]) || (n > 0 && is_digit(text[n])))
        n++;
    return n;
}

/* Every value and every operation that is evaluated is a step. */
static weft_status step(wf_eval *e) {
    if (!e->skipping && ++e->steps > WF_EXPR_STEPS)
        return wf_eval_fail(e, e->at, "more than %d steps", (int)WF_EXPR_STEPS);
    return WEFT_OK;
}

static weft_status enter(wf_eval *e) {
    if (++e->depth > WF_EXPR_DEPTH)
        return wf_eval_fail(e, e->at, "nested more than %d deep", (int)WF_EXPR_DEPTH);
    return WEFT_OK;
}

/* An operand that must have a value. */
static weft_status need(wf_eval *e, const operand *o) {
    if (!o->missing || e->skipping)
        return WEFT_OK;
    return wf_eval_fail(e, o->start, "unknown name '%.*s'", (int)(o->end - o->start), e->source + o->start);
}

static weft_status conditional(wf_eval *e, operand *out);

/* ---- literals ---- */

static weft_status read_number(wf_eval *e, operand *out) {
    const char *text = e->source + e->at;
    size_t n = strspn(text, "0123456789");
    bool whole = true;
    if (text[n] == '.' && is_digit(text[n + 1])) {
        n += 1 + strspn(text + n + 1, "0123456789");
        whole = false;
    }
    if (text[n] == 'e' || text[n] == 'E') {
        size_t sign = text[n + 1] == '-' || text[n + 1] == '+', digits = strspn(text + n + 1 + sign, "0123456789");
        n += digits ? 1 + sign + digits : 0;
        whole &= digits == 0;
    }
    int64_t i = 0;
    double d = 0;
    if (begins_name(text[n]) || !(whole ? wf_parse_i64(text, n, &i) : wf_parse_double(text, n, &d)))
        return wf_eval_fail(e, e->at, begins_name(text[n]) ? "malformed number" : "the number is too large");
    out->value = whole ? wf_value_int(i) : wf_value_float(d);
    e->at += n;
    return WEFT_OK;
}

static weft_status read_string(wf_eval *e, operand *out) {
    static const char from[] = "nt\\'\"", to[] = "\n\t\\'\"";
    const char *text = e->source + e->at;
    char quote = *text++;
    char *copy = wf_arena_alloc(e->arena, strlen(text) + 1), *end = copy;
    if (!copy)
        return wf_fail_memory(e->err);
    for (; *text != quote; text++) {
        const char *escape = *text == '\\' && text[1] ? strchr(from, text[1]) : NULL;
        if (!*text || (*text == '\\' && !escape))
            return wf_eval_fail(e, *text ? (size_t)(text - e->source) : e->at,
                                *text ? "unknown escape" : "the string has no end");
        *end++ = escape ? to[escape - from] : *text;
        text += escape != NULL;
    }
    *end = 0;
    out->value = wf_value_string(copy);
    e->at = (size_t)(text + 1 - e->source);
    return WEFT_OK;
}

/* ---- lists and calls ---- */

typedef struct element {
    operand operand;
    struct element *next;
} element;

/* Values between commas up to `close`; the opening bracket is read already. */
static weft_status read_elements(wf_eval *e, char close, element **out, size_t *count) {
    element **tail = out;
    *out = NULL;
    *count = 0;
    if (accept(e, close))
        return WEFT_OK;
    do {
        element *item = wf_arena_alloc(e->arena, sizeof *item);
        if (!item)
            return wf_fail_memory(e->err);
        WF_TRY(conditional(e, &item->operand));
        *tail = item;
        tail = &item->next;
        ++*count;
    } while (accept(e, ','));
    return expect(e, close);
}

static weft_status values_of(wf_eval *e, const element *list, size_t count, wf_value **out) {
    wf_value *values = wf_arena_alloc(e->arena, count * sizeof *values);
    if (!values)
        return wf_fail_memory(e->err);
    for (size_t i = 0; i < count; i++, list = list->next) {
        WF_TRY(need(e, &list->operand));
        values[i] = list->operand.value;
    }
    *out = values;
    return WEFT_OK;
}

static weft_status read_list(wf_eval *e, operand *out) {
    element *list;
    size_t count;
    wf_value *items;
    e->at++;
    WF_TRY(read_elements(e, ']', &list, &count));
    WF_TRY(values_of(e, list, count, &items));
    out->value = (wf_value){.type = WF_LIST, .items = items, .count = count};
    return WEFT_OK;
}

/* A word of the caller. Its own message stands; when it only says "unsupported", the word is unknown. */
static weft_status call_word(wf_eval *e, size_t at, const char *name, const wf_value *args, size_t count, wf_value *out) {
    weft_error local = {.offset = -1};
    weft_status status = WEFT_UNSUPPORTED;
    if (e->scope && e->scope->call)
        status = e->scope->call(e->scope->user, name, args, count, e->arena, out, &local);
    if (status == WEFT_OK)
        return WEFT_OK;
    if (!local.message[0])
        wf_fail(&local, status, status == WEFT_UNSUPPORTED ? "unknown function '%s'" : "%s() failed", name);
    wf_eval_fail(e, at, "%s", local.message);
    if (e->err)
        e->err->status = status;
    return status;
}

/* has(list, value): is it one of the elements; has(object, name): is there such a member. Nothing is in what is null or
 * missing. */
static weft_status call_contains(wf_eval *e, const operand *name, const operand *where, const operand *what, wf_value *out) {
    const wf_value *v = &where->value, *sought = &what->value;
    *out = wf_value_bool(false);
    WF_TRY(need(e, what));
    if (v->type == WF_NULL)
        return WEFT_OK;
    if (v->type == WF_OBJECT && sought->type == WF_STRING) {
        *out = wf_value_bool(wf_json_get(v->object, sought->string) != NULL);
        return WEFT_OK;
    }
    if (v->type != WF_LIST)
        return wf_eval_fail(e, name->start, "has() does not take %s and %s", wf_value_type_name(v), wf_value_type_name(sought));
    WF_TRY(wf_eval_spend(e, name->start, v->count));
    for (size_t i = 0; i < v->count && !out->integer; i++)
        *out = wf_value_bool(wf_value_equal(&v->items[i], sought, &e->elements));
    return WEFT_OK;
}

static weft_status call_has(wf_eval *e, const operand *name, const element *list, size_t count, wf_value *out) {
    if (count == 2)
        return call_contains(e, name, &list->operand, &list->next->operand, out);
    if (count != 1)
        return wf_eval_fail(e, name->start, "has() does not take %zu arguments", count);
    *out = wf_value_bool(!list->operand.missing && list->operand.value.type != WF_NULL);
    return WEFT_OK;
}

static weft_status call_function(wf_eval *e, const operand *name, const element *list, size_t count, wf_value *out) {
    bool found = false;
    wf_value *args = NULL;
    char *word = wf_arena_strndup(e->arena, e->source + name->start, name->end - name->start);
    if (!word)
        return wf_fail_memory(e->err);
    if (strcmp(word, "has") == 0)
        return call_has(e, name, list, count, out);
    WF_TRY(values_of(e, list, count, &args));
    WF_TRY(wf_eval_function(e, name->start, word, args, count, out, &found));
    return found ? WEFT_OK : call_word(e, name->start, word, args, count, out);
}

static weft_status read_call(wf_eval *e, operand *out) {
    element *list;
    size_t count;
    e->at++;
    WF_TRY(read_elements(e, ')', &list, &count));
    return e->skipping ? WEFT_OK : call_function(e, out, list, count, &out->value);
}

/* ---- names ---- */

static bool is_word(const wf_eval *e, const operand *o, const char *word) {
    size_t n = o->end - o->start;
    return strlen(word) == n && memcmp(e->source + o->start, word, n) == 0;
}

static void look_up(wf_eval *e, operand *out) {
    const wf_scope *s = e->scope;
    wf_value v = {0};
    out->missing = !s || !s->lookup || !s->lookup(s->user, e->source + out->start, out->end - out->start, &v);
    if (!out->missing && v.type == WF_INT)
        v.number = (double)v.integer;
    out->value = out->missing ? (wf_value){.type = WF_NULL} : v;
}

static weft_status read_name(wf_eval *e, operand *out) {
    e->at += name_length(e->source + e->at);
    out->end = e->at;
    if (is_word(e, out, "true") || is_word(e, out, "false"))
        out->value = wf_value_bool(is_word(e, out, "true"));
    else if (is_word(e, out, "null"))
        out->value = (wf_value){.type = WF_NULL};
    else if (peek(e) == '(')
        return read_call(e, out);
    else if (!e->skipping)
        look_up(e, out);
    return WEFT_OK;
}

static weft_status read_primary(wf_eval *e, operand *out) {
    char c = peek(e);
    *out = (operand){.start = e->at};
    WF_TRY(step(e));
    if (is_digit(c))
        return read_number(e, out);
    if (c == '"' || c == '\'')
        return read_string(e, out);
    if (begins_name(c))
        return read_name(e, out);
    if (c == '[')
        return read_list(e, out);
    if (!accept(e, '('))
        return wf_eval_fail(e, e->at, c ? "expected a value" : "expected a value but the text ends");
    size_t start = out->start;
    WF_TRY(conditional(e, out));
    WF_TRY(expect(e, ')'));
    if (!out->missing) { /* a missing operand keeps the place of its name */
        out->start = start;
        out->end = e->at;
    }
    return WEFT_OK;
}

/* ---- members and elements ---- */

static weft_status convert_member(wf_eval *e, const wf_json *j, operand *o) {
    o->missing = j == NULL;
    o->value = (wf_value){.type = WF_NULL};
    if (!j)
        return WEFT_OK;
    weft_error local = {0};
    weft_status status = wf_value_convert(e->arena, j, &e->elements, &o->value, &local);
    if (status == WEFT_BAD_INPUT)
        return wf_eval_fail(e, o->start, "%s", local.message);
    return status == WEFT_OK ? WEFT_OK : wf_fail_memory(e->err);
}

/* A member of null, or of something missing, is missing too: `rope.type ?? 'none'` needs one ??. */
static weft_status take_member(wf_eval *e, size_t at, const char *name, operand *o) {
    if (e->skipping)
        return WEFT_OK;
    if (o->value.type == WF_OBJECT)
        return convert_member(e, wf_json_get(o->value.object, name), o);
    if (o->value.type != WF_NULL)
        return wf_eval_fail(e, at, "%s has no members", wf_value_type_name(&o->value));
    o->missing = true;
    return WEFT_OK;
}

static weft_status read_member(wf_eval *e, operand *o) {
    size_t at = e->at++, n;
    peek(e);
    n = name_length(e->source + e->at);
    if (n == 0)
        return wf_eval_fail(e, e->at, "expected a name after '.'");
    char *name = wf_arena_strndup(e->arena, e->source + e->at, n);
    if (!name)
        return wf_fail_memory(e->err);
    o->end = e->at += n;
    return take_member(e, at, name, o);
}

static weft_status take_element(wf_eval *e, size_t at, const wf_value *index, operand *o) {
    if (index->type == WF_STRING)
        return take_member(e, at, index->string, o);
    if (index->type != WF_INT)
        return wf_eval_fail(e, at, "the index is %s", wf_value_type_name(index));
    if (o->value.type != WF_LIST && o->value.type != WF_NULL)
        return wf_eval_fail(e, at, "%s has no elements", wf_value_type_name(&o->value));
    o->missing = o->value.type == WF_NULL || index->integer < 0 || (uint64_t)index->integer >= o->value.count;
    o->value = o->missing ? (wf_value){.type = WF_NULL} : o->value.items[index->integer];
    return WEFT_OK;
}

static weft_status read_element(wf_eval *e, operand *o) {
    operand index;
    size_t at = e->at++;
    WF_TRY(conditional(e, &index));
    WF_TRY(need(e, &index));
    WF_TRY(expect(e, ']'));
    o->end = e->at;
    return e->skipping ? WEFT_OK : take_element(e, at, &index.value, o);
}

static weft_status read_postfix(wf_eval *e, operand *out) {
    WF_TRY(read_primary(e, out));
    for (;;) {
        char c = peek(e);
        if (c != '.' && c != '[')
            return WEFT_OK;
        WF_TRY(step(e));
        WF_TRY(c == '.' ? read_member(e, out) : read_element(e, out));
    }
}

/* ---- operators ---- */

static weft_status read_unary(wf_eval *e, operand *out) {
    char c = peek(e);
    size_t at = e->at;
    if (c != '-' && c != '!')
        return read_postfix(e, out);
    e->at++;
    WF_TRY(enter(e));
    WF_TRY(step(e));
    WF_TRY(read_unary(e, out));
    WF_TRY(need(e, out));
    e->depth--;
    if (e->skipping)
        return WEFT_OK;
    if (c == '-')
        return wf_eval_negate(e, at, &out->value, &out->value);
    out->value = wf_value_bool(!wf_value_true(&out->value));
    return WEFT_OK;
}

typedef struct operator_row {
    const char *text;
    int level; /* higher binds tighter */
    wf_operator op;
} operator_row;

/* Longer texts come before the ones they begin with. A lone '?' is not here: it belongs to the conditional. */
static const operator_row *peek_operator(wf_eval *e) {
    static const operator_row rows[] = {
        {"??", 0, WF_OP_DEFAULT},      {"||", 1, WF_OP_OR},         {"&&", 2, WF_OP_AND},     {"==", 3, WF_OP_EQUAL},
        {"!=", 3, WF_OP_UNEQUAL},      {"<=", 3, WF_OP_LESS_EQUAL}, {"<", 3, WF_OP_LESS},     {">=", 3, WF_OP_GREATER_EQUAL},
        {">", 3, WF_OP_GREATER},       {"+", 4, WF_OP_ADD},         {"-", 4, WF_OP_SUBTRACT}, {"*", 5, WF_OP_MULTIPLY},
        {"//", 5, WF_OP_FLOOR_DIVIDE}, {"/", 5, WF_OP_DIVIDE},      {"%", 5, WF_OP_MODULO},
    };
    peek(e);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(e->source + e->at, rows[i].text, strlen(rows[i].text)) == 0)
            return &rows[i];
    return NULL;
}

/* ?? || && may not need their right side. */
static bool decided(const operator_row *row, const operand *left) {
    switch (row->op) {
    case WF_OP_DEFAULT:
        return !left->missing && left->value.type != WF_NULL;
    case WF_OP_OR:
        return wf_value_true(&left->value);
    case WF_OP_AND:
        return !wf_value_true(&left->value);
    default:
        return false;
    }
}

static weft_status read_binary(wf_eval *e, int lowest, operand *out);

static weft_status apply(wf_eval *e, const operator_row *row, size_t at, operand *out) {
    operand right;
    if (row->op != WF_OP_DEFAULT)
        WF_TRY(need(e, out));
    bool enough = decided(row, out);
    e->skipping += enough;
    WF_TRY(read_binary(e, row->level + 1, &right));
    if (row->op != WF_OP_DEFAULT)
        WF_TRY(need(e, &right));
    e->skipping -= enough;
    if (e->skipping)
        return WEFT_OK;
    size_t start = out->start;
    weft_status status = WEFT_OK;
    if (row->op > WF_OP_AND)
        status = wf_eval_binary(e, at, row->op, &out->value, &right.value, &out->value);
    else if (row->op != WF_OP_DEFAULT)
        out->value = wf_value_bool(wf_value_true(enough ? &out->value : &right.value));
    else if (!enough)
        *out = right;
    if (!out->missing)
        out->start = start;
    return status;
}

static weft_status read_binary(wf_eval *e, int lowest, operand *out) {
    WF_TRY(read_unary(e, out));
    for (;;) {
        const operator_row *row = peek_operator(e);
        if (!row || row->level < lowest)
            return WEFT_OK;
        size_t at = e->at;
        e->at += strlen(row->text);
        WF_TRY(step(e));
        WF_TRY(apply(e, row, at, out));
    }
}

/* condition ? value : value */
static weft_status conditional(wf_eval *e, operand *out) {
    WF_TRY(enter(e));
    WF_TRY(read_binary(e, 0, out));
    if (accept(e, '?')) {
        operand yes, no;
        WF_TRY(need(e, out));
        bool chosen = !e->skipping && wf_value_true(&out->value);
        e->skipping += !chosen;
        WF_TRY(conditional(e, &yes));
        e->skipping += chosen - !chosen;
        WF_TRY(expect(e, ':'));
        WF_TRY(conditional(e, &no));
        e->skipping -= chosen;
        *out = chosen ? yes : no;
    }
    e->depth--;
    return WEFT_OK;
}

weft_status wf_expr_eval(const char *source, const wf_scope *scope, wf_arena *arena, wf_value *out, weft_error *err) {
    *out = (wf_value){.type = WF_NULL};
    WF_CHECK(source, err, WEFT_BAD_INPUT, "an expression is missing");
    wf_eval e = {.source = source, .scope = scope, .arena = arena, .err = err, .elements = WF_EXPR_ELEMENTS};
    WF_CHECK(strnlen(source, WF_EXPR_LENGTH + 1) <= WF_EXPR_LENGTH, err, WEFT_BAD_INPUT,
             "an expression is longer than %d bytes", (int)WF_EXPR_LENGTH);
    operand result;
    WF_TRY(conditional(&e, &result));
    if (peek(&e))
        return wf_eval_fail(&e, e.at, "unexpected text");
    WF_TRY(need(&e, &result));
    *out = result.value;
    return WEFT_OK;
}
