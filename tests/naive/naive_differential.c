/* a_h = softmax(q_h k^T / sqrt(K)) [v_g | v_{g+G/2}]; head h < H/2: (1 - lambda_init) rms(a_h - lambda a_{h+H/2}). */
#include "naive/naive.h"
#include <string.h>

static void turn(const naive_io *io, double *x, int64_t heads) {
    const wf_json *rope = wf_given(io->layer, "rope") ? wf_get(io->layer, "rope")->object : NULL;
    int64_t K = wf_int(io->layer, "key_dim");
    for (int64_t i = 0; rope && i < io->batch * io->rows * heads; i++)
        naive_rope(x + i * K, wf_json_int(rope, "dim", K), wf_json_double(rope, "theta", 10000.0),
                   strcmp(wf_json_text(rope, "pairing", "half"), "half") == 0, naive_position(io, i / heads));
}

static double lambda_of(const naive_io *io) {
    int64_t K = wf_int(io->layer, "key_dim");
    double first = naive_dot(naive_weight(io, "lambda_q1"), naive_weight(io, "lambda_k1"), K);
    double second = naive_dot(naive_weight(io, "lambda_q2"), naive_weight(io, "lambda_k2"), K);
    return exp(first) - exp(second) + wf_float(io->layer, "lambda_init");
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim"),
            T = io->rows, rows = io->batch * T;
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = naive_linear(io, "v", io->x, rows);
    double *z = naive_zeros(io, T), *a = naive_zeros(io, rows * H * 2 * V), *out = naive_zeros(io, rows * H * V),
           lambda = lambda_of(io);
    turn(io, q, H);
    turn(io, k, G);
    for (int64_t i = 0; i < rows * H; i++) {
        int64_t row = i / H, b = row / T, group = i % H / (H / G), pair = group % (G / 2);
        for (int64_t j = 0; j < T; j++)
            z[j] = naive_sees(io, b, row % T, j) ? naive_dot(q + i * K, k + ((b * T + j) * G + group) * K, K) / sqrt((double)K)
                                                 : -INFINITY;
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            for (int64_t c = 0; c < 2 * V; c++)
                a[i * 2 * V + c] += z[j] * v[((b * T + j) * G + pair + (c < V ? 0 : G / 2)) * V + c % V];
    }
    for (int64_t i = 0; i < rows * H / 2; i++) {
        int64_t row = i / (H / 2), h = i % (H / 2);
        for (int64_t c = 0; c < 2 * V; c++)
            out[i * 2 * V + c] = a[(row * H + h) * 2 * V + c] - lambda * a[(row * H + h + H / 2) * 2 * V + c];
        naive_rms(out + i * 2 * V, 2 * V, wf_float(l, "norm_eps"), NULL);
        for (int64_t c = 0; c < 2 * V; c++)
            out[i * 2 * V + c] *= 1.0 - wf_float(l, "lambda_init");
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 6", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6",
                                    "\"heads\": 12, \"kv_heads\": 4, \"key_dim\": 2, \"value_dim\": 3",
                                    "\"heads\": 2, \"key_dim\": 8, \"value_dim\": 9", NULL};
static const char *const order[] = {"\"causal\": true", "", NULL};
static const char *const ropes[] = {"", "\"rope\": {}", "\"rope\": {\"theta\": 100.0, \"pairing\": \"interleaved\"}",
                                    "\"rope\": {\"dim\": 2}", NULL};
static const char *const lambdas[] = {"\"norm_eps\": 0.02", "\"layer\": 3, \"norm_eps\": 0.1",
                                      "\"lambda_init\": 0.4, \"norm_eps\": 0.1", NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", NULL};
static const char *const inputs[] = {"",        "@mask left",        "@positions", "@segments @mask right", "@mask middle",
                                     "@prefix", "@prefix @segments", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", NULL};
static const naive_axis axes[] = {sizes, order, ropes, lambdas, biases, inputs, rows, NULL};
const naive_row naive_differential = {"differential", run, axes, 60};
