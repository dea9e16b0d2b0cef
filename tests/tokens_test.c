/* The public API of tokenizers and conversations: training, tokens with their places, decoders, chats; mistakes, and who owns
 * what. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "base/str.h"
#include "weft/weft.h"

#define FOLDER WEFT_BINARY_DIR "/tokens-test"
static const char text[] = "W\xC3\xB6rds of a web <s>";

static weft *open_library(fail_mem *f) {
    weft_options options;
    weft *lib = NULL;
    weft_error err = {0};
    weft_options_init(&options);
    options.threads = 1;
    options.resize = fail_mem_resize;
    options.release = fail_mem_release;
    options.memory_user = f;
    assert_int_equal(weft_create(&options, &lib, &err), WEFT_OK);
    return lib;
}

static void write_file(const char *name, const char *content) {
    char path[512];
    weft_error err = {0};
    assert_int_equal(wf_make_dir(FOLDER, &err), WEFT_OK);
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    assert_int_equal(wf_write_file(&wf_mem_default, path, content, strlen(content), &err), WEFT_OK);
}

static void train(weft *lib) {
    weft_result result = {NULL, NULL};
    weft_error err = {0};
    write_file("corpus.txt", "Words of a web of words, a web of wool. Words, words, W\xC3\xB6rds.\n");
    if (weft_tokenize(lib,
                      "{\"train\": \"bpe\", \"text\": \"" FOLDER
                      "/corpus.txt\", \"vocab\": 290, \"special_tokens\": [\"<s>\"], \"out\": \"" FOLDER "\"}",
                      NULL, NULL, &result, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_non_null(strstr(result.json, "\"vocab\": "));
    weft_result_free(lib, &result);
}

static void check_tokens(const weft_tokenizer *t, unsigned flags, size_t length) {
    weft_tokens tokens = {0};
    weft_error err = {0};
    assert_int_equal(weft_tokenizer_tokens(t, text, strlen(text), flags, &tokens, &err), WEFT_OK);
    assert_true(tokens.count > 1);
    assert_int_equal(tokens.starts[0], 0);
    assert_int_equal(tokens.ends[tokens.count - 1], length);
    assert_int_equal(tokens.ids[tokens.count - 1] == weft_tokenizer_id(t, "<s>", 3), !(flags & WEFT_ENCODE_PLAIN));
    for (size_t i = 0; i < tokens.count; i++) {
        size_t bytes = 0;
        const char *piece = weft_tokenizer_piece(t, tokens.ids[i], &bytes);
        assert_non_null(piece);
        assert_int_equal(weft_tokenizer_id(t, piece, bytes), tokens.ids[i]);
    }
    weft_tokens_free(t, &tokens);
    assert_null(tokens.ids);
}

/* What comes out is whole characters, and together the text. */
/* Each has the ids that it has alone; a long text is shared by the threads. */
static void check_many(weft *lib, const weft_tokenizer *t) {
    enum { LONG = 3 << 20 };
    char *letters = malloc(LONG);
    assert_non_null(letters);
    for (size_t i = 0; i < LONG; i++)
        letters[i] = "weaver of webs "[i * 7 / 5 % 15];
    weft_text texts[] = {{text, strlen(text), NULL, 0}, {letters, LONG, NULL, 0}, {"", 0, NULL, 0}, {"webs", 4, NULL, 0}};
    weft_error err = {0};
    assert_int_equal(weft_tokenizer_encode_many(lib, t, texts, COUNT_OF(texts), 0, &err), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        int32_t *ids;
        size_t count;
        assert_int_equal(weft_tokenizer_encode(t, texts[i].text, texts[i].length, &ids, &count, &err), WEFT_OK);
        assert_int_equal(texts[i].count, count);
        assert_memory_equal(texts[i].ids, ids, count * sizeof *ids);
        weft_ids_free(t, ids);
        weft_ids_free(t, texts[i].ids);
    }
    assert_int_equal(weft_tokenizer_encode_many(lib, t, NULL, 0, 0, &err), WEFT_OK);
    assert_int_equal(weft_tokenizer_encode_many(lib, t, texts, 1, WEFT_ENCODE_CHARACTERS, &err), WEFT_USAGE);
    free(letters);
}

static void check_decoder(const weft_tokenizer *t) {
    weft_tokens tokens = {0};
    weft_decoder *d = NULL;
    weft_error err = {0};
    wf_str all = wf_str_new(&wf_mem_default);
    const char *piece;
    size_t length;
    assert_int_equal(weft_tokenizer_tokens(t, text, strlen(text) - 4, WEFT_ENCODE_NO_SPECIALS, &tokens, &err), WEFT_OK);
    assert_int_equal(weft_decoder_create(t, &d, &err), WEFT_OK);
    for (size_t i = 0; i <= tokens.count; i++) {
        weft_status status = i < tokens.count ? weft_decoder_put(d, tokens.ids[i], &piece, &length, &err)
                                              : weft_decoder_end(d, &piece, &length, &err);
        assert_int_equal(status, WEFT_OK);
        for (size_t at = 0; at < length;) {
            int n = wf_utf8_length(piece + at, length - at);
            assert_true(n > 0);
            at += (size_t)n;
        }
        wf_str_put(&all, piece, length);
    }
    assert_int_equal(all.length, strlen(text) - 4);
    assert_memory_equal(all.data, text, all.length);
    wf_str_free(&all);
    weft_decoder_free(d);
    weft_tokens_free(t, &tokens);
}

static void test_tokens(void **state) {
    fail_mem f = {0};
    weft *lib = open_library(&f);
    weft_tokenizer *t = NULL;
    weft_tokens tokens = {0};
    weft_error err = {0};
    size_t length;
    train(lib);
    assert_int_equal(weft_tokenizer_open(lib, FOLDER, &t, &err), WEFT_OK);
    check_tokens(t, 0, strlen(text));
    check_tokens(t, WEFT_ENCODE_PLAIN | WEFT_ENCODE_NO_SPECIALS, strlen(text));
    check_tokens(t, WEFT_ENCODE_CHARACTERS, strlen(text) - 1);
    check_decoder(t);
    check_many(lib, t);
    assert_int_equal(weft_tokenizer_tokens(t, text, 1, 64, &tokens, &err), WEFT_USAGE);
    assert_null(weft_tokenizer_piece(t, -1, &length));
    assert_int_equal(weft_tokenizer_id(t, "no such token", 13), -1);
    weft_tokens_free(t, NULL);
    weft_decoder_free(NULL);
    weft_tokenizer_free(t);
    weft_free(lib);
    assert_int_equal(atomic_load(&f.live), 0);
}

static void test_chat(void **state) {
    fail_mem f = {0};
    weft *lib = open_library(&f);
    weft_result result = {NULL, NULL};
    weft_error err = {0};
    write_file(
        "tokenizer_config.json",
        "{\"bos_token\": \"<s>\", \"chat_template\": \"{{ bos_token }}{% for m in messages %}{% if m.role == 'bad' %}"
        "{{ raise_exception('no bad roles') }}{% endif %}{% generation %}{{ m.content }}{% endgeneration %};{% endfor %}\"}");
    assert_int_equal(weft_chat(lib, FOLDER, "[{\"role\": \"user\", \"content\": \"\xC3\xB6\"}]", &result, &err), WEFT_OK);
    assert_string_equal(result.text, "<s>\xC3\xB6;");
    assert_non_null(strstr(result.json, "assistant_spans"));
    weft_result_free(lib, &result);
    assert_int_equal(weft_chat(lib, FOLDER, "[{\"role\": \"bad\"}]", &result, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "no bad roles"));
    assert_null(result.text);
    assert_int_equal(weft_chat(lib, FOLDER, "[", &result, &err), WEFT_BAD_INPUT);
    assert_int_equal(weft_chat(lib, FOLDER, "{}", &result, NULL), WEFT_BAD_INPUT);
    assert_int_equal(weft_chat(lib, FOLDER "/nowhere", "[]", &result, &err), WEFT_BAD_INPUT);
    weft_free(lib);
    assert_int_equal(atomic_load(&f.live), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_chat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
