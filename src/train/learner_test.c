/* The learner: the cursor over the windows, plain and packed; evaluation by tokens, bytes and positions. */
#include "train/learner.h"
#include "support/model.h"
#include <math.h>
#include "train/data_text.h"

enum { ROWS = 12, VOCAB = 256 };

static const char *const spec = "{\"dim\": 16, \"vocab\": 256, \"layers\": 1, \"block\": {\"mixer\": {\"mixer\": "
                                "\"attention\", \"heads\": 2, \"causal\": true}}}";

typedef struct world {
    test_env e;
    wf_tokenizer *tok;
    wf_data *data;
} world;

/* Documents of 50 bytes; 10 % for validation. */
static void open_world(world *w, bool packed) {
    static char bytes[3000];
    wf_text text;
    weft_error err = {0};
    wf_data_options o = {.context = ROWS, .separator = -1, .validation = 0.1, .packed = packed};
    test_env_open(&w->e, 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i % 50 == 49 ? '\n' : (char)('a' + i * i % 23);
    text = wf_text_new(&w->e.env.mem);
    wf_text_options how = {.format = NULL};
    assert_int_equal(wf_text_read(&(wf_text_source){"input", bytes, sizeof bytes, &how}, "text", &text, &err), WEFT_OK);
    assert_int_equal(wf_tokenizer_bytes(&w->e.env.mem, NULL, 0, &w->tok, &err), WEFT_OK);
    if (wf_data_create(&w->e.env, w->tok, &text, NULL, &o, &w->data, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    wf_text_free(&text);
}

static void close_world(world *w) {
    wf_data_free(w->data);
    wf_tokenizer_free(w->tok);
    test_env_close(&w->e);
}

static wf_trainer_options options(world *w, int64_t batch, int64_t accumulate) {
    return (wf_trainer_options){.batch = batch,
                                .rows = ROWS,
                                .accumulate = accumulate,
                                .optimizer = test_json(&w->e, "{\"name\": \"sgd\", \"lr\": 0.1}")};
}

static double train(world *w, wf_trainer_options o, int steps, uint64_t *cursor, double *passes) {
    wf_model *m = test_model(&w->e, spec, 4);
    wf_learner l;
    wf_step_result r;
    weft_error err = {0};
    double sum = 0.0;
    if (wf_learner_open(&l, m, w->data, &o, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < steps; i++) {
        assert_int_equal(wf_learner_step(&l, &r, &err), WEFT_OK);
        sum += r.loss;
    }
    *cursor = l.cursor;
    *passes = wf_learner_passes(&l);
    wf_learner_close(&l);
    wf_model_free(m);
    return sum;
}

/* Two windows at once, or one after the other in one update: the same windows, the same losses. */
static void test_cursor(void **state) {
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        world w;
        uint64_t a, b;
        double passes, again;
        open_world(&w, packed);
        wf_trainer_options whole = options(&w, 4, 1), parts = options(&w, 1, 4);
        whole.segments = parts.segments = packed;
        whole.global_mean = parts.global_mean = true;
        double x = train(&w, whole, 6, &a, &passes), y = train(&w, parts, 6, &b, &again);
        assert_int_equal(a, 24);
        assert_int_equal(b, 24);
        assert_true(passes > 0.0 && passes == again);
        if (fabs(x - y) > 1e-4 * x)
            fail_msg("losses add up to %g and %g", x, y);
        close_world(&w);
    }
}

/* Weights of zero know nothing: every token costs ln(vocab), wherever it stands. */
static void test_evaluation(void **state) {
    world w;
    double position[ROWS], nats = 0.0;
    weft_error err = {0};
    (void)state;
    open_world(&w, false);
    wf_model *m = test_model(&w.e, spec, 4);
    for (int64_t batch = 1; batch <= 5; batch += 2) {
        wf_evaluation_options o = {.batch = batch, .rows = ROWS};
        wf_evaluation e;
        assert_int_equal(wf_evaluate(m, w.data, &o, &e, &err), WEFT_OK);
        assert_int_equal(e.tokens, wf_data_validation(w.data).tokens - 1);
        assert_true(batch == 1 || fabs(e.nats - nats) < 1e-6);
        nats = e.nats;
    }
    wf_params_init(&m->params, 4);
    memset(m->token->value, 0, (size_t)m->token->count * sizeof(float));
    wf_evaluation_options o = {.batch = 2, .rows = ROWS, .position_nats = position};
    wf_evaluation e;
    assert_int_equal(wf_evaluate(m, w.data, &o, &e, &err), WEFT_OK);
    assert_true(fabs(e.nats - log(VOCAB)) < 1e-6 && fabs(e.bits_per_byte - 8.0) < 1e-6);
    for (int i = 0; i < ROWS; i++)
        assert_true(fabs(position[i] - log(VOCAB)) < 1e-6);
    o.max_windows = 3;
    o.batch = 1;
    assert_int_equal(wf_evaluate(m, w.data, &o, &e, &err), WEFT_OK);
    assert_int_equal(e.tokens, 3 * ROWS);
    wf_model_free(m);
    close_world(&w);
}

static void test_too_short(void **state) {
    world w;
    wf_learner l;
    weft_error err = {0};
    (void)state;
    open_world(&w, false);
    wf_model *m = test_model(&w.e, spec, 4);
    wf_trainer_options o = options(&w, 1, 1);
    o.rows = 5000;
    assert_int_equal(wf_learner_open(&l, m, w.data, &o, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "shorter than one window"));
    wf_model_free(m);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cursor), cmocka_unit_test(test_evaluation),
                                       cmocka_unit_test(test_too_short)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
