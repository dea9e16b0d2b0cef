#include "support/test.h"
#include "support/fail_mem.h"
#include "base/expr.h"
#include <stdlib.h>
#include <string.h>

/* The scope of the tests: members of a JSON object, and the word twice(x). */
static const char config[] =
    "{\"dim\": 512, \"heads\": 8, \"ratio\": 0.5, \"on\": true, \"off\": false, \"none\": null,"
    "\"name\": \"llama\", \"empty\": \"\", \"layers\": [\"full\", \"sliding\", \"full\"], \"nums\": [3, 1, 2],"
    "\"rope\": {\"type\": \"yarn\", \"factor\": 4, \"deep\": {\"list\": [[1, 2], [3]]}},"
    "\"big\": 9223372036854775807, \"bad\": \"a\\u0000b\"}";

typedef struct fixture {
    wf_arena arena;
    wf_json *root;
} fixture;

static bool look_up(const void *user, const char *name, size_t length, wf_value *out) {
    const fixture *f = user;
    char word[64];
    weft_error err;
    if (length >= sizeof word)
        return false;
    memcpy(word, name, length);
    word[length] = 0;
    const wf_json *j = strcmp(word, "root") == 0 ? f->root : wf_json_get(f->root, word);
    wf_arena *arena = (wf_arena *)(uintptr_t)&f->arena;
    return j && wf_value_of_json(arena, j, out, &err) == WEFT_OK;
}

static weft_status call_word(const void *user, const char *name, const wf_value *args, size_t count, wf_arena *arena,
                             wf_value *out, weft_error *err) {
    if (strcmp(name, "twice") == 0 && count == 1) {
        *out = wf_value_int(2 * args[0].integer);
        return WEFT_OK;
    }
    if (strcmp(name, "refuse") == 0)
        return wf_fail(err, WEFT_USAGE, "refused");
    return WEFT_UNSUPPORTED;
}

static void open_fixture(fixture *f) {
    weft_error err = {0};
    wf_arena_init(&f->arena, &wf_mem_default, 0);
    assert_int_equal(wf_json_parse(&f->arena, config, strlen(config), 0, &f->root, &err), WEFT_OK);
}

static const struct {
    const char *source, *expected;
} good[] = {
    {"1", "1"},
    {" 1\t+\n2 ", "3"},
    {"1.5", "1.5"},
    {"1e3", "1000.0"},
    {"2.5e-1", "0.25"},
    {"'a'", "\"a\""},
    {"\"it's\"", "\"it's\""},
    {"'a\\n\\t\\\\\\'\\\"'", "\"a\\n\\t\\\\'\\\"\""},
    {"true", "true"},
    {"null", "null"},
    {"[]", "[]"},
    {"[1, 'a', [true, null], 2.5]", "[1,\"a\",[true,null],2.5]"},
    /* precedence and association */
    {"1 + 2 * 3", "7"},
    {"(1 + 2) * 3", "9"},
    {"10 - 4 - 3", "3"},
    {"2 * 3 % 4", "2"},
    {"24 // 5 // 2", "2"},
    {"-2 * -3", "6"},
    {"1.5 + 2 - 0.25", "3.25"},
    {"--2", "2"},
    {"!0", "true"},
    {"!!'a'", "true"},
    {"-dim", "-512"},
    {"1 + 1 == 2", "true"},
    {"1 < 2 && 2 < 3", "true"},
    {"false && false || true", "true"},
    {"true || false && false", "true"},
    {"none ?? 0 || true", "true"},
    {"none ?? 1 ? 'y' : 'n'", "\"y\""},
    {"false ? 1 : true ? 2 : 3", "2"},
    {"true ? false ? 1 : 2 : 3", "2"},
    /* division */
    {"7 / 2", "3.5"},
    {"6 / 2 == 3", "true"},
    {"7 // 2", "3"},
    {"-7 // 2", "-4"},
    {"7 // -2", "-4"},
    {"-7 % 2", "1"},
    {"7 % -2", "-1"},
    {"-6 % 2", "0"},
    {"7.5 // 2", "3.0"},
    {"-7.5 % 2", "0.5"},
    {"7.5 % -2", "-0.5"},
    {"5 % -1", "0"},
    {"-big - 1 == -9223372036854775807 - 1", "true"},
    {"(-big - 1) % -1", "0"},
    {"big % -4", "-1"},
    {"(-big - 1) % 3", "1"},
    /* comparison */
    {"1 == 1.0", "true"},
    {"true == 1", "true"},
    {"1 == '1'", "false"},
    {"null == none", "true"},
    {"null == 0", "false"},
    {"'a' < 'b'", "true"},
    {"'b' <= 'a'", "false"},
    {"2 >= 2", "true"},
    {"3 > 3.5", "false"},
    {"big == big - 1", "false"},
    {"big > big - 1", "true"},
    {"[1, [2]] == [1.0, [2]]", "true"},
    {"[1] != [1, 2]", "true"},
    {"rope == rope", "true"},
    {"rope == rope.deep", "false"},
    {"'llama' == name", "true"},
    /* names, members, elements */
    {"dim // heads", "64"},
    {"rope.type", "\"yarn\""},
    {"rope . factor * 2", "8"},
    {"rope['type']", "\"yarn\""},
    {"rope.deep.list[0][1]", "2"},
    {"layers[1] == 'sliding'", "true"},
    {"layers[1 + 1]", "\"full\""},
    {"[5, 6][1]", "6"},
    {"('a' + 'b')", "\"ab\""},
    {"layers + ['x']", "[\"full\",\"sliding\",\"full\",\"x\"]"},
    {"rope.deep", "{\"list\":[[1,2],[3]]}"},
    {"rope", "{\"type\":\"yarn\",\"factor\":4,\"deep\":{\"list\":[[1,2],[3]]}}"},
    /* what is absent */
    {"absent ?? 1", "1"},
    {"absent ?? missing ?? 2", "2"},
    {"none ?? 3", "3"},
    {"rope.absent ?? 4", "4"},
    {"none.type ?? 'off'", "\"off\""},
    {"absent.a.b[3] ?? 5", "5"},
    {"layers[7] ?? 6", "6"},
    {"layers[-1] ?? 7", "7"},
    {"rope['x'] ?? 8", "8"},
    {"0 ?? 9", "0"},
    {"dim ?? absent", "512"},
    {"(absent) ?? 1", "1"},
    {"has(dim)", "true"},
    {"has(absent)", "false"},
    {"has(none)", "false"},
    {"has(rope.type) && !has(rope.x)", "true"},
    {"has(absent.a.b)", "false"},
    {"has(layers, 'sliding')", "true"},
    {"has(layers, 'chunked')", "false"},
    {"has(nums, 2.0) && !has(nums, 4)", "true"},
    {"has([[1], null], [1]) && has([[1], null], null)", "true"},
    {"has(absent, 'x') || has(none, 'x')", "false"},
    {"has(rope, 'type') && !has(rope, 'x')", "true"},
    /* only what is needed is evaluated */
    {"true || 1 // 0", "true"},
    {"false && absent", "false"},
    {"true ? 1 : 1 // 0", "1"},
    {"false ? unknown(1) : 2", "2"},
    {"dim ?? 1 % 0", "512"},
    {"true ? 1 : false ? 1 / 0 : nothing", "1"},
    {"false ? -'a' + absent[0].x : has(absent) ? 1 : 'ok'", "\"ok\""},
    /* truth */
    {"'' || 0 || 0.0 || null || [] || false", "false"},
    {"rope && 'x' && [0] && 0.5 && 1", "true"},
    {"on && !off", "true"},
    {"dim * on + off", "512"},
    /* functions */
    {"min(3, 1, 2)", "1"},
    {"max(nums)", "3"},
    {"max(1, 2.5)", "2.5"},
    {"sum([1, 2, 4])", "7"},
    {"sum(1, 2.5)", "3.5"},
    {"sum([])", "0"},
    {"min(1.0, 1)", "1.0"},
    {"floor(2.7)", "2"},
    {"floor(-2.5)", "-3"},
    {"ceil(2.1)", "3"},
    {"round(2.5)", "3"},
    {"round(-2.5)", "-3"},
    {"round(7)", "7"},
    {"sqrt(16)", "4.0"},
    {"ln(1)", "0.0"},
    {"exp(0)", "1.0"},
    {"pow(2, 10)", "1024"},
    {"pow(-3, 3)", "-27"},
    {"pow(2, -1)", "0.5"},
    {"pow(2.0, 3)", "8.0"},
    {"pow(1, big)", "1"},
    {"pow(-1, big)", "-1"},
    {"pow(0, 0)", "1"},
    {"pow(0, 5)", "0"},
    {"pow(0, -0.0)", "1.0"},
    {"abs(-3)", "3"},
    {"abs(-3.5)", "3.5"},
    {"len(layers)", "3"},
    {"len(name)", "5"},
    {"len(rope)", "3"},
    {"int(3.9)", "3"},
    {"int(-3.9)", "-3"},
    {"int('42')", "42"},
    {"int(true)", "1"},
    {"float('2.5')", "2.5"},
    {"float(2)", "2.0"},
    {"str(12) + str(2.5) + str(true) + str(null) + str('x')", "\"122.5truenullx\""},
    {"twice(21)", "42"},
    {"twice (twice(1))", "4"},
    {"min(twice(4), 7)", "7"},
};

static void test_good(void **state) {
    fixture f;
    open_fixture(&f);
    wf_scope scope = {look_up, call_word, &f};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        wf_value v;
        weft_error err = {0};
        weft_status status = wf_expr_eval(good[i].source, &scope, &f.arena, &v, &err);
        if (status != WEFT_OK)
            fail_msg("%s: %s", good[i].source, err.message);
        wf_str text = wf_str_new(&wf_mem_default);
        wf_json_print(&text, wf_value_to_json(&f.arena, &v), 0);
        assert_string_equal(wf_str_text(&text), good[i].expected);
        wf_str_free(&text);
    }
    wf_arena_free(&f.arena);
}

static const struct {
    const char *source, *message; /* a part of the message */
    weft_status status;
    int64_t offset;
} malformed[] = {
    {"", "expected a value but the text ends", WEFT_BAD_INPUT, 0},
    {"1 +", "expected a value but the text ends", WEFT_BAD_INPUT, 3},
    {"1 + * 2", "column 5 of '1 + * 2'", WEFT_BAD_INPUT, 4},
    {"(1", "expected ')' but the text ends", WEFT_BAD_INPUT, 2},
    {"1)", "unexpected text", WEFT_BAD_INPUT, 1},
    {"1 2", "unexpected text", WEFT_BAD_INPUT, 2},
    {"[1, 2", "expected ']'", WEFT_BAD_INPUT, 5},
    {"[1,]", "expected a value", WEFT_BAD_INPUT, 3},
    {"[,1]", "expected a value", WEFT_BAD_INPUT, 1},
    {"min(1", "expected ')'", WEFT_BAD_INPUT, 5},
    {"'abc", "the string has no end", WEFT_BAD_INPUT, 0},
    {"'a\\", "unknown escape", WEFT_BAD_INPUT, 2},
    {"'a\\q'", "unknown escape", WEFT_BAD_INPUT, 2},
    {"1x", "malformed number", WEFT_BAD_INPUT, 0},
    {"0x10", "malformed number", WEFT_BAD_INPUT, 0},
    {"9223372036854775808", "too large", WEFT_BAD_INPUT, 0},
    {"1e999", "too large", WEFT_BAD_INPUT, 0},
    {"1 = 2", "unexpected text", WEFT_BAD_INPUT, 2},
    {"1 ? 2", "expected ':'", WEFT_BAD_INPUT, 5},
    {"? 1 : 2", "expected a value", WEFT_BAD_INPUT, 0},
    {"a & b", "unexpected text", WEFT_BAD_INPUT, 2},
    {"rope.", "expected a name", WEFT_BAD_INPUT, 5},
    {"rope.1", "expected a name", WEFT_BAD_INPUT, 5},
    {"rope[", "expected a value", WEFT_BAD_INPUT, 5},
    {"rope['a'", "expected ']'", WEFT_BAD_INPUT, 8},
    {"false && (", "expected a value", WEFT_BAD_INPUT, 10},
    {"\xff", "expected a value", WEFT_BAD_INPUT, 0},
    /* names */
    {"absent", "unknown name 'absent'", WEFT_BAD_INPUT, 0},
    {"1 + absent.x[1]", "unknown name 'absent.x[1]'", WEFT_BAD_INPUT, 4},
    {"rope.absent", "unknown name 'rope.absent'", WEFT_BAD_INPUT, 0},
    {"absent ?? missing", "unknown name 'missing'", WEFT_BAD_INPUT, 10},
    {"absent ? 1 : 2", "unknown name", WEFT_BAD_INPUT, 0},
    {"!absent", "unknown name", WEFT_BAD_INPUT, 1},
    {"[absent]", "unknown name", WEFT_BAD_INPUT, 1},
    {"len(absent)", "unknown name", WEFT_BAD_INPUT, 4},
    {"absent && 1", "unknown name", WEFT_BAD_INPUT, 0},
    {"true && absent", "unknown name", WEFT_BAD_INPUT, 8},
    {"layers[absent]", "unknown name", WEFT_BAD_INPUT, 7},
    {"bad", "unknown name", WEFT_BAD_INPUT, 0},
    {"root.bad", "a string with a zero byte", WEFT_BAD_INPUT, 0},
    {"true ? absent : 1", "unknown name", WEFT_BAD_INPUT, 7},
    /* types */
    {"1 + 'a'", "does not take an integer and a string", WEFT_BAD_INPUT, 2},
    {"none + 1", "does not take null and an integer", WEFT_BAD_INPUT, 5},
    {"[1] * 2", "does not take a list", WEFT_BAD_INPUT, 4},
    {"'a' - 'b'", "does not take", WEFT_BAD_INPUT, 4},
    {"1 < 'a'", "does not take", WEFT_BAD_INPUT, 2},
    {"rope < rope", "does not take an object", WEFT_BAD_INPUT, 5},
    {"-'a'", "cannot negate a string", WEFT_BAD_INPUT, 0},
    {"dim.x", "an integer has no members", WEFT_BAD_INPUT, 3},
    {"dim[0]", "an integer has no elements", WEFT_BAD_INPUT, 3},
    {"layers['a']", "a list has no members", WEFT_BAD_INPUT, 6},
    {"layers[1.5]", "the index is a float", WEFT_BAD_INPUT, 6},
    {"rope[0]", "an object has no elements", WEFT_BAD_INPUT, 4},
    /* numbers */
    {"1 / 0", "division by zero", WEFT_BAD_INPUT, 2},
    {"1 // 0", "division by zero", WEFT_BAD_INPUT, 2},
    {"1 % 0", "division by zero", WEFT_BAD_INPUT, 2},
    {"1.5 / 0.0", "division by zero", WEFT_BAD_INPUT, 4},
    {"1 / off", "division by zero", WEFT_BAD_INPUT, 2},
    {"big + 1", "integer overflow", WEFT_BAD_INPUT, 4},
    {"-big - 2", "integer overflow", WEFT_BAD_INPUT, 5},
    {"big * 2", "integer overflow", WEFT_BAD_INPUT, 4},
    {"-(-big - 1)", "integer overflow", WEFT_BAD_INPUT, 0},
    {"(-big - 1) // -1", "integer overflow", WEFT_BAD_INPUT, 11},
    {"abs(-big - 1)", "integer overflow", WEFT_BAD_INPUT, 0},
    {"pow(2, 63)", "integer overflow", WEFT_BAD_INPUT, 0},
    {"pow(2, big)", "integer overflow", WEFT_BAD_INPUT, 0},
    {"1e300 * 1e300", "not a finite number", WEFT_BAD_INPUT, 6},
    {"floor(1e300)", "integer overflow", WEFT_BAD_INPUT, 0},
    {"int(9223372036854775808.0)", "integer overflow", WEFT_BAD_INPUT, 0},
    {"sqrt(-1)", "not a finite number", WEFT_BAD_INPUT, 0},
    {"ln(0)", "not a finite number", WEFT_BAD_INPUT, 0},
    {"exp(1000)", "not a finite number", WEFT_BAD_INPUT, 0},
    {"pow(0, -1)", "not a finite number", WEFT_BAD_INPUT, 0},
    {"pow(-1, 0.5)", "not a finite number", WEFT_BAD_INPUT, 0},
    /* functions */
    {"min()", "does not take 0 arguments", WEFT_BAD_INPUT, 0},
    {"min([])", "min() of nothing", WEFT_BAD_INPUT, 0},
    {"min('a', 1)", "min() does not take a string", WEFT_BAD_INPUT, 0},
    {"max([1, none])", "max() does not take null", WEFT_BAD_INPUT, 0},
    {"sqrt('a')", "sqrt() does not take a string", WEFT_BAD_INPUT, 0},
    {"sqrt(1, 2)", "does not take 2 arguments", WEFT_BAD_INPUT, 0},
    {"pow(1)", "does not take 1 arguments", WEFT_BAD_INPUT, 0},
    {"pow(1, 'a')", "pow() does not take a string", WEFT_BAD_INPUT, 0},
    {"abs(none)", "abs() does not take null", WEFT_BAD_INPUT, 0},
    {"len(5)", "len() does not take an integer", WEFT_BAD_INPUT, 0},
    {"has()", "does not take 0 arguments", WEFT_BAD_INPUT, 0},
    {"has(1, 2, 3)", "does not take 3 arguments", WEFT_BAD_INPUT, 0},
    {"has(1, 2)", "has() does not take an integer and an integer", WEFT_BAD_INPUT, 0},
    {"has(layers, absent)", "unknown name 'absent'", WEFT_BAD_INPUT, 12},
    {"int('1.5')", "'1.5' is not an integer", WEFT_BAD_INPUT, 0},
    {"int([])", "int() does not take a list", WEFT_BAD_INPUT, 0},
    {"float('nan')", "'nan' is not a number", WEFT_BAD_INPUT, 0},
    {"float(none)", "float() does not take null", WEFT_BAD_INPUT, 0},
    {"round('a')", "round() does not take a string", WEFT_BAD_INPUT, 0},
    {"str([])", "str() does not take a list", WEFT_BAD_INPUT, 0},
    {"nothing(1)", "unknown function 'nothing'", WEFT_UNSUPPORTED, 0},
    {"1 + refuse()", "column 5 of '1 + refuse()': refused", WEFT_USAGE, 4},
};

static void test_malformed(void **state) {
    fixture f;
    open_fixture(&f);
    wf_scope scope = {look_up, call_word, &f};
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        wf_value v;
        weft_error err = {0};
        weft_status status = wf_expr_eval(malformed[i].source, &scope, &f.arena, &v, &err);
        if (status != malformed[i].status || !strstr(err.message, malformed[i].message) || err.offset != malformed[i].offset)
            fail_msg("%s: %d %d %s", malformed[i].source, (int)status, (int)err.offset, err.message);
        assert_int_equal(err.status, status);
        assert_int_equal(wf_expr_eval(malformed[i].source, &scope, &f.arena, &v, NULL), status);
    }
    wf_arena_free(&f.arena);
}

static void test_empty_scopes(void **state) {
    wf_arena arena;
    wf_value v;
    wf_scope nothing = {0};
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_expr_eval("a ?? 3", NULL, &arena, &v, NULL), WEFT_OK);
    assert_int_equal(v.integer, 3);
    assert_int_equal(wf_expr_eval("a", &nothing, &arena, &v, NULL), WEFT_BAD_INPUT);
    assert_int_equal(wf_expr_eval("f()", &nothing, &arena, &v, NULL), WEFT_UNSUPPORTED);
    assert_int_equal(wf_expr_eval("f()", NULL, &arena, &v, NULL), WEFT_UNSUPPORTED);
    assert_int_equal(wf_expr_eval(NULL, NULL, &arena, &v, NULL), WEFT_BAD_INPUT);
    wf_arena_free(&arena);
}

/* `count` times `open`, a 1, `count` times `close`. */
static weft_status nested(wf_arena *arena, const char *open, const char *close, int count, weft_error *err) {
    wf_str text = wf_str_new(&wf_mem_default);
    wf_value v;
    for (int i = 0; i < count; i++)
        wf_str_puts(&text, open);
    wf_str_puts(&text, "1");
    for (int i = 0; i < count; i++)
        wf_str_puts(&text, close);
    weft_status status = wf_expr_eval(text.data, NULL, arena, &v, err);
    wf_str_free(&text);
    return status;
}

static void test_limits(void **state) {
    wf_arena arena;
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(nested(&arena, "(", ")", 63, &err), WEFT_OK);
    assert_int_equal(nested(&arena, "(", ")", 64, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "nested more than 64 deep"));
    assert_int_equal(nested(&arena, "[", "]", 64, &err), WEFT_BAD_INPUT);
    assert_int_equal(nested(&arena, "-", "", 64, &err), WEFT_BAD_INPUT);
    assert_int_equal(nested(&arena, "1 ? 1 : ", "", 64, &err), WEFT_BAD_INPUT);
    assert_int_equal(nested(&arena, "[1][", "]", 64, &err), WEFT_BAD_INPUT);
    assert_int_equal(nested(&arena, "abs(", ")", 64, &err), WEFT_BAD_INPUT);
    assert_int_equal(nested(&arena, "", " + 1", 1000, &err), WEFT_OK);
    assert_int_equal(nested(&arena, " ", "", 4095, &err), WEFT_OK);
    assert_int_equal(nested(&arena, " ", "", 4096, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "longer than 4096 bytes"));
    wf_arena_free(&arena);
}

static bool look_up_list(const void *user, const char *name, size_t length, wf_value *out) {
    *out = *(const wf_value *)user;
    return true;
}

/* A long list costs what it holds, so that repeating an operation on it ends. */
static void test_list_budget(void **state) {
    enum { N = 300000 };
    wf_arena arena;
    wf_value *items = calloc(N, sizeof *items), list = {.type = WF_LIST, .items = items, .count = N}, v;
    wf_scope scope = {look_up_list, NULL, &list};
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_expr_eval("len(x + x) == 600000", &scope, &arena, &v, &err), WEFT_OK);
    assert_int_equal(v.integer, 1);
    assert_int_equal(wf_expr_eval("x + x + x", &scope, &arena, &v, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "the lists are too long"));
    free(items);
    wf_arena_free(&arena);
}

static void test_json_lists(void **state) {
    wf_arena arena;
    wf_json *j;
    wf_value v;
    char text[200];
    wf_arena_init(&arena, &wf_mem_default, 0);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_int_equal(wf_json_parse(&arena, text + 1, 128, 0, &j, NULL), WEFT_OK);
    assert_int_equal(wf_value_of_json(&arena, j, &v, NULL), WEFT_OK);
    assert_true(wf_json_equal(wf_value_to_json(&arena, &v), j));
    assert_int_equal(wf_json_parse(&arena, text, 130, 0, &j, NULL), WEFT_OK);
    assert_int_equal(wf_value_of_json(&arena, j, &v, NULL), WEFT_BAD_INPUT);
    assert_int_equal(wf_value_of_json(&arena, NULL, &v, NULL), WEFT_OK);
    assert_int_equal(v.type, WF_NULL);
    wf_arena_free(&arena);
}

static void test_memory_failures(void **state) {
    static const char *const sources[] = {"'a' + 'b'", "[1, [2, 3]] + [4]", "str(1) + str(2.5)",
                                          "twice(3)",  "rope.deep.list",    "absent.x"};
    fixture f;
    open_fixture(&f);
    wf_scope scope = {look_up, call_word, &f};
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        fail_mem fm = {0};
        while (fail_mem_next(&fm)) {
            wf_mem mem = fail_mem_hook(&fm);
            wf_arena arena;
            wf_value v;
            wf_arena_init(&arena, &mem, 0);
            weft_status status = wf_expr_eval(sources[i], &scope, &arena, &v, NULL);
            assert_int_equal(status == WEFT_NO_MEMORY, fm.fired);
            assert_true(status != WEFT_OK || wf_value_to_json(&f.arena, &v) != NULL);
            wf_arena_free(&arena);
            assert_int_equal(fm.live, 0);
        }
        for (size_t limit = 16; limit < 2048; limit += 16) { /* an arena that fills up at every place */
            wf_arena arena;
            wf_value v;
            wf_arena_init(&arena, &wf_mem_default, limit);
            weft_status status = wf_expr_eval(sources[i], &scope, &arena, &v, NULL);
            assert_true(status == WEFT_OK || status == WEFT_NO_MEMORY || status == WEFT_BAD_INPUT);
            wf_arena_free(&arena);
        }
    }
    wf_arena_free(&f.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_empty_scopes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_list_budget),
        cmocka_unit_test(test_json_lists),
        cmocka_unit_test(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
