#include "support/test.h"
#include "support/fail_mem.h"
#include "base/checked.h"
#include "base/mem.h"
#include <string.h>

static void test_small_blocks(void **state) {
    fail_mem f = {0};
    wf_mem mem = fail_mem_hook(&f);
    assert_null(wf_alloc(&mem, 0));
    assert_null(wf_calloc(&mem, SIZE_MAX, 2));
    assert_null(wf_calloc(&mem, 0, 2));
    assert_null(wf_strndup(&mem, "x", SIZE_MAX));
    int *numbers = wf_calloc(&mem, 100, sizeof *numbers);
    for (int i = 0; i < 100; i++)
        assert_int_equal(numbers[i], 0);
    numbers[99] = 7;
    numbers = wf_resize(&mem, numbers, 1000 * sizeof *numbers);
    assert_int_equal(numbers[99], 7);
    numbers = wf_resize(&mem, numbers, 0); /* a block still, not a failure */
    assert_non_null(numbers);
    char *a = wf_strdup(&mem, "abc"), *b = wf_strndup(&mem, "abc", 2), *c = wf_strndup(&mem, NULL, 0);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "");
    assert_int_equal(f.live, 4);
    wf_free(&mem, a);
    wf_free(&mem, b);
    wf_free(&mem, c);
    wf_free(&mem, numbers);
    wf_free(&mem, NULL);
    assert_int_equal(f.live, 0);
}

static void check_big(const wf_mem *mem, size_t size, size_t alignment) {
    unsigned char *block = wf_alloc_big(mem, size);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % alignment, 0);
    for (size_t i = 0; i < size; i += size < 5000 ? 1 : 4096)
        assert_int_equal(block[i], 0);
    assert_int_equal(block[size - 1], 0);
    memset(block, 0xaa, size);
    wf_free_big(mem, block);
}

static void test_big_blocks(void **state) {
    static const size_t sizes[] = {1, 63, 64, 4096, 100000, (2 << 20) - 1, 2 << 20, (5 << 20) + 3};
    fail_mem f = {0};
    wf_mem mem = fail_mem_hook(&f);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size_t alignment = sizes[i] >= 2 << 20 ? 2 << 20 : 64;
        check_big(&mem, sizes[i], alignment);
        check_big(&wf_mem_default, sizes[i], alignment);
        check_big(&wf_mem_default, sizes[i], alignment); /* zeroed also when the memory was used before */
    }
    assert_int_equal(f.live, 0);
    assert_null(wf_alloc_big(&mem, 0));
    assert_null(wf_alloc_big(&mem, SIZE_MAX - 100));
    wf_free_big(&mem, NULL);
    f.fail_at = f.calls + 1;
    assert_null(wf_alloc_big(&mem, 100));
}

static void test_grow(void **state) {
    fail_mem f = {0};
    wf_mem mem = fail_mem_hook(&f);
    void *array = NULL;
    size_t capacity = 0;
    weft_error err = {0};
    assert_int_equal(wf_grow(&mem, &array, &capacity, 0, 4, &err), WEFT_OK);
    assert_null(array);
    for (size_t i = 0; i < 10000; i++) {
        assert_int_equal(wf_grow(&mem, &array, &capacity, i + 1, sizeof i, &err), WEFT_OK);
        ((size_t *)array)[i] = i;
    }
    assert_true(f.calls < 20 && capacity >= 10000 && capacity < 20001);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(((size_t *)array)[i], i);
    void *before = array;
    assert_int_equal(wf_grow(&mem, &array, &capacity, SIZE_MAX / 4, 8, &err), WEFT_NO_MEMORY);
    assert_int_equal(wf_grow(&mem, &array, &capacity, SIZE_MAX, 1, NULL), WEFT_NO_MEMORY);
    f.fail_at = f.calls + 1;
    assert_int_equal(wf_grow(&mem, &array, &capacity, capacity + 1, 8, &err), WEFT_NO_MEMORY);
    assert_string_equal(err.message, "out of memory");
    assert_ptr_equal(array, before); /* a failure leaves the array as it was */
    wf_free(&mem, array);
    assert_int_equal(f.live, 0);
}

static void test_checked(void **state) {
    int64_t i;
    size_t z;
    assert_true(wf_mul_i64(1 << 30, 1 << 30, &i) && i == (int64_t)1 << 60);
    assert_false(wf_mul_i64(INT64_MAX, 2, &i) || wf_add_i64(INT64_MAX, 1, &i) || wf_add_i64(INT64_MIN, -1, &i));
    assert_false(wf_mul_size(SIZE_MAX / 2 + 1, 2, &z) || wf_add_size(SIZE_MAX, 1, &z));
    assert_true(wf_product((const int64_t[]){2, 3, 4}, 3, &i) && i == 24);
    assert_true(wf_product(NULL, 0, &i) && i == 1);
    assert_true(wf_product((const int64_t[]){2, 0, 4}, 3, &i) && i == 0);
    assert_false(wf_product((const int64_t[]){2, -1}, 2, &i));
    assert_false(wf_product((const int64_t[]){(int64_t)1 << 32, (int64_t)1 << 32}, 2, &i));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small_blocks), cmocka_unit_test(test_big_blocks),
                                       cmocka_unit_test(test_grow), cmocka_unit_test(test_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
