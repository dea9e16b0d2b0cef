/* patterns.h - patterns that many tokenizers share, by hand: a row of the table in patterns.c is a pattern and a function that
 * finds the pieces its regular expression finds, several times faster. Every one of these patterns matches somewhere at any
 * character, so its matches cover the text. A test holds each row against the expression on random texts. */
#ifndef WF_TEXT_PATTERNS_H
#define WF_TEXT_PATTERNS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wf_scan wf_scan;
struct wf_scan {
    const char *pattern; /* as files have it */
    /* Where the match that begins at `at` < n ends. The text is UTF-8; bytes that are not count as characters of no class. */
    size_t (*next)(const wf_scan *s, const uint8_t *text, size_t n, size_t at);
    size_t digits;    /* of one piece at most */
    bool whole_tails; /* white space at the end of the text is one piece, line ends or not */
    bool slashes;     /* follow what is neither letter, number nor space, as line ends do */
    bool endings;     /* 's and its like belong to the word before */
    bool folds;       /* letters compared without regard to case: U+017F is an s */
    bool perl;        /* in Ruby's dialect the text of the pattern means something else */
};
extern const wf_scan wf_scans[]; /* ended by a row without pattern */

/* NULL when it is not known. */
const wf_scan *wf_scan_find(const char *pattern, size_t length, bool perl);
/* Where the piece of the GPT-2 pattern that begins at `at` ends. */
size_t wf_gpt2_next(const uint8_t *text, size_t n, size_t at);
#endif
