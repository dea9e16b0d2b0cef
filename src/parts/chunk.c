#include "parts/chunk.h"
#include <math.h>
#include "parts/pattern.h"

/* Rows of padding before the sequence of r. */
static int64_t padding(const wf_pattern_rows *r) {
    const wf_attention_args *a = r->a;
    int64_t n = 0;
    while (a->key_mask && n < a->s && !a->key_mask[r->b * a->s + n])
        n++;
    return n;
}

static int64_t rows_of(const wf_pattern_rows *r) { return ((const wf_chunk *)r->a->pattern->record)->rows; }
static int64_t chunk_of(const wf_pattern_rows *r, int64_t first, int64_t i) {
    return i < first ? -1 : (i - first) / rows_of(r);
}

static float weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    int64_t first = padding(r);
    return j <= i && chunk_of(r, first, i) == chunk_of(r, first, j) ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    int64_t first = padding(r), own = chunk_of(r, first, j), low = chunk_of(r, first, r->row),
            high = chunk_of(r, first, r->last);
    if (own < low || own > high || j > r->last)
        return WF_SEEN_NONE;
    return j <= r->row && own == high && own == low ? WF_SEEN_ALL : WF_SEEN_SOME;
}

void wf_own_chunk_weights(const wf_pattern_rows *r, const int64_t *keys, int count, float *out) {
    wf_pattern_fill(r, weight, keys, count, out);
}

int wf_own_chunk_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys, bool *whole) {
    int64_t before = padding(r), own = chunk_of(r, before, r->row), first = own < 0 ? 0 : before + own * rows_of(r);
    return wf_pattern_walk(r, seen, first, r->last + 1, at, keys, whole);
}
