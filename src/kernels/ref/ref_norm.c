/* ref_norm.c - RMS and layer norm of one row, and softmax-like rows. */
#include <math.h>
#include "kernels/ref/ref.h"

static double gain(const float *weight, float offset, int64_t i) { return weight ? (double)weight[i] + offset : 1; }

float wf_ref_rms_norm(float *y, const float *x, const float *weight, float offset, float eps, int64_t n) {
    double rstd = 1 / sqrt(wf_ref_sum_squares(x, n) / (double)n + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(x[i] * rstd * gain(weight, offset, i));
    return (float)rstd;
}

float wf_ref_layer_norm(float *y, float *mean, const float *x, const float *weight, const float *bias, float offset, float eps,
                        int64_t n) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    double mu = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - mu) * (x[i] - mu);
    double rstd = 1 / sqrt(squares / (double)n + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((x[i] - mu) * rstd * gain(weight, offset, i) + (bias ? bias[i] : 0));
    *mean = (float)mu;
    return (float)rstd;
}

/* With xhat = (x - mean) rstd and d = dy * gain: dx = rstd (d - mean(d) - xhat mean(d xhat)); RMS norm has no mean(d). */
void wf_ref_rms_norm_back(float *dx, float *dweight, const float *x, const float *dy, const float *weight, float offset,
                          float rstd, int64_t n) {
    double along = 0;
    for (int64_t i = 0; i < n; i++)
        along += dy[i] * gain(weight, offset, i) * x[i] * rstd;
    along /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        double xhat = (double)x[i] * rstd, d = dy[i];
        if (dweight)
            dweight[i] += (float)(d * xhat);
        dx[i] = (float)(rstd * (d * gain(weight, offset, i) - xhat * along));
    }
}

void wf_ref_layer_norm_back(float *dx, float *dweight, float *dbias, const float *x, const float *dy, const float *weight,
                            float offset, float mean, float rstd, int64_t n) {
    double along = 0, level = 0, middle = 0; /* the mean came rounded */
    for (int64_t i = 0; i < n; i++)
        middle += x[i];
    middle /= (double)n;
    (void)mean;
    for (int64_t i = 0; i < n; i++) {
        double d = dy[i] * gain(weight, offset, i);
        level += d;
        along += d * (x[i] - middle) * rstd;
    }
    level /= (double)n;
    along /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        double xhat = (x[i] - middle) * rstd, d = dy[i];
        if (dweight)
            dweight[i] += (float)(d * xhat);
        if (dbias)
            dbias[i] += dy[i];
        dx[i] = (float)(rstd * (d * gain(weight, offset, i) - level - xhat * along));
    }
}

static float largest(const float *x, int64_t n) {
    float max = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > max)
            max = x[i];
    return max;
}

/* log sum exp; -infinity when every entry is -infinity, NaN when one is NaN. */
static double log_sum(const float *x, int64_t n) {
    double max = largest(x, n), sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += max == -INFINITY ? x[i] : exp(x[i] - max);
    if (max == -INFINITY)
        return max + sum;
    return max + log(sum);
}

float wf_ref_log_sum_exp(const float *x, int64_t n) { return (float)log_sum(x, n); }

void wf_ref_softmax(float *y, const float *x, int64_t n) {
    double all = log_sum(x, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] == -INFINITY ? 0.0f : (float)exp(x[i] - all); /* no entry allowed: zeros */
}

float wf_ref_cross_entropy(float *logits, int64_t target, float smoothing, float scale, int64_t n) {
    double all = log_sum(logits, n), loss = (all - logits[target]) * (1.0 - smoothing);
    if (smoothing != 0)
        for (int64_t i = 0; i < n; i++)
            loss += (all - logits[i]) * smoothing / (double)n;
    if (scale != 0)
        for (int64_t i = 0; i < n; i++) {
            double wanted = smoothing / (double)n + (i == target ? 1.0 - smoothing : 0);
            logits[i] = (float)((exp(logits[i] - all) - wanted) * scale);
        }
    return (float)loss;
}
