/* corners_test.c - what differed from the reference once: a tokenizer.json, a text, and the tokens with their places. */
#include <string.h>

#include "base/str.h"
#include "support/test.h"
#include "text/tokenizer.h"

#define LETTERS                                                                                                                \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":true},"
#define MODEL(vocab) "\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[]}}"
#define ADDED(id, text, more) "{\"id\":" #id ",\"content\":\"" text "\",\"normalized\":false" more "}"
#define SPECIAL "{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}"
#define TEXT(name) "{\"Sequence\":{\"id\":\"" name "\",\"type_id\":0}}"
#define FRAME                                                                                                                  \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"b\",\"type_id\":0}},"                            \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"b\",\"type_id\":0}}],\"pair\":[],"                \
    "\"special_tokens\":{\"b\":{\"id\":\"b\",\"ids\":[1],\"tokens\":[\"b\"]}}}"

static const struct {
    const char *json, *text;
    unsigned flags;
    const char *want; /* id:start-end for each token; NULL: an error */
} cases[] = {
    /* letters that the vocabulary lacks are left out, and those behind them move up */
    {"{" LETTERS MODEL("\"a\":0,\"b\":1"), "b aab", 0, "1:0-1 0:1-2 0:1-2 1:2-3 "},
    /* the blank is the first token's, which takes what stands behind it */
    {"{\"added_tokens\":[" ADDED(2, "e", ",\"rstrip\":true") "," ADDED(3, " a", ",\"lstrip\":true") "]," MODEL(
         "\"a\":0,\"b\":1,\"e\":2"),
     "be a", 0, "1:0-1 2:1-3 3:3-4 "},
    /* one has taken the blanks of all */
    {"{\"added_tokens\":[" ADDED(2, "  ", ",\"lstrip\":true,\"rstrip\":true") "]," MODEL("\"a\":0"), "a      a", 0,
     "0:0-1 1:1-7 0:7-8 "},
    /* without both of its members it is BERT's, which trims no offsets */
    {"{\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"s\",2],\"cls\":[\"s\",2],\"trim_offsets\":true}," LETTERS
         MODEL("\"\\u0120\":0,\"a\":1,\"s\":2"),
     " a", WF_ENCODE_SPECIALS, "2:0-0 0:0-1 1:1-2 2:0-0 "},
    {"{\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",2],\"cls\":[\"s\",2],\"trim_offsets\":true,"
     "\"add_prefix_space\":false}," LETTERS MODEL("\"\\u0120\":0,\"a\":1,\"s\":2"),
     " a", WF_ENCODE_SPECIALS, "2:0-0 0:1-1 1:1-2 2:0-0 "},
    /* a model without its type is WordPiece when it has all of that one's members, else whole words */
    {"{\"model\":{\"unk_token\":\"u\",\"max_input_chars_per_word\":9,\"vocab\":{\"u\":0,\"a\":1,\"##a\":2}}}", "aa", 0,
     "0:0-2 "},
    {"{\"model\":{\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":9,"
     "\"vocab\":{\"u\":0,\"a\":1,\"##a\":2}}}",
     "aa", 0, "1:0-1 2:1-2 "},
    /* three parts leave the first template: no other can follow where special tokens are asked for */
    {"{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" FRAME "," FRAME "]}," MODEL("\"a\":0,\"b\":1"), "aa", 0,
     "0:0-1 0:1-2 "},
    {"{\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" FRAME "," FRAME "]}," MODEL("\"a\":0,\"b\":1"), "aa",
     WF_ENCODE_SPECIALS, NULL},
    /* a mark newer than utf8proc joins letters, but no control character; the map has a blank for a tab */
    {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":"
     "\"LAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAkNAAAAAACAIAA=\"}," MODEL("\" \":0,\"\\u0897\":1"),
     "\t\xe0\xa2\x97", 0, "0:0-1 1:1-2 "},
    /* what a template names and nobody defines is missed where it is used, and so is the second text of a single one */
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" SPECIAL
     "," TEXT("A") "],\"pair\":[],\"special_tokens\":"
                   "{}}," MODEL("\"a\":0"),
     "a", 0, "0:0-1 "},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" SPECIAL
     "," TEXT("A") "],\"pair\":[],\"special_tokens\":"
                   "{}}," MODEL("\"a\":0"),
     "a", WF_ENCODE_SPECIALS, NULL},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" TEXT("A") "],\"pair\":[" SPECIAL
                                                                                   "],\"special_tokens\":"
                                                                                   "{}}," MODEL("\"a\":0"),
     "a", WF_ENCODE_SPECIALS, "0:0-1 "},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" TEXT("A") "," TEXT(
         "B") "],\"pair\":[],"
              "\"special_tokens\":{}}," MODEL("\"a\":0"),
     "a", 0, NULL},
    /* an added token that is nothing when it is normalized is found everywhere and parts the text */
    {"{\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"normalized\":true}],\"normalizer\":{\"type\":\"Replace\",\"pattern\":"
     "{\"String\":\"x\"},\"content\":\"\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":"
     "[\"a b\"]}}",
     "abx", 0, "0:0-1 1:1-2 "},
    {"{\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"normalized\":true,\"single_word\":true},{\"id\":0,\"content\":\"a\","
     "\"normalized\":true}],\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"\"},\"model\":"
     "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"bb\":2},\"merges\":[\"b b\"]}}",
     "bbabb", 0, "2:0-2 0:2-3 2:3-5 "},
    /* a search goes on where the last match ended, though it was empty */
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\\\\K|b\"},\"behavior\":\"Isolated\",\"invert\":false},"
     "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"bb\":3},\"merges\":[\"a b\",\"b b\"]}}",
     "abb", 0, "0:0-1 1:1-2 1:2-3 "},
};

static weft_status encode(const wf_tokenizer *tok, const char *text, unsigned flags, wf_str *out) {
    wf_encoder *e;
    wf_encoding g = wf_encoding_new(&wf_mem_default);
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    weft_status status = wf_encode_text(e, &(wf_text_input){.text = {text, strlen(text)}}, NULL, flags, &g, NULL);
    for (size_t i = 0; status == WEFT_OK && i < g.count; i++)
        wf_str_printf(out, "%u:%u-%u ", g.ids[i], g.spans[i].start, g.spans[i].end);
    wf_encoding_free(&g);
    wf_encoder_free(e);
    return status;
}

static void test_corners(void **state) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_tokenizer *tok;
        weft_error err = {0};
        wf_str got = wf_str_new(&wf_mem_default);
        if (wf_tokenizer_parse(&wf_mem_default, cases[i].json, strlen(cases[i].json), &tok, &err) != WEFT_OK)
            fail_msg("%zu: %s", i, err.message);
        weft_status status = encode(tok, cases[i].text, cases[i].flags, &got);
        assert_int_equal(status == WEFT_OK, cases[i].want != NULL);
        if (cases[i].want)
            assert_string_equal(wf_str_text(&got), cases[i].want);
        wf_str_free(&got);
        wf_tokenizer_free(tok);
    }
}

/* An added token takes the id behind as many as the vocabulary has, though one of its own may have that. */
static void test_shadowed(void **state) {
    static const char json[] = "{\"added_tokens\":[" ADDED(9, "x", "") "]," MODEL("\"a\":0,\"b\":2");
    wf_tokenizer *tok;
    wf_encoder *e;
    wf_encoding g = wf_encoding_new(&wf_mem_default);
    assert_int_equal(wf_tokenizer_parse(&wf_mem_default, json, strlen(json), &tok, NULL), WEFT_OK);
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    assert_int_equal(wf_encode_text(e, &(wf_text_input){.text = {"bx", 2}}, NULL, 0, &g, NULL), WEFT_OK);
    assert_int_equal(g.count, 2);
    assert_true(g.ids[0] == 2 && g.ids[1] == 2);
    assert_memory_equal(g.pieces[0].data, "b", 1);
    assert_memory_equal(g.pieces[1].data, "x", 1);
    assert_memory_equal(wf_tokenizer_piece(tok, 2).data, "x", 1);
    wf_encoding_free(&g);
    wf_encoder_free(e);
    wf_tokenizer_free(tok);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corners), cmocka_unit_test(test_shadowed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
