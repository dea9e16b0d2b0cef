/* u_n = x * mix_n + shifted(x) * (1 - mix_n); k, v = Lin(u_k), Lin(u_v), r = sigmoid(Lin(r, u_r)); w = -exp(decay);
 * out_t = (N_{t-1} + e^{k+first} v) / (D_{t-1} + e^{k+first}), N_t = e^w N_{t-1} + e^k v, D alike for 1; y = Lin(o, r * out). N
 * and D stand as num e^max and den e^max, max the running maximum. */
#include "naive/naive_heads.h"

static double *mixed(naive_io *io, const double *before, const char *mix) {
    int64_t dim = wf_int(io->layer, "dim"), count = io->batch * io->rows * dim;
    const double *weight = naive_weight(io, mix);
    double *u = naive_zeros(io, count);
    for (int64_t i = 0; i < count; i++)
        u[i] = io->x[i] * weight[i % dim] + before[i] * (1.0 - weight[i % dim]);
    return u;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, A = wf_int(l, "inner");
    const double *before = naive_shifted(io), *decay = naive_weight(io, "decay"), *first = naive_weight(io, "first");
    double *k = naive_linear(io, "k", mixed(io, before, "mix_k"), rows),
           *v = naive_linear(io, "v", mixed(io, before, "mix_v"), rows);
    double *r = naive_linear(io, "r", mixed(io, before, "mix_r"), rows), *out = naive_zeros(io, rows * A);
    double *num = naive_state(io, "num", A), *den = naive_state(io, "den", A), *max = naive_state(io, "max", A);
    bool fresh = true;
    for (int i = 0; i < l->n_states; i++)
        fresh &= !io->state_in[i];
    for (int64_t i = 0; fresh && i < io->batch * A; i++)
        max[i] = -1e38;
    for (int64_t i = 0; i < rows * A; i++) {
        int64_t a = i % A, at = i / A / T * A + a;
        double p = fmax(max[at], k[i] + first[a]), old = exp(max[at] - p), own = exp(k[i] + first[a] - p);
        out[i] = naive_sigmoid(r[i]) * (old * num[at] + own * v[i]) / (old * den[at] + own);
        p = fmax(max[at] - exp(decay[a]), k[i]);
        old = exp(max[at] - exp(decay[a]) - p);
        own = exp(k[i] - p);
        num[at] = old * num[at] + own * v[i];
        den[at] = old * den[at] + own;
        max[at] = p;
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"", "\"inner\": 9", "\"inner\": 70", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, lengths, NULL};
const naive_row naive_rwkv4 = {"rwkv4", run, axes, 20};
