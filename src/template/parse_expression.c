/* parse_expression.c - expressions, with the precedences of jinja2: filters and tests bind tighter than every operator but a sign
 * (-1|abs is 1), ** groups to the left, comparisons chain. */
#include <string.h>
#include "template/syntax.h"

static weft_status parse_or(wf_tpl_parser *p, wf_tpl_node **out);
static weft_status parse_unary(wf_tpl_parser *p, bool with_filters, wf_tpl_node **out);

static weft_status enter(wf_tpl_parser *p) {
    p->r->line = p->at->line;
    if (++p->depth > WF_TPL_NODE_DEPTH)
        return wf_tpl_fail(p->r, WF_TEMPLATE_LIMIT, "nested more than %d deep", (int)WF_TPL_NODE_DEPTH);
    return WEFT_OK;
}

static weft_status new_at(wf_tpl_parser *p, wf_tpl_node_kind kind, wf_tpl_node **out) { return wf_tpl_new_node(p, kind, p->at->line, out); }

static void append(wf_tpl_node *parent, wf_tpl_node ***tail, wf_tpl_node *child) {
    **tail = child;
    *tail = &child->next;
    parent->count++;
}

static weft_status combine(wf_tpl_parser *p, wf_tpl_node_kind kind, char op, wf_tpl_node *a, wf_tpl_node *b, wf_tpl_node **out) {
    wf_tpl_node *n;
    WF_TRY(wf_tpl_new_node(p, kind, a ? a->line : p->at->line, &n));
    n->op = op;
    n->a = a;
    n->b = b;
    *out = n;
    return wf_tpl_adopt(p, n);
}

/* ---- names, numbers, brackets ---- */

static void note_special(wf_tpl_parser *p, const wf_tpl_text *name, bool store) {
    static const char *const special[] = {"caller", "kwargs", "varargs"};
    for (unsigned i = 0; i < 3; i++)
        if (wf_text_is(name, special[i])) {
            if (store)
                p->stored |= ~p->loaded & 1u << i;
            else
                p->loaded |= ~p->stored & 1u << i;
        }
}

static weft_status parse_name(wf_tpl_parser *p, bool namespaces, wf_tpl_node **out) {
    static const struct {
        const char *word;
        int value;
    } constants[] = {{"true", 1}, {"True", 1}, {"false", 0}, {"False", 0}, {"none", 2}, {"None", 2}};
    const wf_tpl_text *text = p->at->value.text, *name;
    WF_TRY(new_at(p, WF_NODE_NAME, out));
    p->at++;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (wf_text_is(text, constants[i].word)) {
            (*out)->kind = WF_NODE_CONST;
            (*out)->value = constants[i].value == 2 ? wf_var_none() : wf_var_bool(constants[i].value == 1);
            return WEFT_OK;
        }
    WF_TRY(wf_tpl_name_of(p, text, &name));
    (*out)->name = name;
    note_special(p, name, false);
    if (!namespaces || !wf_tpl_skip_op(p, '.'))
        return WEFT_OK;
    (*out)->kind = WF_NODE_NSREF;
    return wf_tpl_expect_name(p, &(*out)->attribute);
}

/* Strings side by side are one. */
static weft_status parse_strings(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_str text = wf_str_new(p->r->arena.mem);
    WF_TRY(new_at(p, WF_NODE_CONST, out));
    for (; p->at->kind == WF_TOK_STRING; p->at++)
        wf_str_put(&text, p->at->value.text->data, p->at->value.text->bytes);
    return wf_var_take(p->r, &text, &(*out)->value);
}

static weft_status parse_list(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *item, **tail;
    WF_TRY(new_at(p, WF_NODE_LIST, out));
    p->at++;
    tail = &(*out)->list;
    while (!wf_tpl_at_op(p, ']')) {
        if ((*out)->count)
            WF_TRY(wf_tpl_expect_op(p, ','));
        if (wf_tpl_at_op(p, ']'))
            break;
        WF_TRY(wf_tpl_parse_expression(p, &item));
        append(*out, &tail, item);
    }
    p->at++;
    return wf_tpl_adopt(p, *out);
}

static weft_status parse_dict(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *item, **tail;
    WF_TRY(new_at(p, WF_NODE_DICT, out));
    p->at++;
    tail = &(*out)->list;
    while (!wf_tpl_at_op(p, '}')) {
        if ((*out)->count)
            WF_TRY(wf_tpl_expect_op(p, ','));
        if (wf_tpl_at_op(p, '}'))
            break;
        WF_TRY(wf_tpl_parse_expression(p, &item));
        append(*out, &tail, item);
        WF_TRY(wf_tpl_expect_op(p, ':'));
        WF_TRY(wf_tpl_parse_expression(p, &item));
        append(*out, &tail, item);
    }
    p->at++;
    return wf_tpl_adopt(p, *out);
}

static weft_status parse_primary(wf_tpl_parser *p, bool namespaces, wf_tpl_node **out) {
    switch (p->at->kind) {
    case WF_TOK_NAME:
        return parse_name(p, namespaces, out);
    case WF_TOK_STRING:
        return parse_strings(p, out);
    case WF_TOK_INTEGER:
    case WF_TOK_FLOAT:
        WF_TRY(new_at(p, WF_NODE_CONST, out));
        (*out)->value = (p->at++)->value;
        return WEFT_OK;
    default:
        break;
    }
    if (wf_tpl_at_op(p, '(')) {
        p->at++;
        WF_TRY(wf_tpl_parse_tuple(p, WF_TUPLE_PARENTHESES, NULL, out));
        return wf_tpl_expect_op(p, ')');
    }
    if (wf_tpl_at_op(p, '['))
        return parse_list(p, out);
    if (wf_tpl_at_op(p, '{'))
        return parse_dict(p, out);
    return wf_tpl_syntax(p, "unexpected '%s'", wf_tpl_describe(p, p->at));
}

/* ---- subscripts and calls ---- */

static weft_status parse_bound(wf_tpl_parser *p, wf_tpl_node **out) {
    *out = NULL;
    if (wf_tpl_at_op(p, ':') || wf_tpl_at_op(p, ']') || wf_tpl_at_op(p, ','))
        return WEFT_OK;
    return wf_tpl_parse_expression(p, out);
}

static weft_status parse_subscribed(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *first = NULL, *slice;
    if (!wf_tpl_at_op(p, ':'))
        WF_TRY(wf_tpl_parse_expression(p, &first));
    if (!wf_tpl_at_op(p, ':')) {
        *out = first;
        return WEFT_OK;
    }
    WF_TRY(new_at(p, WF_NODE_SLICE, &slice));
    p->at++;
    slice->a = first;
    WF_TRY(parse_bound(p, &slice->b));
    if (wf_tpl_skip_op(p, ':'))
        WF_TRY(parse_bound(p, &slice->c));
    *out = slice;
    return wf_tpl_adopt(p, slice);
}

static weft_status parse_brackets(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *tuple, *item, **tail;
    WF_TRY(new_at(p, WF_NODE_TUPLE, &tuple));
    tail = &tuple->list;
    p->at++;
    while (!wf_tpl_at_op(p, ']')) {
        if (tuple->count)
            WF_TRY(wf_tpl_expect_op(p, ','));
        WF_TRY(parse_subscribed(p, &item));
        append(tuple, &tail, item);
    }
    p->at++;
    *out = tuple->count == 1 ? tuple->list : tuple;
    return wf_tpl_adopt(p, tuple);
}

static weft_status parse_subscript(wf_tpl_parser *p, wf_tpl_node *on, wf_tpl_node **out) {
    wf_tpl_node *n, *key;
    WF_TRY(new_at(p, WF_NODE_ITEM, &n));
    n->a = on;
    *out = n;
    if (wf_tpl_at_op(p, '[')) {
        WF_TRY(parse_brackets(p, &n->b));
        return wf_tpl_adopt(p, n);
    }
    p->at++;
    if (p->at->kind == WF_TOK_NAME) {
        n->kind = WF_NODE_ATTRIBUTE;
        WF_TRY(wf_tpl_name_of(p, (p->at++)->value.text, &n->name));
        return wf_tpl_adopt(p, n);
    }
    if (p->at->kind != WF_TOK_INTEGER)
        return wf_tpl_syntax(p, "expected name or number");
    WF_TRY(new_at(p, WF_NODE_CONST, &key));
    key->value = (p->at++)->value;
    n->b = key;
    return wf_tpl_adopt(p, n);
}

static weft_status parse_keyword(wf_tpl_parser *p, wf_tpl_node *call, wf_tpl_node ***tail) {
    wf_tpl_node *n;
    WF_TRY(new_at(p, WF_NODE_NAME, &n));
    WF_TRY(wf_tpl_expect_name(p, &n->name));
    p->at++;
    for (const wf_tpl_node *other = call->named; other; other = other->next)
        if (other->name == n->name)
            return wf_tpl_syntax(p, "keyword argument repeated: %s", n->name->data);
    WF_TRY(wf_tpl_parse_expression(p, &n->a));
    **tail = n;
    *tail = &n->next;
    return wf_tpl_adopt(p, n);
}

static weft_status parse_argument(wf_tpl_parser *p, wf_tpl_node *call, wf_tpl_node ***tail, wf_tpl_node ***named) {
    static const char wrong[] = "invalid syntax for function call expression";
    wf_tpl_node *item;
    if (wf_tpl_at_op(p, '*')) {
        if (call->b || call->c)
            return wf_tpl_syntax(p, wrong);
        p->at++;
        return wf_tpl_parse_expression(p, &call->b);
    }
    if (wf_tpl_at_op(p, 'p')) {
        if (call->c)
            return wf_tpl_syntax(p, wrong);
        p->at++;
        return wf_tpl_parse_expression(p, &call->c);
    }
    if (p->at->kind == WF_TOK_NAME && p->at[1].kind == WF_TOK_OPERATOR && p->at[1].op == '=') {
        if (call->c)
            return wf_tpl_syntax(p, wrong);
        return parse_keyword(p, call, named);
    }
    if (call->b || call->c || call->named)
        return wf_tpl_syntax(p, wrong);
    WF_TRY(wf_tpl_parse_expression(p, &item));
    if (call->count == WF_TPL_MOST_ARGS)
        return wf_tpl_syntax(p, "more than %d arguments", (int)WF_TPL_MOST_ARGS);
    append(call, tail, item);
    return WEFT_OK;
}

/* The arguments of a call, filter or test: the bracket is at hand. */
static weft_status parse_arguments(wf_tpl_parser *p, wf_tpl_node *call) {
    wf_tpl_node **tail = &call->list, **named = &call->named;
    bool comma = false;
    WF_TRY(wf_tpl_expect_op(p, '('));
    while (!wf_tpl_at_op(p, ')')) {
        if (comma)
            WF_TRY(wf_tpl_expect_op(p, ','));
        if (comma && wf_tpl_at_op(p, ')'))
            break;
        WF_TRY(parse_argument(p, call, &tail, &named));
        comma = true;
    }
    p->at++;
    return wf_tpl_adopt(p, call);
}

static weft_status parse_call(wf_tpl_parser *p, wf_tpl_node *on, wf_tpl_node **out) {
    WF_TRY(new_at(p, WF_NODE_CALL, out));
    (*out)->a = on;
    return parse_arguments(p, *out);
}

static weft_status parse_postfix(wf_tpl_parser *p, wf_tpl_node *on, wf_tpl_node **out) {
    for (*out = on;;) {
        if (wf_tpl_at_op(p, '.') || wf_tpl_at_op(p, '['))
            WF_TRY(parse_subscript(p, *out, out));
        else if (wf_tpl_at_op(p, '('))
            WF_TRY(parse_call(p, *out, out));
        else
            return WEFT_OK;
    }
}

/* ---- filters and tests ---- */

/* a.b.c names a filter too. */
static weft_status parse_dotted(wf_tpl_parser *p, const wf_tpl_text **out) {
    const wf_tpl_text *part;
    WF_TRY(wf_tpl_expect_name(p, out));
    while (wf_tpl_skip_op(p, '.')) {
        wf_str joined = wf_str_new(p->r->arena.mem);
        wf_var value;
        weft_status status = wf_tpl_expect_name(p, &part);
        if (status == WEFT_OK)
            wf_str_printf(&joined, "%s.%s", (*out)->data, part->data);
        WF_TRY(wf_var_take(p->r, &joined, &value));
        WF_TRY(status);
        *out = value.text;
    }
    return WEFT_OK;
}

static void note_unknown(wf_tpl_parser *p, const wf_tpl_node *n, bool is_test) {
    if (!n->row && !p->soft && !p->unknown.name)
        p->unknown = (wf_tpl_unknown){n->name, n->line, is_test};
}

weft_status wf_tpl_parse_filters(wf_tpl_parser *p, wf_tpl_node *on, bool inline_first, wf_tpl_node **out) {
    for (*out = on; inline_first || wf_tpl_skip_op(p, '|'); inline_first = false) {
        wf_tpl_node *n;
        WF_TRY(new_at(p, WF_NODE_FILTER, &n));
        n->a = *out;
        WF_TRY(parse_dotted(p, &n->name));
        n->row = wf_tpl_filter(n->name);
        note_unknown(p, n, false);
        if (wf_tpl_at_op(p, '('))
            WF_TRY(parse_arguments(p, n));
        *out = n;
        WF_TRY(wf_tpl_adopt(p, n));
    }
    return WEFT_OK;
}

/* One argument without brackets may follow a test. */
static bool begins_operand(const wf_tpl_parser *p) {
    if (p->at->kind == WF_TOK_NAME)
        return !wf_tpl_at_name(p, "else") && !wf_tpl_at_name(p, "or") && !wf_tpl_at_name(p, "and");
    return p->at->kind == WF_TOK_STRING || p->at->kind == WF_TOK_INTEGER || p->at->kind == WF_TOK_FLOAT || wf_tpl_at_op(p, '[') ||
           wf_tpl_at_op(p, '{');
}

static weft_status parse_test(wf_tpl_parser *p, wf_tpl_node *on, wf_tpl_node **out) {
    wf_tpl_node *n, *arg;
    WF_TRY(new_at(p, WF_NODE_TEST, &n));
    p->at++;
    bool negated = wf_tpl_skip_name(p, "not");
    n->a = on;
    WF_TRY(parse_dotted(p, &n->name));
    n->row = wf_tpl_test(n->name);
    note_unknown(p, n, true);
    if (wf_tpl_at_op(p, '(')) {
        WF_TRY(parse_arguments(p, n));
    } else if (begins_operand(p)) {
        if (wf_tpl_at_name(p, "is"))
            return wf_tpl_syntax(p, "You cannot chain multiple tests with is");
        WF_TRY(parse_primary(p, false, &arg));
        WF_TRY(parse_postfix(p, arg, &n->list));
        n->count = 1;
    }
    *out = n;
    WF_TRY(wf_tpl_adopt(p, n));
    return negated ? combine(p, WF_NODE_NOT, 0, n, NULL, out) : WEFT_OK;
}

static weft_status parse_filter_expression(wf_tpl_parser *p, wf_tpl_node *on, wf_tpl_node **out) {
    for (*out = on;;) {
        if (wf_tpl_at_op(p, '|'))
            WF_TRY(wf_tpl_parse_filters(p, *out, false, out));
        else if (wf_tpl_at_name(p, "is"))
            WF_TRY(parse_test(p, *out, out));
        else if (wf_tpl_at_op(p, '('))
            WF_TRY(parse_call(p, *out, out));
        else
            return WEFT_OK;
    }
}

/* ---- operators, from the tightest ---- */

static weft_status parse_sign(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *n;
    WF_TRY(new_at(p, WF_NODE_UNARY, &n));
    n->op = (p->at++)->op;
    WF_TRY(parse_unary(p, false, &n->a));
    *out = n;
    return wf_tpl_adopt(p, n);
}

static weft_status parse_unary(wf_tpl_parser *p, bool with_filters, wf_tpl_node **out) {
    WF_TRY(enter(p));
    if (wf_tpl_at_op(p, '-') || wf_tpl_at_op(p, '+'))
        WF_TRY(parse_sign(p, out));
    else
        WF_TRY(parse_primary(p, false, out));
    WF_TRY(parse_postfix(p, *out, out));
    if (with_filters)
        WF_TRY(parse_filter_expression(p, *out, out));
    p->depth--;
    return WEFT_OK;
}

static bool at_one_of(const wf_tpl_parser *p, const char *ops) {
    return p->at->kind == WF_TOK_OPERATOR && strchr(ops, p->at->op) != NULL;
}

static weft_status parse_power(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *right;
    WF_TRY(parse_unary(p, true, out));
    while (wf_tpl_skip_op(p, 'p')) {
        WF_TRY(parse_unary(p, true, &right));
        WF_TRY(combine(p, WF_NODE_BINARY, 'p', *out, right, out));
    }
    return WEFT_OK;
}

static weft_status parse_product(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *right;
    WF_TRY(parse_power(p, out));
    while (at_one_of(p, "*/f%")) {
        char op = (p->at++)->op;
        WF_TRY(parse_power(p, &right));
        WF_TRY(combine(p, WF_NODE_BINARY, op, *out, right, out));
    }
    return WEFT_OK;
}

static weft_status parse_concat(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *first, *n, *item, **tail;
    WF_TRY(parse_product(p, &first));
    *out = first;
    if (!wf_tpl_at_op(p, '~'))
        return WEFT_OK;
    WF_TRY(new_at(p, WF_NODE_CONCAT, &n));
    tail = &n->list;
    append(n, &tail, first);
    while (wf_tpl_skip_op(p, '~')) {
        WF_TRY(parse_product(p, &item));
        append(n, &tail, item);
    }
    *out = n;
    return wf_tpl_adopt(p, n);
}

static weft_status parse_sum(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *right;
    WF_TRY(parse_concat(p, out));
    while (at_one_of(p, "+-")) {
        char op = (p->at++)->op;
        WF_TRY(parse_concat(p, &right));
        WF_TRY(combine(p, WF_NODE_BINARY, op, *out, right, out));
    }
    return WEFT_OK;
}

/* The comparison at hand, 0 when there is none; passes it. */
static char comparison(wf_tpl_parser *p) {
    if (at_one_of(p, "<>lgen"))
        return (p->at++)->op;
    if (wf_tpl_skip_name(p, "in"))
        return 'i';
    if (wf_tpl_at_name(p, "not") && p->at[1].kind == WF_TOK_NAME && wf_text_is(p->at[1].value.text, "in")) {
        p->at += 2;
        return 'o';
    }
    return 0;
}

static weft_status parse_compare(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *first, *n, *operand, **tail;
    WF_TRY(parse_sum(p, &first));
    *out = first;
    char op = comparison(p);
    if (!op)
        return WEFT_OK;
    WF_TRY(new_at(p, WF_NODE_COMPARE, &n));
    n->a = first;
    tail = &n->list;
    for (; op; op = comparison(p)) {
        WF_TRY(new_at(p, WF_NODE_OPERAND, &operand));
        operand->op = op;
        WF_TRY(parse_sum(p, &operand->a));
        WF_TRY(wf_tpl_adopt(p, operand));
        append(n, &tail, operand);
    }
    *out = n;
    return wf_tpl_adopt(p, n);
}

static weft_status parse_not(wf_tpl_parser *p, wf_tpl_node **out) {
    if (!wf_tpl_at_name(p, "not"))
        return parse_compare(p, out);
    wf_tpl_node *inner;
    WF_TRY(enter(p));
    p->at++;
    WF_TRY(parse_not(p, &inner));
    p->depth--;
    return combine(p, WF_NODE_NOT, 0, inner, NULL, out);
}

static weft_status parse_and(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *right;
    WF_TRY(parse_not(p, out));
    while (wf_tpl_skip_name(p, "and")) {
        WF_TRY(parse_not(p, &right));
        WF_TRY(combine(p, WF_NODE_AND, 0, *out, right, out));
    }
    return WEFT_OK;
}

static weft_status parse_or(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_node *right;
    WF_TRY(parse_and(p, out));
    while (wf_tpl_skip_name(p, "or")) {
        WF_TRY(parse_and(p, &right));
        WF_TRY(combine(p, WF_NODE_OR, 0, *out, right, out));
    }
    return WEFT_OK;
}

/* An unknown filter inside a conditional matters only when it is reached, in all three parts. */
weft_status wf_tpl_parse_expression(wf_tpl_parser *p, wf_tpl_node **out) {
    wf_tpl_unknown before = p->unknown;
    WF_TRY(enter(p));
    WF_TRY(parse_or(p, out));
    while (wf_tpl_skip_name(p, "if")) {
        wf_tpl_node *n;
        WF_TRY(new_at(p, WF_NODE_COND, &n));
        n->a = *out;
        WF_TRY(parse_or(p, &n->b));
        if (wf_tpl_skip_name(p, "else"))
            WF_TRY(wf_tpl_parse_expression(p, &n->c));
        *out = n;
        WF_TRY(wf_tpl_adopt(p, n));
        p->unknown = before;
    }
    p->depth--;
    return WEFT_OK;
}

/* ---- tuples and targets ---- */

static bool ends_tuple(const wf_tpl_parser *p, const char *stop) {
    return p->at->kind == WF_TOK_CLOSE_PRINT || p->at->kind == WF_TOK_CLOSE_BLOCK || wf_tpl_at_op(p, ')') || (stop && wf_tpl_at_name(p, stop));
}

static weft_status parse_member(wf_tpl_parser *p, unsigned how, wf_tpl_node **out) {
    if (!(how & (WF_TUPLE_TARGET | WF_TUPLE_NO_CONDITION)))
        return wf_tpl_parse_expression(p, out);
    WF_TRY(enter(p));
    WF_TRY(how & WF_TUPLE_TARGET ? parse_primary(p, (how & WF_TUPLE_NAMESPACE) != 0, out) : parse_or(p, out));
    p->depth--;
    return WEFT_OK;
}

weft_status wf_tpl_parse_tuple(wf_tpl_parser *p, unsigned how, const char *stop, wf_tpl_node **out) {
    wf_tpl_node *tuple, *item, **tail;
    bool is_tuple = false;
    WF_TRY(new_at(p, WF_NODE_TUPLE, &tuple));
    tail = &tuple->list;
    for (;;) {
        if (tuple->count)
            WF_TRY(wf_tpl_expect_op(p, ','));
        if (ends_tuple(p, stop))
            break;
        WF_TRY(parse_member(p, how, &item));
        append(tuple, &tail, item);
        if (!wf_tpl_at_op(p, ','))
            break;
        is_tuple = true;
    }
    if (!is_tuple && tuple->count == 0 && !(how & WF_TUPLE_PARENTHESES))
        return wf_tpl_syntax(p, "Expected an expression, got '%s'", wf_tpl_describe(p, p->at));
    *out = !is_tuple && tuple->count ? tuple->list : tuple;
    return wf_tpl_adopt(p, tuple);
}

static weft_status check_target(wf_tpl_parser *p, const wf_tpl_node *n, bool namespaces) {
    bool fine = n->kind == WF_NODE_NAME || n->kind == WF_NODE_TUPLE || (namespaces && n->kind == WF_NODE_NSREF);
    p->r->line = n->line;
    if (!fine)
        return wf_tpl_fail(p->r, WF_TEMPLATE_SYNTAX, "can't assign to this expression");
    if (n->kind == WF_NODE_NAME) {
        note_special(p, n->name, true);
        if (p->fors && wf_text_is(n->name, "loop"))
            return wf_tpl_fail(p->r, WF_TEMPLATE_SYNTAX, "Can't assign to special loop variable in for-loop target");
    }
    for (const wf_tpl_node *one = n->kind == WF_NODE_TUPLE ? n->list : NULL; one; one = one->next)
        WF_TRY(check_target(p, one, namespaces));
    return WEFT_OK;
}

weft_status wf_tpl_parse_target(wf_tpl_parser *p, unsigned how, const char *stop, wf_tpl_node **out) {
    unsigned loaded = p->loaded;
    WF_TRY(wf_tpl_parse_tuple(p, how | WF_TUPLE_TARGET, stop, out));
    p->loaded = loaded;
    return check_target(p, *out, (how & WF_TUPLE_NAMESPACE) != 0);
}
