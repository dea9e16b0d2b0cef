#include "base/ranges.h"

bool wf_ranges_have(const wf_range *ranges, size_t n, uint32_t c) {
    for (size_t low = 0, high = n; low < high;) {
        size_t middle = (low + high) / 2;
        if (c >= ranges[middle].first && c <= ranges[middle].last)
            return true;
        if (c < ranges[middle].first)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
