/* regex.h - regular expressions of tokenizer files, by PCRE2 with limits. tokenizer.json files speak Ruby's dialect
 * (Oniguruma), see regex_ruby.h; tiktoken and llama.cpp Perl's. */
#ifndef WF_TEXT_REGEX_H
#define WF_TEXT_REGEX_H
#include <stdbool.h>
#include "base/mem.h"
#include "text/loading.h"

typedef struct wf_regex wf_regex;                 /* never changes after its creation */
typedef struct wf_regex_scratch wf_regex_scratch; /* one per thread, good for every regex */

typedef enum wf_dialect { WF_PERL, WF_RUBY } wf_dialect;
/* WEFT_BAD_INPUT: no regular expression. WEFT_UNSUPPORTED: a construct of the dialect that cannot be said in PCRE2. */
weft_status wf_regex_compile(const wf_mem *mem, const char *pattern, size_t length, wf_dialect dialect, wf_regex **out,
                             weft_error *err);
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

/* All matches of a finder from left to right, as the reference's find_iter gives them. Bytes that are no UTF-8 match nothing
 * and part the text. */
typedef struct wf_search {
    const wf_finder *finder;
    wf_regex_scratch *scratch;
    wf_bytes text;
    bool found;
    size_t start, end;  /* of the match */
    size_t at, last;    /* where the search goes on; the end of the last match */
    size_t base, valid; /* the stretch of UTF-8 that is being searched; valid SIZE_MAX: not known yet */
} wf_search;
wf_search wf_search_new(const wf_finder *finder, wf_regex_scratch *scratch, wf_bytes text);
weft_status wf_search_next(wf_search *s, weft_error *err);
#endif
