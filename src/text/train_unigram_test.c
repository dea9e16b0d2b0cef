/* train_unigram_test.c - Unigram training where the order of pruning decides, against the reference (tokenizers 0.23.3), and
 * special tokens that are words of the texts too. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "support/test.h"
#include "text/tokenizer.h"

static const wf_mem *const mem = &wf_mem_default;

#define BAR "\xE2\x96\x81" /* what the start of a word is written as */

typedef struct scored {
    const char *text;
    double score;
} scored;
typedef struct training_case {
    const char *text, *options;
    scored want[8]; /* after <unk>, until text is NULL */
} training_case;
static const training_case cases[] = {
    {"adbb adbb adbb bbcccca bbcccca aaab cda", /* pruned once between two rounds */
     "{\"vocab_size\":8,\"n_sub_iterations\":1,\"special_tokens\":[\"<unk>\"],\"unk_token\":\"<unk>\"}",
     {{"c", -1.3191349320970445},
      {"a", -1.8301939503684432},
      {"bb", -2.1258412044673323},
      {"d", -2.2036587416699174},
      {BAR, -2.3261591798381143},
      {BAR "a", -2.388028999165547},
      {"b", -2.7915953880595206}}},
    {"aabaa aabaa aabaa aabaa aabaa aabaa aabaa aabaa aabaa abcaa abcaa abcaa abcaa abcaa abcaa abcaa c c c c c c "
     "abaac abaac abaac abaac abaac abaac", /* pruned on the scores of the seeds: one of two pieces that cost the most */
     "{\"vocab_size\":6,\"n_sub_iterations\":0,\"shrinking_factor\":0.01,\"special_tokens\":[\"<unk>\"],\"unk_token\":\"<unk>"
     "\"}",
     {{"a", -0.8974476440726757},
      {BAR, -1.882731247433782},
      {"b", -2.12389330425067},
      {"c", -2.2704967784425456},
      {"abaa", -3.13549421592915}}},
    {"ab abc abc cab ab", /* characters are more than seed_size: one repeated text is taken all the same */
     "{\"vocab_size\":7,\"n_sub_iterations\":0,\"seed_size\":1,\"special_tokens\":[\"<unk>\"],\"unk_token\":\"<unk>\"}",
     {{BAR "ab", -1.3862943611198908},
      {"b", -1.5686159179138455},
      {"a", -1.5686159179138455},
      {BAR, -1.5686159179138455},
      {"c", -2.079441541679836}}},
};

static wf_tokenizer *train(const char *kind, const char *words, const char *given, wf_arena *arena) {
    wf_tokenizer *start, *tok = NULL;
    wf_json *options;
    weft_error err = {0};
    wf_bytes text = {words, strlen(words)};
    assert_int_equal(wf_tokenizer_blank(mem, kind, &start, &err), WEFT_OK);
    assert_int_equal(wf_json_parse(arena, given, strlen(given), 0, &options, &err), WEFT_OK);
    wf_training how = {.start = start, .options = options};
    if (wf_tokenizer_train_on(mem, &how, &text, 1, &tok, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    wf_tokenizer_free(start);
    return tok;
}

/* Pieces with equal scores stand in any order. */
static void check_piece(const training_case *c, const wf_json *pair) {
    const wf_json *text = pair->child, *score = text->next;
    for (const scored *s = c->want; s < c->want + COUNT_OF(c->want) && s->text; s++)
        if (wf_json_is_string(text, s->text)) {
            if (fabs(score->number - s->score) > 1e-9)
                fail_msg("the score of %s is %.12g instead of %.12g", s->text, score->number, s->score);
            return;
        }
    fail_msg("\"%s\" is not a piece of the reference for %s", text->string, c->text);
}

static void test_pruning(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_arena arena;
        wf_json *tree;
        const char *json;
        size_t length, want = 1;
        wf_arena_init(&arena, mem, 0);
        wf_tokenizer *tok = train("unigram", cases[i].text, cases[i].options, &arena);
        wf_tokenizer_json(tok, &json, &length);
        assert_int_equal(wf_json_parse(&arena, json, length, 0, &tree, NULL), WEFT_OK);
        const wf_json *vocab = wf_json_get(wf_json_get(tree, "model"), "vocab");
        for (const wf_json *pair = vocab->child->next; pair; pair = pair->next)
            check_piece(&cases[i], pair);
        while (want <= COUNT_OF(cases[i].want) && cases[i].want[want - 1].text)
            want++;
        assert_int_equal(vocab->count, want);
        wf_tokenizer_free(tok);
        wf_arena_free(&arena);
    }
}

/* A word of the texts that is a special token has one id, which the list of added tokens says too. */
typedef struct special_case {
    const char *kind, *text, *options, *special;
    int64_t id;
    size_t vocab;
} special_case;
static const special_case specials[] = {
    /* as the reference: the word's own place counts, the special one's stays empty */
    {"wordlevel", "of the the of the", "{\"special_tokens\":[\"[UNK]\",\"of\"]}", "of", 3, 3},
    {"wordlevel", "of the the of the", "{\"special_tokens\":[\"[UNK]\",\"of\"],\"vocab_size\":3}", "of", 1, 3},
    {"unigram", "ab ab ab abc", "{\"special_tokens\":[\"<s>\",\"ab\"],\"unk_token\":\"<unk>\",\"vocab_size\":40}", "ab", 2, 0},
    /* the characters leave no room, and all pieces are taken */
    {"unigram", "low lower lowest newer newest wider widest new low lower",
     "{\"special_tokens\":[\"<unk>\"],\"unk_token\":\"<unk>\",\"vocab_size\":12}", "<unk>", 0, 17},
    {"unigram", "low lower lowest newer newest wider widest new low lower",
     "{\"special_tokens\":[\"<unk>\"],\"unk_token\":\"<unk>\",\"vocab_size\":13}", "<unk>", 0, 13},
    {"bpe-char", "ab ab ab", "{\"special_tokens\":[\"<s>\",\"<s>\",\"a\"],\"vocab_size\":40}", "a", 1, 0},
};

static void test_specials(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(specials); i++) {
        const special_case *c = &specials[i];
        wf_arena arena;
        wf_json *tree;
        const char *json;
        size_t length;
        wf_arena_init(&arena, mem, 0);
        wf_tokenizer *tok = train(c->kind, c->text, c->options, &arena);
        assert_int_equal(wf_tokenizer_id(tok, c->special, strlen(c->special)), c->id);
        wf_tokenizer_json(tok, &json, &length);
        assert_int_equal(wf_json_parse(&arena, json, length, 0, &tree, NULL), WEFT_OK);
        const wf_json *added = wf_json_get(tree, "added_tokens");
        assert_int_equal(wf_json_get(added->last, "id")->integer, c->id);
        if (c->vocab)
            assert_int_equal(wf_json_get(wf_json_get(tree, "model"), "vocab")->count, c->vocab);
        wf_tokenizer_free(tok);
        wf_arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pruning), cmocka_unit_test(test_specials)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
