/* sampling.h - the options of commands that draw tokens, over what the model's files say. */
#ifndef WF_JOBS_SAMPLING_H
#define WF_JOBS_SAMPLING_H
#include "gen/config.h"
#include "jobs/job.h"

/* The rows of wf_sampling_rows, and the seed. */
#define WF_SAMPLING_WORDS                                                                                                      \
    "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "repetition_penalty", "seed"

typedef struct wf_asked { /* what the options say */
    wf_sampling sampling;
    uint32_t given;  /* which rows, a bit each */
    bool warm, cold; /* tokens are asked to be drawn; not to be: a temperature of 0 */
} wf_asked;

void wf_asked_read(wf_options *o, wf_asked *out);
/* How tokens are chosen: by the options, else by the model's files, else as usual. */
wf_sampling wf_asked_sampling(const wf_asked *asked, const wf_generation_config *says, const wf_sampling *usual);
/* "tokens drawn, temperature 0.6, top_k 20 (the generation config says do_sample, top_k)" */
void wf_asked_tell(const wf_asked *asked, const wf_generation_config *says, const wf_sampling *used, wf_str *out);
#endif
