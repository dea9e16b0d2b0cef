/* bench_char_lm.c - how long until a small model of Shakespeare's characters reaches a known loss. */
#include "jobs/bench.h"
#include "jobs/put.h"
#include "train/learner.h"

enum { CONTEXT = 64 };
static const double wanted_loss = 1.88;

/* The recipe: 4 layers, 4 heads, 128 wide, context 64, as everybody's; the rest is free. */
static const char spec_text[] =
    "{\"format\": 1, \"name\": \"char\", \"dim\": 128, \"layers\": 4, \"vocab\": 256, \"context\": 64, \"block\": {\"wiring\": "
    "\"pre\", \"norm\": {\"kind\": \"rms\", \"eps\": 1e-5}, \"mixer\": {\"mixer\": \"attention\", \"heads\": 4, \"causal\": "
    "true, "
    "\"rope\": {\"theta\": 10000}}, \"channel\": {\"mixer\": \"glu\", \"hidden\": 344, \"activation\": \"silu\"}}, \"norm\": "
    "{\"kind\": \"rms\", \"eps\": 1e-5}, \"head\": {\"tied\": false}}";
static const char optimizer_text[] = "{\"name\": \"muon\", \"lr\": 0.025, \"momentum\": 0.9, \"weight_decay\": 0}";
static const char fallback_text[] = "{\"name\": \"adamw\", \"lr\": 0.018, \"betas\": [0.9, 0.95], \"weight_decay\": 0}";
static const char schedule_text[] = "{\"name\": \"linear\", \"warmup_steps\": 5, \"total_steps\": 240}";
enum { BATCH = 16, STEPS = 240 }; /* ends below the wanted loss by more than the spread over seeds */

static weft_status recipe(wf_bench *b, wf_trainer_options *o) {
    wf_json *optimizer, *fallback, *schedule;
    WF_TRY(wf_bench_json(b, optimizer_text, &optimizer));
    WF_TRY(wf_bench_json(b, fallback_text, &fallback));
    WF_TRY(wf_bench_json(b, schedule_text, &schedule));
    *o = (wf_trainer_options){.batch = BATCH,
                              .rows = CONTEXT,
                              .accumulate = 1,
                              .optimizer = optimizer,
                              .fallback = fallback,
                              .schedule = schedule,
                              .clip = 1.0};
    return WEFT_OK;
}

static weft_status train(wf_bench *b, wf_model *model, const wf_data *data, wf_evaluation *e) {
    wf_learner l;
    wf_step_result r;
    wf_trainer_options o;
    weft_progress p = wf_progress_new("train", "char_lm");
    WF_TRY(recipe(b, &o));
    WF_TRY(wf_learner_open(&l, model, data, &o, b->job->err));
    weft_status status = WEFT_OK;
    for (p.step = 0, p.steps = STEPS; p.step < STEPS && status == WEFT_OK; p.step++) {
        status = wf_stopped(b->job->env);
        if (status == WEFT_OK)
            status = wf_learner_step(&l, &r, b->job->err);
        p.loss = r.loss;
        if (p.step % 20 == 0)
            wf_job_report(b->job, &p);
    }
    wf_learner_close(&l);
    if (status != WEFT_OK)
        return status;
    return wf_evaluate(model, data, &(wf_evaluation_options){.batch = 32, .rows = CONTEXT}, e, b->job->err);
}

/* From the file to the validation loss, everything counted. */
static weft_status timed(wf_bench *b, wf_tokenizer *tok, wf_evaluation *e, double *seconds) {
    const wf_env *env = b->job->env;
    double from = wf_seconds();
    wf_text text;
    wf_data *data = NULL;
    wf_json *spec;
    wf_model *model = NULL;
    wf_data_options how = wf_data_options_usual(CONTEXT);
    how.validation = 0.1;
    how.seed = 1;
    WF_TRY(wf_bench_json(b, spec_text, &spec));
    WF_TRY(wf_text_load(env, &b->data, 1, NULL, &text, b->job->err));
    weft_status status = wf_data_create(env, tok, &text, NULL, &how, &data, b->job->err);
    if (status == WEFT_OK)
        status = wf_bench_model(b, spec, &model);
    if (status == WEFT_OK) {
        status = train(b, model, data, e);
        wf_model_free(model);
    }
    wf_data_free(data);
    wf_text_free(&text);
    *seconds = wf_seconds() - from;
    return status;
}

static weft_status run(wf_bench *b) {
    wf_tokenizer *tok;
    wf_evaluation e = {0};
    double seconds;
    wf_bench_line *line = wf_bench_add(b, "to %.2f nats/character", wanted_loss);
    if (!b->data) {
        b->skipped = "needs tiny Shakespeare (--data FILE)";
        return WEFT_OK;
    }
    if (!line)
        return wf_fail_memory(b->job->err);
    WF_TRY(wf_tokenizer_bytes(&b->job->env->mem, NULL, 0, &tok, b->job->err));
    weft_status status = timed(b, tok, &e, &seconds);
    wf_tokenizer_free(tok);
    WF_TRY(status);
    wf_series_add(&line->ours, seconds);
    wf_series_sort(&line->ours);
    wf_put_number(b->job->arena, line->extra, "validation_loss", e.nats);
    wf_put_int(b->job->arena, line->extra, "characters", (int64_t)STEPS * BATCH * CONTEXT);
    line->note = wf_bench_text(b, "validation loss %.4f on %llu characters%s", e.nats, (unsigned long long)e.tokens,
                               e.nats <= wanted_loss ? "" : ": NOT REACHED");
    return WEFT_OK;
}

const wf_bench_row wf_bench_char_lm = {
    "char_lm", "tiny Shakespeare, 4 layers, 4 heads, 128 wide, context 64: seconds to 1.88 nats/character", run};
