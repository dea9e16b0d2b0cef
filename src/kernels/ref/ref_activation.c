/* ref_activation.c - the activations and their derivatives (conformance names; gelu is the erf form). */
#include <math.h>
#include "kernels/ref/ref.h"

static const double sqrt_half = 0.70710678118654752440, inv_sqrt_2pi = 0.39894228040143267794;
static const double tanh_a = 0.79788456080286535588, tanh_b = 0.044715; /* gelu_tanh: sqrt(2/pi) (x + b x^3) */

static const double leak = 0.01, laplace_mean = 0.707107, laplace_std = 0.282095; /* Ma et al. 2022, arXiv 2209.10655 */

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

static double softplus(double x) { return x > 20 ? x : log1p(exp(x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x * sqrt_half); }
static double laplace_z(double x) { return (x - laplace_mean) / laplace_std; }

static double value(int kind, double x) {
    switch ((wf_activation)kind) {
    case WF_RELU:
        return x < 0 ? 0 : x; /* NaN stays NaN */
    case WF_GELU:
        return gelu(x);
    case WF_GELU_TANH:
        return x * sigmoid(2 * tanh_a * (x + tanh_b * x * x * x));
    case WF_QUICK_GELU:
        return x * sigmoid(1.702 * x);
    case WF_SILU:
        return x * sigmoid(x);
    case WF_RELU2:
        return x < 0 ? 0 : x * x;
    case WF_SIGMOID:
        return sigmoid(x);
    case WF_TANH:
        return tanh(x);
    case WF_ELU1:
        return x > 0 ? x + 1 : exp(x);
    case WF_SOFTPLUS:
        return softplus(x);
    case WF_EXP:
        return exp(x);
    case WF_RELU6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case WF_LEAKY_RELU:
        return x < 0 ? leak * x : x;
    case WF_HARDSWISH:
        return x < -3 ? 0 : x > 3 ? x : x * (x + 3) / 6;
    case WF_MISH:
        return x * tanh(softplus(x));
    case WF_GELU_10:
        return x > 10 ? 10 : gelu(x); /* below, gelu(10) is 10 to the last bit */
    case WF_LAPLACE:
        return 0.5 * erfc(-laplace_z(x) * sqrt_half);
    case WF_SQRT_SOFTPLUS:
        return sqrt(softplus(x));
    case WF_IDENTITY:
    case WF_ACTIVATION_COUNT:
        break;
    }
    return x;
}

/* Derivative of x * sigmoid(u(x)) with u' = slope. */
static double gated_slope(double x, double u, double slope) {
    double s = sigmoid(u);
    return s + x * s * (1 - s) * slope;
}

static double gelu_slope(double x) { return 0.5 * erfc(-x * sqrt_half) + x * inv_sqrt_2pi * exp(-0.5 * x * x); }
static double mish_slope(double x) {
    double t = tanh(softplus(x));
    return t + x * (1 - t * t) * sigmoid(x);
}

static double slope(int kind, double x) {
    switch ((wf_activation)kind) {
    case WF_RELU:
        return x > 0;
    case WF_GELU:
        return gelu_slope(x);
    case WF_GELU_TANH:
        return gated_slope(x, 2 * tanh_a * (x + tanh_b * x * x * x), 2 * tanh_a * (1 + 3 * tanh_b * x * x));
    case WF_QUICK_GELU:
        return gated_slope(x, 1.702 * x, 1.702);
    case WF_SILU:
        return gated_slope(x, x, 1);
    case WF_RELU2:
        return x > 0 ? 2 * x : 0;
    case WF_SIGMOID:
        return sigmoid(x) * sigmoid(-x);
    case WF_TANH:
        return 1 - tanh(x) * tanh(x);
    case WF_ELU1:
        return x > 0 ? 1 : exp(x);
    case WF_SOFTPLUS:
        return x > 20 ? 1 : sigmoid(x);
    case WF_EXP:
        return exp(x);
    case WF_RELU6:
        return x > 0 && x < 6;
    case WF_LEAKY_RELU:
        return x > 0 ? 1 : leak;
    case WF_HARDSWISH:
        return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
    case WF_MISH:
        return mish_slope(x);
    case WF_GELU_10:
        return x > 10 ? 0 : gelu_slope(x);
    case WF_LAPLACE:
        return inv_sqrt_2pi / laplace_std * exp(-0.5 * laplace_z(x) * laplace_z(x));
    case WF_SQRT_SOFTPLUS:
        return 0.5 * (x > 20 ? 1 : sigmoid(x)) / sqrt(softplus(x));
    case WF_IDENTITY:
    case WF_ACTIVATION_COUNT:
        break;
    }
    return 1;
}

void wf_ref_activate(int kind, float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)value(kind, x[i]);
}

void wf_ref_activate_back(int kind, float *dx, const float *x, const float *dy, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        dx[i] = (float)(slope(kind, x[i]) * dy[i]);
}
