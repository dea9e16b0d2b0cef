#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "support/fail_mem.h"
#include "support/test.h"

#define FOLDER WEFT_SOURCE_DIR "/tests/data/tokenizers/"
static const wf_mem *const mem = &wf_mem_default;

static wf_tokenizer *open_tokenizer(const char *path) {
    wf_tokenizer *tok = NULL;
    weft_error err = {0};
    if (wf_tokenizer_open(mem, path, &tok, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return tok;
}

static void random_bytes(char *out, size_t n, uint64_t seed) {
    wf_rng rng = wf_rng_make(seed, 1, 0);
    for (size_t i = 0; i < n; i++) /* mostly text, so that words and cut characters appear */
        out[i] = (char)(wf_rng_below(rng, 2 * i, 4) ? "the ing\xC3\xA9\xE6\x97\xA5 12.\n"[wf_rng_below(rng, 2 * i + 1, 17)]
                                                    : (char)wf_rng_u32(rng, 2 * i + 1));
}

/* decode(encode(x)) = x, and the stream gives the same bytes without ever cutting a character. */
static void check_round_trip(const wf_tokenizer *tok, const char *text, size_t n) {
    wf_ids ids = wf_ids_new(mem);
    wf_str whole = wf_str_new(mem), streamed = wf_str_new(mem);
    wf_text_stream stream = wf_text_stream_new(tok, 0);
    assert_int_equal(wf_tokenizer_encode(tok, text, n, 0, &ids, NULL), WEFT_OK);
    assert_int_equal(wf_tokenizer_decode(tok, ids.data, ids.count, 0, &whole, NULL), WEFT_OK);
    for (size_t i = 0; i < ids.count; i++)
        assert_int_equal(wf_text_stream_put(&stream, ids.data[i], &streamed, NULL), WEFT_OK);
    assert_int_equal(wf_text_stream_end(&stream, &streamed, NULL), WEFT_OK);
    assert_int_equal(whole.length, n);
    assert_int_equal(streamed.length, n);
    if (n) {
        assert_memory_equal(whole.data, text, n);
        assert_memory_equal(streamed.data, text, n);
    }
    wf_ids_free(&ids);
    wf_str_free(&whole);
    wf_str_free(&streamed);
}

static void test_round_trips(void **state) {
    static const char *const exact[] = {"gpt2-like", "falcon-like", "llama3-like"}; /* no normalizer, nothing removed */
    char text[4000];
    for (size_t k = 0; k < COUNT_OF(exact); k++) {
        char path[512];
        snprintf(path, sizeof path, FOLDER "%s.json", exact[k]);
        wf_tokenizer *tok = open_tokenizer(path);
        for (size_t n = 0; n < sizeof text; n = n * 2 + 1) {
            random_bytes(text, n, n + k);
            check_round_trip(tok, text, n);
        }
        wf_tokenizer_free(tok);
    }
}

static void test_bytes(void **state) {
    static const char *const specials[] = {"<|endoftext|>", "<pad>"};
    wf_tokenizer *tok;
    assert_int_equal(wf_tokenizer_bytes(mem, specials, 2, &tok, NULL), WEFT_OK);
    assert_int_equal(wf_tokenizer_vocab(tok), 258);
    assert_int_equal(wf_tokenizer_id(tok, "<pad>", 5), 257);
    assert_true(wf_tokenizer_is_special(tok, 256) && !wf_tokenizer_is_special(tok, 255) && !wf_tokenizer_is_special(tok, 9999));
    char all[256];
    for (int b = 0; b < 256; b++)
        all[b] = (char)b;
    wf_ids ids = wf_ids_new(mem);
    assert_int_equal(wf_tokenizer_encode(tok, all, sizeof all, 0, &ids, NULL), WEFT_OK);
    assert_int_equal(ids.count, 256);
    for (uint32_t b = 0; b < 256; b++) {
        assert_int_equal(ids.data[b], b); /* the id of a byte is its value */
        wf_str byte = wf_str_new(mem);
        wf_tokenizer_put_token(tok, b, &byte);
        assert_int_equal(byte.length, 1);
        wf_str_free(&byte);
    }
    ids.count = 0;
    static const char text[] = "a<|endoftext|>b";
    assert_int_equal(wf_tokenizer_encode(tok, text, strlen(text), 0, &ids, NULL), WEFT_OK);
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.data[1], 256);
    wf_str out = wf_str_new(mem);
    assert_int_equal(wf_tokenizer_decode(tok, ids.data, ids.count, WF_DECODE_SKIP_SPECIALS, &out, NULL), WEFT_OK);
    assert_string_equal(wf_str_text(&out), "ab");
    wf_str_clear(&out);
    assert_int_equal(wf_tokenizer_decode(tok, (const uint32_t[]){'x', 5000, 256}, 3, 0, &out, NULL),
                     WEFT_OK); /* ids that name nothing are skipped */
    assert_string_equal(wf_str_text(&out), "x<|endoftext|>");
    ids.count = 0;
    assert_int_equal(wf_tokenizer_encode(tok, text, strlen(text), WF_ENCODE_PLAIN, &ids, NULL), WEFT_OK);
    assert_int_equal(ids.count, strlen(text));
    wf_str_free(&out);
    wf_ids_free(&ids);
    wf_tokenizer_free(tok);
}

/* Characters come out when their last byte is in; what can never become one comes out at once. */
static void test_stream(void **state) {
    static const struct {
        const char *in, *out[8];
    } cases[] = {
        {"a\xC3\xA9", {"a", "", "\xC3\xA9"}},
        {"\xF0\x9F\x99\x82!", {"", "", "", "\xF0\x9F\x99\x82", "!"}},
        {"\xE6x", {"", "\xE6x"}},
        {"\xE6\x97\xC3\xA9", {"", "", "\xE6\x97", "\xC3\xA9"}},
        {"\x80\xFF", {"\x80", "\xFF"}},
        {"\xE0\x80", {"", "\xE0\x80"}},
        {"\xED\xA0\x80", {"", "\xED\xA0", "\x80"}},
    };
    wf_tokenizer *tok;
    assert_int_equal(wf_tokenizer_bytes(mem, NULL, 0, &tok, NULL), WEFT_OK);
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        wf_text_stream s = wf_text_stream_new(tok, 0);
        for (size_t i = 0; cases[c].in[i]; i++) {
            wf_str out = wf_str_new(mem);
            assert_int_equal(wf_text_stream_put(&s, (uint8_t)cases[c].in[i], &out, NULL), WEFT_OK);
            assert_string_equal(wf_str_text(&out), cases[c].out[i]);
            wf_str_free(&out);
        }
    }
    wf_text_stream s = wf_text_stream_new(tok, 0);
    wf_str out = wf_str_new(mem);
    assert_int_equal(wf_text_stream_put(&s, 0xF0, &out, NULL), WEFT_OK);
    assert_int_equal(wf_text_stream_put(&s, 0x9F, &out, NULL), WEFT_OK);
    assert_int_equal(out.length, 0);
    assert_int_equal(wf_text_stream_end(&s, &out, NULL), WEFT_OK); /* what is held comes out as it is */
    assert_string_equal(wf_str_text(&out), "\xF0\x9F");
    wf_str_free(&out);
    wf_tokenizer_free(tok);
}

static void test_save(void **state) {
    char folder[] = "/tmp/weft_tokenizer_XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    static const char text[] = "low lower lowest low lower low, new newer newest";
    wf_bpe_training how = {.vocab_size = 270};
    wf_tokenizer *tok, *again;
    weft_error err = {0};
    assert_int_equal(wf_tokenizer_train(mem, &how, text, strlen(text), &tok, &err), WEFT_OK);
    assert_int_equal(wf_tokenizer_save(tok, path, &err), WEFT_OK);
    again = open_tokenizer(folder); /* the folder stands for its tokenizer.json */
    assert_true(wf_tokenizer_digest(tok) == wf_tokenizer_digest(again));
    assert_int_equal(wf_tokenizer_vocab(again), wf_tokenizer_vocab(tok));
    assert_in_range(wf_tokenizer_vocab(again), 260, 270); /* it ends early when no pair is seen twice any more */
    check_round_trip(again, text, strlen(text));
    wf_tokenizer_free(again);
    wf_tokenizer_free(tok);
    assert_int_equal(wf_tokenizer_open(mem, "/nonexistent/x.json", &tok, &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, "/nonexistent/x.json"));
    unlink(path);
    rmdir(folder);
}

/* The numbers of words do not depend on which words the encoder has met before. */
/* Scores are a last place off the nearest double, as in the reference: here "a" and "b" together cost what "ab" costs, and the
 * piece that was found first stays. With the nearest doubles they would cost less. */
static void test_scores_of_the_reference(void **state) {
    static const char json[] = "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0],[\"a\",-2.0122928619384766],"
                               "[\"b\",0],[\"ab\",-2.012292861938477]]}}";
    wf_tokenizer *tok;
    wf_ids ids = wf_ids_new(mem);
    assert_int_equal(wf_tokenizer_parse(mem, json, strlen(json), &tok, NULL), WEFT_OK);
    assert_int_equal(wf_tokenizer_encode(tok, "ab", 2, 0, &ids, NULL), WEFT_OK);
    assert_int_equal(ids.count, 1);
    assert_int_equal(ids.data[0], 3);
    wf_ids_free(&ids);
    wf_tokenizer_free(tok);
}

static void test_word_numbers(void **state) {
    static const char text[] = "one two one three two one";
    wf_tokenizer *tok = open_tokenizer(FOLDER "gpt2-like.json");
    wf_encoder *e;
    wf_encoding g[2] = {wf_encoding_new(mem), wf_encoding_new(mem)};
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wf_encode_text(e, &(wf_text_input){.text = {text, strlen(text)}}, NULL, 0, &g[i], NULL), WEFT_OK);
    assert_true(g[0].count > 0 && g[0].count == g[1].count);
    assert_int_equal(g[0].words[0], 0);
    assert_int_equal(g[0].words[g[0].count - 1], 5);
    for (size_t i = 0; i < g[0].count; i++)
        assert_int_equal(g[0].words[i], g[1].words[i]);
    wf_encoding_free(&g[0]);
    wf_encoding_free(&g[1]);
    wf_encoder_free(e);
    wf_tokenizer_free(tok);
}

static wf_tokenizer *parse_tokenizer(const char *json) {
    wf_tokenizer *tok = NULL;
    weft_error err = {0};
    if (wf_tokenizer_parse(mem, json, strlen(json), &tok, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return tok;
}

/* One endless word, endless space, endless marks, an endless line of words: nothing is quadratic (a quadratic one would take
 * minutes). */
static void test_long_words(void **state) {
    enum { N = 1000000 };
    static const char *const pieces[] = {"a", "kalo", " ", "\xCC\x96\xCC\x81", "<", "\xFF", "1", "kalo a ", "a, 1"};
    static const char wordpiece[] = "{\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\","
                                    "\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\","
                                    "\"max_input_chars_per_word\":1000000000,\"vocab\":{\"u\":0,\"a\":1,\"##a\":2,\"kal\":3,"
                                    "\"##ok\":4,\"##al\":5,\"##aaaaaaaa\":6}}}",
                      unigram[] = "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1],[\"kal\",-2],"
                                  "[\"ok\",-2],[\" \",-3],[\"aaaaaaaa\",-4],[\"1\",-1]]}}",
                      scored[] = "{\"model\":{\"type\":\"ScoredBPE\",\"unk_id\":0,\"kinds\":\"unnnnn\",\"vocab\":[[\"u\",0],"
                                 "[\"a\",-9],[\"aa\",-1],[\"aaaa\",-2],[\"ka\",-3],[\"lo\",-4]]}}";
    char *text = malloc(N);
    wf_tokenizer *toks[] = {open_tokenizer(FOLDER "gpt2-like.json"),
                            open_tokenizer(FOLDER "neox-like.json"),
                            open_tokenizer(FOLDER "falcon-like.json"),
                            open_tokenizer(FOLDER "llama3-like.json"),
                            parse_tokenizer(wordpiece),
                            parse_tokenizer(unigram),
                            parse_tokenizer(scored)};
    for (size_t p = 0; p < COUNT_OF(pieces); p++) {
        size_t m = strlen(pieces[p]);
        for (size_t i = 0; i < N; i++)
            text[i] = pieces[p][i % m];
        for (size_t t = 0; t < COUNT_OF(toks); t++) {
            wf_ids ids = wf_ids_new(mem);
            assert_int_equal(wf_tokenizer_encode(toks[t], text, N, 0, &ids, NULL), WEFT_OK);
            assert_true(ids.count <= N);
            wf_ids_free(&ids);
        }
    }
    for (size_t t = 0; t < COUNT_OF(toks); t++)
        wf_tokenizer_free(toks[t]);
    free(text);
}

/* ---- files that are refused ---- */

#define BYTE_LEVEL "{\"type\":\"ByteLevel\"}"
#define TAIL ",\"pre_tokenizer\":" BYTE_LEVEL ",\"decoder\":" BYTE_LEVEL "}"
#define MODEL(rest) "\"model\":{\"type\":\"BPE\"," rest "}"
#define GOOD MODEL("\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]")
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}"

static const struct {
    const char *json;
    weft_status status;
    const char *message;
} malformed[] = {
    {"", WEFT_BAD_INPUT, "line 1, column 1"},
    {"[]", WEFT_BAD_INPUT, "must hold an object"},
    {"{\"version\":\"1.0\"", WEFT_BAD_INPUT, "line 1, column 17"},
    {"{" GOOD TAIL "x", WEFT_BAD_INPUT, "unexpected text"},
    {"{\"version\":\"2.0\"," GOOD TAIL, WEFT_BAD_INPUT, "version: only version \"1.0\""},
    {"{\"version\":\"1.0\"}", WEFT_BAD_INPUT, "no 'model'"},
    {"{\"model\":null" TAIL, WEFT_BAD_INPUT, "must be an object"},
    {"{" GOOD "," GOOD TAIL, WEFT_BAD_INPUT, "a second model"},
    {"{\"stuff\":1," GOOD TAIL, WEFT_UNSUPPORTED, "unknown member \"stuff\""},
    {"{\"padding\":{}," GOOD TAIL, WEFT_BAD_INPUT, "padding: strategy must be"},
    {"{\"padding\":{\"strategy\":\"Longer\"}," GOOD TAIL, WEFT_BAD_INPUT, "padding: strategy must be"},
    {"{\"padding\":{\"strategy\":\"BatchLongest\",\"pad_id\":0,\"pad_type_id\":-1}," GOOD TAIL, WEFT_BAD_INPUT,
     "an id must be"},
    {"{\"truncation\":{}," GOOD TAIL, WEFT_BAD_INPUT, "truncation: truncation must be"},
    {"{\"truncation\":{\"max_length\":5,\"strategy\":\"Sideways\"}," GOOD TAIL, WEFT_BAD_INPUT,
     "strategy cannot be \"Sideways\""},
    {"{\"truncation\":null,\"truncation\":null," GOOD TAIL, WEFT_BAD_INPUT, "a second \"truncation\""},
    /* the model */
    {"{\"model\":{\"type\":\"Trigram\",\"vocab\":[[\"a\",0]]}" TAIL, WEFT_UNSUPPORTED, "the model \"Trigram\""},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"0\"]]}" TAIL, WEFT_BAD_INPUT, "a text and its score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0,1]]}" TAIL, WEFT_BAD_INPUT, "a text and its score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[\"a\"]}" TAIL, WEFT_BAD_INPUT, "a text and its score"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"a\",0]]}" TAIL, WEFT_UNSUPPORTED, "\"a\" twice"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}" TAIL, WEFT_BAD_INPUT, "unk_id is outside"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}" TAIL, WEFT_BAD_INPUT, "must be a list of pieces"},
    {"{\"model\":{\"type\":\"ScoredBPE\",\"vocab\":[[\"a\",0]],\"kinds\":\"nn\"}" TAIL, WEFT_BAD_INPUT, "kinds needs"},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\"}" TAIL, WEFT_BAD_INPUT, "needs vocab"},
    {"{\"model\":{\"type\":\"Greedy\",\"vocab\":{\" \":0}}" TAIL, WEFT_BAD_INPUT, "not spelled in the letters"},
    {"{\"model\":{\"type\":5," VOCAB ",\"merges\":[]}" TAIL, WEFT_BAD_INPUT, "type must be a text"},
    {"{\"model\":{\"merges\":[]}" TAIL, WEFT_BAD_INPUT, "names no type"},
    {"{" MODEL("\"merges\":[]") TAIL, WEFT_BAD_INPUT, "needs 'vocab' and 'merges'"},
    {"{" MODEL("\"vocab\":[],\"merges\":[]") TAIL, WEFT_BAD_INPUT, "needs 'vocab' and 'merges'"},
    {"{" MODEL("\"vocab\":{\"a\":\"1\"},\"merges\":[]") TAIL, WEFT_BAD_INPUT, "whole number"},
    {"{" MODEL("\"vocab\":{\"a\":-1},\"merges\":[]") TAIL, WEFT_BAD_INPUT, "whole number"},
    {"{" MODEL("\"vocab\":{\"a\":1.5},\"merges\":[]") TAIL, WEFT_BAD_INPUT, "whole number"},
    {"{" MODEL("\"vocab\":{\"a\":4294967296},\"merges\":[]") TAIL, WEFT_BAD_INPUT, "whole number"},
    {"{" MODEL("\"vocab\":{\"a\":4000000000},\"merges\":[]") TAIL, WEFT_UNSUPPORTED, "far beyond"},
    {"{" MODEL("\"vocab\":{\"a\":1,\"b\":1},\"merges\":[]") TAIL, WEFT_BAD_INPUT, "two tokens have the id 1"},
    {"{" MODEL("\"vocab\":{\"a\":1,\"a\":2},\"merges\":[]") TAIL, WEFT_BAD_INPUT, "\"a\" twice"},
    {"{" MODEL(VOCAB "," VOCAB ",\"merges\":[]") TAIL, WEFT_BAD_INPUT, "a second \"vocab\""},
    {"{" MODEL(VOCAB ",\"merges\":[\"a z\"]") TAIL, WEFT_BAD_INPUT, "\"z\", which is not in the vocabulary"},
    {"{" MODEL(VOCAB ",\"merges\":[\"b a\"]") TAIL, WEFT_BAD_INPUT, "\"ba\", which is not in the vocabulary"},
    {"{" MODEL(VOCAB ",\"merges\":[\"a b c\"]") TAIL, WEFT_BAD_INPUT, "one space"},
    {"{" MODEL(VOCAB ",\"merges\":[\"ab\"]") TAIL, WEFT_BAD_INPUT, "one space"},
    {"{" MODEL(VOCAB ",\"merges\":[\" b\"]") TAIL, WEFT_BAD_INPUT, "two parts"},
    {"{" MODEL(VOCAB ",\"merges\":[[\"a\",\"b\",\"c\"]]") TAIL, WEFT_BAD_INPUT, "two texts"},
    {"{" MODEL(VOCAB ",\"merges\":[[\"a\"]]") TAIL, WEFT_BAD_INPUT, "two texts"},
    {"{" MODEL(VOCAB ",\"merges\":[7]") TAIL, WEFT_BAD_INPUT, "a text or two texts"},
    {"{" MODEL(VOCAB ",\"merges\":[\"a b\",[\"a\",\"b\"]]") TAIL, WEFT_BAD_INPUT, "all texts or all pairs"},
    {"{" MODEL(VOCAB ",\"merges\":[],\"dropout\":2") TAIL, WEFT_BAD_INPUT, "dropout"},
    {"{" MODEL(VOCAB ",\"merges\":[],\"dropout\":0.1") TAIL, WEFT_UNSUPPORTED, "dropout"},
    {"{" MODEL(VOCAB ",\"merges\":[],\"byte_fallback\":\"yes\"") TAIL, WEFT_BAD_INPUT, "true or false"},
    {"{" MODEL(VOCAB ",\"merges\":[\"a b\"],\"continuing_subword_prefix\":\"##\"") TAIL, WEFT_BAD_INPUT, "shorter than"},
    {"{" MODEL(VOCAB ",\"merges\":[],\"speed\":9") TAIL, WEFT_UNSUPPORTED, "unknown option \"speed\""},
    {"{" MODEL(VOCAB ",\"merges\":[],\"fuse_unk\":true,\"fuse_unk\":true") TAIL, WEFT_BAD_INPUT, "a second \"fuse_unk\""},
    /* the components */
    {"{\"normalizer\":{\"type\":\"Uppercase\"}," GOOD TAIL, WEFT_UNSUPPORTED, "the normalizer \"Uppercase\""},
    {"{\"normalizer\":{\"type\":\"Precompiled\"}," GOOD TAIL, WEFT_BAD_INPUT, "needs a precompiled_charsmap"},
    {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!!\"}," GOOD TAIL, WEFT_BAD_INPUT, "not base64"},
    {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"//8=\"}," GOOD TAIL, WEFT_BAD_INPUT,
     "map of 2 bytes"},
    {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////wAAAAA=\"}," GOOD TAIL, WEFT_BAD_INPUT,
     "its trie has"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"}," GOOD TAIL, WEFT_BAD_INPUT, "a pattern must be"},
    {"{\"normalizer\":{\"type\":\"Prepend\"}," GOOD TAIL, WEFT_BAD_INPUT, "prepend is missing"},
    {"{\"normalizer\":{}," GOOD TAIL, WEFT_BAD_INPUT, "an object with a type"},
    {"{\"normalizer\":\"NFC\"," GOOD TAIL, WEFT_BAD_INPUT, "an object with a type"},
    {"{\"normalizer\":{\"type\":\"Sequence\"}," GOOD TAIL, WEFT_BAD_INPUT, "needs a list \"normalizers\""},
    {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[5]}," GOOD TAIL, WEFT_BAD_INPUT, "an object with a type"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Outerspace\"}}", WEFT_UNSUPPORTED, "the pre-tokenizer \"Outerspace\""},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}}", WEFT_BAD_INPUT, "must have 1 character"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_scheme\":\"maybe\"}}", WEFT_BAD_INPUT,
     "prepend_scheme cannot be \"maybe\""},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"a\",\"prepend_scheme\":\"first\",\"add_prefix_"
     "space\":false}}",
     WEFT_BAD_INPUT, "does not match"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":0}}", WEFT_BAD_INPUT, "must not be 0"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"--\"}}", WEFT_BAD_INPUT,
     "must have 1 character"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":1},\"decoder\":" BYTE_LEVEL "}", WEFT_BAD_INPUT,
     "use_regex must be true or false"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Sometimes\"},\"decoder\":" BYTE_LEVEL "}", WEFT_BAD_INPUT,
     "behavior cannot be \"Sometimes\""},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Removed\"},\"decoder\":" BYTE_LEVEL "}", WEFT_BAD_INPUT,
     "a pattern must be"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"}},\"decoder\":" BYTE_LEVEL "}",
     WEFT_BAD_INPUT, "the regular expression is wrong"},
    {"{" GOOD ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?R)\"}},\"decoder\":" BYTE_LEVEL "}",
     WEFT_UNSUPPORTED, "a group that"},
    {"{" GOOD ",\"decoder\":{\"type\":\"Zz\"}}", WEFT_UNSUPPORTED, "the decoder \"Zz\""},
    {"{" GOOD ",\"decoder\":{\"type\":\"CTC\"}}", WEFT_BAD_INPUT, "pad_token is missing"},
    {"{" GOOD ",\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":-1,\"stop\":0}}", WEFT_BAD_INPUT, "not below 0"},
    {"{\"added_tokens\":{}," GOOD TAIL, WEFT_BAD_INPUT, "added_tokens: it must be a list"},
    {"{\"added_tokens\":[{\"id\":0}]," GOOD TAIL, WEFT_BAD_INPUT, "without content"},
    {"{\"added_tokens\":[{\"id\":\"0\",\"content\":\"x\"}]," GOOD TAIL, WEFT_BAD_INPUT, "an id must be"},
    {"{\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"lstrip\":0}]," GOOD TAIL, WEFT_BAD_INPUT, "lstrip must be"},
    {"{\"post_processor\":{\"type\":\"Bert\"}," GOOD TAIL, WEFT_UNSUPPORTED, "the post-processor \"Bert\""},
    {"{\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"a\",0]}," GOOD TAIL, WEFT_BAD_INPUT, "cls must be"},
    {"{\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"a\",0],\"cls\":[\"b\",77]}," GOOD TAIL, WEFT_BAD_INPUT,
     "id 77 is outside"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"C\"}}]}," GOOD TAIL,
     WEFT_BAD_INPUT, "an id must be"},
};

static void test_malformed(void **state) {
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        wf_tokenizer *tok = NULL;
        weft_error err = {0};
        weft_status status = wf_tokenizer_parse(mem, malformed[i].json, strlen(malformed[i].json), &tok, &err);
        if (status != malformed[i].status || !strstr(err.message, malformed[i].message))
            fail_msg("%s\n  gave %d \"%s\", not %d \"%s\"", malformed[i].json, status, err.message, malformed[i].status,
                     malformed[i].message);
        assert_int_equal(wf_tokenizer_parse(mem, malformed[i].json, strlen(malformed[i].json), &tok, NULL), status);
    }
}

/* What the reference takes, oddities included. */
static void test_accepted(void **state) {
    static const char *const good[] = {
        "{" GOOD TAIL,
        "{" MODEL("\"merges\":[[\"a\",\"b\"],[\"a\",\"b\"]]," VOCAB) TAIL,    /* merges first, twice, as pairs */
        "{\"model\":{" VOCAB ",\"merges\":[\"#version: 0.2\",\"a b\"]}" TAIL, /* no type */
        "{\"added_tokens\":[{\"id\":9,\"content\":\"x\"},{\"id\":9,\"content\":\"\"},{\"id\":7,\"content\":\"x\"}]," GOOD TAIL,
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        wf_tokenizer *tok = NULL;
        weft_error err = {0};
        if (wf_tokenizer_parse(mem, good[i], strlen(good[i]), &tok, &err) != WEFT_OK)
            fail_msg("%s: %s", good[i], err.message);
        wf_ids ids = wf_ids_new(mem);
        assert_int_equal(wf_tokenizer_encode(tok, "abaqx", 5, 0, &ids, NULL), WEFT_OK);
        assert_int_equal(ids.data[0], 2);
        assert_int_equal(ids.data[1], 0);
        assert_int_equal(ids.count, i == 3 ? 3 : 2); /* q has no token and there is no unknown token: it vanishes */
        if (i == 3)
            assert_int_equal(ids.data[2], 3); /* numbered after the vocabulary, whatever the file says */
        wf_ids_free(&ids);
        wf_tokenizer_free(tok);
    }
}

/* What the reference does where nobody would look for it. */
static void test_decoded_texts(void **state) {
#define WORDS                                                                                                                  \
    "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"ab\":0,\"b\":1,\"[X]\":2},\"unk_token\":\"ab\"},\"added_tokens\":[{"      \
    "\"id\":2,"                                                                                                                \
    "\"content\":\"[X]\",\"special\":true,\"normalized\":true}],"
    static const struct {
        const char *json, *text;
    } cases[] = {
        {WORDS "\"normalizer\":null}", "ab b"},
        {WORDS "\"normalizer\":{\"type\":\"Lowercase\"}}", "ab [x] b"}, /* shown normalized, it is none of the special ones */
        {WORDS "\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"\"}}", " a b b"},
    };
    static const uint32_t ids[] = {0, 2, 1};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_tokenizer *tok;
        wf_str text = wf_str_new(mem);
        assert_int_equal(wf_tokenizer_parse(mem, cases[i].json, strlen(cases[i].json), &tok, NULL), WEFT_OK);
        assert_int_equal(wf_tokenizer_decode(tok, ids, 3, WF_DECODE_SKIP_SPECIALS | WF_DECODE_TEXT, &text, NULL), WEFT_OK);
        assert_string_equal(wf_str_text(&text), cases[i].text);
        wf_str_free(&text);
        wf_tokenizer_free(tok);
    }
}

static void test_usage(void **state) {
    static const char *const twice[] = {"<s>", "<s>"}, *const empty[] = {""}, *const letter[] = {"a"},
                             *const invalid[] = {"\xFF"};
    wf_tokenizer *tok;
    wf_bpe_training small = {.vocab_size = 255};
    assert_int_equal(wf_tokenizer_bytes(mem, twice, 2, &tok, NULL), WEFT_USAGE);
    assert_int_equal(wf_tokenizer_bytes(mem, empty, 1, &tok, NULL), WEFT_USAGE);
    assert_int_equal(wf_tokenizer_bytes(mem, letter, 1, &tok, NULL), WEFT_USAGE);
    assert_int_equal(wf_tokenizer_bytes(mem, invalid, 1, &tok, NULL), WEFT_USAGE);
    assert_int_equal(wf_tokenizer_train(mem, &small, "abc", 3, &tok, NULL), WEFT_USAGE);
    atomic_int stop = 130;
    wf_env env = {.mem = wf_mem_default, .stop = &stop};
    wf_bpe_training stopped = {.vocab_size = 300, .env = &env};
    assert_int_equal(wf_tokenizer_train(mem, &stopped, "abab abab abab", 14, &tok, NULL), WEFT_INTERRUPTED);
}

/* ---- memory ---- */

static weft_status use(const wf_mem *m, const char *path, const char *text) {
    wf_tokenizer *tok;
    wf_ids ids = wf_ids_new(m);
    WF_TRY(wf_tokenizer_open(m, path, &tok, NULL));
    weft_status status = wf_tokenizer_encode(tok, text, strlen(text), WF_ENCODE_SPECIALS, &ids, NULL);
    wf_ids_free(&ids);
    wf_tokenizer_free(tok);
    return status;
}

static void test_no_memory(void **state) {
    static const char *const names[] = {"neox-like", "falcon-like", "llama3-like", "roberta-like"};
    static const char text[] =
        "A piece of cafe\xCC\x81s, 1234 words <mask> and aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xE6\x97\xA5";
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[512];
        snprintf(path, sizeof path, FOLDER "%s.json", names[i]);
        fail_mem f = {0};
        while (fail_mem_next(&f)) {
            wf_mem m = fail_mem_hook(&f);
            weft_status status = use(&m, path, text);
            assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
            assert_int_equal(f.live, 0);
        }
    }
}

static void test_training_without_memory(void **state) {
    static const char text[] = "low lower lowest newer newest wider widest new low lower";
    wf_bpe_training how = {.vocab_size = 280};
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem m = fail_mem_hook(&f);
        wf_tokenizer *tok;
        weft_status status = wf_tokenizer_train(&m, &how, text, strlen(text), &tok, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        if (status == WEFT_OK)
            wf_tokenizer_free(tok);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_save),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_word_numbers),
        cmocka_unit_test(test_decoded_texts),
        cmocka_unit_test(test_scores_of_the_reference),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_training_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
