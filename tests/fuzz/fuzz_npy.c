/* Arrays of numpy: .npy, and .npz where the first bytes are those of a zip archive. */
#include "fuzz/tensor_file.h"

extern const wf_format wf_format_npy, wf_format_npz;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_tensor_file(size > 0 && data[0] == 'P' ? &wf_format_npz : &wf_format_npy, data, size);
    return 0;
}
