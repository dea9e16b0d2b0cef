/* Chat templates beyond the fixtures: texts and errors by table, limits, what is malformed, and no memory. */
#include "support/test.h"
#include "support/fail_mem.h"
#include "template/template.h"
#include <string.h>

static const char variables[] = "{\"n\": 7, \"f\": 2.5, \"s\": \"Hello, W\\u00f6rld\", \"l\": [3, 1, 2], \"w\": [\"beta\", "
                                "\"Alpha\", \"alpha\"], \"z\": null, \"e\": \"\","
                                " \"d\": {\"b\": 1, \"a\": [1, 2], \"items\": 5}, \"o\": [{\"n\": \"x\", \"v\": 2}, {\"n\": "
                                "\"Y\", \"v\": 1}], \"big\": 123456789012345678901}";

typedef struct bench {
    wf_arena arena;
    wf_json *variables;
} bench;

static void open_bench(bench *b) {
    wf_arena_init(&b->arena, &wf_mem_default, 0);
    assert_int_equal(wf_json_parse(&b->arena, variables, sizeof variables - 1, 0, &b->variables, NULL), WEFT_OK);
}

static weft_status render(const bench *b, const wf_mem *mem, const char *source, wf_template_result *result, weft_error *err) {
    wf_template_input in = {.variables = b->variables, .now = 1741503902, .utc = true}; /* 2025-03-09 07:05:02 */
    wf_template *t;
    *result = (wf_template_result){.text = wf_str_new(mem), .message = wf_str_new(mem)};
    WF_TRY(wf_template_compile(mem, source, strlen(source), &t, err));
    weft_status status = wf_template_render(t, mem, &in, result, err);
    wf_template_free(t);
    return status;
}

/* ---- texts ---- */
static const struct {
    const char *source, *text;
} good[] = {
    {"", ""},
    {"a\n", "a"},
    {"a\n\n", "a\n"},
    {"a\r\nb\rc", "a\nb\nc"},
    {"{% if true %}\nx\n{% endif %}\ny", "x\ny"},
    {"  {% if true %}x{% endif %}", "x"},
    {"  {%+ if true %}x{% endif +%}\ny", "  x\ny"},
    {"a \n {{- 1 -}} \n b", "a1b"},
    {"{# c #}\nx", "x"},
    {"a{#- c -#} b", "ab"},
    {"{% raw -%}  {{ x }} {%- endraw %}\ny", "{{ x }}y"},
    {"{{ {'a': {'b': 1}}['a']['b'] }}", "1"},
    {"{{ 'a' 'b' \"c\" }}{{ '\\u00e9\\x41\\t\\q\\101' }}", "abc\xC3\xA9"
                                                           "A\t\\qA"},
    {"{{ '\\ud83e\\uddf5' }}{{ '\\N{em dash}' }}", "\xF0\x9F\xA7\xB5\xE2\x80\x94"},
    {"{{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ -1|abs }} {{ 2 ** -1 }}", "4 64 1 0.5"},
    {"{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }}",
     "-4 2 -2 3.0 0.5 1e+16 1e-05 0.30000000000000004"},
    {"{{ 'lorem ipsum dolor-sit amet' | wordwrap(8) }}", "lorem\nipsum\ndolor-\nsit amet"},
    {"{{ 'abcdefghij klm' | wordwrap(4, false, '/') }}", "abcdefghij/klm"},
    {"{{ 'a well-known--thing  x' | wordwrap(7, break_on_hyphens=false) }}", "a well-\nknown--\nthing\nx"},
    {"{{ 'one--two three-four\n\nfive' | wordwrap(5, wrapstring='|') }}", "one--|two t|hree-|four||five"},
    {"{{ dict.fromkeys('ab', 1) }} {{ range(10)[0:9:4] }} {{ '{:3}'.format(true) }} {{ 5[:1] }}",
     "{'a': 1, 'b': 1} range(0, 9, 4)   1 "},
    {"{{ '\x7f\u00e9' | tojson(ensure_ascii=true) }}", "\"\\u007f\\u00e9\""},
    {"{{ '%a' % '\xC3\xA9\xE6\x97\xA5' }} {{ '{!a}'.format('\xF0\x9F\x99\x82') }} {{ -0.3|round(0, 'ceil') }}",
     "'\\xe9\\u65e5' '\\U0001f642' 0.0"},
    {"{{ big }} {{ -big }} {{ big == big }} {{ big > 1 }} {{ [big] | tojson }} {{ 'abc'[:big] }}",
     "123456789012345678901 -123456789012345678901 True True [123456789012345678901] abc"},
    {"{{ (4 ** -4) ** 3 }} {{ '\xD9\xA3' | int }} {{ '-1\xD9\xA3.5' | float }}", "5.960464477539063e-08 3 -13.5"},
    {"{{ true == 1 }} {{ {1: 'a', true: 'b', 1.0: 'c'} }}", "True {1: 'c'}"},
    {"{{ 1 < 2 < 3 }} {{ 3 > 2 >= 4 }} {{ 'a' in 'abc' }} {{ 2 not in l }}", "True False True False"},
    {"{{ {1: 2, 'a': 1, none: 0, (1, 2): 3} | pprint }}", "{None: 0, 1: 2, 'a': 1, (1, 2): 3}"},
    {"{{ 'nan' | filesizeformat }} {{ 'inf' | filesizeformat }}", "nan YB inf YB"},
    {"{{ d.items }} {{ d['items'] }} {{ d.b }} {{ d.nothing }}{{ z.x }}", "<built-in method items of dict object> 5 1 "},
    {"{{ s[::-1] }} {{ s[1:-1:3] }} {{ l[-2:] }} {{ (1, 2, 3)[::2] }} {{ range(10)[2:8:3] | list }}",
     "dlr\xC3\xB6W ,olleH eoWl [1, 2] (1, 3) [2, 5]"},
    {"{{ [1.0, none, 'a\\n', \"it's\", (1,), {}] }}", "[1.0, None, 'a\\n', \"it's\", (1,), {}]"},
    {"{{ missing }}{{ missing | default('x') }}{{ (missing.x is defined) if false }}{{ 'y' if missing }}", "x"},
    {"{% for x in l %}{{ loop.index }}/{{ loop.length }}{{ loop.revindex0 }}{{ ',' if not loop.last }}{% endfor %}",
     "1/32,2/31,3/30"},
    {"{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{{ loop.length }} {% endfor %}", "132 222 "},
    {"{% for x in l %}{% break %}{% else %}none{% endfor %}{% for x in l %}{{ x }}{% break %}{% endfor %}", "none3"},
    {"{% for x in [[1, [2, 3]]] recursive %}{{ x if x is number else loop(x) }}{{ loop.depth }}{% endfor %}", "12233321"},
    {"{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor "
     "%}",
     "Truea1 Falseb12 Truea1 "},
    {"{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}={{ x }}", "423=1"},
    {"{% set ns = namespace(a=1) %}{% set ns.b = [ns.a] %}{{ ns.b }}{{ ns }}", "[1]<Namespace {'a': 1, 'b': [1]}>"},
    {"{% set a, (b, c) = 1, [2, 3] %}{{ a }}{{ b }}{{ c }}", "123"},
    {"{% set t | upper | replace('A', 'b') %}a{{ n }}{% endset %}{{ t }}", "b7"},
    {"{% macro m(a, b=a) %}[{{ a }}{{ b }}{{ varargs }}{{ kwargs }}]{% endmacro %}{{ m(1) }}{{ m(1, 2, 3, k=4) }}{{ m(b=5, "
     "a=6) }}",
     "[11(){}][12(3,){'k': 4}][65(){}]"},
    {"{% macro m() %}<{{ caller('x') }}>{% endmacro %}{% call(y) m() %}{{ y }}{{ n }}{% endcall %}", "<x7>"},
    {"{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}", "1"},
    {"{% filter title %}it's o'neil{% endfilter %} {{ \"it's\".title() }}", "It's O'neil It'S"},
    {"{{ '\xC3\x9F\xEF\xAC\x81'.upper() }} {{ '\xCE\x91\xCE\xA3'.lower() }} {{ '\xC7\x86'.title() }} {{ '\xC4\xB0' | lower | "
     "length }}",
     "SSFI \xCE\xB1\xCF\x82 \xC7\x85 2"},
    {"{{ 'a  b'.split() }} {{ 'a  b'.split(' ') }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'abc'.partition('b') }} {{ "
     "'aXbX'.replace('X', '', 1) }}",
     "['a', 'b'] ['a', '', 'b'] ['a,b', 'c'] ('a', 'b', 'c') abX"},
    {"{{ '%s %05.1f %-4d| %x %r %%' | format('a', 2.55, 7, 255, 'q') }} {{ '%(k)s' % {'k': 1} }}", "a 002.5 7   | ff 'q' % 1"},
    {"{{ '{} {:>4}|{:^5}|{:,}|{:.2f}|{:#x}|{0!r}'.format(1) if false else '{:>4}|{:^5}|{:,}|{:.2f}|{:#x}|{k}'.format('a', 'b', "
     "12345, 2.5, 255, k=l) }}",
     "   a|  b  |12,345|2.50|0xff|[3, 1, 2]"},
    {"{{ w | sort }} {{ w | unique | list }} {{ l | max }} {{ o | map(attribute='n') | join('/') }} {{ o | sort(attribute='v') "
     "| map(attribute='n') | list }}",
     "['Alpha', 'alpha', 'beta'] ['beta', 'Alpha'] 3 x/Y ['Y', 'x']"},
    {"{{ o | selectattr('v', 'gt', 1) | list | length }}{{ o | groupby('v') | map('first') | list }}{{ l | batch(2) | list "
     "}}{{ l | slice(2) | list }}",
     "1[1, 2][[3, 1], [2]][[3, 1], [2]]"},
    {"{{ {'b': [1, {}], 'a': '<\xC3\xA9>'} | tojson(indent=1, sort_keys=true) }}{{ '\xC3\xA9\xF0\x9F\xA7\xB5' | "
     "tojson(ensure_ascii=true) }}",
     "{\n \"a\": \"<\xC3\xA9>\",\n \"b\": [\n  1,\n  {}\n ]\n}\"\\u00e9\\ud83e\\uddf5\""},
    {"{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 125 | round(-1) }} {{ '7.9' | int }} {{ '0x1f' | int(0, "
     "16) }} {{ 'x' | float(1) }}",
     "2.0 4.0 2.67 120 7 31 1"},
    {"{{ '<a>' | e }}{{ ('<' | e) + '<' }}{{ ('<' | e) ~ '<' }}{{ ['<' | e] }}", "&lt;a&gt;&lt;&lt;&lt;<[Markup('&lt;')]"},
    {"{{ strftime_now('%Y-%m-%d %H:%M:%S %j %f%Z') }}", "2025-03-09 07:05:02 068 000000"},
    {"{% if false %}{{ 1 | nosuch }}{% endif %}{{ (1 | nosuch) if false else 2 }}", "2"},
    {"{% block a %}{{ n }}{% endblock a %}{% print n, s[0] %}{% autoescape false %}<{% endautoescape %}", "77H<"},
    {"{{ s.__class__ }}{{ d.update }}{{ l['append'] }}", ""},
};

static void test_texts(void **state) {
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        wf_template_result result;
        weft_error err = {0};
        if (render(&b, &wf_mem_default, good[i].source, &result, &err) != WEFT_OK)
            fail_msg("%s: %s", good[i].source, err.message);
        if (strcmp(wf_str_text(&result.text), good[i].text) != 0)
            fail_msg("%s: '%s' instead of '%s'", good[i].source, wf_str_text(&result.text), good[i].text);
        wf_template_result_free(&result);
    }
    wf_arena_free(&b.arena);
}

/* ---- errors; a kind of SYNTAX comes from compiling, with the result untouched ---- */
static const struct {
    const char *source;
    wf_template_error kind;
    const char *message; /* contained */
} bad[] = {
    {"{{", WF_TEMPLATE_SYNTAX, "end of template"},
    {"{%", WF_TEMPLATE_SYNTAX, "tag name expected"},
    {"{% if 1 %}", WF_TEMPLATE_SYNTAX, "'elif' or 'else' or 'endif'"},
    {"a\n\n{% nosuch %}", WF_TEMPLATE_SYNTAX, "line 3: Encountered unknown tag 'nosuch'"},
    {"{{ 1 2 }}", WF_TEMPLATE_SYNTAX, "got 'integer'"},
    {"{{ 'a }}", WF_TEMPLATE_SYNTAX, "unexpected char"},
    {"{{ (1] }}", WF_TEMPLATE_SYNTAX, "unbalanced"},
    {"{# a", WF_TEMPLATE_SYNTAX, "Missing end of comment tag"},
    {"{% raw %}a", WF_TEMPLATE_SYNTAX, "Missing end of raw"},
    {"{{ '\\N{NO SUCH NAME}' }}", WF_TEMPLATE_SYNTAX, "escape"},
    {"{{ '\\ud800' }}", WF_TEMPLATE_SYNTAX, "escape"},
    {"{{ 1 | nosuch }}", WF_TEMPLATE_SYNTAX, "No filter named 'nosuch'"},
    {"{% for x in [] %}{{ x is nosuch }}{% endfor %}", WF_TEMPLATE_SYNTAX, "No test named 'nosuch'"},
    {"{% if false %}{% for x in [] %}{{ 1 | nosuch }}{% endfor %}{% endif %}", WF_TEMPLATE_SYNTAX, "No filter"},
    {"{% set 1 = 2 %}", WF_TEMPLATE_SYNTAX, "assign"},
    {"{% for loop in [1] %}{% endfor %}", WF_TEMPLATE_SYNTAX, "loop variable"},
    {"{% break %}", WF_TEMPLATE_SYNTAX, "outside loop"},
    {"{% macro m(a, a) %}{% endmacro %}", WF_TEMPLATE_SYNTAX, "duplicate"},
    {"{{ f(a=1, a=2) }}", WF_TEMPLATE_SYNTAX, "repeated"},
    {"\xFF", WF_TEMPLATE_SYNTAX, "UTF-8"},
    {"{{ raise_exception('no ' ~ n) }}", WF_TEMPLATE_RAISED, "no 7"},
    {"a\n{{ missing.x }}", WF_TEMPLATE_UNDEFINED, "line 2: 'missing' is undefined"},
    {"{{ d.x.y }}", WF_TEMPLATE_UNDEFINED, "'dict object' has no attribute 'x'"},
    {"{{ l[9].x }}", WF_TEMPLATE_UNDEFINED, "list object has no element 9"},
    {"{{ missing + 1 }}", WF_TEMPLATE_UNDEFINED, "undefined"},
    {"{{ missing() }}", WF_TEMPLATE_UNDEFINED, "undefined"},
    {"{{ l.append(1) }}", WF_TEMPLATE_SECURITY, "'append' of 'list' object is unsafe"},
    {"{{ ''.__class__.__mro__ }}", WF_TEMPLATE_SECURITY, "unsafe"},
    {"{{ '{0.__class__.x}'.format(1) }}", WF_TEMPLATE_SECURITY, "unsafe"},
    {"{% set ns = namespace() %}{% set ns._x = 1 %}", WF_TEMPLATE_SECURITY, "underscore"},
    {"{{ 'a' + 1 }}", WF_TEMPLATE_RUNTIME, "can only concatenate str (not \"int\") to str"},
    {"{{ 1 // 0 }}", WF_TEMPLATE_RUNTIME, "zero"},
    {"{% filter length %}ab{% endfilter %}", WF_TEMPLATE_RUNTIME, "expected str instance, int found"},
    {"{{ '{:s}'.format(true) }}", WF_TEMPLATE_RUNTIME, "Unknown format code 's'"},
    {"{{ n[:1] }}", WF_TEMPLATE_RUNTIME, "not subscriptable"},
    {"{{ '' | wordwrap(0) }}{{ 'a' | wordwrap(0) }}", WF_TEMPLATE_RUNTIME, "invalid width"},
    {"{{ [1] < ['a'] }}", WF_TEMPLATE_RUNTIME, "'<' not supported between instances of 'int' and 'str'"},
    {"{{ {[]: 1} }}", WF_TEMPLATE_RUNTIME, "unhashable"},
    {"{{ missing | tojson }}", WF_TEMPLATE_RUNTIME, "JSON serializable"},
    {"{% set d.x = 1 %}", WF_TEMPLATE_RUNTIME, "non-namespace"},
    {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", WF_TEMPLATE_RUNTIME, "not more than 1"},
    {"{% include 'x' %}", WF_TEMPLATE_RUNTIME, "no loader"},
    {"{{ s.split('') }}", WF_TEMPLATE_RUNTIME, "empty separator"},
    {"{{ range(100001) }}", WF_TEMPLATE_RUNTIME, "Range too big"},
    {"{{ 2 ** 100 }}", WF_TEMPLATE_RUNTIME, "not supported"},
    {"{{ 'a' * 10 ** 11 }}", WF_TEMPLATE_LIMIT, "MiB"},
    {"{{ [0] * 10 ** 12 }}", WF_TEMPLATE_LIMIT, "MiB"},
    {"{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(0) }}", WF_TEMPLATE_LIMIT, "recursion"},
    {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", WF_TEMPLATE_LIMIT, "steps"},
    {"{% set ns = namespace(s='xy') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", WF_TEMPLATE_LIMIT,
     "MiB"},
    {"{{ '{:>99999999999}'.format('x') }}", WF_TEMPLATE_LIMIT, "width"},
};

static void test_errors(void **state) {
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wf_template_result result;
        weft_error err = {0};
        weft_status status = render(&b, &wf_mem_default, bad[i].source, &result, &err);
        if (status == WEFT_OK || err.status != status || !strstr(err.message, bad[i].message))
            fail_msg("%s: '%s' instead of '%s'", bad[i].source, err.message, bad[i].message);
        assert_int_equal(result.text.length, 0);
        if (bad[i].kind != WF_TEMPLATE_SYNTAX)
            assert_int_equal(result.error, bad[i].kind);
        assert_int_equal(strcmp(wf_str_text(&result.message), bad[i].kind == WF_TEMPLATE_RAISED ? "no 7" : ""), 0);
        wf_template_result_free(&result);
    }
    wf_arena_free(&b.arena);
}

/* Nesting of every sort: refused before the stack is. */
static void test_depth(void **state) {
    static const struct {
        const char *before, *repeat, *middle, *after, *end;
    } nests[] = {{"{{ ", "(", "1", ")", " }}"},
                 {"{{ ", "[", "", "]", " }}"},
                 {"{{ ", "-", "1", "", " }}"},
                 {"{{ ", "not ", "1", "", " }}"},
                 {"{{ 'a'", " | upper", "", "", " }}"},
                 {"{{ 1", " + 1", "", "", " }}"},
                 {"{{ l", "[0]", "", "", " }}"},
                 {"{{ l", ".a", "", "", " }}"},
                 {"{{ ", "1 if 0 else ", "2", "", " }}"},
                 {"", "{% if 1 %}", "x", "{% endif %}", ""},
                 {"", "{% for a in [1] %}", "x", "{% endfor %}", ""},
                 {"{% if 0 %}", "{% elif 0 %}", "{% else %}x", "", "{% endif %}"},
                 {"{{ ", "{1:", "1", "}", " }}"},
                 {"{% set ", "(", "a", ",)", " = 1 %}"}};
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        wf_str s = wf_str_new(&wf_mem_default);
        wf_template_result result;
        weft_error err = {0};
        wf_str_puts(&s, nests[i].before);
        for (int k = 0; k < 50000; k++)
            wf_str_puts(&s, nests[i].repeat);
        wf_str_puts(&s, nests[i].middle);
        for (int k = 0; k < 50000; k++)
            wf_str_puts(&s, nests[i].after);
        wf_str_puts(&s, nests[i].end);
        if (render(&b, &wf_mem_default, s.data, &result, &err) == WEFT_OK)
            fail_msg("%s is accepted 50000 times", nests[i].repeat);
        wf_template_result_free(&result);
        wf_str_free(&s);
    }
    wf_arena_free(&b.arena);
}

static void test_spans(void **state) {
    static const char source[] = "\xC3\xA9{% generation %}ab\xC3\xA9{% endgeneration %}{% set x %}{% generation %}c{% "
                                 "endgeneration %}{% endset %}-{{ x }}";
    bench b;
    wf_template_result result;
    weft_error err = {0};
    open_bench(&b);
    assert_int_equal(render(&b, &wf_mem_default, source, &result, &err), WEFT_OK);
    assert_int_equal(result.n_spans, 2);
    assert_int_equal(result.spans[0].start, 1);
    assert_int_equal(result.spans[0].end, 4);
    assert_int_equal(result.spans[1].start, 4); /* where the output stands when the block is captured */
    assert_int_equal(result.spans[1].end, 5);
    wf_template_result_free(&result);
    wf_arena_free(&b.arena);
}

static void test_no_memory(void **state) {
    static const char source[] = "{% macro m(a, b=2) %}{{ a }}{{ kwargs }}{% endmacro %}{% set ns = namespace(x=l) %}{% for k, "
                                 "v in d | dictsort %}{% set ns.y = v ~ k %}"
                                 "{{ loop.last }}{{ m(v, c=1) }}{% endfor %}{{ o | sort(attribute='v') | map(attribute='n') | "
                                 "join(',') | indent(2) }}{{ d | tojson(indent=2) }}"
                                 "{{ '{:>8}'.format(n) }}{{ '%d %s' % (n, s) }}{{ s.split() }}{{ s | title | replace('o', '0') "
                                 "| e }}{% filter upper %}{% generation %}x"
                                 "{% endgeneration %}{% endfilter %}{% set t | trim %} y {% endset %}{{ [t, 1.5, none] | list "
                                 "}}{{ 1024 | filesizeformat }}";
    bench b;
    fail_mem f = {0};
    open_bench(&b);
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_template_result result;
        weft_error err = {0};
        weft_status status = render(&b, &mem, source, &result, &err);
        if (status != (f.fired ? WEFT_NO_MEMORY : WEFT_OK))
            fail_msg("allocation %ld: status %d, %s", atomic_load(&f.fail_at), (int)status, err.message);
        wf_template_result_free(&result);
        assert_int_equal(atomic_load(&f.live), 0);
    }
    wf_arena_free(&b.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_depth), cmocka_unit_test(test_spans),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
