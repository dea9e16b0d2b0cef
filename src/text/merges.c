/* merges.c - the list of merges of a "model" object: most of a large file, read in shares while the vocabulary before it is. */
#include "text/merges.h"

#include <string.h>

static weft_status reserve_merges(const wf_loading *l, wf_share *s, size_t position) {
    size_t end = s->stop < s->room_end ? s->stop : s->room_end,
           count = s->count == WF_MANY ? wf_guess_count(s->begin, position, end) : s->count + 1;
    return wf_grow_big(l->mem, (void **)&s->merges, &s->capacity, count, sizeof *s->merges, l->err);
}

static weft_status put_odd(const wf_loading *l, wf_share *s, wf_bytes left, wf_bytes right, size_t at, wf_merge_text *out) {
    WF_TRY(wf_grow(l->mem, (void **)&s->odd, &s->odd_capacity, s->n_odd + 1, sizeof *s->odd, l->err));
    *out = (wf_merge_text){.left = (uint32_t)s->n_odd, .left_length = WF_ODD_MERGE};
    s->odd[s->n_odd++] = (wf_odd_merge){at, left.data, right.data, left.length, right.length};
    return WEFT_OK;
}

static weft_status put_merge(const wf_loading *l, wf_share *s, wf_bytes left, wf_bytes right, size_t at) {
    const char *text = l->tok->json;
    if (left.length == 0 || right.length == 0)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must have two parts");
    if (s->count == s->capacity)
        WF_TRY(reserve_merges(l, s, at));
    wf_merge_text *m = &s->merges[s->count];
    if (left.data >= text && left.data < text + l->tok->json_length)
        *m = (wf_merge_text){(uint32_t)(left.data - text), (uint32_t)(right.data - text), (uint32_t)left.length,
                             (uint32_t)right.length};
    else
        WF_TRY(put_odd(l, s, left, right, at, m));
    s->count++;
    return WEFT_OK;
}

/* A pair begins at its bracket, a text at its quote. */
size_t wf_merge_parts(const wf_loading *l, const wf_share *s, const wf_merge_text *m, wf_bytes parts[2]) {
    const char *text = l->tok->json;
    if (m->left_length == WF_ODD_MERGE) {
        const wf_odd_merge *o = &s->odd[m->left];
        parts[0] = (wf_bytes){o->left, o->left_length};
        parts[1] = (wf_bytes){o->right, o->right_length};
        return o->at;
    }
    parts[0] = (wf_bytes){text + m->left, m->left_length};
    parts[1] = (wf_bytes){text + m->right, m->right_length};
    return m->left - 1;
}

/* "left right" */
static weft_status merge_of_text(const wf_loading *l, wf_share *s, const char *text, size_t length, size_t at) {
    if (length >= 8 && memcmp(text, "#version", 8) == 0)
        return WEFT_OK;
    const char *space = memchr(text, ' ', length);
    size_t left = space ? (size_t)(space - text) : 0;
    if (!space || memchr(space + 1, ' ', length - left - 1))
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must be two parts with one space between them");
    return put_merge(l, s, (wf_bytes){text, left}, (wf_bytes){space + 1, length - left - 1}, at);
}

/* ["left", "right"], entered already */
static weft_status merge_of_pair(const wf_loading *l, wf_share *s, size_t at) {
    wf_bytes parts[2] = {{NULL, 0}, {NULL, 0}};
    for (int i = 0;; i++) {
        wf_json_kind kind;
        const char *text;
        size_t length;
        WF_TRY(wf_json_next(&s->reader, &kind, NULL, NULL, &text, &length));
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
static weft_status merges_quickly(const wf_loading *l, wf_share *s) {
    wf_json_reader *r = &s->reader;
    const char *texts[2];
    size_t lengths[2];
    if (s->form == WF_JSON_STRING)
        while (r->position < s->stop && wf_json_quick_strings(r, 1, texts, lengths))
            WF_TRY(merge_of_text(l, s, texts[0], lengths[0], r->value_offset));
    else
        while (r->position < s->stop && wf_json_quick_strings(r, 2, texts, lengths))
            WF_TRY(put_merge(l, s, (wf_bytes){texts[0], lengths[0]}, (wf_bytes){texts[1], lengths[1]}, r->value_offset));
    return WEFT_OK;
}

static weft_status next_merge(const wf_loading *l, wf_share *s) {
    wf_json_kind kind;
    const char *text;
    size_t length;
    WF_TRY(wf_json_next(&s->reader, &kind, NULL, NULL, &text, &length));
    size_t at = s->reader.value_offset;
    s->ended = kind == WF_JSON_END;
    if (s->ended)
        return WEFT_OK;
    if (kind != WF_JSON_STRING && kind != WF_JSON_ARRAY)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a merge must be a text or two texts");
    if (s->form != WF_JSON_END && kind != s->form)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "merges are all texts or all pairs");
    s->form = kind;
    if (kind == WF_JSON_ARRAY)
        return merge_of_pair(l, s, at);
    text = wf_arena_strndup(&s->copies, text, length);
    return text ? merge_of_text(l, s, text, length, at) : wf_fail_memory(l->err);
}

weft_status wf_merges_share(const wf_loading *l, wf_share *s) {
    while (s->reader.position < s->stop && !s->ended) {
        if (s->form != WF_JSON_END)
            WF_TRY(merges_quickly(l, s));
        if (s->reader.position < s->stop)
            WF_TRY(next_merge(l, s));
    }
    return WEFT_OK;
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

size_t wf_merges_find(const wf_loading *l, const wf_json_reader *r) {
    const char *text = l->tok->json, *end = text + l->tok->json_length;
    for (const char *at = text + r->position; at < end && (at = memchr(at, '[', (size_t)(end - at))) != NULL; at++)
        if (opens_merges(text, r->position, (size_t)(at - text)))
            return (size_t)(at - text);
    return 0;
}

weft_status wf_merges_read(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    bool ahead = s->merges.list && s->merges.at == r->position;
    if (!ahead) {
        wf_shares_free(&s->merges);
        WF_TRY(wf_shares_begin(l, r, '[', r->position, l->tok->json_length, 1, &s->merges));
        wf_share_read(l, &s->merges, 0, wf_merges_share);
    }
    WF_TRY(wf_shares_settle(l, r, &s->merges, wf_merges_share));
    wf_json_follow(r, &s->merges.list[s->merges.n - 1].reader);
    return WEFT_OK;
}
