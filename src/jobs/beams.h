/* beams.h - the options of commands that write texts by beams, over what the model's files say. */
#ifndef WF_JOBS_BEAMS_H
#define WF_JOBS_BEAMS_H
#include "gen/config.h"
#include "jobs/job.h"

#define WF_BEAM_WORDS "beams", "length_penalty", "early_stopping", "sequences"
/* How `model` is to search, and a warning for a rule of its files that is not followed. `warm`: tokens are asked to be drawn,
 * which beams refuse. */
weft_status wf_job_beams(wf_job *job, const char *model, const wf_generation_config *says, bool warm, wf_beams *out);
#endif
