/* A = diag(l) - p p^* over all conjugate pairs, l = -e^{a_log} + i a_imag; h_t = (I - dt/2 A)^{-1} ((I + dt/2 A) h_{t-1} + dt b
 * x_t), by elimination; u_t = 2 Re(sum c h_t) + d x_t; y = a sigmoid(b), [a|b] = Lin(o, gelu(u)). */
#include <complex.h>
#include <string.h>
#include "naive/naive_delta.h"

enum { MOST = 16 }; /* numbers of a state, conjugates included */

/* Solves m x = y in place (partial pivots), n unknowns. */
static void solve(double complex m[MOST][MOST], double complex *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t r = i + 1; r < n; r++)
            best = cabs(m[r][i]) > cabs(m[best][i]) ? r : best;
        for (int64_t c = 0; c < n; c++) {
            double complex swap = m[i][c];
            m[i][c] = m[best][c];
            m[best][c] = swap;
        }
        double complex swap = y[i];
        y[i] = y[best];
        y[best] = swap;
        for (int64_t r = 0; r < n; r++) {
            double complex factor = r == i ? 0.0 : m[r][i] / m[i][i];
            for (int64_t c = i; c < n; c++)
                m[r][c] -= factor * m[i][c];
            y[r] -= factor * y[i];
        }
    }
    for (int64_t i = 0; i < n; i++)
        y[i] /= m[i][i];
}

typedef struct channel {
    double complex A[MOST][MOST], b[MOST], c[MOST], h[MOST];
    double dt;
    int64_t n;
} channel;

static channel make(naive_io *io, int64_t d, const double *state) {
    int64_t M = wf_int(io->layer, "modes");
    channel ch = {.dt = exp(naive_weight(io, "log_dt")[d]), .n = 2 * M};
    double complex p[MOST];
    for (int64_t i = 0; i < 2 * M; i++) {
        int64_t at = d * M + i / 2, sign = i % 2 ? -1 : 1;
        const double *ps = naive_weight(io, "p") + 2 * at, *bs = naive_weight(io, "b") + 2 * at,
                     *cs = naive_weight(io, "c") + 2 * at;
        p[i] = ps[0] + (double)sign * I * ps[1];
        ch.b[i] = bs[0] + (double)sign * I * bs[1];
        ch.c[i] = cs[0] + (double)sign * I * cs[1];
        ch.h[i] = state[i / 2 * 2] + (double)sign * I * state[i / 2 * 2 + 1];
        ch.A[i][i] = -exp(naive_weight(io, "a_log")[at]) + (double)sign * I * naive_weight(io, "a_imag")[at];
    }
    for (int64_t i = 0; i < 2 * M; i++)
        for (int64_t j = 0; j < 2 * M; j++)
            ch.A[i][j] -= p[i] * conj(p[j]);
    return ch;
}

static double token(channel *ch, double x) {
    double complex left[MOST][MOST], right[MOST];
    double sum = 0.0;
    for (int64_t i = 0; i < ch->n; i++) {
        right[i] = ch->h[i] + ch->dt * ch->b[i] * x;
        for (int64_t j = 0; j < ch->n; j++) {
            right[i] += ch->dt / 2.0 * ch->A[i][j] * ch->h[j];
            left[i][j] = (i == j ? 1.0 : 0.0) - ch->dt / 2.0 * ch->A[i][j];
        }
    }
    solve(left, right, ch->n);
    memcpy(ch->h, right, sizeof right);
    for (int64_t i = 0; i < ch->n; i++)
        sum += creal(ch->c[i] * ch->h[i]);
    return sum;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, dim = wf_int(l, "dim"), M = wf_int(l, "modes");
    const double *x = naive_masked(io, io->x, dim);
    double *u = naive_zeros(io, rows * dim), *y = naive_zeros(io, rows * dim), *state = naive_state(io, "h", dim * M * 2);
    for (int64_t i = 0; i < io->batch * dim; i++) {
        channel ch = make(io, i % dim, state + i * M * 2);
        for (int64_t t = 0; t < T; t++) {
            int64_t at = (i / dim * T + t) * dim + i % dim;
            u[at] = naive_activation("gelu", token(&ch, x[at]) + naive_weight(io, "d")[i % dim] * x[at]);
        }
        for (int64_t m = 0; m < M; m++) {
            state[(i * M + m) * 2] = creal(ch.h[2 * m]);
            state[(i * M + m) * 2 + 1] = cimag(ch.h[2 * m]);
        }
    }
    const double *ab = naive_linear(io, "o", u, rows);
    for (int64_t i = 0; i < rows * dim; i++)
        y[i] = ab[i / dim * 2 * dim + i % dim] * naive_sigmoid(ab[i / dim * 2 * dim + dim + i % dim]);
    io->y = y;
    io->width = dim;
}

static const char *const modes[] = {"\"modes\": 3", "\"modes\": 1", "\"modes\": 4", NULL};
static const naive_axis axes[] = {modes, naive_left_right, naive_carried, naive_lengths, NULL};
const naive_row naive_s4 = {"s4", run, axes, 16};
