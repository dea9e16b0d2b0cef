/* published_tokenizers_test.c - published tokenizers and what their own engines make of texts: cases of transformers.js and the
 * 47 strings of llama.cpp, in ../data/tokenizers beside the folder WEFT_FIXTURES. Cases that differ are named here, with the
 * reason. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/reader.h"
#include "support/test.h"
#include "text/engine.h"
#include "text/file_kinds.h"

static const wf_mem *const mem = &wf_mem_default;

typedef struct published {
    const char *name;     /* in the cases */
    const char *kind;     /* NULL: told by the file */
    const char *files[2]; /* in the folder */
    unsigned flags;
    const char *differs; /* a text whose ids may differ; NULL: none */
} published;

/* gpt-4 and gpt-4o are given as tiktoken's own files. llama3-tokenizer-new is left out: it puts a token before every text,
 * which the older file here does not. */
static const published cases[] = {
    {"Xenova/gpt2", "vocab.json+merges.txt", {"gpt2/gpt2-vocab.json", "gpt2/gpt2-merges.txt"}, WF_ENCODE_SPECIALS, NULL},
    {"openai-community/gpt2",
     "vocab.json+merges.txt",
     {"gpt2/gpt2-vocab.json", "gpt2/gpt2-merges.txt"},
     WF_ENCODE_SPECIALS,
     NULL},
    {"Xenova/bert-base-uncased", NULL, {"bert-base-uncased/vocab.txt"}, WF_ENCODE_SPECIALS, NULL},
    {"Xenova/t5-small", NULL, {"t5-small/tokenizer.json"}, WF_ENCODE_SPECIALS, NULL},
    {"google-t5/t5-small", NULL, {"t5-small/tokenizer.json"}, WF_ENCODE_SPECIALS, NULL},
    {"Xenova/clip-vit-base-patch16", NULL, {"clip/tokenizer.json"}, WF_ENCODE_SPECIALS, NULL},
    {"tiiuae/falcon-7b", NULL, {"falcon/tokenizer.json"}, WF_ENCODE_SPECIALS, NULL},
    {"Xenova/all-distilroberta-v1", NULL, {"roberta-base/tokenizer.json"}, WF_ENCODE_SPECIALS, NULL},
    {"Xenova/llama3-tokenizer", NULL, {"llama3/tokenizer.json.gz"}, 0, NULL},
    {"Xenova/gpt-4", NULL, {"tiktoken-ranks/cl100k_base.tiktoken"}, 0, NULL},
    {"Xenova/gpt-4o", NULL, {"tiktoken-ranks/o200k_base.tiktoken"}, 0, NULL},
};

static const published strings[] = {
    {"bert-bge", NULL, {"ggml-vocab/ggml-vocab-bert-bge.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"deepseek-coder", NULL, {"ggml-vocab/ggml-vocab-deepseek-coder.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"deepseek-llm", NULL, {"ggml-vocab/ggml-vocab-deepseek-llm.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"falcon", NULL, {"ggml-vocab/ggml-vocab-falcon.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"gpt-2", NULL, {"ggml-vocab/ggml-vocab-gpt-2.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"llama-spm", NULL, {"ggml-vocab/ggml-vocab-llama-spm.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"mpt", NULL, {"ggml-vocab/ggml-vocab-mpt.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"phi-3", NULL, {"ggml-vocab/ggml-vocab-phi-3.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"starcoder", NULL, {"ggml-vocab/ggml-vocab-starcoder.gguf"}, WF_ENCODE_PLAIN, NULL},
    {"llama-bpe", NULL, {"llama3/tokenizer.json.gz"}, WF_ENCODE_PLAIN, NULL},
    {"roberta-bpe", NULL, {"roberta-base/tokenizer.json"}, WF_ENCODE_PLAIN, NULL},
    {"falcon", NULL, {"falcon/tokenizer.json"}, WF_ENCODE_PLAIN, NULL},
    {"phi-3", NULL, {"phi-3-mini/tokenizer.json"}, WF_ENCODE_PLAIN, NULL},
    {"llama-spm", NULL, {"llama2-sentencepiece/tokenizer.model"}, WF_ENCODE_PLAIN, NULL},
};

typedef struct run {
    wf_arena arena;
    char *folder; /* NULL: the files are not there */
    int right, wrong;
} run;

static run start(void) {
    run r = {.right = 0};
    const char *root = getenv("WEFT_FIXTURES");
    wf_arena_init(&r.arena, mem, 0);
    r.folder = root ? wf_path_join(&r.arena, root, "../data/tokenizers") : NULL;
    if (r.folder && !wf_is_dir(r.folder))
        r.folder = NULL;
    if (!r.folder)
        print_message("skipped: no published tokenizers beside the folder WEFT_FIXTURES\n");
    return r;
}

static wf_tokenizer *open_published(run *r, const published *p) {
    const char *paths[2] = {wf_path_join(&r->arena, r->folder, p->files[0]), NULL};
    wf_tokenizer *tok = NULL;
    weft_error err = {0};
    size_t n = 1;
    if (p->files[1])
        paths[n++] = wf_path_join(&r->arena, r->folder, p->files[1]);
    if (wf_tokenizer_open_as(mem, p->kind, paths, n, NULL, &tok, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return tok;
}

static void judge(run *r, const published *p, wf_bytes text, bool same) {
    bool excused = p->differs && strlen(p->differs) == text.length && memcmp(p->differs, text.data, text.length) == 0;
    r->right += same || excused;
    r->wrong += !same && !excused;
    if (!same && !excused)
        print_message("%s: other ids for \"%.*s\"\n", p->name, (int)text.length, text.data);
}

/* ---- cases with ids as JSON ---- */

static void check_case(run *r, const published *p, const wf_tokenizer *tok, const wf_json *c) {
    const wf_json *text = wf_json_get(c, "text"), *pair = wf_json_get(c, "text_pair"), *want = wf_json_get(c, "ids");
    wf_encoder *e;
    wf_encoding g = wf_encoding_new(mem);
    wf_text_input inputs[2] = {{.n_words = 0}};
    if (!text || !want)
        return;
    inputs[0].text = (wf_bytes){text->string, text->length};
    if (pair)
        inputs[1].text = (wf_bytes){pair->string, pair->length};
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    assert_int_equal(wf_encode_text(e, &inputs[0], pair ? &inputs[1] : NULL, p->flags | WF_ENCODE_UNLIMITED, &g, NULL),
                     WEFT_OK);
    bool same = g.count == want->count;
    size_t i = 0;
    for (const wf_json *j = want->child; same && j; j = j->next)
        same = g.ids[i++] == (uint32_t)j->integer;
    judge(r, p, inputs[0].text, same);
    wf_encoding_free(&g);
    wf_encoder_free(e);
}

static const wf_json *find_cases(const wf_json *golden, const char *name) {
    for (const wf_json *class = golden->child; class; class = class->next) {
        const wf_json *found = wf_json_get(wf_json_get(class, "cases"), name);
        if (found)
            return found;
    }
    return NULL;
}

static void test_cases(void **state) {
    run r = start();
    wf_json *golden;
    for (size_t i = 0; r.folder && i < COUNT_OF(cases); i++) {
        if (i == 0)
            assert_int_equal(wf_json_parse_file(&r.arena, wf_path_join(&r.arena, r.folder, "transformersjs-golden/golden.json"),
                                                &golden, NULL),
                             WEFT_OK);
        const wf_json *list = find_cases(golden, cases[i].name);
        wf_tokenizer *tok = open_published(&r, &cases[i]);
        assert_non_null(list);
        for (const wf_json *c = list->child; c; c = c->next)
            check_case(&r, &cases[i], tok, c);
        wf_tokenizer_free(tok);
    }
    print_message("%d published cases right, %d wrong\n", r.right, r.wrong);
    assert_int_equal(r.wrong, 0);
    wf_arena_free(&r.arena);
}

/* ---- 47 strings, and a line of ids for each ---- */

/* The text up to the separator; *at moves behind it. */
static wf_bytes next_string(const wf_file *f, size_t *at) {
    static const char separator[] = "\n__ggml_vocab_test__\n";
    const char *from = (const char *)f->data + *at;
    for (size_t i = 0; *at + i < f->size; i++)
        if (f->size - *at - i >= sizeof separator - 1 && memcmp(from + i, separator, sizeof separator - 1) == 0) {
            *at += i + sizeof separator - 1;
            return (wf_bytes){from, i};
        }
    size_t left = f->size - *at;
    *at = f->size + 1;
    return (wf_bytes){from, left};
}

/* Compares a line of numbers; *at moves behind it. */
static bool same_line(const wf_file *f, size_t *at, const wf_ids *ids) {
    const char *p = (const char *)f->data;
    size_t n = 0;
    bool same = true;
    for (; *at < f->size && p[*at] != '\n';) {
        char *end;
        unsigned long id = strtoul(p + *at, &end, 10);
        if (end == p + *at) {
            ++*at;
            continue;
        }
        same = same && n < ids->count && ids->data[n] == id;
        n++;
        *at = (size_t)(end - p);
        while (*at < f->size && p[*at] == ' ')
            ++*at;
    }
    ++*at;
    return same && n == ids->count;
}

static void check_strings(run *r, const published *p) {
    wf_file in, out;
    wf_tokenizer *tok = open_published(r, p);
    const char *base = wf_arena_printf(&r->arena, "%s/ggml-vocab/ggml-vocab-%s.gguf", r->folder, p->name);
    assert_int_equal(wf_file_open(mem, wf_arena_printf(&r->arena, "%s.inp", base), false, 0, &in, NULL), WEFT_OK);
    assert_int_equal(wf_file_open(mem, wf_arena_printf(&r->arena, "%s.out", base), false, 0, &out, NULL), WEFT_OK);
    for (size_t at = 0, line = 0; at < in.size && line < out.size;) {
        wf_ids ids = wf_ids_new(mem);
        wf_bytes text = next_string(&in, &at);
        assert_int_equal(wf_tokenizer_encode(tok, text.data, text.length, p->flags, &ids, NULL), WEFT_OK);
        judge(r, p, text, same_line(&out, &line, &ids));
        wf_ids_free(&ids);
    }
    wf_file_close(&in);
    wf_file_close(&out);
    wf_tokenizer_free(tok);
}

static void test_strings(void **state) {
    run r = start();
    for (size_t i = 0; r.folder && i < COUNT_OF(strings); i++)
        check_strings(&r, &strings[i]);
    print_message("%d strings right, %d wrong\n", r.right, r.wrong);
    assert_int_equal(r.wrong, 0);
    wf_arena_free(&r.arena);
}

/* ---- texts in parts ---- */

/* Words, numbers, marks, white space, other scripts, special tokens, bytes that are no UTF-8: in any order. */
static void put_fragment(uint64_t *seed, wf_str *out) {
    static const char *const fragments[] = {"a",
                                            "b ",
                                            " the",
                                            "Weaver's",
                                            " I'll",
                                            "  ",
                                            "\n",
                                            " \n ",
                                            "\r\n",
                                            "\t",
                                            "12",
                                            " 345",
                                            ", ",
                                            "...",
                                            " (x)",
                                            "\"q\"",
                                            "\xC3\xA9",
                                            " \xC3\x85ngstr\xC3\xB6m",
                                            "e\xCC\x81",
                                            " \xCC\x81z",
                                            "\xE6\x97\xA5\xE6\x9C\xAC",
                                            " \xF0\x9F\x98\x80",
                                            "<s>",
                                            "</s>",
                                            "<mask>",
                                            "<|endoftext|>",
                                            "[MASK] x",
                                            "\xE2\x96\x81",
                                            "\xC2\xA0",
                                            "\xFF",
                                            "x\xE3\x81",
                                            "UPPER lower",
                                            "camelCase b"};
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    wf_str_puts(out, fragments[(*seed >> 33) % COUNT_OF(fragments)]);
}

static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

static void check_parts(const wf_tokenizer *tok, wf_encoder *e, const wf_str *text) {
    wf_ids whole = wf_ids_new(mem), parts = wf_ids_new(mem);
    assert_int_equal(wf_encode(e, text->data, text->length, 0, &whole, NULL), WEFT_OK);
    for (size_t cut = 1; tok->cuts && cut + 1 < text->length; cut++) {
        if (text->data[cut] != ' ' || !is_letter(text->data[cut - 1]) || !is_letter(text->data[cut + 1]))
            continue;
        parts.count = 0;
        assert_int_equal(wf_encode(e, text->data, cut, 0, &parts, NULL), WEFT_OK);
        assert_int_equal(wf_encode(e, text->data + cut, text->length - cut, 0, &parts, NULL), WEFT_OK);
        assert_int_equal(parts.count, whole.count);
        assert_memory_equal(parts.data, whole.data, whole.count * sizeof *whole.data);
    }
    wf_ids_free(&whole);
    wf_ids_free(&parts);
}

/* One long text, which threads share. */
static void check_long(const wf_tokenizer *tok, wf_encoder *e, uint64_t *seed) {
    wf_env env = {.mem = wf_mem_default};
    wf_encoders *s;
    wf_str text = wf_str_new(mem);
    wf_ids one = wf_ids_new(mem), many = wf_ids_new(mem);
    while (text.length < WF_LONG_TEXT + 1000)
        put_fragment(seed, &text);
    assert_int_equal(wf_pool_create(mem, 3, &env.pool, NULL), WEFT_OK);
    assert_int_equal(wf_encoders_create(tok, &env, &s, NULL), WEFT_OK);
    assert_int_equal(wf_encode(e, text.data, text.length, WF_ENCODE_SPECIALS, &one, NULL), WEFT_OK);
    assert_int_equal(wf_encode_on(s, (wf_bytes){text.data, text.length}, WF_ENCODE_SPECIALS, &many, NULL), WEFT_OK);
    assert_int_equal(one.count, many.count);
    assert_memory_equal(one.data, many.data, one.count * sizeof *one.data);
    wf_ids_free(&one);
    wf_ids_free(&many);
    wf_str_free(&text);
    wf_encoders_free(s);
    wf_pool_free(env.pool);
}

static void check_cuts(run *r, const published *p, uint64_t *seed) {
    wf_tokenizer *tok = open_published(r, p);
    wf_encoder *e;
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    for (int i = 0; i < 200; i++) {
        wf_str text = wf_str_new(mem);
        for (int k = 0; k < 24; k++)
            put_fragment(seed, &text);
        check_parts(tok, e, &text);
        wf_str_free(&text);
    }
    check_long(tok, e, seed);
    r->right += tok->cuts;
    wf_encoder_free(e);
    wf_tokenizer_free(tok);
}

static void test_parts(void **state) {
    uint64_t seed = 11;
    run r = start();
    for (size_t i = 0; r.folder && i < COUNT_OF(cases); i++)
        check_cuts(&r, &cases[i], &seed);
    for (size_t i = 0; r.folder && i < COUNT_OF(strings); i++)
        check_cuts(&r, &strings[i], &seed);
    assert_true(!r.folder || r.right > 4);
    wf_arena_free(&r.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_strings),
                                       cmocka_unit_test(test_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
