/* For every row of the mixer tables: the full, chunk and step forms are one function (outputs and gradients), and the traits of
 * the row are what probes find, both ways. A row without a spec below does not pass. */
#include "support/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/kernels.h"
#include "support/mixer_cases.h"
#include "support/sessions.h"
#include "train/trainer.h"
#include "verify/forms.h"

enum { BATCH = 2, ROWS = 13, DIM = 12, PADDED = 5, MEMORY_ROWS = 7 };

typedef struct subject {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
    wf_params params;
    wf_layer *layer;
    wf_form_io io;
    const case_row *row;
} subject;

static float *draw(wf_arena *arena, size_t count, uint32_t site, float scale) {
    float *values = wf_arena_alloc(arena, count * sizeof *values);
    wf_rng rng = wf_rng_make(3, site, 0);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = scale * (float)wf_rng_normal(rng, i);
    return values;
}

static void open_env(subject *s) {
    weft_error err = {0};
    memset(s, 0, sizeof *s);
    s->env = (wf_env){.mem = wf_mem_default, .kernels = &s->kernels};
    assert_int_equal(wf_kernels_choose(NULL, &s->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&s->env.mem, 2, &s->env.pool, &err), WEFT_OK);
}

static void open_layer(subject *s, const case_row *row) {
    weft_error err = {0};
    wf_json *spec;
    wf_arena_init(&s->arena, &s->env.mem, 0);
    wf_params_open(&s->params, &s->env);
    s->row = row;
    assert_int_equal(wf_json_parse(&s->arena, row->spec, strlen(row->spec), 0, &spec, &err), WEFT_OK);
    const wf_mixer *mixer = wf_mixer_find(row->mixer);
    assert_non_null(mixer);
    if (wf_layer_build(&s->arena, mixer, spec, DIM, "test", &s->layer, &err) != WEFT_OK ||
        wf_form_params(&s->params, s->layer, &err) != WEFT_OK)
        fail_msg("%s %s: %s", row->mixer, row->spec, err.message);
    for (size_t i = 0; i < s->params.count; i++)
        memcpy(s->params.list[i]->value, draw(&s->arena, (size_t)s->params.list[i]->count, 100 + (uint32_t)i, 0.4f),
               (size_t)s->params.list[i]->count * sizeof(float));
    s->io = (wf_form_io){.batch = BATCH, .rows = ROWS, .dim = DIM, .x = draw(&s->arena, BATCH * ROWS * DIM, 1, 1.0f)};
    if (strstr(mixer->inputs, " memory ")) { /* one that it cannot do without */
        s->io.memory_rows = MEMORY_ROWS;
        s->io.memory_dim = wf_int(s->layer, "memory_dim");
        s->io.memory = draw(&s->arena, (size_t)(BATCH * MEMORY_ROWS * s->io.memory_dim), 4, 1.0f);
    }
}

static void close_layer(subject *s) {
    wf_params_close(&s->params);
    wf_arena_free(&s->arena);
}

static void ok(const subject *s, weft_status status, const weft_error *err) {
    if (status != WEFT_OK)
        fail_msg("%s %s: %s", s->row->mixer, s->row->spec, err->message);
}

/* Runs the full form for y only, from x (and a mask, when the mixer takes one). */
static const float *output(subject *s, const float *x, const uint8_t *mask) {
    weft_error err = {0};
    wf_form_io io = s->io;
    io.x = x;
    io.mask = mask;
    io.dy = NULL;
    io.y = NULL;
    ok(s, wf_form_full(&s->env, s->layer, &io, false, &s->arena, &err), &err);
    return io.y;
}

/* ---- one function in every form ---- */
static void close_to(const subject *s, const char *what, const float *a, const float *b, size_t count) {
    double most = 1e-3, worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)b[i]));
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        assert_true(isfinite(a[i]));
    }
    if (!(worst <= 3e-5 * most))
        fail_msg("%s %s: %s differs by %g of %g", s->row->mixer, s->row->spec, what, worst, most);
}

/* The gradients of all parameters, copied one after the other. */
static float *gradients(subject *s, size_t *count) {
    size_t n = 0;
    for (size_t i = 0; i < s->params.count; i++)
        n += s->params.list[i]->buffer ? 0 : (size_t)s->params.list[i]->count;
    float *all = wf_arena_alloc(&s->arena, (n + 1) * sizeof *all), *at = all;
    for (size_t i = 0; i < s->params.count; i++) {
        if (s->params.list[i]->buffer)
            continue;
        memcpy(at, s->params.list[i]->grad, (size_t)s->params.list[i]->count * sizeof *at);
        at += s->params.list[i]->count;
    }
    *count = n;
    return all;
}

static void check_chunks(subject *s, const wf_form_io *full, const float *full_gradients, const int64_t *pieces, size_t n) {
    weft_error err = {0};
    wf_form_io io = s->io;
    size_t count;
    io.dy = full->dy;
    ok(s, wf_form_chunk(&s->env, s->layer, &io, pieces, n, &s->arena, &err), &err);
    const float *own = gradients(s, &count);
    close_to(s, "y of the chunks", io.y, full->y, (size_t)(BATCH * ROWS * full->width));
    close_to(s, "dx of the chunks", io.dx, full->dx, BATCH * ROWS * DIM);
    close_to(s, "a gradient of the chunks", own, full_gradients, count);
}

static void check_forms(subject *s) {
    weft_error err = {0};
    wf_form_io full = s->io, step = s->io;
    int64_t ones[ROWS];
    size_t count;
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err); /* says how wide y is */
    full.dy = draw(&s->arena, (size_t)(BATCH * ROWS * full.width), 2, 1.0f);
    full.y = NULL;
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err);
    const float *all = gradients(s, &count);
    for (int64_t i = 0; i < ROWS; i++)
        ones[i] = 1;
    check_chunks(s, &full, all, (int64_t[]){ROWS}, 1);
    check_chunks(s, &full, all, (int64_t[]){5, ROWS - 5}, 2);
    check_chunks(s, &full, all, (int64_t[]){1, 6, 2, 4}, 4);
    check_chunks(s, &full, all, ones, ROWS);
    ok(s, wf_form_step(&s->env, s->layer, &step, &s->arena, &err), &err);
    close_to(s, "y of the steps", step.y, full.y, (size_t)(BATCH * ROWS * full.width));
}

/* ---- bf16 ---- */
static double apart(const float *a, const float *b, size_t count) {
    double sum = 0.0, all = 0.0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(a[i]));
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(sum / all);
}

/* The root of the mean square of what bf16 mode changes in y and dx, as a share of theirs. */
static double half_error(subject *s) {
    weft_error err = {0};
    wf_form_io full = s->io, half = s->io;
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err);
    size_t count = (size_t)(BATCH * ROWS * full.width);
    full.dy = half.dy = draw(&s->arena, count, 2, 1.0f);
    full.y = NULL;
    half.bf16 = true;
    ok(s, wf_params_allocate_bf16(&s->params, &err), &err);
    wf_params_refresh_bf16(&s->params);
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err);
    ok(s, wf_form_full(&s->env, s->layer, &half, false, &s->arena, &err), &err);
    return fmax(apart(half.y, full.y, count), apart(half.dx, full.dx, BATCH * ROWS * DIM));
}

/* The most of the cases of each row, against what the row states: no case above, and not stated too loosely. */
static double worst_half[COUNT_OF(cases)];

static void check_half(subject *s) {
    double error = half_error(s), stated = s->layer->row->bf16;
    worst_half[s->row - cases] = error;
    if (error > stated)
        fail_msg("%s %s: bf16 mode is off by %g, the row states %g", s->row->mixer, s->row->spec, error, stated);
}

static void check_stated_halves(void) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double worst = 0.0, stated = wf_mixer_find(cases[i].mixer)->bf16;
        for (size_t j = 0; j < COUNT_OF(cases); j++)
            worst = strcmp(cases[i].mixer, cases[j].mixer) == 0 ? fmax(worst, worst_half[j]) : worst;
        if (worst < 0.3 * stated)
            fail_msg("%s: bf16 mode is off by %g only, the row states %g", cases[i].mixer, worst, stated);
    }
}

/* ---- probes ---- */
static bool same_rows(const float *a, const float *b, size_t width, int64_t batch, int64_t first, int64_t end) {
    return memcmp(a + (size_t)(batch * ROWS + first) * width, b + (size_t)(batch * ROWS + first) * width,
                  (size_t)(end - first) * width * sizeof *a) == 0;
}

static void agree(const subject *s, const char *what, bool trait, bool found) {
    if (trait != found)
        fail_msg("%s %s: the traits say %s%s, the probe says %s", s->row->mixer, s->row->spec, trait ? "" : "not ", what,
                 found ? "yes" : "no");
}

static float *changed(subject *s, int64_t first, int64_t end) {
    float *x = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *x);
    memcpy(x, s->io.x, BATCH * ROWS * DIM * sizeof *x);
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = first * DIM; i < end * DIM; i++)
            x[b * ROWS * DIM + i] = 2.0f - 1.5f * x[b * ROWS * DIM + i];
    return x;
}

/* Rows from `cut` on change: a causal mixer gives the same bits before. */
static void probe_causality(subject *s) {
    int64_t cut = 8;
    const float *a = output(s, s->io.x, NULL), *b = output(s, changed(s, cut, ROWS), NULL);
    size_t width = (size_t)s->io.width;
    bool same = same_rows(a, b, width, 0, 0, cut) && same_rows(a, b, width, 1, 0, cut);
    agree(s, "causal", wf_layer_causal(s->layer), same);
    assert_false(same_rows(a, b, width, 0, cut, ROWS)); /* the probe does reach the mixer */
}

/* Rows 0, 1 and the last two are padding and change: the others keep their bits. */
static void probe_padding(subject *s) {
    bool takes_mask = strstr(s->layer->row->inputs, " mask?") != NULL;
    uint8_t mask[BATCH * ROWS];
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        mask[i] = i % ROWS >= 2 && i % ROWS < ROWS - 2;
    float *x = changed(s, ROWS - 2, ROWS);
    memcpy(x, changed(s, 0, 2), 2 * DIM * sizeof *x);
    const float *a = output(s, s->io.x, takes_mask ? mask : NULL), *b = output(s, x, takes_mask ? mask : NULL);
    size_t width = (size_t)s->io.width;
    agree(s, "inert to padding", (wf_layer_traits(s->layer) & WF_PADDING_INERT) != 0,
          same_rows(a, b, width, 0, 2, ROWS - 2) && same_rows(a, b, width, 1, 2, ROWS - 2));
}

/* PADDED masked rows in front (no multiple of a chunk), or the other rows alone. */
static void probe_trace(subject *s) {
    weft_error err = {0};
    bool takes_mask = strstr(s->layer->row->inputs, " mask?") != NULL;
    int64_t rows = ROWS - PADDED;
    uint8_t mask[BATCH * ROWS];
    float *x = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *x), worst = 0.0f;
    if (!takes_mask || !wf_layer_streams(s->layer))
        return;
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        mask[i] = i % ROWS >= PADDED;
    for (int64_t b = 0; b < BATCH; b++)
        memcpy(x + b * rows * DIM, s->io.x + (b * ROWS + PADDED) * DIM, (size_t)(rows * DIM) * sizeof *x);
    wf_form_io alone = {.batch = BATCH,
                        .rows = rows,
                        .dim = DIM,
                        .x = x,
                        .memory = s->io.memory,
                        .memory_rows = s->io.memory_rows,
                        .memory_dim = s->io.memory_dim};
    ok(s, wf_form_full(&s->env, s->layer, &alone, false, &s->arena, &err), &err);
    const float *padded = output(s, s->io.x, mask);
    int64_t width = s->io.width;
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = 0; i < rows * width; i++)
            worst = fmaxf(worst, fabsf(padded[(b * ROWS + PADDED) * width + i] - alone.y[b * rows * width + i]));
    agree(s, "marked by padding before it", (wf_layer_traits(s->layer) & WF_PADDING_TRACE) != 0, worst > 1e-4f);
}

/* The rows in another order. */
static void probe_permutation(subject *s) {
    unsigned traits = wf_layer_traits(s->layer);
    size_t width = (size_t)s->io.width;
    float *x = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *x), worst = 0.0f;
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        memcpy(x + i * DIM, s->io.x + (i / ROWS * ROWS + (i % ROWS * 5 + 3) % ROWS) * DIM, DIM * sizeof *x);
    const float *a = output(s, s->io.x, NULL), *b = output(s, x, NULL);
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        for (size_t c = 0; c < width; c++)
            worst = fmaxf(
                worst, fabsf(b[(size_t)i * width + c] - a[(size_t)(i / ROWS * ROWS + (i % ROWS * 5 + 3) % ROWS) * width + c]));
    bool wanted = (traits & WF_PERMUTATION) && ((traits & WF_PER_TOKEN) || (!wf_layer_causal(s->layer) && !s->row->ordered));
    agree(s, "equivariant to permutations", wanted, worst < 1e-4f);
}

/* A row by itself: no other row changes. */
static void probe_per_token(subject *s) {
    const float *a = output(s, s->io.x, NULL), *b = output(s, changed(s, 4, 5), NULL);
    size_t width = (size_t)s->io.width;
    agree(s, "per token", wf_layer_traits(s->layer) & WF_PER_TOKEN,
          same_rows(a, b, width, 0, 0, 4) && same_rows(a, b, width, 0, 5, ROWS));
}

/* ---- unequal lengths ---- */
/* Every sequence by itself: y, dx, and the sum of the gradients of all parameters. False: the mixer takes no such length. */
static bool run_alone(subject *s, const float *dy, const int64_t *lengths, float *y, float *dx, float *sum, size_t count) {
    weft_error err = {0};
    size_t width = (size_t)s->io.width;
    memset(sum, 0, count * sizeof *sum);
    for (int64_t b = 0; b < BATCH; b++) {
        wf_form_io one = s->io;
        one.batch = 1;
        one.rows = lengths[b];
        one.x = s->io.x + b * ROWS * DIM;
        one.memory = s->io.memory ? s->io.memory + b * s->io.memory_rows * s->io.memory_dim : NULL;
        one.dy = dy + (size_t)(b * ROWS) * width;
        one.y = NULL;
        if (wf_form_full(&s->env, s->layer, &one, false, &s->arena, &err) != WEFT_OK)
            return false;
        const float *own = gradients(s, &count);
        for (size_t i = 0; i < count; i++)
            sum[i] += own[i];
        memcpy(y + (size_t)(b * ROWS) * width, one.y, (size_t)lengths[b] * width * sizeof *y);
        memcpy(dx + b * ROWS * DIM, one.dx, (size_t)lengths[b] * DIM * sizeof *dx);
    }
    return true;
}

/* Sequences of ROWS and of fewer rows in a batch: outputs and gradients are those of each alone. */
static void check_lengths(subject *s) {
    static const int64_t lengths[BATCH] = {ROWS, ROWS - PADDED};
    weft_error err = {0};
    wf_form_io both = s->io;
    uint8_t mask[BATCH * ROWS];
    size_t count, width = (size_t)s->io.width, n = BATCH * ROWS * width;
    float *dy = draw(&s->arena, n, 2, 1.0f), *y = wf_arena_alloc(&s->arena, n * sizeof *y),
          *dx = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *dx);
    for (int64_t i = 0; i < BATCH * ROWS; i++) {
        mask[i] = i % ROWS < lengths[i / ROWS];
        for (size_t c = 0; !mask[i] && c < width; c++)
            dy[(size_t)i * width + c] = 0.0f;
    }
    (void)gradients(s, &count);
    float *sum = wf_arena_alloc(&s->arena, (count + 1) * sizeof *sum);
    bool alone = run_alone(s, dy, lengths, y, dx, sum, count), counts = wf_layer_traits(s->layer) & WF_PADDING_COUNTS;
    both.dy = dy;
    both.mask = mask;
    both.y = NULL;
    ok(s, wf_form_full(&s->env, s->layer, &both, false, &s->arena, &err), &err);
    agree(s, "counting the padding behind it", counts,
          !alone || apart(both.y + (size_t)ROWS * width, y + (size_t)ROWS * width, (size_t)lengths[1] * width) > 1e-3);
    for (int64_t b = 0; b < BATCH && !counts; b++) {
        close_to(s, "y of unequal lengths", both.y + (size_t)(b * ROWS) * width, y + (size_t)(b * ROWS) * width,
                 (size_t)lengths[b] * width);
        close_to(s, "dx of unequal lengths", both.dx + b * ROWS * DIM, dx + b * ROWS * DIM, (size_t)(lengths[b] * DIM));
    }
    if (!counts)
        close_to(s, "a gradient of unequal lengths", gradients(s, &count), sum, count);
}

static void test_rows(void **state) {
    subject s;
    open_env(&s);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        weft_error err = {0};
        open_layer(&s, &cases[i]);
        ok(&s, wf_form_full(&s.env, s.layer, &s.io, false, &s.arena, &err), &err);
        s.io.y = NULL;
        if (wf_layer_streams(s.layer))
            check_forms(&s);
        probe_causality(&s);
        probe_padding(&s);
        probe_trace(&s);
        probe_permutation(&s);
        probe_per_token(&s);
        if (strstr(s.layer->row->inputs, " mask?") && (wf_layer_traits(s.layer) & WF_PADDING_INERT))
            check_lengths(&s);
        check_half(&s);
        close_layer(&s);
    }
    check_stated_halves();
    wf_pool_free(s.env.pool);
}

/* ---- states as values ---- */
/* It reads a second stream, with a row for each of the first. */
static bool has_side(const wf_layer *layer) {
    for (const wf_key *k = layer->row->keys; k->name; k++)
        if (strcmp(k->name, "side_dim") == 0)
            return wf_int(layer, "side_dim") > 0;
    return false;
}

/* A model of two such layers that decodes; its encoder, where the row needs a memory. NULL: it does not decode, or alone it
 * makes no stream. */
static wf_model *stack_of(test_env *e, const case_row *row) {
    const wf_mixer *mixer = wf_mixer_find(row->mixer);
    bool channel = true;
    char text[2048], encoder[256] = "";
    wf_layer *layer;
    wf_tape *tape;
    weft_error err = {0};
    for (const wf_mixer *const *m = wf_mixers; *m; m++)
        channel = channel && *m != mixer;
    assert_int_equal(wf_layer_build(&e->arena, mixer, test_json(e, row->spec), DIM, "test", &layer, &err), WEFT_OK);
    if (!wf_layer_streams(layer) || has_side(layer))
        return NULL;
    if (strstr(mixer->inputs, " memory "))
        snprintf(encoder, sizeof encoder,
                 "\"encoder\": {\"layers\": 1, \"dim\": 8, \"vocab\": 11, \"block\": {\"mixer\": \"rnn\"}, \"bridge\": "
                 "{\"dim\": %lld}}, "
                 "\"shift\": {\"token\": 1}, ",
                 (long long)wf_int(layer, "memory_dim"));
    snprintf(text, sizeof text,
             "{\"dim\": %d, \"layers\": 2, \"vocab\": 11, %s\"block\": {\"mixer\": %s{\"mixer\": \"%s\", \"spec\": %s}}}", DIM,
             encoder, channel ? "\"rnn\", \"channel\": " : "", row->mixer, row->spec);
    wf_model *m = test_model_of(e, test_json(e, text), 5);
    for (size_t i = 0; i < m->params.count; i++) /* no two keys weigh the same */
        for (int64_t j = 0; !m->params.list[i]->buffer && j < m->params.list[i]->count; j++)
            m->params.list[i]->value[j] += 0.1f * (float)wf_rng_normal(wf_rng_make(6, (uint32_t)i, 0), (uint64_t)j);
    wf_model_ports ports = {NULL};
    assert_int_equal(wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32}, &tape, &err), WEFT_OK);
    ports.ids = wf_input(tape, "ids", WF_I32, 2, (int64_t[]){1, ROWS});
    ports.memory = *encoder ? wf_input(tape, "memory", WF_F32, 3, (int64_t[]){1, 3, wf_int(layer, "memory_dim")}) : NULL;
    weft_status status = wf_model_record(m, tape, 1, ROWS, &(wf_model_options){.mode = WF_NO_STATE}, &ports, &err);
    status = status == WEFT_OK ? wf_tape_plan(tape, &err) : status;
    bool joins = status == WEFT_OK;
    if (!joins && !strstr(err.message, "gives rows of width"))
        fail_msg("%s %s: %s", row->mixer, row->spec, err.message);
    wf_tape_free(tape);
    if (joins)
        return m;
    wf_model_free(m);
    return NULL;
}

static bool has_ring(const wf_model *m) {
    const wf_layer *l = m->spec->blocks[0].mixer;
    for (int i = 0; i < l->n_states; i++)
        if (l->states[i].present && l->states[i].limit > 0)
            return true;
    return false;
}

/* Every row that decodes: short sequences, and where a window moves on, long ones too. */
static void test_states(void **state) {
    const char *kept[COUNT_OF(cases)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_env e;
        char what[512];
        test_env_open(&e, 1);
        wf_model *m = stack_of(&e, &cases[i]);
        snprintf(what, sizeof what, "%s %s", cases[i].mixer, cases[i].spec);
        if (m) {
            kept[n++] = cases[i].mixer;
            session_check(m, what, 5);
            if (has_ring(m))
                session_check(m, what, WF_SESSION_CHUNK + 20);
        }
        wf_model_free(m);
        test_env_close(&e);
    }
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++) {
            bool found = !((*row)->traits & WF_STREAMS) || !(*row)->states;
            for (size_t i = 0; i < n; i++)
                found = found || strcmp(kept[i], (*row)->name) == 0;
            if (!found)
                fail_msg("no stack of '%s' decodes", (*row)->name);
        }
}

/* ---- reading a memory ---- */
/* Eight updates on one batch of an encoder-decoder whose blocks have the layer between mixer and channel: the loss falls. */
static void learn(test_env *e, wf_model *m, const char *what) {
    enum { TARGETS = 5, STEPS = 8 };
    int32_t source[2 * SESSION_SOURCE], targets[2 * TARGETS];
    wf_trainer *t;
    weft_error err = {0};
    wf_step_result first = {0}, last = {0};
    const wf_json *adamw = test_json(e, "{\"name\": \"adamw\", \"lr\": 0.01}");
    const wf_trainer_options options = {
        .batch = 2, .rows = TARGETS, .source_rows = SESSION_SOURCE, .accumulate = 1, .optimizer = adamw};
    for (int i = 0; i < 2 * SESSION_SOURCE; i++)
        source[i] = (int32_t)(i * i % 11);
    for (int i = 0; i < 2 * TARGETS; i++)
        targets[i] = (int32_t)(3 * i % 11);
    weft_status status = wf_trainer_create(m, &options, &t, &err);
    for (int step = 0; step < STEPS && status == WEFT_OK; step++) {
        status = wf_trainer_step(t, &(wf_train_batch){.targets = targets, .source = source}, &last, &err);
        first = step ? first : last;
    }
    if (status != WEFT_OK || !(last.loss < first.loss))
        fail_msg("%s: the loss goes from %g to %g: %s", what, first.loss, last.loss, err.message);
    wf_trainer_free(t);
}

/* Every row that can read a memory, as `cross`: it learns and decodes, or a line says why not. */
static void test_cross(void **state) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const wf_mixer *mixer = wf_mixer_find(cases[i].mixer);
        test_env e;
        char text[2048], what[512];
        wf_layer *layer;
        wf_tape *tape;
        weft_error err = {0};
        if (!strstr(mixer->inputs, " memory"))
            continue;
        test_env_open(&e, 1);
        assert_int_equal(wf_layer_build(&e.arena, mixer, test_json(&e, cases[i].spec), DIM, "test", &layer, &err), WEFT_OK);
        snprintf(what, sizeof what, "cross %s %s", cases[i].mixer, cases[i].spec);
        snprintf(
            text, sizeof text,
            "{\"dim\": %d, \"layers\": 2, \"vocab\": 11, \"shift\": {\"token\": 1}, \"encoder\": {\"layers\": 1, \"dim\": 8, "
            "\"vocab\": 11, \"block\": {\"mixer\": \"rnn\"}, \"bridge\": {\"dim\": %lld}}, \"block\": {\"mixer\": \"rnn\", "
            "\"cross\": {\"mixer\": \"%s\", \"spec\": %s}, \"channel\": \"glu\"}}",
            DIM, (long long)wf_int(layer, "memory_dim"), cases[i].mixer, cases[i].spec);
        wf_model *m = test_model_of(&e, test_json(&e, text), 5);
        assert_int_equal(wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32}, &tape, &err), WEFT_OK);
        wf_model_ports source = {.ids = wf_input(tape, "source", WF_I32, 2, (int64_t[]){1, 3})},
                       ports = {.ids = wf_input(tape, "ids", WF_I32, 2, (int64_t[]){1, 2}), .source = &source};
        weft_status status = wf_model_record(m, tape, 1, 2, &(wf_model_options){.mode = WF_NO_STATE}, &ports, &err);
        status = status == WEFT_OK ? wf_tape_plan(tape, &err) : status;
        wf_tape_free(tape);
        if (status == WEFT_OK) {
            learn(&e, m, what);
            status = wf_model_can_stream(m, &err);
            if (status == WEFT_OK)
                session_check(m, what, 5);
        }
        if (status != WEFT_OK && !strstr(err.message, "block 0 cross"))
            fail_msg("%s: %s", what, err.message);
        wf_model_free(m);
        test_env_close(&e);
    }
}

static bool has_case(const char *mixer) {
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (strcmp(cases[i].mixer, mixer) == 0)
            return true;
    return false;
}

static void test_every_row_has_a_spec(void **state) {
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++)
            if (!has_case((*row)->name))
                fail_msg("no spec for '%s' in tests/forms_test.c", (*row)->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row_has_a_spec), cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_states), cmocka_unit_test(test_cross)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
