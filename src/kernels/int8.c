#include "kernels/int8.h"
#include <math.h>
#include <string.h>

typedef struct block {
    int8_t q[WF_INT8_GROUP / 4][WF_INT8_PANEL][4];
    float scale[WF_INT8_PANEL], sum[WF_INT8_PANEL];
} block;

static void pack_row(block *to, int64_t line, const float *row, const float *balance, int64_t n) {
    float most = 0.0f, w[WF_INT8_GROUP];
    int32_t sum = 0;
    for (int64_t p = 0; p < n; p++) {
        w[p] = row[p] / balance[p];
        most = fabsf(w[p]) > most ? fabsf(w[p]) : most;
    }
    float scale = most / 127.0f, inverse = most > 1e-30f ? 127.0f / most : 0.0f;
    for (int64_t p = 0; p < n; p++) {
        int8_t q = (int8_t)lrintf(w[p] * inverse);
        to->q[p / 4][line][p % 4] = q;
        sum += q;
    }
    to->scale[line] = scale;
    to->sum[line] = scale * (float)sum;
}

/* The fourth root of the mean square of each column, by that of all; 1 where a column is next to nothing. */
static void find_balance(float *balance, const float *w, int64_t rows, int64_t k) {
    double all = 0.0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < k; p++)
            balance[p] += w[i * k + p] * w[i * k + p];
    for (int64_t p = 0; p < k; p++)
        all += (double)balance[p] / (double)k;
    for (int64_t p = 0; p < k; p++) {
        double share = balance[p] / all;
        balance[p] = share > 1e-6 && share < 1e6 ? (float)sqrt(sqrt(share)) : 1.0f;
    }
}

void wf_int8_pack(uint8_t *to, const float *w, int64_t rows, int64_t k) {
    int64_t groups = wf_int8_groups(k);
    float *balance = (float *)(void *)to;
    memset(balance, 0, wf_int8_head(k));
    find_balance(balance, w, rows, k);
    to += wf_int8_head(k);
    for (int64_t i = 0; i < rows; i += WF_INT8_PANEL)
        for (int64_t g = 0; g < groups; g++, to += WF_INT8_BLOCK) {
            block b = {.scale = {0}};
            int64_t first = g * WF_INT8_GROUP, n = k - first < WF_INT8_GROUP ? k - first : WF_INT8_GROUP;
            for (int64_t j = 0; j < WF_INT8_PANEL && i + j < rows; j++)
                pack_row(&b, j, w + (i + j) * k + first, balance + first, n);
            memcpy(to, &b, sizeof b);
        }
}
