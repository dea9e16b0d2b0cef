/* simd_bf16.c - products of bf16 for processors that multiply it two by two: 24 of 32 registers are sums. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

enum { ROWS = WF_GEMM_ROWS, VECTORS = 2, COLUMNS = VECTORS * WF_VL };
_Static_assert((int)COLUMNS == (int)WF_GEMM_COLUMNS, "a panel is as wide as a block");

typedef struct block {
    const wf_panel_args *args;
    void *c;
    const uint16_t *a;
    const float *bias; /* COLUMNS of them, or NULL */
    const char *ahead;
    int64_t ahead_step;
} block;

WF_INLINE vi load_pairs(const uint16_t *p) {
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Two neighbours in every lane. */
WF_INLINE vi set_pair(const uint16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return vi_set(pair);
}

WF_INLINE vf add_pairs(vf sum, vi a, vi b) { return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b); }

WF_INLINE void store_row(const wf_panel_args *args, void *c, vf low, vf high) {
    const int64_t n = args->n;
    if (!args->narrow && n == COLUMNS) {
        vf_store(c, low);
        vf_store((float *)c + WF_VL, high);
    } else if (!args->narrow) {
        vput(c, low, n < WF_VL ? n : WF_VL);
        if (n > WF_VL)
            vput((float *)c + WF_VL, high, n - WF_VL);
    } else {
        __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
        if (n == COLUMNS)
            _mm512_storeu_si512(c, both);
        else
            _mm512_mask_storeu_epi16(c, (__mmask32)((1u << n) - 1u), both);
    }
}

/* Rows are addressed three to a pointer: base, base + row and base + 2 row are one addressing mode each. single: the last of an
 * odd k, which has no neighbour. */
WF_INLINE void add_step(vf sum[ROWS][VECTORS], const uint16_t *const *base, const uint16_t *b, const int rows, int64_t row,
                        bool single) {
    vi w[VECTORS];
    WF_UNROLL
    for (int v = 0; v < VECTORS; v++)
        w[v] = load_pairs(b + 2 * v * WF_VL);
    WF_UNROLL
    for (int i = 0; i < rows; i++) {
        const uint16_t *p = base[i / 3] + i % 3 * row;
        vi x = single ? vi_set(*p) : set_pair(p);
        WF_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = add_pairs(sum[i][v], x, w[v]);
    }
}

WF_INLINE void multiply(const block *t, const int rows) {
    const wf_panel_args *args = t->args;
    const int64_t row = args->row, size = args->narrow ? sizeof(uint16_t) : sizeof(float), step = t->ahead_step;
    const uint16_t *base[ROWS / 3 + 1], *b = args->panel;
    const char *ahead = t->ahead;
    char *c = t->c;
    vf sum[ROWS][VECTORS];
    WF_UNROLL
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(c + i * args->ldc * size, 1); /* the block is written at the end: fetch it meanwhile */
        __builtin_prefetch(c + (i * args->ldc + args->n - 1) * size, 1);
        WF_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = t->bias ? vf_load(t->bias + v * WF_VL) : vf_set(0.0f);
    }
    WF_UNROLL
    for (int i = 0; i < rows; i += 3)
        base[i / 3] = t->a + i * row;
    for (int64_t left = args->k / 2; left > 0; left--, b += 2 * COLUMNS) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += step;
        add_step(sum, base, b, rows, row, false);
        WF_UNROLL
        for (int i = 0; i < rows; i += 3)
            base[i / 3] += 2;
    }
    if (args->k % 2)
        add_step(sum, base, b, rows, row, true);
    WF_UNROLL
    for (int i = 0; i < rows; i++)
        store_row(args, c + i * args->ldc * size, sum[i][0], sum[i][1]);
}

/* The whole block, or a power of two of the rows that are left. A sum's order is the same in each. */
static int64_t multiply_rows(const block *t, int64_t left) {
    if (left >= ROWS)
        return multiply(t, ROWS), ROWS;
    if (left >= 8)
        return multiply(t, 8), 8;
    if (left >= 4)
        return multiply(t, 4), 4;
    if (left >= 2)
        return multiply(t, 2), 2;
    return multiply(t, 1), 1;
}

static void panel_product_bf16(const wf_panel_args *a) {
    float whole[COLUMNS] = {0};
    const int64_t size = a->narrow ? sizeof(uint16_t) : sizeof(float), blocks = (a->m + ROWS - 1) / ROWS,
                  share = a->ahead ? 2 * COLUMNS * (int64_t)sizeof(uint16_t) / blocks : 0; /* bytes of a step */
    block t = {.args = a, .bias = a->bias, .ahead = a->ahead ? a->ahead : a->panel, .ahead_step = share};
    if (a->bias && a->n < COLUMNS)
        t.bias = memcpy(whole, a->bias, (size_t)a->n * sizeof *a->bias);
    for (int64_t i = 0; i < a->m; t.ahead += share * (a->k / 2)) {
        t.c = (char *)a->c + i * a->ldc * size;
        t.a = (const uint16_t *)a->a + i * a->row;
        i += multiply_rows(&t, a->m - i);
    }
}

WF_FILL(bf16) { k->panel_product_bf16 = panel_product_bf16; }
