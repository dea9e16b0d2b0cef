/* matcher.h - finds many strings at once (Aho and Corasick 1975), leftmost first, the longest among those: how added tokens are
 * found in a text. Linear in the text, whatever the strings. Thread rule: never changes after its creation. */
#ifndef WF_TEXT_MATCHER_H
#define WF_TEXT_MATCHER_H
#include <stdbool.h>
#include "base/mem.h"

typedef struct wf_matcher wf_matcher;
typedef struct wf_match {
    size_t start, end, pattern;
} wf_match;
typedef struct wf_pattern {
    const char *text;
    size_t length;
} wf_pattern;

/* Empty patterns match nothing; of equal patterns the first counts. Everything lives in `arena`. */
weft_status wf_matcher_create(wf_arena *arena, const wf_pattern *patterns, size_t n, wf_matcher **out, weft_error *err);
/* The first match that begins at `from` or later; false when there is none. */
bool wf_matcher_find(const wf_matcher *m, const uint8_t *text, size_t n, size_t from, wf_match *out);
#endif
