#include "jobs/source.h"
#include <string.h>
#include "base/reader.h"
#include "jobs/subject.h"

weft_status wf_job_strings(wf_job *job, const char *key, const char *const **out, size_t *count) {
    const wf_json *j = wf_json_get(job->options, key);
    *count = 0;
    *out = NULL;
    if (!j || j->kind == WF_JSON_NULL)
        return WEFT_OK;
    bool list = j->kind == WF_JSON_ARRAY;
    WF_CHECK(list || j->kind == WF_JSON_STRING, job->err, WEFT_USAGE, "'%s' must be a list of strings", key);
    const char **all = wf_arena_alloc(job->arena, (list ? j->count + 1 : 2) * sizeof *all);
    if (!all)
        return wf_fail_memory(job->err);
    *out = all;
    for (const wf_json *c = list ? j->child : j; c; c = list ? c->next : NULL) {
        WF_CHECK(c->kind == WF_JSON_STRING, job->err, WEFT_USAGE, "'%s' must be a list of strings", key);
        all[(*count)++] = c->string;
    }
    return WEFT_OK;
}

static weft_status make_tokenizer(wf_job *job, const char *choice, const wf_text *text, wf_tokenizer **out) {
    static const char *const specials[] = {"<|endoftext|>"};
    int64_t entries = 0;
    if (wf_streq(choice, "byte"))
        return wf_tokenizer_bytes(&job->env->mem, specials, 1, out, job->err);
    WF_TRY(wf_subject_find(job, &choice));
    if (!wf_starts_with(choice, "bpe:"))
        return wf_tokenizer_open_on(&job->env->mem, job->env->pool, choice, out, job->err);
    WF_CHECK(wf_parse_i64(choice + 4, strlen(choice + 4), &entries) && entries >= 257 && entries <= 1000000, job->err,
             WEFT_USAGE, "tokenizer '%s': give bpe:N with N from 257 to 1000000", choice);
    wf_bpe_training how = {.vocab_size = (size_t)entries,
                           .specials = specials,
                           .n_specials = 1,
                           .ends = text->ends,
                           .n_ends = text->count,
                           .env = job->env};
    weft_progress p = wf_progress_new("tokenizer", choice);
    wf_job_report(job, &p);
    return wf_tokenizer_train(&job->env->mem, &how, text->bytes, text->length, out, job->err);
}

static weft_status load(wf_job *job, const wf_source_options *o, const char *const *paths, size_t n, wf_text *out) {
    wf_text_options how = {.format = o->format, .fields = o->fields, .n_fields = o->n_fields};
    return wf_text_load(job->env, paths, n, &how, out, job->err);
}

/* `val` is a share when it reads as a number, else a path. */
static weft_status read_validation(wf_job *job, const wf_source_options *o, wf_data_options *how, wf_source *s, bool *own) {
    double share;
    *own = false;
    if (!o->validation)
        return WEFT_OK;
    if (wf_parse_double(o->validation, strlen(o->validation), &share)) {
        WF_CHECK(share > 0 && share <= 0.5, job->err, WEFT_USAGE,
                 "val must be a share above 0 and up to 0.5, or a file; not %s", o->validation);
        how->validation = share;
        return WEFT_OK;
    }
    *own = true;
    return load(job, o, &o->validation, 1, &s->validation);
}

weft_status wf_source_open(wf_job *job, const wf_source_options *o, wf_source *s) {
    wf_data_options how = wf_data_options_usual(o->context);
    bool own;
    memset(s, 0, sizeof *s);
    s->text = wf_text_new(&job->env->mem);
    s->validation = wf_text_new(&job->env->mem);
    s->open = true;
    how.seed = o->seed;
    how.packed = o->packed;
    WF_CHECK(o->n_paths > 0, job->err, WEFT_USAGE, "no text given: name a file, a folder, or - for standard input");
    WF_TRY(load(job, o, o->paths, o->n_paths, &s->text));
    WF_TRY(read_validation(job, o, &how, s, &own));
    WF_TRY(make_tokenizer(job, o->tokenizer, &s->text, &s->tokenizer));
    return wf_data_create(job->env, s->tokenizer, &s->text, own ? &s->validation : NULL, &how, &s->data, job->err);
}

void wf_source_close(wf_source *s) {
    if (!s->open)
        return;
    wf_data_free(s->data);
    wf_tokenizer_free(s->tokenizer);
    wf_text_free(&s->text);
    wf_text_free(&s->validation);
    memset(s, 0, sizeof *s);
}
