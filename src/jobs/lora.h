/* lora.h - the option `lora`: words such as r=8,alpha=16,targets=q_proj,v_proj, or PEFT's own keys as an object, made into the
 * config of a new adapter. */
#ifndef WF_JOBS_LORA_H
#define WF_JOBS_LORA_H
#include "jobs/job.h"

/* *config NULL: the option is not there. `base`: the folder of the model. */
weft_status wf_lora_read(wf_job *job, const wf_json *option, const char *base, wf_json **config);
#endif
