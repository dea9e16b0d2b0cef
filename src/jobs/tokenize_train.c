/* tokenize_train.c - a new tokenizer from texts. */
#include "base/reader.h"
#include "jobs/put.h"
#include "jobs/tokenize.h"

/* What trainers of a kind are usually told beside the sizes: a token for what is unknown, the letters of the byte level. */
typedef struct usual_row {
    const char *kind;
    const char *unknown; /* the first special token; NULL: none is needed */
    bool named;          /* the trainer has to be told which one it is */
    bool bytes;          /* every byte has a letter, seen or not */
} usual_row;
static const usual_row usual[] = {
    {"bpe", NULL, false, true},
    {"wordpiece", "[UNK]", false, false},
    {"unigram", "<unk>", true, false},
    {"wordlevel", "[UNK]", false, false},
};

static const usual_row *find_usual(const char *kind) {
    static const usual_row nothing = {0};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (wf_streq(usual[i].kind, kind))
            return &usual[i];
    return &nothing;
}

/* The letters that GPT-2 gave to the bytes: printable ones stand for themselves, the others follow from U+0100 on. */
static wf_json *byte_letters(wf_arena *arena) {
    wf_json *list = wf_json_new(arena, WF_JSON_ARRAY);
    for (unsigned b = 0, next = 256; b < 256; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        unsigned c = printable ? b : next++;
        char letter[2] = {(char)(c < 128 ? c : 0xC0u | c >> 6), (char)(0x80u | (c & 0x3Fu))};
        wf_json_push(list, wf_json_new_string(arena, letter, c < 128 ? 1 : 2));
    }
    return list;
}

static bool lists(const wf_json *list, const char *word) {
    for (const wf_json *one = list ? list->child : NULL; one; one = one->next)
        if (wf_json_is_string(one, word) || wf_json_is_string(wf_json_get(one, "content"), word))
            return true;
    return false;
}

/* The special tokens asked for, that for the unknown in front unless it is among them. */
static void put_special_tokens(wf_job *job, const wf_tokenize_request *r, const usual_row *row, wf_json *options) {
    const wf_json *given = r->special_tokens && r->special_tokens->kind != WF_JSON_NULL
                               ? r->special_tokens
                               : wf_json_get(options, "special_tokens");
    bool single = given && given->kind != WF_JSON_ARRAY;
    wf_json *list = wf_json_new(job->arena, WF_JSON_ARRAY);
    if (row->unknown && !lists(given, row->unknown) && !(single && wf_json_is_string(given, row->unknown)))
        wf_json_push(list, wf_json_new_string(job->arena, row->unknown, strlen(row->unknown)));
    for (const wf_json *one = single ? given : given ? given->child : NULL; one; one = single ? NULL : one->next)
        wf_json_push(list, wf_json_copy(job->arena, one));
    wf_json_put(job->arena, options, "special_tokens", list);
    if (row->named && !wf_json_get(options, "unk_token"))
        wf_put_text(job->arena, options, "unk_token", row->unknown);
}

/* The options of the trainer: its object, over it those that have options of their own, under it the usual ones. */
static weft_status trainer_options(wf_job *job, const wf_tokenize_request *r, wf_json **out) {
    const usual_row *row = find_usual(r->train);
    wf_json *parsed = NULL;
    if (r->trainer && r->trainer->kind == WF_JSON_STRING) {
        weft_status status = wf_json_parse(job->arena, r->trainer->string, r->trainer->length, 0, &parsed, job->err);
        if (status)
            return wf_fail(job->err, WEFT_USAGE, "tokenize: 'trainer' is no JSON object");
    }
    const wf_json *given = parsed ? parsed : r->trainer;
    WF_CHECK(!given || given->kind == WF_JSON_OBJECT, job->err, WEFT_USAGE, "tokenize: 'trainer' must be an object of options");
    *out = given ? wf_json_copy(job->arena, given) : wf_json_new(job->arena, WF_JSON_OBJECT);
    if (r->vocab)
        wf_put_int(job->arena, *out, "vocab_size", r->vocab);
    if (r->min_frequency >= 0)
        wf_put_int(job->arena, *out, "min_frequency", r->min_frequency);
    if (row->bytes && !wf_json_get(*out, "initial_alphabet"))
        wf_json_put(job->arena, *out, "initial_alphabet", byte_letters(job->arena));
    put_special_tokens(job, r, row, *out);
    return job->arena->failed ? wf_fail_memory(job->err) : WEFT_OK;
}

static weft_status output_path(wf_job *job, const wf_tokenize_request *r, const char **out) {
    WF_CHECK(r->out, job->err, WEFT_USAGE, "tokenize: where to? 'out' names a file or a folder");
    if (wf_ends_with(r->out, "/"))
        WF_TRY(wf_make_dir(r->out, job->err));
    *out = wf_is_dir(r->out) ? wf_path_join(job->arena, r->out, "tokenizer.json") : r->out;
    return *out ? WEFT_OK : wf_fail_memory(job->err);
}

static weft_status train(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *start, const wf_tokenize_texts *texts,
                         wf_tokenizer **out) {
    wf_json *options = NULL;
    weft_progress p = wf_progress_new("tokenize", r->train);
    WF_TRY(trainer_options(job, r, &options));
    wf_job_report(job, &p);
    return wf_tokenizer_train_on(&job->env->mem, &(wf_training){start, options, job->env}, texts->list, texts->count, out,
                                 job->err);
}

static void tell(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, const wf_tokenize_texts *texts,
                 const char *path, double seconds) {
    size_t count = wf_tokenizer_vocab(tok);
    if (r->vocab && count > (size_t)r->vocab)
        wf_log(job->env, WF_WARN, "%zu tokens, not %lld: so many the alphabet and the special tokens have alone", count,
               (long long)r->vocab);
    wf_put_text(job->arena, job->json, "kind", r->train);
    wf_put_text(job->arena, job->json, "out", path);
    wf_put_int(job->arena, job->json, "vocab", (int64_t)count);
    wf_put_int(job->arena, job->json, "texts", (int64_t)texts->count);
    wf_put_int(job->arena, job->json, "bytes", (int64_t)texts->text.length);
    wf_put_number(job->arena, job->json, "seconds", seconds);
    wf_str_printf(&job->text, "%s: %zu tokens from %zu bytes of text (%.1f s)\n", path, count, texts->text.length, seconds);
}

static weft_status train_and_save(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *start, const char *path) {
    wf_tokenize_texts texts;
    wf_tokenizer *tok = NULL;
    double started = wf_seconds();
    WF_TRY(wf_tokenize_load(job, r, &texts));
    weft_status status = train(job, r, start, &texts, &tok);
    if (status == WEFT_OK)
        status = wf_tokenizer_save(tok, path, job->err);
    if (status == WEFT_OK)
        tell(job, r, tok, &texts, path, wf_seconds() - started);
    wf_tokenizer_free(tok);
    wf_tokenize_texts_free(&texts);
    return status;
}

weft_status wf_tokenize_train(wf_job *job, const wf_tokenize_request *r) {
    wf_tokenizer *start;
    const char *path;
    WF_CHECK(!r->tokenizer, job->err, WEFT_USAGE,
             "tokenize: training makes a tokenizer; 'like' names one whose rules it takes over");
    WF_TRY(output_path(job, r, &path));
    if (r->like)
        WF_TRY(wf_tokenizer_open(&job->env->mem, r->like, &start, job->err));
    else
        WF_TRY(wf_tokenizer_blank(&job->env->mem, r->train, &start, job->err));
    weft_status status = train_and_save(job, r, start, path);
    wf_tokenizer_free(start);
    return status;
}
