/* u = x K^-1/4; relu: phi = relu(features u or u) + feature_eps; softmax: phi = r^-1/2 (exp(features u - |u|^2/2 - st) +
 * feature_eps), st 0 or (max) the largest feature of the query row, of the head's whole sequence of keys. mask: zero phi(k)
 * (features) or v (values). o_t = S_t^T phi(q_t) / (phi(q_t).(z_t + eps)), causal running sums, else full sums. */
#include "naive/naive_heads.h"
#include <string.h>

static bool is(const naive_io *io, const char *key, const char *word) { return strcmp(wf_string(io->layer, key), word) == 0; }

/* The largest feature of row n, or of all rows of its head and sequence. */
static double stabiliser(naive_io *io, const double *h, int64_t n, int64_t R, bool keys) {
    int64_t T = io->rows, H = wf_int(io->layer, "heads"), first = n / H / T * T;
    double most = -INFINITY;
    for (int64_t t = keys ? first : n / H; t < (keys ? first + T : n / H + 1); t++)
        for (int64_t i = 0; i < R; i++)
            most = fmax(most, h[(t * H + n % H) * R + i]);
    return naive_constant(io, most);
}

static double *features(naive_io *io, const char *name, bool keys) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows * wf_int(l, "heads"), K = wf_int(l, "key_dim"),
            R = wf_int(l, "rows") ? wf_int(l, "rows") : K;
    const double *directions = naive_weight(io, "features");
    double *u = naive_linear(io, name, io->x, io->batch * io->rows), *h = naive_zeros(io, rows * R),
           *phi = naive_zeros(io, rows * R);
    for (int64_t i = 0; i < rows * K; i++)
        u[i] *= pow((double)K, -0.25);
    for (int64_t i = 0; i < rows * R; i++)
        for (int64_t d = 0; d < K; d++)
            h[i] += (directions ? directions[i % R * K + d] : (double)(d == i % R)) * u[i / R * K + d];
    for (int64_t n = 0; n < rows; n++) {
        double off = is(io, "kernel", "softmax") && is(io, "stabiliser", "max") ? stabiliser(io, h, n, R, keys) : 0.0;
        for (int64_t d = 0; d < K; d++)
            off += u[n * K + d] * u[n * K + d] / 2.0;
        for (int64_t i = 0; i < R; i++) {
            double e = wf_float(l, "feature_eps"), x = h[n * R + i];
            bool real = !keys || is(io, "mask_keys", "values") || naive_real(io->mask, n / wf_int(l, "heads"));
            phi[n * R + i] = !real ? 0.0 : is(io, "kernel", "relu") ? fmax(x, 0.0) + e : (exp(x - off) + e) / sqrt((double)R);
        }
    }
    return phi;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), V = wf_int(l, "value_dim"),
            R = wf_int(l, "rows") ? wf_int(l, "rows") : wf_int(l, "key_dim");
    double *q = features(io, "q", false), *k = features(io, "k", true), *v = naive_linear(io, "v", io->x, io->batch * T);
    double *o = naive_zeros(io, io->batch * T * H * V), *s = naive_state(io, "s", H * R * V), *z = naive_state(io, "z", H * R);
    if (is(io, "mask_keys", "values"))
        v = naive_masked(io, v, H * V);
    for (int64_t n = 0; n < io->batch * T * H; n++) {
        int64_t state = n / H / T * H + n % H, first = n / H / T * T,
                whole = wf_flag(l, "causal") ? 0
                        : n / H == first     ? T
                                             : -1;
        for (int64_t t = whole ? first : n / H; t < (whole ? first + whole : n / H + 1); t++)
            for (int64_t i = 0; i < R; i++) {
                double key = k[(t * H + n % H) * R + i];
                z[state * R + i] += key;
                for (int64_t c = 0; c < V; c++)
                    s[(state * R + i) * V + c] += key * v[(t * H + n % H) * V + c];
            }
        double sum = 0.0;
        for (int64_t i = 0; i < R; i++) {
            sum += q[n * R + i] * (z[state * R + i] + wf_float(l, "eps"));
            for (int64_t c = 0; c < V; c++)
                o[n * V + c] += q[n * R + i] * s[(state * R + i) * V + c];
        }
        for (int64_t c = 0; c < V; c++)
            o[n * V + c] /= sum;
    }
    io->y = naive_linear(io, "o", o, io->batch * T);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5, \"value_dim\": 3",
                                    "\"heads\": 1, \"key_dim\": 7", "\"heads\": 4, \"value_dim\": 9", NULL};
static const char *const kernels[] = {"\"rows\": 10",
                                      "\"kernel\": \"relu\", \"rows\": 8, \"feature_eps\": 0.1",
                                      "\"stabiliser\": \"max\", \"rows\": 9, \"feature_eps\": 0.01",
                                      "\"kernel\": \"relu\", \"rows\": 0, \"feature_eps\": 0.2",
                                      "\"rows\": 5, \"feature_eps\": 0.1, \"ortho_scaling\": 1",
                                      "",
                                      NULL};
static const char *const order[] = {"\"causal\": true", "", "\"causal\": true, \"eps\": 0.3", NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", "\"bias\": [\"k\"]", "\"bias\": []", NULL};
static const char *const masks[] = {"", "@mask right", "\"mask_keys\": \"values\" @mask left", "@mask middle", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, kernels, order, biases, masks, lengths, NULL};
const naive_row naive_performer = {"performer", run, axes, 60};
