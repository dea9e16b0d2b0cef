/* Shards: as many files as the limit asks for, an index that names each tensor's file, the same bytes back; element types that
 * are only copied. */
#include "formats/shards_write.h"
#include <string.h>
#include "base/reader.h"
#include "formats/shards.h"
#include "support/test.h"

#define SCRATCH WEFT_BINARY_DIR "/shards-write-scratch"

static const float numbers[4][6] = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}, {13, 14, 15}, {0}};
static const int64_t six[2] = {2, 3}, three[1] = {3}, eight[1] = {8};
static const char raw[8] = "octets!";
static const wf_tensor_plan tensors[] = {
    {"a", WF_F32, 2, six, NULL}, {"b", WF_F32, 2, six, NULL}, {"c", WF_F32, 1, three, NULL}, {"d", WF_U8, 1, eight, "F8_E4M3"}};

static weft_status bytes_of(void *user, size_t i, const void **data, size_t *size, weft_error *err) {
    int64_t n;
    (void)user, (void)err;
    assert_true(wf_tensor_plan_bytes(&tensors[i], &n));
    *data = i == 3 ? (const void *)raw : numbers[i];
    *size = (size_t)n;
    return WEFT_OK;
}

static void check(uint64_t limit, size_t wanted) {
    const wf_shards_plan plan = {tensors, COUNT_OF(tensors), limit, bytes_of, NULL};
    wf_shards *back;
    size_t files;
    assert_int_equal(wf_make_dir(SCRATCH, NULL), WEFT_OK);
    remove(SCRATCH "/model.safetensors");
    assert_int_equal(wf_shards_write(&wf_mem_default, SCRATCH, &plan, &files, NULL), WEFT_OK);
    assert_int_equal(files, wanted);
    assert_int_equal(wf_shards_open(&wf_mem_default, SCRATCH, &back, NULL), WEFT_OK);
    assert_int_equal(wf_shards_count(back), COUNT_OF(tensors));
    for (size_t i = 0; i < COUNT_OF(tensors); i++) {
        const wf_stored_tensor *t = wf_shards_find(back, tensors[i].name);
        assert_non_null(t);
        assert_memory_equal(t->data, i == 3 ? (const void *)raw : numbers[i], t->size);
        assert_string_equal(t->dtype, i == 3 ? "F8_E4M3" : "F32");
        assert_true((strstr(wf_shards_path(back, t), "-of-") != NULL) == (wanted > 1));
    }
    wf_shards_free(back);
}

static void test_limits(void **state) {
    (void)state;
    check(1000, 1);
    check(68, 1);
    check(67, 2);
    check(24, 3);
    check(1, 4); /* a tensor is never cut */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
