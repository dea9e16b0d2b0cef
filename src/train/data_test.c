#include "train/data.h"

#include <stdlib.h>
#include <string.h>

#include "support/fail_mem.h"
#include "support/test.h"

static wf_tokenizer *bytes_tokenizer(bool separator) {
    static const char *const specials[] = {"<|endoftext|>"};
    wf_tokenizer *tok;
    assert_int_equal(wf_tokenizer_bytes(&wf_mem_default, specials, separator, &tok, NULL), WEFT_OK);
    return tok;
}

/* `documents` texts of `each` bytes: byte j of all is j % 251, so that order shows. */
static wf_text numbered(size_t documents, size_t each) {
    wf_text t = wf_text_new(&wf_mem_default);
    for (size_t d = 0; d < documents; d++) {
        for (size_t i = 0; i < each; i++) {
            char c = (char)((d * each + i) % 251);
            assert_int_equal(wf_text_put(&t, &c, 1, NULL), WEFT_OK);
        }
        assert_int_equal(wf_text_end(&t, NULL), WEFT_OK);
    }
    return t;
}

static wf_data *create(const wf_tokenizer *tok, const wf_text *text, const wf_text *validation, const wf_data_options *o) {
    static wf_env env; /* the data keeps a pointer to its allocator */
    env.mem = wf_mem_default;
    wf_data *data = NULL;
    weft_error err = {0};
    if (wf_data_create(&env, tok, text, validation, o, &data, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return data;
}

enum { T = 16 };

/* In one epoch every window comes once, in an order that differs between epochs, and a target is the next token. */
static void test_windows(void **state) {
    enum { N = 250, L = 8 }; /* every byte differs, so an id tells where it is */
    wf_tokenizer *tok = bytes_tokenizer(false);
    wf_text text = numbered(1, N);
    wf_data_options o = {.context = L, .seed = 5, .separator = -1};
    wf_data *data = create(tok, &text, NULL, &o);
    uint64_t windows = wf_data_windows(data, L);
    assert_int_equal(wf_data_training(data).tokens, N);
    assert_int_equal(windows, (N - 1) / L - 1);
    int32_t ids[L], targets[L], first[4], offsets[4];
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        bool seen[N] = {false};
        for (uint64_t i = 0; i < windows; i++) {
            wf_data_batch(data, epoch * windows + i, &(wf_batch){1, L, ids, targets, NULL, NULL});
            for (int j = 0; j < L; j++) {
                assert_int_equal(ids[j], ids[0] + j);
                assert_int_equal(targets[j], ids[j] + 1);
                assert_false(seen[ids[j]]);
                seen[ids[j]] = true;
            }
            if (i == 0)
                first[epoch] = ids[0] / L;
            offsets[epoch] = ids[0] % L;
        }
    }
    assert_true(first[0] != first[1] || first[1] != first[2] || first[2] != first[3]);
    assert_true(offsets[0] != offsets[1] || offsets[1] != offsets[2] || offsets[2] != offsets[3]);
    assert_true(wf_data_passes(data, 3 * windows, L) == 3);
    wf_data_free(data);
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

/* The same rows whatever the batches they come in, and after a new start. */
static void test_cursor(void **state) {
    wf_tokenizer *tok = bytes_tokenizer(true);
    wf_text text = numbered(40, 33);
    for (int packed = 0; packed < 2; packed++) {
        wf_data_options o = wf_data_options_usual(T);
        o.packed = packed;
        wf_data *a = create(tok, &text, NULL, &o), *b = create(tok, &text, NULL, &o);
        int32_t x[2][4 * T], y[2][T], segments[4 * T], positions[4 * T];
        for (uint64_t cursor = 0; cursor < 400; cursor += 4) {
            wf_data_batch(a, cursor, &(wf_batch){4, T, x[0], x[1], segments, positions});
            for (uint64_t r = 0; r < 4; r++) {
                wf_data_batch(b, cursor + r, &(wf_batch){1, T, y[0], y[1], NULL, NULL});
                assert_memory_equal(x[0] + r * T, y[0], sizeof y[0]);
                assert_memory_equal(x[1] + r * T, y[1], sizeof y[1]);
            }
        }
        wf_data_free(a);
        wf_data_free(b);
    }
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

/* Rows of packed documents: a target never crosses documents, segments count them, positions begin anew, and each epoch has
 * every token at most once. */
static void test_packed(void **state) {
    enum { DOCUMENTS = 30, EACH = 20 };
    wf_tokenizer *tok = bytes_tokenizer(true);
    wf_text text = numbered(DOCUMENTS, EACH);
    wf_data_options o = {.context = T, .separator = WF_SEPARATOR_AUTO, .packed = true, .seed = 9};
    wf_data *data = create(tok, &text, NULL, &o);
    assert_int_equal(wf_data_training(data).tokens, DOCUMENTS * (EACH + 1));
    int32_t ids[T], targets[T], segments[T], positions[T];
    size_t uses[DOCUMENTS] = {0};
    for (uint64_t i = 0; i < wf_data_windows(data, T); i++) {
        wf_data_batch(data, i, &(wf_batch){1, T, ids, targets, segments, positions});
        for (int j = 0; j < T; j++) {
            bool follows = j > 0 && ids[j - 1] != 256;
            assert_int_equal(segments[j], j == 0 ? 0 : segments[j - 1] + !follows);
            assert_int_equal(positions[j], follows ? positions[j - 1] + 1 : 0);
            assert_int_equal(targets[j] == WF_NO_TARGET, ids[j] == 256);
            if (j + 1 < T && ids[j] != 256)
                assert_int_equal(targets[j], ids[j + 1]);
            for (size_t d = 0; d < DOCUMENTS; d++) /* the first token tells the document */
                uses[d] += ids[j] == (int32_t)(d * EACH % 251) && positions[j] == 0 &&
                           (j > 0 ? ids[j - 1] == 256 : targets[j] == ids[j] + 1);
        }
    }
    for (size_t d = 0; d < DOCUMENTS; d++)
        assert_true(uses[d] <= 3); /* three documents can begin with the same byte */
    wf_data_free(data);
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

/* Validation windows give every target of the validation text exactly once. */
static void test_validation(void **state) {
    wf_tokenizer *tok = bytes_tokenizer(true);
    wf_text text = numbered(1, 100), other = numbered(3, 23);
    for (int packed = 0; packed < 2; packed++) {
        wf_data_options o = {.context = T, .separator = WF_SEPARATOR_AUTO, .packed = packed};
        wf_data *data = create(tok, &text, &other, &o);
        enum { B = 2 };
        int32_t ids[B * T], targets[B * T], segments[B * T];
        uint64_t windows = wf_data_validation_windows(data, T), bytes = 0;
        size_t n = 0, tokens = wf_data_validation(data).tokens;
        assert_int_equal(tokens, 3 * 24);
        assert_int_equal(windows, 5);
        for (uint64_t w = 0; w < windows; w += B) {
            wf_data_validation_batch(data, w, 1, &(wf_batch){B, T, ids, targets, segments, NULL});
            for (int j = 0; j < B * T; j++)
                n += targets[j] != WF_NO_TARGET;
            assert_int_equal(wf_data_target_bytes(data, targets, B * T, &bytes, NULL), WEFT_OK);
        }
        assert_int_equal(n, packed ? tokens - 3 : tokens - 1);
        assert_int_equal(bytes, packed ? 3 * 22 : 3 * 23 - 1); /* the first byte (of each document) is nobody's target */
        wf_data_validation_batch(data, 0, 4, &(wf_batch){B, T, ids, targets, segments, NULL});
        assert_int_equal(ids[T], (4 * T - 2) % 251); /* the fifth window; two separators came before */
        wf_data_validation_batch(data, windows, 1, &(wf_batch){B, T, ids, targets, segments, NULL});
        for (int j = 0; j < B * T; j++)
            assert_true(ids[j] == 0 && targets[j] == WF_NO_TARGET);
        wf_data_free(data);
    }
    wf_text_free(&text);
    wf_text_free(&other);
    wf_tokenizer_free(tok);
}

static void test_split(void **state) {
    static const struct {
        size_t documents, each, validation;
        double share;
    } cases[] = {
        {1, 100000, 5000, 0.05},      /* 5 % */
        {1, 2000, 68, 0.01},          /* at least four windows */
        {1, 60, 30, 0.05},            /* at most half */
        {1, 30000000, 1048576, 0.05}, /* at most 1 MiB */
        {100, 1000, 5000, 0.05},      /* whole documents */
        {100, 900, 4500, 0.05},
        {37, 1000, 2000, 0.05}, /* a boundary before the cut */
        {3, 40000, 6000, 0.05}, /* the boundary is too far: inside a document */
        {1, 1000, 0, 0},        /* none */
    };
    wf_tokenizer *tok = bytes_tokenizer(false);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_text text = numbered(cases[i].documents, cases[i].each);
        for (size_t k = 0; k < text.length; k++) /* no line breaks, no continuation bytes: the cut is exact */
            text.bytes[k] = 'x';
        wf_data_options o = {.context = T, .validation = cases[i].share, .separator = -1};
        wf_data *data = create(tok, &text, NULL, &o);
        assert_int_equal(wf_data_validation(data).bytes, cases[i].validation);
        assert_int_equal(wf_data_training(data).bytes, text.length - cases[i].validation);
        wf_data_free(data);
        wf_text_free(&text);
    }
    wf_text text = numbered(1, 1000);
    memset(text.bytes, 'x', text.length);
    memcpy(text.bytes + 899, "\xE6\x97\xA5", 3); /* the cut would fall inside a character, then a line break is near */
    wf_data_options o = {.context = T, .validation = 0.1, .separator = -1};
    wf_data *data = create(tok, &text, NULL, &o);
    assert_int_equal(wf_data_validation(data).bytes, 98);
    wf_data_free(data);
    text.bytes[950] = '\n';
    data = create(tok, &text, NULL, &o);
    assert_int_equal(wf_data_validation(data).bytes, 49);
    wf_data_free(data);
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

static void test_errors(void **state) {
    wf_tokenizer *tok = bytes_tokenizer(false);
    wf_text text = numbered(1, 40);
    wf_env env = {.mem = wf_mem_default};
    wf_data *data;
    weft_error err = {0};
    wf_data_options o = {.context = 40, .separator = -1};
    assert_int_equal(wf_data_create(&env, tok, &text, NULL, &o, &data, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "40 tokens to train on, and a window of context 40 needs 41"));
    o.context = 0;
    assert_int_equal(wf_data_create(&env, tok, &text, NULL, &o, &data, &err), WEFT_USAGE);
    o = (wf_data_options){.context = 8, .separator = 300};
    assert_int_equal(wf_data_create(&env, tok, &text, NULL, &o, &data, &err), WEFT_USAGE);
    o = (wf_data_options){.context = 8, .separator = -1, .validation = 0.9};
    assert_int_equal(wf_data_create(&env, tok, &text, NULL, &o, &data, &err), WEFT_USAGE);
    atomic_int stop = 130;
    env.stop = &stop;
    o = (wf_data_options){.context = 8, .separator = -1};
    assert_int_equal(wf_data_create(&env, tok, &text, NULL, &o, &data, &err), WEFT_INTERRUPTED);
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

/* The shortest text that works: one window, again and again. */
static void test_shortest(void **state) {
    wf_tokenizer *tok = bytes_tokenizer(false);
    wf_text text = numbered(1, T + 1);
    wf_data_options o = {.context = T, .separator = -1};
    wf_data *data = create(tok, &text, NULL, &o);
    int32_t ids[T], targets[T];
    assert_int_equal(wf_data_windows(data, T), 1);
    for (uint64_t cursor = 0; cursor < 5; cursor++) {
        wf_data_batch(data, cursor, &(wf_batch){1, T, ids, targets, NULL, NULL});
        assert_int_equal(ids[0], 0);
        assert_int_equal(targets[T - 1], T);
    }
    assert_int_equal(wf_data_validation_windows(data, T), 0);
    wf_data_free(data);
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

static void test_no_memory(void **state) {
    wf_tokenizer *tok = bytes_tokenizer(true);
    wf_text text = numbered(20, 50);
    wf_data_options o = wf_data_options_usual(T);
    o.packed = true;
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_env env = {.mem = fail_mem_hook(&f)};
        wf_data *data = NULL;
        weft_status status = wf_data_create(&env, tok, &text, NULL, &o, &data, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_data_free(data);
        assert_int_equal(f.live, 0);
    }
    wf_text_free(&text);
    wf_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),    cmocka_unit_test(test_cursor),    cmocka_unit_test(test_packed),
        cmocka_unit_test(test_validation), cmocka_unit_test(test_split),     cmocka_unit_test(test_errors),
        cmocka_unit_test(test_shortest),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
