/* chunk.h - the pattern of causal attention within chunks (Llama 4): a row sees the rows of its own chunk up to itself. Chunks
 * are counted from the first row that is no padding. */
#ifndef WF_PARTS_CHUNK_H
#define WF_PARTS_CHUNK_H
#include "tensor/ops.h"

typedef struct wf_chunk {
    int64_t rows;
} wf_chunk; /* the record of the pattern */
void wf_own_chunk_weights(const wf_pattern_rows *r, const int64_t *keys, int count, float *out);
int wf_own_chunk_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys, bool *whole);
#endif
