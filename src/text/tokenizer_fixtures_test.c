/* tokenizer_fixtures_test.c - the tokenizer fixtures of the folder WEFT_FIXTURES: what the engine opens must give the
 * reference's ids. Files with components it does not have yet are counted. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/reader.h"
#include "support/test.h"
#include "text/tokenizer.h"

static const wf_mem *const mem = &wf_mem_default;
typedef struct tally {
    int files, refused, cases;
} tally;

static void check_case(wf_encoder *e, const char *name, const char *line, size_t n, tally *t) {
    wf_arena arena;
    wf_json *j;
    wf_ids ids = wf_ids_new(mem);
    wf_arena_init(&arena, mem, 0);
    assert_int_equal(wf_json_parse(&arena, line, n, 0, &j, NULL), WEFT_OK);
    const wf_json *text = wf_json_get(j, "text"), *expected = wf_json_get(j, "ids");
    if (text && text->kind == WF_JSON_STRING && expected && !wf_json_get(j, "pair")) {
        unsigned flags = wf_json_bool(j, "add_special_tokens", true) ? WF_ENCODE_SPECIALS : 0;
        weft_error err = {0};
        if (wf_encode(e, text->string, text->length, flags, &ids, &err) != WEFT_OK)
            fail_msg("%s: %s", name, err.message);
        bool equal = ids.count == expected->count;
        size_t i = 0;
        for (const wf_json *id = expected->child; equal && id; id = id->next)
            equal = ids.data[i++] == (uint32_t)id->integer;
        if (!equal)
            fail_msg("%s: other ids for \"%s\"", name, text->string);
        t->cases++;
    }
    wf_ids_free(&ids);
    wf_arena_free(&arena);
}

static void check_cases(const wf_tokenizer *tok, const char *name, const char *path, tally *t) {
    wf_file file;
    wf_encoder *e;
    if (wf_file_open(mem, path, false, 0, &file, NULL) != WEFT_OK)
        return;
    assert_int_equal(wf_encoder_create(tok, &e, NULL), WEFT_OK);
    const char *p = (const char *)file.data, *end = p + file.size;
    for (const char *line; p < end && (line = memchr(p, '\n', (size_t)(end - p))); p = line + 1)
        check_case(e, name, p, (size_t)(line - p), t);
    wf_encoder_free(e);
    wf_file_close(&file);
}

static void check_fixture(wf_arena *arena, const char *folder, const char *name, tally *t) {
    wf_json *fixture;
    wf_tokenizer *tok;
    char *inside = wf_path_join(arena, folder, name);
    if (wf_json_parse_file(arena, wf_path_join(arena, inside, "fixture.json"), &fixture, NULL) != WEFT_OK)
        return;
    const wf_json *file = wf_json_get(fixture, "file");
    const char *kind = wf_json_text(fixture, "kind", ""), *format = wf_json_text(fixture, "tokenizer_format", "");
    if (!wf_streq(kind, "tokenizer") || !wf_streq(format, "tokenizer.json") || !file || file->kind != WF_JSON_STRING ||
        wf_ends_with(file->string, ".gz"))
        return;
    weft_error err = {0};
    weft_status status = wf_tokenizer_open(mem, wf_path_join(arena, inside, file->string), &tok, &err);
    t->files++;
    if (status == WEFT_UNSUPPORTED) {
        t->refused++;
        return;
    }
    if (status != WEFT_OK)
        fail_msg("%s: %s", name, err.message);
    check_cases(tok, name, wf_path_join(arena, inside, "cases.jsonl"), t);
    wf_tokenizer_free(tok);
}

static void test_fixtures(void **state) {
    const char *root = getenv("WEFT_FIXTURES");
    char **names;
    size_t count;
    tally t = {0};
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    char *folder = root ? wf_path_join(&arena, root, "tokenizers") : NULL;
    if (folder && wf_list_dir(&arena, folder, &names, &count, NULL) == WEFT_OK) {
        for (size_t i = 0; i < count; i++)
            check_fixture(&arena, folder, names[i], &t);
        print_message("%d tokenizers, %d of them refused, %d cases\n", t.files, t.refused, t.cases);
        assert_true(t.files > t.refused);
    } else {
        print_message("skipped: no tokenizer fixtures (WEFT_FIXTURES)\n");
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
