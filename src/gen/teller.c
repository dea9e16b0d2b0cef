/* teller.c - the text that comes out, token by token. */
#include "gen/teller.h"
#include <string.h>
#include "text/unicode.h"

wf_teller wf_teller_open(const wf_generate_options *o, wf_generation *out, const wf_tokenizer *tok, const wf_mem *mem) {
    return (wf_teller){o, out, wf_text_stream_new(tok, WF_DECODE_SKIP_SPECIALS), wf_str_new(mem), wf_str_new(mem), false};
}

void wf_teller_close(wf_teller *w) {
    wf_text_stream_free(&w->stream);
    wf_str_free(&w->fresh);
    wf_str_free(&w->pending);
}

/* Bytes that are no character become U+FFFD, one for as many as could have begun one, as in the references. */
static void put_valid(wf_str *out, const char *text, size_t n) {
    for (size_t i = 0, length; i < n; i += length) {
        int step = wf_utf8_length(text + i, n - i);
        length = step > 0 ? (size_t)step : wf_utf8_broken((const uint8_t *)text + i, n - i);
        if (step > 0)
            wf_str_put(out, text + i, length);
        else
            wf_str_puts(out, "\xEF\xBF\xBD");
    }
}

static const char *find(const char *text, size_t n, const char *word) {
    size_t m = strlen(word);
    for (size_t i = 0; m > 0 && i + m <= n; i++)
        if (memcmp(text + i, word, m) == 0)
            return text + i;
    return NULL;
}

/* Where the first stop string begins, `length` when there is none. */
static size_t stop_at(const wf_teller *w) {
    size_t first = w->pending.length;
    for (size_t i = 0; i < w->o->n_stop; i++) {
        const char *at = find(wf_str_text(&w->pending), w->pending.length, w->o->stop[i]);
        if (at && (size_t)(at - w->pending.data) < first)
            first = (size_t)(at - w->pending.data);
    }
    return first;
}

/* Bytes at the end that could begin a stop string. */
static size_t held_back(const wf_teller *w) {
    size_t most = 0;
    for (size_t i = 0; i < w->o->n_stop; i++) {
        size_t m = strlen(w->o->stop[i]), n = w->pending.length;
        for (size_t k = m > n ? n : m; k > most; k--)
            if (memcmp(w->pending.data + n - k, w->o->stop[i], k) == 0)
                most = k;
    }
    return most;
}

/* Tells the first n bytes of what is pending. */
static bool tell(wf_teller *w, size_t n) {
    int ended = n > 0 && w->o->piece ? w->o->piece(w->o->user, w->pending.data, n) : 0;
    if (n == 0)
        return true;
    wf_str_put(&w->out->text, w->pending.data, n);
    memmove(w->pending.data, w->pending.data + n, w->pending.length - n + 1);
    w->pending.length -= n;
    if (ended)
        w->out->finish = WF_FINISH_CALLER;
    return !ended;
}

/* Hands on what is safe to show; false when the text has ended. */
static bool hand_on(wf_teller *w, bool last) {
    size_t end = stop_at(w);
    w->failed |= w->fresh.failed || w->pending.failed;
    if (end < w->pending.length) {
        if (tell(w, end))
            w->out->finish = WF_FINISH_STOP;
        wf_str_clear(&w->pending);
        return false;
    }
    return tell(w, last ? w->pending.length : w->pending.length - held_back(w));
}

bool wf_teller_put(wf_teller *w, uint32_t id) {
    wf_str_clear(&w->fresh);
    w->failed |= wf_text_stream_put(&w->stream, id, &w->fresh, NULL) != WEFT_OK;
    put_valid(&w->pending, wf_str_text(&w->fresh), w->fresh.length);
    return hand_on(w, false);
}

void wf_teller_end(wf_teller *w) {
    wf_finish finish = w->out->finish;
    wf_str_clear(&w->fresh);
    w->failed |= wf_text_stream_end(&w->stream, &w->fresh, NULL) != WEFT_OK;
    put_valid(&w->pending, wf_str_text(&w->fresh), w->fresh.length);
    if (finish != WF_FINISH_STOP && finish != WF_FINISH_CALLER)
        hand_on(w, true);
}
