/* Practice learns a task, exams say so, and neither depends on the number of threads. */
#include "train/practice.h"
#include "support/model.h"

static const char *const spec = "{\"dim\": 32, \"vocab\": 16, \"layers\": 1, \"block\": {\"mixer\": {\"mixer\": \"lstm\", "
                                "\"hidden\": 32}, \"channel\": {\"mixer\": \"mlp\", \"hidden\": 32}}}";

static weft_status train(test_env *e, wf_model *m, const wf_task_config *task, int steps, double *loss, weft_error *err) {
    wf_trainer_options o = {.batch = 16,
                            .accumulate = 2,
                            .global_mean = true,
                            .seed = 3,
                            .optimizer = test_json(e, "{\"name\": \"adamw\", \"lr\": 0.01}")};
    wf_practice p;
    wf_step_result r = {0};
    WF_TRY(wf_practice_open(&p, m, task, &o, err));
    weft_status status = WEFT_OK;
    for (int i = 0; i < steps && status == WEFT_OK; i++)
        status = wf_practice_step(&p, &r, err);
    assert_int_equal(p.cursor, (uint64_t)steps * 32);
    wf_practice_close(&p);
    *loss = r.loss;
    return status;
}

static void ok(weft_status status, const weft_error *err) {
    if (status != WEFT_OK)
        fail_msg("%s", err->message);
}

static void test_learns(void **state) {
    uint64_t digest = 0;
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        test_env e;
        wf_task_config task;
        wf_score before, after;
        weft_error err = {0};
        double loss;
        test_env_open(&e, threads);
        wf_model *m = test_model(&e, spec, 5);
        ok(wf_task_read("parity", 6, &task, &err), &err);
        const wf_exam_options how = {.batch = 20, .samples = 90};
        ok(wf_examine(m, &task, &how, &before, &err), &err);
        ok(train(&e, m, &task, 200, &loss, &err), &err);
        ok(wf_examine(m, &task, &how, &after, &err), &err);
        assert_int_equal(before.answers, 90);
        assert_true(before.accuracy < 0.7 && fabs(before.nats - log(16)) < 1.0);
        assert_true(after.accuracy > 0.95 && after.nats < 0.2 && loss < 0.2);
        assert_true(threads == 1 || digest == wf_params_digest(&m->params));
        digest = wf_params_digest(&m->params);
        wf_model_free(m);
        test_env_close(&e);
    }
}

static void test_refused(void **state) {
    test_env e;
    wf_task_config task;
    wf_score score;
    weft_error err = {0};
    double loss;
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, spec, 5);
    assert_int_equal(wf_task_read("mqar:pairs=2", 16, &task, &err), WEFT_OK);
    assert_int_equal(train(&e, m, &task, 1, &loss, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "256 tokens, the model only 16"));
    assert_int_equal(wf_examine(m, &task, &(wf_exam_options){.batch = 1, .samples = 1}, &score, &err), WEFT_USAGE);
    wf_model_free(m);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_learns), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
