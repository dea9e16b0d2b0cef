/* fourier.c - y = Re(DFT over time of DFT over channels of x), unscaled (Lee-Thorp et al. 2021, arXiv 2105.03824, eq. 3), for
 * any lengths: a transform of n numbers is a convolution with a chirp (Bluestein 1970). The map is its own transpose, so the
 * backward is the forward. */
#include <math.h>
#include "tensor/ops/fft.h"

enum { LANES = WF_FFT_LANES };

typedef struct axis { /* transforms of n numbers */
    int64_t n, size;
    float *table, *chirp,
        *filter; /* chirp [n][2]: e^{-i pi j^2 / n}; filter: the spectrum of its conjugate, [re, im][size][lanes] */
} axis;

typedef struct fourier {
    axis time, channels;
} fourier;

static int64_t spectrum(const axis *a) { return a->size * LANES; }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const wf_tensor *x = node->in[0];
    (void)pass;
    if (phase == 0)
        return (int)((x->dims[0] * x->dims[1] + LANES - 1) / LANES);
    return phase == 1 ? (int)(x->dims[0] * ((x->dims[2] + LANES - 1) / LANES)) : 0;
}

/* Rows 0..n-1 times the chirp and a number. */
static void modulate(const axis *a, float *re, float *im, float scale) {
    for (int64_t j = 0; j < a->n; j++) {
        float c = scale * a->chirp[2 * j], s = scale * a->chirp[2 * j + 1];
        for (int64_t i = j * LANES; i < (j + 1) * LANES; i++) {
            float real = re[i];
            re[i] = real * c - im[i] * s;
            im[i] = real * s + im[i] * c;
        }
    }
}

/* The first n rows of re, im [size][lanes] become their transforms; the others must be 0. */
static void transform(const axis *a, float *re, float *im, const wf_kernels *k) {
    modulate(a, re, im, 1.0f);
    k->fft(re, im, a->table, a->size, false);
    k->multiply_complex(re, im, a->filter, a->filter + spectrum(a), false, spectrum(a));
    k->fft(re, im, a->table, a->size, true);
    modulate(a, re, im, 1.0f / (float)a->size);
}

static void over_channels(const wf_node *node, const float *x, float *z, int piece, const wf_worker *w) {
    const axis *a = &((const fourier *)node->attr)->channels;
    int64_t rows = wf_row_count(node->in[0]), first = (int64_t)piece * LANES,
            live = rows - first < LANES ? rows - first : LANES;
    float *re = w->scratch, *im = re + spectrum(a);
    wf_fft_gather(re, x + first * a->n, a->n, a->size, 1, a->n, live);
    memset(im, 0, (size_t)spectrum(a) * sizeof *im);
    transform(a, re, im, w->k);
    for (int64_t l = 0; l < live; l++)
        for (int64_t i = 0; i < a->n; i++) {
            z[(first + l) * a->n + i] = re[i * LANES + l];
            z[(rows + first + l) * a->n + i] = im[i * LANES + l];
        }
}

static void over_time(const wf_node *node, wf_pass pass, const float *z, int piece, const wf_worker *w) {
    const axis *a = &((const fourier *)node->attr)->time;
    int64_t d = wf_dim(node->in[0], -1), blocks = (d + LANES - 1) / LANES, c = piece % blocks * LANES,
            live = d - c < LANES ? d - c : LANES;
    int64_t at = piece / blocks * a->n * d + c;
    float *re = w->scratch, *im = re + spectrum(a);
    wf_fft_gather(re, z + at, a->n, a->size, d, 1, live);
    wf_fft_gather(im, z + node->in[0]->count + at, a->n, a->size, d, 1, live);
    transform(a, re, im, w->k);
    for (int64_t t = 0; t < a->n; t++)
        if (pass == WF_FORWARD)
            store_out(node, at + t * d, live, re + t * LANES, w);
        else
            store_din(node, 0, at + t * d, live, re + t * LANES, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 0)
        over_channels(node, pass == WF_FORWARD ? node->in[0]->data : node->out[0]->grad, node->work_data[pass], piece, w);
    else
        over_time(node, pass, node->work_data[pass], piece, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const fourier *a = node->attr;
    double rows = (double)node->in[0]->count, stages = log2((double)a->time.size) * (double)a->time.size / (double)a->time.n;
    (void)pass;
    return 10.0 * rows * (stages + log2((double)a->channels.size) * (double)a->channels.size / (double)a->channels.n);
}

const wf_op wf_op_fourier = {.name = "fourier", .pieces = pieces, .run = run, .flops = flops};

/* The chirp, and the spectrum of its conjugate around 0; angles by j^2 mod 2n, which stays exact. */
static bool make_axis(wf_tape *t, int64_t n, axis *a) {
    static const double PI = 3.14159265358979323846;
    *a = (axis){.n = n, .size = wf_fft_size(n)};
    a->table = wf_fft_table(t, a->size);
    a->chirp = wf_arena_alloc(wf_tape_arena(t), (size_t)(2 * n) * sizeof(float));
    a->filter = wf_arena_alloc(wf_tape_arena(t), (size_t)(2 * spectrum(a)) * sizeof(float));
    if (!a->table || !a->chirp || !a->filter)
        return wf_tape_error(t, WEFT_NO_MEMORY, "out of memory") != NULL;
    memset(a->filter, 0, (size_t)(2 * spectrum(a)) * sizeof(float));
    for (int64_t j = 0; j < n; j++) {
        double angle = PI * (double)(j * j % (2 * n)) / (double)n;
        a->chirp[2 * j] = (float)cos(angle);
        a->chirp[2 * j + 1] = (float)-sin(angle);
        for (int64_t l = 0; l < LANES; l++) {
            int64_t ahead = j * LANES + l, behind = (a->size - j) % a->size * LANES + l;
            a->filter[ahead] = a->filter[behind] = (float)cos(angle);
            a->filter[spectrum(a) + ahead] = a->filter[spectrum(a) + behind] = (float)sin(angle);
        }
    }
    wf_tape_env(t)->kernels->fft(a->filter, a->filter + spectrum(a), a->table, a->size, false);
    return true;
}

wf_tensor *wf_fourier(wf_tape *t, wf_tensor *x) {
    fourier a;
    if (!x || !(x = wf_cast(t, x, WF_F32)))
        return NULL;
    if (x->rank != 3)
        return wf_tape_error(t, WEFT_USAGE, "fourier: x is [B,T,D]");
    if (!make_axis(t, x->dims[1], &a.time) || !make_axis(t, x->dims[2], &a.channels))
        return NULL;
    fourier *attr = attr_copy(t, &a, sizeof a);
    wf_tensor *y = attr ? record_like(t, &wf_op_fourier, 1, &x, x, WF_F32, attr) : NULL;
    if (!y)
        return NULL;
    int64_t most = spectrum(&a.time) > spectrum(&a.channels) ? spectrum(&a.time) : spectrum(&a.channels);
    y->producer->scratch = (size_t)(2 * most) * sizeof(float);
    y->producer->work[WF_FORWARD] = y->producer->work[WF_BACKWARD] = (size_t)(2 * x->count) * sizeof(float);
    return y;
}
