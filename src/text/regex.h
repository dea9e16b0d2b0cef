/* regex.h - regular expressions of tokenizer files, by PCRE2 with limits. The files speak Ruby's dialect (Oniguruma); what
 * means something else there than in PCRE2 is refused by name, so that a pattern that compiles matches what the reference
 * matches. */
#ifndef WF_TEXT_REGEX_H
#define WF_TEXT_REGEX_H
#include <stdbool.h>
#include "base/mem.h"

typedef struct wf_regex wf_regex;                 /* never changes after its creation */
typedef struct wf_regex_scratch wf_regex_scratch; /* one per thread, good for every regex */

/* WEFT_BAD_INPUT: no regular expression. WEFT_UNSUPPORTED: a construct the dialects disagree on, or one that matches nothing.
 */
weft_status wf_regex_compile(const wf_mem *mem, const char *pattern, size_t length, wf_regex **out, weft_error *err);
void wf_regex_free(wf_regex *r);
weft_status wf_regex_scratch_create(const wf_mem *mem, wf_regex_scratch **out, weft_error *err);
void wf_regex_scratch_free(wf_regex_scratch *s);
/* Sets how much searching is allowed from here on: enough for a text of so many bytes with any pattern that is not wild. */
void wf_regex_allow(wf_regex_scratch *s, size_t text);
/* The first match that begins at text.from or later; *found tells. WEFT_FAILURE when the pattern backtracks beyond what is
 * allowed.
 * Bytes that are not UTF-8 match nothing. */
typedef struct wf_regex_text {
    const char *data;
    size_t length, from;
} wf_regex_text;
weft_status wf_regex_find(const wf_regex *r, wf_regex_scratch *s, wf_regex_text text, size_t span[2], bool *found,
                          weft_error *err);
#endif
