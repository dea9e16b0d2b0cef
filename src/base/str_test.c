#include "support/test.h"
#include "support/fail_mem.h"
#include "base/str.h"
#include <string.h>

static void test_growing(void **state) {
    wf_str s = wf_str_new(&wf_mem_default);
    assert_string_equal(wf_str_text(&s), "");
    wf_str_puts(&s, "abc");
    wf_str_putc(&s, 'd');
    wf_str_put(&s, "e\0f", 3);
    assert_int_equal(s.length, 7);
    assert_memory_equal(s.data, "abcde\0f", 8);
    wf_str_clear(&s);
    assert_string_equal(s.data, "");
    for (int i = 0; i < 1000; i++)
        wf_str_printf(&s, "%d,", i);
    assert_int_equal(s.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_true(wf_ends_with(s.data, "998,999,"));
    wf_str_put(&s, NULL, 0);
    assert_false(s.failed);
    wf_str_free(&s);
    assert_null(s.data);
    for (int i = 0; i < 100; i++)
        wf_str_putc(&s, 'x');
    assert_int_equal(strlen(s.data), 100);
    wf_str_free(&s);
}

static void test_failure_is_sticky(void **state) {
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_str s = wf_str_new(&mem);
        for (int i = 0; i < 20; i++) {
            wf_str_puts(&s, "abc");
            wf_str_putc(&s, 'd');
            wf_str_printf(&s, "%s", "efgh");
        }
        assert_int_equal(s.failed, f.fired);
        assert_int_equal(strlen(wf_str_text(&s)), s.length);
        wf_str_free(&s);
        assert_int_equal(f.live, 0);
    }
    wf_str s = wf_str_new(&wf_mem_default);
    wf_str_put(&s, "x", SIZE_MAX);
    assert_true(s.failed);
    wf_str_puts(&s, "y");
    assert_int_equal(s.length, 0);
    wf_str_free(&s);
}

static void test_comparing(void **state) {
    assert_true(wf_streq("a", "a") && !wf_streq("a", "b") && !wf_streq("a", NULL) && !wf_streq(NULL, "a") &&
                wf_streq(NULL, NULL));
    assert_true(wf_starts_with("abc", "ab") && wf_starts_with("abc", "") && !wf_starts_with("ab", "abc"));
    assert_true(wf_ends_with("abc", "bc") && wf_ends_with("abc", "") && !wf_ends_with("bc", "abc") &&
                !wf_ends_with("abc", "ab"));
}

static const char *candidate(const void *user, size_t i) { return ((const char *const *)user)[i]; }

static void test_nearest(void **state) {
    static const char *const names[] = {"attention", "retention", "mamba", "mamba2", "lstm", "gru", NULL};
    static const struct {
        const char *word, *expected;
    } rows[] = {{"attenton", "attention"},
                {"retenshun", "retention"},
                {"mamba", "mamba"},
                {"mambo", "mamba"},
                {"mamba3", "mamba"},
                {"lsmt", "lstm"},
                {"lst", "lstm"},
                {"gr", "gru"},
                {"g", NULL},
                {"xyzzyx", NULL},
                {"", NULL}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *found = wf_nearest(rows[i].word, candidate, names);
        if (!wf_streq(found, rows[i].expected))
            fail_msg("%s: %s", rows[i].word, found ? found : "nothing");
    }
    char endless[200];
    memset(endless, 'a', sizeof endless);
    endless[sizeof endless - 1] = 0;
    assert_null(wf_nearest(endless, candidate, names));
}

static void test_format_count(void **state) {
    static const struct {
        double value;
        const char *expected;
    } rows[] = {{0, "0"},         {12, "12"},         {999, "999"},     {999.4, "999"},      {999.6, "1K"}, {1000, "1K"},
                {1500, "1.5K"},   {1234567, "1.23M"}, {999499, "999K"}, {999999, "1M"},      {7e9, "7B"},   {-2500, "-2.5K"},
                {1.5e12, "1.5T"}, {1e18, "1.0e+06T"}, {0.5, "0.5"},     {1e300, "1.0e+288T"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[16];
        wf_format_count(rows[i].value, out);
        assert_string_equal(out, rows[i].expected);
    }
}

static void test_utf8(void **state) {
    static const struct {
        const char *text;
        int length;
    } rows[] = {{"a", 1},
                {"\x7f", 1},
                {"\xc2\x80", 2},
                {"\xdf\xbf", 2},
                {"\xe0\xa0\x80", 3},
                {"\xed\x9f\xbf", 3},
                {"\xee\x80\x80", 3},
                {"\xef\xbf\xbf", 3},
                {"\xf0\x90\x80\x80", 4},
                {"\xf4\x8f\xbf\xbf", 4},
                {"\x80", 0},
                {"\xbf", 0},
                {"\xc0\x80", 0},
                {"\xc1\xbf", 0},
                {"\xc2", 0},
                {"\xc2"
                 "a",
                 0},
                {"\xe0\x9f\xbf", 0},
                {"\xe1\x80", 0},
                {"\xe1\x80"
                 "a",
                 0},
                {"\xed\xa0\x80", 0},
                {"\xed\xbf\xbf", 0},
                {"\xf0\x8f\xbf\xbf", 0},
                {"\xf0\x90\x80", 0},
                {"\xf0\x90\x80"
                 "a",
                 0},
                {"\xf4\x90\x80\x80", 0},
                {"\xf5\x80\x80\x80", 0},
                {"\xff", 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t n = strlen(rows[i].text);
        assert_int_equal(wf_utf8_length(rows[i].text, n), rows[i].length);
        for (size_t cut = 0; cut < n && rows[i].length; cut++)
            assert_int_equal(wf_utf8_length(rows[i].text, cut), 0);
    }
    assert_int_equal(wf_utf8_length("\0", 1), 1);
    assert_int_equal(wf_utf8_mark("\xEF\xBB\xBFx", 4), 3);
    assert_int_equal(wf_utf8_mark("\xEF\xBB\xBF", 2), 0);
    assert_int_equal(wf_utf8_mark("x\xEF\xBB\xBF", 4), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing), cmocka_unit_test(test_failure_is_sticky), cmocka_unit_test(test_comparing),
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_format_count),      cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
