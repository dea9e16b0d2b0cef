/* u_n = x * mix_n + shifted(x) * (1 - mix_n); r, k, v = Lin(r, u_r), Lin(k, u_k), Lin(v, u_v); w = -exp(decay) [H,K];
 * o_t = (S_{t-1} + Diag(bonus) k_t v_t^T)^T r_t, S_t = Diag(e^w) S_{t-1} + k_t v_t^T; y = Lin(o, groupnorm(o) * act(Lin(gate,
 * u_g))). */
#include "naive/naive_heads.h"

static double *mixed(naive_io *io, const double *before, const char *name, const char *mix) {
    int64_t dim = wf_int(io->layer, "dim"), count = io->batch * io->rows * dim;
    const double *weight = naive_weight(io, mix);
    double *u = naive_zeros(io, count);
    for (int64_t i = 0; i < count; i++)
        u[i] = io->x[i] * weight[i % dim] + before[i] * (1.0 - weight[i % dim]);
    return naive_linear(io, name, u, io->batch * io->rows);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    const double *before = naive_shifted(io), *decay = naive_weight(io, "decay");
    double *g = naive_zeros(io, rows * H * K);
    for (int64_t i = 0; i < rows * H * K; i++)
        g[i] = -exp(decay[i % (H * K)]);
    naive_scan scan = {.heads = H,
                       .key_dim = K,
                       .value_dim = V,
                       .q = mixed(io, before, "r", "mix_r"),
                       .k = mixed(io, before, "k", "mix_k"),
                       .v = mixed(io, before, "v", "mix_v"),
                       .g = g,
                       .bonus = naive_weight(io, "bonus"),
                       .scale = 1.0,
                       .s = naive_state(io, "s", H * K * V)};
    double *o = naive_scan_heads(io, &scan);
    naive_layer_norm(o, rows * H * V, V, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"),
                     naive_weight(io, "norm.bias"), H);
    const double *gate = !wf_is(l, "gate", "none") ? mixed(io, before, "gate", "mix_g") : NULL;
    for (int64_t i = 0; gate && i < rows * H * V; i++)
        o[i] *= naive_activation(wf_string(l, "gate"), gate[i]);
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1, \"key_dim\": 7",
                                    "\"heads\": 4, \"value_dim\": 9", NULL};
static const char *const gates[] = {"", "\"gate\": \"none\"", "\"gate\": \"sigmoid\"", NULL};
static const char *const eps[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.02", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, gates, eps, states, lengths, NULL};
const naive_row naive_rwkv5 = {"rwkv5", run, axes, 40};
