/* normalizers.c - the table of normalizers. Those that need tables of their own are in normal_forms.c, charsmap.c and
 * sentencepiece.c. */
#include <string.h>

#include "text/bytelevel.h"
#include "text/charsmap.h"
#include "text/engine.h"
#include "text/normal_forms.h"
#include "text/unicode.h"

/* ---- by characters ---- */

/* Hands every character to `step`; bytes that are no UTF-8 stay. */
static void each_char(wf_piece in, wf_change *out, void (*step)(wf_change *out, uint32_t c)) {
    for (size_t i = 0, length; i < in.length; i += length) {
        uint32_t c = wf_char_at(in.bytes + i, in.length - i, &length);
        if (c == WF_NO_CHAR)
            wf_change_raw(out, in.bytes[i]);
        else
            step(out, c);
    }
}

static weft_status apply_nfc(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    return wf_normal_form(WF_NFC, in, out, changed, err);
}
static weft_status apply_nfd(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    return wf_normal_form(WF_NFD, in, out, changed, err);
}
static weft_status apply_nfkc(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    return wf_normal_form(WF_NFKC, in, out, changed, err);
}
static weft_status apply_nfkd(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    return wf_normal_form(WF_NFKD, in, out, changed, err);
}

static void put_lower(wf_change *out, uint32_t c) {
    if (c == 0x130u) { /* the only one whose lower case is two characters */
        wf_change_char(out, 'i', 0);
        wf_change_char(out, 0x307u, 1);
    } else {
        wf_change_char(out, wf_char_lower(c), 0);
    }
}

static weft_status apply_lowercase(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    each_char(in, out, put_lower);
    *changed = true;
    return WEFT_OK;
}

static void put_unless_mark(wf_change *out, uint32_t c) {
    if (wf_char_is_mark(c))
        wf_change_drop(out, 1);
    else
        wf_change_char(out, c, 0);
}

static weft_status apply_strip_accents(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    each_char(in, out, put_unless_mark);
    *changed = true;
    return WEFT_OK;
}

static bool nmt_drops(uint32_t c) {
    return (c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

static bool nmt_blanks(uint32_t c) {
    return c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680u || (c >= 0x200Bu && c <= 0x200Fu) || c == 0x2028u ||
           c == 0x2029u || c == 0x2581u || c == 0xFEFFu || c == 0xFFFDu;
}

static void put_nmt(wf_change *out, uint32_t c) {
    if (nmt_drops(c))
        wf_change_drop(out, 1);
    else
        wf_change_char(out, nmt_blanks(c) ? ' ' : c, 0);
}

static weft_status apply_nmt(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    each_char(in, out, put_nmt);
    *changed = true;
    return WEFT_OK;
}

/* The first character of the canonical decomposition (llama.cpp's idea of NFD). */
static void put_base(wf_change *out, uint32_t c) { wf_change_char(out, wf_char_base(c), 0); }

static weft_status apply_base(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    each_char(in, out, put_base);
    *changed = true;
    return WEFT_OK;
}

/* The letters of a character's bytes. */
static weft_status apply_byte_level(const void *o, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    for (size_t i = 0, length; i < in.length; i += length) {
        wf_char_at(in.bytes + i, in.length - i, &length);
        for (size_t k = 0; k < length; k++)
            wf_change_char(out, wf_letter_of_byte(in.bytes[i + k]), k > 0);
    }
    *changed = true;
    return WEFT_OK;
}

/* ---- Strip ---- */

typedef struct strip {
    bool left, right;
} strip;

static weft_status load_strip(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(strip), options));
    strip *o = *options;
    WF_TRY(wf_load_bool(l, j, "strip_left", true, &o->left));
    return wf_load_bool(l, j, "strip_right", true, &o->right);
}

static bool is_space(uint32_t c) { return c != WF_NO_CHAR && wf_char_class_of(c) == WF_CHAR_SPACE; }

static weft_status apply_strip(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    const strip *o = options;
    size_t from = 0, to = in.length, length, dropped = 0;
    for (; o->left && from < to && is_space(wf_char_at(in.bytes + from, to - from, &length)); dropped++)
        from += length;
    while (o->right && to > from && is_space(wf_char_before(in.bytes, to, &length)))
        to -= length;
    if (from == 0 && to == in.length)
        return WEFT_OK;
    wf_change_drop(out, (int64_t)dropped);
    wf_change_keep(out, to - from);
    *changed = true;
    return WEFT_OK;
}

/* ---- Prepend ---- */

static weft_status load_prepend(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wf_bytes), options));
    return wf_load_string(l, j, "prepend", 0, *options);
}

/* What is put in front belongs to the first character, and so does that one's new copy. */
static void put_in_front(wf_change *out, wf_piece in, wf_bytes text) {
    size_t length, first;
    wf_char_at(in.bytes, in.length, &length);
    if (text.length) {
        wf_char_at((const uint8_t *)text.data, text.length, &first);
        wf_change_text(out, text.data, first, 0);
        wf_change_text(out, text.data + first, text.length - first, 1);
        wf_change_text(out, (const char *)in.bytes, length, 1);
    } else { /* even when that is nothing */
        wf_change_text(out, (const char *)in.bytes, length, 1);
        wf_change_drop(out, 1);
    }
    wf_change_keep(out, in.length - length);
}

static weft_status apply_prepend(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    if (in.length)
        put_in_front(out, in, *(const wf_bytes *)options);
    *changed = in.length > 0;
    return WEFT_OK;
}

/* ---- Replace ---- */

static weft_status replace_all(const wf_replace *o, wf_regex_scratch *scratch, wf_piece in, wf_change *out, bool *changed,
                               weft_error *err) {
    wf_search search = wf_search_new(&o->finder, scratch, (wf_bytes){(const char *)in.bytes, in.length});
    size_t done = 0;
    for (;;) {
        WF_TRY(wf_search_next(&search, err));
        if (!search.found)
            break;
        wf_change_keep(out, search.start - done);
        wf_change_drop(out, (int64_t)wf_count_chars(in.bytes + search.start, search.end - search.start));
        wf_change_text(out, o->content.data, o->content.length, 1);
        done = search.end;
        *changed = true;
    }
    if (*changed)
        wf_change_keep(out, in.length - done);
    return WEFT_OK;
}

/* Normalizers run from several threads and own no scratch; a regular expression brings one for the call. */
static weft_status apply_replace(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    const wf_replace *o = options;
    wf_regex_scratch *scratch = NULL;
    if (in.length == 0) { /* nothing is not found in nothing: so does the reference */
        *changed = false;
        return WEFT_OK;
    }
    if (o->finder.regex) {
        WF_TRY(wf_regex_scratch_create(out->text.mem, &scratch, err));
        wf_regex_allow(scratch, in.length);
    }
    weft_status status = replace_all(o, scratch, in, out, changed, err);
    wf_regex_scratch_free(scratch);
    return status;
}

/* ---- BertNormalizer ---- */

typedef struct bert {
    bool clean, chinese, strip_accents, lowercase;
} bert;

static weft_status load_bert(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(bert), options));
    bert *o = *options;
    WF_TRY(wf_load_bool(l, j, "clean_text", true, &o->clean));
    WF_TRY(wf_load_bool(l, j, "handle_chinese_chars", true, &o->chinese));
    WF_TRY(wf_load_bool(l, j, "lowercase", true, &o->lowercase));
    return wf_load_bool(l, j, "strip_accents", o->lowercase, &o->strip_accents);
}

static bool is_cjk(uint32_t c) {
    return (c >= 0x4E00u && c <= 0x9FFFu) || (c >= 0x3400u && c <= 0x4DBFu) || (c >= 0x20000u && c <= 0x2A6DFu) ||
           (c >= 0x2A700u && c <= 0x2B73Fu) || (c >= 0x2B740u && c <= 0x2B81Fu) || (c >= 0x2B920u && c <= 0x2CEAFu) ||
           (c >= 0xF900u && c <= 0xFAFFu) || (c >= 0x2F800u && c <= 0x2FA1Fu);
}

static void put_clean(wf_change *out, uint32_t c) {
    bool blank = c == '\t' || c == '\n' || c == '\r';
    if (!blank && (c == 0 || c == 0xFFFDu || wf_char_is_control(c)))
        wf_change_drop(out, 1);
    else
        wf_change_char(out, blank || is_space(c) ? ' ' : c, 0);
}

static void put_spaced(wf_change *out, uint32_t c) {
    wf_change_char(out, is_cjk(c) ? ' ' : c, 0);
    if (is_cjk(c)) {
        wf_change_char(out, c, 1);
        wf_change_char(out, ' ', 1);
    }
}

static void put_unless_accent(wf_change *out, uint32_t c) {
    if (wf_char_is_accent(c))
        wf_change_drop(out, 1);
    else
        wf_change_char(out, c, 0);
}

/* What one character becomes, all passes together; false when a mark stays, which would have to be put in order. */
static bool put_quick(const bert *o, uint32_t c, wf_str *out) {
    uint32_t parts[WF_LONGEST_DECOMPOSITION];
    bool cjk = o->chinese && is_cjk(c);
    if (c == 0xFFFDu || wf_char_is_control(c))
        return true;
    if (is_space(c) || cjk)
        wf_str_putc(out, ' ');
    if (is_space(c))
        return true;
    size_t n = wf_char_decompose(c, parts);
    for (size_t i = 0; i < n; i++) {
        char text[4];
        if (wf_char_is_accent(parts[i]))
            continue;
        if (wf_char_combining(parts[i]))
            return false;
        wf_str_put(out, text, wf_put_char(wf_char_lower(parts[i]), text));
    }
    if (cjk)
        wf_str_putc(out, ' ');
    return true;
}

/* One pass for texts without marks that stay, when nobody asks where characters come from. */
static bool bert_quick(const bert *o, wf_piece in, wf_change *out) {
    char run[256];
    size_t n = 0, length;
    if (out->aligned || !o->clean || !o->lowercase || !o->strip_accents)
        return false;
    for (size_t i = 0; i < in.length; i += length) {
        uint8_t c = in.bytes[i];
        bool blank = c == '\t' || c == '\n' || c == '\r';
        length = 1;
        if (c < 0x80 && (blank || (c >= 0x20 && c != 0x7F)))
            run[n++] = blank ? ' ' : (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (n == sizeof run || (c >= 0x80 && n)) {
            wf_str_put(&out->text, run, n);
            n = 0;
        }
        if (c < 0x80)
            continue;
        uint32_t wide = wf_char_at(in.bytes + i, in.length - i, &length);
        if (wide == WF_NO_CHAR || !put_quick(o, wide, &out->text)) {
            wf_str_clear(&out->text);
            return false;
        }
    }
    wf_str_put(&out->text, run, n);
    return true;
}

typedef struct bert_pass {
    bool on;
    void (*step)(wf_change *out, uint32_t c);
} bert_pass;

/* One pass over the text: from `piece` to `out`, which then hold it together. */
static weft_status run_pass(const bert_pass *pass, wf_piece *piece, wf_change **out, wf_change **spare, weft_error *err) {
    bool changed = false;
    wf_change_start(*out, *piece, (*spare)->original, (*spare)->aligned);
    if (pass->step)
        each_char(*piece, *out, pass->step);
    else
        WF_TRY(wf_normal_form(WF_NFD, *piece, *out, &changed, err));
    if (!pass->step && !changed)
        return WEFT_OK;
    WF_TRY(wf_change_status(*out, err));
    *piece = wf_change_piece(*out);
    wf_change *used = *out;
    *out = *spare;
    *spare = used;
    return WEFT_OK;
}

static weft_status bert_passes(const bert *o, wf_piece in, wf_change *out, wf_change *other, weft_error *err) {
    const bert_pass passes[] = {{o->clean, put_clean},
                                {o->chinese, put_spaced},
                                {o->strip_accents, NULL},
                                {o->strip_accents, put_unless_accent},
                                {o->lowercase, put_lower}};
    wf_piece piece = in;
    wf_change *to = out, *spare = other;
    other->original = out->original;
    other->aligned = out->aligned;
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        if (passes[i].on)
            WF_TRY(run_pass(&passes[i], &piece, &to, &spare, err));
    if (spare == out) /* the last pass wrote there */
        return WEFT_OK;
    wf_change last = *out; /* the result is in `other`, or nothing ran at all */
    *out = *other;
    *other = last;
    return WEFT_OK;
}

static weft_status apply_bert(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err) {
    const bert *o = options;
    *changed = o->clean || o->chinese || o->strip_accents || o->lowercase;
    if (!*changed || bert_quick(o, in, out))
        return WEFT_OK;
    wf_change other = wf_change_new(out->text.mem);
    wf_change_start(out, in, out->original, out->aligned);
    weft_status status = bert_passes(o, in, out, &other, err);
    wf_change_free(&other);
    return status;
}

/* ---- the table ---- */

static const wf_normalizer_row rows[] = {
    {.name = "NFC", .apply = apply_nfc, .cuts = true},
    {.name = "NFD", .apply = apply_nfd, .cuts = true},
    {.name = "NFKC", .apply = apply_nfkc, .cuts = true},
    {.name = "NFKD", .apply = apply_nfkd, .cuts = true},
    {.name = "Lowercase", .apply = apply_lowercase, .cuts = true},
    {.name = "StripAccents", .apply = apply_strip_accents, .cuts = true},
    {.name = "Nmt", .apply = apply_nmt, .cuts = true},
    {.name = "ByteLevel", .apply = apply_byte_level},
    {.name = "BaseCharacters", .apply = apply_base},
    {.name = "Strip", .load = load_strip, .apply = apply_strip},
    {.name = "Prepend", .load = load_prepend, .apply = apply_prepend},
    {.name = "Replace", .load = wf_load_replace, .apply = apply_replace, .release = wf_release_replace},
    {.name = "BertNormalizer", .load = load_bert, .apply = apply_bert, .cuts = true},
    {.name = "Precompiled", .load = wf_load_precompiled, .apply = wf_apply_precompiled, .cuts = true},
    {.name = "SentencePiece", .load = wf_load_sentencepiece, .apply = wf_apply_sentencepiece},
};

const wf_normalizer_row *wf_normalizer_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
