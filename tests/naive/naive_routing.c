/* Each cluster takes the rows whose normed queries and keys are nearest to it; softmax inside; the mean of what a row's
 * clusters give. Local heads come first. The choice of rows is a constant of the backward. */
#include "naive/naive.h"
#include <string.h>

static int64_t local_heads(const naive_io *io) { return wf_int(io->layer, "local_heads"); }

static void local(naive_io *io, double *out) {
    const wf_layer *l = io->layer;
    int64_t L = local_heads(io), H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), T = io->rows, rows = io->batch * T,
            C = wf_int(l, "local_chunk"), radius = wf_int(l, "local_radius");
    int64_t after = wf_flag(l, "causal") ? 0 : radius;
    double *q = naive_linear(io, "local.q", io->x, rows), *k = naive_linear(io, "local.k", io->x, rows),
           *v = naive_linear(io, "local.v", io->x, rows), *z = naive_zeros(io, T);
    for (int64_t i = 0; i < rows * L; i++) {
        naive_rope(q + i * K, K, 10000.0, true, (double)(i / L % T + after * C));
        naive_rope(k + i * K, K, 10000.0, true, (double)(i / L % T));
    }
    for (int64_t i = 0; i < rows * L; i++) {
        int64_t row = i / L, b = row / T, t = row % T, h = i % L;
        for (int64_t j = 0; j < T; j++) {
            bool near = j / C >= t / C - radius && j / C <= t / C + after && (!wf_flag(l, "causal") || j <= t);
            z[j] = near && naive_real(io->mask, b * T + j)
                       ? naive_dot(q + i * K, k + ((b * T + j) * L + h) * K, K) / sqrt((double)K)
                       : -INFINITY;
        }
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            for (int64_t c = 0; c < K; c++)
                out[(row * H + h) * K + c] += z[j] * v[((b * T + j) * L + h) * K + c];
    }
}

typedef struct group {            /* one cluster of one head of one sequence */
    int64_t b, h, c, take, heads; /* heads: routed */
    int64_t *q, *k;               /* rows taken */
} group;

static int64_t *choose(naive_io *io, const double *x, const group *g) {
    int64_t T = io->rows, K = wf_int(io->layer, "key_dim"), *rows = (int64_t *)(void *)naive_zeros(io, g->take);
    const double *mu = naive_weight(io, "centroids") + (g->h * wf_int(io->layer, "clusters") + g->c) * K;
    double *similar = naive_zeros(io, T);
    for (int64_t t = 0; t < T; t++) {
        const double *u = x + ((g->b * T + t) * g->heads + g->h) * K;
        similar[t] = naive_dot(u, mu, K) / fmax(sqrt(naive_dot(u, u, K)), 1e-12);
    }
    for (int64_t i = 0; i < g->take; i++) {
        int64_t best = 0;
        for (int64_t t = 1; t < T; t++)
            best = similar[t] > similar[best] ? t : best;
        similar[best] = -INFINITY;
        rows[i] = (int64_t)naive_constant(io, (double)best);
    }
    return rows;
}

/* Scores of query i of the group against its memory slots and keys; true when one is allowed. */
static bool scores(const naive_io *io, const group *g, const double *q, const double *k, int64_t i, double *z) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, K = wf_int(l, "key_dim"), M = wf_int(l, "memory_slots");
    const double *qi = q + ((g->b * T + g->q[i]) * g->heads + g->h) * K;
    bool some = M > 0, shared = wf_flag(l, "shared_qk");
    for (int64_t m = 0; m < M; m++)
        z[m] =
            naive_dot(qi, naive_weight(io, "mem_k") + ((g->h * wf_int(l, "clusters") + g->c) * M + m) * K, K) / sqrt((double)K);
    for (int64_t j = 0; j < g->take; j++) {
        const double *kj = k + ((g->b * T + g->k[j]) * g->heads + g->h) * K;
        double norm = shared ? fmax(sqrt(naive_dot(kj, kj, K)), 1e-12) : 1.0;
        bool seen = naive_real(io->mask, g->b * T + g->q[i]) && naive_real(io->mask, g->b * T + g->k[j]) &&
                    (!wf_flag(l, "causal") || g->k[j] <= g->q[i]);
        z[M + j] = shared && g->q[i] == g->k[j] ? -5e4 : seen ? naive_dot(qi, kj, K) / norm / sqrt((double)K) : -INFINITY;
        some |= z[M + j] > -INFINITY;
    }
    return some;
}

static void attend(naive_io *io, const group *g, const double *q, const double *k, const double *v, double *sum,
                   double *count) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, K = wf_int(l, "key_dim"), M = wf_int(l, "memory_slots");
    double *z = naive_zeros(io, M + g->take);
    for (int64_t i = 0; i < g->take; i++) {
        if (!scores(io, g, q, k, i, z))
            memset(z, 0, (size_t)(M + g->take) * sizeof *z);
        naive_softmax(z, M + g->take);
        int64_t at = (g->b * T + g->q[i]) * g->heads + g->h;
        count[at] += 1.0;
        for (int64_t j = 0; j < M + g->take; j++) {
            const double *value = j < M ? naive_weight(io, "mem_v") + ((g->h * wf_int(l, "clusters") + g->c) * M + j) * K
                                        : v + ((g->b * T + g->k[j - M]) * g->heads + g->h) * K;
            for (int64_t c = 0; c < K; c++)
                sum[at * K + c] += z[j] * value[c];
        }
    }
}

static void routed(naive_io *io, double *out) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), R = H - local_heads(io), K = wf_int(l, "key_dim"), T = io->rows, rows = io->batch * T;
    int64_t take = wf_int(l, "window") < T ? wf_int(l, "window") : T;
    double *q = naive_linear(io, "q", io->x, rows), *v = naive_linear(io, "v", io->x, rows),
           *k = wf_flag(l, "shared_qk") ? q : naive_linear(io, "k", io->x, rows);
    double *sum = naive_zeros(io, rows * R * K), *count = naive_zeros(io, rows * R);
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t h = 0; h < R; h++)
            for (int64_t c = 0; c < wf_int(l, "clusters"); c++) {
                group g = {.b = b, .h = h, .c = c, .take = take, .heads = R};
                g.q = choose(io, q, &g);
                g.k = choose(io, k, &g);
                attend(io, &g, q, k, v, sum, count);
            }
    for (int64_t i = 0; i < rows * R * K; i++)
        out[(i / (R * K) * H + local_heads(io)) * K + i % (R * K)] = sum[i] / (count[i / K] + 1e-5);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads");
    double *out = naive_zeros(io, rows * H * wf_int(l, "key_dim"));
    if (local_heads(io) > 0)
        local(io, out);
    if (local_heads(io) < H)
        routed(io, out);
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 6, \"local_heads\": 1, \"local_chunk\": 3",
                                    "\"heads\": 3, \"local_heads\": 2, \"local_radius\": 2, \"local_chunk\": 2, \"key_dim\": 4",
                                    "\"heads\": 2, \"local_heads\": 2, \"local_chunk\": 4", NULL};
static const char *const clusters[] = {"\"clusters\": 3, \"window\": 4", "\"clusters\": 1, \"window\": 70",
                                       "\"clusters\": 4, \"window\": 3", NULL};
static const char *const order[] = {"", "\"causal\": true", NULL};
static const char *const shared[] = {"", "\"shared_qk\": true", NULL};
static const char *const memory[] = {"", "\"memory_slots\": 2", "", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 24", NULL};
static const naive_axis axes[] = {sizes, clusters, order, shared, memory, inputs, rows, NULL};
const naive_row naive_routing = {.mixer = "routing", .run = run, .axes = axes, .cases = 40, .chooses = true};
