/* bench_layer.c - one layer by itself, as several benchmarks run it. */
#include "jobs/bench_layer.h"
#include "tensor/ops.h"

static weft_status build_model(wf_bench *b, const wf_bench_layer_case *c, wf_model **out) {
    wf_json *spec;
    const char *channel = c->channel ? wf_bench_text(b, ", \"channel\": {%s}", c->channel) : "";
    WF_TRY(wf_bench_json(b,
                         wf_bench_text(b,
                                       "{\"format\": 1, \"name\": \"layer\", \"dim\": %lld, \"layers\": 1, \"vocab\": 8, "
                                       "\"block\": {\"mixer\": {%s}%s}}",
                                       (long long)c->dim, c->mixer, channel),
                         &spec));
    WF_TRY(wf_bench_model(b, spec, out));
    WF_TRY(wf_params_allocate_grads(&(*out)->params, b->job->err));
    if (!c->bf16)
        return WEFT_OK;
    WF_TRY(wf_params_allocate_bf16(&(*out)->params, b->job->err));
    wf_params_refresh_bf16(&(*out)->params);
    return WEFT_OK;
}

static void fill_input(const wf_tensor *x, uint64_t stream) {
    wf_rng rng = wf_rng_make(1, stream, 0);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] = (float)wf_rng_normal(rng, (uint64_t)i);
}

static void fill_seed(const wf_tensor *seed) {
    for (int64_t i = 0; i < seed->count; i++)
        ((float *)seed->data)[i] = (float)(i % 13 - 6) * 0.01f;
}

static weft_status record(wf_bench *b, const wf_bench_layer_case *c, wf_bench_layer *l) {
    const int64_t dims[3] = {c->batch, c->rows, c->dim};
    const wf_block_spec *block = &l->model->spec->blocks[0];
    wf_layer *layer = c->channel ? block->channel : block->mixer;
    wf_tape_options options = {.type = c->bf16 ? WF_BF16 : WF_F32, .grad = true};
    WF_TRY(wf_tape_create(b->job->env, &options, &l->tape, b->job->err));
    wf_ports io = {.x = wf_input_grad(l->tape, "x", 3, dims)};
    wf_run run = {.tape = l->tape, .batch = c->batch, .rows = c->rows, .length = c->rows, .mode = WF_NO_STATE};
    wf_tensor *seed = wf_input(l->tape, "dy", WF_F32, 3, dims);
    WF_TRY(layer->row->run(&run, layer, &io));
    wf_root_seeded(l->tape, wf_cast(l->tape, io.y, WF_F32), seed);
    l->blocks = io.blocks;
    if (l->blocks)
        wf_keep(l->tape, l->blocks);
    WF_TRY(wf_tape_plan(l->tape, b->job->err));
    fill_input(io.x, 0);
    fill_seed(seed);
    return WEFT_OK;
}

weft_status wf_bench_layer_open(wf_bench *b, const wf_bench_layer_case *c, wf_bench_layer *out) {
    *out = (wf_bench_layer){0};
    WF_TRY(build_model(b, c, &out->model));
    return record(b, c, out);
}

weft_status wf_bench_attention_open(wf_bench *b, int64_t rows, bool bf16, wf_bench_layer *out) {
    const int64_t dims[4] = {1, rows, 12, 64};
    wf_dtype type = bf16 ? WF_BF16 : WF_F32;
    wf_tensor *in[3], *used[3];
    *out = (wf_bench_layer){0};
    WF_TRY(wf_tape_create(b->job->env, &(wf_tape_options){.type = type, .grad = true}, &out->tape, b->job->err));
    for (int i = 0; i < 3; i++)
        used[i] = wf_cast(out->tape, in[i] = wf_input_grad(out->tape, "x", 4, dims), type);
    wf_attention_spec spec = {.scale = 0.125f, .causal = true, .left = INT64_MAX, .right = INT64_MAX};
    wf_tensor *seed = wf_input(out->tape, "dy", WF_F32, 4, dims);
    wf_root_seeded(out->tape, wf_cast(out->tape, wf_attention(out->tape, used[0], used[1], used[2], &spec), WF_F32), seed);
    WF_TRY(wf_tape_plan(out->tape, b->job->err));
    for (int i = 0; i < 3; i++)
        fill_input(in[i], (uint64_t)i);
    fill_seed(seed);
    return WEFT_OK;
}

void wf_bench_layer_close(wf_bench_layer *layer) {
    wf_tape_free(layer->tape);
    wf_model_free(layer->model);
    *layer = (wf_bench_layer){0};
}

weft_status wf_bench_layer_once(void *state, double *seconds, weft_error *err) {
    wf_bench_layer *layer = state;
    wf_runtime rt = {.loss_scale = 1.0f};
    wf_tape_profile(layer->tape, true); /* from zero: the last run counts */
    double from = wf_seconds();
    WF_TRY(wf_tape_forward(layer->tape, &rt, err));
    WF_TRY(wf_tape_backward(layer->tape, &rt, err));
    *seconds = wf_seconds() - from;
    return WEFT_OK;
}
