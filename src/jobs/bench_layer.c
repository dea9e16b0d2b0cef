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

weft_status wf_bench_layer_open(wf_bench *b, const wf_bench_layer_case *c, wf_bench_layer *out) {
    const wf_one_layer_how how = {
        .use = c->use, .batch = c->batch, .rows = c->rows, .channel = c->channel != NULL, .bf16 = c->bf16};
    *out = (wf_bench_layer){.one.env = b->job->env};
    WF_TRY(build_model(b, c, &out->model));
    return wf_one_layer_record(b->job->env, out->model, &how, &out->one, b->job->err);
}

static void fill(const wf_tensor *x, uint64_t stream, float scale) {
    wf_rng rng = wf_rng_make(1, stream, 0);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] = scale * (float)wf_rng_normal(rng, (uint64_t)i);
}

weft_status wf_bench_attention_open(wf_bench *b, int64_t rows, int64_t heads, bool bf16, wf_bench_layer *out) {
    const int64_t dims[4] = {1, rows, heads, 64};
    wf_dtype type = bf16 ? WF_BF16 : WF_F32;
    wf_tensor *in[3], *used[3];
    *out = (wf_bench_layer){.one = {.env = b->job->env, .rows = rows, .use = WF_LAYER_TRAIN}};
    WF_TRY(wf_tape_create(b->job->env, &(wf_tape_options){.type = type, .grad = true}, &out->one.tape, b->job->err));
    wf_tape *tape = out->one.tape;
    for (int i = 0; i < 3; i++)
        used[i] = wf_cast(tape, in[i] = wf_input_grad(tape, "x", 4, dims), type);
    wf_attention_spec spec = {.scale = 0.125f, .causal = true, .left = INT64_MAX, .right = INT64_MAX};
    wf_tensor *seed = wf_input(tape, "dy", WF_F32, 4, dims);
    wf_root_seeded(tape, wf_cast(tape, wf_attention(tape, used[0], used[1], used[2], &spec), WF_F32), seed);
    WF_TRY(wf_tape_plan(tape, b->job->err));
    for (int i = 0; i < 3; i++)
        fill(in[i], (uint64_t)i, 1.0f);
    fill(seed, 3, 0.01f);
    return WEFT_OK;
}

void wf_bench_layer_close(wf_bench_layer *layer) {
    wf_one_layer_close(&layer->one);
    wf_model_free(layer->model);
    *layer = (wf_bench_layer){0};
}

weft_status wf_bench_layer_once(void *state, double *seconds, weft_error *err) {
    wf_bench_layer *layer = state;
    wf_tape_profile(layer->one.tape, true); /* from zero: the last run counts */
    double from = wf_seconds();
    WF_TRY(wf_one_layer_run(&layer->one, err));
    *seconds = wf_seconds() - from;
    return WEFT_OK;
}
