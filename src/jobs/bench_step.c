/* bench_step.c - a training step of GPT-2 124M, and what bf16 does to the loss. */
#include <math.h>
#include "base/rng.h"
#include "jobs/bench.h"
#include "jobs/put.h"
#include "model/model.h"
#include "text/tokenizer.h"
#include "train/data.h"
#include "train/trainer.h"

enum { BATCH = 4, LOSS_STEPS = 50, LOSS_ROWS = 64 };

typedef struct stepping {
    wf_trainer *trainer;
    wf_train_batch batch;
    int32_t *ids, *targets;
    const wf_mem *mem;
} stepping;

static void close_stepping(stepping *s) {
    wf_trainer_free(s->trainer);
    wf_free(s->mem, s->ids);
    wf_free(s->mem, s->targets);
}

static wf_json *adamw(wf_bench *b) {
    wf_json *j = wf_json_new(b->job->arena, WF_JSON_OBJECT);
    wf_put_text(b->job->arena, j, "name", "adamw");
    wf_put_number(b->job->arena, j, "lr", 3e-4);
    return j;
}

/* Random tokens: the time does not depend on them. */
static weft_status open_stepping(wf_bench *b, wf_model *model, const wf_bench_case *c, stepping *s) {
    const wf_mem *mem = &b->job->env->mem;
    size_t n = (size_t)(c->batch * c->context);
    wf_trainer_options o = {.batch = c->batch,
                            .rows = c->context,
                            .accumulate = 1,
                            .bf16 = wf_streq(c->precision, "bf16"),
                            .optimizer = adamw(b),
                            .clip = 1.0};
    *s = (stepping){.ids = wf_calloc(mem, n, sizeof(int32_t)), .targets = wf_calloc(mem, n, sizeof(int32_t)), .mem = mem};
    weft_status status =
        s->ids && s->targets ? wf_trainer_create(model, &o, &s->trainer, b->job->err) : wf_fail_memory(b->job->err);
    for (size_t i = 0; status == WEFT_OK && i < n; i++) {
        s->ids[i] = (int32_t)wf_rng_below(wf_rng_make(1, 1, 0), i, (uint64_t)model->spec->vocab);
        s->targets[i] = (int32_t)wf_rng_below(wf_rng_make(1, 1, 0), i + 1, (uint64_t)model->spec->vocab);
    }
    s->batch = (wf_train_batch){.ids = s->ids, .targets = s->targets};
    if (status != WEFT_OK)
        close_stepping(s);
    return status;
}

static weft_status once(void *state, double *seconds, weft_error *err) {
    stepping *s = state;
    wf_step_result result;
    double from = wf_seconds();
    WF_TRY(wf_trainer_step(s->trainer, &s->batch, &result, err));
    *seconds = wf_seconds() - from;
    return WEFT_OK;
}

/* One more step with the clock on. */
static weft_status profile(wf_bench *b, stepping *st, wf_bench_line *line) {
    double seconds;
    wf_tape *tape = wf_trainer_tape(st->trainer);
    wf_tape_profile(tape, true);
    WF_TRY(once(st, &seconds, b->job->err));
    wf_bench_tell_operations(b, line, tape, seconds);
    wf_tape_profile(tape, false);
    return WEFT_OK;
}

static weft_status run_case(wf_bench *b, const wf_json *spec, const wf_bench_case *c) {
    wf_model *model;
    stepping s;
    wf_bench_line *line = wf_bench_add(b, "B=%lld T=%lld %s", (long long)c->batch, (long long)c->context, c->precision);
    if (!line)
        return wf_fail_memory(b->job->err);
    WF_TRY(wf_bench_model(b, spec, &model));
    weft_status status = open_stepping(b, model, c, &s);
    if (status == WEFT_OK) {
        line->work = wf_bench_model_flops(model, c->batch, c->context);
        line->roof = wf_streq(c->precision, "bf16") ? WF_ROOF_MATMUL_BF16 : WF_ROOF_MATMUL_F32;
        line->tokens = (double)(c->batch * c->context);
        status = wf_bench_rounds(b, line, c, b->peer ? 5 : 7, once, &s);
        if (status == WEFT_OK)
            status = profile(b, &s, line);
        close_stepping(&s);
    }
    wf_model_free(model);
    return status;
}

static weft_status run_step(wf_bench *b) {
    static const wf_bench_case cases[] = {{BATCH, 64, "fp32"}, {BATCH, 256, "fp32"}, {BATCH, 64, "bf16"}, {BATCH, 256, "bf16"}};
    wf_json *spec;
    WF_TRY(wf_bench_gpt2(b, &spec));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        WF_TRY(run_case(b, spec, &cases[i]));
    return WEFT_OK;
}

const wf_bench_row wf_bench_step = {"step", "a training step of the GPT-2 124M shape, forward, backward, clipping and AdamW",
                                    run_step};

/* ---- bf16 against fp32 ---- */
/* The same model, seeds and batches of bytes twice; losses[step]. */
static weft_status train_losses(wf_bench *b, const wf_json *spec, const wf_data *data, const char *precision, double *losses) {
    wf_model *model;
    stepping s;
    wf_bench_case c = {BATCH, LOSS_ROWS, precision};
    WF_TRY(wf_bench_model(b, spec, &model));
    weft_status status = open_stepping(b, model, &c, &s);
    weft_progress p = wf_progress_new("train", precision);
    p.steps = LOSS_STEPS;
    for (int i = 0; i < LOSS_STEPS && status == WEFT_OK; i++) {
        wf_step_result r;
        wf_batch batch = {.rows = BATCH, .length = LOSS_ROWS, .ids = s.ids, .targets = s.targets};
        wf_data_batch(data, (uint64_t)i * BATCH, &batch);
        status = wf_stopped(b->job->env);
        if (status == WEFT_OK)
            status = wf_trainer_step(s.trainer, &s.batch, &r, b->job->err);
        losses[i] = p.loss = r.loss;
        p.step = i + 1;
        wf_job_report(b->job, &p);
        if (i + 1 == LOSS_STEPS || status != WEFT_OK)
            close_stepping(&s);
    }
    wf_model_free(model);
    return status;
}

static weft_status compare_losses(wf_bench *b, const wf_data *data) {
    double fp32[LOSS_STEPS], bf16[LOSS_STEPS], worst = 0.0, sums[2] = {0.0, 0.0};
    wf_json *spec;
    WF_TRY(wf_bench_gpt2(b, &spec));
    WF_TRY(train_losses(b, spec, data, "fp32", fp32));
    WF_TRY(train_losses(b, spec, data, "bf16", bf16));
    for (int i = 0; i < LOSS_STEPS; i++) {
        double difference = fabs(bf16[i] / fp32[i] - 1.0);
        worst = difference > worst ? difference : worst;
        sums[0] += fp32[i];
        sums[1] += bf16[i];
    }
    wf_bench_line *line = wf_bench_add(b, "%d steps of B=%d T=%d", LOSS_STEPS, BATCH, LOSS_ROWS);
    if (!line)
        return wf_fail_memory(b->job->err);
    double last = fabs(bf16[LOSS_STEPS - 1] / fp32[LOSS_STEPS - 1] - 1.0);
    wf_put_number(b->job->arena, line->extra, "fp32_last", fp32[LOSS_STEPS - 1]);
    wf_put_number(b->job->arena, line->extra, "bf16_last", bf16[LOSS_STEPS - 1]);
    wf_put_number(b->job->arena, line->extra, "worst_difference", worst);
    wf_put_number(b->job->arena, line->extra, "mean_difference", fabs(sums[1] / sums[0] - 1.0));
    line->note = wf_bench_text(
        b, "last loss %.4f fp32, %.4f bf16: %.3f %% apart; mean of all steps %.3f %%, worst step %.3f %%", fp32[LOSS_STEPS - 1],
        bf16[LOSS_STEPS - 1], 100.0 * last, 100.0 * fabs(sums[1] / sums[0] - 1.0), 100.0 * worst);
    return WEFT_OK;
}

static weft_status with_bytes(wf_bench *b, const char *path) {
    const wf_env *env = b->job->env;
    wf_tokenizer *tok;
    wf_text text;
    wf_data *data = NULL;
    wf_data_options how = wf_data_options_usual(LOSS_ROWS);
    WF_TRY(wf_text_load(env, &path, 1, NULL, &text, b->job->err));
    weft_status status = wf_tokenizer_bytes(&env->mem, NULL, 0, &tok, b->job->err);
    if (status == WEFT_OK) {
        status = wf_data_create(env, tok, &text, NULL, &how, &data, b->job->err);
        if (status == WEFT_OK)
            status = compare_losses(b, data);
        wf_data_free(data);
        wf_tokenizer_free(tok);
    }
    wf_text_free(&text);
    return status;
}

static weft_status run_bf16_loss(wf_bench *b) {
    const char *path = b->data ? b->data : b->text;
    if (path)
        return with_bytes(b, path);
    b->skipped = "no text (--data FILE)";
    return WEFT_OK;
}

const wf_bench_row wf_bench_bf16_loss = {"bf16_loss", "the GPT-2 124M shape trained on bytes of a text in fp32 and in bf16",
                                         run_bf16_loss};
