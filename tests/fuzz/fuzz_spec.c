/* Specs: JSON -> model. What is accepted has a normal form that reads back as itself; small models record, plan and run one
 * training step and, where they stream, decode. Nothing may crash, and every refusal has a message. */
#include <stdlib.h>
#include "gen/session.h"
#include "kernels/kernels.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_PARAMS = 100000, MOST_LAYERS = 16, ROWS = 3, MOST_BYTES = 1 << 26 };

static void require(bool condition) {
    if (!condition)
        abort();
}

static void require_message(weft_status status, const weft_error *err) {
    require(status == WEFT_OK || (err->status == status && err->message[0]));
}

/* Sizes that a spec may ask for but a fuzzer cannot have. */
static void *resize(void *user, void *block, size_t size) {
    (void)user;
    return size > MOST_BYTES ? NULL : realloc(block, size);
}
static void release(void *user, void *block) {
    (void)user;
    free(block);
}

static void check_normal(const wf_env *env, wf_arena *arena, const wf_model *m) {
    wf_json *normal, *again;
    wf_model *back;
    weft_error err = {0};
    if (wf_spec_normal(arena, m->spec, &normal, &err) == WEFT_NO_MEMORY)
        return;
    require(err.status == WEFT_OK);
    require(wf_model_create(env, normal, &back, &err) == WEFT_OK);
    require(wf_params_total(&back->params) == wf_params_total(&m->params));
    require(wf_spec_normal(arena, back->spec, &again, &err) == WEFT_OK && wf_json_equal(normal, again));
    wf_model_free(back);
}

static weft_status record(const wf_model *m, wf_tape *t, wf_tensor **loss, weft_error *err) {
    const int64_t dims[2] = {1, ROWS}, one = 1;
    wf_model_options options = {.checkpoint = m->spec->layers % 2 == 0, .dropout = true};
    wf_model_ports ports = {.ids = wf_input(t, "ids", WF_I32, 2, dims)};
    wf_tensor *targets = wf_input(t, "targets", WF_I32, 2, dims), *inverse = wf_input(t, "inverse", WF_F32, 1, &one);
    if (!ports.ids || !targets || !inverse)
        return wf_fail_memory(err);
    WF_TRY(wf_model_record(m, t, 1, ROWS, &options, &ports, err));
    *loss = wf_model_loss(m, t, ports.hidden, targets, inverse, 0.0f, NULL);
    wf_root(t, *loss);
    return wf_tape_plan(t, err); /* inputs are zeros: the first token three times */
}

static void train(wf_model *m) {
    weft_error err = {0};
    wf_tape *t;
    wf_tensor *loss = NULL;
    wf_runtime rt = {.training = true, .loss_scale = 1.0f};
    if (wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32, .grad = true}, &t, &err) != WEFT_OK)
        return;
    weft_status status = record(m, t, &loss, &err);
    if (status == WEFT_OK)
        status = wf_tape_forward(t, &rt, &err);
    if (status == WEFT_OK)
        status = wf_tape_backward(t, &rt, &err);
    require_message(status, &err);
    wf_tape_free(t);
}

static void decode(const wf_model *m) {
    const int32_t ids[ROWS] = {0};
    const float *logits;
    weft_error err = {0};
    wf_session *s;
    if (wf_model_can_stream(m, &err) != WEFT_OK)
        return;
    weft_status status = wf_session_create(m, 1, 2 * ROWS, &s, &err);
    require_message(status, &err);
    if (status != WEFT_OK)
        return;
    status = wf_session_feed(s, ids, ROWS, &logits, &err);
    if (status == WEFT_OK)
        status = wf_session_feed(s, ids, 1, &logits, &err);
    require_message(status, &err);
    wf_session_free(s);
}

static void use(wf_model *m) {
    if (m->spec->layers > MOST_LAYERS || wf_params_total(&m->params) > MOST_PARAMS)
        return;
    if (wf_params_allocate(&m->params, NULL) != WEFT_OK || wf_params_allocate_grads(&m->params, NULL) != WEFT_OK)
        return;
    wf_params_init(&m->params, 1);
    train(m);
    decode(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static wf_pool *pool;
    const wf_mem mem = {resize, release, NULL};
    if (!pool && wf_pool_create(&wf_mem_default, 1, &pool, NULL) != WEFT_OK)
        return 0;
    wf_env env = {.mem = mem, .pool = pool, .kernels = &wf_kernels_ref};
    wf_arena arena;
    wf_json *json;
    wf_model *model;
    weft_error err = {0};
    wf_arena_init(&arena, &env.mem, (size_t)1 << 26);
    if (wf_json_parse(&arena, (const char *)data, size, 0, &json, NULL) == WEFT_OK) {
        weft_status status = wf_model_create(&env, json, &model, &err);
        require_message(status, &err);
        if (status == WEFT_OK) {
            check_normal(&env, &arena, model);
            use(model);
            wf_model_free(model);
        }
    }
    wf_arena_free(&arena);
    return 0;
}
