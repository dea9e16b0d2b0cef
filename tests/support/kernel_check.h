/* kernel_check.h - for tests of the kernels: the forms of an instruction set, filled arrays, comparison of outputs, time. */
#ifndef WF_TESTS_KERNEL_CHECK_H
#define WF_TESTS_KERNEL_CHECK_H
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__SSE__)
#include <xmmintrin.h>
#endif
#include "support/test.h"
#include "base/rng.h"
#include "kernels/kernels.h"

/* The best forms up to an instruction set; NULL: of this processor, under WEFT_CPU. */
static inline wf_kernels check_forms(const char *isa) {
    wf_kernels k;
    weft_error err = {0};
    if (wf_kernels_choose(isa, &k, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return k;
}

/* n floats: an exact block, so that a sanitizer sees any step over its end; big ones on huge pages, as tensors are. */
static inline float *check_floats(size_t n) {
    size_t bytes = (n ? n : 1) * sizeof(float), huge = (size_t)2 << 20;
    if (bytes < 4 * huge)
        return malloc(bytes);
    void *x = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
#if defined(__linux__)
    if (x)
        madvise(x, bytes, MADV_HUGEPAGE);
#endif
    return x;
}

/* n numbers uniform in [low, high). */
static inline float *check_random(uint32_t site, size_t n, double low, double high) {
    float *x = check_floats(n);
    wf_rng rng = wf_rng_make(7, site, 0);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)(low + (high - low) * wf_rng_uniform_double(rng, i));
    return x;
}
/* n values that are NaN until written. */
static inline float *check_unwritten(size_t n) {
    float *x = check_floats(n);
    if (x)
        memset(x, 0xff, n * sizeof *x);
    return x;
}

/* Largest difference over the largest magnitude of `want` (or `floor`, if that is more); infinity when a value is NaN. */
static inline double check_error(const float *got, const float *want, size_t n, double floor) {
    double worst = 0, scale = floor;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        if (isnan(got[i]) || isnan(want[i]))
            return INFINITY;
        worst = d > worst ? d : worst;
        scale = fabs((double)want[i]) > scale ? fabs((double)want[i]) : scale;
    }
    return scale > 0 ? worst / scale : worst;
}

static inline double check_dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* Processor time of this thread. */
static inline double check_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* As on the threads of the pool: a state that decays must not slow down. */
static inline void check_flush_denormals(void) {
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040u);
#endif
}
#endif
