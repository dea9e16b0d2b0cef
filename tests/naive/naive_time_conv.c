/* y_t = act(mask_t (b + sum over k of W_k mask_s x_s)), s = t + k - left. */
#include "naive/naive_heads.h"

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, dim = wf_int(l, "dim"), width = wf_int(l, "width"), left = wf_int(l, "left");
    const double *x = naive_masked(io, io->x, dim), *w = naive_weight(io, "conv.weight"), *bias = naive_weight(io, "conv.bias");
    double *y = naive_zeros(io, io->batch * T * dim);
    for (int64_t n = 0; n < io->batch * T * dim; n++) {
        int64_t row = n / dim, t = row % T, o = n % dim;
        y[n] = bias ? bias[o] : 0.0;
        for (int64_t k = 0; k < width; k++)
            for (int64_t c = 0; c < dim && t + k - left >= 0 && t + k - left < T; c++)
                y[n] += w[(o * width + k) * dim + c] * x[(row + k - left) * dim + c];
        y[n] = naive_activation(wf_string(l, "activation"), naive_real(io->mask, row) ? y[n] : 0.0);
    }
    io->y = y;
    io->width = dim;
}

static const char *const widths[] = {
    "", "\"width\": 1", "\"width\": 4", "\"width\": 5, \"left\": 0", "\"width\": 2, \"left\": 3", NULL};
static const char *const activations[] = {"", "\"activation\": \"gelu\"", "\"activation\": \"tanh\"",
                                          "\"activation\": \"silu\"", NULL};
static const char *const biases[] = {"", "\"bias\": false", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const naive_axis axes[] = {widths, activations, biases, masks, NULL};
const naive_row naive_time_conv = {"time_conv", run, axes, 16};
