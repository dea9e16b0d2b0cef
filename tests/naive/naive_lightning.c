/* qkv = silu(Lin(qkv, x)) * mask, per head q|k|v; g = -2^(-8(h+1)/H) (1 - layer/(layers-1+1e-5) + 1e-5); o = scan(q, k, v, g);
 * y = Lin(o, sigmoid(Lin(gate, x)) * rms(merge(o)) * norm), one RMS over all heads. */
#include "naive/naive_heads.h"

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim");
    double *all = naive_linear(io, "qkv", io->x, rows), *g = naive_zeros(io, rows * H * K),
           *gate = naive_linear(io, "gate", io->x, rows);
    double depth = 1.0 - (double)wf_int(l, "layer") / ((double)wf_int(l, "layers") - 1.0 + 1e-5) + 1e-5;
    for (int64_t i = 0; i < rows * H * 3 * K; i++)
        all[i] = naive_activation("silu", all[i]);
    all = naive_masked(io, all, H * 3 * K);
    for (int64_t i = 0; i < rows * H * K; i++)
        g[i] = -pow(2.0, -8.0 * (double)(i / K % H + 1) / (double)H) * depth;
    naive_scan scan = {.heads = H,
                       .key_dim = K,
                       .value_dim = K,
                       .q = naive_columns(io, all, rows * H, 3 * K, 0, K),
                       .k = naive_columns(io, all, rows * H, 3 * K, K, K),
                       .v = naive_columns(io, all, rows * H, 3 * K, 2 * K, K),
                       .g = g,
                       .scale = 1.0,
                       .s = naive_state(io, "s", H * K * K)};
    double *o = naive_scan_heads(io, &scan);
    for (int64_t r = 0; r < rows; r++)
        naive_rms(o + r * H * K, H * K, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"));
    for (int64_t i = 0; i < rows * H * K; i++)
        o[i] *= naive_sigmoid(gate[i]);
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", "\"heads\": 1", NULL};
static const char *const layers[] = {"", "\"layer\": 1, \"layers\": 4", "\"layer\": 3, \"layers\": 4", "\"layers\": 2", NULL};
static const char *const eps[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.01", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, layers, eps, masks, states, lengths, NULL};
const naive_row naive_lightning = {"lightning", run, axes, 40};
