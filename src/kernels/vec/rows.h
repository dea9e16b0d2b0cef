/* rows.h - loops over rows of floats. A body is written once for the vector at element i with m valid lanes; WF_ROW compiles it
 * for whole vectors (m is the constant WF_VL there, and every test of it folds away) and for the rest.
 *
 *     WF_ROW(i, m, n, vput(y + i, vtake(x + i, m) * 2.0f, m);)
 */
#ifndef WF_KERNELS_VEC_ROWS_H
#define WF_KERNELS_VEC_ROWS_H
#include "kernels/vec/vec.h"

#define WF_ROW(i, m, n, ...)                                                                                                   \
    do {                                                                                                                       \
        int64_t i = 0;                                                                                                         \
        for (; i + WF_VL <= (n); i += WF_VL) {                                                                                 \
            const int64_t m = WF_VL;                                                                                           \
            __VA_ARGS__                                                                                                        \
        }                                                                                                                      \
        if (i < (n)) {                                                                                                         \
            const int64_t m = (n)-i;                                                                                           \
            __VA_ARGS__                                                                                                        \
        }                                                                                                                      \
    } while (0)

/* Folds a row into `out`: `next` gives the new accumulator from the old one, `a`. Four accumulators, all starting from `start`,
 * merged by `join`: the order depends on n only. */
#define WF_FOLD(out, i, m, n, a, start, next, join)                                                                            \
    do {                                                                                                                       \
        vf a0_ = vf_set(start), a1_ = a0_, a2_ = a0_, a3_ = a0_;                                                               \
        int64_t i = 0;                                                                                                         \
        for (; i + 4 * WF_VL <= (n);) {                                                                                        \
            WF_FOLD_STEP(a0_, i, m, a, next)                                                                                   \
            WF_FOLD_STEP(a1_, i, m, a, next)                                                                                   \
            WF_FOLD_STEP(a2_, i, m, a, next)                                                                                   \
            WF_FOLD_STEP(a3_, i, m, a, next)                                                                                   \
        }                                                                                                                      \
        for (; i + WF_VL <= (n);)                                                                                              \
            WF_FOLD_STEP(a0_, i, m, a, next)                                                                                   \
        if (i < (n)) {                                                                                                         \
            const int64_t m = (n)-i;                                                                                           \
            const vf a = a1_;                                                                                                  \
            a1_ = (next);                                                                                                      \
        }                                                                                                                      \
        (out) = join(join(a0_, a1_), join(a2_, a3_));                                                                          \
    } while (0)
#define WF_FOLD_STEP(total, i, m, a, next)                                                                                     \
    {                                                                                                                          \
        const int64_t m = WF_VL;                                                                                               \
        const vf a = total;                                                                                                    \
        total = (next);                                                                                                        \
        (void)m;                                                                                                               \
        i += WF_VL;                                                                                                            \
    }

/* m lanes at p, the rest 0. */
WF_INLINE vf vtake(const float *p, int64_t m) { return m == WF_VL ? vf_load(p) : vf_load_n(p, m); }
WF_INLINE void vput(float *p, vf v, int64_t m) {
    if (m == WF_VL)
        vf_store(p, v);
    else
        vf_store_n(p, v, m);
}
/* v in the first m lanes, `other` in the rest. */
WF_INLINE vf vkeep(vf v, int64_t m, float other) {
    if (m == WF_VL)
        return v;
    return vf_select(vi_first(m), v, vf_set(other));
}
WF_INLINE vf vtake_bf16(const uint16_t *p, int64_t m) {
    if (m == WF_VL)
        return vf_load_bf16(p);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    __m256i h = _mm256_maskz_loadu_epi16((__mmask16)((1u << m) - 1u), p);
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16);
#else
    uint16_t t[WF_VL] = {0};
    memcpy(t, p, (size_t)m * sizeof *t);
    return vf_load_bf16(t);
#endif
}
WF_INLINE void vput_bf16(uint16_t *p, vf v, int64_t m) {
    if (m == WF_VL) {
        vf_store_bf16(p, v);
        return;
    }
    uint16_t t[WF_VL];
    vf_store_bf16(t, v);
    memcpy(p, t, (size_t)m * sizeof *t);
}
WF_INLINE vf vadd(vf a, vf b) { return a + b; }
#endif
