/* panel.h - the product all five of kernel F's matrix products are: C[m x n] (+)= A[m x k] B[k x n], A read element by element
 * (any two strides, so rows and columns of K, V or a tile serve without packing), B and C in vectors. */
#ifndef WF_KERNELS_PANEL_H
#define WF_KERNELS_PANEL_H
#include <stdbool.h>
#include "kernels/vec/vec.h"

/* Rows that are needed soon, fetched a few at a time in the course of the product: all at once they would keep its own loads
 * waiting. */
typedef struct panel_ahead {
    const char *at;
    int64_t stride, bytes, rows;
    bool write;
    struct panel_ahead *then; /* NULL, or the head (no rows of its own) of a list of rows to fetch when these are */
} panel_ahead;
enum { PANEL_STEPS = 16, PANEL_FETCH = 3 }; /* so many steps, then so many rows */

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
    panel_ahead *ahead; /* or NULL */
} panel;

WF_INLINE void panel_prefetch(panel_ahead *ahead, int64_t rows) {
    if (ahead->rows == 0) {
        panel_ahead *head = ahead->then;
        if (!head)
            return;
        while (head->then && head->then->rows == 0)
            head->then = head->then->then;
        ahead = head->then;
        if (!ahead)
            return;
    }
    for (; rows > 0 && ahead->rows > 0; rows--, ahead->rows--, ahead->at += ahead->stride)
        for (int64_t c = 0; c < ahead->bytes; c += 64) {
            if (ahead->write)
                __builtin_prefetch(ahead->at + c, 1, 2);
            else
                __builtin_prefetch(ahead->at + c, 0, 2);
        }
}

/* What is left of a list. */
WF_INLINE void panel_fetch_all(panel_ahead *head) {
    for (panel_ahead *p = head->then; p; p = p->then)
        if (p->rows > 0)
            panel_prefetch(p, p->rows);
}

/* The register tile: 6 rows by 4 vectors where there are 32 registers, by 2 where there are 16. The loops over it are written
 * out, since neither compiler keeps an array of accumulators in registers otherwise. */
#define PANEL_ROWS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define PANEL_COLUMNS(DO, r) DO(r, 0) DO(r, 1) DO(r, 2) DO(r, 3)

/* Rows of sums into C where its last vector is partial. Apart, and through memory: were the accumulators alive across a call,
 * gcc would keep them in memory all along. */
static __attribute__((noinline, unused)) void panel_store_part(const panel *p, float *c, const float *sums, int64_t rows,
                                                               int64_t left) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t x = 0; x < left; x++) {
            float old = p->scale ? c[i * p->ldc + x] * p->scale[p->n - left + x] : p->add ? c[i * p->ldc + x] : 0.0f;
            c[i * p->ldc + x] = old + sums[i * 4 * WF_VL + x];
        }
}

/* The compiler is to know nothing about p: else it computes the addresses of all rows of C before the loop, more than there are
 * registers for. */
#define PANEL_OPAQUE(p) __asm__("" : "+r"(p))

WF_INLINE void panel_block(const panel *p, int64_t i, int64_t column, const int rows, const int columns) {
    vf acc[8][4];
    const int64_t a_row = p->a_row, a_col = p->a_col, ldb = p->ldb;
    const float *a = p->a + i * a_row, *a3 = a + 3 * a_row, *b = p->b + column;
#define ZERO(r, q) acc[r][q] = vf_set(0.0f);
#define ZERO_ROW(r) PANEL_COLUMNS(ZERO, r)
    PANEL_ROWS(ZERO_ROW)
    int64_t steps = p->ahead && p->k > PANEL_STEPS ? PANEL_STEPS : p->k;
    for (int64_t l = p->k, pause = l - steps; l > 0; l--, a += a_col, a3 += a_col, b += ldb) {
        vf bv[4];
#define LOAD(r, q)                                                                                                             \
    if (q < columns)                                                                                                           \
        bv[q] = vf_load(b + q * WF_VL);
#define STEP(r, q)                                                                                                             \
    if (q < columns)                                                                                                           \
        acc[r][q] = vf_add_product(acc[r][q], x, bv[q]);
#define STEP_ROW(r)                                                                                                            \
    if (r < rows) {                                                                                                            \
        vf x = vf_set(r < 3 ? a[r * a_row] : a3[(r - 3) * a_row]);                                                             \
        PANEL_COLUMNS(STEP, r)                                                                                                 \
    }
        PANEL_COLUMNS(LOAD, 0)
        PANEL_ROWS(STEP_ROW)
        if (l == pause) {
            panel_prefetch(p->ahead, PANEL_FETCH);
            pause -= PANEL_STEPS;
        }
    }
    const int64_t ldc = p->ldc;
    float *c = p->c + i * ldc + column, sums[8 * 4 * WF_VL];
    PANEL_OPAQUE(c);
#define PUT(r, q)                                                                                                              \
    if (q < columns)                                                                                                           \
        vf_store(c + q * WF_VL, acc[r][q]);
#define ADD(r, q)                                                                                                              \
    if (q < columns)                                                                                                           \
        vf_store(c + q * WF_VL, vf_load(c + q * WF_VL) + acc[r][q]);
#define SCALE(r, q)                                                                                                            \
    if (q < columns)                                                                                                           \
        vf_store(c + q * WF_VL, vf_fma(vf_load(c + q * WF_VL), vf_load(p->scale + column + q * WF_VL), acc[r][q]));
#define PART(r, q)                                                                                                             \
    if (r < rows && q < columns)                                                                                               \
        vf_store(sums + (r * 4 + q) * WF_VL, acc[r][q]);
#define STORE_ROW(DO, r)                                                                                                       \
    if (r < rows) {                                                                                                            \
        PANEL_COLUMNS(DO, r)                                                                                                   \
        c += ldc;                                                                                                              \
        PANEL_OPAQUE(c);                                                                                                       \
    }
#define PUT_ROW(r) STORE_ROW(PUT, r)
#define ADD_ROW(r) STORE_ROW(ADD, r)
#define SCALE_ROW(r) STORE_ROW(SCALE, r)
#define PART_ROW(r) PANEL_COLUMNS(PART, r)
    if (p->n - column < columns * WF_VL) {
        PANEL_ROWS(PART_ROW)
        panel_store_part(p, c, sums, rows, p->n - column);
    } else if (p->scale) {
        PANEL_ROWS(SCALE_ROW)
    } else if (p->add) {
        PANEL_ROWS(ADD_ROW)
    } else {
        PANEL_ROWS(PUT_ROW)
    }
#undef ZERO
#undef ZERO_ROW
#undef LOAD
#undef STEP
#undef STEP_ROW
#undef PUT
#undef ADD
#undef SCALE
#undef PART
#undef STORE_ROW
#undef PUT_ROW
#undef ADD_ROW
#undef SCALE_ROW
#undef PART_ROW
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

static __attribute__((unused)) void panel_run(const panel *p) {
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
