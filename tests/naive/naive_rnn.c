#include "naive/naive_rnn.h"
#include <stdio.h>
#include <string.h>

double naive_recurrent(const double *hh, const double *bias, int64_t r, const double *h, int64_t n) {
    double sum = bias ? bias[r] : 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += hh[r * n + i] * h[i];
    return sum;
}

typedef struct direction {
    naive_cell *cell;
    int gates;
    int64_t layer, index, directions, states; /* index of the direction; states: layers * directions */
    double *h, *c;                            /* [B, states, n] */
} direction;

static const double *part(const naive_io *io, const direction *d, const char *which) {
    char name[64];
    snprintf(name, sizeof name, "l%lld%s.%s", (long long)d->layer, d->index ? "r" : "", which);
    return naive_weight(io, name);
}

/* Writes its half of y [B,T,directions*n]. */
static void run_direction(naive_io *io, const direction *d, const double *x, double *y) {
    int64_t n = wf_int(io->layer, "hidden"), T = io->rows;
    char name[64];
    snprintf(name, sizeof name, "l%lld%s.ih", (long long)d->layer, d->index ? "r" : "");
    const double *ih = naive_linear(io, name, x, io->batch * T), *hh = part(io, d, "hh.weight"), *bias = part(io, d, "hh.bias");
    for (int64_t b = 0; b < io->batch; b++) {
        int64_t at = (b * d->states + d->layer * d->directions + d->index) * n;
        for (int64_t i = 0; i < T; i++) {
            int64_t row = b * T + (d->index ? T - 1 - i : i);
            if (!naive_real(io->mask, row))
                continue;
            d->cell(io->layer, ih + row * d->gates * n, hh, bias, d->h + at, d->c ? d->c + at : NULL, n);
            memcpy(y + (row * d->directions + d->index) * n, d->h + at, (size_t)n * sizeof *y);
        }
    }
}

void naive_rnn(naive_io *io, naive_cell *cell, int gates) {
    const wf_layer *l = io->layer;
    int64_t n = wf_int(l, "hidden");
    direction d = {.cell = cell, .gates = gates, .directions = wf_flag(l, "bidirectional") ? 2 : 1};
    d.states = wf_int(l, "layers") * d.directions;
    d.h = naive_state(io, "h", d.states * n);
    d.c = naive_state(io, "c", d.states * n);
    const double *x = io->x;
    for (d.layer = 0; d.layer < wf_int(l, "layers"); d.layer++) {
        double *y = naive_zeros(io, io->batch * io->rows * d.directions * n);
        for (d.index = 0; d.index < d.directions; d.index++)
            run_direction(io, &d, x, y);
        x = io->y = y;
    }
    io->width = d.directions * n;
}
