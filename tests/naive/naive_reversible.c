/* y1 = x1 + mixer(layernorm(x2)); y2 = x2 + ffn(layernorm(y1)); x = [x1 | x2], y = [y1 | y2]. */
#include "naive/naive.h"
#include <stdio.h>

static double *normed(naive_io *io, const double *x, int norm) {
    int64_t n = wf_int(io->layer, "dim") / 2, rows = io->batch * io->rows;
    double *out = naive_zeros(io, rows * n);
    char weight[16], bias[16];
    snprintf(weight, sizeof weight, "norm%d.weight", norm);
    snprintf(bias, sizeof bias, "norm%d.bias", norm);
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0.0, variance = 0.0;
        for (int64_t c = 0; c < n; c++)
            mean += x[r * n + c] / (double)n;
        for (int64_t c = 0; c < n; c++)
            variance += (x[r * n + c] - mean) * (x[r * n + c] - mean) / (double)n;
        for (int64_t c = 0; c < n; c++)
            out[r * n + c] =
                (x[r * n + c] - mean) / sqrt(variance + wf_float(io->layer, "norm_eps")) * naive_weight(io, weight)[c] +
                naive_weight(io, bias)[c];
    }
    return out;
}

static void run(naive_io *io) {
    int64_t dim = wf_int(io->layer, "dim"), n = dim / 2, rows = io->batch * io->rows;
    double *half[2] = {naive_zeros(io, rows * n), naive_zeros(io, rows * n)}, *y = naive_zeros(io, rows * dim);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < dim; c++)
            half[c / n][r * n + c % n] = io->x[r * dim + c];
    for (int side = 0; side < 2; side++) {
        const double *branch = naive_part(io, side, normed(io, half[1 - side], side + 1));
        for (int64_t e = 0; e < rows * n; e++)
            half[side][e] += branch[e];
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < dim; c++)
            y[r * dim + c] = half[c / n][r * n + c % n];
    io->y = y;
    io->width = dim;
}

static const char *const mixers[] = {"\"mixer\": {\"heads\": 2}", "\"mixer\": {\"heads\": 3, \"causal\": true, \"rope\": {}}",
                                     "\"mixer\": {\"mixer\": \"mamba\"}", NULL};
static const char *const channels[] = {"\"ffn\": {\"hidden\": 7, \"bias\": true}",
                                       "\"ffn\": {\"mixer\": \"glu\", \"hidden\": 5}", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.01", "\"norm_eps\": 0.1", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 16", NULL};
static const naive_axis axes[] = {mixers, channels, norms, inputs, rows, NULL};
const naive_row naive_reversible = {"reversible", run, axes, 12};
