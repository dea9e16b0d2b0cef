/* format.c - str.format and its little language, under the sandbox: fields reach values the way templates do. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "template/engine.h"

/* ---- padding ---- */

static weft_status put_fill(wf_tpl *r, const wf_tpl_layout *how, int64_t n, wf_str *out) {
    size_t bytes = how->fill_bytes ? how->fill_bytes : 1;
    if (n <= 0)
        return WEFT_OK;
    if (n > 1 << 26 || (r->arena.limit && out->length + (size_t)n * bytes > r->arena.limit / 2))
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a width of %lld", (long long)n);
    WF_TRY(wf_tpl_spend(r, (size_t)n * bytes / 16));
    for (int64_t i = 0; i < n; i++)
        wf_str_put(out, how->fill_bytes ? how->fill : " ", bytes);
    return WEFT_OK;
}

/* `sign` bytes in front (sign, 0x) stay in front of '=' padding. */
weft_status wf_tpl_pad(wf_tpl *r, const wf_tpl_layout *how, const char *data, size_t bytes, size_t sign, wf_str *out) {
    int64_t free = how->width - (int64_t)wf_tpl_count_chars(data, bytes), left = 0;
    if (free < 0)
        free = 0;
    if (how->align == '>' || how->align == '=')
        left = free;
    else if (how->align == '^')
        left = free / 2;
    if (how->align == '=')
        wf_str_put(out, data, sign);
    WF_TRY(put_fill(r, how, left, out));
    wf_str_put(out, how->align == '=' ? data + sign : data, how->align == '=' ? bytes - sign : bytes);
    return put_fill(r, how, free - left, out);
}

/* ---- numbers ---- */

static void group(wf_str *digits, char separator, int every) {
    size_t whole = 0;
    wf_str out = wf_str_new(digits->mem);
    while (whole < digits->length && digits->data[whole] != '.' && digits->data[whole] != 'e' && digits->data[whole] != '%')
        whole++;
    for (size_t i = 0; i < digits->length; i++) {
        if (i > 0 && i < whole && (whole - i) % (size_t)every == 0)
            wf_str_putc(&out, separator);
        wf_str_putc(&out, digits->data[i]);
    }
    wf_str_free(digits);
    *digits = out;
}

static void put_base(uint64_t value, unsigned base, bool upper, wf_str *out) {
    char digits[65];
    size_t at = sizeof digits;
    do {
        digits[--at] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
        value /= base;
    } while (value);
    wf_str_put(out, digits + at, sizeof digits - at);
}

static weft_status put_whole(wf_tpl *r, wf_var v, const wf_tpl_layout *how, wf_str *sign, wf_str *digits) {
    int64_t i = wf_var_whole(v);
    uint64_t size = i < 0 ? 0u - (uint64_t)i : (uint64_t)i;
    char type = how->type ? how->type : 'd';
    if (how->precision >= 0)
        return wf_tpl_type_error(r, "Precision not allowed in integer format specifier");
    if (type == 'c') {
        if (i < 0 || i > 0x10FFFF || (i >= 0xD800 && i <= 0xDFFF))
            return wf_tpl_type_error(r, "%%c arg not in range(0x110000)");
        wf_tpl_put_char(digits, (uint32_t)i);
        return WEFT_OK;
    }
    unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    if (i < 0)
        wf_str_putc(sign, '-');
    else if (how->sign == '+' || how->sign == ' ')
        wf_str_putc(sign, how->sign);
    if (how->alternate && base != 10)
        wf_str_printf(sign, "0%c", type);
    put_base(size, base, type == 'X', digits);
    if (how->grouping)
        group(digits, how->grouping, base == 10 ? 3 : 4);
    return WEFT_OK;
}

/* The C forms agree with Python's for e, f, g; without a type the shortest form that reads back counts. */
static void put_digits(double d, const wf_tpl_layout *how, wf_str *digits) {
    char text[512], spec[12] = "%.*", type = how->type;
    int precision = how->precision > 120 ? 120 : (int)how->precision;
    if (!type && precision < 0) {
        wf_tpl_put_float(d, digits);
        return;
    }
    bool bare = !type;
    if (type == 'n' || bare)
        type = 'g';
    if (type == '%') {
        type = 'f';
        d *= 100;
    }
    size_t at = 3;
    if (how->alternate)
        memmove(spec, "%#.*", 5), at = 4;
    spec[at] = type;
    spec[at + 1] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, spec, precision < 0 ? 6 : precision, d);
#pragma GCC diagnostic pop
    for (char *c = text; *c; c++)
        if (*c == ',')
            *c = '.'; /* of a locale */
    wf_str_puts(digits, text);
    if (bare && !strpbrk(text, ".e") && isfinite(d))
        wf_str_puts(digits, ".0");
    if (how->type == '%')
        wf_str_putc(digits, '%');
}

static void put_real(double d, const wf_tpl_layout *how, wf_str *sign, wf_str *digits) {
    bool upper = how->type == 'E' || how->type == 'F' || how->type == 'G';
    if (signbit(d) && !isnan(d))
        wf_str_putc(sign, '-');
    else if (how->sign == '+' || how->sign == ' ')
        wf_str_putc(sign, how->sign);
    if (isfinite(d))
        put_digits(fabs(d), how, digits);
    else
        wf_str_puts(digits, isnan(d) ? (upper ? "NAN" : "nan") : upper ? "INF" : "inf");
    if (how->grouping && isfinite(d))
        group(digits, how->grouping, 3);
}

weft_status wf_tpl_put_number(wf_tpl *r, wf_var v, const wf_tpl_layout *how, wf_str *out) {
    wf_str sign = wf_str_new(r->arena.mem), digits = wf_str_new(r->arena.mem);
    bool real = v.type == WF_VAR_FLOAT || (how->type && strchr("eEfFgG%", how->type)),
         whole_type = how->type && strchr("bcdoxX", how->type);
    wf_tpl_layout laid = *how;
    weft_status status = WEFT_OK;
    if (v.type == WF_VAR_BIG && !real)
        return wf_tpl_unsupported(r, "formatting an integer beyond 64 bits");
    if (how->type == 's')
        return wf_tpl_type_error(r, "Unknown format code 's' for object of type '%s'", wf_tpl_types[v.type].name);
    if (real && whole_type)
        return wf_tpl_type_error(r, "Unknown format code '%c' for object of type 'float'", how->type);
    if (real)
        put_real(wf_var_double(v), how, &sign, &digits);
    else
        status = put_whole(r, v, how, &sign, &digits);
    if (!laid.align)
        laid.align = laid.zero ? '=' : '>';
    if (laid.zero && !laid.fill_bytes) {
        laid.fill = "0";
        laid.fill_bytes = 1;
    }
    size_t n = sign.length;
    wf_str_put(&sign, wf_str_text(&digits), digits.length);
    if (status == WEFT_OK)
        status = sign.failed || digits.failed ? wf_fail_memory(r->err)
                                              : wf_tpl_pad(r, &laid, wf_str_text(&sign), sign.length, n, out);
    wf_str_free(&sign);
    wf_str_free(&digits);
    return status;
}

/* ---- [[fill]align][sign][#][0][width][grouping][.precision][type] ---- */

static bool read_count(const char **s, const char *end, int64_t *out) {
    if (*s == end || **s < '0' || **s > '9')
        return false;
    for (*out = 0; *s < end && **s >= '0' && **s <= '9'; ++*s)
        if (*out < (int64_t)1 << 40)
            *out = *out * 10 + (**s - '0');
    return true;
}

static bool is_align(char c) { return c && strchr("<>=^", c); }

static void read_fill(const char **s, const char *end, wf_tpl_layout *how) {
    size_t length = 0;
    if (*s < end)
        wf_tpl_char(*s, (size_t)(end - *s), &length);
    if (length && *s + length < end && is_align((*s)[length])) {
        how->fill = *s;
        how->fill_bytes = length;
        how->align = (*s)[length];
        *s += length + 1;
    } else if (*s < end && is_align(**s)) {
        how->align = *(*s)++;
    }
}

static weft_status read_layout(wf_tpl *r, const char *s, size_t bytes, wf_tpl_layout *how) {
    const char *end = s + bytes;
    *how = (wf_tpl_layout){.width = -1, .precision = -1};
    read_fill(&s, end, how);
    if (s < end && (*s == '+' || *s == '-' || *s == ' '))
        how->sign = *s++;
    if (s < end && *s == '#') {
        how->alternate = true;
        s++;
    }
    if (s < end && *s == '0') {
        how->zero = true;
        s++;
    }
    read_count(&s, end, &how->width);
    if (s < end && (*s == ',' || *s == '_'))
        how->grouping = *s++;
    if (s < end && *s == '.') {
        s++;
        if (!read_count(&s, end, &how->precision))
            return wf_tpl_type_error(r, "Format specifier missing precision");
    }
    if (s < end)
        how->type = *s++;
    return s == end ? WEFT_OK : wf_tpl_type_error(r, "Invalid format specifier");
}

static weft_status put_text(wf_tpl *r, const wf_tpl_text *text, const wf_tpl_layout *how, wf_str *out) {
    wf_tpl_layout laid = *how;
    if (how->type && how->type != 's')
        return wf_tpl_type_error(r, "Unknown format code '%c' for object of type 'str'", how->type);
    if (how->sign || how->align == '=' || how->alternate || how->grouping)
        return wf_tpl_type_error(r, "this format specifier is not allowed for strings");
    if (laid.zero && !laid.fill_bytes) {
        laid.fill = "0";
        laid.fill_bytes = 1;
    }
    if (!laid.align)
        laid.align = '<';
    size_t bytes = how->precision >= 0 ? wf_tpl_offset(text, (size_t)how->precision) : text->bytes;
    return wf_tpl_pad(r, &laid, text->data, bytes, 0, out);
}

/* format(value, spec) */
static weft_status put_formatted(wf_tpl *r, wf_var v, const char *spec, size_t bytes, wf_str *out) {
    wf_tpl_layout how;
    if (bytes == 0)
        return wf_tpl_print(r, v, out);
    WF_TRY(read_layout(r, spec, bytes, &how));
    if (v.type == WF_VAR_STRING)
        return put_text(r, v.text, &how, out);
    if (wf_var_is_number(v))
        return wf_tpl_put_number(r, v, &how, out);
    return wf_tpl_type_error(r, "unsupported format string passed to %s.__format__", wf_tpl_types[v.type].name);
}

/* ---- fields ---- */

typedef struct formatter {
    wf_tpl *r;
    const wf_tpl_args *args;
    int64_t automatic; /* next number of {}, -1: numbers are given */
    bool escape;       /* the format is marked as HTML: what goes in is escaped */
    wf_str *out;
} formatter;

static weft_status field_value(formatter *f, const char *name, size_t bytes, wf_var *out) {
    int64_t index;
    const char *s = name;
    if (bytes == 0 || read_count(&s, name + bytes, &index)) {
        if (bytes && s != name + bytes)
            return wf_tpl_type_error(f->r, "malformed field in a format");
        if ((bytes == 0 && f->automatic < 0) || (bytes && f->automatic > 0))
            return wf_tpl_type_error(f->r, "cannot switch between manual field specification and automatic field numbering");
        if (bytes == 0)
            index = f->automatic++;
        else
            f->automatic = -1;
        if ((uint64_t)index >= f->args->count)
            return wf_tpl_type_error(f->r, "Replacement index %lld out of range for positional args tuple", (long long)index);
        *out = f->args->list[index];
        return WEFT_OK;
    }
    const wf_var *named = f->args->named ? wf_dict_find_text(f->args->named, name, bytes) : NULL;
    if (!named)
        return wf_tpl_type_error(f->r, "KeyError: '%.*s'", (int)bytes, name);
    *out = *named;
    return WEFT_OK;
}

/* The rest of a field name: .attribute and [key]. */
static weft_status follow(formatter *f, const char *s, const char *end, wf_var *v) {
    while (s < end) {
        bool attribute = *s == '.';
        const char *start = ++s;
        wf_var key;
        int64_t index;
        while (s < end && (attribute ? *s != '.' && *s != '[' : *s != ']'))
            s++;
        if (s == start || (!attribute && s == end))
            return wf_tpl_type_error(f->r, "Empty attribute in format string");
        WF_TRY(wf_var_string(f->r, start, (size_t)(s - start), &key));
        const char *digits = start;
        if (attribute) {
            WF_TRY(wf_tpl_attribute(f->r, *v, key.text, v));
        } else {
            if (read_count(&digits, s, &index) && digits == s)
                key = wf_var_int(index);
            WF_TRY(wf_tpl_item(f->r, *v, key, v));
            s++;
            if (s < end && *s != '.' && *s != '[')
                return wf_tpl_type_error(f->r, "Only '.' or '[' may follow ']' in format field specifier");
        }
    }
    return WEFT_OK;
}

static weft_status convert(formatter *f, char how, wf_var *v) {
    wf_str s = wf_str_new(f->r->arena.mem);
    weft_status status = WEFT_OK;
    if (how == 's')
        status = wf_tpl_print(f->r, *v, &s);
    else if (how == 'r')
        status = wf_tpl_repr(f->r, *v, &s);
    else if (how == 'a')
        status = wf_tpl_ascii(f->r, *v, &s);
    else
        return wf_tpl_type_error(f->r, "Unknown conversion specifier '%c'", how);
    WF_TRY(wf_var_take(f->r, &s, v));
    return status;
}

static weft_status expand(formatter *f, const char *s, const char *end, int depth);

static weft_status put_escaped(formatter *f, wf_var v, const wf_tpl_text *spec, wf_str *out) {
    wf_str s = wf_str_new(f->r->arena.mem);
    wf_var text = v;
    if (v.type == WF_VAR_STRING && v.safe && spec->bytes)
        return wf_tpl_type_error(f->r, "Format specifier given, but Markup does not define __html_format__");
    if (v.type != WF_VAR_STRING || !v.safe) {
        weft_status status = put_formatted(f->r, v, spec->data, spec->bytes, &s);
        WF_TRY(wf_var_take(f->r, &s, &text));
        WF_TRY(status);
        WF_TRY(wf_tpl_escape(f->r, text, &text));
    }
    return wf_tpl_print(f->r, text, out);
}

/* name[!conversion][:spec]; fields inside the spec are filled in first. */
static weft_status put_field(formatter *f, const char *s, const char *end, int depth) {
    const char *name = s, *rest;
    wf_var v;
    while (s < end && *s != '!' && *s != ':')
        s += *s == '[' && memchr(s, ']', (size_t)(end - s)) ? (const char *)memchr(s, ']', (size_t)(end - s)) - s : 1;
    for (rest = name; rest < s && *rest != '.' && *rest != '[';)
        rest++;
    WF_TRY(field_value(f, name, (size_t)(rest - name), &v));
    WF_TRY(follow(f, rest, s, &v));
    if (s < end && *s == '!') {
        if (end - s < 2 || (end - s > 2 && s[2] != ':'))
            return wf_tpl_type_error(f->r, "expected ':' after conversion specifier");
        WF_TRY(convert(f, s[1], &v));
        s += 2;
    }
    s += s < end;
    wf_str spec = wf_str_new(f->r->arena.mem), *out = f->out;
    wf_var text;
    f->out = &spec;
    weft_status status = expand(f, s, end, depth + 1);
    f->out = out;
    WF_TRY(wf_var_take(f->r, &spec, &text));
    WF_TRY(status);
    return f->escape ? put_escaped(f, v, text.text, out) : put_formatted(f->r, v, text.text->data, text.text->bytes, out);
}

/* The brace that closes the one in front of s. */
static const char *closing_brace(const char *s, const char *end) {
    for (int open = 1; s < end; s++) {
        open += *s == '{';
        open -= *s == '}';
        if (open == 0)
            return s;
    }
    return NULL;
}

static weft_status expand(formatter *f, const char *s, const char *end, int depth) {
    if (depth > 2)
        return wf_tpl_type_error(f->r, "Max string recursion exceeded");
    while (s < end) {
        bool brace = *s == '{' || *s == '}';
        if (!brace || (depth == 0 && s + 1 < end && s[1] == *s)) {
            wf_str_putc(f->out, *s);
            s += brace ? 2 : 1;
            continue;
        }
        const char *close = *s == '{' ? closing_brace(s + 1, end) : NULL;
        if (!close)
            return wf_tpl_type_error(f->r, *s == '{' ? "Single '{' encountered in format string"
                                                     : "Single '}' encountered in format string");
        WF_TRY(put_field(f, s + 1, close, depth));
        s = close + 1;
    }
    return f->out->failed ? wf_fail_memory(f->r->err) : WEFT_OK;
}

weft_status wf_tpl_format(wf_tpl *r, wf_var format, const wf_tpl_args *args, wf_str *out) {
    formatter f = {r, args, 0, format.safe, out};
    return expand(&f, format.text->data, format.text->data + format.text->bytes, 0);
}
