/* simd_lanes.c - vector forms of the scan over lanes: the state of a vector of lanes stays in a register. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

static void lane_scan(float *h, const float *a, const float *x, const float *before, int64_t t, int64_t stride, int64_t n) {
    WF_ROW(
        j, m, n, vf state = before ? vtake(before + j, m) : vf_set(0.0f); for (int64_t i = j; i < t * stride + j; i += stride) {
            state = vf_fma(vtake(a + i, m), state, vtake(x + i, m));
            vput(h + i, state, m);
        });
}

static void lane_scan_back(float *dx, float *da, float *dbefore, const float *a, const float *h, const float *before,
                           const float *dy, const float *dlast, int64_t t, int64_t stride, int64_t n) {
    WF_ROW(
        j, m, n, vf lambda = dlast ? vtake(dlast + j, m) : vf_set(0.0f); for (int64_t s = t - 1; s >= 0; s--) {
            int64_t i = s * stride + j;
            vf old = vf_set(0.0f);
            if (s > 0)
                old = vtake(h + i - stride, m);
            else if (before)
                old = vtake(before + j, m);
            if (dy)
                lambda += vtake(dy + i, m);
            vput(dx + i, lambda, m);
            vput(da + i, lambda * old, m);
            lambda = lambda * vtake(a + i, m);
        } if (dbefore) vput(dbefore + j, lambda, m););
}

WF_FILL(lanes) {
    k->lane_scan = lane_scan;
    k->lane_scan_back = lane_scan_back;
}
