#include "support/test.h"
#include "support/fail_mem.h"
#include "base/json.h"
#include "base/reader.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static wf_json *parse(wf_arena *arena, const char *text) {
    wf_json *j = NULL;
    weft_error err = {0};
    if (wf_json_parse(arena, text, strlen(text), 0, &j, &err) != WEFT_OK)
        fail_msg("%s: %s", text, err.message);
    return j;
}

static void test_values(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    const wf_json *j =
        parse(&arena, "{\"a\": [1, -2.5, \"x\\n\", {\"b\": null}], \"t\": true, \"f\": false, \"big\": 9223372036854775808,"
                      " \"zero\": -0, \"e\": 1e2, \"null\": null}");
    assert_int_equal(j->count, 7);
    assert_int_equal(j->offset, 0);
    assert_string_equal(j->child->key, "a");
    assert_int_equal(j->child->offset, 6);
    assert_int_equal(wf_json_path(j, "a.0")->integer, 1);
    assert_true(wf_json_path(j, "a.1")->number == -2.5);
    assert_false(wf_json_path(j, "a.1")->is_integer);
    assert_string_equal(wf_json_path(j, "a.2")->string, "x\n");
    assert_true(wf_json_is_string(wf_json_path(j, "a.2"), "x\n"));
    assert_int_equal(wf_json_path(j, "a.3.b")->kind, WF_JSON_NULL);
    assert_null(wf_json_path(j, "a.4"));
    assert_null(wf_json_path(j, "a.-1"));
    assert_null(wf_json_path(j, "a.x"));
    assert_null(wf_json_path(j, "t.x"));
    assert_null(wf_json_path(NULL, "a"));
    assert_false(wf_json_get(j, "big")->is_integer);
    assert_true(wf_json_get(j, "big")->number == 0x1p63);
    assert_true(signbit(wf_json_get(j, "zero")->number) && wf_json_get(j, "zero")->is_integer);
    assert_true(wf_json_get(j, "e")->number == 100);
    assert_int_equal(wf_json_int(j, "absent", 7), 7);
    assert_int_equal(wf_json_int(j, "null", 7), 7);
    assert_int_equal(wf_json_int(j, "big", 7), 7);
    assert_int_equal(wf_json_int(wf_json_get(j, "a"), "a", 7), 7);
    assert_true(wf_json_double(j, "e", 0) == 100 && wf_json_double(j, "t", 3) == 3);
    assert_true(wf_json_bool(j, "t", false) && !wf_json_bool(j, "f", true) && wf_json_bool(j, "e", true));
    assert_string_equal(wf_json_text(j, "e", "fallback"), "fallback");
    assert_int_equal(wf_json_at(wf_json_get(j, "a"), 3)->kind, WF_JSON_OBJECT);
    assert_null(wf_json_at(wf_json_get(j, "a"), 4));
    assert_null(wf_json_at(j, 0));
    assert_null(wf_json_get(NULL, "a"));
    wf_arena_free(&arena);
}

static const struct {
    const char *text, *message;
    int64_t offset;
} malformed[] = {
    {"", "expected a value", 0},
    {"[1", "expected ',' or ']'", 2},
    {"{\"a\": 1, \"b\": 2, \"a\": 3}", "line 1, column 23: the object already has a member 'a'", 22},
    {"{\"a\": 1,\n \"\\u0061\": 2}", "line 2, column 12: the object already has a member 'a'", 20},
    {"{\"\": 1, \"\": 2}", "already has a member ''", 12},
    {"[{\"x\": {\"y\": 1, \"y\": 2}}]", "already has a member 'y'", 21},
    {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"c\":2,\"a\":3}", "already has a member 'c'",
     59},
    {"{\"a\\u0000b\": 1}", "a name with a zero byte", 1},
    {"1e999", "too large", 0},
    {"[-1e400]", "too large", 1},
};

static void test_malformed(void **state) {
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        wf_arena arena;
        wf_json *j;
        weft_error err = {0};
        wf_arena_init(&arena, &wf_mem_default, 0);
        weft_status status = wf_json_parse(&arena, malformed[i].text, strlen(malformed[i].text), 0, &j, &err);
        if (status != WEFT_BAD_INPUT || !strstr(err.message, malformed[i].message) || err.offset != malformed[i].offset)
            fail_msg("%s: %d, %d, %s", malformed[i].text, (int)status, (int)err.offset, err.message);
        assert_null(j);
        wf_arena_free(&arena);
    }
}

static void test_limits(void **state) {
    wf_arena arena;
    wf_json *j;
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_json_parse(&arena, "[1,2,3]", 7, 4, &j, &err), WEFT_OK);
    assert_int_equal(wf_json_parse(&arena, "[1,2,3]", 7, 3, &j, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "too many values"));
    char digits[1002];
    memset(digits, '1', sizeof digits);
    assert_int_equal(wf_json_parse(&arena, digits, 308, 0, &j, &err), WEFT_OK);
    assert_int_equal(wf_json_parse(&arena, digits, 1001, 0, &j, &err), WEFT_BAD_INPUT);
    wf_arena_free(&arena);
    wf_arena_init(&arena, &wf_mem_default, 300);
    assert_int_equal(wf_json_parse(&arena, "[1,2,3,4,5,6,7]", 15, 0, &j, &err), WEFT_NO_MEMORY);
    wf_arena_free(&arena);
}

/* Many members: correct, and not quadratic (the time limit of the test would notice). */
static void test_many_members(void **state) {
    enum { N = 200000 };
    wf_str text = wf_str_new(&wf_mem_default);
    wf_arena arena;
    wf_json *j;
    weft_error err = {0};
    for (int i = 0; i < N; i++)
        wf_str_printf(&text, "%c\"key%d\":%d", i ? ',' : '{', i, i);
    wf_str_putc(&text, '}');
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_json_parse(&arena, text.data, text.length, 0, &j, &err), WEFT_OK);
    assert_int_equal(j->count, N);
    assert_int_equal(wf_json_int(j, "key199999", 0), 199999);
    text.length--;
    wf_str_puts(&text, ",\"key77\":1}");
    assert_int_equal(wf_json_parse(&arena, text.data, text.length, 0, &j, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "'key77'"));
    wf_str_free(&text);
    wf_arena_free(&arena);
}

static void expect_text(const wf_json *j, const char *expected) {
    wf_str text = wf_str_new(&wf_mem_default);
    wf_json_print(&text, j, 0);
    assert_string_equal(wf_str_text(&text), expected);
    wf_str_free(&text);
}

static void test_building(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    wf_json *o = wf_json_new(&arena, WF_JSON_OBJECT), *a = wf_json_put(&arena, o, "a", wf_json_new(&arena, WF_JSON_ARRAY));
    wf_json_push(a, wf_json_new_int(&arena, INT64_MIN));
    wf_json_push(a, wf_json_new_double(&arena, 0.1));
    wf_json_push(a, wf_json_new_double(&arena, INFINITY));
    wf_json_push(a, wf_json_new_string(&arena, "x\"", 2));
    wf_json_push(a, wf_json_new(&arena, WF_JSON_STRING));
    wf_json_put(&arena, o, "b", wf_json_new_bool(&arena, true));
    wf_json_put(&arena, o, "c", wf_json_new_bool(&arena, false));
    expect_text(o, "{\"a\":[-9223372036854775808,0.1,null,\"x\\\"\",\"\"],\"b\":true,\"c\":false}");
    wf_json_put(&arena, o, "c", wf_json_new_int(&arena, 3)); /* the last, a middle one, the first */
    wf_json_put(&arena, o, "b", wf_json_new_int(&arena, 2));
    wf_json *first = wf_json_put(&arena, o, "a", wf_json_new_int(&arena, 1));
    wf_json_put(&arena, o, "a", first);
    wf_json_put(&arena, o, "d", wf_json_new_int(&arena, 4));
    expect_text(o, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}");
    assert_int_equal(o->count, 4);
    assert_null(wf_json_put(&arena, NULL, "a", first));
    assert_null(wf_json_put(&arena, o, "a", NULL));
    assert_null(wf_json_push(NULL, first));
    assert_null(wf_json_push(a, NULL));
    assert_null(wf_json_copy(&arena, NULL));
    wf_arena_free(&arena);
}

static void test_equal(void **state) {
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"1", "1.0", true},
        {"1", "1.5", false},
        {"9007199254740993", "9007199254740992", false},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"a\"", "\"a\\u0000\"", false},
        {"null", "false", false},
        {"[]", "{}", false},
        {"[]", "[]", true},
        {"[1,2]", "[2,1]", false},
        {"[1,[2,[3]]]", "[1,[2,[3]]]", true},
        {"[1,[2,[3]]]", "[1,[2,[4]]]", false},
        {"[[],1]", "[[],2]", false},
        {"[[1],2]", "[[],2]", false},
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"a\":1,\"b\":2}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":{\"x\":1,\"y\":2},\"b\":3}", "{\"b\":3,\"a\":{\"y\":2,\"x\":1}}", true},
    };
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const wf_json *a = parse(&arena, rows[i].a), *b = parse(&arena, rows[i].b);
        if (wf_json_equal(a, b) != rows[i].equal || wf_json_equal(b, a) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        assert_true(wf_json_equal(a, wf_json_copy(&arena, a)));
    }
    assert_true(wf_json_equal(NULL, NULL));
    assert_false(wf_json_equal(NULL, parse(&arena, "1")));
    wf_arena_free(&arena);
}

/* Parsing, printing (compact and indented) and parsing again gives the same tree. */
static void test_round_trips(void **state) {
    static const char *const texts[] = {"null",
                                        "[]",
                                        "{}",
                                        "\"\\u0000\\u001f \xf0\x9f\x98\x80\"",
                                        "[1.50, 1e5, -0, 0.1]",
                                        "[[[[]]],{}]",
                                        "{\"a\":{\"b\":{\"c\":[1,{\"d\":[]}]}},\"\":[{},{\"x\":null}]}"};
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (int indent = 0; indent <= 4; indent += 2) {
            wf_str text = wf_str_new(&wf_mem_default);
            wf_json *j = parse(&arena, texts[i]);
            wf_json_print(&text, j, indent);
            assert_true(wf_json_equal(j, parse(&arena, text.data)));
            wf_str_free(&text);
        }
    char deep[2 * WF_JSON_MAX_DEPTH + 1] = {0};
    memset(deep, '[', WF_JSON_MAX_DEPTH);
    memset(deep + WF_JSON_MAX_DEPTH, ']', WF_JSON_MAX_DEPTH);
    wf_json *j = parse(&arena, deep);
    expect_text(wf_json_copy(&arena, j), deep);
    assert_true(wf_json_equal(j, parse(&arena, deep)));
    wf_arena_free(&arena);
}

/* A tree that code built deeper than any document may be is refused, not followed. */
static void test_too_deep_by_code(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    wf_json *root = wf_json_new(&arena, WF_JSON_ARRAY), *at = root;
    for (int i = 0; i < WF_JSON_MAX_DEPTH + 5; i++)
        at = wf_json_push(at, wf_json_new(&arena, WF_JSON_ARRAY));
    wf_str text = wf_str_new(&wf_mem_default);
    wf_json_print(&text, root, 0);
    assert_true(text.failed);
    assert_null(wf_json_copy(&arena, root));
    assert_false(wf_json_equal(root, root));
    wf_str_free(&text);
    wf_arena_free(&arena);
}

static void test_files(void **state) {
    char path[] = "/tmp/weft_json_XXXXXX";
    int fd = mkstemp(path);
    wf_arena arena;
    wf_json *j;
    weft_error err = {0};
    assert_true(fd >= 0);
    close(fd);
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_write_file(&wf_mem_default, path, "{\"a\": 5}\n", 9, &err), WEFT_OK);
    assert_int_equal(wf_json_parse_file(&arena, path, &j, &err), WEFT_OK);
    assert_int_equal(wf_json_int(j, "a", 0), 5);
    assert_int_equal(wf_write_file(&wf_mem_default, path, "{\"a\": }\n", 8, &err), WEFT_OK);
    assert_int_equal(wf_json_parse_file(&arena, path, &j, &err), WEFT_BAD_INPUT);
    assert_true(wf_starts_with(err.message, path));
    assert_non_null(strstr(err.message, "line 1, column 7: expected a value"));
    assert_int_equal(err.offset, 6);
    unlink(path);
    assert_int_equal(wf_json_parse_file(&arena, path, &j, &err), WEFT_FAILURE);
    assert_true(wf_starts_with(err.message, path));
    wf_arena_free(&arena);
}

static weft_status work(wf_arena *arena) {
    static const char text[] =
        "{\"a\": [1, 2.5, \"x\\n\"], \"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":{}}";
    wf_json *j;
    weft_error err = {0};
    WF_TRY(wf_json_parse(arena, text, sizeof text - 1, 0, &j, &err));
    if (!wf_json_copy(arena, j) || !wf_json_put(arena, j, "k", wf_json_new_double(arena, 1.5)) ||
        !wf_json_put(arena, j, "l", wf_json_new_string(arena, "text", 4)))
        return WEFT_NO_MEMORY;
    return WEFT_OK;
}

static void test_memory_failures(void **state) {
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_arena arena;
        wf_arena_init(&arena, &mem, 0);
        weft_status status = work(&arena);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_arena_free(&arena);
        assert_int_equal(f.live, 0);
    }
    weft_status status = WEFT_NO_MEMORY;
    for (size_t limit = 16; status != WEFT_OK; limit += 16) {
        wf_arena arena;
        wf_arena_init(&arena, &wf_mem_default, limit);
        status = work(&arena);
        assert_true(status == WEFT_OK || status == WEFT_NO_MEMORY);
        wf_arena_free(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),          cmocka_unit_test(test_malformed),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_members),    cmocka_unit_test(test_building),         cmocka_unit_test(test_equal),
        cmocka_unit_test(test_round_trips),     cmocka_unit_test(test_too_deep_by_code), cmocka_unit_test(test_files),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
