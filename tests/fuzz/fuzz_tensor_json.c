/* Tensors in a JSON file. */
#include "fuzz/tensor_file.h"

extern const wf_format wf_format_tensor_json;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_tensor_file(&wf_format_tensor_json, data, size);
    return 0;
}
