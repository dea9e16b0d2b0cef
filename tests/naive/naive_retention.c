/* rotate q, k; k *= K^-1/2; S_t = gamma S_{t-1} + k_t v_t^T, o_t = S_t^T q_t, gamma_h = 1 - 2^(-5-h); row factors; y = Lin(o,
 * act(gate) * rms(o)). */
#include "naive/naive.h"
#include <string.h>

/* linspace: interleaved pairs, angle t * 10000^(-p/(K/2-1)); rope: half pairs, t * 10000^(-2p/K). */
static void turn(const naive_io *io, double *x) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), pairs = K / 2;
    bool rope = strcmp(wf_string(l, "rotation"), "rope") == 0;
    for (int64_t i = 0; i < io->batch * io->rows * H; i++)
        for (int64_t p = 0; p < pairs; p++) {
            double power = rope ? 2.0 * (double)p / (double)K : p == 0 ? 0.0 : (double)p / (double)(pairs - 1);
            double angle = (double)(io->start + i / H % io->rows) * pow(10000.0, -power);
            double *a = x + i * K + (rope ? p : 2 * p), *b = rope ? a + pairs : a + 1, first = *a;
            *a = first * cos(angle) - *b * sin(angle);
            *b = *b * cos(angle) + first * sin(angle);
        }
}

/* What o_t is divided by. */
static double row_factor(naive_io *io, double gamma, int64_t t, const double *q, const double *z) {
    const char *kind = wf_string(io->layer, "row_norm");
    double n = 0.0, sum = 0.0;
    if (strcmp(kind, "none") == 0)
        return 1.0;
    for (int64_t j = 0; j <= io->start + t; j++)
        n += pow(gamma, (double)j);
    if (strcmp(kind, "decay") == 0)
        return sqrt(n);
    for (int64_t i = 0; i < wf_int(io->layer, "key_dim"); i++)
        sum += q[i] * z[i];
    return naive_constant(io, sqrt(n) * fmax(1.0, fabs(sum / sqrt(n))));
}

typedef struct tensors { /* [B,T,H,K or V]; the states [B,H,K,V] and [B,H,K] */
    double *q, *k, *v, *o, *s, *z;
} tensors;

static void sequence(naive_io *io, const tensors *all, int64_t b, int64_t h) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double *q = all->q, *k = all->k, *v = all->v, *o = all->o, *s = all->s + (b * H + h) * K * V, *z = all->z + (b * H + h) * K;
    double gamma = 1.0 - pow(2.0, -5.0 - (double)h);
    for (int64_t t = 0; t < T; t++) {
        int64_t at = (b * T + t) * H + h;
        for (int64_t i = 0; i < K; i++) {
            z[i] = gamma * z[i] + k[at * K + i];
            for (int64_t c = 0; c < V; c++) {
                s[i * V + c] = gamma * s[i * V + c] + k[at * K + i] * v[at * V + c];
                o[at * V + c] += s[i * V + c] * q[at * K + i];
            }
        }
        double factor = row_factor(io, gamma, t, q + at * K, z);
        for (int64_t c = 0; c < V; c++)
            o[at * V + c] /= factor;
        naive_rms(o + at * V, V, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"));
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double *gate = naive_linear(io, "gate", io->x, rows);
    tensors all = {.q = naive_linear(io, "q", io->x, rows),
                   .k = naive_linear(io, "k", io->x, rows),
                   .v = naive_linear(io, "v", io->x, rows),
                   .o = naive_zeros(io, rows * H * V),
                   .s = naive_state(io, "s", H * K * V),
                   .z = naive_state(io, "z", H * K)};
    turn(io, all.q);
    turn(io, all.k);
    for (int64_t i = 0; i < rows * H * K; i++)
        all.k[i] = naive_real(io->mask, i / (H * K)) ? all.k[i] / sqrt((double)K) : 0.0;
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t h = 0; h < H; h++)
            sequence(io, &all, b, h);
    for (int64_t i = 0; i < rows * H * V; i++)
        all.o[i] *= naive_activation(wf_string(l, "gate"), gate[i]);
    io->y = naive_linear(io, "o", all.o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"value_dim\": 5", "\"heads\": 1, \"key_dim\": 2",
                                    "\"heads\": 5, \"key_dim\": 6, \"value_dim\": 3", NULL};
static const char *const rotations[] = {"", "\"rotation\": \"rope\"", NULL};
static const char *const norms[] = {"", "\"row_norm\": \"clamped_sum\"", "\"row_norm\": \"none\"", "\"row_norm\": \"decay\"",
                                    NULL};
static const char *const gates[] = {"", "\"gate\": \"sigmoid\"", NULL};
static const char *const affine[] = {"\"norm_affine\": true", "", NULL};
static const char *const eps[] = {"\"norm_eps\": 0.01", "\"norm_eps\": 0.3", "", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@start 9", "@state", "@start 5 @state", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, rotations, norms, gates, affine, eps, masks, states, rows, NULL};
const naive_row naive_retention = {"retention", run, axes, 100};
