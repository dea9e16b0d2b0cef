/* compare_text.c - the lesson of a comparison on a text: windows of its training part, bits per byte of its validation part. */
#include <stdio.h>
#include "jobs/comparison.h"

enum { CURVE_POINTS = 12, CURVE_WINDOWS = 16, FINAL_WINDOWS = 96 };

static weft_status read_text(wf_comparison *c) {
    WF_TRY(wf_source_open(c->job, &c->source_options, &c->source));
    c->vocab = (int64_t)wf_tokenizer_vocab(c->source.tokenizer);
    return WEFT_OK;
}

static void put_facts(wf_comparison *c) {
    wf_arena *arena = c->job->arena;
    wf_json *text = wf_put_object(arena, c->run, "text");
    wf_data_part train = wf_data_training(c->source.data), val = wf_data_validation(c->source.data);
    wf_put_text(arena, text, "name", c->text_name ? c->text_name : c->source_options.paths[0]);
    wf_put_int(arena, text, "bytes", (int64_t)c->source.text.length);
    wf_put_text(arena, text, "digest", wf_arena_printf(arena, "xxh3:%016llx", (unsigned long long)c->source.text.digest));
    wf_put_int(arena, text, "train_bytes", (int64_t)train.bytes);
    wf_put_int(arena, text, "validation_bytes", (int64_t)val.bytes);
    wf_put_int(arena, text, "train_tokens", (int64_t)train.tokens);
    wf_put_number(arena, text, "bytes_per_token", round(1000.0 * (double)train.bytes / (double)train.tokens) / 1000.0);
    wf_put_text(
        arena, text, "tokenizer",
        wf_arena_printf(arena, "%s, %zu entries", c->source_options.tokenizer, wf_tokenizer_vocab(c->source.tokenizer)));
}

static weft_status open_learner(wf_trial *t, const wf_trainer_options *options) {
    WF_TRY(wf_learner_open(&t->learner, t->model, t->c->source.data, options, t->c->job->err));
    t->trainer = t->learner.trainer;
    return WEFT_OK;
}

static weft_status step(wf_trial *t, wf_step_result *out) { return wf_learner_step(&t->learner, out, t->c->job->err); }

static weft_status examine(wf_trial *t, bool last, wf_mark *out) {
    const wf_recipe *r = &t->c->recipe;
    const wf_evaluation_options how = {
        .batch = r->batch, .rows = r->context, .max_windows = last ? FINAL_WINDOWS : CURVE_WINDOWS, .bf16 = r->bf16};
    wf_evaluation e;
    WF_TRY(wf_evaluate(t->model, t->c->source.data, &how, &e, t->c->job->err));
    *out = (wf_mark){e.bits_per_byte, NAN};
    return WEFT_OK;
}

static weft_status measure(wf_trial *t) {
    wf_put_number(t->c->job->arena, t->entry, "passes", wf_learner_passes(&t->learner));
    WF_TRY(wf_measure_decoding(t->c, t->model, t->entry));
    WF_TRY(wf_measure_positions(t->c, t->model, t->entry));
    return wf_measure_sample(t->c, t->model, t->entry);
}

static void summary(const wf_trial *t, char *line, size_t size) {
    snprintf(line, size, "%-12s %.3f bits/byte  %lld steps  %.0f tokens/s  lr %g", t->name,
             wf_trial_mean(t, "validation_bits_per_byte"), (long long)t->steps, wf_trial_mean(t, "train_tokens_per_second"),
             t->rate);
}

static void close_learner(wf_trial *t) { wf_learner_close(&t->learner); }

const wf_lesson wf_lesson_text = {.curve = "curve",
                                  .grid = "lr_grid",
                                  .loss = "bits_per_byte",
                                  .final_loss = "validation_bits_per_byte",
                                  .points = CURVE_POINTS,
                                  .untrained = true,
                                  .usual = {.seconds = 11, .params = 1e6, .batch = 4},
                                  .read = read_text,
                                  .put_facts = put_facts,
                                  .open = open_learner,
                                  .step = step,
                                  .examine = examine,
                                  .measure = measure,
                                  .summary = summary,
                                  .close = close_learner};
