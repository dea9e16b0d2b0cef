/* number.c - numbers as Python reads, prints and rounds them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "template/engine.h"

/* ---- printing ---- */

/* Does the number with the digits one higher read back? Below a power of two numbers lie closer: halfway between two decimals
 * only the upper one does. */
static bool reads_higher(char text[40], int n, double d) {
    char mantissa[24], higher[40];
    size_t count = 0;
    const char *e = strchr(text, 'e');
    for (const char *s = text; s < e; s++)
        if (*s != '.')
            mantissa[count++] = *s;
    mantissa[count] = 0;
    snprintf(higher, sizeof higher, "%llde%d", strtoll(mantissa, NULL, 10) + 1, atoi(e + 1) - n + 1);
    if (strtod(higher, NULL) != d)
        return false;
    snprintf(higher, sizeof higher, "%lld", strtoll(mantissa, NULL, 10) + 1);
    if (strlen(higher) != count) /* 9.9 has become 10: shorter digits would have done */
        return false;
    for (size_t i = 0, k = 0; text + i < e; i++)
        if (text[i] != '.')
            text[i] = higher[k++];
    return true;
}

/* The shortest digits that read back as the same number, and the power of ten of the first one. */
static size_t shortest(double d, char digits[20], int *exponent) {
    char text[40];
    for (int n = 1; n <= 17; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, d);
        if (strtod(text, NULL) == d || reads_higher(text, n, d))
            break;
    }
    size_t count = 0;
    const char *s = text;
    for (; *s && *s != 'e'; s++)
        if (*s >= '0' && *s <= '9')
            digits[count++] = *s;
    *exponent = atoi(s + 1);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

/* repr(float): plain from 1e-4 to 1e16, else with an exponent of two digits at least. */
void wf_tpl_put_float(double d, wf_str *out) {
    char digits[20];
    int exponent;
    if (isnan(d) || isinf(d)) {
        wf_str_puts(out, isnan(d) ? "nan" : d > 0 ? "inf" : "-inf");
        return;
    }
    wf_str_puts(out, signbit(d) ? "-" : "");
    size_t n = shortest(fabs(d), digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        wf_str_putc(out, digits[0]);
        wf_str_puts(out, n > 1 ? "." : "");
        wf_str_put(out, digits + 1, n - 1);
        wf_str_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        wf_str_puts(out, "0.");
        for (int i = -1; i > exponent; i--)
            wf_str_putc(out, '0');
        wf_str_put(out, digits, n);
        return;
    }
    for (int i = 0; i <= exponent || i < (int)n; i++) {
        wf_str_puts(out, i == exponent + 1 ? "." : "");
        wf_str_putc(out, i < (int)n ? digits[i] : '0');
    }
    wf_str_puts(out, (int)n <= exponent + 1 ? ".0" : "");
}

/* ---- reading ---- */

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* 0x, 0o, 0b in front: skipped when they agree with the base, and decide it when it is 0. */
static bool prefix(const char **s, size_t *n, int *base, bool *underscore) {
    static const char letters[] = "xob";
    static const int bases[] = {16, 8, 2};
    const char *letter = *n > 2 && (*s)[0] == '0' && (*s)[1] ? strchr(letters, (*s)[1] | 32) : NULL;
    if (letter && *letter && (*base == 0 || *base == bases[letter - letters])) {
        *base = bases[letter - letters];
        *s += 2;
        *n -= 2;
        *underscore = true;
        return true;
    }
    if (*base != 0)
        return true;
    *base = 10;
    for (size_t i = 0; i < *n; i++) /* 007 is no number of base 0, 00 is */
        if ((*s)[0] == '0' && (*s)[i] != '0' && (*s)[i] != '_')
            return false;
    return true;
}

/* Digits with single underscores between them, without leading zeros, into `kept`. */
static bool clean_digits(const char *s, size_t n, int base, bool underscore, char *kept, size_t *count) {
    bool after_digit = underscore;
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (digit_of(s[i]) >= base)
            return false;
        after_digit = true;
        if (*count || s[i] != '0')
            kept[(*count)++] = s[i];
    }
    return n > 0 && after_digit && s[n - 1] != '_';
}

static bool accumulate(const char *s, size_t n, int base, bool minus, int64_t *out) {
    *out = 0;
    for (size_t i = 0; i < n; i++)
        if (__builtin_mul_overflow(*out, (int64_t)base, out) ||
            __builtin_add_overflow(*out, (int64_t)(minus ? -digit_of(s[i]) : digit_of(s[i])), out))
            return false;
    return true;
}

/* Python reads the decimal digits of every script. Returns how many bytes the text has with ASCII digits; 0: it does not fit.
 */
static size_t plain_digits(const char *s, size_t n, char *out, size_t room) {
    size_t count = 0;
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t c = wf_tpl_char(s + i, n - i, &length), zero = c;
        if (count + length > room)
            return 0;
        if (c < 128 || !wf_tpl_char_is(WF_IS_DECIMAL, c)) {
            memcpy(out + count, s + i, length);
            count += length;
            continue;
        }
        while (wf_tpl_char_is(WF_IS_DECIMAL, zero - 1))
            zero--;
        out[count++] = (char)('0' + (c - zero) % 10);
    }
    return count;
}

bool wf_tpl_read_int(const char *s, size_t n, int base, wf_tpl *r, wf_var *out) {
    bool minus = false, underscore = false;
    size_t count;
    int64_t value;
    wf_tpl_strip(&s, &n, NULL, WF_STRIP_LEFT | WF_STRIP_RIGHT);
    char *plain = n <= 4 * 4300 ? wf_arena_alloc(&r->arena, n + 1) : NULL;
    if (!plain)
        return false;
    n = plain_digits(s, n, plain, n);
    s = plain;
    if (n && (*s == '-' || *s == '+')) {
        minus = *s == '-';
        s++;
        n--;
    }
    if (base < 0 || base == 1 || base > 36 || n > 4300 || !prefix(&s, &n, &base, &underscore))
        return false;
    char *kept = wf_arena_alloc(&r->arena, n + 2);
    if (!kept || !clean_digits(s, n, base, underscore, kept + 1, &count))
        return false;
    if (accumulate(kept + 1, count, base, minus, &value)) {
        *out = wf_var_int(value);
        return true;
    }
    if (base != 10)
        return false;
    kept[0] = '-';
    if (wf_var_string(r, kept + !minus, count + minus, out) != WEFT_OK)
        return false;
    out->type = WF_VAR_BIG;
    return true;
}

static bool is_word(const char *s, size_t n, const char *word) {
    if (strlen(word) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s[i] | 32) != word[i])
            return false;
    return true;
}

static bool special(const char *s, size_t n, double *out) {
    double sign = n && *s == '-' ? -1.0 : 1.0;
    size_t skip = n && (*s == '-' || *s == '+');
    bool inf = is_word(s + skip, n - skip, "inf") || is_word(s + skip, n - skip, "infinity");
    *out = inf ? sign * INFINITY : NAN;
    return inf || is_word(s + skip, n - skip, "nan");
}

bool wf_tpl_read_float(const char *s, size_t n, double *out) {
    char kept[1001], plain[1001];
    size_t count = 0;
    wf_tpl_strip(&s, &n, NULL, WF_STRIP_LEFT | WF_STRIP_RIGHT);
    n = plain_digits(s, n, plain, sizeof plain);
    s = plain;
    if (special(s, n, out))
        return true;
    if (n == 0 || n >= sizeof kept)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '_' && i > 0 && i + 1 < n && digit_of(s[i - 1]) < 10 && digit_of(s[i + 1]) < 10)
            continue;
        if (!s[i] || !strchr("0123456789.eE+-", s[i]))
            return false;
        kept[count++] = s[i];
    }
    kept[count] = 0;
    if (wf_parse_double(kept, count, out))
        return true;
    char *end; /* too large is infinite, and needs no point of the locale to be so */
    *out = strtod(kept, &end);
    return count > 0 && *end == 0 && isinf(*out);
}

/* ---- rounding ---- */

weft_status wf_var_from_double(wf_tpl *r, double d, wf_var *out) {
    char text[400];
    if (isnan(d) || isinf(d))
        return wf_tpl_type_error(r, "cannot convert float %s to integer", isnan(d) ? "NaN" : "infinity");
    d = trunc(d);
    if (d >= -9223372036854775808.0 && d < 9223372036854775808.0) {
        *out = wf_var_int((int64_t)d);
        return WEFT_OK;
    }
    int n = snprintf(text, sizeof text, "%.0f", d);
    WF_TRY(wf_var_string(r, text, n > 0 ? (size_t)n : 0, out));
    out->type = WF_VAR_BIG;
    return WEFT_OK;
}

/* Correctly rounded decimal digits, halves to even; digits left of the point by dividing. */
double wf_tpl_round(double d, int64_t digits) {
    char text[400];
    if (isnan(d) || isinf(d) || digits > 22 + 308)
        return d;
    if (digits < -308)
        return 0.0 * d;
    if (digits < 0) {
        double power = pow(10.0, (double)-digits);
        return nearbyint(d / power) * power;
    }
    if (fabs(d) >= 4503599627370496.0) /* whole already */
        return d;
    snprintf(text, sizeof text, "%.*f", (int)digits, d);
    return strtod(text, NULL);
}
