/* simd_int8.c - products with int8 weights: blocks of registers, exact sums of a span, then their scales. */
#include <stdbool.h>
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

/* Blocks of rows and panels, the largest first. Where registers are few, every row reads the weights again, as operands in
 * memory: that saves instructions, and so do blocks of few rows, whose numbers of x serve more columns. So many groups of k are
 * taken at a time that the nearest cache holds what is read again. */
#if defined(__AVX512VNNI__)
enum { LEVELS = 254, FOUR = 4 * 127, SPAN = 2, CENTRED = 1 };
enum { ROWS = 12, PANELS = 2, REREAD = 0 }; /* accumulators: 24 of 32 registers */
#define SIZES(each) each(12, 2) each(4, 2) each(1, 2) each(4, 1) each(1, 1)
#elif WF_VL == 8 && defined(__AVX2__)
enum { ROWS = 2, PANELS = 2, REREAD = 1 }; /* 8 of 16 */
#define SIZES(each) each(2, 2) each(1, 2) each(2, 1) each(1, 1)
#elif WF_VL == 16
enum { ROWS = 4, PANELS = 1, REREAD = 0 };
#define SIZES(each) each(4, 1) each(1, 1)
#else
enum { ROWS = 2, PANELS = 1, REREAD = 0 };
#define SIZES(each) each(2, 1) each(1, 1)
#endif
#if !defined(__AVX512VNNI__) /* four products fit 16 bits: wf_ref_int8_form */
enum { LEVELS = 150, FOUR = 218, SPAN = 1, CENTRED = 0 };
#endif
enum { MOST_GROUPS = REREAD ? 8 : 1 << 30, SPLIT = WF_INT8_PANEL / WF_VL, VECTORS = PANELS * SPLIT };
enum { STEPS = WF_INT8_STEPS, UNROLL = REREAD ? 2 : 1 };
static const wf_int8_form form = {.levels = LEVELS, .four = FOUR, .span = SPAN, .centred = CENTRED};

WF_INLINE vi load_bytes(const uint8_t *p) {
    vi v;
    memcpy(&v, p, sizeof v);
    return v;
}

typedef struct product {
    float *c;
    int64_t ldc;
    const uint8_t *a, *w;
    const float *ranges, *bias;
    int64_t all, spans;    /* groups and spans of a row, */
    int64_t panel;         /* bytes of a panel */
    int64_t groups;        /* those of them that are multiplied now */
    bool more;             /* others went before: their sums are in c */
    const uint8_t **ahead; /* what is fetched next, whoever does it */
    int64_t ahead_step;    /* of 2 UNROLL steps of k */
} product;

WF_INLINE vf add_scaled(vf y, const float *range, vf scale, vf sums, vi sum) {
    if (!CENTRED)
        y = vf_fma(vf_set(range[0]), sums, y);
    return vf_fma(vf_set(range[1]), scale * __builtin_convertvector(sum, vf), y);
}

/* Four bytes of a row, for every lane. */
#if WF_VL >= 8 && defined(__AVX2__)
typedef vi lane_bytes;
WF_INLINE lane_bytes bytes_of(uint32_t u) { return vi_set((int32_t)u); }
/* sum + the products of four unsigned bytes and the four signed bytes of each lane */
#if defined(__AVX512VNNI__)
WF_INLINE vi add_products(vi sum, vi w, lane_bytes u) { return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)u, (__m512i)w); }
#elif WF_VL == 16
WF_INLINE __m512i pairs_at(const uint8_t *w, lane_bytes u) { return _mm512_maddubs_epi16((__m512i)u, (__m512i)load_bytes(w)); }
#define IN_32_BITS(fours) (vi) _mm512_madd_epi16(fours, _mm512_set1_epi16(1))
#define FOURS(a, b) _mm512_add_epi16(a, b)
#else
/* Weights as an operand in memory: a compiler would load them once for all rows. */
WF_INLINE __m256i pairs_at(const uint8_t *w, lane_bytes u) {
    __m256i sums;
    __asm__("vpmaddubsw %2, %1, %0" : "=x"(sums) : "x"(u), "m"(*(const __m256i *)(const void *)w));
    return sums;
}
#define IN_32_BITS(fours) (vi) _mm256_madd_epi16(fours, _mm256_set1_epi16(1))
#define FOURS(a, b) _mm256_add_epi16(a, b)
#endif
#elif defined(__SSE2__)
typedef int16_t vh __attribute__((vector_size(4 * WF_VL)));
typedef struct lane_bytes { /* bytes 0 and 2, 1 and 3 */
    vi even, odd;
} lane_bytes;
WF_INLINE lane_bytes bytes_of(uint32_t u) {
    return (lane_bytes){vi_set((int32_t)(u & 0x00ff00ffu)), vi_set((int32_t)(u >> 8 & 0x00ff00ffu))};
}
WF_INLINE vi pairs(vi a, vi b) { return (vi)_mm_madd_epi16((__m128i)a, (__m128i)b); }
WF_INLINE vi add_products(vi sum, vi w, lane_bytes u) {
    vi even = (vi)((vh)((vu)w << 8) >> 8), odd = (vi)((vh)w >> 8); /* halves of a lane: what crosses them is shifted out */
    return sum + pairs(even, u.even) + pairs(odd, u.odd);
}
#else
typedef uint32_t lane_bytes;
WF_INLINE lane_bytes bytes_of(uint32_t u) { return u; }
WF_INLINE vi add_products(vi sum, vi w, lane_bytes u) {
    for (int b = 0; b < 4; b++)
        sum += ((vi)((vu)w << (24 - 8 * b)) >> 24) * (int32_t)(u >> (8 * b) & 255u);
    return sum;
}
#endif

/* Of two steps. */
WF_INLINE vi add_two(vi sum, const uint8_t *w, lane_bytes u, const uint8_t *w2, lane_bytes u2) {
#if defined(FOURS)
    return vi_add_to(sum, IN_32_BITS(FOURS(pairs_at(w, u), pairs_at(w2, u2))));
#else
    return add_products(add_products(sum, load_bytes(w), u), load_bytes(w2), u2);
#endif
}

WF_INLINE lane_bytes load_lanes(const uint8_t *from) {
    uint32_t u;
    memcpy(&u, from, sizeof u);
    return bytes_of(u);
}

/* Where a block stands: pointers move on from step to step and from span to span. Rows are addressed three to a pointer:
 * base, base + row and base + 2 row are one addressing mode each. */
typedef struct place {
    const uint8_t *a[(ROWS + 2) / 3], *w[PANELS], *ahead;
    const float *range[(ROWS + 2) / 3], *bias;
    float *out[(ROWS + 2) / 3];
    int64_t row, ranges, ldc, ahead_step;
} place;

/* Where the weights of two steps begin, for vector v. */
WF_INLINE const uint8_t *weights_at(const place *at, int v) { return at->w[v / SPLIT] + v % SPLIT * (4 * WF_VL); }
enum { SECOND = 4 * WF_INT8_PANEL }; /* bytes from the first step's to the second's */

/* Two steps of k: sums of products. */
WF_INLINE void multiply_steps(const place *at, vi sum[ROWS][VECTORS], const int rows, const int panels) {
    WF_UNROLL
    for (int i = 0; i < rows; i++) {
        const uint8_t *u = at->a[i / 3] + i % 3 * at->row;
        lane_bytes y = load_lanes(u), y2 = load_lanes(u + 4);
        WF_UNROLL
        for (int v = 0; v < panels * SPLIT; v++)
            sum[i][v] = add_two(sum[i][v], weights_at(at, v), y, weights_at(at, v) + SECOND, y2);
    }
}

WF_INLINE void step_on(place *at, const int rows, const int panels) {
    WF_UNROLL
    for (int p = 0; p < panels; p++)
        at->w[p] += 2 * SECOND;
    WF_UNROLL
    for (int i = 0; i < rows; i += 3)
        at->a[i / 3] += 8;
}

/* The sums of a span, scaled, are added to c, or, the first ones, to the bias. */
WF_INLINE void scale_sums(const place *at, vi sum[ROWS][VECTORS], const bool first, const int rows, const int panels) {
    WF_UNROLL
    for (int v = 0; v < panels * SPLIT; v++) {
        const float *scales = (const float *)(const void *)at->w[v / SPLIT] + v % SPLIT * WF_VL;
        vf scale = vf_load(scales), sums = vf_load(scales + WF_INT8_PANEL),
           bias = first && at->bias ? vf_load(at->bias + v * WF_VL) : vf_set(0.0f);
        WF_UNROLL
        for (int i = 0; i < rows; i++) {
            float *c = at->out[i / 3] + i % 3 * at->ldc + v * WF_VL;
            vf_store(c, add_scaled(first ? bias : vf_load(c), at->range[i / 3] + i % 3 * at->ranges, scale, sums, sum[i][v]));
        }
    }
}

/* The sums of one span of k, scaled, onto c. */
WF_INLINE void multiply_span(place *at, const int64_t groups, bool first, const int rows, const int panels) {
    vi sum[ROWS][VECTORS];
    WF_UNROLL
    for (int v = 0; v < panels * SPLIT; v++) {
        vi from = vi_set(0);
        if (CENTRED)
            from = load_bytes(weights_at(at, v) + groups * STEPS * SECOND + WF_INT8_PANEL * sizeof(float));
        WF_UNROLL
        for (int i = 0; i < rows; i++)
            sum[i][v] = from;
    }
    for (int64_t p = groups * STEPS; p > 0; p -= 2 * UNROLL) {
        __builtin_prefetch(at->ahead, 0, 2);
        at->ahead += at->ahead_step;
        WF_UNROLL
        for (int i = 0; i < UNROLL; i++) {
            multiply_steps(at, sum, rows, panels);
            step_on(at, rows, panels);
        }
    }
    if (first)
        scale_sums(at, sum, true, rows, panels);
    else
        scale_sums(at, sum, false, rows, panels);
    WF_UNROLL
    for (int p = 0; p < panels; p++)
        at->w[p] += 2 * WF_INT8_PANEL * sizeof(float);
    WF_UNROLL
    for (int i = 0; i < rows; i += 3)
        at->range[i / 3] += 2;
}

WF_INLINE void multiply(const product *t, const int rows, const int panels) {
    place at = {.row = t->all * WF_INT8_GROUP,
                .ranges = 2 * t->spans,
                .ldc = t->ldc,
                .bias = t->bias,
                .ahead = *t->ahead,
                .ahead_step = t->ahead_step};
    WF_UNROLL
    for (int p = 0; p < panels; p++)
        at.w[p] = t->w + p * t->panel;
    WF_UNROLL
    for (int i = 0; i < rows; i += 3) {
        at.a[i / 3] = t->a + i * at.row;
        at.range[i / 3] = t->ranges + i * at.ranges;
        at.out[i / 3] = t->c + i * t->ldc;
    }
    int64_t left = t->groups;
    bool first = !t->more;
    for (; left >= SPAN; left -= SPAN, first = false)
        multiply_span(&at, SPAN, first, rows, panels);
    if (left > 0)
        multiply_span(&at, left, first, rows, panels);
    *t->ahead = at.ahead;
}

#define MULTIPLY(rows, panels)                                                                                                 \
    static void multiply_##rows##_##panels(const product *t) { multiply(t, rows, panels); }
SIZES(MULTIPLY)

typedef struct size {
    int rows, panels;
    void (*run)(const product *t);
} size;
#define SIZE(rows, panels) {rows, panels, multiply_##rows##_##panels},
static const size sizes[] = {SIZES(SIZE)};

static const size *size_for(int64_t rows, int64_t panels) {
    const size *s = sizes;
    while (s->rows > rows || s->panels > panels)
        s++;
    return s;
}

/* Of one piece of k. */
static void multiply_rows(const product *t, int64_t m, int64_t panels) {
    product part = *t;
    for (int64_t i = 0, rows; i < m; i += rows) {
        const size *s = size_for(m - i, panels);
        rows = s->rows;
        s->run(&part);
        part.c += rows * part.ldc;
        part.a += rows * t->all * WF_INT8_GROUP;
        part.ranges += rows * t->spans * 2;
    }
}

/* Moves on along k. */
static void multiply_groups(product *t, int64_t m, int64_t panels) {
    for (int64_t g = 0; g < t->all; g += t->groups) {
        t->groups = t->all - g < MOST_GROUPS ? t->all - g : MOST_GROUPS;
        t->more = g > 0;
        multiply_rows(t, m, panels);
        t->a += t->groups * WF_INT8_GROUP;
        t->ranges += t->groups / SPAN * 2;
        t->w += wf_int8_panel_bytes(&form, t->groups);
    }
}

/* All rows of the columns of so many panels; the columns beyond n are computed apart. */
static void multiply_columns(const product *t, int64_t m, int64_t n, int64_t panels) {
    float edge[WF_INT8_ROWS * WF_INT8_COLUMNS], bias[WF_INT8_COLUMNS] = {0};
    product part = *t;
    bool whole = n == panels * WF_INT8_PANEL;
    if (!whole) {
        if (t->bias)
            memcpy(bias, t->bias, (size_t)n * sizeof *bias);
        part.c = edge, part.ldc = WF_INT8_COLUMNS, part.bias = bias;
    }
    multiply_groups(&part, m, panels);
    for (int64_t i = 0; !whole && i < m; i++)
        memcpy(t->c + i * t->ldc, edge + i * WF_INT8_COLUMNS, (size_t)n * sizeof *edge);
}

static void int8_block(const wf_int8_args *a) {
    const int64_t columns = PANELS * WF_INT8_PANEL, blocks = ((a->m + ROWS - 1) / ROWS) * ((a->n + columns - 1) / columns);
    const uint8_t *ahead = a->ahead;
    product t = {.c = a->c,
                 .ldc = a->ldc,
                 .a = a->q,
                 .w = a->w,
                 .ranges = a->ranges,
                 .bias = a->bias,
                 .all = a->groups,
                 .spans = wf_int8_spans(&form, a->groups),
                 .panel = wf_int8_panel_bytes(&form, a->groups),
                 .ahead = &ahead,
                 .ahead_step = (2 * UNROLL * a->ahead_step + blocks - 1) / blocks};
    for (int64_t j = 0, taken; j < a->n; j += taken) {
        int64_t panels = (a->n - j + WF_INT8_PANEL - 1) / WF_INT8_PANEL;
        panels = panels < PANELS ? panels : PANELS;
        taken = a->n - j < panels * WF_INT8_PANEL ? a->n - j : panels * WF_INT8_PANEL;
        multiply_columns(&t, a->m, taken, panels);
        t.c += taken;
        t.w += panels * t.panel;
        t.bias = t.bias ? t.bias + taken : NULL;
    }
}

/* ---- rows ---- */
enum { PARTS = WF_INT8_GROUP / WF_VL };

/* The numbers of a group, rounded to bytes: 0 to 255, or, centred, -127 to 127 and LEVELS/2. */
#if WF_VL == 16
WF_INLINE void store_rounded(uint8_t *q, const vf y[PARTS]) {
    const __m512i order =
                      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), /* packing goes by quarters */
        low = _mm512_packs_epi32(_mm512_cvtps_epi32((__m512)y[0]), _mm512_cvtps_epi32((__m512)y[1])),
                  high = _mm512_packs_epi32(_mm512_cvtps_epi32((__m512)y[2]), _mm512_cvtps_epi32((__m512)y[3]));
    __m512i bytes =
        CENTRED ? _mm512_add_epi8(_mm512_packs_epi16(low, high), _mm512_set1_epi8(LEVELS / 2)) : _mm512_packus_epi16(low, high);
    _mm512_storeu_si512(q, _mm512_permutexvar_epi32(order, bytes));
}
#elif WF_VL == 8 && defined(__AVX2__)
WF_INLINE void store_rounded(uint8_t *q, const vf y[PARTS]) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packing goes half by half */
    WF_UNROLL
    for (int i = 0; i < PARTS; i += 4) {
        __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32((__m256)y[i]), _mm256_cvtps_epi32((__m256)y[i + 1])),
                high = _mm256_packs_epi32(_mm256_cvtps_epi32((__m256)y[i + 2]), _mm256_cvtps_epi32((__m256)y[i + 3]));
        _mm256_storeu_si256((void *)(q + i * WF_VL), _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order));
    }
}
#else
WF_INLINE void store_rounded(uint8_t *q, const vf y[PARTS]) {
    const vf magic = vf_set(12582912.0f); /* 1.5 * 2^23: the last byte of what is added to it is the number */
    for (int i = 0; i < PARTS; i++) {
        vi v = (vi)(y[i] + magic);
        for (int l = 0; l < WF_VL; l++)
            q[i * WF_VL + l] = (uint8_t)v[l];
    }
}
#endif

/* `low` holds the largest -x, `high` the largest x, lane by lane. */
WF_INLINE void ends(vf low, vf high, float *least, float *most) {
#if WF_VL == 16
    vf m = vf_max(__builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
                  __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    m = vf_max(m, __builtin_shufflevector(m, m, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    m = vf_max(m, __builtin_shufflevector(m, m, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    m = vf_max(m, __builtin_shufflevector(m, m, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    *most = m[0], *least = -m[1];
#else
    *most = vf_hmax(high), *least = -vf_hmax(low);
#endif
}

#define SWAPPED(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
/* Sums of lanes s apart stay in the lower of them, differences in the upper: y = the other lane, plus or minus this one. */
#define TURN(v, sign, ...)                                                                                                     \
    WF_UNROLL                                                                                                                  \
    for (int i = 0; i < groups * PARTS; i++)                                                                                   \
        (v)[i] = vf_fma((v)[i], vf_load(sign), SWAPPED((v)[i], __VA_ARGS__));

/* wf_int8_rotate, in the same order, of some groups side by side. */
WF_INLINE void rotate_groups(vf v[SPAN * PARTS], const int groups) {
    static const float by_8[] = {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1},
                       by_4[] = {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
                       by_2[] = {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
                       by_1[] = {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1};
    WF_UNROLL
    for (int s = PARTS / 2; s >= 1; s /= 2)
        WF_UNROLL
    for (int i = 0; i < groups * PARTS; i++)
        if (!(i & s)) {
            vf sum = v[i] + v[i + s];
            v[i + s] = v[i] - v[i + s];
            v[i] = sum;
        }
#if WF_VL == 16
    TURN(v, by_8, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
    TURN(v, by_4, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
    TURN(v, by_2, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
    TURN(v, by_1, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif WF_VL == 8
    TURN(v, by_4, 4, 5, 6, 7, 0, 1, 2, 3)
    TURN(v, by_2, 2, 3, 0, 1, 6, 7, 4, 5)
    TURN(v, by_1, 1, 0, 3, 2, 5, 4, 7, 6)
#else
    TURN(v, by_2, 2, 3, 0, 1)
    TURN(v, by_1, 1, 0, 3, 2)
#endif
    (void)by_8, (void)by_4;
}

/* n numbers of a span of so many groups; what is missing counts as 0. */
WF_INLINE void quantize_span(uint8_t *q, float *range, const float *x, const float *balance, int64_t n, const int groups) {
    const float levels = LEVELS;
    vf v[SPAN * PARTS], low = vf_set(0.0f), high = low;
    WF_UNROLL
    for (int i = 0; i < groups * PARTS; i++) {
        int64_t left = n - i * WF_VL;
        v[i] = left >= WF_VL ? vf_load(x + i * WF_VL) * vf_load(balance + i * WF_VL)
               : left > 0    ? vf_load_n(x + i * WF_VL, left) * vf_load_n(balance + i * WF_VL, left)
                             : vf_set(0.0f);
    }
    rotate_groups(v, groups);
    WF_UNROLL
    for (int i = 0; i < groups * PARTS; i++) {
        low = i ? vf_min(low, v[i]) : v[i];
        high = i ? vf_max(high, v[i]) : v[i];
    }
    float least, most;
    ends(-low, high, &least, &most);
    if (CENTRED) {
        most = most > -least ? most : -least;
        least = -most;
    }
    range[0] = least;
    range[1] = (most - least) / levels;
    float inverse = most - least > 1e-30f ? levels / (most - least) : 0.0f;
    WF_UNROLL
    for (int i = 0; i < groups * PARTS; i++)
        v[i] = (CENTRED ? v[i] : v[i] - least) * inverse;
    WF_UNROLL
    for (int g = 0; g < groups; g++)
        store_rounded(q + g * WF_INT8_GROUP, v + g * PARTS);
}

static void int8_quantize(uint8_t *q, float *ranges, const float *x, const float *balance, int64_t k,
                          const wf_int8_form *theirs) {
    int64_t first = 0;
    (void)theirs;
    for (; first + SPAN * WF_INT8_GROUP <= k; first += SPAN * WF_INT8_GROUP, ranges += 2)
        quantize_span(q + first, ranges, x + first, balance + first, SPAN * WF_INT8_GROUP, SPAN);
    if (k - first > (SPAN - 1) * WF_INT8_GROUP)
        quantize_span(q + first, ranges, x + first, balance + first, k - first, SPAN);
    else if (k > first)
        quantize_span(q + first, ranges, x + first, balance + first, k - first, 1);
}

static const wf_int8_form *int8_form(void) { return &form; }

WF_FILL(int8) {
    k->int8_form = int8_form;
    k->int8_quantize = int8_quantize;
    k->int8_block = int8_block;
}
