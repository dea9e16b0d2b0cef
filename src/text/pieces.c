/* pieces.c - reading lists of pieces. */
#include "text/pieces.h"

#include <string.h>

static weft_status load_kinds(wf_loading *l, const wf_model_source *s, wf_pieces *out) {
    const wf_json *text;
    WF_TRY(wf_load_text(l, s->options, "kinds", &text));
    out->given_kinds = text != NULL;
    if (text && (text->length != out->count || strspn(text->string, "nucdxb") != out->count))
        return wf_load_fail(l, WEFT_BAD_INPUT, text, "kinds needs one of the letters nucdxb for each of %zu pieces",
                            out->count);
    char *kinds = wf_arena_alloc(l->arena, out->count + 1);
    if (!kinds)
        return wf_fail_memory(l->err);
    if (text)
        memcpy(kinds, text->string, out->count);
    else
        memset(kinds, WF_PIECE_NORMAL, out->count);
    out->kinds = kinds;
    return WEFT_OK;
}

weft_status wf_load_pieces(wf_loading *l, const wf_model_source *s, wf_pieces *out) {
    *out = (wf_pieces){.count = s->n_scores, .scores = l->tok->scores, .unknown = UINT32_MAX};
    if (!s->has_list)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: 'vocab' must be a list of pieces with scores");
    const wf_json *unknown = wf_json_get(s->options, "unk_id");
    WF_TRY(load_kinds(l, s, out));
    WF_TRY(wf_load_bool(l, s->options, "byte_fallback", false, &out->byte_fallback));
    if (!unknown || unknown->kind == WF_JSON_NULL)
        return WEFT_OK;
    WF_TRY(wf_load_id(l, unknown, &out->unknown));
    return out->unknown < out->count ? WEFT_OK : wf_load_fail(l, WEFT_BAD_INPUT, unknown, "unk_id is outside the vocabulary");
}

wf_bytes wf_pieces_text(const wf_tokenizer *tok, uint32_t id) {
    const wf_vocab_entry *e = &tok->vocab.entries[id];
    return (wf_bytes){e->text, e->length};
}

static bool taken(const wf_pieces *p, uint32_t id, wf_piece_kind kind) {
    char k = p->kinds[id];
    return k == (char)kind || (kind == WF_PIECE_NORMAL && (k == WF_PIECE_USER || k == WF_PIECE_UNUSED));
}

/* Keys by id; those of other kinds stay empty, as the trie leaves them out. */
typedef struct keying {
    const wf_loading *l;
    const wf_pieces *pieces;
    wf_piece_kind kind;
    wf_trie_key *keys;
} keying;

static void put_keys(void *arg, int thread, int n_threads) {
    const keying *k = arg;
    size_t count = k->pieces->count, share = count / (size_t)n_threads, from = share * (size_t)thread;
    for (size_t id = from; id < (thread + 1 == n_threads ? count : from + share); id++) {
        wf_bytes text = wf_pieces_text(k->l->tok, (uint32_t)id);
        if (taken(k->pieces, (uint32_t)id, k->kind))
            k->keys[id] = wf_trie_key_of(text.data, text.length, (uint32_t)id);
    }
}

static bool has_kind(const wf_pieces *p, wf_piece_kind kind) {
    uint32_t id = 0;
    while (id < p->count && !taken(p, id, kind))
        id++;
    return id < p->count;
}

weft_status wf_pieces_trie(wf_loading *l, const wf_pieces *p, wf_piece_kind kind, wf_trie *out) {
    *out = (wf_trie){0};
    if (!has_kind(p, kind))
        return WEFT_OK;
    keying k = {l, p, kind, wf_alloc_big(l->mem, p->count * sizeof *k.keys)};
    if (!k.keys)
        return wf_fail_memory(l->err);
    wf_load_region(l, put_keys, &k);
    weft_status status = wf_trie_build(l->mem, l->pool, k.keys, p->count, out, l->err);
    wf_free_big(l->mem, k.keys);
    return status;
}
