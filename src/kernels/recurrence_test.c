/* recurrence_test.c - kernel L: every instruction set against the plain form, the plain form against finite differences, and
 * any cut of the sequence against the whole. --bench: microseconds per token, for the same number of tokens cut into sequences
 * of T. */
#include "support/test.h"
#include "support/kernel_check.h"
#include "kernels/kernels.h"

typedef struct shape {
    int64_t batch, t, heads, qk_heads, key_dim, value_dim;
    wf_decay decay;
    bool bonus, states; /* states: s_in, s_out and their gradients */
    double strongest;   /* log decays lie between -strongest and 0 */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, 1, WF_DECAY_NONE, false, false, 1},         {2, 2, 2, 2, 3, 5, WF_DECAY_CONST, false, true, 1},
    {1, 3, 4, 2, 17, 7, WF_DECAY_SCALAR, false, false, 1},      {2, 5, 3, 1, 8, 70, WF_DECAY_VECTOR, false, true, 3},
    {1, 4, 2, 2, 16, 64, WF_DECAY_VECTOR, true, true, 1},       {2, 63, 2, 1, 33, 65, WF_DECAY_SCALAR, false, true, 2},
    {1, 64, 1, 1, 64, 64, WF_DECAY_NONE, false, true, 1},       {1, 65, 2, 2, 20, 130, WF_DECAY_VECTOR, false, false, 0.2},
    {1, 66, 2, 2, 40, 31, WF_DECAY_VECTOR, true, true, 6},      {1, 67, 1, 1, 5, 9, WF_DECAY_SCALAR, true, true, 1},
    {2, 97, 4, 4, 9, 12, WF_DECAY_CONST, false, false, 0.1},    {1, 100, 2, 1, 128, 96, WF_DECAY_VECTOR, false, true, 30},
    {1, 128, 2, 1, 64, 48, WF_DECAY_SCALAR, false, true, 0.01}, {2, 129, 2, 2, 24, 24, WF_DECAY_NONE, true, false, 1},
    {1, 130, 3, 3, 48, 80, WF_DECAY_CONST, true, true, 0.5},    {1, 1, 4, 2, 64, 128, WF_DECAY_VECTOR, false, true, 1},
    {2, 1, 2, 2, 33, 20, WF_DECAY_SCALAR, true, true, 1},       {1, 700, 1, 1, 7, 17, WF_DECAY_VECTOR, true, false, 4},
    {2, 3, 3, 3, 16, 64, WF_DECAY_CHANNEL, true, true, 2},      {1, 131, 2, 1, 24, 70, WF_DECAY_CHANNEL, false, true, 0.5},
    {1, 1, 2, 2, 5, 9, WF_DECAY_CHANNEL, true, true, 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

enum { Q, K, V, G, U, S_IN, DO, DS_OUT, INPUTS };
enum { O, S_OUT, DQ, DK, DV, DG, DU, DS_IN, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"o", "s_out", "dq", "dk", "dv", "dg", "dbonus", "ds_in"};

typedef struct run {
    shape s;
    wf_recurrence_args a;
    float *in[INPUTS], *out[OUTPUTS];
    size_t n_in[INPUTS], n_out[OUTPUTS];
} run;

static size_t decay_count(const shape *s) {
    switch (s->decay) {
    case WF_DECAY_CONST:
        return (size_t)s->heads;
    case WF_DECAY_CHANNEL:
        return (size_t)(s->heads * s->key_dim);
    case WF_DECAY_SCALAR:
        return (size_t)(s->batch * s->t * s->heads);
    case WF_DECAY_VECTOR:
        return (size_t)(s->batch * s->t * s->heads * s->key_dim);
    default:
        return 0;
    }
}

static void sizes(run *r) {
    const shape *s = &r->s;
    size_t tokens = (size_t)(s->batch * s->t), slices = (size_t)wf_recurrence_slices(s->value_dim);
    size_t keys = (size_t)(s->heads * s->key_dim), values = (size_t)(s->heads * s->value_dim);
    size_t state = s->states ? (size_t)(s->batch * s->heads * s->key_dim * s->value_dim) : 0;
    size_t bonus = s->bonus ? keys : 0, g = decay_count(s);
    size_t in[INPUTS] = {[Q] = tokens * (size_t)(s->qk_heads * s->key_dim),
                         [V] = tokens * values,
                         [G] = g,
                         [U] = bonus,
                         [S_IN] = state,
                         [DO] = tokens * values,
                         [DS_OUT] = state};
    in[K] = in[Q];
    size_t dg = wf_decay_per_channel(s->decay) ? tokens * keys : s->decay == WF_DECAY_NONE ? 0 : tokens * (size_t)s->heads;
    size_t out[OUTPUTS] = {[O] = tokens * values,
                           [S_OUT] = state,
                           [DQ] = slices * tokens * keys,
                           [DK] = slices * tokens * keys,
                           [DV] = tokens * values,
                           [DG] = slices * dg,
                           [DU] = slices * (size_t)s->batch * bonus,
                           [DS_IN] = state};
    memcpy(r->n_in, in, sizeof in);
    memcpy(r->n_out, out, sizeof out);
}

static void bind(run *r) {
    const shape *s = &r->s;
    float **i = r->in, **o = r->out;
    r->a = (wf_recurrence_args){.batch = s->batch,
                                .t = s->t,
                                .heads = s->heads,
                                .qk_heads = s->qk_heads,
                                .key_dim = s->key_dim,
                                .value_dim = s->value_dim,
                                .q = i[Q],
                                .k = i[K],
                                .v = i[V],
                                .decay = s->decay,
                                .g = i[G],
                                .bonus = i[U],
                                .scale = 0.37f,
                                .s_in = i[S_IN],
                                .s_out = s->states ? o[S_OUT] : NULL,
                                .o = o[O],
                                .do_ = i[DO],
                                .ds_out = i[DS_OUT],
                                .dq_part = o[DQ],
                                .dk_part = o[DK],
                                .dv = o[DV],
                                .dg_part = r->n_out[DG] ? o[DG] : NULL,
                                .dbonus_part = r->n_out[DU] ? o[DU] : NULL,
                                .ds_in = s->states ? o[DS_IN] : NULL};
}

static run make_run(const shape *s) {
    run r = {.s = *s};
    sizes(&r);
    for (int x = 0; x < INPUTS; x++)
        r.in[x] = r.n_in[x] ? check_random((uint32_t)x, r.n_in[x], x == G ? -s->strongest : -1, x == G ? 0 : 1) : NULL;
    for (int x = 0; x < OUTPUTS; x++)
        r.out[x] = check_unwritten(r.n_out[x]);
    bind(&r);
    return r;
}
static void free_run(run *r) {
    for (int x = 0; x < INPUTS; x++)
        free(r->in[x]);
    for (int x = 0; x < OUTPUTS; x++)
        free(r->out[x]);
}

static void run_pieces(const wf_kernels *k, const wf_recurrence_args *a, bool backward) {
    size_t bytes = wf_recurrence_scratch(a, backward);
    void *scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t s = 0; s < wf_recurrence_slices(a->value_dim); s++) {
                memset(scratch, 0xff, bytes);
                (backward ? k->recurrence_back : k->recurrence)(a, b, h, s, scratch);
            }
    free(scratch);
}

static void compare(const run *got, const run *want, const char *isa, double tolerance) {
    for (int x = 0; x < OUTPUTS; x++) {
        double error = check_error(got->out[x], want->out[x], got->n_out[x], 1e-3);
        if (!(error <= tolerance))
            fail_msg("%s, T %lld K %lld V %lld decay %d bonus %d: %s is off by %.3g", isa, (long long)got->s.t,
                     (long long)got->s.key_dim, (long long)got->s.value_dim, got->s.decay, got->s.bonus, output_names[x],
                     error);
    }
}

static wf_kernels forms(const char *isa) {
    wf_kernels k;
    weft_error err = {0};
    assert_int_equal(wf_kernels_choose(isa, &k, &err), WEFT_OK);
    return k;
}

static void test_vector_forms(void **state) {
    (void)state;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = forms(*isa);
        assert_ptr_not_equal(k.recurrence, wf_kernels_ref.recurrence);
        for (int i = 0; i < SHAPES; i++) {
            run got = make_run(&shapes[i]), want = make_run(&shapes[i]);
            run_pieces(&k, &got.a, false);
            run_pieces(&k, &got.a, true);
            run_pieces(&wf_kernels_ref, &want.a, false);
            run_pieces(&wf_kernels_ref, &want.a, true);
            compare(&got, &want, *isa, 3e-6);
            free_run(&got);
            free_run(&want);
        }
    }
}

/* Long sequences: the errors of the running sums must not grow. */
static void test_long(void **state) {
    (void)state;
    static const shape longs[] = {{1, 8192, 1, 1, 64, 64, WF_DECAY_VECTOR, false, true, 0.1},
                                  {1, 8192, 1, 1, 16, 64, WF_DECAY_SCALAR, false, true, 0.002},
                                  {1, 8191, 1, 1, 32, 16, WF_DECAY_VECTOR, true, false, 12},
                                  {1, 8190, 1, 1, 16, 16, WF_DECAY_NONE, false, true, 0}};
    int count = getenv("WEFT_QUICK") ? 0 : (int)(sizeof longs / sizeof *longs);
    wf_kernels k = forms(NULL);
    for (int i = 0; i < count; i++) {
        run got = make_run(&longs[i]), want = make_run(&longs[i]);
        run_pieces(&k, &got.a, false);
        run_pieces(&k, &got.a, true);
        run_pieces(&wf_kernels_ref, &want.a, false);
        run_pieces(&wf_kernels_ref, &want.a, true);
        for (int x = 0; x < OUTPUTS && getenv("WEFT_VERBOSE"); x++)
            printf("T 8192, case %d: %s %.2g\n", i, output_names[x], check_error(got.out[x], want.out[x], got.n_out[x], 1e-3));
        compare(&got, &want, k.isa, 5e-6);
        free_run(&got);
        free_run(&want);
    }
}

/* The loss is sum(o*do) + sum(s_out*ds_out). */
static double loss(const run *r) {
    run_pieces(&wf_kernels_ref, &r->a, false);
    double sum = check_dot(r->out[O], r->in[DO], r->n_out[O]);
    return r->s.states ? sum + check_dot(r->out[S_OUT], r->in[DS_OUT], r->n_out[S_OUT]) : sum;
}

/* Linear in each single input but g, where the step is small and extrapolated. */
static double numeric(run *r, float *x, bool linear) {
    float old = *x, h = linear ? 0.5f : 0.0625f;
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

/* The gradient of one input as the caller sums it: over slices, over the heads of a group, over tokens for a constant decay. */
static double summed(const run *r, int input, size_t i) {
    const shape *s = &r->s;
    size_t K_ = (size_t)s->key_dim, H = (size_t)s->heads, G_ = (size_t)s->qk_heads,
           slices = (size_t)wf_recurrence_slices(s->value_dim);
    double sum = 0;
    if (input == V || input == S_IN)
        return r->out[input == V ? DV : DS_IN][i];
    if (input == U) {
        for (size_t part = 0; part < slices * (size_t)s->batch; part++)
            sum += r->out[DU][part * H * K_ + i];
        return sum;
    }
    const float *part = r->out[input == Q ? DQ : input == K ? DK : DG];
    size_t width = r->n_out[input == Q ? DQ : input == K ? DK : DG] / slices;
    for (size_t slice = 0; slice < slices; slice++, part += width) {
        if (input == G && !wf_decay_per_token(s->decay))
            for (size_t token = 0; token < (size_t)(s->batch * s->t); token++)
                sum += part[token * r->n_in[G] + i];
        else if (input == G)
            sum += part[i];
        else
            for (size_t h = 0; h < H / G_; h++)
                sum += part[(i / (G_ * K_) * H + i / K_ % G_ * (H / G_) + h) * K_ + i % K_];
    }
    return sum;
}

static void test_gradients(void **state) {
    (void)state;
    static const int inputs[] = {Q, K, V, G, U, S_IN};
    for (int i = 0; i < SHAPES; i++) {
        if (shapes[i].t > 70)
            continue;
        run r = make_run(&shapes[i]);
        run_pieces(&wf_kernels_ref, &r.a, true);
        for (size_t x = 0; x < sizeof inputs / sizeof *inputs; x++) {
            int input = inputs[x];
            double worst = 0, scale = 1e-2;
            for (size_t at = 0; at < r.n_in[input]; at += 1 + r.n_in[input] / 23) {
                double want = numeric(&r, r.in[input] + at, input != G), got = summed(&r, input, at);
                worst = fmax(worst, fabs(got - want));
                scale = fmax(scale, fabs(want));
            }
            if (!(worst <= 2e-4 * scale))
                fail_msg("case %d, input %d: gradient off by %.3g of %.3g", i, input, worst, scale);
        }
        free_run(&r);
    }
}

/* Tokens first..first+count-1 of r as a call of their own, carrying the state in place. */
static void run_part(const wf_kernels *k, const run *r, float *carried, int64_t first, int64_t count, float *o) {
    wf_recurrence_args a = r->a;
    int64_t qk = a.qk_heads * a.key_dim, values = a.heads * a.value_dim;
    a.t = count;
    a.q += first * qk;
    a.k += first * qk;
    a.v += first * values;
    a.o = o + first * values;
    if (wf_decay_per_token(a.decay))
        a.g += first * a.heads * (a.decay == WF_DECAY_VECTOR ? a.key_dim : 1);
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
    static const int64_t lengths[] = {1024, 8192, 65536}, dims[] = {64, 128};
    static const char *const names[] = {"none", "const", "channel", "scalar", "vector"};
    check_flush_denormals();
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = forms(*isa);
        for (int d = 0; d < 2; d++)
            for (int decay = WF_DECAY_NONE; decay <= WF_DECAY_VECTOR; decay++) {
                printf("recurrence %-11s K=V=%3lld %-6s us/token, T 1k/8k/64k: ", *isa, (long long)dims[d], names[decay]);
                for (int l = 0; l < 3; l++) {
                    shape s = {65536 / lengths[l], lengths[l], 1, 1, dims[d], dims[d], (wf_decay)decay, false, false, 0.1};
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
    printf("recurrence %s one token, 12 heads of 64x64: %.2f us\n", k.isa, (check_seconds() - begin) * 1e3);
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
