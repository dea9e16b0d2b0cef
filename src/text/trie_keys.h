/* trie_keys.h - the order of a trie's keys. */
#ifndef WF_TEXT_TRIE_KEYS_H
#define WF_TEXT_TRIE_KEYS_H
#include "text/trie.h"

/* Sorts by text, equal texts by value. *sorted is `keys` or `room`, which holds as many; `parts`, a power of two, are sorted by
 * a thread each. */
void wf_trie_sort(wf_pool *pool, int parts, wf_trie_key *keys, wf_trie_key *room, size_t n, wf_trie_key **sorted);
#endif
