/* simd_probe.c - vector forms of the probes. */
#include "kernels/vec/fill.h"
#include "kernels/vec/vec.h"

static float probe_fma(float start, int64_t rounds, int *lanes) {
    vf chain[WF_PROBE_CHAINS], sum = vf_set(0.0f), half = vf_set(0.5f), zero = vf_set(start);
    for (int i = 0; i < WF_PROBE_CHAINS; i++)
        chain[i] = zero;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < WF_PROBE_CHAINS; i++)
            chain[i] = vf_fma(chain[i], half, zero);
    }
    for (int i = 0; i < WF_PROBE_CHAINS; i++)
        sum += chain[i];
    *lanes = WF_VL;
    return vf_sum(sum);
}

/* Four streams a quarter apart keep more lines in flight than one. */
static float probe_read(const float *a, int64_t n) {
    int64_t quarter = n / 4 / (2 * WF_VL) * (2 * WF_VL);
    vf sums[8] = {{0}};
    for (int64_t i = 0; i < quarter; i += 2 * WF_VL)
        for (int s = 0; s < 4; s++) {
            sums[2 * s] += vf_load(a + s * quarter + i);
            sums[2 * s + 1] += vf_load(a + s * quarter + i + WF_VL);
        }
    float rest = vf_sum(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
    for (int64_t i = 4 * quarter; i < n; i++)
        rest += a[i];
    return rest;
}

WF_FILL(probe) {
    k->probe_fma = probe_fma;
    k->probe_read = probe_read;
}
