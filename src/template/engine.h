/* engine.h - private to the room: values, the state of a rendering, and the rows of its tables.
 *
 * Values behave as those of Python under the immutable sandbox of jinja2: only namespaces, cyclers, joiners and iterators
 * change. Everything lives in the arena of the rendering and is freed with it. Functions return a status; an error ends the
 * rendering. */
#ifndef WF_TEMPLATE_ENGINE_H
#define WF_TEMPLATE_ENGINE_H
#include "base/mem.h"
#include "base/str.h"
#include "template/template.h"

typedef struct wf_tpl wf_tpl;
typedef struct wf_tpl_node wf_tpl_node;
typedef struct wf_tpl_scope wf_tpl_scope;

/* ---- values ---- */
typedef enum wf_var_type {
    WF_VAR_UNDEFINED,
    WF_VAR_NONE,
    WF_VAR_BOOL,
    WF_VAR_INT,
    WF_VAR_BIG, /* an integer beyond 64 bits: its digits */
    WF_VAR_FLOAT,
    WF_VAR_STRING,
    WF_VAR_LIST,
    WF_VAR_TUPLE,
    WF_VAR_DICT,
    WF_VAR_RANGE,
    WF_VAR_VIEW, /* keys(), values(), items() of a dict */
    WF_VAR_ITERATOR,
    WF_VAR_NAMESPACE,
    WF_VAR_LOOP,
    WF_VAR_MACRO,
    WF_VAR_FUNCTION,
    WF_VAR_METHOD, /* a function bound to a value */
    WF_VAR_CYCLER,
    WF_VAR_JOINER,
    WF_VAR_TYPES
} wf_var_type;

/* UTF-8, never changed; 0 bytes inside are fine. */
typedef struct wf_tpl_text {
    size_t bytes, chars;
    const char *data;
} wf_tpl_text;

typedef struct wf_var wf_var;
struct wf_var {
    wf_var_type type;
    bool safe; /* STRING: marked as HTML (Markup) */
    union {
        bool truth;
        int64_t integer;
        double number;
        const wf_tpl_text *text;            /* STRING, BIG */
        const struct wf_tpl_absent *absent; /* UNDEFINED */
        const struct wf_tpl_list *list;     /* LIST, TUPLE */
        struct wf_tpl_dict *dict;           /* DICT, NAMESPACE */
        const struct wf_tpl_range *range;
        const struct wf_tpl_view *view;
        struct wf_tpl_iter *iter;
        struct wf_tpl_loop *loop;
        const struct wf_tpl_macro *macro;
        const struct wf_tpl_row *function;
        const struct wf_tpl_method *method;
        struct wf_tpl_cycler *cycler; /* CYCLER, JOINER */
    };
};

typedef struct wf_tpl_absent {
    const char *hint;   /* the whole message, or NULL: it is made from the rest */
    wf_var object, key; /* what lacks what; object of type UNDEFINED: a name that is not there */
    bool forbidden;     /* the sandbox refuses what is there */
} wf_tpl_absent;

typedef struct wf_tpl_list {
    size_t count;
    wf_var *items;
    bool pair; /* the tuple of groupby: .grouper, .list */
} wf_tpl_list;

typedef struct wf_tpl_pair {
    wf_var key, value;
} wf_tpl_pair;

typedef struct wf_tpl_dict {
    size_t count, capacity;
    wf_tpl_pair *pairs; /* in the order of insertion */
    uint32_t *slots;    /* an index by hash, only for large ones: pair + 1; 0: free */
    size_t n_slots;
    bool printing;
} wf_tpl_dict;

typedef struct wf_tpl_range {
    int64_t start, stop, step, count;
} wf_tpl_range;

typedef enum wf_tpl_view_kind { WF_VIEW_KEYS, WF_VIEW_VALUES, WF_VIEW_ITEMS } wf_tpl_view_kind;
typedef struct wf_tpl_view {
    wf_tpl_view_kind kind;
    const wf_tpl_dict *dict;
} wf_tpl_view;

/* Something to be walked once. `next` sets *done instead of *out at the end. */
typedef struct wf_tpl_iter wf_tpl_iter;
typedef weft_status (*wf_tpl_next_fn)(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done);
struct wf_tpl_iter {
    wf_tpl_next_fn next;
    wf_var source;
    size_t at; /* bytes of a string, elements of the rest */
    bool backwards;
    const char *name;   /* Python's type */
    wf_tpl_iter *inner; /* of filters: what they draw from */
    bool begun;
    void *extra;
};

typedef struct wf_tpl_loop {
    wf_tpl_iter *iter;
    wf_var iterable, current, before, after, changed;
    bool has_after, ended, has_changed;
    int64_t index0, length, depth0; /* length -1: not known */
    const wf_tpl_node *recursive;   /* the loop's node, NULL when it cannot be called */
    wf_tpl_scope *scope;            /* where it stands */
} wf_tpl_loop;

typedef struct wf_tpl_macro {
    const wf_tpl_node *node;
    wf_tpl_scope *scope;
} wf_tpl_macro;

typedef struct wf_tpl_cycler {
    const wf_tpl_list *items; /* CYCLER */
    size_t at;
    wf_var separator; /* JOINER */
} wf_tpl_cycler;

typedef struct wf_tpl_method {
    const struct wf_tpl_row *row;
    wf_var self;
} wf_tpl_method;

/* ---- calls ---- */
typedef struct wf_tpl_args {
    const wf_var *list; /* positional */
    size_t count;
    const wf_tpl_dict *named; /* may be NULL */
} wf_tpl_args;

/* A row of the filters, tests, functions or methods. `params` names the parameters after the value itself: "width=" is
 * optional, "/" ends those that cannot be named, "*" stands for any arguments. `in` holds the value first; what was not given
 * is NULL. */
typedef struct wf_tpl_call {
    const struct wf_tpl_row *row;
    wf_var self;
    const wf_var *in[8]; /* by parameter */
    wf_tpl_args all;     /* as given */
} wf_tpl_call;
typedef weft_status (*wf_tpl_fn)(wf_tpl *r, const wf_tpl_call *c, wf_var *out);
typedef struct wf_tpl_row {
    const char *name, *params;
    wf_tpl_fn run;
    int which; /* a choice among what one function does */
} wf_tpl_row;

/* ---- the state of a rendering ---- */
typedef struct wf_tpl_variable {
    const wf_tpl_text *name;
    wf_var value;
} wf_tpl_variable;
struct wf_tpl_scope {
    wf_tpl_scope *parent;
    wf_tpl_variable *list;
    size_t count, capacity;
    bool kept; /* a macro or an iterator refers to it */
};

enum {
    WF_TPL_DEPTH = 1500, /* nested evaluations, printed values */
    WF_TPL_NODE_DEPTH = 300,
    WF_TPL_LONGEST_RANGE = 100000,
    WF_TPL_MOST_ARGS = 255
};

typedef enum wf_tpl_word { WF_WORD_LOOP, WF_WORD_CALLER, WF_WORD_KWARGS, WF_WORD_VARARGS, WF_WORDS } wf_tpl_word;

struct wf_tpl {
    wf_arena arena;
    wf_str out;
    size_t root_mark; /* where the outermost capture begins; SIZE_MAX: none */
    wf_tpl_dict *context;
    wf_tpl_scope *globals;
    const wf_tpl_text *words[WF_WORDS];  /* names that statements set */
    const wf_tpl_node *printed;          /* the expression being printed, while nothing else was since */
    const wf_var *block;                 /* the text that a filter block works on */
    size_t counted_bytes, counted_chars; /* of the output, for spans */
    int64_t steps;
    int depth;
    uint32_t line;
    const wf_template_input *in;
    wf_template_result *result;
    size_t span_capacity;
    wf_template_error kind;
    weft_error *err;
};

/* Errors: the message gets the line in front. */
weft_status wf_tpl_fail(wf_tpl *r, wf_template_error kind, const char *fmt, ...) WF_PRINTF(3, 4);
weft_status wf_tpl_unsupported(wf_tpl *r, const char *what);
weft_status wf_tpl_type_error(wf_tpl *r, const char *fmt, ...) WF_PRINTF(2, 3);
weft_status wf_tpl_undefined_error(wf_tpl *r, wf_var undefined);
weft_status wf_tpl_no_memory(wf_tpl *r);          /* after an allocation failed: out of memory, or over the limit */
weft_status wf_tpl_spend(wf_tpl *r, size_t work); /* `work` elements or bytes are going to be touched */
weft_status wf_tpl_enter(wf_tpl *r);              /* before a recursion; then r->depth-- */
#define WF_TPL_NEED(r, pointer)                                                                                                \
    do {                                                                                                                       \
        if (!(pointer))                                                                                                        \
            return wf_tpl_no_memory(r);                                                                                        \
    } while (0)

/* ---- value.c ---- */
typedef struct wf_tpl_type {
    const char *name; /* Python's name */
    const wf_tpl_row *methods;
    const char *const *unsafe; /* what the sandbox hides, NULL-terminated */
    weft_status (*attribute)(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found);
} wf_tpl_type;
extern const wf_tpl_type wf_tpl_types[WF_VAR_TYPES];

const char *wf_var_type_word(wf_var v); /* 'int', 'generator' ... */
wf_var wf_var_none(void);
wf_var wf_var_bool(bool b);
wf_var wf_var_int(int64_t i);
wf_var wf_var_float(double d);
wf_var wf_var_of_text(const wf_tpl_text *text);
wf_var wf_var_of_dict(wf_tpl_dict *dict);
wf_var wf_var_of_list(wf_var_type type, const wf_tpl_list *list);
static inline bool wf_var_is(wf_var v, wf_var_type type) { return v.type == type; }
bool wf_var_is_whole(wf_var v); /* INT or BOOL */
bool wf_var_is_number(wf_var v);
int64_t wf_var_whole(wf_var v);
double wf_var_double(wf_var v);
weft_status wf_var_string(wf_tpl *r, const char *data, size_t bytes, wf_var *out); /* copied */
weft_status wf_var_take(wf_tpl *r, wf_str *s, wf_var *out); /* copied, and the wf_str is freed, also on failure */
weft_status wf_var_undefined(wf_tpl *r, wf_var object, wf_var key, wf_var *out);
weft_status wf_var_undefined_hint(wf_tpl *r, const char *hint, wf_var *out);
weft_status wf_var_new_list(wf_tpl *r, size_t count, wf_tpl_list **out);
weft_status wf_var_new_tuple(wf_tpl *r, const wf_var *items, size_t count, wf_var *out);
weft_status wf_var_from_json(wf_tpl *r, const wf_json *j, wf_var *out);
bool wf_var_true(wf_var v);
bool wf_var_length(wf_var v, size_t *out); /* false: it has none */
bool wf_var_same(wf_var a, wf_var b);      /* Python's `is` */
bool wf_text_is(const wf_tpl_text *text, const char *word);

/* A list that grows. */
typedef struct wf_tpl_items {
    wf_var *list;
    size_t count, capacity;
} wf_tpl_items;
weft_status wf_tpl_push(wf_tpl *r, wf_tpl_items *items, wf_var v);
weft_status wf_var_list_of(wf_tpl *r, const wf_tpl_items *items, wf_var *out);

/* ---- dict.c ---- */
weft_status wf_dict_new(wf_tpl *r, wf_tpl_dict **out);
/* A key that cannot be one (a list) is an error. `find` gives NULL when absent. */
weft_status wf_dict_find(wf_tpl *r, const wf_tpl_dict *d, wf_var key, const wf_var **out);
const wf_var *wf_dict_find_text(const wf_tpl_dict *d, const char *data, size_t bytes);
weft_status wf_dict_put(wf_tpl *r, wf_tpl_dict *d, wf_var key, wf_var value);
weft_status wf_dict_put_text(wf_tpl *r, wf_tpl_dict *d, const char *key, wf_var value);
weft_status wf_dict_copy(wf_tpl *r, const wf_tpl_dict *from, wf_tpl_dict *to);
weft_status wf_dict_of(wf_tpl *r, const wf_tpl_args *args, wf_tpl_dict **out); /* dict(...) */
weft_status wf_var_hashable(wf_tpl *r, wf_var v);

/* ---- compare.c ---- */
typedef enum wf_tpl_compare { WF_LESS, WF_LESS_EQUAL, WF_GREATER, WF_GREATER_EQUAL } wf_tpl_compare;
weft_status wf_var_equal(wf_tpl *r, wf_var a, wf_var b, bool *out);
weft_status wf_var_ordered(wf_tpl *r, wf_tpl_compare how, wf_var a, wf_var b, bool *out);
weft_status wf_var_contains(wf_tpl *r, wf_var container, wf_var v, bool *out);
weft_status wf_var_sort(wf_tpl *r, wf_var *items, wf_var *keys, size_t count, bool reverse); /* stable, as sorted() */

/* ---- iterate.c ---- */
bool wf_var_iterable(wf_var v);
weft_status wf_tpl_iterate(wf_tpl *r, wf_var v, wf_tpl_iter **out);
weft_status wf_tpl_reversed(wf_tpl *r, wf_var v, wf_tpl_iter **out, bool *can);
weft_status wf_tpl_next(wf_tpl *r, wf_tpl_iter *it, wf_var *out, bool *done);
weft_status wf_tpl_collect(wf_tpl *r, wf_var v, wf_tpl_items *out); /* list(v) */
weft_status wf_tpl_unpack(wf_tpl *r, wf_var v, wf_var *out, size_t count);
weft_status wf_tpl_new_iter(wf_tpl *r, wf_tpl_next_fn next, wf_var source, void *extra, wf_var *out); /* a generator */

/* ---- print.c, number.c ---- */
weft_status wf_tpl_print(wf_tpl *r, wf_var v, wf_str *out);                      /* str(v) */
weft_status wf_tpl_repr(wf_tpl *r, wf_var v, wf_str *out);                       /* repr(v) */
weft_status wf_tpl_ascii(wf_tpl *r, wf_var v, wf_str *out);                      /* ascii(v) */
weft_status wf_var_to_text(wf_tpl *r, wf_var v, const wf_tpl_text **out);        /* str(v); strings as they are */
void wf_tpl_put_float(double d, wf_str *out);                                    /* repr(float) */
bool wf_tpl_read_int(const char *s, size_t n, int base, wf_tpl *r, wf_var *out); /* Python's int(text, base) */
bool wf_tpl_read_float(const char *s, size_t n, double *out);                    /* Python's float(text) */
weft_status wf_var_from_double(wf_tpl *r, double d, wf_var *out);                /* int(d): an error for inf, nan */
double wf_tpl_round(double d, int64_t digits);                                   /* Python's round() */
weft_status wf_tpl_json(wf_tpl *r, const wf_tpl_call *c, wf_var *out);           /* the filter tojson */
weft_status wf_tpl_escape(wf_tpl *r, wf_var v, wf_var *out);                     /* markupsafe.escape */

/* ---- format.c, percent.c ---- */
weft_status wf_tpl_format(wf_tpl *r, wf_var format, const wf_tpl_args *args, wf_str *out); /* str.format */
weft_status wf_tpl_percent(wf_tpl *r, wf_var format, wf_var args, wf_str *out);            /* format % args */
typedef struct wf_tpl_layout {                                                             /* of one formatted value */
    const char *fill;                                                                      /* one character, UTF-8 */
    size_t fill_bytes;
    char align, sign, type, grouping; /* 0: not given */
    bool alternate, zero;
    int64_t width, precision; /* -1: not given */
} wf_tpl_layout;
weft_status wf_tpl_put_number(wf_tpl *r, wf_var v, const wf_tpl_layout *how, wf_str *out);
weft_status wf_tpl_pad(wf_tpl *r, const wf_tpl_layout *how, const char *data, size_t bytes, size_t sign, wf_str *out);

/* ---- characters.c: text as Python sees it ---- */
bool wf_tpl_is_space(uint32_t c);
uint32_t wf_tpl_char(const char *data, size_t bytes, size_t *length); /* of valid UTF-8 */
void wf_tpl_put_char(wf_str *out, uint32_t c);
size_t wf_tpl_count_chars(const char *data, size_t bytes);
size_t wf_tpl_offset(const wf_tpl_text *text, size_t chars); /* byte offset of a code point */
typedef enum wf_tpl_case {
    WF_CASE_UPPER,
    WF_CASE_LOWER,
    WF_CASE_TITLE,
    WF_CASE_CAPITALIZE,
    WF_CASE_SWAP,
    WF_CASE_FOLD
} wf_tpl_case;
void wf_tpl_put_case(wf_str *out, wf_tpl_case how, const char *data, size_t bytes);
typedef enum wf_tpl_class {
    WF_IS_ALPHA,
    WF_IS_DECIMAL,
    WF_IS_DIGIT,
    WF_IS_NUMERIC,
    WF_IS_ALNUM,
    WF_IS_SPACE,
    WF_IS_PRINTABLE,
    WF_IS_ASCII,
    WF_IS_LOWER,
    WF_IS_UPPER,
    WF_IS_TITLE,
    WF_IS_IDENTIFIER
} wf_tpl_class;
bool wf_tpl_text_is(wf_tpl_class what, const char *data, size_t bytes); /* str.isalpha() ... */
bool wf_tpl_char_is(wf_tpl_class what, uint32_t c);                     /* ALPHA to PRINTABLE */
bool wf_tpl_is_word(uint32_t c);                                        /* \w */
bool wf_tpl_is_name_char(uint32_t c);                                   /* inside an identifier */
bool wf_tpl_named_char(const char *name, size_t bytes, uint32_t *out);  /* \N{name} */
/* The text without characters of `set` (NULL: white space) at its ends. */
enum { WF_STRIP_LEFT = 1, WF_STRIP_RIGHT = 2 };
void wf_tpl_strip(const char **data, size_t *bytes, const wf_tpl_text *set, int sides);
const char *wf_tpl_find(const char *data, size_t bytes, const char *what, size_t n); /* NULL: not there */

/* ---- filters_text.c, methods_text.c: shared by filters and methods ---- */
weft_status wf_tpl_replace(wf_tpl *r, const wf_tpl_text *text, const wf_tpl_text *from, const wf_tpl_text *to, int64_t most,
                           wf_var *out);
weft_status wf_tpl_wordwrap(wf_tpl *r, const wf_tpl_call *c, wf_var *out); /* the filter wordwrap: wrap.c */
weft_status wf_tpl_lines(wf_tpl *r, const wf_tpl_text *text, bool keep_ends, wf_tpl_items *out);
weft_status wf_tpl_justify(wf_tpl *r, wf_var v, char align, int64_t width, const wf_tpl_text *fill, wf_var *out);
weft_status wf_tpl_cased(wf_tpl *r, wf_var v, wf_tpl_case how, wf_var *out);
weft_status wf_tpl_stripped(wf_tpl *r, wf_var v, const wf_tpl_text *set, int sides, wf_var *out);

/* ---- operate.c, attribute.c ---- */
weft_status wf_tpl_binary(wf_tpl *r, char op, wf_var a, wf_var b, wf_var *out); /* + - * / % and 'f' //, 'p' ** */
weft_status wf_tpl_negate(wf_tpl *r, char op, wf_var v, wf_var *out);           /* + or - */
weft_status wf_tpl_repeat(wf_tpl *r, wf_var v, int64_t times, wf_var *out);
weft_status wf_tpl_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out); /* v.name */
weft_status wf_tpl_item(wf_tpl *r, wf_var v, wf_var key, wf_var *out);                   /* v[key] */
weft_status wf_tpl_slice(wf_tpl *r, wf_var v, const wf_var bounds[3], wf_var *out);      /* NONE: not given */
/* getattr() of Python alone; *unsafe: it is there and hidden. */
weft_status wf_tpl_bind(wf_tpl *r, const wf_tpl_row *row, wf_var self, wf_var *out); /* a method */
weft_status wf_tpl_find_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found, bool *unsafe);

/* ---- call.c ---- */
weft_status wf_tpl_run_row(wf_tpl *r, const wf_tpl_row *row, wf_var self, const wf_tpl_args *args, wf_var *out);
weft_status wf_tpl_call_value(wf_tpl *r, wf_var callee, const wf_tpl_args *args, wf_var *out);
const wf_tpl_row *wf_tpl_find_row(const wf_tpl_row *rows, const wf_tpl_text *name);
bool wf_tpl_callable(wf_var v);
const wf_tpl_row *wf_tpl_filter(const wf_tpl_text *name); /* NULL: none */
const wf_tpl_row *wf_tpl_test(const wf_tpl_text *name);
const wf_tpl_row *wf_tpl_function(const wf_tpl_text *name);
weft_status wf_tpl_check_name(wf_tpl *r, wf_var name); /* may a namespace hold it? */
weft_status wf_tpl_truth(wf_tpl *r, const wf_tpl_row *test, wf_var v, const wf_tpl_args *args, bool *out);

/* Reading the arguments of a row. */
weft_status wf_tpl_arg_int(wf_tpl *r, const wf_tpl_call *c, int i, int64_t fallback, int64_t *out);
weft_status wf_tpl_arg_text(wf_tpl *r, const wf_tpl_call *c, int i,
                            const wf_tpl_text **out); /* must be a string; NULL: not given or none */
bool wf_tpl_arg_true(const wf_tpl_call *c, int i, bool fallback);

extern const wf_tpl_row wf_tpl_filters_lists[], wf_tpl_filters_text[], wf_tpl_filters_values[];
extern const wf_tpl_row wf_tpl_string_methods[], wf_tpl_list_methods[], wf_tpl_dict_methods[], wf_tpl_number_methods[],
    wf_tpl_float_methods[], wf_tpl_tuple_methods[], wf_tpl_loop_methods[], wf_tpl_cycler_methods[];

/* ---- eval.c, exec.c, macro.c ---- */
weft_status wf_tpl_eval(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out);
weft_status wf_tpl_assign(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *target, wf_var v);
typedef enum wf_tpl_flow { WF_FLOW_ON, WF_FLOW_BREAK, WF_FLOW_CONTINUE } wf_tpl_flow;
weft_status wf_tpl_exec(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *first, wf_tpl_flow *flow);
weft_status wf_tpl_run_loop(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var over, int64_t depth, wf_tpl_flow *flow);
weft_status wf_tpl_call_loop(wf_tpl *r, wf_tpl_loop *loop, const wf_tpl_args *args, wf_var *out);
weft_status wf_tpl_call_macro(wf_tpl *r, const wf_tpl_macro *m, const wf_tpl_args *args, wf_var *out);
weft_status wf_tpl_new_macro(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, wf_var *out);
weft_status wf_tpl_new_scope(wf_tpl *r, wf_tpl_scope *parent, wf_tpl_scope **out);
void wf_tpl_keep_scope(wf_tpl_scope *s);
weft_status wf_tpl_store(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_text *name, wf_var v);
weft_status wf_tpl_lookup(wf_tpl *r, const wf_tpl_scope *s, const wf_tpl_text *name, wf_var *out);
/* What is written between the two becomes a string instead of output. */
typedef struct wf_tpl_mark {
    size_t length, root; /* of the output; of the capture around */
} wf_tpl_mark;
wf_tpl_mark wf_tpl_capture(wf_tpl *r);
weft_status wf_tpl_captured(wf_tpl *r, wf_tpl_mark mark, wf_var *out);
weft_status wf_tpl_eval_call(wf_tpl *r, wf_tpl_scope *s, const wf_tpl_node *n, const wf_var *caller, wf_var *out);
weft_status wf_tpl_loop_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found);
weft_status wf_tpl_function_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found);
weft_status wf_tpl_macro_attribute(wf_tpl *r, wf_var v, const wf_tpl_text *name, wf_var *out, bool *found);
#endif
