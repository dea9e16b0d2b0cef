/* Averages and gradient clipping: the same bits for any number of threads, edges, memory. The rules are proved by fixtures. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/kernels.h"
#include "train/average.h"
#include "train/clip.h"

enum { COUNT = 200003 };
static const int threads[] = {1, 2, 3, 8};

static float *numbers(uint32_t site, int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    wf_rng rng = wf_rng_make(11, site, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = 2 * wf_rng_uniform(rng, (uint64_t)i) - 1;
    return x;
}

static void test_norm_threads(void **state) {
    float *x = numbers(1, COUNT);
    wf_grad_view views[] = {{x, 70000}, {x + 70000, 5}, {x, 0}, {x + 70005, COUNT - 70005}};
    static const double powers[] = {1, 2, 3, HUGE_VAL};
    for (size_t k = 0; k < COUNT_OF(powers); k++) {
        double first = NAN;
        for (size_t t = 0; t < COUNT_OF(threads); t++) {
            wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
            wf_clip *clip;
            assert_int_equal(wf_pool_create(&env.mem, threads[t], &env.pool, NULL), WEFT_OK);
            assert_int_equal(wf_clip_create(&env, views, COUNT_OF(views), &clip, NULL), WEFT_OK);
            double norm = wf_clip_norm(clip, powers[k]);
            first = t == 0 ? norm : first;
            assert_true(norm == first);
            wf_clip_free(clip);
            wf_pool_free(env.pool);
        }
        double sum = 0;
        for (int64_t i = 0; i < COUNT && isfinite(powers[k]); i++)
            sum += pow(fabs((double)x[i]), powers[k]);
        if (isfinite(powers[k]))
            assert_float_equal(first, pow(sum, 1 / powers[k]), 1e-9 * first);
    }
    free(x);
}

/* A NaN anywhere shows in every norm and in the scale: the trainer stops on it. */
static void test_norm_nan(void **state) {
    float x[] = {1, NAN, 5};
    wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
    wf_grad_view view = {x, 3};
    wf_clip *clip;
    assert_int_equal(wf_clip_create(&env, &view, 1, &clip, NULL), WEFT_OK);
    assert_true(isnan(wf_clip_norm(clip, 2)) && isnan(wf_clip_norm(clip, 1)) && isnan(wf_clip_norm(clip, HUGE_VAL)));
    assert_true(isnan(wf_clip_scale(NAN, 1)));
    assert_true(wf_clip_scale(0.5, 1) == 1);
    assert_float_equal(wf_clip_scale(4, 1), 0.25, 1e-6);
    wf_clip_free(clip);
}

static void test_average_threads(void **state) {
    float *w = numbers(2, COUNT), *first = malloc(COUNT * sizeof *first);
    for (const wf_average_row *row = wf_averages; row->name; row++)
        for (size_t t = 0; t < COUNT_OF(threads); t++) {
            wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
            wf_average *a;
            float *now = malloc(COUNT * sizeof *now);
            memcpy(now, w, COUNT * sizeof *now);
            wf_weight_view views[] = {{"a", now, 1000}, {"b", now + 1000, COUNT - 1000}};
            assert_int_equal(wf_pool_create(&env.mem, threads[t], &env.pool, NULL), WEFT_OK);
            assert_int_equal(wf_average_create(&env, row, 0.99, views, 2, &a, NULL), WEFT_OK);
            for (int s = 0; s < 3; s++) {
                for (int64_t i = 0; i < COUNT; i++)
                    now[i] *= 0.9f;
                wf_average_update(a);
            }
            if (t == 0)
                memcpy(first, a->mean[1], (COUNT - 1000) * sizeof *first);
            assert_memory_equal(first, a->mean[1], (COUNT - 1000) * sizeof *first);
            wf_average_free(a);
            wf_pool_free(env.pool);
            free(now);
        }
    free(first);
    free(w);
}

static void test_names(void **state) {
    weft_error err = {0};
    wf_env env = {.mem = wf_mem_default};
    wf_average *a;
    assert_null(wf_average_find("uniforn", &err));
    assert_non_null(strstr(err.message, "did you mean \"uniform\""));
    assert_int_equal(wf_average_create(&env, &wf_averages[0], 1.5, NULL, 0, &a, &err), WEFT_USAGE);
}

static void test_memory(void **state) {
    float x[3] = {1, 2, 3};
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_env env = {.mem = fail_mem_hook(&f), .kernels = &wf_kernels_ref};
        wf_average *a = NULL;
        wf_weight_view view = {"x", x, 3};
        weft_status status = wf_average_create(&env, &wf_averages[0], 0.9, &view, 1, &a, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_average_free(a);
        assert_int_equal(f.live, 0);
    }
    f = (fail_mem){0};
    while (fail_mem_next(&f)) {
        wf_env env = {.mem = fail_mem_hook(&f), .kernels = &wf_kernels_ref};
        wf_clip *clip = NULL;
        wf_grad_view view = {x, 3};
        weft_status status = wf_clip_create(&env, &view, 1, &clip, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_clip_free(clip);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_norm_threads), cmocka_unit_test(test_norm_nan),
                                       cmocka_unit_test(test_average_threads), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
