/* q = Lin(q, x) or Lin(q.up, rms(Lin(q.down, x))); [c | kr] = Lin(kv.down, x); [k | v] = Lin(kv.up, rms(c)); the last channels
 * of queries turn, kr turns and is a part of every head's key; y = Lin(o, softmax(scale q k^T) v). */
#include "naive/naive.h"
#include <string.h>

static double *normed(const naive_io *io, const double *x, int64_t stride, int64_t width, const char *weight, double *out) {
    for (int64_t r = 0; r < io->batch * io->rows; r++) {
        memcpy(out + r * width, x + r * stride, (size_t)width * sizeof *x);
        naive_rms(out + r * width, width, wf_float(io->layer, "norm_eps"), naive_weight(io, weight));
    }
    return out;
}

static void turn(const naive_io *io, double *x, int64_t row) {
    if (!wf_flag(io->layer, "turns"))
        return;
    const wf_json *rope = wf_given(io->layer, "rope") ? wf_get(io->layer, "rope")->object : NULL;
    naive_rope(x, wf_int(io->layer, "rope_dim"), wf_json_double(rope, "theta", 10000.0),
               strcmp(wf_json_text(rope, "pairing", "half"), "half") == 0, naive_position(io, row));
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), N = wf_int(l, "nope_dim"), R = wf_int(l, "rope_dim"), V = wf_int(l, "value_dim"),
            rank = wf_int(l, "kv_rank");
    int64_t T = io->rows, rows = io->batch * T;
    double *q, *down = naive_linear(io, "kv.down", io->x, rows), *z = naive_zeros(io, T), *out = naive_zeros(io, rows * H * V);
    if (wf_given(l, "q_rank")) {
        int64_t low = wf_int(l, "q_rank");
        q = naive_linear(
            io, "q.up",
            normed(io, naive_linear(io, "q.down", io->x, rows), low, low, "q_norm.weight", naive_zeros(io, rows * low)), rows);
    } else {
        q = naive_linear(io, "q", io->x, rows);
    }
    double *up =
        naive_linear(io, "kv.up", normed(io, down, rank + R, rank, "kv_norm.weight", naive_zeros(io, rows * rank)), rows);
    for (int64_t r = 0; r < rows; r++) {
        turn(io, down + r * (rank + R) + rank, r);
        for (int64_t h = 0; h < H; h++)
            turn(io, q + (r * H + h) * (N + R) + N, r);
    }
    io->attention = naive_zeros(io, rows * H * T);
    for (int64_t i = 0; i < rows * H; i++) {
        int64_t row = i / H, b = row / T, h = i % H;
        const double *qi = q + i * (N + R);
        for (int64_t j = 0; j < T; j++) {
            const double *k = up + ((b * T + j) * H + h) * (N + V), *kr = down + (b * T + j) * (rank + R) + rank;
            z[j] = naive_sees(io, b, row % T, j) ? wf_float(l, "scale") * (naive_dot(qi, k, N) + naive_dot(qi + N, kr, R))
                                                 : -INFINITY;
        }
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++) {
            io->attention[((b * H + h) * T + row % T) * T + j] = z[j];
            for (int64_t c = 0; c < V; c++)
                out[i * V + c] += z[j] * up[((b * T + j) * H + h) * (N + V) + N + c];
        }
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3, \"kv_rank\": 5, \"rope_dim\": 2",
                                    "\"heads\": 2, \"kv_rank\": 4, \"nope_dim\": 3, \"rope_dim\": 4, \"value_dim\": 7",
                                    "\"heads\": 1, \"kv_rank\": 9, \"nope_dim\": 16, \"rope_dim\": 6", NULL};
static const char *const ranks[] = {"", "\"q_rank\": 6", "\"q_rank\": null", "\"q_rank\": 3, \"norm_eps\": 0.1", NULL};
static const char *const order[] = {"\"causal\": true", "", NULL};
static const char *const ropes[] = {
    "", "\"rope\": {\"theta\": 100.0}", "\"rope\": {\"pairing\": \"interleaved\"}", "\"rope\": null", "\"turns\": false", NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"q.down\", \"q.up\", \"kv.down\", \"kv.up\", \"o\"]",
                                     "\"bias\": [\"kv.down\", \"o\"]", NULL};
static const char *const scales[] = {"", "\"scale\": 0.3", NULL};
static const char *const inputs[] = {
    "",        "@mask left",         "@positions", "@segments @mask right", "@mask middle", "@mask all",
    "@prefix", "@prefix @mask left", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", NULL};
static const naive_axis axes[] = {sizes, ranks, order, ropes, biases, scales, inputs, rows, NULL};
const naive_row naive_mla = {"mla", run, axes, 60};
