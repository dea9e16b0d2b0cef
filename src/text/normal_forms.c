/* normal_forms.c - the four Unicode normal forms over utf8proc's tables, telling what became of each character. */
#include "text/normal_forms.h"

#include <string.h>
#include <utf8proc.h>

#include "text/unicode.h"

typedef struct wf_form_char {
    uint32_t c;
    int32_t by; /* see wf_change_char */
} wf_form_char;

/* A stretch of text being brought to a normal form. */
typedef struct form {
    int options;   /* of utf8proc */
    uint8_t limit; /* bytes below it are characters that stay as they are */
    wf_form_char *chars;
    size_t count, capacity;
    const wf_mem *mem;
    wf_change *out;
    weft_error *err;
} form;

/* Nothing before such a character ever joins it, so a stretch may end there. */
static bool begins_anew(uint32_t c) { return c < 0x80u || (c >= 0x3400u && c <= 0x9FFFu) || (c >= 0xAC00u && c <= 0xD7A3u); }

static void sort_few(wf_form_char *c, size_t n) {
    for (size_t i = 1; i < n; i++) {
        wf_form_char x = c[i];
        size_t j = i;
        for (; j > 0 && wf_char_combining(c[j - 1].c) > wf_char_combining(x.c); j--)
            c[j] = c[j - 1];
        c[j] = x;
    }
}

/* Counting sort: endless runs of marks are how a hostile text makes canonical ordering slow. */
static weft_status sort_many(form *f, wf_form_char *c, size_t n) {
    size_t start[257] = {0};
    wf_form_char *copy = wf_calloc(f->mem, n, sizeof *copy);
    if (!copy)
        return wf_fail_memory(f->err);
    memcpy(copy, c, n * sizeof *c);
    for (size_t i = 0; i < n; i++)
        start[wf_char_combining(c[i].c) + 1]++;
    for (size_t k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++)
        c[start[wf_char_combining(copy[i].c)]++] = copy[i];
    wf_free(f->mem, copy);
    return WEFT_OK;
}

/* Canonical ordering: marks that follow each other are sorted by their class, equals staying in order. */
static weft_status order_marks(form *f) {
    for (size_t i = 0; i < f->count;) {
        size_t end = i;
        while (end < f->count && wf_char_combining(f->chars[end].c) != 0)
            end++;
        if (end - i > 32)
            WF_TRY(sort_many(f, f->chars + i, end - i));
        else if (end - i > 1)
            sort_few(f->chars + i, end - i);
        i = end > i ? end : i + 1;
    }
    return WEFT_OK;
}

/* The composition of two characters, 0 when they have none. */
static uint32_t compose(uint32_t a, uint32_t b) {
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    if (b < 0x300u)
        return 0;
    return utf8proc_normalize_utf32(pair, 2, (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE)) == 1 ? (uint32_t)pair[0]
                                                                                                           : 0;
}

/* Canonical composition of the stretch in place: a starter takes in what follows it, unless a mark between blocks the way. What
 * is taken in counts as a character less. */
static void compose_all(form *f) {
    size_t starter = SIZE_MAX, n = 0;
    int last = -1; /* combining class of the mark kept last behind the starter */
    for (size_t i = 0; i < f->count; i++) {
        wf_form_char x = f->chars[i];
        int class = wf_char_combining(x.c);
        uint32_t joined = starter != SIZE_MAX && last < class ? compose(f->chars[starter].c, x.c) : 0;
        if (joined) {
            f->chars[starter].c = joined;
            f->chars[starter].by += x.by - 1;
            continue;
        }
        f->chars[n] = x;
        starter = class == 0 ? n : starter;
        last = class == 0 ? -1 : class;
        n++;
    }
    f->count = n;
}

static weft_status flush(form *f) {
    WF_TRY(order_marks(f));
    if (f->options & UTF8PROC_COMPOSE)
        compose_all(f);
    for (size_t i = 0; i < f->count; i++)
        wf_change_char(f->out, f->chars[i].c, f->chars[i].by);
    f->count = 0;
    return WEFT_OK;
}

static weft_status put_char(form *f, uint32_t c) {
    enum { LONGEST_DECOMPOSITION = 32 };
    utf8proc_int32_t parts[LONGEST_DECOMPOSITION];
    if (f->count > 256 && begins_anew(c))
        WF_TRY(flush(f));
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, LONGEST_DECOMPOSITION,
                                                 (utf8proc_option_t)(f->options & ~UTF8PROC_COMPOSE), NULL);
    WF_TRY(wf_grow(f->mem, (void **)&f->chars, &f->capacity, f->count + LONGEST_DECOMPOSITION, sizeof *f->chars, f->err));
    for (utf8proc_ssize_t i = 0; i < n; i++)
        f->chars[f->count++] = (wf_form_char){(uint32_t)parts[i], i > 0};
    return WEFT_OK;
}

/* Characters that stay as they are and that nothing before them joins, but for the last, which a mark may follow. */
static size_t plain_run(const form *f, wf_piece in, size_t i) {
    uint8_t limit = f->limit;
    size_t end = i, last = i;
    while (end < in.length && in.bytes[end] < limit) {
        last = (in.bytes[end] & 0xC0) == 0x80 ? last : end;
        end++;
    }
    return last - i;
}

static weft_status put_text(form *f, wf_piece in) {
    for (size_t i = 0, length; i < in.length; i += length) {
        enum { WORTH_IT = 16 };
        size_t run = in.bytes[i] < f->limit ? plain_run(f, in, i) : 0;
        if (run >= WORTH_IT && wf_utf8_valid(in.bytes + i, run)) {
            WF_TRY(flush(f));
            wf_change_keep(f->out, run);
            i += run;
        }
        uint32_t c = wf_char_at(in.bytes + i, in.length - i, &length);
        if (c != WF_NO_CHAR) {
            WF_TRY(put_char(f, c));
            continue;
        }
        WF_TRY(flush(f));
        wf_change_raw(f->out, in.bytes[i]);
    }
    return flush(f);
}

static bool is_plain(wf_piece in, uint8_t limit) {
    for (size_t i = 0; i < in.length; i++)
        if (in.bytes[i] >= limit)
            return false;
    return true;
}

weft_status wf_normal_form(wf_normal_kind kind, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    static const int all[] = {UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPOSE, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                              UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                              UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
    int options = all[kind];
    /* Text below U+0300 is in both composed forms' canonical one; ASCII is in all four. */
    uint8_t limit = kind == WF_NFC ? 0xCC : 0x80;
    if (is_plain(in, limit))
        return WEFT_OK;
    form f = {.options = options, .limit = limit, .mem = out->text.mem, .out = out, .err = err};
    weft_status status = put_text(&f, in);
    wf_free(f.mem, f.chars);
    *changed = true;
    return status;
}
