/* print.c - str() and repr() of Python, JSON and HTML escapes. */
#include <math.h>
#include <string.h>
#include "template/syntax.h"

/* ---- strings ---- */

static void put_escaped_char(wf_str *out, uint32_t c, char quote) {
    if (c == (uint32_t)(unsigned char)quote || c == '\\') {
        wf_str_putc(out, '\\');
        wf_str_putc(out, (char)c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
        wf_str_puts(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
    } else if (wf_tpl_char_is(WF_IS_PRINTABLE, c)) {
        wf_tpl_put_char(out, c);
    } else {
        wf_str_printf(out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
    }
}

/* Single quotes, unless the text holds those and no double ones. */
static void put_repr_text(wf_str *out, const wf_tpl_text *text) {
    bool single = memchr(text->data, '\'', text->bytes), twice = memchr(text->data, '"', text->bytes);
    char quote = single && !twice ? '"' : '\'';
    wf_str_putc(out, quote);
    for (size_t at = 0, length; at < text->bytes; at += length) {
        uint32_t c = wf_tpl_char(text->data + at, text->bytes - at, &length);
        put_escaped_char(out, c, quote);
    }
    wf_str_putc(out, quote);
}

/* ---- containers ---- */

static weft_status put_items(wf_tpl *r, const wf_tpl_list *list, wf_str *out) {
    for (size_t i = 0; i < list->count; i++) {
        wf_str_puts(out, i ? ", " : "");
        WF_TRY(wf_tpl_repr(r, list->items[i], out));
    }
    return WEFT_OK;
}

static weft_status put_list(wf_tpl *r, wf_var v, wf_str *out) {
    bool tuple = v.type == WF_VAR_TUPLE;
    wf_str_putc(out, tuple ? '(' : '[');
    WF_TRY(put_items(r, v.list, out));
    wf_str_puts(out, tuple ? (v.list->count == 1 ? ",)" : ")") : "]");
    return WEFT_OK;
}

static weft_status put_dict(wf_tpl *r, wf_tpl_dict *d, wf_str *out) {
    if (d->printing) { /* a namespace inside itself */
        wf_str_puts(out, "{...}");
        return WEFT_OK;
    }
    d->printing = true;
    wf_str_putc(out, '{');
    for (size_t i = 0; i < d->count; i++) {
        wf_str_puts(out, i ? ", " : "");
        WF_TRY(wf_tpl_repr(r, d->pairs[i].key, out));
        wf_str_puts(out, ": ");
        WF_TRY(wf_tpl_repr(r, d->pairs[i].value, out));
    }
    wf_str_putc(out, '}');
    d->printing = false;
    return WEFT_OK;
}

static weft_status put_view(wf_tpl *r, wf_var v, wf_str *out) {
    wf_tpl_items items = {0};
    wf_var list;
    WF_TRY(wf_tpl_collect(r, v, &items));
    WF_TRY(wf_var_list_of(r, &items, &list));
    wf_str_printf(out, "%s(", wf_var_type_word(v));
    WF_TRY(put_list(r, list, out));
    wf_str_putc(out, ')');
    return WEFT_OK;
}

/* ---- objects; the reference prints an address for most, which nobody can compare ---- */

static weft_status put_loop(wf_tpl *r, wf_var v, wf_str *out) {
    static const wf_tpl_text index = {5, 5, "index"}, length = {6, 6, "length"};
    wf_var i, n;
    WF_TRY(wf_tpl_attribute(r, v, &index, &i));
    WF_TRY(wf_tpl_attribute(r, v, &length, &n));
    wf_str_printf(out, "<LoopContext %lld/%lld>", (long long)i.integer, (long long)n.integer);
    return WEFT_OK;
}

static weft_status put_object(wf_tpl *r, wf_var v, wf_str *out) {
    if (v.type == WF_VAR_NAMESPACE) {
        wf_str_puts(out, "<Namespace ");
        WF_TRY(put_dict(r, v.dict, out));
        wf_str_putc(out, '>');
    } else if (v.type == WF_VAR_LOOP) {
        return put_loop(r, v, out);
    } else if (v.type == WF_VAR_MACRO && v.macro->node->name) {
        wf_str_puts(out, "<Macro ");
        put_repr_text(out, v.macro->node->name);
        wf_str_putc(out, '>');
    } else if (v.type == WF_VAR_MACRO) {
        wf_str_puts(out, "<Macro anonymous>");
    } else if (v.type == WF_VAR_FUNCTION) {
        wf_str_printf(out, "<function %s>", v.function->name);
    } else if (v.type == WF_VAR_METHOD) {
        wf_str_printf(out, "<built-in method %s of %s object>", v.method->row->name, wf_var_type_word(v.method->self));
    } else {
        wf_str_printf(out, "<%s object>", wf_var_type_word(v));
    }
    return WEFT_OK;
}

static void put_range(const wf_tpl_range *range, wf_str *out) {
    wf_str_printf(out, "range(%lld, %lld", (long long)range->start, (long long)range->stop);
    if (range->step != 1)
        wf_str_printf(out, ", %lld", (long long)range->step);
    wf_str_putc(out, ')');
}

static weft_status put_repr(wf_tpl *r, wf_var v, wf_str *out) {
    switch (v.type) {
    case WF_VAR_UNDEFINED:
        wf_str_puts(out, "Undefined");
        return WEFT_OK;
    case WF_VAR_NONE:
        wf_str_puts(out, "None");
        return WEFT_OK;
    case WF_VAR_BOOL:
        wf_str_puts(out, v.truth ? "True" : "False");
        return WEFT_OK;
    case WF_VAR_INT:
        wf_str_printf(out, "%lld", (long long)v.integer);
        return WEFT_OK;
    case WF_VAR_BIG:
        wf_str_put(out, v.text->data, v.text->bytes);
        return WEFT_OK;
    case WF_VAR_FLOAT:
        wf_tpl_put_float(v.number, out);
        return WEFT_OK;
    case WF_VAR_STRING:
        wf_str_puts(out, v.safe ? "Markup(" : "");
        put_repr_text(out, v.text);
        wf_str_puts(out, v.safe ? ")" : "");
        return WEFT_OK;
    case WF_VAR_LIST:
    case WF_VAR_TUPLE:
        return put_list(r, v, out);
    case WF_VAR_DICT:
        return put_dict(r, v.dict, out);
    case WF_VAR_RANGE:
        put_range(v.range, out);
        return WEFT_OK;
    case WF_VAR_VIEW:
        return put_view(r, v, out);
    default:
        return put_object(r, v, out);
    }
}

weft_status wf_tpl_repr(wf_tpl *r, wf_var v, wf_str *out) {
    size_t before = out->length;
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(put_repr(r, v, out));
    r->depth--;
    if (out->failed)
        return wf_fail_memory(r->err);
    if (r->arena.limit && out->length > r->arena.limit / 2)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a text of more than %zu MiB", r->arena.limit >> 21);
    return wf_tpl_spend(r, 1 + (out->length - before) / 16);
}

weft_status wf_tpl_ascii(wf_tpl *r, wf_var v, wf_str *out) {
    wf_str s = wf_str_new(r->arena.mem);
    wf_var text;
    weft_status status = wf_tpl_repr(r, v, &s);
    WF_TRY(wf_var_take(r, &s, &text));
    for (size_t at = 0, length; at < text.text->bytes; at += length) {
        uint32_t c = wf_tpl_char(text.text->data + at, text.text->bytes - at, &length);
        if (c < 128)
            wf_str_putc(out, (char)c);
        else
            wf_str_printf(out, c < 256 ? "\\x%02x" : c < 65536 ? "\\u%04x" : "\\U%08x", (unsigned)c);
    }
    return status ? status : wf_tpl_spend(r, text.text->bytes / 4);
}

weft_status wf_tpl_print(wf_tpl *r, wf_var v, wf_str *out) {
    if (v.type == WF_VAR_UNDEFINED)
        return WEFT_OK;
    if (v.type != WF_VAR_STRING)
        return wf_tpl_repr(r, v, out);
    wf_str_put(out, v.text->data, v.text->bytes);
    if (out->failed)
        return wf_fail_memory(r->err);
    if (r->arena.limit && out->length > r->arena.limit / 2)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a text of more than %zu MiB", r->arena.limit >> 21);
    return wf_tpl_spend(r, v.text->bytes / 16);
}

weft_status wf_var_to_text(wf_tpl *r, wf_var v, const wf_tpl_text **out) {
    wf_str s = wf_str_new(r->arena.mem);
    wf_var text = v;
    if (v.type != WF_VAR_STRING) {
        weft_status status = wf_tpl_print(r, v, &s);
        WF_TRY(wf_var_take(r, &s, &text));
        WF_TRY(status);
    }
    *out = text.text;
    return WEFT_OK;
}

/* ---- HTML ---- */

static const char *entity(char c) {
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    const char *at = c ? strchr(from, c) : NULL;
    return at ? to[at - from] : NULL;
}

weft_status wf_tpl_escape(wf_tpl *r, wf_var v, wf_var *out) {
    const wf_tpl_text *text;
    wf_str s = wf_str_new(r->arena.mem);
    WF_TRY(wf_var_to_text(r, v, &text));
    for (size_t i = 0; i < text->bytes; i++) {
        const char *word = v.type == WF_VAR_STRING && v.safe ? NULL : entity(text->data[i]);
        if (word)
            wf_str_puts(&s, word);
        else
            wf_str_putc(&s, text->data[i]);
    }
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = true;
    return WEFT_OK;
}

/* ---- JSON, as json.dumps writes it ---- */

typedef struct json_style {
    bool ascii, sorted;
    const char *indent; /* of one level; NULL: one line */
    size_t indent_bytes;
    const wf_tpl_text *comma, *colon;
} json_style;

static weft_status put_json(wf_tpl *r, const json_style *style, wf_var v, int level, wf_str *out);

static void put_json_char(wf_str *out, uint32_t c, bool ascii) {
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *at = c && c < 128 ? strchr(from, (int)c) : NULL;
    if (at) {
        wf_str_putc(out, '\\');
        wf_str_putc(out, to[at - from]);
    } else if (c < 0x20 || (ascii && c > 0x7E && c < 0x10000)) {
        wf_str_printf(out, "\\u%04x", (unsigned)c);
    } else if (ascii && c > 0x7E) {
        wf_str_printf(out, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((c - 0x10000) >> 10)),
                      (unsigned)(0xDC00 + ((c - 0x10000) & 0x3FF)));
    } else {
        wf_tpl_put_char(out, c);
    }
}

static void put_json_text(wf_str *out, const wf_tpl_text *text, bool ascii) {
    wf_str_putc(out, '"');
    for (size_t at = 0, length; at < text->bytes; at += length) {
        uint32_t c = wf_tpl_char(text->data + at, text->bytes - at, &length);
        put_json_char(out, c, ascii);
    }
    wf_str_putc(out, '"');
}

static void new_line(const json_style *style, int level, wf_str *out) {
    if (!style->indent)
        return;
    wf_str_putc(out, '\n');
    for (int i = 0; i < level; i++)
        wf_str_put(out, style->indent, style->indent_bytes);
}

static void separate(const json_style *style, size_t i, int level, wf_str *out) {
    if (i)
        wf_str_put(out, style->comma->data, style->comma->bytes);
    new_line(style, level, out);
}

static weft_status put_json_list(wf_tpl *r, const json_style *style, const wf_tpl_list *list, int level, wf_str *out) {
    wf_str_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        separate(style, i, level + 1, out);
        WF_TRY(put_json(r, style, list->items[i], level + 1, out));
    }
    if (list->count)
        new_line(style, level, out);
    wf_str_putc(out, ']');
    return WEFT_OK;
}

static void put_json_number(wf_var v, wf_str *out) {
    if (v.type == WF_VAR_FLOAT && !isfinite(v.number))
        wf_str_puts(out, isnan(v.number) ? "NaN" : v.number > 0 ? "Infinity" : "-Infinity");
    else if (v.type == WF_VAR_FLOAT)
        wf_tpl_put_float(v.number, out);
    else if (v.type == WF_VAR_BIG)
        wf_str_put(out, v.text->data, v.text->bytes);
    else
        wf_str_printf(out, "%lld", (long long)v.integer);
}

/* Keys that are numbers, booleans or none become strings. */
static weft_status put_json_key(wf_tpl *r, const json_style *style, wf_var key, wf_str *out) {
    if (key.type == WF_VAR_STRING) {
        put_json_text(out, key.text, style->ascii);
        return WEFT_OK;
    }
    if (key.type != WF_VAR_NONE && !wf_var_is_number(key))
        return wf_tpl_type_error(r, "keys must be str, int, float, bool or None, not %s", wf_tpl_types[key.type].name);
    wf_str_putc(out, '"');
    if (key.type == WF_VAR_NONE)
        wf_str_puts(out, "null");
    else if (key.type == WF_VAR_BOOL)
        wf_str_puts(out, key.truth ? "true" : "false");
    else
        put_json_number(key, out);
    wf_str_putc(out, '"');
    return WEFT_OK;
}

static weft_status sorted_pairs(wf_tpl *r, const wf_tpl_dict *d, wf_tpl_pair **out) {
    wf_tpl_list *keys, *order;
    WF_TRY(wf_var_new_list(r, d->count, &keys));
    WF_TRY(wf_var_new_list(r, d->count, &order));
    for (size_t i = 0; i < d->count; i++) {
        keys->items[i] = d->pairs[i].key;
        order->items[i] = wf_var_int((int64_t)i);
    }
    WF_TRY(wf_var_sort(r, order->items, keys->items, d->count, false));
    *out = wf_arena_alloc(&r->arena, d->count * sizeof **out);
    WF_TPL_NEED(r, *out);
    for (size_t i = 0; i < d->count; i++)
        (*out)[i] = d->pairs[order->items[i].integer];
    return WEFT_OK;
}

static weft_status put_json_dict(wf_tpl *r, const json_style *style, const wf_tpl_dict *d, int level, wf_str *out) {
    wf_tpl_pair *pairs = d->pairs;
    if (style->sorted)
        WF_TRY(sorted_pairs(r, d, &pairs));
    wf_str_putc(out, '{');
    for (size_t i = 0; i < d->count; i++) {
        separate(style, i, level + 1, out);
        WF_TRY(put_json_key(r, style, pairs[i].key, out));
        wf_str_put(out, style->colon->data, style->colon->bytes);
        WF_TRY(put_json(r, style, pairs[i].value, level + 1, out));
    }
    if (d->count)
        new_line(style, level, out);
    wf_str_putc(out, '}');
    return WEFT_OK;
}

static weft_status put_json_value(wf_tpl *r, const json_style *style, wf_var v, int level, wf_str *out) {
    if (v.type == WF_VAR_LIST || v.type == WF_VAR_TUPLE)
        return put_json_list(r, style, v.list, level, out);
    if (v.type == WF_VAR_DICT)
        return put_json_dict(r, style, v.dict, level, out);
    if (v.type == WF_VAR_STRING)
        put_json_text(out, v.text, style->ascii);
    else if (v.type == WF_VAR_NONE)
        wf_str_puts(out, "null");
    else if (v.type == WF_VAR_BOOL)
        wf_str_puts(out, v.truth ? "true" : "false");
    else if (wf_var_is_number(v))
        put_json_number(v, out);
    else
        return wf_tpl_type_error(r, "Object of type %s is not JSON serializable", wf_var_type_word(v));
    return WEFT_OK;
}

static weft_status put_json(wf_tpl *r, const json_style *style, wf_var v, int level, wf_str *out) {
    size_t before = out->length;
    if (r->arena.limit && before > r->arena.limit / 2)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a text of more than %zu MiB", r->arena.limit >> 21);
    WF_TRY(wf_tpl_enter(r));
    WF_TRY(put_json_value(r, style, v, level, out));
    r->depth--;
    return wf_tpl_spend(r, 1 + (out->length - before) / 16);
}

/* indent: a number of blanks or a text. */
static weft_status read_indent(wf_tpl *r, const wf_var *v, json_style *style) {
    static const char blanks[] = "                                                                ";
    if (!v || v->type == WF_VAR_NONE)
        return WEFT_OK;
    if (v->type == WF_VAR_STRING) {
        if (v->text->bytes > 1024)
            return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "an indent of more than 1024 bytes");
        style->indent = v->text->data;
        style->indent_bytes = v->text->bytes;
        return WEFT_OK;
    }
    if (!wf_var_is_whole(*v))
        return wf_tpl_type_error(r, "can't multiply sequence by non-int of type '%s'", wf_var_type_word(*v));
    int64_t n = wf_var_whole(*v);
    if (n >= (int64_t)sizeof blanks)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "an indent of more than %zu blanks", sizeof blanks - 1);
    style->indent = blanks;
    style->indent_bytes = n > 0 ? (size_t)n : 0;
    return WEFT_OK;
}

static weft_status read_separators(wf_tpl *r, const wf_var *v, json_style *style) {
    static const wf_tpl_text comma = {2, 2, ", "}, bare = {1, 1, ","}, colon = {2, 2, ": "};
    wf_var both[2];
    style->comma = style->indent ? &bare : &comma;
    style->colon = &colon;
    if (!v || v->type == WF_VAR_NONE)
        return WEFT_OK;
    WF_TRY(wf_tpl_unpack(r, *v, both, 2));
    if (both[0].type != WF_VAR_STRING || both[1].type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "separators must be strings");
    style->comma = both[0].text;
    style->colon = both[1].text;
    return WEFT_OK;
}

/* tojson(ensure_ascii=, indent=, separators=, sort_keys=) */
weft_status wf_tpl_json(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    json_style style = {.ascii = wf_tpl_arg_true(c, 0, false), .sorted = wf_tpl_arg_true(c, 3, false)};
    wf_str s = wf_str_new(r->arena.mem);
    WF_TRY(read_indent(r, c->in[1], &style));
    WF_TRY(read_separators(r, c->in[2], &style));
    weft_status status = put_json(r, &style, c->self, 0, &s);
    weft_status taken = status ? status : wf_var_take(r, &s, out);
    wf_str_free(&s);
    return taken;
}
