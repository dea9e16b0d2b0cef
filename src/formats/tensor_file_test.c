/* Files of tensors of every kind: tests/data/tensor-files holds the same tensors written by torch and numpy in many ways, and
 * malformed ones, each of which is refused with a message that names it. */
#include "formats/tensor_file.h"
#include <stdlib.h>
#include <string.h>
#include "support/fail_mem.h"
#include "support/test.h"

#define DATA WEFT_SOURCE_DIR "/tests/data/tensor-files"

static const wf_mem *const mem = &wf_mem_default;

static bool is_sample(const char *name) { return wf_ends_with(name, ".pt") || wf_ends_with(name, ".npz"); }

static void same_tensor(const char *file, const wf_stored_tensor *t, const wf_stored_tensor *wanted) {
    if (!wanted)
        fail_msg("%s: the tensor %s is not expected", file, t->name);
    assert_string_equal(t->dtype, wanted->dtype);
    assert_int_equal(t->rank, wanted->rank);
    for (int i = 0; i < t->rank; i++)
        assert_int_equal(t->dims[i], wanted->dims[i]);
    assert_int_equal(t->size, wanted->size);
    if (t->size && memcmp(t->data, wanted->data, t->size) != 0)
        fail_msg("%s: the tensor %s has other elements", file, t->name);
}

static void each_sample(const char *folder, void (*check)(const char *path, const char *name, wf_tensor_file *expected)) {
    wf_arena arena;
    wf_tensor_file *expected = NULL;
    char **names;
    size_t count, n = 0;
    wf_arena_init(&arena, mem, 0);
    assert_int_equal(wf_tensor_file_open(mem, DATA "/expected.safetensors", &expected, NULL), WEFT_OK);
    assert_int_equal(wf_list_dir(&arena, folder, &names, &count, NULL), WEFT_OK);
    for (size_t i = 0; i < count; i++)
        if (is_sample(names[i])) {
            check(wf_path_join(&arena, folder, names[i]), names[i], expected);
            n++;
        }
    assert_true(n > 5);
    wf_tensor_file_free(expected);
    wf_arena_free(&arena);
}

static void check_equal(const char *path, const char *name, wf_tensor_file *expected) {
    wf_tensor_file *file;
    weft_error err = {0};
    if (wf_tensor_file_open(mem, path, &file, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_true(file->count >= 2);
    for (size_t i = 0; i < file->count; i++) {
        const wf_stored_tensor *t = &file->list[i];
        same_tensor(name, t, wf_tensor_file_find(expected, t->name));
        assert_ptr_equal(wf_tensor_file_find(file, t->name), t);
    }
    assert_null(wf_tensor_file_find(file, "absent"));
    wf_tensor_file_free(file);
}

static void test_equal(void **state) { each_sample(DATA, check_equal); }

static void check_refused(const char *path, const char *name, wf_tensor_file *expected) {
    wf_tensor_file *file = NULL;
    weft_error err = {0};
    weft_status status = wf_tensor_file_open(mem, path, &file, &err);
    if (status != WEFT_BAD_INPUT)
        fail_msg("%s: status %d", name, status);
    assert_null(file);
    if (!strstr(err.message, name))
        fail_msg("the message does not name %s: %s", name, err.message);
}

static void test_refused(void **state) { each_sample(DATA "/malformed", check_refused); }

/* What a pickle asks for is named. */
static void test_globals(void **state) {
    static const char *const cases[][2] = {{"system.pt", "'posix.system'"},
                                           {"eval.pt", "'builtins.eval'"},
                                           {"getattr.pt", "'__builtin__.getattr'"},
                                           {"load-from-bytes.pt", "'torch.storage._load_from_bytes'"},
                                           {"newobj.pt", "opcode 0x81"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char path[512];
        wf_tensor_file *file = NULL;
        weft_error err = {0};
        snprintf(path, sizeof path, DATA "/malformed/%s", cases[i][0]);
        assert_int_equal(wf_tensor_file_open(mem, path, &file, &err), WEFT_BAD_INPUT);
        if (!strstr(err.message, cases[i][1]) || err.offset < 0)
            fail_msg("%s: %s", cases[i][0], err.message);
    }
}

/* Every prefix of a file, and every file with a byte changed, ends in a status. */
static void check_damaged(const char *path, const char *name, wf_tensor_file *expected) {
    wf_file file;
    assert_int_equal(wf_file_open(mem, path, false, 0, &file, NULL), WEFT_OK);
    uint8_t *copy = malloc(file.size);
    for (size_t i = 0; i < file.size; i += 3) {
        wf_tensor_file *read = NULL;
        memcpy(copy, file.data, file.size);
        copy[i] ^= (uint8_t)(1u << i % 8);
        wf_tensor_file_parse(mem, NULL, copy, file.size, &read, NULL);
        wf_tensor_file_free(read);
        read = NULL;
        memcpy(copy, file.data, i);
        assert_int_not_equal(wf_tensor_file_parse(mem, NULL, copy, i, &read, NULL), WEFT_OK);
    }
    free(copy);
    wf_file_close(&file);
}

static void test_damaged(void **state) { each_sample(DATA, check_damaged); }

static void check_memory(const char *path, const char *name, wf_tensor_file *expected) {
    fail_mem fm = {0};
    while (fail_mem_next(&fm)) {
        wf_mem hook = fail_mem_hook(&fm);
        wf_tensor_file *file = NULL;
        weft_status status = wf_tensor_file_open(&hook, path, &file, NULL);
        assert_int_equal(status, fm.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_tensor_file_free(file);
        assert_int_equal(fm.live, 0);
    }
}

static void test_memory(void **state) { each_sample(DATA, check_memory); }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_globals), cmocka_unit_test(test_damaged),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
