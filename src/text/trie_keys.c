/* trie_keys.c - sorting: each thread a part, then parts are merged from both ends at once. Most comparisons need no more than
 * the heads. */
#include "text/trie_keys.h"

#include <stdlib.h>
#include <string.h>

static uint64_t head_of(const wf_trie_key *k) {
    uint64_t head = 0;
    for (size_t i = 0; i < sizeof head; i++)
        head = head << 8 | (i < k->length ? (uint8_t)k->text[i] : 0);
    return head;
}

static bool is_less_behind(const wf_trie_key *x, const wf_trie_key *y) {
    enum { HEAD = sizeof x->head };
    size_t n = x->length < y->length ? x->length : y->length;
    int order = n > HEAD ? memcmp(x->text + HEAD, y->text + HEAD, n - HEAD) : 0;
    return order != 0 ? order < 0 : x->length != y->length ? x->length < y->length : x->value < y->value;
}

static inline bool is_less(const wf_trie_key *x, const wf_trie_key *y) {
    return x->head != y->head ? x->head < y->head : is_less_behind(x, y);
}

static int compare(const void *a, const void *b) { return is_less(a, b) ? -1 : is_less(b, a); }

static inline void swap(wf_trie_key *a, wf_trie_key *b) {
    wf_trie_key x = *a;
    *a = *b;
    *b = x;
}

static void insertion_sort(wf_trie_key *k, size_t n) {
    for (size_t i = 1; i < n; i++) {
        wf_trie_key x = k[i];
        size_t at = i;
        for (; at > 0 && is_less(&x, &k[at - 1]); at--)
            k[at] = k[at - 1];
        k[at] = x;
    }
}

/* Quicksort as long as it divides well. */
static void sort(wf_trie_key *k, size_t n, int depth) {
    enum { FEW = 24 };
    while (n > FEW) {
        if (depth-- == 0) {
            qsort(k, n, sizeof *k, compare);
            return;
        }
        wf_trie_key *middle = &k[n / 2], *last = &k[n - 1];
        if (is_less(middle, k))
            swap(middle, k);
        if (is_less(last, middle)) {
            swap(last, middle);
            if (is_less(middle, k))
                swap(middle, k);
        }
        wf_trie_key pivot = *middle;
        size_t i = 0, j = n - 1;
        for (;; i++, j--) {
            while (is_less(&k[i], &pivot))
                i++;
            while (is_less(&pivot, &k[j]))
                j--;
            if (i >= j)
                break;
            swap(&k[i], &k[j]);
        }
        sort(k, i, depth);
        k += i;
        n -= i;
    }
    insertion_sort(k, n);
}

/* Neighbouring parts, each in order, on their way together. */
typedef struct sorting {
    wf_trie_key *from, *to;
    size_t n, part; /* keys of a part */
    int parts;      /* that there are; the last one also has what is left over */
} sorting;

static size_t begin_of(const sorting *s, int part) { return s->part * (size_t)part; }
static size_t end_of(const sorting *s, int part) { return part + 1 == s->parts ? s->n : begin_of(s, part + 1); }

static void sort_part(void *arg, int thread, int n_threads) {
    const sorting *s = arg;
    if (thread >= s->parts)
        return;
    for (size_t i = begin_of(s, thread); i < end_of(s, thread); i++)
        s->from[i].head = head_of(&s->from[i]);
    sort(s->from + begin_of(s, thread), end_of(s, thread) - begin_of(s, thread), 64);
}

/* The first half of what two parts become. */
static void merge_up(const sorting *s, size_t a, size_t b, size_t end, size_t most) {
    const wf_trie_key *x = s->from + a, *x_end = s->from + b, *y = x_end, *y_end = s->from + end;
    for (wf_trie_key *to = s->to + a, *to_end = to + most; to < to_end; to++)
        *to = y == y_end || (x < x_end && !is_less(y, x)) ? *x++ : *y++;
}

/* The second half, from the end on. */
static void merge_down(const sorting *s, size_t a, size_t b, size_t end, size_t most) {
    const wf_trie_key *x_begin = s->from + a, *x = s->from + b, *y_begin = x, *y = s->from + end;
    for (wf_trie_key *to = s->to + end, *to_end = to - most; to > to_end;)
        *--to = y == y_begin || (x > x_begin && is_less(y - 1, x - 1)) ? *--x : *--y;
}

/* Two threads for every two parts. */
static void merge_parts(void *arg, int thread, int n_threads) {
    const sorting *s = arg;
    if (thread >= s->parts)
        return;
    int left = thread & ~1;
    size_t a = begin_of(s, left), b = end_of(s, left), end = end_of(s, left + 1), half = (end - a) / 2;
    if (thread & 1)
        merge_down(s, a, b, end, end - a - half);
    else
        merge_up(s, a, b, end, half);
}

void wf_trie_sort(wf_pool *pool, int parts, wf_trie_key *keys, wf_trie_key *room, size_t n, wf_trie_key **sorted) {
    sorting s = {.from = keys, .to = room, .n = n, .part = n / (size_t)parts, .parts = parts};
    if (parts == 1)
        sort_part(&s, 0, 1);
    else
        wf_pool_run(pool, sort_part, &s);
    for (; s.parts > 1; s.parts /= 2, s.part *= 2) {
        wf_pool_run(pool, merge_parts, &s);
        wf_trie_key *other = s.from;
        s.from = s.to;
        s.to = other;
    }
    *sorted = s.from;
}
