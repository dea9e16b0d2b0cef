/* regex_ruby.c - patterns in Ruby's dialect (Oniguruma, which the reference runs) written for PCRE2. What means the same in
 * both passes through; the rest is spelled out; what neither can be is refused by name. */
#include "text/regex_ruby.h"

#include <stdio.h>
#include <string.h>

#define SPACES "\\x{9}-\\x{d} \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORDS                                                                                                                  \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-" \
    "\\x{1f169}\\x{1f170}-\\x{1f189}"

/* What became a letter or a number after Unicode 14, which some PCRE2 in use know, up to Unicode 16, which the reference knows.
 */
/* clang-format off */
#define NEW_LETTERS \
    "\\x{1c89}-\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}\\x{10d4a}-\\x{10d65}" \
    "\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{1123f}\\x{11240}\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}" \
    "\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}" \
    "\\x{11f12}-\\x{11f33}\\x{1342f}\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}" \
    "\\x{16d40}-\\x{16d6c}\\x{18cff}\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}\\x{1e030}-\\x{1e06d}" \
    "\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"
#define NEW_NUMBERS \
    "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}\\x{16130}-\\x{16139}" \
    "\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}"
/* clang-format on */

/* Named sets of characters: as an escape (lower case the set, upper case what is outside), [:name:] and \p{name}. PCRE2's own
 * \s has U+180E, which is no white space, and its \w has no marks. */
typedef struct set {
    char escape;
    const char *name;
    const char *members; /* inside brackets */
} set;
static const set sets[] = {
    {0, "l", "\\p{L}" NEW_LETTERS},
    {0, "n", "\\p{N}" NEW_NUMBERS},
    {'s', "space", SPACES},
    {'w', "word", WORDS},
    {'d', "digit", "\\p{Nd}"},
    {'h', "xdigit", "0-9a-fA-F"},
    {0, "alpha", "\\p{L}\\p{M}\\p{Nl}"},
    {0, "alnum", "\\p{L}\\p{M}\\p{Nl}\\p{Nd}"},
    {0, "upper", "\\p{Lu}"},
    {0, "lower", "\\p{Ll}"},
    {0, "punct", "\\p{P}$+<=>^`|~"},
    {0, "cntrl", "\\p{Cc}"},
    {0, "blank", "\\p{Zs}\\x{9}"},
    {0, "ascii", "\\x{0}-\\x{7f}"},
};
enum { SETS = sizeof sets / sizeof *sets, DEEPEST = 32 };

typedef struct parser {
    const char *p;
    size_t n, at;
    wf_str *out;
    size_t atom;        /* where the last atom begins in `out`: what a quantifier repeats */
    size_t groups[100]; /* where the open groups begin in `out` */
    int depth;
    weft_error *err;
} parser;

static weft_status refuse(const parser *s, size_t at, const char *what) {
    return wf_fail_at(s->err, WEFT_UNSUPPORTED, (int64_t)at, "the regular expression has %s, at byte %zu", what, at);
}

static weft_status wrong(const parser *s, size_t at, const char *what) {
    return wf_fail_at(s->err, WEFT_BAD_INPUT, (int64_t)at, "the regular expression is wrong: %s, at byte %zu", what, at);
}

static const set *set_of_escape(char c) {
    for (int i = 0; i < SETS; i++)
        if (sets[i].escape && (c | 32) == sets[i].escape)
            return &sets[i];
    return NULL;
}

static const set *set_of_name(const char *name, size_t n) {
    for (int i = 0; i < SETS; i++)
        if (strlen(sets[i].name) == n)
            for (size_t k = 0; (name[k] | 32) == sets[i].name[k]; k++)
                if (k + 1 == n)
                    return &sets[i];
    return NULL;
}

/* ---- classes ---- */

/* One level of a class: characters that fit into brackets, and what must stand beside them as alternatives. */
typedef struct class {
    wf_str items, others; /* others: "|[^a]|(?:...)" */
} class;

static weft_status read_class(parser *s, wf_str *out, int depth);

static void put_outside(class *c, const char *members) { wf_str_printf(&c->others, "|[^%s]", members); }

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

/* \p{L}, \P{L}, \p{^L}: as something inside brackets, or one of our sets, whose members are returned. */
static weft_status read_property(parser *s, bool outside, wf_str *direct, const set **named, bool *negated) {
    size_t start = s->at, length;
    const char *name;
    if (s->at >= s->n || s->p[s->at] != '{')
        return wrong(s, start, "\\p without {name}");
    s->at++;
    if (!take_name(s, "}", &name, &length, negated))
        return wrong(s, start, "\\p{ without }");
    *negated = *negated != outside;
    *named = set_of_name(name, length);
    if (!*named)
        wf_str_printf(direct, "\\%c{%.*s}", *negated ? 'P' : 'p', (int)length, name);
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

static weft_status read_class_escape(parser *s, class *c) {
    size_t start = s->at++;
    const set *named;
    bool negated;
    if (s->at >= s->n)
        return wrong(s, start, "it ends in a backslash");
    char e = s->p[s->at];
    if (e == 'p' || e == 'P') {
        s->at++;
        WF_TRY(read_property(s, e == 'P', &c->items, &named, &negated));
    } else {
        named = set_of_escape(e);
        negated = named && e != named->escape;
        if (!named && (e == 'x' || e == 'u'))
            return read_code(s, &c->items) ? WEFT_OK : refuse(s, start, "an escape that is not known");
        if (!named && !is_common_escape(e))
            return refuse(s, start, "an escape that regex engines read differently");
        if (!named)
            wf_str_put(&c->items, s->p + start, 2);
        s->at++;
    }
    if (named && negated)
        put_outside(c, named->members);
    else if (named)
        wf_str_puts(&c->items, named->members);
    return WEFT_OK;
}

/* [:alpha:] and [:^alpha:], or a class inside the class. */
static weft_status read_inner_class(parser *s, class *c, int depth) {
    size_t start = s->at, length;
    const char *name;
    bool negated;
    if (s->at + 1 < s->n && s->p[s->at + 1] == ':') {
        s->at += 2;
        const set *named = take_name(s, ":]", &name, &length, &negated) ? set_of_name(name, length) : NULL;
        if (!named)
            return refuse(s, start, "a [:class:] that is not known");
        if (negated)
            put_outside(c, named->members);
        else
            wf_str_puts(&c->items, named->members);
        return WEFT_OK;
    }
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

static weft_status read_escape(parser *s) {
    size_t start = s->at++;
    if (s->at >= s->n)
        return wrong(s, start, "it ends in a backslash");
    char e = s->p[s->at];
    const set *named = NULL;
    bool negated = false;
    s->atom = s->out->length;
    if (e == 'p' || e == 'P') {
        s->at++;
        WF_TRY(read_property(s, e == 'P', s->out, &named, &negated));
    } else if (e == 'x' || e == 'u') {
        return read_code(s, s->out) ? WEFT_OK : refuse(s, start, "an escape that is not known");
    } else if (e == 'b' || e == 'B') {
        static const char edge[] = "(?:(?<=[" WORDS "])(?![" WORDS "])|(?<![" WORDS "])(?=[" WORDS "]))";
        wf_str_printf(s->out, e == 'b' ? "%s" : "(?!%s)", edge);
        s->at++;
    } else {
        named = set_of_escape(e);
        negated = named && e != named->escape;
        if (!named && !is_common_escape(e) && !strchr("AzZ", e))
            return refuse(s, start, "an escape that regex engines read differently");
        if (!named)
            wf_str_put(s->out, s->p + start, 2);
        s->at++;
    }
    if (named)
        wf_str_printf(s->out, "[%s%s]", negated ? "^" : "", named->members);
    return WEFT_OK;
}

/* What opens a group. Ruby's option m is Perl's s; its other options are the same. */
static weft_status open_group(parser *s) {
    static const char *const same[] = {"?:", "?=", "?!", "?<=", "?<!", "?>", "?#"};
    size_t start = s->at++;
    if (s->depth == (int)(sizeof s->groups / sizeof *s->groups))
        return refuse(s, start, "too many groups inside each other");
    s->groups[s->depth++] = s->out->length;
    wf_str_putc(s->out, '(');
    if (s->at >= s->n || s->p[s->at] != '?')
        return WEFT_OK;
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
