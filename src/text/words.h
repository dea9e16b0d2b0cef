/* words.h - the different words of a text and how often each occurs, by the GPT-2 pattern: what BPE training works on. */
#ifndef WF_TEXT_WORDS_H
#define WF_TEXT_WORDS_H
#include "base/env.h"

typedef struct wf_word {
    const uint8_t *bytes; /* in the text */
    uint64_t hash, count;
    uint32_t length;
} wf_word;

typedef struct wf_words {
    const wf_mem *mem;
    wf_word *words; /* in the order of their first occurrence */
    size_t count, capacity;
    uint32_t *slots; /* word + 1 */
    size_t n_slots;
} wf_words;

void wf_words_init(wf_words *w, const wf_mem *mem);
void wf_words_free(wf_words *w);
/* Adds the words of one text, which must outlive `w`. `env` may be NULL. */
weft_status wf_words_add(wf_words *w, const uint8_t *text, size_t n, const wf_env *env, weft_error *err);
#endif
