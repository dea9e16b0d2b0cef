/* Buffers that training moves by random numbers: Performer's directions are drawn anew after every so many updates, the same
 * ones for any number of threads, with recomputation and wherever the layer stands. */
#include <math.h>
#include "support/model.h"
#include "train/trainer.h"

enum { VOCAB = 31, ROWS = 8, BATCH = 4, EVERY = 2, STEPS = 5, WIDTH = 8 };

#define PERFORMER(options) "{\"mixer\": \"performer\", \"heads\": 2, \"causal\": true, \"rows\": 11, \"redraw\": 2" options "}"
#define MODEL(dim, mixer)                                                                                                      \
    "{\"dim\": " dim ", \"vocab\": 31, \"layers\": 2, \"block\": {\"mixer\": " mixer                                           \
    ", \"channel\": {\"mixer\": \"mlp\", \"hidden\": 9}}}"

static const struct {
    const char *spec, *place;
    bool equal; /* all directions are equally long */
} cases[] = {
    {MODEL("16", PERFORMER("")), "", false},
    {MODEL("16", PERFORMER(", \"ortho_scaling\": 1")), "", true},
    {MODEL("32", "{\"mixer\": \"reversible\", \"spec\": {\"mixer\": " PERFORMER("") ", \"ffn\": {\"hidden\": 9}}}"), "mixer.",
     false},
};

typedef struct world {
    test_env e;
    wf_model *model;
    wf_trainer *trainer;
} world;

static void open_world(world *w, const char *spec, int threads, int64_t parts, bool recompute) {
    weft_error err = {0};
    test_env_open(&w->e, threads);
    w->model = test_model(&w->e, spec, 5);
    wf_trainer_options o = {.batch = BATCH / parts,
                            .rows = ROWS,
                            .accumulate = parts,
                            .checkpoint_activations = recompute,
                            .optimizer = test_json(&w->e, "{\"name\": \"adamw\", \"lr\": 0.01}"),
                            .seed = 5};
    if (wf_trainer_create(w->model, &o, &w->trainer, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static void close_world(world *w) {
    wf_trainer_free(w->trainer);
    wf_model_free(w->model);
    test_env_close(&w->e);
}

static void step(world *w, int64_t parts) {
    int32_t ids[BATCH * ROWS], targets[BATCH * ROWS];
    wf_train_batch batches[BATCH];
    wf_step_result r;
    weft_error err = {0};
    for (int i = 0; i < BATCH * ROWS; i++) {
        ids[i] = (int32_t)((wf_trainer_steps(w->trainer) * 7 + i * 3) % VOCAB);
        targets[i] = (ids[i] + 1) % VOCAB;
    }
    for (int64_t k = 0; k < parts; k++)
        batches[k] = (wf_train_batch){.ids = ids + k * (BATCH / parts) * ROWS, .targets = targets + k * (BATCH / parts) * ROWS};
    if (wf_trainer_step(w->trainer, batches, &r, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static const wf_param *directions(world *w, int layer, const char *place) {
    char name[64];
    snprintf(name, sizeof name, "block.%d.mixer.%sfeatures", layer, place);
    const wf_param *p = wf_param_find(&w->model->params, name);
    assert_non_null(p);
    return p;
}

/* Blocks of WIDTH rows at right angles, of length sqrt(WIDTH) where all are alike. */
static void check_shape(const wf_param *p, bool equal) {
    for (int64_t i = 0; i < p->dims[0]; i++)
        for (int64_t j = i / WIDTH * WIDTH; j <= i; j++) {
            double dot = 0.0;
            for (int64_t c = 0; c < WIDTH; c++)
                dot += (double)p->value[i * WIDTH + c] * (double)p->value[j * WIDTH + c];
            assert_true(i != j ? fabs(dot) < 1e-4 : !equal || fabs(dot - WIDTH) < 1e-4);
        }
}

static void test_redraw(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        float before[11 * WIDTH];
        world w;
        open_world(&w, cases[i].spec, 2, 1, false);
        const wf_param *first = directions(&w, 0, cases[i].place), *second = directions(&w, 1, cases[i].place);
        assert_int_equal(first->count, 11 * WIDTH);
        for (int s = 1; s <= STEPS; s++) {
            memcpy(before, first->value, sizeof before);
            step(&w, 1);
            assert_int_equal(memcmp(before, first->value, sizeof before) != 0, s % EVERY == 0);
            assert_true(memcmp(first->value, second->value, sizeof before) != 0);
            check_shape(first, cases[i].equal);
        }
        close_world(&w);
    }
}

static void test_same_bits(void **state) {
    uint64_t first = 0;
    (void)state;
    for (int way = 0; way < 4; way++) {
        world w;
        open_world(&w, cases[0].spec, way < 2 ? 1 + 2 * way : 5, 2, way >= 2);
        for (int s = 0; s < STEPS; s++)
            step(&w, 2);
        uint64_t digest = wf_params_digest(&w.model->params);
        first = way == 0 ? digest : first;
        assert_int_equal(digest, first);
        close_world(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_redraw), cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
