/* bpe.c - byte-pair encoding: the pair with the lowest rank is merged first, the leftmost among equals, until none is left.
 * Short pieces scan their few pairs; long ones keep the pairs in a heap over a linked list, so a word of a megabyte costs
 * n log n. */
#include "text/bytelevel.h"
#include "text/engine.h"

#include <string.h>

#define NONE UINT32_MAX

typedef struct merge {
    uint32_t left, right, rank, id;
} merge; /* rank NONE: an empty slot */

typedef struct bpe {
    uint32_t byte_id[256]; /* the token of each letter, NONE when the vocabulary lacks it */
    merge *merges;
    uint64_t mask; /* slots - 1 */
    uint32_t unknown;
    bool fuse_unknown, ignore_merges, merges_nothing;
} bpe;

/* ---- the table of merges ---- */

static uint64_t pair_hash(uint32_t left, uint32_t right) {
    uint64_t x = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    return x ^ x >> 32;
}

static merge *find_merge(const bpe *b, uint32_t left, uint32_t right) {
    for (uint64_t i = pair_hash(left, right);; i++) {
        merge *m = &b->merges[i & b->mask];
        if (m->rank == NONE || (m->left == left && m->right == right))
            return m;
    }
}

static uint32_t rank_of(const bpe *b, uint32_t left, uint32_t right) { return find_merge(b, left, right)->rank; }

/* ---- reading ---- */

static weft_status check_options(wf_loading *l, const wf_json *options) {
    static const char *const known[] = {
        "type",     "dropout",       "unk_token",    "continuing_subword_prefix", "end_of_word_suffix",
        "fuse_unk", "byte_fallback", "ignore_merges"};
    for (const wf_json *j = options->child; j; j = j->next) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || wf_streq(known[i], j->key);
        if (!found)
            return wf_load_fail(l, WEFT_UNSUPPORTED, j, "BPE has the unknown option \"%s\"", j->key);
    }
    const wf_json *dropout = wf_json_get(options, "dropout");
    if (dropout && dropout->kind != WF_JSON_NULL &&
        (dropout->kind != WF_JSON_NUMBER || dropout->number < 0 || dropout->number > 1))
        return wf_load_fail(l, WEFT_BAD_INPUT, dropout, "dropout must be a number from 0 to 1");
    if (dropout && dropout->kind == WF_JSON_NUMBER && dropout->number > 0)
        return wf_load_fail(l, WEFT_UNSUPPORTED, dropout, "BPE with dropout");
    return WEFT_OK;
}

/* Options that character-level BPE needs; here they must be off. */
static weft_status check_affixes(wf_loading *l, const wf_json *options) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const wf_json *text;
        WF_TRY(wf_load_text(l, options, affixes[i], &text));
        if (text && text->length > 0)
            return wf_load_fail(l, WEFT_UNSUPPORTED, text, "BPE with %s", affixes[i]);
    }
    bool fallback;
    WF_TRY(wf_load_bool(l, options, "byte_fallback", false, &fallback));
    return fallback ? wf_load_fail(l, WEFT_UNSUPPORTED, wf_json_get(options, "byte_fallback"), "BPE with byte_fallback")
                    : WEFT_OK;
}

static weft_status load_unknown(wf_loading *l, const wf_json *options, bpe *b) {
    const wf_json *text;
    b->unknown = NONE;
    WF_TRY(wf_load_text(l, options, "unk_token", &text));
    if (!text)
        return WEFT_OK;
    const wf_vocab_entry *e = wf_vocab_find(&l->tok->vocab, text->string, text->length);
    if (!e)
        return wf_load_fail(l, WEFT_BAD_INPUT, text, "unk_token \"%s\" is not in the vocabulary", text->string);
    b->unknown = e->id;
    return WEFT_OK;
}

static weft_status load_part(wf_loading *l, const wf_merge_text *m, const char *text, size_t length, uint32_t *id) {
    const wf_vocab_entry *e = wf_vocab_find(&l->tok->vocab, text, length);
    if (!e)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, m->at, "a merge needs the token \"%.*s\", which is not in the vocabulary",
                               (int)(length < 64 ? length : 64), text);
    *id = e->id;
    return WEFT_OK;
}

static weft_status load_merges(wf_loading *l, const wf_model_source *s, bpe *b) {
    size_t slots = 16;
    while (slots < s->n_merges * 2)
        slots *= 2;
    b->mask = slots - 1;
    b->merges_nothing = s->n_merges == 0;
    b->merges = wf_arena_alloc(&l->tok->arena, slots * sizeof *b->merges);
    if (!b->merges)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < slots; i++)
        b->merges[i].rank = NONE;
    for (size_t i = 0; i < s->n_merges; i++) {
        const wf_merge_text *m = &s->merges[i];
        const char *text = s->merge_pool.data + m->offset;
        merge new = {.rank = (uint32_t)i};
        WF_TRY(load_part(l, m, text, m->left, &new.left));
        WF_TRY(load_part(l, m, text + m->left, m->total - m->left, &new.right));
        WF_TRY(load_part(l, m, text, m->total, &new.id));
        *find_merge(b, new.left, new.right) = new; /* the later of two equal merges counts, as in the reference */
    }
    return WEFT_OK;
}

static weft_status load(wf_loading *l, const wf_model_source *s, void **model) {
    bpe *b = wf_arena_alloc(&l->tok->arena, sizeof *b);
    if (!b)
        return wf_fail_memory(l->err);
    *model = b;
    if (!s->has_vocab || !s->has_merges)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: BPE needs vocab and merges");
    WF_TRY(check_options(l, s->options));
    WF_TRY(check_affixes(l, s->options));
    WF_TRY(load_unknown(l, s->options, b));
    WF_TRY(wf_load_bool(l, s->options, "fuse_unk", false, &b->fuse_unknown));
    WF_TRY(wf_load_bool(l, s->options, "ignore_merges", false, &b->ignore_merges));
    for (int byte = 0; byte < 256; byte++) {
        char letter[WF_LETTER_BYTES];
        const wf_vocab_entry *e = wf_vocab_find(&l->tok->vocab, letter, wf_put_letter((uint8_t)byte, letter));
        b->byte_id[byte] = e ? e->id : NONE;
    }
    return load_merges(l, s, b);
}

/* ---- short pieces ---- */

/* The first symbol of a byte; false when it has none of its own: a byte without a token becomes the unknown token, joins the
 * one before it, or vanishes. `*unknown` tells what the last symbol was. */
static bool symbol_of(const bpe *b, uint8_t byte, bool *unknown, uint32_t *id) {
    *id = b->byte_id[byte];
    if (*id != NONE) {
        *unknown = false;
        return true;
    }
    if (b->unknown == NONE || (*unknown && b->fuse_unknown))
        return false;
    *unknown = true;
    *id = b->unknown;
    return true;
}

static weft_status encode_short(const bpe *b, wf_encoder *e, wf_piece piece) {
    uint32_t ids[WF_WORD_MAX], ranks[WF_WORD_MAX];
    size_t n = 0;
    bool unknown = false;
    for (size_t i = 0; i < piece.length; i++)
        n += symbol_of(b, piece.bytes[i], &unknown, &ids[n]);
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = rank_of(b, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NONE)
            break;
        ids[best] = find_merge(b, ids[best], ids[best + 1])->id;
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        if (best + 1 < n) {
            memmove(ranks + best, ranks + best + 1, (n - best - 1) * sizeof *ranks);
            ranks[best] = rank_of(b, ids[best], ids[best + 1]);
        }
        if (best > 0)
            ranks[best - 1] = rank_of(b, ids[best - 1], ids[best]);
    }
    return wf_ids_push(e->ids, ids, n, e->err);
}

/* ---- long pieces ---- */

static void sift_down(uint64_t *heap, size_t n, size_t i) {
    uint64_t x = heap[i];
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && heap[c + 1] < heap[c];
        if (heap[c] >= x)
            break;
        heap[i] = heap[c];
    }
    heap[i] = x;
}

static weft_status push(wf_bpe_scratch *s, const wf_mem *mem, uint32_t rank, size_t position, weft_error *err) {
    WF_TRY(wf_grow(mem, (void **)&s->heap, &s->heap_capacity, s->heap_count + 1, sizeof *s->heap, err));
    uint64_t x = (uint64_t)rank << 32 | position;
    size_t i = s->heap_count++;
    for (; i > 0 && s->heap[(i - 1) / 2] > x; i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = x;
    return WEFT_OK;
}

static uint64_t pop(wf_bpe_scratch *s) {
    uint64_t top = s->heap[0];
    s->heap[0] = s->heap[--s->heap_count];
    if (s->heap_count)
        sift_down(s->heap, s->heap_count, 0);
    return top;
}

/* Ranks the pair that begins at `i` anew and queues it. */
static weft_status rank_pair(const bpe *b, wf_encoder *e, int32_t i) {
    wf_bpe_symbol *s = e->bpe.symbols;
    s[i].rank = s[i].next < 0 ? NONE : rank_of(b, s[i].id, s[s[i].next].id);
    return s[i].rank == NONE ? WEFT_OK : push(&e->bpe, e->mem, s[i].rank, (size_t)i, e->err);
}

static weft_status link_symbols(const bpe *b, wf_encoder *e, wf_piece piece, size_t *count) {
    wf_bpe_scratch *s = &e->bpe;
    WF_TRY(wf_grow(e->mem, (void **)&s->symbols, &s->symbols_capacity, piece.length, sizeof *s->symbols, e->err));
    size_t n = 0;
    bool unknown = false;
    for (size_t i = 0; i < piece.length; i++) {
        uint32_t id;
        if (!symbol_of(b, piece.bytes[i], &unknown, &id))
            continue;
        s->symbols[n] = (wf_bpe_symbol){id, NONE, (int32_t)n - 1, (int32_t)n + 1};
        n++;
    }
    if (n)
        s->symbols[n - 1].next = -1;
    *count = n;
    return WEFT_OK;
}

static weft_status queue_pairs(const bpe *b, wf_encoder *e, size_t n) {
    wf_bpe_scratch *s = &e->bpe;
    s->heap_count = 0;
    WF_TRY(wf_grow(e->mem, (void **)&s->heap, &s->heap_capacity, n, sizeof *s->heap, e->err));
    for (size_t i = 0; i + 1 < n; i++) {
        s->symbols[i].rank = rank_of(b, s->symbols[i].id, s->symbols[i + 1].id);
        if (s->symbols[i].rank != NONE)
            s->heap[s->heap_count++] = (uint64_t)s->symbols[i].rank << 32 | i;
    }
    for (size_t i = s->heap_count / 2; i-- > 0;)
        sift_down(s->heap, s->heap_count, i);
    return WEFT_OK;
}

static weft_status merge_at(const bpe *b, wf_encoder *e, int32_t i) {
    wf_bpe_symbol *s = e->bpe.symbols;
    int32_t right = s[i].next;
    s[i].id = find_merge(b, s[i].id, s[right].id)->id;
    s[i].next = s[right].next;
    s[right].rank = NONE; /* its entries in the heap are void */
    if (s[i].next >= 0)
        s[s[i].next].previous = i;
    WF_TRY(rank_pair(b, e, i));
    return s[i].previous < 0 ? WEFT_OK : rank_pair(b, e, s[i].previous);
}

/* The byte tokenizer: a whole text is one piece, and needs no list. */
static weft_status encode_unmerged(const bpe *b, wf_encoder *e, wf_piece piece) {
    bool unknown = false;
    uint32_t ids[256];
    for (size_t i = 0; i < piece.length;) {
        size_t n = 0;
        for (; n < sizeof ids / sizeof *ids && i < piece.length; i++)
            n += symbol_of(b, piece.bytes[i], &unknown, &ids[n]);
        WF_TRY(wf_ids_push(e->ids, ids, n, e->err));
    }
    return WEFT_OK;
}

static weft_status encode_long(const bpe *b, wf_encoder *e, wf_piece piece) {
    size_t n;
    if (b->merges_nothing)
        return encode_unmerged(b, e, piece);
    WF_CHECK(piece.length <= WF_PIECE_MAX, e->err, WEFT_BAD_INPUT, "a word of %zu bytes; the limit is %d", piece.length,
             WF_PIECE_MAX);
    WF_TRY(link_symbols(b, e, piece, &n));
    if (n == 0)
        return WEFT_OK;
    WF_TRY(queue_pairs(b, e, n));
    while (e->bpe.heap_count) {
        uint64_t top = pop(&e->bpe);
        if (e->bpe.symbols[(uint32_t)top].rank == top >> 32)
            WF_TRY(merge_at(b, e, (int32_t)(uint32_t)top));
    }
    for (int32_t i = 0; i >= 0; i = e->bpe.symbols[i].next)
        WF_TRY(wf_ids_push(e->ids, &e->bpe.symbols[i].id, 1, e->err));
    return WEFT_OK;
}

/* ---- a piece ---- */

/* With ignore_merges a piece that is a token as a whole is that token, whatever the merges would give. */
static bool whole_token(wf_encoder *e, wf_piece piece, uint32_t *id) {
    wf_str_clear(&e->letters);
    for (size_t i = 0; i < piece.length; i++) {
        char letter[WF_LETTER_BYTES];
        wf_str_put(&e->letters, letter, wf_put_letter(piece.bytes[i], letter));
    }
    const wf_vocab_entry *entry = e->letters.failed ? NULL : wf_vocab_find(&e->tok->vocab, e->letters.data, e->letters.length);
    if (entry)
        *id = entry->id;
    return entry != NULL;
}

static weft_status encode_new(const bpe *b, wf_encoder *e, wf_piece piece) {
    uint32_t id = 0;
    if (b->ignore_merges && whole_token(e, piece, &id))
        return wf_ids_push(e->ids, &id, 1, e->err);
    if (e->letters.failed)
        return wf_fail_memory(e->err);
    return piece.length <= WF_WORD_MAX ? encode_short(b, e, piece) : encode_long(b, e, piece);
}

static weft_status encode(const void *model, wf_encoder *e, wf_piece piece) {
    const bpe *b = model;
    if (piece.length > WF_WORD_MAX)
        return encode_new(b, e, piece);
    uint64_t hash = wf_word_hash(piece.bytes, piece.length);
    const wf_word_slot *known = wf_word_cache_find(&e->cache, hash, piece.bytes, piece.length);
    if (known)
        return wf_ids_push(e->ids, e->cache.ids + known->ids, known->n_ids, e->err);
    size_t before = e->ids->count;
    WF_TRY(encode_new(b, e, piece));
    size_t n = e->ids->count - before;
    wf_word_cache_put(&e->cache, hash, piece, n ? e->ids->data + before : NULL, n);
    return WEFT_OK;
}

const wf_model_row wf_model_bpe = {.name = "BPE", .load = load, .encode = encode};
