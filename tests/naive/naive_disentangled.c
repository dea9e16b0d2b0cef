/* z_ij = scale (q_i.k_j + q_i.pk_r + k_j.pq_r), r the row of the distance i - j; p = softmax over real keys; y = Lin(o, merge(p
 * v)). */
#include <stdlib.h>
#include <string.h>
#include "naive/naive_heads.h"

static int64_t row_of(const wf_layer *l, int64_t distance) {
    int64_t buckets = wf_int(l, "buckets"), most = wf_int(l, "distance"), span = buckets > 0 ? buckets : most,
            half = buckets / 2;
    int64_t n = llabs(distance), row = n;
    if (buckets > 0 && n > half)
        row = (int64_t)ceilf(logf((float)n / (float)half) / logf((float)((double)(most - 1) / (double)half)) *
                             (float)(half - 1)) +
              half;
    row = (distance < 0 ? -row : row) + span;
    return row < 0 ? 0 : row > 2 * span - 1 ? 2 * span - 1 : row;
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static bool has_term(const wf_layer *l, const char *term) {
    const wf_value *terms = wf_get(l, "terms");
    for (size_t i = 0; i < terms->count; i++)
        if (strcmp(terms->items[i].string, term) == 0)
            return true;
    return false;
}

/* The table through a projection, [rows, heads*width]; NULL when there is no such term. */
static double *projected(naive_io *io, const char *term, const char *own, const char *shared) {
    const wf_layer *l = io->layer;
    const double *table = naive_weight(io, "table.weight");
    if (!has_term(l, term))
        return NULL;
    int64_t rows = naive_width(io, "table.weight"), dim = wf_int(l, "dim");
    double *copy = naive_zeros(io, rows * dim);
    memcpy(copy, table, (size_t)(rows * dim) * sizeof *copy);
    if (wf_given(l, "norm"))
        naive_layer_norm(copy, rows * dim, dim, wf_json_double(wf_get(l, "norm")->object, "eps", 1e-7),
                         naive_weight(io, "norm.weight"), naive_weight(io, "norm.bias"), 1);
    return naive_linear(io, wf_flag(l, "shared") ? shared : own, copy, rows);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), W = H * K, rows = io->batch * T;
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = naive_linear(io, "v", io->x, rows);
    double *pk = projected(io, "c2p", "pk", "k"), *pq = projected(io, "p2c", "pq", "q"), *out = naive_zeros(io, rows * W);
    io->attention = naive_zeros(io, io->batch * H * T * T);
    for (int64_t n = 0; n < io->batch * H * T; n++) {
        int64_t b = n / (H * T), h = n / T % H, i = n % T;
        const double *qi = q + (b * T + i) * W + h * K;
        double *p = io->attention + n * T, most = -INFINITY, sum = 0.0;
        for (int64_t j = 0; j < T; j++) {
            const double *kj = k + (b * T + j) * W + h * K;
            int64_t at = row_of(l, i - j) * W + h * K;
            double z = dot(qi, kj, K) + (pk ? dot(qi, pk + at, K) : 0.0) + (pq ? dot(kj, pq + at, K) : 0.0);
            p[j] = naive_real(io->mask, b * T + j) ? z * wf_float(l, "scale") : -INFINITY;
            most = fmax(most, p[j]);
        }
        for (int64_t j = 0; j < T; j++)
            sum += p[j] = p[j] > -INFINITY ? exp(p[j] - most) : 0.0;
        for (int64_t j = 0; j < T && sum > 0.0; j++) {
            p[j] /= sum;
            for (int64_t c = 0; c < K; c++)
                out[(b * T + i) * W + h * K + c] += p[j] * v[(b * T + j) * W + h * K + c];
        }
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", "\"heads\": 1", NULL};
static const char *const terms[] = {
    "", "\"terms\": [\"c2p\"]", "\"terms\": [\"p2c\"]", "\"terms\": []", "\"terms\": [\"p2c\", \"c2p\"]", NULL};
static const char *const distances[] = {"\"distance\": 12", "\"distance\": 5", "\"distance\": 24, \"buckets\": 6",
                                        "\"distance\": 9, \"buckets\": 4", NULL};
static const char *const sharing[] = {"", "\"shared\": true", NULL};
static const char *const norms[] = {"", "\"norm\": {}", "\"norm\": {\"eps\": 0.1}", NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"k\", \"v\", \"o\", \"pk\", \"pq\"]",
                                     "\"bias\": [\"q\", \"v\", \"pq\"]", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const scales[] = {"", "\"scale\": 0.4", NULL};
static const naive_axis axes[] = {heads, terms, distances, sharing, norms, biases, masks, scales, NULL};
const naive_row naive_disentangled = {"disentangled", run, axes, 40};
