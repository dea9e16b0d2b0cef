/* bpe_queue.c - see bpe_queue.h. The lowest rank is found in a bitmap with a summary; a list is put in ascending order when its
 * turn comes. The merges of a trained model never make a pair of lower rank than the one that was merged; where others do, or
 * where pairs share a rank, the newcomer waits in a small heap beside the list. */
#include "text/bpe_queue.h"

#include <string.h>

static size_t words_for(size_t bits) { return (bits + 63) / 64; }

weft_status wf_bpe_queue_begin(wf_bpe_queue *q, const wf_mem *mem, uint32_t n_ranks, weft_error *err) {
    size_t marks = words_for(n_ranks), groups = words_for(marks);
    if (n_ranks > q->n_ranks) {
        wf_bpe_queue_free(q, mem);
        q->lasts = wf_calloc(mem, n_ranks, sizeof *q->lasts);
        q->marks = wf_calloc(mem, marks, sizeof *q->marks);
        q->groups = wf_calloc(mem, groups, sizeof *q->groups);
        if (!q->lasts || !q->marks || !q->groups)
            return wf_fail_memory(err);
        q->n_ranks = n_ranks;
    } else if (q->listed) { /* a word was given up */
        memset(q->lasts, 0, q->n_ranks * sizeof *q->lasts);
        memset(q->marks, 0, words_for(q->n_ranks) * sizeof *q->marks);
        memset(q->groups, 0, words_for(words_for(q->n_ranks)) * sizeof *q->groups);
    }
    q->n_entries = q->listed = q->now_count = q->now_at = q->late_count = 0;
    q->free = 0;
    q->next_rank = 0;
    return WEFT_OK;
}

void wf_bpe_queue_free(wf_bpe_queue *q, const wf_mem *mem) {
    void *blocks[] = {q->lasts, q->marks, q->groups, q->entries, q->now, q->spare, q->late};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        wf_free(mem, blocks[i]);
    *q = (wf_bpe_queue){.lasts = NULL};
}

/* ---- the heap of late ones ---- */

static weft_status put_late(wf_bpe_queue *q, const wf_mem *mem, uint64_t x, weft_error *err) {
    WF_TRY(wf_grow(mem, (void **)&q->late, &q->late_capacity, q->late_count + 1, sizeof *q->late, err));
    size_t i = q->late_count++;
    for (; i > 0 && q->late[(i - 1) / 2] > x; i = (i - 1) / 2)
        q->late[i] = q->late[(i - 1) / 2];
    q->late[i] = x;
    return WEFT_OK;
}

static uint64_t take_late(wf_bpe_queue *q) {
    uint64_t *heap = q->late, top = heap[0], x = heap[--q->late_count];
    size_t n = q->late_count, i = 0;
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && heap[c + 1] < heap[c];
        if (heap[c] >= x)
            break;
        heap[i] = heap[c];
    }
    heap[i] = x;
    return top;
}

/* ---- the lists ---- */

static weft_status new_entry(wf_bpe_queue *q, const wf_mem *mem, uint32_t *out, weft_error *err) {
    if (q->free) {
        *out = q->free - 1;
        q->free = q->entries[*out].next;
        return WEFT_OK;
    }
    if (q->n_entries == q->entries_capacity)
        WF_TRY(wf_grow(mem, (void **)&q->entries, &q->entries_capacity, q->n_entries + 1, sizeof *q->entries, err));
    *out = (uint32_t)q->n_entries++;
    return WEFT_OK;
}

weft_status wf_bpe_queue_put(wf_bpe_queue *q, const wf_mem *mem, uint32_t rank, uint32_t position, weft_error *err) {
    uint32_t i;
    if (rank < q->next_rank)
        return put_late(q, mem, (uint64_t)rank << 32 | position, err);
    WF_TRY(new_entry(q, mem, &i, err));
    uint32_t last = q->lasts[rank];
    q->entries[i] = (wf_bpe_entry){position, last ? q->entries[last - 1].next : i + 1};
    if (last)
        q->entries[last - 1].next = i + 1;
    q->lasts[rank] = i + 1;
    q->marks[rank / 64] |= (uint64_t)1 << rank % 64;
    q->groups[rank / 4096] |= (uint64_t)1 << rank / 64 % 64;
    q->listed++;
    return WEFT_OK;
}

static int lowest_bit(uint64_t x) {
    int n = 0;
    for (int step = 32; step; step /= 2)
        if ((x & (((uint64_t)1 << step) - 1)) == 0) {
            x >>= step;
            n += step;
        }
    return n;
}

/* The lowest rank with a list; there is one. No list below next_rank has anything. */
static uint32_t lowest_rank(const wf_bpe_queue *q) {
    size_t g = q->next_rank / 4096;
    while (!q->groups[g])
        g++;
    size_t w = g * 64 + (size_t)lowest_bit(q->groups[g]);
    return (uint32_t)(w * 64 + (size_t)lowest_bit(q->marks[w]));
}

/* The end of the run that does not fall that begins at `i`. */
static size_t run_end(const uint32_t *list, size_t n, size_t i) {
    for (i++; i < n && list[i] >= list[i - 1];)
        i++;
    return i;
}

/* Lists come in as a few ascending runs, which are merged two by two until there is one. */
static void sort_now(wf_bpe_queue *q) {
    size_t n = q->now_count;
    while (run_end(q->now, n, 0) < n) {
        for (size_t from = 0, middle, end, out = 0; from < n; from = end) {
            size_t i = from;
            middle = run_end(q->now, n, from);
            end = middle < n ? run_end(q->now, n, middle) : n;
            for (size_t j = middle; i < middle || j < end;)
                q->spare[out++] = j == end || (i < middle && q->now[i] <= q->now[j]) ? q->now[i++] : q->now[j++];
        }
        uint32_t *sorted = q->spare;
        q->spare = q->now;
        q->now = sorted;
    }
}

/* The list of a rank becomes the one that is taken, and its entries are free again. */
static weft_status open_list(wf_bpe_queue *q, const wf_mem *mem, uint32_t rank, weft_error *err) {
    uint32_t last = q->lasts[rank] - 1, i = last;
    q->now_count = q->now_at = 0;
    do {
        i = q->entries[i].next - 1;
        if (q->now_count == q->now_capacity)
            WF_TRY(wf_grow(mem, (void **)&q->now, &q->now_capacity, q->now_count + 1, sizeof *q->now, err));
        q->now[q->now_count++] = q->entries[i].position;
    } while (i != last);
    if (q->spare_capacity < q->now_capacity) {
        WF_TRY(wf_grow(mem, (void **)&q->spare, &q->spare_capacity, q->now_capacity, sizeof *q->spare, err));
        size_t least = q->spare_capacity < q->now_capacity ? q->spare_capacity : q->now_capacity;
        q->spare_capacity = q->now_capacity = least; /* they change places */
    }
    uint32_t first = q->entries[last].next;
    q->entries[last].next = q->free;
    q->free = first;
    q->listed -= q->now_count;
    q->lasts[rank] = 0;
    q->marks[rank / 64] &= ~((uint64_t)1 << rank % 64);
    if (!q->marks[rank / 64])
        q->groups[rank / 4096] &= ~((uint64_t)1 << rank / 64 % 64);
    q->next_rank = (uint64_t)rank + 1;
    sort_now(q);
    return WEFT_OK;
}

weft_status wf_bpe_queue_take(wf_bpe_queue *q, const wf_mem *mem, uint32_t *rank, uint32_t *position, bool *some,
                              weft_error *err) {
    if (q->now_at == q->now_count && q->late_count == 0 && q->listed)
        WF_TRY(open_list(q, mem, lowest_rank(q), err));
    *some = q->now_at < q->now_count || q->late_count > 0;
    if (!*some)
        return WEFT_OK;
    uint64_t listed = q->now_at < q->now_count ? (q->next_rank - 1) << 32 | q->now[q->now_at] : UINT64_MAX;
    bool late = q->late_count && q->late[0] < listed;
    uint64_t x = late ? take_late(q) : listed;
    q->now_at += !late;
    *rank = (uint32_t)(x >> 32);
    *position = (uint32_t)x;
    return WEFT_OK;
}
