/* sentencepiece_json.c - the tokenizer.json of a SentencePiece file: as SentencePiece computes, or where a class of Hugging
 * Face goes by its own conversion, as that does; ids, special tokens and what stands around a text by class (classes.h). */
#include <string.h>

#include "base/base64.h"
#include "text/classes.h"
#include "text/sentencepiece_file.h"
#include "text/vocab.h"

typedef struct writing {
    const wf_sentencepiece *m;
    const wf_bytes *vocab_json;
    wf_class class;
    wf_vocab ids;     /* by token, where ids are not places in the file; else special tokens only */
    bool moves;       /* ids holds every token */
    uint32_t next_id; /* for a token that is in no file */
    uint32_t offset;  /* of pieces */
    weft_status status;
    wf_json_writer *w;
    weft_error *err;
} writing;

/* ---- pieces ---- */

static void write_scored(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    wf_json_writer *w = ((writing *)user)->w;
    wf_jw_begin(w, '[');
    wf_jw_string_n(w, p->text.data, p->text.length);
    wf_jw_double(w, (double)p->score);
    wf_jw_end(w, ']');
}

static void write_control(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    wf_json_writer *w = ((writing *)user)->w;
    if (p->type == WF_SP_CONTROL || p->type == WF_SP_UNKNOWN)
        wf_jw_special(w, id, p->text);
}

/* The conversion finds user-defined and control pieces in texts. */
static void write_user(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    if (p->type == WF_SP_USER)
        wf_jw_added(((writing *)user)->w, &(wf_added_entry){.id = id, .content = p->text});
}

static void write_hidden(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    if (p->type == WF_SP_CONTROL)
        wf_jw_special(((writing *)user)->w, id, p->text);
}

static void write_control_text(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    wf_json_writer *w = ((writing *)user)->w;
    if (p->type == WF_SP_CONTROL)
        wf_jw_string_n(w, p->text.data, p->text.length);
}

static void write_user_text(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    wf_json_writer *w = ((writing *)user)->w;
    if (p->type == WF_SP_USER)
        wf_jw_string_n(w, p->text.data, p->text.length);
}

static void write_unknown_text(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    wf_json_writer *w = ((writing *)user)->w;
    if (p->type == WF_SP_UNKNOWN)
        wf_jw_string_n(w, p->text.data, p->text.length);
}

/* ---- as SentencePiece computes ---- */

static void write_charsmap(const wf_sentencepiece *m, wf_json_writer *w) {
    wf_str map = wf_str_new(m->in->mem);
    wf_base64_encode((const uint8_t *)m->charsmap.data, m->charsmap.length, &map);
    wf_jw_text(w, "precompiled_charsmap", wf_str_text(&map));
    w->out->failed = w->out->failed || map.failed;
    wf_str_free(&map);
}

static void write_normalizer(writing *x) {
    const wf_sentencepiece *m = x->m;
    wf_json_writer *w = x->w;
    wf_jw_open(w, "normalizer", '{');
    wf_jw_text(w, "type", "SentencePiece");
    write_charsmap(m, w);
    wf_jw_flag(w, "add_dummy_prefix", m->dummy_prefix);
    wf_jw_flag(w, "remove_extra_whitespaces", m->remove_extra);
    wf_jw_flag(w, "escape_whitespaces", m->escape);
    wf_jw_flag(w, "whitespace_as_suffix", m->suffix);
    if (!x->class.row) /* Llama's class, and those that are no other */
        wf_jw_flag(w, "prefix_first", !wf_json_bool(x->class.said, "legacy", true));
    wf_jw_open(w, "kept", '[');
    wf_each_piece(x->m, x, write_user_text);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

/* A class writes its special tokens as they are, and leaves no blanks at the ends. */
static void write_decoder(writing *x) {
    const wf_sentencepiece *m = x->m;
    wf_json_writer *w = x->w;
    wf_jw_open(w, "decoder", '{');
    wf_jw_text(w, "type", "SentencePiece");
    wf_jw_flag(w, "add_dummy_prefix", m->dummy_prefix);
    wf_jw_flag(w, "remove_extra_whitespaces", m->remove_extra);
    wf_jw_flag(w, "strip", x->class.row != NULL);
    wf_jw_key(w, "unknown");
    if (x->class.row)
        wf_jw_string(w, "");
    else
        wf_each_piece(x->m, x, write_unknown_text);
    wf_jw_key(w, "unknown_surface");
    wf_jw_string_n(w, m->unknown_surface.data, m->unknown_surface.length);
    wf_jw_open(w, "control", '[');
    if (!x->class.row)
        wf_each_piece(x->m, x, write_control_text);
    wf_jw_end(w, ']');
    wf_jw_flag(w, "byte_fallback", strchr(wf_str_text(&m->kinds), 'b') && !wf_json_bool(x->class.row, "joined", false));
    wf_jw_end(w, '}');
}

static void write_ids(const writing *x) {
    wf_json_writer *w = x->w;
    char *unknown = wf_piece_name(x->m, x->class.arena, x->m->unknown);
    const wf_vocab_entry *e = unknown ? wf_vocab_find(&x->ids, unknown, strlen(unknown)) : NULL;
    wf_jw_key(w, "unknown_id");
    wf_jw_int(w, e ? e->id : 0);
    wf_jw_open(w, "ids", '{');
    for (size_t i = 0; i < x->ids.count; i++) {
        wf_jw_key(w, x->ids.entries[i].text);
        wf_jw_int(w, x->ids.entries[i].id);
    }
    wf_jw_end(w, '}');
}

static void write_list(writing *x) {
    wf_jw_open(x->w, "vocab", '[');
    wf_each_piece(x->m, x, write_scored);
    wf_jw_end(x->w, ']');
}

static void write_model(writing *x) {
    const wf_sentencepiece *m = x->m;
    wf_json_writer *w = x->w;
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", m->type == WF_SP_UNIGRAM ? "Unigram" : "ScoredBPE");
    if (m->type == WF_SP_UNIGRAM)
        wf_jw_flag(w, "single_precision", true);
    if (m->type == WF_SP_CHAR || m->type == WF_SP_WORD)
        wf_jw_flag(w, m->type == WF_SP_CHAR ? "characters" : "words", true);
    wf_jw_key(w, "unk_id");
    wf_jw_int(w, m->unknown);
    wf_jw_flag(w, "byte_fallback", m->byte_fallback);
    wf_jw_text(w, "kinds", wf_str_text(&m->kinds));
    write_list(x);
    if (x->moves)
        write_ids(x);
    wf_jw_end(w, '}');
}

/* ---- as Hugging Face's conversion does ---- */

/* One normalizer of the class, without the members that say when it counts. */
static void write_step(const writing *x, const wf_json *step) {
    bool map = wf_json_is_string(wf_json_get(step, "type"), "Precompiled");
    const char *when = wf_json_text(step, "when", NULL), *unless = wf_json_text(step, "unless", NULL);
    if ((when && !wf_class_flag(&x->class, when)) || (unless && wf_class_flag(&x->class, unless)) ||
        (map && x->m->charsmap.length == 0))
        return;
    wf_jw_begin(x->w, '{');
    for (const wf_json *j = step->child; j; j = j->next)
        if (!wf_streq(j->key, "when") && !wf_streq(j->key, "unless")) {
            wf_jw_key(x->w, j->key);
            wf_jw_json(x->w, j);
        }
    if (map)
        write_charsmap(x->m, x->w);
    wf_jw_end(x->w, '}');
}

static void write_metaspace(wf_json_writer *w, const char *key) {
    wf_jw_open(w, key, '{');
    wf_jw_text(w, "type", "Metaspace");
    wf_jw_text(w, "replacement", "\xE2\x96\x81");
    wf_jw_text(w, "prepend_scheme", "always");
    wf_jw_flag(w, "split", true);
    wf_jw_end(w, '}');
}

/* A number before a comma keeps to itself: pieces of both cost more. */
static bool joins_comma(wf_bytes text) {
    size_t n = text.length;
    return n >= 2 && text.data[n - 1] == ',' && text.data[n - 2] >= '0' && text.data[n - 2] <= '9';
}

static void write_dear(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    wf_json_writer *w = ((writing *)user)->w;
    wf_jw_begin(w, '[');
    wf_jw_string_n(w, p->text.data, p->text.length);
    wf_jw_double(w, (double)p->score - (joins_comma(p->text) ? 100 : 0));
    wf_jw_end(w, ']');
}

static void write_converted(writing *x) {
    wf_json_writer *w = x->w;
    wf_jw_open(w, "normalizer", '{');
    wf_jw_text(w, "type", "Sequence");
    wf_jw_open(w, "normalizers", '[');
    for (const wf_json *j = wf_json_get(x->class.row, "normalizer")->child; j; j = j->next)
        write_step(x, j);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
    write_metaspace(w, "pre_tokenizer");
    write_metaspace(w, "decoder");
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "Unigram");
    wf_jw_key(w, "unk_id");
    wf_jw_int(w, x->m->unknown);
    wf_jw_open(w, "vocab", '[');
    wf_each_piece(x->m, x, wf_json_bool(x->class.row, "numbers_end", false) ? write_dear : write_scored);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

/* ---- ids ---- */

static weft_status put_id(writing *x, const char *text, size_t length, uint32_t id) {
    bool added;
    WF_CHECK(!x->moves || !memchr(text, 0, length), x->err, WEFT_UNSUPPORTED, "a piece with a zero byte");
    return wf_vocab_put(&x->ids, text, length, id, &added, x->err);
}

static weft_status put_list(writing *x, const char *list, uint32_t *id) {
    wf_class_token *tokens;
    WF_TRY(wf_class_tokens(&x->class, list, &tokens, x->err));
    for (const wf_class_token *t = tokens; t; t = t->next)
        WF_TRY(put_id(x, t->text, strlen(t->text), (*id)++));
    return WEFT_OK;
}

static weft_status read_vocab_json(writing *x) {
    wf_json *tree;
    WF_TRY(wf_json_parse(x->class.arena, x->vocab_json->data, x->vocab_json->length, 4000000, &tree, x->err));
    WF_CHECK(tree->kind == WF_JSON_OBJECT, x->err, WEFT_BAD_INPUT, "vocab.json must hold an object");
    for (const wf_json *j = tree->child; j; j = j->next) {
        WF_CHECK(j->is_integer && j->integer >= 0 && j->integer < UINT32_MAX, x->err, WEFT_BAD_INPUT,
                 "vocab.json: the id of '%s' is no whole number", j->key);
        WF_TRY(put_id(x, j->key, strlen(j->key), (uint32_t)j->integer));
    }
    x->next_id = (uint32_t)tree->count;
    return put_list(x, "back", &x->next_id);
}

static void place_piece(void *user, uint32_t id, const wf_sentencepiece_piece *p) {
    writing *x = user;
    if (x->status == WEFT_OK)
        x->status = put_id(x, p->text.data, p->text.length, id + x->offset);
}

/* The place of a piece and the offset, unless the class has another id for it. */
static weft_status place_pieces(writing *x) {
    uint32_t id = 0, back;
    int64_t offset = wf_class_offset(&x->class);
    WF_CHECK(offset >= 0 && offset < INT32_MAX / 2, x->err, WEFT_UNSUPPORTED, "%s: an offset of %lld", x->class.name,
             (long long)offset);
    WF_TRY(put_list(x, "front", &id));
    back = (uint32_t)x->m->pieces + (uint32_t)offset;
    WF_TRY(put_list(x, "back", &back));
    x->next_id = back;
    x->offset = (uint32_t)offset;
    wf_each_piece(x->m, x, place_piece);
    return x->status;
}

static weft_status find_ids(writing *x) {
    bool beside = wf_streq(wf_json_text(x->class.row, "ids", ""), "vocab.json");
    x->moves = beside || wf_json_get(x->class.row, "front") || wf_json_get(x->class.row, "back");
    x->next_id = (uint32_t)x->m->pieces;
    WF_CHECK(!beside || x->vocab_json, x->err, WEFT_UNSUPPORTED, "%s takes its ids from vocab.json, which is not beside it",
             x->class.name);
    WF_CHECK(!x->moves || x->m->type == WF_SP_UNIGRAM || x->m->type == WF_SP_BPE, x->err, WEFT_UNSUPPORTED,
             "%s with a SentencePiece model of words or characters", x->class.name);
    if (!x->moves)
        wf_each_piece(x->m, x, place_piece); /* to find special tokens */
    return beside ? read_vocab_json(x) : x->moves ? place_pieces(x) : x->status;
}

/* ---- special tokens ---- */

static uint32_t id_of(writing *x, const char *text, size_t length) {
    const wf_vocab_entry *e = wf_vocab_find(&x->ids, text, length);
    if (e)
        return e->id;
    x->status = x->status ? x->status : put_id(x, text, length, x->next_id);
    return x->next_id++;
}

static void put_special(writing *x, const wf_class_token *t) {
    size_t n = strlen(t->text);
    wf_jw_added(x->w, &(wf_added_entry){.id = id_of(x, t->text, n),
                                        .content = {t->text, n},
                                        .special = true,
                                        .lstrip = t->lstrip,
                                        .rstrip = t->rstrip,
                                        .normalized = t->normalized});
}

/* As tokenizer_config.json writes one. */
static void put_said(writing *x, const wf_json *j, int64_t id, bool special) {
    const wf_json *content = wf_json_get(j, "content");
    content = content ? content : j;
    if (content->kind != WF_JSON_STRING || content->length == 0)
        return;
    wf_jw_added(x->w, &(wf_added_entry){.id = id >= 0 ? (uint32_t)id : id_of(x, content->string, content->length),
                                        .content = {content->string, content->length},
                                        .special = wf_json_bool(j, "special", special),
                                        .lstrip = wf_json_bool(j, "lstrip", false),
                                        .rstrip = wf_json_bool(j, "rstrip", false),
                                        .single_word = wf_json_bool(j, "single_word", false),
                                        .normalized = wf_json_bool(j, "normalized", false)});
}

/* {"32000": {"content": "<mask>", ...}, ...} comes first: it says the ids and how the tokens are found. */
static void put_decoder_list(writing *x) {
    const wf_json *list = wf_json_get(x->class.said, "added_tokens_decoder");
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        int64_t id;
        if (wf_parse_i64(j->key, strlen(j->key), &id) && id >= 0 && id < UINT32_MAX)
            put_said(x, j, id, false);
    }
}

static weft_status write_added(writing *x) {
    static const char *const lists[] = {"front", "back", "special"}, *const more[] = {"additional_special_tokens",
                                                                                      "extra_special_tokens"};
    bool converted = wf_json_get(x->class.row, "normalizer") != NULL;
    wf_jw_open(x->w, "added_tokens", '[');
    put_decoder_list(x);
    if (converted)
        wf_each_piece(x->m, x, write_user);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        wf_class_token *tokens;
        WF_TRY(wf_class_tokens(&x->class, lists[i], &tokens, x->err));
        for (const wf_class_token *t = tokens; t; t = t->next)
            put_special(x, t);
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        const wf_json *list = wf_json_get(x->class.said, more[i]);
        for (const wf_json *j = list && list->kind == WF_JSON_ARRAY ? list->child : NULL; j; j = j->next)
            put_said(x, j, -1, true);
    }
    if (!x->class.row || converted)
        wf_each_piece(x->m, x, converted ? write_hidden : write_control);
    wf_jw_end(x->w, ']');
    return x->status;
}

/* ---- around a text ---- */

/* "$B:1" is sequence B with type 1; *text is empty where the entry is a language that is not set. */
static weft_status read_entry(writing *x, const char *entry, char **text, int *type) {
    size_t n = strlen(entry);
    bool typed = n > 2 && entry[n - 2] == ':';
    *type = typed ? entry[n - 1] - '0' : 0;
    WF_TRY(wf_class_fill(&x->class, entry, text, x->err));
    if (typed)
        (*text)[strlen(*text) - 2] = 0;
    return WEFT_OK;
}

static weft_status write_entry(writing *x, const char *entry) {
    char *text;
    int type;
    WF_TRY(read_entry(x, entry, &text, &type));
    if (!text[0])
        return WEFT_OK;
    wf_jw_template_item(x->w, text[0] == '$', text + (text[0] == '$'), type);
    return WEFT_OK;
}

static weft_status write_side(writing *x, const char *side) {
    wf_jw_open(x->w, side, '[');
    for (const wf_json *j = wf_json_get(x->class.row, side)->child; j; j = j->next)
        WF_TRY(write_entry(x, j->string));
    wf_jw_end(x->w, ']');
    return WEFT_OK;
}

static weft_status write_template(writing *x) {
    wf_vocab seen;
    weft_status status = WEFT_OK;
    wf_jw_open(x->w, "post_processor", '{');
    wf_jw_text(x->w, "type", "TemplateProcessing");
    WF_TRY(write_side(x, "single"));
    WF_TRY(write_side(x, "pair"));
    wf_jw_open(x->w, "special_tokens", '{');
    wf_vocab_init(&seen, x->m->in->mem);
    for (const wf_json *j = wf_json_get(x->class.row, "pair")->child; j && status == WEFT_OK; j = j->next) {
        char *text;
        int type;
        bool added = false;
        status = read_entry(x, j->string, &text, &type);
        if (status != WEFT_OK || !text[0] || text[0] == '$')
            continue;
        status = wf_vocab_put(&seen, text, strlen(text), 0, &added, x->err);
        if (added)
            wf_jw_template_token(x->w, text, id_of(x, text, strlen(text)));
    }
    wf_vocab_free(&seen);
    wf_jw_end(x->w, '}');
    wf_jw_end(x->w, '}');
    return status ? status : x->status;
}

static void write_frame(writing *x) {
    const wf_sentencepiece *m = x->m;
    wf_frame frame = {.bos_id = (uint32_t)m->bos, .eos_id = (uint32_t)m->eos};
    if (wf_json_bool(m->in->options, "add_bos_token", false))
        frame.bos = wf_piece_name(m, x->class.arena, m->bos);
    if (wf_json_bool(m->in->options, "add_eos_token", false))
        frame.eos = wf_piece_name(m, x->class.arena, m->eos);
    wf_jw_template(x->w, &frame);
}

/* ---- the whole ---- */

static weft_status write_all(writing *x) {
    bool converted = wf_json_get(x->class.row, "normalizer") != NULL;
    WF_TRY(find_ids(x));
    WF_CHECK(!converted || x->m->type == WF_SP_UNIGRAM, x->err, WEFT_UNSUPPORTED,
             "%s with a SentencePiece model that is no "
             "Unigram",
             x->class.name);
    wf_jw_begin_tokenizer(x->w);
    wf_jw_text(x->w, "added_token_ids", "as given");
    if (wf_json_get(x->class.row, "codes")) {
        wf_jw_key(x->w, "codes");
        wf_jw_json(x->w, wf_json_get(x->class.row, "codes"));
    }
    WF_TRY(write_added(x));
    if (!converted)
        write_normalizer(x);
    if (x->class.row)
        WF_TRY(write_template(x));
    else
        write_frame(x);
    if (!converted)
        write_decoder(x);
    if (converted)
        write_converted(x);
    else
        write_model(x);
    wf_jw_end(x->w, '}');
    return x->status;
}

weft_status wf_write_sentencepiece(const wf_sentencepiece *m, const wf_bytes *vocab, wf_arena *arena, wf_str *json) {
    wf_json_writer w;
    writing x = {.m = m, .vocab_json = vocab, .w = &w, .err = m->err};
    wf_json_writer_init(&w, json, 0);
    wf_vocab_init(&x.ids, m->in->mem);
    weft_status status = wf_class_open(arena, m->in->options, &x.class, m->err);
    if (status == WEFT_OK)
        status = write_all(&x);
    wf_vocab_free(&x.ids);
    return status;
}
