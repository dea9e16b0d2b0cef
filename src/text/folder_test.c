/* folder_test.c - files beside a tokenizer.json, and what AutoTokenizer of transformers 5.24 made of them. */
#include <stdio.h>
#include <string.h>

#include "base/reader.h"
#include "base/str.h"
#include "support/fail_mem.h"
#include "support/test.h"
#include "text/tokenizer.h"

#define FOLDER WEFT_BINARY_DIR "/folder-test"

/* clang-format off */
static const char letters[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":5,\"content\":\"</s>\",\"single_w"
    "ord\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":null,\"pre_"
    "tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},\"post_"
    "processor\":null,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex"
    "\":true},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"vocab\":{\"Ġ\":0,\"a\":1,\"b\":2,\"<\":3,\"<s>\""
    ":4,\"</s>\":5,\"<|endoftext|>\":6,\"s\":7},\"merges\":[]}}";
static const char pieces[] =
    "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_p"
    "er_word\":100,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##a\":4,\"b\":5,\"A\":6,\".\":7,\"[PAD]\":8,\"[MASK"
    "]\":9}},\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,\"pre_tok"
    "enizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":null,\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##"
    "\",\"cleanup\":true}}";
static const char bytes[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"single_wo"
    "rd\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":{\"type\":\"Se"
    "quence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"▁\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\""
    "content\":\"▁\"}]},\"pre_tokenizer\":null,\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Speci"
    "alToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A"
    "\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\""
    "tokens\":[\"<s>\"]}}},\"decoder\":null,\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"<unk>\",\"continui"
    "ng_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merge"
    "s\":false,\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2,\"▁\":3,\"a\":4,\"b\":5},\"merges\":[]}}";
static const char scores[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer"
    "\":null,\"post_processor\":null,\"decoder\":null,\"model\":{\"type\":\"Unigram\",\"unk_id\":3,\"byte_fallback\":fal"
    "se,\"vocab\":[[\"<s>\",0.0],[\"<pad>\",0.0],[\"</s>\",0.0],[\"<unk>\",0.0],[\"▁\",-2.0],[\"a\",-1.0],[\"b\",-1.0],[\""
    ".\",-1.0]]}}";
static const char speech[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":5,\"content\":\"</s>"
    "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}],\"nor"
    "malizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":tru"
    "e,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":t"
    "rue,\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\""
    ":null,\"vocab\":{\"Ġ\":0,\"a\":1,\"b\":2,\"<\":3,\"<s>\":4,\"</s>\":5,\"<|endoftext|>\":6,\"s\":7,\"<|st"
    "artoftranscript|>\":8,\"<|notimestamps|>\":9,\"<|startoftext|>\":10,\"a</w>\":11,\"b</w>\":12},\"merges"
    "\":[]}}";
/* clang-format on */

typedef struct member {
    const char *name, *text;
} member;
/* clang-format off */
static const struct {
    const char *tokenizer;
    member files[3];
    const char *text, *ids, *decoded;
} cases[] = {
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"bos_token\":\"<s>\",\"add_bos_token\":true}"}}, "a<s> b", "1 4 0 2", "a b"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_prefix_space\":true,\"extra_special_tokens\":[\"<x>\"]}"}}, "a<x>b", "0 1 8 0 2", " a b"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"added_tokens_decoder\":{\"9\":{\"content\":\"ab\",\"lstrip\":true},\"5\":{\"content\":\"</s>\",\"rstrip\":true,\"special\":true}}}"}}, "b ab</s> a", "2 8 5 1", "baba"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"split_special_tokens\":true}"}}, "</s>", "3 7", "<s"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"RobertaTokenizerFast\"}"}}, "a b", "4 1 0 2 5", "a b"},
    {letters, {{"special_tokens_map.json", "{\"mask_token\":{\"content\":\"<m>\",\"lstrip\":true,\"normalized\":false,\"rstrip\":false,\"single_word\":false}}"}, {"config.json", "{\"model_type\":\"unheard_of\"}"}, {"tokenizer_config.json", "{}"}}, "a <m>", "1 8", "a"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\"}"}}, "a b", "1 0 2", "a b"},
    {letters, {{"config.json", "{\"model_type\":\"qwen2\"}"}, {"tokenizer_config.json", "{\"tokenizer_class\":\"GPT2Tokenizer\"}"}}, "a  b", "1 0 0 2", "a  b"},
    {pieces, {{"tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\"}"}}, "AA b", "1 3 4 5 2", "aa b"},
    {pieces, {{"tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":false,\"cls_token\":\"[MASK]\"}"}}, "Aa", "9 6 4 2", "Aa"},
    {pieces, {{"tokenizer_config.json", "{\"tokenizer_class\":\"TokenizersBackend\"}"}}, "AA b", "0 5", "[UNK] b"},
    {bytes, {{"tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":false}"}}, " a<s>b", "1 3 4 1 5", "ab"},
    {bytes, {{"tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":true}"}}, " a<s>b", "1 3 4 1 3 5", "a b"},
    {bytes, {{"tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\"}"}, {"config.json", "{\"model_type\":\"mistral\"}"}}, " a<s>b", "1 3 3 4 1 3 5", "\xE2\x96\x81 \xE2\x96\x81 a \xE2\x96\x81 b"},
    {bytes, {{"tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\"}"}, {"added_tokens.json", "{\"ab\":9}"}}, "a ab", "1 3 4 3 6", "a ab"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"XLMRobertaTokenizer\",\"clean_up_tokenization_spaces\":true}"}}, "a .", "0 4 5 4 7 2", "a."},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"clean_up_tokenization_spaces\":true}"}}, "a.b", "5 7 6", "a. b"},
    {speech, {{"tokenizer_config.json", "{\"tokenizer_class\":\"WhisperTokenizer\"}"}}, "a b<|0.02|>", "8 9 1 0 2 3 6", "<|startoftranscript|><|notimestamps|>a b<"},
    {speech, {{"tokenizer_config.json", "{\"tokenizer_class\":\"CLIPTokenizer\"}"}}, "AA  b", "10 1 11 12 6", "aa b"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"DebertaTokenizer\",\"cls_token\":\"<s>\",\"sep_token\":\"</s>\"}"}}, "a b", "4 1 0 2 5", "a b"},
    {letters, {{"tokenizer_config.json", "{\"tokenizer_class\":\"BlenderbotTokenizer\"}"}}, "a b", "0 1 0 2", " a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"CamembertTokenizer\"}"}}, "a  b", "0 4 5 4 6 2", "a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"MBartTokenizer\"}"}}, "a  b", "4 5 4 6 2 12", "a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"XLNetTokenizer\",\"do_lower_case\":true,\"unk_id\":3}"}}, "A  b", "4 5 4 6 8 9", "a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"BarthezTokenizer\"}"}}, "a \n b ", "4 5 4 6", "a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"XGLMTokenizer\"}"}}, "a   b", "2 4 5 4 6", "a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"BigBirdTokenizer\"}"}}, "a   b", "9 4 5 4 6 8", "a b"},
    {scores, {{"tokenizer_config.json", "{\"tokenizer_class\":\"RemBertTokenizer\"}"}}, "``a", "4 2 5", "</s>a"},
    {bytes, {{"tokenizer_config.json", "{\"tokenizer_class\":\"NllbTokenizer\"}"}}, "a  b", "54 3 4 3 3 5 2", "a  b"},
    {bytes, {{"tokenizer_config.json", "{\"tokenizer_class\":\"NllbTokenizer\",\"legacy_behaviour\":true,\"src_lang\":\"fra_Latn\"}"}}, "a b", "3 4 3 5 2 64", "a b"},
    {pieces, {{"tokenizer_config.json", "{\"tokenizer_class\":\"FunnelTokenizer\",\"unk_token\":\"[UNK]\",\"cls_token\":\"[CLS]\",\"sep_token\":\"[SEP]\"}"}}, "AA b", "1 3 4 5 2", "aa b"},
};
/* clang-format on */

static void write_text(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    if (text)
        assert_int_equal(wf_write_file(&wf_mem_default, path, text, strlen(text), NULL), WEFT_OK);
    else
        remove(path);
}

static void write_folder(size_t i) {
    static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"};
    assert_int_equal(wf_make_dir(FOLDER, NULL), WEFT_OK);
    for (size_t k = 0; k < COUNT_OF(names); k++)
        write_text(names[k], NULL);
    write_text("tokenizer.json", cases[i].tokenizer);
    for (size_t k = 0; k < 3 && cases[i].files[k].name; k++)
        write_text(cases[i].files[k].name, cases[i].files[k].text);
}

static void check(size_t i, const wf_tokenizer *tok) {
    wf_ids ids = wf_ids_new(&wf_mem_default);
    wf_str spelled = wf_str_new(&wf_mem_default), text = wf_str_new(&wf_mem_default);
    assert_int_equal(wf_tokenizer_encode(tok, cases[i].text, strlen(cases[i].text), WF_ENCODE_SPECIALS, &ids, NULL), WEFT_OK);
    for (size_t k = 0; k < ids.count; k++)
        wf_str_printf(&spelled, "%s%u", k ? " " : "", (unsigned)ids.data[k]);
    if (!wf_streq(wf_str_text(&spelled), cases[i].ids))
        fail_msg("%zu: %s, not %s", i, wf_str_text(&spelled), cases[i].ids);
    assert_int_equal(wf_tokenizer_decode(tok, ids.data, ids.count, WF_DECODE_TEXT | WF_DECODE_SKIP_SPECIALS, &text, NULL),
                     WEFT_OK);
    if (!wf_streq(wf_str_text(&text), cases[i].decoded))
        fail_msg("%zu: '%s', not '%s'", i, wf_str_text(&text), cases[i].decoded);
    wf_ids_free(&ids);
    wf_str_free(&spelled);
    wf_str_free(&text);
}

static void test_folders(void **state) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_tokenizer *tok, *again;
        weft_error err = {0};
        write_folder(i);
        if (wf_tokenizer_open(&wf_mem_default, FOLDER, &tok, &err) != WEFT_OK)
            fail_msg("%zu: %s", i, err.message);
        check(i, tok);
        assert_int_equal(wf_tokenizer_save(tok, FOLDER "/saved.json", NULL), WEFT_OK); /* says all by itself */
        assert_int_equal(wf_tokenizer_open(&wf_mem_default, FOLDER "/saved.json", &again, NULL), WEFT_OK);
        check(i, again);
        wf_tokenizer_free(again);
        wf_tokenizer_free(tok);
    }
}

static void test_bad_files(void **state) {
    wf_tokenizer *tok;
    weft_error err = {0};
    write_folder(0);
    write_text("tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"a\"}}}");
    assert_int_equal(wf_tokenizer_open(&wf_mem_default, FOLDER, &tok, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "the id \"x\""));
    write_text("tokenizer_config.json", "{");
    assert_int_equal(wf_tokenizer_open(&wf_mem_default, FOLDER, &tok, &err), WEFT_BAD_INPUT);
}

static void test_no_memory(void **state) {
    write_folder(2);
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem m = fail_mem_hook(&f);
        wf_tokenizer *tok;
        weft_status status = wf_tokenizer_open(&m, FOLDER, &tok, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        if (status == WEFT_OK)
            wf_tokenizer_free(tok);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folders), cmocka_unit_test(test_bad_files),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
