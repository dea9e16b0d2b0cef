/* decay.h - 2^x for x <= 0, what decays need: cheaper than vf_exp, exactly 1 at 0 and 0 at -infinity; NaN stays. */
#ifndef WF_KERNELS_DECAY_H
#define WF_KERNELS_DECAY_H
#include "kernels/vec/vec.h"

#define WF_LOG2E 1.44269504088896341f
#define WF_LN2 0.693147180559945309f

/* Nearest integer, and the polynomial of Cephes' exp2f on [-1/2, 1/2] (peak relative error 2e-7). */
WF_INLINE vf vf_exp2_decay(vf x) {
#if defined(__AVX512F__)
    x = vf_max(vf_set(-200.0f), x);
    vf n = (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    x = vf_max(vf_set(-127.0f), x);
    vf biased = x + 12582912.0f, n = biased - 12582912.0f; /* as in vf_exp */
#endif
    vf r = x - n;
    vf p = vf_set(1.535336188319500e-4f);
    p = vf_fma(p, r, vf_set(1.339887440266574e-3f));
    p = vf_fma(p, r, vf_set(9.618437357674640e-3f));
    p = vf_fma(p, r, vf_set(5.550332471162809e-2f));
    p = vf_fma(p, r, vf_set(2.402264791363012e-1f));
    p = vf_fma(p, r, vf_set(6.931472028550421e-1f));
    p = vf_fma(p, r, vf_set(1.0f));
#if defined(__AVX512F__)
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    return (vf)((vi)p + ((vi)biased << 23)); /* the low bits of biased are n: they go to the exponent */
#endif
}
WF_INLINE vf vf_exp_decay(vf x) { return vf_exp2_decay(x * WF_LOG2E); }
#endif
