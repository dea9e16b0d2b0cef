/* The public API of sessions: where sequences stand as a value, saved, loaded, reordered, cut; and mistakes. */
#include "support/test.h"
#include <stdlib.h>
#include <math.h>
#include <string.h>
#include "weft/weft.h"

enum { BATCH = 2, VOCAB = 20, START = 3 };
static const int32_t ids[BATCH * START] = {1, 2, 3, 4, 5, 6}, next[BATCH] = {7, 8};

typedef struct fixture {
    weft *lib;
    weft_model *model;
    weft_session *session; /* behind `ids` */
    weft_error err;
} fixture;

static void open_fixture(fixture *f, const char *mixer) {
    weft_options options;
    char spec[400];
    const float *logits;
    memset(f, 0, sizeof *f);
    weft_options_init(&options);
    options.threads = 1;
    snprintf(spec, sizeof spec,
             "{\"format\": 1, \"dim\": 16, \"layers\": 2, \"vocab\": %d, \"block\": {\"mixer\": %s, \"channel\": \"glu\"}}",
             VOCAB, mixer);
    assert_int_equal(weft_create(&options, &f->lib, &f->err), WEFT_OK);
    assert_int_equal(weft_model_create(f->lib, spec, 1, &f->model, &f->err), WEFT_OK);
    assert_int_equal(weft_session_create(f->model, BATCH, 16, &f->session, &f->err), WEFT_OK);
    assert_int_equal(weft_session_feed(f->session, ids, START, &logits, &f->err), WEFT_OK);
}

static void close_fixture(fixture *f) {
    weft_session_free(f->session);
    weft_model_free(f->model);
    weft_free(f->lib);
}

static void go_on(fixture *f, weft_session *session, const int32_t *tokens, float out[BATCH * VOCAB]) {
    const float *logits;
    assert_int_equal(weft_session_feed(session, tokens, 1, &logits, &f->err), WEFT_OK);
    memcpy(out, logits, BATCH * VOCAB * sizeof *out);
}

static const char *const mixers[] = {"{\"mixer\": \"attention\", \"heads\": 2, \"causal\": true, \"rope\": {}}",
                                     "{\"mixer\": \"mamba\"}"};

static void test_saved(void **state) {
    for (size_t i = 0; i < COUNT_OF(mixers); i++) {
        fixture f;
        float want[BATCH * VOCAB], got[BATCH * VOCAB];
        weft_session *fresh;
        open_fixture(&f, mixers[i]);
        size_t n = weft_session_state_size(f.session);
        void *bytes = malloc(n);
        assert_non_null(bytes);
        weft_session_save(f.session, bytes);
        go_on(&f, f.session, next, want);
        assert_int_equal(weft_session_create(f.model, BATCH, 16, &fresh, &f.err), WEFT_OK);
        assert_int_equal(weft_session_load(fresh, bytes, n - 1, &f.err), WEFT_BAD_INPUT);
        assert_int_equal(weft_session_load(fresh, "nothing of the kind", 19, &f.err), WEFT_BAD_INPUT);
        assert_int_equal(weft_session_load(fresh, bytes, n, &f.err), WEFT_OK);
        go_on(&f, fresh, next, got);
        assert_memory_equal(got, want, sizeof want);
        weft_session_free(fresh);
        free(bytes);
        close_fixture(&f);
    }
}

/* The same logits, but for the order of sums. */
static void test_packed(void **state) {
    for (size_t i = 0; i < COUNT_OF(mixers); i++) {
        fixture f;
        float want[BATCH * VOCAB];
        const float *got;
        weft_session *packed;
        open_fixture(&f, mixers[i]);
        assert_int_equal(weft_session_feed(f.session, ids, START, &got, &f.err), WEFT_OK);
        memcpy(want, got, sizeof want);
        assert_int_equal(weft_model_pack(f.model, &f.err), WEFT_OK);
        assert_int_equal(weft_session_create(f.model, BATCH, 16, &packed, &f.err), WEFT_OK);
        for (int round = 0; round < 2; round++)
            assert_int_equal(weft_session_feed(packed, ids, START, &got, &f.err), WEFT_OK);
        for (int j = 0; j < BATCH * VOCAB; j++)
            assert_true(fabsf(got[j] - want[j]) <= 1e-5f * (1.0f + fabsf(want[j])));
        weft_session_free(packed);
        close_fixture(&f);
    }
}

/* Both go on where the second stood. */
static void test_reordered(void **state) {
    static const int64_t fork[BATCH] = {1, 1}, wrong[BATCH] = {0, BATCH};
    static const int32_t same[BATCH] = {9, 9};
    for (size_t i = 0; i < COUNT_OF(mixers); i++) {
        fixture f;
        float got[BATCH * VOCAB];
        open_fixture(&f, mixers[i]);
        assert_int_equal(weft_session_reorder(f.session, wrong, &f.err), WEFT_USAGE);
        assert_int_equal(weft_session_reorder(f.session, fork, &f.err), WEFT_OK);
        go_on(&f, f.session, same, got);
        assert_memory_equal(got, got + VOCAB, VOCAB * sizeof *got);
        close_fixture(&f);
    }
}

/* Rows of attention can be forgotten, what a recurrence has read cannot. */
static void test_truncated(void **state) {
    fixture f;
    float want[BATCH * VOCAB], got[BATCH * VOCAB];
    open_fixture(&f, mixers[0]);
    go_on(&f, f.session, next, want);
    for (int64_t b = 0; b < BATCH; b++)
        assert_int_equal(weft_session_truncate(f.session, b, START, &f.err), WEFT_OK);
    go_on(&f, f.session, next, got);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(weft_session_truncate(f.session, BATCH, 1, &f.err), WEFT_USAGE);
    assert_int_equal(weft_session_truncate(f.session, 0, 99, &f.err), WEFT_USAGE);
    close_fixture(&f);
    open_fixture(&f, mixers[1]);
    assert_int_equal(weft_session_truncate(f.session, 0, 1, &f.err), WEFT_UNSUPPORTED);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_saved), cmocka_unit_test(test_packed),
                                       cmocka_unit_test(test_reordered), cmocka_unit_test(test_truncated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
