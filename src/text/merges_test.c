/* merges_test.c - a large tokenizer.json on several threads is the one that one thread reads, and so are its errors. */
#include <string.h>

#include "base/pool.h"
#include "support/test.h"
#include "text/engine.h"

static const wf_mem *const mem = &wf_mem_default;

/* Tokens are a letter, one put before another token, and so on: every token but the first has a merge. */
enum { LETTERS = 26, TOKENS = 24000 };

static void put_piece(wf_str *out, int i) {
    static const char *const marks[] = {"", "\xC4\xA0", "\xE6\x97\xA5", "\\n"};
    wf_str_puts(out, i < LETTERS ? "" : marks[i / LETTERS % 4]);
    for (; i >= 0; i = i / LETTERS - 1)
        wf_str_putc(out, (char)('a' + i % LETTERS));
}

static void put_vocab(wf_str *out) {
    wf_str_puts(out, "\"vocab\": {\"\xC4\xA0\": 0, \"\xE6\x97\xA5\": 1, \"\\n\": 2");
    for (int i = 0; i < TOKENS; i++) {
        wf_str_puts(out, ",\n\"");
        put_piece(out, i);
        wf_str_printf(out, "\": %d", i + 3);
    }
    wf_str_puts(out, "}");
}

/* The merge of a mark and the rest where the token has a mark in front and the rest is a token. */
static void put_merges(wf_str *out, bool pairs) {
    wf_str_puts(out, "\"merges\" :\n[");
    for (int i = 0, n = 0; i < TOKENS; i++) {
        int rest = i / LETTERS - 1;
        if (i < LETTERS || i / LETTERS % 4 != 0 || rest >= LETTERS)
            continue;
        wf_str_puts(out, n++ ? ",\n" : "");
        wf_str_printf(out, pairs ? "[\"%c\", \"" : "\"%c ", 'a' + i % LETTERS);
        put_piece(out, rest);
        wf_str_puts(out, pairs ? "\"]" : "\"");
    }
    wf_str_puts(out, "]");
}

static void put_list(wf_str *out) {
    wf_str_puts(out, "\"vocab\": [");
    for (int i = 0; i < TOKENS; i++) {
        wf_str_puts(out, i ? ",\n[\"" : "[\"");
        put_piece(out, i);
        wf_str_printf(out, "\", -%d.%d]", i % 17, i);
    }
    wf_str_puts(out, "]");
}

typedef struct build {
    bool pairs, merges_first, list;
    size_t cut;         /* bytes at the end that are missing */
    const char *before; /* more members of the model */
} build;

static wf_str make(const build *b) {
    wf_str out = wf_str_new(mem);
    wf_str_printf(&out, "{\"version\": \"1.0\", \"model\": {\"type\": \"%s\", %s", b->list ? "Unigram" : "BPE",
                  b->before ? b->before : "");
    if (b->list) {
        put_list(&out);
        wf_str_printf(&out, ", \"unk_id\": 0}}%*s", 1 << 20, "");
        out.length -= b->cut;
        return out;
    }
    if (b->merges_first)
        put_merges(&out, b->pairs);
    wf_str_puts(&out, b->merges_first ? ", " : "");
    put_vocab(&out);
    wf_str_puts(&out, b->merges_first ? "" : ", ");
    if (!b->merges_first)
        put_merges(&out, b->pairs);
    wf_str_puts(&out, "}, \"added_tokens\": [{\"id\": 9, \"content\": \"<s>\", \"special\": true}]");
    wf_str_printf(&out, "%*s}", 1 << 20, ""); /* a large file at any rate */
    out.length -= b->cut;
    return out;
}

static weft_status read_on(wf_pool *pool, const wf_str *text, wf_tokenizer **out, weft_error *err) {
    *out = NULL;
    return wf_tokenizer_take(mem, pool, wf_strndup(mem, text->data, text->length), text->length, out, err);
}

static void check_equal(const wf_tokenizer *a, const wf_tokenizer *b) {
    static const char text[] = "abcabcxyz \xC4\xA0"
                               "aa\xE6\x97\xA5zz<s>\nbca";
    wf_ids x = wf_ids_new(mem), y = wf_ids_new(mem);
    assert_int_equal(wf_tokenizer_vocab(a), wf_tokenizer_vocab(b));
    for (uint32_t id = 0; id < wf_tokenizer_vocab(a); id++) {
        wf_bytes p = wf_tokenizer_piece(a, id), q = wf_tokenizer_piece(b, id);
        assert_int_equal(p.length, q.length);
        assert_memory_equal(p.data, q.data, p.length);
        assert_true(wf_tokenizer_is_special(a, id) == wf_tokenizer_is_special(b, id));
    }
    assert_int_equal(wf_tokenizer_encode(a, text, sizeof text - 1, 0, &x, NULL), WEFT_OK);
    assert_int_equal(wf_tokenizer_encode(b, text, sizeof text - 1, 0, &y, NULL), WEFT_OK);
    assert_int_equal(x.count, y.count);
    assert_memory_equal(x.data, y.data, x.count * sizeof *x.data);
    wf_ids_free(&x);
    wf_ids_free(&y);
}

static void check(const wf_str *text, weft_status expected) {
    wf_tokenizer *one, *many;
    weft_error first = {0};
    assert_int_equal(read_on(NULL, text, &one, &first), expected);
    for (int threads = 1; threads <= 9; threads += 4) { /* and more than have work */
        wf_pool *pool;
        weft_error second = {0};
        assert_int_equal(wf_pool_create(mem, threads, &pool, NULL), WEFT_OK);
        assert_int_equal(read_on(pool, text, &many, &second), expected);
        if (expected == WEFT_OK)
            check_equal(one, many);
        assert_string_equal(first.message, second.message);
        assert_int_equal(first.offset, second.offset);
        wf_tokenizer_free(many);
        wf_pool_free(pool);
    }
    wf_tokenizer_free(one);
}

static void check_build(const build *b, weft_status expected) {
    wf_str text = make(b);
    check(&text, expected);
    wf_str_free(&text);
}

static void test_equal(void **state) {
    for (int i = 0; i < 4; i++)
        check_build(&(build){.pairs = i % 2, .merges_first = i / 2}, WEFT_OK);
}

static void test_lists(void **state) {
    check_build(&(build){.list = true}, WEFT_OK);
    wf_str text = make(&(build){.list = true});
    char *at = strstr(text.data, "\"c\"");
    assert_non_null(at);
    at[1] = 'b'; /* it is there already */
    check(&text, WEFT_UNSUPPORTED);
    at = strstr(text.data, "-7.");
    assert_non_null(at);
    at[0] = 'x';
    check(&text, WEFT_BAD_INPUT);
    wf_str_free(&text);
}

/* A token that is there twice is told with its place. */
static void test_twice(void **state) {
    wf_str text = make(&(build){.pairs = true});
    char *at = strstr(text.data, "\"c\":");
    assert_non_null(at);
    at[1] = 'b';
    check(&text, WEFT_BAD_INPUT);
    wf_str_free(&text);
}

/* Cut anywhere; a list that only looks like the one of the merges; broken bytes in either half. */
static void test_errors(void **state) {
    static const char *const places[] = {
        "\"vocab\": {", "\"b\":", "dcb\":", "\"merges\" :\n[", "[\"c\", \"d\"]", "[\"z\", \"x\"]"};
    for (size_t cut = 1; cut < 3 << 19; cut = cut * 3 + 7)
        check_build(&(build){.pairs = true, .cut = cut}, WEFT_BAD_INPUT);
    check_build(&(build){.before = "\"vocab\": {\"merges\": [\"a b\"]}, "}, WEFT_BAD_INPUT);
    check_build(&(build){.before = "\"vocab\": {\"a\": 0}, \"unk_token\": {\"merges\": [\"a b\"]}, "}, WEFT_BAD_INPUT);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        wf_str text = make(&(build){.pairs = true});
        char *at = strstr(text.data, places[i]);
        assert_non_null(at);
        at[2] = '\xFF';
        check(&text, WEFT_BAD_INPUT);
        wf_str_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_lists), cmocka_unit_test(test_twice),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
