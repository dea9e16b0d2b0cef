#include "base/select.h"
#include <stdbool.h>

static bool before(wf_ranked a, wf_ranked b) { return a.value > b.value; }

static void swap(wf_ranked *a, wf_ranked *b) {
    wf_ranked c = *a;
    *a = *b;
    *b = c;
}

/* ---- by a heap of the best so far: few of many ---- */
/* Puts `value` into the hole of the heap x[n], first down to a leaf, then up. */
static void adjust_heap(wf_ranked *x, int64_t hole, int64_t n, wf_ranked value) {
    int64_t top = hole, child = hole;
    while (child < (n - 1) / 2) {
        child = 2 * (child + 1);
        if (before(x[child], x[child - 1]))
            child--;
        x[hole] = x[child];
        hole = child;
    }
    if (n % 2 == 0 && child == (n - 2) / 2) {
        child = 2 * child + 1;
        x[hole] = x[child];
        hole = child;
    }
    for (int64_t parent = (hole - 1) / 2; hole > top && before(x[parent], value); parent = (hole - 1) / 2) {
        x[hole] = x[parent];
        hole = parent;
    }
    x[hole] = value;
}

static void select_by_heap(wf_ranked *x, int64_t n, int64_t keep) {
    for (int64_t parent = (keep - 2) / 2; keep > 1 && parent >= 0; parent--)
        adjust_heap(x, parent, keep, x[parent]);
    for (int64_t i = keep; i < n; i++)
        if (before(x[i], x[0])) {
            wf_ranked value = x[i];
            x[i] = x[0];
            adjust_heap(x, 0, keep, value);
        }
}

/* ---- by halves ---- */
static void median_to_first(wf_ranked *x, wf_ranked *a, wf_ranked *b, wf_ranked *c) {
    if (before(*a, *b))
        swap(x, before(*b, *c) ? b : before(*a, *c) ? c : a);
    else
        swap(x, before(*a, *c) ? a : before(*b, *c) ? c : b);
}

/* The first of those that are not before the pivot, which stands at x[first]. */
static int64_t partition(wf_ranked *x, int64_t first, int64_t last) {
    median_to_first(x + first, x + first + 1, x + first + (last - first) / 2, x + last - 1);
    wf_ranked pivot = x[first++];
    for (;;) {
        while (before(x[first], pivot))
            first++;
        last--;
        while (before(pivot, x[last]))
            last--;
        if (first >= last)
            return first;
        swap(x + first++, x + last);
    }
}

static void insertion_sort(wf_ranked *x, int64_t first, int64_t last) {
    for (int64_t i = first + 1; i < last; i++) {
        wf_ranked value = x[i];
        int64_t at = i;
        for (; at > first && before(value, x[at - 1]); at--)
            x[at] = x[at - 1];
        x[at] = value;
    }
}

static void select_by_halves(wf_ranked *x, int64_t n, int64_t keep) {
    int64_t first = 0, last = n, nth = keep - 1, depth = 0;
    for (int64_t size = n; size > 1; size /= 2)
        depth += 2;
    while (last - first > 3) {
        if (depth-- == 0) {
            select_by_heap(x + first, last - first, nth + 1 - first);
            return;
        }
        int64_t cut = partition(x, first, last);
        if (cut <= nth)
            first = cut;
        else
            last = cut;
    }
    insertion_sort(x, first, last);
}

void wf_select_largest(wf_ranked *x, int64_t n, int64_t keep) {
    if (keep * 64 <= n)
        select_by_heap(x, n, keep);
    else
        select_by_halves(x, n, keep);
}
