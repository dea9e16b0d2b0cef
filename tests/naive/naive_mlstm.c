/* i~ = c tanh(Lin(i,x)/c), f~ = logsigmoid(c tanh(Lin(f,x)/c)); m' = max(f~ + m, i~); F = e^{f~+m-m'}, I = e^{i~-m'}; S = F S +
 * I k v^T, n = F n + I k; q /= sqrt(K); h_t = S^T q / (max(|q.n|, e^{-m'}) + eps); y = Lin(o, sigmoid(Lin(gate,x)) *
 * merge(layernorm of h) * norm). */
#include "naive/naive_heads.h"

static double capped(const wf_layer *l, double x) {
    double c = wf_float(l, "gate_cap");
    return c == 0.0 ? x : c * tanh(x / c);
}

typedef struct head { /* of one sequence */
    double *s, *n, *m;
} head;

typedef struct token {
    const double *q, *k, *v;
} token;

static void step(const wf_layer *l, head *at, double in, double forget, token x, double *h) {
    const double *q = x.q, *k = x.k, *v = x.v;
    int64_t K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double m = fmax(forget + *at->m, in), F = exp(forget + *at->m - m), I = exp(in - m), qn = 0.0;
    for (int64_t i = 0; i < K; i++) {
        at->n[i] = F * at->n[i] + I * k[i];
        qn += at->n[i] * q[i] / sqrt((double)K);
        for (int64_t c = 0; c < V; c++) {
            at->s[i * V + c] = F * at->s[i * V + c] + I * k[i] * v[c];
            h[c] += at->s[i * V + c] * q[i] / sqrt((double)K);
        }
    }
    for (int64_t c = 0; c < V; c++)
        h[c] /= fmax(fabs(qn), exp(-m)) + wf_float(l, "eps");
    *at->m = m;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = naive_linear(io, "v", io->x, rows);
    double *in = naive_linear(io, "i", io->x, rows), *forget = naive_linear(io, "f", io->x, rows),
           *gate = naive_linear(io, "gate", io->x, rows);
    double *s = naive_state(io, "s", H * K * V), *n = naive_state(io, "n", H * K), *m = naive_state(io, "m", H),
           *h = naive_zeros(io, rows * H * V);
    for (int64_t r = 0; r < rows * H; r++) {
        int64_t state = r / H / T * H + r % H;
        head at = {s + state * K * V, n + state * K, m + state};
        step(l, &at, capped(l, in[r]), naive_log_sigmoid(capped(l, forget[r])), (token){q + r * K, k + r * K, v + r * V},
             h + r * V);
    }
    naive_layer_norm(h, rows * H * V, V, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"), NULL, H);
    for (int64_t i = 0; i < rows * H * V; i++)
        h[i] *= naive_sigmoid(gate[i]);
    io->y = naive_linear(io, "o", h, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1, \"key_dim\": 7",
                                    "\"heads\": 4, \"value_dim\": 9", NULL};
static const char *const caps[] = {"", "\"gate_cap\": 0.7", "\"gate_cap\": 0", NULL};
static const char *const eps[] = {"\"eps\": 0.1", "", "\"eps\": 1.0", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.1", "\"norm_eps\": 0.02", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, caps, eps, norms, states, lengths, NULL};
const naive_row naive_mlstm = {"mlstm", run, axes, 50};
