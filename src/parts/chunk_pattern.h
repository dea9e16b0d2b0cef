/* chunk_pattern.h - the pattern of kernel F for rows that see their own chunk and its neighbours. */
#ifndef WF_PARTS_CHUNK_PATTERN_H
#define WF_PARTS_CHUNK_PATTERN_H
#include "tensor/ops.h"

typedef struct wf_chunk_pattern {         /* the pattern's record */
    int64_t chunk, before, after, chunks; /* chunks: of the ring, 0 without one; a chunk met twice counts twice */
    bool causal, exact;                   /* exact: no further than before*chunk back and after*chunk ahead */
} wf_chunk_pattern;

void wf_chunk_weights(const wf_pattern_rows *r, const int64_t *keys, int count, float *out);
int wf_chunk_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys, bool *whole);
#endif
