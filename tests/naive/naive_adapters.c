/* y = Lin(down, act(Lin(up, x))) with the weights of the default adapter. */
#include "naive/naive.h"

/* Adapter e of the stacked weights of a projection: [rows, in] -> [rows, out]. */
static double *project(naive_io *io, const char *weight, const char *bias, const double *x, int64_t in, int64_t out) {
    int64_t rows = io->batch * io->rows, e = wf_int(io->layer, "default");
    const double *w = naive_weight(io, weight) + e * out * in, *b = naive_weight(io, bias) + e * out;
    double *y = naive_zeros(io, rows * out);
    for (int64_t i = 0; i < rows * out; i++)
        y[i] = b[i % out] + naive_dot(w + i % out * in, x + i / out * in, in);
    return y;
}

static void run(naive_io *io) {
    int64_t dim = wf_int(io->layer, "dim"), hidden = wf_int(io->layer, "hidden");
    double *h = project(io, "up.weight", "up.bias", io->x, dim, hidden);
    for (int64_t i = 0; i < io->batch * io->rows * hidden; i++)
        h[i] = naive_activation(wf_string(io->layer, "activation"), h[i]);
    io->y = project(io, "down.weight", "down.bias", h, hidden, dim);
    io->width = dim;
}

static const char *const names[] = {"\"names\": [\"a\", \"b\", \"c\"], \"default\": 1", "\"names\": [\"a\"], \"default\": 0",
                                    "\"names\": [\"a\", \"b\"], \"default\": 1", NULL};
static const char *const widths[] = {"", "\"hidden\": 5", NULL};
static const char *const activations[] = {"", "\"activation\": \"relu\"", "\"activation\": \"silu\"", NULL};
static const char *const rows[] = {"", "@rows 1", NULL};
static const naive_axis axes[] = {names, widths, activations, rows, NULL};
const naive_row naive_adapters = {"adapters", run, axes, 8};
