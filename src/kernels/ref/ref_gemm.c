/* ref_gemm.c - the parts of the built-in matrix product. */
#include "kernels/ref/ref.h"

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

const wf_panel_form *wf_ref_panel_form(void) {
    static const wf_panel_form form = {.columns = WF_GEMM_COLUMNS, .depth = 768, .rows = WF_GEMM_ROWS};
    return &form;
}

void wf_ref_panel_copy(float *to, const float *x, int64_t row, int64_t m, int64_t k) {
    wf_ref_gemm_pack_columns(to, x, false, row, m, k, WF_GEMM_ROWS);
}

void wf_ref_panel_product(const wf_panel_args *a) {
    const wf_gemm_beside beside = {.bias = a->bias};
    for (int64_t i = 0; i < a->m; i += WF_GEMM_ROWS)
        wf_ref_gemm_block((float *)a->c + i * a->ldc, a->ldc, (const float *)a->a + i * a->k, 1, WF_GEMM_ROWS, a->panel, a->k,
                          a->m - i < WF_GEMM_ROWS ? a->m - i : WF_GEMM_ROWS, a->n, a->add, &beside);
}

void wf_ref_panel_product_bf16(const wf_panel_args *a) {
    for (int64_t i = 0; i < a->m; i++)
        for (int64_t j = 0; j < a->n; j++) {
            const uint16_t *x = (const uint16_t *)a->a + i * a->row, *w = (const uint16_t *)a->panel + 2 * j;
            float sum = 0;
            for (int64_t p = 0; p < a->k; p++)
                sum += wf_bf16_to_f32(x[p]) * wf_bf16_to_f32(w[p / 2 * 2 * WF_GEMM_COLUMNS + p % 2]);
            sum += a->bias ? a->bias[j] : 0.0f;
            if (a->narrow)
                ((uint16_t *)a->c)[i * a->ldc + j] = wf_f32_to_bf16(sum);
            else
                ((float *)a->c)[i * a->ldc + j] = sum;
        }
}
