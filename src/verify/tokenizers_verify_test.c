/* tokenizers_verify_test.c - the fixtures of tokenizers and their training in the folder WEFT_FIXTURES. */
#include "support/test.h"
#include <stdlib.h>
#include "base/reader.h"
#include "verify/verify.h"

static void show(void *user, const wf_verdict *v) {
    if (v->outcome != WF_PASSED)
        printf("%s: %s\n", v->name, v->why);
}

static void test_fixtures(void **state) {
    const char *root = getenv("WEFT_FIXTURES");
    wf_env env = {.mem = wf_mem_default};
    wf_verify_totals totals;
    wf_arena arena;
    wf_arena_init(&arena, &env.mem, 0);
    char *folder = root ? wf_path_join(&arena, root, "tokenizers") : NULL;
    if (folder && wf_is_dir(folder)) {
        assert_int_equal(wf_verify_path(&env, folder, show, NULL, &totals, NULL), WEFT_OK);
        printf("%zu fixtures of tokenizers\n", totals.passed);
    } else {
        printf("skipped: no tokenizer fixtures (WEFT_FIXTURES)\n");
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
