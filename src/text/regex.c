/* regex.c - PCRE2 behind a check for what Oniguruma and PCRE2 read differently. */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/str.h"

struct wf_regex {
    const wf_mem *mem;
    pcre2_general_context *general;
    pcre2_code *code;
};

struct wf_regex_scratch {
    const wf_mem *mem;
    pcre2_general_context *general;
    pcre2_match_context *limits;
    pcre2_match_data *data;
    uint64_t steps; /* left for this text, see match */
};

static void *hook_alloc(size_t size, void *mem) { return wf_alloc(mem, size); }
static void hook_free(void *block, void *mem) { wf_free(mem, block); }

static pcre2_general_context *general_context(const wf_mem *mem) {
    /* PCRE2 hands the pointer back untouched. */
    return pcre2_general_context_create(hook_alloc, hook_free, (void *)(uintptr_t)mem);
}

/* ---- the dialect ---- */

/* Escapes that mean the same in both: classes of characters, control characters, and any escaped punctuation. */
static bool escape_is_common(char c) {
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return !alphanumeric || strchr("sSdDpPrntfv", c) != NULL;
}

/* Bytes of the escape at p: \s, or \p{Lu}. */
static size_t escape_length(const char *p, size_t n) {
    bool property = n > 2 && (p[1] == 'p' || p[1] == 'P') && p[2] == '{';
    const char *end = property ? memchr(p, '}', n) : NULL;
    return end ? (size_t)(end - p) + 1 : 2;
}

/* Groups: (?: (?= (?! (?<= (?<! (?> and inline options i, in both dialects alike. */
static bool group_is_common(const char *p, size_t n) {
    static const char *const common[] = {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?i)"};
    if (n == 0 || p[0] != '?')
        return true;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (n >= strlen(common[i]) && memcmp(p, common[i], strlen(common[i])) == 0)
            return true;
    return false;
}

/* What at p the dialects disagree on, NULL when nothing. */
static const char *disagreement(const char *p, size_t n, bool in_class) {
    char next = n > 1 ? p[1] : 0;
    if (*p == '\\')
        return escape_is_common(next) ? NULL : "an escape";
    if (in_class)
        return *p == '[' ? "a class inside a class" : *p == '&' && next == '&' ? "an intersection of classes" : NULL;
    if (*p == '^' || *p == '$')
        return "a line anchor";
    if (*p == '(')
        return group_is_common(p + 1, n - 1) ? NULL : "a group";
    return *p == '}' && (next == '+' || next == '?') ? "a quantifier after a quantifier" : NULL;
}

/* PCRE2's \s has U+180E, which is no white space: the class is spelled out. False for what cannot be spelled. */
static bool put_escape(wf_str *out, const char *p, size_t n, bool in_class) {
    static const char spaces[] =
        "\\x{9}-\\x{d} \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
    if (p[1] == 'S' && in_class)
        return false;
    if (p[1] != 's' && p[1] != 'S')
        wf_str_put(out, p, n);
    else if (in_class)
        wf_str_puts(out, spaces);
    else
        wf_str_printf(out, "[%s%s]", p[1] == 'S' ? "^" : "", spaces);
    return true;
}

/* The brackets that open a class, with a `^` and a literal `]` that may follow: their length. */
static size_t class_opening(const char *p, size_t n) {
    size_t length = n > 1 && p[1] == '^' ? 2 : 1;
    return n > length && p[length] == ']' ? length + 1 : length;
}

/* The pattern as PCRE2 should read it. */
static weft_status translate(const char *pattern, size_t n, wf_str *out, weft_error *err) {
    bool in_class = false;
    for (size_t i = 0, step; i < n; i += step) {
        const char *p = pattern + i, *what = disagreement(p, n - i, in_class);
        bool escape = *p == '\\', opens = !in_class && *p == '[';
        step = escape ? escape_length(p, n - i) : opens ? class_opening(p, n - i) : 1;
        step = step < n - i ? step : n - i;
        if (!what && escape && step > 1 && !put_escape(out, p, step, in_class))
            what = "\\S in a class";
        if (what)
            return wf_fail_at(err, WEFT_UNSUPPORTED, (int64_t)i,
                              "the regular expression has %s that regex engines read differently, at byte %zu", what, i);
        if (!escape || step == 1)
            wf_str_put(out, p, step);
        in_class = opens || (in_class && !(*p == ']'));
    }
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

/* ---- compiling and matching ---- */

static weft_status compile(wf_regex *r, const char *pattern, size_t length, weft_error *err) {
    int code;
    size_t at;
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
    r->general = general_context(r->mem);
    pcre2_compile_context *context = r->general ? pcre2_compile_context_create(r->general) : NULL;
    if (!context)
        return wf_fail_memory(err);
    pcre2_set_parens_nest_limit(context, 100);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, length, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!r->code) {
        PCRE2_UCHAR text[128] = "";
        if (code == 121) /* "failed to allocate heap memory" */
            return wf_fail_memory(err);
        pcre2_get_error_message(code, text, sizeof text);
        return wf_fail(err, WEFT_BAD_INPUT, "the regular expression is wrong: %s", (const char *)text);
    }
    uint32_t may_be_empty = 0;
    pcre2_pattern_info(r->code, PCRE2_INFO_MATCHEMPTY, &may_be_empty);
    WF_CHECK(!may_be_empty, err, WEFT_UNSUPPORTED, "the regular expression may match the empty text");
    return WEFT_OK;
}

weft_status wf_regex_compile(const wf_mem *mem, const char *pattern, size_t length, wf_regex **out, weft_error *err) {
    WF_CHECK(length <= 65536, err, WEFT_BAD_INPUT, "a regular expression of %zu bytes; the limit is 65536", length);
    wf_regex *r = wf_calloc(mem, 1, sizeof *r);
    if (!r)
        return wf_fail_memory(err);
    r->mem = mem;
    wf_str translated = wf_str_new(mem);
    weft_status status = translate(pattern, length, &translated, err);
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
    s->general = general_context(mem);
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
        *rc = pcre2_match(r->code, (PCRE2_SPTR)text.data, text.length, text.from, PCRE2_NO_UTF_CHECK, s->data, s->limits);
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
