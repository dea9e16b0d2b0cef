/* regex_ruby.c - patterns in Ruby's dialect (Oniguruma, which the reference runs) written for PCRE2. What means the same in
 * both passes through; the rest is spelled out; what neither can be is refused by name. */
#include "text/regex_ruby.h"

#include <stdio.h>
#include <string.h>

#include "text/regex_folds.h"
#include "text/regex_sets.h"

enum { DEEPEST = 32 };

typedef struct parser {
    const char *p;
    size_t n, at;
    wf_str *out;
    size_t atom;        /* where the last atom begins in `out`: what a quantifier repeats */
    size_t groups[100]; /* where the open groups begin in `out` */
    int depth, captures;
    bool caseless; /* (?i */
    bool extended; /* (?x */
    bool behind;   /* inside a look-behind */
    bool looking;  /* inside any look-around */
    struct {
        bool caseless, extended, behind, looking;
        int more; /* brackets that close with the group */
    } outer[101]; /* how it was where each open group began; [0] the whole */
    bool named;   /* some groups have names: then those without are no captures */
    weft_error *err;
} parser;

enum { SHOWN = 120 /* bytes of a pattern in a message */ };

/* Of the first line, whole characters. */
static int shown(const parser *s) {
    size_t n = 0, length;
    while (n < s->n && n < SHOWN && (uint8_t)s->p[n] >= 0x20)
        n++;
    for (length = n; length > 0 && length < s->n && ((uint8_t)s->p[length] & 0xC0u) == 0x80u;)
        length--;
    return (int)length;
}

static weft_status refuse(const parser *s, size_t at, const char *what) {
    return wf_fail_at(s->err, WEFT_UNSUPPORTED, (int64_t)at, "the regular expression has %s, at byte %zu of %.*s", what, at,
                      shown(s), s->p);
}

static weft_status wrong(const parser *s, size_t at, const char *what) {
    return wf_fail_at(s->err, WEFT_BAD_INPUT, (int64_t)at, "the regular expression is wrong: %s, at byte %zu of %.*s", what, at,
                      shown(s), s->p);
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

/* Oniguruma takes case away from classes as a whole, PCRE2 from their characters: sets that know case would differ. */
static bool knows_case(const char *name, size_t n) {
    static const char *const names[] = {"upper", "lower", "Upper", "Lower", "Lu", "Ll", "Lt", "LC"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n == strlen(names[i]) && memcmp(names[i], name, n) == 0)
            return true;
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
    if (s->caseless && place != WF_SET_ALONE && knows_case(name, length))
        return refuse(s, start, "a set of capitals or small letters where case is ignored");
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
    if (!inside && !s->named && p[0] >= '1' && p[0] - '0' <= s->captures && (left < 2 || p[1] < '0' || p[1] > '9')) {
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

/* \cA: a control character. */
static bool read_control(parser *s, wf_str *out) {
    char c = s->at + 1 < s->n ? s->p[s->at + 1] : 0;
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
        return false;
    wf_str_printf(out, "\\x{%x}", (unsigned)c & 0x1Fu);
    s->at += 2;
    return true;
}

/* Escapes of Oniguruma that nothing of PCRE2 is. */
static const struct {
    char letter;
    const char *name;
} foreign[] = {
    {'X', "\\X (text segments)"},     {'y', "\\y (an edge of text segments)"}, {'Y', "\\Y (an edge of text segments)"},
    {'g', "\\g (a call of a group)"}, {'M', "\\M (a meta character)"},         {'C', "\\C (a control character)"}};

static weft_status refuse_escape(const parser *s, size_t start) {
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (foreign[i].letter == s->p[start + 1])
            return refuse(s, start, foreign[i].name);
    return refuse(s, start, "an escape that regex engines read differently");
}

static weft_status read_plain_escape(parser *s, wf_str *out, size_t start, const char *more) {
    char e = s->p[s->at];
    if (e == 'c' && read_control(s, out))
        return WEFT_OK;
    if (e == 'x' || e == 'u')
        return read_code(s, out) ? WEFT_OK : refuse(s, start, "an escape that is not known");
    if (e >= '0' && e <= '9' && read_number(s, out, more[0] == 'b'))
        return WEFT_OK;
    if (!is_common_escape(e) && !strchr(more, e))
        return refuse_escape(s, start);
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
    known = known && !(s->caseless && knows_case(name, length));
    if (known)
        put_set(c, &members, negated != inverse);
    wf_str_free(&members);
    return known ? WEFT_OK : refuse(s, start, "a [:class:] that is not known, or one that knows case where that is ignored");
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

/* <name>, as PCRE2 allows it: its length with the brackets, 0 for another one. */
static size_t name_length(const parser *s, size_t at) {
    enum { LONGEST = 32 };
    size_t n = 1;
    if (at >= s->n || s->p[at] != '<')
        return 0;
    for (char c; at + n < s->n && n <= LONGEST; n++) {
        c = s->p[at + n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_', digit = c >= '0' && c <= '9';
        if (c == '>' && n > 1)
            return n + 1;
        if (!letter && !(digit && n > 1))
            return 0;
    }
    return 0;
}

/* \k<name> */
static weft_status read_reference(parser *s, size_t start) {
    size_t n = name_length(s, s->at + 1);
    if (!n)
        return refuse(s, start, "a reference that regex engines read differently");
    wf_str_printf(s->out, "(?:\\k%.*s)", (int)n, s->p + s->at + 1);
    s->at += 1 + n;
    return WEFT_OK;
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
    if (e == 'k')
        return read_reference(s, start);
    if (e == 'K' && s->looking)
        return refuse(s, start, "\\K inside a look-around");
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
    s->outer[s->depth].caseless = s->caseless;
    s->outer[s->depth].extended = s->extended;
    s->outer[s->depth].behind = s->behind;
    s->outer[s->depth].looking = s->looking;
    s->outer[s->depth].more = 0;
    wf_str_putc(s->out, '(');
    if (s->at >= s->n || s->p[s->at] != '?') {
        if (s->named)
            wf_str_puts(s->out, "?:");
        s->captures++;
        return WEFT_OK;
    }
    size_t name = name_length(s, s->at + 1);
    if (name) {
        wf_str_put(s->out, s->p + s->at, 1 + name);
        s->at += 1 + name;
        return WEFT_OK;
    }
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        size_t n = strlen(same[i]);
        if (n <= s->n - s->at && memcmp(s->p + s->at, same[i], n) == 0) {
            wf_str_put(s->out, same[i], n);
            s->at += n;
            s->behind = s->behind || same[i][1] == '<';
            s->looking = s->looking || strchr("=!<", same[i][1]) != NULL;
            return WEFT_OK;
        }
    }
    if (s->at + 1 < s->n && s->p[s->at + 1] == '~')
        return refuse(s, start, "(?~ (what is absent)");
    bool on = true;
    for (wf_str_putc(s->out, s->p[s->at++]); s->at < s->n; s->at++) {
        char c = s->p[s->at];
        if (c == ':' || c == ')') {
            wf_str_putc(s->out, ':');
            s->at++;
            if (c == ')') /* until the group around it ends, and over its other branches */
                s->outer[--s->depth].more++;
            return WEFT_OK;
        }
        if (!strchr("imx-", c))
            return refuse(s, start, "a group that regex engines read differently");
        on = on && c != '-';
        s->caseless = c == 'i' ? on : s->caseless;
        s->extended = c == 'x' ? on : s->extended;
        wf_str_putc(s->out, c == 'm' ? 's' : c);
    }
    return wrong(s, start, "a group without its )");
}

static weft_status close_group(parser *s) {
    if (s->depth == 0)
        return wrong(s, s->at, "a ) too many");
    for (int i = s->outer[s->depth].more; i > 0; i--)
        wf_str_putc(s->out, ')');
    s->caseless = s->outer[s->depth].caseless;
    s->extended = s->outer[s->depth].extended;
    s->behind = s->outer[s->depth].behind;
    s->looking = s->outer[s->depth].looking;
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

/* ---- characters that are several without their case ---- */

static const struct {
    const char *letters, *one, *others; /* `one`, or any of the class `others` */
} folds[] = {{"ffi", "\xEF\xAC\x83", "\xEF\xAC\x83"},
             {"ffl", "\xEF\xAC\x84", "\xEF\xAC\x84"},
             {"ff", "\xEF\xAC\x80", "\xEF\xAC\x80"},
             {"fi", "\xEF\xAC\x81", "\xEF\xAC\x81"},
             {"fl", "\xEF\xAC\x82", "\xEF\xAC\x82"},
             {"st", "\xEF\xAC\x86", "\xEF\xAC\x85\xEF\xAC\x86"},
             {"st", "\xEF\xAC\x85", "\xEF\xAC\x85\xEF\xAC\x86"},
             {"ss", "\xC3\x9F", "\xC3\x9F\xE1\xBA\x9E"},
             {"ss", "\xE1\xBA\x9E", "\xC3\x9F\xE1\xBA\x9E"}};
enum { FOLDS = sizeof folds / sizeof *folds, LONGEST_RUN = 6 };

/* How many of the n letters the fold's are; 0: they begin otherwise, or the fold before is the same. */
static size_t fold_length(size_t fold, const char *p, size_t n) {
    size_t length = strlen(folds[fold].letters), same = 0;
    while (same < length && same < n && (p[same] | 32) == folds[fold].letters[same])
        same++;
    bool again = fold > 0 && wf_streq(folds[fold].letters, folds[fold - 1].letters);
    return same == length && !again ? length : 0;
}

/* All ways to write n letters, LONGEST_RUN at most. */
static void put_ways(parser *s, const char *p, size_t n) {
    if (n == 0)
        return;
    wf_str_printf(s->out, "(?:%c", p[0]);
    put_ways(s, p + 1, n - 1);
    for (size_t i = 0; i < FOLDS; i++) {
        size_t length = fold_length(i, p, n);
        if (!length)
            continue;
        wf_str_printf(s->out, "|[%s]", folds[i].others);
        put_ways(s, p + length, n - length);
    }
    wf_str_putc(s->out, ')');
}

/* The letters from s->at on in which folds overlap; 0 when none begins there. The last one may belong to a quantifier. */
static size_t run_of_folds(const parser *s) {
    const char *p = s->p + s->at;
    size_t left = s->n - s->at, reach = 0;
    for (size_t i = 0; i == 0 || (i < reach && reach <= LONGEST_RUN); i++)
        for (size_t f = 0; f < FOLDS; f++) {
            size_t length = fold_length(f, p + i, left - i);
            reach = length && i + length > reach ? i + length : reach;
        }
    return reach && reach < left && strchr("*+?{", p[reach]) ? reach - 1 : reach;
}

/* What Oniguruma finds as "ss" where case is ignored is also one character, and the other way round. */
static bool read_fold(parser *s) {
    if (!s->caseless || s->extended || s->behind)
        return false;
    size_t n = run_of_folds(s), start = s->out->length;
    const char *letters = s->p + s->at;
    size_t taken = n;
    for (size_t i = 0; i < FOLDS && n == 0; i++) {
        size_t length = strlen(folds[i].one);
        if (length > s->n - s->at || memcmp(s->p + s->at, folds[i].one, length) != 0)
            continue;
        letters = folds[i].letters;
        n = strlen(letters);
        taken = length;
    }
    if (n < 2 || n > LONGEST_RUN)
        return false;
    s->atom = start;
    put_ways(s, letters, n);
    s->at += taken;
    return true;
}

/* A set of characters that are several where case is ignored is those too. */
static weft_status read_set_and_folds(parser *s) {
    bool negated = s->at + 1 < s->n && s->p[s->at + 1] == '^', longer = false;
    size_t start = s->at;
    s->atom = s->out->length;
    WF_TRY(read_class(s, s->out, 0));
    if (!s->caseless || negated || s->out->failed)
        return WEFT_OK;
    wf_str ways = wf_str_new(s->out->mem);
    const char *members = wf_str_text(s->out) + s->atom;
    weft_status status = wf_regex_folds(members, s->out->length - s->atom, &ways, &longer, s->err);
    if (status == WEFT_OK && longer && s->behind)
        status = refuse(s, start, "a set of characters that are several where case is ignored, inside a look-behind");
    if (status == WEFT_OK && ways.length && !s->behind) {
        wf_str_puts(s->out, wf_str_text(&ways));
        wrap_atom(s);
    }
    s->out->failed |= ways.failed;
    wf_str_free(&ways);
    return status;
}

static weft_status read_one(parser *s) {
    char c = s->p[s->at];
    switch (c) {
    case '\\':
        return read_escape(s);
    case '[':
        return read_set_and_folds(s);
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
        if (read_fold(s))
            return WEFT_OK;
        if (!strchr("*+?|", c) && ((uint8_t)c & 0xC0u) != 0x80u)
            s->atom = s->out->length;
        wf_str_putc(s->out, c);
    }
    s->at++;
    return WEFT_OK;
}

/* Looked for where it could stand; a pattern that only seems to have one just loses captures that nothing refers to. */
static bool has_names(const parser *s) {
    for (size_t i = 0; i + 3 < s->n; i++)
        if (memcmp(s->p + i, "(?<", 3) == 0 && name_length(s, i + 2))
            return true;
    return false;
}

weft_status wf_regex_from_ruby(const char *pattern, size_t n, wf_str *out, weft_error *err) {
    parser s = {.p = pattern, .n = n, .out = out, .err = err};
    s.named = has_names(&s);
    while (s.at < n)
        WF_TRY(read_one(&s));
    if (s.depth > 0)
        return wrong(&s, n, "a group without its )");
    for (int i = s.outer[0].more; i > 0; i--)
        wf_str_putc(out, ')');
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}
