/* long_conv.c - causal convolution over the whole sequence by Fourier transforms: y_t = sum_{s<=t} k_{t-s} v_s + bias v_t, a
 * filter per channel. The forward halves the sequence again and again: the left half of a segment reaches its right half
 * through one transform, short segments are summed directly. So no rounding error of a later token reaches an earlier one,
 * which a single transform would not grant. A first phase transforms the filters of a block of channels; a piece then is that
 * block of one sequence, in the backward of all sequences, whose filter gradients are summed in order. */
#include "tensor/ops/fft.h"

enum { V, K, BIAS, INPUTS };
enum { LANES = WF_FFT_LANES, BASE = 64, MOST_LEVELS = 32 };

typedef struct long_conv {
    int64_t batch, t, channels, size, blocks; /* size: of the backward's transforms */
    int levels;                               /* of the forward: segments of 2*BASE << level */
    float *table, *tables[MOST_LEVELS];
} long_conv;

static int64_t spectrum(const long_conv *a) { return a->size * LANES; } /* floats of one part of a block */
static int64_t segment(int level) { return (int64_t)(2 * BASE) << level; }
/* Spectra of the filters. Backward: [blocks][re, im][size][lanes]; forward: [blocks], for each level [re, im][segment][lanes].
 */
static float *filter_of(const wf_node *node, int64_t block) {
    return (float *)node->work_data[WF_BACKWARD] + block * 2 * spectrum(node->attr);
}
static int64_t before_level(int level) { return 2 * LANES * (segment(level) - segment(0)); }
static float *level_filter(const wf_node *node, int64_t block, int level) {
    const long_conv *a = node->attr;
    return (float *)node->work_data[WF_FORWARD] + block * before_level(a->levels) + before_level(level);
}
static int64_t live(const long_conv *a, int64_t block) {
    return a->channels - block * LANES < LANES ? a->channels - block * LANES : LANES;
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const long_conv *a = node->attr;
    if (phase == 0)
        return (int)a->blocks;
    return phase == 1 ? (int)(pass == WF_FORWARD ? a->batch * a->blocks : a->blocks) : 0;
}

/* Spectrum of `rows` rows of [rows, D] from `from`, one block of channels. */
static void transform(const long_conv *a, float *re, const float *from, int64_t block, const wf_worker *w) {
    wf_fft_gather(re, from + block * LANES, a->t, a->size, a->channels, 1, live(a, block));
    memset(re + spectrum(a), 0, (size_t)spectrum(a) * sizeof *re);
    w->k->fft(re, re + spectrum(a), a->table, a->size, false);
}

/* re *= other (or its conjugate), and back to time, not scaled. */
static void filter(const long_conv *a, float *re, const float *other, bool conjugate, const wf_worker *w) {
    w->k->multiply_complex(re, re + spectrum(a), other, other + spectrum(a), conjugate, spectrum(a));
    w->k->fft(re, re + spectrum(a), a->table, a->size, true);
}

/* The filters of a block at every level of the forward. */
static void transform_levels(const wf_node *node, int64_t block, const wf_worker *w) {
    const long_conv *a = node->attr;
    for (int level = 0; level < a->levels; level++) {
        int64_t n = segment(level);
        float *re = level_filter(node, block, level);
        wf_fft_gather(re, (const float *)node->in[K]->data + block * LANES, n < a->t ? n : a->t, n, a->channels, 1,
                      live(a, block));
        memset(re + n * LANES, 0, (size_t)(n * LANES) * sizeof *re);
        w->k->fft(re, re + n * LANES, a->tables[level], n, false);
    }
}

/* Within segments of BASE, and the bias; v, y [T][lanes]. */
static void sum_directly(const wf_node *node, int64_t block, const float *v, float *y) {
    const long_conv *a = node->attr;
    const float *k = (const float *)node->in[K]->data + block * LANES, *bias = data_of(node->in[BIAS]);
    int64_t n = live(a, block);
    for (int64_t t = 0; t < a->t; t++) {
        float sum[LANES] = {0};
        for (int64_t s = t / BASE * BASE; s <= t; s++)
            for (int64_t l = 0; l < n; l++)
                sum[l] += k[(t - s) * a->channels + l] * v[s * LANES + l];
        for (int64_t l = 0; l < n; l++)
            y[t * LANES + l] = sum[l] + (bias ? bias[block * LANES + l] * v[t * LANES + l] : 0.0f);
    }
}

/* What the left half of every segment of a level sends to the right one: a circular convolution of its size wraps into the left
 * half only. */
static void cross_halves(const wf_node *node, int64_t block, int level, const float *v, float *y, float *re,
                         const wf_worker *w) {
    const long_conv *a = node->attr;
    int64_t n = segment(level), half = n / 2;
    float *im = re + n * LANES, *filter = level_filter(node, block, level), scale = 1.0f / (float)n;
    for (int64_t first = 0; first + half < a->t; first += n) {
        int64_t count = a->t - first - half < half ? a->t - first - half : half;
        memcpy(re, v + first * LANES, (size_t)(half * LANES) * sizeof *re);
        memset(re + half * LANES, 0, (size_t)((n + half) * LANES) * sizeof *re);
        w->k->fft(re, im, a->tables[level], n, false);
        w->k->multiply_complex(re, im, filter, filter + n * LANES, false, n * LANES);
        w->k->fft(re, im, a->tables[level], n, true);
        w->k->axpy(y + (first + half) * LANES, scale, re + half * LANES, count * LANES);
    }
}

static void forward(const wf_node *node, int64_t b, int64_t block, const wf_worker *w) {
    const long_conv *a = node->attr;
    int64_t at = b * a->t * a->channels + block * LANES;
    float *v = w->scratch, *y = v + a->t * LANES, *rest = y + a->t * LANES;
    wf_fft_gather(v, (const float *)node->in[V]->data + at, a->t, a->t, a->channels, 1, live(a, block));
    memset(y, 0, (size_t)(a->t * LANES) * sizeof *y);
    sum_directly(node, block, v, y);
    for (int level = 0; level < a->levels; level++)
        cross_halves(node, block, level, v, y, rest, w);
    for (int64_t t = 0; t < a->t; t++)
        store_out(node, at + t * a->channels, live(a, block), y + t * LANES, w);
}

/* dv of one sequence; sums dk's spectrum and dbias. */
static void back_sequence(const wf_node *node, int64_t b, int64_t block, float *dk, float *dbias, const wf_worker *w) {
    const long_conv *a = node->attr;
    int64_t first = b * a->t * a->channels;
    const float *v = (const float *)node->in[V]->data + first, *dy = (const float *)node->out[0]->grad + first,
                *bias = data_of(node->in[BIAS]);
    float *re = w->scratch, *product = re + 2 * spectrum(a), scale = 1.0f / (float)a->size, dv[LANES];
    transform(a, re, dy, block, w);
    transform(a, product, v, block, w);
    w->k->multiply_complex(product, product + spectrum(a), re, re + spectrum(a), true, spectrum(a)); /* V conj(DY) */
    w->k->add(dk, dk, product, 2 * spectrum(a));
    filter(a, re, filter_of(node, block), true, w);
    for (int64_t t = 0; t < a->t; t++) {
        for (int64_t l = 0; l < live(a, block); l++) {
            int64_t c = block * LANES + l, i = t * a->channels + c;
            dv[l] = scale * re[t * LANES + l] + (bias ? bias[c] * dy[i] : 0.0f);
            dbias[l] += v[i] * dy[i];
        }
        store_din(node, V, first + t * a->channels + block * LANES, live(a, block), dv, w);
    }
}

/* The filters' gradient: sum_b sum_t dy_t v_{t-i} is the inverse transform of conj(V conj(DY)). */
static void back_filter(const wf_node *node, int64_t block, float *dk, const wf_worker *w) {
    const long_conv *a = node->attr;
    float scale = 1.0f / (float)a->size;
    w->k->scale(dk, scale, dk, spectrum(a));
    w->k->scale(dk + spectrum(a), -scale, dk + spectrum(a), spectrum(a));
    w->k->fft(dk, dk + spectrum(a), a->table, a->size, true);
    memset(dk + a->t * LANES, 0, (size_t)((a->size - a->t) * LANES) * sizeof *dk);
    for (int64_t i = 0; i < node->in[K]->dims[0]; i++) /* taps beyond the sequence reach nothing */
        store_din(node, K, i * a->channels + block * LANES, live(a, block),
                  i < a->t ? dk + i * LANES : dk + spectrum(a) + spectrum(a), w);
}

static void backward(const wf_node *node, int64_t block, const wf_worker *w) {
    const long_conv *a = node->attr;
    float *dk = (float *)w->scratch + 4 * spectrum(a), dbias[LANES] = {0};
    memset(dk, 0, (size_t)(2 * spectrum(a) + LANES) * sizeof *dk);
    for (int64_t b = 0; b < a->batch; b++)
        back_sequence(node, b, block, dk, dbias, w);
    back_filter(node, block, dk, w);
    if (node->in[BIAS])
        store_din(node, BIAS, block * LANES, live(a, block), dbias, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const long_conv *a = node->attr;
    if (phase == 0 && pass == WF_FORWARD)
        transform_levels(node, piece, w);
    else if (phase == 0)
        transform(a, filter_of(node, piece), node->in[K]->data, piece, w);
    else if (pass == WF_FORWARD)
        forward(node, piece / a->blocks, piece % a->blocks, w);
    else
        backward(node, piece, w);
}

/* 5 n log2 n per transform of n numbers. */
static double transform_flops(double n) {
    double stages = 0.0;
    for (double m = n; m > 1.0; m /= 2.0)
        stages += 1.0;
    return 5.0 * n * stages;
}

static double flops(const wf_node *node, wf_pass pass) {
    const long_conv *a = node->attr;
    double d = (double)a->channels, batch = (double)a->batch, sum = 2.0 * batch * (double)a->t * (BASE / 2) * d;
    if (pass == WF_BACKWARD)
        return d * transform_flops((double)a->size) * (2.0 + 3.0 * batch);
    for (int level = 0; level < a->levels; level++)
        sum += d * transform_flops((double)segment(level)) *
               (1.0 + 2.0 * batch * (double)((a->t + segment(level) - 1) / segment(level)));
    return sum;
}

const wf_op wf_op_long_conv = {.name = "long_conv", .pieces = pieces, .run = run, .flops = flops, .saves_in = 7};

wf_tensor *wf_long_conv(wf_tape *t, wf_tensor *v, wf_tensor *k, wf_tensor *bias) {
    if (!v || !k || !(v = wf_cast(t, v, WF_F32)) || !(k = wf_cast(t, k, WF_F32)))
        return NULL;
    if (v->rank != 3 || k->rank != 2 || k->dims[1] != v->dims[2] || k->dims[0] < v->dims[1] ||
        (bias && bias->count != v->dims[2]))
        return wf_tape_error(t, WEFT_USAGE, "long_conv: v [B,T,D] and a filter of at least T taps per channel are needed");
    long_conv a = {.batch = v->dims[0], .t = v->dims[1], .channels = v->dims[2], .size = wf_fft_size(v->dims[1])};
    a.blocks = (a.channels + LANES - 1) / LANES;
    a.table = wf_fft_table(t, a.size);
    for (; segment(a.levels) / 2 < a.t && a.table; a.levels++)
        if (!(a.tables[a.levels] = wf_fft_table(t, segment(a.levels))))
            return NULL;
    long_conv *attr = a.table ? attr_copy(t, &a, sizeof a) : NULL;
    wf_tensor *y = attr ? record_like(t, &wf_op_long_conv, INPUTS, (wf_tensor *[]){v, k, bias}, v, WF_F32, attr) : NULL;
    if (!y)
        return NULL;
    int64_t forward_floats = 2 * LANES * (a.t + (a.levels ? segment(a.levels - 1) : 0)),
            backward_floats = 6 * spectrum(&a) + LANES;
    y->producer->scratch =
        (size_t)(wf_tape_grad(t) && backward_floats > forward_floats ? backward_floats : forward_floats) * sizeof(float);
    y->producer->work[WF_FORWARD] = (size_t)(a.blocks * before_level(a.levels)) * sizeof(float);
    y->producer->work[WF_BACKWARD] = (size_t)(2 * a.blocks * spectrum(&a)) * sizeof(float);
    return y;
}
