/* kernel_runs.h - tests of a kernel that carries a state along a sequence: every instruction set against the plain form, the
 * plain form's gradients against finite differences, any cut of the sequence against the whole, and time per token. A test
 * first says what a call is: `shape` (with batch, t and states: whether states and their gradients are given and wanted), the
 * `shapes` and `longs` (long ones) it is tried with,
 * `args` of the kernel, INPUTS and OUTPUTS with output_names, SITE of its random numbers. Outputs 0 and 1 are what is read out
 * and the state, the last two inputs their gradients. Then it includes this file and defines what is declared first. */
#ifndef WF_TESTS_KERNEL_RUNS_H
#define WF_TESTS_KERNEL_RUNS_H
#include "support/kernel_check.h"

typedef struct run {
    shape s;
    args a;
    float *in[INPUTS], *out[OUTPUTS], *own; /* NULL where there are none; own: the kernel's, between forward and backward */
    size_t n_in[INPUTS], n_out[OUTPUTS], n_own;
} run;
typedef struct span {
    double low, high;
} span;

static void sizes(run *r);                      /* n_in, n_out, n_own */
static span span_of(const shape *s, int input); /* between which the numbers of an input lie */
static args arguments(const run *r);
static args part_of(const run *r, int64_t first, int64_t count, float *carried, float *o); /* tokens as a call of their own */
static double summed(const run *r, int input, size_t i); /* a gradient as the caller of the kernel sums it */
static float step_of(int input);                         /* of its finite differences, which are extrapolated once */
static bool few(const shape *s);                         /* small enough for them */
static int64_t pieces(const args *a);
static size_t scratch_bytes(const args *a, bool backward);
static void run_piece(const wf_kernels *k, const args *a, bool backward, int64_t piece, void *scratch);
static bool is_plain(const wf_kernels *k);
static const struct bounds { /* how near the forms must come, and parts to the whole */
    double vector_forms, longs, gradients, any_cut;
} bounds;
static void bench(void);

static run make_run(const shape *s) {
    run r = {.s = *s};
    sizes(&r);
    for (int x = 0; x < INPUTS; x++) {
        span between = span_of(s, x);
        r.in[x] = r.n_in[x] ? check_random((uint32_t)(SITE + x), r.n_in[x], between.low, between.high) : NULL;
    }
    for (int x = 0; x < OUTPUTS; x++)
        r.out[x] = r.n_out[x] ? check_unwritten(r.n_out[x]) : NULL;
    r.own = check_unwritten(r.n_own);
    r.a = arguments(&r);
    return r;
}
static void free_run(run *r) {
    for (int x = 0; x < INPUTS; x++)
        free(r->in[x]);
    for (int x = 0; x < OUTPUTS; x++)
        free(r->out[x]);
    free(r->own);
}

static void run_pieces(const wf_kernels *k, const args *a, bool backward) {
    size_t bytes = scratch_bytes(a, backward);
    void *scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int64_t piece = 0; piece < pieces(a); piece++) {
        memset(scratch, 0xff, bytes);
        run_piece(k, a, backward, piece, scratch);
    }
    free(scratch);
}

static void check_shape(const wf_kernels *k, const shape *s, int index, double tolerance) {
    run got = make_run(s), want = make_run(s);
    for (int backward = 0; backward < 2; backward++) {
        run_pieces(k, &got.a, backward);
        run_pieces(&wf_kernels_ref, &want.a, backward);
    }
    for (int x = 0; x < OUTPUTS; x++) {
        double error = check_error(got.out[x], want.out[x], got.n_out[x], 1e-3);
        if (getenv("WEFT_VERBOSE"))
            printf("%s, T %lld, case %d: %s %.2g\n", k->isa, (long long)s->t, index, output_names[x], error);
        if (!(error <= tolerance))
            fail_msg("%s, T %lld, case %d: %s is off by %.3g", k->isa, (long long)s->t, index, output_names[x], error);
    }
    free_run(&got);
    free_run(&want);
}

static void check_vector_forms(const shape *s, int count, double tolerance) {
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        assert_false(is_plain(&k));
        for (int i = 0; i < count; i++)
            check_shape(&k, &s[i], i, tolerance);
    }
}

/* Long sequences: the errors of the running sums must not grow. */
static void check_long(const shape *s, int count, double tolerance) {
    wf_kernels k = check_forms(NULL);
    for (int i = 0; i < count && !getenv("WEFT_QUICK"); i++)
        check_shape(&k, &s[i], i, tolerance);
}

/* What is read out and the state, each times its gradient. */
static double loss(const run *r) {
    run_pieces(&wf_kernels_ref, &r->a, false);
    return check_dot(r->out[0], r->in[INPUTS - 2], r->n_out[0]) + check_dot(r->out[1], r->in[INPUTS - 1], r->n_out[1]);
}

static double numeric(const run *r, float *x, float step) {
    float old = *x;
    double d[2];
    for (int i = 0; i < 2; i++, step *= 2) {
        *x = old + step;
        double up = loss(r);
        *x = old - step;
        d[i] = (up - loss(r)) / (2 * (double)step);
    }
    *x = old;
    return (4 * d[0] - d[1]) / 3;
}

static void check_gradients(const shape *s, int count, double tolerance) {
    for (int i = 0; i < count; i++) {
        if (!few(&s[i]))
            continue;
        run r = make_run(&s[i]);
        run_pieces(&wf_kernels_ref, &r.a, false);
        run_pieces(&wf_kernels_ref, &r.a, true);
        for (int input = 0; input < INPUTS - 2; input++) {
            double worst = 0, scale = 1e-2;
            for (size_t at = 0; at < r.n_in[input]; at += 1 + r.n_in[input] / 23) {
                double want = numeric(&r, r.in[input] + at, step_of(input)), error = fabs(summed(&r, input, at) - want);
                worst = isnan(worst) || error <= worst ? worst : error;
                scale = fmax(scale, fabs(want));
            }
            if (!(worst <= tolerance * scale))
                fail_msg("case %d, input %d: gradient off by %.3g of %.3g", i, input, worst, scale);
        }
        free_run(&r);
    }
}

static void check_same(const run *got, const run *want, int output, double tolerance, int index, int64_t cut) {
    double error = check_error(got->out[output], want->out[output], want->n_out[output], 1e-3);
    bool same = memcmp(got->out[output], want->out[output], want->n_out[output] * sizeof(float)) == 0;
    if (!same && !(error < tolerance))
        fail_msg("case %d in parts of %lld: %s off by %.3g", index, (long long)cut, output_names[output], error);
}

/* Parts of every length up to 21 tokens, 1 is decoding, the state carried in place. A tolerance of 0: the same bits. */
static void check_any_cut(const shape *all, int count, double tolerance) {
    wf_kernels k = check_forms(NULL);
    for (int i = 0; i < count; i++) {
        shape s = all[i];
        s.batch = 1;
        s.states = true;
        s.t = s.t > 21 ? 21 : s.t;
        for (int64_t cut = 1; cut <= s.t; cut++) {
            run whole = make_run(&s), parts = make_run(&s);
            run_pieces(&k, &whole.a, false);
            for (int64_t first = 0; first < s.t; first += cut) {
                args a = part_of(&whole, first, s.t - first < cut ? s.t - first : cut, parts.out[1], parts.out[0]);
                run_pieces(&k, &a, false);
            }
            check_same(&parts, &whole, 0, tolerance, i, cut);
            check_same(&parts, &whole, 1, tolerance, i, cut);
            free_run(&whole);
            free_run(&parts);
        }
    }
}

/* Microseconds per token. */
static double time_run(const wf_kernels *k, const run *r, bool backward) {
    double best = INFINITY;
    for (int i = 0; i < 2; i++) {
        double begin = check_seconds();
        run_pieces(k, &r->a, backward);
        best = fmin(best, check_seconds() - begin);
    }
    return best / (double)(r->s.batch * r->s.t) * 1e6;
}
static void print_times(const wf_kernels *k, const shape *s) {
    run r = make_run(s);
    double forward = time_run(k, &r, false);
    printf(" %.3f back %.3f ", forward, time_run(k, &r, true));
    fflush(stdout);
    free_run(&r);
}
/* Microseconds of one token alone, as in decoding. */
static inline void print_one_token(const char *name, const shape *one) {
    run r = make_run(one);
    wf_kernels k = check_forms(NULL);
    double begin = check_seconds();
    for (int i = 0; i < 1000; i++)
        run_pieces(&k, &r.a, false);
    printf("%s %s one token, 12 heads of 64x64: %.2f us\n", name, k.isa, (check_seconds() - begin) * 1e3);
    free_run(&r);
}

static void test_vector_forms(void **state) { check_vector_forms(shapes, COUNT_OF(shapes), bounds.vector_forms); }
static void test_long(void **state) { check_long(longs, COUNT_OF(longs), bounds.longs); }
static void test_gradients(void **state) { check_gradients(shapes, COUNT_OF(shapes), bounds.gradients); }
static void test_any_cut(void **state) { check_any_cut(shapes, COUNT_OF(shapes), bounds.any_cut); }

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vector_forms), cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_any_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
