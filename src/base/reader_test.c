#include "support/test.h"
#include "base/reader.h"
#include <stdlib.h>
#include <string.h>

static void test_values(void **state) {
    static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
                                    0x0c, 0x0d, 0x0e, 0x0f, 0,    0,    0x80, 0x3f, 'x',  'y'};
    wf_reader r = wf_reader_of(bytes, sizeof bytes);
    assert_int_equal(wf_read_u8(&r), 0x01);
    assert_int_equal(wf_read_u16(&r), 0x0302);
    assert_int_equal(wf_read_u32(&r), 0x07060504);
    assert_true(wf_read_u64(&r) == 0x0f0e0d0c0b0a0908);
    assert_true(wf_read_f32(&r) == 1.0f);
    assert_int_equal(wf_reader_left(&r), 2);
    assert_memory_equal(wf_read_bytes(&r, 2), "xy", 2);
    assert_int_equal(wf_reader_left(&r), 0);
    assert_non_null(wf_read_bytes(&r, 0));
    assert_false(r.failed);
    assert_int_equal(wf_read_u8(&r), 0);
    assert_true(r.failed);
}

static uint64_t read_kind(wf_reader *r, int kind) {
    switch (kind) {
    case 0:
        return wf_read_u8(r);
    case 1:
        return wf_read_u16(r);
    case 2:
        return wf_read_u32(r);
    case 3:
        return wf_read_u64(r);
    case 4:
        return (uint64_t)wf_read_f32(r);
    default:
        return wf_read_bytes(r, 5) != NULL;
    }
}

/* Every read of every short length: past the end it gives 0, does not move, and stays failed. */
static void test_ends(void **state) {
    static const size_t widths[] = {1, 2, 4, 8, 4, 5};
    for (size_t length = 0; length < 9; length++)
        for (int kind = 0; kind < 6; kind++) {
            uint8_t *bytes = malloc(length ? length : 1);
            memset(bytes, 0x41, length);
            wf_reader r = wf_reader_of(bytes, length);
            uint64_t value = read_kind(&r, kind);
            bool fits = widths[kind] <= length;
            assert_int_equal(value != 0, fits);
            assert_int_equal(r.failed, !fits);
            assert_int_equal(r.position, fits ? widths[kind] : 0);
            if (!fits) {
                assert_int_equal(wf_read_u8(&r), 0);
                assert_null(wf_read_bytes(&r, 0));
                assert_int_equal(wf_reader_left(&r), 0);
                assert_int_equal(r.position, 0);
            }
            free(bytes);
        }
    wf_reader r = wf_reader_of("abc", 3);
    assert_null(wf_read_bytes(&r, SIZE_MAX));
    wf_reader nothing = wf_reader_of(NULL, 0);
    assert_int_equal(wf_read_u64(&nothing), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
