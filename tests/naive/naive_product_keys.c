/* s_(a,b) = u_a + v_b, [u, v] = Lin(router, x); the k best experts e = a K + b of a token have the weights softmax(s);
 * y = Lin(down, act(Lin(gate, x)) * Lin(up, x)) + sum_k g_k act(x . down_e) up_e. With `whole`, u and v are the two halves of
 * the scores of all tokens in a row. */
#include "naive/naive.h"

/* The best pairs of u and v; a choice is a constant of the backward. */
static void choose(naive_io *io, const double *u, const double *v, int64_t *index, double *g) {
    int64_t K = wf_int(io->layer, "keys"), k = wf_int(io->layer, "top_k");
    double *s = naive_zeros(io, K * K);
    for (int64_t e = 0; e < K * K; e++)
        s[e] = u[e / K] + v[e % K];
    for (int64_t j = 0; j < k; j++) {
        int64_t best = 0;
        for (int64_t e = 1; e < K * K; e++)
            best = s[e] > s[best] ? e : best;
        index[j] = (int64_t)naive_constant(io, (double)best);
        g[j] = u[index[j] / K] + v[index[j] % K];
        s[index[j]] = -INFINITY;
    }
    naive_softmax(g, k);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, dim = wf_int(l, "dim"), hidden = wf_int(l, "hidden"), K = wf_int(l, "keys"),
            k = wf_int(l, "top_k");
    const char *act = wf_string(l, "activation");
    const double *down = naive_weight(io, "experts.down"), *up = naive_weight(io, "experts.up"),
                 *z = naive_linear(io, "router", io->x, rows);
    double *h = naive_linear(io, "up", io->x, rows), *gate = naive_linear(io, "gate", io->x, rows), *g = naive_zeros(io, k);
    int64_t *index = (int64_t *)(void *)naive_zeros(io, k);
    for (int64_t i = 0; i < rows * hidden; i++)
        h[i] *= naive_activation(act, gate[i]);
    io->y = naive_linear(io, "down", h, rows);
    io->width = dim;
    for (int64_t n = 0; n < rows; n++) {
        const double *u = wf_flag(l, "whole") ? z + n * K : z + 2 * n * K, *v = u + (wf_flag(l, "whole") ? rows * K : K);
        choose(io, u, v, index, g);
        for (int64_t j = 0; j < k; j++) {
            double dot = naive_dot(io->x + n * dim, down + index[j] * dim, dim);
            for (int64_t c = 0; c < dim; c++)
                io->y[n * dim + c] += g[j] * naive_activation(act, dot) * up[index[j] * dim + c];
        }
    }
}

static const char *const sizes[] = {"\"keys\": 3", "\"keys\": 4, \"top_k\": 3, \"hidden\": 9", "\"keys\": 2, \"top_k\": 1",
                                    "\"keys\": 3, \"experts\": 11, \"top_k\": 4, \"hidden\": 1", NULL};
static const char *const forms[] = {"", "\"bias\": true", "\"activation\": \"relu\"",
                                    "\"activation\": \"gelu\", \"bias\": true", NULL};
static const char *const views[] = {"", "\"whole\": true", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 17", NULL};
static const naive_axis axes[] = {sizes, forms, views, rows, NULL};
const naive_row naive_product_keys = {"product_keys", run, axes, 24, true};
