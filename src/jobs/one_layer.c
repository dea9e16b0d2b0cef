#include "jobs/one_layer.h"
#include <string.h>
#include "jobs/put.h"
#include "presets/presets.h"

weft_status wf_one_layer_spec(wf_arena *arena, const wf_mixer *row, const char *options, int64_t dim, int64_t rows,
                              wf_json **spec, weft_error *err) {
    wf_json *mixer = wf_json_new(arena, WF_JSON_OBJECT), *own, *block, *model = wf_json_new(arena, WF_JSON_OBJECT);
    bool channel = true;
    for (const wf_mixer *const *m = wf_mixers; *m; m++)
        channel = channel && *m != row;
    if (options) {
        WF_TRY(wf_json_parse(arena, options, strlen(options), 0, &own, err));
        wf_put_text(arena, mixer, "mixer", row->name);
        wf_json_put(arena, mixer, "spec", own);
    } else {
        WF_TRY(wf_preset_mixer(arena, row, &mixer, err));
    }
    wf_put_int(arena, model, "dim", dim);
    wf_put_int(arena, model, "layers", 1);
    wf_put_int(arena, model, "vocab", 8);
    block = wf_put_object(arena, model, "block");
    if (channel)
        wf_put_text(arena, block, "mixer", "fourier");
    wf_json_put(arena, block, channel ? "channel" : "mixer", mixer);
    const wf_sizes sizes = {.dim = dim, .layers = 1, .hidden = 2 * dim, .vocab = 8, .context = rows};
    return wf_preset_fill(arena, model, &sizes, spec, err);
}

/* ---- states of decoding ---- */
static weft_status bind_state(wf_one_layer *one, const wf_layer *layer, int i, wf_layer_state *state, weft_error *err) {
    const wf_layer_state_shape *shape = &layer->states[i];
    int64_t dims[WF_MAX_RANK] = {one->batch}, rank = 1, count = 1;
    if (!shape->present)
        return WEFT_OK;
    if (shape->row->kind == WF_STATE_APPEND)
        dims[rank++] = shape->limit > 0 && shape->limit < one->rows ? shape->limit : one->rows;
    for (int d = 0; d < shape->rank; d++)
        dims[rank++] = shape->dims[d];
    for (int64_t d = 0; d < rank; d++)
        count *= dims[d];
    if (!(one->states[i] = wf_alloc(&one->env->mem, (size_t)count * sizeof(float))))
        return wf_fail_memory(err);
    for (int64_t j = 0; j < count; j++)
        one->states[i][j] = shape->row->kind == WF_STATE_FIXED ? shape->row->initial : (float)(j % 11 - 5) * 0.1f;
    if ((state->in[i] = wf_input(one->tape, "state", WF_F32, (int)rank, dims)))
        wf_bind(state->in[i], one->states[i]);
    return WEFT_OK;
}

/* ---- recording ---- */
typedef struct inputs {
    wf_tensor *x, *memory, *side, *dy;
} inputs;

static wf_tensor *rows_in(wf_one_layer *one, const char *label, int64_t rows, int64_t dim) {
    const int64_t dims[3] = {one->batch, rows, dim};
    return one->use == WF_LAYER_TRAIN ? wf_input_grad(one->tape, label, 3, dims) : wf_input(one->tape, label, WF_F32, 3, dims);
}

/* A second stream with a row for each of the first: rows that have one say its width. */
static bool has_side(const wf_layer *layer) {
    for (const wf_key *k = layer->row->keys; k->name; k++)
        if (strcmp(k->name, "side_dim") == 0)
            return true;
    return false;
}

static weft_status record(wf_one_layer *one, const wf_layer *layer, int64_t dim, inputs *in, weft_error *err) {
    bool decode = one->use == WF_LAYER_DECODE;
    wf_layer_state state = {{NULL}, {NULL}};
    wf_ports io = {.x = in->x = rows_in(one, "x", decode ? 1 : one->rows, dim)};
    wf_run run = {.tape = one->tape,
                  .batch = one->batch,
                  .rows = decode ? 1 : one->rows,
                  .length = one->rows,
                  .mode = decode ? WF_STATE_IN_PLACE : WF_NO_STATE,
                  .state = decode ? &state : NULL};
    if (strstr(layer->row->inputs, " memory ")) /* one that it cannot do without */
        io.memory = in->memory = rows_in(one, "memory", one->rows, wf_int(layer, "memory_dim"));
    if (has_side(layer))
        io.side = in->side = rows_in(one, "side", decode ? 1 : one->rows, wf_int(layer, "side_dim"));
    for (int i = 0; decode && i < layer->n_states; i++)
        WF_TRY(bind_state(one, layer, i, &state, err));
    WF_TRY(wf_run_layer(&run, layer, &io));
    wf_tensor *y = wf_cast(one->tape, io.y, WF_F32);
    if (one->use == WF_LAYER_TRAIN && y) {
        in->dy = wf_input(one->tape, "dy", WF_F32, y->rank, y->dims);
        wf_root_seeded(one->tape, y, in->dy);
    }
    wf_keep(one->tape, y);
    if ((one->blocks = io.blocks))
        wf_keep(one->tape, one->blocks);
    for (int i = 0; decode && i < layer->n_states; i++)
        wf_keep(one->tape, state.out[i]);
    return WEFT_OK;
}

static void fill(wf_tensor *t, uint32_t site, float scale) {
    wf_rng rng = wf_rng_make(1, site, 0);
    for (int64_t i = 0; t && i < t->count; i++)
        ((float *)t->data)[i] = scale * (float)wf_rng_normal(rng, (uint64_t)i);
}

weft_status wf_one_layer_record(const wf_env *env, const wf_model *model, const wf_one_layer_how *how, wf_one_layer *out,
                                weft_error *err) {
    const wf_block_spec *block = &model->spec->blocks[0];
    const wf_tape_options options = {.type = how->bf16 ? WF_BF16 : WF_F32,
                                     .grad = how->use == WF_LAYER_TRAIN,
                                     .fixed = how->use == WF_LAYER_DECODE,
                                     .measure = how->measured != NULL};
    inputs in = {NULL, NULL, NULL, NULL};
    *out = (wf_one_layer){.env = env, .batch = how->batch ? how->batch : 1, .rows = how->rows, .use = how->use};
    if (!(out->start = wf_alloc(&env->mem, (size_t)out->batch * sizeof *out->start)))
        return wf_fail_memory(err);
    for (int64_t b = 0; b < out->batch; b++)
        out->start[b] = how->use == WF_LAYER_DECODE ? how->rows - 1 : 0;
    WF_TRY(wf_tape_create(env, &options, &out->tape, err));
    WF_TRY(record(out, how->channel ? block->channel : block->mixer, model->spec->dim, &in, err));
    if (how->measured)
        return wf_tape_measure(out->tape, how->measured, err);
    WF_TRY(wf_tape_plan(out->tape, err));
    fill(in.x, 1, 1.0f);
    fill(in.memory, 2, 1.0f);
    fill(in.side, 4, 1.0f);
    fill(in.dy, 3, 0.01f);
    return WEFT_OK;
}

weft_status wf_one_layer_run(const wf_one_layer *one, weft_error *err) {
    const wf_runtime rt = {.loss_scale = 1.0f, .start = one->start};
    WF_TRY(wf_tape_forward(one->tape, &rt, err));
    return one->use == WF_LAYER_TRAIN ? wf_tape_backward(one->tape, &rt, err) : WEFT_OK;
}

weft_status wf_one_layer_visited(const wf_one_layer *one, double *flops, weft_error *err) {
    const wf_runtime rt = {.loss_scale = 1.0f, .start = one->start};
    WF_TRY(wf_tape_forward(one->tape, &rt, err));
    *flops = wf_tape_scheduled_flops(one->tape, &rt);
    return WEFT_OK;
}

void wf_one_layer_close(wf_one_layer *one) {
    wf_tape_free(one->tape);
    wf_free(&one->env->mem, one->start);
    for (int i = 0; i < WF_MAX_STATES; i++)
        wf_free(&one->env->mem, one->states[i]);
    *one = (wf_one_layer){.env = one->env};
}
