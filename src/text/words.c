/* words.c - counting words in an open-addressing table. */
#include "text/words.h"

#include <string.h>

#include "text/engine.h"

void wf_words_init(wf_words *w, const wf_mem *mem) { *w = (wf_words){.mem = mem}; }

void wf_words_free(wf_words *w) {
    wf_free(w->mem, w->words);
    wf_free(w->mem, w->slots);
    wf_words_init(w, w->mem);
}

static weft_status rehash(wf_words *w, weft_error *err) {
    size_t n = w->n_slots ? w->n_slots * 2 : 4096;
    uint32_t *slots = wf_calloc(w->mem, n, sizeof *slots);
    if (!slots)
        return wf_fail_memory(err);
    for (size_t k = 0; k < w->count; k++) {
        size_t i = (size_t)w->words[k].hash & (n - 1);
        while (slots[i])
            i = (i + 1) & (n - 1);
        slots[i] = (uint32_t)k + 1;
    }
    wf_free(w->mem, w->slots);
    w->slots = slots;
    w->n_slots = n;
    return WEFT_OK;
}

static weft_status count_word(wf_words *w, const uint8_t *bytes, size_t length, weft_error *err) {
    if (w->count * 2 >= w->n_slots)
        WF_TRY(rehash(w, err));
    uint64_t hash = wf_word_hash(bytes, length);
    size_t i = (size_t)hash & (w->n_slots - 1);
    for (; w->slots[i]; i = (i + 1) & (w->n_slots - 1)) {
        wf_word *known = &w->words[w->slots[i] - 1];
        if (known->hash == hash && known->length == length && memcmp(known->bytes, bytes, length) == 0) {
            known->count++;
            return WEFT_OK;
        }
    }
    WF_CHECK(length <= WF_PIECE_MAX && w->count < UINT32_MAX / 2, err, WEFT_BAD_INPUT, "the text is too long to train on");
    WF_TRY(wf_grow(w->mem, (void **)&w->words, &w->capacity, w->count + 1, sizeof *w->words, err));
    w->words[w->count++] = (wf_word){bytes, hash, 1, (uint32_t)length};
    w->slots[i] = (uint32_t)w->count;
    return WEFT_OK;
}

weft_status wf_words_add(wf_words *w, const uint8_t *text, size_t n, const wf_env *env, weft_error *err) {
    size_t next_look = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = wf_gpt2_next(text, n, at);
        WF_TRY(count_word(w, text + at, end - at, err));
        if (env && end >= next_look) {
            WF_CHECK(wf_stopped(env) == WEFT_OK, err, wf_stopped(env), "stopped");
            next_look = end + (1u << 20);
        }
    }
    return WEFT_OK;
}
