/* relative_test.c - scores with distances over more rows than a block holds, and their gradients, against a double loop. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tensor/ops.h"
#include "tensor/tape.h"

enum { HEADS = 2, WIDTH = 40, MOST = 1200 };

typedef struct shape { /* rows: of the table, distance d has row d / each; 0: none */
    int64_t queries, keys, batch, count, zero, step, skip, behind, each;
    bool of_keys, mirrored, per_head;
} shape;
static const shape shapes[] = {
    {.queries = 260, .keys = 300, .batch = 1, .count = 559, .zero = 299, .step = 1, .each = 1, .per_head = true},
    {.queries = 260, .keys = 300, .batch = 2, .count = 559, .zero = 299, .step = 1, .each = 1, .mirrored = true},
    {.queries = 270, .keys = 210, .batch = 1, .count = 479, .zero = 209, .step = 1, .each = 1, .of_keys = true},
    {.queries = 100, .keys = 230, .batch = 2, .count = 31, .zero = 15, .step = 1, .each = 1},
    {.queries = 100, .keys = 230, .batch = 2, .count = 31, .zero = 10, .step = 1, .each = 1, .of_keys = true, .per_head = true},
    {.queries = 70, .keys = 200, .batch = 1, .count = 337, .zero = 199, .step = 2, .skip = 1, .each = 1, .per_head = true},
    {.queries = 60, .keys = 250, .batch = 1, .count = 400, .zero = 200, .step = 1, .behind = 9, .each = 7},
    {.queries = 1, .keys = 500, .batch = 1, .count = 500, .zero = 499, .step = 1, .skip = 0, .behind = 499, .each = 3}};

typedef struct run {
    wf_env env;
    wf_kernels kernels;
    wf_tape *tape;
    wf_tensor *x, *table, *y, *dy;
    int32_t index[MOST];
    const shape *s;
} run;

static int64_t rows_of(const shape *s) { return (s->count + s->each - 1) / s->each; }

static void fill(wf_tensor *x, uint32_t stream) {
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] = 2.0f * wf_rng_uniform(wf_rng_make(5, stream, 0), (uint64_t)i) - 1.0f;
}

static void record(run *r, const shape *s) {
    weft_error err = {0};
    int64_t wide[3] = {rows_of(s), HEADS, WIDTH}, narrow[2] = {rows_of(s), WIDTH};
    *r = (run){.env = {.mem = wf_mem_default, .kernels = &r->kernels}, .s = s};
    for (int64_t i = 0; i < s->count; i++)
        r->index[i] = s->each > 1 && i % 50 == 0 ? -1 : (int32_t)(i / s->each);
    assert_int_equal(wf_kernels_choose(NULL, &r->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&r->env.mem, 2, &r->env.pool, &err), WEFT_OK);
    assert_int_equal(wf_tape_create(&r->env, &(wf_tape_options){.grad = true}, &r->tape, &err), WEFT_OK);
    wf_relative_spec spec = {.queries = s->queries,
                             .keys = s->keys,
                             .of_keys = s->of_keys,
                             .mirrored = s->mirrored,
                             .index = r->index,
                             .count = s->count,
                             .zero = s->zero,
                             .step = s->step,
                             .skip = s->skip,
                             .behind = s->behind,
                             .scale = 0.5f};
    r->x = wf_input_grad(r->tape, "x", 4, (int64_t[]){s->batch, s->of_keys ? s->keys : s->queries, HEADS, WIDTH});
    r->table = wf_input_grad(r->tape, "table", s->per_head ? 3 : 2, s->per_head ? wide : narrow);
    r->y = wf_relative(r->tape, r->x, r->table, &spec);
    assert_non_null(r->y);
    r->dy = wf_input(r->tape, "dy", WF_F32, 4, r->y->dims);
    wf_root_seeded(r->tape, r->y, r->dy);
    wf_keep(r->tape, r->y);
    assert_int_equal(wf_tape_plan(r->tape, &err), WEFT_OK);
    fill(r->x, 1), fill(r->table, 2), fill(r->dy, 3);
}

/* Where a pair's two vectors are; false: it has none. */
static bool vectors_of(const run *r, int64_t b, int64_t h, int64_t i, int64_t j, int64_t *x, int64_t *row) {
    const shape *s = r->s;
    int64_t distance = (i + s->behind) * s->step - j, line = s->of_keys ? j : i;
    distance = (s->mirrored && b >= s->batch / 2 ? -distance : distance) + s->zero;
    distance = distance < 0 ? 0 : distance >= s->count ? s->count - 1 : distance;
    *x = ((b * r->x->dims[1] + line) * HEADS + h) * WIDTH;
    *row = (s->per_head ? r->index[distance] * HEADS + h : r->index[distance]) * WIDTH;
    return i >= s->skip && j >= s->skip && r->index[distance] >= 0;
}

static void check(const float *got, const double *wanted, int64_t count, const char *what, size_t which) {
    double size = 0.0;
    for (int64_t i = 0; i < count; i++)
        size = fmax(size, fabs(wanted[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - wanted[i]) <= 2e-6 * size))
            fail_msg("case %zu, %s: element %lld is %.7g, not %.7g", which, what, (long long)i, (double)got[i], wanted[i]);
}

static void compare(const run *r, size_t which) {
    const shape *s = r->s;
    const float *x = r->x->data, *table = r->table->data, *dy = r->dy->data;
    double *y = calloc((size_t)r->y->count, sizeof *y), *dx = calloc((size_t)r->x->count, sizeof *dx),
           *dt = calloc((size_t)r->table->count, sizeof *dt);
    assert_true(y && dx && dt);
    for (int64_t n = 0; n < r->y->count; n++) {
        int64_t j = n % s->keys, i = n / s->keys % s->queries, h = n / (s->keys * s->queries) % HEADS, at, row;
        if (!vectors_of(r, n / (s->keys * s->queries * HEADS), h, i, j, &at, &row))
            continue;
        for (int64_t c = 0; c < WIDTH; c++) {
            y[n] += 0.5 * (double)x[at + c] * (double)table[row + c];
            dx[at + c] += 0.5 * (double)dy[n] * (double)table[row + c];
            dt[row + c] += 0.5 * (double)dy[n] * (double)x[at + c];
        }
    }
    check(r->y->data, y, r->y->count, "scores", which);
    check(r->x->grad, dx, r->x->count, "gradient of x", which);
    check(r->table->grad, dt, r->table->count, "gradient of the table", which);
    free(y), free(dx), free(dt);
}

static void test_shapes(void **state) {
    const wf_runtime rt = {.loss_scale = 1.0f};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        run r;
        record(&r, &shapes[i]);
        assert_int_equal(wf_tape_forward(r.tape, &rt, NULL), WEFT_OK);
        assert_int_equal(wf_tape_backward(r.tape, &rt, NULL), WEFT_OK);
        compare(&r, i);
        wf_tape_free(r.tape);
        wf_pool_free(r.env.pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
