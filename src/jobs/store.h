/* store.h - a trained model as a folder: config.json, model.safetensors, generation_config.json, tokenizer.json,
 * tokenizer_config.json. */
#ifndef WF_JOBS_STORE_H
#define WF_JOBS_STORE_H
#include "jobs/job.h"
#include "text/tokenizer.h"
#include "train/trainer.h"

/* `like`: the folder that the tokenizer is of, which may say more about it; NULL or none: it has no folder. */
typedef struct wf_stored {
    const wf_tokenizer *tokenizer;
    const char *like;
} wf_stored;

/* tokenizer.json, and tokenizer_config.json with its companions as `like` has them, so that whoever opens the folder by its
 * class makes the same tokenizer; else one that asks for tokenizer.json as it is. */
weft_status wf_store_tokenizer(wf_job *job, const wf_stored *stored, const char *folder);
weft_status wf_store_model(wf_job *job, const wf_model *model, const wf_stored *stored, const char *folder);
/* The averaged weights as a model in FOLDER/average. */
weft_status wf_store_average(wf_job *job, wf_model *model, const wf_average *average, const wf_stored *stored,
                             const char *folder);
#endif
