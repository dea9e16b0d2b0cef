/* regex.c - PCRE2 with limits; its just-in-time compiler where the system lets it. */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/str.h"
#include "text/loading.h"
#include "text/regex_ruby.h"
#include "text/patterns.h"
#include "text/unicode.h"

struct wf_regex {
    const wf_mem *mem;
    pcre2_general_context *general;
    pcre2_code *code;
    bool compiled; /* to machine code */
    bool starved;  /* the allocator has refused */
};

struct wf_regex_scratch {
    const wf_mem *mem;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_match_data *data;
    uint64_t steps; /* left for this text, see match */
};

static void *hook_alloc(size_t size, void *user) {
    wf_regex *r = user;
    void *block = wf_alloc(r->mem, size);
    r->starved = r->starved || !block;
    return block;
}
static void hook_free(void *block, void *user) { wf_free(((wf_regex *)user)->mem, block); }
static void *scratch_alloc(size_t size, void *mem) { return wf_alloc(mem, size); }
static void scratch_free(void *block, void *mem) { wf_free(mem, block); }

/* ---- compiling and matching ---- */

static weft_status compile(wf_regex *r, const char *pattern, size_t length, weft_error *err) {
    int code;
    size_t at;
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
    r->general = pcre2_general_context_create(hook_alloc, hook_free, r);
    pcre2_compile_context *context = r->general ? pcre2_compile_context_create(r->general) : NULL;
    if (!context)
        return wf_fail_memory(err);
    pcre2_set_parens_nest_limit(context, 250);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, length, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!r->code) {
        PCRE2_UCHAR text[128] = "";
        if (code == 121) /* "failed to allocate heap memory" */
            return wf_fail_memory(err);
        pcre2_get_error_message(code, text, sizeof text);
        return wf_fail(err, WEFT_BAD_INPUT, "the regular expression is wrong: %s", (const char *)text);
    }
    r->compiled = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0; /* the system may forbid it: then it is interpreted */
    return r->starved ? wf_fail_memory(err) : WEFT_OK;
}

weft_status wf_regex_compile(const wf_mem *mem, const char *pattern, size_t length, wf_dialect dialect, wf_regex **out,
                             weft_error *err) {
    WF_CHECK(length <= 65536, err, WEFT_BAD_INPUT, "a regular expression of %zu bytes; the limit is 65536", length);
    wf_regex *r = wf_calloc(mem, 1, sizeof *r);
    if (!r)
        return wf_fail_memory(err);
    r->mem = mem;
    wf_str translated = wf_str_new(mem);
    weft_status status = WEFT_OK;
    if (dialect == WF_RUBY)
        status = wf_regex_from_ruby(pattern, length, &translated, err);
    else
        wf_str_put(&translated, pattern, length);
    if (status == WEFT_OK && translated.failed)
        status = wf_fail_memory(err);
    if (status == WEFT_OK)
        status = compile(r, wf_str_text(&translated), translated.length, err);
    wf_str_free(&translated);
    if (status == WEFT_OK)
        *out = r;
    else
        wf_regex_free(r);
    return status;
}

void wf_regex_free(wf_regex *r) {
    if (!r)
        return;
    pcre2_code_free(r->code);
    pcre2_general_context_free(r->general);
    wf_free(r->mem, r);
}

weft_status wf_regex_scratch_create(const wf_mem *mem, wf_regex_scratch **out, weft_error *err) {
    wf_regex_scratch *s = wf_calloc(mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    s->mem = mem;
    /* PCRE2 hands the pointer back untouched. */
    s->general = pcre2_general_context_create(scratch_alloc, scratch_free, (void *)(uintptr_t)mem);
    s->limits = s->general ? pcre2_match_context_create(s->general) : NULL;
    s->data = s->general ? pcre2_match_data_create(1, s->general) : NULL;
    if (!s->limits || !s->data) {
        wf_regex_scratch_free(s);
        return wf_fail_memory(err);
    }
    pcre2_set_heap_limit(s->limits, 64 * 1024); /* KiB */
    wf_regex_allow(s, 0);
    *out = s;
    return WEFT_OK;
}

void wf_regex_scratch_free(wf_regex_scratch *s) {
    if (!s)
        return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->limits);
    pcre2_general_context_free(s->general);
    wf_free(s->mem, s);
}

void wf_regex_allow(wf_regex_scratch *s, size_t text) { s->steps = 4000000 + 64 * (uint64_t)text; }

/* One search may take few steps for nothing. What needs more is tried again with more, on account of the text's allowance: so a
 * pattern that is slow everywhere ends soon, and one that is slow once does not fail. */
static weft_status match(const wf_regex *r, wf_regex_scratch *s, wf_regex_text text, int *rc, weft_error *err) {
    enum { FREE_STEPS = 512, FACTOR = 16 };
    for (uint32_t limit = FREE_STEPS;; limit *= FACTOR) {
        if (limit > FREE_STEPS) {
            WF_CHECK(limit <= s->steps && limit < UINT32_MAX / FACTOR, err, WEFT_FAILURE,
                     "a regular expression of the tokenizer needs too many steps on this text");
            s->steps -= limit;
        }
        pcre2_set_match_limit(s->limits, limit);
        /* A check of the UTF-8 would make every call linear in the text. */
        *rc = r->compiled ? pcre2_jit_match(r->code, (PCRE2_SPTR)text.data, text.length, text.from, 0, s->data, s->limits)
                          : PCRE2_ERROR_JIT_STACKLIMIT;
        if (*rc == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its stack on the heap */
            *rc = pcre2_match(r->code, (PCRE2_SPTR)text.data, text.length, text.from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                              s->data, s->limits);
        if (*rc != PCRE2_ERROR_MATCHLIMIT)
            return WEFT_OK;
    }
}

weft_status wf_regex_find(const wf_regex *r, wf_regex_scratch *s, wf_regex_text text, size_t span[2], bool *found,
                          weft_error *err) {
    int rc;
    WF_TRY(match(r, s, text, &rc, err));
    *found = rc >= 0;
    if (rc == PCRE2_ERROR_NOMEMORY)
        return wf_fail_memory(err);
    WF_CHECK(rc >= 0 || rc == PCRE2_ERROR_NOMATCH, err, WEFT_FAILURE,
             "a regular expression of the tokenizer needs too much memory on this text");
    if (*found)
        memcpy(span, pcre2_get_ovector_pointer(s->data), 2 * sizeof *span);
    return WEFT_OK;
}

/* ---- finding one match after another ---- */

wf_search wf_search_new(const wf_finder *finder, wf_regex_scratch *scratch, wf_bytes text) {
    return (wf_search){.finder = finder, .scratch = scratch, .text = text, .last = SIZE_MAX, .valid = SIZE_MAX};
}

static void find_literal(wf_search *s) {
    const wf_bytes *what = &s->finder->text;
    s->found = false;
    while (what->length && s->at + what->length <= s->text.length) {
        const char *hit = memchr(s->text.data + s->at, what->data[0], s->text.length - s->at - what->length + 1);
        if (!hit)
            return;
        s->at = (size_t)(hit - s->text.data);
        if (memcmp(hit, what->data, what->length) == 0) {
            s->found = true;
            s->start = s->at;
            s->end = s->at += what->length;
            return;
        }
        s->at++;
    }
}

static size_t char_length(const wf_search *s, size_t at) {
    size_t length = 1;
    if (at < s->text.length)
        wf_char_at((const uint8_t *)s->text.data + at, s->text.length - at, &length);
    return length;
}

/* The end of the valid UTF-8 that begins at s->at. */
static size_t valid_end(const wf_search *s) {
    return s->at + wf_utf8_valid_length((const uint8_t *)s->text.data + s->at, s->text.length - s->at);
}

static void scan_in_stretch(wf_search *s) {
    const uint8_t *base = (const uint8_t *)s->text.data + s->base;
    s->found = s->at < s->valid;
    s->start = s->at;
    if (s->found)
        s->end = s->at = s->base + s->finder->scan->next(s->finder->scan, base, s->valid - s->base, s->at - s->base);
}

/* The next match in the valid stretch. A search goes on where the last match ended, and an empty one right there does not
 * count: the search goes on behind the next character. */
static weft_status find_in_stretch(wf_search *s, bool *found, weft_error *err) {
    for (*found = true; *found && s->at <= s->valid;) {
        size_t span[2];
        WF_TRY(wf_regex_find(s->finder->regex, s->scratch,
                             (wf_regex_text){s->text.data + s->base, s->valid - s->base, s->at - s->base}, span, found, err));
        if (!*found)
            return WEFT_OK;
        s->start = s->base + span[0];
        s->end = s->base + span[1];
        if (s->start < s->end || s->last != s->end) {
            s->at = s->last = s->end;
            return WEFT_OK;
        }
        s->at += char_length(s, s->at);
    }
    *found = false;
    return WEFT_OK;
}

weft_status wf_search_next(wf_search *s, weft_error *err) {
    if (!s->finder->regex && !s->finder->scan) {
        find_literal(s);
        return WEFT_OK;
    }
    for (s->found = false; s->at <= s->text.length;) {
        if (s->valid == SIZE_MAX) {
            s->base = s->at;
            s->valid = valid_end(s);
        }
        if (s->finder->scan)
            scan_in_stretch(s);
        else if (s->at <= s->valid)
            WF_TRY(find_in_stretch(s, &s->found, err));
        if (s->found || s->valid >= s->text.length)
            break;
        s->at = s->valid + 1; /* past the byte that is no UTF-8 */
        s->valid = SIZE_MAX;
    }
    if (!s->found)
        s->at = s->text.length + 1;
    return WEFT_OK;
}

static weft_status compile_finder(wf_loading *l, const wf_json *text, wf_dialect dialect, wf_finder *out) {
    weft_error inner = {.offset = -1};
    weft_status status = wf_regex_compile(l->mem, text->string, text->length, dialect, &out->regex, &inner);
    return status == WEFT_OK ? WEFT_OK : wf_load_fail(l, status, text, "%s", inner.message);
}

weft_status wf_load_finder(wf_loading *l, const wf_json *j, wf_finder *out) {
    const wf_json *text = wf_json_get(j, "String"), *ruby = wf_json_get(j, "Regex"), *perl = wf_json_get(j, "Perl");
    const wf_json *given = text ? text : ruby ? ruby : perl;
    if (!given || given->kind != WF_JSON_STRING || j->count != 1)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "a pattern must be {\"String\": ...} or {\"Regex\": ...}");
    out->text = (wf_bytes){given->string, given->length};
    out->scan = text ? NULL : wf_scan_find(given->string, given->length, !ruby);
    if (out->scan)
        return WEFT_OK;
    /* An empty text is found before every character, as a regular expression of it is. */
    return text && text->length ? WEFT_OK : compile_finder(l, given, ruby ? WF_RUBY : WF_PERL, out);
}

weft_status wf_load_replace(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wf_replace), options));
    wf_replace *o = *options;
    WF_TRY(wf_load_string(l, j, "content", 0, &o->content));
    return wf_load_finder(l, wf_json_get(j, "pattern"), &o->finder);
}

void wf_release_replace(void *options) { wf_regex_free(((wf_replace *)options)->finder.regex); }
