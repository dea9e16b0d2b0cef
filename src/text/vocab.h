/* vocab.h - strings and their ids: one pool of bytes and a hash table over it. */
#ifndef WF_TEXT_VOCAB_H
#define WF_TEXT_VOCAB_H
#include <stdbool.h>
#include "base/mem.h"

typedef struct wf_vocab_entry {
    uint64_t hash;
    size_t offset; /* into the pool */
    uint32_t length, id;
} wf_vocab_entry;

typedef struct wf_vocab {
    const wf_mem *mem;
    char *pool;
    size_t pool_used, pool_capacity;
    wf_vocab_entry *entries; /* in the order of insertion */
    size_t count, capacity;
    uint32_t *slots; /* entry + 1, 0 is empty */
    size_t n_slots;  /* a power of two */
} wf_vocab;

void wf_vocab_init(wf_vocab *v, const wf_mem *mem);
void wf_vocab_free(wf_vocab *v);
/* Adds a copy of the string. `*added` is false, and nothing changes, when it is there already. */
weft_status wf_vocab_put(wf_vocab *v, const char *text, size_t length, uint32_t id, bool *added, weft_error *err);
/* NULL when absent. Valid until the next put. */
const wf_vocab_entry *wf_vocab_find(const wf_vocab *v, const char *text, size_t length);
static inline const char *wf_vocab_text(const wf_vocab *v, const wf_vocab_entry *e) { return v->pool + e->offset; }
#endif
