/* trie.h - a set of byte strings with values, as a double array (Aoe 1989): one lookup per byte. Never changes after its
 * creation. */
#ifndef WF_TEXT_TRIE_H
#define WF_TEXT_TRIE_H
#include <stdbool.h>
#include "base/mem.h"
#include "base/pool.h"

typedef struct wf_trie_node {
    uint32_t base;   /* children are at base ^ byte */
    uint32_t parent; /* the node it belongs to; WF_TRIE_FREE: none */
    uint32_t value;  /* WF_TRIE_NONE: no key ends here */
} wf_trie_node;
typedef struct wf_trie {
    wf_trie_node *nodes;
    uint32_t count; /* a multiple of 256 */
} wf_trie;
#define WF_TRIE_NONE UINT32_MAX
#define WF_TRIE_FREE UINT32_MAX

typedef struct wf_trie_key {
    const char *text;
    uint32_t length, value; /* value: not WF_TRIE_NONE */
    uint64_t head;          /* set in building: its first eight bytes, the first one highest */
} wf_trie_key;
static inline wf_trie_key wf_trie_key_of(const char *text, size_t length, uint32_t value) {
    return (wf_trie_key){text, (uint32_t)length, value, 0};
}

/* Sorts the keys, on the threads of the pool (NULL: none) when there are many; of equal ones that with the largest value
 * counts. Empty keys are left out. The nodes are the caller's to free. */
weft_status wf_trie_build(const wf_mem *mem, wf_pool *pool, wf_trie_key *keys, size_t n, wf_trie *out, weft_error *err);
void wf_trie_free(wf_trie *t, const wf_mem *mem);

enum { WF_TRIE_ROOT = 0 };
/* The child of a node, false when there is none. */
static inline bool wf_trie_step(const wf_trie *t, uint32_t *at, uint8_t byte) {
    uint32_t next = t->nodes[*at].base ^ byte;
    if (t->nodes[next].parent != *at)
        return false;
    *at = next;
    return true;
}
#endif
