/* decode.c - from ids back to text, in one go and one id at a time. */
#include <string.h>

#include "text/engine.h"
#include "text/unicode.h"

static bool skipped(const wf_tokenizer *tok, uint32_t id, unsigned flags) {
    wf_token t = wf_token_of(tok, id);
    return !t.piece.data || ((flags & WF_DECODE_SKIP_SPECIALS) && t.special);
}

/* Appends the text; what is not UTF-8 becomes U+FFFD, one for as many bytes as could have begun a character (as Rust and Python
 * do). */
static void put_lossy(wf_str *out, const char *text, size_t n) {
    const uint8_t *p = (const uint8_t *)text;
    for (size_t i = 0, length; i < n; i += length) {
        if (wf_char_at(p + i, n - i, &length) != WF_NO_CHAR) {
            wf_str_put(out, text + i, length);
            continue;
        }
        length = wf_utf8_broken(p + i, n - i);
        wf_str_put(out, "\xEF\xBF\xBD", 3);
    }
}

/* The tokens in `a` through the decoders, `b` being the other buffer. */
static weft_status decode_texts(const wf_tokenizer *tok, unsigned flags, wf_texts *a, wf_texts *b, wf_str *out,
                                weft_error *err) {
    if (a->failed || a->pool.failed)
        return wf_fail_memory(err);
    WF_TRY(wf_run_decoders(tok, a, b, err));
    if (flags & WF_DECODE_TEXT)
        put_lossy(out, wf_str_text(&a->pool), a->pool.length);
    else
        wf_str_put(out, wf_str_text(&a->pool), a->pool.length);
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

static void decode_each(const wf_tokenizer *tok, const uint32_t *ids, size_t count, unsigned flags, wf_str *out) {
    for (size_t i = 0; i < count; i++)
        if (!skipped(tok, ids[i], flags))
            wf_tokenizer_put_token(tok, ids[i], out);
}

weft_status wf_tokenizer_decode(const wf_tokenizer *tok, const uint32_t *ids, size_t count, unsigned flags, wf_str *out,
                                weft_error *err) {
    if (tok->by_token && !(flags & WF_DECODE_TEXT)) {
        decode_each(tok, ids, count, flags, out);
        return out->failed ? wf_fail_memory(err) : WEFT_OK;
    }
    wf_texts a = wf_texts_new(tok->mem), b = wf_texts_new(tok->mem);
    for (size_t i = 0; i < count; i++)
        if (!skipped(tok, ids[i], flags)) {
            wf_bytes shown = wf_token_of(tok, ids[i]).shown;
            wf_texts_put(&a, shown.data, shown.length);
        }
    weft_status status = decode_texts(tok, flags, &a, &b, out, err);
    wf_texts_free(&a);
    wf_texts_free(&b);
    return status;
}

/* ---- streams ---- */

wf_text_stream wf_text_stream_new(const wf_tokenizer *tok, unsigned flags) {
    return (wf_text_stream){.tok = tok, .flags = flags, .window = wf_ids_new(tok->mem), .prefix = wf_str_new(tok->mem)};
}

void wf_text_stream_free(wf_text_stream *s) {
    wf_ids_free(&s->window);
    wf_str_free(&s->prefix);
}

/* What is held and the new bytes go out together, except for a beginning of a character at their end. The held bytes alone are
 * such a beginning, so only the first bytes that are new can complete or break it. */
static void put_bytes(wf_text_stream *s, wf_bytes b, wf_str *out) {
    while (b.length > 0 && s->n_held > 0) {
        s->held[s->n_held++] = (uint8_t)*b.data++;
        b.length--;
        size_t keep = wf_utf8_incomplete(s->held, s->n_held);
        wf_str_put(out, (const char *)s->held, s->n_held - keep);
        memmove(s->held, s->held + s->n_held - keep, keep);
        s->n_held = keep;
    }
    size_t keep = wf_utf8_incomplete((const uint8_t *)b.data, b.length);
    wf_str_put(out, b.data, b.length - keep);
    if (keep) {
        memcpy(s->held, b.data + b.length - keep, keep);
        s->n_held = keep;
    }
}

static bool is_whole(const wf_str *text) {
    const char *t = wf_str_text(text);
    return !(text->length >= 3 && memcmp(t + text->length - 3, "\xEF\xBF\xBD", 3) == 0) &&
           wf_utf8_incomplete((const uint8_t *)t, text->length) == 0;
}

static weft_status decode_window(const wf_text_stream *s, wf_str *text, weft_error *err) {
    wf_str_clear(text);
    return wf_tokenizer_decode(s->tok, s->window.data, s->window.count, s->flags, text, err);
}

/* The new text becomes the prefix, and only the ids since the last time it did are kept with the new one. */
static weft_status move_window(wf_text_stream *s, weft_error *err) {
    size_t kept = s->window.count - s->prefix_ids;
    if (s->prefix_ids && kept)
        memmove(s->window.data, s->window.data + s->prefix_ids, kept * sizeof *s->window.data);
    s->window.count = s->prefix_ids = kept;
    return decode_window(s, &s->prefix, err);
}

static weft_status first_prefix(wf_text_stream *s, weft_error *err) {
    if (s->prefix.length || s->window.count == 0)
        return WEFT_OK;
    WF_TRY(decode_window(s, &s->prefix, err));
    if (is_whole(&s->prefix))
        s->prefix_ids = s->window.count;
    else
        wf_str_clear(&s->prefix);
    return WEFT_OK;
}

weft_status wf_text_stream_follow(wf_text_stream *s, const uint32_t *ids, size_t n, weft_error *err) {
    enum { SEEN = 16 }; /* no decoder looks further back */
    size_t from = n > SEEN ? n - SEEN : 0;
    WF_TRY(wf_ids_push(&s->window, ids + from, n - from, err));
    WF_TRY(decode_window(s, &s->prefix, err));
    if (!is_whole(&s->prefix)) {
        wf_str_clear(&s->prefix);
        s->window.count = 0;
    }
    s->prefix_ids = s->window.count;
    return WEFT_OK;
}

/* The window of ids is decoded with and without the new one, and the difference is new: decoders look at their neighbours. A
 * text that ends in U+FFFD may be the beginning of a character; that wait is bounded here, because each step costs the window.
 */
static weft_status put_by_window(wf_text_stream *s, uint32_t id, wf_str *text, wf_str *out, weft_error *err) {
    enum { LONGEST_WAIT = 64 };
    WF_TRY(first_prefix(s, err));
    WF_TRY(wf_ids_push(&s->window, &id, 1, err));
    WF_TRY(decode_window(s, text, err));
    size_t n = s->prefix.length;
    bool waits = !is_whole(text) && s->window.count - s->prefix_ids < LONGEST_WAIT;
    if (text->length <= n || waits)
        return WEFT_OK;
    WF_CHECK(n == 0 || memcmp(text->data, s->prefix.data, n) == 0, err, WEFT_FAILURE,
             "a token changes text that was given out already; this tokenizer cannot be decoded one token at a time");
    wf_str_put(out, text->data + n, text->length - n);
    return move_window(s, err);
}

weft_status wf_text_stream_put(wf_text_stream *s, uint32_t id, wf_str *out, weft_error *err) {
    const wf_tokenizer *tok = s->tok;
    if (tok->by_token && !(s->flags & WF_DECODE_TEXT)) {
        wf_str bytes = wf_str_new(tok->mem);
        if (!skipped(tok, id, s->flags))
            wf_tokenizer_put_token(tok, id, &bytes);
        put_bytes(s, (wf_bytes){wf_str_text(&bytes), bytes.length}, out);
        out->failed = out->failed || bytes.failed;
        wf_str_free(&bytes);
        return out->failed ? wf_fail_memory(err) : WEFT_OK;
    }
    wf_str text = wf_str_new(tok->mem);
    weft_status status = put_by_window(s, id, &text, out, err);
    wf_str_free(&text);
    return status == WEFT_OK && out->failed ? wf_fail_memory(err) : status;
}

weft_status wf_text_stream_end(wf_text_stream *s, wf_str *out, weft_error *err) {
    wf_str_put(out, (const char *)s->held, s->n_held);
    s->n_held = 0;
    wf_str text = wf_str_new(s->tok->mem);
    weft_status status = s->window.count ? decode_window(s, &text, err) : WEFT_OK;
    if (status == WEFT_OK && text.length > s->prefix.length)
        wf_str_put(out, text.data + s->prefix.length, text.length - s->prefix.length);
    wf_str_free(&text);
    s->window.count = s->prefix_ids = 0;
    wf_str_clear(&s->prefix);
    return status == WEFT_OK && out->failed ? wf_fail_memory(err) : status;
}
