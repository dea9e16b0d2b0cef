#include "train/learner.h"
#include <math.h>
#include <string.h>

static weft_status allocate(wf_learner *l, weft_error *err) {
    const wf_mem *mem = &l->env->mem;
    size_t n = (size_t)(l->options.batch * l->options.rows), all = n * (size_t)l->options.accumulate;
    l->batches = wf_calloc(mem, (size_t)l->options.accumulate, sizeof *l->batches);
    l->ids = wf_calloc(mem, all, sizeof *l->ids);
    l->targets = wf_calloc(mem, all, sizeof *l->targets);
    if (l->model->spec->prefixed)
        l->prefix = wf_calloc(mem, (size_t)(l->options.batch * l->options.accumulate), sizeof *l->prefix);
    if (!l->batches || !l->ids || !l->targets || (!l->prefix && l->model->spec->prefixed))
        return wf_fail_memory(err);
    if (!l->options.segments)
        return WEFT_OK;
    l->positions = wf_calloc(mem, all, sizeof *l->positions);
    l->segments = wf_calloc(mem, all, sizeof *l->segments);
    l->packed = wf_calloc(mem, 2 * n, sizeof *l->packed);
    return l->positions && l->segments && l->packed ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_learner_open(wf_learner *l, wf_model *model, const wf_data *data, const wf_trainer_options *options,
                            weft_error *err) {
    *l = (wf_learner){.env = model->env, .data = data, .model = model, .options = *options};
    WF_CHECK(wf_data_windows(data, options->rows) > 0, err, WEFT_BAD_INPUT,
             "the text is shorter than one window of %lld tokens", (long long)options->rows + 1);
    WF_CHECK(!options->segments || !model->spec->prefixed, err, WEFT_UNSUPPORTED,
             "packed documents in a model with prefixes ('prefix_lm'): a row has one prefix");
    weft_status status = allocate(l, err);
    if (status == WEFT_OK)
        status = wf_trainer_create(model, options, &l->trainer, err);
    if (status != WEFT_OK)
        wf_learner_close(l);
    return status;
}

void wf_learner_close(wf_learner *l) {
    if (!l->env)
        return;
    const wf_mem *mem = &l->env->mem;
    wf_trainer_free(l->trainer);
    wf_free(mem, l->batches);
    wf_free(mem, l->ids);
    wf_free(mem, l->targets);
    wf_free(mem, l->positions);
    wf_free(mem, l->segments);
    wf_free(mem, l->packed);
    wf_free(mem, l->prefix);
    memset(l, 0, sizeof *l);
}

/* Micro-batch m of the update. */
static void fetch(wf_learner *l, int64_t m) {
    size_t n = (size_t)(l->options.batch * l->options.rows), at = n * (size_t)m;
    wf_batch b = {.rows = l->options.batch, .length = l->options.rows, .ids = l->ids + at, .targets = l->targets + at};
    if (l->options.segments) {
        b.segments = l->packed;
        b.positions = l->packed + n;
    }
    b.prefix = l->prefix ? l->prefix + m * l->options.batch : NULL;
    wf_data_batch(l->data, l->cursor + (uint64_t)(m * l->options.batch), &b);
    l->batches[m] = (wf_train_batch){.ids = b.ids, .targets = b.targets, .prefix = b.prefix};
    if (!l->options.segments)
        return;
    for (size_t i = 0; i < n; i++) {
        l->segments[at + i] = b.segments[i];
        l->positions[at + i] = b.positions[i];
    }
    l->batches[m].segments = l->segments + at;
    l->batches[m].positions = l->positions + at;
}

weft_status wf_learner_step(wf_learner *l, wf_step_result *out, weft_error *err) {
    for (int64_t m = 0; m < l->options.accumulate; m++)
        fetch(l, m);
    WF_TRY(wf_trainer_step(l->trainer, l->batches, out, err));
    l->cursor += (uint64_t)(l->options.accumulate * l->options.batch);
    return WEFT_OK;
}

double wf_learner_passes(const wf_learner *l) { return wf_data_passes(l->data, l->cursor, l->options.rows); }

/* ---- evaluation ---- */
typedef struct sums {
    double nats;
    uint64_t tokens, bytes;
    double *position; /* [rows] */
    uint64_t *counts; /* [rows] */
    int64_t *prefix;  /* [batch] */
} sums;

static void add_batch(sums *s, const float *loss, const int32_t *targets, int64_t batch, int64_t rows) {
    for (int64_t i = 0; i < batch * rows; i++) {
        if (targets[i] < 0)
            continue;
        s->nats += (double)loss[i];
        s->tokens++;
        s->position[i % rows] += (double)loss[i];
        s->counts[i % rows]++;
    }
}

static weft_status evaluate_windows(wf_evaluator *e, const wf_model *model, const wf_data *data, const wf_evaluation_options *o,
                                    int32_t *ids, sums *s, weft_error *err) {
    uint64_t windows = wf_data_validation_windows(data, o->rows), stride = 1;
    if (o->max_windows && windows > o->max_windows)
        stride = windows / o->max_windows;
    size_t n = (size_t)(o->batch * o->rows);
    wf_batch b = {.rows = o->batch, .length = o->rows, .ids = ids, .targets = ids + n};
    b.prefix = model->spec->prefixed ? s->prefix : NULL;
    for (uint64_t first = 0, done = 0; first < windows && (!o->max_windows || done < o->max_windows);
         first += stride * (uint64_t)o->batch) {
        const float *loss;
        WF_TRY(wf_stopped(model->env));
        wf_data_validation_batch(data, first, stride, &b);
        WF_TRY(wf_evaluator_run(e, &(wf_train_batch){.ids = b.ids, .targets = b.targets, .prefix = b.prefix}, &loss, err));
        add_batch(s, loss, b.targets, o->batch, o->rows);
        WF_TRY(wf_data_target_bytes(data, b.targets, n, &s->bytes, err));
        done += (uint64_t)o->batch;
    }
    return WEFT_OK;
}

weft_status wf_evaluate(const wf_model *model, const wf_data *data, const wf_evaluation_options *o, wf_evaluation *out,
                        weft_error *err) {
    const wf_mem *mem = &model->env->mem;
    wf_evaluator *e;
    size_t n = (size_t)(o->batch * o->rows);
    WF_CHECK(wf_data_validation_windows(data, o->rows) > 0, err, WEFT_BAD_INPUT, "the validation text is empty");
    WF_TRY(wf_evaluator_create(model, o->batch, o->rows, o->bf16, false, &e, err));
    int32_t *ids = wf_calloc(mem, 2 * n, sizeof *ids);
    sums s = {.position = wf_calloc(mem, (size_t)o->rows, sizeof(double)),
              .counts = wf_calloc(mem, (size_t)o->rows, sizeof(uint64_t)),
              .prefix = wf_calloc(mem, (size_t)o->batch, sizeof(int64_t))};
    weft_status status =
        ids && s.position && s.counts && s.prefix ? evaluate_windows(e, model, data, o, ids, &s, err) : wf_fail_memory(err);
    *out = (wf_evaluation){.nats = s.tokens ? s.nats / (double)s.tokens : NAN, .tokens = s.tokens, .bytes = s.bytes};
    out->bits_per_byte = s.bytes ? s.nats / (double)s.bytes / log(2.0) : NAN;
    for (int64_t i = 0; o->position_nats && s.counts && i < o->rows; i++)
        o->position_nats[i] = s.counts[i] ? s.position[i] / (double)s.counts[i] : NAN;
    out->position_nats = o->position_nats;
    wf_free(mem, ids);
    wf_free(mem, s.position);
    wf_free(mem, s.counts);
    wf_free(mem, s.prefix);
    wf_evaluator_free(e);
    return status;
}
