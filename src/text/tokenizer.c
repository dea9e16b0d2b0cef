/* tokenizer.c - life, accessors and decoding of a tokenizer. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/reader.h"
#include "text/engine.h"
#include "text/unicode.h"

enum { FILE_LIMIT = 1 << 30 };

static weft_status open_file(const wf_mem *mem, const char *path, wf_tokenizer **out, weft_error *err) {
    wf_file file;
    WF_TRY(wf_file_open(mem, path, true, FILE_LIMIT, &file, err));
    weft_status status = wf_tokenizer_parse(mem, (const char *)file.data, file.size, out, err);
    wf_file_close(&file);
    if (status != WEFT_OK)
        wf_fail_in(err, "%s", path);
    return status;
}

weft_status wf_tokenizer_open(const wf_mem *mem, const char *path, wf_tokenizer **out, weft_error *err) {
    if (!wf_is_dir(path))
        return open_file(mem, path, out, err);
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    char *inside = wf_path_join(&arena, path, "tokenizer.json");
    weft_status status = inside ? open_file(mem, inside, out, err) : wf_fail_memory(err);
    wf_arena_free(&arena);
    return status;
}

weft_status wf_tokenizer_save(const wf_tokenizer *tok, const char *path, weft_error *err) {
    return wf_write_file(tok->mem, path, tok->json, tok->json_length, err);
}

void wf_tokenizer_free(wf_tokenizer *tok) {
    if (!tok)
        return;
    for (int i = 0; i < tok->n_pretokenizers; i++) {
        const wf_pretokenizer_row *row = tok->pretokenizers[i].row;
        if (row->release)
            row->release(tok->mem, tok->pretokenizers[i].options);
    }
    wf_vocab_free(&tok->vocab);
    wf_vocab_free(&tok->added_vocab);
    wf_str_free(&tok->decoded);
    wf_free(tok->mem, tok->tokens);
    wf_free(tok->mem, tok->json);
    wf_arena_free(&tok->arena);
    wf_free(tok->mem, tok);
}

/* ---- what it is ---- */

size_t wf_tokenizer_vocab(const wf_tokenizer *tok) { return tok->n_tokens; }
uint64_t wf_tokenizer_digest(const wf_tokenizer *tok) { return tok->digest; }

int64_t wf_tokenizer_id(const wf_tokenizer *tok, const char *text, size_t length) {
    const wf_vocab_entry *e = wf_vocab_find(&tok->added_vocab, text, length);
    if (!e)
        e = wf_vocab_find(&tok->vocab, text, length);
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

bool wf_tokenizer_is_special(const wf_tokenizer *tok, uint32_t id) {
    const wf_token *t = token(tok, id);
    return t && t->special;
}

/* ---- decoding ---- */

static wf_bytes visible_bytes(const wf_tokenizer *tok, uint32_t id, unsigned flags) {
    if ((flags & WF_DECODE_SKIP_SPECIALS) && wf_tokenizer_is_special(tok, id))
        return (wf_bytes){"", 0};
    return wf_tokenizer_token(tok, id);
}

weft_status wf_tokenizer_decode(const wf_tokenizer *tok, const uint32_t *ids, size_t count, unsigned flags, wf_str *out,
                                weft_error *err) {
    for (size_t i = 0; i < count; i++) {
        wf_bytes b = visible_bytes(tok, ids[i], flags);
        wf_str_put(out, b.data, b.length);
    }
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

wf_text_stream wf_text_stream_new(const wf_tokenizer *tok, unsigned flags) {
    return (wf_text_stream){.tok = tok, .flags = flags, .window = wf_ids_new(tok->mem), .prefix = wf_str_new(tok->mem)};
}

/* What is held and the new bytes go out together, except for a beginning of a character at their end. The held bytes alone are
 * such a beginning, so only the first bytes that are new can complete or break it. */
weft_status wf_text_stream_put(wf_text_stream *s, uint32_t id, wf_str *out, weft_error *err) {
    wf_bytes b = visible_bytes(s->tok, id, s->flags);
    while (b.length > 0 && s->n_held > 0) {
        s->held[s->n_held++] = (uint8_t)*b.data++;
        b.length--;
        size_t keep = wf_utf8_incomplete(s->held, s->n_held);
        wf_str_put(out, (const char *)s->held, s->n_held - keep);
        memmove(s->held, s->held + s->n_held - keep, keep);
        s->n_held = keep;
    }
    size_t keep = wf_utf8_incomplete((const uint8_t *)b.data, b.length);
    wf_str_put(out, b.data, b.length - keep);
    if (keep) {
        memcpy(s->held, b.data + b.length - keep, keep);
        s->n_held = keep;
    }
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

weft_status wf_text_stream_end(wf_text_stream *s, wf_str *out, weft_error *err) {
    wf_str_put(out, (const char *)s->held, s->n_held);
    s->n_held = 0;
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

void wf_text_stream_free(wf_text_stream *s) {
    wf_ids_free(&s->window);
    wf_str_free(&s->prefix);
}
