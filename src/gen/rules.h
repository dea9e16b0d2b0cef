/* rules.h - what a checkpoint says about the texts it writes: which tokens may come next, and how likely they are made. All of
 * it is off where it is zero. The arrays belong to whoever made them. */
#ifndef WF_GEN_RULES_H
#define WF_GEN_RULES_H
#include "base/env.h"

typedef struct wf_rules {
    const int32_t *biased, *bias_lengths; /* runs of tokens, one behind the other; the last one of a run, behind the others, */
    const double *bias;                   /* [n_biased] has this added to its score */
    double source_penalty;                /* above 1: tokens of the source become likelier; 0, 1: off */
    int64_t no_repeat, no_repeat_source;  /* no run of so many tokens comes twice, none of the source comes */
    const int32_t *words, *lengths;       /* runs of tokens as above, whose last one is not written behind the others */
    int64_t least, least_new;             /* tokens of the text, new tokens, before one of `ends` may come */
    const int32_t *ends;                  /* [n_ends] */
    const int32_t *second, *last;         /* the token behind a single one; those that may be token number `most` */
    int64_t most;                         /* tokens of the text */
    int64_t decay_start;                  /* new tokens, from which on `ends` become likelier, by this factor each */
    double decay;
    const int32_t *banned;    /* never written */
    const int32_t *not_first; /* not written as token number `begin` + 1 */
    int64_t begin, prompt;    /* tokens in front of the first free one; of the prompt: the others are new */
    size_t n_biased, n_words, n_ends, n_second, n_last, n_banned, n_not_first;
} wf_rules;

typedef struct wf_history { /* of one text */
    const int32_t *ids;     /* [n] so far, the prompt included */
    int64_t n, pads;        /* pads: so many of the first are padding */
    const int32_t *source;  /* what the encoder has read; of a decoder alone the prompt; NULL: nothing */
    int64_t n_source;
} wf_history;

/* Changes the scores [vocab] of the next token, logits or log-probabilities, in the order of the reference. `penalty`: of the
 * tokens that were there, 1: none. `seen`: room for [vocab]. */
void wf_rules_follow(const wf_rules *rules, double penalty, const wf_history *history, double *scores, int64_t vocab,
                     uint8_t *seen);
#endif
