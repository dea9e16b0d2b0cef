#include "base/str.h"
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 1000 };

bool wf_parse_i64(const char *text, size_t length, int64_t *out) {
    size_t i = length > 0 && (text[0] == '-' || text[0] == '+');
    bool negative = i == 1 && text[0] == '-';
    if (i == length)
        return false;
    int64_t value = 0; /* counted downwards: the negative side reaches one further */
    for (; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        int digit = text[i] - '0';
        if (value < (INT64_MIN + digit) / 10)
            return false;
        value = value * 10 - digit;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *out = negative ? value : -value;
    return true;
}

size_t wf_format_u64(uint64_t value, char out[24]) {
    char digits[24];
    size_t at = sizeof digits, n;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    n = sizeof digits - at;
    memcpy(out, digits + at, n);
    return n;
}

static size_t skip_digits(const char *text, size_t length, size_t i) {
    while (i < length && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

/* Decimal digits with an optional point and exponent. strtod alone would also take hexadecimal, spaces, inf and nan. */
static bool is_decimal(const char *text, size_t length) {
    size_t i = length > 0 && (text[0] == '-' || text[0] == '+'), start = i;
    i = skip_digits(text, length, i);
    size_t digits = i - start;
    if (i < length && text[i] == '.') {
        start = ++i;
        i = skip_digits(text, length, i);
        digits += i - start;
    }
    if (digits == 0)
        return false;
    if (i < length && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        i += i < length && (text[i] == '-' || text[i] == '+');
        start = i;
        i = skip_digits(text, length, i);
        if (i == start)
            return false;
    }
    return i == length;
}

/* Numbers of at most 15 digits and a small power of ten are exact in one operation; the rest goes to strtod. */
static bool parse_short(const char *text, size_t length, double *out) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int64_t mantissa = 0;
    size_t point = length, digits = 0;
    for (size_t i = text[0] == '-' || text[0] == '+'; i < length; i++) {
        if (text[i] == '.') {
            point = i + 1;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > 15)
            return false;
        mantissa = mantissa * 10 + (text[i] - '0');
    }
    double value = (double)mantissa / powers[length - point];
    *out = text[0] == '-' ? -value : value;
    return true;
}

bool wf_parse_double(const char *text, size_t length, double *out) {
    if (length > LONGEST_NUMBER || !is_decimal(text, length))
        return false;
    if (parse_short(text, length, out))
        return true;
    /* strtod wants a 0 at the end and the decimal point of the locale the program may have set. */
    char copy[LONGEST_NUMBER + MB_LEN_MAX + 1];
    const char *point = localeconv()->decimal_point, *dot = memchr(text, '.', length);
    size_t before = dot ? (size_t)(dot - text) : length, width = dot ? strlen(point) : 0;
    if (width > MB_LEN_MAX)
        return false;
    memcpy(copy, text, before);
    memcpy(copy + before, point, width);
    size_t rest = dot ? length - before - 1 : 0;
    memcpy(copy + before + width, text + length - rest, rest);
    copy[before + width + rest] = 0;
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}

static void print_digits(double value, int digits, char out[32]) {
    snprintf(out, 32, "%.*g", digits, value);
    const char *point = localeconv()->decimal_point;
    char *found = strcmp(point, ".") == 0 ? NULL : strstr(out, point);
    if (!found)
        return;
    size_t width = strlen(point);
    *found = '.';
    memmove(found + 1, found + width, strlen(found + width) + 1);
}

void wf_format_double(double value, char out[32]) {
    if (!isfinite(value)) {
        snprintf(out, 32, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    /* Every double of the normal range that has a form of 15 digits or fewer prints as that form; denormals have fewer. */
    for (int digits = fabs(value) < 2.3e-308 ? 1 : 15; digits <= 17; digits++) {
        double back;
        print_digits(value, digits, out);
        if (wf_parse_double(out, strlen(out), &back) && back == value)
            return;
    }
}

/* `digits` significant ones of a value 10^(exponent-1) <= |value| < 10^exponent, as an integer. */
static int64_t mantissa_of(double value, int exponent, int digits) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    int shift = digits - exponent;
    return llround(shift >= 0 ? fabs(value) * powers[shift] : fabs(value) / powers[-shift]);
}

/* The digits of mantissa * 10^(exponent - digits), without zeros at the end. */
static void put_fixed(int64_t mantissa, int exponent, int digits, bool negative, char out[32]) {
    char text[24];
    size_t n = 0;
    int length = snprintf(text, sizeof text, "%lld", (long long)mantissa);
    exponent += length - digits; /* 9.9999 may have become 10 */
    while (length > 1 && length > exponent && text[length - 1] == '0')
        length--;
    if (negative)
        out[n++] = '-';
    if (exponent <= 0)
        out[n++] = '0';
    for (int i = 0; i < length || i < exponent; i++) {
        if (i == (exponent > 0 ? exponent : 0))
            out[n++] = '.';
        for (int z = exponent; i == 0 && z < 0; z++)
            out[n++] = '0';
        out[n++] = i < length ? text[i] : '0';
    }
    out[n] = 0;
}

void wf_format_float(float value, char out[32]) {
    static const double bounds[] = {1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double x = fabs((double)value);
    if (!(x >= 1e-5 && x < 1e6)) {
        for (int digits = 6; isfinite(value) && digits <= 9; digits++) {
            double back;
            print_digits((double)value, digits, out);
            if (wf_parse_double(out, strlen(out), &back) && (float)back == value)
                return;
        }
        wf_format_double((double)value, out);
        return;
    }
    int exponent = -4;
    while (x >= bounds[exponent + 4])
        exponent++;
    for (int digits = 7; digits <= 9; digits++) {
        int64_t mantissa = mantissa_of(x, exponent, digits);
        double back = digits - exponent >= 0 ? (double)mantissa / pow(10.0, digits - exponent) : (double)mantissa;
        if ((float)back != fabsf(value) && digits < 9)
            continue;
        put_fixed(mantissa, exponent, digits, value < 0, out);
        return;
    }
}
