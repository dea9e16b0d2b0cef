/* shards.h - the tensors of a model folder: model.safetensors, or the files that model.safetensors.index.json lists. The index
 * may name only plain files of its own folder, and every tensor must be where it says. Thread rule: immutable once open. */
#ifndef WF_FORMATS_SHARDS_H
#define WF_FORMATS_SHARDS_H
#include "formats/safetensors.h"

typedef struct wf_shards wf_shards;
weft_status wf_shards_open(const wf_mem *mem, const char *folder, wf_shards **out, weft_error *err);
void wf_shards_free(wf_shards *shards); /* NULL is fine */
size_t wf_shards_count(const wf_shards *shards);
const wf_stored_tensor *wf_shards_at(const wf_shards *shards, size_t i);
const wf_stored_tensor *wf_shards_find(const wf_shards *shards, const char *name); /* NULL when absent */
const char *wf_shards_path(const wf_shards *shards, const wf_stored_tensor *t);    /* of the file that holds it, for messages */
#endif
