/* wordpiece.c - WordPiece, WordLevel and the greedy search over bytes. */
#include "text/wordpiece.h"

#include <string.h>

#include "text/bytelevel.h"
#include "text/trie.h"
#include "text/unicode.h"

#define NONE UINT32_MAX

/* Tokens whose text begins with `prefix`, without it, as a trie. */
static weft_status build_trie(wf_loading *l, wf_bytes prefix, wf_trie *out) {
    const wf_vocab *v = &l->tok->vocab;
    wf_trie_key *keys = wf_calloc(l->mem, v->count + 1, sizeof *keys);
    size_t n = 0;
    if (!keys)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < v->count; i++) {
        const wf_vocab_entry *e = &v->entries[i];
        const char *text = e->text;
        if (e->length >= prefix.length && memcmp(text, prefix.data, prefix.length) == 0)
            keys[n++] = wf_trie_key_of(text + prefix.length, e->length - prefix.length, e->id);
    }
    weft_status status = wf_trie_build(l->mem, l->pool, keys, n, out, l->err);
    wf_free(l->mem, keys);
    return status;
}

/* The longest key at `at`: its end, or `at` when there is none. */
static size_t longest(const wf_trie *t, wf_piece p, size_t at, uint32_t *id) {
    uint32_t node = WF_TRIE_ROOT;
    size_t end = at;
    for (size_t i = at; i < p.length && wf_trie_step(t, &node, p.bytes[i]); i++)
        if (t->nodes[node].value != WF_TRIE_NONE) {
            *id = t->nodes[node].value;
            end = i + 1;
        }
    return end;
}

static weft_status load_unknown(wf_loading *l, const wf_json *options, const char *fallback, uint32_t *id) {
    const wf_json *text;
    WF_TRY(wf_load_text(l, options, "unk_token", &text));
    const char *name = text ? text->string : fallback;
    const wf_vocab_entry *e = wf_vocab_find(&l->tok->vocab, name, text ? text->length : strlen(name));
    *id = e ? e->id : NONE; /* what lacks it fails on the first unknown word */
    return WEFT_OK;
}

static weft_status put_unknown(wf_encoder *e, uint32_t unknown, wf_piece piece) {
    WF_CHECK(unknown != NONE, e->err, WEFT_BAD_INPUT,
             "the text has a word that the vocabulary lacks, and there is no unknown token");
    return wf_units_push(e, unknown, 0, piece.length);
}

/* ---- WordPiece ---- */

typedef struct wordpiece {
    wf_trie first, later;
    uint32_t unknown;
    size_t most_chars;
} wordpiece;

weft_status wf_load_wordpiece(wf_loading *l, const wf_model_source *s, void **model) {
    WF_TRY(wf_load_options(l, sizeof(wordpiece), model));
    wordpiece *w = *model;
    const wf_json *prefix, *first;
    if (!s->has_vocab)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: WordPiece needs vocab");
    WF_TRY(load_unknown(l, s->options, "[UNK]", &w->unknown));
    WF_TRY(wf_load_count(l, s->options, "max_input_chars_per_word", 100, &w->most_chars));
    WF_TRY(wf_load_text(l, s->options, "continuing_subword_prefix", &prefix));
    WF_TRY(wf_load_text(l, s->options, "beginning_subword_prefix", &first));
    WF_TRY(build_trie(l, first ? (wf_bytes){first->string, first->length} : (wf_bytes){"", 0}, &w->first));
    return build_trie(l, prefix ? (wf_bytes){prefix->string, prefix->length} : (wf_bytes){"##", 2}, &w->later);
}

void wf_release_wordpiece(void *model, const wf_mem *mem) {
    wordpiece *w = model;
    wf_trie_free(&w->first, mem);
    wf_trie_free(&w->later, mem);
}

weft_status wf_encode_wordpiece(const void *model, wf_encoder *e, wf_piece piece) {
    const wordpiece *w = model;
    size_t before = e->units.count;
    if (piece.length > w->most_chars && wf_count_chars(piece.bytes, piece.length) > w->most_chars)
        return put_unknown(e, w->unknown, piece);
    for (size_t at = 0, end; at < piece.length; at = end) {
        uint32_t id = 0;
        end = longest(at ? &w->later : &w->first, piece, at, &id);
        if (end == at) {
            e->units.count = before;
            return put_unknown(e, w->unknown, piece);
        }
        WF_TRY(wf_units_push(e, id, at, end));
    }
    return WEFT_OK;
}

/* ---- WordLevel ---- */

weft_status wf_load_wordlevel(wf_loading *l, const wf_model_source *s, void **model) {
    WF_TRY(wf_load_options(l, sizeof(uint32_t), model));
    if (!s->has_vocab)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: WordLevel needs vocab");
    return load_unknown(l, s->options, "<unk>", *model);
}

weft_status wf_encode_wordlevel(const void *model, wf_encoder *e, wf_piece piece) {
    const wf_vocab_entry *entry = wf_vocab_find(&e->tok->vocab, (const char *)piece.bytes, piece.length);
    return entry ? wf_units_push(e, entry->id, 0, piece.length) : put_unknown(e, *(const uint32_t *)model, piece);
}

/* ---- Greedy ---- */

typedef struct greedy {
    wf_trie trie;
} greedy;

/* The bytes of a token spelled in letters. */
static weft_status bytes_of(wf_loading *l, const wf_vocab_entry *e, char *out, size_t *n) {
    const uint8_t *text = (const uint8_t *)e->text;
    *n = 0;
    for (size_t i = 0, length; i < e->length; i += length) {
        int byte = wf_byte_of_letter(wf_char_at(text + i, e->length - i, &length));
        WF_CHECK(byte >= 0, l->err, WEFT_BAD_INPUT, "model: the token \"%.*s\" is not spelled in the letters of bytes",
                 (int)(e->length < 64 ? e->length : 64), e->text);
        out[(*n)++] = (char)byte;
    }
    return WEFT_OK;
}

static weft_status build_greedy(wf_loading *l, greedy *g, wf_trie_key *keys, char *pool) {
    const wf_vocab *v = &l->tok->vocab;
    for (size_t i = 0; i < v->count; i++) {
        size_t n;
        WF_TRY(bytes_of(l, &v->entries[i], pool, &n));
        keys[i] = wf_trie_key_of(pool, n, v->entries[i].id);
        pool += n;
    }
    return wf_trie_build(l->mem, l->pool, keys, v->count, &g->trie, l->err);
}

weft_status wf_load_greedy(wf_loading *l, const wf_model_source *s, void **model) {
    WF_TRY(wf_load_options(l, sizeof(greedy), model));
    const wf_vocab *v = &l->tok->vocab;
    if (!s->has_vocab)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: Greedy needs vocab");
    wf_trie_key *keys = wf_calloc(l->mem, v->count + 1, sizeof *keys);
    char *pool = wf_alloc(l->mem, wf_vocab_bytes(v) + 1); /* letters are never shorter than their bytes */
    weft_status status = keys && pool ? build_greedy(l, *model, keys, pool) : wf_fail_memory(l->err);
    wf_free(l->mem, keys);
    wf_free(l->mem, pool);
    return status;
}

void wf_release_greedy(void *model, const wf_mem *mem) { wf_trie_free(&((greedy *)model)->trie, mem); }
bool wf_greedy_takes_letters(const void *model) { return true; }

weft_status wf_encode_greedy(const void *model, wf_encoder *e, wf_piece piece) {
    const greedy *g = model;
    for (size_t at = 0, end; at < piece.length; at = end) {
        uint32_t id = 0;
        end = longest(&g->trie, piece, at, &id);
        WF_CHECK(end > at, e->err, WEFT_BAD_INPUT, "the vocabulary has no token for the byte %d", piece.bytes[at]);
        WF_TRY(wf_units_push(e, id, at, end));
        if (e->units.count > 4096)
            WF_TRY(wf_units_flush(e, piece));
    }
    return WEFT_OK;
}
