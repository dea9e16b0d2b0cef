/* The .bin files of llama2.c. */
#include "fuzz/tensor_file.h"

extern const wf_format wf_format_llama2c;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_tensor_file(&wf_format_llama2c, data, size);
    return 0;
}
