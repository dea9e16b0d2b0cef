/* compare_task.c - the lesson of a comparison on a task: samples drawn as they are needed, exams, also at other lengths. */
#include <stdio.h>
#include "gen/session.h"
#include "jobs/comparison.h"

enum { CURVE_POINTS = 24, CURVE_SAMPLES = 128, FINAL_SAMPLES = 512, EXAM_BATCH = 32, LARGEST_BATCH = 64 };

static weft_status read_lengths(wf_comparison *c) {
    const wf_json *list = wf_json_get(c->job->options, "lengths");
    int64_t T = c->recipe.context, usual[] = {T / 4, T / 2, T, 2 * T, 4 * T};
    wf_task_config other = c->task;
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        double length = j->number;
        bool fine = j->kind == WF_JSON_NUMBER || (j->kind == WF_JSON_STRING && wf_parse_double(j->string, j->length, &length));
        other.length = (int64_t)length;
        WF_CHECK(fine && length == floor(length) && length >= 1 && length <= 1 << 20 && c->n_lengths < 16, c->job->err,
                 WEFT_USAGE, "lengths must be up to 16 whole numbers");
        WF_CHECK(other.length >= other.task->shortest(&other), c->job->err, WEFT_USAGE,
                 "%s: samples have at least %lld tokens, not %g", c->task_text, (long long)other.task->shortest(&other),
                 length);
        c->lengths[c->n_lengths++] = other.length;
    }
    for (size_t i = 0; !list && i < sizeof usual / sizeof *usual; i++)
        if (usual[i] >= c->task.task->shortest(&c->task))
            c->lengths[c->n_lengths++] = usual[i];
    return WEFT_OK;
}

static weft_status read_task(wf_comparison *c) {
    WF_TRY(wf_task_read(c->task_text, c->recipe.context, &c->task, c->job->err));
    c->vocab = c->task.task->vocab(&c->task);
    return read_lengths(c);
}

static void put_facts(wf_comparison *c) {
    wf_arena *arena = c->job->arena;
    const wf_task *task = c->task.task;
    wf_json *facts = wf_put_object(arena, c->run, "task");
    wf_put_text(arena, facts, "name", task->name);
    wf_put_text(arena, facts, "about", task->about);
    wf_put_text(arena, facts, "source", task->source);
    wf_put_int(arena, facts, "length", c->task.length);
    wf_put_int(arena, facts, "vocabulary", c->vocab);
    for (int i = 0; task->keys[i].name; i++)
        wf_put_int(arena, facts, task->keys[i].name, c->task.values[i]);
}

static weft_status open_practice(wf_trial *t, const wf_trainer_options *options) {
    WF_TRY(wf_practice_open(&t->practice, t->model, &t->c->task, options, t->c->job->err));
    t->trainer = t->practice.trainer;
    return WEFT_OK;
}

static weft_status step(wf_trial *t, wf_step_result *out) { return wf_practice_step(&t->practice, out, t->c->job->err); }

static weft_status examine_at(wf_trial *t, int64_t length, int64_t samples, wf_mark *out) {
    wf_task_config task = t->c->task;
    int64_t batch = EXAM_BATCH * task.length / length;
    wf_score score;
    const wf_exam_options how = {.batch = batch < 1               ? 1
                                          : batch > LARGEST_BATCH ? LARGEST_BATCH
                                                                  : batch,
                                 .samples = samples,
                                 .bf16 = t->c->recipe.bf16,
                                 .seed = t->c->recipe.seed};
    task.length = length;
    WF_TRY(wf_examine(t->model, &task, &how, &score, t->c->job->err));
    *out = (wf_mark){score.nats, score.accuracy};
    return WEFT_OK;
}

static weft_status examine(wf_trial *t, bool last, wf_mark *out) {
    return examine_at(t, t->c->task.length, last ? FINAL_SAMPLES : CURVE_SAMPLES, out);
}

/* Exams at every length; null beyond the positions of a model. */
static weft_status measure(wf_trial *t) {
    wf_arena *arena = t->c->job->arena;
    wf_json *out = wf_put_object(arena, t->entry, "lengths"), *length = wf_put_list(arena, out, "length"),
            *accuracy = wf_put_list(arena, out, "accuracy");
    int64_t limit = wf_model_position_limit(t->model);
    for (size_t i = 0; i < t->c->n_lengths; i++) {
        wf_mark mark = {NAN, NAN};
        if (limit == 0 || t->c->lengths[i] <= limit)
            WF_TRY(examine_at(t, t->c->lengths[i], CURVE_SAMPLES, &mark));
        wf_json_push(length, wf_json_new_int(arena, t->c->lengths[i]));
        wf_json_push(accuracy, wf_number_or_null(arena, mark.accuracy));
    }
    return WEFT_OK;
}

static void summary(const wf_trial *t, char *line, size_t size) {
    snprintf(line, size, "%-12s %5.1f %% right  %.1f s of training  lr %g", t->name, 100.0 * wf_trial_mean(t, "accuracy"),
             wf_trial_mean(t, "train_seconds"), t->rate);
}

static void close_practice(wf_trial *t) { wf_practice_close(&t->practice); }

const wf_lesson wf_lesson_task = {.curve = "exams",
                                  .grid = "task_lr_grid",
                                  .loss = "loss",
                                  .final_loss = "answer_nats",
                                  .points = CURVE_POINTS,
                                  .asks = true,
                                  .usual = {.seconds = 30, .params = 2e5, .batch = 32, .context = 128},
                                  .read = read_task,
                                  .put_facts = put_facts,
                                  .open = open_practice,
                                  .step = step,
                                  .examine = examine,
                                  .measure = measure,
                                  .summary = summary,
                                  .close = close_practice};
