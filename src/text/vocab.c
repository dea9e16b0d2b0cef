/* vocab.c - an open-addressing table with linear probing, at most half full. */
#include "text/vocab.h"

#include <string.h>
#define XXH_INLINE_ALL /* most strings are short: the call would cost as much as the hash */
#include <xxhash.h>

void wf_vocab_init(wf_vocab *v, const wf_mem *mem) {
    memset(v, 0, sizeof *v);
    v->mem = mem;
    wf_arena_init(&v->copies, mem, 0);
}

void wf_vocab_free(wf_vocab *v) {
    wf_arena_free(&v->copies);
    wf_free_big(v->mem, v->entries);
    wf_free_big(v->mem, v->slots);
    wf_vocab_init(v, v->mem);
}

/* Behind its head, which is the same: memcmp without the call, for most texts are short. */
static inline bool same_tail(const char *a, const char *b, size_t n) {
    uint64_t x, y;
    for (size_t i = 8; i < n; i += 8) {
        size_t at = i + 8 <= n ? i : n - 8;
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        if (x != y)
            return false;
    }
    return true;
}

static uint64_t slot_of(uint64_t hash, size_t entry) { return hash >> 32 << 32 | (uint32_t)(entry + 1); }

static inline bool is_same(const wf_vocab *v, uint64_t slot, uint64_t hash, uint64_t head, const char *text, size_t length) {
    if (slot >> 32 != hash >> 32)
        return false;
    const wf_vocab_entry *e = &v->entries[(uint32_t)slot - 1];
    return e->head == head && e->length == length && same_tail(e->text, text, length);
}

static size_t find_slot(const wf_vocab *v, uint64_t hash, const char *text, size_t length) {
    size_t i = (size_t)hash & (v->n_slots - 1);
    uint64_t head = wf_vocab_head(text, length);
    while (v->slots[i] && !is_same(v, v->slots[i], hash, head, text, length))
        i = (i + 1) & (v->n_slots - 1);
    return i;
}

static weft_status rehash(wf_vocab *v, size_t n, weft_error *err) {
    uint64_t *slots = wf_alloc_big(v->mem, n * sizeof *slots);
    if (!slots)
        return wf_fail_memory(err);
    for (size_t e = 0; e < v->count; e++) {
        uint64_t hash = XXH3_64bits(v->entries[e].text, v->entries[e].length);
        size_t i = (size_t)hash & (n - 1);
        while (slots[i])
            i = (i + 1) & (n - 1);
        slots[i] = slot_of(hash, e);
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

size_t wf_vocab_bytes(const wf_vocab *v) {
    size_t n = 0;
    for (size_t i = 0; i < v->count; i++)
        n += v->entries[i].length;
    return n;
}

enum { MOST = UINT32_MAX / 2 };

weft_status wf_vocab_put(wf_vocab *v, const char *text, size_t length, uint32_t id, bool *added, weft_error *err) {
    WF_CHECK(length <= MOST && v->count < MOST, err, WEFT_BAD_INPUT, "a vocabulary beyond 2^31");
    if (v->count * 2 >= v->n_slots)
        WF_TRY(rehash(v, v->n_slots ? v->n_slots * 4 : 1024, err));
    uint64_t hash = XXH3_64bits(text, length);
    size_t slot = find_slot(v, hash, text, length);
    *added = v->slots[slot] == 0;
    if (!*added)
        return WEFT_OK;
    const char *copy = wf_arena_strndup(&v->copies, text, length);
    if (!copy)
        return wf_fail_memory(err);
    WF_TRY(wf_grow_big(v->mem, (void **)&v->entries, &v->capacity, v->count + 1, sizeof *v->entries, err));
    v->entries[v->count] = (wf_vocab_entry){wf_vocab_head(copy, length), (uint32_t)length, id, copy};
    v->slots[slot] = slot_of(hash, v->count++);
    return WEFT_OK;
}

/* ---- many at once ---- */

weft_status wf_vocab_clear_slots(wf_vocab *v, weft_error *err) {
    size_t n = 1024;
    WF_CHECK(v->count < MOST, err, WEFT_BAD_INPUT, "a vocabulary beyond 2^31");
    while (n / 2 < v->count)
        n *= 2;
    wf_free_big(v->mem, v->slots);
    v->n_slots = 0;
    v->slots = wf_alloc_big(v->mem, n * sizeof *v->slots);
    if (!v->slots)
        return wf_fail_memory(err);
    v->n_slots = n;
    return WEFT_OK;
}

/* A slot is taken in one step: when another thread was faster, it holds that thread's entry, which was written before. */
static bool enter(wf_vocab *v, size_t entry, uint64_t hash) {
    const wf_vocab_entry *e = &v->entries[entry];
    for (size_t i = (size_t)hash & (v->n_slots - 1);; i = (i + 1) & (v->n_slots - 1)) {
        uint64_t slot = __atomic_load_n(&v->slots[i], __ATOMIC_RELAXED);
        if (slot == 0 &&
            __atomic_compare_exchange_n(&v->slots[i], &slot, slot_of(hash, entry), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
        if (is_same(v, slot, hash, e->head, e->text, e->length))
            return false;
    }
}

bool wf_vocab_enter(wf_vocab *v, size_t from, size_t to) {
    enum { AT_ONCE = 32 };
    uint64_t hashes[AT_ONCE];
    bool once = true;
    for (size_t n; from < to; from += n) {
        n = to - from < AT_ONCE ? to - from : AT_ONCE;
        for (size_t i = 0; i < n; i++) {
            hashes[i] = XXH3_64bits(v->entries[from + i].text, v->entries[from + i].length);
            __builtin_prefetch(&v->slots[(size_t)hashes[i] & (v->n_slots - 1)], 1);
        }
        for (size_t i = 0; i < n; i++)
            once = enter(v, from + i, hashes[i]) && once;
    }
    return once;
}
