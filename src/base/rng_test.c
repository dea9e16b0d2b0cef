#include "support/test.h"
#include "base/rng.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* The known answers of the Random123 library for philox4x32 with 10 rounds. The counter is block (64 bits), stream (64 bits).
 */
static void test_known_answers(void **state) {
    static const struct {
        wf_rng rng;
        uint64_t block;
        uint32_t words[4];
    } rows[] = {
        {{0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{UINT64_MAX, UINT64_MAX}, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x299f31d0a4093822, 0x0370734413198a2e}, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint32_t words[4];
        wf_rng_u32x4(rows[i].rng, rows[i].block, words);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(words[k], rows[i].words[k]);
    }
}

static void test_words_and_streams(void **state) {
    wf_rng a = wf_rng_make(7, 1, 2), b = wf_rng_make(7, 2, 1), c = wf_rng_make(8, 1, 2);
    uint32_t words[4];
    for (uint64_t i = 0; i < 64; i++) {
        wf_rng_u32x4(a, i / 4, words);
        assert_int_equal(wf_rng_u32(a, i), words[i % 4]);
    }
    assert_int_not_equal(wf_rng_u32(a, 0), wf_rng_u32(b, 0));
    assert_int_not_equal(wf_rng_u32(a, 0), wf_rng_u32(c, 0));
}

static void test_uniform(void **state) {
    wf_rng rng = wf_rng_make(1, 2, 3);
    double sum = 0, square = 0, sum32 = 0;
    enum { N = 100000 };
    for (uint64_t i = 0; i < N; i++) {
        double d = wf_rng_uniform_double(rng, i);
        float f = wf_rng_uniform(rng, i);
        assert_true(d >= 0 && d < 1 && f >= 0 && f < 1);
        sum += d;
        square += d * d;
        sum32 += f;
    }
    assert_true(fabs(sum / N - 0.5) < 0.005);
    assert_true(fabs(sum32 / N - 0.5) < 0.005);
    assert_true(fabs(square / N - 1.0 / 3) < 0.005);
}

static void test_uniform_words(void **state) {
    wf_rng rng = wf_rng_make(5, 0, 0);
    for (uint64_t i = 0; i < 9; i++) {
        uint64_t bits = (uint64_t)wf_rng_u32(rng, 2 * i + 1) << 32 | wf_rng_u32(rng, 2 * i);
        assert_true(wf_rng_uniform_double(rng, i) == (double)(bits >> 11) * 0x1p-53);
        double u = wf_rng_uniform_double(rng, 2 * i), v = wf_rng_uniform_double(rng, 2 * i + 1);
        double normal = sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
        assert_true(fabs(wf_rng_normal(rng, i) - normal) < 1e-14);
    }
}

static void test_normal(void **state) {
    wf_rng rng = wf_rng_make(9, 9, 9);
    double moments[4] = {0};
    enum { N = 200000 };
    for (uint64_t i = 0; i < N; i++) {
        double x = wf_rng_normal(rng, i), power = 1;
        assert_true(isfinite(x));
        for (int k = 0; k < 4; k++)
            moments[k] += (power *= x) / N;
    }
    assert_true(fabs(moments[0]) < 0.01 && fabs(moments[1] - 1) < 0.02);
    assert_true(fabs(moments[2]) < 0.03 && fabs(moments[3] - 3) < 0.1);
}

static void test_below(void **state) {
    wf_rng rng = wf_rng_make(3, 1, 4);
    int counts[7] = {0};
    for (uint64_t i = 0; i < 70000; i++)
        counts[wf_rng_below(rng, i, 7)]++;
    for (int k = 0; k < 7; k++)
        assert_in_range(counts[k], 9600, 10400);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(wf_rng_below(rng, i, 1), 0);
        assert_true(wf_rng_below(rng, i, UINT64_MAX) < UINT64_MAX);
        assert_true(wf_rng_below(rng, i, (uint64_t)1 << 63) < (uint64_t)1 << 63);
    }
}

static void test_permute(void **state) {
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 1000, 4096, 65537};
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        bool *seen = calloc(sizes[s], sizeof *seen);
        uint64_t fixed = 0;
        for (uint64_t i = 0; i < sizes[s]; i++) {
            uint64_t image = wf_rng_permute(wf_rng_make(11, 0, 1), i, sizes[s]);
            assert_true(image < sizes[s]);
            assert_false(seen[image]);
            seen[image] = true;
            fixed += image == i;
        }
        assert_true(sizes[s] < 1000 || fixed < 20); /* a random permutation has one fixed point on average */
        free(seen);
    }
    assert_int_equal(wf_rng_permute(wf_rng_make(1, 0, 0), 0, 0), 0);
    assert_true(wf_rng_permute(wf_rng_make(1, 0, 0), 12345, UINT64_MAX) < UINT64_MAX);
}

/* Over many seeds every image of a small permutation is about equally likely. */
static void test_permute_is_fair(void **state) {
    int counts[5][5] = {{0}};
    for (uint64_t seed = 0; seed < 5000; seed++)
        for (uint64_t i = 0; i < 5; i++)
            counts[i][wf_rng_permute(wf_rng_make(seed, 1, 1), i, 5)]++;
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            assert_in_range(counts[i][k], 850, 1150);
}

/* torch 2: torch.manual_seed(seed); torch.randn(n). */
static void test_torch_normal(void **state) {
    static const struct {
        int64_t n;
        uint64_t seed;
        int64_t at[3];
        float value[3];
    } cases[] = {{7, 3, {0, 3, 6}, {0.803276f, -0.613718f, 0.337495f}},
                 {16, 3, {0, 8, 15}, {-0.0766443f, -0.051681f, 0.416331f}},
                 {33, 13, {0, 17, 32}, {0.437159f, 1.76587f, 2.27889f}},
                 {40, 7, {23, 24, 39}, {-0.724511f, -0.135437f, -0.0916772f}}};
    float value[40];
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        wf_torch_normal(value, cases[c].n, cases[c].seed);
        for (int i = 0; i < 3; i++)
            assert_true(fabsf(value[cases[c].at[i]] - cases[c].value[i]) < 4e-6f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_words_and_streams),
        cmocka_unit_test(test_uniform),       cmocka_unit_test(test_uniform_words),
        cmocka_unit_test(test_normal),        cmocka_unit_test(test_below),
        cmocka_unit_test(test_permute),       cmocka_unit_test(test_permute_is_fair),
        cmocka_unit_test(test_torch_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
