/* Layers that rebuild their input: the bytes that training keeps do not grow with depth, the gradients are those of layers that
 * keep their activations up to rounding, the same bits for every number of threads; rows say truly whether they can. */
#include "jobs/one_layer.h"
#include "presets/presets.h"
#include "support/model.h"
#include <math.h>
#include "train/trainer.h"

enum { VOCAB = 31, ROWS = 32, MORE_ROWS = 128, BATCH = 2 };

/* ---- bytes ---- */
static size_t activations(test_env *e, const wf_json *spec, int64_t rows, int64_t layers, bool keep) {
    wf_model *model;
    wf_memory_parts m;
    double flops;
    weft_error err = {0};
    wf_json *copy = wf_json_copy(&e->arena, spec);
    wf_trainer_options o = {.batch = BATCH,
                            .rows = rows,
                            .accumulate = 1,
                            .keep_activations = keep,
                            .optimizer = test_json(e, "{\"name\": \"sgd\"}")};
    wf_json_put(&e->arena, copy, "layers", wf_json_new_int(&e->arena, layers));
    if (wf_model_create(&e->env, copy, &model, &err) != WEFT_OK || wf_trainer_measure(model, &o, &m, &flops, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    wf_model_free(model);
    return m.activations;
}

#define REVERSIBLE(mixer, ffn)                                                                                                 \
    "\"block\": {\"wiring\": \"plain\", \"channel\": null, \"mixer\": {\"mixer\": \"reversible\", \"spec\": "                  \
    "{\"mixer\": " mixer ", \"ffn\": " ffn "}}}"
#define LSH "{\"mixer\": \"lsh\", \"heads\": 2, \"key_dim\": 8, \"buckets\": 4, \"chunk\": 8, \"rounds\": 2, \"causal\": true}"
#define ATTENTION "{\"mixer\": \"attention\", \"heads\": 2, \"key_dim\": 8, \"causal\": true}"
#define COUPLED(mixer)                                                                                                         \
    "\"stem\": {\"side\": {\"copy\": true}}, \"joined\": true, \"head\": {\"tied\": false}, \"block\": {\"wiring\": "          \
    "\"coupled\", \"norm\": \"layer\", \"dropout\": "                                                                          \
    "0.1, \"mixer\": " mixer ", \"channel\": {\"mixer\": \"mlp\", \"hidden\": 64}}"
#define SPEC(blocks) "{\"dim\": 32, \"vocab\": 31, \"layers\": 4, " blocks "}"
enum { KEPT = BATCH * 2 * 2 * ROWS * 4 }; /* of a layer of LSH: the order of the entries */

static const struct {
    const char *spec;
    size_t kept;
} flat[] = {
    {SPEC(REVERSIBLE(LSH, "{\"hidden\": 64}")), KEPT},
    {SPEC(REVERSIBLE(ATTENTION, "{\"hidden\": 64, \"chunk\": 8}")), 0},
    {SPEC(REVERSIBLE("{\"mixer\": \"mamba\"}", "{\"mixer\": \"glu\", \"hidden\": 64}")), 0},
    {SPEC(COUPLED(LSH)), KEPT},
    {SPEC(COUPLED(ATTENTION)), 0},
};

static void test_flat(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(flat); i++) {
        const wf_json *spec = test_json(&e, flat[i].spec);
        size_t two = activations(&e, spec, ROWS, 2, false);
        for (int64_t layers = 4; layers <= 16; layers *= 2) {
            size_t bytes = activations(&e, spec, ROWS, layers, false), most = two + (size_t)(layers - 2) * flat[i].kept;
            if (bytes > most + 1024)
                fail_msg("%s: %lld layers take %zu bytes, not the %zu of two", flat[i].spec, (long long)layers, bytes, most);
            assert_true(activations(&e, spec, ROWS, layers, true) > (size_t)layers * two / 5);
        }
    }
    test_env_close(&e);
}

/* Both ways: in a stack of blocks that are nothing but the mixer, more of them cost nothing, or there is nothing to rebuild. */
static void test_rows(void **state) {
    test_env e;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    for (const wf_mixer *const *row = wf_mixers; *row; row++) {
        wf_json *spec;
        if (strstr((*row)->inputs, " memory ") || strstr((*row)->inputs, "side"))
            continue;
        if (wf_one_layer_spec(&e.arena, *row, NULL, 32, MORE_ROWS, &spec, &err) != WEFT_OK)
            fail_msg("%s: %s", (*row)->name, err.message);
        wf_json_put(&e.arena, (wf_json *)(uintptr_t)wf_json_get(spec, "block"), "wiring",
                    wf_json_new_string(&e.arena, "plain", 5));
        size_t eight = activations(&e, spec, MORE_ROWS, 8, false), more = activations(&e, spec, MORE_ROWS, 12, false);
        bool rebuilds = ((*row)->traits & WF_REBUILDS) != 0;
        if (rebuilds != (activations(&e, spec, MORE_ROWS, 12, true) > more) || (rebuilds && more > eight + 1024))
            fail_msg("%s: %zu bytes in 8 layers, %zu in 12", (*row)->name, eight, more);
    }
    test_env_close(&e);
}

/* ---- gradients ---- */
#define MIDDLE                                                                                                                 \
    "\"blocks\": [{}, {\"wiring\": \"pre\", \"mixer\": {\"mixer\": \"gru\"}, \"channel\": {\"mixer\": \"mlp\", \"hidden\": "   \
    "32}}, {}, {}], "
#define CHAIN                                                                                                                  \
    "\"block\": {\"channel\": null, \"mixer\": {\"mixer\": \"chain\", \"spec\": {\"steps\": [{\"mixer\": \"reversible\", "     \
    "\"norm\": {}, \"spec\": {\"mixer\": " ATTENTION ", \"ffn\": {\"hidden\": 64, \"chunk\": 8}}}]}}}"
static const struct {
    const char *name, *spec;
    int64_t layers;
    bool bf16;
} gradients[] = {
    {"one layer", SPEC(REVERSIBLE(LSH, "{\"hidden\": 64}")), 1, false},
    {"lsh", SPEC(REVERSIBLE(LSH, "{\"hidden\": 64}")), 6, false},
    {"deep lsh", SPEC(REVERSIBLE(LSH, "{\"hidden\": 64}")), 24, false},
    {"deep attention", SPEC(REVERSIBLE(ATTENTION, "{\"hidden\": 64, \"chunk\": 8}")), 24, false},
    {"coupled", SPEC(COUPLED(LSH)), 12, false},
    {"experts",
     SPEC(REVERSIBLE(ATTENTION, "{\"mixer\": \"moe\", \"experts\": 4, \"top_k\": 2, \"hidden\": 16, \"aux_weight\": 0.01}")), 6,
     false},
    {"routing",
     SPEC(REVERSIBLE("{\"mixer\": \"routing\", \"heads\": 2, \"key_dim\": 8, \"clusters\": 4, \"window\": 8}",
                     "{\"hidden\": 64}")),
     6, false},
    {"another between", SPEC(MIDDLE REVERSIBLE(LSH, "{\"hidden\": 64}")), 4, false},
    {"shared", SPEC("\"blocks\": [{}, {\"share\": 0}, {\"share\": 0}, {}], " REVERSIBLE(LSH, "{\"hidden\": 64}")), 4, false},
    {"a stream scaled", SPEC("\"blocks\": [{}, {\"stream_scale\": 0.5}, {}, {}], " REVERSIBLE(ATTENTION, "{\"hidden\": 64}")),
     4, false},
    {"inside another", SPEC(CHAIN), 4, false},
    {"bf16", SPEC(REVERSIBLE(ATTENTION, "{\"hidden\": 64}")), 1, true},
    {"deep bf16", SPEC(REVERSIBLE(LSH, "{\"hidden\": 64}")), 24, true},
};

/* Gradients of one step, with masks; the model is freed by the caller. */
static wf_model *step(test_env *e, size_t i, bool keep, bool again, bool bf16) {
    int32_t ids[BATCH * ROWS], targets[BATCH * ROWS];
    uint8_t mask[BATCH * ROWS];
    wf_trainer *t;
    wf_step_result r;
    weft_error err = {0};
    wf_json *spec = test_json(e, gradients[i].spec);
    wf_json_put(&e->arena, spec, "layers", wf_json_new_int(&e->arena, gradients[i].layers));
    wf_model *model = test_model_of(e, spec, 5);
    wf_trainer_options o = {.batch = BATCH,
                            .rows = ROWS,
                            .accumulate = 1,
                            .bf16 = bf16,
                            .keep_activations = keep,
                            .checkpoint_activations = again,
                            .masks = true,
                            .seed = 3,
                            .optimizer = test_json(e, "{\"name\": \"sgd\", \"lr\": 0.1}")};
    for (int k = 0; k < BATCH * ROWS; k++) {
        ids[k] = (k * 7 + k / 5) % VOCAB;
        targets[k] = (ids[k] * 3 + 1) % VOCAB;
        mask[k] = k % ROWS < ROWS - k / ROWS * 5;
    }
    if (wf_trainer_create(model, &o, &t, &err) != WEFT_OK)
        fail_msg("%s: %s", gradients[i].name, err.message);
    for (int n = 0; n < 2; n++)
        if (wf_trainer_step(t, &(wf_train_batch){.ids = ids, .targets = targets, .mask = mask}, &r, &err) != WEFT_OK)
            fail_msg("%s: %s", gradients[i].name, err.message);
    wf_trainer_free(t);
    return model;
}

/* The largest difference of a weight's gradients, as a share of its largest gradient. */
static double difference(const wf_model *a, const wf_model *b) {
    double worst = 0.0;
    for (size_t i = 0; i < a->params.count; i++) {
        const wf_param *p = a->params.list[i], *q = b->params.list[i];
        double most = 0.0, apart = 0.0;
        for (int64_t k = 0; p->grad && k < p->count; k++) {
            most = fmax(most, fabs((double)p->grad[k]));
            apart = fmax(apart, fabs((double)p->grad[k] - (double)q->grad[k]));
        }
        worst = fmax(worst, most > 0.0 ? apart / most : apart);
    }
    return worst;
}

/* In bf16 the last bit of a stream that was rebuilt can turn the rounding of what is computed from it, and over many blocks and
 * two steps that grows as bf16's own rounding does: it is to stay below that. */
static double bound_of(test_env *e, size_t i, const wf_model *kept) {
    if (!gradients[i].bf16)
        return 1e-5;
    wf_model *exact = step(e, i, true, false, false);
    double own = difference(kept, exact);
    wf_model_free(exact);
    return own;
}

static void test_gradients(void **state) {
    test_env e, threads;
    (void)state;
    test_env_open(&e, 1);
    test_env_open(&threads, 3);
    for (size_t i = 0; i < COUNT_OF(gradients); i++) {
        bool bf16 = gradients[i].bf16;
        wf_model *kept = step(&e, i, true, false, bf16), *rebuilt = step(&e, i, false, false, bf16),
                 *more = step(&threads, i, false, false, bf16), *both = step(&e, i, false, true, bf16),
                 *inside = step(&e, i, true, true, bf16);
        double apart = difference(kept, rebuilt), bound = bound_of(&e, i, kept);
        if (!(apart > 0.0 && apart < bound))
            fail_msg("%s: gradients differ by %g, at most %g", gradients[i].name, apart, bound);
        assert_true(difference(rebuilt, both) == 0.0 && difference(kept, inside) == 0.0); /* recomputed blocks beside them */
        assert_int_equal(wf_params_digest(&rebuilt->params), wf_params_digest(&more->params));
        wf_model_free(kept);
        wf_model_free(rebuilt);
        wf_model_free(more);
        wf_model_free(both);
        wf_model_free(inside);
    }
    test_env_close(&e);
    test_env_close(&threads);
}

static wf_tensor *nested(wf_tape *t, wf_tensor *x) {
    for (int i = 0; i < 4; i++)
        wf_region_begin(t);
    return x;
}

static wf_tensor *outside(wf_tape *t, wf_tensor *x) {
    wf_rebuilt(t, x, wf_scale(t, x, 2.0f));
    return x;
}

static wf_tensor *forward_node(wf_tape *t, wf_tensor *x) {
    wf_region_begin(t);
    wf_rebuilt(t, x, wf_scale(t, x, 2.0f)); /* not behind wf_region_inverse */
    wf_region_end(t);
    return x;
}

static wf_tensor *own(wf_tape *t, wf_tensor *x) {
    wf_region_begin(t);
    wf_tensor *y = wf_scale(t, x, 2.0f);
    wf_region_inverse(t);
    wf_rebuilt(t, y, wf_scale(t, y, 1.5f)); /* made by the region itself */
    wf_region_end(t);
    return y;
}

static void test_refused(void **state) {
    wf_tensor *(*const bad[])(wf_tape *, wf_tensor *) = {nested, outside, forward_node, own};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        wf_tape *t;
        weft_error err = {0};
        assert_int_equal(wf_tape_create(&e.env, &(wf_tape_options){.type = WF_F32, .grad = true}, &t, &err), WEFT_OK);
        (void)bad[i](t, wf_scale(t, wf_input_grad(t, "x", 2, (int64_t[]){2, 3}), 3.0f));
        assert_int_equal(wf_tape_plan(t, &err), WEFT_USAGE);
        wf_tape_free(t);
    }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flat), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
