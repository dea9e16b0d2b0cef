/* ref_lanes.c - the scan over lanes in plain C: h_t = a_t h_{t-1} + x_t, every lane by itself (Blelloch 1990). */
#include "kernels/ref/ref.h"

void wf_ref_lane_scan(float *h, const float *a, const float *x, const float *before, int64_t t, int64_t stride, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double state = before ? before[j] : 0;
        for (int64_t i = j; i < t * stride + j; i += stride) {
            state = a[i] * state + x[i];
            h[i] = (float)state;
        }
    }
}

/* lambda_t = dy_t + a_{t+1} lambda_{t+1}: dx_t = lambda_t, da_t = lambda_t h_{t-1}. */
void wf_ref_lane_scan_back(float *dx, float *da, float *dbefore, const float *a, const float *h, const float *before,
                           const float *dy, const float *dlast, int64_t t, int64_t stride, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double lambda = dlast ? dlast[j] : 0;
        for (int64_t s = t - 1; s >= 0; s--) {
            int64_t i = s * stride + j;
            double old = s > 0 ? h[i - stride] : before ? before[j] : 0;
            lambda += dy ? dy[i] : 0;
            dx[i] = (float)lambda;
            da[i] = (float)(lambda * old);
            lambda *= a[i];
        }
        if (dbefore)
            dbefore[j] = (float)lambda;
    }
}
