/* h = norm(Lin(in, x)), h = norm(h + attention), h = norm(h + mlp(h)) for every network, y = Lin(out, h). */
#include <stdio.h>
#include "naive/naive.h"

static int64_t width_of(const naive_io *io) {
    return wf_given(io->layer, "inner") ? wf_int(io->layer, "inner") : wf_int(io->layer, "dim");
}

static void norm(naive_io *io, const char *name, double *x, int64_t rows, double eps) {
    char slot[64];
    int64_t n = width_of(io);
    snprintf(slot, sizeof slot, "%s.weight", name);
    const double *w = naive_weight(io, slot);
    snprintf(slot, sizeof slot, "%s.bias", name);
    const double *b = naive_weight(io, slot);
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0.0, variance = 0.0;
        for (int64_t c = 0; c < n; c++)
            mean += x[r * n + c] / (double)n;
        for (int64_t c = 0; c < n; c++)
            variance += (x[r * n + c] - mean) * (x[r * n + c] - mean) / (double)n;
        for (int64_t c = 0; c < n; c++) {
            double y = wf_is(io->layer, "norm", "layer") ? (x[r * n + c] - mean) / sqrt(variance + eps) : x[r * n + c];
            x[r * n + c] = y * w[c] + b[c];
        }
    }
}

static double *attention(naive_io *io, const double *h) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), n = width_of(io), K = n / H, T = io->rows, rows = io->batch * T;
    bool inner = wf_is(l, "attend", "inner");
    double *own = wf_is(l, "attend", "own") ? naive_linear(io, "own", io->x, rows) : NULL;
    if (own)
        norm(io, "own_norm", own, rows, wf_float(l, "norm_eps"));
    const double *from = own ? own : inner ? h : io->x;
    double *q = naive_linear(io, "q", from, rows), *k = naive_linear(io, "k", from, rows),
           *v = naive_linear(io, "v", inner ? h : io->x, rows), *o = naive_zeros(io, rows * n), *z = naive_zeros(io, T);
    io->attention = naive_zeros(io, rows * H * T);
    for (int64_t i = 0; i < rows * H; i++) {
        int64_t first = i / H / T * T, at = i % H * K;
        for (int64_t j = 0; j < T; j++)
            z[j] = naive_real(io->mask, first + j) ? naive_dot(q + i * K, k + (first + j) * n + at, K) / sqrt((double)K)
                                                   : -INFINITY;
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++) {
            io->attention[((i / H / T * H + i % H) * T + i / H % T) * T + j] = z[j];
            for (int64_t c = 0; c < K; c++)
                o[i * K + c] += z[j] * v[(first + j) * n + at + c];
        }
    }
    return naive_linear(io, "o", o, rows);
}

static void network(naive_io *io, const char *prefix, double *h, double eps) {
    char name[64];
    int64_t rows = io->batch * io->rows, hidden = wf_int(io->layer, "hidden");
    snprintf(name, sizeof name, "%sup", prefix);
    double *a = naive_linear(io, name, h, rows);
    for (int64_t i = 0; i < rows * hidden; i++)
        a[i] = naive_activation(wf_string(io->layer, "activation"), a[i]);
    snprintf(name, sizeof name, "%sdown", prefix);
    a = naive_linear(io, name, a, rows);
    for (int64_t i = 0; i < rows * width_of(io); i++)
        h[i] += a[i];
    snprintf(name, sizeof name, "%snorm", prefix);
    norm(io, name, h, rows, eps);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, n = width_of(io);
    double *h = wf_given(l, "inner") ? naive_linear(io, "in", io->x, rows) : naive_zeros(io, rows * n),
           eps = wf_float(l, "norm_eps");
    char prefix[32];
    if (wf_given(l, "inner"))
        norm(io, "in_norm", h, rows, eps);
    for (int64_t i = 0; i < rows * n && !wf_given(l, "inner"); i++)
        h[i] = io->x[i];
    double *o = attention(io, h);
    for (int64_t i = 0; i < rows * n; i++)
        h[i] += o[i];
    norm(io, "o_norm", h, rows, eps);
    for (int64_t k = 0; k + 1 < wf_int(l, "networks"); k++) {
        snprintf(prefix, sizeof prefix, "stack.%lld.", (long long)k);
        network(io, prefix, h, eps);
    }
    network(io, "", h, wf_float(l, "last_eps"));
    io->y = wf_given(l, "inner") ? naive_linear(io, "out", h, rows) : h;
    io->width = wf_int(l, "dim");
}

static const char *const widths[] = {"\"inner\": 6, \"heads\": 3", "\"inner\": 8, \"heads\": 2, \"attend\": \"inner\"",
                                     "\"inner\": 6, \"heads\": 1, \"attend\": \"x\"", "\"heads\": 3, \"attend\": \"inner\"",
                                     NULL};
static const char *const networks[] = {"", "\"networks\": 3, \"hidden\": 5", NULL};
static const char *const norms[] = {"", "\"norm\": \"layer\", \"norm_eps\": 0.01, \"last_eps\": 0.1", NULL};
static const char *const activations[] = {"\"activation\": \"gelu\"", "\"activation\": \"silu\"", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", NULL};
static const naive_axis axes[] = {widths, networks, norms, activations, masks, NULL};
const naive_row naive_bottleneck = {"bottleneck", run, axes, 12};
