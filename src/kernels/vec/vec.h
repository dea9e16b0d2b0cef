/* vec.h - the vector type the SIMD sources are written in: WF_VL floats, by the vector extension of gcc and clang, so that one
 * source serves every instruction set (SSE2, AVX2, AVX-512, NEON) and an ISA is a width and a few intrinsics. Included only by
 * kernels/simd/ files; everything is static so that no linker can mix instruction sets. */
#ifndef WF_KERNELS_VEC_H
#define WF_KERNELS_VEC_H
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WF_VL 16
#elif defined(__AVX__)
#define WF_VL 8
#else
#define WF_VL 4
#endif

typedef float vf __attribute__((vector_size(4 * WF_VL)));
typedef int32_t vi __attribute__((vector_size(4 * WF_VL)));
typedef uint32_t vu __attribute__((vector_size(4 * WF_VL)));
typedef uint16_t vs __attribute__((vector_size(2 * WF_VL))); /* bf16 */

/* In front of a short loop over registers that must not stay a loop. */
#if defined(__clang__)
#define WF_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WF_UNROLL _Pragma("GCC unroll 16")
#endif

#define WF_INLINE static inline __attribute__((always_inline, unused))

WF_INLINE vf vf_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
WF_INLINE void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
WF_INLINE vf vf_set(float x) { return x - (vf){0}; }
WF_INLINE vi vi_set(int32_t x) { return x - (vi){0}; }
/* All bits set in the first n lanes. */
WF_INLINE vi vi_first(int64_t n) {
    vi lane;
    for (int32_t i = 0; i < WF_VL; i++)
        lane[i] = i;
    return lane < (int32_t)n;
}
/* The first n lanes (0 <= n < WF_VL); the rest are 0. */
WF_INLINE vf vf_load_n(const float *p, int64_t n) {
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
#elif defined(__AVX2__)
    return (vf)_mm256_maskload_ps(p, (__m256i)vi_first(n));
#else
    float t[WF_VL] = {0};
    memcpy(t, p, (size_t)n * sizeof(float));
    return vf_load(t);
#endif
}
WF_INLINE void vf_store_n(float *p, vf v, int64_t n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
#elif defined(__AVX2__)
    _mm256_maskstore_ps(p, (__m256i)vi_first(n), (__m256)v);
#else
    float t[WF_VL];
    vf_store(t, v);
    memcpy(p, t, (size_t)n * sizeof(float));
#endif
}
/* a*b + c, fused where the instruction set has it. */
WF_INLINE vf vf_fma(vf a, vf b, vf c) {
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}
/* sum + a*b, for sums that stay in registers through a loop. With 16 registers gcc picks the form of the instruction that
 * writes over a factor, moves the sums about and puts some into memory: the form is prescribed. */
WF_INLINE vf vf_add_product(vf sum, vf a, vf b) {
#if defined(__FMA__) && WF_VL == 8
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
#else
    return vf_fma(a, b, sum);
#endif
}
/* sum + x, likewise. */
WF_INLINE vi vi_add_to(vi sum, vi x) {
#if defined(__AVX2__) && WF_VL == 8
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(x));
    return sum;
#else
    return sum + x;
#endif
}
WF_INLINE vf vf_select(vi mask, vf yes, vf no) { return (vf)(((vi)yes & mask) | ((vi)no & ~mask)); }
WF_INLINE vf vf_max(vf a, vf b) {
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vf)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vf_select(a > b, a, b);
#endif
}
WF_INLINE vf vf_min(vf a, vf b) {
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return -vf_max(-a, -b);
#endif
}
WF_INLINE vf vf_abs(vf a) { return (vf)((vi)a & 0x7fffffff); }
WF_INLINE vf vf_sqrt(vf a) {
#if defined(__AVX512F__)
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX__)
    return (vf)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
    return (vf)_mm_sqrt_ps((__m128)a);
#else
    for (int i = 0; i < WF_VL; i++)
        a[i] = sqrtf(a[i]);
    return a;
#endif
}
/* Lane sums and maxima by halving: a fixed order, the same in every form below. */
WF_INLINE float vf_sum(vf v) {
#if defined(__SSE2__)
#if defined(__AVX512F__)
    __m256 v8 = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1)));
#elif defined(__AVX__)
    __m256 v8 = (__m256)v;
#endif
#if defined(__AVX__)
    __m128 v4 = _mm_add_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
#else
    __m128 v4 = (__m128)v;
#endif
    __m128 v2 = _mm_add_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_add_ss(v2, _mm_shuffle_ps(v2, v2, 1)));
#else
    float t[WF_VL];
    vf_store(t, v);
    for (int w = WF_VL / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++)
            t[i] += t[i + w];
    return t[0];
#endif
}
WF_INLINE float vf_hmax(vf v) {
#if defined(__SSE2__)
#if defined(__AVX512F__)
    __m256 v8 = _mm256_max_ps(_mm512_castps512_ps256((__m512)v), _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1)));
#elif defined(__AVX__)
    __m256 v8 = (__m256)v;
#endif
#if defined(__AVX__)
    __m128 v4 = _mm_max_ps(_mm256_castps256_ps128(v8), _mm256_extractf128_ps(v8, 1));
#else
    __m128 v4 = (__m128)v;
#endif
    __m128 v2 = _mm_max_ps(v4, _mm_movehl_ps(v4, v4));
    return _mm_cvtss_f32(_mm_max_ss(v2, _mm_shuffle_ps(v2, v2, 1)));
#else
    float t[WF_VL];
    vf_store(t, v);
    for (int w = WF_VL / 2; w > 0; w /= 2)
        for (int i = 0; i < w; i++)
            t[i] = t[i] > t[i + w] ? t[i] : t[i + w];
    return t[0];
#endif
}
/* e^x to about 1 ulp on [-87.3, 88.7]; below it 0, above it infinity. Cody-Waite reduction and a degree-6 polynomial; NaN
 * stays. */
WF_INLINE vf vf_exp(vf x) {
#if defined(__AVX512F__)
    __mmask16 seen = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-87.33654f), _CMP_NLT_UQ); /* the rest is 0 */
    x = (vf)_mm512_min_ps(_mm512_set1_ps(89.0f), (__m512)x);                                 /* a NaN gives the second */
#endif
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to the nearest integer */
    vf biased = vf_fma(x, vf_set(1.44269504088896341f), magic), n = biased - magic;
    vf r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_fma(p, r * r, r) + 1.0f; /* the one comes last: it alone rounds much */
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_scalef_ps(seen, (__m512)p, (__m512)n);
#else
    vi e = (vi)biased - (vi)magic; /* the integer n */
    vi half = e >> 1;              /* two factors, so that 2^128 and subnormal results do not overflow the exponent */
    vf y = p * (vf)((half + 127) << 23) * (vf)((e - half + 127) << 23);
    y = vf_select(x > 88.72283f, vf_set(INFINITY), y);
    y = vf_select(x < -87.33654f, vf_set(0.0f), y);
    return vf_select(x != x, x, y);
#endif
}
/* bf16 (as uint16) to fp32 and back, round to nearest even. */
WF_INLINE vf vf_load_bf16(const uint16_t *p) {
#if defined(__AVX512F__)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16);
#elif defined(__AVX2__)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16);
#else
    vs h;
    memcpy(&h, p, sizeof h);
    return (vf)(__builtin_convertvector(h, vu) << 16);
#endif
}
WF_INLINE void vf_store_bf16(uint16_t *p, vf v) {
#if defined(__AVX512BF16__) && defined(__AVX512VL__)
    __m256bh h = _mm512_cvtneps_pbh((__m512)v);
    memcpy(p, &h, sizeof h);
#else
    vu u = (vu)v;
    vu rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    vu quiet = (u >> 16) | 0x40u;
    vi nan = v != v;
    vu r = (rounded & ~(vu)nan) | (quiet & (vu)nan);
#if defined(__AVX512F__)
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16((__m512i)r));
#else
    vs h = __builtin_convertvector(r, vs);
    memcpy(p, &h, sizeof h);
#endif
#endif
}
#endif
