/* methods_text.c - the methods of str. */
#include <string.h>
#include "template/engine.h"

static const wf_tpl_text *self(const wf_tpl_call *c) { return c->self.text; }

/* ---- asking ---- */

static weft_status run_is(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    *out = wf_var_bool(wf_tpl_text_is((wf_tpl_class)c->row->which, self(c)->data, self(c)->bytes));
    return wf_tpl_spend(r, self(c)->bytes / 4);
}

/* [start, end) in code points as slices read them; gives the bytes. */
static weft_status window(wf_tpl *r, const wf_tpl_call *c, int i, const char **data, size_t *bytes, int64_t *first, bool *none) {
    int64_t length = (int64_t)self(c)->chars, bounds[2] = {0, length};
    for (int k = 0; k < 2; k++) {
        const wf_var *v = c->in[i + k];
        if (!v || v->type == WF_VAR_NONE)
            continue;
        if (v->type == WF_VAR_BIG)
            bounds[k] = v->text->data[0] == '-' ? 0 : length + (k == 0);
        else
            WF_TRY(wf_tpl_arg_int(r, c, i + k, 0, &bounds[k]));
        if (bounds[k] < 0)
            bounds[k] = bounds[k] + length < 0 ? 0 : bounds[k] + length;
    }
    *none = bounds[0] > length || bounds[0] > bounds[1];
    *first = bounds[0];
    size_t from = wf_tpl_offset(self(c), (size_t)bounds[0]), to = wf_tpl_offset(self(c), (size_t)bounds[1]);
    *data = self(c)->data + from;
    *bytes = *none || to < from ? 0 : to - from;
    return wf_tpl_spend(r, self(c)->bytes / 16);
}

static const char *find_last(const char *data, size_t bytes, const char *what, size_t n) {
    for (size_t at = bytes >= n ? bytes - n + 1 : 0; at-- > 0;)
        if (memcmp(data + at, what, n) == 0)
            return data + at;
    return NULL;
}

enum { LAST = 1, MUST = 2 };

static weft_status need_text(wf_tpl *r, const wf_tpl_call *c, int i, const wf_tpl_text **out) {
    WF_TRY(wf_tpl_arg_text(r, c, i, out));
    return *out ? WEFT_OK : wf_tpl_type_error(r, "%s() argument must be str, not None", c->row->name);
}

static weft_status run_find(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *what;
    const char *data, *found = NULL;
    size_t bytes;
    int64_t first;
    bool none;
    WF_TRY(need_text(r, c, 0, &what));
    WF_TRY(window(r, c, 1, &data, &bytes, &first, &none));
    if (c->row->which & LAST)
        WF_TRY(wf_tpl_spend(r, bytes / 16 * (what->bytes / 16 + 1)));
    if (!none)
        found = c->row->which & LAST ? find_last(data, bytes, what->data, what->bytes) : wf_tpl_find(data, bytes, what->data, what->bytes);
    if (!found && (c->row->which & MUST))
        return wf_tpl_type_error(r, "substring not found");
    *out = wf_var_int(found ? first + (int64_t)wf_tpl_count_chars(data, (size_t)(found - data)) : -1);
    return WEFT_OK;
}

static weft_status run_count(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *what;
    const char *data, *found;
    size_t bytes;
    int64_t first, count = 0;
    bool none;
    WF_TRY(need_text(r, c, 0, &what));
    WF_TRY(window(r, c, 1, &data, &bytes, &first, &none));
    if (what->bytes == 0)
        count = none ? 0 : (int64_t)wf_tpl_count_chars(data, bytes) + 1;
    for (const char *end = data + bytes; what->bytes && (found = wf_tpl_find(data, (size_t)(end - data), what->data, what->bytes)); count++)
        data = found + what->bytes;
    *out = wf_var_int(count);
    return WEFT_OK;
}

static bool has_affix(const char *data, size_t bytes, const wf_tpl_text *what, bool at_end) {
    return what->bytes <= bytes && memcmp(at_end ? data + bytes - what->bytes : data, what->data, what->bytes) == 0;
}

/* startswith, endswith: one text or a tuple of them. */
static weft_status run_affix(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_var what = *c->in[0];
    const char *data;
    size_t bytes;
    int64_t first;
    bool none, is = false;
    WF_TRY(window(r, c, 1, &data, &bytes, &first, &none));
    if (what.type != WF_VAR_STRING && what.type != WF_VAR_TUPLE)
        return wf_tpl_type_error(r, "%s first arg must be str or a tuple of str, not %s", c->row->name, wf_tpl_types[what.type].name);
    for (size_t i = 0; what.type == WF_VAR_TUPLE && i < what.list->count && !is; i++) {
        wf_var one = what.list->items[i];
        if (one.type != WF_VAR_STRING)
            return wf_tpl_type_error(r, "tuple for %s must only contain str, not %s", c->row->name, wf_tpl_types[one.type].name);
        is = !none && has_affix(data, bytes, one.text, c->row->which);
    }
    if (what.type == WF_VAR_STRING)
        is = !none && has_affix(data, bytes, what.text, c->row->which);
    *out = wf_var_bool(is);
    return WEFT_OK;
}

/* ---- changing ---- */

static weft_status run_case(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return wf_tpl_cased(r, c->self, (wf_tpl_case)c->row->which, out); }

static weft_status run_strip(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *set;
    WF_TRY(wf_tpl_arg_text(r, c, 0, &set));
    return wf_tpl_stripped(r, c->self, set, c->row->which, out);
}

static weft_status run_justify(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *fill;
    int64_t width;
    WF_TRY(wf_tpl_arg_int(r, c, 0, 0, &width));
    WF_TRY(wf_tpl_arg_text(r, c, 1, &fill));
    return wf_tpl_justify(r, c->self, (char)c->row->which, width, fill, out);
}

static weft_status run_zfill(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    int64_t width;
    bool sign = self(c)->bytes && (self(c)->data[0] == '-' || self(c)->data[0] == '+');
    WF_TRY(wf_tpl_arg_int(r, c, 0, 0, &width));
    wf_tpl_layout how = {.fill = "0", .fill_bytes = 1, .align = '=', .width = width};
    weft_status status = wf_tpl_pad(r, &how, self(c)->data, self(c)->bytes, sign, &s);
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

static weft_status run_replace(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *from, *to;
    int64_t most;
    wf_var text = *c->in[1];
    WF_TRY(need_text(r, c, 0, &from));
    WF_TRY(need_text(r, c, 1, &to));
    WF_TRY(wf_tpl_arg_int(r, c, 2, -1, &most));
    if (c->self.safe) { /* marked text stays so: what comes in is escaped */
        WF_TRY(wf_tpl_escape(r, text, &text));
        to = text.text;
    }
    WF_TRY(wf_tpl_replace(r, self(c), from, to, most, out));
    out->safe = c->self.safe;
    return WEFT_OK;
}

static weft_status run_remove_affix(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *what;
    WF_TRY(need_text(r, c, 0, &what));
    *out = c->self;
    if (!what->bytes || !has_affix(self(c)->data, self(c)->bytes, what, c->row->which))
        return WEFT_OK;
    return wf_var_string(r, self(c)->data + (c->row->which ? 0 : what->bytes), self(c)->bytes - what->bytes, out);
}

static weft_status run_expandtabs(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    int64_t size, column = 0;
    WF_TRY(wf_tpl_arg_int(r, c, 0, 8, &size));
    if (size > 1024)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a tab of more than 1024 blanks");
    WF_TRY(wf_tpl_spend(r, self(c)->bytes * (size > 0 ? (size_t)size / 16 + 1 : 1)));
    for (size_t i = 0; i < self(c)->bytes; i++) {
        char b = self(c)->data[i];
        int64_t blanks = b == '\t' && size > 0 ? size - column % size : 0;
        column = b == '\n' || b == '\r' ? 0 : column + (b == '\t' ? blanks : ((unsigned char)b & 0xC0u) != 0x80u);
        for (int64_t k = 0; k < blanks; k++)
            wf_str_putc(&s, ' ');
        if (b != '\t')
            wf_str_putc(&s, b);
    }
    return wf_var_take(r, &s, out);
}

static weft_status run_format(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_str s = wf_str_new(r->arena.mem);
    wf_tpl_args args = c->all;
    if (c->row->which) { /* format_map: one mapping */
        if (args.count != 1 || args.list[0].type != WF_VAR_DICT)
            return wf_tpl_type_error(r, "format_map() takes exactly one mapping");
        args = (wf_tpl_args){NULL, 0, args.list[0].dict};
    }
    weft_status status = wf_tpl_format(r, c->self, &args, &s);
    WF_TRY(wf_var_take(r, &s, out));
    out->safe = c->self.safe;
    return status;
}

static weft_status run_join(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    wf_str s = wf_str_new(r->arena.mem);
    weft_status status = WEFT_OK;
    if (!wf_var_iterable(*c->in[0]))
        return wf_tpl_type_error(r, "can only join an iterable");
    WF_TRY(wf_tpl_collect(r, *c->in[0], &items));
    for (size_t i = 0; i < items.count && status == WEFT_OK; i++) {
        if (items.list[i].type != WF_VAR_STRING)
            status = wf_tpl_type_error(r, "sequence item %zu: expected str instance, %s found", i, wf_tpl_types[items.list[i].type].name);
        wf_str_put(&s, self(c)->data, i ? self(c)->bytes : 0);
        if (status == WEFT_OK)
            status = wf_tpl_print(r, items.list[i], &s);
    }
    if (status)
        wf_str_clear(&s);
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}

/* ---- cutting ---- */

static weft_status push_part(wf_tpl *r, wf_tpl_items *items, const char *from, const char *to) {
    wf_var part;
    WF_TRY(wf_var_string(r, from, (size_t)(to - from), &part));
    return wf_tpl_push(r, items, part);
}

static void reverse(wf_tpl_items *items) {
    for (size_t i = 0; i < items->count / 2; i++) {
        wf_var swap = items->list[i];
        items->list[i] = items->list[items->count - 1 - i];
        items->list[items->count - 1 - i] = swap;
    }
}

/* Runs of white space separate; what is left after `most` cuts keeps its inner and trailing blanks. */
static weft_status split_blanks(wf_tpl *r, const wf_tpl_text *text, int64_t most, wf_tpl_items *out) {
    const char *at = text->data, *end = at + text->bytes;
    for (;;) {
        size_t left = (size_t)(end - at), length;
        wf_tpl_strip(&at, &left, NULL, WF_STRIP_LEFT);
        if (at == end)
            return WEFT_OK;
        const char *start = at;
        if (most-- == 0)
            return push_part(r, out, start, end);
        while (at < end && !wf_tpl_is_space(wf_tpl_char(at, (size_t)(end - at), &length)))
            at += length;
        WF_TRY(push_part(r, out, start, at));
    }
}

static weft_status split_blanks_back(wf_tpl *r, const wf_tpl_text *text, int64_t most, wf_tpl_items *out) {
    const char *data = text->data;
    size_t left = text->bytes;
    for (;;) {
        wf_tpl_strip(&data, &left, NULL, WF_STRIP_RIGHT);
        if (!left)
            break;
        size_t stop = left;
        if (most-- == 0) {
            WF_TRY(push_part(r, out, data, data + left));
            break;
        }
        while (left > 0) {
            size_t start = left - 1, length;
            while (start > 0 && ((unsigned char)data[start] & 0xC0u) == 0x80u)
                start--;
            if (wf_tpl_is_space(wf_tpl_char(data + start, left - start, &length)))
                break;
            left = start;
        }
        WF_TRY(push_part(r, out, data + left, data + stop));
    }
    reverse(out);
    return WEFT_OK;
}

static weft_status split_at(wf_tpl *r, const wf_tpl_text *text, const wf_tpl_text *by, int64_t most, wf_tpl_items *out) {
    const char *at = text->data, *end = at + text->bytes, *found;
    while (most-- != 0 && (found = wf_tpl_find(at, (size_t)(end - at), by->data, by->bytes))) {
        WF_TRY(push_part(r, out, at, found));
        at = found + by->bytes;
    }
    return push_part(r, out, at, end);
}

static weft_status split_at_back(wf_tpl *r, const wf_tpl_text *text, const wf_tpl_text *by, int64_t most, wf_tpl_items *out) {
    const char *data = text->data, *end = data + text->bytes, *found;
    while (most-- != 0 && (found = find_last(data, (size_t)(end - data), by->data, by->bytes))) {
        WF_TRY(push_part(r, out, found + by->bytes, end));
        end = found;
    }
    WF_TRY(push_part(r, out, data, end));
    reverse(out);
    return WEFT_OK;
}

/* Pieces of a marked text are marked. */
static weft_status list_pieces(wf_tpl *r, const wf_tpl_call *c, wf_tpl_items *items, wf_var *out) {
    for (size_t i = 0; i < items->count; i++)
        items->list[i].safe = c->self.safe;
    return wf_var_list_of(r, items, out);
}

static weft_status run_split(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *by;
    wf_tpl_items items = {0};
    int64_t most;
    bool back = c->row->which & LAST;
    WF_TRY(wf_tpl_arg_text(r, c, 0, &by));
    WF_TRY(wf_tpl_arg_int(r, c, 1, -1, &most));
    if (by && !by->bytes)
        return wf_tpl_type_error(r, "empty separator");
    WF_TRY(wf_tpl_spend(r, self(c)->bytes / 16 * (by && back ? by->bytes / 16 + 1 : 1)));
    if (!by)
        WF_TRY(back ? split_blanks_back(r, self(c), most, &items) : split_blanks(r, self(c), most, &items));
    else
        WF_TRY(back ? split_at_back(r, self(c), by, most, &items) : split_at(r, self(c), by, most, &items));
    return list_pieces(r, c, &items, out);
}

static weft_status run_partition(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    const wf_tpl_text *by;
    const char *data = self(c)->data, *end = data + self(c)->bytes;
    wf_var three[3];
    bool back = c->row->which & LAST;
    WF_TRY(need_text(r, c, 0, &by));
    if (!by->bytes)
        return wf_tpl_type_error(r, "empty separator");
    WF_TRY(wf_tpl_spend(r, self(c)->bytes / 16 * (back ? by->bytes / 16 + 1 : 1)));
    const char *found = back ? find_last(data, self(c)->bytes, by->data, by->bytes) : wf_tpl_find(data, self(c)->bytes, by->data, by->bytes);
    if (found) {
        WF_TRY(wf_var_string(r, data, (size_t)(found - data), &three[0]));
        three[1] = wf_var_of_text(by);
        WF_TRY(wf_var_string(r, found + by->bytes, (size_t)(end - found) - by->bytes, &three[2]));
    } else {
        WF_TRY(wf_var_string(r, "", 0, &three[1]));
        three[0] = back ? three[1] : c->self;
        three[2] = back ? c->self : three[1];
    }
    for (int i = 0; i < 3; i++)
        three[i].safe = c->self.safe;
    return wf_var_new_tuple(r, three, 3, out);
}

static weft_status run_splitlines(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    wf_tpl_items items = {0};
    WF_TRY(wf_tpl_lines(r, self(c), wf_tpl_arg_true(c, 0, false), &items));
    return list_pieces(r, c, &items, out);
}

static weft_status run_missing(wf_tpl *r, const wf_tpl_call *c, wf_var *out) { return wf_tpl_unsupported(r, c->row->name); }

const wf_tpl_row wf_tpl_string_methods[] = {
    {"strip", "chars= /", run_strip, WF_STRIP_LEFT | WF_STRIP_RIGHT},
    {"lstrip", "chars= /", run_strip, WF_STRIP_LEFT},
    {"rstrip", "chars= /", run_strip, WF_STRIP_RIGHT},
    {"split", "sep= maxsplit=", run_split, 0},
    {"rsplit", "sep= maxsplit=", run_split, LAST},
    {"splitlines", "keepends=", run_splitlines, 0},
    {"partition", "sep /", run_partition, 0},
    {"rpartition", "sep /", run_partition, LAST},
    {"startswith", "prefix start= end= /", run_affix, 0},
    {"endswith", "suffix start= end= /", run_affix, 1},
    {"removeprefix", "prefix /", run_remove_affix, 0},
    {"removesuffix", "suffix /", run_remove_affix, 1},
    {"find", "sub start= end= /", run_find, 0},
    {"rfind", "sub start= end= /", run_find, LAST},
    {"index", "sub start= end= /", run_find, MUST},
    {"rindex", "sub start= end= /", run_find, MUST | LAST},
    {"count", "sub start= end= /", run_count, 0},
    {"replace", "old new count= /", run_replace, 0},
    {"join", "iterable /", run_join, 0},
    {"upper", "", run_case, WF_CASE_UPPER},
    {"lower", "", run_case, WF_CASE_LOWER},
    {"title", "", run_case, WF_CASE_TITLE},
    {"capitalize", "", run_case, WF_CASE_CAPITALIZE},
    {"swapcase", "", run_case, WF_CASE_SWAP},
    {"casefold", "", run_case, WF_CASE_FOLD},
    {"center", "width fillchar= /", run_justify, '^'},
    {"ljust", "width fillchar= /", run_justify, '<'},
    {"rjust", "width fillchar= /", run_justify, '>'},
    {"zfill", "width /", run_zfill, 0},
    {"expandtabs", "tabsize=", run_expandtabs, 0},
    {"format", "*", run_format, 0},
    {"format_map", "*", run_format, 1},
    {"isalpha", "", run_is, WF_IS_ALPHA},
    {"isdecimal", "", run_is, WF_IS_DECIMAL},
    {"isdigit", "", run_is, WF_IS_DIGIT},
    {"isnumeric", "", run_is, WF_IS_NUMERIC},
    {"isalnum", "", run_is, WF_IS_ALNUM},
    {"isspace", "", run_is, WF_IS_SPACE},
    {"isprintable", "", run_is, WF_IS_PRINTABLE},
    {"isascii", "", run_is, WF_IS_ASCII},
    {"islower", "", run_is, WF_IS_LOWER},
    {"isupper", "", run_is, WF_IS_UPPER},
    {"istitle", "", run_is, WF_IS_TITLE},
    {"isidentifier", "", run_is, WF_IS_IDENTIFIER},
    {"encode", "*", run_missing, 0},
    {"translate", "*", run_missing, 0},
    {"maketrans", "*", run_missing, 0},
    {NULL, NULL, NULL, 0}};
