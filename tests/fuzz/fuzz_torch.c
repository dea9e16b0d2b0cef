/* Files of torch.save: a zip archive with a pickle, or the older row of pickles. */
#include "fuzz/tensor_file.h"

extern const wf_format wf_format_torch, wf_format_torch_legacy;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_tensor_file(size > 0 && data[0] == 'P' ? &wf_format_torch : &wf_format_torch_legacy, data, size);
    return 0;
}
