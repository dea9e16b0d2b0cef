/* filters_text.c - the filters that make text. */
#include <string.h>
#include "template/engine.h"

/* soft_str(value): a string stays what it is, marked or not. */
static weft_status soft(wf_tpl *r, wf_var v, wf_var *out) {
    const wf_tpl_text *text;
    *out = v;
    if (v.type == WF_VAR_STRING)
        return WEFT_OK;
    WF_TRY(wf_var_to_text(r, v, &text));
    *out = wf_var_of_text(text);
    return WEFT_OK;
}

/* ---- case ---- */

weft_status wf_tpl_cased(wf_tpl *r, wf_var v, wf_tpl_case how, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    WF_TRY(wf_tpl_spend(r, v.text->bytes / 4));
    wf_tpl_put_case(&s, how, v.text->data, v.text->bytes);
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = v.safe;
    return WEFT_OK;
}

static weft_status run_case(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var text;
    WF_TRY(soft(r, c->self, &text));
    return wf_tpl_cased(r, text, (wf_tpl_case)c->row->which, out);
}

static bool splits_words(uint32_t c) { return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || wf_tpl_is_space(c); }

/* The filter cuts words at white space and opening brackets; "they're" is one word, unlike for the method. */
static weft_status run_title(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var text;
    WF_TRY(soft(r, c->self, &text));
    const char *data = text.text->data;
    size_t bytes = text.text->bytes;
    wf_str s = wf_str_new(r->arena.mem);
    for (size_t at = 0, first, length; at < bytes;) {
        size_t end = at;
        bool split = splits_words(wf_tpl_char(data + at, bytes - at, &first));
        while (end < bytes && splits_words(wf_tpl_char(data + end, bytes - end, &length)) == split)
            end += length;
        wf_tpl_put_case(&s, WF_CASE_UPPER, data + at, first);
        wf_tpl_put_case(&s, WF_CASE_LOWER, data + at + first, end - at - first);
        at = end;
    }
    return wf_var_take(r, &s, out);
}

/* ---- cutting and padding ---- */

weft_status wf_tpl_stripped(wf_tpl *r, wf_var v, const wf_tpl_text *set, int sides, wf_var *out) {
    const char *data = v.text->data;
    size_t bytes = v.text->bytes;
    WF_TRY(wf_tpl_spend(r, set ? (bytes / 16 + 1) * (set->bytes / 8 + 1) : bytes / 16));
    wf_tpl_strip(&data, &bytes, set, sides);
    WF_TRY(wf_var_string(r, data, bytes, out));
    out->safe = v.safe;
    return WEFT_OK;
}

static weft_status run_trim(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *set;
    wf_var text;
    WF_TRY(soft(r, c->self, &text));
    WF_TRY(wf_tpl_arg_text(r, c, 0, &set));
    return wf_tpl_stripped(r, text, set, WF_STRIP_LEFT | WF_STRIP_RIGHT, out);
}

weft_status wf_tpl_justify(wf_tpl *r, wf_var v, char align, int64_t width, const wf_tpl_text *fill, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    if (fill && fill->chars != 1)
        return wf_tpl_type_error(r, "The fill character must be exactly one character long");
    int64_t free = width - (int64_t)v.text->chars;
    /* Centred, the odd blank goes to the left when the width is odd. */
    int64_t left = free <= 0 || align == '<' ? 0 : align == '>' ? free : free / 2 + (free & width & 1);
    wf_tpl_layout before = {.fill = fill ? fill->data : NULL,
                            .fill_bytes = fill ? fill->bytes : 0,
                            .align = '>',
                            .width = left},
                  after = before;
    after.width = free > 0 ? free - left : 0;
    weft_status status = wf_tpl_pad(r, &before, "", 0, 0, &s);
    wf_str_put(&s, v.text->data, v.text->bytes);
    if (status == WEFT_OK)
        status = wf_tpl_pad(r, &after, "", 0, 0, &s);
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = v.safe;
    return status;
}

static weft_status run_center(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    int64_t width;
    wf_var text;
    WF_TRY(soft(r, c->self, &text));
    WF_TRY(wf_tpl_arg_int(r, c, 0, 80, &width));
    return wf_tpl_justify(r, text, '^', width, NULL, out);
}

static weft_status cut_words(wf_tpl *r, const wf_tpl_text *text, size_t chars, bool kill, const wf_tpl_text *end, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    size_t bytes = wf_tpl_offset(text, chars);
    for (size_t i = bytes; !kill && i > 0; i--)
        if (text->data[i - 1] == ' ') {
            bytes = i - 1;
            break;
        }
    wf_str_put(&s, text->data, bytes);
    wf_str_put(&s, end->data, end->bytes);
    return wf_var_take(r, &s, out);
}

static weft_status run_truncate(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    static const wf_tpl_text dots = {3, 3, "..."};
    const wf_tpl_text *end;
    int64_t length, leeway;
    size_t chars;
    WF_TRY(wf_tpl_arg_int(r, c, 0, 255, &length));
    WF_TRY(wf_tpl_arg_text(r, c, 2, &end));
    end = end ? end : &dots;
    WF_TRY(c->in[3] && c->in[3]->type != WF_VAR_NONE ? wf_tpl_arg_int(r, c, 3, 5, &leeway) : (leeway = 5, WEFT_OK));
    if (length < (int64_t)end->chars || leeway < 0)
        return wf_tpl_type_error(r, "expected length >= %zu, got %lld", end->chars, (long long)length);
    if (!wf_var_length(c->self, &chars))
        return wf_tpl_type_error(r, "object of type '%s' has no len()", wf_var_type_word(c->self));
    *out = c->self;
    if ((int64_t)chars - leeway <= length)
        return WEFT_OK;
    if (c->self.type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "can only truncate str, not %s", wf_var_type_word(c->self));
    return cut_words(r, c->self.text, (size_t)length - end->chars, wf_tpl_arg_true(c, 1, false), end, out);
}

/* ---- lines ---- */

/* The length of a line break at data[at], 0 when there is none. */
static size_t line_break(const char *data, size_t bytes, size_t at) {
    size_t length;
    uint32_t c = wf_tpl_char(data + at, bytes - at, &length);
    if (c == '\r')
        return at + 1 < bytes && data[at + 1] == '\n' ? 2 : 1;
    bool breaks = (c >= '\n' && c <= '\f') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    return breaks ? length : 0;
}

weft_status wf_tpl_lines(wf_tpl *r, const wf_tpl_text *text, bool keep_ends, wf_tpl_items *out) {
    wf_var line;
    WF_TRY(wf_tpl_spend(r, text->bytes / 4));
    for (size_t start = 0, at = 0; at < text->bytes || start < text->bytes;) {
        size_t end = at < text->bytes ? line_break(text->data, text->bytes, at) : 0;
        if (!end && at < text->bytes) {
            at++;
            while (at < text->bytes && ((unsigned char)text->data[at] & 0xC0u) == 0x80u)
                at++;
            continue;
        }
        WF_TRY(wf_var_string(r, text->data + start, at - start + (keep_ends ? end : 0), &line));
        WF_TRY(wf_tpl_push(r, out, line));
        at += end;
        start = at;
    }
    return WEFT_OK;
}

static weft_status read_width(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    int64_t width;
    wf_var blank;
    if (c->in[0] && c->in[0]->type == WF_VAR_STRING) {
        *out = *c->in[0];
        return WEFT_OK;
    }
    WF_TRY(wf_tpl_arg_int(r, c, 0, 4, &width));
    WF_TRY(wf_var_string(r, " ", 1, &blank));
    return wf_tpl_repeat(r, blank, width, out);
}

static weft_status run_indent(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    bool first = wf_tpl_arg_true(c, 1, false), blank = wf_tpl_arg_true(c, 2, false);
    wf_var width, newline, text;
    wf_tpl_items lines = {0};
    WF_TRY(read_width(r, c, &width));
    WF_TRY(wf_var_string(r, "\n", 1, &newline));
    WF_TRY(wf_tpl_binary(r, '+', c->self, newline, &text));
    if (text.type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "can only indent str, not %s", wf_var_type_word(c->self));
    WF_TRY(wf_tpl_lines(r, text.text, false, &lines));
    WF_TRY(wf_tpl_spend(r, lines.count * (width.text->bytes / 16 + 1)));
    wf_str s = wf_str_new(r->arena.mem);
    for (size_t i = 0; i < lines.count && s.length <= r->arena.limit; i++) {
        const wf_tpl_text *line = lines.list[i].text;
        wf_str_puts(&s, i ? "\n" : "");
        if (i == 0 ? first : blank || line->bytes)
            wf_str_put(&s, width.text->data, width.text->bytes);
        wf_str_put(&s, line->data, line->bytes);
    }
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = text.safe;
    return WEFT_OK;
}

/* ---- words, replacing ---- */

static weft_status run_wordcount(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var text;
    int64_t count = 0;
    bool inside = false;
    WF_TRY(soft(r, c->self, &text));
    WF_TRY(wf_tpl_spend(r, text.text->bytes / 4));
    for (size_t at = 0, length; at < text.text->bytes; at += length) {
        bool word = wf_tpl_is_word(wf_tpl_char(text.text->data + at, text.text->bytes - at, &length));
        count += word && !inside;
        inside = word;
    }
    *out = wf_var_int(count);
    return WEFT_OK;
}

/* Nothing is found in front of every character and at the end. */
static weft_status weave(wf_tpl *r, const wf_tpl_text *text, const wf_tpl_text *to, int64_t most, wf_str *s) {
    WF_TRY(wf_tpl_spend(r, text->chars * (to->bytes / 16 + 1)));
    for (size_t at = 0, length; at <= text->bytes && s->length <= r->arena.limit; at += length) {
        if (most != 0) {
            wf_str_put(s, to->data, to->bytes);
            most--;
        }
        if (at == text->bytes)
            return WEFT_OK;
        wf_tpl_char(text->data + at, text->bytes - at, &length);
        wf_str_put(s, text->data + at, length);
    }
    return WEFT_OK;
}

weft_status wf_tpl_replace(wf_tpl *r, const wf_tpl_text *text, const wf_tpl_text *from, const wf_tpl_text *to, int64_t most,
                           wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    const char *at = text->data, *end = at + text->bytes, *found;
    weft_status status = wf_tpl_spend(r, text->bytes / 16);
    if (from->bytes == 0 && status == WEFT_OK) {
        status = weave(r, text, to, most, &s);
        at = end;
    }
    while (status == WEFT_OK && most != 0 && at < end &&
           (found = wf_tpl_find(at, (size_t)(end - at), from->data, from->bytes))) {
        wf_str_put(&s, at, (size_t)(found - at));
        wf_str_put(&s, to->data, to->bytes);
        at = found + from->bytes;
        most--;
        status = s.length > r->arena.limit && r->arena.limit
                     ? wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a text beyond the limit of memory")
                     : wf_tpl_spend(r, 1 + to->bytes / 16);
    }
    wf_str_put(&s, at, (size_t)(end - at));
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

static weft_status run_replace(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *text, *from, *to;
    int64_t most = -1;
    WF_TRY(wf_var_to_text(r, c->self, &text));
    WF_TRY(wf_var_to_text(r, *c->in[0], &from));
    WF_TRY(wf_var_to_text(r, *c->in[1], &to));
    if (c->in[2] && c->in[2]->type != WF_VAR_NONE)
        WF_TRY(wf_tpl_arg_int(r, c, 2, -1, &most));
    return wf_tpl_replace(r, text, from, to, most, out);
}

static weft_status run_format(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var text, args;
    wf_tpl_dict *copy;
    bool named = c->all.named && c->all.named->count;
    if (named && c->all.count)
        return wf_tpl_type_error(r, "can't handle positional and keyword arguments at the same time");
    WF_TRY(soft(r, c->self, &text));
    WF_TRY(wf_var_new_tuple(r, c->all.list, c->all.count, &args));
    if (named) {
        WF_TRY(wf_dict_new(r, &copy));
        WF_TRY(wf_dict_copy(r, c->all.named, copy));
        args = wf_var_of_dict(copy);
    }
    return wf_tpl_binary(r, '%', text, args, out);
}

/* ---- HTML, URLs ---- */

static weft_status run_escape(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var v = c->self;
    v.safe = v.safe && v.type == WF_VAR_STRING && !c->row->which; /* forceescape escapes again */
    return wf_tpl_escape(r, v, out);
}

static weft_status run_safe(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    WF_TRY(soft(r, c->self, out));
    out->safe = true;
    return WEFT_OK;
}

static weft_status run_string(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return soft(r, c->self, out); }

static const struct {
    const char *entity, *text;
} entities[] = {{"&amp;", "&"}, {"&lt;", "<"},   {"&gt;", ">"},   {"&quot;", "\""},
                {"&#39;", "'"}, {"&#34;", "\""}, {"&apos;", "'"}, {"&nbsp;", "\xC2\xA0"}};

static weft_status unescape(wf_tpl *r, const wf_tpl_text *text, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    bool known = true;
    for (size_t at = 0; at < text->bytes && known;) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof entities / sizeof *entities && !n; i++) {
            size_t length = strlen(entities[i].entity);
            if (text->bytes - at >= length && memcmp(text->data + at, entities[i].entity, length) == 0) {
                wf_str_puts(&s, entities[i].text);
                n = length;
            }
        }
        char after = at + 1 < text->bytes ? text->data[at + 1] : ' ';
        known = n || text->data[at] != '&' || !(after == '#' || (after | 32) >= 'a');
        if (!n)
            wf_str_putc(&s, text->data[at]);
        at += n ? n : 1;
    }
    WF_TRY(wf_var_take(r, &s, out));
    return known ? WEFT_OK : wf_tpl_unsupported(r, "striptags of an HTML entity beyond the common ones");
}

/* What is left of a text without its first `open ... close`; false when there is none. */
static bool drop_between(const char **at, const char *end, const char *open, const char *close, wf_str *out) {
    const char *start = wf_tpl_find(*at, (size_t)(end - *at), open, strlen(open));
    const char *stop = start ? wf_tpl_find(start, (size_t)(end - start), close, strlen(close)) : NULL;
    if (!stop) {
        wf_str_put(out, *at, (size_t)(end - *at));
        return false;
    }
    wf_str_put(out, *at, (size_t)(start - *at));
    *at = stop + strlen(close);
    return true;
}

static weft_status without_tags(wf_tpl *r, const wf_tpl_text *text, const char *open, const char *close, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    const char *at = text->data, *end = at + text->bytes;
    while (drop_between(&at, end, open, close, &s))
        ;
    return wf_var_take(r, &s, out);
}

static weft_status run_striptags(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *text;
    wf_var v;
    wf_str s = wf_str_new(r->arena.mem);
    WF_TRY(wf_var_to_text(r, c->self, &text));
    WF_TRY(without_tags(r, text, "<!--", "-->", &v));
    WF_TRY(without_tags(r, v.text, "<", ">", &v));
    bool gap = false;
    for (size_t at = 0, length; at < v.text->bytes; at += length) {
        uint32_t one = wf_tpl_char(v.text->data + at, v.text->bytes - at, &length);
        bool space = wf_tpl_is_space(one);
        if (!space && gap && s.length)
            wf_str_putc(&s, ' ');
        if (!space)
            wf_str_put(&s, v.text->data + at, length);
        gap = space || (gap && !space ? false : gap);
    }
    WF_TRY(wf_var_take(r, &s, &v));
    return unescape(r, v.text, out);
}

static weft_status quote(wf_tpl *r, wf_var v, bool query, wf_str *out) {
    const wf_tpl_text *text;
    WF_TRY(wf_var_to_text(r, v, &text));
    for (size_t i = 0; i < text->bytes; i++) {
        unsigned char c = (unsigned char)text->data[i];
        bool plain =
            (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("_.-~", c)) || (c == '/' && !query);
        if (plain)
            wf_str_putc(out, (char)c);
        else if (c == ' ' && query)
            wf_str_putc(out, '+');
        else
            wf_str_printf(out, "%%%02X", c);
    }
    return wf_tpl_spend(r, text->bytes / 16);
}

static weft_status quote_pairs(wf_tpl *r, wf_var v, wf_str *out) {
    wf_tpl_items items = {0};
    wf_var pair[2];
    if (v.type == WF_VAR_DICT) {
        for (size_t i = 0; i < v.dict->count; i++) {
            wf_str_puts(out, i ? "&" : "");
            WF_TRY(quote(r, v.dict->pairs[i].key, true, out));
            wf_str_putc(out, '=');
            WF_TRY(quote(r, v.dict->pairs[i].value, true, out));
        }
        return WEFT_OK;
    }
    WF_TRY(wf_tpl_collect(r, v, &items));
    for (size_t i = 0; i < items.count; i++) {
        wf_str_puts(out, i ? "&" : "");
        WF_TRY(wf_tpl_unpack(r, items.list[i], pair, 2));
        WF_TRY(quote(r, pair[0], true, out));
        wf_str_putc(out, '=');
        WF_TRY(quote(r, pair[1], true, out));
    }
    return WEFT_OK;
}

static weft_status run_urlencode(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    bool whole = c->self.type == WF_VAR_STRING || !wf_var_iterable(c->self);
    weft_status status = whole ? quote(r, c->self, false, &s) : quote_pairs(r, c->self, &s);
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

static weft_status put_attribute(wf_tpl *r, const wf_tpl_pair *pair, bool space, wf_str *out) {
    wf_var value, key;
    WF_TRY(wf_tpl_escape(r, pair->value, &value));
    if (pair->key.type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "expected string or bytes-like object, got '%s'", wf_var_type_word(pair->key));
    for (size_t i = 0; i < pair->key.text->bytes; i++)
        if (strchr(" \t\n\r\f\v/>=", pair->key.text->data[i]))
            return wf_tpl_type_error(r, "Invalid character in attribute name: '%.100s'", pair->key.text->data);
    WF_TRY(wf_tpl_escape(r, pair->key, &key));
    wf_str_printf(out, "%s%s=\"%s\"", space ? " " : "", key.text->data, value.text->data);
    return WEFT_OK;
}

static weft_status run_xmlattr(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    weft_status status = WEFT_OK;
    bool first = wf_tpl_arg_true(c, 0, true);
    if (c->self.type != WF_VAR_DICT)
        return wf_tpl_type_error(r, "'%s' object has no attribute 'items'", wf_var_type_word(c->self));
    for (size_t i = 0; status == WEFT_OK && i < c->self.dict->count; i++) {
        const wf_tpl_pair *pair = &c->self.dict->pairs[i];
        if (pair->value.type != WF_VAR_NONE && pair->value.type != WF_VAR_UNDEFINED)
            status = put_attribute(r, pair, first || s.length, &s);
    }
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

static weft_status run_missing(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return wf_tpl_unsupported(r, c->row->name); }

const wf_tpl_row wf_tpl_filters_text[] = {
    {"upper", "", run_case, WF_CASE_UPPER},
    {"lower", "", run_case, WF_CASE_LOWER},
    {"capitalize", "", run_case, WF_CASE_CAPITALIZE},
    {"title", "", run_title, 0},
    {"trim", "chars=", run_trim, 0},
    {"center", "width=", run_center, 0},
    {"truncate", "length= killwords= end= leeway=", run_truncate, 0},
    {"indent", "width= first= blank=", run_indent, 0},
    {"wordcount", "", run_wordcount, 0},
    {"replace", "old new count=", run_replace, 0},
    {"format", "*", run_format, 0},
    {"e", "", run_escape, 0},
    {"escape", "", run_escape, 0},
    {"forceescape", "", run_escape, 1},
    {"safe", "", run_safe, 0},
    {"string", "", run_string, 0},
    {"striptags", "", run_striptags, 0},
    {"urlencode", "", run_urlencode, 0},
    {"xmlattr", "autospace=", run_xmlattr, 0},
    {"urlize", "*", run_missing, 0},
    {"wordwrap", "width= break_long_words= wrapstring= break_on_hyphens=", wf_tpl_wordwrap, 0},
    {NULL, NULL, NULL, 0}};
