/* bench_orderings.c - the published orderings of architectures on tasks, at a scale two cores can afford: every pair of task
 * and model is trained at two peak rates, the better one again with two more seeds, and each claim "A above B" is looked up in
 * the accuracies. What does not come out is said, not hidden. */
#include <stdio.h>
#include "jobs/bench.h"
#include "jobs/put.h"
#include "mixers/mixer.h"
#include "train/practice.h"

enum { TASKS = 5, MODELS = 5, RATES = 2, SEEDS = 3, EXAM_SAMPLES = 256 };

/* `longer`: the exam is that many times longer than the samples learned from. `bare`: blocks have the mixer alone. */
typedef struct task_row {
    const char *label, *task, *full;
    int64_t length, full_length, longer, batch;
    int steps;
    bool bare;
} task_row;
/* clang-format off */
static const task_row tasks[TASKS] = {
    {"mqar 4 pairs", "mqar:pairs=4", "mqar:pairs=8", 32, 64, 1, 64, 3000, false},
    {"mqar 16 pairs", "mqar:pairs=16", "mqar:pairs=64", 64, 256, 1, 64, 1200, false},
    {"selective copying", "selective_copying:tokens=16", "selective_copying", 96, 256, 1, 32, 2000, true},
    {"induction", "induction_heads", "induction_heads", 32, 256, 4, 64, 500, false},
    {"listops", "listops:depth=4,arguments=5", "listops", 64, 512, 1, 64, 500, false}};
/* clang-format on */

typedef struct model_row {
    const char *label, *mixer, *options;
} model_row;
static const model_row models[MODELS] = {{"attention", "attention", "\"heads\": 1, \"causal\": true, \"rope\": {}"},
                                         {"linear attention", "linear_attention", "\"heads\": 1, \"causal\": true"},
                                         {"s4d", "s4d", "\"modes\": 16"},
                                         {"mamba", "mamba", "\"state\": 16"},
                                         {"gated deltanet", "gated_deltanet", "\"heads\": 1, \"conv\": 4, \"gate\": \"silu\""}};

/* Published: a model on a task does better than another model, or the same on a harder task, by at least `gap`. */
typedef struct claim {
    const char *above, *above_task, *below, *below_task;
    double gap;
    const char *source;
} claim;
/* clang-format off */
static const claim claims[] = {
    {"attention", "mqar 16 pairs", "linear attention", "mqar 16 pairs", 0.1, "Arora et al. 2023, fig. 2"},
    {"attention", "mqar 16 pairs", "s4d", "mqar 16 pairs", 0.1, "Arora et al. 2023, fig. 2"},
    {"attention", "mqar 16 pairs", "mamba", "mqar 16 pairs", 0.0, "Arora et al. 2023, fig. 2"},
    {"mamba", "mqar 16 pairs", "s4d", "mqar 16 pairs", 0.0, "Arora et al. 2023, fig. 2"},
    {"mamba", "mqar 4 pairs", "s4d", "mqar 4 pairs", 0.0, "Arora et al. 2023, fig. 2"},
    {"mamba", "mqar 4 pairs", "linear attention", "mqar 4 pairs", 0.0, "Arora et al. 2024, arXiv 2402.18668"},
    {"gated deltanet", "mqar 16 pairs", "linear attention", "mqar 16 pairs", 0.0, "Yang et al. 2024, fig. 2"},
    {"linear attention", "mqar 4 pairs", "linear attention", "mqar 16 pairs", 0.1, "Arora et al. 2024, arXiv 2402.18668"},
    {"s4d", "mqar 4 pairs", "s4d", "mqar 16 pairs", 0.0, "Arora et al. 2023, fig. 2"},
    {"mamba", "selective copying", "s4d", "selective copying", 0.1, "Gu & Dao 2023, table 1"},
    {"mamba", "induction", "s4d", "induction", 0.1, "Gu & Dao 2023, table 2"},
    {"mamba", "induction", "linear attention", "induction", 0.1, "Gu & Dao 2023, table 2"},
    {"attention", "induction", "linear attention", "induction", 0.0, "Gu & Dao 2023, table 2"},
    {"s4d", "listops", "attention", "listops", 0.0, "Gu et al. 2022, table 4"},
    {"attention", "listops", "linear attention", "listops", 0.0, "Tay et al. 2020, table 1"}};
/* clang-format on */

typedef struct cell {
    double accuracy, spread, rate, seconds;
    bool known;
} cell;

typedef struct orderings {
    wf_bench *b;
    wf_task_config task, exam;
    int steps;
    const task_row *row;
    const model_row *model;
    cell cells[TASKS][MODELS];
} orderings;

static weft_status make_model(orderings *o, uint64_t seed, wf_model **out) {
    wf_json *spec;
    const char *channel = wf_bench_text(o->b, ", \"channel\": {\"mixer\": \"mlp\", \"hidden\": %d}", o->b->full ? 256 : 128);
    const char *text = wf_bench_text(
        o->b,
        "{\"format\": 1, \"name\": \"%s\", \"dim\": %d, \"layers\": 2, \"vocab\": %lld, \"block\": {\"norm\": {\"kind\": "
        "\"rms\"}, \"mixer\": "
        "{\"mixer\": \"%s\", %s}%s}, \"head\": {\"tied\": false}}",
        o->model->mixer, o->b->full ? 128 : 64, (long long)o->task.task->vocab(&o->task), o->model->mixer, o->model->options,
        o->row->bare ? "" : channel);
    WF_TRY(wf_bench_json(o->b, text, &spec));
    WF_TRY(wf_model_create(o->b->job->env, spec, out, o->b->job->err));
    WF_TRY(wf_params_allocate(&(*out)->params, o->b->job->err));
    wf_params_init(&(*out)->params, seed);
    return WEFT_OK;
}

/* Training until two exams in a row are perfect, or the steps are over. */
static weft_status learn(orderings *o, wf_practice *p, const wf_model *model, double *seconds) {
    const wf_exam_options how = {.batch = 32, .samples = 64};
    int every = o->steps / 15 > 0 ? o->steps / 15 : 1, solved = 0;
    wf_step_result result;
    double begin = wf_seconds();
    for (int i = 1; i <= o->steps && solved < 2; i++) {
        wf_score score;
        WF_TRY(wf_stopped(p->env));
        WF_TRY(wf_practice_step(p, &result, o->b->job->err));
        if (i % every)
            continue;
        WF_TRY(wf_examine(model, &o->task, &how, &score, o->b->job->err));
        solved = score.accuracy >= 0.995 ? solved + 1 : 0;
    }
    *seconds += wf_seconds() - begin;
    return WEFT_OK;
}

static weft_status train_once(orderings *o, double rate, uint64_t seed, double *accuracy, double *seconds) {
    wf_model *model = NULL;
    wf_practice practice = {0};
    wf_json *optimizer, *schedule;
    wf_score score = {.accuracy = 0.0};
    /* No weight decay: every sample is a new one, and it would pull steps and decays of state spaces to where nothing is kept.
     */
    WF_TRY(
        wf_bench_json(o->b, wf_bench_text(o->b, "{\"name\": \"adamw\", \"lr\": %g, \"weight_decay\": 0}", rate), &optimizer));
    WF_TRY(wf_bench_json(
        o->b, wf_bench_text(o->b, "{\"name\": \"cosine\", \"warmup_steps\": %d, \"total_steps\": %d}", o->steps / 10, o->steps),
        &schedule));
    const wf_trainer_options options = {.batch = o->b->quick ? 4 : o->row->batch,
                                        .rows = o->task.length,
                                        .accumulate = 1,
                                        .optimizer = optimizer,
                                        .schedule = schedule,
                                        .clip = 1.0,
                                        .seed = seed};
    const wf_exam_options how = {.batch = 16, .samples = o->b->quick ? 16 : EXAM_SAMPLES};
    weft_status status = make_model(o, seed, &model);
    if (status == WEFT_OK)
        status = wf_practice_open(&practice, model, &o->task, &options, o->b->job->err);
    if (status == WEFT_OK)
        status = learn(o, &practice, model, seconds);
    wf_practice_close(&practice);
    if (status == WEFT_OK)
        status = wf_examine(model, &o->exam, &how, &score, o->b->job->err);
    else if (status == WEFT_FAILURE) /* this rate diverges */
        status = WEFT_OK;
    wf_model_free(model);
    *accuracy = score.accuracy;
    return status;
}

/* Both rates with the first seed, then the better one with the others. */
static weft_status fill_cell(orderings *o, cell *out) {
    static const double rates[RATES] = {3e-3, 1e-2};
    double list[SEEDS] = {-1.0}, sum = 0.0, squares = 0.0, a;
    int n = o->b->quick ? 1 : SEEDS;
    for (int r = 0; r < (o->b->quick ? 1 : RATES) && list[0] < 0.995; r++) {
        WF_TRY(train_once(o, rates[r], 1, &a, &out->seconds));
        if (a > list[0]) {
            list[0] = a;
            out->rate = rates[r];
        }
    }
    for (int s = 1; s < n; s++)
        WF_TRY(train_once(o, out->rate, 1 + (uint64_t)s, &list[s], &out->seconds));
    for (int s = 0; s < n; s++)
        sum += list[s] / n;
    for (int s = 0; s < n; s++)
        squares += (list[s] - sum) * (list[s] - sum);
    out->accuracy = sum;
    out->spread = n > 1 ? sqrt(squares / (n - 1)) : 0.0;
    out->known = true;
    return WEFT_OK;
}

static weft_status run_cell(orderings *o, cell *out) {
    wf_bench *b = o->b;
    wf_bench_line *line = wf_bench_add(b, "%s: %s", o->row->label, o->model->label);
    weft_progress p = wf_progress_new("bench", line ? line->label : "");
    if (!line)
        return wf_fail_memory(b->job->err);
    if (!wf_mixer_find(o->model->mixer)) {
        line->note = wf_bench_text(b, "skipped: there is no mixer %s here", o->model->mixer);
        return WEFT_OK;
    }
    wf_job_report(b->job, &p);
    WF_TRY(fill_cell(o, out));
    wf_put_number(b->job->arena, line->extra, "accuracy", out->accuracy);
    wf_put_number(b->job->arena, line->extra, "spread", out->spread);
    wf_put_number(b->job->arena, line->extra, "lr", out->rate);
    wf_put_number(b->job->arena, line->extra, "train_seconds", out->seconds);
    line->note = wf_bench_text(b, "%5.1f +- %.1f %% right, lr %g, %.0f s", 100 * out->accuracy, 100 * out->spread, out->rate,
                               out->seconds);
    p.line = wf_bench_text(b, "%-34s %s", line->label, line->note);
    wf_job_report(b->job, &p);
    return WEFT_OK;
}

static const cell *cell_of(const orderings *o, const char *model, const char *task) {
    for (int t = 0; t < TASKS; t++)
        for (int m = 0; m < MODELS; m++)
            if (wf_streq(tasks[t].label, task) && wf_streq(models[m].label, model))
                return &o->cells[t][m];
    return NULL;
}

/* What was published, for tasks that were learned; not measured: one side was not. */
static weft_status tell_claim(orderings *o, const claim *c) {
    wf_bench *b = o->b;
    const cell *above = cell_of(o, c->above, c->above_task), *below = cell_of(o, c->below, c->below_task);
    if (!wf_bench_wants(b, c->above_task) && !wf_bench_wants(b, c->below_task))
        return WEFT_OK;
    bool same = wf_streq(c->above_task, c->below_task);
    wf_bench_line *line = same ? wf_bench_add(b, "%s: %s > %s", c->above_task, c->above, c->below)
                               : wf_bench_add(b, "%s: %s > %s", c->above, c->above_task, c->below_task);
    weft_progress p = wf_progress_new("bench", line ? line->label : "");
    if (!line)
        return wf_fail_memory(b->job->err);
    bool known = above && below && above->known && below->known,
         holds = known && above->accuracy - below->accuracy >= c->gap && above->accuracy > below->accuracy;
    const char *verdict = !known ? "not measured" : holds ? "reproduced" : "did not reproduce";
    wf_put_text(b->job->arena, line->extra, "claim", verdict);
    wf_put_text(b->job->arena, line->extra, "source", c->source);
    line->note = known ? wf_bench_text(b, "%s: %.1f %% and %.1f %% (%s)", verdict, 100 * above->accuracy, 100 * below->accuracy,
                                       c->source)
                       : wf_bench_text(b, "%s (%s)", verdict, c->source);
    p.line = wf_bench_text(b, "%-34s %s", line->label, line->note);
    wf_job_report(b->job, &p);
    return WEFT_OK;
}

static weft_status run_task(orderings *o) {
    wf_bench *b = o->b;
    int64_t length = b->full ? o->row->full_length : o->row->length;
    o->steps = b->quick ? 3 : b->full ? 6 * o->row->steps : o->row->steps;
    WF_TRY(wf_task_read(b->full ? o->row->full : o->row->task, length, &o->task, b->job->err));
    o->exam = o->task;
    o->exam.length = length * o->row->longer;
    for (int m = 0; m < MODELS; m++) {
        o->model = &models[m];
        WF_TRY(run_cell(o, &o->cells[o->row - tasks][m]));
    }
    return WEFT_OK;
}

static const char *task_name(const void *user, size_t i) {
    (void)user;
    return i < TASKS ? tasks[i].label : NULL;
}

static weft_status run(wf_bench *b) {
    orderings o = {.b = b};
    double begin = wf_seconds();
    WF_TRY(wf_bench_check_only(b, task_name));
    for (o.row = tasks; o.row < tasks + TASKS; o.row++)
        if (wf_bench_wants(b, o.row->label))
            WF_TRY(run_task(&o));
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        WF_TRY(tell_claim(&o, &claims[i]));
    wf_bench_line *line = wf_bench_add(b, "all of it");
    if (!line)
        return wf_fail_memory(b->job->err);
    line->note = wf_bench_text(b, "%.1f minutes", (wf_seconds() - begin) / 60.0);
    return WEFT_OK;
}

const wf_bench_row wf_bench_orderings = {
    .name = "orderings",
    .about =
        "the published orderings of architectures on tasks, width 64: what reproduces here, and what does not (--only TASK)",
    .run = run,
    .on_request = true};
