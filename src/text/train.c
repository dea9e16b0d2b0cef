/* train.c - training any kind of model: counting words, the table of trainers, writing the result. */
#include "text/train.h"

#include <string.h>

#include "text/engine.h"
#include "text/write_json.h"

/* ---- the table ---- */

static const char *const merge_options[] = {"min_frequency",
                                            "initial_alphabet",
                                            "limit_alphabet",
                                            "continuing_subword_prefix",
                                            "end_of_word_suffix",
                                            "max_token_length",
                                            NULL};
static const char *const wordlevel_options[] = {"min_frequency", NULL};
static const char *const unigram_options[] = {
    "unk_token", "max_piece_length", "n_sub_iterations", "seed_size", "shrinking_factor", "initial_alphabet", NULL};
static const char *const bpe_replaced[] = {"vocab", "merges", "continuing_subword_prefix", "end_of_word_suffix", NULL};
static const char *const wordpiece_replaced[] = {"vocab", "continuing_subword_prefix", NULL};
static const char *const wordlevel_replaced[] = {"vocab", NULL};
static const char *const unigram_replaced[] = {"vocab", "unk_id", NULL};
static const wf_trainer_row rows[] = {
    {"BPE", merge_options, 30000, wf_train_bpe, bpe_replaced},
    {"WordPiece", merge_options, 30000, wf_train_wordpiece, wordpiece_replaced},
    {"WordLevel", wordlevel_options, 30000, wf_train_wordlevel, wordlevel_replaced},
    {"Unigram", unigram_options, 8000, wf_train_unigram, unigram_replaced},
};

static const wf_trainer_row *find_row(const char *model) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].model, model))
            return &rows[i];
    return NULL;
}

/* ---- counting ---- */

typedef struct counting {
    wf_word_counts *c;
    weft_error *err;
} counting;

static weft_status count_word(void *user, wf_bytes word) {
    counting *k = user;
    wf_vocab *v = &k->c->words;
    bool added;
    WF_TRY(wf_vocab_put(v, word.data, word.length, (uint32_t)v->count, &added, k->err));
    WF_TRY(wf_grow(v->mem, (void **)&k->c->counts, &k->c->capacity, v->count, sizeof *k->c->counts, k->err));
    uint32_t id = wf_vocab_find(v, word.data, word.length)->id;
    k->c->counts[id] = added ? 1 : k->c->counts[id] + 1;
    return WEFT_OK;
}

static weft_status count_texts(const wf_training *how, const wf_bytes *texts, size_t n, wf_word_counts *c, weft_error *err) {
    wf_encoder *e;
    counting k = {c, err};
    WF_TRY(wf_encoder_create(how->start, &e, err));
    weft_status status = WEFT_OK;
    for (size_t i = 0; i < n && status == WEFT_OK; i++) {
        status = wf_encoder_words(e, texts[i], count_word, &k, err);
        if (status == WEFT_OK && how->env && wf_stopped(how->env) != WEFT_OK)
            status = wf_fail(err, wf_stopped(how->env), "stopped");
    }
    wf_encoder_free(e);
    return status;
}

/* ---- options ---- */

static weft_status check_options(const wf_trainer_in *in, const wf_trainer_row *row) {
    static const char *const common[] = {"type", "vocab_size", "special_tokens", "show_progress", NULL};
    for (const wf_json *j = in->options ? in->options->child : NULL; j; j = j->next) {
        bool known = false;
        for (int i = 0; common[i]; i++)
            known = known || wf_streq(common[i], j->key);
        for (int i = 0; row->options[i]; i++)
            known = known || wf_streq(row->options[i], j->key);
        WF_CHECK(known, in->err, WEFT_UNSUPPORTED, "the trainer of %s has no option '%s'", row->model, j->key);
    }
    return WEFT_OK;
}

/* "<s>", or an object with its content. */
static weft_status read_specials(wf_trainer_in *in) {
    const wf_json *list = wf_json_get(in->options, "special_tokens");
    size_t room = list ? list->count + 1 : 1;
    in->specials = wf_arena_alloc(in->l->arena, room * sizeof *in->specials);
    in->special_ids = wf_arena_alloc(in->l->arena, room * sizeof *in->special_ids);
    if (!in->specials || !in->special_ids)
        return wf_fail_memory(in->err);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        const wf_json *text = j->kind == WF_JSON_OBJECT ? wf_json_get(j, "content") : j;
        WF_CHECK(text && text->kind == WF_JSON_STRING && text->length, in->err, WEFT_USAGE,
                 "special_tokens must be a list of texts");
        in->special_ids[in->n_specials] = (uint32_t)in->n_specials;
        in->specials[in->n_specials++] = (wf_bytes){text->string, text->length};
    }
    return WEFT_OK;
}

/* ---- the result ---- */

static bool is_listed(const char *const *names, const char *name) {
    for (; *names; names++)
        if (wf_streq(*names, name))
            return true;
    return false;
}

static weft_status write_model(const wf_trainer_in *in, const wf_trainer_row *row, const wf_json *model, wf_json_writer *w) {
    wf_jw_begin(w, '{');
    for (const wf_json *j = model->child; j; j = j->next)
        if (!is_listed(row->replaced, j->key)) {
            wf_jw_key(w, j->key);
            wf_jw_json(w, j);
        }
    WF_TRY(row->train(in, w));
    wf_jw_end(w, '}');
    return WEFT_OK;
}

static void write_specials(const wf_trainer_in *in, wf_json_writer *w) {
    wf_jw_open(w, "added_tokens", '[');
    for (size_t i = 0; i < in->n_specials; i++)
        wf_jw_special(w, in->special_ids[i], in->specials[i]);
    wf_jw_end(w, ']');
}

static void write_around(const wf_trainer_in *in, const wf_json *start, const wf_str *model, wf_json_writer *w) {
    bool specials = false;
    for (const wf_json *j = start->child; j; j = j->next) {
        if (wf_streq(j->key, "model")) {
            wf_jw_key(w, j->key);
            wf_str_put(w->out, model->data, model->length);
            w->after_key = false;
        } else if (wf_streq(j->key, "added_tokens")) {
            write_specials(in, w);
            specials = true;
        } else {
            wf_jw_key(w, j->key);
            wf_jw_json(w, j);
        }
    }
    if (!specials)
        write_specials(in, w);
}

/* The model is written first, to a text of its own: the ids of the special tokens, which stand before it, come from it. */
static weft_status write_trained(const wf_trainer_in *in, const wf_trainer_row *row, const wf_json *start, wf_json_writer *w) {
    wf_str model = wf_str_new(in->mem);
    wf_jw_begin(w, '{');
    wf_json_writer inner = *w;
    inner.out = &model;
    inner.after_key = true;
    weft_status status = write_model(in, row, wf_json_get(start, "model"), &inner);
    if (status == WEFT_OK && model.failed)
        status = wf_fail_memory(in->err);
    if (status == WEFT_OK)
        write_around(in, start, &model, w);
    wf_jw_end(w, '}');
    wf_str_free(&model);
    return status;
}

static weft_status train(wf_trainer_in *in, wf_arena *arena, wf_str *json) {
    const wf_tokenizer *start = in->l->tok;
    const wf_trainer_row *row = find_row(start->model_row->name);
    wf_json *tree;
    wf_json_writer w;
    WF_CHECK(row, in->err, WEFT_UNSUPPORTED, "training a model of type %s", start->model_row->name);
    WF_TRY(check_options(in, row));
    WF_TRY(read_specials(in));
    WF_TRY(wf_load_count(in->l, in->options, "vocab_size", row->vocab_size, &in->vocab_size));
    WF_CHECK(in->vocab_size > 0 && in->vocab_size <= 1u << 24, in->err, WEFT_USAGE, "a vocabulary of %zu tokens",
             in->vocab_size);
    WF_TRY(wf_json_parse(arena, start->json, start->json_length, 0, &tree, in->err));
    wf_json_writer_init(&w, json, 2);
    WF_TRY(write_trained(in, row, tree, &w));
    wf_str_putc(json, '\n');
    return json->failed ? wf_fail_memory(in->err) : WEFT_OK;
}

static weft_status train_on_words(const wf_mem *mem, const wf_training *how, const wf_word_counts *words, wf_str *json,
                                  weft_error *err) {
    wf_arena arena;
    wf_tokenizer start = *how->start; /* the loading asks for a tokenizer that it may write to; nothing is written */
    wf_arena_init(&arena, mem, 0);
    wf_loading l = {.tok = &start, .arena = &arena, .mem = mem, .where = "the trainer", .err = err};
    wf_trainer_in in = {.mem = mem, .env = how->env, .words = words, .l = &l, .options = how->options, .err = err};
    weft_status status = train(&in, &arena, json);
    wf_arena_free(&arena);
    return status;
}

weft_status wf_tokenizer_train_on(const wf_mem *mem, const wf_training *how, const wf_bytes *texts, size_t n,
                                  wf_tokenizer **out, weft_error *err) {
    wf_word_counts words = {0};
    wf_str json = wf_str_new(mem);
    wf_vocab_init(&words.words, mem);
    weft_status status = count_texts(how, texts, n, &words, err);
    if (status == WEFT_OK)
        status = train_on_words(mem, how, &words, &json, err);
    if (status == WEFT_OK)
        status = wf_tokenizer_parse(mem, json.data, json.length, out, err);
    wf_str_free(&json);
    wf_vocab_free(&words.words);
    wf_free(mem, words.counts);
    return status;
}

/* ---- what to begin with ---- */

typedef struct blank_row {
    const char *kind, *json;
} blank_row;
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"
#define METASPACE "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"always\",\"split\":true}"
static const blank_row blanks[] = {
    {"bpe", "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,\"pre_"
            "tokenizer\":" BYTE_LEVEL ",\"post_processor\":null,\"decoder\":" BYTE_LEVEL
            ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_"
            "suffix\":null,"
            "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{},\"merges\":[]}}"},
    {"bpe-char", "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,\"pre_"
                 "tokenizer\":" METASPACE ",\"post_processor\":null,\"decoder\":" METASPACE
                 ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_"
                 "word_suffix\":null,"
                 "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{},\"merges\":[]}}"},
    {"wordpiece",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":{\"type\":"
     "\"BertNormalizer\",\"clean_text\":"
     "true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":"
     "\"BertPreTokenizer\"},"
     "\"post_processor\":null,\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},\"model\":{\"type\":"
     "\"WordPiece\","
     "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{}}}"},
    {"unigram", "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":{\"type\":"
                "\"NFKC\"},\"pre_tokenizer\":" METASPACE ",\"post_processor\":null,\"decoder\":" METASPACE
                ",\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0]],\"byte_fallback\":false}}"},
    {"wordlevel",
     "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{"
     "\"type\":\"Whitespace\"},"
     "\"post_processor\":null,\"decoder\":null,\"model\":{\"type\":\"WordLevel\",\"vocab\":{},\"unk_token\":\"[UNK]\"}}"},
};

weft_status wf_tokenizer_blank(const wf_mem *mem, const char *kind, wf_tokenizer **out, weft_error *err) {
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        if (wf_streq(blanks[i].kind, kind))
            return wf_tokenizer_parse(mem, blanks[i].json, strlen(blanks[i].json), out, err);
    return wf_fail(err, WEFT_USAGE, "tokenizers of kind '%s'; there are bpe, bpe-char, wordpiece, unigram and wordlevel", kind);
}
