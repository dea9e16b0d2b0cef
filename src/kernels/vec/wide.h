/* wide.h - products and sums kept in doubles, half as many lanes; the order depends on n only. */
#ifndef WF_KERNELS_WIDE_H
#define WF_KERNELS_WIDE_H
#include "kernels/vec/vec.h"

enum { WF_VD = WF_VL / 2 };
typedef float vh __attribute__((vector_size(4 * WF_VD)));
typedef double vd __attribute__((vector_size(8 * WF_VD)));

WF_INLINE vd widen(const float *p) {
    vh v;
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, vd);
}

WF_INLINE double vdot_wide(const float *a, const float *b, int64_t n) {
    vd sums[4] = {{0}, {0}, {0}, {0}};
    int64_t i = 0;
    for (; i + 4 * WF_VD <= n; i += 4 * WF_VD)
        for (int u = 0; u < 4; u++)
            sums[u] += widen(a + i + u * WF_VD) * widen(b + i + u * WF_VD);
    double rest = 0;
    for (; i < n; i++)
        rest += (double)a[i] * b[i];
    vd all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (int j = 0; j < WF_VD; j++)
        rest += all[j];
    return rest;
}

/* x * (high + low) * gain, rounded about once: what a norm multiplies a whole row with. */
#if defined(__FMA__) || defined(__aarch64__)
WF_INLINE vf vmul_wide(vf x, float high, float low, vf gain) {
    vf first = x * high, rest = vf_fma(x, vf_set(low), vf_fma(x, vf_set(high), -first));
    vf y = first * gain;
    return y + vf_fma(rest, gain, vf_fma(first, gain, -y));
}
#else
WF_INLINE vf vmul_wide(vf x, float high, float low, vf gain) {
    vh part[2], by[2];
    memcpy(part, &x, sizeof x);
    memcpy(by, &gain, sizeof gain);
    for (int i = 0; i < 2; i++)
        part[i] = __builtin_convertvector(
            __builtin_convertvector(part[i], vd) * ((double)high + (double)low) * __builtin_convertvector(by[i], vd), vh);
    memcpy(&x, part, sizeof x);
    return x;
}
#endif
#endif
