#include "parts/chunk_pattern.h"
#include <math.h>
#include "parts/pattern.h"

/* How often chunk `to` is met from chunk `from`: offsets -before..after that lead to it. */
static int64_t meetings(const wf_chunk_pattern *p, int64_t from, int64_t to) {
    int64_t low = -p->before, high = p->after, d = to - from;
    if (p->chunks == 0)
        return d >= low && d <= high;
    int64_t lowest = low + ((d - low) % p->chunks + p->chunks) % p->chunks; /* the least d + m*chunks from low on */
    return lowest > high ? 0 : (high - lowest) / p->chunks + 1;
}

static float weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const wf_chunk_pattern *p = r->a->pattern->record;
    int64_t count = meetings(p, i / p->chunk, j / p->chunk);
    if ((p->causal && j > i) || (p->exact && (i - j > p->before * p->chunk || j - i > p->after * p->chunk)))
        return -INFINITY;
    return count > 1 ? logf((float)count) : count == 1 ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    const wf_chunk_pattern *p = r->a->pattern->record;
    int64_t some = 0, all = 1;
    for (int64_t c = r->row / p->chunk; c <= r->last / p->chunk; c++) {
        int64_t count = meetings(p, c, j / p->chunk);
        some += count;
        all &= count == 1;
    }
    if (some == 0)
        return WF_SEEN_NONE;
    return all && !p->exact && (!p->causal || j <= r->row) ? WF_SEEN_ALL : WF_SEEN_SOME;
}

void wf_chunk_weights(const wf_pattern_rows *r, const int64_t *keys, int count, float *out) {
    wf_pattern_fill(r, weight, keys, count, out);
}

int wf_chunk_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys, bool *whole) {
    const wf_chunk_pattern *p = r->a->pattern->record;
    int64_t last = r->last, first = 0, end = (last / p->chunk + p->after + 1) * p->chunk;
    if (p->chunks)
        end = INT64_MAX;
    else
        first = (r->row / p->chunk - p->before) * p->chunk;
    if (p->causal)
        end = last + 1;
    return wf_pattern_walk(r, seen, first, end, at, keys, whole);
}
