/* ref_conv.c - the short causal convolution over time, one weight row per channel. */
#include "kernels/ref/ref.h"

/* Input of channel c at time i, which reaches back to -(width-1): there the state holds it, oldest first. */
static float input(const float *x, const float *state, int64_t channels, int64_t width, int64_t c, int64_t i) {
    if (i >= 0)
        return x[i * channels + c];
    return state ? state[c * (width - 1) + width - 1 + i] : 0.0f;
}

void wf_ref_conv(float *y, const float *x, const float *weight, const float *bias, const float *state, int64_t t,
                 int64_t channels, int64_t width, int64_t c0, int64_t c1) {
    for (int64_t i = 0; i < t; i++)
        for (int64_t c = c0; c < c1; c++) {
            double sum = bias ? bias[c] : 0;
            for (int64_t w = 0; w < width; w++)
                sum += (double)weight[c * width + w] * input(x, state, channels, width, c, i - width + 1 + w);
            y[i * channels + c] = (float)sum;
        }
}

/* Gradient of the input at time i: every output that read it. */
static float input_gradient(const float *dy, const float *weight, int64_t t, int64_t channels, int64_t width, int64_t c,
                            int64_t i) {
    double sum = 0;
    for (int64_t w = 0; w < width; w++) {
        int64_t reader = i + width - 1 - w;
        if (reader >= 0 && reader < t)
            sum += (double)weight[c * width + w] * dy[reader * channels + c];
    }
    return (float)sum;
}

void wf_ref_conv_back(float *dx, float *dweight, float *dbias, float *dstate, const float *x, const float *dy,
                      const float *weight, const float *state, int64_t t, int64_t channels, int64_t width, int64_t c0,
                      int64_t c1) {
    for (int64_t c = c0; c < c1; c++) {
        for (int64_t i = 0; i < t; i++)
            dx[i * channels + c] = input_gradient(dy, weight, t, channels, width, c, i);
        for (int64_t s = 0; dstate && s < width - 1; s++)
            dstate[c * (width - 1) + s] = input_gradient(dy, weight, t, channels, width, c, s - (width - 1));
        for (int64_t w = 0; dweight && w < width; w++) {
            double sum = 0;
            for (int64_t i = 0; i < t; i++)
                sum += (double)dy[i * channels + c] * input(x, state, channels, width, c, i - width + 1 + w);
            dweight[c * width + w] += (float)sum;
        }
        double sum = 0;
        for (int64_t i = 0; dbias && i < t; i++)
            sum += dy[i * channels + c];
        if (dbias)
            dbias[c] += (float)sum;
    }
}
