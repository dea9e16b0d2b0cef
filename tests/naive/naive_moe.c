/* The tokens' choice: p of Lin(router, x), the k best by p + select_bias, y = sum_k g_k expert_k(x) + shared. */
#include <assert.h>
#include <string.h>
#include "naive/naive.h"
#include "naive/naive_experts.h"

static bool is(const naive_io *io, const char *key, const char *word) { return strcmp(wf_string(io->layer, key), word) == 0; }

static int64_t largest(const double *v, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

/* Softmax over those with in[e]. */
static void softmax(double *p, const double *l, const bool *in, int64_t n) {
    double most = -INFINITY, sum = 0.0;
    for (int64_t e = 0; e < n; e++)
        most = in[e] ? fmax(most, l[e]) : most;
    for (int64_t e = 0; e < n; e++)
        sum += p[e] = in[e] ? exp(l[e] - most) : 0.0;
    for (int64_t e = 0; e < n; e++)
        p[e] /= sum;
}

static void exclude(const naive_io *io, double *c, int64_t E) {
    if (!wf_given(io->layer, "groups"))
        return;
    int64_t n = wf_int(io->layer, "groups"), top = wf_given(io->layer, "top_groups") ? wf_int(io->layer, "top_groups") : n,
            size = E / n, better;
    double score[64];
    bool out[64];
    for (int64_t g = 0; g < n; g++) {
        double first = -INFINITY, second = -INFINITY;
        for (int64_t e = g * size; e < (g + 1) * size; e++) {
            second = fmax(second, fmin(first, c[e]));
            first = fmax(first, c[e]);
        }
        score[g] = is(io, "group_score", "max") || size == 1 ? first : first + second;
    }
    for (int64_t g = 0; g < n; g++) {
        better = 0;
        for (int64_t h = 0; h < n; h++)
            better += score[h] > score[g];
        out[g] = better >= top;
    }
    for (int64_t e = 0; e < E; e++)
        c[e] = out[e / size] ? -INFINITY : c[e];
}

/* The choices and weights of one token. A choice is a constant of the backward. */
static void choose(naive_io *io, const double *l, int64_t *index, double *g) {
    const wf_layer *y = io->layer;
    int64_t E = wf_int(y, "experts"), k = wf_int(y, "top_k");
    const double *bias = naive_weight(io, "router.select_bias");
    bool sparse = is(io, "router", "sparsemixer"), sigmoid = is(io, "router", "sigmoid"), in[64] = {false};
    double p[64], c[64], norm = sigmoid ? 1e-20 : 0.0;
    for (int64_t e = 0; e < E; e++)
        in[e] = true;
    softmax(p, l, in, E);
    for (int64_t e = 0; e < E; e++) {
        p[e] = sigmoid ? naive_sigmoid(l[e]) : p[e];
        c[e] = (sparse ? l[e] : p[e]) + (bias ? bias[e] : 0.0);
    }
    if (!sparse)
        exclude(io, c, E);
    for (int64_t j = 0; j < k; j++) {
        index[j] = (int64_t)naive_constant(io, (double)largest(c, E));
        if (sparse) {
            bool near[64];
            for (int64_t e = 0; e < E; e++) {
                double top = l[index[j]], below = (top - l[e]) / fmax(fabs(l[e]), top);
                near[e] = naive_constant(io, in[e] && !(below > 2.0 * wf_float(y, "sparse_jitter")) ? 1.0 : 0.0) != 0.0;
            }
            softmax(p, l, near, E);
        }
        g[j] = p[index[j]];
        in[index[j]] = false;
        c[index[j]] = -INFINITY;
        norm += pow(g[j], wf_float(y, "normalise_order"));
    }
    norm = fmax(pow(norm, 1.0 / wf_float(y, "normalise_order")), wf_float(y, "normalise_min"));
    for (int64_t j = 0; j < k; j++)
        g[j] *= wf_float(y, "scale") / (wf_flag(y, "normalise") ? norm : 1.0);
}

/* Drops what is beyond the capacity: by choice, then by position. */
static void drop(naive_io *io, const int64_t *index, double *g) {
    const wf_layer *l = io->layer;
    int64_t E = wf_int(l, "experts"), k = wf_int(l, "top_k"), T = io->rows;
    if (!wf_given(l, "capacity"))
        return;
    double *used = k == 1 ? naive_state(io, "used", E) : naive_zeros(io, io->batch * E);
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t j = 0; j < k; j++)
            for (int64_t t = 0; t < T; t++) {
                int64_t at = (b * T + t) * k + j;
                if (used[b * E + index[at]] < (double)wf_int(l, "capacity"))
                    used[b * E + index[at]] += 1.0;
                else
                    g[at] = 0.0;
            }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim"), k = wf_int(l, "top_k"), E = wf_int(l, "experts"), rows = io->batch * io->rows;
    double *logits = naive_linear(io, "router", io->x, rows), *g = naive_zeros(io, rows * k), *y = naive_zeros(io, rows * dim);
    int64_t *index = (int64_t *)(void *)naive_zeros(io, rows * k);
    const double *bias = naive_weight(io, "bias");
    for (int64_t n = 0; n < rows; n++)
        choose(io, logits + n * E, index + n * k, g + n * k);
    drop(io, index, g);
    for (int64_t n = 0; n < rows; n++) {
        for (int64_t j = 0; j < k; j++)
            if (g[n * k + j] != 0.0)
                naive_expert(io, index[n * k + j], io->x + n * dim, is(io, "weigh", "input") ? g[n * k + j] : 1.0,
                             is(io, "weigh", "input") ? 1.0 : g[n * k + j], y + n * dim);
        for (int64_t i = 0; bias && i < dim; i++)
            y[n * dim + i] += bias[i];
    }
    if (wf_given(l, "shared"))
        naive_shared_expert(io, rows, y);
    io->y = y;
    io->width = dim;
}

static const char *const sizes[] = {"\"hidden\": 9, \"experts\": 4",
                                    "\"hidden\": 5, \"experts\": 6, \"top_k\": 3",
                                    "\"hidden\": 16, \"experts\": 6, \"top_k\": 1",
                                    "\"hidden\": 7, \"experts\": 1",
                                    "\"hidden\": 4, \"experts\": 12, \"top_k\": 4",
                                    NULL};
static const char *const routers[] = {"", "\"router\": \"sigmoid\"", "\"router\": \"sparsemixer\", \"sparse_jitter\": 0.3",
                                      NULL};
static const char *const forms[] = {"", "\"gated\": false, \"activation\": \"relu\"", "\"activation\": \"gelu\"",
                                    "\"gated\": false, \"activation\": \"gelu_tanh\"", NULL};
static const char *const norms[] = {"",
                                    "\"normalise\": true",
                                    "\"normalise\": true, \"scale\": 2.5",
                                    "\"normalise\": true, \"normalise_order\": 2.0",
                                    "\"normalise\": true, \"normalise_min\": 0.6",
                                    NULL};
static const char *const biases[] = {"", "\"bias\": true, \"router_bias\": true", "\"select_bias\": true", "\"out_bias\": true",
                                     NULL};
static const char *const shares[] = {"", "\"shared\": 10", "\"shared\": 3, \"shared_gate\": true",
                                     "\"shared\": 4, \"shared_bias\": true", NULL};
static const char *const clamps[] = {"", "\"limit\": 0.7, \"alpha\": 1.3, \"up_shift\": 1.0", "\"limit\": 0.55",
                                     "\"alpha\": 2.0", NULL};
static const char *const weighs[] = {"", "\"weigh\": \"input\"", NULL};
static const char *const capacities[] = {"", "", "\"capacity\": 3", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, routers, forms, norms, biases, shares, clamps, weighs, capacities, rows, NULL};
const naive_row naive_moe = {"moe", run, axes, 80};

static const char *const groups[] = {"\"experts\": 8, \"groups\": 4, \"top_groups\": 2, \"top_k\": 3",
                                     "\"experts\": 6, \"groups\": 3, \"top_k\": 2",
                                     "\"experts\": 8, \"groups\": 2, \"top_groups\": 1, \"group_score\": \"max\", \"top_k\": 3",
                                     "\"experts\": 6, \"groups\": 6, \"top_groups\": 4, \"top_k\": 2", NULL};
static const char *const states[] = {"", "\"top_k\": 1, \"capacity\": 4 @state", NULL};
static const naive_axis group_axes[] = {groups, forms, norms, biases, routers, NULL};
const naive_row naive_moe_groups = {"moe", run, group_axes, 30};
static const naive_axis state_axes[] = {states, forms, rows, NULL};
const naive_row naive_moe_states = {"moe", run, state_axes, 8};
