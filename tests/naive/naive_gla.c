/* g = max(logsigmoid(Lin(decay.up, Lin(decay.down, x))) / gate_normalizer, clamp_min) per key channel; q, k, v through conv and
 * silu; o = scan(q K^-1/2, k, v, g); y = finish(o); kv head g serves heads g*(H/G)... Padding: x, k, v and g are 0. */
#include "naive/naive_heads.h"
#include <string.h>

/* y = Lin(o, merge(rms(o_h) * norm.weight) * act(Lin(gate, x))). */
static void finish(naive_io *io, double *o) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), V = wf_int(l, "value_dim");
    for (int64_t i = 0; i < rows * H; i++)
        naive_rms(o + i * V, V, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"));
    const double *gate = naive_weight(io, "gate.weight") ? naive_linear(io, "gate", io->x, rows) : NULL;
    for (int64_t i = 0; gate && i < rows * H * V; i++)
        o[i] *= naive_activation(wf_string(l, "gate"), gate[i]);
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static double *feature(naive_io *io, const char *name, const double *x, int64_t groups) {
    int64_t rows = io->batch * io->rows, H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim");
    double *y = naive_project_conv(io, name, x, true);
    for (int64_t i = 0; i < rows * groups * K; i++)
        y[i] = naive_activation(wf_string(io->layer, "feature"), y[i]);
    return naive_shared(io, y, rows, groups, H, K);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    bool each = strcmp(l->row->name, "gla") == 0; /* one decay per channel, or per head */
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), K = wf_int(l, "key_dim"),
            V = wf_int(l, "value_dim");
    double *x = naive_masked(io, io->x, wf_int(l, "dim")), *g = naive_zeros(io, rows * H * K);
    double *raw =
        each ? naive_linear(io, "decay.up", naive_linear(io, "decay.down", x, rows), rows) : naive_linear(io, "decay", x, rows);
    if (each)
        raw = naive_shared(io, raw, rows, G, H, K);
    for (int64_t i = 0; i < rows * H * K; i++) {
        g[i] = naive_log_sigmoid(raw[each ? i : i / K]) / wf_float(l, "gate_normalizer");
        if (each && wf_given(l, "clamp_min"))
            g[i] = fmax(g[i], wf_float(l, "clamp_min"));
        g[i] = naive_real(io->mask, i / (H * K)) ? g[i] : 0.0;
    }
    naive_scan scan = {.heads = H,
                       .key_dim = K,
                       .value_dim = V,
                       .q = feature(io, "q", x, H),
                       .k = feature(io, "k", x, G),
                       .g = g,
                       .scale = 1.0 / sqrt((double)K),
                       .s = naive_state(io, "s", H * K * V)};
    scan.v = naive_shared(io, naive_project_conv(io, "v", x, true), rows, G, H, V);
    finish(io, naive_scan_heads(io, &scan));
}

static const char *const heads[] = {"\"heads\": 3",
                                    "\"heads\": 2, \"value_dim\": 5",
                                    "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 5",
                                    "\"heads\": 6, \"kv_heads\": 2, \"value_dim\": 3",
                                    "\"heads\": 1, \"key_dim\": 7",
                                    NULL};
static const char *const ranks[] = {"\"rank\": 3", "\"rank\": 5, \"clamp_min\": -0.05", "\"rank\": 1",
                                    "\"rank\": 4, \"clamp_min\": -0.5", NULL};
static const char *const normalizers[] = {"", "\"gate_normalizer\": 2", "\"gate_normalizer\": 0.7", NULL};
static const char *const features[] = {"",
                                       "\"feature\": \"elu1\"",
                                       "\"feature\": \"relu\"",
                                       "\"feature\": \"silu\"",
                                       "\"feature\": \"sigmoid\"",
                                       "\"feature\": \"softplus\"",
                                       NULL};
static const char *const convs[] = {"", "\"conv\": 4", "\"conv\": 3, \"conv_bias\": true", "\"conv\": 1", NULL};
static const char *const gates[] = {"\"gate\": \"silu\"", "\"gate\": \"sigmoid\"", "", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.3, \"norm_affine\": false", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, ranks, normalizers, features, convs, gates, norms, masks, states, lengths, NULL};
static const naive_axis simple_axes[] = {heads, normalizers, features, convs, gates, norms, masks, states, lengths, NULL};
const naive_row naive_gla = {"gla", run, axes, 60};
const naive_row naive_simple_gla = {"simple_gla", run, simple_axes, 60};
