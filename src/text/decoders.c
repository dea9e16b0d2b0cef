/* decoders.c - the table of decoders: tokens as texts become the text of the whole. */
#include "text/bytelevel.h"
#include "text/engine.h"
#include "text/regex.h"
#include "text/unicode.h"

#include <string.h>

/* ---- lists of texts ---- */

wf_texts wf_texts_new(const wf_mem *mem) { return (wf_texts){.pool = wf_str_new(mem), .mem = mem}; }

void wf_texts_free(wf_texts *t) {
    wf_str_free(&t->pool);
    wf_free(t->mem, t->ends);
    t->ends = NULL;
    t->count = t->capacity = 0;
}

void wf_texts_clear(wf_texts *t) {
    wf_str_clear(&t->pool);
    t->count = 0;
}

void wf_texts_close(wf_texts *t) {
    if (wf_grow(t->mem, (void **)&t->ends, &t->capacity, t->count + 1, sizeof *t->ends, NULL) != WEFT_OK)
        t->failed = true;
    else
        t->ends[t->count++] = t->pool.length;
}

void wf_texts_put(wf_texts *t, const char *text, size_t length) {
    wf_str_put(&t->pool, text, length);
    wf_texts_close(t);
}

wf_bytes wf_texts_at(const wf_texts *t, size_t i) {
    size_t from = i ? t->ends[i - 1] : 0;
    return (wf_bytes){wf_str_text(&t->pool) + from, t->ends[i] - from};
}

static bool begins_with(wf_bytes text, wf_bytes with) {
    return text.length >= with.length && memcmp(text.data, with.data, with.length) == 0;
}

/* Nothing is found before and behind every character. */
static void put_between(wf_str *out, wf_bytes text, wf_bytes by) {
    for (size_t at = 0, length; at < text.length; at += length) {
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &length);
        wf_str_put(out, by.data, by.length);
        wf_str_put(out, text.data + at, length);
    }
    wf_str_put(out, by.data, by.length);
}

/* Appends the text with every `what` replaced by `by`. */
static void put_replaced(wf_str *out, wf_bytes text, wf_bytes what, wf_bytes by) {
    size_t done = 0; /* bytes that are out */
    if (what.length == 0) {
        put_between(out, text, by);
        return;
    }
    for (size_t i = 0; i < text.length;) {
        const char *found = memchr(text.data + i, what.data[0], text.length - i);
        i = found ? (size_t)(found - text.data) : text.length;
        if (!found || !begins_with((wf_bytes){found, text.length - i}, what)) {
            i += found != NULL;
            continue;
        }
        wf_str_put(out, text.data + done, i - done);
        wf_str_put(out, by.data, by.length);
        done = i += what.length;
    }
    wf_str_put(out, text.data + done, text.length - done);
}

static void put_plain(const void *options, wf_bytes text, wf_str *out) { wf_str_put(out, text.data, text.length); }

/* ---- ByteLevel ---- */

/* Appends the bytes that the letters of a text stand for; false, and nothing, when a character is no letter. */
static bool put_bytes(wf_bytes text, wf_str *out) {
    size_t before = out->length, length;
    char run[64];
    for (size_t i = 0, n = 0; i < text.length || n;) {
        if (n == sizeof run || i == text.length) {
            wf_str_put(out, run, n);
            n = 0;
            continue;
        }
        char c = text.data[i]; /* most letters are the bytes they stand for */
        int byte =
            c > ' ' && c < 0x7F ? c : wf_byte_of_letter(wf_char_at((const uint8_t *)text.data + i, text.length - i, &length));
        i += c > ' ' && c < 0x7F ? 1 : length;
        run[n++] = (char)byte;
        if (byte < 0) {
            out->length = before;
            return false;
        }
    }
    return true;
}

typedef struct byte_level {
    wf_vocab plain; /* tokens that stand for themselves */
} byte_level;

/* Adds the texts of a list to a set. */
static weft_status load_set(wf_loading *l, const wf_json *j, const char *key, wf_vocab *set) {
    const wf_json *list = wf_json_get(j, key);
    wf_vocab_init(set, l->mem);
    for (const wf_json *item = list ? list->child : NULL; item; item = item->next) {
        bool added;
        if (item->kind != WF_JSON_STRING)
            return wf_load_fail(l, WEFT_BAD_INPUT, item, "%s must be a list of texts", key);
        WF_TRY(wf_vocab_put(set, item->string, item->length, 0, &added, l->err));
    }
    return WEFT_OK;
}

static weft_status load_byte_level(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(byte_level), options));
    return load_set(l, j, "plain_tokens", &((byte_level *)*options)->plain);
}

static void release_byte_level(void *options) {
    if (((byte_level *)options)->plain.mem)
        wf_vocab_free(&((byte_level *)options)->plain);
}

/* A token with any character outside the alphabet stands for its own UTF-8 bytes, as in the reference. */
static void byte_level_token(const void *options, wf_bytes text, wf_str *out) {
    const byte_level *o = options;
    bool plain = o->plain.count && wf_vocab_find(&o->plain, text.data, text.length);
    if (plain || !put_bytes(text, out))
        wf_str_put(out, text.data, text.length);
}

static weft_status decode_byte_level(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    for (size_t i = 0; i < in->count; i++)
        byte_level_token(options, wf_texts_at(in, i), &out->pool);
    wf_texts_close(out);
    return WEFT_OK;
}

/* ---- ByteFallback ---- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* <0xHH>, or <0x+H>, which the reference's parser of numbers takes too; -1 for anything else. */
static int byte_of_token(wf_bytes t) {
    if (t.length != 6 || memcmp(t.data, "<0x", 3) != 0 || t.data[5] != '>')
        return -1;
    int high = t.data[3] == '+' ? 0 : hex_digit(t.data[3]), low = hex_digit(t.data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void byte_fallback_token(const void *options, wf_bytes text, wf_str *out) {
    int byte = byte_of_token(text);
    if (byte >= 0)
        wf_str_putc(out, (char)byte);
    else
        wf_str_put(out, text.data, text.length);
}

/* A run of bytes is one text when it is UTF-8, else a U+FFFD for each byte. */
static void end_bytes(const wf_texts *in, size_t first, size_t end, wf_texts *out) {
    size_t start = out->pool.length;
    for (size_t i = first; i < end; i++)
        wf_str_putc(&out->pool, (char)byte_of_token(wf_texts_at(in, i)));
    if (first == end || out->pool.failed)
        return;
    if (wf_utf8_valid((const uint8_t *)out->pool.data + start, out->pool.length - start)) {
        wf_texts_close(out);
        return;
    }
    out->pool.length = start;
    for (size_t i = first; i < end; i++)
        wf_texts_put(out, "\xEF\xBF\xBD", 3);
}

static weft_status decode_byte_fallback(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    size_t first = 0;
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes t = wf_texts_at(in, i);
        if (byte_of_token(t) >= 0)
            continue;
        end_bytes(in, first, i, out);
        wf_texts_put(out, t.data, t.length);
        first = i + 1;
    }
    end_bytes(in, first, in->count, out);
    return WEFT_OK;
}

/* ---- Fuse ---- */

static weft_status decode_fuse(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    wf_texts_put(out, wf_str_text(&in->pool), in->pool.length);
    return WEFT_OK;
}

/* ---- Strip ---- */

typedef struct strip {
    uint32_t content;
    size_t start, stop;
} strip;

static weft_status load_strip(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(strip), options));
    strip *o = *options;
    wf_bytes text;
    size_t length;
    WF_TRY(wf_load_string(l, j, "content", 1, &text));
    o->content = wf_char_at((const uint8_t *)text.data, text.length, &length);
    if (!wf_json_get(j, "start") || !wf_json_get(j, "stop"))
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "Strip needs start and stop");
    WF_TRY(wf_load_count(l, j, "start", 0, &o->start));
    return wf_load_count(l, j, "stop", 0, &o->stop);
}

static weft_status decode_strip(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const strip *o = options;
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes t = wf_texts_at(in, i);
        size_t length;
        for (size_t k = 0; k < o->start && t.length && wf_char_at((const uint8_t *)t.data, t.length, &length) == o->content;
             k++)
            t = (wf_bytes){t.data + length, t.length - length};
        for (size_t k = 0; k < o->stop && t.length && wf_char_before((const uint8_t *)t.data, t.length, &length) == o->content;
             k++)
            t.length -= length;
        wf_texts_put(out, t.data, t.length);
    }
    return WEFT_OK;
}

/* ---- Replace ---- */

static weft_status replace_in(const wf_replace *o, wf_regex_scratch *scratch, wf_bytes t, wf_str *out, weft_error *err) {
    wf_search search = wf_search_new(&o->finder, scratch, t);
    size_t done = 0;
    while (t.length) { /* nothing is not found in nothing */
        WF_TRY(wf_search_next(&search, err));
        if (!search.found)
            break;
        wf_str_put(out, t.data + done, search.start - done);
        wf_str_put(out, o->content.data, o->content.length);
        done = search.end;
    }
    wf_str_put(out, t.data + done, t.length - done);
    return WEFT_OK;
}

static weft_status decode_replace(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const wf_replace *o = options;
    wf_regex_scratch *scratch = NULL;
    weft_status status = WEFT_OK;
    if (o->finder.regex) {
        WF_TRY(wf_regex_scratch_create(in->mem, &scratch, err));
        wf_regex_allow(scratch, in->pool.length);
    }
    for (size_t i = 0; status == WEFT_OK && i < in->count; i++) {
        status = replace_in(o, scratch, wf_texts_at(in, i), &out->pool, err);
        wf_texts_close(out);
    }
    wf_regex_scratch_free(scratch);
    return status;
}

static void replace_token(const void *options, wf_bytes text, wf_str *out) {
    const wf_replace *o = options;
    if (o->finder.regex)
        wf_str_put(out, text.data, text.length);
    else if (text.length)
        put_replaced(out, text, o->finder.text, o->content);
}

/* ---- Metaspace ---- */

typedef struct metaspace {
    wf_bytes replacement;
    bool strips; /* the first token's */
} metaspace;

static weft_status load_metaspace(wf_loading *l, const wf_json *j, void **options) {
    static const char *const names[] = {"always", "first", "never", NULL};
    WF_TRY(wf_load_options(l, sizeof(metaspace), options));
    metaspace *o = *options;
    int scheme = 0;
    bool prefix;
    WF_TRY(wf_load_string(l, j, "replacement", 1, &o->replacement));
    WF_TRY(wf_load_choice(l, j, "prepend_scheme", names, &scheme));
    WF_TRY(wf_load_bool(l, j, "add_prefix_space", true, &prefix));
    const wf_json *given = wf_json_get(j, "prepend_scheme");
    if (!prefix && given && given->kind != WF_JSON_NULL && scheme != 2)
        return wf_load_fail(l, WEFT_BAD_INPUT, given, "add_prefix_space does not match prepend_scheme");
    o->strips = prefix && scheme != 2;
    return WEFT_OK;
}

static void metaspace_token(const void *options, wf_bytes text, wf_str *out) {
    put_replaced(out, text, ((const metaspace *)options)->replacement, (wf_bytes){" ", 1});
}

static weft_status decode_metaspace(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const metaspace *o = options;
    for (size_t i = 0; i < in->count; i++) {
        put_replaced(&out->pool, wf_texts_at(in, i), o->replacement, (wf_bytes){" ", i > 0 || !o->strips});
        wf_texts_close(out);
    }
    return WEFT_OK;
}

/* ---- WordPiece and CTC ---- */

/* What the reference calls clean-up: English punctuation and contractions lose the blank before them, one rule after another.
 * transformers leaves "do not" alone. */
static void put_clean(wf_str *out, wf_bytes text, bool do_not, const wf_mem *mem) {
    static const char *const rules[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                           {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    wf_str a = wf_str_new(mem), b = wf_str_new(mem);
    wf_str_put(&a, text.data, text.length);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!do_not && rules[i][0][1] == 'd')
            continue;
        wf_str_clear(&b);
        put_replaced(&b, (wf_bytes){wf_str_text(&a), a.length}, (wf_bytes){rules[i][0], strlen(rules[i][0])},
                     (wf_bytes){rules[i][1], strlen(rules[i][1])});
        out->failed = out->failed || a.failed || b.failed;
        wf_str used = a;
        a = b;
        b = used;
    }
    wf_str_put(out, wf_str_text(&a), a.length);
    wf_str_free(&a);
    wf_str_free(&b);
}

typedef struct wordpiece {
    wf_bytes prefix;
    bool cleanup;
} wordpiece;

static weft_status load_wordpiece(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wordpiece), options));
    wordpiece *o = *options;
    WF_TRY(wf_load_string(l, j, "prefix", 0, &o->prefix));
    return wf_load_bool(l, j, "cleanup", true, &o->cleanup);
}

static void wordpiece_token(const void *options, wf_bytes text, wf_str *out) {
    const wordpiece *o = options;
    bool joins = begins_with(text, o->prefix);
    if (!joins)
        wf_str_putc(out, ' ');
    wf_str_put(out, text.data + (joins ? o->prefix.length : 0), text.length - (joins ? o->prefix.length : 0));
}

static weft_status decode_wordpiece(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const wordpiece *o = options;
    wf_str one = wf_str_new(in->mem);
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes t = wf_texts_at(in, i);
        wf_str_clear(&one);
        if (i == 0)
            wf_str_put(&one, t.data, t.length);
        else
            wordpiece_token(o, t, &one);
        out->failed = out->failed || one.failed;
        if (o->cleanup)
            put_clean(&out->pool, (wf_bytes){wf_str_text(&one), one.length}, true, in->mem);
        else
            wf_str_put(&out->pool, wf_str_text(&one), one.length);
        wf_texts_close(out);
    }
    wf_str_free(&one);
    return WEFT_OK;
}

typedef struct ctc {
    wf_bytes pad, delimiter;
    bool cleanup;
} ctc;

static weft_status load_ctc(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(ctc), options));
    ctc *o = *options;
    WF_TRY(wf_load_string(l, j, "pad_token", 0, &o->pad));
    WF_TRY(wf_load_string(l, j, "word_delimiter_token", 0, &o->delimiter));
    return wf_load_bool(l, j, "cleanup", true, &o->cleanup);
}

static bool same_text(wf_bytes a, wf_bytes b) { return a.length == b.length && memcmp(a.data, b.data, a.length) == 0; }

static weft_status decode_ctc(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const ctc *o = options;
    wf_str one = wf_str_new(in->mem), clean = wf_str_new(in->mem);
    for (size_t i = 0; i < in->count; i++) {
        if (i > 0 && same_text(wf_texts_at(in, i), wf_texts_at(in, i - 1)))
            continue;
        wf_str_clear(&one);
        wf_str_clear(&clean);
        size_t start = out->pool.length;
        put_replaced(&one, wf_texts_at(in, i), o->pad, (wf_bytes){"", 0});
        if (o->cleanup) {
            put_clean(&clean, (wf_bytes){wf_str_text(&one), one.length}, true, in->mem);
            put_replaced(&out->pool, (wf_bytes){wf_str_text(&clean), clean.length}, o->delimiter, (wf_bytes){" ", 1});
        } else {
            wf_str_put(&out->pool, wf_str_text(&one), one.length);
        }
        out->failed = out->failed || one.failed || clean.failed;
        if (out->pool.length > start)
            wf_texts_close(out);
    }
    wf_str_free(&one);
    wf_str_free(&clean);
    return WEFT_OK;
}

/* ---- BPEDecoder ---- */

static weft_status load_suffix(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wf_bytes), options));
    return wf_load_string(l, j, "suffix", 0, *options);
}

static void suffix_token(const void *options, wf_bytes text, wf_str *out) {
    put_replaced(out, text, *(const wf_bytes *)options, (wf_bytes){" ", 1});
}

static weft_status decode_suffix(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    for (size_t i = 0; i < in->count; i++) {
        put_replaced(&out->pool, wf_texts_at(in, i), *(const wf_bytes *)options, (wf_bytes){" ", i + 1 < in->count});
        wf_texts_close(out);
    }
    return WEFT_OK;
}

/* ---- SentencePiece ---- */

typedef struct sentencepiece {
    bool dummy_prefix, remove_extra, byte_fallback, strip;
    wf_bytes unknown, surface;
    wf_vocab control; /* tokens that are not seen */
} sentencepiece;

static weft_status load_sentencepiece(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(sentencepiece), options));
    sentencepiece *o = *options;
    WF_TRY(load_set(l, j, "control", &o->control));
    WF_TRY(wf_load_bool(l, j, "add_dummy_prefix", true, &o->dummy_prefix));
    WF_TRY(wf_load_bool(l, j, "remove_extra_whitespaces", true, &o->remove_extra));
    WF_TRY(wf_load_bool(l, j, "byte_fallback", false, &o->byte_fallback));
    WF_TRY(wf_load_bool(l, j, "strip", false, &o->strip));
    WF_TRY(wf_load_string(l, j, "unknown", 0, &o->unknown));
    WF_TRY(wf_load_string(l, j, "unknown_surface", 0, &o->surface));
    return WEFT_OK;
}

static void release_sentencepiece(void *options) {
    sentencepiece *o = options;
    if (o->control.mem)
        wf_vocab_free(&o->control);
}

static const wf_bytes space_symbol = {"\xE2\x96\x81", 3}, one_blank = {" ", 1};

static bool is_unknown(const sentencepiece *o, wf_bytes text) { return o->unknown.length && same_text(text, o->unknown); }

static void sentencepiece_token(const void *options, wf_bytes text, wf_str *out) {
    const sentencepiece *o = options;
    if (wf_vocab_find(&o->control, text.data, text.length))
        return;
    if (o->byte_fallback && byte_of_token(text) >= 0)
        wf_str_putc(out, (char)byte_of_token(text));
    else if (is_unknown(o, text))
        wf_str_put(out, o->surface.data, o->surface.length);
    else
        put_replaced(out, text, space_symbol, one_blank);
}

/* A run of byte tokens: characters where they are some, a U+FFFD for every other byte. */
static void put_byte_run(wf_str *out, const uint8_t *bytes, size_t n) {
    for (size_t i = 0, length; i < n; i += length)
        if (wf_char_at(bytes + i, n - i, &length) == WF_NO_CHAR)
            wf_str_put(out, "\xEF\xBF\xBD", 3);
        else
            wf_str_put(out, (const char *)bytes + i, length);
}

/* Takes white space from the ends of a text. */
static void strip_ends(wf_str *text) {
    size_t length, from = 0;
    const uint8_t *bytes = (const uint8_t *)wf_str_text(text);
    while (text->length && wf_char_class_of(wf_char_before(bytes, text->length, &length)) == WF_CHAR_SPACE)
        text->length -= length;
    while (from < text->length && wf_char_class_of(wf_char_at(bytes + from, text->length - from, &length)) == WF_CHAR_SPACE)
        from += length;
    if (from)
        memmove(text->data, text->data + from, text->length - from);
    text->length -= from;
}

/* The blank that was put in front of a text goes: one, or where extra blanks are removed, that of every token until something
 * is seen. */
static weft_status decode_sentencepiece(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const sentencepiece *o = options;
    wf_str run = wf_str_new(in->mem);
    bool begins = true, blank_gone = false;
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes t = wf_texts_at(in, i);
        if (o->byte_fallback && byte_of_token(t) >= 0) {
            wf_str_putc(&run, (char)byte_of_token(t));
            continue;
        }
        put_byte_run(&out->pool, (const uint8_t *)wf_str_text(&run), run.length);
        out->failed = out->failed || run.failed;
        wf_str_clear(&run);
        begins = begins && !blank_gone && out->pool.length == 0;
        bool plain = !wf_vocab_find(&o->control, t.data, t.length) && !is_unknown(o, t);
        if (plain && begins && (o->dummy_prefix || o->remove_extra) && begins_with(t, space_symbol)) {
            t = (wf_bytes){t.data + space_symbol.length, t.length - space_symbol.length};
            blank_gone = !o->remove_extra;
        }
        sentencepiece_token(o, t, &out->pool);
    }
    put_byte_run(&out->pool, (const uint8_t *)wf_str_text(&run), run.length);
    out->failed = out->failed || run.failed;
    wf_str_free(&run);
    if (o->strip)
        strip_ends(&out->pool);
    wf_texts_close(out);
    return WEFT_OK;
}

/* ---- CleanSpaces ---- */

/* llama.cpp's clean-up, in its three passes over the whole text: the blank goes before ? ! . ,  then around a lone apostrophe,
 * then before 's 'm 're 've. */
static bool drops_blank(int pass, const char *t, size_t n, size_t i) {
    char x = t[i], x1 = i + 1 < n ? t[i + 1] : 0, x2 = i + 2 < n ? t[i + 2] : 0;
    if (t[i - 1] != ' ')
        return false;
    if (pass == 0)
        return x == '?' || x == '!' || x == '.' || x == ',';
    if (x != '\'')
        return false;
    return pass == 1 ? x1 == ' ' : x1 == 's' || x1 == 'm' || ((x1 == 'r' || x1 == 'v') && x2 == 'e');
}

static size_t clean_pass(int pass, char *t, size_t n) {
    size_t kept = n > 0;
    for (size_t i = 1; i < n; i++) {
        bool drop = drops_blank(pass, t, n, i);
        char x = t[i];
        kept -= drop;
        if (drop && pass == 1)
            t[++i] = 0; /* the blank behind it too; what follows sees no blank there */
        t[kept++] = x;
    }
    return kept;
}

static weft_status decode_clean_spaces(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes text = wf_texts_at(in, i);
        size_t start = out->pool.length, n = text.length;
        wf_str_put(&out->pool, text.data, n);
        if (out->pool.failed)
            return wf_fail_memory(err);
        for (int pass = 0; pass < 3 && n; pass++)
            n = clean_pass(pass, out->pool.data + start, n);
        out->pool.length = start + n;
        wf_texts_close(out);
    }
    return WEFT_OK;
}

/* ---- CleanText ---- */

static weft_status load_clean_text(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(wf_bytes), options));
    return wf_load_string(l, j, "between", 0, *options);
}

/* The clean-up of transformers, which sees the whole text. */
static weft_status decode_clean_text(const void *options, const wf_texts *in, wf_texts *out, weft_error *err) {
    const wf_bytes *between = options;
    wf_str all = wf_str_new(in->mem);
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes text = wf_texts_at(in, i);
        wf_str_put(&all, between->data, i ? between->length : 0);
        wf_str_put(&all, text.data, text.length);
    }
    put_clean(&out->pool, (wf_bytes){wf_str_text(&all), all.length}, false, in->mem);
    out->failed = out->failed || all.failed;
    wf_str_free(&all);
    wf_texts_close(out);
    return WEFT_OK;
}

/* ---- the table ---- */

static const wf_decoder_row rows[] = {
    {.name = "ByteLevel",
     .load = load_byte_level,
     .release = release_byte_level,
     .decode = decode_byte_level,
     .token = byte_level_token,
     .by_token = true},
    {.name = "ByteFallback", .decode = decode_byte_fallback, .token = byte_fallback_token},
    {.name = "Fuse", .decode = decode_fuse, .token = put_plain},
    {.name = "Strip", .load = load_strip, .decode = decode_strip, .token = put_plain},
    {.name = "Replace",
     .load = wf_load_replace,
     .decode = decode_replace,
     .token = replace_token,
     .release = wf_release_replace},
    {.name = "Metaspace", .load = load_metaspace, .decode = decode_metaspace, .token = metaspace_token},
    {.name = "WordPiece", .load = load_wordpiece, .decode = decode_wordpiece, .token = wordpiece_token},
    {.name = "CTC", .load = load_ctc, .decode = decode_ctc, .token = put_plain},
    {.name = "SentencePiece",
     .load = load_sentencepiece,
     .decode = decode_sentencepiece,
     .token = sentencepiece_token,
     .release = release_sentencepiece},
    {.name = "CleanSpaces", .decode = decode_clean_spaces, .token = put_plain},
    {.name = "CleanText", .load = load_clean_text, .decode = decode_clean_text, .token = put_plain},
    {.name = "BPEDecoder", .load = load_suffix, .decode = decode_suffix, .token = suffix_token},
};

const wf_decoder_row *wf_decoder_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* ---- running them ---- */

static weft_status join_with_blanks(const wf_texts *in, wf_texts *out) {
    for (size_t i = 0; i < in->count; i++) {
        wf_bytes t = wf_texts_at(in, i);
        if (i > 0)
            wf_str_putc(&out->pool, ' ');
        wf_str_put(&out->pool, t.data, t.length);
    }
    wf_texts_close(out);
    return WEFT_OK;
}

weft_status wf_run_decoders(const wf_tokenizer *tok, wf_texts *a, wf_texts *b, weft_error *err) {
    int n = tok->decoders.given ? tok->decoders.count : 1;
    for (int i = 0; i < n; i++) {
        const wf_stage *stage = &tok->decoders.list[i];
        wf_texts_clear(b);
        WF_TRY(tok->decoders.given ? ((const wf_decoder_row *)stage->row)->decode(stage->options, a, b, err)
                                   : join_with_blanks(a, b));
        if (b->failed || b->pool.failed)
            return wf_fail_memory(err);
        wf_texts used = *a;
        *a = *b;
        *b = used;
    }
    return WEFT_OK;
}
