#include "naive/naive_heads.h"
#include <stdio.h>
#include <string.h>

static void read_out(const naive_scan *a, int64_t at, int64_t h, const double *s, double *o) {
    int64_t K = a->key_dim, V = a->value_dim;
    for (int64_t i = 0; i < K; i++)
        for (int64_t c = 0; c < V; c++) {
            double own = a->bonus ? a->bonus[h * K + i] * a->k[at * K + i] * a->v[at * V + c] : 0.0;
            o[at * V + c] += a->scale * a->q[at * K + i] * (s[i * V + c] + own);
        }
}

double *naive_scan_heads(naive_io *io, const naive_scan *a) {
    int64_t T = io->rows, H = a->heads, K = a->key_dim, V = a->value_dim;
    double *o = naive_zeros(io, io->batch * T * H * V);
    for (int64_t n = 0; n < io->batch * T * H; n++) { /* tokens of a sequence and head come in order */
        int64_t h = n % H, b = n / H / T;
        double *s = a->s + (b * H + h) * K * V;
        if (a->bonus)
            read_out(a, n, h, s, o);
        for (int64_t i = 0; i < K; i++)
            for (int64_t c = 0; c < V; c++)
                s[i * V + c] = (a->g ? exp(a->g[n * K + i]) : 1.0) * s[i * V + c] + a->k[n * K + i] * a->v[n * V + c];
        if (!a->bonus)
            read_out(a, n, h, s, o);
    }
    return o;
}

double *naive_convolve(naive_io *io, const char *name, const double *x, int64_t channels, bool silu) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    const double *weight = naive_weight(io, slot);
    snprintf(slot, sizeof slot, "%s.bias", name);
    const double *bias = naive_weight(io, slot);
    int64_t T = io->rows, C = channels, W = wf_int(io->layer, "conv");
    double *y = naive_zeros(io, io->batch * T * C), *window = naive_state(io, name, C * (W - 1)),
           *old = naive_zeros(io, io->batch * C * (W - 1));
    memcpy(old, window, (size_t)(io->batch * C * (W - 1)) * sizeof *old);
    for (int64_t n = 0; n < io->batch * C; n++) {
        const double *u = x + n / C * T * C + n % C;
        for (int64_t t = 0; t < T; t++) { /* inputs before the call lie in the state, oldest first */
            double sum = bias ? bias[n % C] : 0.0;
            for (int64_t w = 0; w < W; w++) {
                int64_t at = t - W + 1 + w;
                sum += weight[n % C * W + w] * (at < 0 ? old[n * (W - 1) + at + W - 1] : u[at * C]);
            }
            y[(n / C * T + t) * C + n % C] = silu ? sum * naive_sigmoid(sum) : sum;
        }
        for (int64_t j = 0; j < W - 1; j++) {
            int64_t at = T - W + 1 + j;
            window[n * (W - 1) + j] = at < 0 ? old[n * (W - 1) + at + W - 1] : u[at * C];
        }
    }
    return y;
}

double *naive_masked(naive_io *io, const double *x, int64_t width) {
    double *y = naive_zeros(io, io->batch * io->rows * width);
    for (int64_t i = 0; i < io->batch * io->rows * width; i++)
        y[i] = naive_real(io->mask, i / width) ? x[i] : 0.0;
    return y;
}

double *naive_project_conv(naive_io *io, const char *name, const double *x, bool silu) {
    char conv[64], slot[64];
    snprintf(conv, sizeof conv, "%s_conv", name);
    snprintf(slot, sizeof slot, "%s_conv.weight", name);
    double *y = naive_linear(io, name, x, io->batch * io->rows);
    if (!naive_weight(io, slot))
        return y;
    int64_t width = naive_width(io, slot);
    return naive_masked(io, naive_convolve(io, conv, y, width, silu), width);
}

double *naive_shared(naive_io *io, const double *x, int64_t rows, int64_t groups, int64_t heads, int64_t n) {
    double *y = naive_zeros(io, rows * heads * n);
    for (int64_t i = 0; i < rows * heads * n; i++)
        y[i] = x[(i / (heads * n) * groups + i / n % heads / (heads / groups)) * n + i % n];
    return y;
}

double *naive_columns(naive_io *io, const double *x, int64_t rows, int64_t width, int64_t first, int64_t count) {
    double *y = naive_zeros(io, rows * count);
    for (int64_t i = 0; i < rows * count; i++)
        y[i] = x[i / count * width + first + i % count];
    return y;
}

double *naive_shifted(naive_io *io) {
    int64_t dim = wf_int(io->layer, "dim"), T = io->rows;
    double *y = naive_zeros(io, io->batch * T * dim), *last = naive_state(io, "shift", dim);
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t t = 0; t < T; t++) {
            memcpy(y + (b * T + t) * dim, last + b * dim, (size_t)dim * sizeof *y);
            memcpy(last + b * dim, io->x + (b * T + t) * dim, (size_t)dim * sizeof *y);
        }
    return y;
}

void naive_layer_norm(double *x, int64_t count, int64_t n, double eps, const double *weight, const double *bias,
                      int64_t groups) {
    for (int64_t r = 0; r < count / n; r++) {
        double mean = 0.0, square = 0.0;
        for (int64_t i = 0; i < n; i++)
            mean += x[r * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            square += (x[r * n + i] - mean) * (x[r * n + i] - mean) / (double)n;
        for (int64_t i = 0; i < n; i++) {
            int64_t at = r % groups * n + i;
            x[r * n + i] = (x[r * n + i] - mean) / sqrt(square + eps) * (weight ? weight[at] : 1.0) + (bias ? bias[at] : 0.0);
        }
    }
}

double naive_log_sigmoid(double x) { return x < 0.0 ? x - log1p(exp(x)) : -log1p(exp(-x)); }
