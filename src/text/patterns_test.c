/* patterns_test.c - every pattern that is found by hand against its regular expression, on random texts. */
#include <string.h>

#include "base/rng.h"
#include "support/test.h"
#include "text/regex.h"
#include "text/patterns.h"
#include "text/unicode.h"

static const wf_mem *const mem = &wf_mem_default;

static uint32_t draw(uint32_t n) {
    static uint64_t drawn;
    return (uint32_t)wf_rng_below(wf_rng_make(5, 1, 0), drawn++, n);
}

/* Few characters, so that every two of them meet; and now and then any of the older planes. U+180E is left out: it is white
 * space for PCRE2's own \s, and for nobody else; and so are the characters that it may be too old for. */
static uint32_t any_char(void) {
    static const uint32_t often[] = {'a',    'B',    's',    'T',  'r',   'e',    'v',    'L',     'l',     'd',   'm',
                                     '\'',   '\'',   ' ',    ' ',  '\t',  '\n',   '\r',   '1',     '2',     '!',   '-',
                                     '/',    0x7F,   0x85,   0xA0, 0xE9,  0x130,  0x17F,  0x301,   0x2019,  0x1C5, 0x2B0,
                                     0x2028, 0x3000, 0x4E2D, 0xBD, 0x660, 0x2167, 0xFB06, 0x1F600, 0x1D7CE, 0x212A};
    if (draw(10))
        return often[draw(COUNT_OF(often))];
    uint32_t c = draw(0x3000);
    static const uint32_t left_out[] = {0x180E, 0x897, 0xCF3, 0xECE, 0x1C89, 0x1C8A};
    for (size_t i = 0; i < COUNT_OF(left_out); i++)
        c = c == left_out[i] ? 'x' : c;
    return c;
}

static size_t random_text(char *out, size_t most) {
    size_t n = 0, characters = 1 + draw((uint32_t)most);
    for (size_t i = 0; i < characters; i++) {
        uint32_t c = any_char();
        for (uint32_t times = draw(8) ? 1 : 1 + draw(5); times; times--)
            n += wf_put_char(c, out + n);
    }
    return n;
}

static void check_text(const wf_scan *s, const wf_finder *slow, wf_regex_scratch *scratch, wf_bytes text) {
    wf_search by_regex = wf_search_new(slow, scratch, text);
    for (size_t at = 0, end; at < text.length; at = end) {
        wf_regex_allow(scratch, text.length);
        assert_int_equal(wf_search_next(&by_regex, NULL), WEFT_OK);
        end = s->next(s, (const uint8_t *)text.data, text.length, at);
        if (!by_regex.found || by_regex.start != at || by_regex.end != end)
            fail_msg("%s\nat byte %zu of \"%.*s\": to %zu by hand, %zu to %zu by the expression", s->pattern, at,
                     (int)text.length, text.data, end, by_regex.start, by_regex.end);
    }
}

static void check_dialect(const wf_scan *s, wf_dialect dialect, int rounds) {
    wf_finder slow = {.regex = NULL};
    wf_regex_scratch *scratch;
    assert_int_equal(wf_regex_compile(mem, s->pattern, strlen(s->pattern), dialect, &slow.regex, NULL), WEFT_OK);
    assert_int_equal(wf_regex_scratch_create(mem, &scratch, NULL), WEFT_OK);
    for (int i = 0; i < rounds; i++) {
        char text[4 * 5 * 32];
        check_text(s, &slow, scratch, (wf_bytes){text, random_text(text, i % 3 ? 6 : 30)});
    }
    wf_regex_scratch_free(scratch);
    wf_regex_free(slow.regex);
}

static void test_equal(void **state) {
    for (const wf_scan *s = wf_scans; s->pattern; s++) {
        check_dialect(s, WF_PERL, 100000);
        if (!s->perl)
            check_dialect(s, WF_RUBY, 100000);
        assert_ptr_equal(wf_scan_find(s->pattern, strlen(s->pattern), true), s);
        assert_true(wf_scan_find(s->pattern, strlen(s->pattern), false) == (s->perl ? NULL : s));
    }
    assert_null(wf_scan_find("\\s+", 3, true));
}

/* Letters and numbers of expressions are those of the tables, which are the reference's, whatever age PCRE2 is of. */
static void test_classes(void **state) {
    static const struct {
        const char *pattern;
        wf_char_class class;
        bool inside;
    } cases[] = {{"\\p{L}", WF_CHAR_LETTER, true},   {"[^\\p{L}]", WF_CHAR_LETTER, false}, {"[\\P{L}]", WF_CHAR_LETTER, false},
                 {"[\\p{N}]", WF_CHAR_NUMBER, true}, {"\\P{N}", WF_CHAR_NUMBER, false},    {"\\s", WF_CHAR_SPACE, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_finder f = {.regex = NULL};
        wf_regex_scratch *scratch;
        assert_int_equal(wf_regex_compile(mem, cases[i].pattern, strlen(cases[i].pattern), WF_RUBY, &f.regex, NULL), WEFT_OK);
        assert_int_equal(wf_regex_scratch_create(mem, &scratch, NULL), WEFT_OK);
        for (uint32_t c = 0; c <= 0x10FFFF; c += c == 0xD7FF ? 0x801 : 1) {
            char text[4];
            wf_search s = wf_search_new(&f, scratch, (wf_bytes){text, wf_put_char(c, text)});
            assert_int_equal(wf_search_next(&s, NULL), WEFT_OK);
            if (s.found != ((wf_char_class_of(c) == cases[i].class) == cases[i].inside))
                fail_msg("%s at U+%04X", cases[i].pattern, (unsigned)c);
        }
        wf_regex_scratch_free(scratch);
        wf_regex_free(f.regex);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_classes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
