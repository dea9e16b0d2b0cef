/* Keys are the rows of the window and one per block: rms(the sum of the block's rows). Row i is of block min(i / block, full -
 * 1), full the number of blocks whose last row is no padding. */
#include <string.h>
#include "naive/naive.h"

static int64_t block_of(const naive_io *io, int64_t b, int64_t i) {
    int64_t size = wf_int(io->layer, "block"), full = 0;
    for (int64_t e = size - 1; e < io->rows; e += size)
        full += naive_real(io->mask, b * io->rows + e);
    return !naive_real(io->mask, b * io->rows + i) ? -1 : i / size < full ? i / size : full - 1;
}

static int64_t bucket(int64_t d, const wf_json *t5) {
    int64_t count = wf_json_int(t5, "buckets", 32), most = wf_json_int(t5, "max_distance", 128), base = 0;
    if (wf_json_bool(t5, "bidirectional", true)) {
        count /= 2;
        base = d > 0 ? count : 0;
        d = d < 0 ? -d : d;
    } else {
        d = d < 0 ? -d : 0;
    }
    int64_t exact = count / 2;
    double far = d < exact ? 0.0 : log((double)d / (double)exact) / log((double)most / (double)exact) * (double)(count - exact);
    int64_t place = d < exact ? d : exact + (int64_t)far;
    return base + (place < count - 1 ? place : count - 1);
}

static double bias(const naive_io *io, const char *table, int64_t d, int64_t h) {
    const double *rows = naive_weight(io, table);
    return rows ? rows[bucket(d, wf_get(io->layer, "t5_bias")->object) * wf_int(io->layer, "heads") + h] : 0.0;
}

/* [B, T + count, dim]: the rows of a sequence, then those of its blocks. */
static double *with_blocks(naive_io *io, int64_t count) {
    int64_t n = wf_int(io->layer, "dim"), all = io->rows + count;
    double *x = naive_zeros(io, io->batch * all * n);
    for (int64_t b = 0; b < io->batch; b++) {
        memcpy(x + b * all * n, io->x + b * io->rows * n, (size_t)(io->rows * n) * sizeof *x);
        for (int64_t i = 0; i < io->rows; i++)
            for (int64_t c = 0; block_of(io, b, i) >= 0 && c < n; c++)
                x[(b * all + io->rows + block_of(io, b, i)) * n + c] += io->x[(b * io->rows + i) * n + c];
        for (int64_t g = 0; g < count; g++)
            naive_rms(x + (b * all + io->rows + g) * n, n, wf_float(io->layer, "norm_eps"),
                      naive_weight(io, "global_norm.weight"));
    }
    return x;
}

static double extra(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    const wf_value *window = wf_get(io->layer, "window");
    int64_t last = -1;
    if (j < io->rows)
        return naive_real(io->mask, b * io->rows + j) && i - j <= window->items[0].integer && j - i <= window->items[1].integer
                   ? bias(io, "rel_bias.weight", j - i, h)
                   : -INFINITY;
    for (int64_t e = 0; e < io->rows; e++)
        last = block_of(io, b, e) > last ? block_of(io, b, e) : last;
    return j - io->rows <= last ? bias(io, "global_bias.weight", j - io->rows - block_of(io, b, i), h) : -INFINITY;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, count = T / wf_int(l, "block"), S = T + count, H = wf_int(l, "heads"), G = wf_int(l, "kv_heads");
    int64_t K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    const double *x = with_blocks(io, count), *q = naive_linear(io, "q", io->x, io->batch * T),
                 *k = naive_linear(io, "k", x, io->batch * S), *v = naive_linear(io, "v", x, io->batch * S);
    double *z = naive_zeros(io, S), *o = naive_zeros(io, io->batch * T * H * V);
    for (int64_t e = 0; e < io->batch * T * H; e++) {
        int64_t b = e / H / T, i = e / H % T, h = e % H, g = h / (H / G);
        for (int64_t j = 0; j < S; j++)
            z[j] = wf_float(l, "scale") * naive_dot(q + e * K, k + ((b * S + j) * G + g) * K, K) + extra(io, b, h, i, j);
        naive_softmax(z, S);
        for (int64_t j = 0; j < S; j++)
            for (int64_t c = 0; c < V; c++)
                o[e * V + c] += z[j] * v[((b * S + j) * G + g) * V + c];
    }
    io->y = naive_linear(io, "o", o, io->batch * T);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 8, \"scale\": 1.0", NULL};
static const char *const windows[] = {"\"window\": [2, 2]", "\"window\": [0, 3]", "\"window\": [40, 50]", NULL};
static const char *const blocks[] = {"\"block\": 4", "\"block\": 1", "\"block\": 3", "\"block\": 20", NULL};
static const char *const tables[] = {"", "\"t5_bias\": {\"buckets\": 8, \"max_distance\": 9}",
                                     "\"t5_bias\": {\"buckets\": 7, \"max_distance\": 13, \"bidirectional\": false}", NULL};
static const char *const more[] = {"", "\"bias\": [\"q\", \"o\"]", "\"norm_eps\": 0.1", "\"bias\": [\"k\", \"v\"]", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", "@rows 67", NULL};
static const naive_axis axes[] = {sizes, windows, blocks, tables, more, inputs, rows, NULL};
const naive_row naive_transient_global = {"transient_global", run, axes, 60};
