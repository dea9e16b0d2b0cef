/* characters.c - text as Python's str sees it, over the tables of utf8proc: classes, full case mappings, white space. */
#define _GNU_SOURCE /* memmem: linear for every needle */
#include <string.h>
#include <utf8proc.h>
#include "base/ranges.h"
#include "template/engine.h"

#define IN(table, c) wf_ranges_have(table, sizeof table / sizeof *table, c)

static const wf_range spaces[] = {{0x9, 0xD},       {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
                                  {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
/* Numeric_Type=Digit */
static const wf_range other_digits[] = {{0xB2, 0xB3},       {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},
                                        {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
                                        {0x2474, 0x247C},   {0x2488, 0x2490},   {0x24EA, 0x24EA},   {0x24F5, 0x24FD},
                                        {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},   {0x278A, 0x2792},
                                        {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A}};
/* Ideographs with a numeric value. */
static const wf_range numeric_letters[] = {
    {0x3405, 0x3405},   {0x3483, 0x3483},   {0x382A, 0x382A},   {0x3B4D, 0x3B4D},   {0x4E00, 0x4E00},   {0x4E03, 0x4E03},
    {0x4E07, 0x4E07},   {0x4E09, 0x4E09},   {0x4E5D, 0x4E5D},   {0x4E8C, 0x4E8C},   {0x4E94, 0x4E94},   {0x4E96, 0x4E96},
    {0x4EBF, 0x4EC0},   {0x4EDF, 0x4EDF},   {0x4EE8, 0x4EE8},   {0x4F0D, 0x4F0D},   {0x4F70, 0x4F70},   {0x5104, 0x5104},
    {0x5146, 0x5146},   {0x5169, 0x5169},   {0x516B, 0x516B},   {0x516D, 0x516D},   {0x5341, 0x5341},   {0x5343, 0x5345},
    {0x534C, 0x534C},   {0x53C1, 0x53C4},   {0x56DB, 0x56DB},   {0x58F1, 0x58F1},   {0x58F9, 0x58F9},   {0x5E7A, 0x5E7A},
    {0x5EFE, 0x5EFF},   {0x5F0C, 0x5F0E},   {0x5F10, 0x5F10},   {0x62FE, 0x62FE},   {0x634C, 0x634C},   {0x67D2, 0x67D2},
    {0x6F06, 0x6F06},   {0x7396, 0x7396},   {0x767E, 0x767E},   {0x8086, 0x8086},   {0x842C, 0x842C},   {0x8CAE, 0x8CAE},
    {0x8CB3, 0x8CB3},   {0x8D30, 0x8D30},   {0x9621, 0x9621},   {0x9646, 0x9646},   {0x964C, 0x964C},   {0x9678, 0x9678},
    {0x96F6, 0x96F6},   {0xF96B, 0xF96B},   {0xF973, 0xF973},   {0xF978, 0xF978},   {0xF9B2, 0xF9B2},   {0xF9D1, 0xF9D1},
    {0xF9D3, 0xF9D3},   {0xF9FD, 0xF9FD},   {0x20001, 0x20001}, {0x20064, 0x20064}, {0x200E2, 0x200E2}, {0x20121, 0x20121},
    {0x2092A, 0x2092A}, {0x20983, 0x20983}, {0x2098C, 0x2098C}, {0x2099C, 0x2099C}, {0x20AEA, 0x20AEA}, {0x20AFD, 0x20AFD},
    {0x20B19, 0x20B19}, {0x22390, 0x22390}, {0x22998, 0x22998}, {0x23B1B, 0x23B1B}, {0x2626D, 0x2626D}, {0x2F890, 0x2F890}};
static const wf_range other_lowercase[] = {
    {0xAA, 0xAA},     {0xBA, 0xBA},     {0x2B0, 0x2B8},     {0x2C0, 0x2C1},     {0x2E0, 0x2E4},     {0x345, 0x345},
    {0x37A, 0x37A},   {0x1D2C, 0x1D6A}, {0x1D78, 0x1D78},   {0x1D9B, 0x1DBF},   {0x2071, 0x2071},   {0x207F, 0x207F},
    {0x2090, 0x209C}, {0x2170, 0x217F}, {0x24D0, 0x24E9},   {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},
    {0xA7F8, 0xA7F9}, {0xAB5C, 0xAB5F}, {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}};
static const wf_range other_uppercase[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
/* Punctuation that case mappings look through (Word_Break MidLetter, MidNumLet, Single_Quote). */
static const wf_range ignorable_marks[] = {{0x27, 0x27},     {0x2E, 0x2E},     {0x3A, 0x3A},     {0xB7, 0xB7},
                                           {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
                                           {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
                                           {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A}};

static utf8proc_category_t category(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c); }
static bool is_letter(uint32_t c) { return category(c) >= UTF8PROC_CATEGORY_LU && category(c) <= UTF8PROC_CATEGORY_LO; }
static bool is_number(uint32_t c) { return category(c) >= UTF8PROC_CATEGORY_ND && category(c) <= UTF8PROC_CATEGORY_NO; }
static bool is_lower(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || IN(other_lowercase, c); }
static bool is_upper(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || IN(other_uppercase, c); }
static bool is_cased(uint32_t c) { return is_lower(c) || is_upper(c) || category(c) == UTF8PROC_CATEGORY_LT; }

/* ---- UTF-8 ---- */

uint32_t wf_tpl_char(const char *data, size_t bytes, size_t *length) {
    utf8proc_int32_t c;
    if ((unsigned char)data[0] < 128) {
        *length = 1;
        return (unsigned char)data[0];
    }
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)data, (utf8proc_ssize_t)bytes, &c);
    *length = n > 0 ? (size_t)n : 1;
    return n > 0 ? (uint32_t)c : 0xFFFD;
}

void wf_tpl_put_char(wf_str *out, uint32_t c) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);
    wf_str_put(out, (const char *)bytes, (size_t)n);
}

size_t wf_tpl_count_chars(const char *data, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)data[i] & 0xC0u) != 0x80u;
    return n;
}

size_t wf_tpl_offset(const wf_tpl_text *text, size_t chars) {
    size_t at = 0;
    if (text->chars == text->bytes || chars >= text->chars)
        return chars < text->chars ? chars : text->bytes;
    for (size_t i = 0;; at++) {
        i += ((unsigned char)text->data[at] & 0xC0u) != 0x80u;
        if (i > chars)
            return at;
    }
}

/* ---- classes ---- */

bool wf_tpl_is_space(uint32_t c) { return IN(spaces, c); }
bool wf_tpl_is_word(uint32_t c) { return c == '_' || is_letter(c) || is_number(c); }

static bool is_printable(uint32_t c) {
    utf8proc_category_t k = category(c);
    return c == ' ' || (k != UTF8PROC_CATEGORY_CN && k < UTF8PROC_CATEGORY_ZS);
}

bool wf_tpl_char_is(wf_tpl_class what, uint32_t c) {
    switch (what) {
    case WF_IS_ALPHA:
        return is_letter(c);
    case WF_IS_DECIMAL:
        return category(c) == UTF8PROC_CATEGORY_ND;
    case WF_IS_DIGIT:
        return category(c) == UTF8PROC_CATEGORY_ND || IN(other_digits, c);
    case WF_IS_NUMERIC:
        return is_number(c) || IN(numeric_letters, c);
    case WF_IS_ALNUM:
        return is_letter(c) || is_number(c);
    case WF_IS_SPACE:
        return wf_tpl_is_space(c);
    case WF_IS_ASCII:
        return c < 128;
    default:
        return is_printable(c);
    }
}

bool wf_tpl_is_name_char(uint32_t c) {
    utf8proc_category_t k = category(c);
    return wf_tpl_is_word(c) || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_PC ||
           c == 0xB7 || c == 0x387;
}

static bool is_identifier(const char *data, size_t bytes) {
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t c = wf_tpl_char(data + at, bytes - at, &length);
        bool first = c == '_' || is_letter(c) || category(c) == UTF8PROC_CATEGORY_NL;
        if (!first && (at == 0 || !wf_tpl_is_name_char(c) || category(c) == UTF8PROC_CATEGORY_NO))
            return false;
    }
    return bytes > 0;
}

/* islower, isupper: some cased characters, all of one case. istitle: words begin with a capital and go on small. */
static bool is_all_case(wf_tpl_class what, const char *data, size_t bytes) {
    bool some = false, in_word = false;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t c = wf_tpl_char(data + at, bytes - at, &length);
        bool lower = is_lower(c), upper = is_upper(c), title = category(c) == UTF8PROC_CATEGORY_LT;
        if (what == WF_IS_TITLE ? (upper || title) && in_word : title || (what == WF_IS_LOWER ? upper : lower))
            return false;
        if (what == WF_IS_TITLE && lower && !in_word)
            return false;
        in_word = lower || upper || title;
        some |= in_word;
    }
    return some;
}

bool wf_tpl_text_is(wf_tpl_class what, const char *data, size_t bytes) {
    if (what == WF_IS_IDENTIFIER)
        return is_identifier(data, bytes);
    if (what == WF_IS_LOWER || what == WF_IS_UPPER || what == WF_IS_TITLE)
        return is_all_case(what, data, bytes);
    for (size_t at = 0, length; at < bytes; at += length)
        if (!wf_tpl_char_is(what, wf_tpl_char(data + at, bytes - at, &length)))
            return false;
    return bytes > 0 || what == WF_IS_PRINTABLE || what == WF_IS_ASCII;
}

/* ---- case ---- */

static uint32_t simple(wf_tpl_case how, uint32_t c) {
    utf8proc_int32_t i = (utf8proc_int32_t)c;
    return (uint32_t)(how == WF_CASE_UPPER   ? utf8proc_toupper(i)
                      : how == WF_CASE_LOWER ? utf8proc_tolower(i)
                                             : utf8proc_totitle(i));
}

static size_t fold(uint32_t c, utf8proc_int32_t out[8]) {
    int last = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, out, 8, UTF8PROC_CASEFOLD, &last);
    if (n < 1 || n > 8) {
        out[0] = (utf8proc_int32_t)c;
        return 1;
    }
    return (size_t)n;
}

/* A small letter without a capital of its own (sharp s, ligatures) has that of its folding, letter by letter. */
static void put_upper(wf_str *out, uint32_t c) {
    utf8proc_int32_t folded[8];
    size_t n = category(c) == UTF8PROC_CATEGORY_LU ? 1 : fold(c, folded);
    if (n == 1) {
        wf_tpl_put_char(out, simple(WF_CASE_UPPER, c));
        return;
    }
    for (size_t i = 0; i < n; i++)
        wf_tpl_put_char(out, simple(WF_CASE_UPPER, (uint32_t)folded[i]));
}

/* The same with one capital; the Greek iota below stays below. */
static void put_title(wf_str *out, uint32_t c) {
    utf8proc_int32_t folded[8];
    uint32_t title = simple(WF_CASE_TITLE, c);
    size_t n = category(c) == UTF8PROC_CATEGORY_LU || category(c) == UTF8PROC_CATEGORY_LT || (title != c && c != 0xDF)
                   ? 1
                   : fold(c, folded);
    if (n == 1) {
        wf_tpl_put_char(out, title);
        return;
    }
    bool begun = false;
    for (size_t i = 0; i < n; i++) {
        uint32_t one = (uint32_t)folded[i];
        if (i + 1 == n && one == 0x3B9 && c >= 0x1F80 && c < 0x2000)
            one = 0x345;
        else if (!begun)
            one = simple(WF_CASE_TITLE, one);
        begun |= is_cased(one) && category(one) != UTF8PROC_CATEGORY_LM;
        wf_tpl_put_char(out, one);
    }
}

static bool is_ignorable(uint32_t c) {
    utf8proc_category_t k = category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_LM ||
           k == UTF8PROC_CATEGORY_SK || IN(ignorable_marks, c);
}

/* Is the nearest character that counts, before or after, a cased one? */
static bool cased_before(const char *data, size_t at) {
    while (at > 0) {
        size_t start = at - 1, length;
        while (start > 0 && ((unsigned char)data[start] & 0xC0u) == 0x80u)
            start--;
        uint32_t c = wf_tpl_char(data + start, at - start, &length);
        if (!is_ignorable(c))
            return is_cased(c);
        at = start;
    }
    return false;
}

static bool cased_after(const char *data, size_t bytes, size_t at) {
    for (size_t length; at < bytes; at += length) {
        uint32_t c = wf_tpl_char(data + at, bytes - at, &length);
        if (!is_ignorable(c))
            return is_cased(c);
    }
    return false;
}

static void put_lower(wf_str *out, uint32_t c, const char *data, size_t bytes, size_t at, size_t length) {
    if (c == 0x130) { /* dotted capital I keeps its dot */
        wf_tpl_put_char(out, 'i');
        wf_tpl_put_char(out, 0x307);
    } else if (c == 0x3A3 && cased_before(data, at) && !cased_after(data, bytes, at + length)) {
        wf_tpl_put_char(out, 0x3C2); /* final sigma */
    } else {
        wf_tpl_put_char(out, simple(WF_CASE_LOWER, c));
    }
}

static void put_fold(wf_str *out, uint32_t c) {
    utf8proc_int32_t folded[8];
    size_t n = fold(c, folded);
    for (size_t i = 0; i < n; i++)
        wf_tpl_put_char(out, (uint32_t)folded[i]);
}

void wf_tpl_put_case(wf_str *out, wf_tpl_case how, const char *data, size_t bytes) {
    bool in_word = false;
    for (size_t at = 0, length; at < bytes; at += length) {
        uint32_t c = wf_tpl_char(data + at, bytes - at, &length);
        bool first = how == WF_CASE_TITLE ? !in_word : how == WF_CASE_CAPITALIZE && at == 0;
        if (how == WF_CASE_FOLD)
            put_fold(out, c);
        else if (first)
            put_title(out, c);
        else if (how == WF_CASE_UPPER || (how == WF_CASE_SWAP && is_lower(c)))
            put_upper(out, c);
        else if (how == WF_CASE_SWAP && !is_upper(c))
            wf_tpl_put_char(out, c);
        else
            put_lower(out, c, data, bytes, at, length);
        in_word = is_cased(c);
    }
}

/* ---- searching ---- */

static bool in_set(uint32_t c, const wf_tpl_text *set) {
    if (!set)
        return wf_tpl_is_space(c);
    for (size_t at = 0, length; at < set->bytes; at += length)
        if (wf_tpl_char(set->data + at, set->bytes - at, &length) == c)
            return true;
    return false;
}

void wf_tpl_strip(const char **data, size_t *bytes, const wf_tpl_text *set, int sides) {
    size_t length;
    while ((sides & WF_STRIP_LEFT) && *bytes && in_set(wf_tpl_char(*data, *bytes, &length), set)) {
        *data += length;
        *bytes -= length;
    }
    while ((sides & WF_STRIP_RIGHT) && *bytes) {
        size_t start = *bytes - 1;
        while (start > 0 && ((unsigned char)(*data)[start] & 0xC0u) == 0x80u)
            start--;
        if (!in_set(wf_tpl_char(*data + start, *bytes - start, &length), set))
            return;
        *bytes = start;
    }
}

const char *wf_tpl_find(const char *data, size_t bytes, const char *what, size_t n) {
    return n == 0 ? data : memmem(data, bytes, what, n);
}

/* ---- names ---- */

typedef struct named {
    uint32_t c;
    const char *name;
} named;
#define WF_CHAR_NAME(code, text) {code, text},
static const named names[] = {
#include "template/names.def"
};
#undef WF_CHAR_NAME

/* As Python: letter case does not matter. */
bool wf_tpl_named_char(const char *name, size_t bytes, uint32_t *out) {
    char upper[96];
    if (bytes >= sizeof upper)
        return false;
    for (size_t i = 0; i < bytes; i++)
        upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 32) : name[i];
    upper[bytes] = 0;
    for (size_t low = 0, high = sizeof names / sizeof *names; low < high;) {
        size_t middle = (low + high) / 2;
        int order = strcmp(upper, names[middle].name);
        if (order == 0) {
            *out = names[middle].c;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
