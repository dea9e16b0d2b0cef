/* simd_gemm.c - the register block of the built-in matrix product. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

#if WF_VL == 16
enum { ROWS = 12, VECTORS = 2 }; /* accumulators: 24 of 32 registers */
#elif defined(__AVX__)
enum { ROWS = 6, VECTORS = 2 }; /* 12 of 16 */
#else
enum { ROWS = 4, VECTORS = 2 };
#endif
enum { COLUMNS = VECTORS * WF_VL };

/* rows x COLUMNS of the block; `rows` is a constant. */
WF_INLINE void multiply(float *c, int64_t ldc, const float *a, const float *b, int64_t k, int64_t n, const int rows, bool add) {
    vf sum[ROWS][VECTORS];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = vf_set(0.0f);
    for (int64_t p = 0; p < k; p++) {
        vf x[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            x[v] = vf_load(b + p * WF_GEMM_COLUMNS + v * WF_VL);
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < VECTORS; v++)
                sum[i][v] = vf_fma(vf_set(a[p * WF_GEMM_ROWS + i]), x[v], sum[i][v]);
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < VECTORS && v * WF_VL < n; v++) {
            int64_t m = n - v * WF_VL < WF_VL ? n - v * WF_VL : WF_VL;
            float *out = c + i * ldc + v * WF_VL;
            vput(out, add ? vtake(out, m) + sum[i][v] : sum[i][v], m);
        }
}

/* The rows of one step: the whole block, or a power of two of what is left. A sum's order is the same in each. */
WF_INLINE int64_t multiply_rows(float *c, int64_t ldc, const float *a, const float *b, int64_t k, int64_t n, int64_t left,
                                bool add) {
    if (left >= ROWS) {
        multiply(c, ldc, a, b, k, n, ROWS, add);
        return ROWS;
    }
    if (ROWS > 8 && left >= 8) {
        multiply(c, ldc, a, b, k, n, ROWS > 8 ? 8 : 1, add);
        return 8;
    }
    if (ROWS > 4 && left >= 4) {
        multiply(c, ldc, a, b, k, n, ROWS > 4 ? 4 : 1, add);
        return 4;
    }
    if (left >= 2) {
        multiply(c, ldc, a, b, k, n, 2, add);
        return 2;
    }
    multiply(c, ldc, a, b, k, n, 1, add);
    return 1;
}

static void gemm_block(float *c, int64_t ldc, const float *a, const float *b, int64_t k, int64_t m, int64_t n, bool add) {
    for (int64_t j = 0; j < n; j += COLUMNS)
        for (int64_t i = 0; i < m;)
            i += multiply_rows(c + i * ldc + j, ldc, a + i, b + j, k, n - j, m - i, add);
}

WF_FILL(gemm) { k->gemm_block = gemm_block; }
