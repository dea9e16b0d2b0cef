/* phi(q)*scale, phi(k)*mask; S, z = running sums (causal) or full sums of k v^T and k; o_t = S_t^T q_t / (q_t.z_t + eps). */
#include "naive/naive.h"

/* Row t of head h: sums over the keys it sees. */
static void attend(const naive_io *io, const double *q, const double *k, const double *v, double *s, double *z, double *o) {
    const wf_layer *l = io->layer;
    int64_t K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double weight = 0.0;
    for (int64_t i = 0; k && i < K; i++) {
        z[i] += k[i];
        for (int64_t c = 0; c < V; c++)
            s[i * V + c] += k[i] * v[c];
    }
    for (int64_t c = 0; q && c < V; c++) {
        o[c] = 0.0;
        for (int64_t i = 0; i < K; i++)
            o[c] += s[i * V + c] * q[i];
    }
    for (int64_t i = 0; q && i < K; i++)
        weight += q[i] * z[i];
    for (int64_t c = 0; q && c < V && wf_flag(l, "normalise"); c++)
        o[c] /= weight + wf_float(l, "eps");
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, S = io->memory ? io->memory_rows : T, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"),
            V = wf_int(l, "value_dim");
    const double *memory = io->memory ? io->memory : io->x;
    const uint8_t *mask = io->memory ? io->memory_mask : io->mask;
    double *q = naive_linear(io, "q", io->x, io->batch * T), *k = naive_linear(io, "k", memory, io->batch * S);
    double *v = naive_linear(io, "v", memory, io->batch * S), *o = naive_zeros(io, io->batch * T * H * V);
    double *all_s = naive_state(io, "s", H * K * V), *all_z = naive_state(io, "z", H * K);
    for (int64_t i = 0; i < io->batch * T * H * K; i++)
        q[i] = naive_activation(wf_string(l, "feature"), q[i]) * wf_float(l, "scale");
    for (int64_t i = 0; i < io->batch * S * H * K; i++)
        k[i] = naive_real(mask, i / (H * K)) ? naive_activation(wf_string(l, "feature"), k[i]) : 0.0;
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t h = 0; h < H; h++) {
            double *s = all_s + (b * H + h) * K * V, *z = all_z + (b * H + h) * K;
            for (int64_t j = 0; j < S && !wf_flag(l, "causal"); j++)
                attend(io, NULL, k + ((b * S + j) * H + h) * K, v + ((b * S + j) * H + h) * V, s, z, NULL);
            for (int64_t t = 0; t < T; t++) {
                int64_t at = (b * T + t) * H + h;
                attend(io, q + at * K, wf_flag(l, "causal") ? k + at * K : NULL, v + at * V, s, z, o + at * V);
            }
        }
    io->y = naive_linear(io, "o", o, io->batch * T);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5, \"value_dim\": 3",
                                    "\"heads\": 1, \"key_dim\": 7", "\"heads\": 4, \"value_dim\": 9", NULL};
static const char *const features[] = {"",
                                       "\"feature\": \"relu\", \"eps\": 0.3",
                                       "\"feature\": \"elu1\"",
                                       "\"feature\": \"relu2\", \"eps\": 0.3",
                                       "\"feature\": \"softplus\"",
                                       "\"feature\": \"exp\"",
                                       "\"feature\": \"sigmoid\", \"eps\": 0.1",
                                       "\"feature\": \"identity\", \"normalise\": false",
                                       "\"feature\": \"silu\", \"normalise\": false",
                                       "\"feature\": \"elu1\", \"normalise\": false",
                                       "\"feature\": \"relu\", \"normalise\": false",
                                       NULL};
static const char *const scales[] = {"", "\"scale\": 0.3", NULL};
static const char *const order[] = {"\"causal\": true", "", "\"causal\": false, \"memory_dim\": 7 @memory",
                                    "\"causal\": true @state", NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", "\"bias\": [\"k\"]",
                                     "\"bias\": [\"o\", \"v\"]", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, features, scales, order, biases, masks, rows, NULL};
const naive_row naive_linear_attention = {"linear_attention", run, axes, 100};
