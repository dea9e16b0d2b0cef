/* Each token's top_k experts attend with queries of their own to shared keys and values; y = sum_j g_j W_o,e_j attention_j + b.
 */
#include <string.h>
#include "naive/naive.h"

enum { MOST_EXPERTS = 8 };

/* The k best of the router, best first, and their softmax among themselves. The choice is a constant of the backward. */
static void route(naive_io *io, const double *x, int64_t *chosen, double *gate) {
    int64_t E = wf_int(io->layer, "experts"), dim = wf_int(io->layer, "dim"), top = wf_int(io->layer, "top_k");
    const double *w = naive_weight(io, "router.weight");
    double logits[MOST_EXPERTS], sum = 0.0;
    bool taken[MOST_EXPERTS] = {false};
    for (int64_t e = 0; e < E; e++) {
        logits[e] = 0.0;
        for (int64_t c = 0; c < dim; c++)
            logits[e] += w[e * dim + c] * x[c];
    }
    for (int64_t j = 0; j < top; j++) {
        int64_t best = -1;
        for (int64_t e = 0; e < E; e++)
            if (!taken[e] && (best < 0 || logits[e] > logits[best]))
                best = e;
        chosen[j] = (int64_t)naive_constant(io, (double)best);
        taken[chosen[j]] = true;
        sum += gate[j] = exp(logits[chosen[j]]);
    }
    for (int64_t j = 0; j < top; j++)
        gate[j] /= sum;
}

static void turn(const naive_io *io, double *head, int64_t row) {
    const wf_json *rope = wf_given(io->layer, "rope") ? wf_get(io->layer, "rope")->object : NULL;
    int64_t half = wf_int(io->layer, "key_dim") / 2;
    double position = (double)(io->positions ? io->positions[row] : row % io->rows);
    for (int64_t p = 0; rope && p < half; p++) {
        double angle = position * pow(wf_json_double(rope, "theta", 10000.0), -(double)p / (double)half), a = head[p],
               b = head[p + half];
        head[p] = a * cos(angle) - b * sin(angle);
        head[p + half] = b * cos(angle) + a * sin(angle);
    }
}

/* The query of one head, [K], against all keys of the head; adds to out [K]. */
static void attend(naive_io *io, int64_t row, int64_t h, const double *q, const double *k, const double *v, double *out) {
    int64_t T = io->rows, H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim"), b = row / T, i = row % T;
    double most = -INFINITY, sum = 0.0, *z = naive_zeros(io, T);
    for (int64_t j = 0; j < T; j++) {
        for (int64_t c = 0; c < K; c++)
            z[j] += wf_float(io->layer, "scale") * q[c] * k[((b * T + j) * H + h) * K + c];
        if ((wf_flag(io->layer, "causal") && j > i) || !naive_real(io->mask, b * T + j))
            z[j] = -INFINITY;
        most = fmax(most, z[j]);
    }
    for (int64_t j = 0; j < T; j++)
        sum += z[j] = z[j] > -INFINITY ? exp(z[j] - most) : 0.0;
    for (int64_t j = 0; j < T && sum > 0.0; j++)
        for (int64_t c = 0; c < K; c++)
            out[c] += z[j] / sum * v[((b * T + j) * H + h) * K + c];
}

static void run(naive_io *io) {
    int64_t rows = io->batch * io->rows, dim = wf_int(io->layer, "dim"), H = wf_int(io->layer, "heads"),
            K = wf_int(io->layer, "key_dim");
    double *k = naive_linear(io, "k", io->x, rows), *v = naive_linear(io, "v", io->x, rows);
    const double *wq = naive_weight(io, "q.weight"), *wo = naive_weight(io, "o.weight"), *bias = naive_weight(io, "o.bias");
    for (int64_t i = 0; i < rows * H; i++)
        turn(io, k + i * K, i / H);
    io->y = naive_zeros(io, rows * dim);
    io->width = dim;
    for (int64_t row = 0; row < rows; row++) {
        int64_t chosen[MOST_EXPERTS];
        double gate[MOST_EXPERTS];
        route(io, io->x + row * dim, chosen, gate);
        for (int64_t j = 0; j < wf_int(io->layer, "top_k"); j++) {
            double *q = naive_zeros(io, H * K), *o = naive_zeros(io, H * K);
            for (int64_t n = 0; n < H * K; n++)
                for (int64_t c = 0; c < dim; c++)
                    q[n] += wq[(chosen[j] * H * K + n) * dim + c] * io->x[row * dim + c];
            for (int64_t h = 0; h < H; h++) {
                turn(io, q + h * K, row);
                attend(io, row, h, q + h * K, k, v, o + h * K);
            }
            for (int64_t c = 0; c < dim; c++)
                for (int64_t n = 0; n < H * K; n++)
                    io->y[row * dim + c] += gate[j] * wo[(chosen[j] * dim + c) * H * K + n] * o[n];
        }
        for (int64_t c = 0; bias && c < dim; c++)
            io->y[row * dim + c] += bias[c];
    }
}

static const char *const shapes[] = {"\"heads\": 2", "\"heads\": 3, \"key_dim\": 6", "\"heads\": 1, \"key_dim\": 4", NULL};
static const char *const experts[] = {"\"experts\": 4, \"top_k\": 2", "\"experts\": 5, \"top_k\": 3",
                                      "\"experts\": 3, \"top_k\": 1", "\"experts\": 2", NULL};
static const char *const order[] = {"\"causal\": true", "", NULL};
static const char *const turned[] = {"", "\"rope\": {}", "\"rope\": {\"theta\": 50.0} @positions", NULL};
static const char *const rest[] = {"", "\"out_bias\": true", "\"scale\": 0.7", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const row_counts[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {shapes, experts, order, turned, rest, masks, row_counts, NULL};
const naive_row naive_moa = {"moa", run, axes, 60};
