/* tokenizer.c - life, accessors and decoding of a tokenizer. */
#include "text/tokenizer.h"

#include <string.h>
#include <xxhash.h>

#include "base/reader.h"
#include "text/engine.h"
#include "text/unicode.h"

weft_status wf_tokenizer_save(const wf_tokenizer *tok, const char *path, weft_error *err) {
    return wf_write_file(tok->mem, path, tok->json, tok->json_length, err);
}

void wf_tokenizer_json(const wf_tokenizer *tok, const char **text, size_t *length) {
    *text = tok->json;
    *length = tok->json_length;
}

static void release_stages(wf_stages *stages, void (*release)(const void *row, void *options)) {
    for (int i = 0; i < stages->count; i++)
        if (stages->list[i].options)
            release(stages->list[i].row, stages->list[i].options);
}

static void release_normalizer(const void *row, void *options) {
    if (((const wf_normalizer_row *)row)->release)
        ((const wf_normalizer_row *)row)->release(options);
}

static void release_pretokenizer(const void *row, void *options) {
    if (((const wf_pretokenizer_row *)row)->release)
        ((const wf_pretokenizer_row *)row)->release(options);
}

static void release_decoder(const void *row, void *options) {
    if (((const wf_decoder_row *)row)->release)
        ((const wf_decoder_row *)row)->release(options);
}

void wf_tokenizer_free(wf_tokenizer *tok) {
    if (!tok)
        return;
    release_stages(&tok->normalizers, release_normalizer);
    release_stages(&tok->pretokenizers, release_pretokenizer);
    release_stages(&tok->decoders, release_decoder);
    if (tok->model && tok->model_row->release)
        tok->model_row->release(tok->model, tok->mem);
    wf_vocab_free(&tok->vocab);
    wf_vocab_free(&tok->ids);
    wf_vocab_free(&tok->added_vocab);
    wf_str_free(&tok->decoded);
    wf_free_big(tok->mem, tok->tokens);
    wf_free(tok->mem, tok->json);
    wf_arena_free(&tok->arena);
    wf_free(tok->mem, tok);
}

/* ---- what it is ---- */

size_t wf_tokenizer_vocab(const wf_tokenizer *tok) { return tok->n_tokens; }
uint64_t wf_tokenizer_digest(const wf_tokenizer *tok) { return XXH3_64bits(tok->json, tok->json_length); }

int64_t wf_tokenizer_id(const wf_tokenizer *tok, const char *text, size_t length) {
    const wf_vocab_entry *e = wf_vocab_find(&tok->added_vocab, text, length);
    if (!e)
        e = wf_vocab_find(wf_outer_vocab(tok), text, length);
    return e ? (int64_t)e->id : -1;
}

static const wf_token *token(const wf_tokenizer *tok, uint32_t id) {
    return id < tok->n_tokens && tok->tokens[id].piece ? &tok->tokens[id] : NULL;
}

wf_bytes wf_tokenizer_token(const wf_tokenizer *tok, uint32_t id) {
    const wf_token *t = token(tok, id);
    return t ? (wf_bytes){wf_str_text(&tok->decoded) + t->bytes, t->bytes_length} : (wf_bytes){"", 0};
}

wf_bytes wf_tokenizer_piece(const wf_tokenizer *tok, uint32_t id) {
    const wf_token *t = token(tok, id);
    return t ? (wf_bytes){t->piece, t->piece_length} : (wf_bytes){"", 0};
}

bool wf_tokenizer_marks_words(const wf_tokenizer *tok) { return tok->model_row->needs == WF_NEEDS_PREFIX; }

bool wf_tokenizer_is_special(const wf_tokenizer *tok, uint32_t id) {
    const wf_token *t = token(tok, id);
    return t && t->special;
}
