/* simd_gemm.c - the parts of the built-in matrix product: a block of registers, and packing. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"
#include "kernels/vec/transpose.h"

#if WF_VL == 16
enum { ROWS = 12, VECTORS = 2 }; /* accumulators: 24 of 32 registers */
#elif defined(__AVX__)
enum { ROWS = 6, VECTORS = 2 }; /* 12 of 16 */
#else
enum { ROWS = 4, VECTORS = 2 };
#endif
enum { COLUMNS = VECTORS * WF_VL, AHEAD = 6 };
/* With few registers a step is few products: several at once, from panels as wide as the block, keep what is not a product
 * rare. */
#if WF_VL == 8
enum { UNROLL = 4, COPIED = ROWS, PANEL = COLUMNS, PANEL_DEPTH = 1536 };
#else
enum { UNROLL = 1, COPIED = 0, PANEL = WF_GEMM_COLUMNS, PANEL_DEPTH = WF_VL == 16 ? 3072 : 768 };
#endif

typedef struct block {
    float *c;
    int64_t ldc;
    const float *a, *b, *bias; /* bias: whole vectors, or NULL */
    const char *ahead;
    int64_t ahead_step, row, step, k, n;
    bool add, copied; /* copied: a and b are as panel_form says */
} block;

static __attribute__((noinline)) void store_edge(const block *t, const float *edge, int rows) {
    for (int i = 0; i < rows; i++) {
        float *out = t->c + i * t->ldc;
        WF_ROW(j, m, t->n, vf sum = vtake(edge + i * COLUMNS + j, m);
               vput(out + j, t->add ? vtake(out + j, m) + sum : sum, m););
    }
}

WF_INLINE void store_block(const block *t, vf sum[ROWS][VECTORS], const int rows, const int vectors) {
    if (t->n >= COLUMNS) { /* apart, so that the sums never leave the registers */
        WF_UNROLL
        for (int i = 0; i < rows; i++)
            WF_UNROLL
        for (int v = 0; v < VECTORS; v++) {
            float *out = t->c + i * t->ldc + v * WF_VL;
            vf_store(out, t->add ? vf_load(out) + sum[i][v] : sum[i][v]);
        }
        return;
    }
    float edge[ROWS * COLUMNS];
    WF_UNROLL
    for (int i = 0; i < rows; i++)
        WF_UNROLL
    for (int v = 0; v < vectors; v++)
        vf_store(edge + i * COLUMNS + v * WF_VL, sum[i][v]);
    store_edge(t, edge, rows);
}

/* Some steps of k. Rows are addressed three to a pointer: base, base + row and base + 2 row are one addressing mode each. */
WF_INLINE void add_steps(vf sum[ROWS][VECTORS], const float *const *base, const float *b, const int steps, const int rows,
                         const int vectors, int64_t row, int64_t step, int64_t width) {
    WF_UNROLL
    for (int p = 0; p < steps; p++) {
        vf x[VECTORS];
        WF_UNROLL
        for (int v = 0; v < vectors; v++)
            x[v] = vf_load(b + p * width + v * WF_VL);
        WF_UNROLL
        for (int i = 0; i < rows; i++) {
            vf y = vf_set(row == 1 ? base[0][i + p * step] : base[i / 3][i % 3 * row + p * step]);
            WF_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[i][v] = vf_add_product(sum[i][v], y, x[v]);
        }
    }
}

/* rows x vectors of the block; both are constants, and row, step and width are where a is a panel. */
WF_INLINE void multiply(const block *t, const int rows, const int vectors, int64_t row, int64_t step, const int64_t width) {
    const int unroll = width == WF_GEMM_COLUMNS ? 1 : UNROLL;
    vf sum[ROWS][VECTORS];
    WF_UNROLL
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(t->c + i * t->ldc, 1); /* the block is written at the end: fetch it meanwhile */
        __builtin_prefetch(t->c + i * t->ldc + COLUMNS - 1, 1);
        WF_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[i][v] = vf_set(0.0f);
    }
    const float *base[(ROWS + 2) / 3], *b = t->b;
    const char *ahead = t->ahead;
    const int64_t ahead_step = unroll * t->ahead_step;
    WF_UNROLL
    for (int i = 0; i < rows; i += 3)
        base[i / 3] = t->a + i * row;
    int64_t left = t->k;
    for (; left >= unroll; left -= unroll, b += unroll * width) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        add_steps(sum, base, b, unroll, rows, vectors, row, step, width);
        WF_UNROLL
        for (int i = 0; i < rows; i += 3)
            base[i / 3] += unroll * step;
    }
    for (; unroll > 1 && left > 0; left--, b += width) {
        add_steps(sum, base, b, 1, rows, vectors, row, step, width);
        WF_UNROLL
        for (int i = 0; i < rows; i += 3)
            base[i / 3] += step;
    }
    if (t->bias) {
        WF_UNROLL
        for (int i = 0; i < rows; i++)
            WF_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[i][v] += vf_load(t->bias + v * WF_VL);
    }
    store_block(t, sum, rows, vectors);
}

WF_INLINE void multiply_some(const block *t, const int rows) {
    if (COPIED > 0 && t->copied)
        multiply(t, rows, VECTORS, 1, COPIED, PANEL);
    else if (t->row == 1 && t->step == WF_GEMM_ROWS)
        multiply(t, rows, VECTORS, 1, WF_GEMM_ROWS, WF_GEMM_COLUMNS);
    else if (rows == ROWS && t->n <= WF_VL) /* half the work */
        multiply(t, rows, 1, t->row, 1, WF_GEMM_COLUMNS);
    else
        multiply(t, rows, VECTORS, t->row, 1, WF_GEMM_COLUMNS);
}

/* The rows of one step: the whole block, or a power of two of what is left. A sum's order is the same in each. */
static int64_t multiply_rows(const block *t, int64_t left) {
    if (left >= ROWS) {
        multiply_some(t, ROWS);
        return ROWS;
    }
#if WF_VL == 16
    if (left >= 8) {
        multiply_some(t, 8);
        return 8;
    }
#endif
#if defined(__AVX__)
    if (left >= 4) {
        multiply_some(t, 4);
        return 4;
    }
#endif
    if (left >= 2) {
        multiply_some(t, 2);
        return 2;
    }
    multiply_some(t, 1);
    return 1;
}

static void gemm_block(float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b, int64_t k, int64_t m,
                       int64_t n, bool add, const wf_gemm_beside *beside) {
    float whole[WF_GEMM_COLUMNS] = {0};
    const float *bias = beside ? beside->bias : NULL;
    bool ahead = beside && beside->ahead;
    if (bias && n < WF_GEMM_COLUMNS)
        bias = memcpy(whole, bias, (size_t)n * sizeof *bias);
    block t = {.c = c,
               .ldc = ldc,
               .ahead = ahead ? beside->ahead : (const char *)b,
               .ahead_step = ahead ? beside->ahead_step : 0,
               .row = row,
               .step = step,
               .k = k,
               .add = add};
    for (int64_t j = 0; j < n; j += COLUMNS)
        for (int64_t i = 0; i < m;) {
            t.c = c + i * ldc + j;
            t.a = a + i * row;
            t.b = b + j;
            t.bias = bias ? bias + j : NULL;
            t.n = n - j;
            i += multiply_rows(&t, m - i);
        }
}

/* ---- packing ---- */

WF_INLINE vf load(const void *src, bool bf16, int64_t at, int64_t m) {
    return bf16 ? vtake_bf16((const uint16_t *)src + at, m) : vtake((const float *)src + at, m);
}

/* One step of one panel; `lines` of it exist. */
WF_INLINE void pack_row(float *out, const void *src, bool bf16, int64_t at, int64_t lines, int64_t width) {
    for (int64_t i = 0; i < width; i += WF_VL) {
        int64_t room = width - i < WF_VL ? width - i : WF_VL, left = lines - i;
        vput(out + i, left > 0 ? load(src, bf16, at + i, left < room ? left : room) : vf_set(0.0f), room);
    }
}

/* Steps outermost: a row of the source is read from end to end. */
WF_INLINE void pack_rows(float *panels, const void *src, bool bf16, int64_t ld, int64_t lines, int64_t k, int64_t width) {
    const char *ahead = (const char *)src;
    int64_t size = bf16 ? 2 : 4;
    for (int64_t p = 0; p < k; p++) {
        int64_t i = 0;
        if (p + AHEAD < k) /* rows far apart are not foreseen by the processor */
            for (int64_t j = 0; j < lines * size; j += 64)
                __builtin_prefetch(ahead + (p + AHEAD) * ld * size + j);
        for (; i + width <= lines; i += width)
            pack_row(panels + i * k + p * width, src, bf16, p * ld + i, width, width);
        if (i < lines)
            pack_row(panels + i * k + p * width, src, bf16, p * ld + i, lines - i, width);
    }
}

static void gemm_pack_rows(float *panels, const void *src, bool bf16, int64_t ld, int64_t lines, int64_t k, int64_t width) {
    if (width == WF_GEMM_COLUMNS && !bf16)
        pack_rows(panels, src, false, ld, lines, k, WF_GEMM_COLUMNS);
    else if (width == WF_GEMM_ROWS && !bf16)
        pack_rows(panels, src, false, ld, lines, k, WF_GEMM_ROWS);
    else if (bf16)
        pack_rows(panels, src, true, ld, lines, k, width);
    else
        pack_rows(panels, src, false, ld, lines, k, width);
}

/* WF_VL lines from i by WF_VL steps from p, of which `have` lines and `steps` steps exist; `room` lanes of the panel are
 * theirs. */
WF_INLINE void pack_square(float *out, const void *src, bool bf16, int64_t at, int64_t ld, int64_t have, int64_t steps,
                           int64_t width, int64_t room) {
    vf r[WF_VL];
    for (int i = 0; i < WF_VL; i++)
        r[i] = i < have ? load(src, bf16, at + i * ld, steps) : vf_set(0.0f);
    vf_transpose(r);
    for (int p = 0; p < WF_VL; p++)
        if (p < steps)
            vput(out + p * width, r[p], room);
}

WF_INLINE void pack_columns(float *panels, const void *src, bool bf16, int64_t ld, int64_t lines, int64_t k, int64_t width) {
    for (int64_t panel = 0; panel < lines; panel += width)
        for (int64_t i = 0; i < width; i += WF_VL) {
            float *out = panels + panel * k + i;
            int64_t room = width - i < WF_VL ? width - i : WF_VL, left = lines - panel - i, at = (panel + i) * ld, p = 0;
            for (; p + WF_VL <= k && left >= WF_VL && room == WF_VL; p += WF_VL)
                pack_square(out + p * width, src, bf16, at + p, ld, WF_VL, WF_VL, width, WF_VL);
            for (; p < k; p += WF_VL)
                pack_square(out + p * width, src, bf16, at + p, ld, left < room ? left : room, k - p < WF_VL ? k - p : WF_VL,
                            width, room);
        }
}

static void gemm_pack_columns(float *panels, const void *src, bool bf16, int64_t ld, int64_t lines, int64_t k, int64_t width) {
    if (bf16)
        pack_columns(panels, src, true, ld, lines, k, width);
    else
        pack_columns(panels, src, false, ld, lines, k, width);
}

/* ---- panels of weights ---- */
static const wf_panel_form *panel_form(void) {
    static const wf_panel_form form = {.columns = PANEL, .depth = PANEL_DEPTH, .rows = COPIED};
    return &form;
}

/* Squares of steps x rows; a vector's lanes behind the block's rows are written over by the next step. */
static void panel_copy(float *to, const float *x, int64_t row, int64_t m, int64_t k) {
    enum { WIDTH = COPIED > 0 ? COPIED : 1 };
    for (int64_t i = 0; i < m; i += WIDTH, to += WIDTH * k) {
        int64_t have = m - i < WIDTH ? m - i : WIDTH, p = 0;
        for (; have == WIDTH && p + WF_VL <= k; p += WF_VL)
            pack_square(to + p * WIDTH, x, false, i * row + p, row, WIDTH, WF_VL, WIDTH, WF_VL);
        for (; p < k; p += WF_VL)
            pack_square(to + p * WIDTH, x, false, i * row + p, row, have, k - p < WF_VL ? k - p : WF_VL, WIDTH, WF_VL);
    }
}

/* Where row i lies. */
WF_INLINE const float *row_at(const wf_panel_args *a, int64_t i) {
    enum { WIDTH = COPIED > 0 ? COPIED : 1 };
    return (const float *)a->a + (COPIED > 0 ? i / WIDTH * WIDTH * a->k + i % WIDTH : i * a->row);
}

static void panel_product(const wf_panel_args *a) {
    enum { BLOCK = COPIED > 0 ? COPIED : WF_GEMM_ROWS };
    float whole[PANEL] = {0};
    const float *bias = a->bias && a->n < PANEL ? memcpy(whole, a->bias, (size_t)a->n * sizeof *bias) : a->bias;
    int64_t share = a->ahead ? PANEL * (int64_t)sizeof(float) / ((a->m + BLOCK - 1) / BLOCK) : 0; /* bytes of a step */
    block t = {.ldc = a->ldc, .row = a->row, .step = 1, .k = a->k, .ahead_step = share, .add = a->add, .copied = COPIED > 0};
    for (int64_t j = 0; j < a->n; j += COLUMNS) {
        t.ahead = a->ahead ? a->ahead : a->panel;
        for (int64_t i = 0; i < a->m; t.ahead += share * a->k) {
            t.c = (float *)a->c + i * a->ldc + j;
            t.a = row_at(a, i);
            t.b = (const float *)a->panel + j;
            t.bias = bias ? bias + j : NULL;
            t.n = a->n - j;
            i += multiply_rows(&t, a->m - i);
        }
    }
}

WF_FILL(gemm) {
    k->panel_form = panel_form;
    k->panel_copy = panel_copy;
    k->panel_product = panel_product;
    k->gemm_block = gemm_block;
    k->gemm_pack_rows = gemm_pack_rows;
    k->gemm_pack_columns = gemm_pack_columns;
}
