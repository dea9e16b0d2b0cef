/* Sessions of encoder-decoders: the source is read once, and what the decoder then says piece by piece is what both stacks say
 * at once; sources of other lengths, in any order; what is refused. */
#include "support/model.h"
#include <math.h>
#include "gen/session.h"

enum { VOCAB = 23, SOURCE = 9, ROWS = 7, BATCH = 2 };

static const char *const spec =
    "{\"dim\": 16, \"vocab\": 23, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"learned\", \"length\": 12}},"
    " \"encoder\": {\"dim\": 12, \"vocab\": 19, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"sinusoidal\", "
    "\"length\": 40}},"
    "  \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 3}, \"channel\": \"mlp\"}, \"bridge\": {\"dim\": 20}},"
    " \"shift\": {\"token\": 2, \"padding\": 1},"
    " \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 2, \"causal\": true},"
    "  \"cross\": {\"mixer\": \"attention\", \"heads\": 2, \"memory_dim\": 20, \"bias\": [\"q\", \"k\"]}, \"channel\": "
    "\"mlp\"}}";

static const int32_t source[BATCH * SOURCE] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 0, 0, 0};
static const int64_t lengths[BATCH] = {9, 6};
static const int32_t ids[BATCH * ROWS] = {2, 7, 1, 8, 2, 8, 1, 2, 20, 22, 3, 9, 21, 4};

/* Both stacks at once: the logits [BATCH, ROWS, VOCAB]. */
static void full_logits(const wf_model *m, float *out) {
    wf_tape *t;
    weft_error err = {0};
    wf_runtime rt = {.loss_scale = 1.0f};
    assert_int_equal(wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32}, &t, &err), WEFT_OK);
    wf_model_ports encoder = {.ids = wf_input(t, "source", WF_I32, 2, (int64_t[]){BATCH, SOURCE}),
                              .mask = wf_input(t, "mask", WF_U8, 2, (int64_t[]){BATCH, SOURCE})};
    wf_model_ports ports = {.ids = wf_input(t, "ids", WF_I32, 2, (int64_t[]){BATCH, ROWS}), .source = &encoder};
    wf_tensor *mask = encoder.mask;
    assert_int_equal(wf_model_record(m, t, BATCH, ROWS, &(wf_model_options){.mode = WF_NO_STATE}, &ports, &err), WEFT_OK);
    wf_tensor *logits = wf_model_logits(m, t, ports.hidden);
    wf_keep(t, logits);
    if (wf_tape_plan(t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    memcpy(encoder.ids->data, source, sizeof source);
    memcpy(ports.ids->data, ids, sizeof ids);
    for (int i = 0; i < BATCH * SOURCE; i++)
        ((uint8_t *)mask->data)[i] = i % SOURCE < lengths[i / SOURCE];
    assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
    memcpy(out, logits->data, BATCH * ROWS * VOCAB * sizeof *out);
    wf_tape_free(t);
}

static void nearly(const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f * (1.0f + fabsf(b[i]))))
            fail_msg("logit %zu is %g, not %g", i, (double)a[i], (double)b[i]);
}

/* Feeds the rows in n pieces and compares. */
static void check_cuts(wf_session *s, const int64_t *cuts, size_t n, const float *full) {
    int64_t at = 0;
    for (size_t c = 0; c < n; at += cuts[c++]) {
        int32_t piece[BATCH * ROWS];
        const float *logits;
        for (int64_t b = 0; b < BATCH; b++)
            memcpy(piece + b * cuts[c], ids + b * ROWS + at, (size_t)cuts[c] * sizeof *piece);
        assert_int_equal(wf_session_feed_all(s, piece, cuts[c], &logits, NULL), WEFT_OK);
        for (int64_t b = 0; b < BATCH; b++)
            nearly(logits + b * cuts[c] * VOCAB, full + (b * ROWS + at) * VOCAB, (size_t)(cuts[c] * VOCAB));
    }
}

static void check_pieces(wf_session *s, const float *full) {
    static const int64_t cuts[] = {1, 3, 1, 2};
    check_cuts(s, cuts, COUNT_OF(cuts), full);
}

static void test_pieces(void **state) {
    static float full[BATCH * ROWS * VOCAB];
    static const int32_t longer[BATCH * 21] = {1, 2, 3};
    test_env e;
    wf_session *s;
    test_env_open(&e, 2);
    wf_model *m = test_model(&e, spec, 3);
    full_logits(m, full);
    assert_int_equal(wf_session_create(m, BATCH, 12, &s, NULL), WEFT_OK);
    for (int turn = 0; turn < 3; turn++) { /* after another source, and again after the same */
        assert_int_equal(wf_session_source(s, source, SOURCE, lengths, NULL), WEFT_OK);
        check_pieces(s, full);
        if (turn == 0)
            assert_int_equal(wf_session_source(s, longer, 21, NULL, NULL), WEFT_OK);
    }
    wf_session_free(s);
    wf_model_free(m);
    test_env_close(&e);
}

/* ---- prefixes ---- */
/* clang-format off */
static const char *const prefixed =
    "{\"dim\": 16, \"vocab\": 23, \"layers\": 6, \"blocks\": [{}, {\"mixer\": \"gru\"}, "
    "{\"mixer\": {\"mixer\": \"attention\", \"heads\": 4, \"causal\": true, \"window\": [2, null], \"prefix_lm\": true, \"rope\": {}}}, "
    "{\"mixer\": {\"mixer\": \"mla\", \"heads\": 2, \"kv_rank\": 6, \"rope_dim\": 2, \"causal\": true, \"prefix_lm\": true}}, "
    "{\"mixer\": {\"mixer\": \"differential\", \"heads\": 4, \"causal\": true, \"prefix_lm\": true}}, "
    "{\"mixer\": {\"mixer\": \"ring\", \"heads\": 2, \"parts\": 3, \"causal\": true, \"prefix_lm\": true}}], "
    "\"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 2, \"causal\": true, \"prefix_lm\": true}, \"channel\": \"mlp\"}}";
/* clang-format on */

/* The whole of both sequences, with prefixes of the given lengths. */
static void prefixed_logits(const wf_model *m, const int64_t *prefix, const int32_t *tokens, float *out) {
    wf_tape *t;
    weft_error err = {0};
    wf_runtime rt = {.loss_scale = 1.0f};
    assert_int_equal(wf_tape_create(m->env, &(wf_tape_options){.type = WF_F32}, &t, &err), WEFT_OK);
    wf_model_ports ports = {.ids = wf_input(t, "ids", WF_I32, 2, (int64_t[]){BATCH, ROWS}),
                            .prefix = wf_input(t, "prefix", WF_I64, 1, (int64_t[]){BATCH})};
    assert_int_equal(wf_model_record(m, t, BATCH, ROWS, &(wf_model_options){.mode = WF_NO_STATE}, &ports, &err), WEFT_OK);
    wf_tensor *logits = wf_model_logits(m, t, ports.hidden);
    wf_keep(t, logits);
    if (wf_tape_plan(t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    memcpy(ports.ids->data, tokens, BATCH * ROWS * sizeof *tokens);
    memcpy(ports.prefix->data, prefix, BATCH * sizeof *prefix);
    assert_int_equal(wf_tape_forward(t, &rt, &err), WEFT_OK);
    memcpy(out, logits->data, BATCH * ROWS * VOCAB * sizeof *out);
    wf_tape_free(t);
}

/* What a sequence is fed first is its prefix: the rest, in pieces, gives what the whole gives. Rows of the prefix see each
 * other, later ones only what was before. A cut into the prefix is refused. */
static void test_prefix(void **state) {
    static const int64_t lengths_of[BATCH] = {4, 4}, none[BATCH] = {0, 0}, cuts[] = {4, 2, 1};
    static float full[BATCH * ROWS * VOCAB], other[BATCH * ROWS * VOCAB];
    int32_t changed[BATCH * ROWS];
    test_env e;
    wf_session *s;
    weft_error err = {0};
    test_env_open(&e, 2);
    wf_model *m = test_model(&e, prefixed, 3);
    prefixed_logits(m, lengths_of, ids, full);
    memcpy(changed, ids, sizeof ids);
    changed[3] = changed[ROWS + 3] = 5; /* the last of the prefix */
    prefixed_logits(m, lengths_of, changed, other);
    assert_true(memcmp(full, other, VOCAB * sizeof *full) != 0);
    prefixed_logits(m, none, ids, full);
    prefixed_logits(m, none, changed, other);
    assert_memory_equal(full, other, 3 * VOCAB * sizeof *full);
    prefixed_logits(m, lengths_of, ids, full);
    assert_int_equal(wf_session_create(m, BATCH, 12, &s, NULL), WEFT_OK);
    for (int turn = 0; turn < 2; turn++) {
        check_cuts(s, cuts, COUNT_OF(cuts), full);
        assert_int_equal(wf_state_truncate(wf_session_state(s), 0, 3, &err), WEFT_UNSUPPORTED);
        wf_session_reset(s);
    }
    wf_session_free(s);
    wf_model_free(m);
    test_env_close(&e);
}

static void test_refused(void **state) {
    static const int32_t many[BATCH * 50] = {0}, strange[BATCH] = {1, 19};
    test_env e;
    wf_session *s;
    const float *logits;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, spec, 3);
    assert_int_equal(wf_session_create(m, BATCH, 12, &s, NULL), WEFT_OK);
    assert_int_equal(wf_session_feed(s, ids, 1, &logits, NULL), WEFT_USAGE);
    assert_int_equal(wf_session_source(s, many, 50, NULL, NULL), WEFT_USAGE);
    assert_int_equal(wf_session_source(s, strange, 1, NULL, NULL), WEFT_USAGE);
    assert_int_equal(wf_session_source(s, source, 0, NULL, NULL), WEFT_USAGE);
    wf_session_free(s);
    wf_model_free(m);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_prefix),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
