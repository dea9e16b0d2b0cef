/* load_parts.c - the components around the model: stages, added tokens, and the table of tokens by id. */
#include "text/engine.h"

#include <string.h>

/* ---- stages, one or a Sequence of them ---- */

typedef struct kind_of_stage {
    const char *members; /* the list inside a Sequence */
    weft_status (*add)(wf_loading *l, const wf_json *j, const char *type);
} kind_of_stage;

/* Depth is bounded by WF_SEQUENCE_DEPTH. */
static weft_status add_stages(wf_loading *l, const wf_json *j, const kind_of_stage *kind, int depth) {
    const wf_json *type = wf_json_get(j, "type");
    if (j->kind != WF_JSON_OBJECT || !type || type->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "a component must be an object with a type");
    if (!wf_json_is_string(type, "Sequence"))
        return kind->add(l, j, type->string);
    const wf_json *list = wf_json_get(j, kind->members);
    if (!list || list->kind != WF_JSON_ARRAY)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "Sequence needs a list \"%s\"", kind->members);
    if (depth == WF_SEQUENCE_DEPTH)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "Sequence more than %d deep", WF_SEQUENCE_DEPTH);
    for (const wf_json *item = list->child; item; item = item->next)
        WF_TRY(add_stages(l, item, kind, depth + 1));
    return WEFT_OK;
}

static weft_status check_room(wf_loading *l, const wf_json *j, int n) {
    return n < WF_STAGES_MAX ? WEFT_OK : wf_load_fail(l, WEFT_UNSUPPORTED, j, "more than %d components", WF_STAGES_MAX);
}

static weft_status add_normalizer(wf_loading *l, const wf_json *j, const char *type) {
    const wf_normalizer_row *row = wf_normalizer_find(type);
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the normalizer \"%s\"", type);
    WF_TRY(check_room(l, j, l->tok->n_normalizers));
    wf_stage *stage = &l->tok->normalizers[l->tok->n_normalizers++];
    stage->row = row;
    return row->load ? row->load(l, j, &stage->options) : WEFT_OK;
}

weft_status wf_load_normalizer(wf_loading *l, const wf_json *j) {
    return add_stages(l, j, &(kind_of_stage){"normalizers", add_normalizer}, 0);
}

static bool makes_letters(const wf_tokenizer *tok) {
    for (int i = 0; i < tok->n_pretokenizers; i++)
        if (((const wf_pretokenizer_row *)tok->pretokenizers[i].row)->makes_letters)
            return true;
    return false;
}

static weft_status add_pretokenizer(wf_loading *l, const wf_json *j, const char *type) {
    const wf_pretokenizer_row *row = wf_pretokenizer_find(type);
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the pre-tokenizer \"%s\"", type);
    WF_TRY(check_room(l, j, l->tok->n_pretokenizers));
    if (row->makes_letters && makes_letters(l->tok))
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "%s twice", type);
    wf_stage *stage = &l->tok->pretokenizers[l->tok->n_pretokenizers++];
    stage->row = row; /* from here on it is released with the tokenizer */
    return row->load(l, j, &stage->options);
}

weft_status wf_load_pretokenizer(wf_loading *l, const wf_json *j) {
    WF_TRY(add_stages(l, j, &(kind_of_stage){"pretokenizers", add_pretokenizer}, 0));
    return makes_letters(l->tok)
               ? WEFT_OK
               : wf_load_fail(l, WEFT_UNSUPPORTED, j, "only byte-level models are supported: ByteLevel is missing");
}

static weft_status add_postprocessor(wf_loading *l, const wf_json *j, const char *type) {
    const wf_postprocessor_row *row = wf_postprocessor_find(type);
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the post-processor \"%s\"", type);
    if ((l->tok->before.count || l->tok->after.count) && !wf_streq(type, "ByteLevel"))
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "%s after another post-processor that adds tokens", type);
    return row->load(l, j);
}

weft_status wf_load_postprocessor(wf_loading *l, const wf_json *j) {
    return add_stages(l, j, &(kind_of_stage){"processors", add_postprocessor}, 0);
}

static weft_status add_decoder(wf_loading *l, const wf_json *j, const char *type) {
    const wf_decoder_row *row = wf_decoder_find(type);
    if (!row || l->tok->decoder)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, row ? "the decoder \"%s\" after another" : "the decoder \"%s\"", type);
    l->tok->decoder = row;
    return WEFT_OK;
}

weft_status wf_load_decoder(wf_loading *l, const wf_json *j) {
    WF_TRY(add_stages(l, j, &(kind_of_stage){"decoders", add_decoder}, 0));
    return l->tok->decoder ? WEFT_OK : wf_load_fail(l, WEFT_UNSUPPORTED, j, "an empty decoder");
}

/* ---- added tokens ---- */

static weft_status read_added(wf_loading *l, const wf_json *j, wf_added *a) {
    const wf_json *content;
    uint32_t ignored;
    if (j->kind != WF_JSON_OBJECT)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "an added token must be an object");
    WF_TRY(wf_load_text(l, j, "content", &content));
    if (!content)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "an added token without content");
    WF_TRY(wf_load_id(l, wf_json_get(j, "id") ? wf_json_get(j, "id") : j, &ignored));
    a->content = content->string;
    a->length = content->length;
    WF_TRY(wf_load_bool(l, j, "special", false, &a->special));
    WF_TRY(wf_load_bool(l, j, "single_word", false, &a->single_word));
    WF_TRY(wf_load_bool(l, j, "lstrip", false, &a->lstrip));
    WF_TRY(wf_load_bool(l, j, "rstrip", false, &a->rstrip));
    return wf_load_bool(l, j, "normalized", !a->special, &a->normalized);
}

/* The reference's rule: a token of the vocabulary keeps its id there; the others are numbered after the vocabulary in the order
 * of the file, whatever ids the file gives. Empty and repeated ones count for nothing. */
static weft_status number_added(wf_loading *l, wf_added *a, uint32_t *next, bool *keep) {
    const wf_vocab_entry *e = wf_vocab_find(&l->tok->vocab, a->content, a->length);
    a->id = e ? e->id : *next;
    *keep = false;
    if (a->length == 0)
        return WEFT_OK;
    WF_TRY(wf_vocab_put(&l->tok->added_vocab, a->content, a->length, a->id, keep, l->err));
    *next += *keep && !e;
    return WEFT_OK;
}

/* The text that must be found for an added token: its content, normalised when it is sought in normalised text. */
static weft_status pattern_of(wf_loading *l, const wf_added *a, wf_pattern *out) {
    wf_piece piece = {(const uint8_t *)a->content, a->length, false};
    for (int i = 0; a->normalized && i < l->tok->n_normalizers; i++) {
        const wf_normalizer_row *row = l->tok->normalizers[i].row;
        wf_str text = wf_str_new(l->tok->mem);
        bool changed = false;
        weft_status status = row->apply(l->tok->normalizers[i].options, piece, &text, &changed, l->err);
        char *copy = status == WEFT_OK && changed ? wf_arena_strndup(&l->tok->arena, wf_str_text(&text), text.length) : NULL;
        if (copy)
            piece = (wf_piece){(const uint8_t *)copy, text.length, false};
        wf_str_free(&text);
        WF_TRY(status);
        if (changed && !copy)
            return wf_fail_memory(l->err);
    }
    *out = (wf_pattern){(const char *)piece.bytes, piece.length};
    return WEFT_OK;
}

static weft_status build_matcher(wf_loading *l, bool normalized, wf_matcher **out) {
    const wf_tokenizer *tok = l->tok;
    wf_pattern *patterns = wf_arena_alloc(&l->tok->arena, tok->n_added * sizeof *patterns);
    size_t n = 0;
    if (!patterns)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < tok->n_added; i++) { /* the others stay empty, so that a pattern's number is its token's */
        if (tok->added[i].normalized != normalized)
            continue;
        WF_TRY(pattern_of(l, &tok->added[i], &patterns[i]));
        n += patterns[i].length > 0;
    }
    return n ? wf_matcher_create(&l->tok->arena, patterns, tok->n_added, out, l->err) : WEFT_OK;
}

weft_status wf_load_added(wf_loading *l, const wf_json *j) {
    wf_tokenizer *tok = l->tok;
    if (j->kind != WF_JSON_ARRAY)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "it must be a list");
    tok->added = wf_arena_alloc(&tok->arena, j->count * sizeof *tok->added);
    if (!tok->added)
        return wf_fail_memory(l->err);
    uint32_t next = (uint32_t)tok->vocab.count;
    for (const wf_json *item = j->child; item; item = item->next) {
        wf_added a = {0};
        bool keep;
        WF_TRY(read_added(l, item, &a));
        WF_TRY(number_added(l, &a, &next, &keep));
        if (keep)
            tok->added[tok->n_added++] = a;
    }
    WF_TRY(build_matcher(l, false, &tok->match_raw));
    return build_matcher(l, true, &tok->match_normalized);
}

/* ---- tokens by id ---- */

static weft_status check_largest(wf_loading *l, uint32_t *largest) {
    const wf_tokenizer *tok = l->tok;
    *largest = 0;
    for (size_t i = 0; i < tok->vocab.count; i++)
        *largest = tok->vocab.entries[i].id > *largest ? tok->vocab.entries[i].id : *largest;
    for (size_t i = 0; i < tok->n_added; i++)
        *largest = tok->added[i].id > *largest ? tok->added[i].id : *largest;
    /* Ids index tables here and embeddings in models: a file of a few tokens must not ask for gigabytes. */
    size_t limit = (tok->vocab.count + tok->n_added) * 4 + 4096;
    WF_CHECK(*largest < limit, l->err, WEFT_UNSUPPORTED, "a token has the id %u, far beyond the %zu tokens there are", *largest,
             tok->vocab.count + tok->n_added);
    return WEFT_OK;
}

/* Whatever encoding gives must be an id of the table. */
static weft_status check_specials(wf_loading *l, const wf_id_list *list) {
    for (size_t i = 0; i < list->count; i++)
        WF_CHECK(list->data[i] < l->tok->n_tokens, l->err, WEFT_BAD_INPUT,
                 "post_processor: the id %u is outside the vocabulary", list->data[i]);
    return WEFT_OK;
}

static void put_token(wf_tokenizer *tok, uint32_t id, const char *text, size_t length, bool special) {
    wf_token *t = &tok->tokens[id];
    *t = (wf_token){.piece = text, .piece_length = (uint32_t)length, .bytes = tok->decoded.length, .special = special};
    tok->decoder->token(text, length, &tok->decoded);
    t->bytes_length = (uint32_t)(tok->decoded.length - t->bytes);
}

weft_status wf_load_tokens(wf_loading *l) {
    wf_tokenizer *tok = l->tok;
    uint32_t largest;
    WF_TRY(check_largest(l, &largest));
    WF_CHECK(tok->vocab.count + tok->n_added > 0, l->err, WEFT_BAD_INPUT, "the vocabulary is empty");
    tok->n_tokens = (size_t)largest + 1;
    WF_TRY(check_specials(l, &tok->before));
    WF_TRY(check_specials(l, &tok->after));
    tok->tokens = wf_calloc(tok->mem, tok->n_tokens, sizeof *tok->tokens);
    if (!tok->tokens)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < tok->vocab.count; i++) {
        const wf_vocab_entry *e = &tok->vocab.entries[i];
        WF_CHECK(!tok->tokens[e->id].piece, l->err, WEFT_BAD_INPUT, "two tokens have the id %u", e->id);
        put_token(tok, e->id, wf_vocab_text(&tok->vocab, e), e->length, false);
    }
    for (size_t i = 0; i < tok->n_added; i++)
        put_token(tok, tok->added[i].id, tok->added[i].content, tok->added[i].length, tok->added[i].special);
    return tok->decoded.failed ? wf_fail_memory(l->err) : WEFT_OK;
}
