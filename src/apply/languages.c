#include "apply/languages.h"
#include <string.h>

static const struct spelling {
    const char *before, *after;
    bool plain; /* may be a token like others; else it is a special one */
} spellings[] = {{"__", "__", false}, {">>", "<<", true}};
enum { SPELLINGS = sizeof spellings / sizeof *spellings };

static bool lower(char c) { return c >= 'a' && c <= 'z'; }
static bool upper(char c) { return c >= 'A' && c <= 'Z'; }

/* en_XX, eng_Latn */
static bool is_code(wf_bytes t) {
    size_t n = 0;
    while (n < t.length && lower(t.data[n]))
        n++;
    if (n < 2 || n > 3 || n >= t.length || t.data[n] != '_')
        return false;
    const char *rest = t.data + n + 1;
    size_t left = t.length - n - 1;
    return (left == 2 && upper(rest[0]) && upper(rest[1])) ||
           (left == 4 && upper(rest[0]) && lower(rest[1]) && lower(rest[2]) && lower(rest[3]));
}

/* The marks around a token, NULL where there are none. */
static const struct spelling *marks_of(wf_bytes t) {
    for (size_t i = 0; i < SPELLINGS; i++)
        if (t.length > 4 && lower(t.data[2]) && memcmp(t.data, spellings[i].before, 2) == 0 &&
            memcmp(t.data + t.length - 2, spellings[i].after, 2) == 0)
            return &spellings[i];
    return NULL;
}

bool wf_is_language(const wf_tokenizer *tok, uint32_t id) {
    wf_bytes t = wf_tokenizer_piece(tok, id);
    const struct spelling *marks = t.data ? marks_of(t) : NULL;
    return t.data && (marks || is_code(t)) && ((marks && marks->plain) || wf_tokenizer_is_special(tok, id));
}

static bool find_spelled(const wf_tokenizer *tok, const char *text, wf_language *out) {
    int64_t id = wf_tokenizer_id(tok, text, strlen(text));
    if (id < 0 || !wf_is_language(tok, (uint32_t)id))
        return false;
    *out = (wf_language){id, text[0] == '>'};
    return true;
}

/* ---- what there is instead ---- */
typedef struct known {
    const char **codes;
    size_t n;
} known;

static const char *next(const void *user, size_t i) {
    const known *k = user;
    return i < k->n ? k->codes[i] : NULL;
}

/* Every code without its marks. */
static weft_status list_codes(const wf_tokenizer *tok, wf_arena *arena, known *out, weft_error *err) {
    size_t vocab = wf_tokenizer_vocab(tok), n = 0;
    for (size_t id = 0; id < vocab; id++)
        n += wf_is_language(tok, (uint32_t)id);
    if (!(out->codes = wf_arena_alloc(arena, (n + 1) * sizeof *out->codes)))
        return wf_fail_memory(err);
    for (size_t id = 0; id < vocab && out->n < n; id++) {
        wf_bytes t = wf_tokenizer_piece(tok, (uint32_t)id);
        size_t cut = wf_is_language(tok, (uint32_t)id) && marks_of(t) ? 2 : 0;
        if (!wf_is_language(tok, (uint32_t)id))
            continue;
        if (!(out->codes[out->n++] = wf_arena_strndup(arena, t.data + cut, t.length - 2 * cut)))
            return wf_fail_memory(err);
    }
    return WEFT_OK;
}

/* "fr" means fr_XX rather than a code of two other letters. */
static const char *nearest(const known *k, const char *code) {
    size_t n = strlen(code);
    for (size_t i = 0; i < k->n; i++)
        if (strncmp(k->codes[i], code, n) == 0)
            return k->codes[i];
    return wf_nearest(code, next, k);
}

static weft_status fail(const wf_tokenizer *tok, const char *code, wf_arena *arena, weft_error *err) {
    known k = {NULL, 0};
    WF_TRY(list_codes(tok, arena, &k, err));
    WF_CHECK(k.n > 0, err, WEFT_UNSUPPORTED,
             "there is no language '%s': the tokenizer of this model has no tokens for languages", code);
    const char *near = nearest(&k, code);
    if (near)
        return wf_fail(err, WEFT_USAGE, "there is no language '%s'; did you mean '%s'?", code, near);
    return wf_fail(err, WEFT_USAGE, "there is no language '%s' among the %zu of this model; the first is '%s'", code, k.n,
                   k.codes[0]);
}

weft_status wf_language_find(const wf_tokenizer *tok, const char *code, wf_arena *arena, wf_language *out, weft_error *err) {
    if (find_spelled(tok, code, out))
        return WEFT_OK;
    for (size_t i = 0; i < SPELLINGS; i++) {
        const char *text = wf_arena_printf(arena, "%s%s%s", spellings[i].before, code, spellings[i].after);
        if (!text)
            return wf_fail_memory(err);
        if (find_spelled(tok, text, out))
            return WEFT_OK;
    }
    return fail(tok, code, arena, err);
}
