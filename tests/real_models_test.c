/* Real models of the folder WEFT_DATA (models/NAME/..): files as others wrote them, opened as they are, and what they are known
 * to answer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "families/load.h"
#include "gen/session.h"
#include "support/model.h"
#include "text/tokenizer.h"

/* The path of a file of the data, NULL (and a line) when it is not there. */
static char *data_path(test_env *e, const char *name) {
    const char *root = getenv("WEFT_DATA");
    char *path = root ? wf_arena_printf(&e->arena, "%s/models/%s", root, name) : NULL;
    if (path && (wf_is_file(path) || wf_is_dir(path)))
        return path;
    print_message("skipped: no %s (WEFT_DATA)\n", name);
    return NULL;
}

static wf_model *open_model(test_env *e, const char *path) {
    wf_model *model = NULL;
    weft_error err = {0};
    if (wf_model_load(&e->env, path, &(wf_load_options){.map = true, .strict = true}, &model, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return model;
}

/* The next token's logits after `ids`, fed in pieces of `piece`. */
static void logits_after(const wf_model *model, const int32_t *ids, int64_t n, int64_t piece, float *out) {
    wf_session *session;
    const float *logits = NULL;
    assert_int_equal(wf_session_create(model, 1, n + 1, &session, NULL), WEFT_OK);
    for (int64_t at = 0; at < n; at += piece)
        assert_int_equal(wf_session_feed(session, ids + at, at + piece <= n ? piece : n - at, &logits, NULL), WEFT_OK);
    memcpy(out, logits, (size_t)model->spec->vocab * sizeof *out);
    wf_session_free(session);
}

/* ---- RWKV 4 to 7: the logits after three bytes ---- */
enum { BYTES = 256 };

static void check_rwkv(test_env *e, const char *file, const char *expected, double tolerance) {
    static const int32_t prompt[] = {'"', 'i', 'n'};
    char *path = data_path(e, file), *logits = data_path(e, expected);
    wf_file wanted;
    float got[BYTES], want[BYTES];
    if (!path || !logits)
        return;
    assert_int_equal(wf_file_open(&wf_mem_default, logits, false, 0, &wanted, NULL), WEFT_OK);
    assert_int_equal(wanted.size, sizeof want);
    memcpy(want, wanted.data, sizeof want);
    wf_file_close(&wanted);
    wf_model *model = open_model(e, path);
    for (int64_t piece = 1; piece <= 3; piece += 2) {
        double worst = 0;
        logits_after(model, prompt, 3, piece, got);
        for (int i = 0; i < BYTES; i++)
            worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        if (!(worst <= tolerance))
            fail_msg("%s: a logit is off by %g", file, worst);
    }
    wf_model_free(model);
}

static void test_rwkv(void **state) {
    static const struct {
        const char *file, *expected;
        double tolerance; /* of fp32: rounding; the others change the weights */
    } rows[] = {{"tiny-rwkv-4v0-660K-FP32.bin", "expected-logits-4v0-660K.bin", 2e-5},
                {"tiny-rwkv-5v1-730K-FP32.bin", "expected-logits-5v1-730K.bin", 2e-5},
                {"tiny-rwkv-5v2-730K-FP32.bin", "expected-logits-5v2-730K.bin", 2e-5},
                {"tiny-rwkv-6v0-1m-FP32.bin", "expected-logits-6v0-1m.bin", 2e-5},
                {"tiny-rwkv-7v0-834K-FP32.bin", "expected-logits-7v0-834K.bin", 2e-5},
                {"tiny-rwkv-7v0-834K-FP16.bin", "expected-logits-7v0-834K.bin", 0.05},
                {"tiny-rwkv-4v0-660K-Q5_1.bin", "expected-logits-4v0-660K.bin", 0.6},
                {"tiny-rwkv-5v1-730K-Q5_1.bin", "expected-logits-5v1-730K.bin", 0.6},
                {"tiny-rwkv-5v2-730K-Q5_1.bin", "expected-logits-5v2-730K.bin", 0.6},
                {"tiny-rwkv-6v0-1m-Q5_1.bin", "expected-logits-6v0-1m.bin", 0.6},
                {"tiny-rwkv-6v0-3m-Q5_1.bin", "expected-logits-6v0-3m.bin", 0.6},
                {"tiny-rwkv-7v0-834K-Q5_0.bin", "expected-logits-7v0-834K.bin", 0.6},
                {"tiny-rwkv-7v0-834K-Q5_1.bin", "expected-logits-7v0-834K.bin", 0.6}};
    test_env e;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_rwkv(&e, wf_arena_printf(&e.arena, "rwkv-cpp-tiny/%s", rows[i].file),
                   wf_arena_printf(&e.arena, "rwkv-cpp-tiny/%s", rows[i].expected), rows[i].tolerance);
    test_env_close(&e);
}

/* ---- numbers reversed ---- */
enum { COMMA = 10, END = 11, DIGITS = 60, LONGEST = 2 * DIGITS + 2, VOCAB = 12 };

static int best(const float *logits, int n) {
    int top = 0;
    for (int i = 1; i < n; i++)
        top = logits[i] > logits[top] ? i : top;
    return top;
}

/* "123,321#": every digit behind the comma, and the end, must be the likeliest one after what is before it. */
static int wrong_digits(const wf_model *model, const int32_t *ids, int n) {
    wf_session *session;
    const float *logits;
    int wrong = 0, length = 2 * n + 2;
    assert_int_equal(wf_session_create(model, 1, length, &session, NULL), WEFT_OK);
    assert_int_equal(wf_session_feed_all(session, ids, length, &logits, NULL), WEFT_OK);
    for (int i = n; i < length - 1; i++)
        wrong += best(logits + (size_t)i * VOCAB, VOCAB) != ids[i + 1];
    wf_session_free(session);
    return wrong;
}

static void test_reverse(void **state) {
    test_env e;
    test_env_open(&e, 1);
    char *path = data_path(&e, "rwkv7-reverse/260123_reverse_L2_only_rwkv7.pth");
    wf_model *model = path ? open_model(&e, path) : NULL;
    uint64_t seed = 7;
    for (int n = 1; model && n <= DIGITS; n++) {
        int32_t ids[LONGEST];
        for (int i = 0; i < n; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int digit = (int)((seed >> 33) % (n > 1 && i == 0 ? 9 : 10)) + (n > 1 && i == 0);
            ids[i] = ids[2 * n - i] = digit;
        }
        ids[n] = COMMA;
        ids[2 * n + 1] = END;
        if (wrong_digits(model, ids, n) > 0)
            fail_msg("a number of %d digits is not reversed", n);
    }
    wf_model_free(model);
    test_env_close(&e);
}

/* Its sisters use layers of RWKV-8, which are told by their name. */
static void test_refused(void **state) {
    test_env e;
    test_env_open(&e, 1);
    char *path = data_path(&e, "rwkv7-reverse/251105_reverse_L2.pth");
    wf_model *model = NULL;
    weft_error err = {0};
    if (path) {
        assert_int_equal(wf_model_load(&e.env, path, NULL, &model, &err), WEFT_UNSUPPORTED);
        assert_non_null(strstr(err.message, "rosa_qkv"));
    }
    test_env_close(&e);
}

/* ---- stories260K ---- */
static void test_stories(void **state) {
    static const char story[] =
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, "
        "red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was "
        "sad and didn't know what to do. She said, \"I want to play with your ball, but I can't find it.\"\nLily was sad and "
        "didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to do.\"\nLily didn't want to help her mom, "
        "so "
        "she said, \"I'm sorry, mom. I didn't know what to do.\" Her mom said, \"Don't worry, Lily. We can help you.";
    enum { TOKENS = 256 };
    test_env e;
    test_env_open(&e, 1);
    char *path = data_path(&e, "stories260K/stories260K.bin"), *words = data_path(&e, "stories260K/tok512.bin");
    if (path && words) {
        wf_model *model = open_model(&e, path);
        wf_tokenizer *tok;
        wf_session *session;
        int32_t ids[TOKENS + 1] = {1};
        uint32_t told[TOKENS + 1] = {1};
        wf_str text = wf_str_new(&wf_mem_default);
        assert_int_equal(wf_tokenizer_open(&wf_mem_default, words, &tok, NULL), WEFT_OK);
        assert_int_equal(wf_session_create(model, 1, TOKENS + 1, &session, NULL), WEFT_OK);
        for (int i = 0; i < TOKENS; i++) {
            const float *logits;
            assert_int_equal(wf_session_feed(session, ids + i, 1, &logits, NULL), WEFT_OK);
            told[i + 1] = (uint32_t)(ids[i + 1] = best(logits, (int)model->spec->vocab));
        }
        assert_int_equal(wf_tokenizer_decode(tok, told + 1, TOKENS, WF_DECODE_TEXT, &text, NULL), WEFT_OK);
        assert_memory_equal(wf_str_text(&text), story, sizeof story - 1);
        wf_str_free(&text);
        wf_session_free(session);
        wf_tokenizer_free(tok);
        wf_model_free(model);
    }
    test_env_close(&e);
}

/* ---- a word in other letters ---- */
enum { MOST_WORDS = 64, MOST_LETTERS = 32 };

typedef struct vocabulary {
    wf_file file;
    const char *words[MOST_WORDS];
    size_t lengths[MOST_WORDS];
    int count;
} vocabulary;

static void read_words(test_env *e, const char *folder, const char *name, vocabulary *v) {
    memset(v, 0, sizeof *v);
    assert_int_equal(wf_file_open(&wf_mem_default, wf_path_join(&e->arena, folder, name), false, 0, &v->file, NULL), WEFT_OK);
    const char *text = (const char *)v->file.data;
    for (size_t at = 0; at < v->file.size && v->count < MOST_WORDS; v->count++) {
        v->words[v->count] = text + at;
        v->lengths[v->count] = strcspn(text + at, "\n");
        at += v->lengths[v->count] + 1;
    }
}

static int32_t find_word(const vocabulary *v, const char *word) {
    for (int i = 0; i < v->count; i++)
        if (v->lengths[i] == strlen(word) && memcmp(v->words[i], word, v->lengths[i]) == 0)
            return i;
    fail_msg("no letter '%s'", word);
    return -1;
}

static void check_word(test_env *e, const char *folder) {
    enum { BEGIN = 1, STOP = 2 };
    static const char *const letters[] = {"\xD8\xA2", "\xD8\xAA", "\xD8\xB2", "\xD9\x85", "\xD9\x88", "\xD9\x86"};
    vocabulary source, target;
    wf_session *session;
    const float *logits;
    int32_t ids[COUNT_OF(letters)], last = BEGIN;
    char word[MOST_LETTERS] = "";
    wf_model *model = open_model(e, folder);
    read_words(e, folder, "source_vocabulary.txt", &source);
    read_words(e, folder, "target_vocabulary.txt", &target);
    for (size_t i = 0; i < COUNT_OF(letters); i++)
        ids[i] = find_word(&source, letters[i]);
    assert_int_equal(wf_session_create(model, 1, MOST_LETTERS, &session, NULL), WEFT_OK);
    assert_int_equal(wf_session_source(session, ids, COUNT_OF(letters), NULL, NULL), WEFT_OK);
    for (int i = 0; i < MOST_LETTERS - 1; i++) {
        assert_int_equal(wf_session_feed(session, &last, 1, &logits, NULL), WEFT_OK);
        last = best(logits, (int)model->spec->vocab);
        if (last == STOP)
            break;
        strncat(word, target.words[last], 1);
    }
    assert_string_equal(word, "atzmon");
    wf_session_free(session);
    wf_file_close(&source.file);
    wf_file_close(&target.file);
    wf_model_free(model);
}

static void test_transliteration(void **state) {
    static const char *const folders[] = {"aren-transliteration", "aren-transliteration-i16", "aren-transliteration-i8"};
    test_env e;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char *path = data_path(&e, wf_arena_printf(&e.arena, "ct2-aren-transliteration/%s", folders[i]));
        if (path)
            check_word(&e, path);
    }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rwkv), cmocka_unit_test(test_reverse),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_stories),
                                       cmocka_unit_test(test_transliteration)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
