/* compare_model.c - one model of a comparison: calibration, rates, training over the seeds, measurements. */
#include <stdio.h>
#include "jobs/comparison.h"

enum { CURVE_POINTS = 12, CURVE_WINDOWS = 16, FINAL_WINDOWS = 96 };

typedef struct runner {
    wf_comparison *c;
    wf_json *entry;
    const char *name;
    int64_t index;
    int64_t steps;
    double rate, step_seconds;
} runner;

static void report(const runner *r, const char *phase, int64_t step, const wf_step_result *result, double bits, double left) {
    weft_progress p = wf_progress_new(phase, r->name);
    p.index = r->index;
    p.count = (int64_t)r->c->list->count;
    p.step = step;
    p.steps = r->steps;
    p.bits_per_byte = bits;
    p.seconds_left = left;
    if (result)
        p.loss = result->loss;
    if (r->step_seconds > 0)
        p.tokens_per_second = (double)(r->c->recipe.batch * r->c->recipe.context * r->c->recipe.accumulate) / r->step_seconds;
    wf_job_report(r->c->job, &p);
}

static weft_status make_model(runner *r, uint64_t seed, wf_model **out) {
    wf_job *job = r->c->job;
    WF_TRY(wf_model_create(job->env, wf_json_get(r->entry, "spec"), out, job->err));
    WF_TRY(wf_params_allocate(&(*out)->params, job->err));
    wf_params_init(&(*out)->params, seed);
    return WEFT_OK;
}

static weft_status open_learner(runner *r, wf_model *model, double rate, int64_t steps, uint64_t seed, wf_learner *out) {
    wf_job *job = r->c->job;
    wf_recipe recipe = r->c->recipe;
    wf_trainer_options options;
    recipe.lr = rate;
    recipe.seed = seed;
    WF_TRY(wf_recipe_trainer(job->arena, &recipe, steps, &options, job->err));
    return wf_learner_open(out, model, r->c->source.data, &options, job->err);
}

static weft_status evaluate(runner *r, const wf_model *model, uint64_t windows, double *bits) {
    wf_evaluation_options how = {
        .batch = r->c->recipe.batch, .rows = r->c->recipe.context, .max_windows = windows, .bf16 = r->c->recipe.bf16};
    wf_evaluation e;
    WF_TRY(wf_evaluate(model, r->c->source.data, &how, &e, r->c->job->err));
    *bits = e.bits_per_byte;
    return WEFT_OK;
}

/* ---- calibration: how many updates fit the budget; written down, so that everything after it is fixed ---- */
static weft_status calibrate(runner *r) {
    wf_comparison *c = r->c;
    wf_arena *arena = c->job->arena;
    double tokens = (double)(c->recipe.batch * c->recipe.context * c->recipe.accumulate), n = c->steps;
    if (wf_json_get(r->entry, "steps")) { /* resumed */
        r->steps = wf_json_int(r->entry, "steps", 1);
        r->step_seconds = wf_json_double(r->entry, "calibrated_step_seconds", 0.0);
        return WEFT_OK;
    }
    report(r, "calibrate", -1, NULL, NAN, NAN);
    if (c->tokens > 0)
        n = ceil(c->tokens / tokens);
    if (c->seconds > 0) {
        wf_model *model = NULL;
        wf_trainer_options options;
        weft_status status = make_model(r, 1, &model);
        wf_recipe recipe = c->recipe;
        recipe.lr = c->rates[0];
        if (status == WEFT_OK)
            status = wf_recipe_trainer(arena, &recipe, 1000, &options, c->job->err);
        if (status == WEFT_OK)
            status = wf_measure_step(c->job->env, model, c->source.data, &options, &r->step_seconds, c->job->err);
        wf_model_free(model);
        WF_TRY(status);
        n = floor(c->seconds / (double)c->seeds / r->step_seconds);
        wf_put_number(arena, r->entry, "calibrated_step_seconds", r->step_seconds);
    }
    r->steps = n < 1 ? 1 : (int64_t)n;
    wf_put_int(arena, r->entry, "steps", r->steps);
    wf_put_number(arena, r->entry, "tokens", (double)r->steps * tokens);
    return wf_comparison_write(c);
}

/* ---- the peak rate: each of the grid for a tenth of the steps, the lowest validation loss wins ---- */
static weft_status try_rate(runner *r, double rate, int64_t steps, double *bits) {
    wf_model *model = NULL;
    wf_learner learner = {0};
    wf_step_result result;
    weft_status status = make_model(r, r->c->recipe.seed, &model);
    if (status == WEFT_OK)
        status = open_learner(r, model, rate, steps, r->c->recipe.seed, &learner);
    for (int64_t i = 0; i < steps && status == WEFT_OK; i++)
        if ((status = wf_stopped(r->c->job->env)) == WEFT_OK)
            status = wf_learner_step(&learner, &result, r->c->job->err);
    wf_learner_close(&learner);
    *bits = INFINITY;
    if (status == WEFT_FAILURE) /* this rate diverges: it is out */
        status = WEFT_OK;
    else if (status == WEFT_OK)
        status = evaluate(r, model, CURVE_WINDOWS, bits);
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
    int64_t steps = r->steps / 10 < 8 ? 8 : r->steps / 10;
    double best = INFINITY, tokens = (double)(c->recipe.batch * c->recipe.context * c->recipe.accumulate);
    wf_json *grid = wf_json_new(arena, WF_JSON_ARRAY);
    r->rate = c->rates[0];
    for (size_t i = 0; i < c->n_rates && c->n_rates > 1; i++) {
        double bits;
        report(r, "rates", -1, NULL, NAN, NAN);
        WF_TRY(try_rate(r, c->rates[i], steps, &bits));
        wf_json *one = wf_json_push(grid, wf_json_new(arena, WF_JSON_OBJECT));
        wf_put_number(arena, one, "lr", c->rates[i]);
        wf_put_number(arena, one, "bits_per_byte", bits);
        if (bits < best) {
            best = bits;
            r->rate = c->rates[i];
        }
    }
    WF_CHECK(c->n_rates == 1 || isfinite(best), c->job->err, WEFT_FAILURE, "the loss is not a number at any rate of the grid");
    wf_json_put(arena, r->entry, "lr_grid", grid);
    wf_put_number(arena, r->entry, "lr_grid_tokens", c->n_rates > 1 ? (double)steps * tokens * (double)c->n_rates : 0.0);
    wf_put_number(arena, r->entry, "lr", r->rate);
    return wf_comparison_write(c);
}

/* ---- training ---- */
typedef struct curves {
    wf_json *step, *seconds, *flops, *bits, *norm_step, *norm;
} curves;

static curves open_curves(runner *r) {
    wf_arena *arena = r->c->job->arena;
    wf_json *curve = wf_put_object(arena, r->entry, "curve"), *norms = wf_put_object(arena, r->entry, "gradient_norm");
    return (curves){wf_put_list(arena, curve, "step"),  wf_put_list(arena, curve, "seconds"),
                    wf_put_list(arena, curve, "flops"), wf_put_list(arena, curve, "bits_per_byte"),
                    wf_put_list(arena, norms, "step"),  wf_put_list(arena, norms, "norm")};
}

static weft_status add_point(runner *r, curves *k, const wf_learner *l, double seconds) {
    wf_arena *arena = r->c->job->arena;
    int64_t step = wf_trainer_steps(l->trainer);
    double bits;
    WF_TRY(evaluate(r, l->model, CURVE_WINDOWS, &bits));
    wf_json_push(k->step, wf_json_new_int(arena, step));
    wf_json_push(k->seconds, wf_json_new_double(arena, seconds));
    wf_json_push(k->flops, wf_json_new_double(arena, (double)step * wf_trainer_flops(l->trainer)));
    wf_json_push(k->bits, wf_number_or_null(arena, bits));
    return WEFT_OK;
}

static void put_memory(runner *r, const wf_trainer *t) {
    wf_arena *arena = r->c->job->arena;
    wf_memory_parts m = wf_trainer_memory(t);
    wf_json *parts = wf_put_object(arena, r->entry, "memory");
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
    wf_put_int(arena, r->entry, "peak_memory_bytes", (int64_t)total);
}

/* The steps of one seed; `k` NULL: no curves. */
static weft_status train_steps(runner *r, wf_learner *l, curves *k, double *seconds) {
    wf_step_result result = {0};
    int64_t every = r->steps / CURVE_POINTS < 1 ? 1 : r->steps / CURVE_POINTS;
    double bits = NAN, shown = 0.0;
    wf_arena *arena = r->c->job->arena;
    *seconds = 0.0;
    for (int64_t i = 1; i <= r->steps; i++) {
        WF_TRY(wf_stopped(l->env));
        double begin = wf_seconds();
        WF_TRY(wf_learner_step(l, &result, r->c->job->err));
        *seconds += wf_seconds() - begin;
        if (k) {
            wf_json_push(k->norm_step, wf_json_new_int(arena, i));
            wf_json_push(k->norm, wf_json_new_double(arena, result.grad_norm));
            if (i % every == 0 || i == r->steps)
                WF_TRY(add_point(r, k, l, *seconds));
        }
        if (wf_seconds() - shown > 0.2) {
            shown = wf_seconds();
            r->step_seconds = *seconds / (double)i;
            report(r, "train", i, &result, bits, r->step_seconds * (double)(r->steps - i));
        }
    }
    return WEFT_OK;
}

static weft_status train_seed(runner *r, int64_t s, wf_model **model, double *bits, double *rate) {
    wf_learner learner = {0};
    uint64_t seed = r->c->recipe.seed + (uint64_t)s;
    double seconds = 0.0;
    curves k;
    WF_TRY(make_model(r, seed, model));
    WF_TRY(open_learner(r, *model, r->rate, r->steps, seed, &learner));
    weft_status status = WEFT_OK;
    if (s == 0) {
        k = open_curves(r);
        put_memory(r, learner.trainer);
        status = add_point(r, &k, &learner, 0.0);
    }
    if (status == WEFT_OK)
        status = train_steps(r, &learner, s == 0 ? &k : NULL, &seconds);
    if (status == WEFT_OK)
        wf_put_number(r->c->job->arena, r->entry, "passes", wf_learner_passes(&learner));
    *rate = (double)(r->steps * r->c->recipe.batch * r->c->recipe.context * r->c->recipe.accumulate) / seconds;
    wf_learner_close(&learner);
    return status == WEFT_OK ? evaluate(r, *model, FINAL_WINDOWS, bits) : status;
}

static weft_status run_seeds(runner *r) {
    wf_arena *arena = r->c->job->arena;
    wf_json *runs = wf_put_list(arena, r->entry, "runs");
    for (int64_t s = 0; s < r->c->seeds; s++) {
        wf_model *model = NULL;
        double bits = NAN, rate = NAN;
        weft_status status = train_seed(r, s, &model, &bits, &rate);
        if (status == WEFT_OK) {
            wf_json *one = wf_json_push(runs, wf_json_new(arena, WF_JSON_OBJECT));
            wf_put_int(arena, one, "seed", (int64_t)r->c->recipe.seed + s);
            wf_put_number(arena, one, "validation_bits_per_byte", bits);
            wf_put_number(arena, one, "train_tokens_per_second", rate);
            wf_put_text(arena, one, "weights",
                        wf_arena_printf(arena, "%016llx", (unsigned long long)wf_params_digest(&model->params)));
        }
        if (status == WEFT_OK && s == 0) {
            report(r, "measure", -1, NULL, bits, NAN);
            status = wf_measure_decoding(r->c, model, r->entry);
            if (status == WEFT_OK)
                status = wf_measure_positions(r->c, model, r->entry);
            if (status == WEFT_OK)
                status = wf_measure_sample(r->c, model, r->entry);
        }
        wf_model_free(model);
        WF_TRY(status);
    }
    return WEFT_OK;
}

static void finished_line(const runner *r) {
    const wf_json *runs = wf_json_get(r->entry, "runs");
    double bits = 0.0, rate = 0.0, n = (double)runs->count;
    char line[160];
    for (const wf_json *j = runs->child; j; j = j->next) {
        bits += wf_json_double(j, "validation_bits_per_byte", NAN) / n;
        rate += wf_json_double(j, "train_tokens_per_second", NAN) / n;
    }
    snprintf(line, sizeof line, "%-12s %.3f bits/byte  %lld steps  %.0f tokens/s  lr %g", r->name, bits, (long long)r->steps,
             rate, r->rate);
    weft_progress p = wf_progress_new("done", r->name);
    p.line = line;
    wf_job_report(r->c->job, &p);
}

weft_status wf_comparison_model(wf_comparison *c, int64_t index, wf_json *entry) {
    runner r = {.c = c, .entry = entry, .index = index, .name = wf_json_text(entry, "name", "model")};
    WF_TRY(calibrate(&r));
    WF_TRY(choose_rate(&r));
    WF_TRY(run_seeds(&r));
    wf_put_text(c->job->arena, entry, "status", "complete");
    finished_line(&r);
    return wf_comparison_write(c);
}
