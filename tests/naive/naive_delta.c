#include "naive/naive_delta.h"
#include <stdio.h>
#include <string.h>

double *naive_delta_input(naive_io *io, const char *name, const double *x) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    int64_t n = naive_width(io, slot);
    double *y = naive_linear(io, name, x, io->batch * io->rows);
    snprintf(slot, sizeof slot, "%s_conv", name);
    if (wf_given(io->layer, "conv"))
        y = naive_convolve(io, slot, y, n, false);
    for (int64_t i = 0; i < io->batch * io->rows * n; i++)
        y[i] *= naive_sigmoid(y[i]);
    return y;
}

void naive_directions(double *x, int64_t count, int64_t n, const char *kind) {
    for (int64_t i = 0; i < count; i += n) {
        double squares = 0.0, sizes = 0.0;
        for (int64_t c = 0; c < n; c++) {
            squares += x[i + c] * x[i + c];
            sizes += fabs(x[i + c]);
        }
        for (int64_t c = 0; c < n; c++)
            x[i + c] /= strcmp(kind, "sum") == 0 ? fmax(sizes, 1e-6) : sqrt(squares + 1e-6);
    }
}

void naive_finish(naive_io *io, double *o, int64_t heads, int64_t n, const double *gate, const char *act) {
    int64_t rows = io->batch * io->rows;
    for (int64_t i = 0; i < rows * heads; i++)
        naive_rms(o + i * n, n, wf_float(io->layer, "norm_eps"), naive_weight(io, "norm.weight"));
    for (int64_t i = 0; gate && i < rows * heads * n; i++)
        o[i] *= naive_activation(act, gate[i]);
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(io->layer, "dim");
}

/* One token of one head: o += S^T q / sqrt(K). */
static void step(const naive_delta *d, int64_t at, int64_t shared, double *s, double *o) {
    int64_t K = d->key_dim, V = d->value_dim;
    const double *q = d->q + shared * K, *k = d->k + shared * K, *v = d->v + at * V;
    for (int64_t i = 0; d->g && i < K * V; i++)
        s[i] *= exp(d->per_channel ? d->g[at * K + i / V] : d->g[at]);
    for (int64_t c = 0; c < V; c++) {
        double error = v[c];
        for (int64_t i = 0; i < K; i++)
            error -= s[i * V + c] * k[i];
        for (int64_t i = 0; i < K; i++) {
            s[i * V + c] += d->beta[at] * k[i] * error;
            o[c] += s[i * V + c] * q[i] / sqrt((double)K);
        }
    }
}

double *naive_delta_rule(naive_io *io, const naive_delta *d) {
    int64_t T = io->rows, H = d->v_heads, group = H / d->heads, size = d->key_dim * d->value_dim;
    double *o = naive_zeros(io, io->batch * T * H * d->value_dim), *s = naive_state(io, "s", H * size);
    for (int64_t i = 0; i < io->batch * T * H; i++) {
        int64_t b = i / H / T, h = i % H;
        step(d, i, i / H * d->heads + h / group, s + (b * H + h) * size, o + i * d->value_dim);
    }
    return o;
}

const char *const naive_convs[] = {"", "\"conv\": 4", "\"conv\": 3, \"conv_bias\": true", "\"conv\": 1", "\"conv\": 2", NULL};
const char *const naive_left_right[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
const char *const naive_carried[] = {"", "@state", NULL};
const char *const naive_lengths[] = {"", "@rows 1", "@rows 37", NULL};
