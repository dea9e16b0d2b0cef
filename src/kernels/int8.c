#include "kernels/int8.h"
#include <math.h>
#include <string.h>

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

/* The steps of a span: as bytes the numbers are -127..127, and four make at most form->four together. */
static void find_scales(float scale[WF_INT8_PANEL], columns *w, int64_t groups, const wf_int8_form *form) {
    largest most = {{0}, {0}};
    for (int64_t g = 0; g < groups; g++)
        for (int p = 0; p < WF_INT8_GROUP; p += 8) {
            find_largest(&most, w[g], p);
            find_largest(&most, w[g], p + 2);
        }
    for (int i = 0; i < WF_INT8_PANEL; i++) /* each of four may be rounded up by a half */
        scale[i] = fmaxf(most.one[i] / 127.0f, most.four[i] / (float)(form->four - 2));
}

/* The bytes of a group; what they sum to is added to `sum`. */
static void fill_group(uint8_t *to, columns w, const float scale[WF_INT8_PANEL], int32_t sum[WF_INT8_PANEL]) {
    float inverse[WF_INT8_PANEL];
    int32_t zero;
    const float magic = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */
    memcpy(&zero, &magic, sizeof zero);
    for (int i = 0; i < WF_INT8_PANEL; i++)
        inverse[i] = scale[i] > 1e-32f ? 1.0f / scale[i] : 0.0f;
    for (int p = 0; p < WF_INT8_GROUP; p++)
        for (int i = 0; i < WF_INT8_PANEL; i++) {
            float rounded = w[p][i] * inverse[i] + magic;
            int32_t q;
            memcpy(&q, &rounded, sizeof q);
            q -= zero;
            to[(p / 4 * WF_INT8_PANEL + i) * 4 + p % 4] = (uint8_t)q;
            sum[i] += q;
        }
}

/* The block of a span; returns where the next one begins. */
static uint8_t *fill_span(uint8_t *to, columns *w, int64_t groups, const wf_int8_form *form) {
    float scale[WF_INT8_PANEL], scaled[WF_INT8_PANEL];
    int32_t sum[WF_INT8_PANEL] = {0}, first[WF_INT8_PANEL];
    find_scales(scale, w, groups, form);
    for (int64_t g = 0; g < groups; g++, to += WF_INT8_GROUP * WF_INT8_PANEL)
        fill_group(to, w[g], scale, sum);
    for (int i = 0; i < WF_INT8_PANEL; i++) {
        scaled[i] = scale[i] * (float)sum[i];
        first[i] = -form->levels / 2 * sum[i];
    }
    memcpy(to, scale, sizeof scale);
    memcpy(to + sizeof scale, form->centred ? (const void *)first : scaled, sizeof scaled);
    return to + sizeof scale + sizeof scaled;
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

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Numbers `first`.. of some rows, as many as a group has of them, turned; a rotation back and forth makes them GROUP times as
 * long. */
static void take(columns w, const float *from, const float *balance, int64_t rows, int64_t first, int64_t k) {
    int64_t n = least(k - first, WF_INT8_GROUP);
    memset(w, 0, sizeof(columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = first; p < first + n; p++)
            w[p - first][i] = from[i * k + p] / balance[p] / WF_INT8_GROUP;
    wf_int8_rotate(w[0], WF_INT8_PANEL);
}

void wf_int8_pack(const wf_int8_form *form, uint8_t *to, const float *w, int64_t rows, int64_t k, const float *balance) {
    columns span[WF_INT8_MOST_SPAN];
    memset(to, 0, wf_int8_head(k));
    if (balance)
        memcpy(to, balance, (size_t)k * sizeof *balance);
    else
        find_balance((float *)(void *)to, w, rows, k);
    balance = (const float *)(const void *)to;
    to += wf_int8_head(k);
    for (int64_t i = 0; i < rows; i += WF_INT8_PANEL)
        for (int64_t left = wf_int8_groups(k), first = 0; left > 0; left -= form->span) {
            int64_t groups = least(left, form->span);
            for (int64_t g = 0; g < groups; g++, first += WF_INT8_GROUP)
                take(span[g], w + i * k, balance, least(rows - i, WF_INT8_PANEL), first, k);
            to = fill_span(to, span, groups, form);
        }
}
