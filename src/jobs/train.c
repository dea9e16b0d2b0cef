/* train.c - the job `train`: text -> model folder. Everything is fixed by the resolved configuration (OUT/train.json), so that
 * a run that was stopped anywhere goes on with --resume and ends with the same weights. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "families/load.h"
#include "jobs/learning.h"
#include "jobs/put.h"
#include "jobs/store.h"

typedef struct training {
    wf_job *job;
    wf_training_options o;
    wf_source source;
    wf_model *model;
    wf_learner learner;
    wf_training_log log;
    int64_t steps;          /* to do in all */
    double seconds;         /* of training, over all sittings */
    double best;            /* lowest validation loss so far */
    int64_t best_step, bad; /* evaluations without a better one */
    int64_t saved;          /* step of the newest checkpoint, -1 none */
    wf_evaluation last;
    wf_step_result step;
    double began, last_tick;
    int64_t began_step;
} training;

/* ---- what a checkpoint remembers of the loop ---- */
static char *text_digest(const training *t, wf_arena *arena) {
    return wf_arena_printf(arena, "%016llx", (unsigned long long)t->source.text.digest);
}

static wf_json *loop_state(const training *t, wf_arena *arena) {
    wf_json *j = wf_json_new(arena, WF_JSON_OBJECT);
    wf_json_put(arena, j, "step", wf_json_new_int(arena, wf_trainer_steps(t->learner.trainer)));
    wf_json_put(arena, j, "cursor", wf_json_new_int(arena, (int64_t)t->learner.cursor));
    wf_json_put(arena, j, "seconds", wf_json_new_double(arena, t->seconds));
    wf_json_put(arena, j, "best", isfinite(t->best) ? wf_json_new_double(arena, t->best) : wf_json_new(arena, WF_JSON_NULL));
    wf_json_put(arena, j, "best_step", wf_json_new_int(arena, t->best_step));
    wf_json_put(arena, j, "bad", wf_json_new_int(arena, t->bad));
    wf_put_text(arena, j, "text", text_digest(t, arena));
    return j;
}

static weft_status save_checkpoint(training *t) {
    wf_arena arena;
    wf_arena_init(&arena, &t->job->env->mem, 0);
    wf_json *loop = loop_state(t, &arena);
    char *folder = wf_path_join(&arena, t->o.out, "checkpoints");
    weft_status status = loop && folder ? wf_checkpoint_save(t->learner.trainer, t->model, folder, loop, t->job->err)
                                        : wf_fail_memory(t->job->err);
    wf_arena_free(&arena);
    if (status == WEFT_OK)
        t->saved = wf_trainer_steps(t->learner.trainer);
    return status;
}

static weft_status restore(training *t) {
    wf_json *loop;
    bool found;
    char *folder = wf_path_join(t->job->arena, t->o.out, "checkpoints");
    if (!folder)
        return wf_fail_memory(t->job->err);
    WF_TRY(wf_checkpoint_load(t->learner.trainer, t->model, folder, t->job->arena, &loop, &found, t->job->err));
    if (!found)
        return WEFT_OK;
    const char *then = wf_json_text(loop, "text", NULL), *now = text_digest(t, t->job->arena);
    WF_CHECK(!then || !now || wf_streq(then, now), t->job->err, WEFT_BAD_INPUT,
             "the text is not what it was when the run began; put it back, or start over with --force");
    t->saved = wf_trainer_steps(t->learner.trainer);
    t->learner.cursor = (uint64_t)wf_json_int(loop, "cursor", 0);
    t->seconds = wf_json_double(loop, "seconds", 0.0);
    t->best = wf_json_double(loop, "best", INFINITY);
    t->best_step = wf_json_int(loop, "best_step", 0);
    t->bad = wf_json_int(loop, "bad", 0);
    wf_log(t->job->env, WF_INFO, "resuming at step %lld", (long long)wf_trainer_steps(t->learner.trainer));
    return WEFT_OK;
}

static weft_status store(const training *t, const char *folder) {
    return wf_store_model(t->job, t->model, &(wf_stored){t->source.tokenizer, t->o.source.tokenizer}, folder);
}

/* ---- the best weights: kept as a model in OUT/best when a run may stop early, and what such a run ends with ---- */
static char *best_folder(const training *t) { return wf_path_join(t->job->arena, t->o.out, "best"); }

static weft_status save_best(training *t) {
    const char *folder = best_folder(t);
    if (t->o.patience == 0)
        return WEFT_OK;
    return folder ? store(t, folder) : wf_fail_memory(t->job->err);
}

static void copy_values(wf_model *to, const wf_model *from) {
    for (size_t i = 0; i < to->params.count; i++)
        memcpy(to->params.list[i]->value, from->params.list[i]->value, (size_t)to->params.list[i]->count * sizeof(float));
    if (to->params.list[0]->bf16)
        wf_params_refresh_bf16(&to->params);
}

static weft_status take_best(training *t) {
    const char *folder = best_folder(t);
    wf_model *best = NULL;
    if (!folder)
        return wf_fail_memory(t->job->err);
    if (t->o.lora)
        WF_TRY(wf_training_folder(t->job, &t->o, folder, &best));
    else
        WF_TRY(wf_model_load(t->job->env, folder, NULL, &best, t->job->err));
    bool same = best->params.count == t->model->params.count;
    for (size_t i = 0; same && i < best->params.count; i++)
        same = best->params.list[i]->count == t->model->params.list[i]->count;
    if (same)
        copy_values(t->model, best);
    wf_model_free(best);
    WF_CHECK(same, t->job->err, WEFT_BAD_INPUT, "%s holds another model than this run's", folder);
    wf_log(t->job->env, WF_INFO, "the weights of step %lld, the best, are kept", (long long)t->best_step);
    return WEFT_OK;
}

/* ---- the loop ---- */
static weft_status measure(training *t) {
    wf_evaluation_options how = {.batch = t->o.recipe.batch,
                                 .rows = t->o.recipe.context,
                                 .max_windows = (uint64_t)t->o.eval_windows,
                                 .bf16 = t->o.recipe.bf16};
    return wf_evaluate(t->model, t->source.data, &how, &t->last, t->job->err);
}

/* Frees the line. */
static weft_status tell_line(const training *t, const char *phase, wf_str *line) {
    weft_progress p = wf_progress_new(phase, t->model->spec->name);
    weft_status status = line->failed ? wf_fail_memory(t->job->err) : WEFT_OK;
    p.line = wf_str_text(line);
    if (status == WEFT_OK)
        wf_job_report(t->job, &p);
    wf_str_free(line);
    return status;
}

static weft_status tell_evaluation(const training *t, int64_t step) {
    wf_str line = wf_str_new(&t->job->env->mem);
    wf_str_printf(&line, "step %lld of %lld: loss %.4f, validation %.4f nats/token, %.4f bits/byte", (long long)step,
                  (long long)t->steps, t->step.loss, t->last.nats, t->last.bits_per_byte);
    return tell_line(t, "evaluation", &line);
}

static weft_status evaluate(training *t) {
    WF_TRY(measure(t));
    int64_t step = wf_trainer_steps(t->learner.trainer);
    if (wf_schedule_reacts(wf_trainer_schedule(t->learner.trainer)))
        wf_schedule_report(wf_trainer_schedule(t->learner.trainer), t->last.nats);
    t->bad++;
    if (t->last.nats < t->best) {
        t->best = t->last.nats;
        t->best_step = step;
        t->bad = 0;
        WF_TRY(save_best(t));
    }
    WF_TRY(tell_evaluation(t, step));
    return wf_training_log_eval(&t->log, step, &t->last, t->job->err);
}

static void tick(training *t, bool force) {
    double now = wf_seconds();
    int64_t step = wf_trainer_steps(t->learner.trainer), done = step - t->began_step;
    if (!force && now - t->last_tick < 0.2)
        return;
    t->last_tick = now;
    weft_progress p = wf_progress_new("train", t->model->spec->name);
    double per_step = done > 0 ? (now - t->began) / (double)done : NAN;
    p.step = step;
    p.steps = t->steps;
    p.loss = t->step.loss;
    p.bits_per_byte = t->last.tokens ? t->last.bits_per_byte : NAN;
    p.tokens_per_second = (double)(t->o.recipe.batch * t->o.recipe.context * t->o.recipe.accumulate) / per_step;
    p.seconds_left = per_step * (double)(t->steps - step);
    wf_job_report(t->job, &p);
}

static bool due(int64_t every, int64_t step) { return every > 0 && step % every == 0; }

static bool stops_early(const training *t) { return t->o.patience > 0 && t->bad >= t->o.patience; }

static weft_status one_step(training *t) {
    double begin = wf_seconds();
    WF_TRY(wf_learner_step(&t->learner, &t->step, t->job->err));
    t->seconds += wf_seconds() - begin;
    int64_t step = wf_trainer_steps(t->learner.trainer);
    WF_TRY(wf_training_log_step(&t->log, step, &t->step, t->seconds, t->job->err));
    tick(t, false);
    if (due(t->o.eval_every, step) || step == t->steps)
        WF_TRY(evaluate(t));
    return due(t->o.checkpoint_every, step) || step == t->steps || stops_early(t) ? save_checkpoint(t) : WEFT_OK;
}

static weft_status loop(training *t) {
    t->began = wf_seconds();
    t->began_step = wf_trainer_steps(t->learner.trainer);
    while (wf_trainer_steps(t->learner.trainer) < t->steps && !stops_early(t)) {
        weft_status status = wf_stopped(t->job->env);
        if (status != WEFT_OK) { /* asked to stop: nothing is lost */
            WF_TRY(save_checkpoint(t));
            return wf_fail(t->job->err, status, "stopped at step %lld of %lld; weft train --resume --out %s goes on",
                           (long long)wf_trainer_steps(t->learner.trainer), (long long)t->steps, t->o.out);
        }
        WF_TRY(one_step(t));
    }
    if (stops_early(t))
        wf_log(t->job->env, WF_INFO, "early stop: no better validation loss since step %lld", (long long)t->best_step);
    tick(t, true);
    return WEFT_OK;
}

/* ---- results ---- */
static void put(training *t, const char *key, double value) {
    wf_arena *arena = t->job->arena;
    wf_json_put(arena, t->job->json, key,
                isfinite(value) ? wf_json_new_double(arena, value) : wf_json_new(arena, WF_JSON_NULL));
}

static void report(training *t) {
    wf_job *job = t->job;
    char digest[24];
    int64_t step = wf_trainer_steps(t->learner.trainer);
    double tokens = (double)step * (double)(t->o.recipe.batch * t->o.recipe.context * t->o.recipe.accumulate);
    snprintf(digest, sizeof digest, "%016llx", (unsigned long long)wf_params_digest(&t->model->params));
    put(t, "steps", (double)step);
    put(t, "tokens", tokens);
    put(t, "passes", wf_learner_passes(&t->learner));
    put(t, "train_loss", t->step.loss);
    put(t, "validation_loss", t->last.nats);
    put(t, "bits_per_byte", t->last.bits_per_byte);
    put(t, "seconds", t->seconds);
    put(t, "tokens_per_second", tokens / t->seconds);
    wf_json_put(job->arena, job->json, "digest", wf_json_new_string(job->arena, digest, 16));
    wf_json_put(job->arena, job->json, "out", wf_json_new_string(job->arena, t->o.out, strlen(t->o.out)));
    wf_json_put(job->arena, job->json, "config", t->o.resolved);
    wf_str_printf(&job->text, "%s: %lld steps, %.0f tokens (%.2f passes) in %.1f s, %.0f tokens/s\n", t->model->spec->name,
                  (long long)step, tokens, wf_learner_passes(&t->learner), t->seconds, tokens / t->seconds);
    wf_str_printf(&job->text, "validation loss %.4f nats/token, %.4f bits/byte; weights %s\n", t->last.nats,
                  t->last.bits_per_byte, digest);
    wf_str_printf(&job->text, "%s in %s\n", t->o.lora ? "adapter" : "model", t->o.out);
}

static weft_status finish(training *t) {
    bool back = t->o.patience > 0 && t->best_step > 0 && t->best_step < wf_trainer_steps(t->learner.trainer);
    if (back)
        WF_TRY(take_best(t));
    if (back || !t->last.tokens)
        WF_TRY(measure(t));
    WF_TRY(store(t, t->o.out));
    if (wf_trainer_average(t->learner.trainer))
        WF_TRY(wf_store_average(t->job, t->model, wf_trainer_average(t->learner.trainer),
                                &(wf_stored){t->source.tokenizer, t->o.source.tokenizer}, t->o.out));
    report(t);
    return WEFT_OK;
}

static weft_status tell_plan(const training *t) {
    const wf_recipe *r = &t->o.recipe;
    wf_str line = wf_str_new(&t->job->env->mem);
    wf_str_printf(&line, "%s: %lld parameters, %lld steps of %lld tokens; the configuration is in %s/train.json",
                  t->model->spec->name, (long long)wf_params_total(&t->model->params), (long long)t->steps,
                  (long long)(r->batch * r->context * r->accumulate), t->o.out);
    return tell_line(t, "configuration", &line);
}

static weft_status prepare(training *t) {
    wf_training_options *o = &t->o;
    wf_trainer_options trainer;
    WF_TRY(wf_source_open(t->job, &o->source, &t->source));
    WF_TRY(wf_training_model(t->job, o, &t->source, &t->model));
    WF_TRY(wf_training_steps(t->job, o, &t->source, t->model, &t->steps));
    WF_TRY(wf_recipe_trainer(t->job->arena, &o->recipe, t->steps, &trainer, t->job->err));
    WF_TRY(wf_learner_open(&t->learner, t->model, t->source.data, &trainer, t->job->err));
    WF_TRY(wf_training_save_config(t->job, o, t->steps)); /* from here on the folder holds a run */
    WF_TRY(tell_plan(t));
    if (o->resume)
        WF_TRY(restore(t));
    return wf_training_log_open(&t->job->env->mem, o->out, wf_trainer_steps(t->learner.trainer), &t->log, t->job->err);
}

/* What went wrong, and what is left of the run. */
static void add_rescue(const training *t, weft_status status) {
    weft_error *err = t->job->err;
    if (!err || status != WEFT_FAILURE || t->saved < 0)
        return;
    weft_error first = *err;
    wf_fail(err, status, "%s; the checkpoint of step %lld is intact", first.message, (long long)t->saved);
}

weft_status wf_job_train(wf_job *job) {
    training t = {.job = job, .best = INFINITY, .saved = -1};
    WF_TRY(wf_training_options_read(job, &t.o));
    weft_status status = prepare(&t);
    if (status == WEFT_OK)
        status = loop(&t);
    if (status == WEFT_OK)
        status = finish(&t);
    add_rescue(&t, status);
    wf_training_log_close(&t.log);
    wf_learner_close(&t.learner);
    wf_model_free(t.model);
    wf_source_close(&t.source);
    return status;
}
