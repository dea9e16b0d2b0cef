/* compare_task.c - one model of a comparison on a task: calibration, the peak rate, training over the seeds with exams on the
 * way, and exams at other lengths. */
#include <stdio.h>
#include "gen/session.h"
#include "jobs/comparison.h"
#include "train/practice.h"

enum { CURVE_POINTS = 24, CURVE_SAMPLES = 128, FINAL_SAMPLES = 512, TRIAL_SHARE = 10 };

typedef struct runner {
    wf_comparison *c;
    wf_json *entry;
    const char *name;
    int64_t index, steps;
    double rate, step_seconds;
} runner;

/* ---- options ---- */
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

weft_status wf_comparison_task_read(wf_comparison *c) {
    WF_TRY(wf_task_read(c->task_text, c->recipe.context, &c->task, c->job->err));
    return read_lengths(c);
}

void wf_put_task_facts(wf_comparison *c) {
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

/* ---- models ---- */
static void report(const runner *r, const char *phase, int64_t step, double loss, double left) {
    weft_progress p = wf_progress_new(phase, r->name);
    p.index = r->index;
    p.count = (int64_t)r->c->list->count;
    p.step = step;
    p.steps = r->steps;
    p.loss = loss;
    p.seconds_left = left;
    if (r->step_seconds > 0)
        p.tokens_per_second = (double)(r->c->recipe.batch * r->c->recipe.accumulate * r->c->task.length) / r->step_seconds;
    wf_job_report(r->c->job, &p);
}

static weft_status open_practice(runner *r, double rate, int64_t steps, uint64_t seed, wf_model **model, wf_practice *out) {
    wf_job *job = r->c->job;
    wf_recipe recipe = r->c->recipe;
    wf_trainer_options options;
    recipe.lr = rate;
    recipe.seed = seed;
    WF_TRY(wf_model_create(job->env, wf_json_get(r->entry, "spec"), model, job->err));
    WF_TRY(wf_params_allocate(&(*model)->params, job->err));
    wf_params_init(&(*model)->params, seed);
    WF_TRY(wf_recipe_trainer(job->arena, &recipe, steps, &options, job->err));
    return wf_practice_open(out, *model, &r->c->task, &options, job->err);
}

static weft_status examine(runner *r, const wf_model *model, int64_t length, int64_t samples, wf_score *out) {
    wf_task_config task = r->c->task;
    int64_t batch = 32 * r->c->task.length / length;
    task.length = length;
    const wf_exam_options how = {.batch = batch < 1    ? 1
                                          : batch > 64 ? 64
                                                       : batch,
                                 .samples = samples,
                                 .bf16 = r->c->recipe.bf16,
                                 .seed = r->c->recipe.seed};
    return wf_examine(model, &task, &how, out, r->c->job->err);
}

/* ---- how many updates fit the budget ---- */
static weft_status time_steps(wf_practice *p, double *seconds, weft_error *err) {
    wf_step_result result;
    double begin = 0.0;
    int n = 0, warm = 2;
    for (; n < warm + 3 || (wf_seconds() - begin < 0.5 && n < 200); n++) {
        if (n == warm)
            begin = wf_seconds();
        WF_TRY(wf_stopped(p->env));
        WF_TRY(wf_practice_step(p, &result, err));
    }
    *seconds = (wf_seconds() - begin) / (double)(n - warm);
    return WEFT_OK;
}

static weft_status calibrate(runner *r) {
    wf_comparison *c = r->c;
    double tokens = (double)(c->recipe.batch * c->recipe.context * c->recipe.accumulate),
           n = c->tokens > 0 ? ceil(c->tokens / tokens) : c->steps;
    if (wf_json_get(r->entry, "steps")) { /* resumed */
        r->steps = wf_json_int(r->entry, "steps", 1);
        return WEFT_OK;
    }
    report(r, "calibrate", -1, NAN, NAN);
    if (c->seconds > 0) {
        wf_model *model = NULL;
        wf_practice practice = {0};
        weft_status status = open_practice(r, c->rates[0], 1000, 1, &model, &practice);
        if (status == WEFT_OK)
            status = time_steps(&practice, &r->step_seconds, c->job->err);
        wf_practice_close(&practice);
        wf_model_free(model);
        WF_TRY(status);
        n = floor(c->seconds / (double)c->seeds / r->step_seconds);
        wf_put_number(c->job->arena, r->entry, "calibrated_step_seconds", r->step_seconds);
    }
    r->steps = n < 1 ? 1 : (int64_t)n;
    wf_put_int(c->job->arena, r->entry, "steps", r->steps);
    wf_put_number(c->job->arena, r->entry, "tokens", (double)r->steps * tokens);
    return wf_comparison_write(c);
}

/* ---- the peak rate: the lowest loss of an exam after a part of the steps ---- */
static weft_status try_rate(runner *r, double rate, int64_t steps, wf_score *score) {
    wf_model *model = NULL;
    wf_practice practice = {0};
    wf_step_result result;
    weft_status status = open_practice(r, rate, steps, r->c->recipe.seed, &model, &practice);
    for (int64_t i = 0; i < steps && status == WEFT_OK; i++)
        if ((status = wf_stopped(r->c->job->env)) == WEFT_OK)
            status = wf_practice_step(&practice, &result, r->c->job->err);
    wf_practice_close(&practice);
    *score = (wf_score){NAN, INFINITY, 0};
    if (status == WEFT_FAILURE) /* this rate diverges: it is out */
        status = WEFT_OK;
    else if (status == WEFT_OK)
        status = examine(r, model, r->c->task.length, CURVE_SAMPLES, score);
    wf_model_free(model);
    return status;
}

static weft_status choose_rate(runner *r) {
    wf_comparison *c = r->c;
    wf_arena *arena = c->job->arena;
    const wf_json *known = wf_json_get(r->entry, "lr");
    if (known) {
        r->rate = known->number;
        return WEFT_OK;
    }
    int64_t steps = r->steps / TRIAL_SHARE < 8 ? 8 : r->steps / TRIAL_SHARE;
    double best = INFINITY;
    wf_json *grid = wf_json_new(arena, WF_JSON_ARRAY);
    r->rate = c->rates[0];
    for (size_t i = 0; i < c->n_rates && c->n_rates > 1; i++) {
        wf_score score;
        report(r, "rates", -1, NAN, NAN);
        WF_TRY(try_rate(r, c->rates[i], steps, &score));
        wf_json *one = wf_json_push(grid, wf_json_new(arena, WF_JSON_OBJECT));
        wf_put_number(arena, one, "lr", c->rates[i]);
        wf_put_number(arena, one, "loss", score.nats);
        wf_put_number(arena, one, "accuracy", score.accuracy);
        if (score.nats < best) {
            best = score.nats;
            r->rate = c->rates[i];
        }
    }
    WF_CHECK(c->n_rates == 1 || isfinite(best), c->job->err, WEFT_FAILURE, "the loss is not a number at any rate of the grid");
    wf_json_put(arena, r->entry, "task_lr_grid", grid);
    wf_put_number(arena, r->entry, "lr", r->rate);
    return wf_comparison_write(c);
}

/* ---- training ---- */
typedef struct curves {
    wf_json *step, *seconds, *accuracy, *loss;
} curves;

static curves open_curves(runner *r) {
    wf_arena *arena = r->c->job->arena;
    wf_json *curve = wf_put_object(arena, r->entry, "exams");
    return (curves){wf_put_list(arena, curve, "step"), wf_put_list(arena, curve, "seconds"),
                    wf_put_list(arena, curve, "accuracy"), wf_put_list(arena, curve, "loss")};
}

static void add_point(runner *r, curves *k, int64_t step, double seconds, const wf_score *score) {
    wf_arena *arena = r->c->job->arena;
    if (!k)
        return;
    wf_json_push(k->step, wf_json_new_int(arena, step));
    wf_json_push(k->seconds, wf_json_new_double(arena, seconds));
    wf_json_push(k->accuracy, wf_number_or_null(arena, score->accuracy));
    wf_json_push(k->loss, wf_number_or_null(arena, score->nats));
}

/* The steps of one seed; two exams in a row at stop_at end it. `k` NULL: no curves. */
static weft_status train_steps(runner *r, wf_practice *p, const wf_model *model, curves *k, int64_t *done, double *seconds) {
    wf_step_result result = {0};
    wf_score score = {0};
    int64_t every = r->steps / CURVE_POINTS < 1 ? 1 : r->steps / CURVE_POINTS;
    int solved = 0;
    double shown = 0.0;
    *seconds = 0.0;
    for (*done = 0; *done < r->steps && solved < 2;) {
        WF_TRY(wf_stopped(p->env));
        double begin = wf_seconds();
        WF_TRY(wf_practice_step(p, &result, r->c->job->err));
        *seconds += wf_seconds() - begin;
        ++*done;
        if (*done % every == 0 || *done == r->steps) {
            WF_TRY(examine(r, model, r->c->task.length, CURVE_SAMPLES, &score));
            add_point(r, k, *done, *seconds, &score);
            solved = score.accuracy >= r->c->stop_at ? solved + 1 : 0;
        }
        if (wf_seconds() - shown > 0.2) {
            shown = wf_seconds();
            r->step_seconds = *seconds / (double)*done;
            report(r, "train", *done, result.loss, r->step_seconds * (double)(r->steps - *done));
        }
    }
    return WEFT_OK;
}

static void put_memory(runner *r, const wf_trainer *t) {
    wf_memory_parts m = wf_trainer_memory(t);
    wf_put_int(r->c->job->arena, r->entry, "peak_memory_bytes",
               (int64_t)(m.parameters + m.compute_copies + m.gradients + m.moments + m.average + m.activations + m.scratch));
}

/* Exams at every length; null beyond the positions of a model. */
static weft_status measure_lengths(runner *r, const wf_model *model) {
    wf_arena *arena = r->c->job->arena;
    wf_json *out = wf_put_object(arena, r->entry, "lengths"), *length = wf_put_list(arena, out, "length"),
            *accuracy = wf_put_list(arena, out, "accuracy");
    int64_t limit = wf_model_position_limit(model);
    for (size_t i = 0; i < r->c->n_lengths; i++) {
        wf_score score = {.accuracy = NAN};
        if (limit == 0 || r->c->lengths[i] <= limit)
            WF_TRY(examine(r, model, r->c->lengths[i], CURVE_SAMPLES, &score));
        wf_json_push(length, wf_json_new_int(arena, r->c->lengths[i]));
        wf_json_push(accuracy, wf_number_or_null(arena, score.accuracy));
    }
    return WEFT_OK;
}

static weft_status run_seed(runner *r, int64_t s, wf_json *runs) {
    wf_arena *arena = r->c->job->arena;
    wf_model *model = NULL;
    wf_practice practice = {0};
    wf_score score = {0};
    curves k;
    double seconds = 0.0;
    int64_t done = 0;
    weft_status status = open_practice(r, r->rate, r->steps, r->c->recipe.seed + (uint64_t)s, &model, &practice);
    if (status == WEFT_OK && s == 0) {
        k = open_curves(r);
        put_memory(r, practice.trainer);
    }
    if (status == WEFT_OK)
        status = train_steps(r, &practice, model, s == 0 ? &k : NULL, &done, &seconds);
    wf_practice_close(&practice);
    if (status == WEFT_OK)
        status = examine(r, model, r->c->task.length, FINAL_SAMPLES, &score);
    if (status == WEFT_OK) {
        wf_json *one = wf_json_push(runs, wf_json_new(arena, WF_JSON_OBJECT));
        wf_put_int(arena, one, "seed", (int64_t)r->c->recipe.seed + s);
        wf_put_number(arena, one, "accuracy", score.accuracy);
        wf_put_number(arena, one, "answer_nats", score.nats);
        wf_put_int(arena, one, "steps", done);
        wf_put_number(arena, one, "train_seconds", seconds);
        wf_put_number(arena, one, "train_tokens_per_second",
                      (double)(done * r->c->recipe.batch * r->c->recipe.accumulate * r->c->task.length) / seconds);
        wf_put_text(arena, one, "weights",
                    wf_arena_printf(arena, "%016llx", (unsigned long long)wf_params_digest(&model->params)));
    }
    if (status == WEFT_OK && s == 0)
        status = measure_lengths(r, model);
    wf_model_free(model);
    return status;
}

static void finished_line(const runner *r) {
    const wf_json *runs = wf_json_get(r->entry, "runs");
    double accuracy = 0.0, seconds = 0.0, n = (double)runs->count;
    char line[160];
    for (const wf_json *j = runs->child; j; j = j->next) {
        accuracy += wf_json_double(j, "accuracy", NAN) / n;
        seconds += wf_json_double(j, "train_seconds", NAN) / n;
    }
    snprintf(line, sizeof line, "%-12s %5.1f %% right  %.1f s of training  lr %g", r->name, 100.0 * accuracy, seconds, r->rate);
    weft_progress p = wf_progress_new("done", r->name);
    p.line = line;
    wf_job_report(r->c->job, &p);
}

weft_status wf_comparison_task_model(wf_comparison *c, int64_t index, wf_json *entry) {
    runner r = {.c = c, .entry = entry, .index = index, .name = wf_json_text(entry, "name", "model")};
    WF_TRY(calibrate(&r));
    WF_TRY(choose_rate(&r));
    wf_json *runs = wf_put_list(c->job->arena, entry, "runs");
    for (int64_t s = 0; s < c->seeds; s++)
        WF_TRY(run_seed(&r, s, runs));
    wf_put_text(c->job->arena, entry, "status", "complete");
    finished_line(&r);
    return wf_comparison_write(c);
}
