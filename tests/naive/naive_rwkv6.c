/* d = shifted(x) - x; z = tanh((x + d*mu) mix.down^T) as [5,r]; m_n = (column block n of mix.up) z_n + mix.bias_n, order
 * r,w,k,v,g; u_n = x + d*m_n; w = -exp(Lin(decay.up, tanh(Lin(decay.down, u_w)))); o_t = (S_{t-1} + Diag(bonus) k_t v_t^T)^T
 * r_t, S_t = Diag(e^{w_t}) S_{t-1} + k_t v_t^T; y = Lin(o, groupnorm(o) * silu(Lin(gate, u_g))). */
#include "naive/naive_heads.h"

static double *change(naive_io *io) {
    double *d = naive_shifted(io);
    for (int64_t i = 0; i < io->batch * io->rows * wf_int(io->layer, "dim"); i++)
        d[i] -= io->x[i];
    return d;
}

static double *hidden(naive_io *io, const double *d) {
    int64_t rows = io->batch * io->rows, dim = wf_int(io->layer, "dim"), wide = 5 * wf_int(io->layer, "mix_rank");
    double *u = naive_zeros(io, rows * dim);
    for (int64_t i = 0; i < rows * dim; i++)
        u[i] = io->x[i] + d[i] * naive_weight(io, "mix.mu")[i % dim];
    double *z = naive_linear(io, "mix.down", u, rows);
    for (int64_t i = 0; i < rows * wide; i++)
        z[i] = tanh(z[i]);
    return z;
}

/* Lin(name, u_n). */
static double *mixed(naive_io *io, const char *name, const double *d, const double *z, int64_t n) {
    int64_t rows = io->batch * io->rows, dim = wf_int(io->layer, "dim"), rank = wf_int(io->layer, "mix_rank");
    const double *up = naive_weight(io, "mix.up.weight"), *bias = naive_weight(io, "mix.bias");
    double *u = naive_zeros(io, rows * dim);
    for (int64_t i = 0; i < rows * dim; i++) {
        double m = bias[n * dim + i % dim];
        for (int64_t j = 0; j < rank; j++)
            m += up[i % dim * 5 * rank + n * rank + j] * z[i / dim * 5 * rank + n * rank + j];
        u[i] = io->x[i] + d[i] * m;
    }
    return naive_linear(io, name, u, rows);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    const double *d = change(io), *z = hidden(io, d);
    double *low = mixed(io, "decay.down", d, z, 1);
    for (int64_t i = 0; i < rows * wf_int(l, "decay_rank"); i++)
        low[i] = tanh(low[i]);
    double *g = naive_linear(io, "decay.up", low, rows), *gate = mixed(io, "gate", d, z, 4);
    for (int64_t i = 0; i < rows * H * K; i++)
        g[i] = -exp(g[i]);
    naive_scan scan = {.heads = H,
                       .key_dim = K,
                       .value_dim = V,
                       .q = mixed(io, "r", d, z, 0),
                       .k = mixed(io, "k", d, z, 2),
                       .v = mixed(io, "v", d, z, 3),
                       .g = g,
                       .bonus = naive_weight(io, "bonus"),
                       .scale = 1.0,
                       .s = naive_state(io, "s", H * K * V)};
    double *o = naive_scan_heads(io, &scan);
    naive_layer_norm(o, rows * H * V, V, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"),
                     naive_weight(io, "norm.bias"), H);
    for (int64_t i = 0; i < rows * H * V; i++)
        o[i] *= naive_activation("silu", gate[i]);
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1, \"key_dim\": 7",
                                    "\"heads\": 4, \"value_dim\": 9", NULL};
static const char *const ranks[] = {"\"mix_rank\": 2, \"decay_rank\": 3", "\"mix_rank\": 4, \"decay_rank\": 1",
                                    "\"mix_rank\": 1, \"decay_rank\": 5", NULL};
static const char *const eps[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.02", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, ranks, eps, states, lengths, NULL};
const naive_row naive_rwkv6 = {"rwkv6", run, axes, 40};
