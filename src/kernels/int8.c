#include "kernels/int8.h"
#include <math.h>
#include <string.h>

typedef struct block {
    int8_t q[WF_INT8_GROUP / 4][WF_INT8_PANEL][4];
    float scale[WF_INT8_PANEL], sum[WF_INT8_PANEL];
} block;

void wf_int8_rotate(float *v, int lanes) {
    for (int s = WF_INT8_GROUP / 2; s >= 1; s /= 2)
        for (int first = 0; first < WF_INT8_GROUP; first += 2 * s)
            for (int i = first * lanes, j = (first + s) * lanes; i < (first + s) * lanes; i++, j++) {
                float sum = v[i] + v[j];
                v[j] = v[i] - v[j];
                v[i] = sum;
            }
}

typedef float columns[WF_INT8_GROUP][WF_INT8_PANEL]; /* numbers of a group, of a panel's rows side by side */

/* The largest of some numbers, and the largest sum of those of FOUR that are above zero or, with their signs changed, below. */
typedef struct largest {
    float one[WF_INT8_PANEL], four[WF_INT8_PANEL];
} largest;

static float more(float a, float b) { return a > b ? a : b; }

static void find_largest(largest *most, columns w, int p) {
    static const int four[] = {0, 1, 4, 5};
    float above[WF_INT8_PANEL] = {0}, below[WF_INT8_PANEL] = {0};
    for (int f = 0; f < 4; f++)
        for (int i = 0; i < WF_INT8_PANEL; i++) {
            float x = w[p + four[f]][i];
            most->one[i] = more(most->one[i], fabsf(x));
            above[i] += more(x, 0.0f);
            below[i] += more(-x, 0.0f);
        }
    for (int i = 0; i < WF_INT8_PANEL; i++)
        most->four[i] = more(most->four[i], more(above[i], below[i]));
}

/* The steps: as bytes the numbers are -127..127, and four make at most WF_INT8_SUM together. */
static void find_scales(float scale[WF_INT8_PANEL], columns w) {
    largest most = {{0}, {0}};
    for (int p = 0; p < WF_INT8_GROUP; p += 8) {
        find_largest(&most, w, p);
        find_largest(&most, w, p + 2);
    }
    for (int i = 0; i < WF_INT8_PANEL; i++) /* each of four may be rounded up by a half */
        scale[i] = fmaxf(most.one[i] / 127.0f, most.four[i] / (WF_INT8_SUM - 2));
}

static void fill(block *to, columns w) {
    float inverse[WF_INT8_PANEL];
    int32_t sum[WF_INT8_PANEL] = {0}, zero;
    const float magic = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */
    memcpy(&zero, &magic, sizeof zero);
    find_scales(to->scale, w);
    for (int i = 0; i < WF_INT8_PANEL; i++)
        inverse[i] = to->scale[i] > 1e-32f ? 1.0f / to->scale[i] : 0.0f;
    for (int p = 0; p < WF_INT8_GROUP; p++)
        for (int i = 0; i < WF_INT8_PANEL; i++) {
            float rounded = w[p][i] * inverse[i] + magic;
            int32_t q;
            memcpy(&q, &rounded, sizeof q);
            q -= zero;
            to->q[p / 4][i][p % 4] = (int8_t)q;
            sum[i] += q;
        }
    for (int i = 0; i < WF_INT8_PANEL; i++)
        to->sum[i] = to->scale[i] * (float)sum[i];
}

/* Which numbers of a group change their sign: drawn once. */
static const uint64_t signs = 0xb1d4e27c59a3068fu;

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
        if (signs >> p % WF_INT8_GROUP & 1u)
            balance[p] = -balance[p];
    }
}

/* n numbers of some rows; a rotation back and forth makes them GROUP times as long. */
static void take(columns w, const float *from, const float *balance, int64_t rows, int64_t n, int64_t k) {
    memset(w, 0, sizeof(columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < n; p++)
            w[p][i] = from[i * k + p] / balance[p] / WF_INT8_GROUP;
}

void wf_int8_pack(uint8_t *to, const float *w, int64_t rows, int64_t k) {
    int64_t groups = wf_int8_groups(k);
    float *balance = (float *)(void *)to;
    columns part;
    memset(balance, 0, wf_int8_head(k));
    find_balance(balance, w, rows, k);
    to += wf_int8_head(k);
    for (int64_t i = 0; i < rows; i += WF_INT8_PANEL)
        for (int64_t g = 0; g < groups; g++, to += WF_INT8_BLOCK) {
            block b;
            int64_t first = g * WF_INT8_GROUP, n = k - first < WF_INT8_GROUP ? k - first : WF_INT8_GROUP;
            take(part, w + i * k + first, balance + first, rows - i < WF_INT8_PANEL ? rows - i : WF_INT8_PANEL, n, k);
            wf_int8_rotate(part[0], WF_INT8_PANEL);
            fill(&b, part);
            memcpy(to, &b, sizeof b);
        }
}
