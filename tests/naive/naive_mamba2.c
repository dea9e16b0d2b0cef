/* [z|u|dt] = Lin(in, x*mask); [x|B|C] = silu(conv(u)) * mask; head h uses B, C of group h // (H/G); dt = clamp(softplus(dt +
 * dt.bias)); o = scan(C, B, dt x, -exp(a_log_h) dt) + d_h x; y = Lin(o, N(merge(o) * silu(z)) * norm), or with norm_before_gate
 * Lin(o, N(merge(o)) * norm * silu(z)), N = rms over each of norm_groups equal parts; without norm only the gate. part_scales
 * multiply z, x, B, C and dt as they come out of `in`. */
#include "naive/naive_heads.h"

static double within(const wf_value *limit, double dt) {
    if (limit->items[0].type != WF_NULL)
        dt = fmax(dt, limit->items[0].number);
    return limit->items[1].type != WF_NULL ? fmin(dt, limit->items[1].number) : dt;
}

static void norm(naive_io *io, double *o, int64_t width) {
    int64_t parts = wf_int(io->layer, "norm_groups"), n = width / parts;
    for (int64_t i = 0; wf_flag(io->layer, "norm") && i < io->batch * io->rows * parts; i++)
        naive_rms(o + i * n, n, wf_float(io->layer, "norm_eps"), naive_weight(io, "norm.weight") + i % parts * n);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), P = wf_int(l, "value_dim"), N = wf_int(l, "state"),
            G = wf_int(l, "groups");
    int64_t D = H * P, C = D + 2 * G * N, wide = D + C + H;
    const double *bias = naive_weight(io, "dt.bias"), *a_log = naive_weight(io, "a_log"), *d = naive_weight(io, "d");
    double *all = naive_linear(io, "in", naive_masked(io, io->x, wf_int(l, "dim")), rows);
    for (int64_t i = 0; i < rows * wide; i++) {
        int64_t c = i % wide;
        all[i] *= wf_get(l, "part_scales")->items[c < D ? 0 : c < 2 * D ? 1 : c < 2 * D + G * N ? 2 : c < D + C ? 3 : 4].number;
    }
    double *z = naive_columns(io, all, rows, wide, 0, D);
    double *u = naive_masked(io, naive_convolve(io, "conv", naive_columns(io, all, rows, wide, D, C), C, true), C);
    double *x = naive_columns(io, u, rows, C, 0, D), *v = naive_zeros(io, rows * D), *g = naive_zeros(io, rows * H * N);
    for (int64_t i = 0; i < rows * H; i++) {
        double dt =
            within(wf_get(l, "dt_limit"), naive_activation("softplus", all[i / H * wide + D + C + i % H] + bias[i % H]));
        for (int64_t p = 0; p < P; p++)
            v[i * P + p] = dt * x[i * P + p];
        for (int64_t n = 0; n < N; n++)
            g[i * N + n] = -exp(a_log[i % H]) * dt;
    }
    naive_scan scan = {.heads = H,
                       .key_dim = N,
                       .value_dim = P,
                       .k = naive_shared(io, naive_columns(io, u, rows, C, D, G * N), rows, G, H, N),
                       .q = naive_shared(io, naive_columns(io, u, rows, C, D + G * N, G * N), rows, G, H, N),
                       .v = v,
                       .g = g,
                       .scale = 1.0,
                       .s = naive_state(io, "s", H * N * P)};
    double *o = naive_scan_heads(io, &scan);
    bool late = wf_flag(l, "norm_before_gate");
    for (int64_t i = 0; i < rows * D; i++)
        o[i] = (o[i] + d[i / P % H] * x[i]) * (late ? 1.0 : naive_activation("silu", z[i]));
    norm(io, o, D);
    for (int64_t i = 0; late && i < rows * D; i++)
        o[i] *= naive_activation("silu", z[i]);
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {
    "\"heads\": 4, \"state\": 5", "\"heads\": 4, \"groups\": 2, \"state\": 3, \"value_dim\": 5",
    "\"heads\": 2, \"state\": 7", "\"heads\": 6, \"groups\": 3, \"state\": 1, \"value_dim\": 2, \"norm_groups\": 1",
    "\"heads\": 1, \"state\": 4", NULL};
static const char *const convs[] = {"", "\"conv\": 3", "\"conv\": 1", "\"conv\": 2, \"conv_bias\": false", NULL};
static const char *const limits[] = {"", "\"dt_limit\": [0.3, 0.9]", "\"dt_limit\": [null, 0.6]", "\"dt_limit\": [0.5, null]",
                                     NULL};
static const char *const scales[] = {"", "\"part_scales\": [0.7, 1.2, 0.9, 1.1, 1.3]", "\"part_scales\": [1, 1, 1, 1, 0.5]",
                                     NULL};
static const char *const biases[] = {"", "\"bias\": [\"in\"]", "\"bias\": [\"o\"]", "\"bias\": [\"in\", \"o\"]", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.05, \"norm_before_gate\": true", "\"norm\": false",
                                    "\"norm\": false, \"norm_before_gate\": true", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, convs, limits, scales, biases, norms, masks, states, lengths, NULL};
const naive_row naive_mamba2 = {"mamba2", run, axes, 60};
