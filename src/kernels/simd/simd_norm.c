/* simd_norm.c - vector forms of norms, softmax and cross-entropy of one row. */
#include "kernels/vec/fill.h"
#include "kernels/vec/math.h"
#include "kernels/vec/rows.h"
#include "kernels/vec/wide.h"

WF_INLINE vf gain(const float *weight, float offset, int64_t i, int64_t m) {
    return weight ? vtake(weight + i, m) + offset : vf_set(1.0f);
}

/* The backward of a row subtracts what the norm has made equal and multiplies every error, above all that of the factor that a
 * whole row shares: 1 / sqrt(mean + eps) is kept in double. */
static double inverse_root(double squares, int64_t n, float eps) { return 1.0 / sqrt(squares / (double)n + (double)eps); }

static float rms_norm(float *y, const float *x, const float *weight, float offset, float eps, int64_t n) {
    double root = inverse_root(vdot_wide(x, x, n), n, eps);
    float rstd = (float)root, rest = (float)(root - (double)rstd);
    WF_ROW(i, m, n, vput(y + i, vmul_wide(vtake(x + i, m), rstd, rest, gain(weight, offset, i, m)), m););
    return rstd;
}

/* (x - mean)^2 added to a; the lanes past the row count nothing. */
WF_INLINE vf add_square(vf a, const float *x, float mean, int64_t m) {
    vf d = vkeep(vtake(x, m) - mean, m, 0.0f);
    return vf_fma(d, d, a);
}

static float layer_norm(float *y, float *mean, const float *x, const float *weight, const float *bias, float offset, float eps,
                        int64_t n) {
    vf total, squares;
    WF_FOLD(total, i, m, n, a, 0.0f, a + vtake(x + i, m), vadd);
    float mu = vf_sum(total) / (float)n;
    WF_FOLD(squares, i, m, n, a, 0.0f, add_square(a, x + i, mu, m), vadd);
    float rstd = (float)inverse_root((double)vf_sum(squares), n, eps);
    WF_ROW(i, m, n, vf b = bias ? vtake(bias + i, m) : vf_set(0.0f);
           vput(y + i, vf_fma((vtake(x + i, m) - mu) * rstd, gain(weight, offset, i, m), b), m););
    *mean = mu;
    return rstd;
}

/* With xhat = (x - mean) rstd and d = dy * gain: dx = rstd (d - mean(d) - xhat mean(d xhat)); RMS norm has no mean(d). */
static void rms_norm_back(float *dx, float *dweight, const float *x, const float *dy, const float *weight, float offset,
                          float rstd, int64_t n) {
    vf total;
    WF_FOLD(total, i, m, n, a, 0.0f, vf_fma(vtake(dy + i, m) * gain(weight, offset, i, m), vtake(x + i, m), a), vadd);
    vf along = vf_set(-vf_sum(total) * rstd / (float)n);
    WF_ROW(i, m, n, vf xhat = vtake(x + i, m) * rstd; vf d = vtake(dy + i, m);
           if (dweight) vput(dweight + i, vf_fma(d, xhat, vtake(dweight + i, m)), m);
           vput(dx + i, vf_fma(xhat, along, d * gain(weight, offset, i, m)) * rstd, m););
}

/* The mean came rounded: what is left of it is taken off too, or dx would have a mean of its own, rstd^2 times larger. */
static void layer_norm_back(float *dx, float *dweight, float *dbias, const float *x, const float *dy, const float *weight,
                            float offset, float mean, float rstd, int64_t n) {
    vf sum, product, left;
    WF_FOLD(left, i, m, n, a, 0.0f, a + vkeep(vtake(x + i, m) - mean, m, 0.0f), vadd);
    WF_FOLD(sum, i, m, n, a, 0.0f, vf_fma(vtake(dy + i, m), gain(weight, offset, i, m), a), vadd);
    const float rest = vf_sum(left) / (float)n;
    WF_FOLD(product, i, m, n, a, 0.0f, vf_fma(vtake(dy + i, m) * gain(weight, offset, i, m), vtake(x + i, m) - mean - rest, a),
            vadd);
    vf level = vf_set(vf_sum(sum) / (float)n), along = vf_set(-vf_sum(product) * rstd / (float)n);
    WF_ROW(i, m, n, vf xhat = (vtake(x + i, m) - mean - rest) * rstd; vf d = vtake(dy + i, m);
           if (dweight) vput(dweight + i, vf_fma(d, xhat, vtake(dweight + i, m)), m);
           if (dbias) vput(dbias + i, vtake(dbias + i, m) + d, m);
           vput(dx + i, vf_fma(xhat, along, d * gain(weight, offset, i, m) - level) * rstd, m););
}

/* ---- rows of logits ---- */

static float largest(const float *x, int64_t n) {
    vf top;
    WF_FOLD(top, i, m, n, a, -INFINITY, vf_max(vkeep(vtake(x + i, m), m, -INFINITY), a), vf_max);
    return vf_hmax(top);
}

static float sum_exp(const float *x, float max, int64_t n) {
    vf total;
    WF_FOLD(total, i, m, n, a, 0.0f, a + vkeep(vf_exp(vtake(x + i, m) - max), m, 0.0f), vadd);
    return vf_sum(total);
}

/* y = e^(x - max), added to a. */
WF_INLINE vf store_exp(vf a, float *y, const float *x, float max, int64_t m) {
    vf e = vf_exp(vtake(x, m) - max);
    vput(y, e, m);
    return a + vkeep(e, m, 0.0f);
}

static float keep_exp(float *y, const float *x, float max, int64_t n) {
    vf total;
    WF_FOLD(total, i, m, n, a, 0.0f, store_exp(a, y + i, x + i, max, m), vadd);
    return vf_sum(total);
}

/* The sum of a row whose largest entry is -infinity: -infinity, or NaN where the comparison passed over one. */
static float nothing(const float *x, int64_t n) {
    float sum = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static float log_sum_exp(const float *x, int64_t n) {
    float max = largest(x, n);
    return max == -INFINITY ? nothing(x, n) : max + logf(sum_exp(x, max, n));
}

static void softmax(float *y, const float *x, int64_t n) {
    float max = largest(x, n);
    if (max == -INFINITY) { /* no entry is allowed: zeros */
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] == -INFINITY ? 0.0f : x[i];
        return;
    }
    float inverse = 1.0f / keep_exp(y, x, max, n);
    WF_ROW(i, m, n, vput(y + i, vtake(y + i, m) * inverse, m););
}

static float cross_entropy(float *logits, int64_t target, float smoothing, float factor, int64_t n) {
    float max = largest(logits, n), wanted = logits[target] - max, each = smoothing / (float)n, average = 0;
    if (smoothing != 0) {
        vf total;
        WF_FOLD(total, i, m, n, a, 0.0f, a + vkeep(vtake(logits + i, m) - max, m, 0.0f), vadd);
        average = vf_sum(total) * each;
    }
    float sum = factor != 0 ? keep_exp(logits, logits, max, n) : sum_exp(logits, max, n);
    if (factor != 0) {
        vf a = vf_set(factor / sum), b = vf_set(-each * factor);
        WF_ROW(i, m, n, vput(logits + i, vf_fma(vtake(logits + i, m), a, b), m););
        logits[target] -= (1.0f - smoothing) * factor;
    }
    return logf(sum) - (1.0f - smoothing) * wanted - average;
}

WF_FILL(norm) {
    k->rms_norm = rms_norm;
    k->layer_norm = layer_norm;
    k->rms_norm_back = rms_norm_back;
    k->layer_norm_back = layer_norm_back;
    k->cross_entropy = cross_entropy;
    k->log_sum_exp = log_sum_exp;
    k->softmax = softmax;
}
