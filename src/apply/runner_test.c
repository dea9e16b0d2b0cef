/* runner_test.c - batches by length: every sequence gets its result once, the same bits for any number of threads; a failure in
 * the middle ends the run. */
#include "support/model.h"
#include <string.h>
#include "apply/runner.h"

enum { MANY = 90, LONGEST = 23, DIM = 8, BATCH = 64 };

static const char *const spec = "{\"dim\": 8, \"vocab\": 31, \"layers\": 2, \"block\": {\"mixer\": {\"mixer\": \"attention\", "
                                "\"heads\": 2}, \"channel\": \"mlp\"}, \"head\": {\"kind\": \"none\"}}";

typedef struct results {
    const wf_sequence *list;
    float values[MANY][LONGEST * DIM];
    int seen[MANY], taken, stop_at;
} results;

static weft_status take(void *user, size_t index, const float *values, int64_t rows, int64_t columns) {
    results *r = user;
    assert_int_equal(rows, r->list[index].count);
    assert_int_equal(columns, DIM);
    memcpy(r->values[index], values, (size_t)(rows * columns) * sizeof *values);
    r->seen[index]++;
    return ++r->taken == r->stop_at ? WEFT_BAD_INPUT : WEFT_OK;
}

static void draw(wf_sequence *list, uint32_t ids[MANY][LONGEST]) {
    for (size_t i = 0; i < MANY; i++) {
        list[i] = (wf_sequence){.ids = ids[i], .count = 1 + i * 7 % LONGEST};
        for (size_t t = 0; t < list[i].count; t++)
            ids[i][t] = (uint32_t)((i * 13 + t * 5) % 31);
    }
}

static weft_status run(int threads, int stop_at, results *r) {
    static uint32_t ids[MANY][LONGEST];
    static wf_sequence list[MANY];
    test_env e;
    wf_runner *runner;
    weft_error err = {0};
    draw(list, ids);
    memset(r, 0, sizeof *r);
    r->list = list;
    r->stop_at = stop_at;
    test_env_open(&e, threads);
    wf_model *model = test_model(&e, spec, 5);
    assert_int_equal(wf_runner_create(model, &(wf_runner_options){.head = -1, .tokens = BATCH}, &runner, &err), WEFT_OK);
    weft_status status = wf_runner_run(runner, list, MANY, take, r, &err);
    wf_runner_free(runner);
    wf_model_free(model);
    test_env_close(&e);
    return status;
}

static void test_threads(void **state) {
    static results one, many;
    (void)state;
    assert_int_equal(run(1, 0, &one), WEFT_OK);
    for (int threads = 2; threads <= 5; threads++) {
        assert_int_equal(run(threads, 0, &many), WEFT_OK);
        for (size_t i = 0; i < MANY; i++)
            assert_int_equal(many.seen[i], 1);
        assert_memory_equal(one.values, many.values, sizeof one.values);
    }
}

static void test_failure(void **state) {
    static results r;
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(run(threads, 40, &r), WEFT_BAD_INPUT);
        assert_int_equal(r.taken, 40);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_failure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
