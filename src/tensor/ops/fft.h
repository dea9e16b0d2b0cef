/* fft.h - what ops on Fourier transforms share: sizes, tables, and channels or tokens as lanes. */
#ifndef WF_TENSOR_OPS_FFT_H
#define WF_TENSOR_OPS_FFT_H
#include "tensor/ops/parts.h"

/* The least power of two that holds a convolution of n numbers with n numbers. */
static inline int64_t wf_fft_size(int64_t n) {
    int64_t size = 1;
    while (size < 2 * n - 1)
        size *= 2;
    return size;
}
/* cos and sin of 2 pi k / n, k < n/2, in the tape's arena; NULL after an error. */
float *wf_fft_table(wf_tape *t, int64_t n);

/* `rows` numbers of up to WF_FFT_LANES signals into [size][lanes], the rest 0: signal l is from + l*lane, its numbers `stride`
 * apart. */
void wf_fft_gather(float *to, const float *from, int64_t rows, int64_t size, int64_t stride, int64_t lane, int64_t live);
#endif
