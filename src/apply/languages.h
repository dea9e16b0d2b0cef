/* languages.h - the tokens with which a tokenizer names languages, as translators have them: en_XX and eng_Latn (mBART, NLLB),
 * __en__ (M2M-100, PLBART), >>fra<< (Marian). */
#ifndef WF_APPLY_LANGUAGES_H
#define WF_APPLY_LANGUAGES_H
#include "text/tokenizer.h"

typedef struct wf_language {
    int64_t id;
    bool before; /* >>fra<<: asks for a language in front of the source; the others begin what they name */
} wf_language;

bool wf_is_language(const wf_tokenizer *tok, uint32_t id);
/* `code` as the token is spelled or without the marks around it ("en" for __en__). WEFT_USAGE for an unknown one, naming the
 * nearest or the first ones; WEFT_UNSUPPORTED when the tokenizer names no languages. */
weft_status wf_language_find(const wf_tokenizer *tok, const char *code, wf_arena *arena, wf_language *out, weft_error *err);
#endif
