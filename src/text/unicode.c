/* unicode.c - UTF-8 decoding and character classes over the tables of utf8proc. */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/ranges.h"
#include "text/unicode_ages.h"

enum { O = WF_CHAR_OTHER, L = WF_CHAR_LETTER, N = WF_CHAR_NUMBER, S = WF_CHAR_SPACE };
const uint8_t wf_ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* controls */
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, /* blank to ? */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* @ to _ */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* ` to DEL */
};

/* The reference's regular expressions know Unicode 16. What came after Unicode 15, for a utf8proc that is older than that: */
static const wf_range new_letters[] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3}, {0x10D4A, 0x10D65}, {0x10D6F, 0x10D85},
    {0x10EC2, 0x10EC4}, {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113B7},
    {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0}, {0x13460, 0x143FA}, {0x16100, 0x1611D}, {0x16D40, 0x16D6C},
    {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED}, {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D}};
static const wf_range new_numbers[] = {{0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9}, {0x16130, 0x16139},
                                       {0x16D70, 0x16D79}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA}};
/* The reference's table of punctuation is that of Unicode 9: what became punctuation later is none for its tokenizers; and two
 * characters are no longer what they were. */
static const wf_range late_punctuation[] = {
    {0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},     {0xC84, 0xC84},     {0x1B7D, 0x1B7E},
    {0x2E43, 0x2E4F},   {0x2E52, 0x2E5D},   {0x10EAD, 0x10EAD}, {0x10F55, 0x10F59}, {0x10F86, 0x10F89}, {0x1144B, 0x1144F},
    {0x1145A, 0x1145B}, {0x1145D, 0x1145D}, {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1183B, 0x1183B}, {0x11944, 0x11946},
    {0x119E2, 0x119E2}, {0x11A3F, 0x11A46}, {0x11A9A, 0x11A9C}, {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11C41, 0x11C45},
    {0x11C70, 0x11C71}, {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F}, {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x16E97, 0x16E9A},
    {0x16FE2, 0x16FE2}, {0x1E95E, 0x1E95F}};
static const wf_range former_punctuation[] = {{0x166D, 0x166D}, {0x111C9, 0x111C9}};
#define IN(table, c) wf_ranges_have(table, sizeof table / sizeof *table, c)

static utf8proc_category_t category(uint32_t c) {
    return c > 0x10FFFFu ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)c);
}

static bool is_space(uint32_t c) {
    return c == 0x85u || c == 0xA0u || c == 0x1680u || (c >= 0x2000u && c <= 0x200Au) || c == 0x2028u || c == 0x2029u ||
           c == 0x202Fu || c == 0x205Fu || c == 0x3000u;
}

wf_char_class wf_char_class_beyond_ascii(uint32_t c) {
    switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return WF_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return WF_CHAR_NUMBER;
    case UTF8PROC_CATEGORY_CN:
        return IN(new_letters, c) ? WF_CHAR_LETTER : IN(new_numbers, c) ? WF_CHAR_NUMBER : WF_CHAR_OTHER;
    default:
        return is_space(c) ? WF_CHAR_SPACE : WF_CHAR_OTHER;
    }
}

unsigned wf_char_cases_beyond_ascii(uint32_t c) {
    utf8proc_category_t k = category(c);
    if (k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LT)
        return WF_IN_UPPER;
    if (k == UTF8PROC_CATEGORY_LL)
        return WF_IN_LOWER;
    bool mark = k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME;
    return mark || wf_char_class_beyond_ascii(c) == WF_CHAR_LETTER ? WF_IN_UPPER | WF_IN_LOWER : 0;
}

bool wf_char_is_numeric(uint32_t c) {
    return wf_char_class_of(c) == WF_CHAR_NUMBER || (c > 0xFFFFu && wf_age_has(WF_NEW_NUMBER, c));
}

bool wf_char_is_punctuation(uint32_t c) {
    if (c < 128)
        return wf_ascii_class[c] == WF_CHAR_OTHER && c > 0x20u && c < 0x7Fu;
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO && !IN(late_punctuation, c)) || IN(former_punctuation, c);
}

/* Letters that are symbols by category: circled, squared and negative ones (Other_Alphabetic of category So). */
static bool is_alphabetic_symbol(uint32_t c) {
    return (c >= 0x24B6u && c <= 0x24E9u) || (c >= 0x1F130u && c <= 0x1F149u) || (c >= 0x1F150u && c <= 0x1F169u) ||
           (c >= 0x1F170u && c <= 0x1F189u);
}

bool wf_char_is_word(uint32_t c) {
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC || c == 0x200Cu ||
           c == 0x200Du || is_alphabetic_symbol(c) || (k == UTF8PROC_CATEGORY_CN && wf_age_has(WF_NEW_WORD, c));
}

bool wf_char_is_mark(uint32_t c) {
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME && !wf_age_has(WF_LATE_MARK, c)) ||
           wf_age_has(WF_FORMER_MARK, c);
}

bool wf_char_is_accent(uint32_t c) {
    return (category(c) == UTF8PROC_CATEGORY_MN && !wf_age_has(WF_LATE_ACCENT, c)) || wf_age_has(WF_FORMER_ACCENT, c);
}

bool wf_char_is_control(uint32_t c) {
    utf8proc_category_t k = category(c);
    return (k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO || k == UTF8PROC_CATEGORY_CS) &&
           !wf_age_has(WF_LATE_CONTROL, c);
}

/* By utf8proc's own tables. */
static size_t decompose(uint32_t c, uint32_t parts[WF_LONGEST_DECOMPOSITION]) {
    parts[0] = c;
    if (c < 0xC0u || c > 0x10FFFFu)
        return 1;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, (utf8proc_int32_t *)parts, WF_LONGEST_DECOMPOSITION,
                                                 (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), NULL);
    return n > 0 ? (size_t)n : 1;
}

size_t wf_char_decompose(uint32_t c, uint32_t parts[WF_LONGEST_DECOMPOSITION]) {
    parts[0] = c;
    return wf_age_has(WF_LATE_FORM, c) ? 1 : decompose(c, parts);
}

uint32_t wf_char_base(uint32_t c) {
    uint32_t parts[WF_LONGEST_DECOMPOSITION];
    decompose(c, parts);
    return parts[0];
}

uint32_t wf_char_lower(uint32_t c) {
    if (c < 128)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    uint32_t lower = c > 0x10FFFFu ? c : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return lower == c && c >= 0x1C89u ? wf_new_lower(c) : lower;
}

uint8_t wf_char_combining(uint32_t c) {
    uint8_t class = c > 0x10FFFFu ? 0 : (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
    return class && !wf_age_has(WF_LATE_FORM, c) ? class : 0;
}

/* Length announced by a lead byte, 0 when it cannot lead; and the range its second byte must lie in (Unicode, table 3-7). */
static size_t lead(uint8_t b, uint8_t *low, uint8_t *high) {
    *low = 0x80;
    *high = 0xBF;
    if (b >= 0xC2 && b <= 0xDF)
        return 2;
    if (b >= 0xE0 && b <= 0xEF) {
        *low = b == 0xE0 ? 0xA0 : 0x80;
        *high = b == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (b >= 0xF0 && b <= 0xF4) {
        *low = b == 0xF0 ? 0x90 : 0x80;
        *high = b == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

/* How many of the `want` bytes of a sequence at p are there and right, at most n. */
static size_t good_bytes(const uint8_t *p, size_t n, size_t want, uint8_t low, uint8_t high) {
    size_t have = 1;
    while (have < want && have < n && p[have] >= (have == 1 ? low : 0x80) && p[have] <= (have == 1 ? high : 0xBF))
        have++;
    return have;
}

uint32_t wf_char_beyond_ascii(const uint8_t *p, size_t n, size_t *length) {
    uint8_t low, high;
    size_t want = lead(p[0], &low, &high);
    *length = 1;
    if (want == 0 || good_bytes(p, n, want, low, high) < want)
        return WF_NO_CHAR;
    *length = want;
    uint32_t c = p[0] & (0xFFu >> (want + 1));
    for (size_t i = 1; i < want; i++)
        c = c << 6 | (p[i] & 0x3Fu);
    return c;
}

uint32_t wf_char_before(const uint8_t *p, size_t n, size_t *length) {
    for (size_t back = 1; back <= 4 && back <= n; back++) {
        const uint8_t *at = p + n - back;
        if ((at[0] & 0xC0u) == 0x80u)
            continue;
        uint32_t c = wf_char_at(at, back, length);
        if (*length == back)
            return c;
        break;
    }
    *length = 1;
    return WF_NO_CHAR;
}

size_t wf_put_char(uint32_t c, char out[4]) {
    if (c < 0x80u) {
        out[0] = (char)c;
        return 1;
    }
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

size_t wf_count_chars(const uint8_t *p, size_t n) {
    size_t count = 0;
    for (size_t i = 0, length; i < n; i += length, count++)
        wf_char_at(p + i, n - i, &length);
    return count;
}

size_t wf_utf8_valid_length(const uint8_t *p, size_t n) {
    for (size_t i = 0, length;; i += length) {
        for (uint64_t eight = 0; i + 8 <= n; i += 8) {
            memcpy(&eight, p + i, 8);
            if (eight & 0x8080808080808080u)
                break;
        }
        if (i == n || wf_char_at(p + i, n - i, &length) == WF_NO_CHAR)
            return i;
    }
}

bool wf_utf8_valid(const uint8_t *p, size_t n) { return wf_utf8_valid_length(p, n) == n; }

size_t wf_utf8_broken(const uint8_t *p, size_t n) {
    uint8_t low, high;
    size_t want = lead(p[0], &low, &high);
    return want ? good_bytes(p, n, want, low, high) : 1;
}

size_t wf_utf8_incomplete(const uint8_t *p, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const uint8_t *at = p + n - back;
        if ((at[0] & 0xC0u) == 0x80u)
            continue;
        uint8_t low, high;
        size_t want = lead(at[0], &low, &high);
        return want > back && good_bytes(at, back, want, low, high) == back ? back : 0;
    }
    return 0;
}
