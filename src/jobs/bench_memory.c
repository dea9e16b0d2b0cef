/* bench_memory.c - the peak memory of training steps against the estimate of `inspect`. Needs Linux's /proc. */
#include <string.h>
#include "jobs/bench.h"
#include "jobs/inspect.h"
#include "jobs/peak.h"
#include "jobs/put.h"
#include "presets/presets.h"
#include "train/trainer.h"

typedef struct subject {
    const char *label;
    const wf_json *spec;
    int64_t batch, rows;
    bool bf16;
} subject;

static weft_status train_a_little(wf_bench *b, const subject *s, const wf_trainer_options *o, wf_memory_parts *parts) {
    const wf_env *env = b->job->env;
    wf_model *model;
    wf_trainer *trainer;
    wf_step_result r;
    int32_t *ids = wf_calloc(&env->mem, (size_t)(s->batch * s->rows), sizeof *ids);
    weft_status status = ids ? wf_bench_model(b, s->spec, &model) : wf_fail_memory(b->job->err);
    if (status == WEFT_OK) {
        status = wf_trainer_create(model, o, &trainer, b->job->err);
        for (int i = 0; i < 2 && status == WEFT_OK; i++)
            status = wf_trainer_step(trainer, &(wf_train_batch){.ids = ids, .targets = ids}, &r, b->job->err);
        if (status == WEFT_OK)
            *parts = wf_trainer_memory(trainer);
        wf_trainer_free(trainer);
        wf_model_free(model);
    }
    wf_free(&env->mem, ids);
    return status;
}

static weft_status estimate(wf_bench *b, const subject *s, const wf_trainer_options *o, double *total) {
    wf_model *model;
    wf_memory_parts m;
    double flops;
    WF_TRY(wf_model_create(b->job->env, s->spec, &model, b->job->err));
    weft_status status = wf_trainer_measure(model, o, &m, &flops, b->job->err);
    wf_model_free(model);
    *total = (double)(m.parameters + m.compute_copies + m.gradients + m.moments + m.activations + m.scratch);
    return status;
}

static void tell(wf_bench *b, wf_bench_line *line, const wf_memory_parts *m, double guess, double peak) {
    const size_t bytes[] = {m->parameters, m->compute_copies, m->gradients, m->moments, m->activations, m->scratch};
    static const char *const names[] = {"parameters", "compute_copies", "gradients", "moments", "activations", "scratch"};
    char text[6][16], total[16], measured[16];
    for (size_t i = 0; i < 6; i++) {
        wf_format_bytes((double)bytes[i], text[i]);
        wf_put_int(b->job->arena, line->extra, names[i], (int64_t)bytes[i]);
    }
    wf_format_bytes(guess, total);
    wf_format_bytes(peak, measured);
    wf_put_number(b->job->arena, line->extra, "estimate", guess);
    wf_put_number(b->job->arena, line->extra, "measured", peak);
    wf_put_number(b->job->arena, line->extra, "difference", guess / peak - 1.0);
    line->note = wf_bench_text(
        b,
        "parameters %s, copies %s, gradients %s, moments %s, activations %s, scratch %s: estimate %s, measured %s (%+.1f %%)",
        text[0], text[1], text[2], text[3], text[4], text[5], total, measured, 100.0 * (guess / peak - 1.0));
}

static weft_status run_subject(wf_bench *b, const subject *s) {
    wf_json *adamw = wf_json_new(b->job->arena, WF_JSON_OBJECT);
    wf_trainer_options o = {
        .batch = s->batch, .rows = s->rows, .accumulate = 1, .bf16 = s->bf16, .optimizer = adamw, .clip = 1.0};
    wf_memory_parts parts;
    double guess, before;
    wf_put_text(b->job->arena, adamw, "name", "adamw");
    WF_TRY(estimate(b, s, &o, &guess));
    if (!wf_peak_begin(&before)) {
        b->skipped = "no /proc/self/clear_refs, so the peak cannot be measured";
        return WEFT_OK;
    }
    WF_TRY(train_a_little(b, s, &o, &parts));
    double peak = wf_peak_bytes() - before;
    wf_bench_line *line = wf_bench_add(b, "%s, B=%lld T=%lld %s", b->quick ? "toy" : s->label, (long long)s->batch,
                                       (long long)s->rows, s->bf16 ? "bf16" : "fp32");
    if (!line)
        return wf_fail_memory(b->job->err);
    tell(b, line, &parts, guess, peak);
    return WEFT_OK;
}

/* The preset reformer of one width in `layers` layers: its activations are the same for any depth. */
static weft_status reversible(wf_bench *b, int64_t layers, wf_json **spec) {
    const wf_sizes sizes = {
        .dim = b->quick ? 64 : 512, .layers = layers, .hidden = b->quick ? 128 : 2048, .vocab = 256, .context = 1024};
    wf_json *template_;
    WF_TRY(wf_preset_template(b->job->arena, "reformer", &template_, b->job->err));
    return wf_preset_fill(b->job->arena, wf_json_get(template_, "spec"), &sizes, spec, b->job->err);
}

static weft_status run(wf_bench *b) {
    wf_json *gpt2, *template_, *small, *few, *many;
    WF_TRY(reversible(b, 4, &few));
    WF_TRY(reversible(b, 16, &many));
    WF_TRY(wf_bench_gpt2(b, &gpt2));
    WF_TRY(wf_preset_template(b->job->arena, "llama", &template_, b->job->err));
    WF_TRY(wf_preset_solve(b->job->env, b->job->arena, template_,
                           &(wf_sizing){b->quick ? 1000000 : 10000000, b->quick ? 256 : 4096, 256}, &small, b->job->err));
    const subject subjects[] = {{"llama 10M", small, 8, 256, false},
                                {"GPT-2 124M", gpt2, 4, 256, false},
                                {"GPT-2 124M", gpt2, 4, 256, true},
                                {"reformer, 4 layers", few, 8, 1024, false},
                                {"reformer, 16 layers", many, 8, 1024, false}};
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects && !b->skipped; i++)
        WF_TRY(run_subject(b, &subjects[i]));
    return WEFT_OK;
}

const wf_bench_row wf_bench_memory = {"memory", "peak memory of a training step by part, measured and as inspect estimates it",
                                      run};
