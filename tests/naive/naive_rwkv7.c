/* u_n = x + (shifted(x) - x) mix_n; w = -e^{-1/2} sigmoid(w.up(tanh(w.down u_w))); a = sigmoid(a.up(a.down u_a)); g =
 * gate.up(sigmoid(gate.down u_g)); layer > 0: v += (v_first - v) sigmoid(vres.up(vres.down u_v)); kk = k k_k / max(|.|, 1e-12)
 * per head; k *= 1 + (a - 1) k_a; S_t = Diag(e^w) S_{t-1} + (kk a)(-kk^T S_{t-1}) + k v^T; y = Lin(o, (groupnorm(S^T r) + (sum
 * r k r_k) v) g). */
#include <stdio.h>
#include "naive/naive_delta.h"

typedef struct tensors {
    double *r, *w, *k, *v, *a, *g, *kk, *o;
} tensors; /* [B,T,H*K or V] */

static double *mixed(naive_io *io, const double *x, const double *before, const char *slot) {
    int64_t dim = wf_int(io->layer, "dim"), count = io->batch * io->rows * dim;
    double *u = naive_zeros(io, count);
    for (int64_t i = 0; i < count; i++)
        u[i] = x[i] + (before[i] - x[i]) * naive_weight(io, slot)[i % dim];
    return u;
}

static double *narrow(naive_io *io, const char *name, double *u, const char *act) {
    char slot[64];
    int64_t rows = io->batch * io->rows;
    snprintf(slot, sizeof slot, "%s.down.weight", name);
    int64_t width = naive_width(io, slot);
    snprintf(slot, sizeof slot, "%s.down", name);
    double *low = naive_linear(io, slot, u, rows);
    for (int64_t i = 0; i < rows * width; i++)
        low[i] = naive_activation(act, low[i]);
    snprintf(slot, sizeof slot, "%s.up", name);
    return naive_linear(io, slot, low, rows);
}

static tensors make(naive_io *io, const double *x, const double *before) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, dim = wf_int(l, "dim"), H = wf_int(l, "heads"), K = dim / H,
            values = H * wf_int(l, "value_dim");
    double *uv = mixed(io, x, before, "mix_v");
    tensors all = {.r = naive_linear(io, "r", mixed(io, x, before, "mix_r"), rows),
                   .k = naive_linear(io, "k", mixed(io, x, before, "mix_k"), rows),
                   .v = naive_linear(io, "v", uv, rows),
                   .w = narrow(io, "w", mixed(io, x, before, "mix_w"), "tanh"),
                   .a = narrow(io, "a", mixed(io, x, before, "mix_a"), "identity"),
                   .g = narrow(io, "gate", mixed(io, x, before, "mix_g"), "sigmoid"),
                   .kk = naive_zeros(io, rows * dim),
                   .o = naive_zeros(io, rows * values)};
    for (int64_t i = 0; i < rows * values; i++)
        all.v[i] = naive_real(io->mask, i / values) ? all.v[i] : 0.0;
    for (int64_t i = 0; i < rows * dim; i++) {
        all.w[i] = -exp(-0.5) * naive_sigmoid(all.w[i]);
        all.a[i] = naive_sigmoid(all.a[i]);
        all.kk[i] = all.k[i] * naive_weight(io, "k_k")[i % dim];
        all.k[i] *= 1.0 + (all.a[i] - 1.0) * naive_weight(io, "k_a")[i % dim];
    }
    for (int64_t h = 0; h < rows * H; h++) {
        double squares = 0.0;
        for (int64_t i = 0; i < K; i++)
            squares += all.kk[h * K + i] * all.kk[h * K + i];
        for (int64_t i = 0; i < K; i++)
            all.kk[h * K + i] /= fmax(sqrt(squares), 1e-12);
    }
    return all;
}

static void token(const tensors *all, int64_t at, int64_t K, int64_t V, double *s) {
    for (int64_t c = 0; c < V; c++) {
        double removed = 0.0;
        for (int64_t i = 0; i < K; i++)
            removed -= all->kk[at * K + i] * s[i * V + c];
        for (int64_t i = 0; i < K; i++) {
            int64_t d = at * K + i;
            s[i * V + c] = exp(all->w[d]) * s[i * V + c] + all->kk[d] * all->a[d] * removed + all->k[d] * all->v[at * V + c];
            all->o[at * V + c] += s[i * V + c] * all->r[d];
        }
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, dim = wf_int(l, "dim"), H = wf_int(l, "heads"), K = dim / H,
            V = wf_int(l, "value_dim");
    const double *given = io->x;
    io->x = naive_masked(io, given, dim);
    tensors all = make(io, io->x, naive_shifted(io));
    io->x = given;
    double *s = naive_state(io, "s", H * K * V);
    for (int64_t at = 0; at < rows * H; at++)
        token(&all, at, K, V, s + (at / H / T * H + at % H) * K * V);
    naive_layer_norm(all.o, rows * H * V, V, wf_float(l, "norm_eps") * (double)K, naive_weight(io, "norm.weight"),
                     naive_weight(io, "norm.bias"), H);
    for (int64_t at = 0; at < rows * H; at++) {
        double score = 0.0;
        for (int64_t i = 0; i < K; i++)
            score += all.r[at * K + i] * all.k[at * K + i] * naive_weight(io, "r_k")[at % H * K + i];
        for (int64_t c = at * V; c < (at + 1) * V; c++)
            all.o[c] = (all.o[c] + score * all.v[c]) * all.g[c];
    }
    io->y = naive_linear(io, "o", all.o, rows);
    io->width = dim;
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1",
                                    "\"heads\": 6, \"value_dim\": 4", NULL};
static const char *const ranks[] = {"\"ranks\": {\"w\": 3, \"a\": 2, \"gate\": 4}",
                                    "\"ranks\": {\"w\": 1, \"a\": 5, \"gate\": 2}", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.01", "\"norm_eps\": 0.1", "\"norm_eps\": 0.003", NULL};
static const char *const biases[] = {"", "\"bias\": [\"o\"]", NULL};
static const naive_axis axes[] = {heads, ranks, norms, biases, naive_left_right, naive_carried, naive_lengths, NULL};
const naive_row naive_rwkv7 = {"rwkv7", run, axes, 40};
