/* ref_gemm.c - the parts of the built-in matrix product. */
#include "kernels/ref/ref.h"

int64_t wf_ref_gemm_depth(void) { return 768; }

void wf_ref_gemm_block(float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b, int64_t k, int64_t m,
                       int64_t n, bool add, const wf_gemm_beside *beside) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += a[i * row + p * step] * b[p * WF_GEMM_COLUMNS + j];
            sum += beside && beside->bias ? beside->bias[j] : 0.0f;
            c[i * ldc + j] = add ? c[i * ldc + j] + sum : sum;
        }
}

static float element(const void *src, bool bf16, int64_t at) {
    return bf16 ? wf_bf16_to_f32(((const uint16_t *)src)[at]) : ((const float *)src)[at];
}

void wf_ref_gemm_pack_rows(float *panels, const void *src, bool bf16, int64_t ld, int64_t lines, int64_t k, int64_t width) {
    for (int64_t i = 0; i < (lines + width - 1) / width * width; i++)
        for (int64_t p = 0; p < k; p++)
            panels[i / width * width * k + p * width + i % width] = i < lines ? element(src, bf16, p * ld + i) : 0.0f;
}

void wf_ref_gemm_pack_columns(float *panels, const void *src, bool bf16, int64_t ld, int64_t lines, int64_t k, int64_t width) {
    for (int64_t i = 0; i < (lines + width - 1) / width * width; i++)
        for (int64_t p = 0; p < k; p++)
            panels[i / width * width * k + p * width + i % width] = i < lines ? element(src, bf16, i * ld + p) : 0.0f;
}
