/* count(i,j) = offsets o in -before..after with chunk(j) = chunk(i) + o; z = q.k / sqrt(K) + ln(count); with
 * `whole` z is 0 in chunks that are all padding, whose gradient stays that of q.k / sqrt(K). */
#include "naive/naive.h"
#include <string.h>

static bool all_padding(const naive_io *io, int64_t b, int64_t chunk) {
    int64_t C = wf_int(io->layer, "chunk");
    for (int64_t t = chunk * C; t < (chunk + 1) * C && t < io->rows; t++)
        if (naive_real(io->mask, b * io->rows + t))
            return false;
    return true;
}

static struct {
    naive_io *io;
    const double *q, *k;
} running; /* the case */

/* The score of two rows of a chunk that is all padding: it is taken off again, but not its gradient. */
static double vanishing(int64_t b, int64_t h, int64_t i, int64_t j) {
    naive_io *io = running.io;
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), K = wf_int(l, "key_dim"), T = io->rows;
    const double *q = running.q + ((b * T + i) * H + h) * K, *k = running.k + ((b * T + j) * G + h / (H / G)) * K;
    return naive_constant(io, naive_dot(q, k, K) / sqrt((double)K));
}

static double pair(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    const wf_layer *l = io->layer;
    int64_t C = wf_int(l, "chunk"), before = wf_int(l, "before"), after = wf_int(l, "after"), count = 0, chunks = io->rows / C;
    bool wrap = wf_flag(l, "wrap");
    for (int64_t o = -before; o <= after; o++)
        count += wrap && io->rows > C ? ((i / C + o) % chunks + chunks) % chunks == j / C : i / C + o == j / C;
    count = wrap && io->rows <= C ? 1 : count;
    bool opened = wf_flag(l, "whole") && all_padding(io, b, j / C) && (!wf_layer_causal(l) || j <= i);
    bool far = wf_flag(l, "exact") && (i - j > before * C || j - i > after * C);
    if (count <= 0 || far || !(opened || naive_sees(io, b, i, j)))
        return -INFINITY;
    return log((double)count) - (opened ? vanishing(b, h, i, j) : 0.0);
}

static void turn(naive_io *io, double *x, int64_t heads, int64_t shift, double sign) {
    const wf_layer *l = io->layer;
    const wf_json *rope = wf_given(l, "rope") ? wf_get(l, "rope")->object : NULL,
                  *xpos = wf_given(l, "xpos") ? wf_get(l, "xpos")->object : NULL;
    int64_t K = wf_int(l, "key_dim");
    for (int64_t i = 0; (rope || xpos) && i < io->batch * io->rows * heads; i++) {
        double position = (double)(i / heads % io->rows + shift), *row = x + i * K;
        bool half = strcmp(wf_json_text(rope, "pairing", "half"), "half") == 0;
        int64_t n = wf_json_int(rope, "dim", K);
        naive_rope(row, n, wf_json_double(rope, "theta", 10000.0), half, position);
        for (int64_t p = 0; xpos && p < n / 2; p++) {
            double zeta = (2.0 * (double)p + 0.4 * (double)K) / (1.4 * (double)K),
                   m = pow(zeta, sign * position / wf_json_double(xpos, "base", 0.0));
            row[half ? p : 2 * p] *= m;
            row[half ? p + n / 2 : 2 * p + 1] *= m;
        }
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t rows = io->batch * io->rows;
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = naive_linear(io, "v", io->x, rows);
    turn(io, q, wf_int(l, "heads"), wf_int(l, "after") * wf_int(l, "chunk"), 1.0);
    turn(io, k, wf_int(l, "kv_heads"), 0, -1.0);
    running.io = io;
    running.q = q;
    running.k = k;
    io->y = naive_linear(io, "o", naive_attend(io, q, k, v, 1.0 / sqrt((double)wf_int(l, "key_dim")), pair), rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 8", NULL};
static const char *const chunks[] = {"\"chunk\": 3",
                                     "\"chunk\": 4, \"before\": 2, \"after\": 0",
                                     "\"chunk\": 1, \"before\": 3, \"after\": 2",
                                     "\"chunk\": 72, \"before\": 0",
                                     "\"chunk\": 2, \"before\": 0, \"after\": 0, \"whole\": true",
                                     NULL};
static const char *const order[] = {"", "\"causal\": true", "\"causal\": true, \"exact\": true", "\"exact\": true", NULL};
static const char *const ropes[] = {"",
                                    "\"rope\": {}",
                                    "\"rope\": {\"theta\": 100.0, \"dim\": 2}",
                                    "\"xpos\": {\"base\": 20.0}",
                                    "\"xpos\": {\"base\": 20.0}, \"rope\": {\"theta\": 50.0, \"pairing\": \"interleaved\"}",
                                    NULL};
static const char *const wraps[] = {"",         "\"wrap\": true @rows 12", "@rows 1", "@rows 37", "\"wrap\": true @rows 24",
                                    "@rows 16", "\"wrap\": true @rows 72", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const naive_axis axes[] = {sizes, chunks, order, ropes, wraps, inputs, NULL};
const naive_row naive_local_chunk = {"local_chunk", run, axes, 80};
