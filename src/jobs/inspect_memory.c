/* inspect_memory.c - what a training step takes, by planning it without taking it. */
#include "jobs/inspect.h"
#include "jobs/put.h"
#include "train/trainer.h"

typedef struct row {
    const char *key, *label;
    size_t bytes;
} row;

static void put_row(wf_job *job, wf_json *out, const row *r) {
    char text[16];
    wf_format_bytes((double)r->bytes, text);
    wf_put_int(job->arena, out, r->key, (int64_t)r->bytes);
    if (r->bytes > 0)
        wf_str_printf(&job->text, "  %-16s %12s\n", r->label, text);
}

static void tell(wf_job *job, const wf_inspection *step, const wf_memory_parts *m, double flops, int64_t params) {
    const row rows[] = {{"parameters", "parameters", m->parameters},    {"compute_copies", "compute copies", m->compute_copies},
                        {"gradients", "gradients", m->gradients},       {"moments", "moments", m->moments},
                        {"activations", "activations", m->activations}, {"scratch", "scratch", m->scratch}};
    size_t total = 0, kept = m->parameters + m->compute_copies + m->gradients + m->moments;
    wf_json *out = wf_put_object(job->arena, job->json, "training");
    const char *optimizer = wf_json_text(step->optimizer, "name", "adamw");
    char text[16];
    wf_str_printf(&job->text, "memory of a training step of %lld x %lld tokens, %s, %s:\n", (long long)step->batch,
                  (long long)step->context, step->bf16 ? "bf16" : "fp32", optimizer);
    wf_put_int(job->arena, out, "batch", step->batch);
    wf_put_int(job->arena, out, "context", step->context);
    wf_put_text(job->arena, out, "precision", step->bf16 ? "bf16" : "fp32");
    wf_put_text(job->arena, out, "optimizer", optimizer);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_row(job, out, &rows[i]);
        total += rows[i].bytes;
    }
    wf_format_bytes((double)total, text);
    wf_str_printf(&job->text, "  %-16s %12s  (%.1f bytes per parameter, and activations)\n", "total", text,
                  (double)kept / (double)params);
    wf_str_printf(&job->text, "  %-16s %8.4g GFLOP  (multiply-adds x 2, counted by the operations)\n", "cost", flops * 1e-9);
    wf_put_int(job->arena, out, "total", (int64_t)total);
    wf_put_number(job->arena, out, "bytes_per_parameter", (double)kept / (double)params);
    wf_put_number(job->arena, out, "flops", flops);
}

weft_status wf_inspect_memory(wf_job *job, const wf_model *model, const wf_inspection *step) {
    wf_trainer_options o = {.batch = step->batch,
                            .rows = step->context,
                            .accumulate = 1,
                            .bf16 = step->bf16,
                            .checkpoint_activations = step->checkpoint_activations,
                            .keep_activations = step->keep_activations,
                            .optimizer = step->optimizer};
    wf_memory_parts parts;
    weft_error err = {0};
    double flops;
    weft_status status = wf_trainer_measure(model, &o, &parts, &flops, &err);
    if (status == WEFT_OK)
        tell(job, step, &parts, flops, wf_params_total(&model->params));
    else if (status == WEFT_UNSUPPORTED)
        wf_str_printf(&job->text, "no training step: %s\n", err.message);
    else if (job->err)
        *job->err = err;
    return status == WEFT_UNSUPPORTED ? WEFT_OK : status;
}
