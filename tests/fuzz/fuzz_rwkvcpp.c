/* The files of rwkv.cpp. */
#include "fuzz/tensor_file.h"

extern const wf_format wf_format_rwkvcpp;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_tensor_file(&wf_format_rwkvcpp, data, size);
    return 0;
}
