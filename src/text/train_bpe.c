/* train_bpe.c - byte-pair training, step for step what the reference's BpeTrainer does, so that equal texts give equal files: a
 * queue of pairs with the count they had when queued; a popped pair whose count has changed since goes back with the new one.
 */
#include <string.h>

#include "text/bytelevel.h"
#include "text/engine.h"
#include "text/words.h"

#define NO_PAIR UINT64_MAX

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
    const wf_bpe_training *how;
    weft_error *err;
    wf_words words;
    uint32_t *symbols; /* of all words, one after another */
    size_t *starts;    /* per word, into symbols */
    uint32_t *lengths; /* per word, in symbols; they shrink */
    wf_vocab vocab;    /* tokens in letters; entry i has the id i */
    pair_slot *slots;
    size_t n_pairs, n_slots;
    place *places;
    size_t n_places, places_capacity;
    uint64_t *touched; /* pairs with fresh places */
    size_t n_touched, touched_capacity;
    queued *queue; /* a heap */
    size_t n_queue, queue_capacity;
    uint64_t *merges; /* pairs in order; NO_PAIR where a later merge of the same pair counts */
    size_t n_merges, merges_capacity;
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
    s->count += by * (int64_t)t->words.words[word].count;
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

/* ---- the start ---- */

static weft_status add_token(trainer *t, const char *text, size_t length) {
    bool added;
    return wf_vocab_put(&t->vocab, text, length, (uint32_t)t->vocab.count, &added, t->err);
}

/* Special tokens first, then the alphabet in the order of its letters. */
static weft_status start_vocab(trainer *t, uint32_t byte_ids[256]) {
    for (size_t i = 0; i < t->how->n_specials; i++)
        WF_TRY(add_token(t, t->how->specials[i], strlen(t->how->specials[i])));
    for (uint32_t c = 0; c <= 0x143u; c++) {
        int byte = wf_byte_of_letter(c);
        if (byte < 0)
            continue;
        char letter[WF_LETTER_BYTES];
        size_t n = wf_put_letter((uint8_t)byte, letter);
        WF_TRY(add_token(t, letter, n));
        byte_ids[byte] = wf_vocab_find(&t->vocab, letter, n)->id;
    }
    return WEFT_OK;
}

static weft_status start_symbols(trainer *t, const uint32_t byte_ids[256]) {
    size_t total = 0, n = t->words.count;
    for (size_t w = 0; w < n; w++)
        total += t->words.words[w].length;
    t->symbols = wf_calloc(t->mem, total + 1, sizeof *t->symbols);
    t->starts = wf_calloc(t->mem, n + 1, sizeof *t->starts);
    t->lengths = wf_calloc(t->mem, n + 1, sizeof *t->lengths);
    if (!t->symbols || !t->starts || !t->lengths)
        return wf_fail_memory(t->err);
    total = 0;
    for (size_t w = 0; w < n; w++) {
        const wf_word *word = &t->words.words[w];
        t->starts[w] = total;
        t->lengths[w] = word->length;
        for (size_t i = 0; i < word->length; i++)
            t->symbols[total++] = byte_ids[word->bytes[i]];
    }
    return WEFT_OK;
}

static weft_status start_pairs(trainer *t) {
    for (size_t w = 0; w < t->words.count; w++)
        for (size_t i = t->starts[w]; i + 1 < t->starts[w] + t->lengths[w]; i++)
            WF_TRY(change_pair(t, t->symbols[i], t->symbols[i + 1], (uint32_t)w, 1));
    return queue_touched(t);
}

/* ---- merging ---- */

/* Replaces left right by `id` in one word, from left to right, and keeps the counts of the neighbours' pairs. */
static weft_status merge_word(trainer *t, uint32_t word, uint32_t left, uint32_t right, uint32_t id) {
    uint32_t *s = t->symbols + t->starts[word];
    size_t n = t->lengths[word], k = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] != left || i + 1 >= n || s[i + 1] != right) {
            s[k++] = s[i];
            continue;
        }
        if (k > 0) {
            WF_TRY(change_pair(t, s[k - 1], left, word, -1));
            WF_TRY(change_pair(t, s[k - 1], id, word, 1));
        }
        if (i + 2 < n) {
            WF_TRY(change_pair(t, right, s[i + 2], word, -1));
            WF_TRY(change_pair(t, id, s[i + 2], word, 1));
        }
        s[k++] = id;
        i++;
    }
    t->lengths[word] = (uint32_t)k;
    return WEFT_OK;
}

/* The token left+right; one of that spelling may exist already. */
static weft_status joined_token(trainer *t, uint64_t pair, uint32_t *id) {
    const wf_vocab_entry *a = &t->vocab.entries[pair >> 32], *b = &t->vocab.entries[(uint32_t)pair];
    size_t n = (size_t)a->length + b->length;
    char *text = wf_alloc(t->mem, n);
    if (!text)
        return wf_fail_memory(t->err);
    memcpy(text, wf_vocab_text(&t->vocab, a), a->length);
    memcpy(text + a->length, wf_vocab_text(&t->vocab, b), b->length);
    weft_status status = add_token(t, text, n);
    if (status == WEFT_OK)
        *id = wf_vocab_find(&t->vocab, text, n)->id;
    wf_free(t->mem, text);
    return status;
}

/* A pair can be merged twice (it came back when its spelling was made another way); its last rank counts in the reference. */
static weft_status note_merge(trainer *t, uint64_t pair) {
    pair_slot *s = &t->slots[slot_of(t, pair)];
    if (s->merge)
        t->merges[s->merge - 1] = NO_PAIR;
    WF_TRY(wf_grow(t->mem, (void **)&t->merges, &t->merges_capacity, t->n_merges + 1, sizeof *t->merges, t->err));
    t->merges[t->n_merges++] = pair;
    s->merge = (uint32_t)t->n_merges;
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
    int64_t least = t->how->min_frequency ? (int64_t)(t->how->min_frequency & INT64_MAX) : 2;
    while (t->vocab.count < t->how->vocab_size && t->n_queue) {
        queued top = pop(t);
        int64_t now = t->slots[slot_of(t, top.pair)].count;
        if (top.count != now) {
            top.count = now;
            WF_TRY(push(t, top));
            continue;
        }
        if (top.count < least)
            break;
        WF_TRY(merge_pair(t, &top));
        if (t->how->env)
            WF_CHECK(wf_stopped(t->how->env) == WEFT_OK, t->err, wf_stopped(t->how->env), "stopped");
    }
    return WEFT_OK;
}

/* ---- the result ---- */

static weft_status spell_merges(const trainer *t, wf_arena *arena, const char **out, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < t->n_merges; i++) {
        if (t->merges[i] == NO_PAIR)
            continue;
        out[*count] = wf_arena_printf(arena, "%s %s", wf_vocab_text(&t->vocab, &t->vocab.entries[t->merges[i] >> 32]),
                                      wf_vocab_text(&t->vocab, &t->vocab.entries[(uint32_t)t->merges[i]]));
        if (!out[(*count)++])
            return wf_fail_memory(t->err);
    }
    return WEFT_OK;
}

static weft_status write_result(const trainer *t, wf_arena *arena, wf_str *json) {
    const char **tokens = wf_arena_alloc(arena, t->vocab.count * sizeof *tokens);
    const char **merges = wf_arena_alloc(arena, t->n_merges * sizeof *merges);
    wf_bpe_writing writing = {.specials = t->how->specials,
                              .n_specials = t->how->n_specials,
                              .use_regex = true,
                              .tokens = tokens,
                              .n_tokens = t->vocab.count,
                              .merges = merges};
    if (!tokens || !merges)
        return wf_fail_memory(t->err);
    for (size_t i = 0; i < t->vocab.count; i++)
        tokens[i] = wf_vocab_text(&t->vocab, &t->vocab.entries[i]);
    WF_TRY(spell_merges(t, arena, merges, &writing.n_merges));
    return wf_write_bpe_json(&writing, json, t->err);
}

static weft_status finish(const trainer *t, wf_tokenizer **out) {
    wf_arena arena;
    wf_str json = wf_str_new(t->mem);
    wf_arena_init(&arena, t->mem, 0);
    weft_status status = write_result(t, &arena, &json);
    wf_arena_free(&arena);
    if (status == WEFT_OK)
        status = wf_tokenizer_parse(t->mem, json.data, json.length, out, t->err);
    wf_str_free(&json);
    return status;
}

static weft_status count_words(trainer *t, const uint8_t *text, size_t length) {
    if (!t->how->ends)
        return wf_words_add(&t->words, text, length, t->how->env, t->err);
    for (size_t i = 0, from = 0; i < t->how->n_ends; from = t->how->ends[i++])
        WF_TRY(wf_words_add(&t->words, text + from, t->how->ends[i] - from, t->how->env, t->err));
    return WEFT_OK;
}

static weft_status train(trainer *t, const uint8_t *text, size_t length, wf_tokenizer **out) {
    uint32_t byte_ids[256];
    WF_TRY(count_words(t, text, length));
    WF_TRY(start_vocab(t, byte_ids));
    WF_TRY(start_symbols(t, byte_ids));
    WF_TRY(grow_slots(t));
    WF_TRY(start_pairs(t));
    WF_TRY(merge_all(t));
    return finish(t, out);
}

static void release(trainer *t) {
    wf_words_free(&t->words);
    wf_vocab_free(&t->vocab);
    void *blocks[] = {t->symbols, t->starts, t->lengths, t->slots, t->places, t->touched, t->queue, t->merges};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        wf_free(t->mem, blocks[i]);
}

weft_status wf_tokenizer_train(const wf_mem *mem, const wf_bpe_training *how, const void *text, size_t length,
                               wf_tokenizer **out, weft_error *err) {
    size_t least = 256 + how->n_specials;
    WF_TRY(wf_check_specials(how->specials, how->n_specials, err));
    WF_CHECK(how->vocab_size >= least && how->vocab_size <= 1u << 24, err, WEFT_USAGE,
             "a byte-level vocabulary has %zu to 16777216 tokens, not %zu", least, how->vocab_size);
    trainer t = {.mem = mem, .how = how, .err = err};
    wf_words_init(&t.words, mem);
    wf_vocab_init(&t.vocab, mem);
    weft_status status = train(&t, text, length, out);
    release(&t);
    return status;
}
