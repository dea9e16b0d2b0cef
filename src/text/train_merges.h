/* train_merges.h - the common part of training BPE and WordPiece: merging the most frequent pair, the smallest pair of ids
 * among equals, until the vocabulary is large enough. */
#ifndef WF_TEXT_TRAIN_MERGES_H
#define WF_TEXT_TRAIN_MERGES_H
#include "text/tokenizer.h"
#include "text/vocab.h"

#define WF_NO_MERGE UINT64_MAX
typedef struct wf_merging {
    wf_vocab vocab; /* entry i has the id i; at first special tokens and alphabet */
    /* words, as symbols one after another */
    uint32_t *symbols;
    size_t *starts;    /* per word, into symbols */
    uint32_t *lengths; /* per word, in symbols; they shrink */
    uint64_t *counts;  /* per word */
    size_t n_words;
    uint32_t *sizes; /* per symbol, in characters; NULL when there is no limit on them */
    uint64_t max_size;
    size_t vocab_size;
    uint64_t min_frequency; /* pairs seen less often are not merged */
    wf_bytes prefix;        /* of parts inside a word; may be empty */
    const wf_env *env;      /* may be NULL */
    /* the result: pairs (left << 32 | right) in order; WF_NO_MERGE where a later merge of the same pair counts */
    uint64_t *merges;
    size_t n_merges, merges_capacity;
} wf_merging;

/* The id of a token, which is added when it is new. */
weft_status wf_merging_token(wf_merging *m, wf_bytes text, uint32_t *id, weft_error *err);
weft_status wf_merging_run(const wf_mem *mem, wf_merging *m, weft_error *err);
void wf_merging_free(const wf_mem *mem, wf_merging *m);
#endif
