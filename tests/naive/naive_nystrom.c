/* k1 Z (k3 v) + convolution of v; Z from k2 by six steps, starting at its transpose over the largest column sum of all. */
#include "naive/naive.h"

typedef struct maps { /* of all heads: [B*H] of [n,m] */
    double *k1, *k2, *k3;
    int64_t L;
} maps;

static double *softmax_of(naive_io *io, const double *q, int64_t n, const double *k, int64_t m, const uint8_t *mask) {
    int64_t H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim");
    double *out = naive_zeros(io, io->batch * H * n * m);
    for (int64_t r = 0; r < io->batch * H * n; r++) {
        int64_t b = r / n / H, h = r / n % H, i = r % n;
        for (int64_t j = 0; j < m; j++)
            out[r * m + j] = naive_real(mask, b * m + j)
                                 ? naive_dot(q + ((b * n + i) * H + h) * K, k + ((b * m + j) * H + h) * K, K)
                                 : -INFINITY;
        naive_softmax(out + r * m, m);
    }
    return out;
}

static double *means(naive_io *io, const double *x, int64_t L, int64_t width) {
    int64_t per = io->rows / L;
    double *out = naive_zeros(io, io->batch * L * width);
    for (int64_t r = 0; r < io->batch * io->rows; r++)
        for (int64_t c = 0; c < width; c++)
            out[r / per * width + c] += x[r * width + c] / (double)per;
    return out;
}

/* out = d*I - a b, n x n */
static void less(const double *a, const double *b, double d, double *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = i == j ? d : 0.0;
            for (int64_t k = 0; k < n; k++)
                sum -= a[i * n + k] * b[k * n + j];
            out[i * n + j] = sum;
        }
}

static double largest_sum(const naive_io *io, const maps *m) {
    double most = 0.0;
    for (int64_t g = 0; g < io->batch * wf_int(io->layer, "heads"); g++)
        for (int64_t j = 0; j < m->L; j++) {
            double sum = 0.0;
            for (int64_t i = 0; i < m->L; i++)
                sum += m->k2[(g * m->L + i) * m->L + j];
            most = fmax(most, sum);
        }
    return most;
}

static double *inverse(naive_io *io, const double *a, double most, int64_t n) {
    double *z = naive_zeros(io, n * n), *p = naive_zeros(io, n * n), *t = naive_zeros(io, n * n), *u = naive_zeros(io, n * n);
    for (int64_t i = 0; i < n * n; i++)
        z[i] = a[i % n * n + i / n] / most;
    for (int step = 0; step < 6; step++) {
        less(a, z, 0.0, p, n); /* -a Z */
        for (int64_t i = 0; i < n * n; i++) {
            p[i] = -p[i];
            t[i] = (i / n == i % n ? 7.0 : 0.0) - p[i];
        }
        less(p, t, 15.0, u, n);
        less(p, u, 13.0, t, n);
        less(z, t, 0.0, u, n);
        for (int64_t i = 0; i < n * n; i++)
            z[i] = -u[i] / 4.0;
    }
    return z;
}

/* One head: out rows = k1 Z k3 v. */
static void through(naive_io *io, const maps *m, const double *z, const double *v, int64_t g, double *out) {
    int64_t H = wf_int(io->layer, "heads"), V = wf_int(io->layer, "value_dim"), T = io->rows, L = m->L, b = g / H, h = g % H;
    double *u = naive_zeros(io, L * V), *w = naive_zeros(io, L * V);
    for (int64_t i = 0; i < L * T; i++)
        for (int64_t c = 0; c < V; c++)
            u[i / T * V + c] += m->k3[g * L * T + i] * v[((b * T + i % T) * H + h) * V + c];
    for (int64_t i = 0; i < L * L; i++)
        for (int64_t c = 0; c < V; c++)
            w[i / L * V + c] += z[i] * u[i % L * V + c];
    for (int64_t i = 0; i < T * L; i++)
        for (int64_t c = 0; c < V; c++)
            out[((b * T + i / L) * H + h) * V + c] += m->k1[g * T * L + i] * w[i % L * V + c];
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim"), T = io->rows, rows = io->batch * T,
            L = wf_int(l, "landmarks");
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = naive_linear(io, "v", io->x, rows), *out = naive_zeros(io, rows * H * V);
    for (int64_t i = 0; i < rows * H * K; i++) {
        q[i] *= pow((double)K, -0.25);
        k[i] *= pow((double)K, -0.25);
    }
    double *ql = means(io, q, L, H * K), *kl = means(io, k, L, H * K);
    maps m = {softmax_of(io, q, T, kl, L, NULL), softmax_of(io, ql, L, kl, L, NULL), softmax_of(io, ql, L, k, T, io->mask), L};
    for (int64_t g = 0; g < io->batch * H; g++)
        through(io, &m, inverse(io, m.k2 + g * L * L, largest_sum(io, &m), L), v, g, out);
    for (int64_t i = 0; wf_given(l, "conv") && i < rows * H * V; i++) {
        int64_t W = wf_int(l, "conv"), h = i / V % H, t = i / V / H % T;
        for (int64_t w = 0; w < W; w++)
            if (t + w - W / 2 >= 0 && t + w - W / 2 < T)
                out[i] += naive_weight(io, "conv.weight")[h * W + w] * v[i + (w - W / 2) * H * V];
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1, \"key_dim\": 8", NULL};
static const char *const landmarks[] = {"\"landmarks\": 4 @rows 12", "\"landmarks\": 3 @rows 3", "\"landmarks\": 1 @rows 5",
                                        "\"landmarks\": 2 @rows 36", NULL};
static const char *const convs[] = {"", "\"conv\": 5", "\"conv\": 1", NULL};
static const char *const biases[] = {"", "\"bias\": []", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", NULL};
static const naive_axis axes[] = {sizes, landmarks, convs, biases, inputs, NULL};
const naive_row naive_nystrom = {"nystrom", run, axes, 20};
