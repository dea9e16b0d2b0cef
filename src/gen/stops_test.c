/* Strings that end a text and stay in it: which token completes one. */
#include "gen/stops.h"
#include <string.h>
#include "support/fail_mem.h"
#include "support/test.h"

/* Words with the mark of a space, as SentencePiece has them; the decoder takes the space off the first word of a text. */
static const char *const words =
    "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"single_word\": false, \"lstrip\": false, "
    "\"rstrip\": false, \"normalized\": false, \"special\": true}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": "
    "\"Metaspace\", \"replacement\": \"\xE2\x96\x81\", \"prepend_scheme\": \"always\", \"split\": true}, \"post_processor\": "
    "null, \"decoder\": {\"type\": \"Metaspace\", \"replacement\": \"\xE2\x96\x81\", \"prepend_scheme\": \"always\", "
    "\"split\": true}, \"model\": {\"type\": \"WordLevel\", \"unk_token\": \"<s>\", \"vocab\": {\"<s>\": 0, "
    "\"\xE2\x96\x81one\": 1, \"\xE2\x96\x81two\": 2, \"ly.\xE2\x96\x81\": 3, \"o\": 4}}}";

typedef struct row {
    const char *strings; /* with a 0 behind each */
    size_t n;
    int32_t ids[8];
    int64_t count;
    bool hit;
} row;

static bool hits(const wf_mem *mem, const wf_tokenizer *tok, const row *r) {
    bool hit;
    const wf_stops stops = {mem, tok, r->strings, r->n};
    assert_int_equal(wf_stops_hit(&stops, r->ids, r->count, &hit, NULL), WEFT_OK);
    return hit;
}

static void check(const wf_tokenizer *tok, const row *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (hits(&wf_mem_default, tok, &rows[i]) != rows[i].hit)
            fail_msg("row %zu: '%s' is %s", i, rows[i].strings, rows[i].hit ? "not found" : "found");
}

static void test_bytes(void **state) {
    static const char *const specials[] = {"<end>"};
    static const row rows[] = {{"bc", 1, {'a', 'b', 'c'}, 3, true},
                               {"abc", 1, {'a', 'b', 'c'}, 3, true},
                               {"ab", 1, {'a', 'b', 'c'}, 3, false}, /* an earlier token completed it */
                               {"zabc", 1, {'a', 'b', 'c'}, 3, false},
                               {"zz\0c", 2, {'a', 'b', 'c'}, 3, true},
                               {"c", 1, {'c'}, 1, true},
                               {"cc", 1, {'c'}, 1, false}, /* what stands in front of the first one is not its text */
                               {"cc", 1, {'c', 'c'}, 2, true},
                               {"\xC3\xA9", 1, {'a', 0xC3}, 2, false},
                               {"\xC3\xA9", 1, {'a', 0xC3, 0xA9}, 3, true},
                               {"a<end>", 1, {'a', 256}, 2, true},
                               {"end", 1, {'a', 256}, 2, true},
                               {"", 0, {'a'}, 1, false},
                               {"a", 1, {'a'}, 0, false}};
    wf_tokenizer *tok;
    (void)state;
    assert_int_equal(wf_tokenizer_bytes(&wf_mem_default, specials, 1, &tok, NULL), WEFT_OK);
    check(tok, rows, COUNT_OF(rows));
    wf_tokenizer_free(tok);
}

static void test_words(void **state) {
    static const row rows[] = {
        {" two", 1, {1, 2}, 2, true},    {" one", 1, {1}, 1, true}, /* every token stands inside a text, as in the reference */
        {" one", 1, {0, 1}, 2, true},    {".", 1, {1, 3}, 2, true}, /* the space behind it stays */
        {"ly. ", 1, {1, 3}, 2, true},    {"onely", 1, {1, 3}, 2, true}, {"one two", 1, {1, 2, 4}, 3, false},
        {"twoo", 1, {1, 2, 4}, 3, true}, {"<s>", 1, {1, 0}, 2, true}};
    wf_tokenizer *tok;
    (void)state;
    assert_int_equal(wf_tokenizer_parse(&wf_mem_default, words, strlen(words), &tok, NULL), WEFT_OK);
    check(tok, rows, COUNT_OF(rows));
    wf_tokenizer_free(tok);
}

static void test_out_of_memory(void **state) {
    static const row r = {"bcd", 1, {'a', 'b', 'c', 'd'}, 4, true};
    fail_mem f = {0};
    wf_mem mem = fail_mem_hook(&f);
    wf_tokenizer *tok;
    bool hit;
    (void)state;
    assert_int_equal(wf_tokenizer_bytes(&mem, NULL, 0, &tok, NULL), WEFT_OK);
    const wf_stops stops = {&mem, tok, r.strings, r.n};
    long live = f.live;
    while (fail_mem_next(&f)) {
        weft_status status = wf_stops_hit(&stops, r.ids, r.count, &hit, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        assert_int_equal(f.live, live);
    }
    wf_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
