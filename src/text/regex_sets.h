/* regex_sets.h - the named sets of characters of Ruby's regular expressions (Oniguruma's tables, Unicode 16) as members of a
 * class of PCRE2. */
#ifndef WF_TEXT_REGEX_SETS_H
#define WF_TEXT_REGEX_SETS_H
#include <stdbool.h>
#include "base/str.h"

typedef enum wf_set_place {
    WF_SET_ALONE,   /* \\w, \\p{Word} outside brackets */
    WF_SET_INSIDE,  /* the same inside brackets */
    WF_SET_BRACKETS /* [:word:] */
} wf_set_place;

/* Appends what stands inside brackets; *outside: the set is what is not among these. A name that no table has is passed on, as
 * a property or else as a script, for PCRE2 to know; false for [:name:] that is none. */
bool wf_regex_set(const char *name, size_t length, wf_set_place place, wf_str *out, bool *outside);
/* The name of \\w, \\s, \\d, \\h, in either case; NULL for another letter. */
const char *wf_regex_set_of_escape(char c);
#endif
