/* convert.h - parts of the job `convert`: the tensors of the new folder, and the files that go with them. */
#ifndef WF_JOBS_CONVERT_H
#define WF_JOBS_CONVERT_H
#include "families/load_adapter.h"
#include "formats/shards.h"
#include "jobs/job.h"

typedef enum wf_prefix_change { WF_PREFIX_KEEP, WF_PREFIX_ADD, WF_PREFIX_STRIP } wf_prefix_change;

typedef struct wf_conversion {
    wf_job *job;
    const char *from, *to, *adapter;
    int type; /* wf_dtype of numbers; -1: as they are */
    uint64_t shard_bytes;
    bool limited; /* shard_bytes was asked for */
    wf_prefix_change prefix;
    /* what is open */
    wf_shards *shards;
    wf_checkpoint checkpoint; /* only where names or an adapter need it */
    bool known;
    /* what was done */
    size_t tensors, files, changed;
    uint64_t bytes;
} wf_conversion;

/* Writes the weights of c->shards. */
weft_status wf_convert_tensors(wf_conversion *c);
/* Copies what else the folder holds: configs, tokenizer, the parts that modules.json names; config.json says the new type. */
weft_status wf_convert_files(wf_conversion *c);
#endif
