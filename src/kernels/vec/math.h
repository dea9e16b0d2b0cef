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

/* 2^(a b) / 2 for a b in [-125, 127]: the integer part goes into the exponent, a polynomial (minimax) has the rest. The product
 * itself is never rounded. */
WF_INLINE vf vf_half_exp2(vf a, vf b) {
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: adding it rounds to the nearest integer */
    vf biased = vf_fma(a, b, magic), r = vf_fma(a, b, magic - biased);
    vf r2 = r * r, low = vf_fma(r, vf_set(1.20113231e-1f), vf_set(3.46573591e-1f));
    vf middle = vf_fma(r, vf_set(4.80924454e-3f), vf_set(2.77516432e-2f));
    vf high = vf_fma(r, vf_set(7.67290621e-5f), vf_set(6.69996603e-4f));
    vf p = vf_fma(vf_fma(vf_fma(high, r2, middle), r2, low), r, vf_set(0.5f));
    return (vf)((vi)p + (vi)((vu)biased << 23));
}

/* The tail of the normal distribution beyond t in [0, 10], (1 - erf(t / sqrt 2)) / 2, by its logarithm: minimax on [0, 6], to
 * 2e-7 of itself below 1, 8e-7 below 3 and 6e-6 below 5, less where it is smaller. Pairs of terms: Horner's chain takes longer.
 */
WF_INLINE vf vf_normal_tail(vf t) {
    vf t2 = t * t, t4 = t2 * t2;
    vf c01 = vf_fma(t, vf_set(-4.592177e-1f), vf_set(-1.1511046f));
    vf c23 = vf_fma(t, vf_set(6.948324e-3f), vf_set(-5.2447297e-2f));
    vf c45 = vf_fma(t, vf_set(-2.872999e-4f), vf_set(6.605775e-6f));
    vf c67 = vf_fma(t, vf_set(-1.1869234e-5f), vf_set(8.013174e-5f));
    vf c89 = vf_fma(t, vf_set(-3.4233913e-8f), vf_set(9.696479e-7f));
    vf p = vf_fma(vf_fma(vf_fma(c89, t2, c67), t4, vf_fma(c45, t2, c23)), t2, c01);
    return vf_half_exp2(p, t);
}
WF_INLINE vf vf_normal_cdf(vf x) {
    vf tail = vf_normal_tail(vf_min(vf_set(10.0f), vf_abs(x)));
    return vf_select(x < 0.0f, tail, 1.0f - tail);
}
#endif
