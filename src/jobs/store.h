/* store.h - a trained model as a folder: config.json, model.safetensors, generation_config.json, tokenizer.json. */
#ifndef WF_JOBS_STORE_H
#define WF_JOBS_STORE_H
#include "jobs/job.h"
#include "text/tokenizer.h"
#include "train/trainer.h"

weft_status wf_store_model(wf_job *job, const wf_model *model, const wf_tokenizer *tokenizer, const char *folder);
/* The averaged weights as a model in FOLDER/average. */
weft_status wf_store_average(wf_job *job, wf_model *model, const wf_average *average, const wf_tokenizer *tokenizer,
                             const char *folder);
#endif
