/* encode.c - the pipeline: added tokens, normalizers, pre-tokenizers, model, post-processor. */
#include "text/engine.h"
#include "text/unicode.h"

#include <string.h>

/* ---- ids ---- */

wf_ids wf_ids_new(const wf_mem *mem) { return (wf_ids){.mem = mem}; }

void wf_ids_free(wf_ids *ids) {
    wf_free(ids->mem, ids->data);
    *ids = wf_ids_new(ids->mem);
}

weft_status wf_ids_push(wf_ids *ids, const uint32_t *data, size_t n, weft_error *err) {
    if (ids->count + n > ids->capacity)
        WF_TRY(wf_grow(ids->mem, (void **)&ids->data, &ids->capacity, ids->count + n, sizeof *ids->data, err));
    for (size_t i = 0; i < n; i++) /* a few: a loop beats a call */
        ids->data[ids->count + i] = data[i];
    ids->count += n;
    return WEFT_OK;
}

/* ---- the encoder ---- */

weft_status wf_encoder_create(const wf_tokenizer *tok, wf_encoder **out, weft_error *err) {
    wf_encoder *e = wf_calloc(tok->mem, 1, sizeof *e);
    if (!e)
        return wf_fail_memory(err);
    e->tok = tok;
    e->mem = tok->mem;
    e->normalized[0] = e->normalized[1] = e->letters = wf_str_new(e->mem);
    for (int i = 0; i < WF_STAGES_MAX; i++)
        e->stage_text[i] = wf_str_new(e->mem);
    weft_status status = wf_word_cache_init(&e->cache, e->mem, err);
    if (status == WEFT_OK)
        status = wf_regex_scratch_create(e->mem, &e->regex, err);
    if (status == WEFT_OK)
        *out = e;
    else
        wf_encoder_free(e);
    return status;
}

void wf_encoder_free(wf_encoder *e) {
    if (!e)
        return;
    wf_str_free(&e->normalized[0]);
    wf_str_free(&e->normalized[1]);
    wf_str_free(&e->letters);
    for (int i = 0; i < WF_STAGES_MAX; i++)
        wf_str_free(&e->stage_text[i]);
    wf_word_cache_free(&e->cache, e->mem);
    wf_regex_scratch_free(e->regex);
    wf_free(e->mem, e->bpe.symbols);
    wf_free(e->mem, e->bpe.heap);
    wf_free(e->mem, e);
}

weft_status wf_encoder_next(wf_encoder *e, int stage, wf_piece piece) {
    if (stage + 1 == e->tok->n_pretokenizers)
        return e->tok->model_row->encode(e->tok->model, e, piece);
    const wf_stage *next = &e->tok->pretokenizers[stage + 1];
    const wf_pretokenizer_row *row = next->row;
    return row->split(next->options, e, stage + 1, piece);
}

/* ---- added tokens ---- */

static bool ends_a_word(const uint8_t *text, size_t n, size_t at) {
    size_t length;
    if (at == n)
        return true;
    uint32_t c = wf_char_at(text + at, n - at, &length);
    return c == WF_NO_CHAR || !wf_char_is_word(c);
}

static bool begins_a_word(const uint8_t *text, size_t at) {
    size_t length;
    if (at == 0)
        return true;
    uint32_t c = wf_char_before(text, at, &length);
    return c == WF_NO_CHAR || !wf_char_is_word(c);
}

static bool is_space(uint32_t c) { return c != WF_NO_CHAR && wf_char_class_of(c) == WF_CHAR_SPACE; }

static size_t spaces_before(const uint8_t *text, size_t at) {
    for (size_t length; at > 0 && is_space(wf_char_before(text, at, &length));)
        at -= length;
    return at;
}

static size_t spaces_after(const uint8_t *text, size_t n, size_t at) {
    for (size_t length; at < n && is_space(wf_char_at(text + at, n - at, &length));)
        at += length;
    return at;
}

typedef weft_status (*piece_fn)(wf_encoder *e, wf_piece piece);

static weft_status part(wf_encoder *e, wf_piece whole, size_t from, size_t to, piece_fn between) {
    return from < to ? between(e, (wf_piece){whole.bytes + from, to - from, false}) : WEFT_OK;
}

/* Puts the ids of the added tokens in the piece, and hands what lies between them to `between`. */
static weft_status split_added(wf_encoder *e, const wf_matcher *matcher, wf_piece p, piece_fn between) {
    size_t done = 0;
    wf_match m;
    for (size_t from = 0; matcher && wf_matcher_find(matcher, p.bytes, p.length, from, &m);) {
        const wf_added *a = &e->tok->added[m.pattern];
        from = m.end;
        if ((a->special && (e->flags & WF_ENCODE_PLAIN)) ||
            (a->single_word && !(begins_a_word(p.bytes, m.start) && ends_a_word(p.bytes, p.length, m.end))))
            continue;
        size_t start = a->lstrip ? spaces_before(p.bytes, m.start) : m.start;
        WF_TRY(part(e, p, done, start, between));
        WF_TRY(wf_ids_push(e->ids, &a->id, 1, e->err));
        done = a->rstrip ? spaces_after(p.bytes, p.length, m.end) : m.end;
    }
    return part(e, p, done, p.length, between);
}

/* ---- a text ---- */

static weft_status pretokenize(wf_encoder *e, wf_piece piece) { return wf_encoder_next(e, -1, piece); }

static weft_status normalize(wf_encoder *e, wf_piece piece) {
    for (int i = 0, target = 0; i < e->tok->n_normalizers; i++) {
        const wf_normalizer_row *row = e->tok->normalizers[i].row;
        wf_str *out = &e->normalized[target];
        bool changed = false;
        wf_str_clear(out);
        WF_TRY(row->apply(e->tok->normalizers[i].options, piece, out, &changed, e->err));
        if (!changed)
            continue;
        piece = (wf_piece){(const uint8_t *)wf_str_text(out), out->length, false};
        target = !target;
    }
    return piece.length ? split_added(e, e->tok->match_normalized, piece, pretokenize) : WEFT_OK;
}

static weft_status encode_text(wf_encoder *e, wf_piece text) {
    const wf_tokenizer *tok = e->tok;
    bool specials = (e->flags & WF_ENCODE_SPECIALS) != 0;
    if (specials && tok->before.count)
        WF_TRY(wf_ids_push(e->ids, tok->before.data, tok->before.count, e->err));
    if (text.length)
        WF_TRY(split_added(e, tok->match_raw, text, normalize));
    return specials && tok->after.count ? wf_ids_push(e->ids, tok->after.data, tok->after.count, e->err) : WEFT_OK;
}

weft_status wf_encode(wf_encoder *e, const void *text, size_t length, unsigned flags, wf_ids *ids, weft_error *err) {
    size_t before = ids->count;
    e->flags = flags;
    e->ids = ids;
    e->err = err;
    wf_regex_allow(e->regex, length);
    weft_status status = encode_text(e, (wf_piece){text, length, false});
    if (status != WEFT_OK)
        ids->count = before;
    return status;
}

weft_status wf_tokenizer_encode(const wf_tokenizer *tok, const void *text, size_t length, unsigned flags, wf_ids *ids,
                                weft_error *err) {
    wf_encoder *e;
    WF_TRY(wf_encoder_create(tok, &e, err));
    weft_status status = wf_encode(e, text, length, flags, ids, err);
    wf_encoder_free(e);
    return status;
}
