/* For every row of the mixer tables: the full form is the naive form, the executable definition in double precision
 * (tests/naive). Outputs, probabilities and states agree in fp32 and bf16, and the gradients are the finite differences of the
 * naive form. The cases are drawn from the axes of a row: every option of the documents comes up, in combinations. A row
 * without a naive form does not pass. */
#include "support/test.h"
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "kernels/kernels.h"
#include "naive/naive.h"
#include "verify/forms.h"

enum { BATCH = 2, ROWS = 11, DIM = 12, DIRECTIONS = 3, MOST_TENSORS = NAIVE_MOST_SLOTS + 2 };

/* Bounds. An output may differ by a part of the largest one, or by some times what rounding the inputs does to the definition
 * itself (ill-conditioned cases: a denominator near zero). Directional derivatives are measured against the root of the summed
 * squares of their terms, against the same of sum(y*dy) for gradients that are zero by theory (the bias of keys), and when that
 * does not do, against what rounding the inputs does to them. */
static const double FP32_TOLERANCE = 1e-5, FP32_ROUNDINGS = 10.0, BF16_TOLERANCE = 2e-2, BF16_ROUNDINGS = 4.0;
static const double GRADIENT_TOLERANCE = 1e-4, GRADIENT_FLOOR = 1e-5, STEP = 1e-6;

/* One differentiable tensor: its fp32 values, where the naive form reads it, and the gradient of the tape. */
typedef struct variable {
    const char *name;
    int64_t count;
    double *value;
    const double **place;
    const float *grad;
} variable;

typedef struct subject {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena, scratch;
    wf_params params;
    wf_layer *layer;
    wf_form_io io;
    naive_io naive;
    variable variables[MOST_TENSORS];
    size_t n_variables;
    const naive_row *row;
    char name[1024]; /* the case, for messages */
    int number;
    bool with_state;
} subject;

static void *take(wf_arena *arena, size_t size) {
    void *p = wf_arena_alloc(arena, size ? size : 1);
    assert_non_null(p);
    return p;
}

static float *draw(subject *s, int64_t count, uint32_t site, float scale) {
    float *values = take(&s->arena, (size_t)count * sizeof *values);
    wf_rng rng = wf_rng_make(17, site, (uint32_t)s->number);
    for (int64_t i = 0; i < count; i++)
        values[i] = scale * (float)wf_rng_normal(rng, (uint64_t)i);
    return values;
}

static double *widened(subject *s, const float *from, int64_t count) {
    double *values = take(&s->arena, (size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (double)from[i];
    return values;
}

static void ok(const subject *s, weft_status status, const weft_error *err) {
    if (status != WEFT_OK)
        fail_msg("%s: %s", s->name, err->message);
}

/* ---- choosing a case ---- */
static size_t entries(naive_axis axis) {
    size_t n = 0;
    while (axis[n])
        n++;
    return n;
}

/* Entries of axis a in an order that visits all of them, other than those of its neighbours: each round is a new permutation.
 */
static const char *choose(naive_axis axis, uint32_t a, int number) {
    size_t n = entries(axis);
    wf_rng rng = wf_rng_make(5, a, (uint32_t)((size_t)number / n));
    return axis[wf_rng_permute(rng, (uint64_t)number % n, n)];
}

static int64_t number_after(const char *words, const char *word, int64_t fallback) {
    const char *at = strstr(words, word);
    return at ? strtoll(at + strlen(word), NULL, 10) : fallback;
}

static void split_entries(const subject *s, wf_str *spec, wf_str *words) {
    const char *separator = "";
    wf_str_putc(spec, '{');
    for (uint32_t a = 0; s->row->axes[a]; a++) {
        const char *entry = choose(s->row->axes[a], a, s->number), *at = strchr(entry, '@');
        size_t n = at ? (size_t)(at - entry) : strlen(entry);
        while (n > 0 && entry[n - 1] == ' ')
            n--;
        if (n > 0) {
            wf_str_printf(spec, "%s%.*s", separator, (int)n, entry);
            separator = ", ";
        }
        if (at)
            wf_str_printf(words, "%s ", at);
    }
    wf_str_putc(spec, '}');
}

/* ---- inputs ---- */
static const uint8_t *make_mask(subject *s, const char *words, int64_t n) {
    const char *at = strstr(words, "@mask ");
    uint8_t *mask;
    if (!at)
        return NULL;
    mask = take(&s->arena, (size_t)(BATCH * n));
    at += strlen("@mask ");
    for (int64_t i = 0; i < BATCH * n; i++) {
        int64_t b = i / n, t = i % n, pad = n / (3 + b); /* the sequences differ */
        bool left = t < pad, right = t >= n - pad, middle = t >= n / 2 && t < n / 2 + pad;
        mask[i] = wf_starts_with(at, "left")     ? !left
                  : wf_starts_with(at, "right")  ? !right
                  : wf_starts_with(at, "middle") ? !middle
                                                 : b == 0;
    }
    return mask;
}

static int64_t *make_ints(subject *s, int64_t (*value)(int64_t b, int64_t t), int64_t n) {
    int64_t *values = take(&s->arena, (size_t)(BATCH * n) * sizeof *values);
    for (int64_t i = 0; i < BATCH * n; i++)
        values[i] = value(i / n, i % n);
    return values;
}

static const uint8_t *make_global(subject *s, const char *words, int64_t n) {
    if (!strstr(words, "@global"))
        return NULL;
    uint8_t *mask = take(&s->arena, (size_t)(BATCH * n));
    for (int64_t i = 0; i < BATCH * n; i++)
        mask[i] = i % n % 7 == i / n; /* the sequences differ; some are padding */
    return mask;
}

static void make_plan(subject *s, const char *words) {
    const char *at = strstr(words, "@plan");
    long long dims[3];
    if (!at || sscanf(at, "@plan %lld %lld %lld", &dims[0], &dims[1], &dims[2]) != 3)
        return;
    int64_t count = dims[0] * dims[1] * dims[2], *plan = take(&s->arena, (size_t)count * sizeof *plan);
    for (int64_t i = 0; i < count; i++)
        plan[i] = (int64_t)wf_rng_below(wf_rng_make(3, 1, (uint32_t)s->number), (uint64_t)i, (uint64_t)dims[1] + 2);
    s->io.plan = plan;
    for (int d = 0; d < 3; d++)
        s->io.plan_dims[d] = dims[d];
}

static int64_t position_at(int64_t b, int64_t t) { return b ? (t + 3) % 7 : 2 * t + 4; }
static int64_t segment_at(int64_t b, int64_t t) { return b ? t % 3 : t / 4; }
static int64_t prefix_at(int64_t b, int64_t t) { return t + (b ? 0 : 4); }

/* Three kinds, other ones in each sequence. */
static const int32_t *make_kinds(subject *s, const char *words, int64_t n) {
    int32_t *kinds = strstr(words, "@kinds") ? take(&s->arena, (size_t)(BATCH * n) * sizeof *kinds) : NULL;
    for (int64_t i = 0; kinds && i < BATCH * n; i++)
        kinds[i] = i % n == 0 ? 2 : (int32_t)((i % n + 2 * (i / n)) / 3 % 2);
    return kinds;
}

static void make_states(subject *s) {
    for (int i = 0; i < s->layer->n_states; i++) {
        const wf_layer_state_shape *shape = &s->layer->states[i];
        int64_t count = BATCH;
        for (int d = 0; d < shape->rank; d++)
            count *= shape->dims[d];
        if (!shape->present || s->layer->states[i].row->kind != WF_STATE_FIXED)
            continue;
        const float *values = draw(s, count, 50 + (uint32_t)i, 0.5f);
        s->io.state_in[i] = values;
        s->naive.state_in[i] = widened(s, values, count);
    }
}

static void make_inputs(subject *s, const char *words) {
    wf_form_io *io = &s->io;
    bool memory = strstr(words, "@memory") != NULL;
    int64_t T = number_after(words, "@rows", ROWS), S = 2 * T / 3 + 3;
    *io = (wf_form_io){.batch = BATCH, .rows = T, .dim = DIM, .start = number_after(words, "@start", 0)};
    io->x = draw(s, BATCH * T * DIM, 1, 1.0f);
    if (memory) {
        io->memory_rows = S;
        io->memory_dim = wf_int(s->layer, "memory_dim");
        io->memory = draw(s, BATCH * S * io->memory_dim, 2, 1.0f);
        io->memory_mask = make_mask(s, words, S);
    } else {
        io->mask = make_mask(s, words, T);
    }
    io->global_mask = make_global(s, words, T);
    make_plan(s, words);
    io->positions = strstr(words, "@positions") ? make_ints(s, position_at, T) : NULL;
    io->segments = strstr(words, "@segments") ? make_ints(s, segment_at, T) : NULL;
    io->kinds = make_kinds(s, words, T);
    io->prefix = strstr(words, "@prefix") ? make_ints(s, prefix_at, 1) : NULL;
    s->with_state = strstr(words, "@state") != NULL;
    s->naive = (naive_io){.layer = s->layer,
                          .batch = BATCH,
                          .rows = T,
                          .memory_rows = io->memory_rows,
                          .start = io->start,
                          .mask = io->mask,
                          .memory_mask = io->memory_mask,
                          .positions = io->positions,
                          .segments = io->segments,
                          .kinds = io->kinds,
                          .prefix = io->prefix,
                          .global_mask = io->global_mask,
                          .plan = io->plan,
                          .scratch = &s->scratch,
                          .constants = take(&s->arena, NAIVE_MOST_CONSTANTS * sizeof(double))};
    if (s->with_state)
        make_states(s);
}

static void add_variable(subject *s, const char *name, const float *values, int64_t count, const double **place) {
    assert_true(s->n_variables < MOST_TENSORS);
    variable *v = &s->variables[s->n_variables++];
    *v = (variable){.name = name, .count = count, .value = widened(s, values, count), .place = place};
    *place = v->value;
}

static void add_variables(subject *s) {
    s->n_variables = 0;
    add_variable(s, "x", s->io.x, BATCH * s->io.rows * DIM, &s->naive.x);
    if (s->io.memory)
        add_variable(s, "memory", s->io.memory, BATCH * s->io.memory_rows * s->io.memory_dim, &s->naive.memory);
    for (size_t i = 0; i < s->layer->n_slots; i++) {
        wf_param *p = s->layer->slots[i].param;
        memcpy(p->value, draw(s, p->count, 100 + (uint32_t)i, 0.4f), (size_t)p->count * sizeof *p->value);
        add_variable(s, p->name, p->value, p->count, &s->naive.weights[i]);
    }
}

static void open_case(subject *s, const naive_row *row, int number) {
    weft_error err = {0};
    wf_str spec = wf_str_new(&s->env.mem), words = wf_str_new(&s->env.mem);
    wf_json *json;
    wf_arena_init(&s->arena, &s->env.mem, 0);
    wf_arena_init(&s->scratch, &s->env.mem, 0);
    wf_params_open(&s->params, &s->env);
    s->row = row;
    s->number = number;
    split_entries(s, &spec, &words);
    snprintf(s->name, sizeof s->name, "%s case %d %s %s", row->mixer, number, wf_str_text(&spec), wf_str_text(&words));
    ok(s, wf_json_parse(&s->arena, wf_str_text(&spec), spec.length, 0, &json, &err), &err);
    ok(s, wf_layer_build(&s->arena, wf_mixer_find(row->mixer), json, DIM, "test", &s->layer, &err), &err);
    assert_true(s->layer->n_slots <= NAIVE_MOST_SLOTS);
    ok(s, wf_form_params(&s->params, s->layer, &err), &err);
    make_inputs(s, wf_str_text(&words));
    add_variables(s);
    wf_str_free(&spec);
    wf_str_free(&words);
}

static void close_case(subject *s) {
    wf_params_close(&s->params);
    wf_arena_free(&s->arena);
    wf_arena_free(&s->scratch);
}

/* ---- the naive form ---- */
static const double *run_naive(subject *s, bool frozen) {
    wf_arena_free(&s->scratch);
    s->naive.used = 0;
    s->naive.frozen = frozen;
    s->row->run(&s->naive);
    return s->naive.y;
}

static double loss(subject *s) {
    const double *y = run_naive(s, true);
    double sum = 0.0;
    for (int64_t i = 0; i < BATCH * s->io.rows * s->naive.width; i++)
        sum += y[i] * (double)s->io.dy[i];
    return sum;
}

/* Every input off by one unit of rounding, up or down; `restore` puts them back. */
static void round_inputs(subject *s, uint32_t repeat, double unit) {
    for (size_t v = 0; v < s->n_variables; v++) {
        variable *var = &s->variables[v];
        wf_rng rng = wf_rng_make(11 + repeat, (uint32_t)v, (uint32_t)s->number);
        double *moved = take(&s->arena, (size_t)var->count * sizeof *moved);
        for (int64_t i = 0; i < var->count; i++)
            moved[i] = var->value[i] * (1.0 + unit * (wf_rng_uniform_double(rng, (uint64_t)i) < 0.5 ? -1.0 : 1.0));
        *var->place = moved;
    }
}

static void restore(subject *s) {
    for (size_t v = 0; v < s->n_variables; v++)
        *s->variables[v].place = s->variables[v].value;
}

/* How far y moves under that: the scale of errors of a precision. */
static double rounding_scale(subject *s, const double *y, int64_t count, double unit) {
    double worst = 0.0;
    for (uint32_t repeat = 0; repeat < 2; repeat++) {
        round_inputs(s, repeat, unit);
        const double *other = run_naive(s, false);
        for (int64_t i = 0; i < count; i++)
            worst = fmax(worst, fabs(other[i] - y[i]));
        restore(s);
    }
    return worst;
}

/* ---- the tape ---- */
static wf_tensor *ints_in(wf_tape *t, const char *label, wf_dtype type, int64_t n, const void *values) {
    return values ? wf_input(t, label, type, 2, (int64_t[]){BATCH, n}) : NULL;
}

static void load(wf_tensor *t, const void *from, size_t size) {
    if (t)
        memcpy(t->data, from, (size_t)t->count * size);
}

/* y of a plain forward, without the probabilities (fp32), or with activations in bf16. */
static const float *plain_forward(subject *s, wf_dtype type) {
    weft_error err = {0};
    const wf_form_io *io = &s->io;
    int64_t start[BATCH] = {io->start, io->start}, T = io->rows, S = io->memory_rows;
    wf_tape *t;
    ok(s, wf_tape_create(&s->env, &(wf_tape_options){.type = type}, &t, &err), &err);
    wf_ports ports = {.x = wf_input(t, "x", WF_F32, 3, (int64_t[]){BATCH, T, DIM}),
                      .memory = io->memory ? wf_input(t, "memory", WF_F32, 3, (int64_t[]){BATCH, S, io->memory_dim}) : NULL,
                      .global_mask = ints_in(t, "global_mask", WF_U8, T, io->global_mask),
                      .plan = io->plan ? wf_input(t, "plan", WF_I64, 3, io->plan_dims) : NULL,
                      .mask = ints_in(t, "mask", WF_U8, T, io->mask),
                      .memory_mask = ints_in(t, "memory_mask", WF_U8, S, io->memory_mask),
                      .positions = ints_in(t, "positions", WF_I64, T, io->positions),
                      .segments = ints_in(t, "segments", WF_I64, T, io->segments),
                      .kinds = ints_in(t, "kinds", WF_I32, T, io->kinds),
                      .prefix = io->prefix ? wf_input(t, "prefix", WF_I64, 1, (int64_t[]){BATCH}) : NULL};
    wf_run run = {.tape = t, .batch = BATCH, .rows = T, .length = io->start + T, .mode = WF_NO_STATE};
    ok(s, s->layer->row->run(&run, s->layer, &ports), &err);
    wf_tensor *y = wf_cast(t, ports.y, WF_F32);
    wf_keep(t, y);
    ok(s, wf_tape_plan(t, &err), &err);
    load(ports.x, io->x, sizeof(float));
    load(ports.memory, io->memory, sizeof(float));
    load(ports.mask, io->mask, 1);
    load(ports.global_mask, io->global_mask, 1);
    load(ports.plan, io->plan, sizeof(int64_t));
    load(ports.memory_mask, io->memory_mask, 1);
    load(ports.positions, io->positions, sizeof(int64_t));
    load(ports.segments, io->segments, sizeof(int64_t));
    load(ports.kinds, io->kinds, sizeof(int32_t));
    load(ports.prefix, io->prefix, sizeof(int64_t));
    ok(s, wf_tape_forward(t, &(wf_runtime){.loss_scale = 1.0f, .start = start}, &err), &err);
    float *out = take(&s->arena, (size_t)y->count * sizeof *out);
    memcpy(out, y->data, (size_t)y->count * sizeof *out);
    wf_tape_free(t);
    return out;
}

/* ---- comparing ---- */
static void close_to(const subject *s, const char *what, const float *got, const double *wanted, int64_t count, double bound) {
    double worst = 0.0;
    int64_t where = 0;
    for (int64_t i = 0; i < count; i++) {
        double apart = fabs((double)got[i] - wanted[i]);
        if (!(apart <= worst)) { /* also when it is not a number */
            worst = apart;
            where = i;
        }
    }
    if (!(worst <= bound))
        fail_msg("%s: %s [%lld] is %g, not %g: %g apart, at most %g", s->name, what, (long long)where, (double)got[where],
                 wanted[where], worst, bound);
}

/* At least half of the numbers. */
static void half_close_to(const subject *s, const char *what, const float *got, const double *wanted, int64_t count,
                          double bound) {
    int64_t near = 0;
    for (int64_t i = 0; i < count; i++)
        near += fabs((double)got[i] - wanted[i]) <= bound;
    if (2 * near < count)
        fail_msg("%s: of %s only %lld of %lld are right", s->name, what, (long long)near, (long long)count);
}

static double largest(const double *values, int64_t count) {
    double most = 1e-3;
    for (int64_t i = 0; i < count; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

static void check_states(subject *s) {
    for (int i = 0; i < s->layer->n_states; i++)
        if (s->io.state_out[i])
            close_to(s, s->layer->states[i].name, s->io.state_out[i], s->naive.state_out[i], s->io.state_count[i],
                     FP32_TOLERANCE * largest(s->naive.state_out[i], s->io.state_count[i]));
}

static double bound_of(subject *s, const double *y, int64_t count, double tolerance, double unit, double times) {
    return fmax(tolerance * largest(y, count), times * rounding_scale(s, y, count, unit));
}

static void check_outputs(subject *s) {
    weft_error err = {0};
    wf_form_io *io = &s->io;
    ok(s, wf_form_full(&s->env, s->layer, io, s->with_state, &s->arena, &err), &err); /* says how wide y is */
    int64_t count = BATCH * io->rows * io->width;
    io->dy = draw(s, count, 3, 1.0f);
    io->y = NULL;
    ok(s, wf_form_full(&s->env, s->layer, io, s->with_state, &s->arena, &err), &err);
    double *y = take(&s->arena, (size_t)count * sizeof *y);
    memcpy(y, run_naive(s, false), (size_t)count * sizeof *y);
    assert_int_equal(s->naive.width, io->width);
    if (s->with_state)
        check_states(s);
    if (io->attention)
        close_to(s, "attention", io->attention, s->naive.attention, io->attention_count, FP32_TOLERANCE);
    double bound = bound_of(s, y, count, FP32_TOLERANCE, ldexp(1.0, -24), FP32_ROUNDINGS);
    close_to(s, "y", io->y, y, count, bound);
    if (s->with_state)
        return;
    close_to(s, "y of a plain forward", plain_forward(s, WF_F32), y, count, bound);
    ok(s, wf_params_allocate_bf16(&s->params, &err), &err);
    wf_params_refresh_bf16(&s->params);
    (s->row->chooses ? half_close_to : close_to)(s, "y in bf16", plain_forward(s, WF_BF16), y, count,
                                                 bound_of(s, y, count, BF16_TOLERANCE, ldexp(1.0, -9), BF16_ROUNDINGS));
}

/* Attention to a memory streams too: its rows count from 0, those of x from what was seen. (tests/forms_test.c does the rest.)
 */
static void check_chunks_over_memory(subject *s) {
    weft_error err = {0};
    wf_form_io io = s->io;
    int64_t first = io.rows / 3 + 1, pieces[] = {first, io.rows - first}, count = BATCH * io.rows * io.width;
    if (!io.memory || !wf_layer_streams(s->layer) || io.rows < 2)
        return;
    const double *y = run_naive(s, false);
    double *wanted = take(&s->arena, (size_t)count * sizeof *wanted);
    memcpy(wanted, y, (size_t)count * sizeof *wanted);
    io.dy = NULL;
    io.y = NULL;
    ok(s, wf_form_chunk(&s->env, s->layer, &io, pieces, 2, &s->arena, &err), &err);
    close_to(s, "y of the chunks", io.y, wanted, count,
             bound_of(s, wanted, count, FP32_TOLERANCE, ldexp(1.0, -24), FP32_ROUNDINGS));
}

/* ---- gradients ---- */
/* The derivative of the naive form along a direction, from where the inputs stand. */
static double derivative(subject *s, const variable *v, wf_rng direction) {
    const double *from = *v->place;
    double *moved = take(&s->arena, (size_t)v->count * sizeof *moved), sides[2];
    *v->place = moved;
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < v->count; i++)
            moved[i] = from[i] + (side ? STEP : -STEP) * wf_rng_normal(direction, (uint64_t)i);
        sides[side] = loss(s);
    }
    *v->place = from;
    return (sides[1] - sides[0]) / (2.0 * STEP);
}

static double derivative_scale(subject *s, const variable *v, wf_rng direction, double wanted) {
    double worst = 0.0;
    for (uint32_t repeat = 0; repeat < 3; repeat++) {
        round_inputs(s, repeat, ldexp(1.0, -24));
        worst = fmax(worst, fabs(derivative(s, v, direction) - wanted));
        restore(s);
    }
    return worst;
}

static void check_direction(subject *s, const variable *v, uint32_t site, double floor) {
    wf_rng direction = wf_rng_make(23, site, (uint32_t)s->number);
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < v->count; i++) {
        double part = (double)v->grad[i] * wf_rng_normal(direction, (uint64_t)i);
        sum += part;
        squares += part * part;
    }
    double wanted = derivative(s, v, direction), bound = GRADIENT_TOLERANCE * sqrt(squares) + floor, apart = fabs(sum - wanted);
    if (!(apart <= bound) && !(apart <= FP32_ROUNDINGS * derivative_scale(s, v, direction, wanted)))
        fail_msg("%s: the gradient of %s along a direction is %g, not %g: %g apart, at most %g", s->name, v->name, sum, wanted,
                 apart, bound);
}

static void check_gradients(subject *s) {
    double squares = 0.0;
    const double *y = run_naive(s, false);
    for (int64_t i = 0; i < BATCH * s->io.rows * s->naive.width; i++)
        squares += y[i] * y[i] * (double)s->io.dy[i] * (double)s->io.dy[i];
    for (size_t i = 0; i < s->n_variables; i++) {
        variable *v = &s->variables[i];
        v->grad = strcmp(v->name, "x") == 0        ? s->io.dx
                  : strcmp(v->name, "memory") == 0 ? s->io.dmemory
                                                   : wf_param_find(&s->params, v->name)->grad;
        for (uint32_t d = 0; v->grad && d < (s->io.rows > 30 ? 1 : DIRECTIONS);
             d++) /* buffers have none; long cases are slow */
            check_direction(s, v, (uint32_t)i * DIRECTIONS + d, GRADIENT_FLOOR * sqrt(squares));
    }
}

/* ---- the tests ---- */
static void open_env(subject *s) {
    weft_error err = {0};
    memset(s, 0, sizeof *s);
    s->env = (wf_env){.mem = wf_mem_default, .kernels = &s->kernels};
    assert_int_equal(wf_kernels_choose(NULL, &s->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&s->env.mem, 2, &s->env.pool, &err), WEFT_OK);
}

static void test_row(void **state) {
    const naive_row *row = *state;
    const char *more = getenv("WEFT_NAIVE_CASES"); /* another number of cases, for a longer search */
    int cases = more ? atoi(more) : getenv("WEFT_QUICK") ? row->cases / 3 : row->cases;
    static subject s;
    open_env(&s);
    for (int i = 0; i < cases; i++) {
        open_case(&s, row, i);
        check_outputs(&s);
        check_gradients(&s);
        check_chunks_over_memory(&s);
        close_case(&s);
    }
    wf_pool_free(s.env.pool);
}

static weft_status build(subject *s, const char *mixer, const char *spec) {
    weft_error err = {0};
    wf_json *json;
    wf_arena_init(&s->arena, &s->env.mem, 0);
    assert_int_equal(wf_json_parse(&s->arena, spec, strlen(spec), 0, &json, &err), WEFT_OK);
    return wf_layer_build(&s->arena, wf_mixer_find(mixer), json, DIM, "test", &s->layer, &err);
}

/* Options that nobody knows, at any depth, and values that mean nothing. */
static void test_bad_options_are_errors(void **state) {
    /* clang-format off */
    static const struct { const char *mixer, *spec; } bad[] = {
        {"attention", "{\"heads\": 3, \"windows\": [1, 1]}"}, {"attention", "{\"heads\": 3, \"rope\": {\"thetta\": 1.0}}"},
        {"attention", "{\"heads\": 3, \"rope\": {\"scaling\": {\"type\": \"linear\", \"factor\": 2.0, \"beta\": 1}}}"},
        {"attention", "{\"heads\": 3, \"rope\": {\"scaling\": {\"type\": \"linearly\"}}}"}, {"attention", "{\"heads\": 3, \"rope\": {\"dim\": 5}}"},
        {"attention", "{\"heads\": 3, \"rope\": {\"pairing\": \"quarter\"}}"}, {"attention", "{\"heads\": 3, \"xpos\": {\"bases\": 2}}"},
        {"attention", "{\"heads\": 3, \"qk_norm\": {\"kind\": \"l3\"}}"}, {"attention", "{\"heads\": 3, \"t5_bias\": {\"bucket\": 8}}"},
        {"attention", "{\"heads\": 3, \"window\": [1]}"}, {"attention", "{\"heads\": 3, \"window\": [-1, 2]}"},
        {"attention", "{\"heads\": 3, \"kv_heads\": 2}"}, {"attention", "{\"heads\": 3, \"bias\": [\"x\"]}"}, {"attention", "{}"},
        {"linear_attention", "{\"heads\": 3, \"kv_heads\": 3}"}, {"linear_attention", "{\"heads\": 3, \"feature\": \"elu\"}"},
        {"mla", "{\"heads\": 3, \"kv_rank\": 4}"}, {"mla", "{\"heads\": 3, \"kv_rank\": 4, \"rope_dim\": 3}"},
        {"mla", "{\"heads\": 3, \"kv_rank\": 4, \"rope_dim\": 2, \"bias\": [\"k\"]}"}, {"differential", "{\"heads\": 3}"},
        {"differential", "{\"heads\": 4, \"kv_heads\": 1}"}, {"differential", "{\"heads\": 4, \"lambda\": 1}"},
        {"sparse", "{\"heads\": 3, \"stride\": 2}"}, {"sparse", "{\"heads\": 3, \"stride\": 2, \"pattern\": \"fixed\", \"summary\": 3}"},
        {"sparse", "{\"heads\": 3, \"stride\": 2, \"pattern\": \"strided\", \"causal\": false}"}, {"local_chunk", "{\"heads\": 3}"},
        {"local_chunk", "{\"heads\": 3, \"chunk\": 0}"}, {"local_chunk", "{\"heads\": 3, \"chunk\": 2, \"xpos\": {}}"},
        {"longformer", "{\"heads\": 3, \"window\": [1]}"}, {"longformer", "{\"heads\": 3, \"window\": [1, null]}"},
        {"longformer", "{\"heads\": 3, \"window\": [1, 1], \"dilation\": [1, 2]}"}, {"bigbird", "{\"heads\": 3, \"block\": 2}"},
        {"bigbird", "{\"heads\": 3, \"block\": 2, \"random\": 1, \"causal\": true}"},
        {"transient_global", "{\"heads\": 3, \"window\": [1], \"block\": 2}"},
        {"transient_global", "{\"heads\": 3, \"window\": [1, null], \"block\": 2}"},
        {"block_global", "{\"heads\": 3, \"block\": 2, \"offset\": 2}"}, {"block_global", "{\"heads\": 3}"},
        {"parallel", "{\"branches\": []}"}, {"parallel", "{\"branches\": [{\"mixer\": \"nothing\"}]}"}, {"parallel", "{\"branches\": [{\"mixer\": \"mamba\", \"weight\": 2}]}"},
        {"parallel", "{\"branches\": [{\"mixer\": \"attention\", \"spec\": {\"heads\": 3, \"head\": 1}}]}"}, {"reversible", "{\"mixer\": {\"heads\": 3}}"},
        {"reversible", "{\"mixer\": {\"heads\": 3}, \"ffn\": {\"hidden\": 3, \"hide\": 2}}"},
        {"linformer", "{\"heads\": 3, \"rank\": 2}"}, {"linformer", "{\"heads\": 3, \"max_len\": 4, \"rank\": 2, \"value_dim\": 3, \"share_kv\": true}"},
        {"nystrom", "{\"heads\": 3, \"landmarks\": 2, \"conv\": 4}"}, {"axial", "{\"heads\": 3, \"shape\": []}"}, {"axial", "{\"heads\": 3, \"shape\": [2, 0]}"},
        {"lsh", "{\"heads\": 3, \"chunk\": 2, \"buckets\": 5}"}, {"lsh", "{\"heads\": 3, \"chunk\": 2, \"buckets\": []}"},
        {"lsh", "{\"heads\": 3, \"chunk\": 2, \"buckets\": 4, \"bias\": [\"k\"]}"}, {"lsh", "{\"heads\": 3, \"chunk\": 2, \"buckets\": 4, \"kv_heads\": 3}"},
        {"routing", "{\"heads\": 3, \"clusters\": 2}"}, {"routing", "{\"heads\": 3, \"clusters\": 2, \"window\": 2, \"local_heads\": 4}"},
        {"additive", "{\"score\": \"dot\"}"}, {"additive", "{\"memory_dim\": 7, \"init\": \"backward\"}"}, {"additive", "{\"readout\": \"none\", \"out\": 5}"},
        {"luong", "{\"score\": \"dot\", \"hidden\": 5}"}, {"luong", "{\"local\": \"near\"}"}, {"luong", "{\"windows\": 3}"},
        {"retention", "{\"heads\": 3, \"row_norm\": \"sum\"}"}, {"retention", "{\"heads\": 3, \"causal\": true}"},
        {"performer", "{\"heads\": 3, \"rows\": 0}"}, {"performer", "{\"heads\": 3, \"kernel\": \"relu\", \"rows\": 0, \"redraw\": 2}"}, {"performer", "{\"heads\": 3, \"ortho_scaling\": 0.5}"}, {"gla", "{\"heads\": 3, \"kv_heads\": 2}"},
        {"gla", "{\"heads\": 3, \"clamp_min\": 0.5}"}, {"simple_gla", "{\"heads\": 3, \"rank\": 2}"}, {"lightning", "{\"heads\": 3, \"layer\": 4, \"layers\": 4}"},
        {"mamba2", "{\"heads\": 4, \"groups\": 3}"}, {"mamba2", "{\"heads\": 4, \"part_scales\": [1, 1]}"}, {"mamba2", "{\"heads\": 4, \"dt_limit\": [0.1]}"}, {"mamba2", "{\"heads\": 4, \"norm_groups\": 7}"},
        {"mamba2", "{\"heads\": 4, \"bias\": [\"x\"]}"}, {"hgrn2", "{\"heads\": 3, \"lower_bound\": 1.0}"}, {"hgrn2", "{\"heads\": 5}"},
        {"based", "{\"heads\": 3, \"feature\": \"exp\"}"}, {"mlstm", "{\"heads\": 5}"}, {"rwkv4", "{\"heads\": 3}"}, {"rwkv5", "{\"heads\": 3, \"gate\": \"tanh\"}"},
        {"rwkv6", "{\"heads\": 3, \"layer\": 1}"}, {"short_conv", "{\"bias\": [\"conv\"]}"}, {"mamba", "{\"bias\": [\"x\"]}"}, {"mamba", "{\"inner_norm\": true}"}, {"lstm", "{\"reset\": \"after\"}"},
        {"deltanet", "{\"heads\": 5}"}, {"deltanet", "{\"heads\": 3, \"v_heads\": 3}"}, {"deltanet", "{\"heads\": 3, \"gate\": \"tanh\"}"},
        {"gated_deltanet", "{\"heads\": 2, \"v_heads\": 3}"}, {"gated_deltanet", "{\"heads\": 3, \"conv\": 0}"}, {"kda", "{\"heads\": 3, \"lower_bound\": 0.0}"},
        {"kda", "{\"heads\": 3, \"gate\": \"silu\"}"}, {"rwkv7", "{\"heads\": 5}"}, {"rwkv7", "{\"heads\": 3, \"ranks\": {\"v\": 3}}"},
        {"rwkv7", "{\"heads\": 3, \"ranks\": {\"w\": 0}}"}, {"rglru", "{\"heads\": 5}"}, {"hgrn", "{\"lower_bound\": 1.0}"}, {"minrnn", "{\"cell\": \"rnn\"}"},
        {"s4d", "{\"discretisation\": \"euler\"}"}, {"s4d", "{\"modes\": 0}"}, {"s4", "{\"real\": true}"}, {"slstm", "{\"heads\": 5}"}, {"hyena", "{\"embed\": 4}"},
        {"hyena", "{\"order\": 1}"}, {"fourier", "{\"heads\": 3}"}, {"rnn", "{\"activation\": \"gelu\"}"}, {"gru", "{\"reset\": \"never\"}"}, {"mlp", "{\"activation\": \"selu\"}"}, {"glu", "{\"chunk\": 0}"},
        {"moe", "{\"experts\": 4, \"top_k\": 5}"}, {"moe", "{\"experts\": 4, \"groups\": 3}"}, {"moe", "{\"groups\": 4, \"top_groups\": 5}"},
        {"moe", "{\"groups\": 4, \"top_groups\": 1, \"top_k\": 3}"}, {"moe", "{\"shared_gate\": true}"}, {"moe", "{\"router\": \"hash\"}"},
        {"moe", "{\"capacity\": 0}"}, {"moe", "{\"top_groups\": 1}"}, {"expert_choice", "{}"}, {"soft_moe", "{\"slots\": 0}"},
        {"rwkv_channel", "{\"mix_of\": \"both\"}"}};
    /* clang-format on */
    static subject s;
    open_env(&s);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (build(&s, bad[i].mixer, bad[i].spec) == WEFT_OK)
            fail_msg("%s %s is taken", bad[i].mixer, bad[i].spec);
        wf_arena_free(&s.arena);
    }
    wf_pool_free(s.env.pool);
}

/* A query row without any allowed key: attention 0, so y is the bias of the output, to the bit. */
static void test_row_without_keys_is_the_bias(void **state) {
    static const char *const specs[] = {"{\"heads\": 3, \"bias\": [\"o\"], \"causal\": true}",
                                        "{\"heads\": 3, \"bias\": [\"o\"], \"window\": [0, 0], \"sinks\": true}"};
    static subject s;
    weft_error err = {0};
    open_env(&s);
    for (size_t i = 0; i < COUNT_OF(specs); i++) {
        assert_int_equal(build(&s, "attention", specs[i]), WEFT_OK);
        wf_arena_init(&s.scratch, &s.env.mem, 0);
        wf_params_open(&s.params, &s.env);
        s.row = &naive_attention;
        ok(&s, wf_form_params(&s.params, s.layer, &err), &err);
        make_inputs(&s, "@mask left");
        add_variables(&s);
        ok(&s, wf_form_full(&s.env, s.layer, &s.io, false, &s.arena, &err), &err);
        for (int64_t r = 0; r < BATCH * ROWS; r++)
            if (!s.io.mask[r])
                assert_memory_equal(s.io.y + r * DIM, wf_param_find(&s.params, "o.bias")->value, DIM * sizeof(float));
        close_case(&s);
    }
    wf_pool_free(s.env.pool);
}

static void test_every_row_has_a_naive_form(void **state) {
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++) {
            bool found = false;
            for (size_t i = 0; i < naive_row_count; i++)
                found |= strcmp(naive_rows[i]->mixer, (*row)->name) == 0;
            if (!found)
                fail_msg("mixer %s has no naive form", (*row)->name);
        }
}

int main(void) {
    enum { MOST = 128 };
    struct CMUnitTest tests[MOST + 3] = {cmocka_unit_test(test_every_row_has_a_naive_form),
                                         cmocka_unit_test(test_bad_options_are_errors),
                                         cmocka_unit_test(test_row_without_keys_is_the_bias)};
    if (naive_row_count > MOST)
        return 1;
    const char *only = getenv("WEFT_NAIVE_ROW"); /* one row alone, while it is being written */
    size_t count = 3;
    for (size_t i = 0; i < naive_row_count; i++)
        if (!only || strcmp(only, naive_rows[i]->mixer) == 0)
            tests[count++] = (struct CMUnitTest){
                .name = naive_rows[i]->mixer, .test_func = test_row, .initial_state = (void *)(uintptr_t)naive_rows[i]};
    return _cmocka_run_group_tests("tests", tests, count, NULL, NULL);
}
