/* Every dynamics fixture of the project's own copies and, when WEFT_FIXTURES is set, of that folder. */
#include "support/test.h"
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "kernels/kernels.h"
#include "verify/dynamics.h"

typedef struct tally {
    const char *fixture;
    int tensors, failed;
} tally;

static void count(void *user, const char *tensor, double error, double tolerance) {
    tally *t = user;
    t->tensors++;
    if (error <= tolerance)
        return;
    t->failed++;
    printf("%s: %s is off by %.3g, tolerance %.3g\n", t->fixture, tensor, error, tolerance);
}

/* Returns whether the folder held a fixture of this kind. */
static bool run_fixture(const wf_env *env, const char *folder) {
    wf_arena arena;
    weft_error err = {0};
    wf_json *fixture;
    wf_arena_init(&arena, &env->mem, 0);
    char *path = wf_path_join(&arena, folder, "fixture.json");
    bool ours = wf_is_file(path) && wf_json_parse_file(&arena, path, &fixture, &err) == WEFT_OK &&
                wf_json_is_string(wf_json_get(fixture, "kind"), "dynamics");
    if (ours) {
        tally t = {.fixture = folder};
        if (wf_verify_dynamics(env, folder, fixture, count, &t, &err) != WEFT_OK)
            fail_msg("%s: %s", folder, err.message);
        assert_true(t.tensors > 0);
        assert_int_equal(t.failed, 0);
    }
    wf_arena_free(&arena);
    return ours;
}

static int run_folder(const wf_env *env, const char *folder) {
    wf_arena arena;
    char **names;
    size_t n;
    int ran = 0;
    wf_arena_init(&arena, &env->mem, 0);
    assert_int_equal(wf_list_dir(&arena, folder, &names, &n, NULL), WEFT_OK);
    for (size_t i = 0; i < n; i++)
        ran += run_fixture(env, wf_path_join(&arena, folder, names[i]));
    wf_arena_free(&arena);
    return ran;
}

static int run_everywhere(int threads) {
    wf_kernels kernels;
    wf_env env = {.mem = wf_mem_default, .kernels = &kernels};
    assert_int_equal(wf_kernels_choose(NULL, &kernels, NULL), WEFT_OK);
    assert_int_equal(wf_pool_create(&env.mem, threads, &env.pool, NULL), WEFT_OK);
    int ran = run_folder(&env, WEFT_SOURCE_DIR "/tests/fixtures/train");
    const char *more = getenv("WEFT_FIXTURES");
    if (more && *more) {
        wf_arena arena;
        wf_arena_init(&arena, &env.mem, 0);
        ran += run_folder(&env, wf_path_join(&arena, more, "train"));
        wf_arena_free(&arena);
    }
    wf_pool_free(env.pool);
    return ran;
}

static void test_fixtures(void **state) {
    int ran = run_everywhere(1);
    printf("%d dynamics fixtures\n", ran);
    assert_true(ran >= 8);
    assert_int_equal(run_everywhere(3), ran);
}

/* Rules and options that are not there are unsupported, by name. */
static void test_unsupported(void **state) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{\"dynamics\":\"weather\",\"spec\":{}}", "weather"},
        {"{\"dynamics\":\"optimizer\",\"spec\":{\"name\":\"adamv\"}}", "adamv"},
        {"{\"dynamics\":\"optimizer\",\"spec\":{\"name\":\"adamw\",\"betas2\":[0.9,0.99]}}", "betas"},
    };
    wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
    wf_arena arena;
    wf_arena_init(&arena, &env.mem, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_json *fixture;
        weft_error err = {0};
        tally t = {0};
        assert_int_equal(wf_json_parse(&arena, cases[i].text, strlen(cases[i].text), 0, &fixture, &err), WEFT_OK);
        const char *folder = WEFT_SOURCE_DIR "/tests/fixtures/train/optimizer-adamw";
        assert_int_equal(wf_verify_dynamics(&env, folder, fixture, count, &t, &err), WEFT_UNSUPPORTED);
        assert_non_null(strstr(err.message, cases[i].word));
        assert_int_equal(err.status, WEFT_UNSUPPORTED);
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixtures), cmocka_unit_test(test_unsupported)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
