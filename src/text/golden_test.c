/* golden_test.c - tests/data/tokenizers: files of the shapes that published tokenizers have, encoded by the reference. */
#include <string.h>

#include "base/json.h"
#include "base/reader.h"
#include "support/test.h"
#include "text/tokenizer.h"

#define FOLDER WEFT_SOURCE_DIR "/tests/data/tokenizers/"

static const char *const names[] = {"gpt2-like",    "neox-like",  "falcon-like", "llama3-like",
                                    "roberta-like", "split-like", "invert-like"};

static wf_file open_data(const char *name) {
    char path[512];
    wf_file file;
    weft_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (wf_file_open(&wf_mem_default, path, false, 0, &file, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return file;
}

static void check_ids(wf_encoder *e, const wf_json *line, const char *key, unsigned flags) {
    const wf_json *text = wf_json_get(line, "text"), *expected = wf_json_get(line, key);
    wf_ids ids = wf_ids_new(&wf_mem_default);
    assert_int_equal(wf_encode(e, text->string, text->length, flags, &ids, NULL), WEFT_OK);
    bool equal = ids.count == expected->count;
    size_t i = 0;
    for (const wf_json *j = expected->child; equal && j; j = j->next)
        equal = ids.data[i++] == (uint32_t)j->integer;
    if (!equal)
        fail_msg("%s differ for \"%s\"", key, text->string);
    wf_ids_free(&ids);
}

static void check_line(wf_encoder *e, const char *text, size_t n) {
    wf_arena arena;
    wf_json *line;
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_json_parse(&arena, text, n, 0, &line, NULL), WEFT_OK);
    for (int again = 0; again < 2; again++) { /* the second time from the cache */
        check_ids(e, line, "ids", 0);
        check_ids(e, line, "special_ids", WF_ENCODE_SPECIALS);
    }
    wf_arena_free(&arena);
}

static void test_golden(void **state) {
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char name[512];
        wf_tokenizer *tok;
        wf_encoder *e;
        weft_error err = {0};
        snprintf(name, sizeof name, FOLDER "%s.json", names[i]);
        if (wf_tokenizer_open(&wf_mem_default, name, &tok, &err) != WEFT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(wf_encoder_create(tok, &e, &err), WEFT_OK);
        snprintf(name, sizeof name, "%s.jsonl", names[i]);
        wf_file cases = open_data(name);
        const char *p = (const char *)cases.data, *end = p + cases.size;
        int n = 0;
        for (const char *line; p < end && (line = memchr(p, '\n', (size_t)(end - p))); p = line + 1, n++)
            check_line(e, p, (size_t)(line - p));
        assert_int_equal(n, 80);
        wf_file_close(&cases);
        wf_encoder_free(e);
        wf_tokenizer_free(tok);
    }
}

/* The merges the reference learns from the same text, in order. */
static void test_training(void **state) {
    wf_file text = open_data("train.txt"), expected = open_data("train.merges");
    static const char *const specials[] = {"<|endoftext|>"};
    wf_bpe_training how = {.vocab_size = 700, .specials = specials, .n_specials = 1};
    wf_tokenizer *tok;
    weft_error err = {0};
    assert_int_equal(wf_tokenizer_train(&wf_mem_default, &how, text.data, text.size, &tok, &err), WEFT_OK);
    const char *p = (const char *)expected.data, *end = p + expected.size;
    uint32_t id = 257;
    for (const char *line; p < end && (line = memchr(p, '\n', (size_t)(end - p))); p = line + 1, id++) {
        char joined[128];
        size_t left = (size_t)((const char *)memchr(p, ' ', (size_t)(line - p)) - p), n = (size_t)(line - p) - 1;
        assert_true(n < sizeof joined);
        memcpy(joined, p, left);
        memcpy(joined + left, p + left + 1, n - left);
        wf_bytes piece = wf_tokenizer_piece(tok, id);
        if (piece.length != n || memcmp(piece.data, joined, n) != 0)
            fail_msg("token %u is \"%.*s\", not \"%.*s\"", id, (int)piece.length, piece.data, (int)n, joined);
    }
    assert_int_equal(wf_tokenizer_vocab(tok), id);
    assert_int_equal(wf_tokenizer_id(tok, "<|endoftext|>", 13), 0);
    assert_int_equal(wf_tokenizer_id(tok, "!", 1), 1);
    wf_tokenizer_free(tok);
    wf_file_close(&text);
    wf_file_close(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
