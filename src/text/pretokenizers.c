/* pretokenizers.c - the table of pre-tokenizers. */
#include <string.h>

#include "text/bytelevel.h"
#include "text/cut.h"
#include "text/scripts.h"
#include "text/unicode.h"

/* ---- ByteLevel ---- */

typedef struct byte_level {
    bool add_prefix_space, use_regex;
} byte_level;

static weft_status load_byte_level(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(byte_level), options));
    byte_level *o = *options;
    bool trim;
    WF_TRY(wf_load_bool(l, j, "add_prefix_space", true, &o->add_prefix_space));
    WF_TRY(wf_load_bool(l, j, "trim_offsets", true, &trim)); /* of no effect here */
    return wf_load_bool(l, j, "use_regex", true, &o->use_regex);
}

/* The piece with a text in front, kept by the encoder; the text belongs to the first character. */
static weft_status with_prefix(wf_encoder *e, int stage, const char *prefix, wf_piece *piece) {
    wf_change *out;
    size_t first, length;
    WF_TRY(wf_encoder_stage_text(e, stage, *piece, &out));
    wf_char_at(piece->bytes, piece->length, &length);
    wf_char_at((const uint8_t *)prefix, strlen(prefix), &first);
    wf_change_text(out, prefix, first, 0);
    wf_change_text(out, prefix + first, strlen(prefix) - first, 1);
    wf_change_text(out, (const char *)piece->bytes, length, 1);
    wf_change_keep(out, piece->length - length);
    WF_TRY(wf_change_status(out, e->err));
    *piece = wf_change_piece(out);
    return WEFT_OK;
}

/* Letters become text of their own, kept by the encoder. */
static weft_status with_letters_spelled(wf_encoder *e, int stage, wf_piece *piece) {
    wf_change *out;
    wf_piece spelled;
    WF_TRY(wf_encoder_spelled(e, *piece, &spelled));
    WF_TRY(wf_encoder_stage_text(e, WF_STAGES_MAX + stage, spelled, &out));
    wf_change_keep(out, spelled.length);
    WF_TRY(wf_change_status(out, e->err));
    *piece = wf_change_piece(out);
    return WEFT_OK;
}

static weft_status split_byte_level(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const byte_level *o = options;
    if (piece.letters) /* of an earlier ByteLevel: they are text now */
        WF_TRY(with_letters_spelled(e, stage, &piece));
    if (o->add_prefix_space && piece.bytes[0] != ' ')
        WF_TRY(with_prefix(e, stage, " ", &piece));
    piece.letters = true;
    if (!o->use_regex)
        return wf_encoder_next(e, stage, piece);
    for (size_t at = 0, end; at < piece.length; at = end) {
        end = wf_gpt2_next(piece.bytes, piece.length, at);
        WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, at, end)));
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

static bool is_space(uint32_t c) { return wf_char_class_of(c) == WF_CHAR_SPACE; }

static weft_status load_digits(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(bool), options));
    return wf_load_bool(l, j, "individual_digits", false, *options);
}

static weft_status split_digits(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const bool *individual = options;
    wf_cut cut = wf_cut_new(e, stage, piece, *individual ? WF_CUT_ISOLATED : WF_CUT_CONTIGUOUS, false);
    return split_by_char(&cut, wf_char_is_numeric);
}

static weft_status load_punctuation(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wf_cut_behavior), options));
    return wf_cut_load(l, j, WF_CUT_ISOLATED, *options);
}

static weft_status split_punctuation(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const wf_cut_behavior *behavior = options;
    wf_cut cut = wf_cut_new(e, stage, piece, *behavior, false);
    return split_by_char(&cut, wf_char_is_punctuation);
}

static weft_status split_whitespace(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    wf_cut cut = wf_cut_new(e, stage, piece, WF_CUT_REMOVED, false);
    return split_by_char(&cut, is_space);
}

/* Words and runs of other characters that are no space: \w+|[^\w\s]+ */
static weft_status split_words(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    size_t from = 0, length;
    int kind = -1; /* of the run from `from` on: 0 word, 1 other, -1 space */
    for (size_t at = 0; at < piece.length; at += length) {
        uint32_t c = char_of(piece, at, &length);
        int now = c == WF_NO_CHAR ? 1 : is_space(c) ? -1 : wf_char_is_word(c) ? 0 : 1;
        if (now == kind)
            continue;
        if (kind >= 0)
            WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, from, at)));
        from = at;
        kind = now;
    }
    return kind >= 0 ? wf_encoder_next(e, stage, wf_piece_part(piece, from, piece.length)) : WEFT_OK;
}

/* BERT: spaces go, punctuation stands alone. */
static weft_status split_bert(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    size_t from = 0, length;
    for (size_t at = 0; at < piece.length; at += length) {
        uint32_t c = char_of(piece, at, &length);
        bool alone = c != WF_NO_CHAR && wf_char_is_punctuation(c);
        if (!alone && (c == WF_NO_CHAR || !is_space(c)))
            continue;
        if (from < at)
            WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, from, at)));
        if (alone)
            WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, at, at + length)));
        from = at + length;
    }
    return from < piece.length ? wf_encoder_next(e, stage, wf_piece_part(piece, from, piece.length)) : WEFT_OK;
}

/* ---- CharDelimiterSplit ---- */

static weft_status load_delimiter(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(uint32_t), options));
    wf_bytes text;
    size_t length;
    WF_TRY(wf_load_string(l, j, "delimiter", 1, &text));
    *(uint32_t *)*options = wf_char_at((const uint8_t *)text.data, text.length, &length);
    return WEFT_OK;
}

static weft_status split_delimiter(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const uint32_t *delimiter = options;
    size_t from = 0, length;
    for (size_t at = 0; at < piece.length; at += length) {
        if (char_of(piece, at, &length) != *delimiter)
            continue;
        if (from < at)
            WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, from, at)));
        from = at + length;
    }
    return from < piece.length ? wf_encoder_next(e, stage, wf_piece_part(piece, from, piece.length)) : WEFT_OK;
}

/* ---- FixedLength ---- */

static weft_status load_fixed_length(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(size_t), options));
    WF_TRY(wf_load_count(l, j, "length", 5, *options));
    return *(size_t *)*options ? WEFT_OK : wf_load_fail(l, WEFT_BAD_INPUT, j, "length must not be 0");
}

static weft_status split_fixed_length(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const size_t *most = options;
    size_t from = 0, count = 0, length;
    for (size_t at = 0; at < piece.length; at += length) {
        if (count++ == *most) {
            WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, from, at)));
            from = at;
            count = 1;
        }
        char_of(piece, at, &length);
    }
    return wf_encoder_next(e, stage, wf_piece_part(piece, from, piece.length));
}

/* ---- UnicodeScripts ---- */

/* A new piece begins where the script changes; a blank belongs to any script, so blanks at the very beginning belong to no
 * piece and are lost, as in the reference. */
static weft_status split_scripts(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    size_t from = SIZE_MAX, length;
    int last = -1;
    for (size_t at = 0; at < piece.length; at += length) {
        uint32_t c = char_of(piece, at, &length);
        int script = c == WF_NO_CHAR || c == ' ' ? WF_ANY_SCRIPT : wf_char_script(c);
        if (script == WF_ANY_SCRIPT)
            continue;
        if (script != last) {
            if (from != SIZE_MAX)
                WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, from, at)));
            from = at;
        }
        last = script;
    }
    return from != SIZE_MAX ? wf_encoder_next(e, stage, wf_piece_part(piece, from, piece.length)) : WEFT_OK;
}

/* ---- Metaspace ---- */

typedef struct metaspace {
    wf_bytes replacement;
    enum { ALWAYS, FIRST, NEVER } scheme;
    bool split;
} metaspace;

/* The old form says add_prefix_space; where both are said, false and another scheme than never contradict each other. */
static weft_status load_scheme(wf_loading *l, const wf_json *j, metaspace *o) {
    static const char *const names[] = {"always", "first", "never", NULL};
    int scheme = ALWAYS;
    bool prefix;
    WF_TRY(wf_load_choice(l, j, "prepend_scheme", names, &scheme));
    WF_TRY(wf_load_bool(l, j, "add_prefix_space", true, &prefix));
    const wf_json *given = wf_json_get(j, "prepend_scheme");
    bool said = given && given->kind != WF_JSON_NULL;
    if (!prefix && said && scheme != NEVER)
        return wf_load_fail(l, WEFT_BAD_INPUT, given, "add_prefix_space does not match prepend_scheme");
    o->scheme = prefix ? scheme : NEVER;
    return WEFT_OK;
}

static weft_status load_metaspace(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(metaspace), options));
    metaspace *o = *options;
    WF_TRY(wf_load_string(l, j, "replacement", 1, &o->replacement));
    WF_TRY(wf_load_bool(l, j, "split", true, &o->split));
    return load_scheme(l, j, o);
}

static bool needs_origin(const void *options) { return ((const metaspace *)options)->scheme == FIRST; }

static weft_status replace_blanks(wf_encoder *e, int stage, const metaspace *o, wf_piece *piece) {
    wf_change *out;
    WF_TRY(wf_encoder_stage_text(e, stage, *piece, &out));
    for (size_t at = 0, run; at < piece->length; at += run) {
        const uint8_t *blank = memchr(piece->bytes + at, ' ', piece->length - at);
        run = blank ? (size_t)(blank - piece->bytes) - at : piece->length - at;
        wf_change_keep(out, run);
        if (!blank)
            break;
        wf_change_drop(out, 1);
        wf_change_text(out, o->replacement.data, o->replacement.length, 1);
        run++;
    }
    WF_TRY(wf_change_status(out, e->err));
    *piece = wf_change_piece(out);
    return WEFT_OK;
}

static bool begins_with(wf_piece piece, wf_bytes text) {
    return piece.length >= text.length && memcmp(piece.bytes, text.data, text.length) == 0;
}

/* A piece begins at every replacement that follows something. */
static weft_status split_at_replacements(const metaspace *o, wf_encoder *e, int stage, wf_piece piece) {
    size_t from = 0;
    for (size_t at = 1; at < piece.length; at++) {
        const uint8_t *hit = memchr(piece.bytes + at, o->replacement.data[0], piece.length - at);
        if (!hit)
            break;
        at = (size_t)(hit - piece.bytes);
        if (!begins_with((wf_piece){.bytes = hit, .length = piece.length - at}, o->replacement))
            continue;
        WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, from, at)));
        from = at;
    }
    return wf_encoder_next(e, stage, wf_piece_part(piece, from, piece.length));
}

static weft_status split_metaspace(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const metaspace *o = options;
    WF_TRY(wf_encoder_spelled(e, piece, &piece));
    bool first = piece.origin == 0;
    WF_TRY(replace_blanks(e, stage, o, &piece));
    bool prefix = o->scheme == ALWAYS || (o->scheme == FIRST && first);
    if (prefix && !begins_with(piece, o->replacement))
        WF_TRY(with_prefix(e, WF_STAGES_MAX + stage, o->replacement.data, &piece));
    if (!o->split)
        return wf_encoder_next(e, stage, piece);
    return split_at_replacements(o, e, stage, piece);
}

/* ---- Split ---- */

typedef struct split {
    wf_finder finder;
    wf_cut_behavior behavior;
    bool invert;
} split;

static weft_status load_split(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(split), options));
    split *o = *options;
    WF_TRY(wf_cut_load(l, j, WF_CUT_ISOLATED, &o->behavior));
    WF_TRY(wf_load_bool(l, j, "invert", false, &o->invert));
    return wf_load_finder(l, wf_json_get(j, "pattern"), &o->finder);
}

static void release_split(void *options) { wf_regex_free(((split *)options)->finder.regex); }

/* How many bytes of the piece the letters text[from, to) stand for. */
static size_t bytes_of_letters(const uint8_t *text, size_t from, size_t to) {
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += (text[i] & 0xC0u) != 0x80u;
    return n;
}

/* Matches are found in `text`: the piece itself, or its letters written out. */
static weft_status cut_at_matches(wf_cut *cut, const wf_finder *finder, wf_piece text) {
    wf_search search = wf_search_new(finder, cut->e->regex, (wf_bytes){(const char *)text.bytes, text.length});
    size_t seen = 0, at = 0, plain = 0; /* of the text; of the piece */
    for (;;) {
        WF_TRY(wf_search_next(&search, cut->e->err));
        if (!search.found)
            break;
        at += cut->piece.letters ? bytes_of_letters(text.bytes, seen, search.start) : search.start - seen;
        size_t matched =
            cut->piece.letters ? bytes_of_letters(text.bytes, search.start, search.end) : search.end - search.start;
        WF_TRY(wf_cut_feed(cut, plain, at, false));
        WF_TRY(wf_cut_feed(cut, at, at + matched, true));
        plain = at += matched;
        seen = search.end;
    }
    WF_TRY(wf_cut_feed(cut, plain, cut->piece.length, false));
    return wf_cut_end(cut);
}

/* The usual case: every match is a piece, and the matches cover the text. */
static weft_status split_by_scan(const wf_scan *s, wf_encoder *e, int stage, wf_piece piece) {
    for (size_t at = 0, end; at < piece.length; at = end) {
        end = s->next(s, piece.bytes, piece.length, at);
        WF_TRY(wf_encoder_next(e, stage, wf_piece_part(piece, at, end)));
    }
    return WEFT_OK;
}

static weft_status split_split(const void *options, wf_encoder *e, int stage, wf_piece piece) {
    const split *o = options;
    if (o->finder.scan && o->behavior == WF_CUT_ISOLATED && !piece.letters && wf_utf8_valid(piece.bytes, piece.length))
        return split_by_scan(o->finder.scan, e, stage, piece);
    wf_cut cut = wf_cut_new(e, stage, piece, o->behavior, o->invert);
    wf_change *spelled;
    if (!piece.letters)
        return cut_at_matches(&cut, &o->finder, piece);
    WF_TRY(wf_encoder_stage_text(e, stage, piece, &spelled)); /* its own copy: later stages spell letters too */
    for (size_t i = 0; i < piece.length; i++) {
        char letter[WF_LETTER_BYTES];
        wf_str_put(&spelled->text, letter, wf_put_letter(piece.bytes[i], letter));
    }
    WF_TRY(wf_change_status(spelled, e->err));
    return cut_at_matches(&cut, &o->finder,
                          (wf_piece){.bytes = (const uint8_t *)wf_str_text(&spelled->text), .length = spelled->text.length});
}

/* ---- cuts before a blank between letters ---- */

static bool cuts_always(const void *options) { return true; }
static bool byte_level_cuts(const void *options) { return ((const byte_level *)options)->use_regex; }
static bool delimiter_cuts(const void *options) { return *(const uint32_t *)options == ' '; }
static bool metaspace_cuts(const void *options) { return ((const metaspace *)options)->split; }
static bool split_cuts(const void *options) {
    const split *o = options;
    return o->finder.scan && o->behavior == WF_CUT_ISOLATED && !o->invert;
}

/* ---- the table ---- */

static const wf_pretokenizer_row rows[] = {
    {.name = "ByteLevel", .load = load_byte_level, .split = split_byte_level, .makes_letters = true, .cuts = byte_level_cuts},
    {.name = "BertPreTokenizer", .split = split_bert, .cuts = cuts_always},
    {.name = "CharDelimiterSplit", .load = load_delimiter, .split = split_delimiter, .cuts = delimiter_cuts},
    {.name = "Digits", .load = load_digits, .split = split_digits},
    {.name = "FixedLength", .load = load_fixed_length, .split = split_fixed_length},
    {.name = "Metaspace",
     .load = load_metaspace,
     .split = split_metaspace,
     .needs_origin = needs_origin,
     .cuts = metaspace_cuts},
    {.name = "Punctuation", .load = load_punctuation, .split = split_punctuation},
    {.name = "Split", .load = load_split, .split = split_split, .release = release_split, .cuts = split_cuts},
    {.name = "UnicodeScripts", .split = split_scripts},
    {.name = "Whitespace", .split = split_words, .cuts = cuts_always},
    {.name = "WhitespaceSplit", .split = split_whitespace, .cuts = cuts_always},
};

const wf_pretokenizer_row *wf_pretokenizer_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
