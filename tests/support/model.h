/* model.h - an environment of one's own and small models in it, for tests. */
#ifndef WF_TESTS_MODEL_H
#define WF_TESTS_MODEL_H
#include "support/test.h"
#include <string.h>
#include "kernels/kernels.h"
#include "model/model.h"

typedef struct test_env {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
} test_env;

static inline void test_env_open(test_env *e, int threads) {
    memset(e, 0, sizeof *e);
    e->env.mem = wf_mem_default;
    assert_int_equal(wf_kernels_choose(NULL, &e->kernels, NULL), WEFT_OK);
    e->env.kernels = &e->kernels;
    assert_int_equal(wf_pool_create(&wf_mem_default, threads, &e->env.pool, NULL), WEFT_OK);
    wf_arena_init(&e->arena, &e->env.mem, 0);
}

static inline void test_env_close(test_env *e) {
    wf_pool_free(e->env.pool);
    wf_arena_free(&e->arena);
}

static inline wf_json *test_json(test_env *e, const char *text) {
    wf_json *json;
    weft_error err = {0};
    if (wf_json_parse(&e->arena, text, strlen(text), 0, &json, &err) != WEFT_OK)
        fail_msg("%s: %s", text, err.message);
    return json;
}

/* A model with values drawn from `seed`. */
static inline wf_model *test_model_of(test_env *e, const wf_json *spec, uint64_t seed) {
    wf_model *model;
    weft_error err = {0};
    if (wf_model_create(&e->env, spec, &model, &err) != WEFT_OK || wf_params_allocate(&model->params, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    wf_params_init(&model->params, seed);
    return model;
}
static inline wf_model *test_model(test_env *e, const char *spec, uint64_t seed) {
    return test_model_of(e, test_json(e, spec), seed);
}
#endif
