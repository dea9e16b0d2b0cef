/* regex_sets.c - see the header. What PCRE2 has of a category is completed by what Unicode 15 and 16 added: some PCRE2 in use
 * know Unicode 14. */
#include "text/regex_sets.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

typedef struct fresh {
    uint32_t first, last;
    char category[3];
} fresh;

/* clang-format off */
static const fresh added[] = {
    {0x897, 0x897, "Mn"}, {0xCF3, 0xCF3, "Mc"}, {0xECE, 0xECE, "Mn"}, {0x1B4E, 0x1B4F, "Po"}, {0x1B7F, 0x1B7F, "Po"},
    {0x1C89, 0x1C89, "Lu"}, {0x1C8A, 0x1C8A, "Ll"}, {0x2427, 0x2429, "So"}, {0x2FFC, 0x2FFF, "So"}, {0x31E4, 0x31E5, "So"},
    {0x31EF, 0x31EF, "So"}, {0xA7CB, 0xA7CC, "Lu"}, {0xA7CD, 0xA7CD, "Ll"}, {0xA7DA, 0xA7DA, "Lu"}, {0xA7DB, 0xA7DB, "Ll"},
    {0xA7DC, 0xA7DC, "Lu"}, {0x105C0, 0x105F3, "Lo"}, {0x10D40, 0x10D49, "Nd"}, {0x10D4A, 0x10D4D, "Lo"},
    {0x10D4E, 0x10D4E, "Lm"}, {0x10D4F, 0x10D4F, "Lo"}, {0x10D50, 0x10D65, "Lu"}, {0x10D69, 0x10D6D, "Mn"},
    {0x10D6E, 0x10D6E, "Pd"}, {0x10D6F, 0x10D6F, "Lm"}, {0x10D70, 0x10D85, "Ll"}, {0x10D8E, 0x10D8F, "Sm"},
    {0x10EC2, 0x10EC4, "Lo"}, {0x10EFC, 0x10EFF, "Mn"}, {0x1123F, 0x11240, "Lo"}, {0x11241, 0x11241, "Mn"},
    {0x11380, 0x11389, "Lo"}, {0x1138B, 0x1138B, "Lo"}, {0x1138E, 0x1138E, "Lo"}, {0x11390, 0x113B5, "Lo"},
    {0x113B7, 0x113B7, "Lo"}, {0x113B8, 0x113BA, "Mc"}, {0x113BB, 0x113C0, "Mn"}, {0x113C2, 0x113C2, "Mc"},
    {0x113C5, 0x113C5, "Mc"}, {0x113C7, 0x113CA, "Mc"}, {0x113CC, 0x113CD, "Mc"}, {0x113CE, 0x113CE, "Mn"},
    {0x113CF, 0x113CF, "Mc"}, {0x113D0, 0x113D0, "Mn"}, {0x113D1, 0x113D1, "Lo"}, {0x113D2, 0x113D2, "Mn"},
    {0x113D3, 0x113D3, "Lo"}, {0x113D4, 0x113D5, "Po"}, {0x113D7, 0x113D8, "Po"}, {0x113E1, 0x113E2, "Mn"},
    {0x116D0, 0x116E3, "Nd"}, {0x11B00, 0x11B09, "Po"}, {0x11BC0, 0x11BE0, "Lo"}, {0x11BE1, 0x11BE1, "Po"},
    {0x11BF0, 0x11BF9, "Nd"}, {0x11F00, 0x11F01, "Mn"}, {0x11F02, 0x11F02, "Lo"}, {0x11F03, 0x11F03, "Mc"},
    {0x11F04, 0x11F10, "Lo"}, {0x11F12, 0x11F33, "Lo"}, {0x11F34, 0x11F35, "Mc"}, {0x11F36, 0x11F3A, "Mn"},
    {0x11F3E, 0x11F3F, "Mc"}, {0x11F40, 0x11F40, "Mn"}, {0x11F41, 0x11F41, "Mc"}, {0x11F42, 0x11F42, "Mn"},
    {0x11F43, 0x11F4F, "Po"}, {0x11F50, 0x11F59, "Nd"}, {0x11F5A, 0x11F5A, "Mn"}, {0x1342F, 0x1342F, "Lo"},
    {0x13439, 0x1343F, "Cf"}, {0x13440, 0x13440, "Mn"}, {0x13441, 0x13446, "Lo"}, {0x13447, 0x13455, "Mn"},
    {0x13460, 0x143FA, "Lo"}, {0x16100, 0x1611D, "Lo"}, {0x1611E, 0x16129, "Mn"}, {0x1612A, 0x1612C, "Mc"},
    {0x1612D, 0x1612F, "Mn"}, {0x16130, 0x16139, "Nd"}, {0x16D40, 0x16D42, "Lm"}, {0x16D43, 0x16D6A, "Lo"},
    {0x16D6B, 0x16D6C, "Lm"}, {0x16D6D, 0x16D6F, "Po"}, {0x16D70, 0x16D79, "Nd"}, {0x18CFF, 0x18CFF, "Lo"},
    {0x1B132, 0x1B132, "Lo"}, {0x1B155, 0x1B155, "Lo"}, {0x1CC00, 0x1CCEF, "So"}, {0x1CCF0, 0x1CCF9, "Nd"},
    {0x1CD00, 0x1CEB3, "So"}, {0x1D2C0, 0x1D2D3, "No"}, {0x1DF25, 0x1DF2A, "Ll"}, {0x1E030, 0x1E06D, "Lm"},
    {0x1E08F, 0x1E08F, "Mn"}, {0x1E4D0, 0x1E4EA, "Lo"}, {0x1E4EB, 0x1E4EB, "Lm"}, {0x1E4EC, 0x1E4EF, "Mn"},
    {0x1E4F0, 0x1E4F9, "Nd"}, {0x1E5D0, 0x1E5ED, "Lo"}, {0x1E5EE, 0x1E5EF, "Mn"}, {0x1E5F0, 0x1E5F0, "Lo"},
    {0x1E5F1, 0x1E5FA, "Nd"}, {0x1E5FF, 0x1E5FF, "Po"}, {0x1F6DC, 0x1F6DC, "So"}, {0x1F774, 0x1F776, "So"},
    {0x1F77B, 0x1F77F, "So"}, {0x1F7D9, 0x1F7D9, "So"}, {0x1F8B2, 0x1F8BB, "So"}, {0x1F8C0, 0x1F8C1, "So"},
    {0x1FA75, 0x1FA77, "So"}, {0x1FA87, 0x1FA89, "So"}, {0x1FA8F, 0x1FA8F, "So"}, {0x1FAAD, 0x1FAAF, "So"},
    {0x1FABB, 0x1FABF, "So"}, {0x1FAC6, 0x1FAC6, "So"}, {0x1FACE, 0x1FACF, "So"}, {0x1FADA, 0x1FADC, "So"},
    {0x1FADF, 0x1FADF, "So"}, {0x1FAE8, 0x1FAE9, "So"}, {0x1FAF7, 0x1FAF8, "So"}, {0x1FBCB, 0x1FBEF, "So"},
    {0x2B739, 0x2B739, "Lo"}, {0x2EBF0, 0x2EE5D, "Lo"}, {0x31350, 0x323AF, "Lo"}};
/* clang-format on */

#define SPACES "\\x{9}-\\x{d} \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define CIRCLED "\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
/* clang-format off */
#define ALPHA \
    "\\p{Alphabetic}\\p{L}\\x{363}-\\x{36f}" \
    "\\x{897}\\x{c04}\\x{cf3}\\x{10d69}\\x{10efc}\\x{11241}\\x{113b8}-\\x{113c0}\\x{113c2}" \
    "\\x{113c5}\\x{113c7}-\\x{113ca}\\x{113cc}-\\x{113cd}\\x{1171e}\\x{11f00}-\\x{11f01}\\x{11f03}\\x{11f34}-\\x{11f3a}" \
    "\\x{11f3e}-\\x{11f40}\\x{1611e}-\\x{1612e}\\x{1e08f}"
/* clang-format on */
#define GRAPH "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"
#define ASSIGNED GRAPH "\\p{Z}\\p{Cc}\\p{Cs}"

/* `\p{..}` of a category brings along what was added to it. */
typedef struct set {
    const char *name, *members;
    bool outside;
} set;
static const set sets[] = {
    {"space", SPACES, false},
    {"word", "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}" CIRCLED, false},
    {"digit", "\\p{Nd}", false},
    {"xdigit", "0-9a-fA-F", false},
    {"alpha", ALPHA, false},
    {"alphabetic", ALPHA, false},
    {"alnum", ALPHA "\\p{Nd}", false},
    {"upper", "\\p{Uppercase}\\p{Lu}", false},
    {"uppercase", "\\p{Uppercase}\\p{Lu}", false},
    {"lower", "\\p{Lowercase}\\p{Ll}\\x{10fc}\\x{a7f2}-\\x{a7f4}\\x{1e030}-\\x{1e06d}", false},
    {"lowercase", "\\p{Lowercase}\\p{Ll}\\x{10fc}\\x{a7f2}-\\x{a7f4}\\x{1e030}-\\x{1e06d}", false},
    {"punct", "\\p{P}", false},
    {"cntrl", "\\p{Cc}", false},
    {"blank", "\\p{Zs}\\x{9}", false},
    {"graph", GRAPH, false},
    {"print", GRAPH "\\p{Zs}", false},
    {"ascii", "\\x{0}-\\x{7f}", false},
    {"any", "\\x{0}-\\x{10ffff}", false},
    {"assigned", ASSIGNED, false},
    {"cn", ASSIGNED, true},
    {"c", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Z}", true},
    {"lc", "\\p{Lu}\\p{Ll}\\p{Lt}", false},
};

/* Long names of categories. */
static const char *const categories[][2] = {
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"dashpunctuation", "Pd"},
    {"connectorpunctuation", "Pc"},
    {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"},
    {"otherpunctuation", "Po"},
    {"initialpunctuation", "Pi"},
    {"finalpunctuation", "Pf"},
    {"symbol", "S"},
    {"mathsymbol", "Sm"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"othersymbol", "So"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"control", "Cc"},
    {"format", "Cf"},
    {"surrogate", "Cs"},
    {"privateuse", "Co"},
    {"other", "c"},
    {"unassigned", "cn"},
    {"casedletter", "lc"},
};

/* Properties that PCRE2 has under the same name. */
static const char properties[] =
    " asciihexdigit bidicontrol bidimirrored cased caseignorable changeswhencasefolded changeswhencasemapped "
    "changeswhenlowercased changeswhentitlecased changeswhenuppercased dash defaultignorablecodepoint deprecated diacritic "
    "emoji "
    "emojicomponent emojimodifier emojimodifierbase emojipresentation extendedpictographic extender graphemebase "
    "graphemeextend "
    "hexdigit idcontinue ideographic idsbinaryoperator idstart idstrinaryoperator joincontrol logicalorderexception math "
    "noncharactercodepoint patternsyntax patternwhitespace quotationmark radical regionalindicator sentenceterminal softdotted "
    "terminalpunctuation unifiedideograph variationselector whitespace xidcontinue xidstart ";

/* Before 10.40 a script's name meant the characters of the script; since then also those that are used with it. */
#if PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40
#define SCRIPT "sc:"
#else
#define SCRIPT ""
#endif
static const char *const completed[][2] = {
    {"han", "\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"},
    {"latin", "\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{1df25}-\\x{1df2a}"},
    {"cyrillic", "\\x{1c89}\\x{1c8a}\\x{1e030}-\\x{1e06d}\\x{1e08f}"},
    {"arabic", "\\x{897}\\x{10ec2}-\\x{10ec4}\\x{10efc}-\\x{10eff}"},
    {"hiragana", "\\x{1b132}"},
    {"katakana", "\\x{1b155}"},
    {"devanagari", "\\x{11b00}-\\x{11b09}"},
    {"emoji", "\\x{1f6dc}\\x{1fa75}-\\x{1fa77}\\x{1fa87}-\\x{1fa89}\\x{1fa8f}\\x{1faad}-\\x{1faaf}\\x{1fabb}-\\x{1fabf}\\x{"
              "1fac6}\\x{1face}\\x{1facf}"
              "\\x{1fada}-\\x{1fadc}\\x{1fadf}\\x{1fae8}\\x{1fae9}\\x{1faf7}\\x{1faf8}"},
};

const char *wf_regex_set_of_escape(char c) {
    switch (c | 32) {
    case 's':
        return "space";
    case 'w':
        return "word";
    case 'd':
        return "digit";
    case 'h':
        return "xdigit";
    default:
        return NULL;
    }
}

static bool is_category(const char *name, size_t n) {
    static const char all[] =
        " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Cf Cs Co ";
    for (const char *at = all + 1; *at; at += strcspn(at, " ") + 1)
        if (strcspn(at, " ") == n && memcmp(at, name, n) == 0)
            return true;
    return false;
}

/* The category and what was added to it. */
static void put_category(const char *name, size_t n, wf_str *out) {
    wf_str_printf(out, "\\p{%.*s}", (int)n, name);
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        if (memcmp(added[i].category, name, n) == 0)
            wf_str_printf(out, "\\x{%x}-\\x{%x}", (unsigned)added[i].first, (unsigned)added[i].last);
}

static void put_members(const char *members, wf_str *out) {
    for (const char *at = members; *at;) {
        size_t n = strncmp(at, "\\p{", 3) == 0 ? strcspn(at + 3, "}") : 0;
        if (n && is_category(at + 3, n)) {
            put_category(at + 3, n, out);
            at += n + 4;
        } else {
            wf_str_putc(out, *at++);
        }
    }
}

/* In lower case, without what does not count; at most 63 characters. */
static void plain_name(const char *name, size_t length, char out[64]) {
    size_t n = 0;
    for (size_t i = 0; i < length && n < 63; i++)
        if (!strchr(" _-", name[i]))
            out[n++] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 32 : name[i]);
    out[n] = 0;
}

static bool is_property(const char *name) {
    size_t n = strlen(name);
    const char *found = n ? strstr(properties, name) : NULL;
    while (found && !(found[-1] == ' ' && found[n] == ' '))
        found = strstr(found + 1, name);
    return found != NULL;
}

static void put_other(const char *name, wf_str *out) {
    char category[3] = {(char)(name[0] & ~32), name[0] ? name[1] : 0, 0};
    if (strlen(name) <= 2 && is_category(category, strlen(name))) {
        put_category(category, strlen(name), out);
        return;
    }
    wf_str_printf(out, is_property(name) ? "\\p{%s}" : "\\p{" SCRIPT "%s}", name);
    for (size_t i = 0; i < sizeof completed / sizeof *completed; i++)
        if (strcmp(completed[i][0], name) == 0)
            wf_str_puts(out, completed[i][1]);
}

bool wf_regex_set(const char *name, size_t length, wf_set_place place, wf_str *out, bool *outside) {
    char plain[64];
    plain_name(name, length, plain);
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (strcmp(categories[i][0], plain) == 0)
            plain_name(categories[i][1], strlen(categories[i][1]), plain);
    *outside = false;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (strcmp(sets[i].name, plain) != 0)
            continue;
        put_members(sets[i].members, out);
        if (strcmp(plain, "word") == 0 && place == WF_SET_ALONE) /* Latin-1 has a table of its own there */
            wf_str_puts(out, "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}");
        if (strcmp(plain, "punct") == 0 && place == WF_SET_BRACKETS)
            put_members("\\p{S}", out);
        *outside = sets[i].outside;
        return true;
    }
    if (place != WF_SET_BRACKETS)
        put_other(plain, out);
    return place != WF_SET_BRACKETS;
}
