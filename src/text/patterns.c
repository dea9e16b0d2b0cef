/* patterns.c - well-known patterns, by hand. */
#include "text/patterns.h"

#include <string.h>

#include "text/unicode.h"

/* ---- GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ ---- */

/* Length of the contraction at `p`, which begins with an apostrophe; 0 when there is none. */
static size_t contraction(const uint8_t *p, size_t n) {
    if (n >= 2 && (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd'))
        return 2;
    if (n >= 3 && ((p[1] == 'r' && p[2] == 'e') || (p[1] == 'v' && p[2] == 'e') || (p[1] == 'l' && p[2] == 'l')))
        return 3;
    return 0;
}

static wf_char_class class_at(const uint8_t *p, size_t n, size_t *length) {
    uint32_t c = wf_char_at(p, n, length);
    return c == WF_NO_CHAR ? WF_CHAR_OTHER : wf_char_class_of(c);
}

/* The end of the run of `kind` that goes on at `at`. */
static size_t run_end(const uint8_t *text, size_t n, size_t at, wf_char_class kind) {
    for (size_t length; at < n; at += length) {
        while (at < n && text[at] < 128 && wf_ascii_class[text[at]] == kind)
            at++;
        if (at == n || class_at(text + at, n - at, &length) != kind)
            break;
    }
    return at;
}

/* A run of white space gives its last character to what follows, unless it is the text's end or all there is. */
static size_t space_end(const uint8_t *text, size_t n, size_t at) {
    size_t end = at, last = at, length;
    while (end < n && class_at(text + end, n - end, &length) == WF_CHAR_SPACE) {
        last = end;
        end += length;
    }
    return end == n || last == at ? end : last;
}

size_t wf_gpt2_next(const uint8_t *text, size_t n, size_t at) {
    size_t length, skip = 0;
    if (text[at] == '\'') {
        size_t c = contraction(text + at, n - at);
        if (c)
            return at + c;
    }
    wf_char_class kind = class_at(text + at, n - at, &length);
    if (text[at] == ' ' && at + 1 < n) {
        wf_char_class next = class_at(text + at + 1, n - at - 1, &length);
        if (next != WF_CHAR_SPACE) {
            kind = next;
            skip = 1;
        }
    }
    return kind == WF_CHAR_SPACE ? space_end(text, n, at) : run_end(text, n, at + skip + length, kind);
}

static size_t next_gpt2(const wf_scan *s, const uint8_t *text, size_t n, size_t at) { return wf_gpt2_next(text, n, at); }

/* ---- GPT-4 and what came after it:
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ ---- */

/* The contraction behind the apostrophe at `p`, in any case. */
static size_t any_contraction(const wf_scan *s, const uint8_t *p, size_t n) {
    uint8_t lower[3] = {0};
    for (size_t i = 1; i < 3 && i < n; i++)
        lower[i] = p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i];
    if (s->folds && n >= 3 && p[1] == 0xC5 && p[2] == 0xBF)
        return 3;
    return contraction(lower, n < 3 ? n : 3);
}

static bool ends_line(uint8_t c) { return c == '\r' || c == '\n'; }

static size_t numbers_end(const wf_scan *s, const uint8_t *text, size_t n, size_t at) {
    size_t length;
    for (size_t i = 0; i < s->digits && at < n && class_at(text + at, n - at, &length) == WF_CHAR_NUMBER; i++)
        at += length;
    return at;
}

static size_t others_end(const wf_scan *s, const uint8_t *text, size_t n, size_t at) {
    at = run_end(text, n, at, WF_CHAR_OTHER);
    while (at < n && (ends_line(text[at]) || (s->slashes && text[at] == '/')))
        at++;
    return at;
}

/* White space goes up to its last line end; without one it leaves its last character to what follows. */
static size_t blanks_end(const wf_scan *s, const uint8_t *text, size_t n, size_t at) {
    size_t end = at, last = at, line = at, length;
    while (end < n && class_at(text + end, n - end, &length) == WF_CHAR_SPACE) {
        last = end;
        end += length;
        if (ends_line(text[last]))
            line = end;
    }
    if (end == n && s->whole_tails)
        return end;
    if (line > at)
        return line;
    return end == n || last == at ? end : last;
}

static size_t next_gpt4(const wf_scan *s, const uint8_t *text, size_t n, size_t at) {
    size_t first, second;
    wf_char_class kind = class_at(text + at, n - at, &first), next = WF_CHAR_SPACE;
    if (kind == WF_CHAR_LETTER)
        return run_end(text, n, at + first, WF_CHAR_LETTER);
    if (kind == WF_CHAR_NUMBER)
        return numbers_end(s, text, n, at);
    size_t c = text[at] == '\'' ? any_contraction(s, text + at, n - at) : 0;
    if (c)
        return at + c;
    if (at + first < n)
        next = class_at(text + at + first, n - at - first, &second);
    if (next == WF_CHAR_LETTER && !ends_line(text[at]))
        return run_end(text, n, at + first + second, WF_CHAR_LETTER);
    if (kind == WF_CHAR_OTHER)
        return others_end(s, text, n, at + first);
    if (text[at] == ' ' && next == WF_CHAR_OTHER)
        return others_end(s, text, n, at + first + second);
    return blanks_end(s, text, n, at);
}

/* ---- GPT-4o and what came after it: words are cut before the upper case letters inside them.
 * P?U*L+E?|P?U+L*E?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+, where
 * P = [^\r\n\p{L}\p{N}], U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], E = (?i:'s|'t|...) ---- */

static unsigned cases_at(const uint8_t *p, size_t n, size_t *length) {
    uint32_t c = wf_char_at(p, n, length);
    return c == WF_NO_CHAR ? 0 : wf_char_cases(c);
}

/* Where U*L+ ends (*lower), or else U+; `at` when neither begins there. A run of U that no other letter follows gives back what
 * L needs: the letters behind its last one of both kinds. */
static size_t cased_end(const uint8_t *text, size_t n, size_t at, bool *lower) {
    size_t length = 0, end = at, both = at;
    unsigned cases = 0;
    while (end < n && (cases = cases_at(text + end, n - end, &length)) & WF_IN_UPPER) {
        end += length;
        both = cases & WF_IN_LOWER ? end : both;
    }
    *lower = (end < n && cases == WF_IN_LOWER) || both > at;
    if (end == n || cases != WF_IN_LOWER)
        return *lower ? both : end;
    while (end < n && cases_at(text + end, n - end, &length) & WF_IN_LOWER)
        end += length;
    return end;
}

/* The word that begins at `at`, with the character of `kind` and `first` bytes before its letters; `at` when there is none. */
static size_t cased_word(const uint8_t *text, size_t n, size_t at, wf_char_class kind, size_t first) {
    bool lower, alone;
    if (kind == WF_CHAR_LETTER)
        return cased_end(text, n, at, &lower);
    size_t after = at + first, end = cased_end(text, n, after, &lower);
    if (lower)
        return end;
    size_t mark = cased_end(text, n, at, &alone); /* a mark is a letter too */
    return mark > at ? mark : end > after ? end : at;
}

static size_t next_gpt4o(const wf_scan *s, const uint8_t *text, size_t n, size_t at) {
    size_t first, second;
    wf_char_class kind = class_at(text + at, n - at, &first), next = WF_CHAR_SPACE;
    if (kind == WF_CHAR_NUMBER)
        return numbers_end(s, text, n, at);
    size_t word = ends_line(text[at]) ? at : cased_word(text, n, at, kind, first);
    if (word > at)
        return word + (s->endings && word < n && text[word] == '\'' ? any_contraction(s, text + word, n - word) : 0);
    if (kind == WF_CHAR_OTHER)
        return others_end(s, text, n, at + first);
    if (at + first < n)
        next = class_at(text + at + first, n - at - first, &second);
    if (text[at] == ' ' && next == WF_CHAR_OTHER)
        return others_end(s, text, n, at + first + second);
    return blanks_end(s, text, n, at);
}

/* ---- the table ---- */

#define ENDINGS "'s|'t|'re|'ve|'m|'ll|'d"
#define ANY_CASE_ENDINGS "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define BLANKS "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" BLANKS
#define CASED(many_upper, many_lower)                                                                                          \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]" many_upper "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]" many_lower
#define SLASHED " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" BLANKS
/* clang-format off */
const wf_scan wf_scans[] = {
    {.pattern = ENDINGS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", .next = next_gpt2},
    {.pattern = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s", .next = next_gpt2},
    {.pattern = "(?i:" ENDINGS ")|" LETTERS "|\\p{N}{1,3}|" OTHERS, .next = next_gpt4, .digits = 3, .folds = true},
    {.pattern = "(?i:" ENDINGS ")|" LETTERS "|\\p{N}|" OTHERS, .next = next_gpt4, .digits = 1, .folds = true},
    {.pattern = "(?:" ANY_CASE_ENDINGS ")|" LETTERS "|\\p{N}{1,3}|" OTHERS, .next = next_gpt4, .digits = 3},
    {.pattern = "(?:" ANY_CASE_ENDINGS ")|" LETTERS "|\\p{N}|" OTHERS, .next = next_gpt4, .digits = 1},
    {.pattern = "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|"
                "\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
     .next = next_gpt4, .digits = 3, .folds = true, .whole_tails = true, .perl = true},
    {.pattern = CASED("*", "+") "(?i:" ENDINGS ")?|" CASED("+", "*") "(?i:" ENDINGS ")?|\\p{N}{1,3}|" SLASHED,
     .next = next_gpt4o, .digits = 3, .slashes = true, .endings = true, .folds = true},
    {.pattern = CASED("*", "+") "|" CASED("+", "*") "|\\p{N}|" SLASHED, .next = next_gpt4o, .digits = 1, .slashes = true},
    {.pattern = NULL}};
/* clang-format on */

const wf_scan *wf_scan_find(const char *pattern, size_t length, bool perl) {
    for (const wf_scan *s = wf_scans; s->pattern; s++)
        if ((perl || !s->perl) && strlen(s->pattern) == length && memcmp(s->pattern, pattern, length) == 0)
            return s;
    return NULL;
}
