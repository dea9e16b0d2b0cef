#include "naive/naive_heads.h"
#include <stdio.h>
#include <string.h>

double *naive_masked(naive_io *io, const double *x, int64_t width) {
    double *y = naive_zeros(io, io->batch * io->rows * width);
    for (int64_t i = 0; i < io->batch * io->rows * width; i++)
        y[i] = naive_real(io->mask, i / width) ? x[i] : 0.0;
    return y;
}

double *naive_short_conv(naive_io *io, const char *name, const double *u, int64_t n) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    const double *weight = naive_weight(io, slot);
    snprintf(slot, sizeof slot, "%s.bias", name);
    const double *bias = naive_weight(io, slot);
    int64_t T = io->rows, W = wf_int(io->layer, "conv"), past = W - 1;
    double *y = naive_zeros(io, io->batch * T * n), *window = naive_zeros(io, io->batch * n * (T + W));
    double *state = past ? naive_state(io, name, n * past) : NULL;
    for (int64_t i = 0; i < io->batch * n; i++) {
        double *all = window + i * (T + W);
        int64_t b = i / n, c = i % n;
        for (int64_t w = 0; w < past; w++)
            all[w] = state[i * past + w];
        for (int64_t t = 0; t < T; t++) {
            all[past + t] = u[(b * T + t) * n + c];
            double sum = bias ? bias[c] : 0.0;
            for (int64_t w = 0; w < W; w++)
                sum += weight[c * W + w] * all[t + w];
            y[(b * T + t) * n + c] = sum;
        }
        for (int64_t w = 0; w < past; w++)
            state[i * past + w] = all[T + w];
    }
    return y;
}

double *naive_project_conv(naive_io *io, const char *name, const double *x, bool silu) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    int64_t n = naive_width(io, slot);
    double *y = naive_linear(io, name, x, io->batch * io->rows);
    snprintf(slot, sizeof slot, "%s_conv", name);
    if (wf_given(io->layer, "conv"))
        y = naive_short_conv(io, slot, y, n);
    for (int64_t i = 0; silu && i < io->batch * io->rows * n; i++)
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
