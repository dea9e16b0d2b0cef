/* attention_test.c - kernel F: one list of cases, used to hold every vector form to the plain C form (outputs and gradients,
 * pieces in another order), and the plain C gradients to finite differences. `attention_test --bench`: rates against the peak.
 */
#include "support/kernel_check.h"

static const int64_t NONE = INT64_MAX;

typedef enum option {
    CAUSAL = 1,
    BF16 = 2,
    SEGMENTS = 4,
    KEY_MASK = 8,
    PREFIX = 16,
    SLOPES = 32,
    DISTANCES = 64,
    BIAS = 128,
    SINKS = 256,
    PROBS = 512,
    D_LSE = 1024,
    OFFSET = 2048 /* start */,
    CACHE = 4096 /* kv_len */,
    ALL_MASKED = 8192 /* a sequence of padding */,
    BIAS_SHARED = 16384 /* one bias for all batches and heads */,
    BLOCK_SEGMENTS = 32768 /* long runs of equal segments */,
    PATTERN = 65536,
    ENTRIES = 131072 /* t entries of s rows */,
    ORDER = 262144 /* a pattern of causal and others alone */
} option;

typedef struct attention_case {
    const char *name;
    int64_t b, h, g, t, s, k, v;
    unsigned options;
    int64_t left, right, ring;
    float softcap, dropout;
} attention_case;

static const attention_case cases[] = {
    {"one", 1, 1, 1, 1, 1, 1, 1, 0, NONE, NONE, 0, 0, 0},
    {"small", 2, 3, 3, 7, 7, 5, 3, 0, NONE, NONE, 0, 0, 0},
    {"full-64", 1, 2, 2, 64, 64, 64, 64, 0, NONE, NONE, 0, 0, 0},
    {"full-odd", 2, 2, 2, 97, 131, 33, 70, D_LSE | PROBS, NONE, NONE, 0, 0, 0},
    {"cross-short-keys", 1, 2, 1, 130, 3, 16, 16, 0, NONE, NONE, 0, 0, 0},
    {"cross-few-rows", 2, 4, 2, 3, 200, 40, 24, 0, NONE, NONE, 0, 0, 0},
    {"causal-16", 1, 2, 2, 50, 50, 16, 16, CAUSAL, NONE, NONE, 0, 0, 0},
    {"causal-64", 2, 2, 2, 64, 64, 64, 64, CAUSAL, NONE, NONE, 0, 0, 0},
    {"causal-200", 1, 4, 2, 200, 200, 32, 48, CAUSAL | PROBS, NONE, NONE, 0, 0, 0},
    {"causal-65", 1, 1, 1, 65, 65, 24, 24, CAUSAL | D_LSE, NONE, NONE, 0, 0, 0},
    {"causal-129-wide", 1, 1, 1, 129, 129, 128, 160, CAUSAL, NONE, NONE, 0, 0, 0},
    {"causal-groups", 1, 2, 1, 1110, 1110, 8, 4, CAUSAL | D_LSE, 700, NONE, 0, 0, 0},
    {"causal-packed", 1, 2, 1, 2111, 2111, 8, 4, CAUSAL | D_LSE, 700, NONE, 0, 0, 0},
    {"packed-bf16", 1, 1, 1, 2060, 2200, 16, 8, BF16 | KEY_MASK, 300, 200, 0, 0, 0},
    {"groups-bf16", 1, 1, 1, 600, 330, 16, 8, BF16 | DISTANCES | KEY_MASK, NONE, NONE, 0, 0, 0.1f},
    {"causal-bf16", 2, 4, 1, 150, 150, 20, 36, CAUSAL | BF16, NONE, NONE, 0, 0, 0},
    {"full-bf16", 1, 2, 2, 70, 90, 64, 64, BF16 | D_LSE, NONE, NONE, 0, 0, 0},
    {"causal-offset", 1, 2, 2, 70, 170, 16, 16, CAUSAL | OFFSET, NONE, NONE, 0, 0, 0},
    {"causal-more-rows", 1, 2, 2, 170, 70, 16, 16, CAUSAL, NONE, NONE, 0, 0, 0},
    {"window", 2, 2, 2, 260, 260, 16, 16, CAUSAL, 31, NONE, 0, 0, 0},
    {"window-1", 1, 2, 2, 100, 100, 16, 16, CAUSAL, 0, NONE, 0, 0, 0},
    {"window-two-sided", 1, 2, 1, 210, 210, 8, 8, D_LSE, 40, 17, 0, 0, 0},
    {"window-strict-past", 1, 2, 2, 90, 90, 8, 8, PROBS, NONE, -1, 0, 0, 0},
    {"window-strict-future", 1, 1, 1, 90, 90, 8, 8, 0, -3, 30, 0, 0, 0},
    {"padding", 3, 2, 2, 90, 90, 12, 12, KEY_MASK | D_LSE, NONE, NONE, 0, 0, 0},
    {"padding-causal-all", 3, 2, 2, 90, 90, 12, 12, KEY_MASK | CAUSAL | ALL_MASKED | PROBS, NONE, NONE, 0, 0, 0},
    {"segments", 2, 2, 2, 100, 100, 16, 16, SEGMENTS | CAUSAL, NONE, NONE, 0, 0, 0},
    {"segments-long", 2, 2, 2, 300, 300, 16, 16, BLOCK_SEGMENTS | CAUSAL, NONE, NONE, 0, 0, 0},
    {"segments-full", 2, 2, 2, 100, 70, 16, 16, SEGMENTS | KEY_MASK, NONE, NONE, 0, 0, 0},
    {"prefix", 2, 2, 2, 150, 150, 16, 16, PREFIX | CAUSAL | KEY_MASK, 20, NONE, 0, 0, 0},
    {"alibi", 1, 3, 3, 100, 100, 16, 16, SLOPES | CAUSAL, NONE, NONE, 0, 0, 0},
    {"alibi-two-sided-cap", 1, 2, 2, 70, 99, 16, 16, SLOPES | OFFSET | D_LSE, NONE, NONE, 0, 3, 0},
    {"softcap", 2, 2, 1, 80, 80, 32, 32, CAUSAL | SINKS, NONE, NONE, 0, 2, 0},
    {"distances", 2, 2, 2, 100, 140, 16, 16, DISTANCES, NONE, NONE, 0, 0, 0},
    {"distances-causal", 1, 2, 2, 140, 140, 16, 16, DISTANCES | CAUSAL | SINKS | D_LSE, 70, NONE, 0, 1.5f, 0},
    {"bias", 2, 2, 2, 70, 150, 16, 24, BIAS | PROBS, NONE, NONE, 0, 0, 0},
    {"bias-shared", 2, 4, 2, 130, 70, 16, 24, BIAS | BIAS_SHARED | KEY_MASK | D_LSE, NONE, NONE, 0, 4, 0},
    {"sinks", 2, 3, 1, 75, 75, 16, 16, SINKS | CAUSAL | KEY_MASK | ALL_MASKED | D_LSE, 9, NONE, 0, 0, 0},
    {"dropout", 2, 2, 1, 75, 101, 16, 16, 0, NONE, NONE, 0, 0, 0.3f},
    {"dropout-causal", 1, 3, 3, 131, 131, 16, 20, CAUSAL | DISTANCES | D_LSE, NONE, NONE, 0, 0, 0.5f},
    {"cache", 3, 4, 2, 1, 150, 32, 32, CAUSAL | CACHE | OFFSET, NONE, NONE, 0, 0, 0},
    {"cache-bf16", 3, 4, 2, 1, 150, 80, 72, CAUSAL | CACHE | OFFSET | BF16 | SINKS, NONE, NONE, 0, 0, 0},
    {"cache-3", 2, 2, 2, 3, 170, 20, 100, CAUSAL | CACHE | OFFSET | KEY_MASK | SLOPES | SEGMENTS, 60, NONE, 0, 0, 0},
    {"cache-shapes", 2, 2, 2, 2, 70, 16, 16, CAUSAL | CACHE | OFFSET | DISTANCES | BIAS, NONE, NONE, 0, 5, 0},
    {"cache-30", 2, 2, 2, 30, 170, 20, 20, CAUSAL | CACHE | OFFSET | DISTANCES, 60, NONE, 0, 0, 0},
    {"ring", 3, 2, 1, 1, 100, 16, 16, CAUSAL | CACHE | OFFSET | SLOPES, 99, NONE, 100, 0, 0},
    {"ring-rows", 3, 2, 2, 40, 100, 16, 16, CAUSAL | CACHE | OFFSET | DISTANCES | SINKS, 60, NONE, 100, 0, 0},
    {"ring-prefix", 3, 2, 2, 20, 90, 16, 16, CAUSAL | CACHE | OFFSET | PREFIX, 30, NONE, 90, 0, 0},
    {"everything", 2, 4, 2, 140, 140, 24, 40,
     CAUSAL | SEGMENTS | KEY_MASK | PREFIX | SLOPES | DISTANCES | BIAS | SINKS | PROBS | D_LSE, 50, NONE, 0, 3, 0.2f},
    {"everything-bf16", 2, 2, 1, 70, 70, 24, 40, BF16 | SEGMENTS | KEY_MASK | SLOPES | DISTANCES | BIAS | SINKS | D_LSE, 50, 20,
     0, 3, 0.2f},
    {"pattern", 2, 2, 1, 150, 150, 16, 20, PATTERN | PROBS | D_LSE, NONE, NONE, 0, 0, 0},
    {"pattern-keys", 2, 3, 3, 70, 150, 20, 20, PATTERN | OFFSET | KEY_MASK | SINKS, NONE, NONE, 0, 2, 0.3f},
    {"pattern-bf16", 1, 2, 2, 130, 130, 24, 40, PATTERN | BF16 | D_LSE, NONE, NONE, 0, 0, 0},
    {"pattern-cache", 3, 4, 2, 1, 150, 32, 24, PATTERN | CACHE | OFFSET | KEY_MASK, NONE, NONE, 0, 0, 0},
    {"pattern-entries", 2, 2, 1, 150, 60, 16, 20, PATTERN | ENTRIES | KEY_MASK | D_LSE, NONE, NONE, 0, 0, 0.2f},
    {"pattern-entries-bf16", 1, 2, 2, 130, 40, 24, 40, PATTERN | ENTRIES | BF16, NONE, NONE, 0, 2, 0},
    {"pattern-order", 1, 2, 1, 100, 100, 16, 20, PATTERN | ORDER | OFFSET, NONE, NONE, 0, 0, 0},
    {"pattern-order-entries", 2, 2, 2, 150, 60, 16, 20, PATTERN | ORDER | ENTRIES | KEY_MASK, NONE, NONE, 0, 0, 0},
    {"pattern-ring", 3, 2, 1, 20, 100, 16, 16, PATTERN | CACHE | OFFSET | PROBS, NONE, NONE, 100, 0, 0},
};
enum { CASES = COUNT_OF(cases), GAP = 3, GUARD = 16 };

/* ---- problems ---- */

typedef struct problem {
    const attention_case *c;
    wf_attention_args a;
    void *joined_o; /* of rows, where there are entries */
    float *joined_lse;
    void *blocks[64];
    int n_blocks;
} problem;

static void *take(problem *p, int64_t count, size_t size) {
    void *block = aligned_alloc(64, ((size_t)(count + 2 * GUARD) * size + 63) / 64 * 64);
    assert_non_null(block);
    assert_true(p->n_blocks < 64);
    memset(block, 0xff, ((size_t)(count + 2 * GUARD) * size + 63) / 64 * 64); /* NaN in fp32 and bf16 */
    p->blocks[p->n_blocks++] = block;
    return block;
}

static void close_problem(problem *p) {
    while (p->n_blocks)
        free(p->blocks[--p->n_blocks]);
}

static float random_value(uint32_t site, int64_t i) { return 2 * wf_rng_uniform(wf_rng_make(5, site, 0), (uint64_t)i) - 1; }

static float *random_floats(problem *p, uint32_t site, int64_t count, float scale) {
    float *x = take(p, count, sizeof *x);
    for (int64_t i = 0; i < count; i++)
        x[i] = scale * random_value(site, i);
    return x;
}

/* Rows of [b, tokens, heads, dim] with a gap between tokens. */
static wf_strides layout(int64_t tokens, int64_t heads, int64_t dim) {
    int64_t token = heads * dim + GAP;
    return (wf_strides){tokens * token, token, dim};
}

static void *random_rows(problem *p, uint32_t site, wf_strides s, float scale) {
    int64_t count = p->c->b * s.batch;
    float *x = random_floats(p, site, count, scale);
    if (p->a.type == WF_F32)
        return x;
    uint16_t *h = take(p, count, sizeof *h);
    for (int64_t i = 0; i < count; i++)
        h[i] = wf_f32_to_bf16(x[i]);
    return h;
}

static void *empty_rows(problem *p, wf_strides s) { return take(p, p->c->b * s.batch, p->a.type == WF_BF16 ? 2 : 4); }

static void add_masks(problem *p) {
    const attention_case *c = p->c;
    wf_attention_args *a = &p->a;
    int64_t *start = take(p, c->b, 8), *len = take(p, c->b, 8), *prefix = take(p, c->b, 8);
    for (int64_t b = 0; b < c->b; b++) {
        len[b] = c->ring ? c->ring * b + c->ring / 2 + c->t : c->s - 23 * b;
        start[b] = c->options & CACHE ? len[b] - c->t : 11 + 7 * b;
        prefix[b] = 13 + 60 * b;
    }
    a->start = c->options & OFFSET ? start : NULL;
    a->kv_len = c->options & CACHE ? len : NULL;
    a->prefix = c->options & PREFIX ? prefix : NULL;
    if (c->options & (SEGMENTS | BLOCK_SEGMENTS)) {
        int64_t *q = take(p, c->b * c->t, 8), *k = take(p, c->b * c->s, 8), big = INT64_C(1) << 40;
        for (int64_t i = 0; i < c->b * c->t; i++)
            q[i] = c->options & SEGMENTS ? (i % 3 == 0) * big + i / 40 : i / 75;
        for (int64_t j = 0; j < c->b * c->s; j++)
            k[j] = c->options & SEGMENTS ? (j % 3 == 0) * big + j / 40 : j / 75;
        a->q_segments = q;
        a->k_segments = k;
    }
    if (c->options & KEY_MASK) {
        uint8_t *mask = take(p, c->b * c->s, 1);
        for (int64_t j = 0; j < c->b * c->s; j++)
            mask[j] = (c->options & ALL_MASKED && j < c->s) ? 0 : random_value(40, j) > -0.5f && j % c->s > 3;
        a->key_mask = mask;
    }
}

static void add_biases(problem *p) {
    const attention_case *c = p->c;
    wf_attention_args *a = &p->a;
    if (c->options & SLOPES)
        a->slopes = random_floats(p, 20, c->h, 0.1f);
    if (c->options & SINKS)
        a->sinks = random_floats(p, 21, c->h, 2);
    if (c->options & DISTANCES) {
        a->distances = 90;
        a->distance_zero = 50;
        a->distance_bias = random_floats(p, 22, c->h * a->distances, 1);
    }
    if (c->options & BIAS) {
        bool shared = c->options & BIAS_SHARED;
        a->bias_row = c->s + GAP;
        a->bias_head = shared ? 0 : c->t * a->bias_row;
        a->bias_batch = shared ? 0 : c->h * a->bias_head;
        float *bias = random_floats(p, 23, c->b * c->h * c->t * a->bias_row, 1);
        for (int64_t i = 0; i < c->b * c->h * c->t * a->bias_row; i++)
            bias[i] = i % 11 == 5 ? -INFINITY : bias[i];
        a->bias = bias;
    }
}

/* Row i sees key j <= i near it and every ninth before it, some of them twice; odd heads see only every fourth row's. */
static float pattern_weight(int64_t h, int64_t i, int64_t j) {
    bool seen = j <= i && (i - j < 5 || (i - j) % 9 == 0) && (h % 2 == 0 || i % 4 == 1);
    return !seen ? -INFINITY : j % 7 == 0 ? logf(2) : 0;
}

static void pattern_weights(const wf_pattern_rows *r, const int64_t *keys, int count, float *out) {
    for (int k = 0; k < count; k++)
        for (int64_t i = r->row; i <= r->last; i++)
            out[k * WF_ATTENTION_ROWS + i - r->row] = pattern_weight(r->h, i, keys[k]);
}

static int pattern_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys, bool *whole) {
    int count = 0;
    *whole = true;
    for (; *at < wf_attention_keys(r->a, r->b) && count < WF_ATTENTION_KEYS; (*at)++) {
        bool some = false, all = true;
        for (int64_t i = r->row; i <= r->last; i++) {
            some |= pattern_weight(r->h, i, *at) != -INFINITY;
            all &= pattern_weight(r->h, i, *at) == 0;
        }
        if (some)
            keys[count++] = *at;
        *whole &= all || !some;
    }
    return count;
}

static void order_weights(const wf_pattern_rows *r, const int64_t *keys, int count, float *out) {
    const int32_t *entries = r->a->entries ? r->a->entries + (r->b * r->a->heads + r->h) * r->a->t : NULL;
    for (int k = 0; k < count; k++)
        for (int64_t i = r->row; i <= r->last; i++)
            out[k * WF_ATTENTION_ROWS + i - r->row] =
                (entries ? entries[keys[k]] < entries[i] : keys[k] < i) ? 0.0f : -INFINITY;
}

static int order_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys, bool *whole) {
    int count = 0;
    *whole = true;
    for (; *at < wf_attention_keys(r->a, r->b) && count < WF_ATTENTION_KEYS; (*at)++)
        keys[count++] = *at;
    return count;
}

/* Rows of what has one for all entries of a row. */
static int64_t rows_of(const attention_case *c) { return c->options & ENTRIES ? c->s : c->t; }

static void add_entries(problem *p) {
    const attention_case *c = p->c;
    int32_t *entries = take(p, c->b * c->h * c->t, 4);
    for (int64_t i = 0; i < c->b * c->h * c->t; i++)
        entries[i] = (int32_t)((i * i / 3 + i) % c->s); /* some rows often, some never */
    p->a.entries = entries;
    p->joined_o = empty_rows(p, layout(c->s, c->h, c->v));
    p->joined_lse = take(p, c->b * c->h * c->s, 4);
}

/* Inputs are the same every time; outputs are NaN. */
static problem open_problem(const attention_case *c) {
    problem p = {.c = c};
    wf_attention_args *a = &p.a;
    *a = (wf_attention_args){.batch = c->b,
                             .heads = c->h,
                             .kv_heads = c->g,
                             .t = c->t,
                             .s = c->s,
                             .key_dim = c->k,
                             .value_dim = c->v,
                             .type = c->options & BF16 ? WF_BF16 : WF_F32,
                             .scale = 1 / sqrtf((float)c->k),
                             .softcap = c->softcap,
                             .causal = (c->options & CAUSAL) != 0,
                             .left = c->left,
                             .right = c->right,
                             .ring = c->ring,
                             .dropout = c->dropout,
                             .rng = wf_rng_make(9, 1, 2)};
    a->q_stride = layout(rows_of(c), c->h, c->k);
    a->k_stride = layout(c->s, c->g, c->k);
    a->v_stride = layout(c->s, c->g, c->v);
    a->o_stride = layout(c->t, c->h, c->v);
    a->do_stride = layout(rows_of(c), c->h, c->v);
    a->dq_stride = layout(rows_of(c), c->h, c->k);
    a->q = random_rows(&p, 1, a->q_stride, 3);
    a->k = random_rows(&p, 2, a->k_stride, 3);
    a->v = random_rows(&p, 3, a->v_stride, 1);
    a->do_ = random_rows(&p, 4, a->do_stride, 1);
    a->d_lse = c->options & D_LSE ? random_floats(&p, 5, c->b * c->h * rows_of(c), 1) : NULL;
    static const wf_attention_pattern pattern = {.weights = pattern_weights, .next = pattern_next},
                                      order = {.weights = order_weights, .next = order_next, .causal = true, .others = true};
    a->pattern = c->options & ORDER ? &order : c->options & PATTERN ? &pattern : NULL;
    add_masks(&p);
    add_biases(&p);
    if (c->options & ENTRIES)
        add_entries(&p);
    int64_t pairs = c->b * c->h * c->t * c->s;
    a->o = empty_rows(&p, a->o_stride);
    a->dq = a->entries ? take(&p, c->b * a->dq_stride.batch, 4) : empty_rows(&p, a->dq_stride);
    a->lse = take(&p, c->b * c->h * c->t, 4);
    a->dk = take(&p, c->b * c->s * c->h * c->k, 4);
    a->dv = take(&p, c->b * c->s * c->h * c->v, 4);
    a->probs = c->options & PROBS ? take(&p, pairs, 4) : NULL;
    a->d_bias = c->options & BIAS ? take(&p, pairs, 4) : NULL;
    a->d_distance_bias = c->options & DISTANCES ? take(&p, c->b * c->h * a->distances, 4) : NULL;
    a->d_sinks = c->options & SINKS ? take(&p, c->b * c->h, 4) : NULL;
    return p;
}

static void *take_scratch(const wf_attention_args *a, bool backward) {
    void *scratch = aligned_alloc(64, wf_attention_scratch(a, backward));
    assert_non_null(scratch);
    return scratch;
}

/* Every piece, forwards with all heads together, or backwards with one at a time, each with scratch full of NaN. */
static void run(const wf_kernels *k, const wf_attention_args *args, bool backward, bool reversed) {
    wf_attention_args a = *args;
    a.together = reversed ? 1 : a.heads;
    void *scratch = take_scratch(&a, backward);
    int64_t blocks = backward ? 1 : wf_attention_pieces(&a), per = backward ? 1 : wf_attention_heads(&a);
    int64_t pieces = a.batch * a.heads / per * blocks;
    for (int64_t n = 0; n < pieces; n++) {
        int64_t piece = reversed ? pieces - 1 - n : n, head = piece / blocks * per;
        memset(scratch, 0xff, wf_attention_scratch(&a, backward));
        if (backward)
            k->attention_back(&a, head / a.heads, head % a.heads, scratch);
        else
            k->attention(&a, head / a.heads, head % a.heads, piece % blocks, scratch);
    }
    free(scratch);
}

static float load(wf_dtype type, const void *x, int64_t i) {
    return type == WF_BF16 ? wf_bf16_to_f32(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

/* Row `row` of head h: the entries' results under one softmax. */
static void join_row(const problem *p, wf_strides to, int64_t b, int64_t h, int64_t row) {
    const wf_attention_args *a = &p->a;
    const int64_t head = b * a->heads + h;
    double sum = 0, out[256] = {0};
    for (int64_t i = 0; i < a->t; i++) {
        double share = a->entries[head * a->t + i] == row ? exp((double)a->lse[head * a->t + i]) : 0;
        sum += share;
        for (int64_t x = 0; share > 0 && x < a->value_dim; x++)
            out[x] +=
                share * (double)load(a->type, a->o, b * a->o_stride.batch + i * a->o_stride.token + h * a->o_stride.head + x);
    }
    for (int64_t x = 0; x < a->value_dim; x++) {
        float value = sum > 0 ? (float)(out[x] / sum) : 0.0f;
        int64_t at = b * to.batch + row * to.token + h * to.head + x;
        if (a->type == WF_BF16)
            ((uint16_t *)p->joined_o)[at] = wf_f32_to_bf16(value);
        else
            ((float *)p->joined_o)[at] = value;
    }
    p->joined_lse[head * a->s + row] = (float)log(sum);
}

/* What the backward is given. */
static wf_attention_args joined(const problem *p) {
    wf_attention_args a = p->a;
    if (!a.entries)
        return a;
    a.o_stride = layout(a.s, a.heads, a.value_dim);
    for (int64_t head = 0; head < a.batch * a.heads; head++)
        for (int64_t row = 0; row < a.s; row++)
            join_row(p, a.o_stride, head / a.heads, head % a.heads, row);
    a.o = p->joined_o;
    a.lse = p->joined_lse;
    return a;
}

static void run_back(const wf_kernels *k, const problem *p, bool reversed) {
    wf_attention_args a = joined(p);
    run(k, &a, true, reversed);
}

/* ---- outputs ---- */

typedef struct output {
    const char *name;
    const void *data;
    wf_dtype type;
    int64_t rows, width, stride; /* written cells; the rest of the buffer is a gap */
} output;

enum { OUTPUTS = 9 };

static int list_outputs(const problem *p, bool backward, output out[OUTPUTS]) {
    const wf_attention_args *a = &p->a;
    int64_t rows = a->batch * a->heads, n = 0, width_q = a->heads * a->key_dim, width_v = a->heads * a->value_dim;
    if (!backward) {
        out[n++] = (output){"o", a->o, a->type, a->batch * a->t, width_v, a->o_stride.token};
        out[n++] = (output){"lse", a->lse, WF_F32, rows * a->t, 1, 1};
        out[n++] = (output){"probs", a->probs, WF_F32, rows * a->t, a->s, a->s};
        return (int)n;
    }
    out[n++] = (output){"dq", a->dq, a->entries ? WF_F32 : a->type, a->batch * rows_of(p->c), width_q, a->dq_stride.token};
    out[n++] = (output){"dk", a->dk, WF_F32, a->batch * a->s, width_q, width_q};
    out[n++] = (output){"dv", a->dv, WF_F32, a->batch * a->s, width_v, width_v};
    out[n++] = (output){"d_distance_bias", a->d_distance_bias, WF_F32, rows, a->distances, a->distances};
    out[n++] = (output){"d_bias", a->d_bias, WF_F32, rows * a->t, a->s, a->s};
    out[n++] = (output){"d_sinks", a->d_sinks, WF_F32, rows, 1, 1};
    return (int)n;
}

static float cell(const output *o, int64_t i) { return load(o->type, o->data, i); }

static void compare(const problem *p, const char *isa, const output *want, const output *got) {
    double largest = 0.25, step = want->type == WF_BF16 ? 1.0 / 128 : 0; /* bf16: the last bit may round the other way */
    for (int64_t r = 0; r < want->rows; r++)
        for (int64_t x = 0; x < want->width; x++)
            if (isfinite(cell(want, r * want->stride + x)))
                largest = fmax(largest, fabs((double)cell(want, r * want->stride + x)));
    for (int64_t i = 0; i < want->rows * want->stride + GUARD; i++) {
        double a = (double)cell(want, i), b = (double)cell(got, i), allowed = 4e-6 * largest + step * fabs(a);
        bool inside = i < want->rows * want->stride && i % want->stride < want->width;
        if (inside ? a == b || fabs(a - b) <= allowed : isnan(a) && isnan(b))
            continue;
        fail_msg("%s on %s: %s[%lld][%lld] is %.9g, expected %.9g (largest %.3g)", p->c->name, isa, want->name,
                 (long long)(i / want->stride), (long long)(i % want->stride), b, a, largest);
    }
}

static void check_same_bits(const problem *p, const char *isa, const output *want, const output *got) {
    size_t size = want->type == WF_BF16 ? 2 : 4;
    if (memcmp(want->data, got->data, (size_t)(want->rows * want->stride) * size) != 0)
        fail_msg("%s on %s: %s depends on the order of pieces", p->c->name, isa, want->name);
}

static void check_pass(const problem *want, const wf_kernels *k, bool backward) {
    problem got = open_problem(want->c), again = open_problem(want->c);
    output a[OUTPUTS], b[OUTPUTS], c[OUTPUTS];
    if (backward) { /* both forms differentiate the plain forward */
        got.a.o = again.a.o = want->a.o;
        got.a.lse = again.a.lse = want->a.lse;
    }
    if (backward) {
        run_back(k, &got, false);
        run_back(k, &again, true);
    } else {
        run(k, &got.a, false, false);
        run(k, &again.a, false, true);
    }
    int n = list_outputs(want, backward, a);
    list_outputs(&got, backward, b);
    list_outputs(&again, backward, c);
    for (int i = 0; i < n; i++) {
        if (!a[i].data)
            continue;
        compare(want, k->isa, &a[i], &b[i]);
        check_same_bits(want, k->isa, &b[i], &c[i]);
    }
    close_problem(&got);
    close_problem(&again);
}

static void test_forms_agree(void **state) {
    for (int c = 0; c < CASES; c++) {
        problem want = open_problem(&cases[c]);
        run(&wf_kernels_ref, &want.a, false, false);
        run_back(&wf_kernels_ref, &want, false);
        for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
            wf_kernels k = check_forms(*isa);
            check_pass(&want, &k, false);
            check_pass(&want, &k, true);
        }
        close_problem(&want);
    }
}

/* Rows that see nothing: o, probabilities and gradients 0, lse -infinity. */
static void test_empty_rows(void **state) {
    static const attention_case nothing = {
        "nothing", 1, 1, 1, 70, 70, 8, 8, KEY_MASK | ALL_MASKED | PROBS | SINKS | D_LSE, INT64_MAX, INT64_MAX, 0, 0, 0};
    static const attention_case no_keys = {"no-keys", 1, 2, 2, 5, 0, 8, 8, 0, INT64_MAX, INT64_MAX, 0, 0, 0};
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        for (int c = 0; c < 2; c++) {
            problem p = open_problem(c ? &no_keys : &nothing);
            run(&k, &p.a, false, false);
            run(&k, &p.a, true, false);
            output out[OUTPUTS];
            for (int pass = 0; pass < 2; pass++)
                for (int i = list_outputs(&p, pass, out) - 1; i >= 0; i--)
                    for (int64_t x = 0; out[i].data && x < out[i].rows * out[i].stride; x++)
                        if (x % out[i].stride < out[i].width)
                            assert_true(cell(&out[i], x) == (out[i].data == p.a.lse ? -INFINITY : 0.0f));
            close_problem(&p);
        }
    }
}

static void test_nan_stays(void **state) {
    static const attention_case plain = {"nan", 1, 1, 1, 70, 70, 8, 8, 0, INT64_MAX, INT64_MAX, 0, 0, 0};
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        problem p = open_problem(&plain);
        ((float *)(uintptr_t)p.a.q)[5 * p.a.q_stride.token] = NAN;
        run(&k, &p.a, false, false);
        run(&k, &p.a, true, false);
        assert_true(isnan(p.a.lse[5]) && !isnan(p.a.lse[4]));
        assert_true(isnan(((float *)p.a.o)[5 * p.a.o_stride.token]) && isnan(((float *)p.a.dq)[5 * p.a.dq_stride.token]));
        close_problem(&p);
    }
}

/* ---- gradients of the plain form ---- */

/* sum o*do + sum lse*d_lse */
static double loss(problem *p) {
    run(&wf_kernels_ref, &p->a, false, false);
    const wf_attention_args of_rows = joined(p), *a = &of_rows;
    double sum = 0;
    for (int64_t i = 0; i < a->batch * rows_of(p->c); i++)
        for (int64_t x = 0; x < a->heads * a->value_dim; x++)
            sum += (double)((const float *)a->o)[i * a->o_stride.token + x] *
                   (double)((const float *)a->do_)[i * a->do_stride.token + x];
    for (int64_t i = 0; a->d_lse && i < a->batch * a->heads * rows_of(p->c); i++)
        if (a->lse[i] != -INFINITY)
            sum += (double)a->lse[i] * (double)a->d_lse[i];
    return sum;
}

/* One input, and where its gradient is: dq as written, the others per query head or per sequence to be summed. */
typedef struct input {
    const char *name;
    float *data;
    int64_t count;
    double (*gradient)(const problem *p, int64_t i); /* of element i */
} input;

static double gradient_q(const problem *p, int64_t i) {
    return i % p->a.q_stride.token < p->c->h * p->c->k ? (double)((const float *)p->a.dq)[i] : 0;
}
static double sum_group(const problem *p, const float *d, int64_t i, int64_t token_stride, int64_t dim) {
    const attention_case *c = p->c;
    int64_t token = i / token_stride, x = i % token_stride, group = c->h / c->g;
    double sum = 0;
    for (int64_t h = 0; h < group && x < c->g * dim; h++)
        sum += (double)d[(token * c->h + x / dim * group + h) * dim + x % dim];
    return sum;
}
static double gradient_k(const problem *p, int64_t i) { return sum_group(p, p->a.dk, i, p->a.k_stride.token, p->c->k); }
static double gradient_v(const problem *p, int64_t i) { return sum_group(p, p->a.dv, i, p->a.v_stride.token, p->c->v); }
static double gradient_sinks(const problem *p, int64_t i) {
    double sum = 0;
    for (int64_t b = 0; b < p->c->b; b++)
        sum += (double)p->a.d_sinks[b * p->c->h + i];
    return sum;
}
static double gradient_distances(const problem *p, int64_t i) {
    double sum = 0;
    for (int64_t b = 0; b < p->c->b; b++)
        sum += (double)p->a.d_distance_bias[b * p->c->h * p->a.distances + i];
    return sum;
}
static double gradient_bias(const problem *p, int64_t i) {
    const wf_attention_args *a = &p->a;
    int64_t x = i % a->bias_row, row = i / a->bias_row;
    double sum = 0;
    if (x >= a->s)
        return 0;
    if (a->bias_head)
        return (double)a->d_bias[row * a->s + x];
    for (int64_t head = 0; head < a->batch * a->heads; head++)
        sum += (double)a->d_bias[(head * a->t + row) * a->s + x];
    return sum;
}

/* The derivative along a random direction, central differences extrapolated once (Richardson): error O(h^4). */
static double difference(problem *p, const input *in, const float *direction, float *saved) {
    double at[4], step = 0.02;
    for (int n = 0; n < 4; n++) {
        double h = (n < 2 ? step : step / 2) * (n % 2 ? -1 : 1);
        for (int64_t i = 0; i < in->count; i++)
            in->data[i] = (float)((double)saved[i] + h * (double)direction[i]);
        at[n] = loss(p);
    }
    memcpy(in->data, saved, (size_t)in->count * sizeof *saved);
    double wide = (at[0] - at[1]) / (2 * step), narrow = (at[2] - at[3]) / step;
    return (4 * narrow - wide) / 3;
}

static void check_input(problem *p, const input *in) {
    float *direction = take(p, in->count, 4), *saved = take(p, in->count, 4);
    memcpy(saved, in->data, (size_t)in->count * sizeof *saved);
    for (uint32_t site = 50; site < 53; site++) {
        double expected = 0, size = 0;
        for (int64_t i = 0; i < in->count; i++) {
            bool moved = site == 50 || random_value(site + 10, i) > 0.6f;
            direction[i] = moved && isfinite(saved[i]) ? random_value(site, i) : 0;
            double term = (double)direction[i] * in->gradient(p, i);
            expected += term;
            size += fabs(term);
        }
        double actual = difference(p, in, direction, saved);
        if (!(fabs(actual - expected) <= 2e-4 * size + 1e-4))
            fail_msg("%s: gradient of %s along direction %u is %.9g, by differences %.9g", p->c->name, in->name, site, expected,
                     actual);
    }
}

static float *writable(const void *x) { return (float *)(uintptr_t)x; }

static void test_gradients(void **state) {
    for (int c = 0; c < CASES; c++) {
        if (cases[c].options & BF16 || cases[c].t * cases[c].s > 12000)
            continue;
        problem p = open_problem(&cases[c]);
        const wf_attention_args *a = &p.a;
        run(&wf_kernels_ref, a, false, false);
        run_back(&wf_kernels_ref, &p, false);
        int64_t rows = a->bias_head ? a->batch * a->heads * a->t : a->t;
        const input inputs[] = {
            {"q", writable(a->q), a->batch * a->q_stride.batch, gradient_q},
            {"k", writable(a->k), a->batch * a->k_stride.batch, gradient_k},
            {"v", writable(a->v), a->batch * a->v_stride.batch, gradient_v},
            {"sinks", writable(a->sinks), a->heads, gradient_sinks},
            {"distance_bias", writable(a->distance_bias), a->heads * a->distances, gradient_distances},
            {"bias", writable(a->bias), rows * a->bias_row, gradient_bias},
        };
        for (size_t i = 0; i < COUNT_OF(inputs); i++)
            if (inputs[i].data)
                check_input(&p, &inputs[i]);
        close_problem(&p);
    }
}

/* ---- rates ---- */

/* The most one thread can do with these vectors, in GFLOP/s. */
static double peak(const wf_kernels *k) {
    enum { ROUNDS = 1 << 16 };
    double best = 0;
    for (int n = 0; n < 400; n++) {
        int lanes;
        double start = check_seconds();
        k->probe_fma(0.0f, ROUNDS, &lanes);
        best = fmax(best, 2.0 * ROUNDS * WF_PROBE_CHAINS * lanes / (check_seconds() - start) / 1e9);
    }
    return best;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of all heads: the lower quartile of the time of one, since other programs disturb longer measurements. */
static double measure(const wf_kernels *k, const wf_attention_args *a, bool backward) {
    enum { MOST = 4096 };
    static double times[MOST];
    void *scratch = take_scratch(a, backward);
    int n = 0;
    for (double begin = check_seconds(); n < MOST && (n < 16 || check_seconds() - begin < 0.7); n++) {
        int64_t head = n % (a->batch * a->heads);
        double start = check_seconds();
        if (backward)
            k->attention_back(a, head / a->heads, head % a->heads, scratch);
        for (int64_t block = 0; !backward && block < wf_attention_pieces(a); block++)
            k->attention(a, head / a->heads, head % a->heads, block, scratch);
        times[n] = check_seconds() - start;
    }
    free(scratch);
    qsort(times, (size_t)n, sizeof *times, ascending);
    return times[n / 4] * (double)(a->batch * a->heads);
}

static void bench_shape(const wf_kernels *k, int64_t t, int64_t dim, bool bf16) {
    const attention_case c = {"bench", t > 1024 ? 1 : 4, 12, 12, t, t, dim, dim, CAUSAL | (bf16 ? BF16 : 0u), NONE, NONE, 0, 0,
                              0};
    problem p = open_problem(&c);
    double forward = measure(k, &p.a, false), both = forward + measure(k, &p.a, true);
    double product = (double)(c.b * c.h) * (double)t * (double)t / 2 * (double)dim * 2; /* the causal half of one product */
    printf("%-12s B %lld T %5lld K %3lld %s forward %9.3f ms %6.1f GFLOP/s   forward+backward %9.3f ms %6.1f GFLOP/s\n", k->isa,
           (long long)c.b, (long long)t, (long long)dim, bf16 ? "bf16" : "fp32", forward * 1e3, 2 * product / forward / 1e9,
           both * 1e3, 7 * product / both / 1e9);
    close_problem(&p);
}

static void bench_decode(const wf_kernels *k, int64_t s, bool bf16) {
    const attention_case c = {"decode", 4,    12, 12, 1, s, 64, 64, CAUSAL | CACHE | OFFSET | (bf16 ? BF16 : 0u),
                              NONE,     NONE, 0,  0,  0};
    problem p = open_problem(&c);
    double best = measure(k, &p.a, false);
    printf("%-12s decode S %5lld %s %8.3f ms %6.1f GB/s\n", k->isa, (long long)s, bf16 ? "bf16" : "fp32", best * 1e3,
           48.0 * (double)s * 128 * (bf16 ? 2 : 4) / best / 1e9);
    close_problem(&p);
}

static void bench(const char *only) {
    static const int64_t times[] = {64, 256, 1024, 4096};
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        if (only && strcmp(*isa, only) != 0)
            continue;
        wf_kernels k = check_forms(*isa);
        printf("%-12s peak %.1f GFLOP/s\n", k.isa, peak(&k));
        for (size_t i = 0; i < COUNT_OF(times); i++)
            bench_shape(&k, times[i], 64, false);
        bench_shape(&k, 64, 16, false);
        bench_shape(&k, 64, 32, false);
        bench_shape(&k, 1024, 128, false);
        bench_shape(&k, 1024, 64, true);
        for (int bf16 = 0; bf16 < 2; bf16++) {
            bench_decode(&k, 256, bf16);
            bench_decode(&k, 4096, bf16);
        }
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench(argc > 2 ? argv[2] : NULL);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_agree),
        cmocka_unit_test(test_empty_rows),
        cmocka_unit_test(test_nan_stays),
        cmocka_unit_test(test_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
