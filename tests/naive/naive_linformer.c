/* k' = E^T k, v' = F^T v over the first rows of E and F, padding zeroed; y = Lin(o, softmax(q k'^T / sqrt(K)) v'). */
#include "naive/naive.h"
#include <string.h>

typedef struct place {
    int64_t b, h, j; /* sequence, head, mixture */
} place;

static void mixed(const naive_io *io, const char *weight, const double *x, int64_t width, place at, double *out) {
    const wf_layer *l = io->layer;
    int64_t b = at.b, h = at.h, j = at.j;
    int64_t L = wf_int(l, "max_len"), R = wf_int(l, "rank"), G = wf_int(l, "kv_heads"), g = h / (wf_int(l, "heads") / G);
    const double *e = naive_weight(io, weight) + (wf_flag(l, "headwise") ? h * L * R : 0);
    memset(out, 0, (size_t)width * sizeof *out);
    for (int64_t s = 0; s < io->rows; s++)
        for (int64_t c = 0; c < width && naive_real(io->mask, b * io->rows + s); c++)
            out[c] += e[s * R + j] * x[((b * io->rows + s) * G + g) * width + c];
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim"), R = wf_int(l, "rank"),
            rows = io->batch * io->rows;
    bool share = wf_flag(l, "share_kv");
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = share ? k : naive_linear(io, "v", io->x, rows);
    double *out = naive_zeros(io, rows * H * V), *z = naive_zeros(io, R), *row = naive_zeros(io, K + V);
    const char *proj_v = naive_weight(io, "proj_v") ? "proj_v" : "proj_k";
    for (int64_t i = 0; i < rows * H; i++) {
        int64_t b = i / H / io->rows, h = i % H;
        for (int64_t j = 0; j < R; j++) {
            mixed(io, "proj_k", k, K, (place){b, h, j}, row);
            z[j] = naive_dot(q + i * K, row, K) / sqrt((double)K);
        }
        naive_softmax(z, R);
        for (int64_t j = 0; j < R; j++) {
            mixed(io, proj_v, v, V, (place){b, h, j}, row);
            for (int64_t c = 0; c < V; c++)
                out[i * V + c] += z[j] * row[c];
        }
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 5",
                                    "\"heads\": 2, \"kv_heads\": 1", NULL};
static const char *const ranks[] = {"\"max_len\": 37, \"rank\": 4", "\"max_len\": 50, \"rank\": 7", NULL};
static const char *const shares[] = {"",
                                     "\"headwise\": true",
                                     "\"share_proj\": true",
                                     "\"share_kv\": true",
                                     "\"headwise\": true, \"share_kv\": true",
                                     "\"headwise\": true, \"share_proj\": true",
                                     NULL};
static const char *const biases[] = {"", "\"bias\": [\"q\", \"k\"]", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", NULL};
static const naive_axis axes[] = {sizes, ranks, shares, biases, inputs, rows, NULL};
const naive_row naive_linformer = {"linformer", run, axes, 40};
