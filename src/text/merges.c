/* merges.c - the list of merges of a "model" object: most of a large file, read ahead on a thread of its own while another one
 * reads the vocabulary before it. */
#include "text/merges.h"

#include <string.h>

size_t wf_guess_count(size_t start, size_t position, size_t end) {
    return WF_MANY + (end > position ? end - position : 0) / ((position - start) / WF_MANY + 1);
}

static weft_status reserve_merges(wf_loading *l, wf_model_source *s, size_t position) {
    size_t count = wf_guess_count(s->merges[0].at, position, l->tok->json_length);
    WF_TRY(wf_grow(l->tok->mem, (void **)&s->merges, &s->merges_capacity, count, sizeof *s->merges, l->err));
    wf_advise_big(s->merges + s->n_merges, (s->merges_capacity - s->n_merges) * sizeof *s->merges);
    return WEFT_OK;
}

static weft_status put_merge(wf_loading *l, wf_model_source *s, wf_bytes left, wf_bytes right, size_t at) {
    enum { LONGEST = UINT32_MAX / 8 };
    if (left.length == 0 || right.length == 0 || left.length > LONGEST || right.length > LONGEST)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must have two parts");
    if (s->n_merges == WF_MANY)
        WF_TRY(reserve_merges(l, s, at));
    if (s->n_merges == s->merges_capacity)
        WF_TRY(wf_grow(l->tok->mem, (void **)&s->merges, &s->merges_capacity, s->n_merges + 1, sizeof *s->merges, l->err));
    s->merges[s->n_merges++] = (wf_merge_text){at, left.data, right.data, (uint32_t)left.length, (uint32_t)right.length};
    return WEFT_OK;
}

/* "left right" */
static weft_status merge_of_text(wf_loading *l, wf_model_source *s, const char *text, size_t length, size_t at) {
    if (length >= 8 && memcmp(text, "#version", 8) == 0)
        return WEFT_OK;
    const char *space = memchr(text, ' ', length);
    size_t left = space ? (size_t)(space - text) : 0;
    if (!space || memchr(space + 1, ' ', length - left - 1))
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must be two parts with one space between them");
    return put_merge(l, s, (wf_bytes){text, left}, (wf_bytes){space + 1, length - left - 1}, at);
}

/* ["left", "right"], entered already */
static weft_status merge_of_pair(wf_loading *l, wf_json_reader *r, wf_model_source *s, size_t at) {
    wf_bytes parts[2] = {{NULL, 0}, {NULL, 0}};
    for (int i = 0;; i++) {
        wf_json_kind kind;
        const char *text;
        size_t length;
        WF_TRY(wf_json_next(r, &kind, NULL, NULL, &text, &length));
        if (kind == WF_JSON_END && i == 2)
            return put_merge(l, s, parts[0], parts[1], at);
        if (kind != WF_JSON_STRING || i == 2)
            return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must be two texts");
        parts[i] = (wf_bytes){wf_arena_strndup(&s->copies, text, length), length};
        if (!parts[i].data)
            return wf_fail_memory(l->err);
    }
}

/* Merges of one form as long as they are written as usual. */
static weft_status merges_quickly(wf_loading *l, wf_json_reader *r, wf_model_source *s, wf_json_kind form) {
    const char *texts[2];
    size_t lengths[2];
    if (form == WF_JSON_STRING)
        while (wf_json_quick_strings(r, 1, texts, lengths))
            WF_TRY(merge_of_text(l, s, texts[0], lengths[0], r->value_offset));
    else
        while (wf_json_quick_strings(r, 2, texts, lengths))
            WF_TRY(put_merge(l, s, (wf_bytes){texts[0], lengths[0]}, (wf_bytes){texts[1], lengths[1]}, r->value_offset));
    return WEFT_OK;
}

static weft_status read_list(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    wf_json_kind kind, form = WF_JSON_END;
    const char *text;
    size_t length;
    for (;;) {
        if (form != WF_JSON_END)
            WF_TRY(merges_quickly(l, r, s, form));
        WF_TRY(wf_json_next(r, &kind, NULL, NULL, &text, &length));
        if (kind == WF_JSON_END)
            return WEFT_OK;
        size_t at = r->value_offset;
        if (kind != WF_JSON_STRING && kind != WF_JSON_ARRAY)
            return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must be a text or two texts");
        if (form != WF_JSON_END && kind != form)
            return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "merges are all texts or all pairs");
        form = kind;
        if (kind == WF_JSON_STRING && !(text = wf_arena_strndup(&s->copies, text, length)))
            return wf_fail_memory(l->err);
        WF_TRY(kind == WF_JSON_STRING ? merge_of_text(l, s, text, length, at) : merge_of_pair(l, r, s, at));
    }
}

/* ---- ahead ---- */

static size_t before_space(const char *text, size_t at, size_t start) {
    while (at > start && strchr(" \n\r\t", text[at - 1]) && text[at - 1])
        at--;
    return at;
}

/* Whether the bracket opens what "merges" names. */
static bool opens_merges(const char *text, size_t start, size_t bracket) {
    static const char name[] = "\"merges\"";
    size_t colon = before_space(text, bracket, start), end;
    if (colon == start || text[colon - 1] != ':')
        return false;
    end = before_space(text, colon - 1, start);
    return end - start >= sizeof name - 1 && memcmp(text + end - (sizeof name - 1), name, sizeof name - 1) == 0;
}

void wf_merges_find(wf_loading *l, const wf_json_reader *r, wf_model_source *s) {
    const char *text = l->tok->json, *end = text + l->tok->json_length;
    for (const char *at = text + r->position; at < end && (at = memchr(at, '[', (size_t)(end - at))) != NULL; at++)
        if (opens_merges(text, r->position, (size_t)(at - text))) {
            s->merges_at = (size_t)(at - text);
            break;
        }
    s->is_ahead = s->merges_at && !s->has_merges && l->pool && wf_pool_threads(l->pool) > 1;
    if (s->is_ahead)
        wf_json_ahead(r, s->merges_at, l->mem, &s->ahead_error, &s->ahead);
}

void wf_merges_read_ahead(const wf_loading *l, wf_model_source *s) {
    wf_loading mine = *l;
    mine.err = &s->ahead_error;
    s->ahead_status = read_list(&mine, &s->ahead, s);
}

void wf_merges_forget(wf_model_source *s) {
    if (s->is_ahead)
        wf_json_close(&s->ahead);
    s->is_ahead = false;
}

weft_status wf_merges_read(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    if (s->is_ahead && s->ahead_status == WEFT_OK && r->value_offset == s->merges_at) {
        wf_json_follow(r, &s->ahead);
        return WEFT_OK;
    }
    s->n_merges = 0;
    return read_list(l, r, s);
}
