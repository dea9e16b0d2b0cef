/* wordcache.c - the tokens of short pieces met before. When it is full it starts over: the frequent words come back at once. */
#include "text/engine.h"

#include <string.h>
#include <xxhash.h>

enum { SLOTS = 1 << 15, WORDS = SLOTS / 2, KEY_BYTES = WORDS * 12, IDS = WORDS * 6 };

weft_status wf_word_cache_init(wf_word_cache *c, const wf_mem *mem, weft_error *err) {
    c->slots = wf_alloc_big(mem, SLOTS * sizeof *c->slots); /* pages that are not used are not touched */
    c->keys = wf_alloc(mem, KEY_BYTES);
    c->ids = wf_alloc(mem, IDS * sizeof *c->ids);
    c->spans = wf_alloc(mem, IDS * sizeof *c->spans);
    return c->slots && c->keys && c->ids && c->spans ? WEFT_OK : wf_fail_memory(err);
}

void wf_word_cache_free(wf_word_cache *c, const wf_mem *mem) {
    wf_free_big(mem, c->slots);
    wf_free(mem, c->keys);
    wf_free(mem, c->ids);
    wf_free(mem, c->spans);
}

uint64_t wf_word_hash(const uint8_t *word, size_t length) { return XXH3_64bits(word, length); }

const wf_word_slot *wf_word_cache_find(const wf_word_cache *c, uint64_t hash, const uint8_t *word, size_t length) {
    for (size_t i = (size_t)hash & (SLOTS - 1); c->slots[i].key_length; i = (i + 1) & (SLOTS - 1)) {
        const wf_word_slot *s = &c->slots[i];
        if (s->hash == hash && s->key_length == length && memcmp(c->keys + s->key, word, length) == 0)
            return s;
    }
    return NULL;
}

/* Offsets fit bytes: they are positions in the word, and a few bytes past it where byte tokens count affixes. */
void wf_word_cache_put(wf_word_cache *c, uint64_t hash, wf_piece word, const wf_unit *units, size_t n) {
    if (c->count == WORDS || c->keys_used + word.length > KEY_BYTES || c->ids_used + n > IDS) {
        memset(c->slots, 0, SLOTS * sizeof *c->slots);
        c->count = c->keys_used = c->ids_used = 0;
    }
    size_t i = (size_t)hash & (SLOTS - 1);
    while (c->slots[i].key_length)
        i = (i + 1) & (SLOTS - 1);
    c->slots[i] = (wf_word_slot){hash, (uint32_t)c->keys_used, (uint32_t)c->ids_used, (uint16_t)word.length, (uint16_t)n};
    memcpy(c->keys + c->keys_used, word.bytes, word.length);
    for (size_t k = 0; k < n; k++) {
        c->ids[c->ids_used + k] = units[k].id;
        c->spans[c->ids_used + k][0] = (uint8_t)units[k].start;
        c->spans[c->ids_used + k][1] = (uint8_t)units[k].end;
    }
    c->keys_used += word.length;
    c->ids_used += n;
    c->count++;
}
