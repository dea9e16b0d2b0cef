/* y = Lin(o, [attention | c]), c_t = sum over k of softmax(Lin(filter, Lin(q, x_t) * s_t))_k Lin(conv, x_{t+k-taps/2}) per
 * head, s = Lin(point, depthwise convolution of x). */
#include "naive/naive.h"

static void attend(naive_io *io, const double *q, double *o) {
    int64_t H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim"), T = io->rows, rows = io->batch * T;
    double *k = naive_linear(io, "k", io->x, rows), *v = naive_linear(io, "v", io->x, rows), *z = naive_zeros(io, T);
    io->attention = naive_zeros(io, rows * H * T);
    for (int64_t n = 0; n < rows * H; n++) {
        int64_t row = n / H, first = row / T * T, at = n % H * K;
        for (int64_t j = 0; j < T; j++)
            z[j] = naive_real(io->mask, first + j) ? naive_dot(q + n * K, k + (first + j) * H * K + at, K) / sqrt((double)K)
                                                   : -INFINITY;
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++) {
            io->attention[((row / T * H + n % H) * T + row % T) * T + j] = z[j];
            for (int64_t c = 0; c < K; c++)
                o[row * 2 * H * K + at + c] += z[j] * v[(first + j) * H * K + at + c];
        }
    }
}

static double *separable(naive_io *io) {
    int64_t T = io->rows, D = wf_int(io->layer, "dim"), W = wf_int(io->layer, "taps");
    const double *w = naive_weight(io, "depth.weight");
    double *s = naive_zeros(io, io->batch * T * D);
    for (int64_t n = 0; n < io->batch * T * D; n++)
        for (int64_t k = 0; k < W; k++) {
            int64_t t = n / D % T + k - W / 2;
            s[n] += t >= 0 && t < T ? w[n % D * W + k] * io->x[n + (k - W / 2) * D] : 0.0;
        }
    return naive_linear(io, "point", s, io->batch * T);
}

static void run(naive_io *io) {
    int64_t H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim"), T = io->rows, W = wf_int(io->layer, "taps"),
            rows = io->batch * T;
    double *q = naive_linear(io, "q", io->x, rows), *s = separable(io), *o = naive_zeros(io, rows * 2 * H * K);
    attend(io, q, o);
    for (int64_t i = 0; i < rows * H * K; i++)
        s[i] *= q[i];
    double *z = naive_linear(io, "filter", s, rows), *v = naive_linear(io, "conv", io->x, rows);
    for (int64_t n = 0; n < rows * H; n++) {
        naive_softmax(z + n * W, W);
        for (int64_t k = 0; k < W; k++)
            for (int64_t c = 0, t = n / H % T + k - W / 2; c < K && t >= 0 && t < T; c++)
                o[(n / H * 2 + 1) * H * K + n % H * K + c] += z[n * W + k] * v[(n + (k - W / 2) * H) * K + c];
    }
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(io->layer, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", "\"heads\": 1", NULL};
static const char *const taps[] = {"\"taps\": 3", "", "\"taps\": 1", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", NULL};
static const naive_axis axes[] = {heads, taps, masks, NULL};
const naive_row naive_span_conv = {"span_conv", run, axes, 8};
