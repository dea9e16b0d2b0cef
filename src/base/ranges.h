/* ranges.h - sets of numbers, such as characters, as sorted ranges that do not touch. Thread rule: constants. */
#ifndef WF_BASE_RANGES_H
#define WF_BASE_RANGES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wf_range {
    uint32_t first, last;
} wf_range;

bool wf_ranges_have(const wf_range *ranges, size_t n, uint32_t c);
#endif
