/* lexer.c - the tokens of a template, as the lexer of jinja2 3.1 finds them with trim_blocks and lstrip_blocks. */
#include <string.h>
#include "template/syntax.h"

typedef struct lexer {
    wf_tpl *r;
    const char *s;
    size_t n, at;
    uint32_t line;
    bool line_starting; /* the last thing read ended a line */
    char balance[WF_TPL_NODE_DEPTH];
    int open;
    wf_tpl_token *tokens;
    size_t count, capacity;
} lexer;

static weft_status fail(lexer *l, const char *what) {
    l->r->line = l->line;
    return wf_tpl_fail(l->r, WF_TEMPLATE_SYNTAX, "%s", what);
}

static weft_status push(lexer *l, wf_tpl_token_kind kind, char op, wf_var value) {
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 64;
        wf_tpl_token *more = wf_arena_alloc(&l->r->arena, capacity * sizeof *more);
        WF_TPL_NEED(l->r, more);
        if (l->count)
            memcpy(more, l->tokens, l->count * sizeof *more);
        l->tokens = more;
        l->capacity = capacity;
    }
    l->tokens[l->count++] = (wf_tpl_token){kind, l->line, op, value};
    return WEFT_OK;
}

static weft_status push_text(lexer *l, wf_tpl_token_kind kind, const char *data, size_t n) {
    wf_var value;
    WF_TRY(wf_var_string(l->r, data, n, &value));
    return push(l, kind, 0, value);
}

/* Moves on by n bytes, counting lines. */
static void pass(lexer *l, size_t n) {
    for (size_t i = 0; i < n; i++)
        l->line += l->s[l->at + i] == '\n';
    if (n)
        l->line_starting = l->s[l->at + n - 1] == '\n';
    l->at += n;
}

static bool at_text(const lexer *l, size_t at, const char *what) {
    size_t n = strlen(what);
    return l->n - at >= n && memcmp(l->s + at, what, n) == 0;
}

static size_t spaces(const lexer *l, size_t at) {
    size_t start = at, length;
    while (at < l->n && wf_tpl_is_space(wf_tpl_char(l->s + at, l->n - at, &length)))
        at += length;
    return at - start;
}

/* Length of what closes a comment or block here, 0 when nothing does: "+X", "-X" and white space, "X" and one newline. */
static size_t closing(const lexer *l, size_t at, const char *close, bool plus, bool trims) {
    if (plus && l->s[at] == '+' && at_text(l, at + 1, close))
        return 3;
    if (l->s[at] == '-' && at_text(l, at + 1, close))
        return 3 + spaces(l, at + 3);
    if (at_text(l, at, close))
        return 2 + (trims && at + 2 < l->n && l->s[at + 2] == '\n');
    return 0;
}

/* Text in front of a tag whose sign is '-', '+' or something else: cut as the sign and lstrip_blocks say. */
static weft_status put_data(lexer *l, size_t from, size_t to, char sign, bool variable) {
    const char *data = l->s + from, *line;
    size_t n = to - from;
    if (sign == '-') {
        wf_tpl_strip(&data, &n, NULL, WF_STRIP_RIGHT);
    } else if (sign != '+' && !variable) {
        size_t start = n;
        while (start > 0 && data[start - 1] != '\n')
            start--;
        line = data + start;
        size_t rest = n - start;
        wf_tpl_strip(&line, &rest, NULL, WF_STRIP_RIGHT);
        if ((start > 0 || l->line_starting) && rest == 0)
            n = start;
    }
    return n ? push_text(l, WF_TOK_DATA, data, n) : WEFT_OK;
}

/* ---- raw blocks and comments ---- */

/* At "{%": the length of a whole {% raw %} tag, 0 when it is another one. */
static size_t raw_tag(const lexer *l, size_t at) {
    size_t i = at + 2;
    i += i < l->n && (l->s[i] == '-' || l->s[i] == '+');
    i += spaces(l, i);
    if (!at_text(l, i, "raw"))
        return 0;
    i += 3;
    i += spaces(l, i);
    size_t end = i < l->n ? closing(l, i, "%}", false, false) : 0;
    return end ? i + end - at : 0;
}

static size_t endraw_tag(const lexer *l, size_t at) {
    size_t i = at + 2;
    i += i < l->n && (l->s[i] == '-' || l->s[i] == '+');
    i += spaces(l, i);
    if (!at_text(l, i, "endraw"))
        return 0;
    i += 6;
    i += spaces(l, i);
    size_t end = i < l->n ? closing(l, i, "%}", true, true) : 0;
    return end ? i + end - at : 0;
}

static weft_status read_raw(lexer *l) {
    size_t start = l->at;
    for (size_t i = start; i < l->n; i++) {
        size_t tag = at_text(l, i, "{%") ? endraw_tag(l, i) : 0;
        if (!tag)
            continue;
        WF_TRY(put_data(l, start, i, l->s[i + 2], false));
        pass(l, i + tag - start);
        return WEFT_OK;
    }
    return start < l->n ? fail(l, "Missing end of raw directive") : WEFT_OK;
}

static weft_status read_comment(lexer *l) {
    size_t start = l->at;
    for (size_t i = start; i < l->n; i++) {
        size_t end = closing(l, i, "#}", true, true);
        if (end) {
            pass(l, i + end - start);
            return WEFT_OK;
        }
    }
    if (start < l->n)
        return fail(l, "Missing end of comment tag");
    return WEFT_OK;
}

/* ---- inside tags ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int digit_value(char c) {
    if (is_digit(c))
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return 99;
}

/* Digits of a base with single underscores between them; `lead`: an underscore may come first. */
static size_t digits(const lexer *l, size_t at, int base, bool lead) {
    size_t i = at;
    while (i < l->n) {
        size_t skip = l->s[i] == '_' && (i > at || lead) ? 1 : 0;
        if (i + skip >= l->n || digit_value(l->s[i + skip]) >= base)
            break;
        i += skip + 1;
    }
    return i - at;
}

static size_t exponent(const lexer *l, size_t at) {
    if (at >= l->n || (l->s[at] | 32) != 'e')
        return 0;
    size_t sign = at + 1 < l->n && (l->s[at + 1] == '+' || l->s[at + 1] == '-');
    size_t n = digits(l, at + 1 + sign, 10, false);
    return n ? 1 + sign + n : 0;
}

static size_t float_length(const lexer *l) {
    size_t n = digits(l, l->at, 10, false), fraction = 0;
    if (!n || (l->at > 0 && l->s[l->at - 1] == '.'))
        return 0;
    if (l->at + n < l->n && l->s[l->at + n] == '.') {
        fraction = digits(l, l->at + n + 1, 10, false);
        fraction += fraction > 0;
    }
    size_t e = exponent(l, l->at + n + fraction);
    return fraction || e ? n + fraction + e : 0;
}

static size_t integer_length(const lexer *l, int *base) {
    static const char letters[] = "box";
    static const int bases[] = {2, 8, 16};
    const char *letter = l->s[l->at] == '0' && l->at + 1 < l->n ? strchr(letters, l->s[l->at + 1] | 32) : NULL;
    *base = 10;
    if (letter && *letter) {
        size_t n = digits(l, l->at + 2, bases[letter - letters], true);
        if (n) {
            *base = bases[letter - letters];
            return n + 2;
        }
    }
    if (l->s[l->at] != '0')
        return digits(l, l->at, 10, false);
    size_t n = 1;
    while (l->at + n < l->n && (l->s[l->at + n] == '0' || (l->s[l->at + n] == '_' && at_text(l, l->at + n + 1, "0"))))
        n += l->s[l->at + n] == '_' ? 2 : 1;
    return n;
}

/* A number without its underscores. */
static weft_status read_number(lexer *l, bool *found) {
    int base = 10;
    size_t n = float_length(l), kept = 0;
    bool whole = n == 0;
    wf_var value = wf_var_none();
    double d = 0;
    if (!is_digit(l->s[l->at]))
        return WEFT_OK;
    if (whole)
        n = integer_length(l, &base);
    char *text = wf_arena_alloc(&l->r->arena, n + 1);
    WF_TPL_NEED(l->r, text);
    for (size_t i = 0; i < n; i++)
        if (l->s[l->at + i] != '_')
            text[kept++] = l->s[l->at + i];
    *found = true;
    if (whole && !wf_tpl_read_int(text, kept, base, l->r, &value))
        return fail(l, "malformed number");
    if (!whole) {
        if (!wf_tpl_read_float(text, kept, &d))
            return fail(l, "malformed number");
        value = wf_var_float(d);
    }
    WF_TRY(push(l, whole ? WF_TOK_INTEGER : WF_TOK_FLOAT, 0, value));
    pass(l, n);
    return WEFT_OK;
}

static weft_status read_name(lexer *l, bool *found) {
    size_t end = l->at, length;
    while (end < l->n && wf_tpl_is_name_char(wf_tpl_char(l->s + end, l->n - end, &length)))
        end += length;
    *found = end > l->at;
    if (!*found)
        return WEFT_OK;
    if (!wf_tpl_text_is(WF_IS_IDENTIFIER, l->s + l->at, end - l->at))
        return fail(l, "Invalid character in identifier");
    WF_TRY(push_text(l, WF_TOK_NAME, l->s + l->at, end - l->at));
    pass(l, end - l->at);
    return WEFT_OK;
}

/* ---- strings ---- */

static bool hex(const char *s, size_t n, size_t want, uint32_t *out) {
    *out = 0;
    for (size_t i = 0; i < want; i++) {
        if (i >= n || digit_value(s[i]) >= 16)
            return false;
        *out = *out * 16 + (uint32_t)digit_value(s[i]);
    }
    return true;
}

/* \xHH \uHHHH \UHHHHHHHH; two surrogates in a row are one character. Returns the bytes read after the letter, 0: malformed. */
static size_t hex_escape(const char *s, size_t n, uint32_t *c) {
    size_t want = s[0] == 'x' ? 2 : s[0] == 'u' ? 4 : 8;
    uint32_t low;
    if (!hex(s + 1, n - 1, want, c) || *c > 0x10FFFF)
        return 0;
    if (*c < 0xD800 || *c > 0xDFFF)
        return want;
    if (*c < 0xDC00 && n >= want + 7 && s[want + 1] == '\\' && s[want + 2] == 'u' && hex(s + want + 3, n - want - 3, 4, &low) &&
        low >= 0xDC00 && low <= 0xDFFF) {
        *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
        return want + 6;
    }
    return 0; /* half a character has no UTF-8 */
}

static size_t name_escape(const char *s, size_t n, uint32_t *c) {
    const char *end = n > 1 && s[1] == '{' ? memchr(s, '}', n) : NULL;
    if (!end || !wf_tpl_named_char(s + 2, (size_t)(end - s) - 2, c))
        return 0;
    return (size_t)(end - s);
}

static size_t octal_escape(const char *s, size_t n, uint32_t *c) {
    size_t i = 0;
    for (*c = 0; i < 3 && i < n && s[i] >= '0' && s[i] <= '7'; i++)
        *c = *c * 8 + (uint32_t)(s[i] - '0');
    return i;
}

/* A backslash in front of a character beyond ASCII: the reference writes its number out. */
static size_t beyond_ascii(const char *s, size_t n, wf_str *out) {
    size_t length;
    uint32_t c = wf_tpl_char(s, n, &length);
    wf_str_putc(out, '\\');
    wf_str_printf(out, c < 0x100 ? "x%02x" : c < 0x10000 ? "u%04x" : "U%08x", (unsigned)c);
    return length;
}

/* The escape whose letter is at s; returns the bytes read, 0 when malformed. */
static size_t unescape(const char *s, size_t n, wf_str *out) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *simple = *s ? strchr(from, *s) : NULL;
    uint32_t c;
    size_t used;
    if (simple) {
        wf_str_putc(out, to[simple - from]);
        return 1;
    }
    if (*s == '\n')
        return 1;
    if (*s >= '0' && *s <= '7') {
        used = octal_escape(s, n, &c);
        wf_tpl_put_char(out, c);
        return used;
    }
    if (*s == 'x' || *s == 'u' || *s == 'U' || *s == 'N') {
        used = *s == 'N' ? name_escape(s, n, &c) : hex_escape(s, n, &c);
        wf_tpl_put_char(out, used ? c : ' ');
        return used ? used + 1 : 0;
    }
    if ((unsigned char)*s >= 128)
        return beyond_ascii(s, n, out);
    wf_str_putc(out, '\\');
    wf_str_putc(out, *s);
    return 1;
}

static weft_status read_string(lexer *l, bool *found) {
    char quote = l->s[l->at];
    size_t end = l->at + 1;
    if (quote != '\'' && quote != '"')
        return WEFT_OK;
    while (end < l->n && l->s[end] != quote)
        end += l->s[end] == '\\' ? 2 : 1;
    if (end >= l->n)
        return WEFT_OK; /* no end: the quote is an unexpected character */
    *found = true;
    wf_str text = wf_str_new(l->r->arena.mem);
    wf_var value;
    bool good = true;
    for (size_t i = l->at + 1; good && i < end;) {
        if (l->s[i] != '\\') {
            wf_str_putc(&text, l->s[i++]);
            continue;
        }
        size_t used = unescape(l->s + i + 1, end - i - 1, &text);
        good = used > 0;
        i += used + 1;
    }
    WF_TRY(wf_var_take(l->r, &text, &value));
    if (!good)
        return fail(l, "malformed escape in a string (a character that has no UTF-8, or a name that is not known)");
    WF_TRY(push(l, WF_TOK_STRING, 0, value));
    pass(l, end + 1 - l->at);
    return WEFT_OK;
}

/* ---- operators ---- */

static weft_status balance(lexer *l, char c) {
    static const char open[] = "([{", close[] = ")]}";
    const char *o = strchr(open, c), *e = strchr(close, c);
    if (o) {
        if (l->open == WF_TPL_NODE_DEPTH) {
            l->r->line = l->line;
            return wf_tpl_fail(l->r, WF_TEMPLATE_LIMIT, "nested more than %d deep", (int)WF_TPL_NODE_DEPTH);
        }
        l->balance[l->open++] = close[o - open];
    } else if (e && (l->open == 0 || l->balance[--l->open] != c)) {
        return fail(l, "unbalanced brackets");
    }
    return WEFT_OK;
}

static weft_status read_operator(lexer *l, bool *found) {
    static const char *const two[] = {"//f", "**p", "==e", "!=n", ">=g", "<=l"};
    static const char one[] = "+-/*%~[](){}><=.:|,;";
    char c = l->s[l->at];
    size_t n = 0;
    for (size_t i = 0; i < sizeof two / sizeof *two && !n; i++) {
        if (l->n - l->at >= 2 && memcmp(two[i], l->s + l->at, 2) == 0) {
            c = two[i][2];
            n = 2;
        }
    }
    if (!n && c && strchr(one, c))
        n = 1;
    *found = n > 0;
    if (!n)
        return WEFT_OK;
    if (n == 1)
        WF_TRY(balance(l, c));
    WF_TRY(push(l, WF_TOK_OPERATOR, c, wf_var_none()));
    pass(l, n);
    return WEFT_OK;
}

static weft_status unexpected(lexer *l) {
    size_t length;
    wf_tpl_char(l->s + l->at, l->n - l->at, &length);
    l->r->line = l->line;
    return wf_tpl_fail(l->r, WF_TEMPLATE_SYNTAX, "unexpected char '%.*s' at %zu", (int)length, l->s + l->at,
                       wf_tpl_count_chars(l->s, l->at));
}

/* The inside of {{ }} or {% %}. */
static weft_status read_tag(lexer *l, bool block) {
    static weft_status (*const readers[])(lexer *, bool *) = {read_number, read_name, read_string, read_operator};
    while (l->at < l->n) {
        size_t end = l->open ? 0 : closing(l, l->at, block ? "%}" : "}}", block, block), blank;
        if (end) {
            WF_TRY(push(l, block ? WF_TOK_CLOSE_BLOCK : WF_TOK_CLOSE_PRINT, 0, wf_var_none()));
            pass(l, end);
            return WEFT_OK;
        }
        if ((blank = spaces(l, l->at)) > 0) {
            pass(l, blank);
            continue;
        }
        bool found = false;
        for (size_t i = 0; i < sizeof readers / sizeof *readers && !found; i++)
            WF_TRY(readers[i](l, &found));
        if (!found)
            return unexpected(l);
    }
    return WEFT_OK;
}

static bool starts_tag(const lexer *l, size_t at) {
    return l->s[at] == '{' && at + 1 < l->n && (l->s[at + 1] == '%' || l->s[at + 1] == '{' || l->s[at + 1] == '#');
}

/* Text up to the next tag, and the tag. */
static weft_status read_root(lexer *l) {
    size_t from = l->at, at = from;
    while (at < l->n && !starts_tag(l, at))
        at++;
    if (at == l->n) {
        WF_TRY(push_text(l, WF_TOK_DATA, l->s + from, at - from));
        pass(l, at - from);
        return WEFT_OK;
    }
    char kind = l->s[at + 1], sign = at + 2 < l->n ? l->s[at + 2] : 0;
    size_t raw = kind == '%' ? raw_tag(l, at) : 0;
    WF_TRY(put_data(l, from, at, sign, kind == '{'));
    pass(l, at - from + (raw ? raw : 2u + (sign == '-' || sign == '+')));
    if (raw)
        return read_raw(l);
    if (kind == '#')
        return read_comment(l);
    WF_TRY(push(l, kind == '%' ? WF_TOK_OPEN_BLOCK : WF_TOK_OPEN_PRINT, 0, wf_var_none()));
    return read_tag(l, kind == '%');
}

/* Newlines become \n; one at the end is dropped. */
static weft_status normalize(lexer *l, const char *source, size_t length) {
    char *s = wf_arena_alloc(&l->r->arena, length + 1);
    WF_TPL_NEED(l->r, s);
    for (size_t i = 0; i < length; i++) {
        bool feed = source[i] == '\r';
        s[l->n++] = feed ? '\n' : source[i];
        i += feed && i + 1 < length && source[i + 1] == '\n';
    }
    l->n -= l->n > 0 && s[l->n - 1] == '\n';
    l->s = s;
    return WEFT_OK;
}

weft_status wf_tpl_lex(wf_tpl *r, const char *source, size_t length, wf_tpl_token **out, size_t *count) {
    lexer l = {.r = r, .line = 1, .line_starting = true};
    for (size_t i = 0, n; i < length; i += (size_t)n)
        if ((n = (size_t)wf_utf8_length(source + i, length - i)) == 0)
            return wf_tpl_fail(r, WF_TEMPLATE_SYNTAX, "byte %zu of the template is not UTF-8", i);
    WF_TRY(normalize(&l, source, length));
    while (l.at < l.n)
        WF_TRY(read_root(&l));
    WF_TRY(push(&l, WF_TOK_END, 0, wf_var_none()));
    *out = l.tokens;
    *count = l.count;
    return WEFT_OK;
}
