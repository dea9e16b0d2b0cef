/* wrap.c - the filter wordwrap, as Python's textwrap breaks lines (without expanding tabs or replacing white space). */
#include "template/engine.h"

/* One line as code points. `at` is where the next chunk begins: a run of white space, dashes between words, or a word with
 * the hyphen behind it. A chunk that was cut begins again at `at` and ends where it did (`end`). */
typedef struct wrapping {
    uint32_t *text;
    size_t length, at, end;
    int64_t width;
    bool long_words, hyphens;
    const wf_tpl_text *between;
    size_t lines; /* of this line */
    wf_str *out;
} wrapping;

static bool is_blank(uint32_t c) { return (c >= '\t' && c <= '\r') || c == ' '; }
static bool is_letter(uint32_t c) { return wf_tpl_is_word(c) && !wf_tpl_char_is(WF_IS_DECIMAL, c); }

/* A character that a word may end with before a dash: [\w!"'&.,?]. */
static bool is_word_end(uint32_t c) {
    return wf_tpl_is_word(c) || c == '!' || c == '"' || c == '\'' || c == '&' || c == '.' || c == ',' || c == '?';
}

/* The end of a run of two or more dashes at `at` with a word behind it; 0: there is none. */
static size_t dashes(const wrapping *w, size_t at) {
    size_t end = at;
    while (end < w->length && w->text[end] == '-')
        end++;
    bool word = at > 0 && is_word_end(w->text[at - 1]) && end < w->length && wf_tpl_is_word(w->text[end]);
    return word && end - at >= 2 ? end : 0;
}

/* A hyphen at `e` with two letters on both sides, or a letter, a hyphen and a letter. */
static bool breaks_here(const wrapping *w, size_t e) {
    const uint32_t *t = w->text;
    if (t[e] != '-' || e < 2 || e + 2 >= w->length || !is_letter(t[e + 1]))
        return false;
    bool before = (is_letter(t[e - 1]) && is_letter(t[e - 2])) ||
                  (e >= 3 && is_word_end(t[e - 1]) && t[e - 2] == '-' && is_letter(t[e - 3]));
    bool after = t[e + 2] == '-' ? e + 3 < w->length && is_letter(t[e + 3]) : is_letter(t[e + 2]);
    return before && after;
}

static size_t chunk_end(const wrapping *w) {
    size_t e = w->at;
    if (e < w->end)
        return w->end;
    if (is_blank(w->text[e])) {
        while (e < w->length && is_blank(w->text[e]))
            e++;
        return e;
    }
    if (w->hyphens && dashes(w, e))
        return dashes(w, e);
    for (e++; e < w->length && !is_blank(w->text[e]); e++) {
        if (w->hyphens && breaks_here(w, e))
            return e + 1;
        if (w->hyphens && w->text[e] == '-' && dashes(w, e))
            return e;
    }
    return e;
}

/* Nothing but what strip() takes away. */
static bool is_empty(const wrapping *w, size_t from, size_t to) {
    while (from < to && wf_tpl_is_space(w->text[from]))
        from++;
    return from == to;
}

/* Where a chunk too long for the `left` columns of this line is cut. */
static size_t cut_long(const wrapping *w, size_t end, size_t left) {
    size_t cut = w->at + left, hyphen = cut, first = w->at;
    while (hyphen > w->at && w->text[hyphen - 1] != '-')
        hyphen--;
    while (first < end && w->text[first] == '-')
        first++;
    return w->hyphens && end > cut && hyphen > w->at + 1 && first + 1 < hyphen ? hyphen : cut;
}

static void put_line(wrapping *w, size_t from, size_t to) {
    if (w->lines++)
        wf_str_put(w->out, w->between->data, w->between->bytes);
    for (; from < to; from++)
        wf_tpl_put_char(w->out, w->text[from]);
}

/* One line of the result: chunks while they fit. */
static void wrap_once(wrapping *w) {
    size_t end = chunk_end(w), width = (size_t)w->width;
    if (w->lines && is_empty(w, w->at, end))
        w->at = end;
    size_t from = w->at, last = from; /* where the last chunk of the line begins */
    while (w->at < w->length && (end = chunk_end(w)) - from <= width) {
        last = w->at;
        w->at = end;
    }
    if (w->at < w->length && end - w->at > width && (w->long_words || w->at == from)) {
        last = w->at;
        w->end = end;
        w->at = w->long_words ? cut_long(w, end, width - (w->at - from)) : end;
    }
    size_t to = is_empty(w, last, w->at) ? last : w->at;
    if (to > from)
        put_line(w, from, to);
}

static weft_status wrap_line(wf_tpl *r, wrapping *w, const wf_tpl_text *line) {
    w->text = wf_arena_alloc(&r->arena, (line->chars + 1) * sizeof *w->text);
    WF_TPL_NEED(r, w->text);
    w->length = w->at = w->end = w->lines = 0;
    for (size_t at = 0, length; at < line->bytes; at += length)
        w->text[w->length++] = wf_tpl_char(line->data + at, line->bytes - at, &length);
    while (w->at < w->length) {
        size_t before = w->at;
        wrap_once(w);
        WF_TRY(wf_tpl_spend(r, 1 + (w->at - before) / 4 + w->between->bytes / 16));
    }
    return WEFT_OK;
}

weft_status wf_tpl_wordwrap(wf_tpl *r, const wf_tpl_call *c, wf_var *out) {
    static const wf_tpl_text newline = {1, 1, "\n"};
    wf_str s = wf_str_new(r->arena.mem);
    wrapping w = {.long_words = wf_tpl_arg_true(c, 1, true), .hyphens = wf_tpl_arg_true(c, 3, true), .out = &s};
    wf_tpl_items lines = {0};
    weft_status status = WEFT_OK;
    if (c->self.type != WF_VAR_STRING)
        return wf_tpl_type_error(r, "'%s' object has no attribute 'splitlines'", wf_var_type_word(c->self));
    WF_TRY(wf_tpl_arg_int(r, c, 0, 79, &w.width));
    WF_TRY(wf_tpl_arg_text(r, c, 2, &w.between));
    w.between = w.between ? w.between : &newline;
    WF_TRY(wf_tpl_lines(r, c->self.text, false, &lines));
    if (w.width <= 0 && lines.count)
        return wf_tpl_type_error(r, "invalid width %lld (must be > 0)", (long long)w.width);
    for (size_t i = 0; i < lines.count && status == WEFT_OK; i++) {
        if (i)
            wf_str_put(&s, w.between->data, w.between->bytes);
        status = wrap_line(r, &w, lines.list[i].text);
    }
    WF_TRY(wf_var_take(r, &s, out));
    return status;
}
