/* bpe.h - a byte-pair model as both its readings (bpe_load.c: tokenizer.json's merges, and pieces with scores as in
 * SentencePiece) build it and bpe.c runs it. */
#ifndef WF_TEXT_BPE_H
#define WF_TEXT_BPE_H
#include "text/engine.h"
#include "text/trie.h"

#define WF_BPE_NONE UINT32_MAX
enum { WF_BPE_SHORT = 64 }; /* symbols that are merged in one line */

/* A slot of the table of merges: empty when the key is 0. */
typedef struct wf_bpe_merge {
    uint64_t key;  /* of the pair: wf_bpe_key */
    uint64_t what; /* (rank + 1) << 32 | id */
} wf_bpe_merge;
/* No pair of tokens has the key 0. */
static inline uint64_t wf_bpe_key(uint32_t left, uint32_t right) { return ~((uint64_t)left << 32 | right); }

typedef struct wf_bpe {
    uint32_t byte_id[256];  /* the token of each letter, NONE when the vocabulary lacks it */
    uint32_t ascii_id[128]; /* the token of each ASCII character, when no affixes are in the way */
    uint32_t fallback[256]; /* the tokens <0x00> ... */
    wf_bpe_merge *merges;
    uint64_t mask;    /* slots - 1 */
    uint32_t n_ranks; /* above every rank */
    uint64_t *joints; /* pairs of symbols of one character between which some merge happens; 0: an empty slot */
    uint64_t joint_mask, n_joints;
    uint32_t unknown;
    wf_bytes prefix, suffix; /* of characters that are not the first, that are the last of a word */
    bool byte_fallback, fuse_unknown, ignore_merges, merges_nothing;
    bool drops_letters; /* those it lacks are left out: tokens then end where their letters do, not where bytes do */
    bool lacks_unknown; /* the unknown token is named, but not in the vocabulary: the first unknown character is an error */
    /* pieces with scores: */
    bool scored;
    const char *kinds; /* of the pieces, as pieces.h has them */
    bool words;        /* nothing is merged: a word with the mark of a space in front is a piece, or unknown */
    wf_vocab extra;    /* characters that are no pieces, but parts of some: their symbols follow the ids */
    uint32_t first_extra;
    wf_trie frozen; /* user-defined pieces: found before any merging; empty when there are none */
} wf_bpe;

/* Of a pair as a number. */
static inline uint64_t wf_bpe_pair_hash(uint64_t pair) {
    uint64_t x = pair * 0x9E3779B97F4A7C15u;
    return x ^ x >> 32;
}
/* The merge of a pair, or an empty slot. */
static inline const wf_bpe_merge *wf_bpe_find_merge(const wf_bpe *b, uint32_t left, uint32_t right) {
    uint64_t key = wf_bpe_key(left, right);
    for (uint64_t i = wf_bpe_pair_hash(key);; i++) {
        const wf_bpe_merge *m = &b->merges[i & b->mask];
        if (m->key == key || m->key == 0)
            return m;
    }
}
/* May a merge happen between these symbols of one character each? */
bool wf_bpe_may_join(const wf_bpe *b, uint32_t left, uint32_t right);

weft_status wf_load_bpe(wf_loading *l, const wf_model_source *s, void **model);
weft_status wf_load_scored_bpe(wf_loading *l, const wf_model_source *s, void **model);
void wf_release_bpe(void *model, const wf_mem *mem);
bool wf_bpe_takes_letters(const void *model);
weft_status wf_encode_bpe(const void *model, wf_encoder *e, wf_piece piece);
#endif
