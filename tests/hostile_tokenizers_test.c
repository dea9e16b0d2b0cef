/* hostile_tokenizers_test.c - the malformed tokenizer.json files of the folder WEFT_FIXTURES: each is refused, taken, or
 * either, as its manifest says; what is taken encodes and decodes. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/reader.h"
#include "support/test.h"
#include "text/tokenizer.h"

static const wf_mem *const mem = &wf_mem_default;

static void use(const wf_tokenizer *tok) {
    static const char *const texts[] = {"a ab abc zq \xC3\xA9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbb"};
    wf_encoder *e;
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        wf_encoding g = wf_encoding_new(mem);
        wf_str text = wf_str_new(mem);
        wf_text_input in = {.text = {texts[i], strlen(texts[i])}};
        if (wf_encode_text(e, &in, NULL, WF_ENCODE_SPECIALS, &g, NULL) == WEFT_OK)
            wf_tokenizer_decode(tok, g.ids, g.count, WF_DECODE_TEXT, &text, NULL);
        wf_encoding_free(&g);
        wf_str_free(&text);
    }
    wf_encoder_free(e);
}

static void check(wf_arena *arena, const char *folder, const wf_json *entry) {
    const char *file = wf_json_text(entry, "file", ""), *expect = wf_json_text(entry, "expect", "any");
    char *path = wf_path_join(arena, folder, file);
    wf_tokenizer *tok = NULL;
    weft_error err = {0};
    weft_status status = wf_tokenizer_open(mem, path, &tok, &err);
    if (wf_streq(expect, "reject") && status == WEFT_OK)
        fail_msg("%s was taken", file);
    if (wf_streq(expect, "accept") && status != WEFT_OK)
        fail_msg("%s", err.message);
    if (status != WEFT_OK && !strstr(err.message, file))
        fail_msg("the message does not name %s: %s", file, err.message);
    if (status != WEFT_OK && status != WEFT_BAD_INPUT && status != WEFT_UNSUPPORTED)
        fail_msg("%s: status %d", file, status);
    if (status == WEFT_OK)
        use(tok);
    wf_tokenizer_free(tok);
}

static void test_manifest(void **state) {
    const char *root = getenv("WEFT_FIXTURES");
    wf_arena arena;
    wf_json *manifest;
    wf_arena_init(&arena, mem, 0);
    char *folder = root ? wf_path_join(&arena, root, "safetensors/tokenizer-malformed") : NULL;
    if (!folder || wf_json_parse_file(&arena, wf_path_join(&arena, folder, "manifest.json"), &manifest, NULL) != WEFT_OK) {
        print_message("skipped: no malformed tokenizers (WEFT_FIXTURES)\n");
    } else {
        for (const wf_json *j = manifest->child; j; j = j->next)
            check(&arena, folder, j);
        print_message("%zu malformed tokenizers\n", manifest->count);
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_manifest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
