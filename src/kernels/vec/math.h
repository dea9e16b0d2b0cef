/* math.h - elementary functions of vectors beside vf_exp. Errors are of the order of one unit in the last place unless said. */
#ifndef WF_KERNELS_VEC_MATH_H
#define WF_KERNELS_VEC_MATH_H
#include "kernels/vec/vec.h"

WF_INLINE vf vf_copysign(vf magnitude, vf sign) {
    return (vf)(((vi)magnitude & 0x7fffffff) | ((vi)sign & (int32_t)0x80000000u));
}

/* Natural logarithm of positive normal numbers (no other input): m in [sqrt(1/2), sqrt(2)) and a polynomial (Cephes logf). */
WF_INLINE vf vf_log(vf x) {
    vi e = ((vi)x - 0x3f3504f3) >> 23; /* 0x3f3504f3 is sqrt(1/2) */
    vf m = (vf)((vi)x - (e << 23)) - 1.0f, n = __builtin_convertvector(e, vf), z = m * m;
    vf p = vf_set(7.0376836292e-2f);
    p = vf_fma(p, m, vf_set(-1.1514610310e-1f));
    p = vf_fma(p, m, vf_set(1.1676998740e-1f));
    p = vf_fma(p, m, vf_set(-1.2420140846e-1f));
    p = vf_fma(p, m, vf_set(1.4249322787e-1f));
    p = vf_fma(p, m, vf_set(-1.6668057665e-1f));
    p = vf_fma(p, m, vf_set(2.0000714765e-1f));
    p = vf_fma(p, m, vf_set(-2.4999993993e-1f));
    p = vf_fma(p, m, vf_set(3.3333331174e-1f));
    p = vf_fma(p * m, z, n * -2.12194440e-4f);
    p = vf_fma(z, vf_set(-0.5f), p);
    return vf_fma(n, vf_set(0.693359375f), m + p);
}

/* log(1 + y) for y in [0, 1], exact to rounding also for tiny y: the rounding of 1 + y is put back. */
WF_INLINE vf vf_log1p(vf y) {
    vf u = y + 1.0f;
    return vf_log(u) + (y - (u - 1.0f)) / u;
}

/* e^x for |x| <= 87 as a sum: what vf_exp rounds away is in *low. */
WF_INLINE vf vf_exp_sum(vf x, vf *low) {
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to the nearest integer */
    vf biased = vf_fma(x, vf_set(1.44269504088896341f), magic), n = biased - magic;
    vf exact = vf_fma(n, vf_set(-0.693359375f), x), r = vf_fma(n, vf_set(2.12194440e-4f), exact);
    vf r_low = vf_fma(n, vf_set(2.12194440e-4f), exact - r);
    vf p = vf_set(1.3814613e-3f);
    p = vf_fma(p, r, vf_set(8.36870982e-3f));
    p = vf_fma(p, r, vf_set(4.16683874e-2f));
    p = vf_fma(p, r, vf_set(1.66665207e-1f));
    p = vf_fma(p, r, vf_set(4.99999935e-1f));
    vf s = p * r * r, q = r + s, y = q + 1.0f;
    vf scale = (vf)(((vi)biased - (vi)magic + 127) << 23);
    *low = ((1.0f - y) + q + ((r - q) + s + r_low)) * scale;
    return y * scale;
}

/* x / (1 + e^-u) to about 0.6 ulp: products of gates pass on what this rounds, many times over. */
WF_INLINE vf vf_times_sigmoid(vf x, vf u) {
    vf low, e = vf_exp_sum(vf_max(vf_set(-87.0f), vf_min(vf_set(87.0f), -u)), &low);
    vf d = e + 1.0f, larger = vf_max(e, vf_set(1.0f)), smaller = vf_min(e, vf_set(1.0f));
    low = low + ((larger - d) + smaller);
    vf part = 1.0f / d, y = x * part;
    y = vf_fma(vf_fma(-y, d, x) - y * low, part, y);
    return vf_select(u != u, u, vf_select(u < -87.0f, vf_set(0.0f), y));
}
/* 1 / (1 + e^-x) */
WF_INLINE vf vf_sigmoid(vf x) { return vf_times_sigmoid(vf_set(1.0f), x); }

/* Below 0.625 a polynomial (Cephes tanhf), so that small arguments keep their relative precision. */
WF_INLINE vf vf_tanh(vf x) {
    vf t = vf_abs(x), z = x * x;
    vf p = vf_set(-5.70498872745e-3f);
    p = vf_fma(p, z, vf_set(2.06390887954e-2f));
    p = vf_fma(p, z, vf_set(-5.37397155531e-2f));
    p = vf_fma(p, z, vf_set(1.33314422036e-1f));
    p = vf_fma(p, z, vf_set(-3.33332819422e-1f));
    vf small = vf_fma(p * z, x, x);
    vf e = vf_exp(t * -2.0f);
    vf large = vf_copysign((1.0f - e) / (1.0f + e), x);
    return vf_select(t < 0.625f, small, large);
}

/* The two halves of the error function (minimax, about 1 ulp): erf(x) where |x| <= 0.9277, and log(erfc(t)) for t above that.
 */
WF_INLINE vf vf_erf_small(vf x) {
    vf s = x * x;
    vf p = vf_set(-5.96761703e-4f);
    p = vf_fma(p, s, vf_set(4.99119423e-3f));
    p = vf_fma(p, s, vf_set(-2.67681349e-2f));
    p = vf_fma(p, s, vf_set(1.12819925e-1f));
    p = vf_fma(p, s, vf_set(-3.76125336e-1f));
    p = vf_fma(p, s, vf_set(1.28379166e-1f));
    return vf_fma(p, x, x);
}
WF_INLINE vf vf_log_erfc(vf t) {
    vf s = t * t;
    vf p = vf_fma(vf_set(-1.72853470e-5f), t, vf_set(3.83197126e-4f));
    vf q = vf_fma(vf_set(-3.88396438e-3f), t, vf_set(2.42546219e-2f));
    p = vf_fma(p, s, q);
    p = vf_fma(p, t, vf_set(-1.06777877e-1f));
    p = vf_fma(p, t, vf_set(-6.34846687e-1f));
    p = vf_fma(p, t, vf_set(-1.28717512e-1f));
    return vf_fma(p, t, -t);
}
/* The normal distribution function (1 + erf(x / sqrt 2)) / 2. Its left tail keeps digits that a sum would lose, fewer and fewer
 * of them: at -8, where it is 6e-16, it is 3 % off. */
WF_INLINE vf vf_normal_cdf(vf x) {
    vf u = x * 0.70710678118654752f, t = vf_abs(u);
    vf tail = vf_exp(vf_log_erfc(t)) * 0.5f;
    vf far = vf_select(u < 0.0f, tail, 1.0f - tail);
    vf near = vf_fma(vf_erf_small(u), vf_set(0.5f), vf_set(0.5f));
    return vf_select(t > 0.92773438f, far, near);
}
#endif
