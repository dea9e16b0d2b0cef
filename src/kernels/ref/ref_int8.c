/* ref_int8.c - products with int8 weights. */
#include "kernels/ref/ref.h"

void wf_ref_int8_quantize(uint8_t *q, float *ranges, const float *x, const float *balance, int64_t k) {
    const float levels = WF_INT8_LEVELS;
    for (int64_t first = 0; first < k; first += WF_INT8_GROUP, q += WF_INT8_GROUP, ranges += 2) {
        float v[WF_INT8_GROUP] = {0};
        for (int64_t p = 0; p < WF_INT8_GROUP && first + p < k; p++)
            v[p] = x[first + p] * balance[first + p];
        wf_int8_rotate(v, 1);
        float least = v[0], most = v[0];
        for (int64_t p = 1; p < WF_INT8_GROUP; p++) {
            least = v[p] < least ? v[p] : least;
            most = v[p] > most ? v[p] : most;
        }
        float inverse = most - least > 1e-30f ? levels / (most - least) : 0.0f;
        ranges[0] = least;
        ranges[1] = (most - least) / levels;
        for (int64_t p = 0; p < WF_INT8_GROUP; p++) {
            float rounded = (v[p] - least) * inverse + 12582912.0f; /* 1.5 * 2^23 */
            uint32_t bits;
            memcpy(&bits, &rounded, sizeof bits);
            q[p] = (uint8_t)(bits & 255u);
        }
    }
}

void wf_ref_int8_block(float *c, int64_t ldc, const uint8_t *a, const float *ranges, const uint8_t *w, const float *bias,
                       int64_t groups, int64_t m, int64_t n, const uint8_t *ahead, int64_t ahead_step) {
    (void)ahead, (void)ahead_step; /* fetched for speed alone */
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float y = bias ? bias[j] : 0.0f;
            for (int64_t g = 0; g < groups; g++) {
                const uint8_t *u = a + (i * groups + g) * WF_INT8_GROUP,
                              *block = w + (j / WF_INT8_PANEL * groups + g) * WF_INT8_BLOCK;
                const float *range = ranges + 2 * (i * groups + g),
                            *scales = (const float *)(const void *)(block + WF_INT8_GROUP * WF_INT8_PANEL) + j % WF_INT8_PANEL;
                int32_t sum = 0;
                for (int64_t p = 0; p < WF_INT8_GROUP; p++)
                    sum += u[p] * (int8_t)block[(p / 4 * WF_INT8_PANEL + j % WF_INT8_PANEL) * 4 + p % 4];
                y += range[0] * scales[WF_INT8_PANEL];
                y += range[1] * (scales[0] * (float)sum);
            }
            c[i * ldc + j] = y;
        }
}
