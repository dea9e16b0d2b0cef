#include "tensor/ops/fft.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

float *wf_fft_table(wf_tape *t, int64_t n) {
    int64_t half = n > 1 ? n / 2 : 1;
    float *table = wf_arena_alloc(wf_tape_arena(t), (size_t)(2 * half) * sizeof *table);
    if (!table)
        wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
    for (int64_t k = 0; table && k < half; k++) {
        table[2 * k] = (float)cos(2.0 * PI * (double)k / (double)n);
        table[2 * k + 1] = (float)sin(2.0 * PI * (double)k / (double)n);
    }
    return table;
}

void wf_fft_gather(float *to, const float *from, int64_t rows, int64_t size, int64_t stride, int64_t lane, int64_t live) {
    memset(to, 0, (size_t)(size * WF_FFT_LANES) * sizeof *to);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t l = 0; l < live; l++)
            to[i * WF_FFT_LANES + l] = from[i * stride + l * lane];
}
