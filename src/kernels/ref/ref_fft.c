/* ref_fft.c - Fourier transforms of WF_FFT_LANES signals side by side, [n][lanes], n a power of two, in plain C. Forward:
 * decimation in frequency (Gentleman & Sande 1966), natural order in, bit-reversed order out; inverse: decimation in time
 * (Cooley & Tukey 1965), the other way round, not scaled. Products of spectra need no other order. table [n/2][2]: cos and sin
 * of 2 pi k / n. */
#include "kernels/ref/ref.h"

enum { LANES = WF_FFT_LANES };

static void forward_pair(float *re, float *im, int64_t i, int64_t j, double c, double s) {
    double ar = re[i], ai = im[i], br = re[j], bi = im[j], dr = ar - br, di = ai - bi;
    re[i] = (float)(ar + br);
    im[i] = (float)(ai + bi);
    re[j] = (float)(dr * c + di * s);
    im[j] = (float)(di * c - dr * s);
}

static void inverse_pair(float *re, float *im, int64_t i, int64_t j, double c, double s) {
    double ar = re[i], ai = im[i], br = re[j] * c - im[j] * s, bi = im[j] * c + re[j] * s;
    re[i] = (float)(ar + br);
    im[i] = (float)(ai + bi);
    re[j] = (float)(ar - br);
    im[j] = (float)(ai - bi);
}

static void stage(float *re, float *im, const float *table, int64_t n, int64_t half, bool inverse) {
    for (int64_t first = 0; first < n; first += 2 * half)
        for (int64_t k = 0; k < half; k++)
            for (int64_t l = 0; l < LANES; l++) {
                int64_t i = (first + k) * LANES + l, j = i + half * LANES, w = 2 * (k * (n / 2 / half));
                (inverse ? inverse_pair : forward_pair)(re, im, i, j, table[w], table[w + 1]);
            }
}

void wf_ref_fft(float *re, float *im, const float *table, int64_t n, bool inverse) {
    for (int64_t half = inverse ? 1 : n / 2; half >= 1 && half < n; half = inverse ? half * 2 : half / 2)
        stage(re, im, table, n, half, inverse);
}

void wf_ref_multiply_complex(float *re, float *im, const float *bre, const float *bim, bool conjugate, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double ar = re[i], ai = im[i], br = bre[i], bi = conjugate ? -(double)bim[i] : (double)bim[i];
        re[i] = (float)(ar * br - ai * bi);
        im[i] = (float)(ar * bi + ai * br);
    }
}
