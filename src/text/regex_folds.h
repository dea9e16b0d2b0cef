/* regex_folds.h - characters that are several letters where case is ignored: U+00DF is ss. Oniguruma finds those letters too
 * where a set of characters has the one, after the characters of the set. */
#ifndef WF_TEXT_REGEX_FOLDS_H
#define WF_TEXT_REGEX_FOLDS_H
#include <stdbool.h>
#include "base/str.h"

/* Appends "|ss|..." for every such character that the set `members` (a pattern of PCRE2 for one character) has. *longer:
 * letters among them end in one that the set has not. */
weft_status wf_regex_folds(const char *members, size_t length, wf_str *out, bool *longer, weft_error *err);
#endif
