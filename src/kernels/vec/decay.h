/* decay.h - 2^(a*b) for a*b <= 0, what decays need: cheaper than vf_exp, exactly 1 at 0; NaN stays. -infinity must not come in:
 * a product beyond -1e14 is not reduced well. */
#ifndef WF_KERNELS_DECAY_H
#define WF_KERNELS_DECAY_H
#include "kernels/vec/vec.h"

#define WF_LOG2E 1.44269504088896341f
#define WF_LN2 0.693147180559945309f

/* a*b = n + r, n the nearest integer (adding 1.5*2^23 rounds), and the polynomial of Cephes' exp2f for r (peak relative error
 * 2e-7). */
WF_INLINE vf vf_exp2_decay(vf a, vf b) {
    const vf magic = vf_set(12582912.0f);
#if defined(__AVX512F__)
    vf n = vf_fma(a, b, magic) - magic;
    vf r = vf_fma(a, b, -n);
#else
    vf x = vf_max(vf_set(-127.0f), a * b), biased = x + magic, r = x - (biased - magic);
#endif
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
    return (vf)((vi)p + ((vi)biased << 23)); /* the low bits of biased are n: they go to the exponent; 0 at -127 */
#endif
}
/* e^x, x <= 0, -infinity included. */
WF_INLINE vf vf_exp_decay(vf x) { return vf_exp2_decay(vf_max(vf_set(-1e4f), x), vf_set(WF_LOG2E)); }
#endif
