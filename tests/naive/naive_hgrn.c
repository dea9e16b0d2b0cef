/* a = b + (1-b) sigmoid(f), h_t = a h_{t-1} + (1-a) silu(i); y = Lin(o, rms(h) norm * silu(Lin(gate,x))), i and f through short
 * convolutions. */
#include "naive/naive_delta.h"

static double *input(naive_io *io, const char *name, const char *conv, const double *x, int64_t n) {
    double *y = naive_linear(io, name, x, io->batch * io->rows);
    return wf_given(io->layer, "conv") ? naive_convolve(io, conv, y, n, false) : y;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, n = wf_int(l, "inner");
    const double *x = naive_masked(io, io->x, wf_int(l, "dim"));
    double *i = naive_masked(io, input(io, "i", "i_conv", x, n), n), *f = input(io, "f", "f_conv", x, n),
           *gate = naive_linear(io, "gate", x, rows);
    double *h = naive_state(io, "h", n), *y = naive_zeros(io, rows * n), low = wf_float(l, "lower_bound");
    for (int64_t at = 0; at < rows * n; at++) {
        double *state = h + at / n / T * n + at % n, a = low + (1.0 - low) * naive_sigmoid(f[at]);
        y[at] = *state = a * *state + (1.0 - a) * i[at] * naive_sigmoid(i[at]);
    }
    for (int64_t r = 0; r < rows; r++)
        naive_rms(y + r * n, n, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"));
    for (int64_t at = 0; at < rows * n; at++)
        y[at] *= gate[at] * naive_sigmoid(gate[at]);
    io->y = naive_linear(io, "o", y, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"", "\"inner\": 17", "\"inner\": 5", NULL};
static const char *const bounds[] = {"", "\"lower_bound\": 0.3", "\"lower_bound\": 0.9", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.01", "\"norm_eps\": 0.3", "\"norm_eps\": 0.001", NULL};
static const naive_axis axes[] = {sizes, naive_convs, bounds, norms, naive_left_right, naive_carried, naive_lengths, NULL};
const naive_row naive_hgrn = {"hgrn", run, axes, 40};
