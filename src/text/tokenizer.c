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
    wf_free_big(tok->mem, tok->places);
    wf_free_big(tok->mem, tok->scores);
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

wf_token wf_token_of(const wf_tokenizer *tok, uint32_t id) {
    uint32_t place = id < tok->n_tokens ? tok->places[id] : 0;
    if (place == 0)
        return (wf_token){.piece = {NULL, 0}};
    if (place >= WF_ADDED_PLACE) {
        const wf_added *a = &tok->added[place - WF_ADDED_PLACE];
        return (wf_token){{a->content, a->length}, a->shown, a->reads_special};
    }
    const wf_vocab_entry *e = &wf_outer_vocab(tok)->entries[place - 1];
    wf_bytes text = {e->text, e->length};
    return (wf_token){text, text, false};
}

wf_bytes wf_tokenizer_piece(const wf_tokenizer *tok, uint32_t id) {
    wf_token t = wf_token_of(tok, id);
    return t.piece.data ? t.piece : (wf_bytes){"", 0};
}

bool wf_tokenizer_blanks(const wf_tokenizer *tok) { return !tok->decoders.given; }

/* The decoders, one after another, as far as they look at single tokens. */
void wf_tokenizer_put_token(const wf_tokenizer *tok, uint32_t id, wf_str *out) {
    wf_bytes text = wf_token_of(tok, id).shown;
    wf_str between[2] = {wf_str_new(tok->mem), wf_str_new(tok->mem)};
    int n = text.data ? tok->decoders.count : 0;
    for (int i = 0; i < n; i++) {
        const wf_decoder_row *row = tok->decoders.list[i].row;
        wf_str *to = i + 1 == n ? out : &between[i & 1];
        if (i + 1 < n)
            wf_str_clear(to);
        row->token(tok->decoders.list[i].options, text, to);
        text = (wf_bytes){wf_str_text(to), to->length};
        out->failed = out->failed || to->failed;
    }
    if (n == 0)
        wf_str_put(out, text.data, text.length);
    wf_str_free(&between[0]);
    wf_str_free(&between[1]);
}

bool wf_tokenizer_marks_words(const wf_tokenizer *tok) { return tok->model_row->needs == WF_NEEDS_PREFIX; }

bool wf_tokenizer_is_special(const wf_tokenizer *tok, uint32_t id) { return wf_token_of(tok, id).special; }
