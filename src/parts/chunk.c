#include "parts/chunk.h"
#include <math.h>
#include "parts/pattern.h"

typedef struct chunk_rows {
    wf_pattern_rows rows; /* first: what the shared loops pass on */
    int64_t chunk, padding;
} chunk_rows;

static chunk_rows rows_of(const wf_attention_args *a, int64_t b, int64_t h, int64_t row, int64_t rows) {
    chunk_rows r = {{a, b, h, row, row + rows - 1}, ((const wf_chunk *)a->pattern->record)->rows, 0};
    while (a->key_mask && r.padding < a->s && !a->key_mask[b * a->s + r.padding])
        r.padding++;
    return r;
}

static int64_t chunk_of(const chunk_rows *r, int64_t i) { return i < r->padding ? -1 : (i - r->padding) / r->chunk; }

static float weight(const wf_pattern_rows *rows, int64_t i, int64_t j) {
    const chunk_rows *r = (const chunk_rows *)rows;
    return j <= i && chunk_of(r, i) == chunk_of(r, j) ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *rows, int64_t j) {
    const chunk_rows *r = (const chunk_rows *)rows;
    int64_t own = chunk_of(r, j);
    if (own < chunk_of(r, rows->row) || own > chunk_of(r, rows->last) || j > rows->last)
        return WF_SEEN_NONE;
    return j <= rows->row && own == chunk_of(r, rows->last) && own == chunk_of(r, rows->row) ? WF_SEEN_ALL : WF_SEEN_SOME;
}

void wf_chunk_weights(const wf_attention_args *a, int64_t b, int64_t h, int64_t row, int64_t rows, const int64_t *keys, int count, float *out) {
    chunk_rows r = rows_of(a, b, h, row, rows);
    wf_pattern_fill(&r.rows, weight, keys, count, out);
}

int wf_chunk_next(const wf_attention_args *a, int64_t b, int64_t h, int64_t row, int64_t rows, int64_t *at, int64_t *keys, bool *whole) {
    chunk_rows r = rows_of(a, b, h, row, rows);
    int64_t own = chunk_of(&r, row), first = own < 0 ? 0 : r.padding + own * r.chunk;
    return wf_pattern_walk(&r.rows, seen, first, row + rows, at, keys, whole);
}
