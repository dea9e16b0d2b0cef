/* Loops over the table of optimizers: the same bits for any number of threads and after a resume, states, options, memory. The
 * rules themselves are proved by the fixtures in src/verify/dynamics_test.c. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/kernels.h"
#include "train/optimizer.h"

/* Shapes on both sides of a piece, vectors, a stack of matrices; those a row does not accept are left out. */
static const struct {
    int rank;
    int64_t dims[3];
} shapes[] = {{2, {300, 257}}, {1, {5}},         {2, {3, 40000}}, {1, {66000}},
              {2, {40000, 3}}, {3, {3, 40, 50}}, {2, {1, 9}},     {0, {0}}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct bench {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
    wf_opt_param params[SHAPES];
    float *gradients[SHAPES];
    int64_t counts[SHAPES];
    size_t count;
    wf_optimizer *o;
} bench;

static int64_t product(int i) {
    int64_t n = 1;
    for (int k = 0; k < shapes[i].rank; k++)
        n *= shapes[i].dims[k];
    return n;
}

static wf_json *parse(wf_arena *arena, const char *text) {
    wf_json *j;
    weft_error err = {0};
    if (wf_json_parse(arena, text, strlen(text), 0, &j, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return j;
}

static void fill(float *data, int64_t n, uint32_t site, uint32_t step, float scale) {
    uint32_t x = wf_rng_u32(wf_rng_make(7, site, step), 0);
    for (int64_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = scale * ((float)(x >> 8) * 0x1p-23f - 1);
    }
}

static wf_json *options_of(bench *b, const char *name, const char *more) {
    char text[256];
    snprintf(text, sizeof text, "{\"name\":\"%s\",\"no_decay\":\"1-D\",\"weight_decay\":0.1%s%s}", name, more ? "," : "",
             more ? more : "");
    return parse(&b->arena, text);
}

static void open_bench(bench *b, const wf_optimizer_row *row, int threads, const char *more) {
    *b = (bench){.env.mem = wf_mem_default};
    b->env.kernels = &b->kernels;
    wf_arena_init(&b->arena, &b->env.mem, 0);
    assert_int_equal(wf_kernels_choose(NULL, &b->kernels, NULL), WEFT_OK);
    if (threads)
        assert_int_equal(wf_pool_create(&b->env.mem, threads, &b->env.pool, NULL), WEFT_OK);
    for (int i = 0; i < SHAPES; i++) {
        if (row->accepts && !row->accepts(shapes[i].rank, shapes[i].dims))
            continue;
        int64_t n = product(i);
        size_t k = b->count++;
        float *p = wf_arena_alloc(&b->arena, (size_t)n * sizeof *p);
        b->gradients[k] = wf_arena_alloc(&b->arena, (size_t)n * sizeof *p);
        b->counts[k] = n;
        b->params[k] = (wf_opt_param){.name = "t",
                                      .param = p,
                                      .grad = b->gradients[k],
                                      .rank = shapes[i].rank,
                                      .dims = shapes[i].dims,
                                      .bf16 = wf_arena_alloc(&b->arena, (size_t)n * 2)};
        fill(p, n, (uint32_t)k, 1000, 0.5f);
    }
    weft_error err = {0};
    if (wf_optimizer_create(&b->env, options_of(b, row->name, more), b->params, b->count, &b->o, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static void close_bench(bench *b) {
    wf_optimizer_free(b->o);
    wf_pool_free(b->env.pool);
    wf_arena_free(&b->arena);
}

static void run(bench *b, int from, int to) {
    for (int s = from; s < to; s++) {
        for (size_t k = 0; k < b->count; k++)
            fill(b->gradients[k], b->counts[k], (uint32_t)k, (uint32_t)s, 1);
        wf_optimizer_step(b->o, 0.9, 0.7);
    }
}

static void assert_same(const bench *a, const bench *b, const char *name) {
    for (size_t k = 0; k < a->count; k++) {
        if (memcmp(a->params[k].param, b->params[k].param, (size_t)a->counts[k] * sizeof(float)) != 0)
            fail_msg("%s: tensor %zu differs", name, k);
        assert_memory_equal(a->params[k].bf16, b->params[k].bf16, (size_t)a->counts[k] * 2);
    }
}

static void test_threads(void **state) {
    static const int threads[] = {0, 2, 3, 8};
    for (size_t r = 0; wf_optimizers[r]; r++) {
        bench one;
        open_bench(&one, wf_optimizers[r], 1, NULL);
        run(&one, 0, 3);
        for (size_t t = 0; t < COUNT_OF(threads); t++) {
            if (threads[t] > 3 && getenv("WEFT_QUICK"))
                continue;
            bench many;
            open_bench(&many, wf_optimizers[r], threads[t], NULL);
            run(&many, 0, 3);
            assert_same(&one, &many, wf_optimizers[r]->name);
            close_bench(&many);
        }
        close_bench(&one);
    }
}

/* The parameters move, stay finite, and the bf16 copy is their rounding. */
static void test_moves(void **state) {
    for (size_t r = 0; wf_optimizers[r]; r++) {
        bench b;
        open_bench(&b, wf_optimizers[r], 2, NULL);
        run(&b, 0, 3);
        for (size_t k = 0; k < b.count; k++) {
            float start;
            fill(&start, 1, (uint32_t)k, 1000, 0.5f);
            if (b.params[k].param[0] == start)
                fail_msg("%s: tensor %zu does not move", wf_optimizers[r]->name, k);
            for (int64_t i = 0; i < b.counts[k]; i++) {
                assert_true(isfinite(b.params[k].param[i]));
                assert_int_equal(b.params[k].bf16[i], wf_f32_to_bf16(b.params[k].param[i]));
            }
        }
        close_bench(&b);
    }
}

/* States and the number of updates are all that a checkpoint needs. */
static void test_resume(void **state) {
    for (size_t r = 0; wf_optimizers[r]; r++) {
        bench whole, first, second;
        open_bench(&whole, wf_optimizers[r], 2, NULL);
        run(&whole, 0, 6);
        open_bench(&first, wf_optimizers[r], 2, NULL);
        run(&first, 0, 4);
        open_bench(&second, wf_optimizers[r], 2, NULL);
        second.o->updates = first.o->updates;
        assert_int_equal(wf_optimizer_states(first.o), wf_optimizer_states(second.o));
        for (size_t i = 0; i < wf_optimizer_states(first.o); i++) {
            wf_opt_state from = wf_optimizer_state(first.o, i), to = wf_optimizer_state(second.o, i);
            assert_string_equal(from.slot, to.slot);
            memcpy(to.data, from.data, (size_t)from.count * sizeof(float));
        }
        for (size_t k = 0; k < first.count; k++)
            memcpy(second.params[k].param, first.params[k].param, (size_t)first.counts[k] * sizeof(float));
        run(&second, 4, 6);
        assert_same(&whole, &second, wf_optimizers[r]->name);
        close_bench(&whole);
        close_bench(&first);
        close_bench(&second);
    }
}

/* The estimate without an optimizer is what one holds. */
static void test_state_count(void **state) {
    for (size_t r = 0; wf_optimizers[r]; r++) {
        bench b;
        open_bench(&b, wf_optimizers[r], 1, NULL);
        int64_t estimate = 0, held = 0;
        for (size_t k = 0; k < b.count; k++)
            estimate += wf_optimizer_state_count(b.o->row, b.o->value, b.params[k].rank, b.params[k].dims);
        for (size_t i = 0; i < wf_optimizer_states(b.o); i++)
            held += wf_optimizer_state(b.o, i).count;
        assert_int_equal(estimate, held);
        close_bench(&b);
    }
}

/* A gradient that counts twice is a gradient of twice the size; maximize turns it round. */
static void test_grad_scale(void **state) {
    for (size_t r = 0; wf_optimizers[r]; r++) {
        bench plain, scaled;
        open_bench(&plain, wf_optimizers[r], 1, NULL);
        open_bench(&scaled, wf_optimizers[r], 1, "\"maximize\":true");
        for (size_t k = 0; k < plain.count; k++) {
            fill(plain.gradients[k], plain.counts[k], 3, 3, 1);
            fill(scaled.gradients[k], plain.counts[k], 3, 3, -2);
        }
        wf_optimizer_step(plain.o, 1, 1);
        wf_optimizer_step(scaled.o, 1, 0.5);
        assert_same(&plain, &scaled, wf_optimizers[r]->name);
        close_bench(&plain);
        close_bench(&scaled);
    }
}

/* Vectors under no_decay, and under "usual" tensors marked by the caller too, keep their size under a zero gradient. */
static void test_decay(void **state) {
    bench b;
    wf_optimizer *o;
    const wf_optimizer_row *row = wf_optimizer_find("adamw", NULL);
    open_bench(&b, row, 1, NULL);
    float p[6] = {1, 1, 1, 1, 1, 1}, g[6] = {0};
    const int64_t matrix[] = {1, 2}, vector[] = {2};
    wf_opt_param params[] = {{.name = "a", .param = p, .grad = g, .rank = 2, .dims = matrix},
                             {.name = "b", .param = p + 2, .grad = g, .rank = 1, .dims = vector},
                             {.name = "c", .param = p + 4, .grad = g, .rank = 2, .dims = matrix, .no_decay = true}};
    for (int usual = 0; usual < 2; usual++) {
        wf_json *options = options_of(&b, "adamw", "\"lr\":0.5");
        if (usual)
            wf_json_put(&b.arena, options, "no_decay", wf_json_new_string(&b.arena, "usual", 5));
        p[0] = p[4] = 1;
        assert_int_equal(wf_optimizer_create(&b.env, options, params, 3, &o, NULL), WEFT_OK);
        wf_optimizer_step(o, 1, 1);
        assert_float_equal(p[0], 0.95, 1e-6);
        assert_true(p[2] == 1);
        assert_float_equal(p[4], usual ? 1 : 0.95, 1e-6);
        wf_optimizer_free(o);
    }
    close_bench(&b);
}

/* Decoupled decay shrinks the parameter and leaves the step alone. */
static void test_decoupled(void **state) {
    static const char *const names[] = {"adam", "nadam", "radam"};
    const int64_t dims[] = {2, 3};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        float start[] = {1, -2, 3, 0.5f, -0.25f, 4}, g[] = {0.3f, -1, 2, 0.1f, 0, -3}, moved[2][6];
        for (int decay = 0; decay < 2; decay++) {
            wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
            wf_arena arena;
            wf_optimizer *o;
            char text[128];
            memcpy(moved[decay], start, sizeof start);
            wf_opt_param param = {.name = "p", .param = moved[decay], .grad = g, .rank = 2, .dims = dims};
            wf_arena_init(&arena, &env.mem, 0);
            snprintf(text, sizeof text, "{\"name\":\"%s\",\"lr\":0.1,\"decoupled_weight_decay\":true,\"weight_decay\":%s}",
                     names[i], decay ? "0.5" : "0");
            assert_int_equal(wf_optimizer_create(&env, parse(&arena, text), &param, 1, &o, NULL), WEFT_OK);
            wf_optimizer_step(o, 1, 1);
            wf_optimizer_free(o);
            wf_arena_free(&arena);
        }
        for (int k = 0; k < 6; k++)
            assert_float_equal(moved[1][k], moved[0][k] - 0.05f * start[k], 1e-6);
    }
}

/* ---- stacks of matrices under Adafactor, by the definition ---- */
enum { STACK = 2, ROWS = 3, COLUMNS = 4, ELEMENTS = STACK * ROWS * COLUMNS };

typedef struct naive {
    double p[ELEMENTS], row[STACK][ROWS], column[STACK][COLUMNS];
} naive;

static double rms(const double *x) {
    double sum = 0;
    for (int i = 0; i < ELEMENTS; i++)
        sum += x[i] * x[i];
    return sqrt(sum / ELEMENTS);
}

/* One update of step t with the README's rule: rate lr, decay_rate -0.8, scale_parameter. */
static void naive_adafactor(naive *s, const float *g, double lr, int t) {
    double beta = 1 - pow(t, -0.8), u[ELEMENTS], size = rms(s->p);
    for (int b = 0; b < STACK; b++) {
        double mean = 0;
        for (int r = 0; r < ROWS; r++) {
            double sum = 0;
            for (int c = 0; c < COLUMNS; c++)
                sum += pow(g[(b * ROWS + r) * COLUMNS + c], 2) + 1e-30;
            s->row[b][r] = beta * s->row[b][r] + (1 - beta) * sum / COLUMNS;
            mean += s->row[b][r] / ROWS;
        }
        for (int c = 0; c < COLUMNS; c++) {
            double sum = 0;
            for (int r = 0; r < ROWS; r++)
                sum += pow(g[(b * ROWS + r) * COLUMNS + c], 2) + 1e-30;
            s->column[b][c] = beta * s->column[b][c] + (1 - beta) * sum / ROWS;
        }
        for (int i = 0; i < ROWS * COLUMNS; i++)
            u[b * ROWS * COLUMNS + i] =
                g[b * ROWS * COLUMNS + i] / sqrt(s->row[b][i / COLUMNS] / mean * s->column[b][i % COLUMNS]);
    }
    double a = lr * (size > 1e-3 ? size : 1e-3), clip = rms(u) > 1 ? rms(u) : 1;
    for (int i = 0; i < ELEMENTS; i++)
        s->p[i] -= a / clip * u[i];
}

static void test_stack_of_matrices(void **state) {
    wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
    const int64_t dims[] = {STACK, ROWS, COLUMNS};
    float p[ELEMENTS], g[ELEMENTS];
    naive s = {0};
    wf_optimizer *o;
    wf_arena arena;
    wf_arena_init(&arena, &env.mem, 0);
    fill(p, ELEMENTS, 1, 1, 1);
    for (int i = 0; i < ELEMENTS; i++)
        s.p[i] = p[i];
    wf_opt_param param = {.name = "experts", .param = p, .grad = g, .rank = 3, .dims = dims};
    wf_json *options = parse(&arena, "{\"name\":\"adafactor\",\"relative_step\":false,\"lr\":0.05}");
    assert_int_equal(wf_optimizer_create(&env, options, &param, 1, &o, NULL), WEFT_OK);
    for (int t = 1; t <= 5; t++) {
        fill(g, ELEMENTS, 2, (uint32_t)t, 0.1f);
        wf_optimizer_step(o, 1, 1);
        naive_adafactor(&s, g, 0.05, t);
        for (int i = 0; i < ELEMENTS; i++)
            assert_float_equal(p[i], s.p[i], 2e-6);
    }
    wf_optimizer_free(o);
    wf_arena_free(&arena);
}

/* ---- options ---- */
static void test_options_round_trip(void **state) {
    for (size_t r = 0; wf_optimizers[r]; r++) {
        bench b;
        double value[WF_OPTION_VALUES] = {0};
        const wf_optimizer_row *row;
        char text[96];
        open_bench(&b, wf_optimizers[r], 1, NULL);
        wf_json *written = wf_optimizer_options(b.o, &b.arena);
        assert_int_equal(wf_optimizer_read(written, &row, value, NULL), WEFT_OK);
        assert_ptr_equal(row, wf_optimizers[r]);
        for (const wf_option *key = row->keys; key->name; key++) {
            assert_true(value[key->at] == b.o->value[key->at] || (isnan(value[key->at]) && isnan(b.o->value[key->at])));
            assert_true(strlen(key->help) > 0);
            wf_option_default(key, text);
            assert_true(strlen(text) > 0);
        }
        close_bench(&b);
    }
}

static void test_bad_options(void **state) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{}", "name"},
        {"{\"name\":\"adamw2\"}", "did you mean \"adamw\""},
        {"{\"name\":\"adamw\",\"beta\":[0.9,0.99]}", "did you mean \"betas\""},
        {"{\"name\":\"adamw\",\"betas\":[0.9]}", "list of 2"},
        {"{\"name\":\"adamw\",\"betas\":[0.9,1.0]}", "0 .. 1"},
        {"{\"name\":\"adamw\",\"lr\":-1}", "at least 0"},
        {"{\"name\":\"adamw\",\"lr\":\"fast\"}", "a number"},
        {"{\"name\":\"adamw\",\"amsgrad\":1}", "true or false"},
        {"{\"name\":\"muon\",\"ns_steps\":2.5}", "whole number"},
        {"{\"name\":\"muon\",\"adjust_lr_fn\":\"mean\"}", "original|match_rms_adamw"},
        {"{\"name\":\"sgd\",\"nesterov\":true}", "nesterov needs momentum"},
        {"{\"name\":\"adafactor\",\"lr\":0.1}", "exclude each other"},
        {"{\"name\":\"adafactor\",\"relative_step\":false}", "needs lr"},
        {"{\"name\":\"adafactor_torch\",\"eps\":[null,null]}", "only the first"},
    };
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const wf_optimizer_row *row;
        double value[WF_OPTION_VALUES];
        weft_error err = {0};
        assert_int_equal(wf_optimizer_read(parse(&arena, cases[i].text), &row, value, &err), WEFT_USAGE);
        if (!strstr(err.message, cases[i].word))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
    wf_arena_free(&arena);
}

static void test_refused_tensor(void **state) {
    wf_env env = {.mem = wf_mem_default, .kernels = &wf_kernels_ref};
    wf_arena arena;
    wf_optimizer *o;
    weft_error err = {0};
    float p[3] = {0};
    const int64_t dims[] = {3};
    wf_opt_param param = {.name = "norm.weight", .param = p, .grad = p, .rank = 1, .dims = dims};
    wf_arena_init(&arena, &env.mem, 0);
    assert_int_equal(wf_optimizer_create(&env, parse(&arena, "{\"name\":\"muon\"}"), &param, 1, &o, &err), WEFT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "norm.weight"));
    wf_arena_free(&arena);
}

static void test_memory(void **state) {
    for (size_t r = 0; wf_optimizers[r]; r++) {
        fail_mem f = {0};
        wf_arena arena;
        wf_arena_init(&arena, &wf_mem_default, 0);
        char text[64];
        snprintf(text, sizeof text, "{\"name\":\"%s\"}", wf_optimizers[r]->name);
        wf_json *options = parse(&arena, text);
        float p[6] = {1}, g[6] = {1};
        const int64_t dims[] = {2, 3};
        wf_opt_param params[] = {{.name = "a", .param = p, .grad = g, .rank = 2, .dims = dims},
                                 {.name = "b", .param = p, .grad = g, .rank = 2, .dims = dims}};
        while (fail_mem_next(&f)) {
            wf_env env = {.mem = fail_mem_hook(&f), .kernels = &wf_kernels_ref};
            wf_optimizer *o = NULL;
            weft_status status = wf_optimizer_create(&env, options, params, 2, &o, NULL);
            assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
            if (status == WEFT_OK)
                wf_optimizer_free(o);
            assert_int_equal(f.live, 0);
        }
        wf_arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_moves),
                                       cmocka_unit_test(test_resume),
                                       cmocka_unit_test(test_state_count),
                                       cmocka_unit_test(test_grad_scale),
                                       cmocka_unit_test(test_decay),
                                       cmocka_unit_test(test_decoupled),
                                       cmocka_unit_test(test_stack_of_matrices),
                                       cmocka_unit_test(test_options_round_trip),
                                       cmocka_unit_test(test_bad_options),
                                       cmocka_unit_test(test_refused_tensor),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
