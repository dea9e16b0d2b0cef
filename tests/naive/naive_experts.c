/* One expert: down act(up x), or down (act(gate x) * up x), clamped and shifted where the layer says so. */
#include "naive/naive_experts.h"
#include <stdio.h>
#include <string.h>

static bool has_key(const wf_layer *l, const char *name) {
    for (const wf_key *k = l->row->keys; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return true;
    return false;
}

static double option(const wf_layer *l, const char *name, double fallback) {
    return has_key(l, name) ? wf_float(l, name) : fallback;
}

static double inside(const wf_layer *l, double up, double gate, bool gated) {
    double limit = option(l, "limit", 0.0), alpha = option(l, "alpha", 1.0), a = gated ? gate : up;
    if (limit > 0.0) {
        a = fmin(a, limit);
        up = fmax(-limit, fmin(limit, up));
    }
    a = naive_activation(wf_string(l, "activation"), alpha * a) / alpha;
    return gated ? a * (up + option(l, "up_shift", 0.0)) : a;
}

/* w [n, m] x + b. */
static double row_of(const double *w, const double *b, int64_t r, const double *x, double before, int64_t m) {
    double sum = b ? b[r] : 0.0;
    for (int64_t i = 0; i < m; i++)
        sum += w[r * m + i] * before * x[i];
    return sum;
}

static const double *part(const naive_io *io, const char *name, int64_t size) {
    const double *w = naive_weight(io, name);
    return w ? w + size : NULL;
}

void naive_expert(naive_io *io, int64_t e, const double *x, double before, double after, double *y) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim"), n = wf_int(l, "hidden");
    const double *up = part(io, "experts.up.weight", e * n * dim), *gate = part(io, "experts.gate.weight", e * n * dim);
    const double *up_b = part(io, "experts.up.bias", e * n), *gate_b = part(io, "experts.gate.bias", e * n);
    const double *down = part(io, "experts.down.weight", e * n * dim), *down_b = part(io, "experts.down.bias", e * dim);
    double h[64];
    for (int64_t i = 0; i < n; i++)
        h[i] =
            inside(l, row_of(up, up_b, i, x, before, dim), gate ? row_of(gate, gate_b, i, x, before, dim) : 0.0, gate != NULL);
    for (int64_t i = 0; i < dim; i++)
        y[i] += after * row_of(down, down_b, i, h, 1.0, n);
}

void naive_shared_expert(naive_io *io, int64_t rows, double *y) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim"), n = wf_int(l, "shared");
    bool gated = naive_weight(io, "shared.gate.weight") != NULL;
    double *up = naive_linear(io, "shared.up", io->x, rows),
           *gate = gated ? naive_linear(io, "shared.gate", io->x, rows) : NULL;
    for (int64_t i = 0; i < rows * n; i++)
        up[i] = inside(l, up[i], gated ? gate[i] : 0.0, gated);
    double *out = naive_linear(io, "shared.down", up, rows),
           *open = wf_flag(l, "shared_gate") ? naive_linear(io, "shared_gate", io->x, rows) : NULL;
    for (int64_t i = 0; i < rows * dim; i++)
        y[i] += out[i] * (open ? naive_sigmoid(open[i / dim]) : 1.0);
}
