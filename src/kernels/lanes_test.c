/* lanes_test.c - scans over lanes, diagonal state spaces and Fourier transforms: every instruction set against the plain form,
 * and the plain transform against its definition. The gradients are those of the operations (tensor/ops_test.c). */
#include "support/kernel_check.h"

static void close_to(const float *got, const float *want, size_t n, double tolerance, const char *isa, const char *what) {
    double error = check_error(got, want, n, 1e-3);
    if (!(error <= tolerance))
        fail_msg("%s: %s is off by %.3g", isa, what, error);
}

/* ---- lanes ---- */
typedef struct lanes {
    float *h, *dx, *da, *dbefore;
} lanes;

static lanes run_lanes(const wf_kernels *k, int64_t t, int64_t stride, int64_t n, bool states) {
    size_t rows = (size_t)(t * stride);
    lanes r = {check_random(9, rows, 0, 1), check_random(9, rows, 0, 1), check_random(9, rows, 0, 1),
               check_random(9, (size_t)n, 0, 1)};
    float *a = check_random(1, rows, 0, 1), *x = check_random(2, rows, -1, 1), *first = check_random(3, (size_t)n, -1, 1);
    float *dy = check_random(4, rows, -1, 1), *dlast = check_random(5, (size_t)n, -1, 1);
    k->lane_scan(r.h, a, x, states ? first : NULL, t, stride, n);
    k->lane_scan_back(r.dx, r.da, states ? r.dbefore : NULL, a, r.h, states ? first : NULL, dy, states ? dlast : NULL, t,
                      stride, n);
    float *const inputs[] = {a, x, first, dy, dlast};
    for (int i = 0; i < 5; i++)
        free(inputs[i]);
    return r;
}

static void free_lanes(lanes *r) {
    free(r->h);
    free(r->dx);
    free(r->da);
    free(r->dbefore);
}

static void test_lanes(void **state) {
    static const struct {
        int64_t t, stride, n;
        bool states;
    } shapes[] = {{1, 1, 1, false}, {2, 5, 3, true}, {7, 64, 64, true}, {33, 100, 37, true}, {300, 19, 19, false}};
    (void)state;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            wf_kernels k = check_forms(*isa);
            size_t rows = (size_t)(shapes[i].t * shapes[i].stride);
            lanes got = run_lanes(&k, shapes[i].t, shapes[i].stride, shapes[i].n, shapes[i].states);
            lanes want = run_lanes(&wf_kernels_ref, shapes[i].t, shapes[i].stride, shapes[i].n, shapes[i].states);
            close_to(got.h, want.h, rows, 1e-6, *isa, "h"); /* also what lies between the lanes: untouched */
            close_to(got.dx, want.dx, rows, 1e-6, *isa, "dx");
            close_to(got.da, want.da, rows, 2e-6, *isa, "da");
            close_to(got.dbefore, want.dbefore, (size_t)shapes[i].n, 1e-6, *isa, "dbefore");
            free_lanes(&got);
            free_lanes(&want);
        }
}

/* ---- poles ---- */
enum { X, A, B, C, E, V, SKIP, H_IN, DY, DH_OUT, POLE_INPUTS };
enum { Y, H_OUT, DX, DA, DB, DC, DE, DV, DSKIP, DH_IN, POLE_OUTPUTS };
static const char *const pole_names[POLE_OUTPUTS] = {"y", "h_out", "dx", "da", "db", "dc", "de", "dv", "dskip", "dh_in"};

typedef struct pole_shape {
    int64_t batch, t, channels, modes;
    bool real, reverse, states, ranked;
} pole_shape;
typedef struct poles {
    float *in[POLE_INPUTS], *out[POLE_OUTPUTS], *checkpoints;
    size_t n_out[POLE_OUTPUTS];
} poles;

static poles run_poles(const wf_kernels *k, const pole_shape *s) {
    size_t rows = (size_t)(s->batch * s->t * s->channels), one = (size_t)(s->channels * s->modes * (s->real ? 1 : 2)),
           all = (size_t)s->batch * one;
    size_t n_in[POLE_INPUTS] = {rows, one, one, one, one, one, (size_t)s->channels, all, rows, all},
           stretches = (size_t)(s->t + WF_SCAN_CHECKPOINT - 1) / WF_SCAN_CHECKPOINT;
    poles r = {.n_out = {rows, all, rows, all, all, all, s->ranked ? all : 0, s->ranked ? all : 0,
                         (size_t)(s->batch * s->channels), all},
               .checkpoints = check_unwritten(stretches * all)};
    for (int i = 0; i < POLE_INPUTS; i++)
        r.in[i] = check_random((uint32_t)(i + 60), n_in[i],
                               i == A             ? -0.7
                               : i == E || i == V ? -0.2
                                                  : -1,
                               i == A             ? 0.7
                               : i == E || i == V ? 0.2
                                                  : 1);
    for (int i = 0; i < POLE_OUTPUTS; i++)
        r.out[i] = check_unwritten(r.n_out[i]);
    wf_pole_args a = {.batch = s->batch,
                      .t = s->t,
                      .channels = s->channels,
                      .modes = s->modes,
                      .real = s->real,
                      .reverse = s->reverse,
                      .x = r.in[X],
                      .a = r.in[A],
                      .b = r.in[B],
                      .c = r.in[C],
                      .e = s->ranked ? r.in[E] : NULL,
                      .v = s->ranked ? r.in[V] : NULL,
                      .skip = s->states ? r.in[SKIP] : NULL,
                      .h_in = s->states ? r.in[H_IN] : NULL,
                      .h_out = r.out[H_OUT],
                      .y = r.out[Y],
                      .checkpoints = r.checkpoints,
                      .dy = r.in[DY],
                      .dh_out = s->states ? r.in[DH_OUT] : NULL,
                      .dx = r.out[DX],
                      .da_part = r.out[DA],
                      .db_part = r.out[DB],
                      .dc_part = r.out[DC],
                      .de_part = r.out[DE],
                      .dv_part = r.out[DV],
                      .dskip_part = r.out[DSKIP],
                      .dh_in = r.out[DH_IN]};
    size_t bytes = wf_pole_scratch(&a, true);
    void *scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int back = 0; back < 2; back++)
        for (int64_t piece = 0; piece < s->batch * wf_scan_blocks(s->channels); piece++) {
            memset(scratch, 0xff, bytes);
            (back ? k->pole_scan_back : k->pole_scan)(&a, piece % s->batch, piece / s->batch, scratch);
        }
    free(scratch);
    return r;
}

static void free_poles(poles *r) {
    for (int i = 0; i < POLE_INPUTS; i++)
        free(r->in[i]);
    for (int i = 0; i < POLE_OUTPUTS; i++)
        free(r->out[i]);
    free(r->checkpoints);
}

static void test_poles(void **state) {
    static const pole_shape shapes[] = {{1, 1, 1, 1, false, false, false, false}, {2, 5, 17, 3, false, false, true, false},
                                        {1, 64, 16, 4, true, false, true, false}, {1, 65, 33, 7, false, true, true, false},
                                        {2, 129, 8, 2, true, true, false, false}, {1, 200, 20, 16, false, false, true, false},
                                        {2, 70, 21, 3, false, false, true, true}, {1, 9, 5, 2, true, false, true, true}};
    (void)state;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            wf_kernels k = check_forms(*isa);
            poles got = run_poles(&k, &shapes[i]), want = run_poles(&wf_kernels_ref, &shapes[i]);
            for (int x = 0; x < POLE_OUTPUTS; x++)
                close_to(got.out[x], want.out[x], got.n_out[x], 3e-6, *isa, pole_names[x]);
            free_poles(&got);
            free_poles(&want);
        }
}

/* ---- transforms ---- */
static const double PI = 3.14159265358979323846;

static float *make_table(int64_t n) {
    float *table = check_floats((size_t)(n > 1 ? n : 2));
    for (int64_t k = 0; k < (n > 1 ? n / 2 : 1); k++) {
        table[2 * k] = (float)cos(2 * PI * (double)k / (double)n);
        table[2 * k + 1] = (float)sin(2 * PI * (double)k / (double)n);
    }
    return table;
}

static int64_t reversed(int64_t i, int64_t n) {
    int64_t r = 0;
    for (; n > 1; n /= 2, i /= 2)
        r = 2 * r + i % 2;
    return r;
}

/* One lane of the plain form is the sum that defines it, in bit-reversed order, and the inverse leads back. */
static void test_definition(void **state) {
    enum { LANE = 5 };
    (void)state;
    for (int64_t n = 1; n <= 64; n *= 2) {
        size_t count = (size_t)(n * WF_FFT_LANES);
        float *re = check_random(70, count, -1, 1), *im = check_random(71, count, -1, 1), *x = check_random(70, count, -1, 1),
              *y = check_random(71, count, -1, 1), *table = make_table(n);
        wf_kernels_ref.fft(re, im, table, n, false);
        for (int64_t k = 0; k < n; k++) {
            double sum = 0, imag = 0;
            for (int64_t t = 0; t < n; t++) {
                double angle = -2 * PI * (double)(k * t % n) / (double)n, a = x[t * WF_FFT_LANES + LANE],
                       b = y[t * WF_FFT_LANES + LANE];
                sum += a * cos(angle) - b * sin(angle);
                imag += a * sin(angle) + b * cos(angle);
            }
            assert_true(fabs(re[reversed(k, n) * WF_FFT_LANES + LANE] - sum) < 1e-5 &&
                        fabs(im[reversed(k, n) * WF_FFT_LANES + LANE] - imag) < 1e-5);
        }
        wf_kernels_ref.fft(re, im, table, n, true);
        wf_kernels_ref.scale(re, 1.0f / (float)n, re, (int64_t)count);
        close_to(re, x, count, 1e-6, "plain C", "the inverse");
        float *const all[] = {re, im, x, y, table};
        for (int i = 0; i < 5; i++)
            free(all[i]);
    }
}

static void test_transforms(void **state) {
    (void)state;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++)
        for (int64_t n = 1; n <= 1024; n *= 2)
            for (int inverse = 0; inverse < 2; inverse++) {
                wf_kernels k = check_forms(*isa);
                size_t count = (size_t)(n * WF_FFT_LANES);
                float *re = check_random(72, count, -1, 1), *im = check_random(73, count, -1, 1),
                      *x = check_random(72, count, -1, 1), *y = check_random(73, count, -1, 1), *table = make_table(n);
                k.fft(re, im, table, n, inverse);
                wf_kernels_ref.fft(x, y, table, n, inverse);
                close_to(re, x, count, 2e-6, *isa, "re of a transform");
                close_to(im, y, count, 2e-6, *isa, "im of a transform");
                float *a = check_random(74, count, -1, 1), *b = check_random(75, count, -1, 1);
                memcpy(re, a, count * sizeof *re);
                memcpy(im, b, count * sizeof *im);
                k.multiply_complex(re, im, x, y, inverse, (int64_t)count - 3);
                wf_kernels_ref.multiply_complex(a, b, x, y, inverse, (int64_t)count - 3);
                close_to(re, a, count, 1e-6, *isa, "re of a product");
                close_to(im, b, count, 1e-6, *isa, "im of a product");
                float *const all[] = {re, im, x, y, table, a, b};
                for (int i = 0; i < 7; i++)
                    free(all[i]);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lanes), cmocka_unit_test(test_poles),
                                       cmocka_unit_test(test_definition), cmocka_unit_test(test_transforms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
