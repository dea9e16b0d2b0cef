#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/reader.h"
#include "support/fail_mem.h"
#include "support/test.h"

static const wf_mem *const mem = &wf_mem_default;

/* A file from its header and `n` bytes of data 0, 1, 2 ...; `size` receives its length. */
static uint8_t *make_file(const char *header, size_t n, size_t *size) {
    size_t length = strlen(header);
    *size = 8 + length + n;
    uint8_t *file = malloc(*size + 1);
    for (size_t i = 0; i < 8; i++)
        file[i] = (uint8_t)(length >> (8 * i));
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < n; i++)
        file[8 + length + i] = (uint8_t)i;
    return file;
}

#define T(name, dtype, shape, offsets) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_reading(void **state) {
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\",\"a\":\"\\u00e9\"}," T("w", "F32", "[2,3]", "[0,24]") "," T(
            "scalar", "I64", "[]", "[26,34]") "," T("h", "BF16", "[1]", "[24,26]") "," T("e", "F8_E4M3", "[0,7]",
                                                                                         "[34,34]") "," T("f4", "F4", "[4]",
                                                                                                          "[34,36]") "}   ";
    size_t size, count;
    uint8_t *bytes = make_file(header, 36, &size);
    wf_safetensors *file;
    weft_error err = {0};
    if (wf_safetensors_parse(mem, bytes, size, &file, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(wf_safetensors_count(file), 5);
    const wf_stored_tensor *w = wf_safetensors_find(file, "w");
    assert_true(w->type == WF_F32 && w->rank == 2 && w->dims[0] == 2 && w->dims[1] == 3 && w->size == 24);
    assert_ptr_equal(w->data, bytes + w->offset);
    assert_int_equal(((const uint8_t *)w->data)[5], 5);
    const wf_stored_tensor *s = wf_safetensors_find(file, "scalar");
    assert_true(s->rank == 0 && s->size == 8 && ((const uint8_t *)s->data)[0] == 26);
    assert_int_equal(wf_safetensors_find(file, "e")->type, -1);
    assert_string_equal(wf_safetensors_find(file, "e")->dtype, "F8_E4M3");
    assert_int_equal(wf_safetensors_find(file, "f4")->size, 2);
    assert_null(wf_safetensors_find(file, "x"));
    assert_null(wf_safetensors_at(file, 5));
    for (size_t i = 1; i < 5; i++)
        assert_true(strcmp(wf_safetensors_at(file, i - 1)->name, wf_safetensors_at(file, i)->name) < 0);
    assert_string_equal(wf_safetensors_text(file, "a"), "\xC3\xA9");
    assert_null(wf_safetensors_text(file, "b"));
    assert_string_equal(wf_safetensors_metadata(file, &count)[0].key, "format");
    assert_int_equal(count, 2);
    wf_safetensors_free(file);
    free(bytes);
}

/* Every message names the tensor, when there is one, and the byte. */
static const struct {
    const char *header;
    size_t data;
    const char *message; /* NULL: accepted */
} cases[] = {
    {"{}", 0, NULL},
    {"{\"__metadata__\":{}}", 0, NULL},
    {"{\"__metadata__\":null}", 0, NULL},
    {"{" T("w", "F32", "[0,9223372036854775807]", "[0,0]") "}", 0, NULL},
    {"{" T("a", "U8", "[4]", "[0,4]") "," T("b", "U8", "[0]", "[4,4]") "," T("c", "U8", "[0]", "[0,0]") "}", 4, NULL},
    {"", 0, "header: line 1, column 1"},
    {"[]", 0, "must be an object"},
    {"{}x", 0, "unexpected text"},
    {"{\"w\":5}", 0, "tensor \"w\": it must be an object (byte 13)"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor \"w\": it needs dtype, shape and data_offsets (byte 9)"},
    {"{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 4, "tensor \"w\": a member is given twice (byte 28)"},
    {"{\"w\":{\"strides\":[1]}}", 4, "tensor \"w\": unknown member (byte 14)"},
    {"{" T("w", "F33", "[1]", "[0,4]") "}", 4, "unknown dtype"},
    {"{" T("w", "f32", "[1]", "[0,4]") "}", 4, "unknown dtype"},
    {"{\"w\":{\"dtype\":7}}", 4, "dtype must be a text"},
    {"{" T("w", "F32", "[-1]", "[0,4]") "}", 4, "whole number"},
    {"{" T("w", "F32", "[1.0]", "[0,4]") "}", 4, "whole number"},
    {"{" T("w", "F32", "[[1]]", "[0,4]") "}", 4, "whole number"},
    {"{" T("w", "F32", "1", "[0,4]") "}", 4, "must be lists"},
    {"{" T("w", "F32", "[9223372036854775808]", "[0,4]") "}", 4, "whole number"},
    {"{" T("w", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0, "beyond 2^63"},
    {"{" T("w", "F32", "[288230376151711744]", "[0,0]") "}", 0, "beyond 2^63"},
    {"{" T("w", "F32", "[2]", "[0,4]") "}", 4, "do not fill the range"},
    {"{" T("w", "F4", "[3]", "[0,1]") "}", 1, "do not fill the range"},
    {"{" T("w", "F32", "[1]", "[4,0]") "}", 4, "data_offsets must be"},
    {"{" T("w", "F32", "[1]", "[0]") "}", 4, "data_offsets must be"},
    {"{" T("w", "F32", "[1]", "[0,4,8]") "}", 4, "too long"},
    {"{" T("w", "F32", "[1]", "[0,4]") "}", 3, "its data ends beyond the file"},
    {"{" T("w", "F32", "[1]", "[0,4]") "}", 5, "1 bytes follow the last tensor"},
    {"{" T("w", "F32", "[1]", "[4,8]") "}", 8, "tensor \"w\": a hole before its data"},
    {"{" T("a", "U8", "[4]", "[0,4]") "," T("b", "U8", "[2]", "[3,5]") "}", 5, "tensor \"b\": its data overlaps"},
    {"{" T("a", "U8", "[4]", "[0,4]") "," T("a", "U8", "[4]", "[0,4]") "}", 4, "tensor \"a\": the name is given twice"},
    {"{" T("a", "U8", "[4]", "[0,4]") "," T("\\u0061", "U8", "[4]", "[0,4]") "}", 4, "the name is given twice"},
    {"{" T("a\\u0000", "U8", "[4]", "[0,4]") "}", 4, "a NUL in the name"},
    {"{\"__metadata__\":5}", 0, "__metadata__: it must be an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: its values must be texts"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__: given twice"},
};

static void test_table(void **state) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t size;
        uint8_t *bytes = make_file(cases[i].header, cases[i].data, &size);
        wf_safetensors *file = NULL;
        weft_error err = {0};
        weft_status status = wf_safetensors_parse(mem, bytes, size, &file, &err);
        if (status != (cases[i].message ? WEFT_BAD_INPUT : WEFT_OK) ||
            (cases[i].message && !strstr(err.message, cases[i].message)))
            fail_msg("%s gave %d \"%s\", not \"%s\"", cases[i].header, status, err.message,
                     cases[i].message ? cases[i].message : "ok");
        wf_safetensors_free(file);
        assert_int_equal(wf_safetensors_parse(mem, bytes, size, &file, NULL), status);
        if (status == WEFT_OK)
            wf_safetensors_free(file);
        free(bytes);
    }
}

static void test_lengths(void **state) {
    static const struct {
        uint8_t bytes[10];
        size_t n;
        const char *message;
    } lengths[] = {
        {{0}, 0, "too few"},
        {{2}, 7, "too few"},
        {{2}, 8, "longer than the file"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "longer than the file"},
        {{255, 255, 255, 255, 255, 255, 255, 255, '{', '}'}, 10, "the limit is 100000000"},
        {{1, 225, 245, 5, 0, 0, 0, 0, '{', '}'}, 10, "the limit is 100000000"},
    };
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        wf_safetensors *file;
        weft_error err = {0};
        assert_int_equal(wf_safetensors_parse(mem, lengths[i].bytes, lengths[i].n, &file, &err), WEFT_BAD_INPUT);
        assert_non_null(strstr(err.message, lengths[i].message));
    }
}

/* ---- writing ---- */

static const int64_t dims[] = {2, 3};
static wf_tensor_plan tensors[] = {
    {"b", WF_U8, 1, dims + 1}, {"z", WF_F32, 2, dims}, {"a", WF_BF16, 0, NULL}, {"c", WF_F32, 1, dims}};
static const wf_stored_text metadata[] = {{"format", "pt"}, {"note", "a \"quoted\"\nline"}};
static const wf_safetensors_plan plan = {tensors, COUNT_OF(tensors), metadata, COUNT_OF(metadata)};

static weft_status write_file(const wf_mem *m, const char *path, size_t portion) {
    wf_safetensors_writer *w;
    uint8_t data[24 + 8 + 2 + 3];
    weft_status status;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    WF_TRY(wf_safetensors_create(m, path, &plan, &w, NULL));
    for (size_t at = 0; at < sizeof data; at += portion) {
        size_t n = sizeof data - at < portion ? sizeof data - at : portion;
        if ((status = wf_safetensors_put(w, data + at, n, NULL)) != WEFT_OK) {
            wf_safetensors_abort(w);
            return status;
        }
    }
    return wf_safetensors_commit(w, NULL);
}

static void test_writing(void **state) {
    char folder[] = "/tmp/weft_safetensors_XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    wf_safetensors_order(tensors, COUNT_OF(tensors));
    assert_string_equal(tensors[0].name, "c"); /* wide first, then by name */
    assert_string_equal(tensors[1].name, "z");
    assert_string_equal(tensors[2].name, "a");
    assert_string_equal(tensors[3].name, "b");
    for (size_t portion = 1; portion < 40; portion += 12) {
        wf_safetensors *file;
        weft_error err = {0};
        assert_int_equal(write_file(mem, path, portion), WEFT_OK);
        if (wf_safetensors_open(mem, path, &file, &err) != WEFT_OK)
            fail_msg("%s", err.message);
        const wf_stored_tensor *z = wf_safetensors_find(file, "z"), *b = wf_safetensors_find(file, "b");
        assert_true(z->type == WF_F32 && z->rank == 2 && z->dims[1] == 3 && z->size == 24 && z->offset % 8 == 0);
        assert_int_equal(((const uint8_t *)z->data)[0], 8 * 7);
        assert_int_equal(((const uint8_t *)b->data)[2], (uint8_t)(36 * 7));
        assert_int_equal(wf_safetensors_find(file, "a")->rank, 0);
        assert_string_equal(wf_safetensors_text(file, "note"), metadata[1].value);
        wf_safetensors_free(file);
    }
    wf_safetensors_writer *w;
    wf_safetensors *file;
    weft_error err = {0};
    uint8_t byte = 0;
    assert_int_equal(wf_safetensors_create(mem, path, &plan, &w, NULL), WEFT_OK);
    assert_int_equal(wf_safetensors_put(w, &byte, 1, NULL), WEFT_OK);
    assert_int_equal(wf_safetensors_put(w, cases, 1000, &err), WEFT_FAILURE); /* more than planned */
    assert_int_equal(wf_safetensors_commit(w, &err), WEFT_FAILURE);           /* less than planned */
    assert_non_null(strstr(err.message, "missing"));
    assert_int_equal(wf_safetensors_open(mem, path, &file, &err), WEFT_OK); /* the old file is untouched */
    wf_safetensors_free(file);
    int64_t huge[] = {INT64_MAX, 2};
    wf_tensor_plan too_big = {"t", WF_F32, 2, huge};
    assert_int_equal(wf_safetensors_create(mem, path, &(wf_safetensors_plan){&too_big, 1, NULL, 0}, &w, &err), WEFT_FAILURE);
    assert_int_equal(truncate(path, 60), 0);
    assert_int_equal(wf_safetensors_open(mem, path, &file, &err), WEFT_BAD_INPUT);
    assert_true(strncmp(err.message, path, strlen(path)) == 0);
    unlink(path);
    rmdir(folder);
}

static void test_no_memory(void **state) {
    char folder[] = "/tmp/weft_safetensors_XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem m = fail_mem_hook(&f);
        wf_safetensors *file = NULL;
        weft_status status = write_file(&m, path, 5);
        if (status == WEFT_OK)
            status = wf_safetensors_open(&m, path, &file, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_safetensors_free(file);
        assert_int_equal(f.live, 0);
    }
    unlink(path);
    rmdir(folder);
}

/* ---- the fixtures of WEFT_FIXTURES ---- */

static weft_status open_one(wf_arena *arena, const char *folder, const char *name, wf_safetensors **out, weft_error *err) {
    return wf_safetensors_open(mem, wf_path_join(arena, folder, name), out, err);
}

static void check_malformed(wf_arena *arena, const char *folder) {
    wf_json *manifest;
    if (wf_json_parse_file(arena, wf_path_join(arena, folder, "manifest.json"), &manifest, NULL) != WEFT_OK)
        return;
    for (const wf_json *j = manifest->child; j; j = j->next) {
        const char *name = wf_json_text(j, "file", ""), *expect = wf_json_text(j, "expect", "");
        wf_safetensors *file = NULL;
        weft_error err = {0};
        weft_status status = open_one(arena, folder, name, &file, &err);
        if (!wf_streq(expect, "any") && status != (wf_streq(expect, "accept") ? WEFT_OK : WEFT_BAD_INPUT))
            fail_msg("%s should be: %s, but: %d %s", name, expect, status, err.message);
        wf_safetensors_free(file);
    }
    print_message("%zu files of the manifest\n", manifest->count);
}

static void check_tensor(const char *file, const wf_stored_tensor *t, const wf_json *j) {
    const char *hex = wf_json_text(j, "hex", "");
    const wf_json *shape = wf_json_get(j, "shape");
    if (!t || !wf_streq(t->dtype, wf_json_text(j, "dtype", "")) || (size_t)t->rank != shape->count ||
        strlen(hex) != 2 * t->size)
        fail_msg("%s: \"%s\" differs", file, j->key);
    for (int i = 0; i < t->rank; i++)
        assert_int_equal(t->dims[i], wf_json_at(shape, (size_t)i)->integer);
    for (size_t i = 0; i < t->size; i++) {
        char byte[3];
        snprintf(byte, sizeof byte, "%02x", ((const uint8_t *)t->data)[i]);
        assert_memory_equal(byte, hex + 2 * i, 2);
    }
}

static void check_valid(wf_arena *arena, const char *folder) {
    wf_json *expected;
    if (wf_json_parse_file(arena, wf_path_join(arena, folder, "expected.json"), &expected, NULL) != WEFT_OK)
        return;
    for (const wf_json *j = expected->child; j; j = j->next) {
        const char *name = wf_json_text(j, "file", "");
        const wf_json *stored = wf_json_get(j, "tensors"), *texts = wf_json_get(j, "metadata");
        wf_safetensors *file;
        weft_error err = {0};
        if (open_one(arena, folder, name, &file, &err) != WEFT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(wf_safetensors_count(file), stored->count);
        for (const wf_json *t = stored->child; t; t = t->next)
            check_tensor(name, wf_safetensors_find(file, t->key), t);
        for (const wf_json *m = texts ? texts->child : NULL; m; m = m->next)
            assert_string_equal(wf_safetensors_text(file, m->key), m->string);
        wf_safetensors_free(file);
    }
}

static void test_fixtures(void **state) {
    const char *root = getenv("WEFT_FIXTURES");
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    if (root) {
        check_malformed(&arena, wf_path_join(&arena, root, "safetensors/malformed"));
        check_valid(&arena, wf_path_join(&arena, root, "safetensors/valid"));
    } else {
        print_message("skipped: no safetensors fixtures (WEFT_FIXTURES)\n");
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading),   cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_lengths),   cmocka_unit_test(test_writing),
                                       cmocka_unit_test(test_no_memory), cmocka_unit_test(test_fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
