/* compare_trial.c - one model of a comparison: calibration, the peak rate, training over the seeds. What it learns from is its
 * lesson. */
#include "jobs/comparison.h"

enum { TRIAL_SHARE = 10, LEAST_TRIAL = 8, CALIBRATION_STEPS = 1000 };

static double tokens_per_step(const wf_comparison *c) {
    return (double)(c->recipe.batch * c->recipe.context * c->recipe.accumulate);
}

void wf_trial_report(const wf_trial *t, const char *phase, int64_t step, const wf_mark *mark, double seconds_left) {
    weft_progress p = wf_progress_new(phase, t->name);
    p.index = t->index;
    p.count = (int64_t)t->c->list->count;
    p.step = step;
    p.steps = t->steps;
    p.seconds_left = seconds_left;
    if (mark)
        p.loss = mark->loss;
    if (t->step_seconds > 0)
        p.tokens_per_second = tokens_per_step(t->c) / t->step_seconds;
    wf_job_report(t->c->job, &p);
}

/* ---- a model in training ---- */
static void close_training(wf_trial *t) {
    t->c->lesson->close(t);
    t->trainer = NULL;
}

static void close_model(wf_trial *t) {
    close_training(t);
    wf_model_free(t->model);
    t->model = NULL;
}

static weft_status open_model(wf_trial *t, double rate, int64_t steps, uint64_t seed) {
    wf_job *job = t->c->job;
    wf_recipe recipe = t->c->recipe;
    wf_trainer_options options;
    recipe.lr = rate;
    recipe.seed = seed;
    WF_TRY(wf_model_create(job->env, wf_json_get(t->entry, "spec"), &t->model, job->err));
    WF_TRY(wf_params_allocate(&t->model->params, job->err));
    wf_params_init(&t->model->params, seed);
    WF_TRY(wf_recipe_trainer(job->arena, &recipe, steps, &options, job->err));
    return t->c->lesson->open(t, &options);
}

static weft_status train_step(wf_trial *t, wf_step_result *result) {
    WF_TRY(wf_stopped(t->c->job->env));
    return t->c->lesson->step(t, result);
}

/* ---- calibration: how many updates fit the budget; written down, so that everything after it is fixed ---- */
static weft_status any_step(void *trial) {
    wf_step_result result;
    return train_step(trial, &result);
}

static weft_status calibrate(wf_trial *t) {
    wf_comparison *c = t->c;
    wf_arena *arena = c->job->arena;
    double n = c->tokens > 0 ? ceil(c->tokens / tokens_per_step(c)) : c->steps;
    if (wf_json_get(t->entry, "steps")) { /* resumed */
        t->steps = wf_json_int(t->entry, "steps", 1);
        t->step_seconds = wf_json_double(t->entry, "calibrated_step_seconds", 0.0);
        return WEFT_OK;
    }
    wf_trial_report(t, "calibrate", -1, NULL, NAN);
    if (c->seconds > 0) {
        weft_status status = open_model(t, c->rates[0], CALIBRATION_STEPS, 1);
        if (status == WEFT_OK)
            status = wf_time_steps(any_step, t, &t->step_seconds);
        close_model(t);
        WF_TRY(status);
        n = floor(c->seconds / (double)c->seeds / t->step_seconds);
        wf_put_number(arena, t->entry, "calibrated_step_seconds", t->step_seconds);
    }
    t->steps = n < 1 ? 1 : (int64_t)n;
    wf_put_int(arena, t->entry, "steps", t->steps);
    wf_put_number(arena, t->entry, "tokens", (double)t->steps * tokens_per_step(c));
    return wf_comparison_write(c);
}

/* ---- the peak rate: each of the grid for a part of the steps, the lowest loss wins ---- */
static weft_status try_rate(wf_trial *t, double rate, int64_t steps, wf_mark *mark) {
    wf_step_result result;
    weft_status status = open_model(t, rate, steps, t->c->recipe.seed);
    for (int64_t i = 0; i < steps && status == WEFT_OK; i++)
        status = train_step(t, &result);
    close_training(t);
    *mark = (wf_mark){INFINITY, NAN};
    if (status == WEFT_FAILURE) /* this rate diverges: it is out */
        status = WEFT_OK;
    else if (status == WEFT_OK)
        status = t->c->lesson->examine(t, false, mark);
    close_model(t);
    return status;
}

static void put_mark(const wf_trial *t, wf_json *object, const char *loss, const wf_mark *mark) {
    wf_put_number(t->c->job->arena, object, loss, mark->loss);
    if (!isnan(mark->accuracy))
        wf_put_number(t->c->job->arena, object, "accuracy", mark->accuracy);
}

static weft_status choose_rate(wf_trial *t) {
    wf_comparison *c = t->c;
    wf_arena *arena = c->job->arena;
    const wf_json *known = wf_json_get(t->entry, "lr");
    if (known) {
        t->rate = known->number;
        return WEFT_OK;
    }
    int64_t steps = t->steps / TRIAL_SHARE < LEAST_TRIAL ? LEAST_TRIAL : t->steps / TRIAL_SHARE;
    double best = INFINITY;
    wf_json *grid = wf_json_new(arena, WF_JSON_ARRAY);
    t->rate = c->rates[0];
    for (size_t i = 0; i < c->n_rates && c->n_rates > 1; i++) {
        wf_mark mark;
        wf_trial_report(t, "rates", -1, NULL, NAN);
        WF_TRY(try_rate(t, c->rates[i], steps, &mark));
        wf_json *one = wf_json_push(grid, wf_json_new(arena, WF_JSON_OBJECT));
        wf_put_number(arena, one, "lr", c->rates[i]);
        put_mark(t, one, c->lesson->loss, &mark);
        if (mark.loss < best) {
            best = mark.loss;
            t->rate = c->rates[i];
        }
    }
    WF_CHECK(c->n_rates == 1 || isfinite(best), c->job->err, WEFT_FAILURE, "the loss is not a number at any rate of the grid");
    wf_json_put(arena, t->entry, c->lesson->grid, grid);
    wf_put_number(arena, t->entry, "lr_grid_tokens", (double)(grid ? grid->count : 0) * (double)steps * tokens_per_step(c));
    wf_put_number(arena, t->entry, "lr", t->rate);
    return wf_comparison_write(c);
}

/* ---- training ---- */
typedef struct curves {
    wf_json *exams, *norms;
} curves;

static curves open_curves(wf_trial *t) {
    wf_arena *arena = t->c->job->arena;
    return (curves){wf_put_object(arena, t->entry, t->c->lesson->curve), wf_put_object(arena, t->entry, "gradient_norm")};
}

static void push(const wf_trial *t, wf_json *columns, const char *name, double value) {
    wf_arena *arena = t->c->job->arena;
    wf_json_push(wf_put_list_once(arena, columns, name), wf_number_or_null(arena, value));
}
static void push_step(const wf_trial *t, wf_json *columns, int64_t step) {
    wf_arena *arena = t->c->job->arena;
    wf_json_push(wf_put_list_once(arena, columns, "step"), wf_json_new_int(arena, step));
}

/* Examines the model; a point of the curves, if there are any. */
static weft_status add_point(wf_trial *t, const curves *k, int64_t step, double seconds, wf_mark *mark) {
    WF_TRY(t->c->lesson->examine(t, false, mark));
    if (!k)
        return WEFT_OK;
    push_step(t, k->exams, step);
    push(t, k->exams, "seconds", seconds);
    push(t, k->exams, "flops", (double)step * wf_trainer_flops(t->trainer));
    push(t, k->exams, t->c->lesson->loss, mark->loss);
    if (!isnan(mark->accuracy))
        push(t, k->exams, "accuracy", mark->accuracy);
    return WEFT_OK;
}

static void put_memory(wf_trial *t) {
    wf_arena *arena = t->c->job->arena;
    wf_memory_parts m = wf_trainer_memory(t->trainer);
    wf_json *parts = wf_put_object(arena, t->entry, "memory");
    const struct {
        const char *name;
        size_t bytes;
    } rows[] = {
        {"parameters", m.parameters}, {"compute_copies", m.compute_copies}, {"gradients", m.gradients}, {"moments", m.moments},
        {"average", m.average},       {"activations", m.activations},       {"scratch", m.scratch}};
    size_t total = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        total += rows[i].bytes;
        wf_put_int(arena, parts, rows[i].name, (int64_t)rows[i].bytes);
    }
    wf_put_int(arena, t->entry, "peak_memory_bytes", (int64_t)total);
}

/* The steps of one seed; two exams in a row at stop_at end it. Exams where nobody looks (`k` NULL) only if they can end it. */
static weft_status train_steps(wf_trial *t, const curves *k, int64_t *done, double *seconds) {
    wf_step_result result = {0};
    wf_mark mark = {NAN, NAN};
    int64_t every = t->steps / t->c->lesson->points < 1 ? 1 : t->steps / t->c->lesson->points;
    int solved = 0;
    double shown = 0.0;
    for (*done = 0; *done < t->steps && solved < 2;) {
        double begin = wf_seconds();
        WF_TRY(train_step(t, &result));
        *seconds += wf_seconds() - begin;
        ++*done;
        if (k) {
            push_step(t, k->norms, *done);
            push(t, k->norms, "norm", result.grad_norm);
        }
        if ((k || t->c->lesson->asks) && (*done % every == 0 || *done == t->steps)) {
            WF_TRY(add_point(t, k, *done, *seconds, &mark));
            solved = mark.accuracy >= t->c->stop_at ? solved + 1 : 0;
        }
        if (wf_seconds() - shown > 0.2) {
            shown = wf_seconds();
            t->step_seconds = *seconds / (double)*done;
            wf_trial_report(t, "train", *done, &(wf_mark){result.loss, NAN}, t->step_seconds * (double)(t->steps - *done));
        }
    }
    return WEFT_OK;
}

static void put_run(wf_trial *t, wf_json *runs, uint64_t seed, int64_t steps, double seconds, const wf_mark *mark) {
    wf_arena *arena = t->c->job->arena;
    wf_json *one = wf_json_push(runs, wf_json_new(arena, WF_JSON_OBJECT));
    wf_put_int(arena, one, "seed", (int64_t)seed);
    put_mark(t, one, t->c->lesson->final_loss, mark);
    wf_put_int(arena, one, "steps", steps);
    wf_put_number(arena, one, "train_seconds", seconds);
    wf_put_number(arena, one, "train_tokens_per_second", (double)steps * tokens_per_step(t->c) / seconds);
    wf_put_text(arena, one, "weights",
                wf_arena_printf(arena, "%016llx", (unsigned long long)wf_params_digest(&t->model->params)));
}

static weft_status train_seed(wf_trial *t, bool first, int64_t *done, double *seconds, wf_mark *mark) {
    curves k;
    if (first) {
        k = open_curves(t);
        put_memory(t);
        if (t->c->lesson->untrained)
            WF_TRY(add_point(t, &k, 0, 0.0, mark));
    }
    WF_TRY(train_steps(t, first ? &k : NULL, done, seconds));
    return t->c->lesson->examine(t, true, mark);
}

static weft_status run_seed(wf_trial *t, wf_json *runs) {
    wf_mark mark;
    int64_t done = 0;
    double seconds = 0.0;
    bool first = runs->count == 0;
    uint64_t seed = t->c->recipe.seed + (uint64_t)runs->count;
    weft_status status = open_model(t, t->rate, t->steps, seed);
    if (status == WEFT_OK)
        status = train_seed(t, first, &done, &seconds, &mark);
    if (status == WEFT_OK && first) {
        wf_trial_report(t, "measure", -1, &mark, NAN);
        status = t->c->lesson->measure(t);
    }
    if (status == WEFT_OK)
        put_run(t, runs, seed, done, seconds, &mark);
    close_model(t);
    return status == WEFT_OK ? wf_comparison_write(t->c) : status;
}

double wf_trial_mean(const wf_trial *t, const char *member) {
    const wf_json *runs = wf_json_get(t->entry, "runs");
    double sum = 0.0;
    for (const wf_json *j = runs->child; j; j = j->next)
        sum += wf_json_double(j, member, NAN);
    return sum / (double)runs->count;
}

static void report_finished(const wf_trial *t) {
    char line[160];
    weft_progress p = wf_progress_new("done", t->name);
    t->c->lesson->summary(t, line, sizeof line);
    p.line = line;
    wf_job_report(t->c->job, &p);
}

weft_status wf_comparison_trial(wf_comparison *c, int64_t index, wf_json *entry) {
    wf_trial t = {.c = c, .entry = entry, .index = index, .name = wf_json_text(entry, "name", "model")};
    WF_TRY(calibrate(&t));
    WF_TRY(choose_rate(&t));
    wf_json *runs = wf_put_list_once(c->job->arena, entry, "runs");
    while (runs && runs->count < (size_t)c->seeds)
        WF_TRY(run_seed(&t, runs));
    wf_put_text(c->job->arena, entry, "status", "complete");
    report_finished(&t);
    return wf_comparison_write(c);
}
