/* ops_test.c - every op: gradients against finite differences along random directions, fp32 against bf16, the same bits for 1
 * to 8 threads, checkpoint regions against plain recording. The cases are the tables of tests/ops/; an op without one fails. */
#include <math.h>
#include <stdio.h>
#include "ops/cases.h"
#include "tensor/ops_table.h"

static const op_case *const groups[] = {wf_op_cases_rows, wf_op_cases_recurrent, wf_op_cases_attention, NULL};

/* Ops whose tests stand beside their kernels or with the states they write. */
static const char *const elsewhere[] = {"cast",         "cache_append", "store_state", "begin_state",
                                        "history_conv", "straighten",   NULL};

static void fill(wf_tensor *x, uint32_t stream) {
    wf_rng rng = wf_rng_make(7, stream, 0);
    if (x->type == WF_F32)
        for (int64_t i = 0; i < x->count; i++)
            ((float *)x->data)[i] = x->count == 1 ? 0.125f : 2.0f * wf_rng_uniform(rng, (uint64_t)i) - 1.0f;
    if (x->type == WF_I32)
        for (int64_t i = 0; i < x->count; i++)
            ((int32_t *)x->data)[i] = i == 4 ? -100 : (int32_t)wf_rng_below(rng, (uint64_t)i, 7);
    if (x->type == WF_U8)
        for (int64_t i = 0; i < x->count; i++)
            ((uint8_t *)x->data)[i] = i % 3 != 1;
}

static void begin(fixture *f, int threads, wf_dtype type) {
    weft_error err = {0};
    *f = (fixture){.env = {.mem = wf_mem_default, .kernels = &f->kernels}};
    assert_int_equal(wf_kernels_choose(NULL, &f->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&f->env.mem, threads, &f->env.pool, &err), WEFT_OK);
    assert_int_equal(wf_tape_create(&f->env, &(wf_tape_options){.type = type, .grad = true}, &f->tape, &err), WEFT_OK);
}

static void build(fixture *f, const op_case *c, bool region) {
    weft_error err = {0};
    if (region)
        wf_region_begin(f->tape);
    f->y = c->build(f);
    if (region)
        wf_region_end(f->tape);
    if (f->y && f->y->count == 1) {
        wf_root(f->tape, f->y);
    } else if (f->y) {
        f->probe = wf_input(f->tape, "probe", WF_F32, f->y->rank, f->y->dims);
        wf_root_seeded(f->tape, f->y, f->probe);
    }
    if (wf_tape_plan(f->tape, &err) != WEFT_OK)
        fail_msg("%s: %s", c->op, err.message);
    uint32_t stream = 0;
    for (size_t i = 0; i < f->tape->tensors.count; i++) {
        wf_tensor *x = f->tape->tensors.items[i];
        if (x->kind == WF_INPUT)
            fill(x, stream++);
    }
}

static void end(fixture *f) {
    wf_tape_free(f->tape);
    wf_pool_free(f->env.pool);
}

static double value(fixture *f) {
    const wf_runtime rt = {.seed = 3, .training = true, .loss_scale = 1.0f};
    float tmp[4096];
    double sum = 0.0;
    assert_int_equal(wf_tape_forward(f->tape, &rt, NULL), WEFT_OK);
    for (int64_t i = 0; i < f->y->count; i += 4096) {
        int64_t n = f->y->count - i < 4096 ? f->y->count - i : 4096;
        wf_worker w = {.k = &f->kernels};
        const float *y = wf_load(&w, f->y->data, f->y->type, i, n, tmp);
        for (int64_t j = 0; j < n; j++)
            sum += (double)y[j] * (f->probe ? (double)((const float *)f->probe->data)[i + j] : 1.0);
    }
    return sum;
}

static void gradients(fixture *f) {
    const wf_runtime rt = {.seed = 3, .training = true, .loss_scale = 1.0f};
    assert_int_equal(wf_tape_forward(f->tape, &rt, NULL), WEFT_OK);
    assert_int_equal(wf_tape_backward(f->tape, &rt, NULL), WEFT_OK);
}

static void shift(wf_tensor *x, uint32_t stream, float by) {
    wf_rng rng = wf_rng_make(99, stream, 1);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] += by * (2.0f * wf_rng_uniform(rng, (uint64_t)i) - 1.0f);
}

static void check_leaf(fixture *f, const op_case *c, int which) {
    wf_tensor *x = f->leaf[which];
    const float step = 1.0f / 256.0f;
    wf_rng rng = wf_rng_make(99, (uint32_t)which, 1);
    double slope = 0.0, scale = 0.0;
    gradients(f);
    for (int64_t i = 0; i < x->count; i++) {
        double g = (double)((const float *)x->grad)[i], d = 2.0 * (double)wf_rng_uniform(rng, (uint64_t)i) - 1.0;
        slope += g * d;
        scale += g * g;
    }
    shift(x, (uint32_t)which, step);
    double up = value(f);
    shift(x, (uint32_t)which, -2.0f * step);
    double down = value(f), numeric = (up - down) / (2.0 * (double)step);
    shift(x, (uint32_t)which, step);
    if (!(fabs(slope - numeric) <= c->tolerance * (sqrt(scale) + 1e-3)))
        fail_msg("%s: gradient %d is %.7g along a direction where differences say %.7g (scale %.3g)", c->op, which, slope,
                 numeric, sqrt(scale));
}

static void test_gradients(void **state) {
    (void)state;
    for (const op_case *const *group = groups; *group; group++)
        for (const op_case *c = *group; c->op; c++) {
            fixture f;
            begin(&f, 2, WF_F32);
            build(&f, c, false);
            for (int j = 0; j < f.leaves; j++)
                check_leaf(&f, c, j);
            end(&f);
        }
}

static float *copy_gradients(fixture *f, int64_t *n) {
    *n = f->y->count;
    for (int i = 0; i < f->leaves; i++)
        *n += f->leaf[i]->count;
    float *all = calloc((size_t)*n, sizeof *all), *at = all;
    wf_worker w = {.k = &f->kernels};
    const float *y = wf_load(&w, f->y->data, f->y->type, 0, f->y->count, at);
    if (y != at)
        memcpy(at, y, (size_t)f->y->count * sizeof *at);
    at += f->y->count;
    for (int i = 0; i < f->leaves; at += f->leaf[i]->count, i++)
        memcpy(at, f->leaf[i]->grad, (size_t)f->leaf[i]->count * sizeof *at);
    return all;
}

static void compare(const op_case *c, int threads, wf_dtype type, bool region) {
    fixture a, b;
    int64_t n, m;
    begin(&a, 1, type);
    build(&a, c, false);
    gradients(&a);
    begin(&b, threads, type);
    build(&b, c, region);
    gradients(&b);
    float *x = copy_gradients(&a, &n), *y = copy_gradients(&b, &m);
    assert_int_equal(n, m);
    if (memcmp(x, y, (size_t)n * sizeof *x) != 0)
        fail_msg("%s: other bits with %d threads%s", c->op, threads, region ? " in a region" : "");
    free(x);
    free(y);
    end(&a);
    end(&b);
}

static void test_same_bits(void **state) {
    (void)state;
    for (const op_case *const *group = groups; *group; group++)
        for (const op_case *c = *group; c->op; c++)
            for (int type = 0; type < 2; type++) {
                compare(c, 2, type ? WF_BF16 : WF_F32, false);
                compare(c, 3, type ? WF_BF16 : WF_F32, true);
                compare(c, 8, type ? WF_BF16 : WF_F32, false);
            }
}

static wf_tensor *cast_case(fixture *f) { return wf_cast(f->tape, wf_cast(f->tape, leaf2(f, 3, 9), WF_BF16), WF_F32); }

/* Rounding has no slope that differences could see: value and gradient must be the rounded ones. */
static void test_cast(void **state) {
    const op_case c = {"cast", cast_case, 0};
    fixture f;
    (void)state;
    begin(&f, 2, WF_F32);
    build(&f, &c, false);
    gradients(&f);
    for (int64_t i = 0; i < f.y->count; i++) {
        float x = ((const float *)f.leaf[0]->data)[i], dy = ((const float *)f.probe->data)[i];
        assert_true(((const float *)f.y->data)[i] == wf_bf16_to_f32(wf_f32_to_bf16(x)));
        assert_true(((const float *)f.leaf[0]->grad)[i] == wf_bf16_to_f32(wf_f32_to_bf16(dy)));
    }
    end(&f);
}

static void test_every_op_has_a_case(void **state) {
    (void)state;
    for (const wf_op *const *op = wf_ops; *op; op++) {
        bool found = false;
        for (const op_case *const *group = groups; *group; group++)
            for (const op_case *c = *group; c->op; c++)
                found |= strcmp(c->op, (*op)->name) == 0;
        for (const char *const *name = elsewhere; *name; name++)
            found |= strcmp(*name, (*op)->name) == 0;
        if (!found)
            fail_msg("op '%s' has no case", (*op)->name);
    }
}

/* ---- parameters that lie turned ---- */
enum { TALL = 9, DEEP = 37, BESIDE = 5 }; /* a matrix [TALL, DEEP] as columns BESIDE.. of a wider one */

typedef wf_tensor *(*turned_case)(wf_tape *t, wf_tensor *x, wf_tensor *w);
static wf_tensor *turned_linear(wf_tape *t, wf_tensor *x, wf_tensor *w) { return wf_linear(t, x, w, NULL); }
static wf_tensor *turned_rows(wf_tape *t, wf_tensor *x, wf_tensor *w) { return wf_linear(t, x, wf_rows(t, w, 2, 6), NULL); }
static wf_tensor *turned_shape(wf_tape *t, wf_tensor *x, wf_tensor *w) { /* no rows of it: put in order */
    return wf_linear(t, x, wf_reshape(t, wf_rows(t, wf_reshape(t, w, 1, &w->count), 3, 4 * DEEP), 2, (int64_t[]){4, DEEP}),
                     NULL);
}
static wf_tensor *turned_other(wf_tape *t, wf_tensor *x, wf_tensor *w) {
    return wf_linear(t, x, wf_mul(t, w, wf_affine(t, w, 0.5f, 1.0f)), NULL);
}

typedef struct turned_run {
    float y[33 * TALL], dx[33 * DEEP];
} turned_run;

static void run_turned(turned_case make, wf_param *p, wf_dtype type, bool grad, int64_t rows, turned_run *out) {
    fixture f;
    const wf_runtime rt = {.loss_scale = 1.0f};
    begin(&f, 2, type);
    wf_tape_free(f.tape);
    assert_int_equal(wf_tape_create(&f.env, &(wf_tape_options){.type = type, .grad = grad}, &f.tape, NULL), WEFT_OK);
    wf_tensor *x = wf_input_grad(f.tape, "x", 2, (int64_t[]){rows, DEEP}), *y = make(f.tape, x, wf_use(f.tape, p));
    wf_tensor *seed = wf_input(f.tape, "dy", WF_F32, 2, y->dims);
    wf_root_seeded(f.tape, y, seed);
    assert_int_equal(wf_tape_plan(f.tape, NULL), WEFT_OK);
    fill(x, 1);
    fill(seed, 2);
    assert_int_equal(wf_tape_forward(f.tape, &rt, NULL), WEFT_OK);
    memset(out, 0, sizeof *out);
    const wf_worker w = {.k = &f.kernels};
    memmove(out->y, wf_load(&w, y->data, y->type, 0, y->count, out->y), (size_t)y->count * sizeof(float));
    if (grad) {
        assert_int_equal(wf_tape_backward(f.tape, &rt, NULL), WEFT_OK);
        memcpy(out->dx, x->grad, (size_t)x->count * sizeof(float));
    }
    end(&f);
}

static void compare_turned(turned_case make, wf_param *straight, wf_param *turned, int how) {
    turned_run a, b;
    wf_dtype type = how & 1 ? WF_BF16 : WF_F32;
    run_turned(make, straight, type, how & 2, how & 4 ? 33 : 3, &a);
    run_turned(make, turned, type, how & 2, how & 4 ? 33 : 3, &b);
    for (size_t i = 0; i < sizeof a.y / sizeof *a.y; i++)
        assert_true(fabsf(a.y[i] - b.y[i]) <= 2e-6f * DEEP);
    for (size_t i = 0; i < sizeof a.dx / sizeof *a.dx; i++)
        assert_true(fabsf(a.dx[i] - b.dx[i]) <= 2e-6f * DEEP);
}

/* Values, gradients and copies are those of the matrix in order, whatever uses it. */
static void test_turned(void **state) {
    static const turned_case cases[] = {turned_linear, turned_rows, turned_shape, turned_other};
    float lies[DEEP * (TALL + BESIDE + 2)], back[TALL * DEEP];
    const int64_t width = TALL + BESIDE + 2;
    wf_param *straight, *turned;
    fixture f;
    (void)state;
    begin(&f, 1, WF_F32);
    wf_params_open(&f.params, &f.env);
    assert_int_equal(wf_param_add(&f.params, "straight", 2, (int64_t[]){TALL, DEEP}, &straight, NULL), WEFT_OK);
    assert_int_equal(wf_param_add(&f.params, "turned", 2, (int64_t[]){TALL, DEEP}, &turned, NULL), WEFT_OK);
    turned->value = lies + BESIDE;
    turned->turned = width;
    assert_int_equal(wf_params_allocate(&f.params, NULL), WEFT_OK);
    for (int64_t i = 0; i < DEEP * width; i++)
        lies[i] = (float)((i * 7919) % 101) * 0.01f - 0.5f;
    for (int64_t i = 0; i < TALL * DEEP; i++)
        straight->value[i] = turned->value[i % DEEP * width + i / DEEP];
    assert_int_equal(wf_params_allocate_bf16(&f.params, NULL), WEFT_OK);
    assert_memory_equal(straight->bf16, turned->bf16, sizeof(uint16_t) * TALL * DEEP);
    assert_memory_equal(wf_param_values(&f.params, turned, 2 * DEEP, 3 * DEEP, back), straight->value + 2 * DEEP,
                        sizeof(float) * 3 * DEEP);
    assert_ptr_equal(wf_param_values(&f.params, straight, 2 * DEEP, 3 * DEEP, back), straight->value + 2 * DEEP);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int how = 0; how < 8; how++)
            compare_turned(cases[i], straight, turned, how);
    wf_params_close(&f.params);
    end(&f);
}

/* ---- strips of rows ---- */
enum { LONG = 211, SHORT = 30, DEPTH_IN = 70, DEPTH_OUT = 45, BELOW = 64 };

/* y = norm(x + down(gelu(up(x) + beside(x)))) of these rows, on a tape without gradients; `up` and `beside` are rows of one
 * matrix. */
static void run_rows(wf_env *env, wf_param *const *p, wf_dtype type, const float *x, int64_t rows, float *y) {
    const wf_runtime rt = {.loss_scale = 1.0f};
    weft_error err = {0};
    wf_tape *t;
    assert_int_equal(wf_tape_create(env, &(wf_tape_options){.type = type}, &t, &err), WEFT_OK);
    wf_tensor *in = wf_input(t, "x", WF_F32, 2, (int64_t[]){rows, DEPTH_IN}), *w = wf_use(t, p[0]);
    wf_tensor *a = wf_linear(t, in, wf_rows(t, w, 0, DEPTH_OUT), wf_use(t, p[2]));
    wf_tensor *b = wf_linear(t, in, wf_rows(t, w, BELOW, DEPTH_OUT), NULL);
    wf_tensor *out = wf_linear(t, wf_activate(t, wf_add(t, a, b), WF_GELU), wf_use(t, p[1]), NULL);
    out = wf_cast(t, wf_layer_norm(t, wf_add_scaled(t, in, out, 0.5f), NULL, NULL, 0.0f, 1e-5f), WF_F32);
    wf_keep(t, out);
    assert_int_equal(wf_tape_plan(t, &err), WEFT_OK);
    memcpy(in->data, x, sizeof(float) * (size_t)(rows * DEPTH_IN));
    assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
    memcpy(y, out->data, sizeof(float) * (size_t)(rows * DEPTH_IN));
    wf_tape_free(t);
}

/* Many rows go strip by strip through all nodes, few rows node by node: the same bits, for any number of threads, and near what
 * matrices give that are not packed. */
static void test_strips(void **state) {
    static const struct {
        wf_dtype type;
        weft_status (*pack)(wf_params *params, weft_error *err);
        float near;
    } ways[] = {{WF_F32, wf_params_allocate_panels, 1e-5f},
                {WF_F32, wf_params_allocate_int8, 0.03f},
                {WF_BF16, wf_params_allocate_panels, 0.03f}};
    static float x[LONG * DEPTH_IN], apart[LONG * DEPTH_IN], many[LONG * DEPTH_IN], few[LONG * DEPTH_IN];
    (void)state;
    for (int i = 0; i < LONG * DEPTH_IN; i++)
        x[i] = (float)(i * 31 % 97) * 0.02f - 1.0f;
    for (int how = 0; how < 9; how++) {
        const wf_dtype type = ways[how / 3].type;
        fixture f;
        wf_params params;
        wf_param *p[3];
        begin(&f, 1 + how % 3, WF_F32);
        wf_params_open(&params, &f.env);
        assert_int_equal(wf_param_add(&params, "up", 2, (int64_t[]){BELOW + DEPTH_OUT, DEPTH_IN}, &p[0], NULL), WEFT_OK);
        assert_int_equal(wf_param_add(&params, "down", 2, (int64_t[]){DEPTH_IN, DEPTH_OUT}, &p[1], NULL), WEFT_OK);
        assert_int_equal(wf_param_add(&params, "bias", 1, (int64_t[]){DEPTH_OUT}, &p[2], NULL), WEFT_OK);
        assert_int_equal(wf_params_allocate(&params, NULL), WEFT_OK);
        for (int i = 0; i < 3; i++)
            for (int64_t j = 0; j < p[i]->count; j++)
                p[i]->value[j] = (float)((j * 7919 + i) % 101) * 0.004f - 0.2f;
        if (type == WF_BF16)
            assert_int_equal(wf_params_allocate_bf16(&params, NULL), WEFT_OK);
        run_rows(&f.env, p, type, x, LONG, apart);
        assert_int_equal(ways[how / 3].pack(&params, NULL), WEFT_OK);
        run_rows(&f.env, p, type, x, LONG, many);
        for (int64_t first = 0; first < LONG; first += SHORT)
            run_rows(&f.env, p, type, x + first * DEPTH_IN, LONG - first < SHORT ? LONG - first : SHORT,
                     few + first * DEPTH_IN);
        for (int i = 0; i < LONG * DEPTH_IN; i++)
            assert_true(fabsf(many[i] - apart[i]) <= ways[how / 3].near);
        assert_memory_equal(many, few, sizeof(float) * (size_t)(LONG / SHORT * SHORT) * DEPTH_IN);
        wf_params_close(&params);
        end(&f);
    }
}

/* ---- outputs that lie where an input did ---- */
enum { PROGRAM = 40, PROGRAM_ROWS = 200, PROGRAM_COLUMNS = 9, PROGRAM_SIZE = PROGRAM_ROWS * PROGRAM_COLUMNS };

/* Step n of a program drawn from `seed`: an op of one or two tensors made before. */
static wf_tensor *draw_step(wf_tape *t, wf_tensor **made, int n, uint32_t seed) {
    wf_rng rng = wf_rng_make(seed, 1, 0);
    uint64_t at = 3 * (uint64_t)n;
    wf_tensor *a = made[(int)(wf_rng_uniform(rng, at) * (float)(n + 1))],
              *b = made[(int)(wf_rng_uniform(rng, at + 1) * (float)(n + 1))];
    switch ((int)(wf_rng_uniform(rng, at + 2) * 8.0f)) {
    case 0:
        return wf_activate(t, a, WF_TANH);
    case 1:
        return wf_mul(t, wf_activate(t, a, WF_SIGMOID), b);
    case 2:
        return wf_rms_norm(t, a, NULL, 0.0f, 1e-5f);
    case 3:
        return wf_layer_norm(t, a, NULL, NULL, 0.0f, 1e-5f);
    case 4:
        return wf_affine(t, wf_reshape(t, a, 2, (int64_t[]){PROGRAM_ROWS, PROGRAM_COLUMNS}), 0.7f, 0.1f);
    case 5:
        return wf_add_scaled(t, a, b, -0.5f);
    default:
        return wf_add(t, a, b);
    }
}

/* Its last tensor and one in the middle into y; all kept: nothing lies where something did. Returns the bytes of temporaries.
 */
static size_t run_program(fixture *f, uint32_t seed, bool all_kept, float *y) {
    const wf_runtime rt = {.loss_scale = 1.0f};
    weft_error err = {0};
    wf_tape *t;
    wf_tensor *made[PROGRAM + 1];
    assert_int_equal(wf_tape_create(&f->env, &(wf_tape_options){.type = WF_F32}, &t, &err), WEFT_OK);
    made[0] = wf_input(t, "x", WF_F32, 2, (int64_t[]){PROGRAM_ROWS, PROGRAM_COLUMNS});
    for (int n = 0; n < PROGRAM; n++) {
        made[n + 1] = draw_step(t, made, n, seed);
        if (all_kept || n == PROGRAM / 2 || n == PROGRAM - 1)
            wf_keep(t, made[n + 1]);
    }
    assert_int_equal(wf_tape_plan(t, &err), WEFT_OK);
    for (int i = 0; i < PROGRAM_SIZE; i++)
        ((float *)made[0]->data)[i] = (float)(i * 31 % 97) * 0.02f - 1.0f;
    assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
    memcpy(y, made[PROGRAM / 2 + 1]->data, PROGRAM_SIZE * sizeof *y);
    memcpy(y + PROGRAM_SIZE, made[PROGRAM]->data, PROGRAM_SIZE * sizeof *y);
    size_t bytes = wf_tape_stats_of(t).arena_bytes;
    wf_tape_free(t);
    return bytes;
}

/* Matrices that read the same rows share the last one's balance, and give what each gives alone with it. */
static void test_together(void **state) {
    static float x[SHORT * DEPTH_IN], alone[SHORT * DEPTH_OUT], both[2][SHORT * DEPTH_OUT];
    (void)state;
    for (int i = 0; i < SHORT * DEPTH_IN; i++)
        x[i] = (float)(i * 31 % 97) * 0.02f - 1.0f;
    for (int linked = 0; linked < 2; linked++) {
        const wf_runtime rt = {.loss_scale = 1.0f};
        fixture f;
        wf_params params;
        wf_param *p[2];
        weft_error err = {0};
        wf_tape *t;
        begin(&f, 1, WF_F32);
        wf_params_open(&params, &f.env);
        for (int i = 0; i < 2; i++)
            assert_int_equal(wf_param_add(&params, i ? "v" : "q", 2, (int64_t[]){DEPTH_OUT, DEPTH_IN}, &p[i], NULL), WEFT_OK);
        assert_int_equal(wf_params_allocate(&params, NULL), WEFT_OK);
        for (int i = 0; i < 2; i++)
            for (int64_t j = 0; j < p[i]->count; j++)
                p[i]->value[j] = (float)((j * 7919 + i * 13) % 101) * 0.004f - 0.2f;
        p[0]->together = linked ? p[1] : NULL;
        assert_int_equal(wf_params_allocate_int8(&params, NULL), WEFT_OK);
        assert_true((p[0]->balance == p[1]->balance) == (linked == 1));
        assert_true(p[0]->int8 != p[1]->int8);
        assert_int_equal(wf_tape_create(&f.env, &(wf_tape_options){.type = WF_F32}, &t, &err), WEFT_OK);
        wf_tensor *in = wf_input(t, "x", WF_F32, 2, (int64_t[]){SHORT, DEPTH_IN}), *y[2];
        for (int i = 0; i < 2; i++)
            wf_keep(t, y[i] = wf_linear(t, in, wf_use(t, p[i]), NULL));
        assert_int_equal(wf_tape_plan(t, &err), WEFT_OK);
        memcpy(in->data, x, sizeof x);
        assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
        memcpy(both[linked], y[0]->data, sizeof both[linked]);
        if (linked)
            assert_memory_equal(alone, y[1]->data, sizeof alone); /* the last one's balance is its own */
        memcpy(alone, y[1]->data, sizeof alone);
        wf_tape_free(t);
        wf_params_close(&params);
        end(&f);
    }
    double difference = 0.0, size = 0.0;
    for (int i = 0; i < SHORT * DEPTH_OUT; i++) {
        difference += ((double)both[0][i] - both[1][i]) * ((double)both[0][i] - both[1][i]);
        size += (double)both[0][i] * both[0][i];
    }
    assert_true(difference < 4e-4 * size); /* both are within rounding of the product */
}

static void test_over(void **state) {
    static float apart[2 * PROGRAM_SIZE], shared[2 * PROGRAM_SIZE];
    (void)state;
    for (uint32_t seed = 0; seed < 60; seed++) {
        fixture f;
        begin(&f, 1 + (int)(seed % 3), WF_F32);
        size_t most = run_program(&f, seed, true, apart), least = run_program(&f, seed, false, shared);
        assert_memory_equal(apart, shared, sizeof apart);
        assert_true(least < most);
        end(&f);
    }
}

static wf_tensor *bad_linear(fixture *f) { return wf_linear(f->tape, leaf2(f, 3, 4), leaf2(f, 5, 6), NULL); }
static wf_tensor *bad_reshape(fixture *f) { return wf_reshape(f->tape, leaf2(f, 3, 4), 1, (int64_t[]){11}); }
static wf_tensor *bad_rows(fixture *f) { return wf_rows(f->tape, leaf2(f, 3, 4), 2, 2); }
static wf_tensor *bad_dropout(fixture *f) { return wf_dropout(f->tape, leaf2(f, 3, 4), 1.5f); }
static wf_tensor *bad_size(fixture *f) { return leaf2(f, INT64_MAX / 2, 3); }

/* ---- the rows of tokens, and those behind them ---- */
static void test_token_rows(void **state) {
    static const int32_t ids[] = {5, 0, 5, 0, 0, 0, 0, 5};
    static const uint8_t others[][8] = {{1, 0, 1, 0, 0, 0, 0, 1}, {0, 1, 0, 1, 0, 0, 0, 1}, {0, 0, 1, 1, 0, 0, 0, 1}};
    for (int64_t later = 0; later < 3; later++) {
        fixture f;
        weft_error err = {0};
        begin(&f, 1, WF_F32);
        wf_tensor *in = wf_input(f.tape, "ids", WF_I32, 2, (int64_t[]){2, 4});
        wf_tensor *rows = wf_token_rows(f.tape, in, 0, true, later), *fives = wf_token_rows(f.tape, in, 5, false, later);
        wf_keep(f.tape, rows);
        wf_keep(f.tape, fives);
        assert_int_equal(wf_tape_plan(f.tape, &err), WEFT_OK);
        memcpy(in->data, ids, sizeof ids);
        assert_int_equal(wf_tape_forward(f.tape, &(wf_runtime){.seed = 3}, &err), WEFT_OK);
        assert_memory_equal(rows->data, others[later], sizeof others[0]);
        assert_memory_equal(fives->data, others[later], sizeof others[0]);
        end(&f);
    }
}

static void test_errors(void **state) {
    wf_tensor *(*const bad[])(fixture *) = {bad_linear, bad_reshape, bad_rows, bad_dropout, bad_size};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture f;
        weft_error err = {0};
        begin(&f, 1, WF_F32);
        assert_null(bad[i](&f));
        assert_int_not_equal(wf_tape_plan(f.tape, &err), WEFT_OK);
        assert_true(err.message[0] != 0);
        end(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients),  cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_cast),       cmocka_unit_test(test_every_op_has_a_case),
                                       cmocka_unit_test(test_turned),     cmocka_unit_test(test_strips),
                                       cmocka_unit_test(test_token_rows), cmocka_unit_test(test_over),
                                       cmocka_unit_test(test_together),   cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
