/* vocab.c - an open-addressing table with linear probing, at most half full. */
#include "text/vocab.h"

#include <string.h>
#define XXH_INLINE_ALL /* most strings are short: the call would cost as much as the hash */
#include <xxhash.h>

void wf_vocab_init(wf_vocab *v, const wf_mem *mem) {
    memset(v, 0, sizeof *v);
    v->mem = mem;
}

void wf_vocab_free(wf_vocab *v) {
    wf_free(v->mem, v->pool);
    wf_free(v->mem, v->entries);
    wf_free_big(v->mem, v->slots);
    wf_vocab_init(v, v->mem);
}

/* memcmp without the call: most strings are short. */
static inline bool same_text(const char *a, const char *b, size_t n) {
    uint64_t x, y;
    if (n < 8) {
        size_t i = 0;
        while (i < n && a[i] == b[i])
            i++;
        return i == n;
    }
    for (size_t i = 0; i < n; i += 8) {
        size_t at = i + 8 <= n ? i : n - 8;
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        if (x != y)
            return false;
    }
    return true;
}

static size_t find_slot(const wf_vocab *v, uint64_t hash, const char *text, size_t length) {
    size_t i = (size_t)hash & (v->n_slots - 1);
    for (;; i = (i + 1) & (v->n_slots - 1)) {
        uint64_t slot = v->slots[i];
        if (slot == 0)
            return i;
        if (slot >> 32 != hash >> 32)
            continue;
        const wf_vocab_entry *e = &v->entries[(uint32_t)slot - 1];
        if (e->hash == hash && e->length == length && same_text(v->pool + e->offset, text, length))
            return i;
    }
}

static uint64_t slot_of(uint64_t hash, size_t entry) { return hash >> 32 << 32 | (uint32_t)(entry + 1); }

static weft_status rehash(wf_vocab *v, size_t n, weft_error *err) {
    uint64_t *slots = wf_alloc_big(v->mem, n * sizeof *slots);
    if (!slots)
        return wf_fail_memory(err);
    for (size_t e = 0; e < v->count; e++) {
        size_t i = (size_t)v->entries[e].hash & (n - 1);
        while (slots[i])
            i = (i + 1) & (n - 1);
        slots[i] = slot_of(v->entries[e].hash, e);
    }
    wf_free_big(v->mem, v->slots);
    v->slots = slots;
    v->n_slots = n;
    return WEFT_OK;
}

uint64_t wf_vocab_hash(const char *text, size_t length) { return XXH3_64bits(text, length); }

const wf_vocab_entry *wf_vocab_find_hashed(const wf_vocab *v, uint64_t hash, const char *text, size_t length) {
    if (v->n_slots == 0)
        return NULL;
    size_t slot = find_slot(v, hash, text, length);
    return v->slots[slot] ? &v->entries[(uint32_t)v->slots[slot] - 1] : NULL;
}

const wf_vocab_entry *wf_vocab_find(const wf_vocab *v, const char *text, size_t length) {
    return wf_vocab_find_hashed(v, XXH3_64bits(text, length), text, length);
}

weft_status wf_vocab_reserve(wf_vocab *v, size_t count, size_t bytes, weft_error *err) {
    WF_TRY(wf_grow(v->mem, (void **)&v->pool, &v->pool_capacity, bytes, 1, err));
    WF_TRY(wf_grow(v->mem, (void **)&v->entries, &v->capacity, count, sizeof *v->entries, err));
    wf_advise_big(v->pool + v->pool_used, v->pool_capacity - v->pool_used);
    wf_advise_big(v->entries + v->count, (v->capacity - v->count) * sizeof *v->entries);
    size_t slots = 1024;
    while (slots / 2 < count)
        slots *= 2;
    return slots > v->n_slots ? rehash(v, slots, err) : WEFT_OK;
}

weft_status wf_vocab_put_hashed(wf_vocab *v, uint64_t hash, const char *text, size_t length, uint32_t id, bool *added,
                                weft_error *err) {
    WF_CHECK(length <= UINT32_MAX / 2 && v->count < UINT32_MAX / 2, err, WEFT_BAD_INPUT, "a vocabulary beyond 2^31");
    if (v->count * 2 >= v->n_slots)
        WF_TRY(rehash(v, v->n_slots ? v->n_slots * 4 : 1024, err));
    size_t slot = find_slot(v, hash, text, length);
    *added = v->slots[slot] == 0;
    if (!*added)
        return WEFT_OK;
    if (length >= v->pool_capacity - v->pool_used)
        WF_TRY(wf_grow(v->mem, (void **)&v->pool, &v->pool_capacity, v->pool_used + length + 1, 1, err));
    if (v->count == v->capacity)
        WF_TRY(wf_grow(v->mem, (void **)&v->entries, &v->capacity, v->count + 1, sizeof *v->entries, err));
    memcpy(v->pool + v->pool_used, text, length);
    v->pool[v->pool_used + length] = 0;
    v->entries[v->count] = (wf_vocab_entry){hash, v->pool_used, (uint32_t)length, id};
    v->pool_used += length + 1;
    v->slots[slot] = slot_of(hash, v->count++);
    return WEFT_OK;
}

weft_status wf_vocab_put(wf_vocab *v, const char *text, size_t length, uint32_t id, bool *added, weft_error *err) {
    return wf_vocab_put_hashed(v, XXH3_64bits(text, length), text, length, id, added, err);
}
