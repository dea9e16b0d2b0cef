/* GNMT as a stack by spec (docs/more-mixers.md): the logits are those of its equations in plain loops and double precision, the
 * gradients their differences, and the decoder says the same piece by piece. */
#include "support/model.h"
#include <math.h>
#include "gen/session.h"

enum { VOCAB = 23, WORDS = 19, SOURCE = 9, ROWS = 7, BATCH = 2, DIM = 16, MEMORY = 12, LAYERS = 3, MOST = 64 };

static const char *const spec =
    "{\"dim\": 16, \"vocab\": 23, \"norm\": null, \"block\": {\"norm\": null}, \"head\": {\"tied\": false, \"bias\": true},"
    " \"encoder\": {\"dim\": 12, \"vocab\": 19, \"norm\": null, \"block\": {\"norm\": null}, \"blocks\": ["
    "  {\"wiring\": \"plain\", \"mixer\": {\"mixer\": \"lstm\", \"hidden\": 6, \"bidirectional\": true}},"
    "  {\"wiring\": \"plain\", \"mixer\": \"lstm\"}, {\"mixer\": \"lstm\"}]},"
    " \"shift\": {\"token\": 2, \"padding\": 1},"
    " \"blocks\": ["
    "  {\"wiring\": \"plain\", \"mixer\": {\"mixer\": \"additive\", \"memory_dim\": 12, \"units\": 5, \"cell\": \"lstm\","
    "   \"normed\": true, \"readout\": \"none\", \"side\": true}},"
    "  {\"wiring\": \"plain\", \"mixer\": {\"mixer\": \"lstm\", \"side_dim\": 12}},"
    "  {\"mixer\": {\"mixer\": \"lstm\", \"side_dim\": 12}}]}";

static const int32_t source[BATCH * SOURCE] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 0, 0, 0};
static const int64_t lengths[BATCH] = {9, 6};
static const int32_t ids[BATCH * ROWS] = {2, 7, 1, 8, 2, 8, 1, 2, 20, 22, 3, 9, 21, 4};

/* ---- the equations ---- */
static const float *value(const wf_model *m, const char *place, const char *name) {
    char full[96];
    snprintf(full, sizeof full, "%s%s", place, name);
    const wf_param *p = wf_param_find(&m->params, full);
    if (!p)
        fail_msg("no parameter '%s'", full);
    return p->value;
}

static double product(const float *w, int64_t row, const double *x, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)w[row * n + i] * x[i];
    return sum;
}

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

/* One step of the LSTM `place`: x [in], h and c [n] are replaced. */
static void turn(const wf_model *m, const char *place, const double *x, int64_t in, double *h, double *c, int64_t n) {
    const float *ih = value(m, place, "ih.weight"), *ih_bias = value(m, place, "ih.bias"), *hh = value(m, place, "hh.weight"),
                *hh_bias = value(m, place, "hh.bias");
    double gate[4 * MOST];
    for (int64_t r = 0; r < 4 * n; r++)
        gate[r] = product(ih, r, x, in) + (double)ih_bias[r] + product(hh, r, h, n) + (double)hh_bias[r];
    for (int64_t i = 0; i < n; i++) {
        c[i] = sigmoid(gate[n + i]) * c[i] + sigmoid(gate[i]) * tanh(gate[2 * n + i]);
        h[i] = sigmoid(gate[3 * n + i]) * tanh(c[i]);
    }
}

/* An encoder's layer of n cells over `rows` rows, backwards or forwards, into the columns of the rows of the memory at `out`.
 */
static void sweep(const wf_model *m, const char *place, const double *x, int64_t rows, bool back, int64_t n, double *out) {
    double h[MOST] = {0}, c[MOST] = {0};
    for (int64_t i = 0; i < rows; i++) {
        int64_t t = back ? rows - 1 - i : i;
        turn(m, place, x + t * MEMORY, MEMORY, h, c, n);
        memcpy(out + t * MEMORY, h, (size_t)n * sizeof *h);
    }
}

static void embed(const float *table, const int32_t *tokens, int64_t rows, int64_t dim, double *out) {
    for (int64_t i = 0; i < rows * dim; i++)
        out[i] = (double)table[tokens[i / dim] * dim + i % dim];
}

static void encode(const wf_model *m, int64_t b, double memory[SOURCE * MEMORY]) {
    double x[SOURCE * MEMORY] = {0}, y[SOURCE * MEMORY] = {0};
    int64_t n = lengths[b];
    embed(value(m, "encoder.", "stem.token.weight"), source + b * SOURCE, n, MEMORY, x);
    sweep(m, "encoder.block.0.mixer.l0.", x, n, false, MEMORY / 2, y);
    sweep(m, "encoder.block.0.mixer.l0r.", x, n, true, MEMORY / 2, y + MEMORY / 2);
    sweep(m, "encoder.block.1.mixer.l0.", y, n, false, MEMORY, x);
    sweep(m, "encoder.block.2.mixer.l0.", x, n, false, MEMORY, memory);
    for (int64_t i = 0; i < n * MEMORY; i++)
        memory[i] += x[i];
}

/* The context of the bottom layer's state before the step. */
static void ask(const wf_model *m, const double *h, const double *memory, int64_t n, double *context) {
    const char *place = "block.0.mixer.score.";
    const float *v = value(m, place, "v"), *bias = value(m, place, "b");
    double e[SOURCE], norm = 0.0, sum = 0.0;
    for (int64_t u = 0; u < 5; u++)
        norm += (double)v[u] * (double)v[u];
    for (int64_t j = 0; j < n; j++) {
        e[j] = 0.0;
        for (int64_t u = 0; u < 5; u++)
            e[j] += (double)value(m, place, "g")[0] * (double)v[u] / sqrt(norm) *
                    tanh(product(value(m, place, "q.weight"), u, h, DIM) +
                         product(value(m, place, "k.weight"), u, memory + j * MEMORY, MEMORY) + (double)bias[u]);
        sum += e[j] = exp(e[j]);
    }
    memset(context, 0, MEMORY * sizeof *context);
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < MEMORY; c++)
            context[c] += e[j] / sum * memory[j * MEMORY + c];
}

static void decode(const wf_model *m, int64_t b, double *logits) {
    static const char *const cells[LAYERS] = {"block.0.mixer.cell.", "block.1.mixer.l0.", "block.2.mixer.l0."};
    double memory[SOURCE * MEMORY], h[LAYERS][MOST] = {{0}}, c[LAYERS][MOST] = {{0}}, row[DIM + MEMORY], below[DIM];
    encode(m, b, memory);
    for (int64_t t = 0; t < ROWS; t++, logits += VOCAB) {
        ask(m, h[0], memory, lengths[b], row + DIM);
        embed(value(m, "", "stem.token.weight"), ids + b * ROWS + t, 1, DIM, row);
        for (int i = 0; i < LAYERS; i++) {
            memcpy(below, row, sizeof below);
            turn(m, cells[i], row, DIM + MEMORY, h[i], c[i], DIM);
            for (int k = 0; k < DIM; k++)
                row[k] = h[i][k] + (i >= 2 ? below[k] : 0.0);
        }
        for (int64_t k = 0; k < VOCAB; k++)
            logits[k] = product(value(m, "", "head.weight"), k, row, DIM) + (double)value(m, "", "head.bias")[k];
    }
}

/* ---- the same by the spec ---- */
/* The logits and, where dy is given, the gradients of sum(dy * logits). */
static void run_full(const wf_model *m, const float *dy, float *out) {
    wf_tape *t;
    weft_error err = {0};
    wf_runtime rt = {.loss_scale = 1.0f};
    assert_int_equal(wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32, .grad = dy != NULL}, &t, &err), WEFT_OK);
    wf_model_ports encoder = {.ids = wf_input(t, "source", WF_I32, 2, (int64_t[]){BATCH, SOURCE}),
                              .mask = wf_input(t, "mask", WF_U8, 2, (int64_t[]){BATCH, SOURCE})};
    wf_model_ports ports = {.ids = wf_input(t, "ids", WF_I32, 2, (int64_t[]){BATCH, ROWS}), .source = &encoder};
    wf_tensor *mask = encoder.mask;
    assert_int_equal(wf_model_record(m, t, BATCH, ROWS, &(wf_model_options){.mode = WF_NO_STATE}, &ports, &err), WEFT_OK);
    wf_tensor *logits = wf_model_logits(m, t, ports.hidden);
    wf_keep(t, logits);
    wf_tensor *seed = dy ? wf_input(t, "dy", WF_F32, logits->rank, logits->dims) : NULL;
    if (dy)
        wf_root_seeded(t, logits, seed);
    if (wf_tape_plan(t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    memcpy(encoder.ids->data, source, sizeof source);
    memcpy(ports.ids->data, ids, sizeof ids);
    for (int i = 0; i < BATCH * SOURCE; i++)
        ((uint8_t *)mask->data)[i] = i % SOURCE < lengths[i / SOURCE];
    if (dy)
        memcpy(seed->data, dy, (size_t)seed->count * sizeof *dy);
    assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
    memcpy(out, logits->data, BATCH * ROWS * VOCAB * sizeof *out);
    if (dy)
        assert_int_equal(wf_tape_backward(t, &rt, &err), WEFT_OK);
    wf_tape_free(t);
}

static void nearly(double a, double b) {
    if (!(fabs(a - b) <= 1e-5 * (1.0 + fabs(b))))
        fail_msg("%g, not %g", a, b);
}

/* Biases start at zero: everything gets a value. */
static wf_model *open_model(test_env *e) {
    wf_model *m = test_model(e, spec, 3);
    for (size_t i = 0; i < m->params.count; i++)
        for (int64_t k = 0; k < m->params.list[i]->count; k++)
            m->params.list[i]->value[k] += 0.3f * (float)wf_rng_normal(wf_rng_make(7, (uint32_t)i, 0), (uint64_t)k);
    return m;
}

static void test_equations(void **state) {
    static float full[BATCH * ROWS * VOCAB];
    static double own[BATCH * ROWS * VOCAB];
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    wf_model *m = open_model(&e);
    run_full(m, NULL, full);
    for (int64_t b = 0; b < BATCH; b++)
        decode(m, b, own + b * ROWS * VOCAB);
    for (int i = 0; i < BATCH * ROWS * VOCAB; i++)
        nearly((double)full[i], own[i]);
    wf_model_free(m);
    test_env_close(&e);
}

static double loss(const wf_model *m, const float *dy) {
    static double own[BATCH * ROWS * VOCAB];
    double sum = 0.0;
    for (int64_t b = 0; b < BATCH; b++)
        decode(m, b, own + b * ROWS * VOCAB);
    for (int i = 0; i < BATCH * ROWS * VOCAB; i++)
        sum += own[i] * (double)dy[i];
    return sum;
}

/* Along a random direction of every parameter: the gradient is the difference of the equations' loss. */
static void check_gradient(const wf_model *m, wf_param *p, uint32_t site, const float *dy) {
    float *kept = p->value, moved[8192];
    double along = 0.0, size = 0.0, at[2], step = 5e-3;
    assert_true(p->count <= (int64_t)COUNT_OF(moved));
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < p->count; i++)
            moved[i] = kept[i] + (float)((side ? -step : step) * wf_rng_normal(wf_rng_make(9, site, 0), (uint64_t)i));
        p->value = moved;
        at[side] = loss(m, dy);
        p->value = kept;
    }
    for (int64_t i = 0; i < p->count; i++) {
        double term = (double)p->grad[i] * wf_rng_normal(wf_rng_make(9, site, 0), (uint64_t)i);
        along += term;
        size += term * term;
    }
    double found = (at[0] - at[1]) / (2.0 * step);
    assert_true(size > 0.0);
    if (!(fabs(found - along) <= 3e-3 * (sqrt(size) + 1.0)))
        fail_msg("%s: the gradient is %g along a direction, the difference %g", p->name, along, found);
}

static void test_gradients(void **state) {
    static float full[BATCH * ROWS * VOCAB], dy[BATCH * ROWS * VOCAB];
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    wf_model *m = open_model(&e);
    for (int i = 0; i < BATCH * ROWS * VOCAB; i++)
        dy[i] = (float)wf_rng_normal(wf_rng_make(8, 1, 0), (uint64_t)i);
    assert_int_equal(wf_params_allocate_grads(&m->params, NULL), WEFT_OK);
    run_full(m, dy, full);
    for (size_t i = 0; i < m->params.count; i++)
        check_gradient(m, m->params.list[i], (uint32_t)i, dy);
    wf_model_free(m);
    test_env_close(&e);
}

static void test_decoding(void **state) {
    static float full[BATCH * ROWS * VOCAB];
    static const int64_t cuts[] = {1, 3, 1, 2};
    test_env e;
    wf_session *s;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 2);
    wf_model *m = open_model(&e);
    run_full(m, NULL, full);
    if (wf_session_create(m, BATCH, 12, &s, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(wf_session_source(s, source, SOURCE, lengths, NULL), WEFT_OK);
    int64_t at = 0;
    for (size_t c = 0; c < COUNT_OF(cuts); at += cuts[c++]) {
        int32_t piece[BATCH * ROWS];
        const float *logits;
        for (int64_t b = 0; b < BATCH; b++)
            memcpy(piece + b * cuts[c], ids + b * ROWS + at, (size_t)cuts[c] * sizeof *piece);
        if (wf_session_feed_all(s, piece, cuts[c], &logits, &err) != WEFT_OK)
            fail_msg("%s", err.message);
        for (int64_t b = 0; b < BATCH; b++)
            for (int64_t i = 0; i < cuts[c] * VOCAB; i++)
                nearly((double)logits[b * cuts[c] * VOCAB + i], (double)full[(b * ROWS + at) * VOCAB + i]);
    }
    wf_session_free(s);
    wf_model_free(m);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equations), cmocka_unit_test(test_gradients),
                                       cmocka_unit_test(test_decoding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
