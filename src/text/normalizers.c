/* normalizers.c - the table of normalizers: the four Unicode forms. */
#include "text/engine.h"
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

/* A stretch of text being brought to a normal form. */
typedef struct form {
    int options; /* of utf8proc */
    utf8proc_int32_t *chars;
    size_t count, capacity;
    const wf_mem *mem;
    wf_str *out;
    weft_error *err;
} form;

/* Nothing before such a character ever joins it, so a stretch may end there. */
static bool begins_anew(uint32_t c) { return c < 0x80u || (c >= 0x3400u && c <= 0x9FFFu) || (c >= 0xAC00u && c <= 0xD7A3u); }

static void sort_few(utf8proc_int32_t *c, size_t n) {
    for (size_t i = 1; i < n; i++) {
        utf8proc_int32_t x = c[i];
        size_t j = i;
        for (; j > 0 && wf_char_combining((uint32_t)c[j - 1]) > wf_char_combining((uint32_t)x); j--)
            c[j] = c[j - 1];
        c[j] = x;
    }
}

/* Counting sort: endless runs of marks are how a hostile text makes canonical ordering slow. */
static weft_status sort_many(form *f, utf8proc_int32_t *c, size_t n) {
    size_t start[257] = {0};
    utf8proc_int32_t *copy = wf_calloc(f->mem, n, sizeof *copy);
    if (!copy)
        return wf_fail_memory(f->err);
    memcpy(copy, c, n * sizeof *c);
    for (size_t i = 0; i < n; i++)
        start[wf_char_combining((uint32_t)c[i]) + 1]++;
    for (size_t k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++)
        c[start[wf_char_combining((uint32_t)copy[i])]++] = copy[i];
    wf_free(f->mem, copy);
    return WEFT_OK;
}

/* Canonical ordering: marks that follow each other are sorted by their class, equals staying in order. */
static weft_status order_marks(form *f) {
    for (size_t i = 0; i < f->count;) {
        size_t end = i;
        while (end < f->count && wf_char_combining((uint32_t)f->chars[end]) != 0)
            end++;
        if (end - i > 32)
            WF_TRY(sort_many(f, f->chars + i, end - i));
        else if (end - i > 1)
            sort_few(f->chars + i, end - i);
        i = end > i ? end : i + 1;
    }
    return WEFT_OK;
}

static weft_status flush(form *f) {
    if (f->count == 0)
        return WEFT_OK;
    WF_TRY(order_marks(f));
    utf8proc_ssize_t n = (utf8proc_ssize_t)f->count;
    if (f->options & UTF8PROC_COMPOSE)
        n = utf8proc_normalize_utf32(f->chars, n, (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        uint8_t bytes[4];
        wf_str_put(f->out, (const char *)bytes, (size_t)utf8proc_encode_char(f->chars[i], bytes));
    }
    f->count = 0;
    return f->out->failed ? wf_fail_memory(f->err) : WEFT_OK;
}

static weft_status put_char(form *f, uint32_t c) {
    enum { LONGEST_DECOMPOSITION = 32 };
    if (f->count > 256 && begins_anew(c))
        WF_TRY(flush(f));
    WF_TRY(wf_grow(f->mem, (void **)&f->chars, &f->capacity, f->count + LONGEST_DECOMPOSITION, sizeof *f->chars, f->err));
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, f->chars + f->count, LONGEST_DECOMPOSITION,
                                                 (utf8proc_option_t)(f->options & ~UTF8PROC_COMPOSE), NULL);
    f->count += n > 0 ? (size_t)n : 0;
    return WEFT_OK;
}

static weft_status put_text(form *f, wf_piece in) {
    for (size_t i = 0, length; i < in.length; i += length) {
        uint32_t c = wf_char_at(in.bytes + i, in.length - i, &length);
        if (c != WF_NO_CHAR) {
            WF_TRY(put_char(f, c));
            continue;
        }
        WF_TRY(flush(f));
        wf_str_putc(f->out, (char)in.bytes[i]);
    }
    return flush(f);
}

/* Text below U+0300 is in both composed forms' canonical one; ASCII is in all four. */
static bool is_plain(wf_piece in, bool latin_too) {
    uint8_t limit = latin_too ? 0xCC : 0x80;
    for (size_t i = 0; i < in.length; i++)
        if (in.bytes[i] >= limit)
            return false;
    return true;
}

static weft_status apply_form(int options, wf_piece in, wf_str *out, bool *changed, weft_error *err) {
    if (is_plain(in, options == (UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPOSE)))
        return WEFT_OK;
    form f = {.options = options, .mem = out->mem, .out = out, .err = err};
    weft_status status = put_text(&f, in);
    wf_free(f.mem, f.chars);
    *changed = true;
    return status;
}

static weft_status apply_nfc(const void *options, wf_piece in, wf_str *out, bool *changed, weft_error *err) {
    return apply_form(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPOSE, in, out, changed, err);
}
static weft_status apply_nfd(const void *options, wf_piece in, wf_str *out, bool *changed, weft_error *err) {
    return apply_form(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, in, out, changed, err);
}
static weft_status apply_nfkc(const void *options, wf_piece in, wf_str *out, bool *changed, weft_error *err) {
    return apply_form(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT, in, out, changed, err);
}
static weft_status apply_nfkd(const void *options, wf_piece in, wf_str *out, bool *changed, weft_error *err) {
    return apply_form(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, in, out, changed, err);
}

static const wf_normalizer_row rows[] = {
    {.name = "NFC", .apply = apply_nfc},
    {.name = "NFD", .apply = apply_nfd},
    {.name = "NFKC", .apply = apply_nfkc},
    {.name = "NFKD", .apply = apply_nfkd},
};

const wf_normalizer_row *wf_normalizer_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
