#include "support/test.h"
#include "support/fail_mem.h"
#include "base/json.h"
#include <string.h>

/* Reads everything; strings and numbers are appended to `out` as key=value; */
static weft_status drain(const wf_mem *mem, const char *text, size_t length, wf_str *out, weft_error *err) {
    static const char *const marks[] = {"null", "false", "true", "", "", "[", "{", "]"};
    wf_json_reader r;
    weft_status status;
    wf_json_open(&r, mem, text, length, err);
    for (;;) {
        wf_json_kind kind;
        const char *key, *value;
        size_t key_length, value_length;
        int depth = r.depth;
        status = wf_json_next(&r, &kind, &key, &key_length, &value, &value_length);
        if (status != WEFT_OK || (kind == WF_JSON_END && depth == 0))
            break;
        if (!out)
            continue;
        if (kind != WF_JSON_END && key) {
            wf_str_put(out, key, key_length);
            wf_str_putc(out, '=');
        }
        wf_str_puts(out, marks[kind]);
        if (kind == WF_JSON_NUMBER || kind == WF_JSON_STRING)
            wf_str_put(out, value, value_length);
        wf_str_putc(out, ';');
    }
    assert_int_equal(wf_json_next(&r, &(wf_json_kind){0}, NULL, NULL, NULL, NULL), status); /* the end and errors stay */
    wf_json_close(&r);
    return status;
}

static const struct {
    const char *text, *events;
} good[] = {
    {"null", "null;"},
    {" true ", "true;"},
    {"false\n", "false;"},
    {"0", "0;"},
    {"-0", "-0;"},
    {"-12.50e+10", "-12.50e+10;"},
    {"1E5", "1E5;"},
    {"123456789012345678901234567890", "123456789012345678901234567890;"},
    {"\"\"", ";"},
    {"\"abc\"", "abc;"},
    {"\"a long string without any escape in it\"", "a long string without any escape in it;"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t;"},
    {"\"a\\u0041\\u00e9\\u20ac\\ud83d\\ude00z\"", "aA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z;"},
    {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;"},
    {"\"\x7f\"", "\x7f;"},
    {"[]", "[;];"},
    {"[ ]", "[;];"},
    {"{}", "{;];"},
    {"[1,2 , 3]", "[;1;2;3;];"},
    {"[[],[[]]]", "[;[;];[;[;];];];"},
    {"{\"a\":1,\"b\" : {\"c\":[]}}", "{;a=1;b={;c=[;];];];"},
    {"{\"a\\n\":\"b\\n\",\"c\":\"\\t\"}", "{;a\n=b\n;c=\t;];"},
    {"{\"\":0,\"\":1}", "{;=0;=1;];"},
    {"[1e-400]", "[;1e-400;];"},
};

static void test_good(void **state) {
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        weft_error err = {0};
        wf_str events = wf_str_new(&wf_mem_default);
        if (drain(&wf_mem_default, good[i].text, strlen(good[i].text), &events, &err) != WEFT_OK)
            fail_msg("%s: %s", good[i].text, err.message);
        assert_string_equal(wf_str_text(&events), good[i].events);
        wf_str_free(&events);
    }
}

static const struct {
    const char *text, *message;
    int64_t offset;
} malformed[] = {
    {"", "line 1, column 1: expected a value but the text ends", 0},
    {"  ", "line 1, column 3: expected a value but the text ends", 2},
    {"nul", "line 1, column 1: expected a value but found 'n'", 0},
    {"True", "expected a value but found 'T'", 0},
    {"NaN", "expected a value", 0},
    {"Infinity", "expected a value", 0},
    {"-Infinity", "expected a digit but found 'I'", 1},
    {"nullx", "unexpected text after the value", 4},
    {"1 2", "unexpected text after the value", 2},
    {"[1] ]", "unexpected text after the value", 4},
    {"{} {}", "unexpected text after the value", 3},
    {"[1,]", "expected a value but found ']'", 3},
    {"[,1]", "expected a value but found ','", 1},
    {"[1 2]", "expected ',' or ']' but found '2'", 3},
    {"[1}", "expected ',' or ']' but found '}'", 2},
    {"[", "expected a value but the text ends", 1},
    {"[1", "expected ',' or ']' but the text ends", 2},
    {"]", "expected a value but found ']'", 0},
    {"{", "expected a name in quotes but the text ends", 1},
    {"{,}", "expected a name in quotes", 1},
    {"{\"a\"}", "expected ':' but found '}'", 4},
    {"{\"a\":}", "expected a value but found '}'", 5},
    {"{\"a\":1,}", "expected a name in quotes but found '}'", 7},
    {"{\"a\":1 \"b\":2}", "expected ',' or '}' but found '\"'", 7},
    {"{a:1}", "expected a name in quotes but found 'a'", 1},
    {"{1:1}", "expected a name in quotes", 1},
    {"{'a':1}", "expected a name in quotes but found '''", 1},
    {"{\"a\":1]", "expected ',' or '}' but found ']'", 6},
    {"{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7: expected ':' but found '2'", 18},
    {"[\"\xc3\xa9\", x]", "line 1, column 7: expected a value but found 'x'", 7},
    /* numbers */
    {"01", "a number cannot begin with 0", 0},
    {"-01", "a number cannot begin with 0", 0},
    {"+1", "expected a value but found '+'", 0},
    {"-", "expected a digit but the text ends", 1},
    {".5", "expected a value but found '.'", 0},
    {"1.", "expected a digit after the point but the text ends", 2},
    {"1.e5", "expected a digit after the point but found 'e'", 2},
    {"1e", "expected a digit in the exponent", 2},
    {"1e+", "expected a digit in the exponent", 3},
    {"0x10", "unexpected text after the value", 1},
    {"1_000", "unexpected text after the value", 1},
    {"[1a]", "expected ',' or ']' but found 'a'", 2},
    /* strings */
    {"\"abc", "the string has no end", 0},
    {"\"abc\\", "unknown escape", 4},
    {"\"abc\\\"", "the string has no end", 0},
    {"\"\\x41\"", "unknown escape", 1},
    {"\"\\'\"", "unknown escape", 1},
    {"\"a\tb\"", "a control character in a string must be escaped", 2},
    {"\"a\nb\"", "a control character in a string must be escaped", 2},
    {"\"\x1f\"", "a control character in a string must be escaped", 1},
    {"\"\\u12\"", "four hexadecimal digits", 1},
    {"\"\\u12", "four hexadecimal digits", 1},
    {"\"\\u12g4\"", "four hexadecimal digits", 1},
    {"\"\\ud800\"", "half of a surrogate pair", 1},
    {"\"\\udc00\"", "half of a surrogate pair", 1},
    {"\"\\ud800\\u0041\"", "half of a surrogate pair", 1},
    {"\"\\ud800\\ud800\"", "half of a surrogate pair", 1},
    {"\"\\ud800\\udg00\"", "half of a surrogate pair", 1},
    {"\"\\ud800x\"", "half of a surrogate pair", 1},
    {"\"\x80\"", "invalid UTF-8", 1},
    {"\"\xc0\x80\"", "invalid UTF-8", 1},
    {"\"\xc1\xbf\"", "invalid UTF-8", 1},
    {"\"\xe0\x80\x80\"", "invalid UTF-8", 1},
    {"\"\xed\xa0\x80\"", "invalid UTF-8", 1},
    {"\"\xf0\x80\x80\x80\"", "invalid UTF-8", 1},
    {"\"\xf4\x90\x80\x80\"", "invalid UTF-8", 1},
    {"\"\xf5\x80\x80\x80\"", "invalid UTF-8", 1},
    {"\"\xe2\x82\"", "invalid UTF-8", 1},
    {"\"abcdefgh\xc3\"", "invalid UTF-8", 9},
    {"\"\xff\xfe\"", "invalid UTF-8", 1},
    {"\xef\xbb\xbf{}", "expected a value", 0},
    {"/* c */ 1", "expected a value but found '/'", 0},
    {"[1, // c\n2]", "expected a value but found '/'", 4},
    {"\f1", "expected a value", 0},
    {"\xc2\xa0"
     "1",
     "expected a value", 0},
};

static void test_malformed(void **state) {
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        weft_error err = {0};
        weft_status status = drain(&wf_mem_default, malformed[i].text, strlen(malformed[i].text), NULL, &err);
        if (status != WEFT_BAD_INPUT || !strstr(err.message, malformed[i].message) || err.offset != malformed[i].offset)
            fail_msg("%s: %d, %d, %s", malformed[i].text, (int)status, (int)err.offset, err.message);
    }
}

static void test_zero_bytes(void **state) {
    weft_error err = {0};
    wf_json_reader r;
    wf_json_kind kind;
    const char *value;
    size_t length;
    assert_int_equal(drain(&wf_mem_default, "\0", 1, NULL, &err), WEFT_BAD_INPUT);
    assert_int_equal(drain(&wf_mem_default, "1\0", 2, NULL, &err), WEFT_BAD_INPUT);
    assert_int_equal(drain(&wf_mem_default, "\"\0\"", 3, NULL, &err), WEFT_BAD_INPUT);
    assert_int_equal(drain(&wf_mem_default, "\"\\\0\"", 4, NULL, &err), WEFT_BAD_INPUT);
    wf_json_open(&r, &wf_mem_default, "\"a\\u0000b\"", 10, &err);
    assert_int_equal(wf_json_next(&r, &kind, NULL, NULL, &value, &length), WEFT_OK);
    assert_int_equal(length, 3);
    assert_memory_equal(value, "a\0b", 4);
    wf_json_close(&r);
}

/* No byte behind the end is read: every prefix of a document lies at the end of its own block. */
static void test_prefixes(void **state) {
    static const char text[] = "{\"k\\u00e9y\": [true, -1.5e+3, \"\\ud83d\\ude00 \xe2\x82\xac\", null], \"b\": {\"c\": false}}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        weft_error err = {0};
        char *copy = malloc(n ? n : 1);
        memcpy(copy, text, n);
        assert_int_equal(drain(&wf_mem_default, copy, n, NULL, &err), WEFT_BAD_INPUT);
        assert_in_range(err.offset, 0, n);
        free(copy);
    }
    assert_int_equal(drain(&wf_mem_default, text, sizeof text - 1, NULL, NULL), WEFT_OK);
}

static void test_depth(void **state) {
    char text[2 * WF_JSON_MAX_DEPTH + 2];
    weft_error err = {0};
    for (size_t depth = WF_JSON_MAX_DEPTH; depth <= WF_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(drain(&wf_mem_default, text, 2 * depth, NULL, &err),
                         depth > WF_JSON_MAX_DEPTH ? WEFT_BAD_INPUT : WEFT_OK);
    }
    assert_int_equal(err.offset, WF_JSON_MAX_DEPTH);
}

static void test_skip(void **state) {
    static const char text[] = "{\"a\": [1, {\"b\": [2]}, \"]\"], \"c\": 3}";
    wf_json_reader r;
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, length;
    wf_json_open(&r, &wf_mem_default, text, sizeof text - 1, NULL);
    assert_int_equal(wf_json_next(&r, &kind, NULL, NULL, NULL, NULL), WEFT_OK);
    assert_int_equal(wf_json_next(&r, &kind, &key, &key_length, NULL, NULL), WEFT_OK);
    assert_int_equal(kind, WF_JSON_ARRAY);
    assert_int_equal(r.value_offset, 6);
    assert_int_equal(r.key_offset, 1);
    assert_int_equal(wf_json_skip(&r), WEFT_OK);
    assert_int_equal(wf_json_next(&r, &kind, &key, &key_length, &value, &length), WEFT_OK);
    assert_int_equal(kind, WF_JSON_NUMBER);
    assert_memory_equal(key, "c", key_length);
    assert_memory_equal(value, "3", length);
    wf_json_close(&r);
    wf_json_open(&r, &wf_mem_default, "[[1,}]", 6, NULL);
    assert_int_equal(wf_json_next(&r, &kind, NULL, NULL, NULL, NULL), WEFT_OK);
    assert_int_equal(wf_json_skip(&r), WEFT_BAD_INPUT);
    assert_int_equal(wf_json_skip(&r), WEFT_BAD_INPUT);
    wf_json_close(&r);
}

/* A list read before what stands in front of it. */
static void test_ahead(void **state) {
    static const char text[] = "{\"a\": {\"x\": [1]}, \"b\": [\"p\", [\"q\\n\"]], \"c\": 2}";
    wf_json_reader r, ahead;
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, length, offset = (size_t)(strstr(text, "[\"p") - text);
    wf_json_open(&r, &wf_mem_default, text, sizeof text - 1, NULL);
    assert_int_equal(wf_json_next(&r, &kind, NULL, NULL, NULL, NULL), WEFT_OK);
    assert_int_equal(wf_json_next(&r, &kind, &key, &key_length, NULL, NULL), WEFT_OK);
    wf_json_ahead(&r, '[', offset + 1, true, &ahead);
    assert_int_equal(wf_json_next(&ahead, &kind, NULL, NULL, &value, &length), WEFT_OK);
    assert_memory_equal(value, "p", length);
    assert_int_equal(wf_json_next(&ahead, &kind, NULL, NULL, NULL, NULL), WEFT_OK);
    assert_int_equal(wf_json_skip(&ahead), WEFT_OK);
    assert_int_equal(wf_json_next(&ahead, &kind, NULL, NULL, NULL, NULL), WEFT_OK);
    assert_int_equal(kind, WF_JSON_END);
    assert_int_equal(wf_json_skip(&r), WEFT_OK);
    assert_int_equal(wf_json_next(&r, &kind, &key, &key_length, NULL, NULL), WEFT_OK);
    assert_int_equal(kind, WF_JSON_ARRAY);
    assert_int_equal(r.value_offset, offset);
    wf_json_follow(&r, &ahead);
    assert_int_equal(wf_json_next(&r, &kind, &key, &key_length, &value, &length), WEFT_OK);
    assert_memory_equal(key, "c", key_length);
    assert_memory_equal(value, "2", length);
    wf_json_close(&ahead);
    wf_json_close(&r);
}

static void test_memory_failures(void **state) {
    static const char text[] =
        "{\"a\\n\": \"\\t\", \"b\": \"\\u00e9 a longer string that makes the scratch memory grow again\"}";
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        weft_status status = drain(&mem, text, sizeof text - 1, NULL, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_malformed),       cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_depth),           cmocka_unit_test(test_skip),
        cmocka_unit_test(test_ahead),    cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
