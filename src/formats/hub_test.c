#include "formats/hub.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/reader.h"
#include "support/test.h"

typedef struct fixture {
    char folder[512];
    wf_arena arena;
} fixture;

static const char *below(fixture *f, const char *name) { return wf_path_join(&f->arena, f->folder, name); }

static void make(fixture *f, const char *folder, const char *ref, const char *commit) {
    assert_int_equal(wf_make_dir(below(f, folder), NULL), WEFT_OK);
    if (ref)
        assert_int_equal(wf_write_file(&wf_mem_default, below(f, ref), commit, strlen(commit), NULL), WEFT_OK);
}

static int setup(void **state) {
    static fixture f;
    snprintf(f.folder, sizeof f.folder, "/tmp/weft-hub-test-%ld", (long)getpid());
    wf_arena_init(&f.arena, &wf_mem_default, 0);
    make(&f, "hub/models--org--name/refs", "hub/models--org--name/refs/main", "0123abcd\n");
    make(&f, "hub/models--org--name/snapshots/0123abcd", NULL, NULL);
    make(&f, "hub/models--org--name/snapshots/ffff", NULL, NULL);
    make(&f, "hub/models--plain/snapshots/1", NULL, NULL);
    make(&f, "hub/models--org--odd/refs", "hub/models--org--odd/refs/main", "../../etc");
    make(&f, "here/there", NULL, NULL);
    make(&f, "models/fetched", NULL, NULL);
    make(&f, "models/plain", NULL, NULL);
    assert_int_equal(setenv("WEFT_MODELS", below(&f, "models"), 1), 0);
    assert_int_equal(setenv("HF_HUB_CACHE", below(&f, "hub"), 1), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int code = system(command);
    wf_arena_free(&f->arena);
    return code;
}

static weft_status find(fixture *f, const char *name, const char **path, weft_error *err) {
    return wf_hub_path(&f->arena, name, path, err);
}

static void test_found(void **state) {
    fixture *f = *state;
    const char *path;
    assert_int_equal(find(f, "org/name", &path, NULL), WEFT_OK);
    assert_string_equal(path, below(f, "hub/models--org--name/snapshots/0123abcd"));
    assert_int_equal(find(f, "org/name@ffff", &path, NULL), WEFT_OK);
    assert_string_equal(path, below(f, "hub/models--org--name/snapshots/ffff"));
    assert_int_equal(find(f, "plain@1", &path, NULL), WEFT_OK);
    assert_string_equal(path, below(f, "hub/models--plain/snapshots/1"));
    assert_int_equal(find(f, "fetched", &path, NULL), WEFT_OK);
    assert_string_equal(path, below(f, "models/fetched"));
}

/* Paths that exist, and whatever is no name of the hub, stay as they are. */
static void test_left_alone(void **state) {
    static const char *const names[] = {"org/other", "a/b/c",     "../name",      "org/../name", "",
                                        "/tmp",      "/org/name", "org/",         "mamba*3",     "org/na me",
                                        "./org",     "@main",     "fetched@main", "org/fetched"};
    fixture *f = *state;
    const char *path, *folder = below(f, "here/there");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(find(f, names[i], &path, NULL), WEFT_OK);
        assert_string_equal(path, names[i]);
    }
    assert_int_equal(find(f, folder, &path, NULL), WEFT_OK);
    assert_string_equal(path, folder);
}

static void test_errors(void **state) {
    fixture *f = *state;
    const char *path;
    weft_error err = {0};
    assert_int_equal(find(f, "org/name@nothing", &path, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "revision 'nothing'"));
    assert_int_equal(find(f, "plain", &path, &err), WEFT_USAGE);
    assert_int_equal(find(f, "org/odd", &path, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "commit"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_left_alone),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
