/* kind_vocab.c - vocab.txt (BERT: a token a line), the vocabularies of CTranslate2 (the same of whole words) and vocab.json
 * with merges.txt (GPT-2 and RoBERTa). */
#include <string.h>

#include "text/file_kinds.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/write_json.h"

/* ---- vocab.txt ---- */

static bool is_vocab_txt(const char *name, wf_bytes content) { return wf_ends_with(name, "vocab.txt"); }

/* Lines without the white space at their ends; of equal ones the last counts. */
static weft_status read_lines(wf_bytes text, wf_vocab *v, weft_error *err) {
    uint32_t number = 0;
    for (size_t at = 0, next; at < text.length; at = next, number++) {
        const char *end = memchr(text.data + at, '\n', text.length - at);
        size_t length = end ? (size_t)(end - text.data) - at : text.length - at, step;
        bool added;
        next = at + length + 1;
        while (length && wf_char_class_of(wf_char_before((const uint8_t *)text.data + at, length, &step)) == WF_CHAR_SPACE)
            length -= step;
        WF_CHECK(wf_utf8_valid((const uint8_t *)text.data + at, length), err, WEFT_BAD_INPUT, "line %u is not UTF-8",
                 number + 1);
        WF_TRY(wf_vocab_put(v, text.data + at, length, number, &added, err));
        if (!added)
            v->entries[wf_vocab_find(v, text.data + at, length) - v->entries].id = number;
    }
    WF_CHECK(v->count > 0, err, WEFT_BAD_INPUT, "the vocabulary is empty");
    return WEFT_OK;
}

static void write_vocab(wf_json_writer *w, const wf_vocab *v) {
    wf_jw_open(w, "vocab", '{');
    for (size_t i = 0; i < v->count; i++) {
        wf_jw_key(w, v->entries[i].text);
        wf_jw_int(w, v->entries[i].id);
    }
    wf_jw_end(w, '}');
}

static const wf_vocab_entry *find(const wf_vocab *v, const char *text) { return wf_vocab_find(v, text, strlen(text)); }

static void write_specials(wf_json_writer *w, const wf_vocab *v, const char *const *names) {
    wf_jw_open(w, "added_tokens", '[');
    for (; *names; names++) {
        const wf_vocab_entry *e = find(v, *names);
        if (e)
            wf_jw_special(w, e->id, (wf_bytes){*names, strlen(*names)});
    }
    wf_jw_end(w, ']');
}

static void write_pair(wf_json_writer *w, const char *key, const wf_vocab_entry *e, const char *name) {
    wf_jw_open(w, key, '[');
    wf_jw_string(w, name);
    wf_jw_int(w, e->id);
    wf_jw_end(w, ']');
}

static void write_bert_normalizer(wf_json_writer *w, const wf_json *options) {
    const wf_json *accents = wf_json_get(options, "strip_accents");
    wf_jw_open(w, "normalizer", '{');
    wf_jw_text(w, "type", "BertNormalizer");
    wf_jw_flag(w, "clean_text", true);
    wf_jw_flag(w, "handle_chinese_chars", wf_json_bool(options, "tokenize_chinese_chars", true));
    if (accents && (accents->kind == WF_JSON_TRUE || accents->kind == WF_JSON_FALSE))
        wf_jw_flag(w, "strip_accents", accents->kind == WF_JSON_TRUE);
    else
        wf_jw_null_member(w, "strip_accents");
    wf_jw_flag(w, "lowercase", wf_json_bool(options, "do_lower_case", true));
    wf_jw_end(w, '}');
}

static void write_bert(wf_json_writer *w, const wf_vocab *v, const wf_json *options) {
    static const char *const specials[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", NULL};
    const wf_vocab_entry *cls = find(v, "[CLS]"), *sep = find(v, "[SEP]");
    wf_jw_begin_tokenizer(w);
    write_specials(w, v, specials);
    write_bert_normalizer(w, options);
    wf_jw_open(w, "pre_tokenizer", '{');
    wf_jw_text(w, "type", "BertPreTokenizer");
    wf_jw_end(w, '}');
    if (cls && sep) {
        wf_jw_open(w, "post_processor", '{');
        wf_jw_text(w, "type", "BertProcessing");
        write_pair(w, "sep", sep, "[SEP]");
        write_pair(w, "cls", cls, "[CLS]");
        wf_jw_end(w, '}');
    }
    wf_jw_open(w, "decoder", '{');
    wf_jw_text(w, "type", "WordPiece");
    wf_jw_text(w, "prefix", "##");
    wf_jw_flag(w, "cleanup", true);
    wf_jw_end(w, '}');
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "WordPiece");
    wf_jw_text(w, "unk_token", "[UNK]");
    wf_jw_text(w, "continuing_subword_prefix", "##");
    wf_jw_key(w, "max_input_chars_per_word");
    wf_jw_int(w, 100);
    write_vocab(w, v);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
}

static weft_status convert_vocab_txt(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_vocab v;
    wf_json_writer w;
    wf_vocab_init(&v, in->mem);
    weft_status status = read_lines(in->files[0], &v, err);
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        write_bert(&w, &v, in->options);
    wf_vocab_free(&v);
    return status;
}

static const char *const vocab_txt_names[] = {"vocab.txt", NULL}, *const vocab_txt_options[] = {"do_lower_case",
                                                                                                "strip_accents",
                                                                                                "tokenize_chinese_chars", NULL};
const wf_file_kind wf_kind_vocab_txt = {.name = "vocab.txt",
                                        .folder = vocab_txt_names,
                                        .recognise = is_vocab_txt,
                                        .options = vocab_txt_options,
                                        .files = 1,
                                        .convert = convert_vocab_txt};

/* ---- source_vocabulary.txt, target_vocabulary.txt, shared_vocabulary.txt ---- */

static bool is_vocabulary(const char *name, wf_bytes content) { return wf_ends_with(name, "_vocabulary.txt"); }

/* Tokens are what stands between white space; the unknown one comes last where the file lacks it. */
static weft_status write_words(wf_json_writer *w, wf_vocab *v, weft_error *err) {
    static const char *const specials[] = {"<blank>", "<s>", "</s>", "<unk>", "<pad>", NULL};
    bool added;
    WF_TRY(wf_vocab_put(v, "<unk>", strlen("<unk>"), (uint32_t)v->count, &added, err));
    wf_jw_begin_tokenizer(w);
    write_specials(w, v, specials);
    wf_jw_open(w, "pre_tokenizer", '{');
    wf_jw_text(w, "type", "WhitespaceSplit");
    wf_jw_end(w, '}');
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "WordLevel");
    wf_jw_text(w, "unk_token", "<unk>");
    write_vocab(w, v);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
    return WEFT_OK;
}

static weft_status convert_vocabulary(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_vocab v;
    wf_json_writer w;
    wf_vocab_init(&v, in->mem);
    weft_status status = read_lines(in->files[0], &v, err);
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        status = write_words(&w, &v, err);
    wf_vocab_free(&v);
    return status;
}

static const char *const vocabulary_names[] = {"source_vocabulary.txt", "shared_vocabulary.txt", NULL},
                         *const vocabulary_targets[] = {"target_vocabulary.txt", NULL}, *const vocabulary_options[] = {NULL};
const wf_file_kind wf_kind_vocabulary = {.name = "vocabulary.txt",
                                         .folder = vocabulary_names,
                                         .target = vocabulary_targets,
                                         .recognise = is_vocabulary,
                                         .options = vocabulary_options,
                                         .files = 1,
                                         .convert = convert_vocabulary};

/* ---- vocab.json and merges.txt ---- */

static void write_merges(wf_json_writer *w, wf_bytes text) {
    wf_jw_open(w, "merges", '[');
    for (size_t at = 0, next; at < text.length; at = next) {
        const char *end = memchr(text.data + at, '\n', text.length - at);
        size_t length = end ? (size_t)(end - text.data) - at : text.length - at;
        next = at + length + 1;
        if (length && text.data[at + length - 1] == '\r')
            length--;
        if (length && !(length >= 8 && memcmp(text.data + at, "#version", 8) == 0))
            wf_jw_string_n(w, text.data + at, length);
    }
    wf_jw_end(w, ']');
}

/* What a file of options says in words, of which only one is known. */
static weft_status check_words(const wf_json *options, const char *key, const char *known, weft_error *err) {
    const char *said = wf_json_text(options, key, known);
    WF_CHECK(wf_streq(said, known), err, WEFT_UNSUPPORTED, "%s '%s'", key, said);
    return WEFT_OK;
}

static bool holds(const wf_json *vocab, const char *token) { return wf_json_get(vocab, token) != NULL; }

/* The tokens of the options, or those that published files of this kind have. */
static weft_status write_gpt2_added(wf_json_writer *w, const wf_json *vocab, const wf_json *options, weft_error *err) {
    static const char *const usual[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>", NULL};
    const wf_json *given = wf_json_get(options, "added_special");
    wf_jw_open(w, "added_tokens", '[');
    for (const wf_json *j = given ? given->child : NULL; j; j = j->next) {
        WF_CHECK(j->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "added_special must be a list of texts");
        wf_jw_special(w, (uint32_t)wf_json_int(vocab, j->string, (int64_t)vocab->count), (wf_bytes){j->string, j->length});
    }
    for (size_t i = 0; !given && usual[i]; i++)
        if (holds(vocab, usual[i]))
            wf_jw_special(w, (uint32_t)wf_json_int(vocab, usual[i], 0), (wf_bytes){usual[i], strlen(usual[i])});
    wf_jw_end(w, ']');
    return WEFT_OK;
}

static void write_roberta_pair(wf_json_writer *w, const wf_json *vocab, const char *key, const char *token) {
    wf_jw_open(w, key, '[');
    wf_jw_string(w, token);
    wf_jw_int(w, wf_json_int(vocab, token, 0));
    wf_jw_end(w, ']');
}

/* A vocabulary with <s> and </s> puts them around texts. */
static void write_gpt2_post(wf_json_writer *w, const wf_json *vocab, bool prefix_space) {
    if (!holds(vocab, "<s>") || !holds(vocab, "</s>")) {
        wf_jw_byte_level(w, "post_processor", true, false, true);
        return;
    }
    wf_jw_open(w, "post_processor", '{');
    wf_jw_text(w, "type", "RobertaProcessing");
    write_roberta_pair(w, vocab, "sep", "</s>");
    write_roberta_pair(w, vocab, "cls", "<s>");
    wf_jw_flag(w, "trim_offsets", true);
    wf_jw_flag(w, "add_prefix_space", prefix_space);
    wf_jw_end(w, '}');
}

static weft_status write_gpt2(const wf_kind_input *in, const wf_json *vocab, wf_json_writer *w, weft_error *err) {
    bool prefix_space = wf_json_bool(in->options, "add_prefix_space", false);
    WF_TRY(check_words(in->options, "pre_tokenizer", "byte-level, GPT-2 pattern", err));
    WF_TRY(check_words(in->options, "post_processor", "offsets not trimmed", err));
    wf_jw_begin_tokenizer(w);
    WF_TRY(write_gpt2_added(w, vocab, in->options, err));
    wf_jw_null_member(w, "normalizer");
    wf_jw_byte_level(w, "pre_tokenizer", prefix_space, true, true);
    write_gpt2_post(w, vocab, prefix_space);
    wf_jw_byte_level(w, "decoder", true, true, true);
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "BPE");
    wf_jw_key(w, "vocab");
    wf_jw_json(w, vocab);
    write_merges(w, in->files[1]);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
    return WEFT_OK;
}

static weft_status convert_vocab_merges(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_arena arena;
    wf_json *vocab;
    wf_json_writer w;
    wf_arena_init(&arena, in->mem, 0);
    weft_status status = wf_json_parse(&arena, in->files[0].data, in->files[0].length, 4000000, &vocab, err);
    if (status == WEFT_OK && vocab->kind != WF_JSON_OBJECT)
        status = wf_fail(err, WEFT_BAD_INPUT, "vocab.json must hold an object");
    if (status == WEFT_OK && !wf_utf8_valid((const uint8_t *)in->files[1].data, in->files[1].length))
        status = wf_fail(err, WEFT_BAD_INPUT, "merges.txt is not UTF-8");
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        status = write_gpt2(in, vocab, &w, err);
    wf_arena_free(&arena);
    return status;
}

static const char *const vocab_merges_names[] = {"vocab.json+merges.txt", NULL}, *const vocab_merges_options[] = {
                                                                                     "add_prefix_space", "added_special",
                                                                                     "post_processor", "pre_tokenizer", NULL};
const wf_file_kind wf_kind_vocab_merges = {.name = "vocab.json+merges.txt",
                                           .folder = vocab_merges_names,
                                           .options = vocab_merges_options,
                                           .files = 2,
                                           .convert = convert_vocab_merges};
