/* e^g = b + (1-b) sigmoid(f); q = silu(q), k = 1 - e^g, v = i; o = scan(q K^-1/2, k, v, g); y = Lin(o, rms(merge(o)) norm).
 * Padding: x, v and g are 0. */
#include "naive/naive_heads.h"

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, dim = wf_int(l, "dim"), H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = dim / H;
    double *x = naive_masked(io, io->x, dim), *q = naive_project_conv(io, "q", x, false),
           *f = naive_project_conv(io, "f", x, false);
    double *k = naive_zeros(io, rows * H * K), *g = naive_zeros(io, rows * H * K);
    for (int64_t i = 0; i < rows * H * K; i++) {
        double forget = wf_float(l, "lower_bound") + (1.0 - wf_float(l, "lower_bound")) * naive_sigmoid(f[i]);
        q[i] = naive_activation("silu", q[i]);
        k[i] = 1.0 - forget;
        g[i] = naive_real(io->mask, i / (H * K)) ? log(forget) : 0.0;
    }
    naive_scan scan = {.heads = H,
                       .key_dim = K,
                       .value_dim = V,
                       .q = q,
                       .k = k,
                       .v = naive_project_conv(io, "i", x, false),
                       .g = g,
                       .scale = 1.0 / sqrt((double)K),
                       .s = naive_state(io, "s", H * K * V)};
    double *o = naive_scan_heads(io, &scan);
    for (int64_t r = 0; r < rows; r++)
        naive_rms(o + r * dim, dim, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"));
    io->y = naive_linear(io, "o", o, rows);
    io->width = dim;
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", "\"heads\": 1", NULL};
static const char *const bounds[] = {"", "\"lower_bound\": 0.25", "\"lower_bound\": 0.9", NULL};
static const char *const convs[] = {"", "\"conv\": 4", "\"conv\": 3, \"conv_bias\": true", "\"conv\": 1", NULL};
static const char *const eps[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.01", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, bounds, convs, eps, masks, states, lengths, NULL};
const naive_row naive_hgrn2 = {"hgrn2", run, axes, 50};
