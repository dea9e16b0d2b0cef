/* sampler.h - from logits to a token: repetition penalty, rules, temperature, top-k, top-p, min-p, in that order (the order of
 * the reference), then a draw keyed by (seed, position): the same seed gives the same text. Thread rule: one caller per
 * sampler.
 */
#ifndef WF_GEN_SAMPLER_H
#define WF_GEN_SAMPLER_H
#include "base/env.h"

/* What a checkpoint says about the texts it writes. The arrays must outlive the sampler. */
typedef struct wf_rules {
    int64_t no_repeat;              /* no run of so many tokens comes twice; 0: off */
    int64_t least, least_new;       /* tokens of the history, new tokens, before one of `ends` may come */
    const int32_t *ends;            /* [n_ends] */
    const int32_t *words, *lengths; /* runs of tokens, one behind the other, whose last one is not written behind the others */
    const int32_t *not_first;       /* [n_not_first]: never the first new token */
    int64_t second, last;           /* the token behind a single one; the new token number `most`; -1: the model's own */
    int64_t most;
    size_t n_ends, n_words, n_not_first;
} wf_rules;

typedef struct wf_sampling {
    double temperature;        /* 0: the most likely token */
    int64_t top_k;             /* 0: off */
    double top_p;              /* 1: off (Holtzman et al. 2020) */
    double min_p;              /* 0: off; keeps p >= min_p * max p (Nguyen et al. 2024) */
    double repetition_penalty; /* 1: off (Keskar et al. 2019) */
    uint64_t seed;
    const int32_t *banned; /* tokens that are never chosen; they must outlive the sampler */
    size_t n_banned;
    const wf_rules *rules; /* NULL: none */
} wf_sampling;

typedef struct wf_sampler wf_sampler;
weft_status wf_sampler_create(const wf_env *env, int64_t vocab, const wf_sampling *options, wf_sampler **out, weft_error *err);
void wf_sampler_free(wf_sampler *sampler);
/* `history`: the tokens so far, which penalty and rules look at; `position` keys the draw, and its lower 32 bits are how many
 * new tokens there were before. NaN logits give WEFT_FAILURE. */
weft_status wf_sampler_next(wf_sampler *sampler, const float *logits, const int32_t *history, int64_t n, uint64_t position,
                            int32_t *token, weft_error *err);
#endif
