/* parser.c - statements: a table of tags over the expressions of parse_expression.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "template/syntax.h"

/* ---- what both halves share ---- */

weft_status wf_tpl_syntax(wf_tpl_parser *p, const char *fmt, ...) {
    char message[256];
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(message, sizeof message, fmt, args) < 0)
        message[0] = 0;
    va_end(args);
    p->r->line = p->at->line;
    return wf_tpl_fail(p->r, WF_TEMPLATE_SYNTAX, "%s", message);
}

const char *wf_tpl_describe(wf_tpl_parser *p, const wf_tpl_token *t) {
    static const char *const words[] = {"end of template",    "template data",         "begin of print statement", "end of print statement",
                                        "begin of statement block", "end of statement block", "name",               "string",
                                        "integer",            "float",                 "operator"};
    static const char names[] = "f//\0p**\0e==\0n!=\0l<=\0g>=\0";
    if (t->kind == WF_TOK_NAME)
        return t->value.text->data;
    if (t->kind != WF_TOK_OPERATOR)
        return words[t->kind];
    for (const char *s = names; *s; s += 4)
        if (*s == t->op)
            return s + 1;
    const char *one = wf_arena_strndup(&p->r->arena, &t->op, 1);
    return one ? one : "operator";
}

weft_status wf_tpl_expected(wf_tpl_parser *p, const char *what) {
    if (p->at->kind == WF_TOK_END)
        return wf_tpl_syntax(p, "unexpected end of template, expected '%s'.", what);
    return wf_tpl_syntax(p, "expected token '%s', got '%s'", what, wf_tpl_describe(p, p->at));
}

weft_status wf_tpl_new_node(wf_tpl_parser *p, wf_tpl_node_kind kind, uint32_t line, wf_tpl_node **out) {
    *out = wf_arena_alloc(&p->r->arena, sizeof **out);
    WF_TPL_NEED(p->r, *out);
    (*out)->kind = kind;
    (*out)->line = line;
    (*out)->depth = 1;
    return WEFT_OK;
}

static void deepen(wf_tpl_node *n, const wf_tpl_node *child) {
    for (; child; child = child->next)
        if (child->depth >= n->depth)
            n->depth = (uint16_t)(child->depth + 1);
}

weft_status wf_tpl_adopt(wf_tpl_parser *p, wf_tpl_node *n) {
    const wf_tpl_node *single[] = {n->a, n->b, n->c};
    for (int i = 0; i < 3; i++)
        if (single[i] && single[i]->depth >= n->depth)
            n->depth = (uint16_t)(single[i]->depth + 1);
    deepen(n, n->list);
    deepen(n, n->named);
    deepen(n, n->body);
    deepen(n, n->other);
    p->r->line = n->line;
    if (n->depth > WF_TPL_NODE_DEPTH)
        return wf_tpl_fail(p->r, WF_TEMPLATE_LIMIT, "nested more than %d deep", (int)WF_TPL_NODE_DEPTH);
    return WEFT_OK;
}

bool wf_tpl_at_name(const wf_tpl_parser *p, const char *word) { return p->at->kind == WF_TOK_NAME && wf_text_is(p->at->value.text, word); }
bool wf_tpl_at_op(const wf_tpl_parser *p, char op) { return p->at->kind == WF_TOK_OPERATOR && p->at->op == op; }

bool wf_tpl_skip_name(wf_tpl_parser *p, const char *word) {
    bool there = wf_tpl_at_name(p, word);
    p->at += there;
    return there;
}

bool wf_tpl_skip_op(wf_tpl_parser *p, char op) {
    bool there = wf_tpl_at_op(p, op);
    p->at += there;
    return there;
}

weft_status wf_tpl_expect_op(wf_tpl_parser *p, char op) {
    char what[2] = {op, 0};
    return wf_tpl_skip_op(p, op) ? WEFT_OK : wf_tpl_expected(p, what);
}

/* One text per name, so that names are compared by address. */
weft_status wf_tpl_intern(wf_tpl *r, wf_tpl_name **names, const wf_tpl_text *text, const wf_tpl_text **out) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < text->bytes; i++)
        hash = (hash ^ (unsigned char)text->data[i]) * 16777619u;
    wf_tpl_name **bucket = &names[hash % WF_TPL_NAMES];
    for (const wf_tpl_name *n = *bucket; n; n = n->next)
        if (n->text->bytes == text->bytes && memcmp(n->text->data, text->data, text->bytes) == 0) {
            *out = n->text;
            return WEFT_OK;
        }
    wf_tpl_name *added = wf_arena_alloc(&r->arena, sizeof *added);
    WF_TPL_NEED(r, added);
    *added = (wf_tpl_name){text, *bucket};
    *bucket = added;
    *out = text;
    return WEFT_OK;
}

weft_status wf_tpl_name_of(wf_tpl_parser *p, const wf_tpl_text *text, const wf_tpl_text **out) { return wf_tpl_intern(p->r, p->names, text, out); }

weft_status wf_tpl_expect_name(wf_tpl_parser *p, const wf_tpl_text **out) {
    if (p->at->kind != WF_TOK_NAME)
        return wf_tpl_expected(p, "name");
    return wf_tpl_name_of(p, (p->at++)->value.text, out);
}

/* ---- bodies ---- */

static bool at_any(const wf_tpl_parser *p, const char *const *words) {
    for (; words && *words; words++)
        if (wf_tpl_at_name(p, *words))
            return true;
    return false;
}

/* Says what would close the innermost block. */
static weft_status not_closed(wf_tpl_parser *p, const char *unknown) {
    char wanted[160] = "";
    size_t used = 0;
    for (const char *const *w = p->open ? p->ends[p->open - 1] : NULL; w && *w && used < sizeof wanted; w++)
        used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%s'%s'", used ? " or " : "", *w);
    const char *what = unknown ? "Encountered unknown tag '" : "Unexpected end of template", *end = unknown ? "'" : "";
    if (!p->open)
        return wf_tpl_syntax(p, "%s%s%s.", what, unknown ? unknown : "", end);
    return wf_tpl_syntax(p, "%s%s%s. Jinja was looking for the following tags: %s. The innermost block that needs to be closed is '%s'.", what,
                         unknown ? unknown : "", end, wanted, p->tags[p->open - 1]);
}

static weft_status parse_statement(wf_tpl_parser *p, wf_tpl_node **out);

static weft_status parse_data(wf_tpl_parser *p, wf_tpl_node **out) {
    WF_TRY(wf_tpl_new_node(p, WF_NODE_DATA, p->at->line, out));
    (*out)->value = (p->at++)->value;
    return WEFT_OK;
}

static weft_status parse_print(wf_tpl_parser *p, wf_tpl_node **out) {
    WF_TRY(wf_tpl_new_node(p, WF_NODE_PRINT, p->at->line, out));
    p->at++;
    WF_TRY(wf_tpl_parse_tuple(p, 0, NULL, &(*out)->list));
    if (p->at->kind != WF_TOK_CLOSE_PRINT)
        return wf_tpl_expected(p, "end of print statement");
    p->at++;
    return wf_tpl_adopt(p, *out);
}

static weft_status close_block(wf_tpl_parser *p) {
    if (p->at->kind != WF_TOK_CLOSE_BLOCK)
        return wf_tpl_expected(p, "end of statement block");
    p->at++;
    return WEFT_OK;
}

/* Text, prints and statements up to a tag among `ends` (which stays at hand), or the end of the template. */
static weft_status parse_body(wf_tpl_parser *p, const char *const *ends, wf_tpl_node **out) {
    wf_tpl_node **tail = out, *n = NULL;
    *out = NULL;
    while (p->at->kind != WF_TOK_END) {
        if (p->at->kind == WF_TOK_DATA) {
            WF_TRY(parse_data(p, &n));
        } else if (p->at->kind == WF_TOK_OPEN_PRINT) {
            WF_TRY(parse_print(p, &n));
        } else {
            p->at++;
            if (at_any(p, ends))
                return WEFT_OK;
            WF_TRY(parse_statement(p, &n));
            WF_TRY(close_block(p));
        }
        *tail = n;
        tail = &n->next;
    }
    return WEFT_OK;
}

/* The rest of the opening tag and what it encloses. */
static weft_status parse_block_body(wf_tpl_parser *p, const char *const *ends, wf_tpl_node **out) {
    wf_tpl_skip_op(p, ':');
    WF_TRY(close_block(p));
    p->ends[p->open - 1] = ends;
    WF_TRY(parse_body(p, ends, out));
    return p->at->kind == WF_TOK_END ? not_closed(p, NULL) : WEFT_OK;
}

/* The same up to one closing tag, whose name is passed. `hard`: unknown filters inside matter. */
static weft_status parse_enclosed(wf_tpl_parser *p, const char *const *ends, wf_tpl_node **out) {
    bool soft = p->soft;
    p->soft = false;
    WF_TRY(parse_block_body(p, ends, out));
    p->soft = soft;
    p->at++;
    return WEFT_OK;
}

/* ---- for, if ---- */

static weft_status parse_for_head(wf_tpl_parser *p, wf_tpl_node *n) {
    WF_TRY(wf_tpl_parse_target(p, 0, "in", &n->a));
    if (!wf_tpl_skip_name(p, "in"))
        return wf_tpl_expected(p, "in");
    WF_TRY(wf_tpl_parse_tuple(p, WF_TUPLE_NO_CONDITION, "recursive", &n->b));
    if (wf_tpl_skip_name(p, "if")) {
        bool soft = p->soft;
        p->soft = false;
        WF_TRY(wf_tpl_parse_expression(p, &n->c));
        p->soft = soft;
    }
    n->recursive = wf_tpl_skip_name(p, "recursive");
    return WEFT_OK;
}

static weft_status parse_for(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const first[] = {"endfor", "else", NULL}, *const last[] = {"endfor", NULL};
    bool soft = p->soft;
    n->kind = WF_NODE_FOR;
    p->fors++;
    WF_TRY(parse_for_head(p, n));
    p->soft = false;
    p->loops++;
    WF_TRY(parse_block_body(p, first, &n->body));
    p->loops--;
    if (!wf_tpl_skip_name(p, "endfor")) {
        p->at++;
        WF_TRY(parse_block_body(p, last, &n->other));
        p->at++;
    }
    p->fors--;
    p->soft = soft;
    return wf_tpl_adopt(p, n);
}

/* elif is an if inside else. */
static weft_status parse_if(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const any[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif", NULL};
    wf_tpl_node *at = n, *inner;
    bool soft = p->soft;
    p->soft = true;
    for (;;) {
        at->kind = WF_NODE_IF;
        WF_TRY(wf_tpl_parse_tuple(p, WF_TUPLE_NO_CONDITION, NULL, &at->a));
        WF_TRY(parse_block_body(p, any, &at->body));
        WF_TRY(wf_tpl_adopt(p, at));
        if (!wf_tpl_skip_name(p, "elif"))
            break;
        WF_TRY(wf_tpl_new_node(p, WF_NODE_IF, p->at->line, &inner));
        at->other = inner;
        at = inner;
    }
    if (wf_tpl_skip_name(p, "else")) {
        WF_TRY(parse_block_body(p, last, &at->other));
        WF_TRY(wf_tpl_adopt(p, at));
    }
    p->at++;
    p->soft = soft;
    return wf_tpl_adopt(p, n);
}

/* ---- set, with ---- */

static weft_status parse_set(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endset", NULL};
    n->kind = WF_NODE_SET;
    WF_TRY(wf_tpl_parse_target(p, WF_TUPLE_NAMESPACE, NULL, &n->a));
    if (wf_tpl_skip_op(p, '=')) {
        WF_TRY(wf_tpl_parse_tuple(p, 0, NULL, &n->b));
        return wf_tpl_adopt(p, n);
    }
    n->kind = WF_NODE_SET_BLOCK;
    bool soft = p->soft;
    p->soft = false;
    WF_TRY(wf_tpl_parse_filters(p, NULL, false, &n->b));
    p->soft = soft;
    WF_TRY(parse_enclosed(p, ends, &n->body));
    return wf_tpl_adopt(p, n);
}

static weft_status parse_with(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endwith", NULL};
    wf_tpl_node **tail = &n->list, *set;
    n->kind = WF_NODE_WITH;
    for (; p->at->kind != WF_TOK_CLOSE_BLOCK; n->count++) {
        int fors = p->fors;
        if (n->list)
            WF_TRY(wf_tpl_expect_op(p, ','));
        WF_TRY(wf_tpl_new_node(p, WF_NODE_SET, p->at->line, &set));
        p->fors = 0; /* a parameter may be called loop */
        WF_TRY(wf_tpl_parse_target(p, 0, NULL, &set->a));
        p->fors = fors;
        WF_TRY(wf_tpl_expect_op(p, '='));
        WF_TRY(wf_tpl_parse_expression(p, &set->b));
        WF_TRY(wf_tpl_adopt(p, set));
        *tail = set;
        tail = &set->next;
    }
    WF_TRY(parse_enclosed(p, ends, &n->body));
    return wf_tpl_adopt(p, n);
}

/* ---- macros and what calls them ---- */

static weft_status parse_parameter(wf_tpl_parser *p, wf_tpl_node *n, wf_tpl_node **out, bool *defaults) {
    WF_TRY(wf_tpl_new_node(p, WF_NODE_NAME, p->at->line, out));
    WF_TRY(wf_tpl_expect_name(p, &(*out)->name));
    for (const wf_tpl_node *other = n->list; other; other = other->next)
        if (other != *out && other->name == (*out)->name)
            return wf_tpl_syntax(p, "duplicate argument '%s'", other->name->data);
    if (wf_tpl_skip_op(p, '=')) {
        *defaults = true;
        WF_TRY(wf_tpl_parse_expression(p, &(*out)->b));
        return wf_tpl_adopt(p, *out);
    }
    return *defaults ? wf_tpl_syntax(p, "non-default argument follows default argument") : WEFT_OK;
}

static weft_status parse_signature(wf_tpl_parser *p, wf_tpl_node *n) {
    wf_tpl_node **tail = &n->list;
    bool defaults = false;
    WF_TRY(wf_tpl_expect_op(p, '('));
    for (; !wf_tpl_at_op(p, ')'); n->count++) {
        if (n->list)
            WF_TRY(wf_tpl_expect_op(p, ','));
        if (n->count == WF_TPL_MOST_ARGS)
            return wf_tpl_syntax(p, "more than %d parameters", (int)WF_TPL_MOST_ARGS);
        WF_TRY(parse_parameter(p, n, tail, &defaults));
        tail = &(*tail)->next;
    }
    p->at++;
    return WEFT_OK;
}

static const wf_tpl_node *parameter(const wf_tpl_node *n, const char *word) {
    for (const wf_tpl_node *one = n->list; one; one = one->next)
        if (wf_text_is(one->name, word))
            return one;
    return NULL;
}

/* The body of a function: loops outside do not count, and the special names it uses become parameters. */
static weft_status parse_function(wf_tpl_parser *p, wf_tpl_node *n, const char *const *ends) {
    unsigned loaded = p->loaded, stored = p->stored;
    int loops = p->loops;
    p->loaded = p->stored = 0;
    p->loops = 0;
    WF_TRY(parse_enclosed(p, ends, &n->body));
    const wf_tpl_node *caller = parameter(n, "caller");
    n->uses_caller = (p->loaded & 1u) && !caller;
    if ((p->loaded & 1u) && caller && !caller->b)
        return wf_tpl_syntax(p, "the special \"caller\" argument must be omitted or be given a default");
    n->uses_kwargs = (p->loaded & 2u) && !parameter(n, "kwargs");
    n->uses_varargs = (p->loaded & 4u) && !parameter(n, "varargs");
    p->loops = loops;
    p->loaded |= loaded;
    p->stored = stored;
    return wf_tpl_adopt(p, n);
}

static weft_status parse_macro(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endmacro", NULL};
    n->kind = WF_NODE_MACRO;
    WF_TRY(wf_tpl_expect_name(p, &n->name));
    WF_TRY(parse_signature(p, n));
    return parse_function(p, n, ends);
}

static weft_status parse_call_block(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endcall", NULL};
    n->kind = WF_NODE_CALL_BLOCK;
    if (wf_tpl_at_op(p, '('))
        WF_TRY(parse_signature(p, n));
    WF_TRY(wf_tpl_parse_expression(p, &n->a));
    if (n->a->kind != WF_NODE_CALL)
        return wf_tpl_syntax(p, "expected call");
    return parse_function(p, n, ends);
}

static weft_status parse_generation(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endgeneration", NULL};
    n->kind = WF_NODE_GENERATION;
    return parse_function(p, n, ends);
}

static weft_status parse_filter_block(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endfilter", NULL};
    bool soft = p->soft;
    n->kind = WF_NODE_FILTER_BLOCK;
    p->soft = false;
    WF_TRY(wf_tpl_parse_filters(p, NULL, true, &n->b));
    p->soft = soft;
    WF_TRY(parse_enclosed(p, ends, &n->body));
    return wf_tpl_adopt(p, n);
}

/* ---- the rest ---- */

static weft_status parse_print_tag(wf_tpl_parser *p, wf_tpl_node *n) {
    wf_tpl_node **tail = &n->list;
    n->kind = WF_NODE_PRINT;
    while (p->at->kind != WF_TOK_CLOSE_BLOCK) {
        if (n->list)
            WF_TRY(wf_tpl_expect_op(p, ','));
        WF_TRY(wf_tpl_parse_expression(p, tail));
        tail = &(*tail)->next;
    }
    return wf_tpl_adopt(p, n);
}

static weft_status parse_named_block(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endblock", NULL};
    int loops = p->loops;
    n->kind = WF_NODE_BLOCK;
    WF_TRY(wf_tpl_expect_name(p, &n->name));
    n->recursive = wf_tpl_skip_name(p, "scoped");
    if (wf_tpl_skip_name(p, "required"))
        return wf_tpl_syntax(p, "a required block needs another template that fills it");
    for (const wf_tpl_node *other = p->blocks; other; other = other->c)
        if (other->name == n->name)
            return wf_tpl_syntax(p, "block '%s' defined twice", n->name->data);
    p->loops = 0;
    WF_TRY(parse_enclosed(p, ends, &n->body));
    p->loops = loops;
    wf_tpl_skip_name(p, n->name->data);
    WF_TRY(wf_tpl_adopt(p, n));
    n->c = p->blocks;
    p->blocks = n;
    return WEFT_OK;
}

static weft_status parse_autoescape(wf_tpl_parser *p, wf_tpl_node *n) {
    static const char *const ends[] = {"endautoescape", NULL};
    n->kind = WF_NODE_AUTOESCAPE;
    WF_TRY(wf_tpl_parse_expression(p, &n->a));
    WF_TRY(parse_enclosed(p, ends, &n->body));
    return wf_tpl_adopt(p, n);
}

static weft_status parse_break(wf_tpl_parser *p, wf_tpl_node *n) {
    bool is_break = wf_text_is(p->at[-1].value.text, "break");
    n->kind = is_break ? WF_NODE_BREAK : WF_NODE_CONTINUE;
    return p->loops ? WEFT_OK : wf_tpl_syntax(p, "'%s' outside loop", is_break ? "break" : "continue");
}

/* Tags that fetch another template: there is none. Fails when reached, as the reference without a loader. */
static weft_status parse_other_template(wf_tpl_parser *p, wf_tpl_node *n) {
    n->kind = WF_NODE_REFUSED;
    WF_TRY(wf_var_string(p->r, "no loader for this environment specified", 40, &n->value));
    WF_TRY(wf_tpl_parse_expression(p, &n->a));
    while (p->at->kind == WF_TOK_NAME || wf_tpl_at_op(p, ','))
        p->at++;
    return WEFT_OK;
}

typedef struct tag {
    const char *name;
    weft_status (*parse)(wf_tpl_parser *p, wf_tpl_node *n);
} tag;

static const tag tags[] = {
    {"for", parse_for},           {"if", parse_if},
    {"set", parse_set},           {"with", parse_with},
    {"macro", parse_macro},       {"call", parse_call_block},
    {"filter", parse_filter_block}, {"generation", parse_generation},
    {"print", parse_print_tag},   {"block", parse_named_block},
    {"autoescape", parse_autoescape}, {"break", parse_break},
    {"continue", parse_break},    {"include", parse_other_template},
    {"import", parse_other_template}, {"from", parse_other_template},
    {"extends", parse_other_template}};

/* The name of the tag is at hand; its end, or that of its closing tag, remains. */
static weft_status parse_statement(wf_tpl_parser *p, wf_tpl_node **out) {
    if (p->at->kind != WF_TOK_NAME)
        return wf_tpl_syntax(p, "tag name expected");
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!wf_tpl_at_name(p, tags[i].name))
            continue;
        if (p->open == WF_TPL_NODE_DEPTH)
            return wf_tpl_fail(p->r, WF_TEMPLATE_LIMIT, "blocks nested more than %d deep", (int)WF_TPL_NODE_DEPTH);
        WF_TRY(wf_tpl_new_node(p, WF_NODE_DATA, p->at->line, out));
        p->ends[p->open] = NULL;
        p->tags[p->open++] = tags[i].name;
        p->at++;
        WF_TRY(tags[i].parse(p, *out));
        p->open--;
        return WEFT_OK;
    }
    return not_closed(p, p->at->value.text->data);
}

weft_status wf_tpl_parse(wf_tpl *r, const wf_tpl_token *tokens, const wf_tpl_node **out) {
    static const wf_tpl_text words[] = {
        [WF_WORD_LOOP] = {4, 4, "loop"}, [WF_WORD_CALLER] = {6, 6, "caller"}, [WF_WORD_KWARGS] = {6, 6, "kwargs"}, [WF_WORD_VARARGS] = {7, 7, "varargs"}};
    wf_tpl_parser *p = wf_arena_alloc(&r->arena, sizeof *p);
    wf_tpl_node *body;
    WF_TPL_NEED(r, p);
    p->r = r;
    p->at = tokens;
    for (int i = 0; i < WF_WORDS; i++)
        WF_TRY(wf_tpl_name_of(p, &words[i], &r->words[i]));
    WF_TRY(parse_body(p, NULL, &body));
    if (p->unknown.name) {
        r->line = p->unknown.line;
        return wf_tpl_fail(r, WF_TEMPLATE_SYNTAX, "No %s named '%s'.", p->unknown.is_test ? "test" : "filter", p->unknown.name->data);
    }
    *out = body;
    return WEFT_OK;
}
