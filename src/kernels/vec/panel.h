/* panel.h - the product all five of kernel F's matrix products are: C[m x n] (+)= A[m x k] B[k x n], A read element by element
 * (any two strides, so rows and columns of K, V or a tile serve without packing), B and C in vectors. */
#ifndef WF_KERNELS_PANEL_H
#define WF_KERNELS_PANEL_H
#include <stdbool.h>
#include "kernels/vec/vec.h"

typedef struct panel {
    float *c;
    int64_t ldc;
    const float *a;
    int64_t a_row, a_col; /* element (i, l) at a[i*a_row + l*a_col] */
    const float *b;
    int64_t ldb;
    int64_t m, k, n;    /* n columns; the rows of B are padded to whole vectors */
    bool add;           /* C += */
    const float *scale; /* NULL, or [n]: the old C times this first */
} panel;

/* The register tile: 6 rows by 4 vectors where there are 32 registers, by 2 where there are 16. The loops over it are written
 * out, since neither compiler keeps an array of accumulators in registers otherwise. */
#define PANEL_ROWS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define PANEL_COLUMNS(DO, r) DO(r, 0) DO(r, 1) DO(r, 2) DO(r, 3)

WF_INLINE void panel_store(const panel *p, float *c, vf sum, int64_t column) {
    int64_t left = p->n - column;
    if (left >= WF_VL) {
        if (p->scale)
            sum = vf_fma(vf_load(c), vf_load(p->scale + column), sum);
        else if (p->add)
            sum += vf_load(c);
        vf_store(c, sum);
    } else {
        if (p->add)
            sum += vf_load_n(c, left);
        vf_store_n(c, sum, left);
    }
}

WF_INLINE void panel_block(const panel *p, int64_t i, int64_t column, const int rows, const int columns) {
    vf acc[8][4];
    const float *a = p->a + i * p->a_row, *b = p->b + column;
    const int64_t a_row = p->a_row, a_col = p->a_col, ldb = p->ldb;
#define ZERO(r, q) acc[r][q] = vf_set(0.0f);
#define ZERO_ROW(r) PANEL_COLUMNS(ZERO, r)
    PANEL_ROWS(ZERO_ROW)
    for (int64_t l = p->k; l > 0; l--, a += a_col, b += ldb) {
        vf bv[4];
#define LOAD(r, q)                                                                                                             \
    if (q < columns)                                                                                                           \
        bv[q] = vf_load(b + q * WF_VL);
#define STEP(r, q)                                                                                                             \
    if (q < columns)                                                                                                           \
        acc[r][q] = vf_fma(x, bv[q], acc[r][q]);
#define STEP_ROW(r)                                                                                                            \
    if (r < rows) {                                                                                                            \
        vf x = vf_set(a[r * a_row]);                                                                                           \
        PANEL_COLUMNS(STEP, r)                                                                                                 \
    }
        PANEL_COLUMNS(LOAD, 0)
        PANEL_ROWS(STEP_ROW)
    }
    float *c = p->c + i * p->ldc + column;
#define STORE(r, q)                                                                                                            \
    if (r < rows && q < columns)                                                                                               \
        panel_store(p, c + r * p->ldc + q * WF_VL, acc[r][q], column + q * WF_VL);
#define STORE_ROW(r) PANEL_COLUMNS(STORE, r)
    PANEL_ROWS(STORE_ROW)
#undef ZERO
#undef ZERO_ROW
#undef LOAD
#undef STEP
#undef STEP_ROW
#undef STORE
#undef STORE_ROW
}

/* All rows of `columns` vectors from `column` on. */
#define PANEL_STRIPE(columns, step)                                                                                            \
    static void panel_stripe_##columns(const panel *p, int64_t column) {                                                       \
        int64_t i = 0;                                                                                                         \
        for (; i + step <= p->m; i += step)                                                                                    \
            panel_block(p, i, column, step, columns);                                                                          \
        if (p->m - i >= 4) {                                                                                                   \
            panel_block(p, i, column, 4, columns);                                                                             \
            i += 4;                                                                                                            \
        }                                                                                                                      \
        if (p->m - i >= 2) {                                                                                                   \
            panel_block(p, i, column, 2, columns);                                                                             \
            i += 2;                                                                                                            \
        }                                                                                                                      \
        if (p->m > i)                                                                                                          \
            panel_block(p, i, column, 1, columns);                                                                             \
    }

PANEL_STRIPE(1, 8)
PANEL_STRIPE(2, 6)
#if WF_VL == 16 || defined(__aarch64__)
#define PANEL_WIDE 4
PANEL_STRIPE(3, 6)
PANEL_STRIPE(4, 6)
#else
#define PANEL_WIDE 2
#endif

static void panel_run(const panel *p) {
    static void (*const stripes[])(const panel *, int64_t) = {
        panel_stripe_1,
        panel_stripe_2,
#if PANEL_WIDE == 4
        panel_stripe_3,
        panel_stripe_4,
#endif
    };
    for (int64_t column = 0; column < p->n;) {
        int64_t vectors = (p->n - column + WF_VL - 1) / WF_VL;
        if (vectors > PANEL_WIDE)
            vectors = PANEL_WIDE;
        stripes[vectors - 1](p, column);
        column += vectors * WF_VL;
    }
}
#undef PANEL_STRIPE
#endif
