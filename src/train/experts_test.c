/* Mixtures of experts in training: the routers' losses are part of the loss, joint ones over the tokens of all layers; a bias
 * moves towards balance; the bits do not depend on threads or on recomputation. */
#include "support/model.h"
#include "tensor/experts.h"
#include "train/trainer.h"

enum { VOCAB = 31, ROWS = 16, BATCH = 4, STEPS = 4 };

static const char *const pattern = "{\"dim\": 32, \"vocab\": 31, \"layers\": %d, \"block\": {\"mixer\": {\"mixer\": "
                                   "\"attention\", \"heads\": 2, \"causal\": true}, "
                                   "\"channel\": {\"mixer\": \"moe\", \"hidden\": 16, \"experts\": 5, \"top_k\": 2%s}}}";

static wf_model *model_of(test_env *e, int layers, const char *options) {
    char spec[512];
    snprintf(spec, sizeof spec, pattern, layers, options);
    return test_model(e, spec, 5);
}

/* The loss of the last of STEPS updates. */
static double train(test_env *e, wf_model *m, wf_trainer_options o, int steps) {
    int32_t ids[BATCH * ROWS], targets[BATCH * ROWS];
    wf_trainer *t;
    wf_step_result r = {0};
    weft_error err = {0};
    o.optimizer = test_json(e, "{\"name\": \"adamw\", \"lr\": 0.01}");
    o.batch = BATCH / o.accumulate;
    o.rows = ROWS;
    o.seed = 3;
    if (wf_trainer_create(m, &o, &t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    for (int s = 0; s < steps; s++) {
        wf_train_batch parts[BATCH];
        wf_rng rng = wf_rng_make(17, (uint32_t)s, 0);
        for (int i = 0; i < BATCH * ROWS; i++) {
            ids[i] = (int32_t)wf_rng_below(rng, (uint64_t)i, VOCAB);
            targets[i] = (ids[i] * 3 + 1) % VOCAB;
        }
        for (int64_t k = 0; k < o.accumulate; k++)
            parts[k] = (wf_train_batch){.ids = ids + k * o.batch * ROWS, .targets = targets + k * o.batch * ROWS};
        if (wf_trainer_step(t, parts, &r, &err) != WEFT_OK)
            fail_msg("%s", err.message);
    }
    wf_trainer_free(t);
    return r.loss;
}

static double first_loss(test_env *e, int layers, const char *options) {
    wf_model *m = model_of(e, layers, options);
    double loss = train(e, m, (wf_trainer_options){.accumulate = 1}, 1);
    wf_model_free(m);
    return loss;
}

static void test_losses(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (int layers = 1; layers <= 3; layers++) {
        double none = first_loss(&e, layers, ""), one = first_loss(&e, layers, ", \"aux_weight\": 0.5") - none,
               two = first_loss(&e, layers, ", \"aux_weight\": 1.0") - none;
        double joint = first_loss(&e, layers, ", \"aux_weight\": 0.5, \"aux_joint\": true") - none,
               z = first_loss(&e, layers, ", \"z_weight\": 0.5") - none;
        assert_true(fabs(two - 2 * one) < 1e-5 && one > 0.5 * layers); /* balanced: 0.5 * top_k a layer */
        assert_true(layers == 1 ? fabs(joint - one) < 1e-5 : joint < 0.9 * one);
        assert_true(fabs(z - 0.5 * layers * log(5.0) * log(5.0)) < 0.3 * layers); /* small logits */
    }
    test_env_close(&e);
}

static void test_balance(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (int64_t parts = 1; parts <= 2; parts++) {
        wf_model *m = model_of(&e, 2, ", \"router\": \"sigmoid\", \"select_bias\": true, \"bias_speed\": 0.125");
        train(&e, m, (wf_trainer_options){.accumulate = parts}, 1);
        const wf_param *bias = wf_param_find(&m->params, "block.1.channel.router.select_bias");
        float most = 0.0f;
        for (int64_t i = 0; i < bias->count; i++) {
            assert_true(bias->value[i] == 0.0f || fabsf(bias->value[i]) == 0.125f);
            most = fmaxf(most, fabsf(bias->value[i]));
        }
        assert_true(most > 0.0f);
        wf_model_free(m);
    }
    test_env_close(&e);
}

static void test_same_bits(void **state) {
    uint64_t first = 0;
    (void)state;
    for (int way = 0; way < 4; way++) {
        test_env e;
        test_env_open(&e, way < 2 ? 1 + 2 * way : 5);
        wf_model *m = model_of(&e, 3,
                               ", \"aux_weight\": 0.1, \"jitter\": 0.1, \"z_weight\": 0.01, \"select_bias\": true, "
                               "\"bias_speed\": 0.01, \"shared\": 8");
        train(&e, m, (wf_trainer_options){.accumulate = 2, .checkpoint_activations = way >= 2}, STEPS);
        uint64_t digest = wf_params_digest(&m->params);
        first = way == 0 ? digest : first;
        assert_int_equal(digest, first);
        wf_model_free(m);
        test_env_close(&e);
    }
}

/* How assignment i of n goes to one of the experts: at random, to each as many, or nearly all to the first. */
static int64_t at_random(int64_t i, int64_t n, int64_t experts) {
    return (int64_t)wf_rng_below(wf_rng_make(1, (uint32_t)experts, (uint32_t)n), (uint64_t)i, (uint64_t)experts);
}
static int64_t evenly(int64_t i, int64_t n, int64_t experts) {
    (void)n;
    return i % experts;
}
static int64_t unevenly(int64_t i, int64_t n, int64_t experts) {
    (void)n;
    return i < experts ? i : 0;
}

/* The rows that the grouped product of `each` tokens per expert computes, counted in its blocks, against those that were asked
 * for. */
static void check_waste(test_env *e, int64_t experts, int64_t each, int64_t (*expert)(int64_t, int64_t, int64_t)) {
    enum { WIDTH = 4 };
    wf_tape *t;
    wf_dispatch d;
    weft_error err = {0};
    int64_t n = each * experts, real = 0;
    assert_int_equal(wf_tape_create(&e->env, &(wf_tape_options){.type = WF_F32}, &t, &err), WEFT_OK);
    wf_tensor *indices = wf_input(t, "indices", WF_I64, 3, (int64_t[]){1, n / 2, 2}),
              *x = wf_input(t, "x", WF_F32, 3, (int64_t[]){1, n / 2, WIDTH}),
              *w = wf_input(t, "w", WF_F32, 3, (int64_t[]){experts, WIDTH, WIDTH});
    assert_true(wf_dispatch_rows(t, &(wf_routing){.indices = indices}, experts, 0, &d));
    wf_tensor *y = wf_grouped_linear(t, wf_spread_rows(t, x, NULL, &d), w, NULL, &d);
    wf_keep(t, d.blocks);
    wf_keep(t, y);
    assert_int_equal(wf_tape_plan(t, &err), WEFT_OK);
    for (int64_t i = 0; i < n; i++)
        ((int64_t *)indices->data)[i] = expert(i, n, experts);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] = 1.0f;
    for (int64_t i = 0; i < w->count; i++)
        ((float *)w->data)[i] = (float)(i / (WIDTH * WIDTH) + 1);
    assert_int_equal(wf_tape_forward(t, &(wf_runtime){.loss_scale = 1.0f}, &err), WEFT_OK);
    wf_blocks b = wf_blocks_of(d.blocks->data, experts);
    for (int64_t k = 0; k < experts; k++)
        for (int32_t i = b.start[k]; i < b.start[k + 1]; i++) {
            real += b.block[i].real;
            assert_true(b.block[i].rows <= WF_EXPERT_BLOCK);
            for (int32_t r = 0; r < b.block[i].rows; r++)
                assert_true(((float *)y->data)[(b.block[i].first + r) * WIDTH] ==
                            (r < b.block[i].real ? (float)(WIDTH * (k + 1)) : 0.0f));
        }
    assert_int_equal(real, n);
    double waste = wf_dispatch_waste(d.blocks->data, experts);
    if (!(waste <= 0.05))
        fail_msg("%lld experts, %lld tokens each: %g of the rows for nothing", (long long)experts, (long long)each, waste);
    wf_tape_free(t);
}

/* From 64 tokens per expert on at most 5 % of the rows are computed for nothing, however the tokens are shared out. */
static void test_waste(void **state) {
    static const int64_t sizes[] = {64, 65, 66, 67, 70, 96, 127, 129, 200, 255, 257, 259, 513, 1025};
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (int64_t experts = 2; experts <= 64; experts *= 2)
        for (size_t s = 0; s < COUNT_OF(sizes); s++) {
            check_waste(&e, experts, sizes[s], at_random);
            check_waste(&e, experts, sizes[s], evenly);
            check_waste(&e, experts, sizes[s], unevenly);
        }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_losses), cmocka_unit_test(test_balance),
                                       cmocka_unit_test(test_same_bits), cmocka_unit_test(test_waste)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
