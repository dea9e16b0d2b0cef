/* model.bin of CTranslate2. */
#include "fuzz/tensor_file.h"

extern const wf_format wf_format_ctranslate2;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_tensor_file(&wf_format_ctranslate2, data, size);
    return 0;
}
