/* The fixtures of optimizers, schedules, averages and clipping: the project's own copies and, when WEFT_FIXTURES is set, those
 * of that folder; alone and on three threads. */
#include "support/test.h"
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "kernels/kernels.h"
#include "verify/fixture.h"
#include "verify/verify.h"

typedef struct tally {
    int passed, other;
} tally;

static void show(void *user, const wf_verdict *v) {
    tally *t = user;
    if (v->outcome == WF_PASSED) {
        t->passed++;
        return;
    }
    t->other++;
    printf("%s: %s (%s %.3g of %.3g)\n", v->name, v->why, v->worst ? v->worst : "-", v->error, v->tolerance);
}

static bool is_ours(const char *name) {
    static const char *const prefixes[] = {"optimizer-", "schedule-", "average-", "clip-"};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (wf_starts_with(name, prefixes[i]))
            return true;
    return false;
}

static void run_folder(const wf_env *env, const char *folder, tally *t) {
    wf_arena arena;
    char **names;
    size_t n;
    wf_arena_init(&arena, &env->mem, 0);
    assert_int_equal(wf_list_dir(&arena, folder, &names, &n, NULL), WEFT_OK);
    for (size_t i = 0; i < n; i++) {
        wf_verify_totals totals;
        if (is_ours(names[i]))
            wf_verify_path(env, wf_path_join(&arena, folder, names[i]), show, t, &totals, NULL);
    }
    wf_arena_free(&arena);
}

static int run_everywhere(int threads) {
    wf_kernels kernels;
    wf_env env = {.mem = wf_mem_default, .kernels = &kernels};
    tally t = {0};
    assert_int_equal(wf_kernels_choose(NULL, &kernels, NULL), WEFT_OK);
    assert_int_equal(wf_pool_create(&env.mem, threads, &env.pool, NULL), WEFT_OK);
    run_folder(&env, WEFT_SOURCE_DIR "/tests/fixtures/train", &t);
    const char *more = getenv("WEFT_FIXTURES");
    if (more && *more) {
        wf_arena arena;
        wf_arena_init(&arena, &env.mem, 0);
        run_folder(&env, wf_path_join(&arena, more, "train"), &t);
        wf_arena_free(&arena);
    }
    wf_pool_free(env.pool);
    assert_int_equal(t.other, 0);
    return t.passed;
}

static void test_fixtures(void **state) {
    int passed = run_everywhere(1);
    printf("%d fixtures of training dynamics\n", passed);
    assert_true(passed >= 28);
    assert_int_equal(run_everywhere(3), passed);
}

/* Rules and options that are not there are unsupported, by name. */
static void test_unsupported(void **state) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{\"dynamics\":\"weather\",\"spec\":{}}", "weather"},
        {"{\"dynamics\":\"optimizer\",\"spec\":{\"name\":\"adamv\"}}", "adamv"},
        {"{\"dynamics\":\"optimizer\",\"spec\":{\"name\":\"adamw\",\"betas2\":[0.9,0.99]}}", "betas2"},
        {"{\"dynamics\":\"lr_schedule\",\"spec\":{\"steps\":3,\"cases\":[{\"name\":\"cosine\",\"total\":3}]}}", "total"},
        {"{\"dynamics\":\"grad_clip\",\"spec\":{\"norm_types\":[\"most\"],\"max_norms\":[1]}}", "most"},
    };
    wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_fixture fx;
        wf_json *json;
        weft_error err = {0};
        assert_int_equal(wf_fixture_open(&env, WEFT_SOURCE_DIR "/tests/fixtures/train/optimizer-adamw", &fx, &err), WEFT_OK);
        assert_int_equal(wf_json_parse(&fx.arena, cases[i].text, strlen(cases[i].text), 0, &json, &err), WEFT_OK);
        fx.json = json;
        assert_int_equal(wf_verify_dynamics(&fx, &err), WEFT_UNSUPPORTED);
        assert_non_null(strstr(err.message, cases[i].word));
        assert_int_equal(err.status, WEFT_UNSUPPORTED);
        wf_fixture_close(&fx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixtures), cmocka_unit_test(test_unsupported)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
