/* vocab.h - strings and their ids: a list of them and a hash table over it. */
#ifndef WF_TEXT_VOCAB_H
#define WF_TEXT_VOCAB_H
#include <stdbool.h>
#include <string.h>
#include "base/mem.h"

typedef struct wf_vocab_entry {
    uint64_t head; /* the first eight bytes of the text; wf_vocab_head */
    uint32_t length, id;
    const char *text; /* 0-terminated when it is a copy */
} wf_vocab_entry;

/* The first bytes of a text as a number, zeros behind a shorter one: texts of up to eight bytes are equal when their heads and
 * lengths are. */
static inline uint64_t wf_vocab_head(const char *text, size_t length) {
    const uint8_t *p = (const uint8_t *)text;
    uint64_t head = 0;
    uint32_t first, last;
    if (length >= sizeof head) {
        memcpy(&head, p, sizeof head);
    } else if (length >= sizeof first) { /* two that overlap */
        memcpy(&first, p, sizeof first);
        memcpy(&last, p + length - sizeof last, sizeof last);
        head = first | (uint64_t)last << 8 * (length - sizeof last);
    } else if (length) {
        head = p[0] | (uint64_t)p[length / 2] << 8 * (length / 2) | (uint64_t)p[length - 1] << 8 * (length - 1);
    }
    return head;
}

typedef struct wf_vocab {
    const wf_mem *mem;
    wf_arena copies;
    wf_vocab_entry *entries; /* in the order of insertion; of wf_grow_big */
    size_t count, capacity;
    uint64_t *slots; /* the upper half of the hash, and entry + 1; 0 is empty */
    size_t n_slots;  /* a power of two */
} wf_vocab;

void wf_vocab_init(wf_vocab *v, const wf_mem *mem);
void wf_vocab_free(wf_vocab *v);
/* Adds a copy of the string. `*added` is false, and nothing changes, when it is there already. */
weft_status wf_vocab_put(wf_vocab *v, const char *text, size_t length, uint32_t id, bool *added, weft_error *err);
/* Many at once, by several threads: a list that was filled from outside, whose texts must outlive the table, gets an empty
 * table; then every thread enters a share of it. False where a text is there twice. No two threads may enter the same entry. */
weft_status wf_vocab_clear_slots(wf_vocab *v, weft_error *err);
bool wf_vocab_enter(wf_vocab *v, size_t from, size_t to);
size_t wf_vocab_bytes(const wf_vocab *v); /* of all texts */
/* NULL when absent. Valid until the next put. */
const wf_vocab_entry *wf_vocab_find(const wf_vocab *v, const char *text, size_t length);
/* The same in steps, for many strings at once: each step asks the memory for what the next one reads. */
uint64_t wf_vocab_hash(const char *text, size_t length);
const wf_vocab_entry *wf_vocab_find_hashed(const wf_vocab *v, uint64_t hash, const char *text, size_t length);
static inline void wf_vocab_fetch_slot(const wf_vocab *v, uint64_t hash) {
    if (v->n_slots)
        __builtin_prefetch(&v->slots[(size_t)hash & (v->n_slots - 1)]);
}
static inline const wf_vocab_entry *wf_vocab_first(const wf_vocab *v, uint64_t hash) {
    uint32_t slot = v->n_slots ? (uint32_t)v->slots[(size_t)hash & (v->n_slots - 1)] : 0;
    return slot ? &v->entries[slot - 1] : NULL;
}
static inline void wf_vocab_fetch_entry(const wf_vocab *v, uint64_t hash) { __builtin_prefetch(wf_vocab_first(v, hash)); }
/* Only for a text that is longer than its head. */
static inline void wf_vocab_fetch_text(const wf_vocab *v, uint64_t hash) {
    const wf_vocab_entry *e = wf_vocab_first(v, hash);
    if (e)
        __builtin_prefetch(e->text + sizeof e->head);
}
#endif
