/* Ranges: their ends, their neighbours, and none at all. */
#include "base/ranges.h"
#include "support/test.h"

static const wf_range some[] = {{3, 3}, {5, 9}, {11, 11}, {0x10FFFF, UINT32_MAX}};

static void test_edges(void **state) {
    static const uint32_t in[] = {3, 5, 7, 9, 11, 0x10FFFF, UINT32_MAX}, out[] = {0, 2, 4, 10, 12, 0x10FFFE};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(in); i++)
        assert_true(wf_ranges_have(some, COUNT_OF(some), in[i]));
    for (size_t i = 0; i < COUNT_OF(out); i++)
        assert_false(wf_ranges_have(some, COUNT_OF(some), out[i]));
    assert_false(wf_ranges_have(some, 0, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
