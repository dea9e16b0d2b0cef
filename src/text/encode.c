/* encode.c - the pipeline: added tokens, normalizers, pre-tokenizers, model. What comes after is in encode_full.c. */
#include "text/bytelevel.h"
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

weft_status wf_units_grow(wf_encoder *e, size_t n) {
    return wf_grow(e->mem, (void **)&e->units.data, &e->units.capacity, e->units.count + n, sizeof *e->units.data, e->err);
}

/* ---- the encoder ---- */

weft_status wf_encoder_create(const wf_tokenizer *tok, wf_encoder **out, weft_error *err) {
    wf_encoder *e = wf_calloc(tok->mem, 1, sizeof *e);
    if (!e)
        return wf_fail_memory(err);
    e->tok = tok;
    e->mem = tok->mem;
    e->letters = e->bpe.text = wf_str_new(e->mem);
    e->normalized[0] = wf_change_new(e->mem);
    e->normalized[1] = wf_change_new(e->mem);
    e->truncation = tok->truncation;
    e->padding = tok->padding;
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
    wf_change_free(&e->normalized[0]);
    wf_change_free(&e->normalized[1]);
    wf_str_free(&e->letters);
    wf_str_free(&e->bpe.text);
    wf_bpe_queue_free(&e->bpe.queue, e->mem);
    for (int i = 0; i < 2 * WF_STAGES_MAX; i++)
        if (e->stage_text[i]) {
            wf_change_free(e->stage_text[i]);
            wf_free(e->mem, e->stage_text[i]);
        }
    wf_word_cache_free(&e->cache, e->mem);
    wf_regex_scratch_free(e->regex);
    void *blocks[] = {e->bpe.symbols, e->bpe.links, e->units.data, e->paths, e->letter_align, e->char_at};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        wf_free(e->mem, blocks[i]);
    wf_free(e->mem, e);
}

static bool aligned(const wf_encoder *e) { return e->full != NULL || e->tok->keeps_origin; }

weft_status wf_encoder_stage_text(wf_encoder *e, int stage, wf_piece in, wf_change **out) {
    if (!e->stage_text[stage]) {
        e->stage_text[stage] = wf_calloc(e->mem, 1, sizeof **e->stage_text);
        if (!e->stage_text[stage])
            return wf_fail_memory(e->err);
        *e->stage_text[stage] = wf_change_new(e->mem);
    }
    *out = e->stage_text[stage];
    wf_change_start(*out, in, e->original, aligned(e));
    return WEFT_OK;
}

weft_status wf_encoder_spelled(wf_encoder *e, wf_piece in, wf_piece *out) {
    *out = in;
    if (!in.letters)
        return WEFT_OK;
    wf_str_clear(&e->letters);
    size_t n = 0;
    for (size_t i = 0; i < in.length; i++) {
        char letter[WF_LETTER_BYTES];
        size_t length = wf_put_letter(in.bytes[i], letter);
        wf_str_put(&e->letters, letter, length);
        if (!e->full)
            continue;
        WF_TRY(
            wf_grow(e->mem, (void **)&e->letter_align, &e->letter_align_capacity, n + length, sizeof *e->letter_align, e->err));
        for (size_t k = 0; k < length; k++)
            e->letter_align[n++] = wf_piece_span(in, e->original, i, i + 1);
    }
    *out = (wf_piece){(const uint8_t *)wf_str_text(&e->letters), e->letters.length, e->full ? e->letter_align : NULL, in.origin,
                      false};
    return e->letters.failed ? wf_fail_memory(e->err) : WEFT_OK;
}

/* ---- tokens ---- */

/* A position of the original in characters, by the reference's rule: what lies outside stays as it is. */
static wf_span in_characters(const wf_encoder *e, wf_span s) {
    if (e->ascii || (e->flags & WF_ENCODE_BYTE_OFFSETS) || s.start >= e->original.length)
        return s;
    uint32_t start = e->char_at[s.start];
    if (s.end < e->original.length)
        return (wf_span){start, e->char_at[s.end]};
    return (wf_span){start, s.end - 1 < e->original.length && s.end > 0 ? e->char_at[s.end - 1] + 1 : start + 2};
}

static weft_status put_entry(wf_encoder *e, wf_piece piece, wf_unit u, wf_bytes text) {
    wf_entry x = {.id = u.id, .attention = 1, .word = e->word >= 0 ? e->word : e->piece_number, .piece = text};
    x.span = in_characters(e, wf_piece_span(piece, e->original, u.start, u.end));
    return wf_encoding_push(e->full, &x, e->err);
}

/* The text of a token that has none of its own. */
static weft_status keep_text(wf_encoder *e, wf_bytes text, wf_bytes *out) {
    *out = (wf_bytes){wf_arena_strndup(&e->full->arena, text.data, text.length), text.length};
    return out->data ? WEFT_OK : wf_fail_memory(e->err);
}

/* As the model spells the token, whatever an added one of the same id is. */
static wf_bytes model_piece(const wf_tokenizer *tok, uint32_t id) {
    for (size_t i = 0; i < tok->n_shadowed; i++)
        if (tok->shadowed[i]->id == id)
            return (wf_bytes){tok->shadowed[i]->text, tok->shadowed[i]->length};
    return wf_tokenizer_piece(tok, id);
}

static weft_status emit_full(wf_encoder *e, wf_piece piece) {
    const wf_tokenizer *tok = e->tok;
    for (size_t i = 0; i < e->units.count; i++) {
        wf_unit u = e->units.data[i];
        wf_bytes text = model_piece(tok, u.id);
        if (tok->names_unknown && u.id == tok->unknown)
            WF_TRY(keep_text(e, (wf_bytes){(const char *)piece.bytes + u.start, u.end - u.start}, &text));
        WF_TRY(put_entry(e, piece, u, text));
    }
    return WEFT_OK;
}

static weft_status emit(wf_encoder *e, wf_piece piece) {
    if (e->full)
        return emit_full(e, piece);
    wf_ids *ids = e->ids;
    size_t n = e->units.count;
    if (ids->count + n > ids->capacity)
        WF_TRY(wf_grow(ids->mem, (void **)&ids->data, &ids->capacity, ids->count + n, sizeof *ids->data, e->err));
    for (size_t i = 0; i < n; i++)
        ids->data[ids->count + i] = e->units.data[i].id;
    ids->count += n;
    return WEFT_OK;
}

/* Places in a list of pieces become ids. */
static void place_units(wf_encoder *e) {
    const uint32_t *map = e->tok->id_of_piece;
    for (size_t i = 0; map && i < e->units.count; i++)
        e->units.data[i].id = map[e->units.data[i].id];
}

weft_status wf_units_flush(wf_encoder *e, wf_piece piece) {
    place_units(e);
    WF_TRY(emit(e, piece));
    e->units.count = 0;
    return WEFT_OK;
}

static weft_status emit_known(wf_encoder *e, wf_piece piece, const wf_word_slot *known) {
    if (!e->full)
        return wf_ids_push(e->ids, e->cache.ids + known->ids, known->n_ids, e->err);
    e->units.count = 0;
    for (size_t i = 0; i < known->n_ids; i++)
        WF_TRY(wf_units_push(e, e->cache.ids[known->ids + i], e->cache.spans[known->ids + i][0],
                             e->cache.spans[known->ids + i][1]));
    WF_TRY(emit_full(e, piece));
    e->piece_number++;
    return WEFT_OK;
}

static weft_status encode_piece(wf_encoder *e, wf_piece piece) {
    const wf_model_row *row = e->tok->model_row;
    if (piece.letters && !(row->takes_letters && row->takes_letters(e->tok->model)))
        WF_TRY(wf_encoder_spelled(e, piece, &piece));
    bool cached = row->cached && piece.length <= WF_WORD_MAX;
    uint64_t hash = 0;
    if (cached) {
        hash = wf_word_hash(piece.bytes, piece.length);
        const wf_word_slot *known = wf_word_cache_find(&e->cache, hash, piece.bytes, piece.length);
        if (known)
            return emit_known(e, piece, known);
    }
    WF_CHECK(piece.length <= WF_PIECE_MAX, e->err, WEFT_BAD_INPUT, "a word of %zu bytes; the limit is %d", piece.length,
             WF_PIECE_MAX);
    e->units.count = 0;
    WF_TRY(row->encode(e->tok->model, e, piece));
    place_units(e);
    if (cached)
        wf_word_cache_put(&e->cache, hash, piece, e->units.data, e->units.count);
    WF_TRY(emit(e, piece));
    e->piece_number++;
    return WEFT_OK;
}

static weft_status capture_piece(wf_encoder *e, wf_piece piece) {
    wf_piece plain;
    wf_bytes text;
    WF_TRY(wf_encoder_spelled(e, piece, &plain));
    if (e->on_word)
        return e->on_word(e->on_word_user, (wf_bytes){(const char *)plain.bytes, plain.length});
    WF_TRY(keep_text(e, (wf_bytes){(const char *)plain.bytes, plain.length}, &text));
    WF_TRY(put_entry(e, piece, (wf_unit){0, 0, (uint32_t)piece.length}, text));
    e->piece_number++;
    return WEFT_OK;
}

weft_status wf_encoder_next(wf_encoder *e, int stage, wf_piece piece) {
    if (piece.length == 0)
        return WEFT_OK;
    if (stage + 1 == e->tok->pretokenizers.count)
        return e->capture ? capture_piece(e, piece) : encode_piece(e, piece);
    const wf_stage *next = &e->tok->pretokenizers.list[stage + 1];
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

static size_t spaces_before(const uint8_t *text, size_t at, size_t least) {
    for (size_t length; at > least && is_space(wf_char_before(text, at, &length));)
        at -= length;
    return at;
}

static size_t spaces_after(const uint8_t *text, size_t n, size_t at) {
    for (size_t length; at < n && is_space(wf_char_at(text + at, n - at, &length));)
        at += length;
    return at;
}

typedef weft_status (*piece_fn)(wf_encoder *e, wf_piece piece);

static weft_status put_added(wf_encoder *e, const wf_added *a, wf_piece piece) {
    wf_bytes text = {(const char *)piece.bytes, piece.length};
    if (!e->full)
        return wf_ids_push(e->ids, &a->id, 1, e->err);
    if (piece.length == a->length && memcmp(piece.bytes, a->content, a->length) == 0)
        text.data = a->content;
    else
        WF_TRY(keep_text(e, text, &text));
    WF_TRY(put_entry(e, piece, (wf_unit){a->id, 0, (uint32_t)piece.length}, text));
    e->piece_number++;
    return WEFT_OK;
}

static weft_status part(wf_encoder *e, wf_piece whole, size_t from, size_t to, piece_fn between) {
    return from < to ? between(e, wf_piece_part(whole, from, to)) : WEFT_OK;
}

typedef struct added_search {
    const wf_matcher *matcher; /* NULL: none */
    size_t everywhere;         /* the token that nothing is found for, + 1; 0: none */
    size_t from, last;         /* the search goes on there; the end of the match before */
} added_search;

static bool find_from(const added_search *s, wf_piece p, wf_match *m) {
    bool found = s->matcher && wf_matcher_find(s->matcher, p.bytes, p.length, s->from, m);
    if (!s->everywhere || (found && m->start == s->from))
        return found;
    *m = (wf_match){s->from, s->from, s->everywhere - 1};
    return s->from <= p.length;
}

/* Nothing is not found right behind another match. */
static bool find_added(added_search *s, wf_piece p, wf_match *m) {
    bool found = find_from(s, p, m);
    if (found && m->start == m->end && m->end == s->last) {
        size_t length = 1;
        if (s->from < p.length)
            wf_char_at(p.bytes + s->from, p.length - s->from, &length);
        s->from += length;
        found = find_from(s, p, m);
    }
    s->from = s->last = m->end;
    return found;
}

/* Puts the ids of the added tokens in the piece, and hands what lies between them to `between`. */
static weft_status split_added(wf_encoder *e, added_search search, wf_piece p, piece_fn between) {
    size_t done = 0;
    wf_match m = {0};
    search.last = SIZE_MAX;
    while (find_added(&search, p, &m)) {
        const wf_added *a = &e->tok->added[m.pattern];
        if ((a->special && (e->flags & WF_ENCODE_PLAIN)) ||
            (a->single_word && !(begins_a_word(p.bytes, m.start) && ends_a_word(p.bytes, p.length, m.end))))
            continue;
        size_t start = a->lstrip ? spaces_before(p.bytes, m.start > done ? m.start : done, done) : m.start;
        WF_TRY(part(e, p, done, start, between));
        done = a->rstrip ? spaces_after(p.bytes, p.length, m.end) : m.end;
        if (start < done) /* else the token before it has taken its blanks */
            WF_TRY(put_added(e, a, wf_piece_part(p, start, done)));
    }
    return part(e, p, done, p.length, between);
}

/* ---- a text ---- */

static weft_status pretokenize(wf_encoder *e, wf_piece piece) { return wf_encoder_next(e, -1, piece); }

static weft_status run_normalizers(wf_encoder *e, wf_piece *piece) {
    for (int i = 0, target = 0; i < e->tok->normalizers.count; i++) {
        const wf_normalizer_row *row = e->tok->normalizers.list[i].row;
        wf_change *out = &e->normalized[target];
        bool changed = false;
        wf_change_start(out, *piece, e->original, aligned(e));
        WF_TRY(row->apply(e->tok->normalizers.list[i].options, *piece, out, &changed, e->err));
        if (!changed)
            continue;
        WF_TRY(wf_change_status(out, e->err));
        *piece = wf_change_piece(out);
        target = !target;
    }
    return WEFT_OK;
}

/* A code that begins the text, as >>fra<<, is a token, known or not. */
static weft_status take_code(wf_encoder *e, wf_piece *piece) {
    const wf_tokenizer *tok = e->tok;
    wf_bytes opens = tok->code_opens, closes = tok->code_closes;
    size_t end = 0;
    if (piece->length < opens.length || memcmp(piece->bytes, opens.data, opens.length) != 0)
        return WEFT_OK;
    while (end + closes.length <= piece->length && memcmp(piece->bytes + end, closes.data, closes.length) != 0)
        end++;
    if (end + closes.length > piece->length)
        return WEFT_OK;
    wf_piece code = wf_piece_part(*piece, 0, end + closes.length);
    const wf_vocab_entry *known = wf_vocab_find(wf_outer_vocab(tok), (const char *)code.bytes, code.length);
    uint32_t id = known ? known->id : tok->unknown;
    *piece = wf_piece_part(*piece, code.length, piece->length);
    if (!e->full)
        return wf_ids_push(e->ids, &id, 1, e->err);
    WF_TRY(put_entry(e, code, (wf_unit){id, 0, (uint32_t)code.length}, wf_tokenizer_piece(tok, id)));
    e->piece_number++;
    return WEFT_OK;
}

static weft_status normalize(wf_encoder *e, wf_piece piece) {
    if (e->tok->code_opens.length)
        WF_TRY(take_code(e, &piece));
    if (piece.length == 0)
        return WEFT_OK;
    WF_TRY(run_normalizers(e, &piece));
    return piece.length ? split_added(e, (added_search){e->tok->match_normalized, e->tok->everywhere, 0, 0}, piece, pretokenize)
                        : WEFT_OK;
}

static weft_status encode_bare(wf_encoder *e) {
    wf_piece text = {.bytes = (const uint8_t *)e->original.data, .length = e->original.length};
    return text.length ? split_added(e, (added_search){e->tok->match_raw, 0, 0, 0}, text, normalize) : WEFT_OK;
}

/* ---- ids of a text ---- */

static weft_status ids_of_full(wf_encoder *e, wf_bytes text, unsigned flags, wf_ids *ids, weft_error *err) {
    wf_encoding g = wf_encoding_new(e->mem);
    weft_status status = wf_encode_text(e, &(wf_text_input){.text = text}, NULL, flags | WF_ENCODE_UNLIMITED, &g, err);
    if (status == WEFT_OK && g.count)
        status = wf_ids_push(ids, g.ids, g.count, err);
    wf_encoding_free(&g);
    return status;
}

static weft_status encode_ids(wf_encoder *e) {
    const wf_tokenizer *tok = e->tok;
    bool specials = (e->flags & WF_ENCODE_SPECIALS) != 0;
    if (specials && tok->before.count)
        WF_TRY(wf_ids_push(e->ids, tok->before.data, tok->before.count, e->err));
    WF_TRY(encode_bare(e));
    return specials && tok->after.count ? wf_ids_push(e->ids, tok->after.data, tok->after.count, e->err) : WEFT_OK;
}

static unsigned flags_of(const wf_tokenizer *tok, unsigned flags) {
    return tok->splits_specials ? flags | WF_ENCODE_PLAIN : flags;
}

weft_status wf_encode(wf_encoder *e, const void *text, size_t length, unsigned flags, wf_ids *ids, weft_error *err) {
    if (!e->tok->simple && (flags & WF_ENCODE_SPECIALS))
        return ids_of_full(e, (wf_bytes){text, length}, flags, ids, err);
    size_t before = ids->count;
    e->flags = flags_of(e->tok, flags);
    e->ids = ids;
    e->full = NULL;
    e->capture = false;
    e->err = err;
    e->original = (wf_bytes){text, length};
    wf_regex_allow(e->regex, length);
    weft_status status = encode_ids(e);
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

/* ---- everything of a text ---- */

static weft_status number_characters(wf_encoder *e) {
    const uint8_t *p = (const uint8_t *)e->original.data;
    size_t n = e->original.length, plain = 0;
    WF_CHECK(n < UINT32_MAX, e->err, WEFT_BAD_INPUT, "a text of %zu bytes; offsets need less than 4 GiB", n);
    while (plain < n && p[plain] < 0x80)
        plain++;
    e->ascii = plain == n;
    if (e->ascii || (e->flags & WF_ENCODE_BYTE_OFFSETS))
        return WEFT_OK;
    WF_TRY(wf_grow(e->mem, (void **)&e->char_at, &e->char_at_capacity, n, sizeof *e->char_at, e->err));
    for (size_t i = 0, length, number = 0; i < n; i += length, number++) {
        wf_char_at(p + i, n - i, &length);
        for (size_t k = 0; k < length; k++)
            e->char_at[i + k] = (uint32_t)number;
    }
    return WEFT_OK;
}

static weft_status begin_full(wf_encoder *e, wf_bytes text, unsigned flags, wf_encoding *out, weft_error *err) {
    e->flags = flags_of(e->tok, flags);
    e->full = out;
    e->capture = false;
    e->err = err;
    e->original = text;
    e->word = -1;
    e->piece_number = 0;
    wf_regex_allow(e->regex, text.length);
    return number_characters(e);
}

static weft_status encode_input(wf_encoder *e, const wf_text_input *in, unsigned flags, wf_encoding *out, weft_error *err) {
    if (!in->words) {
        WF_TRY(begin_full(e, in->text, flags, out, err));
        return encode_bare(e);
    }
    for (size_t i = 0; i < in->n_words; i++) {
        WF_TRY(begin_full(e, in->words[i], flags, out, err));
        e->word = (int32_t)i;
        WF_TRY(encode_bare(e));
    }
    return WEFT_OK;
}

static weft_status add_input(wf_encoder *e, const wf_text_input *in, unsigned flags, wf_parts *parts, weft_error *err) {
    wf_encoding *g;
    uint32_t number = (uint32_t)parts->count;
    WF_TRY(wf_parts_push(parts, &g, err));
    WF_TRY(encode_input(e, in, flags, g, err));
    for (size_t i = 0; i < g->count; i++) {
        g->types[i] = number;
        g->sequences[i] = (int32_t)number;
    }
    return WEFT_OK;
}

static size_t added_tokens(const wf_tokenizer *tok, bool pair) {
    size_t n = 0;
    for (int i = 0; i < tok->postprocessors.count; i++) {
        const wf_postprocessor_row *row = tok->postprocessors.list[i].row;
        n += row->added(tok->postprocessors.list[i].options, pair);
    }
    return n;
}

static weft_status post_process(wf_encoder *e, unsigned flags, wf_parts *parts, weft_error *err) {
    const wf_tokenizer *tok = e->tok;
    bool specials = (flags & WF_ENCODE_SPECIALS) != 0, pair = parts->count == 2;
    if (e->truncation.on && !(flags & WF_ENCODE_UNLIMITED))
        WF_TRY(wf_truncate(&e->truncation, specials ? added_tokens(tok, pair) : 0, &parts->list[0],
                           pair ? &parts->list[1] : NULL, err));
    for (int i = 0; i < tok->postprocessors.count; i++) {
        const wf_postprocessor_row *row = tok->postprocessors.list[i].row;
        WF_TRY(row->process(tok->postprocessors.list[i].options, parts, specials, err));
    }
    return WEFT_OK;
}

static weft_status encode_parts(wf_encoder *e, const wf_text_input *text, const wf_text_input *pair, unsigned flags,
                                wf_parts *parts, weft_error *err) {
    WF_TRY(add_input(e, text, flags, parts, err));
    if (pair)
        WF_TRY(add_input(e, pair, flags, parts, err));
    WF_TRY(post_process(e, flags, parts, err));
    for (size_t i = 1; i < parts->count; i++)
        WF_TRY(wf_encoding_join(&parts->list[0], &parts->list[i], err));
    return WEFT_OK;
}

static weft_status encode_unpadded(wf_encoder *e, const wf_text_input *text, const wf_text_input *pair, unsigned flags,
                                   wf_encoding *out, weft_error *err) {
    wf_parts parts = {.mem = e->mem};
    weft_status status = encode_parts(e, text, pair, flags, &parts, err);
    wf_encoding_free(out);
    if (status == WEFT_OK && parts.count) {
        *out = parts.list[0];
        parts.list[0] = wf_encoding_new(e->mem);
    }
    wf_parts_free(&parts);
    return status;
}

weft_status wf_encode_text(wf_encoder *e, const wf_text_input *text, const wf_text_input *pair, unsigned flags,
                           wf_encoding *out, weft_error *err) {
    WF_TRY(encode_unpadded(e, text, pair, flags, out, err));
    return e->padding.on && !(flags & WF_ENCODE_UNLIMITED) ? wf_pad(&e->padding, out, 1, err) : WEFT_OK;
}

weft_status wf_encode_batch(wf_encoder *e, const wf_text_input *texts, const wf_text_input *pairs, size_t n, unsigned flags,
                            wf_encoding *out, weft_error *err) {
    for (size_t i = 0; i < n; i++)
        WF_TRY(encode_unpadded(e, &texts[i], pairs ? &pairs[i] : NULL, flags, &out[i], err));
    return e->padding.on && !(flags & WF_ENCODE_UNLIMITED) ? wf_pad(&e->padding, out, n, err) : WEFT_OK;
}

void wf_encoder_limits(wf_encoder *e, const wf_truncation *truncation, const wf_padding *padding) {
    if (truncation)
        e->truncation = *truncation;
    if (padding)
        e->padding = *padding;
}

/* ---- single stages ---- */

weft_status wf_encode_normalized(wf_encoder *e, wf_bytes text, wf_str *out, weft_error *err) {
    wf_piece piece = {.bytes = (const uint8_t *)text.data, .length = text.length};
    e->full = NULL;
    e->err = err;
    e->original = text;
    wf_regex_allow(e->regex, text.length);
    WF_TRY(run_normalizers(e, &piece));
    wf_str_put(out, (const char *)piece.bytes, piece.length);
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

weft_status wf_encode_pretokens(wf_encoder *e, wf_bytes text, unsigned flags, wf_encoding *out, weft_error *err) {
    wf_encoding_clear(out);
    WF_TRY(begin_full(e, text, flags, out, err));
    e->capture = true;
    wf_piece piece = {.bytes = (const uint8_t *)text.data, .length = text.length};
    /* Each pre-tokenizer leaves empty pieces out, and none does none. */
    return e->tok->pretokenizers.count ? wf_encoder_next(e, -1, piece) : capture_piece(e, piece);
}

weft_status wf_encoder_words(wf_encoder *e, wf_bytes text, weft_status (*fn)(void *user, wf_bytes word), void *user,
                             weft_error *err) {
    wf_piece piece = {.bytes = (const uint8_t *)text.data, .length = text.length};
    e->flags = 0;
    e->full = NULL;
    e->err = err;
    e->original = text;
    wf_regex_allow(e->regex, text.length);
    WF_TRY(run_normalizers(e, &piece));
    e->capture = true;
    e->on_word = fn;
    e->on_word_user = user;
    weft_status status = wf_encoder_next(e, -1, piece);
    e->on_word = NULL;
    e->capture = false;
    return status;
}
