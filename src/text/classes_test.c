#include "text/classes.h"

#include <string.h>

#include "base/embed.h"
#include "support/fail_mem.h"
#include "support/test.h"
#include "text/file_kinds.h"

static const wf_mem *const mem = &wf_mem_default;

/* A model of eight pieces, which begin as those of the class do. */
static void put_model(wf_str *out, bool pegasus) {
    /* clang-format off */
    static const struct {
        const char *text;
        char type;
    } usual[] = {{"<unk>", 2}, {"<s>", 3}, {"</s>", 3}}, others[] = {{"<pad>", 3}, {"</s>", 3}, {"<unk>", 2}},
      pieces[] = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {"\xE2\x96\x81", 1}, {"\xE2\x96\x81" "a", 1}, {"b", 1}, {"c", 1}, {"2,", 1}};
    /* clang-format on */
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        const char *text = i >= COUNT_OF(usual) ? pieces[i].text : pegasus ? others[i].text : usual[i].text;
        char type = i >= COUNT_OF(usual) ? pieces[i].type : pegasus ? others[i].type : usual[i].type;
        size_t n = strlen(text);
        wf_str_putc(out, 0x0A);
        wf_str_putc(out, (char)(n + 9));
        wf_str_putc(out, 0x0A);
        wf_str_putc(out, (char)n);
        wf_str_put(out, text, n);
        wf_str_put(out, "\x15\x00\x00\x80\xBF\x18", 6); /* -1 */
        wf_str_putc(out, type);
    }
}

static const char vocab_json[] = "{\"c\":7,\"b\":0,\"<unk>\":1,\"</s>\":2,\"<pad>\":3,\"<s>\":4,\"\xE2\x96\x81"
                                 "a\":5,\">>fra<<\":6}";

static weft_status open_class(const wf_mem *m, const char *config, wf_tokenizer **out, weft_error *err) {
    wf_arena arena;
    wf_json *options = NULL;
    wf_str model = wf_str_new(mem);
    wf_arena_init(&arena, mem, 0);
    put_model(&model, strstr(config, "Pegasus"));
    assert_int_equal(wf_json_parse(&arena, config, strlen(config), 0, &options, NULL), WEFT_OK);
    wf_bytes files[] = {{wf_str_text(&model), model.length}, {vocab_json, sizeof vocab_json - 1}};
    const wf_json *ids = strstr(config, "Marian") || strstr(config, "M2M100") || strstr(config, "Speech2") ? options : NULL;
    weft_status status =
        wf_tokenizer_read_as(m, ids ? &wf_kind_sentencepiece_ids : &wf_kind_sentencepiece, files, options, out, err);
    wf_arena_free(&arena);
    wf_str_free(&model);
    return status;
}

static void put_ids(wf_str *out, const wf_tokenizer *tok, const char *text) {
    wf_ids ids = wf_ids_new(mem);
    assert_int_equal(wf_tokenizer_encode(tok, text, strlen(text), WF_ENCODE_SPECIALS, &ids, NULL), WEFT_OK);
    for (size_t i = 0; i < ids.count; i++)
        wf_str_printf(out, "%s%u", i ? " " : "", (unsigned)ids.data[i]);
    wf_ids_free(&ids);
}

/* What published folders of the classes have as ids, of a model of eight pieces. */
static const struct {
    const char *config, *text, *ids;
} cases[] = {
    {"{}", "acb", "4 6 5"},
    {"{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":true}", "a<s>c", "4 1 3 6"},
    {"{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":false}", "a<s>c", "4 1 6"}, /* no blank behind a special token */
    {"{\"tokenizer_class\":\"MarianTokenizer\"}", "acb", "5 7 0 2"},
    {"{\"tokenizer_class\":\"MarianTokenizer\"}", ">>fra<< a", "6 5 2"},
    {"{\"tokenizer_class\":\"M2M100Tokenizer\"}", "a", "26 5 2"}, /* 8 tokens, en is the 19th language */
    {"{\"tokenizer_class\":\"M2M100Tokenizer\",\"src_lang\":\"af\"}", "a __am__", "8 5 9 2"},
    {"{\"tokenizer_class\":\"M2M100Tokenizer\",\"language_codes\":\"wmt21\",\"src_lang\":\"de\"}", "a", "15 5 2"},
    {"{\"tokenizer_class\":\"Speech2TextTokenizer\"}", "ac", "5 7 2"},
    {"{\"tokenizer_class\":\"MBartTokenizer\"}", "ac", "5 7 2 12"},
    {"{\"tokenizer_class\":\"MBartTokenizerFast\",\"src_lang\":\"ar_AR\"}", "a <mask>", "5 34 2 9"},
    {"{\"tokenizer_class\":\"MBart50Tokenizer\"}", "a", "12 5 2"},
    {"{\"tokenizer_class\":\"NllbTokenizer\",\"src_lang\":\"ace_Latn\"}", "a", "10 5 2"},
    {"{\"tokenizer_class\":\"NllbTokenizer\",\"src_lang\":\"ace_Arab\",\"legacy_behaviour\":true}", "a", "5 2 9"},
    {"{\"tokenizer_class\":\"PLBartTokenizer\"}", "a", "5 2"},
    {"{\"tokenizer_class\":\"PLBartTokenizer\",\"src_lang\":\"python\"}", "a <mask>", "5 12 2 10"},
    {"{\"tokenizer_class\":\"PLBartTokenizer\",\"language_codes\":\"multi\"}", "a", "5 2 11"},
    {"{\"tokenizer_class\":\"PegasusTokenizer\"}", "a<unk_2>", "107 4 1"},
    {"{\"tokenizer_class\":\"PegasusTokenizer\",\"offset\":10}", "a<unk_9>", "14 11 1"},
    {"{\"tokenizer_class\":\"XLMRobertaTokenizer\"}", "a <mask>", "0 5 9 2"},
    {"{\"tokenizer_class\":\"XGLMTokenizer\"}", "a<madeupword1>", "2 5 10"},
    {"{\"tokenizer_class\":\"CamembertTokenizer\"}", "a", "5 8 6"},
    {"{\"tokenizer_class\":\"T5Tokenizer\"}", "a <extra_id_0> c", "4 107 3 6 2"},
    {"{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3}", "<extra_id_0>", "10 2"},
    {"{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3,\"legacy\":false}", "a<extra_id_0>c", "4 10 6 2"},
    {"{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3,\"legacy\":true}", "a<extra_id_0>c", "4 10 3 6 2"},
    {"{\"tokenizer_class\":\"AlbertTokenizer\"}", "A", "8 4 9"},
    {"{\"tokenizer_class\":\"XLNetTokenizer\"}", "\xC3\xA1", "4 8 10"},
    {"{\"tokenizer_class\":\"XLMRobertaTokenizer\",\"added_tokens_decoder\":{\"50\":{\"content\":\"cc\",\"lstrip\":true}}}",
     "a cc", "0 5 50 2"},
    {"{\"tokenizer_class\":\"XLMRobertaTokenizer\",\"additional_special_tokens\":[\"<x>\"]}", "<x>", "0 10 2"},
};

static void test_ids(void **state) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_tokenizer *tok;
        weft_error err = {0};
        wf_str got = wf_str_new(mem);
        if (open_class(mem, cases[i].config, &tok, &err) != WEFT_OK)
            fail_msg("%s: %s", cases[i].config, err.message);
        put_ids(&got, tok, cases[i].text);
        if (!wf_streq(wf_str_text(&got), cases[i].ids))
            fail_msg("%s: '%s' is %s, not %s", cases[i].config, cases[i].text, wf_str_text(&got), cases[i].ids);
        wf_str_free(&got);
        wf_tokenizer_free(tok);
    }
}

/* What a class does not follow is refused by name. */
static const struct {
    const char *config, *message;
} refused[] = {
    {"{\"tokenizer_class\":\"MBartTokenizer\",\"eos_token\":\"<end>\"}", "MBartTokenizer with another 'eos_token'"},
    {"{\"tokenizer_class\":\"MBartTokenizer\",\"src_lang\":\"xx\"}", "src_lang 'xx' is none of its languages"},
    {"{\"tokenizer_class\":\"M2M100Tokenizer\",\"language_codes\":\"other\"}", "language_codes 'other'"},
    {"{\"tokenizer_class\":\"Speech2TextTokenizer\",\"do_upper_case\":true}", "another 'do_upper_case'"},
    {"{\"tokenizer_class\":\"XLMRobertaTokenizer\",\"sp_model_kwargs\":{\"enable_sampling\":true}}", "enable_sampling"},
};

static void test_refused(void **state) {
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        wf_tokenizer *tok = NULL;
        weft_error err = {0};
        assert_int_equal(open_class(mem, refused[i].config, &tok, &err), WEFT_UNSUPPORTED);
        if (!strstr(err.message, refused[i].message))
            fail_msg("%s: %s", refused[i].config, err.message);
    }
}

/* Every file of a class is opened, and gives a text back. */
static void test_all(void **state) {
    for (const wf_embedded *e = wf_embedded_classes.list; e->name; e++) {
        char config[128];
        wf_tokenizer *tok;
        weft_error err = {0};
        wf_ids ids = wf_ids_new(mem);
        wf_str text = wf_str_new(mem);
        snprintf(config, sizeof config, "{\"tokenizer_class\":\"%s\"}", e->name);
        if (open_class(mem, config, &tok, &err) != WEFT_OK)
            fail_msg("%s: %s", e->name, err.message);
        assert_int_equal(wf_tokenizer_encode(tok, "acbb a", 6, WF_ENCODE_SPECIALS, &ids, NULL), WEFT_OK);
        assert_int_equal(wf_tokenizer_decode(tok, ids.data, ids.count, WF_DECODE_TEXT | WF_DECODE_SKIP_SPECIALS, &text, NULL),
                         WEFT_OK);
        assert_string_equal(wf_str_text(&text), "acbb a");
        wf_str_free(&text);
        wf_ids_free(&ids);
        wf_tokenizer_free(tok);
    }
}

static weft_status open_one(const wf_mem *m) {
    wf_tokenizer *tok;
    WF_TRY(open_class(m, "{\"tokenizer_class\":\"PLBartTokenizer\",\"src_lang\":\"java\"}", &tok, NULL));
    wf_tokenizer_free(tok);
    return WEFT_OK;
}

static void test_no_memory(void **state) {
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem failing = fail_mem_hook(&f);
        weft_status status = open_one(&failing);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
