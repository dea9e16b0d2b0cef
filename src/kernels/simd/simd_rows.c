/* simd_rows.c - vector forms of conversions, elementwise arithmetic, double sums, rotation and matrix-vector sweeps. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"
#include "kernels/vec/wide.h"

static void bf16_to_f32(float *dst, const uint16_t *src, int64_t n) {
    WF_ROW(i, m, n, vput(dst + i, vtake_bf16(src + i, m), m););
}

static void f32_to_bf16(uint16_t *dst, const float *src, int64_t n) {
    WF_ROW(i, m, n, vput_bf16(dst + i, vtake(src + i, m), m););
}

static void add(float *dst, const float *a, const float *b, int64_t n) {
    WF_ROW(i, m, n, vput(dst + i, vtake(a + i, m) + vtake(b + i, m), m););
}

static void mul(float *dst, const float *a, const float *b, int64_t n) {
    WF_ROW(i, m, n, vput(dst + i, vtake(a + i, m) * vtake(b + i, m), m););
}

static void axpy(float *dst, float factor, const float *src, int64_t n) {
    vf f = vf_set(factor);
    WF_ROW(i, m, n, vput(dst + i, vf_fma(f, vtake(src + i, m), vtake(dst + i, m)), m););
}

static void scale(float *dst, float factor, const float *src, int64_t n) {
    WF_ROW(i, m, n, vput(dst + i, vtake(src + i, m) * factor, m););
}

static double dot(const float *a, const float *b, int64_t n) { return vdot_wide(a, b, n); }
static double sum_squares(const float *a, int64_t n) { return dot(a, a, n); }

/* The largest and the next of every lane, then of the lanes. */
static int64_t largest(float *lead, const float *x, int64_t n) {
    vf most = vf_set(0.0f), next = most;
    WF_ROW(i, m, n, vf size = vf_abs(vtake(x + i, m)); next = vf_max(next, vf_min(size, most)); most = vf_max(most, size););
    const float all = vf_hmax(most);
    const vi leads = most == all;
    int64_t at = 0, lanes = 0;
    for (int v = 0; v < WF_VL; v++)
        lanes += leads[v] != 0;
    next = vf_max(next, vf_select(leads, lanes > 1 ? most : vf_set(0.0f), most));
    *lead = all - vf_hmax(next);
    while (at < n - 1 && fabsf(x[at]) != all)
        at++;
    return at;
}

/* ---- rotation ---- */

static void rotate_half(float *y, const float *x, const float *cosine, const float *sine, int64_t pairs, float sign) {
    WF_ROW(i, m, pairs, vf a = vtake(x + i, m); vf b = vtake(x + pairs + i, m); vf c = vtake(cosine + i, m);
           vf s = vtake(sine + i, m) * sign; vput(y + i, a * c - b * s, m); vput(y + pairs + i, b * c + a * s, m););
}

#if WF_VL == 16
#define SWAP 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14
#define TWICE_LOW 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7
#define TWICE_HIGH 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15
#elif WF_VL == 8
#define SWAP 1, 0, 3, 2, 5, 4, 7, 6
#define TWICE_LOW 0, 0, 1, 1, 2, 2, 3, 3
#define TWICE_HIGH 4, 4, 5, 5, 6, 6, 7, 7
#else
#define SWAP 1, 0, 3, 2
#define TWICE_LOW 0, 0, 1, 1
#define TWICE_HIGH 2, 2, 3, 3
#endif

/* One vector of interleaved pairs: x = (a, b) turns to x cos + (b, a) (-sin, +sin). */
WF_INLINE vf turn(vf x, vf c, vf s) { return x * c + __builtin_shufflevector(x, x, SWAP) * s; }

static void rotate_interleaved(float *y, const float *x, const float *cosine, const float *sine, int64_t pairs, float sign) {
    vf signs;
    for (int i = 0; i < WF_VL; i++)
        signs[i] = i % 2 ? sign : -sign;
    int64_t p = 0;
    for (; p + WF_VL <= pairs; p += WF_VL) {
        vf c = vf_load(cosine + p), s = vf_load(sine + p), low = vf_load(x + 2 * p), high = vf_load(x + 2 * p + WF_VL);
        vf_store(y + 2 * p,
                 turn(low, __builtin_shufflevector(c, c, TWICE_LOW), __builtin_shufflevector(s, s, TWICE_LOW) * signs));
        vf_store(y + 2 * p + WF_VL,
                 turn(high, __builtin_shufflevector(c, c, TWICE_HIGH), __builtin_shufflevector(s, s, TWICE_HIGH) * signs));
    }
    for (; p < pairs; p++) {
        float a = x[2 * p], b = x[2 * p + 1], c = cosine[p], s = sign * sine[p];
        y[2 * p] = a * c - b * s;
        y[2 * p + 1] = b * c + a * s;
    }
}

static void rotate(float *y, const float *x, const float *cosine, const float *sine, int64_t pairs, int64_t n, bool interleaved,
                   float sign) {
    if (interleaved)
        rotate_interleaved(y, x, cosine, sine, pairs, sign);
    else
        rotate_half(y, x, cosine, sine, pairs, sign);
    if (y != x && n > 2 * pairs)
        memcpy(y + 2 * pairs, x + 2 * pairs, (size_t)(n - 2 * pairs) * sizeof *y);
}

/* ---- matrix-vector ---- */

WF_INLINE vf load_weight(const void *w, int64_t at, int64_t m, bool bf16) {
    return bf16 ? vtake_bf16((const uint16_t *)w + at, m) : vtake((const float *)w + at, m);
}

/* `rows` rows from row r at once, so that x is read once for all of them. A row's order of summation does not depend on how
 * many rows are taken together. */
WF_INLINE void sweep(float *y, const void *w, const float *x, const float *bias, int64_t k, int64_t r, const int rows,
                     bool bf16) {
    vf even[4], odd[4];
    for (int j = 0; j < rows; j++)
        even[j] = odd[j] = vf_set(0.0f);
    int64_t i = 0;
    for (; i + 2 * WF_VL <= k; i += 2 * WF_VL) {
        vf x0 = vf_load(x + i), x1 = vf_load(x + i + WF_VL);
        for (int j = 0; j < rows; j++) {
            __builtin_prefetch((const char *)w + (size_t)((r + rows + j) * k + i) *
                                                     (bf16 ? 2 : 4)); /* rows are short streams: ask for the next ones */
            even[j] = vf_fma(load_weight(w, (r + j) * k + i, WF_VL, bf16), x0, even[j]);
            odd[j] = vf_fma(load_weight(w, (r + j) * k + i + WF_VL, WF_VL, bf16), x1, odd[j]);
        }
    }
    for (; i < k; i += WF_VL) {
        int64_t m = k - i < WF_VL ? k - i : WF_VL;
        vf x0 = vtake(x + i, m);
        for (int j = 0; j < rows; j++)
            even[j] = vf_fma(load_weight(w, (r + j) * k + i, m, bf16), x0, even[j]);
    }
    for (int j = 0; j < rows; j++)
        y[r + j] = vf_sum(even[j] + odd[j]) + (bias ? bias[r + j] : 0.0f);
}

static void gemv(float *y, const float *w, const float *x, const float *bias, int64_t k, int64_t r0, int64_t r1) {
    int64_t r = r0;
    for (; r + 4 <= r1; r += 4)
        sweep(y, w, x, bias, k, r, 4, false);
    for (; r < r1; r++)
        sweep(y, w, x, bias, k, r, 1, false);
}

static void gemv_bf16(float *y, const uint16_t *w, const float *x, const float *bias, int64_t k, int64_t r0, int64_t r1) {
    int64_t r = r0;
    for (; r + 4 <= r1; r += 4)
        sweep(y, w, x, bias, k, r, 4, true);
    for (; r < r1; r++)
        sweep(y, w, x, bias, k, r, 1, true);
}

/* Where the matrix lies turned a row of it is one step of many sums. They stay in registers for DEPTH steps; a sum's order is
 * the same however many columns are taken together. */
enum { DEPTH = 256, WIDE = WF_VL == 16 ? 16 : 8, AHEAD = 8 };

WF_INLINE void add_steps(float *y, const float *w, int64_t ld, const float *x, int64_t steps, const int vectors, int64_t m) {
    vf sum[WIDE];
    WF_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[v] = vf_set(0.0f);
    for (int64_t p = 0; p < steps; p++, w += ld) {
        const vf by = vf_set(x[p]);
        WF_UNROLL
        for (int v = 0; v < vectors; v++) {
            if (v * WF_VL % 16 == 0) /* rows far apart are not foreseen by the processor */
                __builtin_prefetch((const char *)(w + v * WF_VL) + (size_t)(AHEAD * ld) * sizeof *w);
            sum[v] = vf_fma(by, vtake(w + v * WF_VL, m), sum[v]);
        }
    }
    WF_UNROLL
    for (int v = 0; v < vectors; v++)
        vput(y + v * WF_VL, vtake(y + v * WF_VL, m) + sum[v], m);
}

WF_INLINE void add_columns(float *y, const float *w, int64_t ld, const float *x, int64_t k, const int vectors, int64_t m) {
    for (int64_t p = 0; p < k; p += DEPTH)
        add_steps(y, w + p * ld, ld, x + p, k - p < DEPTH ? k - p : DEPTH, vectors, m);
}

static void gemv_turned(float *y, const float *w, int64_t ld, const float *x, const float *bias, int64_t k, int64_t n) {
    int64_t r = 0;
    WF_ROW(i, m, n, vput(y + i, bias ? vtake(bias + i, m) : vf_set(0.0f), m););
    for (; r + WIDE * WF_VL <= n; r += WIDE * WF_VL)
        add_columns(y + r, w + r, ld, x, k, WIDE, WF_VL);
    for (; r + 4 * WF_VL <= n; r += 4 * WF_VL)
        add_columns(y + r, w + r, ld, x, k, 4, WF_VL);
    for (; r < n; r += WF_VL)
        add_columns(y + r, w + r, ld, x, k, 1, n - r < WF_VL ? n - r : WF_VL);
}

WF_FILL(rows) {
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_bf16 = f32_to_bf16;
    k->add = add;
    k->mul = mul;
    k->axpy = axpy;
    k->scale = scale;
    k->dot = dot;
    k->sum_squares = sum_squares;
    k->largest = largest;
    k->rotate = rotate;
    k->gemv = gemv;
    k->gemv_bf16 = gemv_bf16;
    k->gemv_turned = gemv_turned;
}
