/* simd_fft.c - vector forms of the Fourier transforms: every lane is a signal of its own, so a butterfly is a few vector
 * operations. Two stages run in one pass over memory where there are two left. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

enum { LANES = WF_FFT_LANES };

typedef struct cv {
    vf re, im;
} cv; /* complex numbers of one vector of lanes */

WF_INLINE cv load(const float *re, const float *im, int64_t i) { return (cv){vf_load(re + i), vf_load(im + i)}; }
WF_INLINE void store(float *re, float *im, int64_t i, cv v) {
    vf_store(re + i, v.re);
    vf_store(im + i, v.im);
}
WF_INLINE cv plus(cv a, cv b) { return (cv){a.re + b.re, a.im + b.im}; }
WF_INLINE cv minus(cv a, cv b) { return (cv){a.re - b.re, a.im - b.im}; }
/* a times cos - i sin (forward), or cos + i sin (inverse), of entry w of the table. */
WF_INLINE cv turn(cv a, const float *w, bool inverse) {
    vf c = vf_set(w[0]), s = vf_set(inverse ? w[1] : -w[1]);
    return (cv){vf_fma(a.re, c, -(a.im * s)), vf_fma(a.im, c, a.re * s)};
}

WF_INLINE void pair(cv *a, cv *b, const float *w, bool inverse) {
    cv x = *a, y = inverse ? turn(*b, w, true) : *b;
    *a = plus(x, y);
    *b = inverse ? minus(x, y) : turn(minus(x, y), w, false);
}

WF_INLINE void stage(float *re, float *im, const float *table, int64_t n, int64_t half, bool inverse) {
    for (int64_t first = 0; first < n; first += 2 * half)
        for (int64_t k = 0; k < half; k++)
            for (int64_t l = 0; l < LANES; l += WF_VL) {
                int64_t i = (first + k) * LANES + l, j = i + half * LANES;
                cv a = load(re, im, i), b = load(re, im, j);
                pair(&a, &b, table + 2 * (k * (n / 2 / half)), inverse);
                store(re, im, i, a);
                store(re, im, j, b);
            }
}

/* The stages of `half` and half/2 (forward) or of half/2 and `half` (inverse): four points, a quarter of 2*half apart. */
WF_INLINE void two_stages(float *re, float *im, const float *table, int64_t n, int64_t half, bool inverse) {
    int64_t quarter = half / 2, wide = n / 2 / half;
    for (int64_t first = 0; first < n; first += 2 * half)
        for (int64_t k = 0; k < quarter; k++) {
            const float *w0 = table + 2 * (k * wide), *w1 = table + 2 * ((k + quarter) * wide),
                        *w2 = table + 2 * (2 * k * wide);
            for (int64_t l = 0; l < LANES; l += WF_VL) {
                int64_t i = (first + k) * LANES + l, step = quarter * LANES;
                cv a = load(re, im, i), b = load(re, im, i + step), c = load(re, im, i + 2 * step),
                   d = load(re, im, i + 3 * step);
                if (!inverse) {
                    pair(&a, &c, w0, false);
                    pair(&b, &d, w1, false);
                }
                pair(&a, &b, w2, inverse);
                pair(&c, &d, w2, inverse);
                if (inverse) {
                    pair(&a, &c, w0, true);
                    pair(&b, &d, w1, true);
                }
                store(re, im, i, a);
                store(re, im, i + step, b);
                store(re, im, i + 2 * step, c);
                store(re, im, i + 3 * step, d);
            }
        }
}

static void forward(float *re, float *im, const float *table, int64_t n) {
    int64_t half = n / 2;
    for (; half >= 2; half /= 4)
        two_stages(re, im, table, n, half, false);
    if (half == 1)
        stage(re, im, table, n, 1, false);
}

static void inverse(float *re, float *im, const float *table, int64_t n) {
    int64_t half = 2;
    for (; half < n; half *= 4)
        two_stages(re, im, table, n, half, true);
    if (half / 2 < n)
        stage(re, im, table, n, half / 2, true);
}

static void fft(float *re, float *im, const float *table, int64_t n, bool back) {
    if (back)
        inverse(re, im, table, n);
    else
        forward(re, im, table, n);
}

static void multiply_complex(float *re, float *im, const float *bre, const float *bim, bool conjugate, int64_t n) {
    float sign = conjugate ? -1.0f : 1.0f;
    WF_ROW(i, m, n, vf ar = vtake(re + i, m); vf ai = vtake(im + i, m); vf br = vtake(bre + i, m);
           vf bi = vtake(bim + i, m) * sign; vput(re + i, vf_fma(ar, br, -(ai * bi)), m);
           vput(im + i, vf_fma(ar, bi, ai * br), m););
}

WF_FILL(fft) {
    k->fft = fft;
    k->multiply_complex = multiply_complex;
}
