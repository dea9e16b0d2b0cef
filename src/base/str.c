#include "base/str.h"
#include "base/checked.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

wf_str wf_str_new(const wf_mem *mem) { return (wf_str){.mem = mem}; }

void wf_str_free(wf_str *s) {
    wf_free(s->mem, s->data);
    *s = (wf_str){.mem = s->mem};
}

void wf_str_clear(wf_str *s) {
    s->length = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = 0;
}

/* Makes room for `more` bytes and the final 0. */
static bool reserve(wf_str *s, size_t more) {
    size_t need;
    if (s->failed)
        return false;
    if (wf_add_size(s->length, more, &need) && wf_add_size(need, 1, &need)) {
        void *data = s->data;
        if (wf_grow(s->mem, &data, &s->capacity, need, 1, NULL) == WEFT_OK) {
            s->data = data;
            return true;
        }
    }
    s->failed = true;
    return false;
}

void wf_str_put(wf_str *s, const char *data, size_t n) {
    if (!reserve(s, n))
        return;
    if (n)
        memcpy(s->data + s->length, data, n);
    s->length += n;
    s->data[s->length] = 0;
}

void wf_str_puts(wf_str *s, const char *text) { wf_str_put(s, text, strlen(text)); }

void wf_str_putc(wf_str *s, char c) {
    if (s->length + 1 >= s->capacity || s->failed) {
        wf_str_put(s, &c, 1);
        return;
    }
    s->data[s->length++] = c;
    s->data[s->length] = 0;
}

void wf_str_printf(wf_str *s, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0)
        s->failed = true;
    else if (reserve(s, (size_t)length)) {
        vsnprintf(s->data + s->length, (size_t)length + 1, fmt, again);
        s->length += (size_t)length;
    }
    va_end(again);
}

const char *wf_str_text(const wf_str *s) { return s->data ? s->data : ""; }

bool wf_streq(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

bool wf_starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool wf_ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

enum { LONGEST_WORD = 64 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Edit distance where a swap of neighbours counts as one; words longer than the rows count as far apart. */
static size_t edit_distance(const char *a, size_t n, const char *b) {
    size_t rows[3][LONGEST_WORD + 1], m = strlen(b);
    if (n > LONGEST_WORD || m > LONGEST_WORD)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *before = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(before[j - 1] + (a[i - 1] != b[j - 1]), least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], twice[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *wf_nearest(const char *word, const char *(*next)(const void *user, size_t i), const void *user) {
    size_t length = strlen(word), best = length / 3 > 1 ? length / 3 + 1 : 2;
    const char *nearest = NULL, *candidate;
    for (size_t i = 0; (candidate = next(user, i)) != NULL; i++) {
        size_t distance = edit_distance(word, length, candidate);
        if (distance < best) {
            best = distance;
            nearest = candidate;
        }
    }
    return nearest;
}

void wf_format_count(double value, char out[16]) {
    static const char *const units[] = {"", "K", "M", "B", "T"};
    size_t unit = 0;
    while (unit < 4 && fabs(value) >= 999.5) { /* 999.5 would print as 1000 with three digits */
        value /= 1000;
        unit++;
    }
    snprintf(out, 16, fabs(value) < 999.5 ? "%.3g%s" : "%.1e%s", value, units[unit]);
}

int wf_utf8_length(const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    if (n == 0 || s[0] < 0xC2)
        return n > 0 && s[0] < 0x80;
    if (s[0] < 0xE0)
        return n >= 2 && (s[1] & 0xC0) == 0x80 ? 2 : 0;
    /* The second byte excludes overlong forms, surrogates and what lies past U+10FFFF. */
    unsigned char low = 0x80, high = 0xBF;
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    if (s[0] > 0xF4 || n < 3 || s[1] < low || s[1] > high || (s[2] & 0xC0) != 0x80)
        return 0;
    if (s[0] < 0xF0)
        return 3;
    return n >= 4 && (s[3] & 0xC0) == 0x80 ? 4 : 0;
}

size_t wf_utf8_mark(const char *text, size_t n) { return n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; }
