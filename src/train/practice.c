#include "train/practice.h"
#include <math.h>
#include <string.h>

/* The prompt of a sample: up to the row that gives the first answer. */
static int64_t prompt_of(const int32_t *targets, int64_t length) {
    int64_t i = 0;
    while (i < length && targets[i] < 0)
        i++;
    return i < length ? i + 1 : length;
}

/* ---- practice ---- */
weft_status wf_practice_open(wf_practice *p, wf_model *model, const wf_task_config *task, const wf_trainer_options *options,
                             weft_error *err) {
    *p = (wf_practice){.env = model->env, .task = *task, .options = *options};
    size_t all = (size_t)(options->batch * task->length) * (size_t)options->accumulate;
    WF_CHECK(model->spec->vocab >= task->task->vocab(task), err, WEFT_USAGE, "the task has %lld tokens, the model only %lld",
             (long long)task->task->vocab(task), (long long)model->spec->vocab);
    p->options.rows = task->length;
    p->options.segments = p->options.masks = false;
    p->batches = wf_calloc(&p->env->mem, (size_t)options->accumulate, sizeof *p->batches);
    p->ids = wf_calloc(&p->env->mem, all, sizeof *p->ids);
    p->targets = wf_calloc(&p->env->mem, all, sizeof *p->targets);
    p->prefix = wf_calloc(&p->env->mem, (size_t)(options->batch * options->accumulate), sizeof *p->prefix);
    weft_status status = p->batches && p->ids && p->targets && p->prefix
                             ? wf_trainer_create(model, &p->options, &p->trainer, err)
                             : wf_fail_memory(err);
    if (status != WEFT_OK)
        wf_practice_close(p);
    return status;
}

void wf_practice_close(wf_practice *p) {
    if (!p->env)
        return;
    wf_trainer_free(p->trainer);
    wf_free(&p->env->mem, p->batches);
    wf_free(&p->env->mem, p->ids);
    wf_free(&p->env->mem, p->targets);
    wf_free(&p->env->mem, p->prefix);
    memset(p, 0, sizeof *p);
}

weft_status wf_practice_step(wf_practice *p, wf_step_result *out, weft_error *err) {
    int64_t n = p->options.batch, length = p->task.length;
    for (int64_t i = 0; i < n * p->options.accumulate; i++) {
        wf_task_draw(&p->task, p->options.seed, p->cursor + (uint64_t)i, p->ids + i * length, p->targets + i * length);
        p->prefix[i] = prompt_of(p->targets + i * length, length);
    }
    for (int64_t m = 0; m < p->options.accumulate; m++)
        p->batches[m] = (wf_train_batch){
            .ids = p->ids + m * n * length, .targets = p->targets + m * n * length, .prefix = p->prefix + m * n};
    WF_TRY(wf_trainer_step(p->trainer, p->batches, out, err));
    p->cursor += (uint64_t)(n * p->options.accumulate);
    return WEFT_OK;
}

/* ---- exams ---- */
enum { EXAM_SEED = 0x6578616d };

typedef struct exam {
    const wf_model *model;
    wf_task_config task;
    const wf_exam_options *how;
    wf_tape *tape;
    wf_tensor *ids, *prefix, *logits;
    int32_t *targets;
    double nats;
    int64_t right, answers;
} exam;

static weft_status record(exam *e, weft_error *err) {
    const int64_t dims[2] = {e->how->batch, e->task.length};
    wf_model_ports ports = {NULL};
    wf_model_options options = {.mode = WF_NO_STATE};
    WF_TRY(wf_tape_create(e->model->env, &(wf_tape_options){.type = e->how->bf16 ? WF_BF16 : WF_F32}, &e->tape, err));
    ports.ids = e->ids = wf_input(e->tape, "ids", WF_I32, 2, dims);
    if (e->model->spec->prefixed)
        ports.prefix = e->prefix = wf_input(e->tape, "prefix", WF_I64, 1, dims);
    WF_TRY(wf_model_record(e->model, e->tape, dims[0], dims[1], &options, &ports, err));
    wf_keep(e->tape, e->logits = wf_model_logits(e->model, e->tape, ports.hidden));
    return wf_tape_plan(e->tape, err);
}

static void mark(exam *e, const float *logits, int32_t target) {
    int64_t vocab = e->model->spec->vocab, best = 0;
    double sum = 0.0;
    for (int64_t v = 1; v < vocab; v++)
        best = logits[v] > logits[best] ? v : best;
    for (int64_t v = 0; v < vocab; v++)
        sum += exp((double)logits[v] - (double)logits[best]);
    e->nats += log(sum) + (double)logits[best] - (double)logits[target];
    e->right += best == target;
    e->answers++;
}

/* Samples from `first`; those beyond `samples` do not count. */
static weft_status sit(exam *e, int64_t first, weft_error *err) {
    int64_t length = e->task.length, vocab = e->model->spec->vocab;
    const wf_runtime rt = {.loss_scale = 1.0f};
    for (int64_t b = 0; b < e->how->batch; b++)
        wf_task_draw(&e->task, e->how->seed ^ EXAM_SEED, (uint64_t)(first + b), (int32_t *)e->ids->data + b * length,
                     e->targets + b * length);
    for (int64_t b = 0; e->prefix && b < e->how->batch; b++)
        ((int64_t *)e->prefix->data)[b] = prompt_of(e->targets + b * length, length);
    WF_TRY(wf_stopped(e->model->env));
    WF_TRY(wf_tape_forward(e->tape, &rt, err));
    for (int64_t i = 0; i < e->how->batch * length; i++)
        if (e->targets[i] >= 0 && first + i / length < e->how->samples)
            mark(e, (const float *)e->logits->data + i * vocab, e->targets[i]);
    return WEFT_OK;
}

weft_status wf_examine(const wf_model *model, const wf_task_config *task, const wf_exam_options *how, wf_score *out,
                       weft_error *err) {
    exam e = {.model = model, .task = *task, .how = how};
    WF_CHECK(model->spec->vocab >= task->task->vocab(task), err, WEFT_USAGE, "the task has %lld tokens, the model only %lld",
             (long long)task->task->vocab(task), (long long)model->spec->vocab);
    e.task.exact = true;
    e.targets = wf_calloc(&model->env->mem, (size_t)(how->batch * task->length), sizeof *e.targets);
    weft_status status = e.targets ? record(&e, err) : wf_fail_memory(err);
    for (int64_t first = 0; first < how->samples && status == WEFT_OK; first += how->batch)
        status = sit(&e, first, err);
    *out = (wf_score){.accuracy = e.answers ? (double)e.right / (double)e.answers : NAN,
                      .nats = e.answers ? e.nats / (double)e.answers : NAN,
                      .answers = e.answers};
    wf_tape_free(e.tape);
    wf_free(&model->env->mem, e.targets);
    return status;
}
