/* One update: accumulated micro-batches are one big batch, recomputed activations give the same bits in less memory, pieces the
 * same result, the same bits for every number of threads, a loss that is not a number changes nothing. */
#include "train/trainer.h"
#include "support/model.h"
#include <math.h>

enum { VOCAB = 31, ROWS = 16, BATCH = 4, STEPS = 4 };

static const char *const deep =
    "{\"dim\": 32, \"vocab\": 31, \"layers\": 6, \"block\": {\"dropout\": 0.1, \"attention_dropout\": 0.1, \"mixer\": "
    "{\"mixer\": "
    "\"attention\", \"heads\": 2, \"causal\": true, \"rope\": {}}, \"channel\": {\"mixer\": \"glu\", \"hidden\": 64}}}";
static const char *const plain = "{\"dim\": 32, \"vocab\": 31, \"layers\": 2, \"block\": {\"mixer\": {\"mixer\": "
                                 "\"attention\", \"heads\": 2, \"causal\": true}, "
                                 "\"channel\": {\"mixer\": \"mlp\", \"hidden\": 48}}}";

typedef struct text {
    int32_t ids[BATCH * ROWS], targets[BATCH * ROWS];
} text;

static void draw(text *t, uint32_t step) {
    wf_rng rng = wf_rng_make(17, step, 0);
    for (int i = 0; i < BATCH * ROWS; i++) {
        t->ids[i] = (int32_t)(wf_rng_uniform_double(rng, (uint64_t)i) * VOCAB);
        t->targets[i] = (t->ids[i] * 3 + 1) % VOCAB;
    }
}

static wf_trainer *open_trainer(test_env *e, wf_model *m, wf_trainer_options o, const char *optimizer) {
    wf_trainer *t;
    weft_error err = {0};
    o.optimizer = test_json(e, optimizer);
    o.rows = ROWS;
    o.seed = 3;
    if (wf_trainer_create(m, &o, &t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return t;
}

/* STEPS updates of BATCH windows each, in micro-batches of o.batch; the sum of the losses. */
static double run(test_env *e, wf_model *m, wf_trainer_options o, const char *optimizer, wf_memory_parts *memory) {
    wf_trainer *t = open_trainer(e, m, o, optimizer);
    double sum = 0.0;
    weft_error err = {0};
    for (uint32_t i = 0; i < STEPS; i++) {
        text x;
        wf_train_batch parts[BATCH];
        wf_step_result r;
        draw(&x, i);
        for (int64_t k = 0; k < o.accumulate; k++)
            parts[k] = (wf_train_batch){.ids = x.ids + k * o.batch * ROWS, .targets = x.targets + k * o.batch * ROWS};
        if (wf_trainer_step(t, parts, &r, &err) != WEFT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(r.tokens, BATCH * ROWS);
        sum += r.loss;
    }
    assert_int_equal(wf_trainer_steps(t), STEPS);
    if (memory)
        *memory = wf_trainer_memory(t);
    wf_trainer_free(t);
    return sum;
}

static const char *const sgd = "{\"name\": \"sgd\", \"lr\": 0.5}", *const adamw = "{\"name\": \"adamw\", \"lr\": 0.01}";

static void test_accumulation(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (int global = 0; global < 2; global++)
        for (int64_t micro = 1; micro <= 2; micro++) {
            wf_model *whole = test_model(&e, plain, 5), *parts = test_model(&e, plain, 5);
            double a = run(&e, whole, (wf_trainer_options){.batch = BATCH, .accumulate = 1}, sgd, NULL);
            double b = run(&e, parts, (wf_trainer_options){.batch = micro, .accumulate = BATCH / micro, .global_mean = global},
                           sgd, NULL);
            assert_true(fabs(a - b) < 1e-4 * a);
            for (size_t i = 0; i < whole->params.count; i++) {
                const wf_param *p = whole->params.list[i], *q = parts->params.list[i];
                for (int64_t k = 0; k < p->count; k++)
                    if (!(fabsf(p->value[k] - q->value[k]) < 2e-4f))
                        fail_msg("%s[%lld]: %g and %g", p->name, (long long)k, (double)p->value[k], (double)q->value[k]);
            }
            wf_model_free(whole);
            wf_model_free(parts);
        }
    test_env_close(&e);
}

static void test_recompute(void **state) {
    test_env e;
    wf_memory_parts kept, recomputed;
    (void)state;
    test_env_open(&e, 2);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        wf_model *a = test_model(&e, deep, 5), *b = test_model(&e, deep, 5);
        double x = run(&e, a, (wf_trainer_options){.batch = BATCH, .accumulate = 1, .bf16 = bf16}, adamw, &kept);
        double y =
            run(&e, b, (wf_trainer_options){.batch = BATCH, .accumulate = 1, .bf16 = bf16, .checkpoint_activations = true},
                adamw, &recomputed);
        assert_memory_equal(&x, &y, sizeof x);
        assert_int_equal(wf_params_digest(&a->params), wf_params_digest(&b->params));
        if (recomputed.activations * 3 > kept.activations * 2)
            fail_msg("activations take %zu bytes recomputed, %zu kept", recomputed.activations, kept.activations);
        assert_int_equal(recomputed.parameters, kept.parameters);
        wf_model_free(a);
        wf_model_free(b);
    }
    test_env_close(&e);
}

/* A feed-forward network in pieces trains as the whole one does, in recomputed blocks too, with any number of threads. */
static void test_pieces(void **state) {
    static const char *const pieces = "{\"dim\": 32, \"vocab\": 31, \"layers\": 2, \"block\": {\"mixer\": {\"mixer\": "
                                      "\"attention\", \"heads\": 2, \"causal\": true}, "
                                      "\"channel\": {\"mixer\": \"mlp\", \"hidden\": 48, \"chunk\": 10}}}";
    uint64_t first = 0;
    (void)state;
    for (int way = 0; way < 4; way++) {
        test_env e;
        test_env_open(&e, way % 2 ? 1 : 3);
        wf_model *whole = test_model(&e, plain, 5), *parts = test_model(&e, pieces, 5);
        double a = run(&e, whole, (wf_trainer_options){.batch = BATCH, .accumulate = 1}, sgd, NULL);
        double b =
            run(&e, parts, (wf_trainer_options){.batch = BATCH, .accumulate = 1, .checkpoint_activations = way < 2}, sgd, NULL);
        assert_true(fabs(a - b) < 1e-5 * a);
        uint64_t digest = wf_params_digest(&parts->params);
        first = way == 0 ? digest : first;
        assert_int_equal(digest, first);
        wf_model_free(whole);
        wf_model_free(parts);
        test_env_close(&e);
    }
}

static void test_threads(void **state) {
    uint64_t first = 0;
    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        test_env e;
        test_env_open(&e, threads);
        wf_model *m = test_model(&e, deep, 5);
        run(&e, m, (wf_trainer_options){.batch = 2, .accumulate = 2, .clip = 1.0, .smoothing = 0.1}, adamw, NULL);
        uint64_t digest = wf_params_digest(&m->params);
        first = threads == 1 ? digest : first;
        assert_int_equal(digest, first);
        wf_model_free(m);
        test_env_close(&e);
    }
}

static void test_not_a_number(void **state) {
    test_env e;
    text x;
    wf_step_result r;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, plain, 5);
    wf_trainer *t = open_trainer(
        &e, m, (wf_trainer_options){.batch = BATCH, .accumulate = 1, .average = "ema", .average_decay = 0.9}, adamw);
    draw(&x, 0);
    wf_train_batch b = {.ids = x.ids, .targets = x.targets};
    assert_int_equal(wf_trainer_step(t, &b, &r, &err), WEFT_OK);
    m->token->value[0] = NAN;
    x.ids[0] = 0;
    uint64_t before = wf_params_digest(&m->params);
    assert_int_equal(wf_trainer_step(t, &b, &r, &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, "at step 2"));
    assert_int_equal(wf_params_digest(&m->params), before);
    assert_int_equal(wf_trainer_steps(t), 1);
    wf_trainer_free(t);
    wf_model_free(m);
    test_env_close(&e);
}

static void test_learns(void **state) {
    test_env e;
    text x;
    wf_step_result first, last;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, plain, 5);
    wf_trainer *t = open_trainer(&e, m, (wf_trainer_options){.batch = BATCH, .accumulate = 1, .clip = 1.0}, adamw);
    draw(&x, 0);
    wf_train_batch b = {.ids = x.ids, .targets = x.targets};
    assert_int_equal(wf_trainer_step(t, &b, &first, &err), WEFT_OK);
    for (int i = 0; i < 60; i++)
        assert_int_equal(wf_trainer_step(t, &b, &last, &err), WEFT_OK);
    assert_true(fabs(first.loss - log(VOCAB)) < 0.3);
    assert_true(last.loss < 0.2);
    for (int i = 0; i < BATCH * ROWS; i++)
        x.targets[i] = -100; /* nothing to predict: no loss, and no division by it */
    assert_int_equal(wf_trainer_step(t, &b, &last, &err), WEFT_OK);
    assert_true(last.loss == 0.0 && last.tokens == 0);
    wf_trainer_free(t);
    wf_model_free(m);
    test_env_close(&e);
}

static void test_refused(void **state) {
    test_env e;
    wf_trainer *t;
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, plain, 5);
    const wf_trainer_options rows[] = {
        {.batch = 0, .rows = 4, .accumulate = 1, .optimizer = test_json(&e, adamw)},
        {.batch = 1, .rows = 4, .accumulate = 0, .optimizer = test_json(&e, adamw)},
        {.batch = 1, .rows = 4, .accumulate = 1, .optimizer = test_json(&e, "{\"name\": \"adamx\"}")},
        {.batch = 1,
         .rows = 4,
         .accumulate = 1,
         .optimizer = test_json(&e, adamw),
         .schedule = test_json(&e, "{\"name\": \"cosin\"}")},
        {.batch = 1, .rows = 4, .accumulate = 1, .optimizer = test_json(&e, adamw), .average = "emma"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        weft_error err = {0};
        assert_int_equal(wf_trainer_create(m, &rows[i], &t, &err), WEFT_USAGE);
        assert_true(err.message[0]);
    }
    wf_model_free(m);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accumulation), cmocka_unit_test(test_recompute),
                                       cmocka_unit_test(test_pieces),       cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_not_a_number), cmocka_unit_test(test_learns),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
