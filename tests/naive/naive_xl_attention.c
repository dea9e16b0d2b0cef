/* z_ij = scale ((q_i + u).k_j + (q_i + v).W_r R(i - j) + (q_i + w).s[kind_i = kind_j]); p = softmax over real keys; y = Lin(o,
 * merge(p v)). The first `apart` rows and keys have the first term alone. */
#include <math.h>
#include <string.h>
#include "naive/naive.h"

/* (a + b).c */
static double biased(const double *a, const double *b, const double *c, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] + b[i]) * c[i];
    return sum;
}

/* W_r R(d) of every distance -(T-1)..T-1, [2T-1, H*K]. */
static double *distances(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t D = wf_int(l, "dim"), count = 2 * io->rows - 1;
    double *r = naive_zeros(io, count * D);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < D / 2; c++) {
            double angle = (double)(i - io->rows + 1) / pow(wf_float(l, "theta"), (double)c / (double)(D / 2));
            r[i * D + c] = sin(angle);
            r[i * D + D / 2 + c] = cos(angle);
        }
    return naive_linear(io, "r", r, count);
}

static double kind_score(naive_io *io, const double *q, int64_t h, int64_t i, int64_t j) {
    const wf_layer *l = io->layer;
    int64_t K = wf_int(l, "key_dim"), common = wf_int(l, "common");
    bool same = !io->kinds || io->kinds[i] == io->kinds[j] || io->kinds[i] == common || io->kinds[j] == common;
    const double *w = naive_weight(io, "kind_bias") + h * K, *s = naive_weight(io, "kind.weight") + h * K * 2;
    double sum = 0.0;
    for (int64_t c = 0; c < K; c++)
        sum += (q[c] + w[c]) * s[2 * c + same];
    return sum;
}

typedef struct projections {
    const double *q, *k, *r;
} projections;

static double score(naive_io *io, const projections *p, int64_t b, int64_t h, int64_t i, int64_t j) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), K = wf_int(l, "key_dim"),
            apart = wf_int(l, "apart");
    const double *q = p->q + ((b * T + i) * H + h) * K, *k = p->k + ((b * T + j) * G + h / (H / G)) * K;
    const double *r = p->r + ((i - j + T - 1) * H + h) * K;
    double z = biased(q, naive_weight(io, "content_bias") + h * K, k, K);
    if (i >= apart && j >= apart) {
        z += biased(q, naive_weight(io, "distance_bias") + h * K, r, K);
        z += wf_flag(l, "kinds") ? kind_score(io, q, h, b * T + i, b * T + j) : 0.0;
    }
    return naive_real(io->mask, b * T + j) ? z * wf_float(l, "scale") : -INFINITY;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), V = wf_int(l, "value_dim"), rows = io->batch * T;
    projections p = {naive_linear(io, "q", io->x, rows), naive_linear(io, "k", io->x, rows), distances(io)};
    double *v = naive_linear(io, "v", io->x, rows), *out = naive_zeros(io, rows * H * V);
    io->attention = naive_zeros(io, io->batch * H * T * T);
    for (int64_t n = 0; n < io->batch * H * T; n++) {
        int64_t b = n / (H * T), h = n / T % H, i = n % T;
        double *z = io->attention + n * T;
        for (int64_t j = 0; j < T; j++)
            z[j] = score(io, &p, b, h, i, j);
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            for (int64_t c = 0; c < V; c++)
                out[((b * T + i) * H + h) * V + c] += z[j] * v[((b * T + j) * G + h / (H / G)) * V + c];
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 5, \"value_dim\": 3",
                                    "\"heads\": 1", NULL};
static const char *const kinds[] = {
    "", "\"kinds\": true", "\"kinds\": true @kinds", "\"kinds\": true, \"common\": 2 @kinds", "@kinds", NULL};
static const char *const firsts[] = {"", "\"apart\": 1", "\"apart\": 3", NULL};
static const char *const biases[] = {"", "\"bias\": [\"k\", \"v\", \"o\"]", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", NULL};
static const char *const scales[] = {"", "\"scale\": 0.4", "\"theta\": 20.0", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 5", NULL};
static const naive_axis axes[] = {sizes, kinds, firsts, biases, scales, masks, rows, NULL};
const naive_row naive_xl_attention = {"xl_attention", run, axes, 60};
