/* attention.c - the scratch of kernel F: that of the vector forms, which is more than the plain form needs. */
#include "kernels/attention_buffers.h"

size_t wf_attention_scratch(const wf_attention_args *a, bool backward) {
    wf_attention_buffers unused[WF_ATTENTION_BLOCKS] = {0};
    return wf_attention_divide(a, backward, NULL, unused);
}
