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

static weft_status push_stage(wf_loading *l, const wf_json *j, wf_stages *stages, const void *row, wf_stage **out) {
    if (stages->count == WF_STAGES_MAX)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "more than %d components", WF_STAGES_MAX);
    *out = &stages->list[stages->count++];
    (*out)->row = row; /* from here on its options are released with the tokenizer */
    return WEFT_OK;
}

static weft_status add_normalizer(wf_loading *l, const wf_json *j, const char *type) {
    const wf_normalizer_row *row = wf_normalizer_find(type);
    wf_stage *stage;
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the normalizer \"%s\"", type);
    WF_TRY(push_stage(l, j, &l->tok->normalizers, row, &stage));
    return row->load ? row->load(l, j, &stage->options) : WEFT_OK;
}

weft_status wf_load_normalizer(wf_loading *l, const wf_json *j) {
    return add_stages(l, j, &(kind_of_stage){"normalizers", add_normalizer}, 0);
}

static weft_status add_pretokenizer(wf_loading *l, const wf_json *j, const char *type) {
    const wf_pretokenizer_row *row = wf_pretokenizer_find(type);
    wf_stage *stage;
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the pre-tokenizer \"%s\"", type);
    WF_TRY(push_stage(l, j, &l->tok->pretokenizers, row, &stage));
    WF_TRY(row->load ? row->load(l, j, &stage->options) : WEFT_OK);
    /* The first stage sees whole stretches between added tokens, whose beginnings are known unless a normalizer moved them. */
    bool known = l->tok->pretokenizers.count == 1 && l->tok->normalizers.count == 0;
    l->tok->keeps_origin = l->tok->keeps_origin || (!known && row->needs_origin && row->needs_origin(stage->options));
    return WEFT_OK;
}

weft_status wf_load_pretokenizer(wf_loading *l, const wf_json *j) {
    return add_stages(l, j, &(kind_of_stage){"pretokenizers", add_pretokenizer}, 0);
}

static weft_status add_postprocessor(wf_loading *l, const wf_json *j, const char *type) {
    const wf_postprocessor_row *row = wf_postprocessor_find(type);
    wf_stage *stage;
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the post-processor \"%s\"", type);
    WF_TRY(push_stage(l, j, &l->tok->postprocessors, row, &stage));
    return row->load(l, j, &stage->options);
}

static weft_status put_ids(wf_loading *l, const wf_encoding *g, size_t from, size_t to, wf_id_list *out) {
    uint32_t *ids = wf_arena_alloc(l->arena, (to - from) * sizeof *ids);
    if (!ids)
        return wf_fail_memory(l->err);
    if (to > from)
        memcpy(ids, g->ids + from, (to - from) * sizeof *ids);
    *out = (wf_id_list){ids, to - from};
    return WEFT_OK;
}

/* What the post-processors put around a text is the same for every text: they are shown one token. */
static weft_status find_frame(wf_loading *l, wf_parts *parts) {
    wf_encoding *g;
    WF_TRY(wf_parts_push(parts, &g, l->err));
    WF_TRY(wf_encoding_push(g, &(wf_entry){.word = 1, .piece = {"x", 1}}, l->err));
    for (int i = 0; i < l->tok->postprocessors.count; i++) {
        const wf_postprocessor_row *row = l->tok->postprocessors.list[i].row;
        weft_status status = row->process(l->tok->postprocessors.list[i].options, parts, true, NULL);
        if (status == WEFT_BAD_INPUT) /* a text says so when it comes; without special tokens none need to */
            return WEFT_OK;
        WF_CHECK(status == WEFT_OK, l->err, status, "out of memory");
    }
    for (size_t i = 1; i < parts->count; i++)
        WF_TRY(wf_encoding_join(&parts->list[0], &parts->list[i], l->err));
    size_t at = 0, seen = 0;
    for (size_t i = 0; parts->count && i < parts->list[0].count; i++)
        if (parts->list[0].words[i] == 1) {
            at = i;
            seen++;
        }
    l->tok->simple = seen == 1;
    if (!l->tok->simple)
        return WEFT_OK;
    WF_TRY(put_ids(l, &parts->list[0], 0, at, &l->tok->before));
    return put_ids(l, &parts->list[0], at + 1, parts->list[0].count, &l->tok->after);
}

weft_status wf_load_postprocessor(wf_loading *l, const wf_json *j) {
    WF_TRY(add_stages(l, j, &(kind_of_stage){"processors", add_postprocessor}, 0));
    wf_parts parts = {.mem = l->mem};
    weft_status status = find_frame(l, &parts);
    wf_parts_free(&parts);
    return status;
}

static weft_status add_decoder(wf_loading *l, const wf_json *j, const char *type) {
    const wf_decoder_row *row = wf_decoder_find(type);
    wf_stage *stage;
    if (!row)
        return wf_load_fail(l, WEFT_UNSUPPORTED, j, "the decoder \"%s\"", type);
    WF_TRY(push_stage(l, j, &l->tok->decoders, row, &stage));
    return row->load ? row->load(l, j, &stage->options) : WEFT_OK;
}

weft_status wf_load_decoder(wf_loading *l, const wf_json *j) {
    WF_TRY(add_stages(l, j, &(kind_of_stage){"decoders", add_decoder}, 0));
    l->tok->decoders.given = true;
    l->tok->by_token = l->tok->decoders.count == 1 && ((const wf_decoder_row *)l->tok->decoders.list[0].row)->by_token;
    return WEFT_OK;
}

/* ---- truncation and padding ---- */

weft_status wf_load_truncation(wf_loading *l, const wf_json *j) {
    static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond", NULL}, *const directions[] = {
                                                                                                   "Right", "Left", NULL};
    wf_truncation *t = &l->tok->truncation;
    int strategy = 0, direction = 0;
    if (j->kind != WF_JSON_OBJECT || !wf_json_get(j, "max_length"))
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "truncation must be an object with a max_length");
    WF_TRY(wf_load_count(l, j, "max_length", 0, &t->max_length));
    WF_TRY(wf_load_count(l, j, "stride", 0, &t->stride));
    WF_TRY(wf_load_choice(l, j, "strategy", strategies, &strategy));
    WF_TRY(wf_load_choice(l, j, "direction", directions, &direction));
    t->strategy = strategy;
    t->left = direction == 1;
    t->on = true;
    return WEFT_OK;
}

/* "BatchLongest" or {"Fixed": 16} */
static weft_status load_padding_length(wf_loading *l, const wf_json *j, size_t *out) {
    const wf_json *strategy = wf_json_get(j, "strategy"), *fixed = wf_json_get(strategy, "Fixed");
    if (fixed)
        return wf_load_count(l, strategy, "Fixed", 0, out);
    *out = 0;
    return wf_json_is_string(strategy, "BatchLongest")
               ? WEFT_OK
               : wf_load_fail(l, WEFT_BAD_INPUT, strategy ? strategy : j,
                              "strategy must be \"BatchLongest\" or {\"Fixed\": length}");
}

weft_status wf_load_padding(wf_loading *l, const wf_json *j) {
    static const char *const directions[] = {"Right", "Left", NULL};
    wf_padding *p = &l->tok->padding;
    int direction = 0;
    if (j->kind != WF_JSON_OBJECT)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "padding must be an object");
    WF_TRY(load_padding_length(l, j, &p->length));
    WF_TRY(wf_load_count(l, j, "pad_to_multiple_of", 0, &p->multiple));
    WF_TRY(wf_load_choice(l, j, "direction", directions, &direction));
    WF_TRY(wf_load_id(l, wf_json_get(j, "pad_id"), &p->id));
    WF_TRY(wf_load_id(l, wf_json_get(j, "pad_type_id"), &p->type));
    WF_TRY(wf_load_string(l, j, "pad_token", 0, &p->token));
    p->left = direction == 1;
    p->on = p->length > 0 || !wf_json_get(wf_json_get(j, "strategy"), "Fixed"); /* to no tokens: nothing is added */
    return WEFT_OK;
}

/* ---- added tokens ---- */

static weft_status read_added(wf_loading *l, const wf_json *j, wf_added *a) {
    const wf_json *content;
    if (j->kind != WF_JSON_OBJECT)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "an added token must be an object");
    WF_TRY(wf_load_text(l, j, "content", &content));
    if (!content)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "an added token without content");
    WF_TRY(wf_load_id(l, wf_json_get(j, "id") ? wf_json_get(j, "id") : j, &a->id));
    a->content = content->string;
    a->length = content->length;
    WF_TRY(wf_load_bool(l, j, "special", false, &a->special));
    WF_TRY(wf_load_bool(l, j, "single_word", false, &a->single_word));
    WF_TRY(wf_load_bool(l, j, "lstrip", false, &a->lstrip));
    WF_TRY(wf_load_bool(l, j, "rstrip", false, &a->rstrip));
    return wf_load_bool(l, j, "normalized", !a->special, &a->normalized);
}

/* The reference's rule: a token of the vocabulary keeps its id there; the others are numbered after the vocabulary in the order
 * of the file, whatever ids the file gives (unless the file says that they are as given). Empty and repeated ones count for
 * nothing. */
static weft_status number_added(wf_loading *l, wf_added *a, uint32_t *next, bool *keep) {
    const wf_vocab_entry *e = wf_vocab_find(wf_outer_vocab(l->tok), a->content, a->length);
    if (!l->tok->added_ids_given || e)
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
    wf_piece piece = {.bytes = (const uint8_t *)a->content, .length = a->length};
    for (int i = 0; a->normalized && i < l->tok->normalizers.count; i++) {
        const wf_normalizer_row *row = l->tok->normalizers.list[i].row;
        wf_change text = wf_change_new(l->mem);
        bool changed = false;
        wf_change_start(&text, piece, (wf_bytes){a->content, a->length}, false);
        weft_status status = row->apply(l->tok->normalizers.list[i].options, piece, &text, &changed, l->err);
        status = status ? status : wf_change_status(&text, l->err);
        char *copy =
            status == WEFT_OK && changed ? wf_arena_strndup(l->arena, wf_str_text(&text.text), text.text.length) : NULL;
        if (copy)
            piece = (wf_piece){.bytes = (const uint8_t *)copy, .length = text.text.length};
        wf_change_free(&text);
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
        tok->added[i].shown = (wf_bytes){patterns[i].text, patterns[i].length};
        n += patterns[i].length > 0;
        if (patterns[i].length == 0 && !tok->everywhere)
            l->tok->everywhere = i + 1;
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
    uint32_t next = (uint32_t)wf_outer_vocab(tok)->count;
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
    const wf_vocab *vocab = wf_outer_vocab(tok);
    *largest = 0;
    for (size_t i = 0; i < vocab->count; i++)
        *largest = vocab->entries[i].id > *largest ? vocab->entries[i].id : *largest;
    for (size_t i = 0; i < tok->n_added; i++)
        *largest = tok->added[i].id > *largest ? tok->added[i].id : *largest;
    /* Ids index tables here and embeddings in models: a file of a few tokens must not ask for gigabytes. */
    size_t limit = (vocab->count + tok->n_added) * 4 + 4096;
    WF_CHECK(*largest < limit, l->err, WEFT_UNSUPPORTED,
             "model: a token of 'vocab' has the id %u, far beyond the %zu tokens there are", *largest,
             vocab->count + tok->n_added);
    return WEFT_OK;
}

/* Whatever encoding gives must be an id of the table. */
static weft_status check_specials(wf_loading *l, const wf_id_list *list) {
    for (size_t i = 0; i < list->count; i++)
        WF_CHECK(list->data[i] < l->tok->n_tokens, l->err, WEFT_BAD_INPUT,
                 "'post_processor': the id %u is outside the vocabulary", list->data[i]);
    return WEFT_OK;
}

/* Left out of a text without special tokens is what reads as one of them. A token that is found in the normalized text is
 * shown normalized, and may then read as none, or as another. */
static bool reads_special(const wf_tokenizer *tok, const wf_added *a) {
    bool same = a->shown.length == a->length && memcmp(a->shown.data, a->content, a->length) == 0;
    for (size_t i = 0; i < tok->n_added && !same; i++) {
        const wf_added *b = &tok->added[i];
        if (b->special && b->length == a->shown.length && memcmp(b->content, a->shown.data, b->length) == 0)
            return true;
    }
    return same && a->special;
}

/* Every id of the vocabulary, which no two of its tokens may have; then the added tokens, which take theirs. */
static weft_status put_places(wf_loading *l) {
    wf_tokenizer *tok = l->tok;
    const wf_vocab *vocab = wf_outer_vocab(tok);
    for (size_t i = 0; i < vocab->count; i++) {
        uint32_t *place = &tok->places[vocab->entries[i].id];
        WF_CHECK(*place == 0, l->err, WEFT_BAD_INPUT, "model: in 'vocab' two tokens have the id %u", vocab->entries[i].id);
        *place = (uint32_t)i + 1;
    }
    tok->shadowed = wf_arena_alloc(l->arena, (tok->n_added + 1) * sizeof *tok->shadowed);
    if (!tok->shadowed)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < tok->n_added; i++) {
        const wf_added *a = &tok->added[i];
        uint32_t *place = &tok->places[a->id];
        const wf_vocab_entry *e = *place && *place < WF_ADDED_PLACE ? &vocab->entries[*place - 1] : NULL;
        if (e && (e->length != a->length || memcmp(e->text, a->content, a->length) != 0))
            tok->shadowed[tok->n_shadowed++] = e;
        tok->added[i].reads_special = reads_special(tok, a);
        *place = WF_ADDED_PLACE + (uint32_t)i;
    }
    return WEFT_OK;
}

/* ---- where a text may be cut ---- */

/* Whether the blank of "a b" passes the normalizers. */
static weft_status keep_blank(wf_loading *l, bool *kept) {
    wf_pattern out;
    WF_TRY(pattern_of(l, &(wf_added){.content = "a b", .length = 3, .normalized = true}, &out));
    *kept = out.length == 3 && out.text[1] == ' ';
    return WEFT_OK;
}

static bool has_blank(wf_bytes text) { return text.length && memchr(text.data, ' ', text.length); }

/* Before a blank between two ASCII letters: no stage may look across it, and the first pre-tokenizer must cut there anyway. A
 * token that holds a blank could be found across it, one that takes the white space behind it would miss it. */
static weft_status find_cuts(wf_loading *l) {
    wf_tokenizer *tok = l->tok;
    const wf_stage *first = &tok->pretokenizers.list[0];
    bool cuts = tok->pretokenizers.count > 0 && !tok->code_opens.length;
    for (int i = 0; i < tok->normalizers.count; i++)
        cuts = cuts && ((const wf_normalizer_row *)tok->normalizers.list[i].row)->cuts;
    for (int i = 0; i < tok->pretokenizers.count; i++) {
        const wf_pretokenizer_row *row = tok->pretokenizers.list[i].row;
        cuts = cuts && !(row->needs_origin && row->needs_origin(tok->pretokenizers.list[i].options));
    }
    for (size_t i = 0; i < tok->n_added; i++) {
        const wf_added *a = &tok->added[i];
        cuts = cuts && !a->rstrip && !has_blank((wf_bytes){a->content, a->length}) && !has_blank(a->shown);
    }
    if (!cuts || tok->everywhere)
        return WEFT_OK;
    const wf_pretokenizer_row *row = first->row;
    WF_TRY(keep_blank(l, &cuts));
    tok->cuts = cuts && row->cuts && row->cuts(first->options);
    return WEFT_OK;
}

weft_status wf_load_tokens(wf_loading *l) {
    wf_tokenizer *tok = l->tok;
    uint32_t largest;
    WF_TRY(check_largest(l, &largest));
    tok->simple = tok->simple || tok->postprocessors.count == 0;
    tok->n_tokens = wf_outer_vocab(tok)->count + tok->n_added > 0 ? (size_t)largest + 1 : 0; /* one to be trained is empty */
    WF_TRY(check_specials(l, &tok->before));
    WF_TRY(check_specials(l, &tok->after));
    tok->places = wf_alloc_big(tok->mem, (tok->n_tokens + 1) * sizeof *tok->places);
    if (!tok->places)
        return wf_fail_memory(l->err);
    WF_TRY(put_places(l));
    return find_cuts(l);
}
