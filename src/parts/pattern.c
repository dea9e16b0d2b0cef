#include "parts/pattern.h"

void wf_pattern_fill(const wf_pattern_rows *r, wf_pair_weight weight, const int64_t *keys, int count, float *out) {
    for (int k = 0; k < count; k++)
        for (int64_t i = r->row; i <= r->last; i++)
            out[k * WF_ATTENTION_ROWS + i - r->row] = weight(r, i, keys[k]);
}

int wf_pattern_walk(const wf_pattern_rows *r, wf_key_seen seen, int64_t first, int64_t end, int64_t *at, int64_t *keys,
                    bool *whole) {
    int64_t most = wf_attention_keys(r->a, r->b);
    int count = 0;
    *at = *at > first ? *at : first;
    *whole = true;
    for (end = end < most ? end : most; *at < end && count < WF_ATTENTION_KEYS; (*at)++) {
        wf_seen who = seen(r, *at);
        if (who == WF_SEEN_NONE)
            continue;
        keys[count++] = *at;
        *whole &= who == WF_SEEN_ALL;
    }
    return count;
}
