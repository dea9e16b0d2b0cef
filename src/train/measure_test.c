/* An estimate of a step's memory is exact: it equals what a trainer of the same options takes, part by part. */
#include "support/test.h"
#include <string.h>
#include "kernels/kernels.h"
#include "presets/presets.h"
#include "train/trainer.h"

typedef struct world {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
} world;

static void open_world(world *w) {
    memset(w, 0, sizeof *w);
    w->env.mem = wf_mem_default;
    assert_int_equal(wf_kernels_choose(NULL, &w->kernels, NULL), WEFT_OK);
    w->env.kernels = &w->kernels;
    assert_int_equal(wf_pool_create(&w->env.mem, 2, &w->env.pool, NULL), WEFT_OK);
    wf_arena_init(&w->arena, &wf_mem_default, 0);
}

static void close_world(world *w) {
    wf_arena_free(&w->arena);
    wf_pool_free(w->env.pool);
}

static wf_model *make(world *w, const char *preset) {
    wf_json *template_, *spec;
    wf_model *model = NULL;
    weft_error err = {0};
    if (wf_preset_template(&w->arena, preset, &template_, &err) != WEFT_OK ||
        wf_preset_solve(&w->env, &w->arena, template_, &(wf_sizing){60000, 257, 64}, &spec, &err) != WEFT_OK ||
        wf_model_create(&w->env, spec, &model, &err) != WEFT_OK)
        fail_msg("%s: %s", preset, err.message);
    return model;
}

static void compare(world *w, wf_model *model, const wf_trainer_options *o) {
    wf_memory_parts estimate;
    wf_trainer *trainer;
    double flops;
    assert_int_equal(wf_trainer_measure(model, o, &estimate, &flops, NULL), WEFT_OK);
    assert_null(model->params.list[0]->value);
    assert_int_equal(wf_params_allocate(&model->params, NULL), WEFT_OK);
    wf_params_init(&model->params, 1);
    assert_int_equal(wf_trainer_create(model, o, &trainer, NULL), WEFT_OK);
    wf_memory_parts real = wf_trainer_memory(trainer);
    assert_memory_equal(&estimate, &real, sizeof real);
    assert_true(flops == wf_trainer_flops(trainer) && flops > 0);
    wf_trainer_free(trainer);
}

static void test_every_preset(void **state) {
    world w;
    open_world(&w);
    for (size_t i = 0; wf_preset_name(i); i++)
        for (int variant = 0; variant < 3; variant++) {
            wf_json *optimizer = wf_json_new(&w.arena, WF_JSON_OBJECT);
            const char *name = variant == 2 ? "muon" : "adamw";
            wf_json_put(&w.arena, optimizer, "name", wf_json_new_string(&w.arena, name, strlen(name)));
            wf_trainer_options o = {.batch = 3,
                                    .rows = 20,
                                    .accumulate = 2,
                                    .bf16 = variant == 1,
                                    .checkpoint_activations = variant == 2,
                                    .optimizer = optimizer,
                                    .average = variant == 1 ? "ema" : NULL,
                                    .average_decay = 0.9};
            wf_model *model = make(&w, wf_preset_name(i));
            compare(&w, model, &o);
            wf_model_free(model);
        }
    close_world(&w);
}

static void test_measuring_tapes_do_not_run(void **state) {
    world w;
    wf_tape *tape;
    weft_error err;
    open_world(&w);
    assert_int_equal(wf_tape_create(&w.env, &(wf_tape_options){.type = WF_F32, .measure = true}, &tape, NULL), WEFT_OK);
    assert_int_equal(wf_tape_plan(tape, &err), WEFT_USAGE);
    wf_tape_free(tape);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_preset), cmocka_unit_test(test_measuring_tapes_do_not_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
