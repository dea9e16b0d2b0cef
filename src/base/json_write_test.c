#include "support/test.h"
#include "support/fail_mem.h"
#include "base/json.h"
#include <math.h>
#include <string.h>

static void write_sample(wf_json_writer *w, const wf_json *tree) {
    wf_jw_begin(w, '{');
    wf_jw_key(w, "name");
    wf_jw_string(w, "a\"b");
    wf_jw_key(w, "list");
    wf_jw_begin(w, '[');
    wf_jw_int(w, INT64_MIN);
    wf_jw_double(w, 0.1);
    wf_jw_double(w, INFINITY);
    wf_jw_double(w, NAN);
    wf_jw_bool(w, true);
    wf_jw_bool(w, false);
    wf_jw_null(w);
    wf_jw_string(w, NULL);
    wf_jw_begin(w, '[');
    wf_jw_end(w, ']');
    wf_jw_begin(w, '{');
    wf_jw_end(w, '}');
    wf_jw_end(w, ']');
    wf_jw_key(w, "tree");
    wf_jw_json(w, tree);
    wf_jw_key(w, "nothing");
    wf_jw_json(w, NULL);
    wf_jw_end(w, '}');
}

static const char compact[] = "{\"name\":\"a\\\"b\",\"list\":[-9223372036854775808,0.1,null,null,true,false,null,null,[],{}],"
                              "\"tree\":{\"x\":[1,2.50],\"y\":{}},\"nothing\":null}";
static const char indented[] =
    "{\n  \"name\": \"a\\\"b\",\n  \"list\": [\n    -9223372036854775808,\n    0.1,\n    null,\n    null,\n"
    "    true,\n    false,\n    null,\n    null,\n    [],\n    {}\n  ],\n  \"tree\": {\n    \"x\": [\n"
    "      1,\n      2.50\n    ],\n    \"y\": {}\n  },\n  \"nothing\": null\n}";

static void test_layouts(void **state) {
    wf_arena arena;
    wf_json *tree, *back;
    wf_arena_init(&arena, &wf_mem_default, 0);
    static const char source[] = "{\"x\": [1, 2.50], \"y\": {}}";
    assert_int_equal(wf_json_parse(&arena, source, sizeof source - 1, 0, &tree, NULL), WEFT_OK);
    for (int indent = 0; indent <= 2; indent += 2) {
        wf_str out = wf_str_new(&wf_mem_default);
        wf_str again = wf_str_new(&wf_mem_default);
        wf_json_writer w;
        wf_json_writer_init(&w, &out, indent);
        write_sample(&w, tree);
        assert_string_equal(out.data, indent ? indented : compact);
        assert_int_equal(wf_json_parse(&arena, out.data, out.length, 0, &back, NULL), WEFT_OK);
        wf_json_print(&again, back, indent); /* the tree printer and the writer agree */
        assert_string_equal(again.data, out.data);
        wf_str_free(&out);
        wf_str_free(&again);
    }
    wf_arena_free(&arena);
}

static void test_strings(void **state) {
    static const struct {
        const char *text;
        size_t length;
        const char *json;
    } rows[] = {
        {"", 0, "\"\""},
        {"abc", 3, "\"abc\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"\x01\x1f\x7f", 3, "\"\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xc3", 1, "\"\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wf_str out = wf_str_new(&wf_mem_default);
        wf_json_writer w;
        wf_json_writer_init(&w, &out, 0);
        wf_jw_string_n(&w, rows[i].text, rows[i].length);
        assert_string_equal(out.data, rows[i].json);
        wf_str_free(&out);
    }
}

/* Wrong nesting is a mistake of the program; it shows as a failed string, not as a crash. */
static void test_wrong_nesting(void **state) {
    wf_str out = wf_str_new(&wf_mem_default);
    wf_json_writer w;
    wf_json_writer_init(&w, &out, 0);
    for (int i = 0; i < 63; i++)
        wf_jw_begin(&w, '[');
    assert_false(out.failed);
    wf_jw_begin(&w, '[');
    assert_true(out.failed);
    wf_str_free(&out);
    wf_json_writer_init(&w, &out, 0);
    wf_jw_end(&w, ']');
    assert_true(out.failed);
    wf_str_free(&out);
    wf_json_print(&out, NULL, 0);
    assert_int_equal(out.length, 0);
}

static void test_memory_failures(void **state) {
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_str out = wf_str_new(&mem);
        wf_json_writer w;
        wf_json_writer_init(&w, &out, 2);
        write_sample(&w, NULL);
        assert_int_equal(out.failed, f.fired);
        wf_str_free(&out);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layouts), cmocka_unit_test(test_strings),
                                       cmocka_unit_test(test_wrong_nesting), cmocka_unit_test(test_memory_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
