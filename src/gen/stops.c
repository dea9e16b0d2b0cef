#include "gen/stops.h"
#include <string.h>

static size_t longest(const wf_stops *s) {
    const char *at = s->strings;
    size_t most = 0;
    for (size_t i = 0; i < s->n; i++, at += strlen(at) + 1)
        most = strlen(at) > most ? strlen(at) : most;
    return most;
}

/* Whether `word` ends in text[after .. n). */
static bool ends_in(const char *text, size_t n, const char *word, size_t after) {
    size_t m = strlen(word);
    for (size_t i = after >= m ? after - m + 1 : 0; i + m <= n; i++)
        if (memcmp(text + i, word, m) == 0)
            return true;
    return false;
}

weft_status wf_stops_hit(const wf_stops *s, const int32_t *ids, int64_t n, bool *hit, weft_error *err) {
    *hit = false;
    if (s->n == 0)
        return WEFT_OK;
    int64_t most = (int64_t)longest(s);
    size_t before = 0;
    wf_str text = wf_str_new(s->mem);
    const char *word = s->strings;
    for (int64_t i = n > most ? n - most : 0; i < n; i++) {
        before = text.length;
        if (wf_tokenizer_blanks(s->tok))
            wf_str_putc(&text, ' ');
        wf_tokenizer_put_token(s->tok, (uint32_t)ids[i], &text);
    }
    for (size_t i = 0; i < s->n; i++, word += strlen(word) + 1)
        *hit |= ends_in(wf_str_text(&text), text.length, word, before);
    bool failed = text.failed;
    wf_str_free(&text);
    return failed ? wf_fail_memory(err) : WEFT_OK;
}
