/* scan_test.c - kernel E: every instruction set against the plain form, the plain form against finite differences, and any cut
 * of the sequence against the whole. --bench: microseconds per token, for the same number of tokens cut into sequences of T. */
#include "support/test.h"
#include "support/kernel_check.h"
#include "kernels/kernels.h"

typedef struct shape {
    int64_t batch, t, channels, state;
    bool skip, gate, states; /* states: h_in, h_out and their gradients */
    double longest;          /* dt lies between 0 and longest */
    int64_t groups;          /* of channels; 0: one */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, false, false, false, 1},    {2, 2, 3, 2, true, false, true, 1},      {1, 3, 16, 16, true, true, false, 0.1},
    {2, 5, 17, 5, false, true, true, 1},     {1, 63, 20, 16, true, true, true, 0.1},  {1, 64, 33, 7, true, false, false, 2},
    {2, 65, 8, 16, false, false, true, 1},   {1, 66, 40, 17, true, true, true, 20},   {1, 127, 5, 1, true, true, true, 0.01},
    {2, 128, 31, 4, true, true, false, 1},   {1, 129, 48, 33, true, true, true, 1},   {1, 130, 16, 256, true, true, true, 1},
    {3, 1, 24, 16, true, true, true, 0.5},   {1, 300, 9, 8, false, true, true, 0.3},  {2, 7, 42, 5, true, true, true, 1, 2},
    {1, 66, 51, 16, true, true, true, 1, 3}, {2, 65, 4, 3, false, true, false, 1, 4},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

enum { U, DT, A_LOG, B, C, SKIP, Z, H_IN, DY, DH_OUT, INPUTS };
enum { Y, H_OUT, DU, DDT, DA_LOG, DB, DC, DSKIP, DZ, DH_IN, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"y", "h_out", "du", "ddt", "da_log", "db", "dc", "dskip", "dz", "dh_in"};

typedef struct run {
    shape s;
    wf_scan_args a;
    float *in[INPUTS], *out[OUTPUTS], *checkpoints;
    size_t n_in[INPUTS], n_out[OUTPUTS];
} run;

static void sizes(run *r) {
    const shape *s = &r->s;
    size_t tokens = (size_t)(s->batch * s->t), rows = tokens * (size_t)s->channels,
           groups = (size_t)(s->groups ? s->groups : 1), reads = tokens * groups * (size_t)s->state;
    size_t state = (size_t)(s->batch * s->channels * s->state), given = s->states ? state : 0,
           blocks = (size_t)wf_scan_blocks(s->channels / (int64_t)groups);
    size_t in[INPUTS] = {[U] = rows,
                         [DT] = rows,
                         [A_LOG] = (size_t)(s->channels * s->state),
                         [B] = reads,
                         [C] = reads,
                         [SKIP] = s->skip ? (size_t)s->channels : 0,
                         [Z] = s->gate ? rows : 0,
                         [H_IN] = given,
                         [DY] = rows,
                         [DH_OUT] = given};
    size_t out[OUTPUTS] = {[Y] = rows,
                           [H_OUT] = given,
                           [DU] = rows,
                           [DDT] = rows,
                           [DA_LOG] = state,
                           [DB] = blocks * reads,
                           [DC] = blocks * reads,
                           [DSKIP] = s->skip ? (size_t)(s->batch * s->channels) : 0,
                           [DZ] = s->gate ? rows : 0,
                           [DH_IN] = given};
    memcpy(r->n_in, in, sizeof in);
    memcpy(r->n_out, out, sizeof out);
}

static run make_run(const shape *s) {
    run r = {.s = *s};
    sizes(&r);
    for (int x = 0; x < INPUTS; x++)
        r.in[x] = r.n_in[x] ? check_random((uint32_t)(x + 20), r.n_in[x], x == DT ? 0 : -1, x == DT ? s->longest : 1) : NULL;
    for (int x = 0; x < OUTPUTS; x++)
        r.out[x] = r.n_out[x] ? check_unwritten(r.n_out[x]) : NULL;
    int64_t stretches = (s->t + WF_SCAN_CHECKPOINT - 1) / WF_SCAN_CHECKPOINT;
    r.checkpoints = check_unwritten((size_t)(s->batch * stretches * s->channels * s->state));
    float **i = r.in, **o = r.out;
    r.a = (wf_scan_args){.batch = s->batch,
                         .t = s->t,
                         .channels = s->channels,
                         .state = s->state,
                         .groups = s->groups,
                         .u = i[U],
                         .dt = i[DT],
                         .a_log = i[A_LOG],
                         .b = i[B],
                         .c = i[C],
                         .skip = i[SKIP],
                         .z = i[Z],
                         .h_in = i[H_IN],
                         .h_out = o[H_OUT],
                         .y = o[Y],
                         .checkpoints = r.checkpoints,
                         .dy = i[DY],
                         .dh_out = i[DH_OUT],
                         .du = o[DU],
                         .ddt = o[DDT],
                         .dz = o[DZ],
                         .db_part = o[DB],
                         .dc_part = o[DC],
                         .da_log_part = o[DA_LOG],
                         .dskip_part = o[DSKIP],
                         .dh_in = o[DH_IN]};
    return r;
}
static void free_run(run *r) {
    for (int x = 0; x < INPUTS; x++)
        free(r->in[x]);
    for (int x = 0; x < OUTPUTS; x++)
        free(r->out[x]);
    free(r->checkpoints);
}

static void run_pieces(const wf_kernels *k, const wf_scan_args *a, bool backward) {
    size_t bytes = wf_scan_scratch(a, backward);
    void *scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t block = 0; block < wf_scan_groups(a) * wf_scan_blocks(a->channels / wf_scan_groups(a)); block++) {
            memset(scratch, 0xff, bytes);
            (backward ? k->selective_scan_back : k->selective_scan)(a, b, block, scratch);
        }
    free(scratch);
}

static wf_kernels forms(const char *isa) {
    wf_kernels k;
    weft_error err = {0};
    assert_int_equal(wf_kernels_choose(isa, &k, &err), WEFT_OK);
    return k;
}

static void compare(const run *got, const run *want, const char *isa) {
    for (int x = 0; x < OUTPUTS; x++) {
        double error = check_error(got->out[x], want->out[x], got->n_out[x], 1e-3);
        if (!(error <= 3e-6))
            fail_msg("%s, T %lld D %lld N %lld: %s is off by %.3g", isa, (long long)got->s.t, (long long)got->s.channels,
                     (long long)got->s.state, output_names[x], error);
        if (getenv("WEFT_VERBOSE") && got->s.t > 1000)
            printf("T %lld: %s %.2g\n", (long long)got->s.t, output_names[x], error);
    }
}

static void check_shape(const wf_kernels *k, const shape *s) {
    run got = make_run(s), want = make_run(s);
    run_pieces(k, &got.a, false);
    run_pieces(k, &got.a, true);
    run_pieces(&wf_kernels_ref, &want.a, false);
    run_pieces(&wf_kernels_ref, &want.a, true);
    compare(&got, &want, k->isa);
    free_run(&got);
    free_run(&want);
}

static void test_vector_forms(void **state) {
    (void)state;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = forms(*isa);
        assert_ptr_not_equal(k.selective_scan, wf_kernels_ref.selective_scan);
        for (int i = 0; i < SHAPES; i++)
            check_shape(&k, &shapes[i]);
    }
}

static void test_long(void **state) {
    (void)state;
    static const shape longs[] = {{1, 8192, 16, 16, true, true, true, 0.01}, {1, 8191, 3, 4, true, true, true, 1}};
    wf_kernels k = forms(NULL);
    for (int i = 0; i < (getenv("WEFT_QUICK") ? 0 : 2); i++)
        check_shape(&k, &longs[i]);
}

/* The loss is sum(y*dy) + sum(h_out*dh_out). */
static double loss(const run *r) {
    run_pieces(&wf_kernels_ref, &r->a, false);
    double sum = check_dot(r->out[Y], r->in[DY], r->n_out[Y]);
    return r->s.states ? sum + check_dot(r->out[H_OUT], r->in[DH_OUT], r->n_out[H_OUT]) : sum;
}

/* Linear in each single input but dt, a_log and z, where the step is small and extrapolated. */
static double numeric(run *r, float *x, bool linear) {
    float old = *x, h = linear ? 0.5f : 0.03125f;
    double d[2];
    for (int i = 0; i < 2; i++, h *= 2) {
        *x = old + h;
        double up = loss(r);
        *x = old - h;
        d[i] = (up - loss(r)) / (2 * (double)h);
    }
    *x = old;
    return linear ? d[0] : (4 * d[0] - d[1]) / 3;
}

/* The gradient of one input as the caller sums it: over blocks or over sequences. */
static double summed(const run *r, int input, size_t i) {
    static const int outputs[INPUTS] = {
        [U] = DU, [DT] = DDT, [A_LOG] = DA_LOG, [B] = DB, [C] = DC, [SKIP] = DSKIP, [Z] = DZ, [H_IN] = DH_IN};
    size_t n = r->n_in[input], parts = r->n_out[outputs[input]] / n;
    double sum = 0;
    for (size_t part = 0; part < parts; part++)
        sum += r->out[outputs[input]][part * n + i];
    return sum;
}

static void test_gradients(void **state) {
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        if (shapes[i].t * shapes[i].channels > 3000)
            continue;
        run r = make_run(&shapes[i]);
        run_pieces(&wf_kernels_ref, &r.a, false);
        run_pieces(&wf_kernels_ref, &r.a, true);
        for (int input = U; input <= H_IN; input++) {
            double worst = 0, scale = 1e-2;
            bool linear = input != DT && input != A_LOG && input != Z;
            for (size_t at = 0; at < r.n_in[input]; at += 1 + r.n_in[input] / 19) {
                double want = numeric(&r, r.in[input] + at, linear), got = summed(&r, input, at);
                worst = fmax(worst, fabs(got - want));
                scale = fmax(scale, fabs(want));
            }
            if (!(worst <= 3e-4 * scale))
                fail_msg("case %d, input %d: gradient off by %.3g of %.3g", i, input, worst, scale);
        }
        free_run(&r);
    }
}

/* Tokens first..first+count-1 of r as a call of their own, carrying the state in place. */
static void run_part(const wf_kernels *k, const run *r, float *carried, int64_t first, int64_t count, float *y) {
    wf_scan_args a = r->a;
    a.t = count;
    a.u += first * a.channels;
    a.dt += first * a.channels;
    a.z = a.z ? a.z + first * a.channels : NULL;
    a.b += first * wf_scan_groups(&a) * a.state;
    a.c += first * wf_scan_groups(&a) * a.state;
    a.y = y + first * a.channels;
    a.h_in = first ? carried : r->a.h_in;
    a.h_out = carried;
    a.checkpoints = NULL;
    run_pieces(k, &a, false);
}

/* The order of operations does not depend on where the sequence is cut: the same bits. */
static void test_any_cut(void **state) {
    (void)state;
    wf_kernels k = forms(NULL);
    for (int i = 0; i < SHAPES; i++) {
        shape s = shapes[i];
        s.batch = 1;
        s.states = true;
        s.t = s.t > 21 ? 21 : s.t;
        for (int64_t cut = 1; cut <= s.t; cut++) {
            run r = make_run(&s), parts = make_run(&s);
            run_pieces(&k, &r.a, false);
            for (int64_t first = 0; first < s.t; first += cut)
                run_part(&k, &r, parts.out[H_OUT], first, s.t - first < cut ? s.t - first : cut, parts.out[Y]);
            assert_memory_equal(parts.out[Y], r.out[Y], r.n_out[Y] * sizeof(float));
            assert_memory_equal(parts.out[H_OUT], r.out[H_OUT], r.n_out[H_OUT] * sizeof(float));
            free_run(&r);
            free_run(&parts);
        }
    }
}

static double time_run(const wf_kernels *k, const run *r, bool backward) {
    double best = INFINITY;
    for (int i = 0; i < 2; i++) {
        double begin = check_seconds();
        run_pieces(k, &r->a, backward);
        best = fmin(best, check_seconds() - begin);
    }
    return best / (double)(r->s.batch * r->s.t) * 1e6;
}

static void bench(void) {
    static const int64_t lengths[] = {1024, 8192, 65536};
    check_flush_denormals();
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = forms(*isa);
        printf("selective_scan %-11s D=128 N=16 us/token, T 1k/8k/64k: ", *isa);
        for (int l = 0; l < 3; l++) {
            run r = make_run(&(shape){65536 / lengths[l], lengths[l], 128, 16, true, true, false, 0.1});
            double forward = time_run(&k, &r, false);
            printf(" %.3f back %.3f ", forward, time_run(&k, &r, true));
            fflush(stdout);
            free_run(&r);
        }
        printf("\n");
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vector_forms), cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_any_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
