/* inspect.h - private to the job inspect: its parts. Each adds to job->json and job->text. */
#ifndef WF_JOBS_INSPECT_H
#define WF_JOBS_INSPECT_H
#include "jobs/job.h"
#include "model/model.h"

typedef struct wf_inspection { /* what a training step would be */
    int64_t context, batch;
    bool bf16, checkpoint_activations, keep_activations;
    const wf_json *optimizer; /* an object with "name" */
} wf_inspection;

/* Tree of parts: shapes, parameters, FLOPs, states. `family`: what the folder was read as, NULL: no folder. */
weft_status wf_inspect_model(wf_job *job, const wf_model *model, const char *family, int64_t context);
/* Memory of a training step by part, and its FLOPs; "not possible" when the model has no training form. */
weft_status wf_inspect_memory(wf_job *job, const wf_model *model, const wf_inspection *step);
weft_status wf_inspect_tensors(wf_job *job, const char *path); /* of a file of any kind of formats/formats.def */
/* A folder's weights, whatever becomes of them: how many, of which types; none, or none that can be read, is a warning. */
weft_status wf_inspect_weights(wf_job *job, const char *folder);
/* The modules of a sentence-transformers folder; nothing of another. */
weft_status wf_inspect_modules(wf_job *job, const char *folder);
/* The folder of the transformer that a sentence-transformers folder has in a folder of its own; NULL: it has none. */
weft_status wf_inspect_transformer(wf_job *job, const char *folder, const char **out);
/* What an adapter's folder says and holds; *is false (and WEFT_OK) when it is none. */
weft_status wf_inspect_adapter(wf_job *job, const char *folder, bool *is);
/* *is false (and WEFT_OK) when the JSON file is no tokenizer. */
weft_status wf_inspect_tokenizer(wf_job *job, const char *path, bool *is);
/* "12.3 MB" into out (16 bytes). */
void wf_format_bytes(double bytes, char out[16]);
#endif
