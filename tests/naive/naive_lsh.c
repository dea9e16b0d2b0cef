/* khat = q / sqrt(mean(q^2) + 1e-6) / sqrt(K) or q / |q|; count(i,j): pairs of entries of i and j in chunks that meet; z =
 * scale q.khat + ln count, without j = i; a row left empty sees itself. Buckets are constants of the backward. */
#include "naive/naive.h"
#include <string.h>

typedef struct hashing {
    int64_t *entry, *bucket, n, rows, rounds; /* entry[e]: round*T + row; bucket by round*T + row */
} hashing;

static int64_t bucket_of(naive_io *io, const double *q, int64_t h, int64_t round) {
    const wf_layer *l = io->layer;
    const wf_value *v = wf_get(l, "buckets"), *items = v->type == WF_LIST ? v->items : v;
    int64_t count = v->type == WF_LIST ? (int64_t)v->count : 1, columns = 0, bucket = 0, weight = 1, column = 0,
            K = wf_int(l, "key_dim"), R = wf_int(l, "rounds");
    const double *rotations = naive_weight(io, "rotations");
    for (int64_t f = 0; f < count; f++)
        columns += items[f].integer / 2;
    for (int64_t f = 0; f < count; f++) {
        int64_t half = items[f].integer / 2, best = 0;
        double most = -INFINITY;
        for (int64_t c = 0; c < 2 * half; c++) {
            double r = 0.0;
            for (int64_t d = 0; d < K; d++)
                r += q[d] *
                     rotations[(((wf_flag(l, "shared_rotations") ? 0 : h) * K + d) * R + round) * columns + column + c % half];
            r = c < half ? r : -r;
            if (r > most) {
                most = r;
                best = c;
            }
        }
        bucket += weight * best;
        weight *= items[f].integer;
        column += half;
    }
    return (int64_t)naive_constant(io, (double)bucket);
}

static hashing hash(naive_io *io, const double *q, int64_t b, int64_t h) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, R = wf_int(l, "rounds"), H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), n = R * T;
    hashing s = {(int64_t *)(void *)naive_zeros(io, n), (int64_t *)(void *)naive_zeros(io, n), n, T, R};
    for (int64_t e = 0; e < n; e++) {
        int64_t bucket = bucket_of(io, q + ((b * T + e % T) * H + h) * K, h, e / T), at = e;
        s.bucket[e] = naive_real(io->mask, b * T + e % T) ? bucket : INT32_MAX;
        for (; at > e / T * T && s.bucket[s.entry[at - 1]] > s.bucket[e]; at--)
            s.entry[at] = s.entry[at - 1];
        s.entry[at] = e;
    }
    return s;
}

static double *counts(naive_io *io, const hashing *s) {
    const wf_layer *l = io->layer;
    int64_t C = wf_int(l, "chunk"), chunks = (s->n + C - 1) / C;
    double *count = naive_zeros(io, s->rows * s->rows);
    for (int64_t e = 0; e < s->n; e++)
        for (int64_t f = 0; f < s->n; f++)
            for (int64_t o = -wf_int(l, "before"); o <= wf_int(l, "after"); o++) {
                int64_t x = s->entry[e], y = s->entry[f];
                bool same = x / s->rows == y / s->rows && s->bucket[x] == s->bucket[y];
                if (((e / C + o) % chunks + chunks) % chunks == f / C && (same || wf_flag(l, "across_buckets")))
                    count[x % s->rows * s->rows + y % s->rows] += 1.0;
            }
    return count;
}

static void attend(naive_io *io, const double *q, const double *k, const double *v, int64_t b, int64_t h, double *out) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double *z = naive_zeros(io, T), *count = NULL;
    if (T > wf_int(l, "chunk") || wf_flag(l, "always_hash")) {
        hashing s = hash(io, q, b, h);
        count = counts(io, &s);
    }
    for (int64_t i = 0; i < T; i++) {
        bool empty = true;
        for (int64_t j = 0; j < T; j++) {
            double n = count ? count[i * T + j] : 1.0;
            n = wf_flag(l, "duplicates") ? n : fmin(n, 1.0);
            bool seen = n > 0.0 && j != i && naive_real(io->mask, b * T + j) && (!wf_flag(l, "causal") || j <= i);
            z[j] = seen ? wf_float(l, "scale") * naive_dot(q + ((b * T + i) * H + h) * K, k + ((b * T + j) * H + h) * K, K) +
                              log(n)
                        : -INFINITY;
            empty &= !seen;
        }
        z[i] = empty ? 0.0 : -INFINITY;
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            for (int64_t c = 0; c < V; c++)
                out[((b * T + i) * H + h) * V + c] += z[j] * v[((b * T + j) * H + h) * V + c];
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double *q = naive_linear(io, "qk", io->x, rows), *v = naive_linear(io, "v", io->x, rows),
           *k = naive_zeros(io, rows * H * K), *out = naive_zeros(io, rows * H * V);
    bool rms = strcmp(wf_string(l, "key_norm"), "rms") == 0;
    for (int64_t i = 0; i < rows * H; i++) {
        double square = naive_dot(q + i * K, q + i * K, K),
               norm = rms ? sqrt(square / (double)K + 1e-6) * sqrt((double)K) : fmax(sqrt(square), 1e-12);
        for (int64_t c = 0; c < K; c++)
            k[i * K + c] = q[i * K + c] / norm;
    }
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t h = 0; h < H; h++)
            attend(io, q, k, v, b, h, out);
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5, \"value_dim\": 3",
                                    "\"heads\": 1, \"key_dim\": 8", NULL};
static const char *const hashes[] = {"\"buckets\": 4", "\"buckets\": [2, 4], \"rounds\": 2", "\"buckets\": 6, \"rounds\": 3",
                                     "\"buckets\": [2], \"rounds\": 2", NULL};
static const char *const chunks[] = {"\"chunk\": 3 @rows 12",
                                     "\"chunk\": 4, \"after\": 1 @rows 16",
                                     "\"chunk\": 12, \"before\": 0 @rows 36",
                                     "\"chunk\": 20",
                                     "\"chunk\": 20, \"always_hash\": true @rows 7",
                                     "\"chunk\": 2, \"before\": 2, \"after\": 2 @rows 8",
                                     NULL};
static const char *const order[] = {"", "\"causal\": true", NULL};
static const char *const norms[] = {"", "\"key_norm\": \"l2\", \"scale\": 2.0",
                                    "\"key_norm\": \"rms\", \"shared_rotations\": true", NULL};
static const char *const counting[] = {"", "\"duplicates\": false", "\"across_buckets\": false",
                                       "\"across_buckets\": false, \"duplicates\": false", NULL};
static const char *const biases[] = {"", "\"bias\": true", "\"bias\": [\"qk\", \"v\"]", "\"bias\": false", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", NULL};
static const naive_axis axes[] = {sizes, hashes, chunks, order, norms, counting, biases, inputs, NULL};
const naive_row naive_lsh = {"lsh", run, axes, 60, true};
