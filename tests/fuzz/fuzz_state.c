/* Saved states (model/state_bytes.c) of a small model with rows per token, a fixed state, a prefix and positions that count
 * tokens: what is taken decodes on; what is refused leaves the session as it was. */
#include <stdlib.h>
#include <string.h>
#include "gen/session.h"
#include "kernels/kernels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char spec[] = "{\"dim\": 4, \"vocab\": 5, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"learned\", "
                           "\"length\": 16, \"count\": \"tokens\"}, "
                           "\"padding\": 1}, \"blocks\": [{}, {\"mixer\": \"gru\"}], \"block\": {\"mixer\": {\"mixer\": "
                           "\"attention\", \"heads\": 2, \"causal\": "
                           "true, \"prefix_lm\": true}}}";

static void require(bool condition) {
    if (!condition)
        abort();
}

static wf_model *make_model(const wf_env *env) {
    wf_arena arena;
    wf_json *json;
    wf_model *model;
    wf_arena_init(&arena, &env->mem, 0);
    require(wf_json_parse(&arena, spec, sizeof spec - 1, 0, &json, NULL) == WEFT_OK);
    require(wf_model_create(env, json, &model, NULL) == WEFT_OK && wf_params_allocate(&model->params, NULL) == WEFT_OK);
    wf_params_init(&model->params, 1);
    wf_arena_free(&arena);
    return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static wf_env env;
    static wf_session *s;
    const int32_t ids[2] = {2, 3};
    const float *logits;
    weft_error err = {0};
    if (!s) {
        env = (wf_env){.mem = wf_mem_default, .kernels = &wf_kernels_ref};
        require(wf_pool_create(&env.mem, 1, &env.pool, NULL) == WEFT_OK);
        require(wf_session_create(make_model(&env), 2, 12, &s, NULL) == WEFT_OK);
    }
    weft_status status = wf_session_load(s, data, size, &err);
    require(status == WEFT_OK || (status == WEFT_BAD_INPUT && err.message[0]));
    if (status != WEFT_OK)
        return 0;
    status = wf_session_feed(s, ids, 1, &logits, &err);
    require(status == WEFT_OK || err.message[0]);
    wf_session_reset(s);
    return 0;
}
