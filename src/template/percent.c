/* percent.c - the % operator of strings. */
#include <math.h>
#include <string.h>
#include "template/engine.h"

typedef struct printer {
    wf_tpl *r;
    wf_var args;
    size_t used;
    bool mapping; /* args may be looked up by name */
    bool escape;  /* the format is marked as HTML: words are escaped */
    wf_str *out;
} printer;

static weft_status next_arg(printer *p, wf_var *out) {
    bool tuple = p->args.type == WF_VAR_TUPLE;
    if (tuple ? p->used >= p->args.list->count : p->used > 0)
        return wf_tpl_type_error(p->r, "not enough arguments for format string");
    *out = tuple ? p->args.list->items[p->used] : p->args;
    p->used++;
    return WEFT_OK;
}

/* A number of the format, or '*'. */
static weft_status read_size(printer *p, const char **s, const char *end, int64_t *out) {
    wf_var v;
    if (*s < end && **s == '*') {
        ++*s;
        WF_TRY(next_arg(p, &v));
        if (!wf_var_is_whole(v))
            return wf_tpl_type_error(p->r, "* wants int");
        *out = wf_var_whole(v);
        return WEFT_OK;
    }
    for (; *s < end && **s >= '0' && **s <= '9'; ++*s)
        *out = *out < 0 ? **s - '0' : *out > (int64_t)1 << 40 ? *out : *out * 10 + (**s - '0');
    return WEFT_OK;
}

static weft_status read_layout(printer *p, const char **s, const char *end, wf_tpl_layout *how, bool *left) {
    *how = (wf_tpl_layout){.width = -1, .precision = -1};
    for (; *s < end && **s && strchr("-+ #0", **s); ++*s) {
        *left |= **s == '-';
        how->alternate |= **s == '#';
        how->zero |= **s == '0';
        if (**s == '+' || (**s == ' ' && !how->sign))
            how->sign = **s;
    }
    WF_TRY(read_size(p, s, end, &how->width));
    if (how->width < -1) {
        *left = true;
        how->width = -how->width;
    }
    if (*s < end && **s == '.') {
        ++*s;
        how->precision = 0;
        WF_TRY(read_size(p, s, end, &how->precision));
    }
    while (*s < end && (**s == 'h' || **s == 'l' || **s == 'L'))
        ++*s;
    return WEFT_OK;
}

static weft_status put_words(printer *p, wf_var v, const wf_tpl_layout *how) {
    wf_str s = wf_str_new(p->r->arena.mem);
    wf_var text;
    weft_status status = (how->type == 's' ? wf_tpl_print : how->type == 'a' ? wf_tpl_ascii : wf_tpl_repr)(p->r, v, &s);
    WF_TRY(wf_var_take(p->r, &s, &text));
    WF_TRY(status);
    if (p->escape && !(v.type == WF_VAR_STRING && v.safe && how->type == 's'))
        WF_TRY(wf_tpl_escape(p->r, text, &text));
    size_t bytes = how->precision >= 0 ? wf_tpl_offset(text.text, (size_t)how->precision) : text.text->bytes;
    wf_tpl_layout laid = *how;
    laid.fill_bytes = 0;
    return wf_tpl_pad(p->r, &laid, text.text->data, bytes, 0, p->out);
}

static weft_status put_char(printer *p, wf_var v, const wf_tpl_layout *how) {
    if (v.type == WF_VAR_STRING && v.text->chars == 1)
        return wf_tpl_pad(p->r, how, v.text->data, v.text->bytes, 0, p->out);
    if (!wf_var_is_whole(v))
        return wf_tpl_type_error(p->r, "%%c requires int or char");
    wf_tpl_layout laid = *how;
    laid.precision = -1;
    return wf_tpl_put_number(p->r, v, &laid, p->out);
}

/* %d of a float drops its fraction; a precision asks for so many digits. */
static weft_status put_whole(printer *p, wf_var v, wf_tpl_layout *how) {
    if (v.type == WF_VAR_FLOAT && how->type == 'd')
        WF_TRY(wf_var_from_double(p->r, v.number, &v));
    if (!wf_var_is_whole(v) && v.type != WF_VAR_BIG)
        return wf_tpl_type_error(p->r, "%%%c format: a real number is required, not %s", how->type, wf_tpl_types[v.type].name);
    if (how->precision < 0)
        return wf_tpl_put_number(p->r, v, how, p->out);
    wf_str digits = wf_str_new(p->r->arena.mem);
    wf_tpl_layout inner = {
        .width = how->precision + (wf_var_whole(v) < 0), .precision = -1, .type = how->type, .zero = true, .sign = how->sign};
    wf_var text;
    weft_status status = wf_tpl_put_number(p->r, v, &inner, &digits);
    WF_TRY(wf_var_take(p->r, &digits, &text));
    WF_TRY(status);
    return wf_tpl_pad(p->r, how, text.text->data, text.text->bytes, 0, p->out);
}

static weft_status put_value(printer *p, wf_var v, wf_tpl_layout *how) {
    if (how->type == 's' || how->type == 'r' || how->type == 'a')
        return put_words(p, v, how);
    if (how->type == 'c')
        return put_char(p, v, how);
    if (how->type == 'd' || how->type == 'i' || how->type == 'u' || how->type == 'x' || how->type == 'X' || how->type == 'o') {
        how->type = how->type == 'i' || how->type == 'u' ? 'd' : how->type;
        return put_whole(p, v, how);
    }
    if (!how->type || !strchr("eEfFgG", how->type))
        return wf_tpl_type_error(p->r, "unsupported format character '%c'", how->type);
    if (v.type == WF_VAR_UNDEFINED)
        return wf_tpl_undefined_error(p->r, v);
    if (!wf_var_is_number(v))
        return wf_tpl_type_error(p->r, "must be real number, not %s", wf_tpl_types[v.type].name);
    if (how->precision < 0)
        how->precision = 6;
    return wf_tpl_put_number(p->r, v, how, p->out);
}

/* %(name): the arguments are a dict, or whatever has items by that name. */
static weft_status named_arg(printer *p, const char **s, const char *end, wf_var *out) {
    const char *start = ++*s;
    const wf_var *found;
    wf_var key;
    for (int open = 1; *s < end; ++*s) {
        open += **s == '(';
        open -= **s == ')';
        if (open == 0)
            break;
    }
    if (*s >= end)
        return wf_tpl_type_error(p->r, "incomplete format key");
    if (p->args.type != WF_VAR_DICT)
        return wf_tpl_type_error(p->r, "format requires a mapping");
    WF_TRY(wf_var_string(p->r, start, (size_t)(*s - start), &key));
    ++*s;
    WF_TRY(wf_dict_find(p->r, p->args.dict, key, &found));
    if (!found)
        return wf_tpl_type_error(p->r, "KeyError: '%.100s'", key.text->data);
    *out = *found;
    return WEFT_OK;
}

static weft_status put_conversion(printer *p, const char **s, const char *end) {
    wf_tpl_layout how;
    wf_var v = wf_var_none();
    bool left = false, named = *s < end && **s == '(';
    if (named)
        WF_TRY(named_arg(p, s, end, &v));
    WF_TRY(read_layout(p, s, end, &how, &left));
    if (*s >= end)
        return wf_tpl_type_error(p->r, "incomplete format");
    how.type = *(*s)++;
    how.align = left ? '<' : 0;
    how.zero &= !left;
    if (how.type == '%') {
        wf_str_putc(p->out, '%');
        return WEFT_OK;
    }
    if (!named)
        WF_TRY(next_arg(p, &v));
    if (!how.align && !how.zero)
        how.align = '>';
    else if (!how.align)
        how.align = strchr("srac", how.type) ? '>' : '=';
    return put_value(p, v, &how);
}

weft_status wf_tpl_percent(wf_tpl *r, wf_var format, wf_var args, wf_str *out) {
    printer p = {.r = r, .args = args, .escape = format.safe, .out = out};
    const char *s = format.text->data, *end = s + format.text->bytes;
    p.mapping =
        args.type == WF_VAR_DICT || args.type == WF_VAR_LIST || args.type == WF_VAR_RANGE || args.type == WF_VAR_UNDEFINED;
    while (s < end) {
        if (*s != '%') {
            wf_str_putc(out, *s++);
            continue;
        }
        s++;
        WF_TRY(put_conversion(&p, &s, end));
    }
    WF_TRY(wf_tpl_spend(r, format.text->bytes / 16));
    if (!p.mapping && (args.type == WF_VAR_TUPLE ? p.used < args.list->count : p.used == 0))
        return wf_tpl_type_error(r, "not all arguments converted during string formatting");
    return out->failed ? wf_fail_memory(r->err) : WEFT_OK;
}
