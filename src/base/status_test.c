#include "support/test.h"
#include "base/status.h"
#include <string.h>

static void test_fail_fills(void **state) {
    weft_error err = {0};
    assert_int_equal(wf_fail(&err, WEFT_USAGE, "no %s here", "bread"), WEFT_USAGE);
    assert_int_equal(err.status, WEFT_USAGE);
    assert_int_equal(err.offset, -1);
    assert_string_equal(err.message, "no bread here");
    assert_int_equal(wf_fail_at(&err, WEFT_BAD_INPUT, 17, "bad"), WEFT_BAD_INPUT);
    assert_int_equal(err.offset, 17);
    assert_int_equal(wf_fail_in(&err, "file %d", 3), WEFT_BAD_INPUT);
    assert_string_equal(err.message, "file 3: bad");
    assert_int_equal(err.offset, 17);
    assert_int_equal(wf_fail_memory(&err), WEFT_NO_MEMORY);
    assert_string_equal(err.message, "out of memory");
}

static void test_fail_without_error(void **state) {
    assert_int_equal(wf_fail(NULL, WEFT_USAGE, "x"), WEFT_USAGE);
    assert_int_equal(wf_fail_at(NULL, WEFT_BAD_INPUT, 1, "x"), WEFT_BAD_INPUT);
    assert_int_equal(wf_fail_memory(NULL), WEFT_NO_MEMORY);
    assert_int_not_equal(wf_fail_in(NULL, "x"), WEFT_OK);
}

/* A message is one line of valid UTF-8 of bounded length, whatever was quoted in it. */
static void test_messages_are_printable(void **state) {
    weft_error err = {0};
    wf_fail(&err, WEFT_BAD_INPUT, "a\nb\x1b[1m\xff\xc3\xa9");
    assert_string_equal(err.message, "a?b?[1m?\xc3\xa9");
    char text[2 * WEFT_MESSAGE_SIZE + 1];
    for (size_t i = 0; i < 2 * WEFT_MESSAGE_SIZE; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[2 * WEFT_MESSAGE_SIZE] = 0;
    wf_fail(&err, WEFT_BAD_INPUT, "%s", text);
    assert_int_equal(strlen(err.message), WEFT_MESSAGE_SIZE - 1);
    assert_int_equal(err.message[WEFT_MESSAGE_SIZE - 2], '?');
    wf_fail_in(&err, "%s", text);
    assert_int_equal(strlen(err.message), WEFT_MESSAGE_SIZE - 1);
}

static weft_status checked(int heads, weft_error *err) {
    WF_CHECK(heads > 0, err, WEFT_USAGE, "heads must be positive, not %d", heads);
    return WEFT_OK;
}

static weft_status tried(int heads, weft_error *err) {
    WF_TRY(checked(heads, err));
    return WEFT_MISMATCH;
}

static void test_macros(void **state) {
    weft_error err = {0};
    assert_int_equal(tried(1, &err), WEFT_MISMATCH);
    assert_int_equal(tried(-1, &err), WEFT_USAGE);
    assert_string_equal(err.message, "heads must be positive, not -1");
}

static void test_names(void **state) {
    const weft_status all[] = {WEFT_OK,        WEFT_FAILURE,     WEFT_USAGE,       WEFT_MISMATCH,  WEFT_BAD_INPUT,
                               WEFT_NO_MEMORY, WEFT_UNSUPPORTED, WEFT_INTERRUPTED, WEFT_TERMINATED};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(weft_status_name(all[i]), weft_status_name(all[j]));
    assert_string_equal(weft_status_name(WEFT_BAD_INPUT), "bad input");
    assert_string_equal(weft_status_name((weft_status)99), "unknown status");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_fills),
        cmocka_unit_test(test_fail_without_error),
        cmocka_unit_test(test_messages_are_printable),
        cmocka_unit_test(test_macros),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
