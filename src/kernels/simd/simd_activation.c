/* simd_activation.c - vector forms of the activations: a row of functions per kind; kinds without one have the plain C form. */
#include "kernels/ref/ref.h"
#include "kernels/vec/fill.h"
#include "kernels/vec/math.h"
#include "kernels/vec/rows.h"

static const float tanh_a = 0.79788456080286535588f, tanh_b = 0.044715f; /* gelu_tanh: sqrt(2/pi) (x + b x^3) */

/* Both forms of gelu are x F(x) with 1 - F(t) = F(-t), the tail: positive x or 0, less t * tail, which keeps its digits.
 * From FAR on the tails are below 1e-33. */
#define FAR 9.9f
WF_INLINE vf gated_by_tail(vf x, vf t, vf tail) { return vf_fma(-t, tail, vf_max(vf_set(0.0f), x)); }
WF_INLINE vf gelu(vf x) {
    vf t = vf_min(vf_set(FAR), vf_abs(x));
    return gated_by_tail(x, t, vf_normal_tail(t));
}
/* The tail is 1/2 - (tanh u)/2 = 1 / (1 + 2^(2 u log2 e)). */
WF_INLINE vf gelu_tanh(vf x) {
    const float log2e = 1.44269504088896341f;
    vf t = vf_min(vf_set(FAR), vf_abs(x)), p = vf_fma(t * t, vf_set(2 * tanh_a * tanh_b * log2e), vf_set(2 * tanh_a * log2e));
    return gated_by_tail(x, t, 0.5f / (vf_half_exp2(p, t) + 0.5f));
}
/* The argument of the sigmoid in gelu_tanh: x (1 + tanh u)/2 = x sigmoid(2u). */
WF_INLINE vf tanh_argument(vf x) { return x * vf_fma(x * x, vf_set(2 * tanh_a * tanh_b), vf_set(2 * tanh_a)); }
WF_INLINE vf tanh_argument_slope(vf x) { /* bounded: times a sigmoid that has vanished it must give 0, not NaN */
    return vf_fma(vf_min(x * x, vf_set(1e30f)), vf_set(6 * tanh_a * tanh_b), vf_set(2 * tanh_a));
}

/* Derivative of x * sigmoid(u(x)) with u' = slope. */
WF_INLINE vf gated_slope(vf x, vf u, vf slope) {
    vf s = vf_sigmoid(u);
    return vf_fma(x * s * vf_sigmoid(-u), slope, s);
}
WF_INLINE vf softplus(vf x) {
    vf y = vf_select(x > 0.0f, x, vf_set(0.0f)) + vf_log1p(vf_exp(-vf_abs(x)));
    return vf_select(x != x, x, vf_select(x > 20.0f, x, y));
}
WF_INLINE vf gelu_slope(vf x) { return vf_fma(x * 0.39894228040143268f, vf_exp(x * x * -0.5f), vf_normal_cdf(x)); }
WF_INLINE vf tanh_slope(vf x) {
    vf s = vf_sigmoid(x + x);
    return s * vf_sigmoid(x * -2.0f) * 4.0f;
}

/* FORM(kind, name, value, slope): x is the argument. */
#define FORMS(FORM)                                                                                                            \
    FORM(WF_RELU, relu, vf_select(x < 0.0f, zero, x), vf_select(x > 0.0f, one, zero))                                          \
    FORM(WF_GELU, gelu, gelu(x), gelu_slope(x))                                                                                \
    FORM(WF_GELU_TANH, gelu_tanh, gelu_tanh(x), gated_slope(x, tanh_argument(x), tanh_argument_slope(x)))                      \
    FORM(WF_QUICK_GELU, quick_gelu, vf_times_sigmoid(x, x * 1.702f), gated_slope(x, x * 1.702f, vf_set(1.702f)))               \
    FORM(WF_SILU, silu, vf_times_sigmoid(x, x), gated_slope(x, x, one))                                                        \
    FORM(WF_RELU2, relu2, vf_select(x < 0.0f, zero, x * x), vf_select(x > 0.0f, x + x, zero))                                  \
    FORM(WF_SIGMOID, sigmoid, vf_sigmoid(x), vf_sigmoid(x) * vf_sigmoid(-x))                                                   \
    FORM(WF_TANH, tanh, vf_tanh(x), tanh_slope(x))                                                                             \
    FORM(WF_IDENTITY, identity, x, one)                                                                                        \
    FORM(WF_ELU1, elu1, vf_select(x > 0.0f, x + 1.0f, vf_exp(x)), vf_select(x > 0.0f, one, vf_exp(x)))                         \
    FORM(WF_SOFTPLUS, softplus, softplus(x), vf_select(x > 20.0f, one, vf_sigmoid(x)))                                         \
    FORM(WF_EXP, exp, vf_exp(x), vf_exp(x))

#define DEFINE(kind, name, value, slope)                                                                                       \
    static void row_##name(float *y, const float *p, int64_t n) {                                                              \
        const vf zero = vf_set(0.0f), one = vf_set(1.0f);                                                                      \
        (void)zero, (void)one;                                                                                                 \
        WF_ROW(i, m, n, vf x = vtake(p + i, m); vput(y + i, value, m););                                                       \
    }                                                                                                                          \
    static void row_##name##_back(float *dx, const float *p, const float *dy, int64_t n) {                                     \
        const vf zero = vf_set(0.0f), one = vf_set(1.0f);                                                                      \
        (void)zero, (void)one;                                                                                                 \
        WF_ROW(i, m, n, vf x = vtake(p + i, m); (void)x; vput(dx + i, (slope)*vtake(dy + i, m), m););                          \
    }
FORMS(DEFINE)

static void activate(int kind, float *y, const float *x, int64_t n) {
#define ROW(kind, name, value, slope) [kind] = row_##name,
    static void (*const rows[WF_ACTIVATION_COUNT])(float *, const float *, int64_t) = {FORMS(ROW)};
#undef ROW
    if (rows[kind])
        rows[kind](y, x, n);
    else
        wf_ref_activate(kind, y, x, n);
}

static void activate_back(int kind, float *dx, const float *x, const float *dy, int64_t n) {
#define ROW(kind, name, value, slope) [kind] = row_##name##_back,
    static void (*const rows[WF_ACTIVATION_COUNT])(float *, const float *, const float *, int64_t) = {FORMS(ROW)};
#undef ROW
    if (rows[kind])
        rows[kind](dx, x, dy, n);
    else
        wf_ref_activate_back(kind, dx, x, dy, n);
}

WF_FILL(activation) {
    k->activate = activate;
    k->activate_back = activate_back;
}
