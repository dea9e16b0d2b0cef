/* A = -e^{a_log} + i a_imag; zoh: Ab = e^{dt A}, Bb = (Ab-1)/A; bilinear: Ab = (1+dt A/2)/(1-dt A/2), Bb = dt/(1-dt A/2); h_t =
 * Ab h_{t-1} + Bb x_t; u_t = 2 Re(sum c h_t) (real: sum c h) + d x_t; bidirectional: plus 2 Re(sum c_reverse sum_{s>t}
 * Ab^{s-t-1} Bb x_s); y = a sigmoid(b), [a|b] = Lin(o, gelu(u)). */
#include <complex.h>
#include <string.h>
#include "naive/naive_delta.h"

static double complex number(const wf_layer *l, const double *x, int64_t i) {
    return wf_flag(l, "real") ? x[i] : x[2 * i] + I * x[2 * i + 1];
}

/* Adds one mode of one channel of one sequence to u; x and u step over `dim`. */
static void mode(naive_io *io, int64_t i, int64_t d, const double *x, double *u, double complex *h) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim");
    double dt = exp(naive_weight(io, "log_dt")[d]), factor = wf_flag(l, "real") ? 1.0 : 2.0;
    double complex A = -exp(naive_weight(io, "a_log")[i]) + (wf_flag(l, "real") ? 0.0 : I * naive_weight(io, "a_imag")[i]);
    bool bilinear = strcmp(wf_string(l, "discretisation"), "bilinear") == 0;
    double complex a = bilinear ? (1.0 + dt * A / 2.0) / (1.0 - dt * A / 2.0) : cexp(dt * A),
                   b = bilinear ? dt / (1.0 - dt * A / 2.0) : (a - 1.0) / A;
    for (int64_t t = 0; t < io->rows; t++) {
        *h = a * *h + b * x[t * dim];
        u[t * dim] += factor * creal(number(l, naive_weight(io, "c"), i) * *h);
    }
    double complex later = 0.0;
    for (int64_t t = io->rows - 1; wf_flag(l, "bidirectional") && t >= 0; t--) {
        u[t * dim] += factor * creal(number(l, naive_weight(io, "c_reverse"), i) * later);
        later = a * later + b * x[t * dim];
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, dim = wf_int(l, "dim"), M = wf_int(l, "modes"),
            parts = wf_flag(l, "real") ? 1 : 2;
    const double *x = naive_masked(io, io->x, dim);
    double *u = naive_zeros(io, rows * dim), *y = naive_zeros(io, rows * dim), *state = naive_state(io, "h", dim * M * parts);
    for (int64_t i = 0; i < io->batch * dim * M; i++) {
        int64_t b = i / dim / M, d = i / M % dim;
        double complex h = number(l, state, i);
        mode(io, i % (dim * M), d, x + b * T * dim + d, u + b * T * dim + d, &h);
        state[i * parts] = creal(h);
        if (parts == 2)
            state[i * 2 + 1] = cimag(h);
    }
    for (int64_t i = 0; i < rows * dim; i++)
        u[i] = naive_activation("gelu", u[i] + naive_weight(io, "d")[i % dim] * x[i]);
    const double *ab = naive_linear(io, "o", u, rows);
    for (int64_t i = 0; i < rows * dim; i++)
        y[i] = ab[i / dim * 2 * dim + i % dim] * naive_sigmoid(ab[i / dim * 2 * dim + dim + i % dim]);
    io->y = y;
    io->width = dim;
}

static const char *const modes[] = {"\"modes\": 3", "\"modes\": 1", "\"modes\": 5", NULL};
static const char *const kinds[] = {"", "\"real\": true", NULL};
static const char *const discretisations[] = {"", "\"discretisation\": \"bilinear\"", NULL};
static const char *const directions[] = {"", "", "\"bidirectional\": true", NULL};
static const naive_axis axes[] = {modes,         kinds, discretisations, directions, naive_left_right, naive_carried,
                                  naive_lengths, NULL};
const naive_row naive_s4d = {"s4d", run, axes, 40};
