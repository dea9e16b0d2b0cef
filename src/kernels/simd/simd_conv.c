/* simd_conv.c - vector forms of the short causal convolution. Channels in lanes, blocks of channels outermost, so that the rows
 * of a block stay in the first cache while its taps pass over them. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

enum { BLOCK = 64, TAPS = 16, TILE = 32 }; /* channels and taps at once; rows whose weight sums stay in registers */

/* The arrays of one call and the block of channels and taps at work. */
typedef struct job {
    const float *x, *dy, *bias, *state;
    float *y, *dx;
    int64_t t, channels, width;
    int64_t c, lanes, w0, taps;
    float weight[TAPS][BLOCK], sums[TAPS][BLOCK]; /* transposed: a tap's channels are contiguous */
} job;

static void load_block(job *k, const float *weight, int64_t c, int64_t c1, int64_t w0) {
    k->c = c;
    k->lanes = c1 - c < BLOCK ? c1 - c : BLOCK;
    k->w0 = w0;
    k->taps = k->width - w0 < TAPS ? k->width - w0 : TAPS;
    for (int64_t j = 0; j < k->lanes; j++)
        for (int64_t w = 0; w < k->taps; w++)
            k->weight[w][j] = weight[(c + j) * k->width + w0 + w];
}

/* The input of m channels from lane j at time i; before the first time it is in the state. */
WF_INLINE vf input(const job *k, int64_t i, int64_t j, int64_t m, bool steady) {
    if (steady || i >= 0)
        return vtake(k->x + i * k->channels + k->c + j, m);
    float t[WF_VL] = {0};
    for (int64_t l = 0; k->state && l < m; l++)
        t[l] = k->state[(k->c + j + l) * (k->width - 1) + k->width - 1 + i];
    return vf_load(t);
}

WF_INLINE void conv_vector(const job *k, int64_t i, int64_t j, int64_t m, const int64_t taps, bool steady) {
    float *out = k->y + i * k->channels + k->c + j;
    vf sum = k->w0 ? vtake(out, m) : k->bias ? vtake(k->bias + k->c + j, m) : vf_set(0.0f);
    for (int64_t w = 0; w < taps; w++)
        sum = vf_fma(vtake(&k->weight[w][j], m), input(k, i - k->width + 1 + k->w0 + w, j, m, steady), sum);
    vput(out, sum, m);
}

WF_INLINE void conv_rows(const job *k, int64_t i0, int64_t i1, const int64_t taps, bool steady) {
    for (int64_t i = i0; i < i1; i++)
        WF_ROW(j, m, k->lanes, conv_vector(k, i, j, m, taps, steady););
}

static void conv(float *y, const float *x, const float *weight, const float *bias, const float *state, int64_t t,
                 int64_t channels, int64_t width, int64_t c0, int64_t c1) {
    job k = {.x = x, .y = y, .bias = bias, .state = state, .t = t, .channels = channels, .width = width};
    int64_t first = t < width - 1 ? t : width - 1;
    for (int64_t c = c0; c < c1; c += BLOCK)
        for (int64_t w0 = 0; w0 < width; w0 += TAPS) {
            load_block(&k, weight, c, c1, w0);
            conv_rows(&k, 0, first, k.taps, false);
            if (k.taps == 4) /* the usual width, unrolled */
                conv_rows(&k, first, t, 4, true);
            else
                conv_rows(&k, first, t, k.taps, true);
        }
}

/* dx of row i, and this row's share of the weight sums. */
WF_INLINE void back_row(const job *k, int64_t i, int64_t j, int64_t m, const int64_t taps, bool steady, vf *sums) {
    const float *at = k->dy + i * k->channels + k->c + j;
    float *out = k->dx + i * k->channels + k->c + j;
    vf dx = k->w0 ? vtake(out, m) : vf_set(0.0f), dy = vtake(at, m);
    for (int64_t w = 0; w < taps; w++) {
        int64_t ahead = k->width - 1 - k->w0 - w; /* the output that reads this input through tap w */
        if (steady || i + ahead < k->t)
            dx = vf_fma(vtake(&k->weight[w][j], m), vtake(at + ahead * k->channels, m), dx);
        sums[w] = vf_fma(dy, input(k, i - ahead, j, m, steady), sums[w]);
    }
    vput(out, dx, m);
}

WF_INLINE void back_vector(job *k, int64_t i0, int64_t i1, int64_t j, int64_t m, const int64_t taps) {
    vf sums[TAPS];
    for (int64_t w = 0; w < taps; w++)
        sums[w] = vf_set(0.0f);
    if (i0 >= k->width - 1 && i1 + k->width - 1 <= k->t)
        for (int64_t i = i0; i < i1; i++)
            back_row(k, i, j, m, taps, true, sums);
    else
        for (int64_t i = i0; i < i1; i++)
            back_row(k, i, j, m, taps, false, sums);
    for (int64_t w = 0; w < taps; w++)
        vput(&k->sums[w][j], vtake(&k->sums[w][j], m) + sums[w], m);
}

static void back_block(job *k) {
    memset(k->sums, 0, sizeof k->sums);
    for (int64_t i = 0; i < k->t; i += TILE) {
        int64_t end = k->t - i < TILE ? k->t : i + TILE;
        if (k->taps == 4)
            WF_ROW(j, m, k->lanes, back_vector(k, i, end, j, m, 4););
        else
            WF_ROW(j, m, k->lanes, back_vector(k, i, end, j, m, k->taps););
    }
}

WF_INLINE void add_bias_rows(const job *k, float *dbias, int64_t j, int64_t m) {
    vf total = vtake(dbias + k->c + j, m);
    for (int64_t i = 0; i < k->t; i += TILE) {
        vf sum = vf_set(0.0f);
        for (int64_t r = i; r < k->t && r < i + TILE; r++)
            sum += vtake(k->dy + r * k->channels + k->c + j, m);
        total += sum;
    }
    vput(dbias + k->c + j, total, m);
}

/* Gradient of the inputs before the first: entry s of a channel was read by output s - w through tap w. */
static void state_back(const job *k, const float *weight, float *dstate) {
    for (int64_t c = k->c; c < k->c + k->lanes; c++)
        for (int64_t s = 0; s < k->width - 1; s++) {
            float sum = 0;
            for (int64_t w = s < k->t ? 0 : s - k->t + 1; w <= s; w++)
                sum += weight[c * k->width + w] * k->dy[(s - w) * k->channels + c];
            dstate[c * (k->width - 1) + s] = sum;
        }
}

static void conv_back(float *dx, float *dweight, float *dbias, float *dstate, const float *x, const float *dy,
                      const float *weight, const float *state, int64_t t, int64_t channels, int64_t width, int64_t c0,
                      int64_t c1) {
    job k = {.x = x, .dy = dy, .dx = dx, .state = state, .t = t, .channels = channels, .width = width};
    for (int64_t c = c0; c < c1; c += BLOCK) {
        for (int64_t w0 = 0; w0 < width; w0 += TAPS) {
            load_block(&k, weight, c, c1, w0);
            back_block(&k);
            for (int64_t j = 0; dweight && j < k.lanes; j++)
                for (int64_t w = 0; w < k.taps; w++)
                    dweight[(c + j) * width + w0 + w] += k.sums[w][j];
        }
        if (dbias)
            WF_ROW(j, m, k.lanes, add_bias_rows(&k, dbias, j, m););
        if (dstate)
            state_back(&k, weight, dstate);
    }
}

WF_FILL(conv) {
    k->conv = conv;
    k->conv_back = conv_back;
}
