/* bpe_queue.h - which pair of a long word is merged next: the positions of pairs by rank, the leftmost of the lowest rank
 * first. Ranks are small numbers, so each has a list of its own, and putting and taking cost the same however many pairs wait.
 */
#ifndef WF_TEXT_BPE_QUEUE_H
#define WF_TEXT_BPE_QUEUE_H
#include <stdbool.h>
#include "base/mem.h"

typedef struct wf_bpe_entry {
    uint32_t position, next; /* an entry + 1: lists are rings, and a rank knows its last entry */
} wf_bpe_entry;

typedef struct wf_bpe_queue {
    uint32_t *lasts;          /* [n_ranks] the last entry + 1 of each list; 0: empty */
    uint64_t *marks, *groups; /* a bit for each rank whose list is not empty; for each word of marks that is not 0 */
    uint32_t n_ranks;
    wf_bpe_entry *entries;
    size_t n_entries, entries_capacity, listed; /* entries handed out; in lists */
    uint32_t free;                              /* an entry + 1 of those that came back; 0: none */
    /* The list that is being taken, ascending, and where it is; what came in since with a rank not above its own, as a heap. */
    uint32_t *now, *spare;
    size_t now_count, now_at, now_capacity, spare_capacity;
    uint64_t next_rank; /* of the list that is being taken + 1 */
    uint64_t *late;     /* rank << 32 | position */
    size_t late_count, late_capacity;
} wf_bpe_queue;

/* An empty queue for ranks below n_ranks, whatever the queue was used for before. All zero at first. */
weft_status wf_bpe_queue_begin(wf_bpe_queue *q, const wf_mem *mem, uint32_t n_ranks, weft_error *err);
weft_status wf_bpe_queue_put(wf_bpe_queue *q, const wf_mem *mem, uint32_t rank, uint32_t position, weft_error *err);
/* false in *some: nothing is left. */
weft_status wf_bpe_queue_take(wf_bpe_queue *q, const wf_mem *mem, uint32_t *rank, uint32_t *position, bool *some,
                              weft_error *err);
void wf_bpe_queue_free(wf_bpe_queue *q, const wf_mem *mem);
#endif
