/* str.h - growing byte strings, and helpers over C strings. A wf_str that failed to grow stays failed and drops what follows;
 * check `failed` once at the end. */
#ifndef WF_BASE_STR_H
#define WF_BASE_STR_H
#include <stdbool.h>
#include "base/mem.h"

typedef struct wf_str {
    char *data; /* always 0-terminated once something was put; NULL before */
    size_t length, capacity;
    const wf_mem *mem;
    bool failed;
} wf_str;

wf_str wf_str_new(const wf_mem *mem);
void wf_str_free(wf_str *s);
void wf_str_clear(wf_str *s); /* keeps the memory */
void wf_str_put(wf_str *s, const char *data, size_t n);
void wf_str_puts(wf_str *s, const char *text);
void wf_str_putc(wf_str *s, char c);
void wf_str_printf(wf_str *s, const char *fmt, ...) WF_PRINTF(2, 3);
const char *wf_str_text(const wf_str *s); /* never NULL */

bool wf_streq(const char *a, const char *b); /* NULL equals NULL only */
bool wf_starts_with(const char *text, const char *prefix);
bool wf_ends_with(const char *text, const char *suffix);
/* Strict whole-string decimal numbers (an optional sign first; no spaces, hexadecimal, inf or nan), independent of the locale;
 * false on anything else, on overflow, and for more than 1000 bytes. */
bool wf_parse_i64(const char *text, size_t length, int64_t *out);
bool wf_parse_double(const char *text, size_t length, double *out);
/* The fewest digits that read back as the same double, "C" locale; `out` holds 32 bytes. */
size_t wf_format_u64(uint64_t value, char out[24]); /* the number of digits; no 0 behind them */
void wf_format_double(double value, char out[32]);
/* The same for a number that was a float: at most 9 digits. Fast for magnitudes between 1e-5 and 1e6. */
void wf_format_float(float value, char out[32]);
/* The candidate nearest to `word` by edit distance (at most a third of its length, at least 1, and 2 at most for short words),
 * NULL when none is near. next(user, i) returns candidate i or NULL at the end. */
const char *wf_nearest(const char *word, const char *(*next)(const void *user, size_t i), const void *user);
/* 1234567 -> "1.23M" into out (16 bytes). */
void wf_format_count(double value, char out[16]);
/* Length in bytes of the valid UTF-8 sequence at text (1..4), 0 when invalid or cut. */
int wf_utf8_length(const char *text, size_t n);
/* Bytes of the mark that editors of some systems put in front of a UTF-8 text: 3, or 0 when there is none. */
size_t wf_utf8_mark(const char *text, size_t n);
#endif
