/* Every wiring and every preset: one training step moves every weight, shared weights are one tensor, and decoding step by step
 * gives the logits of the whole. States: fork, reorder, cut, reset. */
#include "support/model.h"
#include <math.h>
#include "gen/session.h"
#include "presets/presets.h"
#include "train/trainer.h"

enum { VOCAB = 29, ROWS = 12, BATCH = 2 };

static const int32_t ids[BATCH * ROWS] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6, 4};

static wf_json *wired(test_env *e, const char *wiring, const char *channel) {
    char text[512];
    bool two = strcmp(wiring, "coupled") == 0 || strcmp(wiring, "pre_both") == 0;
    const char *side = two ? ", \"side\": {\"copy\": true}" : "";
    const char *joined =
        *side ? ", \"joined\": true, \"head\": {\"tied\": false}" : ""; /* the mixer reaches the end on that side */
    snprintf(
        text, sizeof text,
        "{\"dim\": 16, \"vocab\": %d, \"layers\": 3, \"context\": 32, \"stem\": {\"positions\": {\"kind\": \"learned\"}%s}%s, "
        "\"block\": {\"wiring\": \"%s\","
        " \"norm\": \"layer\", \"mixer\": {\"mixer\": \"attention\", \"heads\": 2, \"causal\": true}%s}}",
        VOCAB, side, joined, wiring, channel);
    return test_json(e, text);
}

static wf_json *preset(test_env *e, const char *name) {
    wf_json *template_, *spec = NULL;
    weft_error err = {0};
    wf_sizes sizes = {.dim = 32, .layers = 4, .hidden = 40, .vocab = VOCAB, .context = 32};
    if (wf_preset_template(&e->arena, name, &template_, &err) != WEFT_OK ||
        wf_preset_fill(&e->arena, template_, &sizes, &spec, &err) != WEFT_OK)
        fail_msg("%s: %s", name, err.message);
    return spec;
}

/* ---- decoding ---- */
static void nearly(const char *what, const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 2e-4f * (1.0f + fabsf(b[i]))))
            fail_msg("%s: logit %zu is %g, not %g", what, i, (double)a[i], (double)b[i]);
}

/* The logits of every row of one sequence, recorded without states. typed: the tokens are their own types. */
static void logits_of(const wf_model *m, const int32_t *tokens, int64_t rows, bool typed, float *out) {
    wf_tape *t;
    weft_error err = {0};
    wf_model_options options = {.dropout = false};
    wf_runtime rt = {.loss_scale = 1.0f};
    assert_int_equal(wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32}, &t, &err), WEFT_OK);
    wf_model_ports ports = {.ids = wf_input(t, "ids", WF_I32, 2, (int64_t[]){1, rows})};
    ports.types = typed ? ports.ids : NULL;
    assert_int_equal(wf_model_record(m, t, 1, rows, &options, &ports, &err), WEFT_OK);
    wf_tensor *logits = wf_model_logits(m, t, ports.hidden);
    wf_keep(t, logits);
    if (wf_tape_plan(t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    memcpy(ports.ids->data, tokens, (size_t)rows * sizeof *tokens);
    assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
    memcpy(out, logits->data, (size_t)rows * VOCAB * sizeof *out);
    wf_tape_free(t);
}

static void full_logits(const wf_model *m, const int32_t *tokens, int64_t rows, float *out) {
    logits_of(m, tokens, rows, false, out);
}

static void check_steps(const char *what, const wf_model *m) {
    static const int64_t cuts[] = {1, 1, 3, 1, 2, 4};
    float full[ROWS * VOCAB];
    const float *logits;
    weft_error err = {0};
    wf_session *s;
    full_logits(m, ids, ROWS, full);
    if (wf_session_create(m, 1, 32, &s, &err) != WEFT_OK)
        fail_msg("%s: %s", what, err.message);
    int64_t at = 0;
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        assert_int_equal(wf_session_feed_all(s, ids + at, cuts[i], &logits, &err), WEFT_OK);
        nearly(what, logits, full + at * VOCAB, (size_t)cuts[i] * VOCAB);
        at += cuts[i];
    }
    assert_int_equal(at, ROWS);
    wf_session_free(s);
}

/* ---- training ---- */
static void check_training(test_env *e, const char *what, wf_model *m) {
    int32_t targets[BATCH * ROWS];
    wf_trainer *t;
    wf_step_result r;
    weft_error err = {0};
    float *before = wf_arena_alloc(&e->arena, (size_t)wf_params_total(&m->params) * sizeof *before), *at = before;
    for (int i = 0; i < BATCH * ROWS; i++)
        targets[i] = ids[(i + 1) % (BATCH * ROWS)];
    for (size_t i = 0; i < m->params.count; i++)
        if (!m->params.list[i]->buffer) {
            memcpy(at, m->params.list[i]->value, (size_t)m->params.list[i]->count * sizeof *at);
            at += m->params.list[i]->count;
        }
    wf_trainer_options o = {
        .batch = BATCH, .rows = ROWS, .accumulate = 1, .optimizer = test_json(e, "{\"name\": \"adamw\", \"lr\": 0.01}")};
    if (wf_trainer_create(m, &o, &t, &err) != WEFT_OK)
        fail_msg("%s: %s", what, err.message);
    wf_train_batch b = {.ids = ids, .targets = targets};
    for (int i = 0; i < 3; i++) /* gates open from 0: what is behind them learns in the second step */
        if (wf_trainer_step(t, &b, &r, &err) != WEFT_OK)
            fail_msg("%s: %s", what, err.message);
    at = before;
    for (size_t i = 0; i < m->params.count; i++) {
        const wf_param *p = m->params.list[i];
        if (p->buffer)
            continue;
        if (memcmp(at, p->value, (size_t)p->count * sizeof *at) == 0)
            fail_msg("%s: %s did not learn", what, p->name);
        at += p->count;
    }
    wf_trainer_free(t);
}

static void test_wirings(void **state) {
    static const char *const channels[] = {"", ", \"channel\": {\"mixer\": \"mlp\", \"hidden\": 24}"};
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (const wf_wiring *w = wf_wirings; w->name; w++)
        for (size_t c = 0; c < COUNT_OF(channels); c++) {
            wf_model *m = test_model_of(&e, wired(&e, w->name, channels[c]), 7);
            for (int64_t i = 0; w->gates && i < 3; i++)
                for (int g = 0; g < 2; g++)
                    for (int64_t k = 0; m->blocks[i].gate[g] && k < 16; k++)
                        m->blocks[i].gate[g]->value[k] = 0.5f; /* closed gates would hide the branches */
            check_steps(w->name, m);
            check_training(&e, w->name, m);
            check_steps(w->name, m);
            wf_model_free(m);
        }
    test_env_close(&e);
}

static void test_layer_sum(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    wf_json *spec = wired(&e, "pre", ", \"channel\": {\"mixer\": \"mlp\", \"hidden\": 24}");
    assert_true(wf_json_put(&e.arena, spec, "layer_sum", wf_json_new_bool(&e.arena, true)));
    wf_model *m = test_model_of(&e, spec, 7);
    check_steps("layer_sum", m);
    check_training(&e, "layer_sum", m);
    check_steps("layer_sum", m);
    wf_model_free(m);
    test_env_close(&e);
}

static void test_side_rows(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e,
                             "{\"dim\": 16, \"vocab\": 29, \"layers\": 3, \"stem\": {\"side\": {\"rows\": 2, \"dim\": 16}}, "
                             "\"block\": {\"wiring\": \"pre_both\", \"norm\": \"layer\", \"mixer\": {\"mixer\": "
                             "\"block_global\", \"heads\": 2, \"block\": 4}, \"channel\": {\"mixer\": \"mlp\"}}}",
                             3);
    check_training(&e, "side rows", m);
    wf_model_free(m);
    test_env_close(&e);
}

static void copy_values(const wf_model *to, const wf_model *from) {
    for (size_t i = 0; i < to->params.count; i++) {
        const wf_param *p = to->params.list[i];
        memcpy(p->value, wf_param_find(&from->params, p->name)->value, (size_t)p->count * sizeof *p->value);
    }
}

/* Types are words, scaled as words are: a token that is its own type counts twice. */
static void test_types(void **state) {
#define TYPED_MODEL(stem)                                                                                                      \
    "{\"dim\": 16, \"vocab\": 29, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"sinusoidal\", \"length\": 16}, " stem  \
    "}, "                                                                                                                      \
    "\"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 2, \"causal\": true}}}"
    float typed[ROWS * VOCAB], doubled[ROWS * VOCAB];
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, TYPED_MODEL("\"scale\": 1.5, \"types\": true"), 3),
             *plain = test_model(&e, TYPED_MODEL("\"scale\": 3"), 3);
    copy_values(plain, m);
    full_logits(plain, ids, ROWS, doubled);
    logits_of(m, ids, ROWS, true, typed);
    nearly("types", typed, doubled, ROWS * VOCAB);
    wf_model_free(plain);
    wf_model_free(m);
    test_env_close(&e);
}

/* Learned rows before the sequence are what the tokens of their rows would be there. */
static void test_global_rows(void **state) {
#define GLOBAL_MIXER "\"block\": {\"mixer\": {\"mixer\": \"bigbird\", \"heads\": 2, \"block\": 2, \"random\": 1, \"extra\": 2}}"
#define GLOBAL_MODEL "{\"dim\": 16, \"vocab\": 29, \"layers\": 2, \"head\": {\"kind\": \"mlm\"}, " GLOBAL_MIXER
    enum { EXTRA = 2 };
    float made[ROWS * VOCAB], text[ROWS * VOCAB];
    int32_t tokens[ROWS] = {27, 28};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e,
                             GLOBAL_MODEL ", \"blocks\": [{\"rows\": [{\"kind\": \"learned\", \"count\": 2, \"before\": "
                                          "true}]}, {}], \"rows\": [{\"kind\": \"leave\", \"count\": 2}]}",
                             3),
             *plain = test_model(&e, GLOBAL_MODEL "}", 3);
    copy_values(plain, m);
    memcpy(wf_param_find(&m->params, "block.0.rows.0.weight")->value, plain->token->value + 27 * 16, 2 * 16 * sizeof(float));
    memcpy(tokens + EXTRA, ids, (ROWS - EXTRA) * sizeof *ids);
    full_logits(plain, tokens, ROWS, text);
    full_logits(m, ids, ROWS - EXTRA, made);
    nearly("global rows", made, text + EXTRA * VOCAB, (ROWS - EXTRA) * VOCAB);
    check_training(&e, "global rows", m);
    wf_model_free(plain);
    wf_model_free(m);
    test_env_close(&e);
}

static void test_presets(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (size_t i = 0; wf_preset_name(i); i++) {
        wf_model *m = test_model_of(&e, preset(&e, wf_preset_name(i)), 5);
        bool streams = wf_model_can_stream(m, NULL) == WEFT_OK;
        if (streams)
            check_steps(wf_preset_name(i), m);
        check_training(&e, wf_preset_name(i), m);
        if (streams)
            check_steps(wf_preset_name(i), m);
        wf_model_free(m);
    }
    test_env_close(&e);
}

static const char *const shared =
    "{\"dim\": 16, \"vocab\": 29, \"blocks\": [{\"mixer\": \"gru\", \"channel\": {\"mixer\": \"glu\", \"hidden\": 20}},"
    " {\"mixer\": \"lstm\"}, {\"mixer\": \"gru\", \"channel\": {\"mixer\": \"glu\", \"hidden\": 20}, \"share\": 0},"
    " {\"mixer\": \"lstm\", \"share\": 1}, {\"mixer\": \"gru\", \"channel\": {\"mixer\": \"glu\", \"hidden\": 20}, \"share\": "
    "2}]}";

static void test_shared(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, shared, 3),
             *two = test_model(&e,
                               "{\"dim\": 16, \"vocab\": 29, \"blocks\": [{\"mixer\": \"gru\", \"channel\": {\"mixer\": "
                               "\"glu\", \"hidden\": 20}}, {\"mixer\": \"lstm\"}]}",
                               3);
    assert_int_equal(wf_params_total(&m->params), wf_params_total(&two->params));
    for (size_t i = 0; i < m->spec->blocks[0].mixer->n_slots; i++) {
        assert_ptr_equal(m->spec->blocks[2].mixer->slots[i].param, m->spec->blocks[0].mixer->slots[i].param);
        assert_ptr_equal(m->spec->blocks[4].mixer->slots[i].param, m->spec->blocks[0].mixer->slots[i].param);
    }
    assert_ptr_equal(m->blocks[3].norm_weight[0], m->blocks[1].norm_weight[0]);
    assert_null(wf_param_find(&m->params, "block.2.mixer.l0.ih.weight"));
    check_steps("shared", m); /* one set of weights, a state for each block */
    check_training(&e, "shared", m);
    wf_model_free(m);
    wf_model_free(two);
    test_env_close(&e);
}

/* ---- states ---- */
typedef struct pair {
    wf_session *s;
    const float *logits;
} pair;

static pair feed_both(wf_model *m, const int32_t *a, const int32_t *b, int64_t n) {
    int32_t both[2 * ROWS];
    pair p;
    weft_error err = {0};
    memcpy(both, a, (size_t)n * sizeof *a);
    memcpy(both + n, b, (size_t)n * sizeof *b);
    assert_int_equal(wf_session_create(m, 2, 32, &p.s, &err), WEFT_OK);
    assert_int_equal(wf_session_feed(p.s, both, n, &p.logits, &err), WEFT_OK);
    return p;
}

static void feed_same(pair *p, int32_t token) {
    const int32_t both[2] = {token, token};
    weft_error err = {0};
    assert_int_equal(wf_session_feed(p->s, both, 1, &p->logits, &err), WEFT_OK);
}

static void test_states(void **state) {
    static const char *const names[] = {"gpt2", "llama", "lstm", "mamba", "retnet", "linear", "sliding", "hybrid"};
    const int32_t *a = ids, *b = ids + ROWS;
    float next_a[VOCAB], next_b[VOCAB];
    test_env e;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        wf_model *m = test_model_of(&e, preset(&e, names[i]), 11);
        pair p = feed_both(m, a, b, 6);
        feed_same(&p, 7);
        memcpy(next_a, p.logits, sizeof next_a);
        memcpy(next_b, p.logits + VOCAB, sizeof next_b);
        assert_true(memcmp(next_a, next_b, sizeof next_a) != 0);
        wf_session_free(p.s);
        p = feed_both(m, a, b, 6); /* swapped */
        assert_int_equal(wf_state_reorder(wf_session_state(p.s), (int64_t[]){1, 0}, &err), WEFT_OK);
        feed_same(&p, 7);
        nearly(names[i], p.logits, next_b, VOCAB);
        nearly(names[i], p.logits + VOCAB, next_a, VOCAB);
        wf_session_free(p.s);
        p = feed_both(m, a, b, 6); /* forked: both continue the first */
        assert_int_equal(wf_state_copy(wf_session_state(p.s), 1, wf_session_state(p.s), 0, &err), WEFT_OK);
        feed_same(&p, 7);
        nearly(names[i], p.logits, next_a, VOCAB);
        nearly(names[i], p.logits + VOCAB, next_a, VOCAB);
        assert_int_equal(wf_state_reorder(wf_session_state(p.s), (int64_t[]){0, 2}, &err), WEFT_USAGE);
        wf_session_reset(p.s);
        int32_t six[2 * 6];
        memcpy(six, b, 6 * sizeof *b);
        memcpy(six + 6, a, 6 * sizeof *a);
        assert_int_equal(wf_session_feed(p.s, six, 6, &p.logits, &err), WEFT_OK);
        feed_same(&p, 7);
        nearly(names[i], p.logits, next_b, VOCAB);
        wf_session_free(p.s);
        wf_model_free(m);
    }
    test_env_close(&e);
}

/* Attention forgets its last tokens exactly; a recurrent state cannot. */
static void test_truncate(void **state) {
    float expected[VOCAB];
    test_env e;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model_of(&e, preset(&e, "llama"), 11), *r = test_model_of(&e, preset(&e, "mamba"), 11);
    pair p = feed_both(m, ids, ids + ROWS, 5);
    feed_same(&p, 7);
    memcpy(expected, p.logits, sizeof expected);
    wf_session_free(p.s);
    p = feed_both(m, ids, ids + ROWS, 9);
    assert_int_equal(wf_state_truncate(wf_session_state(p.s), 0, 10, &err), WEFT_USAGE);
    assert_int_equal(wf_state_truncate(wf_session_state(p.s), 0, 5, &err), WEFT_OK);
    assert_int_equal(wf_state_truncate(wf_session_state(p.s), 1, 5, &err), WEFT_OK);
    feed_same(&p, 7);
    nearly("llama", p.logits, expected, VOCAB);
    wf_session_free(p.s);
    p = feed_both(r, ids, ids + ROWS, 9);
    assert_int_equal(wf_state_truncate(wf_session_state(p.s), 0, 5, &err), WEFT_UNSUPPORTED);
    assert_int_equal(wf_state_truncate(wf_session_state(p.s), 0, 9, &err), WEFT_OK);
    assert_int_equal(wf_state_truncate(wf_session_state(p.s), 0, 0, &err), WEFT_OK);
    wf_session_free(p.s);
    wf_model_free(m);
    wf_model_free(r);
    test_env_close(&e);
}

/* Positions that count the tokens which are not padding: the count goes on from call to call, and comes back after a cut. */
static void test_counted(void **state) {
    float full[ROWS * VOCAB];
    const float *logits;
    wf_session *s;
    test_env e;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e,
                             "{\"dim\": 16, \"vocab\": 29, \"layers\": 2, \"stem\": {\"padding\": 3, \"positions\": {\"kind\": "
                             "\"learned\", \"length\": 32, \"count\": \"tokens\"}}, \"block\": {\"mixer\": {\"mixer\": "
                             "\"attention\", \"heads\": 2, \"causal\": true}}}",
                             3);
    full_logits(m, ids, ROWS, full);
    assert_int_equal(wf_session_create(m, 1, 32, &s, &err), WEFT_OK);
    assert_int_equal(wf_session_feed(s, ids, 10, &logits, &err), WEFT_OK);
    nearly("a chunk", logits, full + 9 * VOCAB, VOCAB);
    assert_int_equal(wf_session_feed(s, ids + 10, 1, &logits, &err), WEFT_OK);
    nearly("a step", logits, full + 10 * VOCAB, VOCAB);
    assert_int_equal(wf_state_truncate(wf_session_state(s), 0, 4, &err), WEFT_OK);
    for (int64_t i = 4; i < ROWS; i++) {
        assert_int_equal(wf_session_feed(s, ids + i, 1, &logits, &err), WEFT_OK);
        nearly("after a cut", logits, full + i * VOCAB, VOCAB);
    }
    wf_session_free(s);
    wf_model_free(m);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wirings),     cmocka_unit_test(test_layer_sum),
                                       cmocka_unit_test(test_side_rows),   cmocka_unit_test(test_types),
                                       cmocka_unit_test(test_global_rows), cmocka_unit_test(test_presets),
                                       cmocka_unit_test(test_shared),      cmocka_unit_test(test_states),
                                       cmocka_unit_test(test_truncate),    cmocka_unit_test(test_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
