#include "support/test.h"
#include "base/env.h"
#include <string.h>
#include <time.h>

typedef struct heard {
    int level, lines;
    char line[2048];
} heard;

static void listen(void *user, int level, const char *line) {
    heard *h = user;
    h->level = level;
    h->lines++;
    snprintf(h->line, sizeof h->line, "%s", line);
}

static void test_log(void **state) {
    heard h = {0};
    wf_env env = {.log = listen, .log_user = &h};
    wf_log(&env, WF_WARN, "%d of %s", 3, "four");
    assert_int_equal(h.level, WF_WARN);
    assert_string_equal(h.line, "3 of four");
    wf_log(&env, WF_DEBUG, "%5000d", 1); /* longer than a line may be: cut */
    assert_int_equal(h.lines, 2);
    assert_int_equal(strlen(h.line), 1023);
    env.log = NULL;
    wf_log(&env, WF_ERROR, "nobody listens");
    wf_log(NULL, WF_ERROR, "nobody listens");
    assert_int_equal(h.lines, 2);
}

static void test_stop(void **state) {
    atomic_int stop = 0;
    wf_env env = {.stop = &stop}, without = {0};
    assert_int_equal(wf_stopped(&env), WEFT_OK);
    stop = 130;
    assert_int_equal(wf_stopped(&env), WEFT_INTERRUPTED);
    stop = 143;
    assert_int_equal(wf_stopped(&env), WEFT_TERMINATED);
    stop = 1;
    assert_int_equal(wf_stopped(&env), WEFT_INTERRUPTED);
    assert_int_equal(wf_stopped(&without), WEFT_OK);
    assert_int_equal(wf_stopped(NULL), WEFT_OK);
}

static void test_clock(void **state) {
    double before = wf_seconds(), after = wf_seconds(), used = wf_cpu_seconds();
    assert_true(after >= before && after - before < 10);
    for (int spins = 0; wf_cpu_seconds() < used + 1e-3; spins++)
        assert_true(spins < 100000000); /* work counts, .. */
    used = wf_cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_true(wf_cpu_seconds() - used < 0.025); /* .. waiting does not */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log), cmocka_unit_test(test_stop), cmocka_unit_test(test_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
