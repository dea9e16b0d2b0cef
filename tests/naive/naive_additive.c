/* e_j = v.tanh(score.q h + score.k m_j (+ score.b)); a = softmax(e); c = sum a_j m_j; h = cell([x | c], h), a gru or lstm; a
 * readout. */
#include "naive/naive_rnn.h"
#include <string.h>

static double product(const double *w, int64_t row, const double *x, int64_t n) { return naive_dot(w + row * n, x, n); }

static void first(naive_io *io, int64_t b, double *h) {
    int64_t n = wf_int(io->layer, "hidden"), half = wf_int(io->layer, "memory_dim") / 2;
    for (int64_t i = 0; i < n && !io->state_in[0] && strcmp(wf_string(io->layer, "init"), "backward") == 0; i++)
        h[i] = tanh(product(naive_weight(io, "init.weight"), i, io->memory + b * io->memory_rows * 2 * half + half, half) +
                    naive_weight(io, "init.bias")[i]);
}

static void scores(const naive_io *io, int64_t b, const double *h, double *e) {
    const wf_layer *l = io->layer;
    int64_t S = io->memory_rows, M = wf_int(l, "memory_dim"), U = wf_int(l, "units");
    const double *v = naive_weight(io, "score.v"), *bias = naive_weight(io, "score.b"), *g = naive_weight(io, "score.g");
    for (int64_t j = 0; j < S; j++) {
        e[j] = naive_real(io->memory_mask, b * S + j) ? 0.0 : -INFINITY;
        for (int64_t u = 0; u < U; u++)
            e[j] +=
                v[u] * (g ? g[0] / sqrt(naive_dot(v, v, U)) : 1.0) *
                tanh(product(naive_weight(io, "score.q.weight"), u, h, wf_int(l, "hidden")) +
                     product(naive_weight(io, "score.k.weight"), u, io->memory + (b * S + j) * M, M) + (bias ? bias[u] : 0.0));
    }
    naive_softmax(e, S);
}

static void read_out(naive_io *io, const double *before, const double *after, const double *x, const double *c, double *y) {
    const wf_layer *l = io->layer;
    int64_t n = wf_int(l, "hidden"), D = wf_int(l, "dim"), M = wf_int(l, "memory_dim"), out = wf_int(l, "out"), at = 0;
    const char *kind = wf_string(l, "readout");
    bool maxout = strcmp(kind, "maxout") == 0;
    const double *w = naive_weight(io, "o.weight"), *bias = naive_weight(io, "o.bias"),
                 *state = maxout && strcmp(wf_string(l, "readout_state"), "previous") == 0 ? before : after;
    double in[256], u[2];
    memcpy(in, state, (size_t)n * sizeof *in);
    at = n;
    if (maxout)
        memcpy(in + at, x, (size_t)D * sizeof *in);
    at += maxout ? D : 0;
    memcpy(in + at, c, (size_t)M * sizeof *in);
    at += M;
    for (int64_t k = 0; k < out; k++) {
        for (int64_t i = 0; i < (maxout ? 2 : 1) && w; i++)
            u[i] = product(w, maxout ? 2 * k + i : k, in, at) + bias[maxout ? 2 * k + i : k];
        y[k] = strcmp(kind, "none") == 0 ? after[k] : maxout ? fmax(u[0], u[1]) : u[0];
    }
}

static void step(naive_io *io, int64_t b, int64_t t, double *h, double *cell) {
    const wf_layer *l = io->layer;
    int64_t n = wf_int(l, "hidden"), D = wf_int(l, "dim"), M = wf_int(l, "memory_dim"), S = io->memory_rows;
    int64_t gates = naive_width(io, "cell.ih.weight");
    double *e = io->attention + (b * io->rows + t) * S, before[64], in[256] = {0}, ih[256];
    const double *x = io->x + (b * io->rows + t) * D;
    scores(io, b, h, e);
    memcpy(before, h, (size_t)n * sizeof *h);
    memcpy(in, x, (size_t)D * sizeof *in);
    for (int64_t j = 0; j < S; j++)
        for (int64_t c = 0; c < M; c++)
            in[D + c] += e[j] * io->memory[(b * S + j) * M + c];
    for (int64_t r = 0; r < gates; r++)
        ih[r] = product(naive_weight(io, "cell.ih.weight"), r, in, D + M) + naive_weight(io, "cell.ih.bias")[r];
    naive_cell *one = cell ? naive_lstm_cell : naive_gru_cell;
    one(l, ih, naive_weight(io, "cell.hh.weight"), naive_weight(io, "cell.hh.bias"), h, cell, n);
    read_out(io, before, h, x, in + D, io->y + (b * io->rows + t) * io->width);
}

static void run(naive_io *io) {
    int64_t n = wf_int(io->layer, "hidden");
    double *h = naive_state(io, "h", n),
           *c = strcmp(wf_string(io->layer, "cell"), "lstm") == 0 ? naive_state(io, "c", n) : NULL;
    io->width = wf_int(io->layer, "out");
    io->y = naive_zeros(io, io->batch * io->rows * io->width);
    io->attention = naive_zeros(io, io->batch * io->rows * io->memory_rows);
    for (int64_t b = 0; b < io->batch; b++) {
        first(io, b, h + b * n);
        for (int64_t t = 0; t < io->rows; t++)
            step(io, b, t, h + b * n, c ? c + b * n : NULL);
    }
}

static const char *const sizes[] = {"\"memory_dim\": 6 @memory", "\"hidden\": 7, \"memory_dim\": 10, \"units\": 5 @memory",
                                    "@memory", NULL};
static const char *const inits[] = {"", "\"init\": \"backward\"", "\"init\": \"backward\" @state", "@state", NULL};
static const char *const cells[] = {"", "\"cell\": \"lstm\"", "\"cell\": \"lstm\", \"side\": true", NULL};
static const char *const norms[] = {"", "\"normed\": true", NULL};
static const char *const resets[] = {"", "\"reset\": \"before\"", NULL};
static const char *const readouts[] = {"",
                                       "\"readout\": \"maxout\"",
                                       "\"readout\": \"maxout\", \"readout_state\": \"current\", \"out\": 5",
                                       "\"readout\": \"none\"",
                                       "\"readout\": \"linear\", \"out\": 9",
                                       NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask all", NULL};
static const char *const rows[] = {"@rows 5", "@rows 1", "", NULL};
static const naive_axis axes[] = {sizes, inits, cells, norms, resets, readouts, inputs, rows, NULL};
const naive_row naive_additive = {"additive", run, axes, 40, false};
