/* ref_rows.c - conversions, elementwise arithmetic, sums, matrix-vector sweeps. */
#include <math.h>
#include "kernels/ref/ref.h"

void wf_ref_bf16_to_f32(float *dst, const uint16_t *src, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dst[i] = wf_bf16_to_f32(src[i]);
}

void wf_ref_f32_to_bf16(uint16_t *dst, const float *src, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dst[i] = wf_f32_to_bf16(src[i]);
}

void wf_ref_add(float *dst, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dst[i] = a[i] + b[i];
}

void wf_ref_mul(float *dst, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dst[i] = a[i] * b[i];
}

void wf_ref_axpy(float *dst, float scale, const float *src, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dst[i] += scale * src[i];
}

void wf_ref_scale(float *dst, float scale, const float *src, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dst[i] = scale * src[i];
}

int64_t wf_ref_largest(float *lead, const float *x, int64_t n) {
    int64_t best = 0;
    float most = fabsf(x[0]), next = 0.0f;
    for (int64_t i = 1; i < n; i++) {
        float size = fabsf(x[i]);
        next = size > most ? most : size > next ? size : next;
        best = size > most ? i : best;
        most = size > most ? size : most;
    }
    *lead = most - next;
    return best;
}

double wf_ref_dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

double wf_ref_sum_squares(const float *a, int64_t n) { return wf_ref_dot(a, a, n); }

void wf_ref_gemv(float *y, const float *w, const float *x, const float *bias, int64_t k, int64_t r0, int64_t r1) {
    for (int64_t r = r0; r < r1; r++)
        y[r] = (float)(wf_ref_dot(w + r * k, x, k) + (bias ? bias[r] : 0));
}

void wf_ref_gemv_bf16(float *y, const uint16_t *w, const float *x, const float *bias, int64_t k, int64_t r0, int64_t r1) {
    for (int64_t r = r0; r < r1; r++) {
        double sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += (double)wf_bf16_to_f32(w[r * k + i]) * x[i];
        y[r] = (float)(sum + (bias ? bias[r] : 0));
    }
}

void wf_ref_gemv_turned(float *y, const float *w, int64_t ld, const float *x, const float *bias, int64_t k, int64_t n) {
    for (int64_t r = 0; r < n; r++) {
        double sum = 0;
        for (int64_t p = 0; p < k; p++)
            sum += (double)w[p * ld + r] * x[p];
        y[r] = (float)(sum + (bias ? bias[r] : 0));
    }
}

void wf_ref_rotate(float *y, const float *x, const float *cos, const float *sin, int64_t pairs, int64_t n, bool interleaved,
                   float sign) {
    for (int64_t p = 0; p < pairs; p++) {
        int64_t ia = interleaved ? 2 * p : p, ib = interleaved ? 2 * p + 1 : p + pairs;
        float a = x[ia], b = x[ib], c = cos[p], s = sign * sin[p];
        y[ia] = a * c - b * s;
        y[ib] = b * c + a * s;
    }
    for (int64_t i = 2 * pairs; i < n; i++)
        y[i] = x[i];
}

void wf_ref_dropout(float *y, const float *x, float p, wf_rng rng, uint64_t first, int64_t n) {
    float keep = 1.0f / (1.0f - p);
    for (int64_t i = 0; i < n; i++)
        y[i] = wf_rng_uniform(rng, first + (uint64_t)i) >= p ? x[i] * keep : 0.0f;
}

void wf_ref_adamw(float *p, float *m, float *v, const float *g, uint16_t *bf16, const wf_adam_step *step, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float gradient = g[i] * step->grad_scale;
        m[i] = step->beta1 * m[i] + (1.0f - step->beta1) * gradient;
        v[i] = step->beta2 * v[i] + (1.0f - step->beta2) * gradient * gradient;
        float decayed = p[i] * (1.0f - step->lr * step->weight_decay);
        p[i] = decayed - step->lr * (m[i] / step->correct1) / (sqrtf(v[i]) / step->correct2 + step->eps);
        if (bf16)
            bf16[i] = wf_f32_to_bf16(p[i]);
    }
}
