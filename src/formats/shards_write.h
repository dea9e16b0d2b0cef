/* shards_write.h - the tensors of a model folder, written: model.safetensors, or where that would be larger than a limit shards
 * of it with an index, named as the reference does. */
#ifndef WF_FORMATS_SHARDS_WRITE_H
#define WF_FORMATS_SHARDS_WRITE_H
#include "formats/safetensors.h"

/* The bytes of tensor `i` of the plan, valid until the next call. */
typedef weft_status (*wf_tensor_bytes_fn)(void *user, size_t i, const void **data, size_t *size, weft_error *err);

typedef struct wf_shards_plan {
    const wf_tensor_plan *tensors;
    size_t n_tensors;
    uint64_t limit; /* bytes of data in a file; a larger tensor has a file of its own */
    wf_tensor_bytes_fn bytes;
    void *user;
} wf_shards_plan;

/* *files: how many. Each file appears whole or not at all, the index last. */
weft_status wf_shards_write(const wf_mem *mem, const char *folder, const wf_shards_plan *plan, size_t *files, weft_error *err);
#endif
