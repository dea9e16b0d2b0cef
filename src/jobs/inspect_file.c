/* inspect_file.c - files: their tensors (checkpoints of a training run among them), tokenizers. */
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "formats/tensor_file.h"
#include "jobs/inspect.h"
#include "jobs/put.h"

/* ---- tensors ---- */
static int64_t elements(const wf_stored_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

static void put_tensor(wf_job *job, wf_json *list, const wf_stored_tensor *t) {
    wf_json *one = wf_json_push(list, wf_json_new(job->arena, WF_JSON_OBJECT)), *shape;
    wf_put_text(job->arena, one, "name", t->name);
    wf_put_text(job->arena, one, "dtype", t->dtype);
    shape = wf_put_list(job->arena, one, "shape");
    wf_str_printf(&job->text, "  %-56s %-8s [", t->name, t->dtype);
    for (int i = 0; i < t->rank; i++) {
        wf_json_push(shape, wf_json_new_int(job->arena, t->dims[i]));
        wf_str_printf(&job->text, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
    }
    wf_str_puts(&job->text, "]\n");
    wf_put_int(job->arena, one, "bytes", (int64_t)t->size);
    wf_put_int(job->arena, one, "offset", (int64_t)t->offset);
}

/* Long values, such as the digests of a checkpoint, are cut in the text. */
static void put_metadata(wf_job *job, const wf_tensor_file *file) {
    wf_json *out = wf_put_object(job->arena, job->json, "metadata");
    for (size_t i = 0; i < file->n_metadata; i++) {
        const wf_stored_text *m = &file->metadata[i];
        wf_put_text(job->arena, out, m->key, m->value);
        wf_str_printf(&job->text, "  %s: %.80s%s\n", m->key, m->value, strlen(m->value) > 80 ? "..." : "");
    }
}

static bool is_checkpoint(const wf_tensor_file *file) {
    for (size_t i = 0; i < file->n_metadata; i++)
        if (wf_streq(file->metadata[i].key, "format") && wf_starts_with(file->metadata[i].value, "weft-checkpoint"))
            return true;
    return false;
}

static void put_totals(wf_job *job, const wf_tensor_file *file, const char *path) {
    size_t bytes = 0;
    int64_t total = 0;
    char size[16], number[16];
    for (size_t i = 0; i < file->count; i++) {
        total += elements(&file->list[i]);
        bytes += file->list[i].size;
    }
    wf_format_bytes((double)bytes, size);
    wf_format_count((double)total, number);
    wf_str_printf(&job->text, "%s: %s, %zu tensors, %s elements, %s%s\n", path, file->kind->name, file->count, number, size,
                  is_checkpoint(file) ? ", a checkpoint of a training run" : "");
    wf_put_text(job->arena, job->json, "file", path);
    wf_put_text(job->arena, job->json, "kind", file->kind->name);
    wf_put_int(job->arena, job->json, "elements", total);
    wf_put_int(job->arena, job->json, "bytes", (int64_t)bytes);
}

weft_status wf_inspect_tensors(wf_job *job, const char *path) {
    wf_tensor_file *file;
    WF_TRY(wf_tensor_file_open(&job->env->mem, path, &file, job->err));
    put_totals(job, file, path);
    put_metadata(job, file);
    wf_json *list = wf_put_list(job->arena, job->json, "tensors");
    for (size_t i = 0; i < file->count; i++)
        put_tensor(job, list, &file->list[i]);
    wf_tensor_file_free(file);
    return WEFT_OK;
}

/* ---- tokenizer.json ---- */
typedef struct tokenizer_facts {
    bool is;
    char type[32]; /* as the file says, else by its members */
    bool scores, merged, words;
    int64_t vocab, merges, added;
} tokenizer_facts;

typedef struct scan { /* over the members of one object */
    wf_json_reader *r;
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, value_length;
} scan;

static weft_status next(scan *s) { return wf_json_next(s->r, &s->kind, &s->key, &s->key_length, &s->value, &s->value_length); }
static bool at_key(const scan *s, const char *key) {
    return s->key_length == strlen(key) && memcmp(s->key, key, s->key_length) == 0;
}
static bool entered(const scan *s) { return s->kind == WF_JSON_ARRAY || s->kind == WF_JSON_OBJECT; }

/* Elements of the level just entered. */
static weft_status count_level(scan *s, int64_t *n) {
    *n = 0;
    for (;; (*n)++) {
        WF_TRY(next(s));
        if (s->kind == WF_JSON_END)
            return WEFT_OK;
        if (entered(s))
            WF_TRY(wf_json_skip(s->r));
    }
}

static weft_status scan_model(scan *s, tokenizer_facts *f) {
    for (;;) {
        WF_TRY(next(s));
        if (s->kind == WF_JSON_END)
            return WEFT_OK;
        if (at_key(s, "type") && s->kind == WF_JSON_STRING)
            snprintf(f->type, sizeof f->type, "%.*s", (int)s->value_length, s->value);
        else if (at_key(s, "vocab") && entered(s)) {
            f->scores = s->kind == WF_JSON_ARRAY;
            WF_TRY(count_level(s, &f->vocab));
        } else if (at_key(s, "merges") && entered(s)) {
            f->merged = true;
            WF_TRY(count_level(s, &f->merges));
        } else if (at_key(s, "continuing_subword_prefix"))
            f->words = true;
        else if (entered(s))
            WF_TRY(wf_json_skip(s->r));
    }
}

/* A spec has neither a "model" with a vocabulary nor added tokens. */
static weft_status scan_tokenizer(scan *s, tokenizer_facts *f) {
    WF_TRY(next(s));
    if (s->kind != WF_JSON_OBJECT)
        return WEFT_OK;
    for (;;) {
        WF_TRY(next(s));
        if (s->kind == WF_JSON_END)
            break;
        f->is |= at_key(s, "added_tokens");
        if (at_key(s, "model") && s->kind == WF_JSON_OBJECT)
            WF_TRY(scan_model(s, f));
        else if (at_key(s, "added_tokens") && entered(s))
            WF_TRY(count_level(s, &f->added));
        else if (entered(s))
            WF_TRY(wf_json_skip(s->r));
    }
    f->is |= f->vocab > 0;
    return WEFT_OK;
}

static void tell_tokenizer(wf_job *job, const char *path, const tokenizer_facts *f) {
    const char *type = f->type[0] ? f->type : f->scores ? "Unigram" : f->merged ? "BPE" : f->words ? "WordPiece" : "WordLevel";
    wf_str_printf(&job->text, "%s: a tokenizer, model %s, %lld tokens, %lld merges, %lld added tokens\n", path, type,
                  (long long)f->vocab, (long long)f->merges, (long long)f->added);
    wf_put_text(job->arena, job->json, "file", path);
    wf_put_text(job->arena, job->json, "tokenizer", type);
    wf_put_int(job->arena, job->json, "vocab", f->vocab);
    wf_put_int(job->arena, job->json, "merges", f->merges);
    wf_put_int(job->arena, job->json, "added_tokens", f->added);
}

weft_status wf_inspect_tokenizer(wf_job *job, const char *path, bool *is) {
    wf_file file;
    wf_json_reader r;
    tokenizer_facts f = {.is = false};
    WF_TRY(wf_file_open(&job->env->mem, path, true, 0, &file, job->err));
    wf_json_open(&r, &job->env->mem, (const char *)file.data, file.size, job->err);
    weft_status status = scan_tokenizer(&(scan){.r = &r}, &f);
    if (status != WEFT_OK)
        wf_fail_in(job->err, "%s", path);
    wf_json_close(&r);
    wf_file_close(&file);
    *is = f.is;
    if (status == WEFT_OK && f.is)
        tell_tokenizer(job, path, &f);
    return status;
}
