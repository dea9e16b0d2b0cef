/* deltanet with g = -e^a softplus(Lin(dt,x)) per value head; value head h uses q,k head h // (Hv/H). */
#include "naive/naive_delta.h"

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), Hv = wf_int(l, "v_heads"), K = wf_int(l, "key_dim"),
            V = wf_int(l, "value_dim");
    const double *x = naive_masked(io, io->x, wf_int(l, "dim")),
                 *gate = wf_given(l, "gate") ? naive_linear(io, "gate", x, rows) : NULL;
    double *q = naive_delta_input(io, "q", x), *k = naive_delta_input(io, "k", x), *v = naive_delta_input(io, "v", x);
    double *beta = naive_linear(io, "beta", x, rows), *g = naive_linear(io, "dt", x, rows);
    naive_directions(q, rows * H * K, K, wf_string(l, "qk_norm"));
    naive_directions(k, rows * H * K, K, wf_string(l, "qk_norm"));
    for (int64_t i = 0; i < rows * Hv; i++) {
        beta[i] = wf_float(l, "beta_scale") * naive_sigmoid(beta[i]);
        g[i] = -exp(naive_weight(io, "a_log")[i % Hv]) * naive_activation("softplus", g[i]);
    }
    naive_finish(io, naive_delta_rule(io, &(naive_delta){H, Hv, K, V, q, k, v, beta, g, false}), Hv, V, gate,
                 wf_string(l, "gate"));
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"v_heads\": 4, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 5, \"v_heads\": 3",
                                    "\"heads\": 5, \"key_dim\": 3, \"value_dim\": 4", NULL};
static const char *const gates[] = {"\"gate\": \"silu\"", "", "\"gate\": \"sigmoid\"", NULL};
static const char *const options[] = {"", "\"beta_scale\": 2", "\"qk_norm\": \"sum\"", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.01", "\"norm_affine\": false, \"norm_eps\": 0.1", "\"norm_eps\": 0.3",
                                    NULL};
static const naive_axis axes[] = {heads,         naive_convs,   gates, options, norms, naive_left_right,
                                  naive_carried, naive_lengths, NULL};
const naive_row naive_gated_deltanet = {"gated_deltanet", run, axes, 60};
