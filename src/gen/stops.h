/* stops.h - strings that end a text as the reference has them (`stop_strings` of a generation config): a text ends with the
 * token whose characters complete one of them, and keeps it, and what stands behind it in that token. It may have begun in the
 * prompt; the spelling of special tokens counts. */
#ifndef WF_GEN_STOPS_H
#define WF_GEN_STOPS_H
#include "text/tokenizer.h"

typedef struct wf_stops {
    const wf_mem *mem;
    const wf_tokenizer *tok;
    const char *strings; /* [n], one behind the other, each with the 0 that ends it, none of them empty */
    size_t n;            /* 0: none */
} wf_stops;

/* *hit: the last of the ids completes one. */
weft_status wf_stops_hit(const wf_stops *stops, const int32_t *ids, int64_t n, bool *hit, weft_error *err);
#endif
