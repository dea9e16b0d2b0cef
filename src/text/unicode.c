/* unicode.c - UTF-8 decoding and character classes over the tables of utf8proc. */
#include "text/unicode.h"

#include <utf8proc.h>

enum { O = WF_CHAR_OTHER, L = WF_CHAR_LETTER, N = WF_CHAR_NUMBER, S = WF_CHAR_SPACE };
const uint8_t wf_ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* controls */
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, /* blank to ? */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* @ to _ */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /* ` to DEL */
};

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
    default:
        return is_space(c) ? WF_CHAR_SPACE : WF_CHAR_OTHER;
    }
}

bool wf_char_is_punctuation(uint32_t c) {
    if (c < 128)
        return wf_ascii_class[c] == WF_CHAR_OTHER && c > 0x20u && c < 0x7Fu;
    utf8proc_category_t k = category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

/* Letters that are symbols by category: circled, squared and negative ones (Other_Alphabetic of category So). */
static bool is_alphabetic_symbol(uint32_t c) {
    return (c >= 0x24B6u && c <= 0x24E9u) || (c >= 0x1F130u && c <= 0x1F149u) || (c >= 0x1F150u && c <= 0x1F169u) ||
           (c >= 0x1F170u && c <= 0x1F189u);
}

bool wf_char_is_word(uint32_t c) {
    utf8proc_category_t k = category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NL) || k == UTF8PROC_CATEGORY_PC || c == 0x200Cu ||
           c == 0x200Du || is_alphabetic_symbol(c);
}

uint8_t wf_char_combining(uint32_t c) {
    return c > 0x10FFFFu ? 0 : (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
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
