/* transpose.h - WF_VL x WF_VL floats in registers, and whole tiles by them. */
#ifndef WF_KERNELS_TRANSPOSE_H
#define WF_KERNELS_TRANSPOSE_H
#include "kernels/vec/vec.h"

#if WF_VL == 16 && defined(__AVX512F__)
WF_INLINE void vf_transpose(vf r[WF_VL]) {
    __m512 t[16], u[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps((__m512)r[i], (__m512)r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps((__m512)r[i], (__m512)r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int c = 0; c < 2; c++) {
            __m512d a = _mm512_castps_pd(t[i + c]), b = _mm512_castps_pd(t[i + c + 2]);
            u[i + 2 * c] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            u[i + 2 * c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (int c = 0; c < 4; c++) { /* u[4g+c], quarter q: column 4q+c of rows 4g..4g+3 */
        __m512 even0 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88), odd0 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd);
        __m512 even1 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88), odd1 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
        r[c] = (vf)_mm512_shuffle_f32x4(even0, even1, 0x88);
        r[4 + c] = (vf)_mm512_shuffle_f32x4(odd0, odd1, 0x88);
        r[8 + c] = (vf)_mm512_shuffle_f32x4(even0, even1, 0xdd);
        r[12 + c] = (vf)_mm512_shuffle_f32x4(odd0, odd1, 0xdd);
    }
}
#elif WF_VL == 8 && defined(__AVX__)
WF_INLINE void vf_transpose(vf r[WF_VL]) {
    __m256 t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps((__m256)r[i], (__m256)r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps((__m256)r[i], (__m256)r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int c = 0; c < 2; c++) {
            __m256d a = _mm256_castps_pd(t[i + c]), b = _mm256_castps_pd(t[i + c + 2]);
            u[i + 2 * c] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            u[i + 2 * c + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    for (int c = 0; c < 4; c++) {
        r[c] = (vf)_mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
        r[4 + c] = (vf)_mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
    }
}
#elif WF_VL == 4 && defined(__SSE2__)
WF_INLINE void vf_transpose(vf r[WF_VL]) {
    __m128 a = (__m128)r[0], b = (__m128)r[1], c = (__m128)r[2], d = (__m128)r[3];
    _MM_TRANSPOSE4_PS(a, b, c, d);
    r[0] = (vf)a;
    r[1] = (vf)b;
    r[2] = (vf)c;
    r[3] = (vf)d;
}
#else
WF_INLINE void vf_transpose(vf r[WF_VL]) {
    float t[WF_VL][WF_VL];
    for (int i = 0; i < WF_VL; i++)
        for (int j = 0; j < WF_VL; j++)
            t[j][i] = r[i][j];
    for (int i = 0; i < WF_VL; i++)
        r[i] = vf_load(t[i]);
}
#endif

/* dst[j][i] = src[i][j]; rows and columns are multiples of WF_VL. */
static __attribute__((unused)) void vf_transpose_tile(float *dst, int64_t ldd, const float *src, int64_t lds, int64_t rows,
                                                      int64_t columns) {
    for (int64_t i = 0; i < rows; i += WF_VL)
        for (int64_t j = 0; j < columns; j += WF_VL) {
            vf r[WF_VL];
            for (int x = 0; x < WF_VL; x++)
                r[x] = vf_load(src + (i + x) * lds + j);
            vf_transpose(r);
            for (int x = 0; x < WF_VL; x++)
                vf_store(dst + (j + x) * ldd + i, r[x]);
        }
}
#endif
