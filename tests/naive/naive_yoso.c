/* o_i = unit(sum_j (1 - arccos(unit(q_i) . unit(k_j)) / pi)^bits v_j) + conv(v)_i, y = Lin(o, o). */
#include "naive/naive.h"

static void unit(double *x, int64_t n) {
    double length = sqrt(naive_dot(x, x, n));
    for (int64_t c = 0; c < n; c++)
        x[c] /= fmax(length, 1e-12);
}

static double *heads_of(naive_io *io, const char *name, bool unit_rows) {
    int64_t H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim"), rows = io->batch * io->rows;
    double *x = naive_linear(io, name, io->x, rows);
    for (int64_t i = 0; unit_rows && i < rows * H; i++)
        unit(x + i * K, K);
    return x;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), T = io->rows, rows = io->batch * T,
            W = wf_given(l, "conv") ? wf_int(l, "conv") : 0;
    double *q = heads_of(io, "q", true), *k = heads_of(io, "k", true), *v = heads_of(io, "v", false),
           *o = naive_zeros(io, rows * H * K);
    const double *w = W ? naive_weight(io, "conv.weight") : NULL;
    for (int64_t n = 0; n < rows * H; n++) {
        int64_t first = n / H / T * T, h = n % H;
        for (int64_t j = first; j < first + T; j++) {
            double z = naive_dot(q + n * K, k + (j * H + h) * K, K), bits = (double)wf_int(l, "bits");
            double p = naive_constant(io, pow(1.0 - acos(z) / 3.14159265358979323846, bits)), at = naive_constant(io, z);
            p *= 1.0 + bits / 2.0 * (z - at); /* the slope that the paper gives it */
            for (int64_t c = 0; c < K; c++)
                o[n * K + c] += p * v[(j * H + h) * K + c];
        }
        unit(o + n * K, K);
        for (int64_t t = 0; t < W; t++) {
            int64_t s = n / H + t - W / 2;
            for (int64_t c = 0; c < K && s >= first && s < first + T && naive_real(io->mask, s); c++)
                o[n * K + c] += w[h * W + t] * v[(s * H + h) * K + c];
        }
    }
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", NULL};
static const char *const bits[] = {"", "\"bits\": 3", "\"bits\": 1", NULL};
static const char *const convs[] = {"", "\"conv\": 3", "\"conv\": 5", NULL};
static const char *const inputs[] = {"@rows 6", "@rows 7 @mask right", "@rows 5 @mask left", NULL};
static const naive_axis axes[] = {heads, bits, convs, inputs, NULL};
const naive_row naive_yoso = {"yoso", run, axes, 8};
