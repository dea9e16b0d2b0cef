/* tensor_file.h - what every fuzz target of a tensor file asks: a file that is taken has tensors whose bytes can be read, which
 * are found by their names; one that is not has a status and a message. */
#ifndef WF_TESTS_FUZZ_TENSOR_FILE_H
#define WF_TESTS_FUZZ_TENSOR_FILE_H
#include <stdlib.h>
#include "formats/tensor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition) {
    if (!condition)
        abort();
}

static inline void check_tensor_file(const wf_format *format, const uint8_t *data, size_t size) {
    wf_tensor_file *file = NULL;
    weft_error err = {.offset = -1};
    weft_status status = wf_tensor_file_parse(&wf_mem_default, format, data, size, &file, &err);
    if (status != WEFT_OK) {
        require(file == NULL && err.status == status && err.message[0] && err.offset <= (int64_t)size);
        return;
    }
    static volatile uint8_t sum; /* so that the reads stay */
    for (size_t i = 0; i < file->count; i++) {
        const wf_stored_tensor *t = &file->list[i];
        const uint8_t *bytes = t->data;
        require(wf_tensor_file_find(file, t->name) == t && t->offset <= size);
        for (size_t k = 0; k < t->size && k < 1 << 20; k++)
            sum ^= bytes[k];
        if (t->size)
            sum ^= bytes[t->size - 1];
    }
    wf_tensor_file_free(file);
}
#endif
