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
    *out = (wf_pieces){.count = s->n_scores, .scores = s->scores, .unknown = UINT32_MAX};
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

weft_status wf_pieces_trie(wf_loading *l, const wf_pieces *p, wf_piece_kind kind, wf_trie *out) {
    wf_trie_key *keys = wf_calloc(l->mem, p->count + 1, sizeof *keys);
    size_t n = 0;
    *out = (wf_trie){0};
    if (!keys)
        return wf_fail_memory(l->err);
    for (uint32_t id = 0; id < p->count; id++) {
        wf_bytes text = wf_pieces_text(l->tok, id);
        if (text.length && taken(p, id, kind))
            keys[n++] = wf_trie_key_of(text.data, text.length, id);
    }
    weft_status status = n ? wf_trie_build(l->mem, l->pool, keys, n, out, l->err) : WEFT_OK;
    wf_free(l->mem, keys);
    return status;
}
