/* A safetensors file: what is accepted lies inside the file, tiles its data and is found by name. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    wf_safetensors *file = NULL;
    weft_error err = {0};
    weft_status status = wf_safetensors_parse(&wf_mem_default, data, size, &file, &err);
    if (status != WEFT_OK) {
        require(file == NULL && err.status == status && err.message[0] && err.offset <= (int64_t)size);
        return 0;
    }
    size_t total = 0, first = size, n_metadata;
    for (size_t i = 0; i < wf_safetensors_count(file); i++) {
        const wf_stored_tensor *t = wf_safetensors_at(file, i);
        require(t->offset <= size && t->size <= size - t->offset && t->data == data + t->offset);
        require(wf_safetensors_find(file, t->name) == t);
        total += t->size;
        first = t->offset < first ? t->offset : first;
    }
    require(first + total == size || wf_safetensors_count(file) == 0);
    const wf_stored_text *m = wf_safetensors_metadata(file, &n_metadata);
    for (size_t i = 0; i < n_metadata; i++)
        require(wf_safetensors_text(file, m[i].key) != NULL);
    wf_safetensors_free(file);
    return 0;
}
