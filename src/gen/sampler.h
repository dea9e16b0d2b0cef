/* sampler.h - from logits to a token: penalties and rules (rules.h), temperature, top-h, top-k, top-p, min-p, typical-p, the
 * cuts by epsilon and eta, in that order (the order of the reference), then a draw keyed by (seed, position): the same seed
 * gives the same text. Thread rule: one caller per sampler. */
#ifndef WF_GEN_SAMPLER_H
#define WF_GEN_SAMPLER_H
#include "base/str.h"
#include "gen/rules.h"

typedef struct wf_sampling {
    double temperature;        /* 0: the most likely token */
    int64_t top_k;             /* 0: off */
    double top_p;              /* 1: off (Holtzman et al. 2020) */
    double min_p;              /* 0: off; keeps p >= min_p * max p (Nguyen et al. 2024) */
    double top_h;              /* 0: off; the most likely that hold this share of the entropy (arXiv 2509.02510) */
    double typical_p;          /* 0: off; those nearest to the entropy that hold this mass (Meister et al. 2022) */
    double epsilon, eta;       /* 0: off (Hewitt et al. 2022) */
    double repetition_penalty; /* 1: off (Keskar et al. 2019) */
    uint64_t seed;
    const wf_rules *rules; /* NULL: none; they must outlive the sampler */
} wf_sampling;

/* The numbers of it, by the words of the reference: what options, files of checkpoints and logs call them. */
typedef struct wf_sampling_row {
    const char *key;
    size_t at;               /* in wf_sampling */
    bool whole;              /* a whole number */
    bool draws;              /* says how tokens are drawn */
    bool above;              /* more than `least` */
    double least, most, off; /* off: it does nothing; NAN: there is no such number */
} wf_sampling_row;
extern const wf_sampling_row wf_sampling_rows[]; /* ends with a NULL key */
double wf_sampling_get(const wf_sampling *sampling, const wf_sampling_row *row);
void wf_sampling_set(wf_sampling *sampling, const wf_sampling_row *row, double value);
/* ", temperature 0.6, top_k 20": what is not off. Without a temperature only what does not draw. */
void wf_sampling_tell(const wf_sampling *sampling, wf_str *out);

typedef struct wf_sampler wf_sampler;
weft_status wf_sampler_create(const wf_env *env, int64_t vocab, const wf_sampling *options, wf_sampler **out, weft_error *err);
void wf_sampler_free(wf_sampler *sampler);
/* `position` keys the draw. NaN logits give WEFT_FAILURE. */
weft_status wf_sampler_next(wf_sampler *sampler, const float *logits, const wf_history *history, uint64_t position,
                            int32_t *token, weft_error *err);
/* What it would choose among: the scores [vocab] of the last logits behind all of the above, -INFINITY for what is left out,
 * valid until the next call. */
weft_status wf_sampler_scores(wf_sampler *sampler, const float *logits, const wf_history *history, const double **scores,
                              weft_error *err);
#endif
