/* suffix.h - repeated substrings of a sequence of numbers, by its suffix array. */
#ifndef WF_TEXT_SUFFIX_H
#define WF_TEXT_SUFFIX_H
#include "base/mem.h"

/* A substring that occurs at least twice and cannot be made longer without occurring less often (an inner node of the suffix
 * tree). */
typedef struct wf_repeat {
    uint32_t start, length, count;
} wf_repeat;
/* All of them, longer ones than `most` left out, in `out` (the caller's to free). Memory: about 24 bytes a number. */
weft_status wf_find_repeats(const wf_mem *mem, const uint32_t *text, size_t n, size_t most, wf_repeat **out, size_t *count,
                            weft_error *err);
#endif
