/* h = lstm([x | feed] or x); e_j = m_j.h, h.(W m_j) or v.tanh(W h + U m_j); a = softmax(e), near p only when local; y = feed =
 * tanh(Lin(o, [sum a_j m_j | h])). */
#include "naive/naive_rnn.h"
#include <string.h>

static double product(const double *w, int64_t row, const double *x, int64_t n) { return naive_dot(w + row * n, x, n); }

static double score(const naive_io *io, const double *h, const double *m) {
    const wf_layer *l = io->layer;
    int64_t n = wf_int(l, "hidden"), M = wf_int(l, "memory_dim");
    const double *k = naive_weight(io, "score.k.weight"), *q = naive_weight(io, "score.q.weight"),
                 *g = naive_weight(io, "score.g");
    double sum = 0.0;
    for (int64_t u = 0; q && u < wf_int(l, "units"); u++)
        sum += naive_weight(io, "score.v")[u] * tanh(product(q, u, h, n) + product(k, u, m, M));
    for (int64_t i = 0; !q && i < n; i++)
        sum += h[i] * (k ? product(k, i, m, M) : m[i]);
    return g ? g[0] * sum : sum;
}

static double position(const naive_io *io, int64_t b, int64_t t, const double *h) {
    const double *w = naive_weight(io, "position.weight");
    double sum = 0.0, real = 0.0;
    if (!w)
        return (double)(io->start + t);
    for (int64_t j = 0; j < io->memory_rows; j++)
        real += naive_real(io->memory_mask, b * io->memory_rows + j);
    for (int64_t u = 0; u < wf_int(io->layer, "units"); u++)
        sum += naive_weight(io, "position.v")[u] * tanh(product(w, u, h, wf_int(io->layer, "hidden")));
    return real * naive_sigmoid(sum);
}

static void attend(const naive_io *io, int64_t b, int64_t t, const double *h, double *a) {
    const wf_layer *l = io->layer;
    int64_t S = io->memory_rows, M = wf_int(l, "memory_dim");
    bool local = wf_given(l, "local");
    double p = position(io, b, t, h), D = (double)wf_int(l, "window");
    for (int64_t j = 0; j < S; j++) {
        bool seen = naive_real(io->memory_mask, b * S + j) && (!local || fabs((double)j - p) <= D);
        a[j] = seen ? score(io, h, io->memory + (b * S + j) * M) : -INFINITY;
    }
    naive_softmax(a, S);
    for (int64_t j = 0; j < S && local && strcmp(wf_string(l, "local"), "predictive") == 0; j++)
        a[j] *= exp(-((double)j - p) * ((double)j - p) / (2.0 * (D / 2.0) * (D / 2.0)));
}

static void step(naive_io *io, int64_t b, int64_t t, double *h, double *c, double *feed) {
    const wf_layer *l = io->layer;
    int64_t n = wf_int(l, "hidden"), D = wf_int(l, "dim"), M = wf_int(l, "memory_dim"), S = io->memory_rows,
            width = D + (wf_flag(l, "input_feeding") ? n : 0);
    double in[256] = {0}, ih[256], *a = io->attention + (b * io->rows + t) * S;
    memcpy(in, io->x + (b * io->rows + t) * D, (size_t)D * sizeof *in);
    memcpy(in + D, feed, (size_t)n * sizeof *in);
    for (int64_t r = 0; r < 4 * n; r++)
        ih[r] = product(naive_weight(io, "cell.ih.weight"), r, in, width) + naive_weight(io, "cell.ih.bias")[r];
    naive_lstm_cell(l, ih, naive_weight(io, "cell.hh.weight"), naive_weight(io, "cell.hh.bias"), h, c, n);
    attend(io, b, t, h, a);
    memset(in, 0, sizeof in);
    for (int64_t j = 0; j < S; j++)
        for (int64_t i = 0; i < M; i++)
            in[i] += a[j] * io->memory[(b * S + j) * M + i];
    memcpy(in + M, h, (size_t)n * sizeof *in);
    for (int64_t i = 0; i < n; i++)
        feed[i] = io->y[(b * io->rows + t) * n + i] = tanh(product(naive_weight(io, "o.weight"), i, in, M + n));
}

static void run(naive_io *io) {
    int64_t n = wf_int(io->layer, "hidden");
    double *h = naive_state(io, "h", n), *c = naive_state(io, "c", n), *feed = naive_state(io, "feed", n);
    io->width = n;
    io->y = naive_zeros(io, io->batch * io->rows * n);
    io->attention = naive_zeros(io, io->batch * io->rows * io->memory_rows);
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t t = 0; t < io->rows; t++)
            step(io, b, t, h + b * n, c + b * n, feed + b * n);
}

static const char *const scores[] = {"\"score\": \"dot\" @memory", "\"memory_dim\": 7 @memory",
                                     "\"score\": \"concat\", \"memory_dim\": 7, \"units\": 5 @memory",
                                     "\"hidden\": 9, \"score\": \"general\" @memory", NULL};
static const char *const feeding[] = {"", "\"input_feeding\": false", NULL};
static const char *const scaled[] = {"", "\"scaled\": true", NULL};
static const char *const local[] = {"",
                                    "\"local\": \"monotonic\", \"window\": 3",
                                    "\"local\": \"predictive\", \"window\": 40",
                                    "\"local\": \"monotonic\"",
                                    "\"local\": null",
                                    NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@state @start 2", NULL};
static const char *const rows[] = {"@rows 5", "@rows 1", "", NULL};
static const naive_axis axes[] = {scores, feeding, scaled, local, inputs, rows, NULL};
const naive_row naive_luong = {"luong", run, axes, 40, false};
