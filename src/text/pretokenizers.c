/* pretokenizers.c - the table of pre-tokenizers: ByteLevel, Digits, Punctuation, Split. */
#include "text/bytelevel.h"
#include "text/cut.h"
#include "text/regex.h"
#include "text/unicode.h"

#include <string.h>

/* ---- ByteLevel ---- */

typedef struct byte_level {
    bool add_prefix_space, use_regex;
} byte_level;

static weft_status load_byte_level(wf_loading *l, const wf_json *j, void **options) {
    byte_level *o = wf_arena_alloc(&l->tok->arena, sizeof *o);
    if (!o)
        return wf_fail_memory(l->err);
    *options = o;
    WF_TRY(wf_load_bool(l, j, "add_prefix_space", true, &o->add_prefix_space));
    return wf_load_bool(l, j, "use_regex", true, &o->use_regex);
}

/* The text with a space in front, kept by the encoder. */
static weft_status with_space(wf_encoder *e, int stage, wf_piece *piece) {
    wf_str *s = &e->stage_text[stage];
    wf_str_clear(s);
    wf_str_putc(s, ' ');
    wf_str_put(s, (const char *)piece->bytes, piece->length);
    if (s->failed)
        return wf_fail_memory(e->err);
    piece->bytes = (const uint8_t *)s->data;
    piece->length = s->length;
    return WEFT_OK;
}

static weft_status split_byte_level(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const byte_level *o = options;
    if (o->add_prefix_space && piece.bytes[0] != ' ')
        WF_TRY(with_space(e, stage, &piece));
    piece.letters = true;
    if (!o->use_regex)
        return wf_encoder_next(e, stage, piece);
    for (size_t at = 0, end; at < piece.length; at = end) {
        end = wf_gpt2_next(piece.bytes, piece.length, at);
        WF_TRY(wf_encoder_next(e, stage, (wf_piece){piece.bytes + at, end - at, true}));
    }
    return WEFT_OK;
}

/* ---- by classes of characters ---- */

static uint32_t char_of(wf_piece p, size_t at, size_t *length) {
    if (!p.letters)
        return wf_char_at(p.bytes + at, p.length - at, length);
    *length = 1;
    return wf_letter_of_byte(p.bytes[at]);
}

/* Every character that `is` is a match of its own. */
static weft_status split_by_char(wf_cut *cut, bool (*is)(uint32_t c)) {
    size_t plain = 0, length;
    for (size_t at = 0; at < cut->piece.length; at += length) {
        uint32_t c = char_of(cut->piece, at, &length);
        if (c == WF_NO_CHAR || !is(c))
            continue;
        WF_TRY(wf_cut_feed(cut, plain, at, false));
        WF_TRY(wf_cut_feed(cut, at, at + length, true));
        plain = at + length;
    }
    WF_TRY(wf_cut_feed(cut, plain, cut->piece.length, false));
    return wf_cut_end(cut);
}

static bool is_number(uint32_t c) { return wf_char_class_of(c) == WF_CHAR_NUMBER; }

static weft_status load_digits(wf_loading *l, const wf_json *j, void **options) {
    bool *individual = wf_arena_alloc(&l->tok->arena, sizeof *individual);
    if (!individual)
        return wf_fail_memory(l->err);
    *options = individual;
    return wf_load_bool(l, j, "individual_digits", false, individual);
}

static weft_status split_digits(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const bool *individual = options;
    wf_cut cut = wf_cut_new(e, stage, piece, *individual ? WF_CUT_ISOLATED : WF_CUT_CONTIGUOUS, false);
    return split_by_char(&cut, is_number);
}

static weft_status load_punctuation(wf_loading *l, const wf_json *j, void **options) {
    wf_cut_behavior *behavior = wf_arena_alloc(&l->tok->arena, sizeof *behavior);
    if (!behavior)
        return wf_fail_memory(l->err);
    *options = behavior;
    return wf_cut_load(l, j, WF_CUT_ISOLATED, behavior);
}

static weft_status split_punctuation(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const wf_cut_behavior *behavior = options;
    wf_cut cut = wf_cut_new(e, stage, piece, *behavior, false);
    return split_by_char(&cut, wf_char_is_punctuation);
}

/* ---- Split ---- */

typedef struct split {
    wf_regex *regex;            /* or a literal: */
    const char *text, *letters; /* the literal itself; the bytes it stands for as letters, NULL when no letters */
    size_t text_length, letters_length;
    wf_cut_behavior behavior;
    bool invert;
} split;

/* In the world after ByteLevel a literal is matched against letters: turn it into the bytes they stand for. */
static weft_status literal_as_letters(wf_loading *l, split *o) {
    char *bytes = wf_arena_alloc(&l->tok->arena, o->text_length);
    if (!bytes)
        return wf_fail_memory(l->err);
    size_t n = 0, length;
    for (size_t i = 0; i < o->text_length; i += length) {
        uint32_t c = wf_char_at((const uint8_t *)o->text + i, o->text_length - i, &length);
        int b = wf_byte_of_letter(c);
        if (b < 0)
            return WEFT_OK;
        bytes[n++] = (char)b;
    }
    o->letters = bytes;
    o->letters_length = n;
    return WEFT_OK;
}

static weft_status load_pattern(wf_loading *l, const wf_json *pattern, split *o) {
    const wf_json *text = wf_json_get(pattern, "String"), *regex = wf_json_get(pattern, "Regex");
    if (text && text->kind == WF_JSON_STRING) {
        if (text->length == 0)
            return wf_load_fail(l, WEFT_UNSUPPORTED, text, "Split with an empty pattern");
        o->text = text->string;
        o->text_length = text->length;
        return literal_as_letters(l, o);
    }
    if (!regex || regex->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, pattern, "Split needs a pattern: {\"String\": ...} or {\"Regex\": ...}");
    weft_status status = wf_regex_compile(l->tok->mem, regex->string, regex->length, &o->regex, l->err);
    if (status != WEFT_OK && l->err)
        l->err->offset = l->base + regex->offset;
    if (status != WEFT_OK)
        wf_fail_in(l->err, "%s: Split", l->where);
    return status;
}

static weft_status load_split(wf_loading *l, const wf_json *j, void **options) {
    split *o = wf_arena_alloc(&l->tok->arena, sizeof *o);
    if (!o)
        return wf_fail_memory(l->err);
    *options = o;
    WF_TRY(wf_cut_load(l, j, WF_CUT_ISOLATED, &o->behavior));
    WF_TRY(wf_load_bool(l, j, "invert", false, &o->invert));
    return load_pattern(l, wf_json_get(j, "pattern"), o);
}

static void release_split(const wf_mem *mem, void *options) {
    if (options)
        wf_regex_free(((split *)options)->regex);
}

static weft_status split_literal(wf_cut *cut, const char *literal, size_t n) {
    const uint8_t *p = cut->piece.bytes;
    size_t plain = 0;
    for (size_t at = 0; n && at + n <= cut->piece.length;) {
        const uint8_t *hit = memchr(p + at, literal[0], cut->piece.length - at - n + 1);
        if (!hit)
            break;
        at = (size_t)(hit - p);
        if (memcmp(hit, literal, n) != 0) {
            at++;
            continue;
        }
        WF_TRY(wf_cut_feed(cut, plain, at, false));
        WF_TRY(wf_cut_feed(cut, at, at + n, true));
        plain = at += n;
    }
    WF_TRY(wf_cut_feed(cut, plain, cut->piece.length, false));
    return wf_cut_end(cut);
}

/* How many bytes of the piece the letters text[from, to) stand for. */
static size_t bytes_of_letters(const char *text, size_t from, size_t to) {
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += ((uint8_t)text[i] & 0xC0u) != 0x80u;
    return n;
}

/* Cuts at the matches in one stretch of valid UTF-8, which begins at `at` of the piece. `plain`: where what is unmatched so far
 * begins. */
static weft_status match_stretch(wf_cut *cut, const wf_regex *regex, wf_bytes text, size_t at, size_t *plain) {
    size_t span[2];
    bool found;
    for (size_t seen = 0;; seen = span[1]) {
        WF_TRY(wf_regex_find(regex, cut->e->regex, (wf_regex_text){text.data, text.length, seen}, span, &found, cut->e->err));
        if (!found)
            return WEFT_OK;
        at += cut->piece.letters ? bytes_of_letters(text.data, seen, span[0]) : span[0] - seen;
        size_t matched = cut->piece.letters ? bytes_of_letters(text.data, span[0], span[1]) : span[1] - span[0];
        WF_TRY(wf_cut_feed(cut, *plain, at, false));
        WF_TRY(wf_cut_feed(cut, at, at + matched, true));
        *plain = at += matched;
    }
}

/* Bytes that are no UTF-8 match nothing and end the stretches that are searched. */
static weft_status split_regex(wf_cut *cut, const wf_regex *regex, wf_bytes text) {
    size_t plain = 0, length;
    for (size_t from = 0, to; from < text.length; from = to) {
        for (to = from; to < text.length; to += length)
            if (wf_char_at((const uint8_t *)text.data + to, text.length - to, &length) == WF_NO_CHAR)
                break;
        if (from < to)
            WF_TRY(match_stretch(cut, regex, (wf_bytes){text.data + from, to - from}, from, &plain));
        else
            to++;
    }
    WF_TRY(wf_cut_feed(cut, plain, cut->piece.length, false));
    return wf_cut_end(cut);
}

static weft_status spell_letters(wf_encoder *e, int stage, wf_piece piece) {
    wf_str *s = &e->stage_text[stage];
    wf_str_clear(s);
    for (size_t i = 0; i < piece.length; i++) {
        char letter[WF_LETTER_BYTES];
        wf_str_put(s, letter, wf_put_letter(piece.bytes[i], letter));
    }
    return s->failed ? wf_fail_memory(e->err) : WEFT_OK;
}

static weft_status split_split(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const split *o = options;
    wf_cut cut = wf_cut_new(e, stage, piece, o->behavior, o->invert);
    if (!o->regex)
        return split_literal(&cut, piece.letters ? o->letters : o->text, piece.letters ? o->letters_length : o->text_length);
    if (!piece.letters)
        return split_regex(&cut, o->regex, (wf_bytes){(const char *)piece.bytes, piece.length});
    WF_TRY(spell_letters(e, stage, piece));
    return split_regex(&cut, o->regex, (wf_bytes){e->stage_text[stage].data, e->stage_text[stage].length});
}

/* ---- the table ---- */

static const wf_pretokenizer_row rows[] = {
    {.name = "ByteLevel", .load = load_byte_level, .split = split_byte_level, .makes_letters = true},
    {.name = "Digits", .load = load_digits, .split = split_digits},
    {.name = "Punctuation", .load = load_punctuation, .split = split_punctuation},
    {.name = "Split", .load = load_split, .split = split_split, .release = release_split},
};

const wf_pretokenizer_row *wf_pretokenizer_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
