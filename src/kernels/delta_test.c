/* delta_test.c - kernel D: every instruction set against the plain form, the plain form against finite differences, and any cut
 * of the sequence against the whole. --bench: microseconds per token, for the same number of tokens cut into sequences of T. */
#include "support/test.h"
#include "support/kernel_check.h"
#include "kernels/kernels.h"

typedef struct shape {
    int64_t batch, t, heads, qk_heads, key_dim, value_dim;
    wf_decay decay;
    bool general, states; /* states: s_in, s_out and their gradients */
    double strongest;     /* log decays lie between -strongest and 0 */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, 1, WF_DECAY_NONE, false, false, 1},        {2, 2, 2, 2, 3, 5, WF_DECAY_NONE, true, true, 1},
    {1, 3, 4, 2, 17, 7, WF_DECAY_SCALAR, false, false, 1},     {2, 5, 3, 1, 8, 70, WF_DECAY_VECTOR, false, true, 3},
    {1, 4, 2, 2, 16, 64, WF_DECAY_VECTOR, true, true, 1},      {2, 63, 2, 1, 33, 65, WF_DECAY_SCALAR, true, true, 2},
    {1, 64, 1, 1, 64, 64, WF_DECAY_NONE, false, true, 1},      {1, 65, 2, 2, 20, 130, WF_DECAY_VECTOR, true, false, 0.2},
    {1, 66, 2, 2, 40, 31, WF_DECAY_VECTOR, false, true, 6},    {1, 67, 1, 1, 5, 9, WF_DECAY_SCALAR, false, true, 1},
    {1, 100, 2, 1, 128, 96, WF_DECAY_VECTOR, false, true, 30}, {1, 128, 2, 1, 64, 48, WF_DECAY_SCALAR, false, true, 0.01},
    {2, 129, 2, 2, 24, 24, WF_DECAY_NONE, true, false, 1},     {1, 1, 4, 2, 64, 128, WF_DECAY_VECTOR, false, true, 1},
    {2, 1, 2, 2, 33, 20, WF_DECAY_SCALAR, true, true, 1},      {1, 700, 1, 1, 7, 17, WF_DECAY_VECTOR, false, false, 4},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

enum { Q, K, V, G, BETA, A, B, S_IN, DO, DS_OUT, INPUTS };
enum { O, S_OUT, KEPT, DQ, DK, DA, DB, DV, DE, DG, DBETA, DS_IN, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"o",  "s_out", "e",  "dq", "dk",    "da",
                                                  "db", "dv",    "de", "dg", "dbeta", "ds_in"};

typedef struct run {
    shape s;
    wf_delta_args a;
    float *in[INPUTS], *out[OUTPUTS];
    size_t n_in[INPUTS], n_out[OUTPUTS];
} run;

static void sizes(run *r) {
    const shape *s = &r->s;
    size_t tokens = (size_t)(s->batch * s->t), slices = (size_t)wf_recurrence_slices(s->value_dim), heads = (size_t)s->heads;
    size_t keys = (size_t)(s->heads * s->key_dim), values = (size_t)(s->heads * s->value_dim),
           rows = tokens * (size_t)(s->qk_heads * s->key_dim);
    size_t state = s->states ? (size_t)(s->batch * s->heads * s->key_dim * s->value_dim) : 0;
    size_t g = tokens * (s->decay == WF_DECAY_NONE     ? 0
                         : s->decay == WF_DECAY_SCALAR ? heads
                                                       : keys),
           general = s->general ? 1 : 0;
    size_t in[INPUTS] = {[Q] = rows,
                         [K] = rows,
                         [V] = tokens * values,
                         [G] = g,
                         [BETA] = (1 - general) * tokens * heads,
                         [A] = general * rows,
                         [B] = general * rows,
                         [S_IN] = state,
                         [DO] = tokens * values,
                         [DS_OUT] = state};
    size_t out[OUTPUTS] = {[O] = tokens * values,
                           [S_OUT] = state,
                           [KEPT] = tokens * values,
                           [DQ] = slices * tokens * keys,
                           [DK] = slices * tokens * keys,
                           [DA] = general * slices * tokens * keys,
                           [DB] = general * slices * tokens * keys,
                           [DV] = tokens * values,
                           [DE] = tokens * values,
                           [DG] = slices * g,
                           [DBETA] = (1 - general) * slices * tokens * heads,
                           [DS_IN] = state};
    memcpy(r->n_in, in, sizeof in);
    memcpy(r->n_out, out, sizeof out);
}

static float *given(run *r, int x) { return r->n_in[x] ? r->in[x] : NULL; }
static float *wanted(run *r, int x) { return r->n_out[x] ? r->out[x] : NULL; }

/* Keys of length about 1 and gates below 1 keep the state bounded. */
static run make_run(const shape *s) {
    run r = {.s = *s};
    double unit = 1.7 / sqrt((double)s->key_dim);
    sizes(&r);
    for (int x = 0; x < INPUTS; x++) {
        double most = x == K || x == A || x == B ? unit : x == G ? 0 : 1;
        r.in[x] = check_random((uint32_t)(x + 40), r.n_in[x], x == G ? -s->strongest : x == BETA ? 0 : -most, most);
    }
    for (int x = 0; x < OUTPUTS; x++)
        r.out[x] = check_unwritten(r.n_out[x]);
    r.a = (wf_delta_args){.batch = s->batch,
                          .t = s->t,
                          .heads = s->heads,
                          .qk_heads = s->qk_heads,
                          .key_dim = s->key_dim,
                          .value_dim = s->value_dim,
                          .q = r.in[Q],
                          .k = r.in[K],
                          .v = r.in[V],
                          .decay = s->decay,
                          .g = given(&r, G),
                          .beta = given(&r, BETA),
                          .a = given(&r, A),
                          .b = given(&r, B),
                          .scale = 0.37f,
                          .s_in = given(&r, S_IN),
                          .s_out = wanted(&r, S_OUT),
                          .o = r.out[O],
                          .e = r.out[KEPT],
                          .do_ = r.in[DO],
                          .ds_out = given(&r, DS_OUT),
                          .dq_part = r.out[DQ],
                          .dk_part = r.out[DK],
                          .da_part = wanted(&r, DA),
                          .db_part = wanted(&r, DB),
                          .dv = r.out[DV],
                          .de = r.out[DE],
                          .dbeta_part = wanted(&r, DBETA),
                          .dg_part = wanted(&r, DG),
                          .ds_in = wanted(&r, DS_IN)};
    return r;
}
static void free_run(run *r) {
    for (int x = 0; x < INPUTS; x++)
        free(r->in[x]);
    for (int x = 0; x < OUTPUTS; x++)
        free(r->out[x]);
}

static void run_pieces(const wf_kernels *k, const wf_delta_args *a, bool backward) {
    size_t bytes = wf_delta_scratch(a, backward);
    void *scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t s = 0; s < wf_recurrence_slices(a->value_dim); s++) {
                memset(scratch, 0xff, bytes);
                (backward ? k->delta_back : k->delta)(a, b, h, s, scratch);
            }
    free(scratch);
}

static void compare(const run *got, const run *want, const char *isa, double tolerance) {
    for (int x = 0; x < OUTPUTS; x++) {
        double error = x == DE ? 0 : check_error(got->out[x], want->out[x], got->n_out[x], 1e-3);
        if (getenv("WEFT_VERBOSE"))
            printf("%s, T %lld K %lld V %lld decay %d general %d: %s %.2g\n", isa, (long long)got->s.t,
                   (long long)got->s.key_dim, (long long)got->s.value_dim, got->s.decay, got->s.general, output_names[x],
                   error);
        if (!(error <= tolerance))
            fail_msg("%s, T %lld K %lld V %lld decay %d general %d: %s is off by %.3g", isa, (long long)got->s.t,
                     (long long)got->s.key_dim, (long long)got->s.value_dim, got->s.decay, got->s.general, output_names[x],
                     error);
    }
}

static wf_kernels forms(const char *isa) {
    wf_kernels k;
    weft_error err = {0};
    assert_int_equal(wf_kernels_choose(isa, &k, &err), WEFT_OK);
    return k;
}

static void check_shape(const wf_kernels *k, const shape *s, double tolerance) {
    run got = make_run(s), want = make_run(s);
    run_pieces(k, &got.a, false);
    run_pieces(k, &got.a, true);
    run_pieces(&wf_kernels_ref, &want.a, false);
    run_pieces(&wf_kernels_ref, &want.a, true);
    compare(&got, &want, k->isa, tolerance);
    free_run(&got);
    free_run(&want);
}

static void test_vector_forms(void **state) {
    (void)state;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = forms(*isa);
        assert_ptr_not_equal(k.delta, wf_kernels_ref.delta);
        for (int i = 0; i < SHAPES; i++)
            check_shape(&k, &shapes[i], 4e-6);
    }
}

/* Long sequences: the errors of the running sums must not grow. */
static void test_long(void **state) {
    (void)state;
    static const shape longs[] = {{1, 2048, 1, 1, 64, 64, WF_DECAY_VECTOR, false, true, 0.1},
                                  {1, 4095, 1, 1, 16, 16, WF_DECAY_SCALAR, false, true, 0.002},
                                  {1, 4094, 1, 1, 16, 16, WF_DECAY_VECTOR, true, true, 1}};
    int count = getenv("WEFT_QUICK") ? 0 : (int)(sizeof longs / sizeof *longs);
    wf_kernels k = forms(NULL);
    for (int i = 0; i < count; i++)
        check_shape(&k, &longs[i], 1e-5);
}

/* The loss is sum(o*do) + sum(s_out*ds_out). */
static double loss(const run *r) {
    run_pieces(&wf_kernels_ref, &r->a, false);
    double sum = check_dot(r->out[O], r->in[DO], r->n_out[O]);
    return r->s.states ? sum + check_dot(r->out[S_OUT], r->in[DS_OUT], r->n_out[S_OUT]) : sum;
}

static double numeric(run *r, float *x) {
    float old = *x, h = 0.03125f;
    double d[2];
    for (int i = 0; i < 2; i++, h *= 2) {
        *x = old + h;
        double up = loss(r);
        *x = old - h;
        d[i] = (up - loss(r)) / (2 * (double)h);
    }
    *x = old;
    return (4 * d[0] - d[1]) / 3;
}

/* The gradient of one input as the caller sums it: over slices, and over the heads of a group. */
static double summed(const run *r, int input, size_t i) {
    static const int outputs[INPUTS] = {
        [Q] = DQ, [K] = DK, [V] = DV, [G] = DG, [BETA] = DBETA, [A] = DA, [B] = DB, [S_IN] = DS_IN};
    const shape *s = &r->s;
    size_t keys = (size_t)s->key_dim, heads = (size_t)s->heads, groups = (size_t)s->qk_heads,
           slices = (size_t)wf_recurrence_slices(s->value_dim);
    const float *part = r->out[outputs[input]];
    if (input == V || input == S_IN)
        return part[i];
    size_t width = r->n_out[outputs[input]] / slices;
    double sum = 0;
    for (size_t slice = 0; slice < slices; slice++, part += width) {
        if (input == G || input == BETA)
            sum += part[i];
        else
            for (size_t h = 0; h < heads / groups; h++)
                sum += part[(i / (groups * keys) * heads + i / keys % groups * (heads / groups) + h) * keys + i % keys];
    }
    return sum;
}

static void test_gradients(void **state) {
    (void)state;
    static const int inputs[] = {Q, K, V, G, BETA, A, B, S_IN};
    for (int i = 0; i < SHAPES; i++) {
        if (shapes[i].t > 70)
            continue;
        run r = make_run(&shapes[i]);
        run_pieces(&wf_kernels_ref, &r.a, true);
        for (size_t x = 0; x < sizeof inputs / sizeof *inputs; x++) {
            int input = inputs[x];
            double worst = 0, scale = 1e-2;
            for (size_t at = 0; at < r.n_in[input]; at += 1 + r.n_in[input] / 23) {
                double want = numeric(&r, r.in[input] + at), got = summed(&r, input, at);
                worst = fmax(worst, fabs(got - want));
                scale = fmax(scale, fabs(want));
            }
            if (!(worst <= 1e-3 * scale))
                fail_msg("case %d, input %d: gradient off by %.3g of %.3g", i, input, worst, scale);
        }
        free_run(&r);
    }
}

/* Tokens first..first+count-1 of r as a call of their own, carrying the state in place. */
static void run_part(const wf_kernels *k, const run *r, float *carried, int64_t first, int64_t count, float *o) {
    wf_delta_args a = r->a;
    int64_t qk = a.qk_heads * a.key_dim, values = a.heads * a.value_dim;
    a.t = count;
    a.q += first * qk;
    a.k += first * qk;
    a.v += first * values;
    a.o = o + first * values;
    a.e = NULL;
    a.g = a.g ? a.g + first * a.heads * (a.decay == WF_DECAY_VECTOR ? a.key_dim : 1) : NULL;
    a.beta = a.beta ? a.beta + first * a.heads : NULL;
    a.a = a.a ? a.a + first * qk : NULL;
    a.b = a.b ? a.b + first * qk : NULL;
    a.s_in = first ? carried : r->a.s_in;
    a.s_out = carried;
    run_pieces(k, &a, false);
}

static void test_any_cut(void **state) {
    (void)state;
    wf_kernels k = forms(NULL);
    for (int i = 0; i < SHAPES; i++) {
        shape s = shapes[i];
        s.batch = 1;
        s.states = true;
        s.t = s.t > 21 ? 21 : s.t;
        for (int64_t cut = 1; cut <= s.t; cut++) { /* parts of `cut` tokens: 1 is decoding */
            run r = make_run(&s), parts = make_run(&s);
            run_pieces(&k, &r.a, false);
            for (int64_t first = 0; first < s.t; first += cut)
                run_part(&k, &r, parts.out[S_OUT], first, s.t - first < cut ? s.t - first : cut, parts.out[O]);
            double error = check_error(parts.out[O], r.out[O], r.n_out[O], 1e-3);
            double state_error = check_error(parts.out[S_OUT], r.out[S_OUT], r.n_out[S_OUT], 1e-3);
            if (!(error < 2e-6 && state_error < 2e-6))
                fail_msg("case %d in parts of %lld: o off by %.3g, state by %.3g", i, (long long)cut, error, state_error);
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
    static const int64_t lengths[] = {1024, 8192}, dims[] = {64, 128};
    static const char *const names[] = {"none", "scalar", "vector", "vector general"};
    check_flush_denormals();
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = forms(*isa);
        for (int d = 0; d < 2; d++)
            for (int kind = 0; kind < 4; kind++) {
                static const wf_decay decays[] = {WF_DECAY_NONE, WF_DECAY_SCALAR, WF_DECAY_VECTOR, WF_DECAY_VECTOR};
                printf("delta %-11s K=V=%3lld %-14s us/token, T 1k/8k: ", *isa, (long long)dims[d], names[kind]);
                for (int l = 0; l < 2; l++) {
                    shape s = {8192 / lengths[l], lengths[l], 1, 1, dims[d], dims[d], decays[kind], kind == 3, false, 0.1};
                    run r = make_run(&s);
                    double forward = time_run(&k, &r, false);
                    printf(" %.3f back %.3f ", forward, time_run(&k, &r, true));
                    fflush(stdout);
                    free_run(&r);
                }
                printf("\n");
            }
    }
    shape one = {1, 1, 12, 12, 64, 64, WF_DECAY_VECTOR, false, true, 0.1};
    run r = make_run(&one);
    wf_kernels k = forms(NULL);
    double begin = check_seconds();
    for (int i = 0; i < 1000; i++)
        run_pieces(&k, &r.a, false);
    printf("delta %s one token, 12 heads of 64x64: %.2f us\n", k.isa, (check_seconds() - begin) * 1e3);
    free_run(&r);
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
