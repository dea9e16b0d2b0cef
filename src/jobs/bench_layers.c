/* bench_layers.c - layers that promise a cost linear in time: time per token at growing lengths, and what the core adds to its
 * projections. */
#include <string.h>
#include "jobs/bench.h"
#include "jobs/put.h"
#include "model/model.h"

typedef struct layer_run {
    wf_tape *tape;
    double projections, core; /* seconds by the profile of the last run */
    int64_t rows;
} layer_run;

static weft_status record(wf_bench *b, const wf_model *m, int64_t rows, layer_run *r) {
    const int64_t dims[3] = {1, rows, m->spec->dim};
    wf_layer *layer = m->spec->blocks[0].mixer;
    weft_error *err = b->job->err;
    WF_TRY(wf_tape_create(b->job->env, &(wf_tape_options){.type = WF_F32, .grad = true}, &r->tape, err));
    wf_ports io = {.x = wf_input_grad(r->tape, "x", 3, dims)};
    wf_run run = {.tape = r->tape, .batch = 1, .rows = rows, .length = rows, .mode = WF_NO_STATE};
    wf_tensor *seed = wf_input(r->tape, "dy", WF_F32, 3, dims);
    WF_TRY(layer->row->run(&run, layer, &io));
    wf_tensor *y = wf_cast(r->tape, io.y, WF_F32);
    wf_root_seeded(r->tape, y, seed);
    WF_TRY(wf_tape_plan(r->tape, err));
    for (int64_t i = 0; i < io.x->count; i++) {
        ((float *)io.x->data)[i] = (float)(i % 17 - 8) * 0.1f;
        ((float *)seed->data)[i] = (float)(i % 13 - 6) * 0.01f;
    }
    return WEFT_OK;
}

static void add_profile(void *user, const char *op, wf_pass pass, double seconds, int calls) {
    layer_run *r = user;
    (void)pass;
    (void)calls;
    *(strcmp(op, "linear") == 0 ? &r->projections : &r->core) += seconds;
}

/* One forward and backward; seconds of a thousand tokens. */
static weft_status once(void *state, double *seconds, weft_error *err) {
    layer_run *r = state;
    wf_runtime rt = {.loss_scale = 1.0f};
    wf_tape_profile(r->tape, true); /* from zero: the last run counts */
    double from = wf_seconds();
    WF_TRY(wf_tape_forward(r->tape, &rt, err));
    WF_TRY(wf_tape_backward(r->tape, &rt, err));
    *seconds = (wf_seconds() - from) * 1000.0 / (double)r->rows;
    return WEFT_OK;
}

static weft_status run_length(wf_bench *b, const wf_model *m, int64_t rows, double *median) {
    layer_run r = {.rows = rows};
    wf_bench_line *line =
        wf_bench_add(b, "%s T=%lldk, 1000 tokens", m->spec->blocks[0].mixer->row->name, (long long)rows / 1024);
    weft_status status = line ? record(b, m, rows, &r) : wf_fail_memory(b->job->err);
    if (status == WEFT_OK)
        status = wf_bench_rounds(b, line, NULL, rows > 16384 ? 3 : 7, once, &r);
    if (status == WEFT_OK) {
        wf_tape_profile_each(r.tape, add_profile, &r);
        *median = line->ours.median;
        wf_put_number(b->job->arena, line->extra, "core_over_projections", r.core / r.projections);
        line->note = wf_bench_text(b, "core %.0f %% of the projections", 100.0 * r.core / r.projections);
    }
    wf_tape_free(r.tape);
    return status;
}

static weft_status run_mixer(wf_bench *b, const char *mixer) {
    static const int64_t lengths[] = {1024, 8192, 65536};
    wf_json *spec;
    wf_model *model;
    double low = 0.0, high = 0.0, t = 0.0;
    WF_TRY(wf_bench_json(
        b,
        wf_bench_text(
            b, "{\"format\": 1, \"name\": \"layer\", \"dim\": 512, \"layers\": 1, \"vocab\": 8, \"block\": {\"mixer\": {%s}}}",
            mixer),
        &spec));
    WF_TRY(wf_bench_model(b, spec, &model));
    weft_status status = wf_params_allocate_grads(&model->params, b->job->err);
    for (size_t i = 0; i < (b->quick ? 2u : 3u) && status == WEFT_OK; i++) {
        status = run_length(b, model, lengths[i], &t);
        low = i == 0 || t < low ? t : low;
        high = i == 0 || t > high ? t : high;
    }
    if (status == WEFT_OK && b->last) {
        wf_put_number(b->job->arena, b->last->extra, "slowest_over_fastest_length", high / low);
        b->last->note =
            wf_bench_text(b, "%s; slowest length %.0f %% above the fastest", b->last->note, 100.0 * (high / low - 1.0));
    }
    wf_model_free(model);
    return status;
}

static weft_status run(wf_bench *b) {
    WF_TRY(run_mixer(b, "\"mixer\": \"mamba\""));
    WF_TRY(run_mixer(b, "\"mixer\": \"linear_attention\", \"heads\": 8, \"causal\": true"));
    return run_mixer(b, "\"mixer\": \"retention\", \"heads\": 8");
}

const wf_bench_row wf_bench_layers = {
    "layers", "mamba, linear attention and retention, width 512, forward and backward: time per token as T grows", run};
