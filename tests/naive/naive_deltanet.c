/* q, k = l2(silu(conv(Lin))), v = silu(conv(Lin(v,x))); o = delta(q K^-1/2, k, v, 0, beta_scale sigmoid(Lin(beta,x))); y =
 * finish(o). */
#include "naive/naive_delta.h"

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    const double *x = naive_masked(io, io->x, wf_int(l, "dim")),
                 *gate = wf_given(l, "gate") ? naive_linear(io, "gate", x, rows) : NULL;
    double *q = naive_delta_input(io, "q", x), *k = naive_delta_input(io, "k", x), *v = naive_delta_input(io, "v", x);
    double *beta = naive_linear(io, "beta", x, rows);
    naive_directions(q, rows * H * K, K, wf_string(l, "qk_norm"));
    naive_directions(k, rows * H * K, K, wf_string(l, "qk_norm"));
    for (int64_t i = 0; i < rows * H; i++)
        beta[i] = wf_float(l, "beta_scale") * naive_sigmoid(beta[i]);
    naive_finish(io, naive_delta_rule(io, &(naive_delta){H, H, K, V, q, k, v, beta, NULL, false}), H, V, gate,
                 wf_string(l, "gate"));
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1, \"key_dim\": 5",
                                    "\"heads\": 5, \"key_dim\": 3, \"value_dim\": 4", NULL};
static const char *const gates[] = {"", "\"gate\": \"silu\"", "\"gate\": \"sigmoid\"", NULL};
static const char *const options[] = {"", "\"beta_scale\": 2", "\"qk_norm\": \"sum\"",
                                      "\"qk_norm\": \"l2\", \"beta_scale\": 0.5", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.01", "\"norm_affine\": false, \"norm_eps\": 0.1", "\"norm_eps\": 0.3",
                                    NULL};
static const naive_axis axes[] = {heads,         naive_convs,   gates, options, norms, naive_left_right,
                                  naive_carried, naive_lengths, NULL};
const naive_row naive_deltanet = {"deltanet", run, axes, 60};
