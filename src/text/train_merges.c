/* train_merges.c - byte-pair training, step for step what the reference's BpeTrainer does, so that equal texts give equal
 * files: a queue of pairs with the count they had when queued; a popped pair whose count has changed since goes back with the
 * new one. */
#include "text/train_merges.h"

#include <string.h>

#define NO_PAIR WF_NO_MERGE

typedef struct place {
    uint32_t word, next;
} place; /* a list of words; next is place + 1 */

typedef struct pair_slot {
    uint64_t pair; /* left << 32 | right */
    int64_t count;
    uint32_t fresh; /* place + 1: words in which the pair appeared since it was last queued */
    uint32_t merge; /* merge + 1: the last time it was merged */
} pair_slot;

typedef struct queued {
    uint64_t pair;
    int64_t count;
    uint32_t places; /* place + 1 */
} queued;

typedef struct trainer {
    const wf_mem *mem;
    wf_merging *m;
    weft_error *err;
    pair_slot *slots;
    size_t n_pairs, n_slots;
    place *places;
    size_t n_places, places_capacity;
    uint64_t *touched; /* pairs with fresh places */
    size_t n_touched, touched_capacity;
    queued *queue; /* a heap */
    size_t n_queue, queue_capacity;
} trainer;

/* ---- counts of pairs ---- */

static size_t slot_of(const trainer *t, uint64_t pair) {
    uint64_t h = pair * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(h ^ h >> 32) & (t->n_slots - 1);
    while (t->slots[i].pair != NO_PAIR && t->slots[i].pair != pair)
        i = (i + 1) & (t->n_slots - 1);
    return i;
}

static weft_status grow_slots(trainer *t) {
    size_t old_n = t->n_slots;
    pair_slot *old = t->slots;
    t->n_slots = old_n ? old_n * 2 : 8192;
    t->slots = wf_calloc(t->mem, t->n_slots, sizeof *t->slots);
    if (!t->slots) {
        t->slots = old;
        t->n_slots = old_n;
        return wf_fail_memory(t->err);
    }
    for (size_t i = 0; i < t->n_slots; i++)
        t->slots[i].pair = NO_PAIR;
    for (size_t i = 0; i < old_n; i++)
        if (old[i].pair != NO_PAIR)
            t->slots[slot_of(t, old[i].pair)] = old[i];
    wf_free(t->mem, old);
    return WEFT_OK;
}

static weft_status find_pair(trainer *t, uint64_t pair, pair_slot **out) {
    if (t->n_pairs * 2 >= t->n_slots)
        WF_TRY(grow_slots(t));
    *out = &t->slots[slot_of(t, pair)];
    if ((*out)->pair == NO_PAIR) {
        **out = (pair_slot){.pair = pair};
        t->n_pairs++;
    }
    return WEFT_OK;
}

/* Remembers that `pair` now occurs in `word`. Words come one after another, so a repetition is the list's head. */
static weft_status note_place(trainer *t, pair_slot *s, uint32_t word) {
    if (s->fresh && t->places[s->fresh - 1].word == word)
        return WEFT_OK;
    WF_CHECK(t->n_places < UINT32_MAX - 1, t->err, WEFT_NO_MEMORY, "the text is too long to train on");
    WF_TRY(wf_grow(t->mem, (void **)&t->places, &t->places_capacity, t->n_places + 1, sizeof *t->places, t->err));
    if (!s->fresh) {
        WF_TRY(wf_grow(t->mem, (void **)&t->touched, &t->touched_capacity, t->n_touched + 1, sizeof *t->touched, t->err));
        t->touched[t->n_touched++] = s->pair;
    }
    t->places[t->n_places++] = (place){word, s->fresh};
    s->fresh = (uint32_t)t->n_places;
    return WEFT_OK;
}

static weft_status change_pair(trainer *t, uint32_t left, uint32_t right, uint32_t word, int by) {
    pair_slot *s;
    WF_TRY(find_pair(t, (uint64_t)left << 32 | right, &s));
    s->count += by * (int64_t)t->m->counts[word];
    return by > 0 ? note_place(t, s, word) : WEFT_OK;
}

/* ---- the queue ---- */

static bool before(const queued *a, const queued *b) { return a->count != b->count ? a->count > b->count : a->pair < b->pair; }

static weft_status push(trainer *t, queued x) {
    WF_TRY(wf_grow(t->mem, (void **)&t->queue, &t->queue_capacity, t->n_queue + 1, sizeof *t->queue, t->err));
    size_t i = t->n_queue++;
    for (; i > 0 && before(&x, &t->queue[(i - 1) / 2]); i = (i - 1) / 2)
        t->queue[i] = t->queue[(i - 1) / 2];
    t->queue[i] = x;
    return WEFT_OK;
}

static queued pop(trainer *t) {
    queued top = t->queue[0], x = t->queue[--t->n_queue];
    size_t i = 0;
    for (size_t c; (c = 2 * i + 1) < t->n_queue; i = c) {
        c += c + 1 < t->n_queue && before(&t->queue[c + 1], &t->queue[c]);
        if (!before(&t->queue[c], &x))
            break;
        t->queue[i] = t->queue[c];
    }
    t->queue[i] = x;
    return top;
}

static weft_status queue_touched(trainer *t) {
    for (size_t i = 0; i < t->n_touched; i++) {
        pair_slot *s = &t->slots[slot_of(t, t->touched[i])];
        if (s->count > 0)
            WF_TRY(push(t, (queued){s->pair, s->count, s->fresh}));
        s->fresh = 0;
    }
    t->n_touched = 0;
    return WEFT_OK;
}

static weft_status start_pairs(trainer *t) {
    for (size_t w = 0; w < t->m->n_words; w++)
        for (size_t i = t->m->starts[w]; i + 1 < t->m->starts[w] + t->m->lengths[w]; i++)
            WF_TRY(change_pair(t, t->m->symbols[i], t->m->symbols[i + 1], (uint32_t)w, 1));
    return queue_touched(t);
}

/* ---- merging ---- */

/* Neighbours whose joined length reaches the limit are no pair any more. */
static bool may_pair(const trainer *t, size_t symbol, uint32_t joined) {
    return !t->m->sizes || (uint64_t)t->m->sizes[symbol] + joined < t->m->max_size;
}

/* Replaces left right by `id` in one word, from left to right, and keeps the counts of the neighbours' pairs. */
static weft_status merge_word(trainer *t, uint32_t word, uint32_t left, uint32_t right, uint32_t id) {
    size_t base = t->m->starts[word], n = t->m->lengths[word], k = 0;
    uint32_t *s = t->m->symbols + base, *sizes = t->m->sizes ? t->m->sizes + base : NULL;
    for (size_t i = 0; i < n; i++) {
        if (s[i] != left || i + 1 >= n || s[i + 1] != right) {
            if (sizes)
                sizes[k] = sizes[i];
            s[k++] = s[i];
            continue;
        }
        uint32_t size = sizes ? sizes[i] + sizes[i + 1] : 0;
        if (k > 0) {
            WF_TRY(change_pair(t, s[k - 1], left, word, -1));
            if (may_pair(t, base + k - 1, size))
                WF_TRY(change_pair(t, s[k - 1], id, word, 1));
        }
        if (i + 2 < n) {
            WF_TRY(change_pair(t, right, s[i + 2], word, -1));
            if (may_pair(t, base + i + 2, size))
                WF_TRY(change_pair(t, id, s[i + 2], word, 1));
        }
        if (sizes)
            sizes[k] = size;
        s[k++] = id;
        i++;
    }
    t->m->lengths[word] = (uint32_t)k;
    return WEFT_OK;
}

/* The token left+right, where the prefix of parts inside a word is said once; one of that spelling may exist already. */
static weft_status joined_token(trainer *t, uint64_t pair, uint32_t *id) {
    const wf_vocab *v = &t->m->vocab;
    const wf_vocab_entry *a = &v->entries[pair >> 32], *b = &v->entries[(uint32_t)pair];
    size_t cut = t->m->prefix.length;
    bool prefixed = b->length >= cut && memcmp(b->text, t->m->prefix.data, cut) == 0;
    size_t skip = prefixed ? cut : 0, n = (size_t)a->length + b->length - skip;
    char *text = wf_alloc(t->mem, n);
    if (!text)
        return wf_fail_memory(t->err);
    memcpy(text, a->text, a->length);
    memcpy(text + a->length, b->text + skip, b->length - skip);
    weft_status status = wf_merging_token(t->m, (wf_bytes){text, n}, id, t->err);
    wf_free(t->mem, text);
    return status;
}

/* A pair can be merged twice (it came back when its spelling was made another way); its last rank counts in the reference. */
static weft_status note_merge(trainer *t, uint64_t pair) {
    pair_slot *s = &t->slots[slot_of(t, pair)];
    if (s->merge)
        t->m->merges[s->merge - 1] = NO_PAIR;
    WF_TRY(wf_grow(t->mem, (void **)&t->m->merges, &t->m->merges_capacity, t->m->n_merges + 1, sizeof *t->m->merges, t->err));
    t->m->merges[t->m->n_merges++] = pair;
    s->merge = (uint32_t)t->m->n_merges;
    return WEFT_OK;
}

static weft_status merge_pair(trainer *t, const queued *top) {
    uint32_t id = 0;
    WF_TRY(joined_token(t, top->pair, &id));
    WF_TRY(note_merge(t, top->pair));
    for (uint32_t p = top->places; p; p = t->places[p - 1].next)
        WF_TRY(merge_word(t, t->places[p - 1].word, (uint32_t)(top->pair >> 32), (uint32_t)top->pair, id));
    return queue_touched(t);
}

static weft_status merge_all(trainer *t) {
    int64_t least = (int64_t)(t->m->min_frequency & INT64_MAX);
    while (t->m->vocab.count < t->m->vocab_size && t->n_queue) {
        queued top = pop(t);
        int64_t now = t->slots[slot_of(t, top.pair)].count;
        if (top.count != now) {
            top.count = now;
            WF_TRY(push(t, top));
            continue;
        }
        if (top.count < 1 || top.count < least)
            break;
        WF_TRY(merge_pair(t, &top));
        if (t->m->env)
            WF_CHECK(wf_stopped(t->m->env) == WEFT_OK, t->err, wf_stopped(t->m->env), "stopped");
    }
    return WEFT_OK;
}

weft_status wf_merging_token(wf_merging *m, wf_bytes text, uint32_t *id, weft_error *err) {
    bool added;
    WF_TRY(wf_vocab_put(&m->vocab, text.data, text.length, (uint32_t)m->vocab.count, &added, err));
    *id = wf_vocab_find(&m->vocab, text.data, text.length)->id;
    return WEFT_OK;
}

static weft_status run(trainer *t) {
    WF_TRY(grow_slots(t));
    WF_TRY(start_pairs(t));
    return merge_all(t);
}

weft_status wf_merging_run(const wf_mem *mem, wf_merging *m, weft_error *err) {
    trainer t = {.mem = mem, .m = m, .err = err};
    weft_status status = run(&t);
    void *blocks[] = {t.slots, t.places, t.touched, t.queue};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        wf_free(mem, blocks[i]);
    return status;
}

void wf_merging_free(const wf_mem *mem, wf_merging *m) {
    wf_vocab_free(&m->vocab);
    void *blocks[] = {m->symbols, m->starts, m->lengths, m->sizes, m->counts, m->merges};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        wf_free(mem, blocks[i]);
}
