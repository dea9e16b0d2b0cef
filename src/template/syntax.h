/* syntax.h - private to the room: tokens, nodes, and the parser's state. */
#ifndef WF_TEMPLATE_SYNTAX_H
#define WF_TEMPLATE_SYNTAX_H
#include "template/engine.h"

typedef enum wf_tpl_token_kind {
    WF_TOK_END,
    WF_TOK_DATA,
    WF_TOK_OPEN_PRINT, /* {{ */
    WF_TOK_CLOSE_PRINT,
    WF_TOK_OPEN_BLOCK, /* {% */
    WF_TOK_CLOSE_BLOCK,
    WF_TOK_NAME,
    WF_TOK_STRING,
    WF_TOK_INTEGER,
    WF_TOK_FLOAT,
    WF_TOK_OPERATOR
} wf_tpl_token_kind;

typedef struct wf_tpl_token {
    wf_tpl_token_kind kind;
    uint32_t line;
    char op;     /* OPERATOR: itself, or 'f' //, 'p' **, 'e' ==, 'n' !=, 'l' <=, 'g' >= */
    wf_var value; /* DATA, NAME, STRING, INTEGER, FLOAT */
} wf_tpl_token;

typedef enum wf_tpl_node_kind {
    /* expressions */
    WF_NODE_CONST,
    WF_NODE_NAME,
    WF_NODE_TUPLE,
    WF_NODE_LIST,
    WF_NODE_DICT,   /* list: key, value, key, value ... */
    WF_NODE_BINARY, /* op; a, b */
    WF_NODE_UNARY,  /* op: + - */
    WF_NODE_NOT,
    WF_NODE_AND,
    WF_NODE_OR,
    WF_NODE_CONCAT,  /* list */
    WF_NODE_COMPARE, /* a; list of OPERANDs */
    WF_NODE_OPERAND, /* op: < > l g e n, i in, o not in; a */
    WF_NODE_COND,    /* a if b else c (c may be NULL) */
    WF_NODE_ATTRIBUTE, /* a.name */
    WF_NODE_ITEM,      /* a[b] */
    WF_NODE_SLICE,     /* only as the b of an ITEM: a:b:c, each may be NULL */
    WF_NODE_CALL,      /* a(list, named, *b, **c) */
    WF_NODE_FILTER,    /* a | name(...); a NULL: the text of the block */
    WF_NODE_TEST,      /* a is name(...) */
    WF_NODE_NSREF,     /* name.attribute as a target */
    /* statements */
    WF_NODE_DATA,
    WF_NODE_PRINT, /* list */
    WF_NODE_FOR,   /* a: target, b: iterable, c: condition or NULL; body, other; recursive */
    WF_NODE_IF,    /* a: condition; body, other */
    WF_NODE_SET,   /* a = b */
    WF_NODE_SET_BLOCK, /* a: target, b: filters or NULL; body */
    WF_NODE_MACRO,     /* name, list of parameters (NAME, with b: default); body */
    WF_NODE_CALL_BLOCK, /* a: the call; list; body */
    WF_NODE_FILTER_BLOCK, /* b: filters; body */
    WF_NODE_WITH,         /* list: SETs; body */
    WF_NODE_BLOCK,        /* body; recursive: scoped */
    WF_NODE_GENERATION,   /* body */
    WF_NODE_AUTOESCAPE,   /* a; body */
    WF_NODE_BREAK,
    WF_NODE_CONTINUE,
    WF_NODE_REFUSED /* value: the message */
} wf_tpl_node_kind;

struct wf_tpl_node {
    wf_tpl_node_kind kind;
    uint32_t line;
    uint16_t depth; /* of the tree below */
    char op;
    bool recursive;
    bool uses_caller, uses_kwargs, uses_varargs; /* MACRO, CALL_BLOCK */
    const wf_tpl_text *name, *attribute;
    wf_var value;
    wf_tpl_node *a, *b, *c;
    wf_tpl_node *list, *named; /* named: NAME-like nodes with name and a */
    wf_tpl_node *body, *other;
    wf_tpl_node *next;
    size_t count;          /* of list */
    const wf_tpl_row *row; /* FILTER, TEST */
};

/* A compiled template: its nodes and texts live in the arena. */
struct wf_template {
    const wf_mem *mem;
    wf_arena arena;
    const wf_tpl_node *body;
    const char *source; /* 0-terminated */
    const wf_tpl_text *words[WF_WORDS];
};

/* Makes the tokens of a source. `r` lends its arena and its errors. */
weft_status wf_tpl_lex(wf_tpl *r, const char *source, size_t length, wf_tpl_token **out, size_t *count);

enum { WF_TPL_NAMES = 1024 };
typedef struct wf_tpl_name {
    const wf_tpl_text *text;
    struct wf_tpl_name *next;
} wf_tpl_name;
typedef struct wf_tpl_unknown { /* a filter or test that does not exist */
    const wf_tpl_text *name;
    uint32_t line;
    bool is_test;
} wf_tpl_unknown;

typedef struct wf_tpl_parser {
    wf_tpl *r;
    const wf_tpl_token *at;
    wf_tpl_name *names[WF_TPL_NAMES]; /* every name once, by hash: names are compared by their address */
    int depth;
    bool soft; /* inside an if: unknown filters matter only when reached */
    wf_tpl_unknown unknown; /* the first that matters; name NULL: none */
    int loops;              /* around this point in the same function */
    int fors;               /* around this point anywhere */
    unsigned loaded, stored; /* of the special names of a macro, one bit each */
    const char *const *ends[WF_TPL_NODE_DEPTH]; /* what closes the open blocks */
    const char *tags[WF_TPL_NODE_DEPTH];
    int open;
    wf_tpl_node *blocks; /* by name, linked by other */
} wf_tpl_parser;

weft_status wf_tpl_parse(wf_tpl *r, const wf_tpl_token *tokens, const wf_tpl_node **out);
weft_status wf_tpl_intern(wf_tpl *r, wf_tpl_name **names, const wf_tpl_text *text, const wf_tpl_text **out);

/* Shared by the two halves of the parser. */
weft_status wf_tpl_new_node(wf_tpl_parser *p, wf_tpl_node_kind kind, uint32_t line, wf_tpl_node **out);
weft_status wf_tpl_adopt(wf_tpl_parser *p, wf_tpl_node *n); /* checks the depth after the children are set */
weft_status wf_tpl_syntax(wf_tpl_parser *p, const char *fmt, ...) WF_PRINTF(2, 3);
weft_status wf_tpl_expected(wf_tpl_parser *p, const char *what);
const char *wf_tpl_describe(wf_tpl_parser *p, const wf_tpl_token *t);
bool wf_tpl_at_name(const wf_tpl_parser *p, const char *word);
bool wf_tpl_skip_name(wf_tpl_parser *p, const char *word);
bool wf_tpl_at_op(const wf_tpl_parser *p, char op);
bool wf_tpl_skip_op(wf_tpl_parser *p, char op);
weft_status wf_tpl_expect_op(wf_tpl_parser *p, char op);
weft_status wf_tpl_expect_name(wf_tpl_parser *p, const wf_tpl_text **out);
weft_status wf_tpl_name_of(wf_tpl_parser *p, const wf_tpl_text *text, const wf_tpl_text **out);
weft_status wf_tpl_parse_expression(wf_tpl_parser *p, wf_tpl_node **out);
enum { WF_TUPLE_TARGET = 1, WF_TUPLE_NO_CONDITION = 2, WF_TUPLE_PARENTHESES = 4, WF_TUPLE_NAMESPACE = 8 };
/* Comma-separated expressions; `stop` is a name that ends them, or NULL. */
weft_status wf_tpl_parse_tuple(wf_tpl_parser *p, unsigned how, const char *stop, wf_tpl_node **out);
weft_status wf_tpl_parse_target(wf_tpl_parser *p, unsigned how, const char *stop, wf_tpl_node **out);
weft_status wf_tpl_parse_filters(wf_tpl_parser *p, wf_tpl_node *on, bool inline_first, wf_tpl_node **out);
#endif
