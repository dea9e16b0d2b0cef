/* beams.h - the options of commands that write texts by beams, over what the model's files say. */
#ifndef WF_JOBS_BEAMS_H
#define WF_JOBS_BEAMS_H
#include "jobs/sampling.h"

#define WF_BEAM_WORDS "beams", "length_penalty", "early_stopping", "sequences"
/* How `model` is to search, and a warning for what its files say and is not followed. Beams refuse tokens that are drawn. */
weft_status wf_job_beams(wf_job *job, const char *model, const wf_generation_config *says, const wf_asked *asked,
                         wf_beams *out);
#endif
