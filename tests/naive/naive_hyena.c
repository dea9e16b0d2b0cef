/* [x_0|..|x_{n-1}|v] = conv(Lin(in,x)); e_t = [t/(N-1) | cos(2 pi t f/N) | -sin(2 pi t f/N)]; k = filter_J(sin(freq * ..
 * sin(freq * filter_0(e))))
 * * (exp(-t/(N-1) |r|) + shift); for o = 0..n-2: v = v * x_{n-1-o}, v_t = sum_{s<=t} k[t-s,o] v_s + filter_bias_o v_t; y =
 * Lin(o, v * x_0). */
#include <stdio.h>
#include "naive/naive_heads.h"

static double spaced(double first, double last, int64_t i, int64_t n) {
    return n > 1 ? first + (last - first) * (double)i / (double)(n - 1) : first;
}

/* [T, (n-1)*dim]. */
static double *filters(naive_io *io) {
    static const double PI = 3.14159265358979323846;
    const wf_layer *l = io->layer;
    int64_t T = io->rows, N = wf_int(l, "max_len"), E = wf_int(l, "embed"), bands = (E - 1) / 2, F = wf_int(l, "filter_dim"),
            J = wf_int(l, "filter_layers");
    int64_t dim = wf_int(l, "dim"), width = (wf_int(l, "order") - 1) * dim;
    double *x = naive_zeros(io, T * E);
    char name[32];
    for (int64_t t = 0; t < T; t++) {
        x[t * E] = (double)t / (double)(N - 1);
        for (int64_t b = 0; b < bands; b++) {
            double angle = 2.0 * PI * (double)t * spaced(1e-4, (double)(bands - 1), b, bands) / (double)N;
            x[t * E + 1 + b] = cos(angle);
            x[t * E + 1 + bands + b] = -sin(angle);
        }
    }
    for (int64_t j = 0; j < J; j++) {
        snprintf(name, sizeof name, "filter.%lld", (long long)j);
        x = naive_linear(io, name, x, T);
        for (int64_t i = 0; j + 1 < J && i < T * F; i++)
            x[i] = sin(naive_weight(io, "freq")[i % F] * x[i]);
    }
    for (int64_t i = 0; i < T * width; i++) {
        double r = spaced(log(0.01) / 1.5, log(0.01) / 0.3, i % dim, dim);
        x[i] *= exp(-(double)(i / width) / (double)(N - 1) * fabs(r)) + wf_float(l, "shift");
    }
    return x;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, dim = wf_int(l, "dim"), n = wf_int(l, "order"), wide = (n + 1) * dim;
    const double *k = filters(io), *u = naive_convolve(io, "conv", naive_linear(io, "in", io->x, rows), wide, false);
    double *v = naive_columns(io, u, rows, wide, n * dim, dim);
    for (int64_t o = 0; o + 1 < n; o++) {
        double *next = naive_zeros(io, rows * dim);
        for (int64_t i = 0; i < rows * dim; i++)
            v[i] *= u[i / dim * wide + (n - 1 - o) * dim + i % dim];
        for (int64_t i = 0; i < rows * dim; i++) {
            next[i] = naive_weight(io, "filter_bias")[o * dim + i % dim] * v[i];
            for (int64_t s = 0; s <= i / dim % T; s++)
                next[i] += k[s * (n - 1) * dim + o * dim + i % dim] * v[i - s * dim];
        }
        v = next;
    }
    for (int64_t i = 0; i < rows * dim; i++)
        v[i] *= u[i / dim * wide + i % dim];
    io->y = naive_linear(io, "o", v, rows);
    io->width = dim;
}

static const char *const orders[] = {"", "\"order\": 3", "\"order\": 4", NULL};
static const char *const lengths[] = {"\"max_len\": 150", "\"max_len\": 200", NULL};
static const char *const networks[] = {"\"filter_dim\": 8", "\"filter_dim\": 5, \"filter_layers\": 3, \"embed\": 5",
                                       "\"filter_dim\": 6, \"filter_layers\": 2, \"embed\": 9", NULL};
static const char *const convs[] = {"", "\"conv\": 1", "\"conv\": 4", NULL};
static const char *const shifts[] = {"", "\"shift\": 0.05", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 150", NULL};
static const naive_axis axes[] = {orders, lengths, networks, convs, shifts, rows, NULL};
const naive_row naive_hyena = {"hyena", run, axes, 30};
