/* [B|C|x] = Lin(in, x*mask); y = Lin(o, C * conv(B * x)). */
#include "naive/naive_heads.h"

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, D = wf_int(l, "inner");
    double *all = naive_linear(io, "in", naive_masked(io, io->x, wf_int(l, "dim")), rows), *u = naive_zeros(io, rows * D);
    for (int64_t i = 0; i < rows * D; i++)
        u[i] = all[i / D * 3 * D + i % D] * all[i / D * 3 * D + 2 * D + i % D];
    double *y = naive_convolve(io, "conv", u, D, false);
    for (int64_t i = 0; i < rows * D; i++)
        y[i] *= all[i / D * 3 * D + D + i % D];
    io->y = naive_linear(io, "o", y, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"", "\"inner\": 9", "\"inner\": 17", NULL};
static const char *const convs[] = {"", "\"conv\": 4, \"conv_bias\": true", "\"conv\": 1", "\"conv\": 2", NULL};
static const char *const biases[] = {"", "\"bias\": [\"in\"]", "\"bias\": [\"o\"]", "\"bias\": [\"in\", \"o\"]", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, convs, biases, masks, states, lengths, NULL};
const naive_row naive_short_conv = {"short_conv", run, axes, 30};
