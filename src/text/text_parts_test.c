/* text_parts_test.c - the parts below the tokenizer: characters, the GPT-2 pattern, many strings at once, regular expressions.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/fail_mem.h"
#include "support/test.h"
#include "text/bytelevel.h"
#include "text/engine.h"
#include "text/unicode.h"

static void test_letters(void **state) {
    bool seen[0x144] = {false};
    for (int b = 0; b < 256; b++) {
        char utf8[WF_LETTER_BYTES];
        uint32_t c = wf_letter_of_byte((uint8_t)b);
        size_t n = wf_put_letter((uint8_t)b, utf8), length;
        assert_true(c < 0x144 && !seen[c]);
        seen[c] = true;
        assert_int_equal(wf_byte_of_letter(c), b);
        assert_int_equal(wf_char_at((const uint8_t *)utf8, n, &length), c);
        assert_int_equal(length, n);
    }
    for (uint32_t c = 0; c < 0x300; c++)
        assert_true(wf_byte_of_letter(c) >= 0 || c >= 0x144 || !seen[c]);
    assert_int_equal(wf_letter_of_byte(' '), 0x120); /* the well-known Ġ */
}

static void test_characters(void **state) {
    static const struct {
        const char *text;
        uint32_t c;
        size_t length;
    } cases[] = {
        {"a", 'a', 1},
        {"\xC3\xA9", 0xE9, 2},
        {"\xE2\x82\xAC", 0x20AC, 3},
        {"\xF0\x9F\x99\x82", 0x1F642, 4},
        {"\xF4\x8F\xBF\xBF", 0x10FFFF, 4},
        {"\x80", WF_NO_CHAR, 1},
        {"\xC3", WF_NO_CHAR, 1},
        {"\xC0\x80", WF_NO_CHAR, 1},
        {"\xE0\x80\x80", WF_NO_CHAR, 1},
        {"\xED\xA0\x80", WF_NO_CHAR, 1},
        {"\xF4\x90\x80\x80", WF_NO_CHAR, 1},
        {"\xF5\x80\x80\x80", WF_NO_CHAR, 1},
        {"\xE2\x82", WF_NO_CHAR, 1},
        {"\xFF", WF_NO_CHAR, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t length, n = strlen(cases[i].text);
        const uint8_t *p = (const uint8_t *)cases[i].text;
        assert_int_equal(wf_char_at(p, n, &length), cases[i].c);
        assert_int_equal(length, cases[i].length);
        if (cases[i].c != WF_NO_CHAR) {
            assert_int_equal(wf_char_before(p, n, &length), cases[i].c);
            assert_int_equal(length, n);
        }
    }
    size_t length;
    assert_int_equal(wf_char_before((const uint8_t *)"a\x80", 2, &length), WF_NO_CHAR);
    assert_int_equal(length, 1);
    assert_int_equal(wf_utf8_incomplete((const uint8_t *)"ab\xE2\x82", 4), 2);
    assert_int_equal(wf_utf8_incomplete((const uint8_t *)"ab\xE2\x82\xAC", 5), 0);
    assert_int_equal(wf_utf8_incomplete((const uint8_t *)"\xED\xA0", 2), 0); /* half of a surrogate: never a character */
}

static void test_classes(void **state) {
    static const struct {
        uint32_t c;
        wf_char_class k;
        bool punctuation, word;
    } cases[] = {
        {'a', WF_CHAR_LETTER, false, true},      {'5', WF_CHAR_NUMBER, false, true},     {' ', WF_CHAR_SPACE, false, false},
        {'_', WF_CHAR_OTHER, true, true},        {'$', WF_CHAR_OTHER, true, false},      {0xE9, WF_CHAR_LETTER, false, true},
        {0xB2, WF_CHAR_NUMBER, false, false},    {0x2167, WF_CHAR_NUMBER, false, true},  {0xA0, WF_CHAR_SPACE, false, false},
        {0x85, WF_CHAR_SPACE, false, false},     {0x180E, WF_CHAR_OTHER, false, false},  {0x3000, WF_CHAR_SPACE, false, false},
        {0x301, WF_CHAR_OTHER, false, true},     {0x24B6, WF_CHAR_OTHER, false, true},   {0x200D, WF_CHAR_OTHER, false, true},
        {0x3002, WF_CHAR_OTHER, true, false},    {0x1C89, WF_CHAR_LETTER, false, false}, {0x2E52, WF_CHAR_OTHER, false, false},
        {0x10D40, WF_CHAR_NUMBER, false, false}, {0x378, WF_CHAR_OTHER, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (wf_char_class_of(cases[i].c) != cases[i].k || wf_char_is_punctuation(cases[i].c) != cases[i].punctuation)
            fail_msg("U+%04X is of another class", cases[i].c);
        if (cases[i].c != 0x1C89 && cases[i].c != 0x10D40) /* depends on the version of utf8proc */
            assert_int_equal(wf_char_is_word(cases[i].c), cases[i].word);
    }
}

/* Pieces are shown with | between them. */
static void test_gpt2_pattern(void **state) {
    static const char *const cases[] = {
        "Hello| world",
        "don|'t|'s|'|a",
        "''|s",
        "a| | b",
        "a| |\n|b",
        " | a",
        "a|  ",
        "a|\n\n| b",
        "a|\n|\n|b",
        "x|1|y",
        " 12|ab",
        "!?| ...'|re",
        "'re|n",
        "a|\t|b",
        "\t| a",
        "caf\xC3\xA9|!",
        "\xC2\xB2\xE2\x85\xA7|a",
        "a|\xC2\xA0|b",
        " \xC2\xA0|\xC2\xA0|b",
        "a|\xFF\xFE| \xFF|b",
        " \n| x",
        "'ll|'ve|'m|'d",
        "'|x",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[64], got[128] = "";
        size_t n = 0, k = 0;
        for (const char *p = cases[i]; *p; p++)
            if (*p != '|')
                text[n++] = *p;
        for (size_t at = 0, end; at < n; at = end) {
            end = wf_gpt2_next((const uint8_t *)text, n, at);
            assert_true(end > at && end <= n);
            if (at)
                got[k++] = '|';
            memcpy(got + k, text + at, end - at);
            k += end - at;
        }
        got[k] = 0;
        assert_string_equal(got, cases[i]);
    }
}

/* ---- matcher ---- */

/* Leftmost, then longest: the definition. */
static bool find_slowly(const wf_pattern *p, size_t n, const char *text, size_t length, size_t from, wf_match *out) {
    for (size_t at = from; at < length; at++) {
        size_t best = 0;
        for (size_t i = 0; i < n; i++)
            if (p[i].length > best && p[i].length <= length - at && memcmp(p[i].text, text + at, p[i].length) == 0) {
                best = p[i].length;
                *out = (wf_match){at, at + best, i};
            }
        if (best)
            return true;
    }
    return false;
}

static void test_matcher(void **state) {
    for (uint64_t round = 0; round < 3000; round++) {
        wf_rng rng = wf_rng_make(round, 2, 0);
        char strings[8][8], text[64];
        wf_pattern patterns[8];
        uint64_t k = 0;
        size_t n = 1 + wf_rng_below(rng, k++, 8), length = wf_rng_below(rng, k++, sizeof text);
        unsigned letters = 1 + (unsigned)wf_rng_below(rng, k++, 3);
        for (size_t i = 0; i < n; i++) {
            patterns[i] = (wf_pattern){strings[i], wf_rng_below(rng, k++, sizeof strings[i])};
            for (size_t j = 0; j < patterns[i].length; j++)
                strings[i][j] = (char)('a' + wf_rng_below(rng, k++, letters));
        }
        for (size_t i = 0; i < length; i++)
            text[i] = (char)('a' + wf_rng_below(rng, k++, letters));
        wf_arena arena;
        wf_matcher *m;
        wf_arena_init(&arena, &wf_mem_default, 0);
        assert_int_equal(wf_matcher_create(&arena, patterns, n, &m, NULL), WEFT_OK);
        for (size_t from = 0;;) {
            wf_match a = {0}, b = {0};
            bool found = wf_matcher_find(m, (const uint8_t *)text, length, from, &a);
            assert_int_equal(found, find_slowly(patterns, n, text, length, from, &b));
            if (!found)
                break;
            assert_true(a.start == b.start && a.end == b.end && a.pattern == b.pattern);
            from = a.end;
        }
        wf_arena_free(&arena);
    }
}

/* ---- regular expressions ---- */

static void test_regex(void **state) {
    static const struct {
        const char *pattern, *text;
        int start, end;
    } cases[] = {
        {"b+", "abba", 1, 3},
        {"[0-9]{3}", "12 3456", 3, 6},
        {"\\s+(?!\\S)", "a  b", 1, 2},
        {"\\p{Lu}", "aBc", 1, 2},
        {"x", "abc", -1, -1},
        {"(?i:'S)", "it's", 2, 4},
        {"[^\\s\\p{L}]", "a\xE1\xA0\x8E", 1, 4},
        {"\\s", "\xE1\xA0\x8E", -1, -1},
        {"\\S", " a", 1, 2},
        {"[]a]+", "x]a", 1, 3},
        {"[^]a]", "]b", 1, 2},
        {"\\[\\{", "[{", 0, 2},
        {"\\h+", "xyzf0", 3, 5},
        {"\\w+", "-a\xCC\x81_1", 1, 6},
        {"^b", "a\nb", 2, 3},
        {"a$", "a\nb", 0, 1},
        {"[[:alpha:]]+", "1ab", 1, 3},
        {"[[:^digit:]]", "1ab", 1, 2},
        {"[a-d&&[^bc]]+", "bcad", 2, 4},
        {"[^a[bc]]", "abcd", 3, 4},
        {"[a[^b-z]]+", "bzaA", 2, 4},
        {"a{1,2}+", "aaaaa", 0, 5},
        {"(?:ab){2}+c", "ababababc", 0, 9},
        {"x{,2}y", "xxxy", 1, 4},
        {"[\\S]+", " ab ", 1, 3},
        {"a*", "baa", 0, 0},
        {"(?m:a.b)", "a\nb", 0, 3},
        {"\\bb", "ab b", 3, 4},
        {"a(?i)b|c", "c aC", 2, 4}, /* the rest of the group, all its branches */
        {"(?i)b|(?-i)c|x", "CX", -1, -1},
        {"(?i:ss)", "a\xC3\x9F", 1, 3},
        {"(?i:ss+)", "a\xC3\x9FsS", 3, 5},
        {"(?i:mass)e",
         "Ma\xC3\x9F"
         "e",
         0, 5},
        {"(?i)\xC3\x9F+", "aSs\xE1\xBA\x9E", 1, 6},
        {"(?i:ffi)", "\xEF\xAC\x80I", 0, 4},
        {"(?<=(?i:ss))e",
         "\xC3\x9F"
         "e sse",
         6, 7},
        {"(?<q>['\"])a\\k<q>", "'a\" \"a\"", 4, 7},
        {"\\cA[\\cb]", "\x01\x02", 0, 2},
        {"a\\Kb", "xab", 2, 3},
        {"(?:a\\Kx|ab)", "ab", 0, 2},
        {"(a|b\\K)*c", "abac", 2, 4},
        {"(?i:[\xC3\x9F]x)", "SSx", 0, 3},
        {"(?i:[\\w]x)", "ssx", 0, 3}, /* the set first, then what its characters are without case */
        {"(?i:\\wx)", "ssx", 1, 3},
        {"(?i:[^a]x)", "ssx", 1, 3},
        {"(?i:[\xEF\xAC\x83\xEF\xAC\x80])", "FFI", 0, 2},
        {"(?i:[\xC5\x89]+)", "\xCA\xBCN\xC5\x89", 0, 5},
        {"(?i:(?<=[\\w])x)", "ssx", 2, 3},
    };
    wf_regex_scratch *scratch;
    assert_int_equal(wf_regex_scratch_create(&wf_mem_default, &scratch, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_regex *r;
        weft_error err = {0};
        size_t span[2];
        bool found;
        if (wf_regex_compile(&wf_mem_default, cases[i].pattern, strlen(cases[i].pattern), WF_RUBY, &r, &err) != WEFT_OK)
            fail_msg("%s: %s", cases[i].pattern, err.message);
        assert_int_equal(
            wf_regex_find(r, scratch, (wf_regex_text){cases[i].text, strlen(cases[i].text), 0}, span, &found, &err), WEFT_OK);
        if (found != (cases[i].start >= 0) || (found && (span[0] != (size_t)cases[i].start || span[1] != (size_t)cases[i].end)))
            fail_msg("%s matches \"%s\" at another place", cases[i].pattern, cases[i].text);
        wf_regex_free(r);
    }
    wf_regex_scratch_free(scratch);
}

static void test_regex_refused(void **state) {
    static const struct {
        const char *pattern;
        weft_status status;
    } cases[] = {
        {"(", WEFT_BAD_INPUT},
        {"[a", WEFT_BAD_INPUT},
        {"\\p{Nonsense}", WEFT_BAD_INPUT},
        {"a\\", WEFT_BAD_INPUT},
        {"a)", WEFT_BAD_INPUT},
        {"(?<n>a)(b)\\1", WEFT_UNSUPPORTED},
        {"(?R)a", WEFT_UNSUPPORTED},
        {"(a)\\2", WEFT_UNSUPPORTED},
        {"[[:nonsense:]]", WEFT_UNSUPPORTED},
        {"(?=a\\K)", WEFT_UNSUPPORTED},
        {"(?i:(?<=[\xC3\x9F])x)", WEFT_UNSUPPORTED},
        {"\\X", WEFT_UNSUPPORTED},
        {"\\y", WEFT_UNSUPPORTED},
        {"(?~a)", WEFT_UNSUPPORTED},
        {"(?i:[[:upper:]])", WEFT_UNSUPPORTED},
        {"(?i:[^\\p{Lu}])", WEFT_UNSUPPORTED},
        {"\\k<1x>", WEFT_UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_regex *r;
        weft_error err = {0};
        weft_status status = wf_regex_compile(&wf_mem_default, cases[i].pattern, strlen(cases[i].pattern), WF_RUBY, &r, &err);
        if (status != cases[i].status)
            fail_msg("%s: %d %s", cases[i].pattern, status, err.message);
        assert_true(err.message[0] != 0);
    }
}

/* What Oniguruma has in its sets of characters, which is not what PCRE2 has. */
static void test_regex_sets(void **state) {
    static const struct {
        const char *pattern, *text;
        bool found;
    } cases[] = {
        {"\\w", "\xC2\xB2", true},
        {"[\\w]", "\xC2\xB2", false},
        {"[^\\w]", "\xC2\xBD", true},
        {"[[:word:]]", "\xC2\xB9", false},
        {"\\p{Han}", "\xE3\x80\x81", false},
        {"\\p{Han}", "\xE4\xB8\xAD", true},
        {"[[:alpha:]]", "\xCC\x80", false},
        {"[[:punct:]]", "+", true},
        {"\\p{Punct}", "+", false},
        {"[[:graph:]]", "\xC2\xA0", false},
        {"[[:print:]]", "\xC2\xA0", true},
        {"\\p{Letter}", "a", true},
        {"\\p{uppercase letter}", "a", false},
        {"\\P{Cn}", "\xE1\xB2\x89", true},
        {"\\p{Lu}", "\xE1\xB2\x89", true},
        {"\\v", "\n", false},
        {"\\101", "A", true},
        {"(.)\\1", "ab", false},
        {"(.)\\1", "aa", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_regex *r;
        wf_regex_scratch *scratch;
        size_t span[2];
        bool found;
        assert_int_equal(wf_regex_compile(&wf_mem_default, cases[i].pattern, strlen(cases[i].pattern), WF_RUBY, &r, NULL), 0);
        assert_int_equal(wf_regex_scratch_create(&wf_mem_default, &scratch, NULL), WEFT_OK);
        wf_regex_text text = {cases[i].text, strlen(cases[i].text), 0};
        assert_int_equal(wf_regex_find(r, scratch, text, span, &found, NULL), WEFT_OK);
        if (found != cases[i].found)
            fail_msg("%s in '%s': %d", cases[i].pattern, cases[i].text, found);
        wf_regex_scratch_free(scratch);
        wf_regex_free(r);
    }
}

/* Catastrophic backtracking ends with a status. */
static void test_regex_limit(void **state) {
    enum { N = 2000 };
    static const char pattern[] = "(a|aa)+b";
    char text[N];
    wf_regex *r;
    wf_regex_scratch *scratch;
    size_t span[2];
    bool found;
    memset(text, 'a', sizeof text);
    assert_int_equal(wf_regex_compile(&wf_mem_default, pattern, strlen(pattern), WF_RUBY, &r, NULL), WEFT_OK);
    assert_int_equal(wf_regex_scratch_create(&wf_mem_default, &scratch, NULL), WEFT_OK);
    text[N - 1] = 'c';
    weft_status status = wf_regex_find(r, scratch, (wf_regex_text){text, N, 0}, span, &found, NULL);
    assert_true(status == WEFT_FAILURE || (status == WEFT_OK && !found)); /* PCRE2 may see that there is no b at all */
    text[0] = 'b';
    text[N - 2] = 'c';
    text[N - 1] = 'b';
    assert_int_equal(wf_regex_find(r, scratch, (wf_regex_text){text, N, 1}, span, &found, NULL), WEFT_FAILURE);
    wf_regex_scratch_free(scratch);
    wf_regex_free(r);
}

static void test_regex_without_memory(void **state) {
    static const char pattern[] = "\\s+|[a-z]+(?!x)", text[] = "  abc";
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem m = fail_mem_hook(&f);
        wf_regex *r = NULL;
        wf_regex_scratch *scratch = NULL;
        size_t span[2];
        bool found;
        weft_status status = wf_regex_compile(&m, pattern, strlen(pattern), WF_RUBY, &r, NULL);
        if (status == WEFT_OK)
            status = wf_regex_scratch_create(&m, &scratch, NULL);
        if (status == WEFT_OK)
            status = wf_regex_find(r, scratch, (wf_regex_text){text, strlen(text), 0}, span, &found, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_regex_free(r);
        wf_regex_scratch_free(scratch);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters),       cmocka_unit_test(test_characters),
        cmocka_unit_test(test_classes),       cmocka_unit_test(test_gpt2_pattern),
        cmocka_unit_test(test_matcher),       cmocka_unit_test(test_regex),
        cmocka_unit_test(test_regex_refused), cmocka_unit_test(test_regex_sets),
        cmocka_unit_test(test_regex_limit),   cmocka_unit_test(test_regex_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
