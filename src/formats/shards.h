/* shards.h - the tensors of a model: those of one file, of the file that holds them all in a folder, or of the files that the
 * folder's index lists, of whichever kind (formats/formats.def). An index may name only plain files of its own folder, and
 * every tensor must be where it says. Thread rule: immutable once open. */
#ifndef WF_FORMATS_SHARDS_H
#define WF_FORMATS_SHARDS_H
#include "formats/tensor_file.h"

typedef struct wf_shards wf_shards;
/* `path`: a folder or a file. */
weft_status wf_shards_open(const wf_mem *mem, const char *path, wf_shards **out, weft_error *err);
void wf_shards_free(wf_shards *shards); /* NULL is fine */
size_t wf_shards_count(const wf_shards *shards);
const wf_stored_tensor *wf_shards_at(const wf_shards *shards, size_t i);
const wf_stored_tensor *wf_shards_find(const wf_shards *shards, const char *name); /* NULL when absent */
const char *wf_shards_path(const wf_shards *shards, const wf_stored_tensor *t);    /* of the file that holds it, for messages */
const char *wf_shards_format(const wf_shards *shards);                             /* the name of the (first) file's kind */
const wf_json *wf_shards_config(const wf_shards *shards); /* what the (first) file says about its model; NULL: nothing */
#endif
