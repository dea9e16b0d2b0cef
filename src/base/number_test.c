#include "support/test.h"
#include "base/rng.h"
#include "base/str.h"
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_parse_i64(void **state) {
    static const struct {
        const char *text;
        bool fine;
        int64_t value;
    } rows[] = {{"0", true, 0},
                {"-0", true, 0},
                {"+5", true, 5},
                {"007", true, 7},
                {"-42", true, -42},
                {"9223372036854775807", true, INT64_MAX},
                {"-9223372036854775808", true, INT64_MIN},
                {"-9223372036854775807", true, -INT64_MAX},
                {"9223372036854775808", false, 0},
                {"-9223372036854775809", false, 0},
                {"92233720368547758070", false, 0},
                {"99999999999999999999999", false, 0},
                {"", false, 0},
                {"-", false, 0},
                {"+", false, 0},
                {"--1", false, 0},
                {" 1", false, 0},
                {"1 ", false, 0},
                {"1.0", false, 0},
                {"1e3", false, 0},
                {"0x1", false, 0},
                {"a", false, 0}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t value = -99;
        assert_int_equal(wf_parse_i64(rows[i].text, strlen(rows[i].text), &value), rows[i].fine);
        assert_true(value == (rows[i].fine ? rows[i].value : -99));
    }
    int64_t value;
    assert_true(wf_parse_i64("123xyz", 2, &value) && value == 12);
    assert_false(wf_parse_i64("1\0", 2, &value));
}

static void test_parse_double(void **state) {
    static const char *const fine[] = {"0",
                                       "-0",
                                       "1",
                                       "+1",
                                       "-1.5",
                                       ".5",
                                       "5.",
                                       "1e5",
                                       "1E-5",
                                       "1.5e+3",
                                       "0.1",
                                       "1e308",
                                       "1e-320",
                                       "1e-400",
                                       "000.10",
                                       "123456789012345",
                                       "1234567890123456789",
                                       "0.000000000000001",
                                       "-999999999999.999",
                                       "1.7976931348623157e308",
                                       "4.9406564584124654e-324",
                                       "0.1000000000000000055511151231257827",
                                       "9007199254740993"};
    static const char *const bad[] = {"",     "-",   ".",   "e5",       "1e",    "1e+",   "1.5.5",  " 1",
                                      "1 ",   "nan", "inf", "infinity", "0x1p3", "1e999", "-1e999", "1,5",
                                      "1.5f", "1_0", "--1", "1e5.5",    "+",     "+.e1"};
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        double value;
        assert_true(wf_parse_double(fine[i], strlen(fine[i]), &value));
        double expected = strtod(fine[i], NULL);
        assert_memory_equal(&value, &expected, sizeof value);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        double value = 77;
        if (wf_parse_double(bad[i], strlen(bad[i]), &value))
            fail_msg("'%s' is taken", bad[i]);
        assert_true(value == 77);
    }
    double value;
    assert_true(wf_parse_double("1.25xyz", 4, &value) && value == 1.25);
    assert_false(wf_parse_double("1\0", 2, &value));
    char zeros[1002];
    memset(zeros, '0', sizeof zeros);
    zeros[1] = '.';
    zeros[999] = '1';
    assert_true(wf_parse_double(zeros, 1000, &value) && value == 0);
    assert_false(wf_parse_double(zeros, 1001, &value));
}

static void check_round_trip(double value) {
    char out[32];
    double back;
    wf_format_double(value, out);
    assert_true(strlen(out) < 32);
    assert_true(wf_parse_double(out, strlen(out), &back));
    assert_memory_equal(&back, &value, sizeof back);
}

static void test_format_double(void **state) {
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},
                {-0.0, "-0"},
                {1, "1"},
                {-1.5, "-1.5"},
                {0.1, "0.1"},
                {1.0 / 3, "0.3333333333333333"},
                {0.1 + 0.2, "0.30000000000000004"},
                {1e15, "1e+15"},
                {1e5, "100000"},
                {123456.789, "123456.789"},
                {1e300, "1e+300"},
                {5e-324, "5e-324"},
                {DBL_MAX, "1.7976931348623157e+308"},
                {DBL_MIN, "2.2250738585072014e-308"},
                {(double)FLT_MIN, "1.1754943508222875e-38"},
                {INFINITY, "inf"},
                {-INFINITY, "-inf"},
                {NAN, "nan"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[32];
        wf_format_double(rows[i].value, out);
        assert_string_equal(out, rows[i].text);
    }
    wf_rng rng = wf_rng_make(1, 1, 1);
    for (uint64_t i = 0; i < 20000; i++) { /* any bits that are a finite number */
        uint64_t bits = (uint64_t)wf_rng_u32(rng, 2 * i) << 32 | wf_rng_u32(rng, 2 * i + 1);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_round_trip(value);
        check_round_trip((double)wf_rng_uniform(rng, i));
        check_round_trip((double)(int64_t)bits / 1000);
    }
}

static void check_float(float value) {
    char out[32];
    double back;
    wf_format_float(value, out);
    assert_true(strlen(out) <= 16);
    assert_true(wf_parse_double(out, strlen(out), &back));
    assert_true((float)back == value);
}

static void test_format_float(void **state) {
    static const struct {
        float value;
        const char *text;
    } rows[] = {{0.0f, "0"},        {-0.0f, "-0"},
                {0.1f, "0.1"},      {-0.25f, "-0.25"},
                {100.0f, "100"},    {999999.9f, "999999.9"},
                {0.001f, "0.001"},  {0.99999994f, "0.99999994"},
                {2e-5f, "0.00002"}, {1e20f, "1e+20"},
                {1e-7f, "1e-07"},   {INFINITY, "inf"},
                {NAN, "nan"},       {-12345.678f, "-12345.678"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[32];
        wf_format_float(rows[i].value, out);
        assert_string_equal(out, rows[i].text);
    }
    wf_rng rng = wf_rng_make(1, 1, 1);
    for (uint64_t i = 0; i < 50000; i++) {
        uint32_t bits = wf_rng_u32(rng, i);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_float(value);
        check_float((float)wf_rng_uniform(rng, i) - 0.5f);
        check_float(((float)wf_rng_uniform(rng, i) - 0.5f) * 1000.0f);
    }
}

/* A program that set a locale with a decimal comma still reads and writes points. Skipped where no such locale is installed. */
static void test_locale(void **state) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    bool found = false;
    for (size_t i = 0; i < COUNT_OF(names) && !found; i++)
        found = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (!found)
        skip();
    double value;
    char out[32];
    assert_true(wf_parse_double("1234.5678901234567", 18, &value) && fabs(value - 1234.5678901234567) < 1e-9);
    wf_format_double(1.0 / 3, out);
    assert_string_equal(out, "0.3333333333333333");
    setlocale(LC_NUMERIC, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse_i64), cmocka_unit_test(test_parse_double),
                                       cmocka_unit_test(test_format_double), cmocka_unit_test(test_format_float),
                                       cmocka_unit_test(test_locale)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
