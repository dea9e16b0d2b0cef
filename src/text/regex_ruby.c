/* regex_ruby.c - patterns in Ruby's dialect (Oniguruma, which the reference runs) written for PCRE2. What means the same in
 * both passes through; the rest is spelled out; what neither can be is refused by name. */
#include "text/regex_ruby.h"

#include <stdio.h>
#include <string.h>

#include "text/regex_sets.h"

enum { DEEPEST = 32 };

typedef struct parser {
    const char *p;
    size_t n, at;
    wf_str *out;
    size_t atom;        /* where the last atom begins in `out`: what a quantifier repeats */
    size_t groups[100]; /* where the open groups begin in `out` */
    int depth, captures;
    weft_error *err;
} parser;

static weft_status refuse(const parser *s, size_t at, const char *what) {
    return wf_fail_at(s->err, WEFT_UNSUPPORTED, (int64_t)at, "the regular expression has %s, at byte %zu", what, at);
}

static weft_status wrong(const parser *s, size_t at, const char *what) {
    return wf_fail_at(s->err, WEFT_BAD_INPUT, (int64_t)at, "the regular expression is wrong: %s, at byte %zu", what, at);
}

/* ---- classes ---- */

/* One level of a class: characters that fit into brackets, and what must stand beside them as alternatives. */
typedef struct class {
    wf_str items, others; /* others: "|[^a]|(?:...)" */
} class;

static weft_status read_class(parser *s, wf_str *out, int depth);

/* A set joins the class: its members, or beside them what is outside of those. */
static void put_set(class *c, const wf_str *members, bool outside) {
    if (outside)
        wf_str_printf(&c->others, "|[^%s]", wf_str_text(members));
    else
        wf_str_put(&c->items, wf_str_text(members), members->length);
    c->items.failed |= members->failed;
}

/* The name in \p{...} or [:...:]; *negated when a ^ precedes it. */
static bool take_name(parser *s, const char *end, const char **name, size_t *length, bool *negated) {
    size_t n = strlen(end);
    *negated = s->at < s->n && s->p[s->at] == '^';
    s->at += *negated;
    *name = s->p + s->at;
    for (*length = 0; s->at + n <= s->n; s->at++, ++*length)
        if (memcmp(s->p + s->at, end, n) == 0) {
            s->at += n;
            return true;
        }
    return false;
}

/* \p{L}, \P{L}, \p{^L}: its members, or with *outside those that are not in it. */
static weft_status read_property(parser *s, wf_set_place place, wf_str *members, bool *outside) {
    size_t start = s->at, length;
    bool capital = s->p[s->at] == 'P', negated, inverse;
    const char *name;
    s->at++;
    if (s->at >= s->n || s->p[s->at] != '{')
        return wrong(s, start, "\\p without {name}");
    s->at++;
    if (!take_name(s, "}", &name, &length, &negated))
        return wrong(s, start, "\\p{ without }");
    wf_regex_set(name, length, place, members, &inverse);
    *outside = (negated != capital) != inverse;
    return WEFT_OK;
}

/* \p{...}, \w and the like at s->at; *found is false for other escapes. */
static weft_status read_set(parser *s, wf_set_place place, wf_str *members, bool *outside, bool *found) {
    char e = s->p[s->at];
    const char *name = wf_regex_set_of_escape(e);
    *found = e == 'p' || e == 'P' || name;
    if (!*found || !name)
        return *found ? read_property(s, place, members, outside) : WEFT_OK;
    wf_regex_set(name, strlen(name), place, members, outside);
    *outside = e >= 'A' && e <= 'Z';
    s->at++;
    return WEFT_OK;
}

/* Escapes of one character that mean the same in both. */
static bool is_common_escape(char c) {
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return !alphanumeric || strchr("rntfvae", c) != NULL;
}

/* \xHH, \x{H...}, \uHHHH */
static bool read_code(parser *s, wf_str *out) {
    char kind = s->p[s->at];
    bool braces = kind == 'x' && s->at + 1 < s->n && s->p[s->at + 1] == '{';
    size_t at = s->at + 1 + braces, most = braces ? 8 : kind == 'u' ? 4 : 2;
    unsigned code = 0;
    size_t digits = 0;
    for (; digits < most && at < s->n; digits++, at++) {
        char c = s->p[at], low = (char)(c | 32);
        int v = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (v < 0)
            break;
        code = code << 4 | (unsigned)v;
    }
    if (digits == 0 || (kind == 'u' && digits < 4) || (braces && (at >= s->n || s->p[at] != '}')) ||
        (!braces && code > 0x7F && kind == 'x'))
        return false;
    s->at = at + braces;
    wf_str_printf(out, "\\x{%x}", code);
    return true;
}

/* \1 where there is such a group, else the octal number of a character. */
static bool read_number(parser *s, wf_str *out, bool inside) {
    const char *p = s->p + s->at;
    size_t left = s->n - s->at, digits = 0;
    unsigned code = 0;
    if (!inside && p[0] >= '1' && p[0] - '0' <= s->captures && (left < 2 || p[1] < '0' || p[1] > '9')) {
        wf_str_printf(out, "(?:\\%c)", p[0]);
        s->at++;
        return true;
    }
    for (; digits < 3 && digits < left && p[digits] >= '0' && p[digits] <= '7'; digits++)
        code = code * 8 + (unsigned)(p[digits] - '0');
    if (digits == 0 || (p[0] != '0' && digits < 2) || code > 127)
        return false;
    wf_str_printf(out, "\\x{%x}", code);
    s->at += digits;
    return true;
}

static weft_status read_plain_escape(parser *s, wf_str *out, size_t start, const char *more) {
    char e = s->p[s->at];
    if (e == 'x' || e == 'u')
        return read_code(s, out) ? WEFT_OK : refuse(s, start, "an escape that is not known");
    if (e >= '0' && e <= '9' && read_number(s, out, more[0] == 'b'))
        return WEFT_OK;
    if (!is_common_escape(e) && !strchr(more, e))
        return refuse(s, start, "an escape that regex engines read differently");
    if (e == 'v')
        wf_str_puts(out, "\\x{b}");
    else
        wf_str_put(out, s->p + start, 2);
    s->at++;
    return WEFT_OK;
}

static weft_status read_class_escape(parser *s, class *c) {
    size_t start = s->at++;
    bool outside, found;
    if (s->at >= s->n)
        return wrong(s, start, "it ends in a backslash");
    wf_str members = wf_str_new(s->out->mem);
    weft_status status = read_set(s, WF_SET_INSIDE, &members, &outside, &found);
    if (status == WEFT_OK && found)
        put_set(c, &members, outside);
    wf_str_free(&members);
    return status != WEFT_OK || found ? status : read_plain_escape(s, &c->items, start, "b");
}

/* [:alpha:] and [:^alpha:] */
static weft_status read_bracket_set(parser *s, class *c) {
    size_t start = s->at, length;
    const char *name;
    bool negated, inverse;
    wf_str members = wf_str_new(s->out->mem);
    s->at += 2;
    bool known =
        take_name(s, ":]", &name, &length, &negated) && wf_regex_set(name, length, WF_SET_BRACKETS, &members, &inverse);
    if (known)
        put_set(c, &members, negated != inverse);
    wf_str_free(&members);
    return known ? WEFT_OK : refuse(s, start, "a [:class:] that is not known");
}

/* That, or a class inside the class. */
static weft_status read_inner_class(parser *s, class *c, int depth) {
    if (s->at + 1 < s->n && s->p[s->at + 1] == ':')
        return read_bracket_set(s, c);
    wf_str inner = wf_str_new(s->out->mem);
    weft_status status = read_class(s, &inner, depth + 1);
    bool simple = inner.length > 2 && inner.data[0] == '[' && inner.data[1] != '^';
    if (status == WEFT_OK && simple) /* a union: its members join ours */
        wf_str_put(&c->items, inner.data + 1, inner.length - 2);
    else if (status == WEFT_OK)
        wf_str_printf(&c->others, "|%s", wf_str_text(&inner));
    if (status == WEFT_OK && inner.failed)
        status = wf_fail_memory(s->err);
    wf_str_free(&inner);
    return status;
}

/* The members up to `&&` or `]`. */
static weft_status read_members(parser *s, class *c, int depth) {
    for (bool first = true;; first = false) {
        if (s->at >= s->n)
            return wrong(s, s->n, "a class without its ]");
        char x = s->p[s->at];
        if ((x == ']' && !first) || (x == '&' && s->at + 1 < s->n && s->p[s->at + 1] == '&'))
            return WEFT_OK;
        if (x == '\\') {
            WF_TRY(read_class_escape(s, c));
        } else if (x == '[') {
            WF_TRY(read_inner_class(s, c, depth));
        } else {
            if (x == ']' || x == '^')
                wf_str_putc(&c->items, '\\');
            wf_str_putc(&c->items, x);
            s->at++;
        }
    }
}

/* A pattern for one character of the set. */
static void put_union(const class *c, wf_str *out) {
    if (c->others.length == 0 && c->items.length == 0)
        wf_str_puts(out, "(?!)");
    else if (c->others.length == 0)
        wf_str_printf(out, "[%s]", wf_str_text(&c->items));
    else if (c->items.length == 0)
        wf_str_printf(out, "(?:%s)", wf_str_text(&c->others) + 1);
    else
        wf_str_printf(out, "(?:[%s]%s)", wf_str_text(&c->items), wf_str_text(&c->others));
}

/* `]` is next, or `&&`: then the set meets the next one. */
static weft_status read_intersection(parser *s, wf_str *out, int depth) {
    for (bool more = true; more;) {
        class c = {wf_str_new(s->out->mem), wf_str_new(s->out->mem)};
        wf_str one = wf_str_new(s->out->mem);
        weft_status status = read_members(s, &c, depth);
        more = status == WEFT_OK && s->p[s->at] == '&';
        s->at += more ? 2 : 1;
        put_union(&c, &one);
        if (more)
            wf_str_printf(out, "(?=%s)", wf_str_text(&one));
        else
            wf_str_put(out, wf_str_text(&one), one.length);
        if (status == WEFT_OK && (c.items.failed || c.others.failed || one.failed))
            status = wf_fail_memory(s->err);
        wf_str_free(&c.items);
        wf_str_free(&c.others);
        wf_str_free(&one);
        WF_TRY(status);
    }
    return WEFT_OK;
}

/* Reads from `[` to `]`; writes a pattern for one character. */
static weft_status read_class(parser *s, wf_str *out, int depth) {
    if (depth > DEEPEST)
        return refuse(s, s->at, "classes inside classes, too deep");
    s->at++;
    bool negated = s->at < s->n && s->p[s->at] == '^';
    s->at += negated;
    wf_str inner = wf_str_new(s->out->mem);
    weft_status status = read_intersection(s, &inner, depth);
    bool plain = inner.length > 1 && inner.data[0] == '[', meets = inner.length > 2 && memcmp(inner.data, "(?=", 3) == 0;
    if (status == WEFT_OK && !negated)
        wf_str_printf(out, meets ? "(?:%s)" : "%s", wf_str_text(&inner));
    else if (status == WEFT_OK && plain)
        wf_str_printf(out, "[^%s", inner.data + 1);
    else if (status == WEFT_OK)
        wf_str_printf(out, "(?:(?!%s)(?s:.))", wf_str_text(&inner));
    if (status == WEFT_OK && (inner.failed || out->failed))
        status = wf_fail_memory(s->err);
    wf_str_free(&inner);
    return status;
}

/* ---- outside classes ---- */

/* \b and \B: \w on one side only. */
static void put_edge(parser *s, bool inside) {
    bool outside;
    wf_str w = wf_str_new(s->out->mem);
    wf_regex_set("word", strlen("word"), WF_SET_ALONE, &w, &outside);
    const char *m = wf_str_text(&w);
    wf_str_printf(s->out, inside ? "(?!(?:(?<=[%s])(?![%s])|(?<![%s])(?=[%s])))" : "(?:(?<=[%s])(?![%s])|(?<![%s])(?=[%s]))", m,
                  m, m, m);
    s->out->failed |= w.failed;
    wf_str_free(&w);
    s->at++;
}

static weft_status read_escape(parser *s) {
    size_t start = s->at++;
    bool outside, found;
    if (s->at >= s->n)
        return wrong(s, start, "it ends in a backslash");
    char e = s->p[s->at];
    s->atom = s->out->length;
    if (e == 'b' || e == 'B') {
        put_edge(s, e == 'B');
        return WEFT_OK;
    }
    if (e == 'O') { /* any character */
        wf_str_puts(s->out, "(?s:.)");
        s->at++;
        return WEFT_OK;
    }
    wf_str members = wf_str_new(s->out->mem);
    weft_status status = read_set(s, WF_SET_ALONE, &members, &outside, &found);
    if (status == WEFT_OK && found)
        wf_str_printf(s->out, "[%s%s]", outside ? "^" : "", wf_str_text(&members));
    s->out->failed |= members.failed;
    wf_str_free(&members);
    return status != WEFT_OK || found ? status : read_plain_escape(s, s->out, start, "AzZGRNK");
}

/* What opens a group. Ruby's option m is Perl's s; its other options are the same. */
static weft_status open_group(parser *s) {
    static const char *const same[] = {"?:", "?=", "?!", "?<=", "?<!", "?>", "?#"};
    size_t start = s->at++;
    if (s->depth == (int)(sizeof s->groups / sizeof *s->groups))
        return refuse(s, start, "too many groups inside each other");
    s->groups[s->depth++] = s->out->length;
    wf_str_putc(s->out, '(');
    if (s->at >= s->n || s->p[s->at] != '?') {
        s->captures++;
        return WEFT_OK;
    }
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        size_t n = strlen(same[i]);
        if (n <= s->n - s->at && memcmp(s->p + s->at, same[i], n) == 0) {
            wf_str_put(s->out, same[i], n);
            s->at += n;
            return WEFT_OK;
        }
    }
    for (wf_str_putc(s->out, s->p[s->at++]); s->at < s->n; s->at++) {
        char c = s->p[s->at];
        if (c == ':' || c == ')') {
            if (c == ':')
                wf_str_putc(s->out, s->p[s->at++]);
            return WEFT_OK;
        }
        if (!strchr("imx-", c))
            return refuse(s, start, "a group that regex engines read differently");
        wf_str_putc(s->out, c == 'm' ? 's' : c);
    }
    return wrong(s, start, "a group without its )");
}

static weft_status close_group(parser *s) {
    if (s->depth == 0)
        return wrong(s, s->at, "a ) too many");
    s->atom = s->groups[--s->depth];
    wf_str_putc(s->out, s->p[s->at++]);
    return WEFT_OK;
}

/* Puts "(?:" before the last atom: what follows repeats all of it. */
static void wrap_atom(parser *s) {
    wf_str rest = wf_str_new(s->out->mem);
    wf_str_put(&rest, wf_str_text(s->out) + s->atom, s->out->length - s->atom);
    s->out->failed |= rest.failed;
    if (!s->out->failed) {
        s->out->length = s->atom;
        wf_str_printf(s->out, "(?:%s)", wf_str_text(&rest));
    }
    wf_str_free(&rest);
}

/* {n}, {n,}, {,m}, {n,m}; false when it is no such thing, but plain text. A + after it repeats the repetition, and so does a ?
 * after {n}. */
static bool read_interval(parser *s) {
    size_t at = s->at + 1, first = at;
    while (at < s->n && s->p[at] >= '0' && s->p[at] <= '9')
        at++;
    size_t digits = at - first;
    bool comma = at < s->n && s->p[at] == ',';
    size_t second = at += comma;
    while (comma && at < s->n && s->p[at] >= '0' && s->p[at] <= '9')
        at++;
    if (at >= s->n || s->p[at] != '}' || (digits == 0 && at == second))
        return false;
    wf_str_printf(s->out, "{%.*s%s%.*s}", digits ? (int)digits : 1, digits ? s->p + first : "0", comma ? "," : "",
                  (int)(at - second), s->p + second);
    s->at = at + 1;
    char next = s->at < s->n ? s->p[s->at] : 0;
    if (next == '+' || (next == '?' && !comma))
        wrap_atom(s);
    return true;
}

static weft_status read_one(parser *s) {
    char c = s->p[s->at];
    switch (c) {
    case '\\':
        return read_escape(s);
    case '[':
        s->atom = s->out->length;
        return read_class(s, s->out, 0);
    case '(':
        return open_group(s);
    case ')':
        return close_group(s);
    case '^':
    case '$': /* anchors of lines */
        s->atom = s->out->length;
        wf_str_printf(s->out, "(?m:%c)", c);
        break;
    case '{':
        if (read_interval(s))
            return WEFT_OK;
        s->atom = s->out->length;
        wf_str_puts(s->out, "\\{");
        break;
    default:
        if (!strchr("*+?|", c) && ((uint8_t)c & 0xC0u) != 0x80u)
            s->atom = s->out->length;
        wf_str_putc(s->out, c);
    }
    s->at++;
    return WEFT_OK;
}

weft_status wf_regex_from_ruby(const char *pattern, size_t n, wf_str *out, weft_error *err) {
    parser s = {.p = pattern, .n = n, .out = out, .err = err};
    while (s.at < n)
        WF_TRY(read_one(&s));
    if (s.depth > 0)
        return wrong(&s, n, "a group without its )");
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}
