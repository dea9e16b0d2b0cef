/* kind_vocab.c - vocab.txt (BERT: a token a line), the vocabularies of CTranslate2 (the same of whole words) and vocab.json
 * with merges.txt (GPT-2 and RoBERTa). */
#include <string.h>

#include "text/file_kinds.h"
#include "text/unicode.h"
#include "text/vocab.h"
#include "text/write_json.h"

/* ---- vocab.txt ---- */

static bool is_vocab_txt(const char *name, wf_bytes content) { return wf_ends_with(name, "vocab.txt"); }

/* Lines without the white space at their ends, where they lie in the file. */
static weft_status list_lines(wf_bytes text, wf_vocab *v, weft_error *err) {
    uint32_t number = 0;
    for (size_t at = 0, next; at < text.length; at = next, number++) {
        const char *end = memchr(text.data + at, '\n', text.length - at);
        size_t length = end ? (size_t)(end - text.data) - at : text.length - at, step;
        next = at + length + 1;
        while (length && wf_char_class_of(wf_char_before((const uint8_t *)text.data + at, length, &step)) == WF_CHAR_SPACE)
            length -= step;
        WF_CHECK(wf_utf8_valid((const uint8_t *)text.data + at, length), err, WEFT_BAD_INPUT, "line %u is not UTF-8",
                 number + 1);
        WF_TRY(wf_grow_big(v->mem, (void **)&v->entries, &v->capacity, v->count + 1, sizeof *v->entries, err));
        v->entries[v->count++] =
            (wf_vocab_entry){wf_vocab_head(text.data + at, length), (uint32_t)length, number, text.data + at};
    }
    WF_CHECK(v->count > 0, err, WEFT_BAD_INPUT, "the vocabulary is empty");
    return WEFT_OK;
}

/* Of equal lines the first stays, with the number of the last. */
static void join_equal(wf_vocab *v) {
    size_t kept = 0;
    for (size_t i = 0; i < v->count; i++) {
        const wf_vocab_entry *first = wf_vocab_find(v, v->entries[i].text, v->entries[i].length);
        size_t at = (size_t)(first - v->entries);
        v->entries[at].id = v->entries[i].id;
        if (at < i)
            v->entries[i].text = NULL;
    }
    for (size_t i = 0; i < v->count; i++)
        if (v->entries[i].text)
            v->entries[kept++] = v->entries[i];
    v->count = kept;
}

static weft_status read_lines(wf_bytes text, wf_vocab *v, weft_error *err) {
    WF_TRY(list_lines(text, v, err));
    WF_TRY(wf_vocab_clear_slots(v, err));
    if (wf_vocab_enter(v, 0, v->count))
        return WEFT_OK;
    join_equal(v);
    WF_TRY(wf_vocab_clear_slots(v, err));
    wf_vocab_enter(v, 0, v->count);
    return WEFT_OK;
}

static void write_vocab(wf_json_writer *w, const wf_vocab *v) {
    wf_jw_open(w, "vocab", '{');
    for (size_t i = 0; i < v->count; i++) {
        char digits[1 + 24] = ":";
        if (i)
            wf_str_putc(w->out, ',');
        wf_json_put_string(w->out, v->entries[i].text, v->entries[i].length);
        wf_str_put(w->out, digits, 1 + wf_format_u64(v->entries[i].id, digits + 1));
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

/* A token as tokenizer_config.json says it: a text, or an object with its content. */
static const char *said_token(const wf_json *options, const char *key, const char *usual) {
    const wf_json *said = wf_json_get(options, key), *content = wf_json_get(said, "content");
    said = content ? content : said;
    return said && said->kind == WF_JSON_STRING ? said->string : usual;
}

/* A class whose names are in the list, with or without "Fast" behind it. */
static bool is_class(const char *name, const char *const *list) {
    size_t n = strlen(name) - (wf_ends_with(name, "Fast") ? strlen("Fast") : 0);
    for (; *list; list++)
        if (strlen(*list) == n && memcmp(*list, name, n) == 0)
            return true;
    return false;
}

/* ---- classes that read vocab.txt ---- */

typedef struct bert_class {
    const char *const *names;
    const char *cls, *sep, *pad, *unk, *mask;
    const char *post; /* what stands around texts */
    bool mask_lstrip;
} bert_class;
static const char *const bert_names[] = {"BertTokenizer",
                                         "DistilBertTokenizer",
                                         "ElectraTokenizer",
                                         "LayoutLMTokenizer",
                                         "SqueezeBertTokenizer",
                                         "ConvBertTokenizer",
                                         "MobileBertTokenizer",
                                         "LxmertTokenizer",
                                         "RetriBertTokenizer",
                                         "RealmTokenizer",
                                         "DPRQuestionEncoderTokenizer",
                                         "DPRContextEncoderTokenizer",
                                         "DPRReaderTokenizer",
                                         NULL},
                         *const mpnet_names[] = {"MPNetTokenizer", NULL};
static const bert_class bert_classes[] = {
    {bert_names, "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "BertProcessing", false},
    {mpnet_names, "<s>", "</s>", "<pad>", "[UNK]", "<mask>", "RobertaProcessing", true},
};

static weft_status find_bert_class(const wf_json *options, bert_class *out, weft_error *err) {
    const char *name = wf_json_text(options, "tokenizer_class", bert_names[0]);
    for (size_t i = 0; i < sizeof bert_classes / sizeof *bert_classes; i++)
        if (is_class(name, bert_classes[i].names)) {
            *out = bert_classes[i];
            out->cls = said_token(options, "cls_token", out->cls);
            out->sep = said_token(options, "sep_token", out->sep);
            out->pad = said_token(options, "pad_token", out->pad);
            out->unk = said_token(options, "unk_token", out->unk);
            out->mask = said_token(options, "mask_token", out->mask);
            return WEFT_OK;
        }
    return wf_fail(err, WEFT_UNSUPPORTED, "vocab.txt for the class %s", name);
}

static void write_pair(wf_json_writer *w, const char *key, const wf_vocab_entry *e, const char *name) {
    wf_jw_open(w, key, '[');
    wf_jw_string(w, name);
    wf_jw_int(w, e->id);
    wf_jw_end(w, ']');
}

static void write_bert_added(wf_json_writer *w, const wf_vocab *v, const bert_class *c) {
    const char *const names[] = {c->pad, c->unk, c->cls, c->sep, c->mask};
    wf_jw_open(w, "added_tokens", '[');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const wf_vocab_entry *e = find(v, names[i]);
        if (e)
            wf_jw_added(w, &(wf_added_entry){.id = e->id,
                                             .content = {names[i], strlen(names[i])},
                                             .special = true,
                                             .lstrip = names[i] == c->mask && c->mask_lstrip});
    }
    wf_jw_end(w, ']');
}

static void write_bert_post(wf_json_writer *w, const wf_vocab *v, const bert_class *c) {
    const wf_vocab_entry *cls = find(v, c->cls), *sep = find(v, c->sep);
    if (!cls || !sep)
        return;
    wf_jw_open(w, "post_processor", '{');
    wf_jw_text(w, "type", c->post);
    write_pair(w, "sep", sep, c->sep);
    write_pair(w, "cls", cls, c->cls);
    if (wf_streq(c->post, "RobertaProcessing")) { /* these two make it that */
        wf_jw_flag(w, "trim_offsets", true);
        wf_jw_flag(w, "add_prefix_space", false);
    }
    wf_jw_end(w, '}');
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

static void write_bert(wf_json_writer *w, const wf_vocab *v, const bert_class *c, const wf_json *options) {
    wf_jw_begin_tokenizer(w);
    write_bert_added(w, v, c);
    write_bert_normalizer(w, options);
    wf_jw_open(w, "pre_tokenizer", '{');
    wf_jw_text(w, "type", "BertPreTokenizer");
    wf_jw_end(w, '}');
    write_bert_post(w, v, c);
    wf_jw_open(w, "decoder", '{');
    wf_jw_text(w, "type", "WordPiece");
    wf_jw_text(w, "prefix", "##");
    wf_jw_flag(w, "cleanup", true);
    wf_jw_end(w, '}');
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "WordPiece");
    wf_jw_text(w, "unk_token", c->unk);
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
    bert_class c = bert_classes[0];
    WF_TRY(find_bert_class(in->options, &c, err));
    wf_vocab_init(&v, in->mem);
    weft_status status = read_lines(in->files[0], &v, err);
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        write_bert(&w, &v, &c, in->options);
    wf_vocab_free(&v);
    return status;
}

static const char *const vocab_txt_names[] = {"vocab.txt", NULL}, *const vocab_txt_options[] = {
                                                                      "tokenizer_class", "do_lower_case",
                                                                      "strip_accents",   "tokenize_chinese_chars",
                                                                      "cls_token",       "sep_token",
                                                                      "pad_token",       "unk_token",
                                                                      "mask_token",      NULL};
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

/* Classes of byte-level files: those that put tokens around texts, and those that put none. */
static const char *const roberta_names[] = {"RobertaTokenizer", "BartTokenizer", "LongformerTokenizer",
                                            "LEDTokenizer",     "MvpTokenizer",  NULL},
                         *const gpt2_names[] = {"GPT2Tokenizer", NULL};

/* vocab.json is copied as it stands; of its tokens only some are looked for. */
typedef struct known_tokens {
    wf_vocab sought; /* with their ids; NOWHERE: it has none such */
    bool ascii;      /* all that are sought */
    size_t count;    /* of all tokens */
} known_tokens;
#define NOWHERE UINT32_MAX

static bool holds(const known_tokens *known, const char *token) {
    const wf_vocab_entry *e = find(&known->sought, token);
    return e && e->id != NOWHERE;
}

/* Where the vocabulary lacks it: `fallback`. */
static uint32_t id_of(const known_tokens *known, const char *token, size_t fallback) {
    return holds(known, token) ? find(&known->sought, token)->id : (uint32_t)fallback;
}

static weft_status seek(known_tokens *known, const char *token, weft_error *err) {
    bool added;
    for (const char *c = token; *c; c++)
        known->ascii = known->ascii && (unsigned char)*c < 0x80;
    return wf_vocab_put(&known->sought, token, strlen(token), NOWHERE, &added, err);
}

static const char *const named_keys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"},
                         *const usual_tokens[] = {"<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>", NULL};
enum { NAMED = sizeof named_keys / sizeof *named_keys };

static weft_status seek_all(known_tokens *known, const wf_json *options, weft_error *err) {
    const wf_json *given = wf_json_get(options, "added_special");
    for (size_t i = 0; usual_tokens[i]; i++)
        WF_TRY(seek(known, usual_tokens[i], err));
    for (size_t i = 0; i < NAMED; i++)
        WF_TRY(seek(known, said_token(options, named_keys[i], ""), err));
    for (const wf_json *j = given ? given->child : NULL; j; j = j->next) {
        WF_CHECK(j->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "added_special must be a list of texts");
        WF_TRY(seek(known, j->string, err));
    }
    return WEFT_OK;
}

static void note(known_tokens *known, const char *token, size_t length, int64_t id) {
    const wf_vocab_entry *e = wf_vocab_find(&known->sought, token, length);
    if (e && id >= 0 && id < NOWHERE)
        known->sought.entries[e - known->sought.entries].id = (uint32_t)id;
    known->count++;
}

/* The next member, if its name has no escapes; or if it begins with that of a character beyond ASCII, which no token has that
 * is looked for. */
static bool note_quickly(wf_json_reader *r, known_tokens *known) {
    const char *key;
    size_t length, before = r->position;
    bool first = r->first;
    uint32_t id;
    if (!wf_json_quick_raw_count(r, &key, &length, &id))
        return false;
    bool beyond = known->ascii && length >= 6 && memcmp(key, "\\u", 2) == 0 && memcmp(key + 2, "000", 3) > 0 &&
                  !(memcmp(key + 2, "00", 2) == 0 && key[4] < '8');
    if (!beyond && memchr(key, '\\', length)) {
        r->position = before;
        r->first = first;
        return false;
    }
    if (beyond)
        known->count++;
    else
        note(known, key, length, id);
    return true;
}

/* What the loader of the result looks at again is not looked at here. */
static weft_status next_member(wf_json_reader *r, known_tokens *known, bool *ended) {
    wf_json_kind kind;
    const char *key, *value;
    size_t length, value_length;
    int64_t id = -1;
    WF_TRY(wf_json_next(r, &kind, &key, &length, &value, &value_length));
    *ended = kind == WF_JSON_END;
    if (*ended)
        return WEFT_OK;
    if (kind == WF_JSON_NUMBER && !wf_parse_i64(value, value_length, &id))
        id = -1;
    note(known, key, length, id);
    return kind == WF_JSON_ARRAY || kind == WF_JSON_OBJECT ? wf_json_skip(r) : WEFT_OK;
}

static weft_status find_members(wf_json_reader *r, known_tokens *known, weft_error *err) {
    wf_json_kind kind;
    WF_TRY(wf_json_next(r, &kind, NULL, NULL, NULL, NULL));
    WF_CHECK(kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "vocab.json must hold an object");
    for (bool ended = false; !ended;) {
        while (note_quickly(r, known))
            continue;
        WF_TRY(next_member(r, known, &ended));
    }
    return wf_json_next(r, &kind, NULL, NULL, NULL, NULL); /* nothing but white space may follow */
}

/* Tokens that tokenizer_config.json names beside the usual ones follow at the end. */
static void write_named_tokens(wf_json_writer *w, const known_tokens *vocab, const wf_json *options, const char *const *usual) {
    size_t next = vocab->count;
    for (size_t i = 0; i < NAMED; i++) {
        const char *token = said_token(options, named_keys[i], "");
        bool known = !token[0];
        for (size_t k = 0; usual[k]; k++)
            known = known || (wf_streq(usual[k], token) && holds(vocab, token));
        for (size_t k = 0; k < i; k++)
            known = known || wf_streq(said_token(options, named_keys[k], ""), token);
        if (!known)
            wf_jw_special(w, id_of(vocab, token, next), (wf_bytes){token, strlen(token)});
        next += !known && !holds(vocab, token);
    }
}

static weft_status check_class(const wf_json *options, weft_error *err) {
    const char *class = wf_json_text(options, "tokenizer_class", roberta_names[0]);
    bool roberta = is_class(class, roberta_names);
    WF_CHECK(roberta || is_class(class, gpt2_names), err, WEFT_UNSUPPORTED, "vocab.json and merges.txt for the class %s",
             class);
    WF_CHECK(wf_streq(said_token(options, "cls_token", "<s>"), "<s>") || !roberta, err, WEFT_UNSUPPORTED,
             "%s with another 'cls_token' than usual", class);
    WF_CHECK(wf_streq(said_token(options, "sep_token", "</s>"), "</s>") || !roberta, err, WEFT_UNSUPPORTED,
             "%s with another 'sep_token' than usual", class);
    WF_CHECK(!wf_json_bool(options, "add_bos_token", false) && !wf_json_bool(options, "add_eos_token", false), err,
             WEFT_UNSUPPORTED, "add_bos_token or add_eos_token for vocab.json and merges.txt");
    return WEFT_OK;
}

/* The tokens of the options, or those that published files of this kind have. */
static void write_gpt2_added(wf_json_writer *w, const known_tokens *vocab, const wf_json *options) {
    static const char *const gpt2[] = {"<|endoftext|>", NULL};
    const char *class = wf_json_text(options, "tokenizer_class", "");
    const char *const *usual = is_class(class, gpt2_names)      ? gpt2
                               : is_class(class, roberta_names) ? usual_tokens + 1
                                                                : usual_tokens;
    const wf_json *given = wf_json_get(options, "added_special");
    wf_jw_open(w, "added_tokens", '[');
    for (const wf_json *j = given ? given->child : NULL; j; j = j->next)
        wf_jw_special(w, id_of(vocab, j->string, vocab->count), (wf_bytes){j->string, j->length});
    for (size_t i = 0; !given && usual[i]; i++)
        if (holds(vocab, usual[i]))
            wf_jw_special(w, id_of(vocab, usual[i], 0), (wf_bytes){usual[i], strlen(usual[i])});
    write_named_tokens(w, vocab, options, usual);
    wf_jw_end(w, ']');
}

static void write_roberta_pair(wf_json_writer *w, const known_tokens *vocab, const char *key, const char *token) {
    wf_jw_open(w, key, '[');
    wf_jw_string(w, token);
    wf_jw_int(w, id_of(vocab, token, 0));
    wf_jw_end(w, ']');
}

/* A vocabulary with <s> and </s> puts them around texts. */
static void write_gpt2_post(wf_json_writer *w, const known_tokens *vocab, bool bare, bool prefix_space) {
    if (bare || !holds(vocab, "<s>") || !holds(vocab, "</s>")) {
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

static void write_gpt2(const wf_kind_input *in, const known_tokens *vocab, wf_json_writer *w) {
    bool prefix_space = wf_json_bool(in->options, "add_prefix_space", false);
    wf_jw_begin_tokenizer(w);
    write_gpt2_added(w, vocab, in->options);
    wf_jw_null_member(w, "normalizer");
    wf_jw_byte_level(w, "pre_tokenizer", prefix_space, true, true);
    write_gpt2_post(w, vocab, is_class(wf_json_text(in->options, "tokenizer_class", ""), gpt2_names), prefix_space);
    wf_jw_byte_level(w, "decoder", true, true, true);
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", "BPE");
    wf_jw_key(w, "vocab");
    wf_jw_raw(w, in->files[0].data, in->files[0].length);
    write_merges(w, in->files[1]);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
}

static weft_status find_known(const wf_kind_input *in, known_tokens *known, weft_error *err) {
    wf_json_reader r;
    WF_TRY(seek_all(known, in->options, err));
    wf_json_open(&r, in->mem, in->files[0].data, in->files[0].length, err);
    weft_status status = find_members(&r, known, err);
    wf_json_close(&r);
    return status;
}

static weft_status convert_vocab_merges(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_json_writer w;
    known_tokens known = {.ascii = true};
    WF_TRY(check_class(in->options, err));
    WF_TRY(check_words(in->options, "pre_tokenizer", "byte-level, GPT-2 pattern", err));
    WF_TRY(check_words(in->options, "post_processor", "offsets not trimmed", err));
    wf_vocab_init(&known.sought, in->mem);
    weft_status status = find_known(in, &known, err);
    if (status == WEFT_OK && !wf_utf8_valid((const uint8_t *)in->files[1].data, in->files[1].length))
        status = wf_fail(err, WEFT_BAD_INPUT, "merges.txt is not UTF-8");
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        write_gpt2(in, &known, &w);
    wf_vocab_free(&known.sought);
    return status;
}

static const char *const vocab_merges_names[] = {"vocab.json+merges.txt", NULL},
                         *const vocab_merges_options[] = {
                             "tokenizer_class", "add_prefix_space", "added_special", "post_processor", "pre_tokenizer",
                             "add_bos_token",   "add_eos_token",    "bos_token",     "eos_token",      "unk_token",
                             "sep_token",       "pad_token",        "cls_token",     "mask_token",     NULL};
const wf_file_kind wf_kind_vocab_merges = {.name = "vocab.json+merges.txt",
                                           .folder = vocab_merges_names,
                                           .options = vocab_merges_options,
                                           .files = 2,
                                           .halves = true,
                                           .convert = convert_vocab_merges};
