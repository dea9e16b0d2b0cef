#include "base/json.h"
#include <stdio.h>
#include <string.h>

void wf_json_open(wf_json_reader *r, const wf_mem *mem, const char *text, size_t length, weft_error *err) {
    *r = (wf_json_reader){.text = text, .length = length, .first = true, .scratch = wf_str_new(mem), .err = err};
}

void wf_json_close(wf_json_reader *r) { wf_str_free(&r->scratch); }

void wf_json_position(const char *text, size_t offset, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

/* Errors are sticky, so that a caller that overlooks one cannot go on in the middle of a value. */
static weft_status fail(wf_json_reader *r, size_t offset, const char *what) {
    size_t line, column;
    wf_json_position(r->text, offset, &line, &column);
    r->failed = wf_fail_at(r->err, WEFT_BAD_INPUT, (int64_t)offset, "line %zu, column %zu: %s", line, column, what);
    return r->failed;
}

static weft_status fail_expected(wf_json_reader *r, const char *what) {
    char text[128];
    bool ends = r->position >= r->length;
    char c = ends ? 0 : r->text[r->position];
    if (c > 0x20 && c < 0x7f)
        snprintf(text, sizeof text, "%s but found '%c'", what, c);
    else
        snprintf(text, sizeof text, "%s%s", what, ends ? " but the text ends" : "");
    return fail(r, r->position, text);
}

/* Eight bytes, the first one lowest. */
static uint64_t load_eight(const char *p) {
    uint64_t x;
    memcpy(&x, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static inline size_t past_space(const wf_json_reader *r, size_t i) {
    while (i < r->length && is_space(r->text[i])) {
        i++;
        if (i + 8 <= r->length) { /* indentation */
            uint64_t others = load_eight(r->text + i) ^ 0x2020202020202020u;
            i += others ? (size_t)__builtin_ctzll(others) / 8 : 8;
        }
    }
    return i;
}

static void skip_space(wf_json_reader *r) { r->position = past_space(r, r->position); }

static bool at(const wf_json_reader *r, char c) { return r->position < r->length && r->text[r->position] == c; }

/* ---- strings ---- */

/* How many of the eight bytes at `p` come before the first quote, backslash or control character. `beyond` receives the high
 * bits of those. */
static inline size_t eight_inside(const char *p, uint64_t *beyond) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t x = load_eight(p), quote = x ^ ones * '"', backslash = x ^ ones * '\\';
    /* A borrow sets the high bit of a byte that was 0, or less than 0x20 in the third term. The lowest one that is set is
     * right, for borrows go up. */
    uint64_t ends = (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((x - ones * 0x20) & ~x)) & high;
    *beyond |= x & high & (ends ? (ends & (0 - ends)) - 1 : high);
    return ends ? (size_t)__builtin_ctzll(ends) / 8 : 8;
}

/* Characters byte by byte without a branch: each byte's word holds, six bits for each state, the state it leads to. STOP is
 * where no valid character goes on, and where a byte is not plain. */
enum { START, ONE, TWO, THREE, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4, STOP, BITS = 6 };
/* clang-format off */
#define TO(from, to) ((uint64_t)((to) * BITS) << ((from) * BITS))
#define STOPS (TO(START, STOP) | TO(ONE, STOP) | TO(TWO, STOP) | TO(THREE, STOP) | TO(AFTER_E0, STOP) | TO(AFTER_ED, STOP) | \
               TO(AFTER_F0, STOP) | TO(AFTER_F4, STOP) | TO(STOP, STOP))
#define GOES(from, to) (TO(from, STOP) ^ TO(from, to))
#define FIRST(to) (STOPS ^ GOES(START, to))
#define LATER (STOPS ^ GOES(ONE, START) ^ GOES(TWO, ONE) ^ GOES(THREE, TWO))
#define LATER_80 (LATER ^ GOES(AFTER_ED, ONE) ^ GOES(AFTER_F4, TWO))
#define LATER_90 (LATER ^ GOES(AFTER_ED, ONE) ^ GOES(AFTER_F0, TWO))
#define LATER_A0 (LATER ^ GOES(AFTER_E0, ONE) ^ GOES(AFTER_F0, TWO))
#define FOUR(x) x, x, x, x
#define SIXTEEN(x) FOUR(x), FOUR(x), FOUR(x), FOUR(x)
#define PLAIN FIRST(START)
static const uint64_t steps[256] = {
    SIXTEEN(STOPS), SIXTEEN(STOPS),
    PLAIN, PLAIN, STOPS, PLAIN, FOUR(PLAIN), FOUR(PLAIN), FOUR(PLAIN), /* 0x20: but for the quote */
    SIXTEEN(PLAIN), SIXTEEN(PLAIN),
    FOUR(PLAIN), FOUR(PLAIN), FOUR(PLAIN), STOPS, PLAIN, PLAIN, PLAIN, /* 0x50: but for the backslash */
    SIXTEEN(PLAIN), SIXTEEN(PLAIN),
    SIXTEEN(LATER_80), SIXTEEN(LATER_90), SIXTEEN(LATER_A0), SIXTEEN(LATER_A0),
    STOPS, STOPS, FIRST(ONE), FIRST(ONE), FOUR(FIRST(ONE)), FOUR(FIRST(ONE)), FOUR(FIRST(ONE)), /* 0xC0 */
    SIXTEEN(FIRST(ONE)),
    FIRST(AFTER_E0), FIRST(TWO), FIRST(TWO), FIRST(TWO), FOUR(FIRST(TWO)), FOUR(FIRST(TWO)), /* 0xE0 */
    FIRST(TWO), FIRST(AFTER_ED), FIRST(TWO), FIRST(TWO),
    FIRST(AFTER_F0), FIRST(THREE), FIRST(THREE), FIRST(THREE), FIRST(AFTER_F4), STOPS, STOPS, STOPS, /* 0xF0 */
    FOUR(STOPS), FOUR(STOPS)};
/* clang-format on */

/* The first byte from `i`, where a character begins, that is neither plain nor of a valid character. */
static size_t skip_characters(const wf_json_reader *r, size_t i) {
    const unsigned char *text = (const unsigned char *)r->text;
    uint64_t state = START, next = START; /* what is above their lowest six bits means nothing */
    for (; i < r->length; i++) {
        next = steps[text[i]] >> (state & 63);
        if ((next & 63) == STOP * BITS)
            break;
        state = next;
    }
    while ((state & 63) != START && (text[--i] & 0xC0) == 0x80) /* back to where the broken character begins */
        continue;
    return i;
}

/* The first byte from `i` that needs a look, past the plain and valid UTF-8 ones. */
static size_t skip_plain(const wf_json_reader *r, size_t i) {
    size_t end = i, n = 8, first = SIZE_MAX, last = 0; /* first..last: where there are characters beyond ASCII */
    uint64_t state = START;
    for (; n == 8 && end + 8 <= r->length; end += n) {
        uint64_t beyond = 0;
        n = eight_inside(r->text + end, &beyond);
        if (beyond) {
            first = first == SIZE_MAX ? end + (size_t)__builtin_ctzll(beyond) / 8 : first;
            last = end + 8 - (size_t)__builtin_clzll(beyond) / 8;
        }
    }
    for (size_t k = first; n < 8 && k < last; k++)
        state = steps[(unsigned char)r->text[k]] >> (state & 63);
    return n < 8 && (state & 63) == START ? end : skip_characters(r, i);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits at `i`, or -1. */
static int32_t hex4(const wf_json_reader *r, size_t i) {
    int32_t value = 0;
    if (r->length - i < 4)
        return -1;
    for (size_t k = 0; k < 4; k++) {
        int digit = hex_digit(r->text[i + k]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void put_code(wf_str *out, int32_t c) {
    if (c < 0x80) {
        wf_str_putc(out, (char)c);
        return;
    }
    if (c < 0x800) {
        wf_str_putc(out, (char)(0xC0 | c >> 6));
    } else {
        if (c < 0x10000) {
            wf_str_putc(out, (char)(0xE0 | c >> 12));
        } else {
            wf_str_putc(out, (char)(0xF0 | c >> 18));
            wf_str_putc(out, (char)(0x80 | (c >> 12 & 0x3F)));
        }
        wf_str_putc(out, (char)(0x80 | (c >> 6 & 0x3F)));
    }
    wf_str_putc(out, (char)(0x80 | (c & 0x3F)));
}

/* \uXXXX, or two of them for a code point past U+FFFF; position is behind the 'u'. */
static weft_status decode_unicode(wf_json_reader *r) {
    size_t start = r->position - 2;
    int32_t c = hex4(r, r->position);
    if (c < 0)
        return fail(r, start, "\\u must be followed by four hexadecimal digits");
    r->position += 4;
    if (c >= 0xD800 && c < 0xE000) {
        bool pair = c < 0xDC00 && r->length - r->position >= 6 && memcmp(r->text + r->position, "\\u", 2) == 0;
        int32_t low = pair ? hex4(r, r->position + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(r, start, "half of a surrogate pair");
        r->position += 6;
        c = 0x10000 + (c - 0xD800) * 0x400 + (low - 0xDC00);
    }
    put_code(&r->scratch, c);
    return WEFT_OK;
}

static weft_status decode_escape(wf_json_reader *r) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t start = r->position++;
    char c = r->position < r->length ? r->text[r->position] : 0;
    const char *found = c ? strchr(from, c) : NULL;
    if (!found && c != 'u')
        return fail(r, start, "unknown escape");
    r->position++;
    if (c == 'u')
        return decode_unicode(r);
    wf_str_putc(&r->scratch, to[found - from]);
    return WEFT_OK;
}

/* A piece of the text. `decoded` says that it lies in the scratch string at `start`. */
typedef struct view {
    size_t start, length;
    bool decoded;
} view;

static weft_status fail_in_string(wf_json_reader *r, size_t start) {
    if (r->position >= r->length)
        return fail(r, start, "the string has no end");
    unsigned char c = (unsigned char)r->text[r->position];
    return fail(r, r->position, c < 0x20 ? "a control character in a string must be escaped" : "invalid UTF-8");
}

static weft_status read_string(wf_json_reader *r, view *out) {
    size_t quote = r->position++, piece = r->position;
    *out = (view){.start = piece};
    for (;;) {
        r->position = skip_plain(r, piece);
        bool escape = at(r, '\\');
        if (!escape && !at(r, '"'))
            return fail_in_string(r, quote);
        if (escape && !out->decoded)
            *out = (view){.start = r->scratch.length, .decoded = true};
        if (out->decoded)
            wf_str_put(&r->scratch, r->text + piece, r->position - piece);
        if (!escape)
            break;
        WF_TRY(decode_escape(r));
        piece = r->position;
    }
    if (r->scratch.failed)
        return r->failed = wf_fail_memory(r->err);
    out->length = (out->decoded ? r->scratch.length : r->position) - out->start;
    r->position++;
    return WEFT_OK;
}

/* ---- numbers and words ---- */

static size_t skip_digits(const wf_json_reader *r, size_t i) {
    while (i < r->length && r->text[i] >= '0' && r->text[i] <= '9')
        i++;
    return i;
}

static weft_status read_number(wf_json_reader *r, view *out) {
    size_t start = r->position, digits;
    r->position = digits = start + at(r, '-');
    r->position = skip_digits(r, digits);
    if (r->position == digits)
        return fail_expected(r, "expected a digit");
    if (r->text[digits] == '0' && r->position > digits + 1)
        return fail(r, start, "a number cannot begin with 0");
    if (at(r, '.')) {
        digits = ++r->position;
        r->position = skip_digits(r, digits);
        if (r->position == digits)
            return fail_expected(r, "expected a digit after the point");
    }
    if (at(r, 'e') || at(r, 'E')) {
        r->position++;
        r->position += at(r, '+') || at(r, '-');
        digits = r->position;
        r->position = skip_digits(r, digits);
        if (r->position == digits)
            return fail_expected(r, "expected a digit in the exponent");
    }
    *out = (view){.start = start, .length = r->position - start};
    return WEFT_OK;
}

static weft_status read_word(wf_json_reader *r, wf_json_kind *kind) {
    static const char *const words[] = {[WF_JSON_NULL] = "null", [WF_JSON_FALSE] = "false", [WF_JSON_TRUE] = "true"};
    for (size_t k = 0; k < 3; k++) {
        size_t n = strlen(words[k]);
        if (r->length - r->position >= n && memcmp(r->text + r->position, words[k], n) == 0) {
            r->position += n;
            *kind = (wf_json_kind)k;
            return WEFT_OK;
        }
    }
    return fail_expected(r, "expected a value");
}

/* ---- structure ---- */

static weft_status enter(wf_json_reader *r, wf_json_kind *kind) {
    char c = r->text[r->position];
    if (r->depth == WF_JSON_MAX_DEPTH)
        return fail(r, r->position, "nested too deeply (the limit is 256)");
    r->position++;
    r->stack[r->depth++] = (uint8_t)c;
    r->first = true;
    *kind = c == '{' ? WF_JSON_OBJECT : WF_JSON_ARRAY;
    return WEFT_OK;
}

static weft_status read_value(wf_json_reader *r, wf_json_kind *kind, view *out) {
    skip_space(r);
    r->value_offset = r->position;
    char c = r->position < r->length ? r->text[r->position] : 0;
    r->first = false;
    if (c == '{' || c == '[')
        return enter(r, kind);
    if (c == '"') {
        *kind = WF_JSON_STRING;
        return read_string(r, out);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        *kind = WF_JSON_NUMBER;
        return read_number(r, out);
    }
    return read_word(r, kind);
}

static weft_status read_key(wf_json_reader *r, view *key) {
    if (!at(r, '"'))
        return fail_expected(r, "expected a name in quotes");
    r->key_offset = r->position;
    WF_TRY(read_string(r, key));
    skip_space(r);
    if (!at(r, ':'))
        return fail_expected(r, "expected ':'");
    r->position++;
    return WEFT_OK;
}

/* Between two values of a level: its end, or the comma and the next name. */
static weft_status advance(wf_json_reader *r, wf_json_kind *kind, view *key) {
    bool object = r->stack[r->depth - 1] == '{';
    if (at(r, object ? '}' : ']')) {
        r->position++;
        r->depth--;
        r->first = false;
        *kind = WF_JSON_END;
        return WEFT_OK;
    }
    if (!r->first) {
        if (!at(r, ','))
            return fail_expected(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
        r->position++;
        skip_space(r);
    }
    return object ? read_key(r, key) : WEFT_OK;
}

static const char *text_of(const wf_json_reader *r, view v) { return (v.decoded ? r->scratch.data : r->text) + v.start; }

weft_status wf_json_next(wf_json_reader *r, wf_json_kind *kind, const char **key, size_t *key_length, const char **value,
                         size_t *value_length) {
    view name = {0}, content = {0};
    *kind = WF_JSON_NULL;
    if (r->failed)
        return r->failed;
    skip_space(r);
    if (r->scratch.length)
        wf_str_clear(&r->scratch);
    bool has_key = r->depth > 0 && r->stack[r->depth - 1] == '{';
    if (r->depth > 0) {
        WF_TRY(advance(r, kind, &name));
    } else if (r->started) {
        if (r->position < r->length)
            return fail(r, r->position, "unexpected text after the value");
        *kind = WF_JSON_END;
    }
    r->started = true;
    if (*kind == WF_JSON_END)
        return WEFT_OK;
    WF_TRY(read_value(r, kind, &content));
    if (key)
        *key = has_key ? text_of(r, name) : NULL;
    if (key_length)
        *key_length = name.length;
    if (value)
        *value = *kind == WF_JSON_STRING || *kind == WF_JSON_NUMBER ? text_of(r, content) : NULL;
    if (value_length)
        *value_length = content.length;
    return WEFT_OK;
}

/* ---- the usual element in a straight line ---- */

/* Where the next element begins, behind white space and the comma; SIZE_MAX when that takes a closer look. */
static inline size_t element_start(const wf_json_reader *r) {
    size_t i = past_space(r, r->position);
    if (r->failed || r->depth == 0 || i >= r->length)
        return SIZE_MAX;
    if (r->first)
        return i;
    return r->text[i] == ',' ? past_space(r, i + 1) : SIZE_MAX;
}

/* A string without escapes from its quote on; returns the place behind it, SIZE_MAX when it is not one. */
static inline size_t quick_string(const wf_json_reader *r, size_t i, const char **text, size_t *length) {
    if (i >= r->length || r->text[i] != '"')
        return SIZE_MAX;
    size_t end = skip_plain(r, i + 1);
    if (end >= r->length || r->text[end] != '"')
        return SIZE_MAX;
    *text = r->text + i + 1;
    *length = end - i - 1;
    return end + 1;
}

static inline size_t quick_char(const wf_json_reader *r, size_t i, char c) {
    i = i < r->length ? past_space(r, i) : r->length;
    return i < r->length && r->text[i] == c ? past_space(r, i + 1) : SIZE_MAX;
}

/* The element that began at `start` is read up to `end`; SIZE_MAX: it was not of the usual form. */
static inline bool take_quick(wf_json_reader *r, size_t start, size_t end) {
    if (end == SIZE_MAX)
        return false;
    r->value_offset = start;
    r->position = end;
    r->first = false;
    return true;
}

bool wf_json_quick_strings(wf_json_reader *r, size_t n, const char *texts[], size_t lengths[]) {
    size_t i = element_start(r), start = i;
    if (i == SIZE_MAX || r->stack[r->depth - 1] != '[')
        return false;
    if (n > 1)
        i = quick_char(r, i, '[');
    for (size_t k = 0; k < n && i != SIZE_MAX; k++) {
        if (k > 0)
            i = quick_char(r, i, ',');
        i = quick_string(r, i, &texts[k], &lengths[k]);
    }
    if (n > 1 && i != SIZE_MAX)
        i = quick_char(r, i, ']');
    return take_quick(r, start, i);
}

/* Behind the number at `i`, one without an exponent; SIZE_MAX when it is not one. */
static inline size_t quick_number(const wf_json_reader *r, size_t i) {
    size_t digits = i + (i < r->length && r->text[i] == '-'), end = i < r->length ? skip_digits(r, digits) : i;
    if (end == digits || end >= r->length || (r->text[digits] == '0' && end > digits + 1))
        return SIZE_MAX;
    if (r->text[end] != '.')
        return end;
    digits = end + 1;
    end = skip_digits(r, digits);
    return end > digits ? end : SIZE_MAX;
}

bool wf_json_quick_scored(wf_json_reader *r, const char *texts[2], size_t lengths[2]) {
    size_t i = element_start(r), start = i, number;
    if (i == SIZE_MAX || r->stack[r->depth - 1] != '[')
        return false;
    i = quick_string(r, quick_char(r, i, '['), &texts[0], &lengths[0]);
    i = quick_char(r, i, ',');
    number = quick_number(r, i);
    texts[1] = r->text + (number == SIZE_MAX ? 0 : i);
    lengths[1] = number - i;
    return take_quick(r, start, quick_char(r, number, ']'));
}

/* Behind the name at `start`, which ends at `i`, its number. */
static inline bool quick_count(wf_json_reader *r, size_t start, size_t i, uint32_t *value) {
    enum { DIGITS = 9 };
    size_t digits;
    i = quick_char(r, i, ':');
    if (i == SIZE_MAX)
        return false;
    for (*value = 0, digits = i; i < r->length && r->text[i] >= '0' && r->text[i] <= '9' && i - digits <= DIGITS; i++)
        *value = *value * 10 + (uint32_t)(r->text[i] - '0');
    bool ends = i < r->length && (r->text[i] == ',' || r->text[i] == '}' || is_space(r->text[i]));
    if (!ends || i == digits || i - digits > DIGITS || (r->text[digits] == '0' && i > digits + 1))
        return false;
    r->key_offset = start;
    r->value_offset = digits;
    r->position = i;
    r->first = false;
    return true;
}

bool wf_json_quick_count(wf_json_reader *r, const char **key, size_t *key_length, uint32_t *value) {
    size_t start = element_start(r);
    return start != SIZE_MAX && r->stack[r->depth - 1] == '{' &&
           quick_count(r, start, quick_string(r, start, key, key_length), value);
}

bool wf_json_quick_raw_count(wf_json_reader *r, const char **key, size_t *key_length, uint32_t *value) {
    size_t start = element_start(r), i = start;
    if (start == SIZE_MAX || r->stack[r->depth - 1] != '{' || r->text[start] != '"')
        return false;
    for (i++; i < r->length && r->text[i] != '"'; i++)
        i += r->text[i] == '\\';
    *key = r->text + start + 1;
    *key_length = i - start - 1;
    return i < r->length && quick_count(r, start, i + 1, value);
}

weft_status wf_json_skip(wf_json_reader *r) {
    wf_json_kind kind;
    for (int outside = r->depth - 1; r->depth > outside && outside >= 0;)
        WF_TRY(wf_json_next(r, &kind, NULL, NULL, NULL, NULL));
    return r->failed;
}

/* ---- two readers of one text ---- */

void wf_json_ahead(const wf_json_reader *r, char bracket, size_t offset, bool first, wf_json_reader *out) {
    *out = *r;
    out->scratch = wf_str_new(r->scratch.mem);
    out->position = offset;
    out->stack[out->depth - 1] = (uint8_t)bracket;
    out->first = first;
}

void wf_json_follow(wf_json_reader *r, const wf_json_reader *ahead) {
    r->position = ahead->position;
    r->depth--;
    r->first = false;
}
