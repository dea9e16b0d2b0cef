/* bench_tokenizers.c - text to ids: the lines of a text and the text as one, on one thread and on all; opening the file; and
 * whether an endless word costs more than its length. */
#include <string.h>
#include "base/pool.h"
#include "base/reader.h"
#include "jobs/bench.h"
#include "text/tokenizer.h"

enum { MOST_TEXT = 10 << 20, LITTLE_TEXT = 1 << 18, WORD = 1 << 20, ROUNDS = 5 };

typedef struct subject {
    wf_bench *b;
    const char *path;
    wf_tokenizer *tok;
    wf_encoder *encoder;   /* NULL: */
    wf_encoders *encoders; /* over the threads */
    wf_bytes *texts;
    size_t count, bytes, tokens;
} subject;

/* Every token of every text once; what is known of words comes from rounds before. */
static weft_status encode(void *state, double *seconds, weft_error *err) {
    subject *s = state;
    wf_ids *ids = wf_calloc(&s->b->job->env->mem, s->count, sizeof *ids);
    weft_status status = WEFT_OK;
    if (!ids)
        return wf_fail_memory(err);
    for (size_t i = 0; i < s->count; i++)
        ids[i] = wf_ids_new(&s->b->job->env->mem);
    double from = wf_seconds();
    if (s->encoders)
        status = wf_encode_many(s->encoders, s->texts, s->count, 0, ids, err);
    for (size_t i = 0; !s->encoders && i < s->count && status == WEFT_OK; i++)
        status = wf_encode(s->encoder, s->texts[i].data, s->texts[i].length, 0, &ids[i], err);
    *seconds = wf_seconds() - from;
    s->tokens = 0;
    for (size_t i = 0; i < s->count; i++) {
        s->tokens += ids[i].count;
        wf_ids_free(&ids[i]);
    }
    wf_free(&s->b->job->env->mem, ids);
    return status;
}

static weft_status open_again(void *state, double *seconds, weft_error *err) {
    subject *s = state;
    wf_tokenizer *tok;
    double from = wf_seconds();
    WF_TRY(wf_tokenizer_open_on(&s->b->job->env->mem, s->b->job->env->pool, s->path, &tok, err));
    *seconds = wf_seconds() - from;
    wf_tokenizer_free(tok);
    return WEFT_OK;
}

/* ---- the lines of the report ---- */

static const char *name_of(const subject *s) {
    const char *end = strrchr(s->path, '/'), *from = end;
    while (from && from > s->path && from[-1] != '/')
        from--;
    return from ? from : s->path;
}

static weft_status measure(subject *s, const char *what, const wf_bench_case *c, wf_bench_line **out) {
    wf_bench_line *line = wf_bench_add(s->b, "%s: %s", name_of(s), what);
    if (!line)
        return wf_fail_memory(s->b->job->err);
    WF_TRY(wf_bench_rounds(s->b, line, c, ROUNDS, encode, s));
    line->work = (double)s->bytes;
    line->roof = WF_ROOF_READ;
    line->tokens = (double)s->tokens;
    *out = line;
    return WEFT_OK;
}

static weft_status measure_lines(subject *s) {
    wf_bench_line *one, *all;
    const wf_env *env = s->b->job->env;
    WF_TRY(measure(s, "lines", &(wf_bench_case){.way = "lines", .subject = s->path}, &one));
    if (wf_pool_threads(env->pool) == 1)
        return WEFT_OK;
    WF_TRY(wf_encoders_create(s->tok, env, &s->encoders, s->b->job->err));
    weft_status status = measure(s, "lines, all threads", NULL, &all);
    wf_encoders_free(s->encoders);
    s->encoders = NULL;
    WF_TRY(status);
    all->note = wf_bench_text(s->b, "%.2f times one thread", one->ours.low / all->ours.low);
    return WEFT_OK;
}

static weft_status measure_whole(subject *s, wf_bytes text) {
    wf_bench_line *line;
    wf_bytes *lines = s->texts;
    size_t count = s->count;
    s->texts = &text;
    s->count = 1;
    weft_status status = measure(s, "one text", &(wf_bench_case){.way = "whole", .subject = s->path}, &line);
    s->texts = lines;
    s->count = count;
    return status;
}

/* A word that goes on for a megabyte, and one of twice that. */
static weft_status measure_word(subject *s) {
    wf_bench_line *line[2];
    char *letters = wf_arena_alloc(s->b->job->arena, 2 * WORD);
    wf_bytes *lines = s->texts, word = {letters, 0};
    size_t count = s->count, bytes = s->bytes;
    if (!letters)
        return wf_fail_memory(s->b->job->err);
    for (size_t i = 0; i < 2 * WORD; i++) /* letters that look like words and never repeat soon */
        letters[i] = "etaoinshrdlucmfwypvbgkjqxz"[(i * i * 7 + i / 3 * 11 + i / 1000) % 97 % 26];
    s->texts = &word;
    s->count = 1;
    weft_status status = WEFT_OK;
    for (int i = 0; i < 2 && status == WEFT_OK; i++) {
        s->bytes = word.length = (size_t)WORD << i;
        status = measure(s, i ? "one word of 2 MB" : "one word of 1 MB", NULL, &line[i]);
    }
    if (status == WEFT_OK)
        line[1]->note = wf_bench_text(s->b, "%.2f times half of it", line[1]->ours.low / line[0]->ours.low);
    s->texts = lines;
    s->count = count;
    s->bytes = bytes;
    return status;
}

static weft_status measure_all(subject *s, wf_bytes text) {
    wf_bench_line *line = wf_bench_add(s->b, "%s: opened", name_of(s));
    if (!line)
        return wf_fail_memory(s->b->job->err);
    WF_TRY(wf_bench_rounds(s->b, line, NULL, ROUNDS, open_again, s));
    WF_TRY(measure_lines(s));
    WF_TRY(measure_whole(s, text));
    return measure_word(s);
}

/* ---- the text ---- */

static weft_status cut_lines(subject *s, wf_bytes text) {
    const char *at = text.data, *end = at + text.length;
    size_t n = 1;
    for (const char *p = at; p < end; p++)
        n += *p == '\n';
    s->texts = wf_arena_alloc(s->b->job->arena, n * sizeof *s->texts);
    if (!s->texts)
        return wf_fail_memory(s->b->job->err);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop > at)
            s->texts[s->count++] = (wf_bytes){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    s->bytes = text.length;
    return WEFT_OK;
}

static weft_status run_tokenizer(wf_bench *b, const char *path, wf_bytes text) {
    subject s = {.b = b, .path = path};
    WF_TRY(cut_lines(&s, text));
    WF_TRY(wf_tokenizer_open(&b->job->env->mem, path, &s.tok, b->job->err));
    weft_status status = wf_encoder_create(s.tok, &s.encoder, b->job->err);
    if (status == WEFT_OK)
        status = measure_all(&s, text);
    wf_encoder_free(s.encoder);
    wf_tokenizer_free(s.tok);
    return status;
}

static weft_status run(wf_bench *b) {
    wf_file file;
    weft_status status = WEFT_OK;
    if (!b->data || b->n_tokenizers == 0) {
        b->skipped = "it needs a text (option data) and tokenizer files (option tokenizers)";
        return WEFT_OK;
    }
    WF_TRY(wf_file_open(&b->job->env->mem, b->data, false, 0, &file, b->job->err));
    size_t most = b->quick ? LITTLE_TEXT : MOST_TEXT;
    wf_bytes text = {(const char *)file.data, file.size < most ? file.size : most};
    for (size_t i = 0; i < b->n_tokenizers && status == WEFT_OK; i++)
        status = run_tokenizer(b, b->tokenizers[i], text);
    wf_file_close(&file);
    return status;
}

const wf_bench_row wf_bench_tokenizers = {"tokenizers", "text to ids; the peer gets the first 10 MB of the same text", run,
                                          true};
