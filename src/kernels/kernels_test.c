/* kernels_test.c - one list of cases, used three ways: every vector form against the plain C form, for every instruction set
 * this processor has; the plain C gradients against finite differences; and `kernels_test --bench`, nanoseconds per element. */
#include "kernels/gemm/panels.h"
#include "support/kernel_check.h"

enum { LARGEST = 1 << 16, INPUTS = 8, OUTPUTS = 4, SPREAD = 4, GUARD = 64, CAPACITY = SPREAD * LARGEST + GUARD };

/* What a case works on: inputs of 4n values, outputs that are NaN before the run. */
typedef struct work {
    const float *in[INPUTS];
    float *out[OUTPUTS];
    int64_t n, variant;
    const wf_int8_form *int8; /* of the kernels that are tested */
} work;

typedef struct kernel_case {
    const char *name;
    void (*run)(const wf_kernels *k, const work *w);
    int64_t sizes[OUTPUTS]; /* of the outputs, in units of n; -1: one value */
    int64_t variants;
    double tolerance; /* of |difference| / max(1, |reference|) */
    bool sums;        /* of about n products of numbers about 1: sqrt(n) instead of 1, for they round as sums of that size do */
} kernel_case;

/* ---- the cases ---- */

static void run_bf16_to_f32(const wf_kernels *k, const work *w) { k->bf16_to_f32(w->out[0], (const uint16_t *)w->in[7], w->n); }
static void run_f32_to_bf16(const wf_kernels *k, const work *w) {
    uint16_t *packed = (uint16_t *)w->out[1];
    k->f32_to_bf16(packed, w->in[0], w->n);
    for (int64_t i = 0; i < w->n; i++)
        w->out[0][i] = wf_bf16_to_f32(packed[i]);
}
static void run_add(const wf_kernels *k, const work *w) { k->add(w->out[0], w->in[0], w->in[1], w->n); }
static void run_mul(const wf_kernels *k, const work *w) { k->mul(w->out[0], w->in[0], w->in[1], w->n); }
static void run_scale(const wf_kernels *k, const work *w) { k->scale(w->out[0], 0.3f, w->in[1], w->n); }
static void run_axpy(const wf_kernels *k, const work *w) {
    memcpy(w->out[0], w->in[0], (size_t)w->n * sizeof(float));
    k->axpy(w->out[0], 0.7f, w->in[1], w->n);
}
static void run_dot(const wf_kernels *k, const work *w) { w->out[0][0] = (float)k->dot(w->in[0], w->in[1], w->n); }
static void run_largest(const wf_kernels *k, const work *w) {
    memcpy(w->out[2], w->in[0], (size_t)w->n * sizeof(float));
    w->out[0][0] = w->out[1][0] = 0.0f;
    if (w->n == 0)
        return;
    if (w->variant > 0) /* two of one size, which may be the largest */
        w->out[2][w->n / 2] = -2.0f, w->out[2][w->n - 1] = 2.0f;
    w->out[0][0] = (float)k->largest(w->out[1], w->out[2], w->n);
}
static void run_sum_squares(const wf_kernels *k, const work *w) { w->out[0][0] = (float)k->sum_squares(w->in[0], w->n); }

/* Arguments of activations: the normal range, and now and then the far ends and zeros. */
static void activation_inputs(float *x, const work *w) {
    static const float ends[] = {0.0f, -0.0f, 1e-6f, -1e-6f, 20.5f, -20.5f, 86.0f, -88.0f, 200.0f, -200.0f, 0.6251f, 1.312f};
    for (int64_t i = 0; i < w->n; i++)
        x[i] = i % 7 == 3 ? ends[i / 7 % 12] : w->in[0][i] * 3;
    for (int64_t i = 0; w->variant == WF_EXP && i < w->n; i++)
        x[i] = x[i] > 10 ? 10 : x[i];
}
static void run_activate(const wf_kernels *k, const work *w) {
    activation_inputs(w->out[1], w);
    k->activate((int)w->variant, w->out[0], w->out[1], w->n);
}
static void run_activate_back(const wf_kernels *k, const work *w) {
    activation_inputs(w->out[1], w);
    k->activate_back((int)w->variant, w->out[0], w->out[1], w->in[1], w->n);
}

static const float *unless(bool absent, const float *p) { return absent ? NULL : p; }

static void run_rms_norm(const wf_kernels *k, const work *w) {
    w->out[1][0] = k->rms_norm(w->out[0], w->in[0], unless(w->variant == 1, w->in[1]), 1.0f, 1e-5f, w->n);
}
static void run_layer_norm(const wf_kernels *k, const work *w) {
    w->out[1][0] = k->layer_norm(w->out[0], w->out[2], w->in[0], unless(w->variant & 1, w->in[1]),
                                 unless(w->variant & 2, w->in[2]), 0.5f, 1e-3f, w->n);
}
static void run_rms_norm_back(const wf_kernels *k, const work *w) {
    float *dweight = w->variant == 1 ? NULL : w->out[1];
    memcpy(w->out[1], w->in[3], (size_t)w->n * sizeof(float));
    k->rms_norm_back(w->out[0], dweight, w->in[0], w->in[1], unless(w->variant == 1, w->in[2]), 1.0f, 0.8f, w->n);
}
static void run_layer_norm_back(const wf_kernels *k, const work *w) {
    float *dweight = w->variant & 1 ? NULL : w->out[1], *dbias = w->variant & 2 ? NULL : w->out[2];
    memcpy(w->out[1], w->in[3], (size_t)w->n * sizeof(float));
    memcpy(w->out[2], w->in[4], (size_t)w->n * sizeof(float));
    k->layer_norm_back(w->out[0], dweight, dbias, w->in[0], w->in[1], unless(w->variant & 1, w->in[2]), 0.5f, 0.1f, 0.8f, w->n);
}
static void run_cross_entropy(const wf_kernels *k, const work *w) {
    memcpy(w->out[0], w->in[0], (size_t)w->n * sizeof(float));
    w->out[1][0] = k->cross_entropy(w->out[0], w->n * 2 / 3, w->variant & 1 ? 0.1f : 0.0f, w->variant & 2 ? 0.0f : 0.5f, w->n);
}
static void run_log_sum_exp(const wf_kernels *k, const work *w) { w->out[0][0] = k->log_sum_exp(w->in[0], w->n); }
static void run_probe_fma(const wf_kernels *k, const work *w) {
    int lanes;
    w->out[0][0] = k->probe_fma(0.0f, w->n, &lanes);
}
static void run_probe_read(const wf_kernels *k, const work *w) { w->out[0][0] = k->probe_read(w->in[0], w->n); }
static void run_softmax(const wf_kernels *k, const work *w) {
    memcpy(w->out[0], w->in[0], (size_t)w->n * sizeof(float));
    w->out[0][w->n / 2] = -INFINITY; /* a masked entry; alone in its row it makes the whole row zero */
    k->softmax(w->out[0], w->out[0], w->n);
}
static void run_rotate(const wf_kernels *k, const work *w) {
    int64_t pairs = w->variant & 1 ? w->n / 2 : w->n / 3;
    k->rotate(w->out[0], w->in[0], w->in[1], w->in[2], pairs, w->n, w->variant & 2, w->variant & 4 ? -1.0f : 1.0f);
}
static void run_adamw(const wf_kernels *k, const work *w) {
    wf_adam_step step = {.lr = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-6f, .weight_decay = 0.1f, .correct1 = 0.19f};
    step.correct2 = 0.14f, step.grad_scale = 0.5f;
    for (int64_t i = 0; i < w->n; i++)
        w->out[0][i] = w->in[0][i], w->out[1][i] = w->in[1][i] * 0.1f, w->out[2][i] = fabsf(w->in[2][i]);
    k->adamw(w->out[0], w->out[1], w->out[2], w->in[3], w->variant ? (uint16_t *)w->out[3] : NULL, &step, w->n);
    for (int64_t i = w->n - 1; i >= 0; i--) { /* from the end: the bf16 values lie at the start of the same memory */
        float p = w->out[0][i], rounded = w->variant ? wf_bf16_to_f32(((uint16_t *)w->out[3])[i]) : p;
        w->out[3][i] = fabsf(rounded - p) <= 0x1p-8f * fabsf(p) ? 0.0f : 1.0f;
    }
}
static void run_dropout(const wf_kernels *k, const work *w) {
    k->dropout(w->out[0], w->in[0], 0.3f, wf_rng_make(7, 3, 5), (1ull << 34) - 9 + (uint64_t)w->variant, w->n);
}

/* Convolutions over n channels or, for larger n, over n/256 channels. */
typedef struct conv_dims {
    int64_t t, channels, width;
} conv_dims;
static conv_dims conv_of(const work *w) {
    static const int64_t t[] = {1, 2, 3, 4, 3, 1}, width[] = {4, 2, 1, 4, 7, 19};
    conv_dims d = {.t = t[w->variant], .channels = w->n, .width = width[w->variant]};
    if (w->n >= 256)
        d.channels = w->n / 256, d.t = 256;
    return d;
}
static void run_conv(const wf_kernels *k, const work *w) {
    conv_dims d = conv_of(w);
    for (int64_t i = 0; i < SPREAD * w->n; i++)
        w->out[0][i] = 0;
    int64_t cut = d.channels / 3;
    const float *bias = unless(w->variant == 1, w->in[2]), *state = unless(w->variant == 2, w->in[3]);
    k->conv(w->out[0], w->in[0], w->in[1], bias, state, d.t, d.channels, d.width, 0, cut);
    k->conv(w->out[0], w->in[0], w->in[1], bias, state, d.t, d.channels, d.width, cut, d.channels);
}
static void run_conv_back(const wf_kernels *k, const work *w) {
    conv_dims d = conv_of(w);
    int64_t weights = d.channels * d.width;
    for (int64_t i = 0; i < SPREAD * w->n; i++)
        w->out[0][i] = 0;
    float *dweight = w->variant == 1 ? NULL : w->out[1], *dbias = w->variant == 1 ? NULL : w->out[2];
    float *dstate = w->variant == 2 ? NULL : w->out[3];
    memcpy(w->out[1], w->in[4], (size_t)weights * sizeof(float));
    memcpy(w->out[2], w->in[5], (size_t)d.channels * sizeof(float));
    k->conv_back(w->out[0], dweight, dbias, dstate, w->in[0], w->in[6], w->in[1], unless(w->variant == 2, w->in[3]), d.t,
                 d.channels, d.width, 0, d.channels);
    /* put beside dx what fits of the rest: the outputs hold up to 19n values */
    for (int64_t i = 0; i < w->n; i++) {
        double sum = dbias && i < d.channels ? dbias[i] : 0;
        for (int64_t j = i; j < weights && dweight; j += w->n)
            sum += dweight[j] * (1 + (double)(j / w->n));
        for (int64_t j = i; j < d.channels * (d.width - 1) && dstate; j += w->n)
            sum += dstate[j] * (2 + (double)(j / w->n));
        w->out[0][3 * w->n + i] += (float)sum;
    }
}
static void run_lstm_cell(const wf_kernels *k, const work *w) {
    k->lstm_cell(w->out[0], w->out[1], w->out[2], w->in[0], w->in[1], w->n);
}
static void run_lstm_cell_back(const wf_kernels *k, const work *w) {
    k->lstm_cell_back(w->out[0], w->out[1], w->in[0], w->in[1], w->in[2], w->in[3], w->in[4], w->n);
}
/* n weights in rows of k values, at most 7 rows. */
static int64_t gemv_rows(const work *w) { return w->n < 7 ? 1 : 7; }
static void run_gemv(const wf_kernels *k, const work *w) {
    int64_t rows = gemv_rows(w), width = w->n / rows;
    k->gemv(w->out[0], w->in[0], w->in[1], unless(w->variant, w->in[2]), width, 0, rows / 3);
    k->gemv(w->out[0], w->in[0], w->in[1], unless(w->variant, w->in[2]), width, rows / 3, rows);
    for (int64_t i = rows; i < w->n; i++)
        w->out[0][i] = 0;
}
/* The columns of a wider matrix: what is left of out[0] must stay. */
static void run_gemv_turned(const wf_kernels *k, const work *w) {
    int64_t steps = gemv_rows(w), width = w->n / steps, some = width - width / 4;
    k->gemv_turned(w->out[0], w->in[0], width, w->in[1], unless(w->variant, w->in[2]), steps, some);
    for (int64_t i = some; i < w->n; i++)
        w->out[0][i] = 0;
}
static void run_gemv_bf16(const wf_kernels *k, const work *w) {
    int64_t rows = gemv_rows(w), width = w->n / rows;
    k->gemv_bf16(w->out[0], (const uint16_t *)w->in[7], w->in[1], unless(w->variant, w->in[2]), width, 0, rows);
    for (int64_t i = rows; i < w->n; i++)
        w->out[0][i] = 0;
}

/* A block of up to 12 x 32 over n/12 steps; the variant cuts rows and columns. */
static void run_gemm_block(const wf_kernels *k, const work *w) {
    int64_t steps = w->n / WF_GEMM_ROWS, rows = w->variant % WF_GEMM_ROWS + 1, columns = (w->variant * 11 + 7) % 32 + 1;
    if (w->n < WF_GEMM_ROWS * WF_GEMM_COLUMNS) {
        memset(w->out[0], 0, (size_t)w->n * sizeof(float));
        return; /* no room for the output */
    }
    memcpy(w->out[0], w->in[2], (size_t)w->n * sizeof(float));
    bool packed = w->variant % 3 == 0;
    const wf_gemm_beside beside = {
        .bias = unless(w->variant % 5 < 3, w->in[3]), .ahead = (const char *)w->in[3], .ahead_step = 4};
    k->gemm_block(w->out[0], WF_GEMM_COLUMNS, w->in[0], packed ? 1 : steps, packed ? WF_GEMM_ROWS : 1, w->in[1], steps, rows,
                  columns, w->variant % 2, w->variant % 4 ? &beside : NULL);
}

/* Rows times a matrix in panels; k, rows and columns come from n and the variant, and so do steps beyond the form's depth. */
static void run_panels_of(const wf_kernels *k, const work *w, wf_dtype type, wf_dtype y_type) {
    enum { HALF = CAPACITY / 2 };
    static float panels[2 * WF_GEMM_COLUMNS * 4096] __attribute__((aligned(64)));
    static uint16_t y[64 * 64];
    const uint16_t *numbers = (const uint16_t *)w->in[7];
    int64_t rows = w->variant + 1, columns = w->variant * 11 % 47 + 1, steps = w->n % 4096 + 1;
    int64_t most = type == WF_BF16 ? HALF : CAPACITY; /* x and W in bf16 are halves of one input */
    memset(w->out[0], 0, (size_t)(SPREAD * w->n) * sizeof(float));
    if (w->n * SPREAD < rows * columns || steps * rows > most || steps * columns > most)
        return; /* no room */
    char *scratch = malloc(wf_panels_scratch(k, type, steps) + 64);
    if (type == WF_BF16)
        wf_panels_pack_bf16((uint16_t *)(void *)panels, numbers + HALF, columns, steps);
    else
        wf_panels_pack(k, panels, w->in[1], w->variant & 1 ? columns : steps, w->variant & 1, columns, steps);
    const wf_panels p = {.x = type == WF_BF16 ? (const void *)numbers : w->in[0],
                         .panels = panels,
                         .bias = unless(w->variant % 3 == 0, w->in[2]),
                         .y = y_type == WF_BF16 ? (void *)y : w->out[0],
                         .ahead = w->in[0],
                         .n = columns,
                         .k = steps,
                         .type = type,
                         .y_type = y_type};
    wf_panels_run(k, &p, 0, rows, 0, columns, scratch);
    free(scratch);
    for (int64_t i = 0; y_type == WF_BF16 && i < rows * columns; i++)
        w->out[0][i] = wf_bf16_to_f32(y[i]);
}
static void run_panels(const wf_kernels *k, const work *w) { run_panels_of(k, w, WF_F32, WF_F32); }
static void run_panels_bf16(const wf_kernels *k, const work *w) { run_panels_of(k, w, WF_BF16, WF_F32); }
static void run_panels_narrow(const wf_kernels *k, const work *w) { run_panels_of(k, w, WF_BF16, WF_BF16); }

static void run_gemm_pack(const wf_kernels *k, const work *w) {
    bool bf16 = w->variant & 1, columns = w->variant & 2;
    int64_t width = w->variant & 4 ? WF_GEMM_ROWS : WF_GEMM_COLUMNS, lines = 1 + w->n % (2 * width + 3),
            panels = (lines + width - 1) / width, steps = w->n * SPREAD / width / panels;
    (columns ? k->gemm_pack_columns : k->gemm_pack_rows)(w->out[0], w->in[bf16 ? 7 : 0], bf16, columns ? steps + 2 : lines + 3,
                                                         lines, steps, width);
    int64_t used = steps * width * panels;
    memset(w->out[0] + used, 0, (size_t)(w->n * SPREAD - used) * sizeof(float));
}

/* Rows of k numbers, quantised, times packed weights of as many columns; k, rows and columns come from n and the variant. */
static void run_int8(const wf_kernels *k, const work *w) {
    enum { GROUPS = 5, NUMBERS = GROUPS * WF_INT8_GROUP };
    static uint8_t q[WF_INT8_ROWS * NUMBERS], packed[(4 + 3 * WF_INT8_COLUMNS) * NUMBERS] __attribute__((aligned(64)));
    static float ranges[WF_INT8_ROWS * GROUPS * 2];
    int64_t rows = w->variant % WF_INT8_ROWS + 1, columns = (w->variant * 11 + 7) % WF_INT8_COLUMNS + 1,
            steps = w->n % NUMBERS + 1, groups = wf_int8_groups(steps), pair = 2 * wf_int8_spans(w->int8, groups);
    assert_true(wf_int8_bytes(w->int8, WF_INT8_COLUMNS, NUMBERS) <= sizeof packed);
    memset(w->out[0], 0, (size_t)(SPREAD * w->n) * sizeof(float));
    memset(w->out[1], 0, (size_t)w->n * sizeof(float));
    if (w->n < WF_INT8_COLUMNS * WF_INT8_ROWS)
        return; /* no room for the output */
    wf_int8_pack(w->int8, packed, w->in[1], columns, steps, NULL);
    for (int64_t i = 0; i < rows; i++)
        k->int8_quantize(q + i * groups * WF_INT8_GROUP, ranges + i * pair, w->in[0] + i * steps,
                         (const float *)(const void *)packed, steps, w->int8);
    k->int8_block(&(wf_int8_args){.c = w->out[0],
                                  .q = q,
                                  .ranges = ranges,
                                  .w = packed + wf_int8_head(steps),
                                  .bias = unless(w->variant % 2, w->in[2]),
                                  .ldc = columns + 1,
                                  .groups = groups,
                                  .m = rows,
                                  .n = columns,
                                  .ahead = packed,
                                  .ahead_step = 3,
                                  .form = w->int8});
    for (int64_t i = 0; i < rows * groups * WF_INT8_GROUP; i++)
        w->out[1][i % w->n] += (float)q[i];
}

static const kernel_case cases[] = {
    {"bf16_to_f32", run_bf16_to_f32, {1}, 1, 0},
    {"f32_to_bf16", run_f32_to_bf16, {1}, 1, 0},
    {"add", run_add, {1}, 1, 0},
    {"mul", run_mul, {1}, 1, 0},
    {"axpy", run_axpy, {1}, 1, 1e-6},
    {"scale", run_scale, {1}, 1, 0},
    {"dot", run_dot, {-1}, 1, 1e-7},
    {"sum_squares", run_sum_squares, {-1}, 1, 1e-7},
    {"largest", run_largest, {-1, -1, 1}, 2, 0},
    {"activate", run_activate, {1, 1}, WF_ACTIVATION_COUNT, 2e-6},
    {"activate_back", run_activate_back, {1, 1}, WF_ACTIVATION_COUNT, 4e-6},
    {"rms_norm", run_rms_norm, {1, -1}, 2, 3e-6},
    {"layer_norm", run_layer_norm, {1, -1, -1}, 4, 2e-5},
    {"rms_norm_back", run_rms_norm_back, {1, 1}, 2, 5e-6},
    {"layer_norm_back", run_layer_norm_back, {1, 1, 1}, 4, 1e-5},
    {"cross_entropy", run_cross_entropy, {1, -1}, 4, 3e-6},
    {"log_sum_exp", run_log_sum_exp, {-1}, 1, 1e-6},
    {"softmax", run_softmax, {1}, 1, 1e-6},
    {"rotate", run_rotate, {1}, 8, 1e-6},
    {"adamw", run_adamw, {1, 1, 1, 1}, 2, 1e-6},
    {"dropout", run_dropout, {1}, 4, 0},
    {"conv", run_conv, {SPREAD}, 6, 5e-6},
    {"conv_back", run_conv_back, {SPREAD}, 6, 2e-5},
    {"lstm_cell", run_lstm_cell, {1, 1, 4}, 1, 2e-6},
    {"lstm_cell_back", run_lstm_cell_back, {4, 1}, 1, 5e-6},
    {"gemm_pack", run_gemm_pack, {SPREAD}, 8, 0},
    {"gemm_block", run_gemm_block, {1}, 36, 1e-5},
    {"panels", run_panels, {SPREAD}, 36, 1e-5, true},
    {"panels_bf16", run_panels_bf16, {SPREAD}, 36, 1e-5, true},
    {"panels_narrow", run_panels_narrow, {SPREAD}, 36, 0x1p-7}, /* one place of bf16 */
    {"int8", run_int8, {SPREAD, 1}, 36, 1e-5},
    {"gemv", run_gemv, {1}, 2, 2e-5},
    {"gemv_bf16", run_gemv_bf16, {1}, 2, 2e-5},
    {"gemv_turned", run_gemv_turned, {1}, 2, 2e-5},
    {"probe_fma", run_probe_fma, {-1}, 1, 0},
    {"probe_read", run_probe_read, {-1}, 1, 2e-4},
};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- memory ---- */

typedef struct bench_memory {
    float *in[INPUTS], *expected[OUTPUTS], *actual[OUTPUTS];
} bench_memory;

static float *take(size_t count) {
    float *p = malloc(count * sizeof *p);
    assert_non_null(p);
    return p;
}

static void memory_open(bench_memory *m) {
    for (int i = 0; i < INPUTS; i++) {
        m->in[i] = take(CAPACITY);
        wf_rng rng = wf_rng_make(11, (uint32_t)i, 0);
        for (uint64_t j = 0; j < CAPACITY; j++)
            m->in[i][j] = 4 * wf_rng_uniform(rng, j) - 2;
    }
    for (int64_t j = 0; j < CAPACITY; j++) { /* bf16 values, for the kernels that read them */
        ((uint16_t *)m->in[7])[j] = wf_f32_to_bf16(m->in[0][j]);
    }
    for (int i = 0; i < OUTPUTS; i++)
        m->expected[i] = take(5 * CAPACITY), m->actual[i] = take(5 * CAPACITY); /* room for 19 taps of small n */
}

static void memory_close(bench_memory *m) {
    for (int i = 0; i < INPUTS; i++)
        free(m->in[i]);
    for (int i = 0; i < OUTPUTS; i++)
        free(m->expected[i]), free(m->actual[i]);
}

static void poison(float *p, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        p[i] = NAN;
}

static work work_of(const bench_memory *m, float *const *out, int64_t n, int64_t variant) {
    work w = {.n = n, .variant = variant};
    for (int i = 0; i < INPUTS; i++)
        w.in[i] = m->in[i];
    for (int i = 0; i < OUTPUTS; i++)
        w.out[i] = out[i];
    return w;
}

/* ---- vector forms against the plain form ---- */

static void compare(const kernel_case *c, const char *isa, const work *expected, const work *actual) {
    for (int o = 0; o < OUTPUTS; o++) {
        int64_t count = c->sizes[o] < 0 ? 1 : c->sizes[o] * expected->n;
        double least = c->sums ? sqrt((double)expected->n) : 1;
        for (int64_t i = 0; i < count; i++) {
            double a = expected->out[o][i], b = actual->out[o][i], scale = fabs(a) > least ? fabs(a) : least;
            if (fabs(a - b) <= c->tolerance * scale || (a == b))
                continue;
            fail_msg("%s on %s, n %lld, variant %lld: output %d[%lld] is %.9g, expected %.9g", c->name, isa,
                     (long long)expected->n, (long long)expected->variant, o, (long long)i, b, a);
        }
        for (int64_t i = count; c->sizes[o] > 0 && i < count + GUARD && strncmp(c->name, "conv", 4) != 0; i++)
            if (actual->out[o][i] == actual->out[o][i])
                fail_msg("%s on %s, n %lld: output %d written past its end", c->name, isa, (long long)expected->n, o);
    }
}

static void check_case(const kernel_case *c, const wf_kernels *k, const bench_memory *m, int64_t n) {
    for (int64_t v = 0; v < c->variants; v++) {
        work expected = work_of(m, m->expected, n, v), actual = work_of(m, m->actual, n, v);
        for (int o = 0; o < OUTPUTS; o++) {
            poison(expected.out[o], 20 * n + GUARD);
            poison(actual.out[o], 20 * n + GUARD);
        }
        expected.int8 = actual.int8 = k->int8_form();
        c->run(&wf_kernels_ref, &expected);
        c->run(k, &actual);
        compare(c, k->isa, &expected, &actual);
    }
}

static void test_forms_agree(void **state) {
    static const int64_t larger[] = {256, 768, 1000, 4099};
    bench_memory m;
    memory_open(&m);
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        assert_string_equal(k.isa, *isa);
        for (int c = 0; c < CASES; c++) {
            for (int64_t n = 1; n <= 67; n++)
                check_case(&cases[c], &k, &m, n);
            for (size_t s = 0; s < sizeof larger / sizeof *larger; s++)
                check_case(&cases[c], &k, &m, larger[s]);
        }
    }
    memory_close(&m);
}

/* The largest products of bytes, all of one sign in some columns: their sums stay exact. */
static void check_int8_extremes(const wf_kernels *k) {
    enum { ROWS = WF_INT8_ROWS, COLUMNS = WF_INT8_COLUMNS, MOST = WF_INT8_MOST_SPAN * WF_INT8_GROUP };
    static uint8_t q[ROWS * MOST], panels[COLUMNS * (MOST + 8)] __attribute__((aligned(64)));
    static float expected[ROWS * COLUMNS], actual[ROWS * COLUMNS], ranges[ROWS * 2];
    const wf_int8_form *form = k->int8_form();
    const int K = form->span * WF_INT8_GROUP, part = form->four / 4, rest = form->four - 3 * part;
    const int half = form->four / 2 < 127 ? form->four / 2 : 127, second = form->four - 127 < 127 ? form->four - 127 : 127;
    const int kinds[][4] = {/* fours of the largest sum, of the least one, of two alone, and of none */
                            {part, part, part, rest},
                            {-part, -part, -part, -rest},
                            {127, second, 0, 0},
                            {half, -half, half, -half}};
    memset(panels, 0, sizeof panels);
    for (int j = 0; j < COLUMNS; j++) {
        uint8_t *block = panels + j / WF_INT8_PANEL * wf_int8_panel_bytes(form, form->span);
        for (int p = 0; p < K; p++)
            block[(p / 4 * WF_INT8_PANEL + j % WF_INT8_PANEL) * 4 + p % 4] = (uint8_t)kinds[j % 4][p / 4 % 2 * 2 + p % 2];
        ((float *)(void *)(block + K * WF_INT8_PANEL))[j % WF_INT8_PANEL] = 1.0f;
    }
    for (int i = 0; i < ROWS * K; i++)
        q[i] = i / K % 3 == 0 || (i / K % 3 == 1 && i % 2) || (i / K % 3 == 2 && i % K < K / 2) ? (uint8_t)form->levels : 0;
    for (int i = 0; i < ROWS; i++)
        ranges[2 * i + 1] = 1.0f;
    wf_int8_args a = {.q = q, .ranges = ranges, .w = panels, .ldc = COLUMNS, .groups = form->span, .m = ROWS, .n = COLUMNS};
    a.ahead = panels, a.form = form;
    a.c = expected;
    wf_kernels_ref.int8_block(&a);
    const float all = (float)(form->four * form->levels * K / 4);
    assert_true(expected[0] == all && expected[1] == -all);
    a.c = actual;
    k->int8_block(&a);
    assert_memory_equal(actual, expected, sizeof expected);
}

static void test_int8_extremes(void **state) {
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        check_int8_extremes(&k);
    }
}

/* The bytes of a span keep to what kernels may count on, and make its weights again within half a step. */
static void check_int8_pack(const wf_int8_form *form, int kind) {
    enum { KINDS = 6, MOST = WF_INT8_MOST_SPAN * WF_INT8_GROUP, HEAD = MOST * sizeof(float) };
    static uint8_t packed[HEAD + (MOST + 8) * WF_INT8_PANEL] __attribute__((aligned(64)));
    const int K = form->span * WF_INT8_GROUP;
    float w[MOST], turned[MOST], scale;
    for (int p = 0; p < K; p++) {
        float r = wf_rng_uniform(wf_rng_make(7, 0, 0), (uint64_t)(kind * K + p)) - 0.5f;
        const float values[KINDS] = {r,         p == kind % K ? 1.0f : 0.0f, 1.0f, p % 2 ? 3.0f : -3.0f,
                                     r * r * r, r < 0.4f ? 1e-3f * r : r};
        w[p] = values[kind % KINDS];
    }
    wf_int8_pack(form, packed, w, 1, K, NULL);
    const float *balance = (const float *)(const void *)packed;
    const uint8_t *block = packed + wf_int8_head(K), *behind = block + K * WF_INT8_PANEL + WF_INT8_PANEL * sizeof(float);
    memcpy(&scale, block + K * WF_INT8_PANEL, sizeof scale);
    for (int p = 0; p < K; p++)
        turned[p] = w[p] / balance[p] / WF_INT8_GROUP;
    for (int g = 0; g < form->span; g++)
        wf_int8_rotate(turned + g * WF_INT8_GROUP, 1);
    int above[MOST / 4] = {0}, below[MOST / 4] = {0};
    int32_t sum = 0, first;
    for (int p = 0; p < K; p++) {
        int q = (int8_t)block[p / 4 * WF_INT8_PANEL * 4 + p % 4], four = p / 8 * 2 + p / 2 % 2;
        above[four] += q > 0 ? q : 0;
        below[four] += q < 0 ? q : 0;
        sum += q;
        assert_true(abs(q) <= 127 && above[four] <= form->four && below[four] >= -form->four);
        assert_true(fabsf((float)q * scale - turned[p]) <= 0.501f * scale);
    }
    float scaled;
    memcpy(&first, behind, sizeof first);
    memcpy(&scaled, behind, sizeof scaled);
    assert_true(form->centred ? first == -form->levels / 2 * sum : scaled == scale * (float)sum);
}

static void test_int8_pack(void **state) {
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        for (int kind = 0; kind < 300; kind++)
            check_int8_pack(k.int8_form(), kind);
    }
}

/* Where relative precision is promised: near zero, and in the tails; of the values and of the slopes. */
static void test_relative_precision(void **state) {
    enum { VALUE, SLOPE };
    static const struct {
        wf_activation kind;
        int slope;
        float from, to;
        double tolerance;
    } ranges[] = {
        {WF_TANH, VALUE, 1e-30f, 10, 3e-7},      {WF_TANH, VALUE, -10, -1e-30f, 3e-7},  {WF_TANH, VALUE, 1e-9f, 1e-3f, 3e-7},
        {WF_TANH, SLOPE, -9, 9, 4e-7},           {WF_SOFTPLUS, VALUE, -80, 30, 5e-7},   {WF_SOFTPLUS, SLOPE, -80, 19, 3e-7},
        {WF_SIGMOID, VALUE, -80, 80, 4e-7},      {WF_SIGMOID, SLOPE, -80, 80, 4e-7},    {WF_EXP, VALUE, -87, 88, 2e-7},
        {WF_EXP, SLOPE, -87, 88, 2e-7},          {WF_ELU1, VALUE, -80, 5, 2e-7},        {WF_ELU1, SLOPE, -80, 5, 2e-7},
        {WF_SILU, VALUE, -80, 80, 4e-7},         {WF_SILU, VALUE, -1e-3f, 1e-3f, 3e-7}, {WF_SILU, SLOPE, -80, -3, 6e-7},
        {WF_SILU, SLOPE, -0.5f, 80, 4e-7},       {WF_QUICK_GELU, VALUE, -8, 40, 1e-6},  {WF_QUICK_GELU, VALUE, -0.5f, 40, 3e-7},
        {WF_QUICK_GELU, SLOPE, -0.4f, 40, 4e-7}, {WF_GELU, VALUE, -5, 10, 8e-6},        {WF_GELU, VALUE, -1, 10, 4e-7},
        {WF_GELU, VALUE, -0.5f, 0.5f, 3e-7},     {WF_GELU, SLOPE, -5, -1.5f, 1.2e-6},   {WF_GELU, SLOPE, -0.4f, 10, 4e-7},
        {WF_GELU_TANH, VALUE, -3, 10, 1.2e-6},   {WF_GELU_TANH, VALUE, -1, 10, 4e-7},   {WF_GELU_TANH, SLOPE, -0.4f, 10, 4e-7}};
    float ones[1000];
    for (int i = 0; i < 1000; i++)
        ones[i] = 1.0f;
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
            float x[1000], expected[1000], actual[1000];
            int kind = (int)ranges[r].kind;
            for (int i = 0; i < 1000; i++)
                x[i] = ranges[r].from + (ranges[r].to - ranges[r].from) * (float)i / 999.0f;
            if (ranges[r].slope == SLOPE) {
                wf_kernels_ref.activate_back(kind, expected, x, ones, 1000);
                k.activate_back(kind, actual, x, ones, 1000);
            } else {
                wf_kernels_ref.activate(kind, expected, x, 1000);
                k.activate(kind, actual, x, 1000);
            }
            for (int i = 0; i < 1000; i++)
                if (fabs((double)actual[i] - expected[i]) > ranges[r].tolerance * fabs((double)expected[i]))
                    fail_msg("%s%s on %s at %.9g: %.9g, expected %.9g", ranges[r].slope == SLOPE ? "slope of " : "",
                             wf_activation_names[kind], k.isa, x[i], actual[i], expected[i]);
        }
    }
}

/* NaN must never be lost: a diverged run has to show. */
static void test_nan_stays(void **state) {
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        for (int kind = 0; kind < WF_ACTIVATION_COUNT; kind++) {
            float x[19], y[19];
            poison(x, 19);
            k.activate(kind, y, x, 19);
            wf_kernels_ref.activate(kind, x, x, 19);
            for (int i = 0; i < 19; i++)
                assert_true(y[i] != y[i] && x[i] != x[i]);
        }
        float row[40], all[40];
        poison(all, 40);
        for (int i = 0; i < 40; i++)
            row[i] = i == 17 ? NAN : (float)i;
        assert_true(isnan(k.log_sum_exp(row, 40)) && isnan(wf_kernels_ref.log_sum_exp(row, 40)));
        assert_true(isnan(k.log_sum_exp(all, 40)) && isnan(wf_kernels_ref.log_sum_exp(all, 40)));
        assert_true(isnan(k.cross_entropy(row, 3, 0, 1, 40)));
        k.softmax(row, all, 40);
        assert_true(isnan(row[0]) && isnan(row[39]));
        for (int i = 0; i < 40; i++)
            all[i] = -INFINITY;
        assert_true(k.log_sum_exp(all, 40) == -INFINITY && wf_kernels_ref.log_sum_exp(all, 40) == -INFINITY);
        k.softmax(row, all, 40);
        assert_true(row[0] == 0 && row[39] == 0);
    }
}

/* ---- gradients of the plain forms ---- */

enum { G = 11, GT = 5, GW = 4 }; /* lanes; rows and taps of the convolution */

/* A function of parameter arrays, and its gradient by the kernel under test. */
typedef struct gradient_case {
    const char *name;
    double (*loss)(float *const p[5], int variant); /* sum of outputs times p[4] */
    void (*back)(float *const p[5], float *const d[4], int variant);
    int sizes[4]; /* of the parameters, 0 ends */
    int variants;
} gradient_case;

static double weigh(const float *y, const float *dy, int n) { return wf_kernels_ref.dot(y, dy, n); }

static double loss_activate(float *const p[5], int v) {
    float y[G];
    wf_kernels_ref.activate(v, y, p[0], G);
    return weigh(y, p[4], G);
}
static void back_activate(float *const p[5], float *const d[4], int v) { wf_kernels_ref.activate_back(v, d[0], p[0], p[4], G); }
static double loss_rms(float *const p[5], int v) {
    float y[G];
    wf_kernels_ref.rms_norm(y, p[0], p[1], 1, 1e-3f, G);
    return weigh(y, p[4], G);
}
static void back_rms(float *const p[5], float *const d[4], int v) {
    float y[G], rstd = wf_kernels_ref.rms_norm(y, p[0], p[1], 1, 1e-3f, G);
    wf_kernels_ref.rms_norm_back(d[0], d[1], p[0], p[4], p[1], 1, rstd, G);
}
static double loss_layer(float *const p[5], int v) {
    float y[G], mean;
    wf_kernels_ref.layer_norm(y, &mean, p[0], p[1], p[2], 0, 1e-3f, G);
    return weigh(y, p[4], G);
}
static void back_layer(float *const p[5], float *const d[4], int v) {
    float y[G], mean, rstd = wf_kernels_ref.layer_norm(y, &mean, p[0], p[1], p[2], 0, 1e-3f, G);
    wf_kernels_ref.layer_norm_back(d[0], d[1], d[2], p[0], p[4], p[1], 0, mean, rstd, G);
}
static double loss_entropy(float *const p[5], int v) { return 3 * wf_kernels_ref.cross_entropy(p[0], 4, v ? 0.2f : 0, 0, G); }
static void back_entropy(float *const p[5], float *const d[4], int v) {
    memcpy(d[0], p[0], G * sizeof(float));
    wf_kernels_ref.cross_entropy(d[0], 4, v ? 0.2f : 0, 3, G);
}
static double loss_rotate(float *const p[5], int v) {
    float y[G];
    wf_kernels_ref.rotate(y, p[0], p[4], p[4] + 5, 4, G, v, 1);
    return weigh(y, p[4], G);
}
static void back_rotate(float *const p[5], float *const d[4], int v) {
    wf_kernels_ref.rotate(d[0], p[4], p[4], p[4] + 5, 4, G, v, -1);
}
static double loss_conv(float *const p[5], int v) {
    float y[G * GT];
    wf_kernels_ref.conv(y, p[0], p[1], p[2], p[3], GT, G, GW, 0, G);
    return weigh(y, p[4], G * GT);
}
static void back_conv(float *const p[5], float *const d[4], int v) {
    wf_kernels_ref.conv_back(d[0], d[1], d[2], d[3], p[0], p[4], p[1], p[3], GT, G, GW, 0, G);
}
static double loss_lstm(float *const p[5], int v) {
    float h[G], c[G], gates[4 * G];
    wf_kernels_ref.lstm_cell(h, c, gates, p[0], p[1], G);
    return weigh(h, p[4], G) + weigh(c, p[4] + G, G);
}
static void back_lstm(float *const p[5], float *const d[4], int v) {
    float h[G], c[G], gates[4 * G];
    wf_kernels_ref.lstm_cell(h, c, gates, p[0], p[1], G);
    wf_kernels_ref.lstm_cell_back(d[0], d[1], p[4], p[4] + G, gates, c, p[1], G);
}

static const gradient_case gradients[] = {
    {"activate", loss_activate, back_activate, {G}, WF_ACTIVATION_COUNT},
    {"rms_norm", loss_rms, back_rms, {G, G}, 1},
    {"layer_norm", loss_layer, back_layer, {G, G, G}, 1},
    {"cross_entropy", loss_entropy, back_entropy, {G}, 2},
    {"rotate", loss_rotate, back_rotate, {G}, 2},
    {"conv", loss_conv, back_conv, {G * GT, G *GW, G, G *(GW - 1)}, 1},
    {"lstm_cell", loss_lstm, back_lstm, {4 * G, G}, 1},
};

static void check_gradient(const gradient_case *c, int variant) {
    enum { ROOM = G * GT };
    float p[5][ROOM], d[4][ROOM];
    float *params[5], *grads[4];
    for (int a = 0; a < 5; a++) {
        params[a] = p[a];
        for (uint64_t i = 0; i < ROOM; i++) {
            float u = 2 * wf_rng_uniform(wf_rng_make(5, (uint32_t)a, 1), i) - 1;
            p[a][i] = u + (u < 0 ? -0.05f : 0.05f); /* away from the kink of relu */
        }
    }
    memset(d, 0, sizeof d);
    for (int a = 0; a < 4; a++)
        grads[a] = d[a];
    c->back(params, grads, variant);
    for (int a = 0; a < 4 && c->sizes[a]; a++)
        for (int i = 0; i < c->sizes[a]; i++) {
            const float h = 1.0f / 64, x = p[a][i];
            p[a][i] = x + h;
            double up = c->loss(params, variant);
            p[a][i] = x - h;
            double down = c->loss(params, variant), slope = (up - down) / (2 * (double)h);
            p[a][i] = x;
            if (fabs(slope - d[a][i]) > 3e-3)
                fail_msg("%s, variant %d: gradient %d[%d] is %.6g, difference quotient %.6g", c->name, variant, a, i, d[a][i],
                         slope);
        }
}

static void test_gradients(void **state) {
    for (size_t c = 0; c < sizeof gradients / sizeof *gradients; c++)
        for (int v = 0; v < gradients[c].variants; v++)
            check_gradient(&gradients[c], v);
}

/* ---- names and types ---- */

static void test_names(void **state) {
    for (int i = 0; i < WF_ACTIVATION_COUNT; i++)
        assert_int_equal(wf_activation_by_name(wf_activation_names[i]), i);
    assert_int_equal(wf_activation_by_name("gelu_new"), WF_GELU_TANH);
    assert_int_equal(wf_activation_by_name("gelu_pytorch_tanh"), WF_GELU_TANH);
    assert_int_equal(wf_activation_by_name("swish"), WF_SILU);
    assert_int_equal(wf_activation_by_name("prelu"), -1);
    for (int i = 0; i < WF_DTYPE_COUNT; i++)
        assert_int_equal(wf_dtype_by_safetensors(wf_dtypes[i].safetensors), i);
    assert_int_equal(wf_dtype_by_safetensors("F8"), -1);
}

static void test_masks(void **state) {
    wf_kernels k;
    weft_error err;
    assert_int_equal(wf_kernels_choose("baseline", &k, &err), WEFT_OK);
    assert_string_equal(k.isa, "baseline");
    assert_int_equal(wf_kernels_choose("avx1024", &k, &err), WEFT_USAGE);
    assert_int_equal(wf_kernels_choose("quantum", &k, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "baseline"));
}

static void test_half_precision(void **state) {
    for (uint32_t bits = 0; bits < 65536; bits++) { /* every fp16 value goes to fp32 and back */
        uint16_t h = (uint16_t)bits, back;
        float f;
        wf_dtypes[WF_F16].to_f32(&f, &h, 1);
        wf_dtypes[WF_F16].from_f32(&back, &f, 1);
        if (f == f)
            assert_int_equal(back, h);
        else
            assert_true((back & 0x7fffu) > 0x7c00u);
    }
    static const struct {
        float f;
        uint16_t h;
    } rounded[] = {{1.0f + 0x1p-11f, 0x3c00},    {1.0f + 0x1.8p-10f, 0x3c02},
                   {65519.0f, 0x7bff},           {65520.0f, 0x7c00},
                   {-INFINITY, 0xfc00},          {0x1p-25f, 0x0000},
                   {0x1.8p-25f, 0x0001},         {0x1p-26f, 0},
                   {1023.5f * 0x1p-24f, 0x0400}, {1e30f, 0x7c00}};
    for (size_t i = 0; i < sizeof rounded / sizeof *rounded; i++) {
        uint16_t h;
        wf_dtypes[WF_F16].from_f32(&h, &rounded[i].f, 1);
        assert_int_equal(h, rounded[i].h);
    }
}

/* ---- speed ---- */

static double time_case(const kernel_case *c, const wf_kernels *k, const work *w) {
    double best = 1e9, stop = check_seconds() + 0.05;
    int64_t repeat = 1 + 20000 / w->n;
    while (check_seconds() < stop) {
        double start = check_seconds();
        for (int64_t r = 0; r < repeat; r++)
            c->run(k, w);
        double each = (check_seconds() - start) / (double)repeat;
        best = each < best ? each : best;
    }
    return best * 1e9 / (double)w->n;
}

static int bench(const char *only) {
    bench_memory m;
    memory_open(&m);
    printf("ns per element (the work of the case included, e.g. copying its inputs), best of many\n%-16s %8s", "kernel", "n");
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++)
        printf(" %12s", *isa);
    printf("\n");
    for (int c = 0; c < CASES; c++)
        for (int64_t v = 0; v < (strncmp(cases[c].name, "activate", 8) == 0 ? cases[c].variants : 1); v++)
            for (int64_t n = 768; n <= LARGEST && (!only || strstr(cases[c].name, only)); n = n < 50304 ? 50304 : n * 2) {
                printf("%-16s %8lld", v ? wf_activation_names[v] : cases[c].name, (long long)n);
                work w = work_of(&m, m.actual, n, v);
                for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
                    wf_kernels k = check_forms(*isa);
                    w.int8 = k.int8_form();
                    printf(" %12.4f", time_case(&cases[c], &k, &w));
                }
                printf("\n");
            }
    memory_close(&m);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench(argc > 2 ? argv[2] : NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms_agree),   cmocka_unit_test(test_int8_extremes),
                                       cmocka_unit_test(test_int8_pack),     cmocka_unit_test(test_relative_precision),
                                       cmocka_unit_test(test_nan_stays),     cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_names),         cmocka_unit_test(test_masks),
                                       cmocka_unit_test(test_half_precision)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
