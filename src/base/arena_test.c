#include "support/test.h"
#include "support/fail_mem.h"
#include "base/mem.h"
#include <string.h>

/* Blocks are zeroed, aligned, and do not overlap: each keeps the pattern written to it. */
static void test_blocks(void **state) {
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 1000, 5000, 3, 100000, 7, 2000000, 40};
    enum { ROUNDS = 40, PER_ROUND = COUNT_OF(sizes) };
    static unsigned char *blocks[ROUNDS * PER_ROUND];
    fail_mem f = {0};
    wf_mem mem = fail_mem_hook(&f);
    wf_arena arena;
    wf_arena_init(&arena, &mem, 0);
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        size_t size = sizes[i % PER_ROUND] / (i < 2 * PER_ROUND ? 1 : 50);
        blocks[i] = wf_arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)(i % 251 + 1), size);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        size_t size = sizes[i % PER_ROUND] / (i < 2 * PER_ROUND ? 1 : 50);
        for (size_t k = 0; k < size; k += 7)
            assert_int_equal(blocks[i][k], i % 251 + 1);
    }
    wf_arena_free(&arena);
    assert_int_equal(f.live, 0);
    assert_int_equal(arena.used, 0);
    assert_non_null(wf_arena_alloc(&arena, 10)); /* it may be used again */
    wf_arena_free(&arena);
    assert_int_equal(f.live, 0);
}

/* Many small blocks cost few calls of the allocator. */
static void test_few_calls(void **state) {
    fail_mem f = {0};
    wf_mem mem = fail_mem_hook(&f);
    wf_arena arena;
    wf_arena_init(&arena, &mem, 0);
    for (int i = 0; i < 100000; i++)
        assert_non_null(wf_arena_alloc(&arena, 48));
    assert_true(f.calls < 25);
    wf_arena_free(&arena);
}

static void test_limit(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, NULL, 100);
    assert_non_null(wf_arena_alloc(&arena, 64));
    assert_null(wf_arena_alloc(&arena, 64));
    assert_non_null(wf_arena_alloc(&arena, 32));
    assert_null(wf_arena_alloc(&arena, 1));
    assert_null(wf_arena_alloc(&arena, SIZE_MAX));
    assert_null(wf_arena_alloc(&arena, SIZE_MAX - 20));
    wf_arena_free(&arena);
    assert_non_null(wf_arena_alloc(&arena, 96));
    wf_arena_free(&arena);
    wf_arena_init(&arena, NULL, 0);
    assert_null(wf_arena_alloc(&arena, SIZE_MAX - 40));
    assert_non_null(wf_arena_alloc(&arena, 8));
    assert_null(wf_arena_alloc(&arena, SIZE_MAX - 40));
    wf_arena_free(&arena);
}

static void test_strings(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, NULL, 0);
    assert_string_equal(wf_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(wf_arena_strndup(&arena, "abc", 2), "ab");
    assert_string_equal(wf_arena_strndup(&arena, NULL, 0), "");
    assert_null(wf_arena_strndup(&arena, "abc", SIZE_MAX));
    assert_string_equal(wf_arena_printf(&arena, "%s-%d", "x", 5), "x-5");
    assert_int_equal(strlen(wf_arena_printf(&arena, "%5000d", 1)), 5000);
    wf_arena_free(&arena);
}

static void test_memory_failures(void **state) {
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_arena arena;
        bool failed = false;
        wf_arena_init(&arena, &mem, 0);
        failed |= !wf_arena_alloc(&arena, 100);
        failed |= !wf_arena_strdup(&arena, "abc");
        failed |= !wf_arena_printf(&arena, "%3000d", 5);
        failed |= !wf_arena_alloc(&arena, 100000);
        assert_int_equal(failed, f.fired);
        wf_arena_free(&arena);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_few_calls),
                                       cmocka_unit_test(test_limit), cmocka_unit_test(test_strings),
                                       cmocka_unit_test(test_memory_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
