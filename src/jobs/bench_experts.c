/* bench_experts.c - what routing costs: a Switch layer of 16 experts against the dense layer that computes as much, forward and
 * backward, and the share of the experts' rows that is computed for nothing. */
#include "jobs/bench.h"
#include "jobs/put.h"
#include "model/model.h"
#include "tensor/experts.h"

enum { EXPERTS = 16, WIDTH = 512, HIDDEN = 2048 };

typedef struct layer_run {
    wf_model *model;
    wf_tape *tape;
    wf_tensor *blocks;
} layer_run;

static weft_status record(wf_bench *b, layer_run *r, int64_t tokens, bool bf16) {
    const int64_t dims[3] = {1, tokens, WIDTH};
    wf_layer *layer = r->model->spec->blocks[0].channel;
    WF_TRY(
        wf_tape_create(b->job->env, &(wf_tape_options){.type = bf16 ? WF_BF16 : WF_F32, .grad = true}, &r->tape, b->job->err));
    wf_ports io = {.x = wf_input_grad(r->tape, "x", 3, dims)};
    wf_run run = {.tape = r->tape, .batch = 1, .rows = tokens, .length = tokens, .mode = WF_NO_STATE};
    wf_tensor *seed = wf_input(r->tape, "dy", WF_F32, 3, dims);
    WF_TRY(layer->row->run(&run, layer, &io));
    wf_root_seeded(r->tape, wf_cast(r->tape, io.y, WF_F32), seed);
    wf_keep(r->tape, r->blocks = io.blocks);
    WF_TRY(wf_tape_plan(r->tape, b->job->err));
    wf_rng rng = wf_rng_make(1, 0, 0);
    for (int64_t i = 0; i < io.x->count; i++) {
        ((float *)io.x->data)[i] = (float)wf_rng_normal(rng, (uint64_t)i);
        ((float *)seed->data)[i] = (float)(i % 13 - 6) * 0.01f;
    }
    return WEFT_OK;
}

static weft_status once(void *state, double *seconds, weft_error *err) {
    layer_run *r = state;
    wf_runtime rt = {.loss_scale = 1.0f};
    double from = wf_seconds();
    WF_TRY(wf_tape_forward(r->tape, &rt, err));
    WF_TRY(wf_tape_backward(r->tape, &rt, err));
    *seconds = wf_seconds() - from;
    return WEFT_OK;
}

static weft_status run_layer(wf_bench *b, const char *label, const char *channel, int64_t tokens, bool bf16, double *median) {
    layer_run r = {0};
    wf_json *spec;
    WF_TRY(wf_bench_json(
        b,
        wf_bench_text(
            b,
            "{\"format\": 1, \"name\": \"layer\", \"dim\": %d, \"layers\": 1, \"vocab\": 8, \"block\": {\"mixer\": {\"mixer\": "
            "\"lstm\", \"hidden\": 8}, \"channel\": {%s}}}",
            WIDTH, channel),
        &spec));
    WF_TRY(wf_bench_model(b, spec, &r.model));
    wf_bench_line *line = wf_bench_add(b, "%s, %lld tokens, %s", label, (long long)tokens, bf16 ? "bf16" : "fp32");
    weft_status status = line ? wf_params_allocate_grads(&r.model->params, b->job->err) : wf_fail_memory(b->job->err);
    if (status == WEFT_OK && bf16)
        status = wf_params_allocate_bf16(&r.model->params, b->job->err);
    if (status == WEFT_OK)
        status = record(b, &r, tokens, bf16);
    if (status == WEFT_OK) {
        wf_params_refresh_bf16(&r.model->params);
        line->tokens = (double)tokens;
        status = wf_bench_rounds(b, line, NULL, 9, once, &r);
    }
    if (status == WEFT_OK && r.blocks) {
        double waste = wf_dispatch_waste(r.blocks->data, EXPERTS);
        wf_put_number(b->job->arena, line->extra, "wasted_rows", waste);
        wf_put_number(b->job->arena, line->extra, "of_dense", *median / line->ours.median);
        line->note = wf_bench_text(b, "%.2fx of the dense layer; %.1f %% of the rows for nothing", *median / line->ours.median,
                                   100.0 * waste);
    } else if (status == WEFT_OK) {
        *median = line->ours.median;
    }
    wf_tape_free(r.tape);
    wf_model_free(r.model);
    return status;
}

static weft_status run(wf_bench *b) {
    static const int64_t tokens[] = {1024, 4096};
    for (size_t i = 0; i < (b->quick ? 1u : 2u); i++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            double dense;
            WF_TRY(run_layer(b, "dense",
                             wf_bench_text(b, "\"mixer\": \"mlp\", \"hidden\": %d, \"activation\": \"relu\"", HIDDEN),
                             tokens[i], bf16, &dense));
            WF_TRY(run_layer(b, "switch",
                             wf_bench_text(b,
                                           "\"mixer\": \"moe\", \"hidden\": %d, \"activation\": \"relu\", \"gated\": false, "
                                           "\"experts\": %d, \"top_k\": 1",
                                           HIDDEN, EXPERTS),
                             tokens[i], bf16, &dense));
        }
    return WEFT_OK;
}

const wf_bench_row wf_bench_experts = {
    "experts", "a Switch layer of 16 experts, 512 wide, against a dense layer of the same FLOPs, forward and backward", run};
