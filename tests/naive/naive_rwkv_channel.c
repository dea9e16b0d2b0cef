/* u_n = x mix_n + shifted (1 - mix_n); y = Lin(v, relu(Lin(k, u_k))^2), times sigmoid(Lin(r, u_r)) with receptance. */
#include "naive/naive.h"
#include <string.h>

static double *mixed(naive_io *io, const char *mix, const double *first) {
    int64_t dim = wf_int(io->layer, "dim"), T = io->rows;
    double *u = naive_zeros(io, io->batch * T * dim);
    for (int64_t i = 0; i < io->batch * T * dim; i++) {
        int64_t c = i % dim, t = i / dim % T;
        double before = t > 0 ? io->x[i - dim] : first[i / (T * dim) * dim + c], m = naive_weight(io, mix)[c];
        if (strcmp(wf_string(io->layer, "mix_of"), "shifted") == 0)
            m = 1.0 - m;
        u[i] = io->x[i] * m + before * (1.0 - m);
    }
    return u;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim"), hidden = wf_int(l, "hidden"), T = io->rows, rows = io->batch * T;
    double *state = naive_state(io, "shift", dim), *first = naive_zeros(io, io->batch * dim);
    memcpy(first, state, (size_t)(io->batch * dim) * sizeof *first);
    double *h = naive_linear(io, "k", mixed(io, "mix_k", first), rows);
    for (int64_t i = 0; i < rows * hidden; i++)
        h[i] = naive_activation("relu2", h[i]);
    io->y = naive_linear(io, "v", h, rows);
    io->width = dim;
    if (wf_flag(l, "receptance")) {
        double *r = naive_linear(io, "r", mixed(io, "mix_r", first), rows);
        for (int64_t i = 0; i < rows * dim; i++)
            io->y[i] *= naive_sigmoid(r[i]);
    }
    for (int64_t b = 0; b < io->batch; b++)
        memcpy(state + b * dim, io->x + ((b + 1) * T - 1) * dim, (size_t)dim * sizeof *state);
}

static const char *const widths[] = {"\"hidden\": 9", "\"hidden\": 33", "", NULL};
static const char *const gates[] = {"", "\"receptance\": false", NULL};
static const char *const mixes[] = {"", "\"mix_of\": \"shifted\"", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {widths, gates, mixes, states, rows, NULL};
const naive_row naive_rwkv_channel = {"rwkv_channel", run, axes, 24};
