/* bpe_load.c - building byte-pair models: from the merges of tokenizer.json, or from pieces with scores, where every way to put
 * a piece together from two others is a merge, ranked by the score. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/pieces.h"
#include "text/unicode.h"

#define NONE WF_BPE_NONE

static uint32_t token_of(const wf_tokenizer *tok, const char *text, size_t length) {
    const wf_vocab_entry *e = wf_vocab_find(&tok->vocab, text, length);
    return e ? e->id : NONE;
}

/* ---- tables ---- */

static weft_status make_tables(wf_loading *l, wf_bpe *b, size_t n) {
    size_t slots = 16;
    while (slots < n * 2)
        slots *= 2;
    b->mask = b->joint_mask = slots - 1;
    b->merges = wf_arena_alloc(l->arena, slots * sizeof *b->merges);
    b->joints = wf_arena_alloc(l->arena, slots * sizeof *b->joints);
    if (!b->merges || !b->joints)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < slots; i++)
        b->merges[i].rank = NONE;
    return WEFT_OK;
}

/* A later merge of the same pair replaces the earlier one, as in the reference. */
static void put_merge(wf_bpe *b, wf_bpe_merge new) { *wf_bpe_find_merge(b, new.left, new.right) = new; }

static void put_joint(wf_bpe *b, uint32_t left, uint32_t right) {
    uint64_t pair = ((uint64_t)left << 32 | right) + 1;
    uint64_t x = (pair - 1) * 0x9E3779B97F4A7C15u;
    for (uint64_t i = x ^ x >> 32;; i++) {
        uint64_t *slot = &b->joints[i & b->joint_mask];
        if (*slot == 0)
            *slot = pair;
        if (*slot == pair)
            return;
    }
}

/* ---- options of tokenizer.json ---- */

static weft_status check_options(wf_loading *l, const wf_json *options) {
    static const char *const known[] = {
        "type",          "dropout",       "unk_token",  "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
        "byte_fallback", "ignore_merges", "merge_ranks"};
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

static weft_status load_affix(wf_loading *l, const wf_json *options, const char *key, wf_bytes *out) {
    const wf_json *text;
    WF_TRY(wf_load_text(l, options, key, &text));
    *out = text ? (wf_bytes){text->string, text->length} : (wf_bytes){"", 0};
    return WEFT_OK;
}

static weft_status load_unknown(wf_loading *l, const wf_json *options, wf_bpe *b) {
    const wf_json *text;
    b->unknown = NONE;
    WF_TRY(wf_load_text(l, options, "unk_token", &text));
    if (!text)
        return WEFT_OK;
    b->unknown = token_of(l->tok, text->string, text->length);
    b->lacks_unknown = b->unknown == NONE;
    return WEFT_OK;
}

/* Fallback is by tokens named <0x00> ... <0xFF>. */
static void find_bytes(const wf_tokenizer *tok, wf_bpe *b) {
    static const char hex[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        char name[] = "<0x00>", letter[WF_LETTER_BYTES];
        name[3] = hex[byte >> 4];
        name[4] = hex[byte & 15];
        b->fallback[byte] = token_of(tok, name, 6);
        b->byte_id[byte] = token_of(tok, letter, wf_put_letter((uint8_t)byte, letter));
        if (byte < 128)
            b->ascii_id[byte] = token_of(tok, &(char){(char)byte}, 1);
    }
}

/* ---- merges of tokenizer.json ---- */

static weft_status load_part(wf_loading *l, const wf_merge_text *m, const char *text, size_t length, uint32_t *id) {
    *id = token_of(l->tok, text, length);
    return *id != NONE
               ? WEFT_OK
               : wf_load_fail_at(l, WEFT_BAD_INPUT, m->at, "a merge needs the token \"%.*s\", which is not in the vocabulary",
                                 (int)(length < 64 ? length : 64), text);
}

/* The token left + right, where the prefix of parts inside a word is said once. */
static weft_status load_result(wf_loading *l, const wf_bpe *b, const wf_merge_text *m, const char *text, uint32_t *id) {
    size_t right = m->total - m->left, prefix = b->prefix.length;
    if (prefix == 0)
        return load_part(l, m, text, m->total, id);
    if (right < prefix)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, m->at,
                               "the second part of a merge is shorter than continuing_subword_prefix");
    char *joined = wf_alloc(l->mem, m->total);
    if (!joined)
        return wf_fail_memory(l->err);
    memcpy(joined, text, m->left);
    memcpy(joined + m->left, text + m->left + prefix, right - prefix);
    weft_status status = load_part(l, m, joined, m->total - prefix, id);
    wf_free(l->mem, joined);
    return status;
}

static void note_joint(wf_loading *l, wf_bpe *b, const wf_merge_text *m, const char *text) {
    size_t last, first;
    wf_char_before((const uint8_t *)text, m->left, &last);
    wf_char_at((const uint8_t *)text + m->left, m->total - m->left, &first);
    uint32_t left = token_of(l->tok, text + m->left - last, last), right = token_of(l->tok, text + m->left, first);
    if (left != NONE && right != NONE)
        put_joint(b, left, right);
}

static weft_status load_merges(wf_loading *l, const wf_model_source *s, wf_bpe *b) {
    static const char *const names[] = {"by_order", "by_id", NULL};
    bool affixes = b->prefix.length || b->suffix.length;
    int ranks = 0;
    WF_TRY(wf_load_choice(l, s->options, "merge_ranks", names, &ranks));
    WF_TRY(make_tables(l, b, s->n_merges));
    for (size_t i = 0; i < s->n_merges; i++) {
        const wf_merge_text *m = &s->merges[i];
        const char *text = s->merge_pool.data + m->offset;
        wf_bpe_merge new = {.rank = (uint32_t)i};
        WF_TRY(load_part(l, m, text, m->left, &new.left));
        WF_TRY(load_part(l, m, text + m->left, m->total - m->left, &new.right));
        WF_TRY(load_result(l, b, m, text, &new.id));
        if (ranks == 1)
            new.rank = new.id;
        put_merge(b, new);
        if (!affixes)
            note_joint(l, b, m, text);
    }
    if (affixes) /* characters have other names inside a word: no taking apart */
        b->joints = NULL;
    return WEFT_OK;
}

static bool all_letters(const wf_bpe *b) {
    for (int byte = 0; byte < 256; byte++)
        if (b->byte_id[byte] == NONE)
            return false;
    return true;
}

weft_status wf_load_bpe(wf_loading *l, const wf_model_source *s, void **model) {
    WF_TRY(wf_load_options(l, sizeof(wf_bpe), model));
    wf_bpe *b = *model;
    if (!s->has_vocab || !s->has_merges)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: BPE needs 'vocab' and 'merges'");
    WF_TRY(check_options(l, s->options));
    WF_TRY(load_affix(l, s->options, "continuing_subword_prefix", &b->prefix));
    WF_TRY(load_affix(l, s->options, "end_of_word_suffix", &b->suffix));
    WF_TRY(wf_load_bool(l, s->options, "byte_fallback", false, &b->byte_fallback));
    WF_TRY(load_unknown(l, s->options, b));
    WF_TRY(wf_load_bool(l, s->options, "fuse_unk", false, &b->fuse_unknown));
    WF_TRY(wf_load_bool(l, s->options, "ignore_merges", false, &b->ignore_merges));
    find_bytes(l->tok, b);
    b->merges_nothing = s->n_merges == 0 && all_letters(b);
    return load_merges(l, s, b);
}

void wf_release_bpe(void *model, const wf_mem *mem) {
    wf_bpe *b = model;
    if (b->extra.mem)
        wf_vocab_free(&b->extra);
    wf_trie_free(&b->frozen, mem);
}

/* ---- pieces with scores ---- */

typedef struct scored_loading {
    wf_loading *l;
    const wf_pieces *pieces;
    wf_bpe *b;
    uint32_t *ranks; /* of the pieces */
    wf_bpe_merge *merges;
    size_t n_merges, capacity;
} scored_loading;

static int by_score(const void *a, const void *b) {
    const double *x = a, *y = b;
    return *x > *y ? -1 : *x < *y;
}

/* Equal scores have equal ranks: among them the leftmost pair is merged first. */
static weft_status rank_pieces(scored_loading *s) {
    size_t n = s->pieces->count;
    double *sorted = wf_calloc(s->l->mem, n + 1, sizeof *sorted);
    if (!sorted)
        return wf_fail_memory(s->l->err);
    memcpy(sorted, s->pieces->scores, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_score);
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = n;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (sorted[middle] > s->pieces->scores[i])
                low = middle + 1;
            else
                high = middle;
        }
        s->ranks[i] = (uint32_t)low;
    }
    wf_free(s->l->mem, sorted);
    return WEFT_OK;
}

static bool is_part(const wf_pieces *p, uint32_t id) {
    return p->kinds[id] == WF_PIECE_NORMAL || p->kinds[id] == WF_PIECE_USER;
}

/* The symbol of a part: a piece, or a character. */
static weft_status symbol_of(scored_loading *s, const char *text, size_t length, uint32_t *id) {
    size_t one;
    bool added;
    *id = token_of(s->l->tok, text, length);
    if (*id != NONE && is_part(s->pieces, *id))
        return WEFT_OK;
    *id = NONE;
    wf_char_at((const uint8_t *)text, length, &one);
    if (one < length)
        return WEFT_OK;
    WF_TRY(wf_vocab_put(&s->b->extra, text, length, s->b->first_extra + (uint32_t)s->b->extra.count, &added, s->l->err));
    *id = wf_vocab_find(&s->b->extra, text, length)->id;
    return WEFT_OK;
}

/* Every way to put the piece together. */
static weft_status split_piece(scored_loading *s, uint32_t id) {
    wf_bytes text = wf_pieces_text(s->l->tok, id);
    size_t first;
    wf_char_at((const uint8_t *)text.data, text.length, &first);
    for (size_t at = first, step; at < text.length; at += step) {
        wf_bpe_merge m = {.rank = s->ranks[id], .id = id};
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &step);
        WF_TRY(symbol_of(s, text.data, at, &m.left));
        WF_TRY(symbol_of(s, text.data + at, text.length - at, &m.right));
        if (m.left == NONE || m.right == NONE)
            continue;
        WF_TRY(wf_grow(s->l->mem, (void **)&s->merges, &s->capacity, s->n_merges + 1, sizeof *s->merges, s->l->err));
        s->merges[s->n_merges++] = m;
    }
    return WEFT_OK;
}

static weft_status note_joints(scored_loading *s, uint32_t id) {
    wf_bytes text = wf_pieces_text(s->l->tok, id);
    uint32_t left = NONE, right;
    for (size_t at = 0, step; at < text.length; at += step, left = right) {
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &step);
        WF_TRY(symbol_of(s, text.data + at, step, &right));
        if (left != NONE)
            put_joint(s->b, left, right);
    }
    return WEFT_OK;
}

static weft_status build_scored(scored_loading *s) {
    const wf_pieces *p = s->pieces;
    size_t longest = 0;
    WF_TRY(rank_pieces(s));
    for (uint32_t id = 0; id < p->count; id++) {
        wf_bytes text = wf_pieces_text(s->l->tok, id);
        longest += text.length;
        /* Every part of a piece is looked at: a few endless pieces must not cost their square. */
        WF_CHECK(text.length <= 4096, s->l->err, WEFT_UNSUPPORTED, "model: a piece of %zu bytes", text.length);
        if (is_part(p, id))
            WF_TRY(split_piece(s, id));
    }
    WF_TRY(make_tables(s->l, s->b, s->n_merges + longest));
    for (size_t i = 0; i < s->n_merges; i++)
        put_merge(s->b, s->merges[i]);
    for (uint32_t id = 0; id < p->count; id++)
        if (is_part(p, id))
            WF_TRY(note_joints(s, id));
    return WEFT_OK;
}

weft_status wf_load_scored_bpe(wf_loading *l, const wf_model_source *source, void **model) {
    WF_TRY(wf_load_options(l, sizeof(wf_bpe), model));
    wf_bpe *b = *model;
    wf_pieces pieces;
    wf_vocab_init(&b->extra, l->mem);
    WF_TRY(wf_load_pieces(l, source, &pieces));
    b->scored = true;
    b->first_extra = (uint32_t)pieces.count;
    b->unknown = pieces.unknown;
    b->byte_fallback = pieces.byte_fallback;
    find_bytes(l->tok, b);
    for (int c = 0; c < 128; c++)
        if (b->ascii_id[c] != NONE && !is_part(&pieces, b->ascii_id[c]))
            b->ascii_id[c] = NONE;
    scored_loading s = {.l = l, .pieces = &pieces, .b = b, .ranks = wf_calloc(l->mem, pieces.count + 1, sizeof(uint32_t))};
    weft_status status = s.ranks ? build_scored(&s) : wf_fail_memory(l->err);
    wf_free(l->mem, s.ranks);
    wf_free(l->mem, s.merges);
    WF_TRY(status);
    l->tok->names_unknown = pieces.unknown != NONE;
    l->tok->unknown = pieces.unknown;
    return wf_pieces_trie(l, &pieces, WF_PIECE_USER, &b->frozen);
}
