/* Every part of the keys: o_p = softmax(z) v over its keys alone, l_p = ln sum e^z; L = ln sum_p e^{l_p}; o = sum_p e^{l_p - L}
 * o_p. */
#include "naive/naive.h"
#include <string.h>

static int64_t part_of(const naive_io *io, int64_t j) {
    int64_t parts = wf_int(io->layer, "parts");
    return wf_is(io->layer, "order", "striped") ? j % parts : ((j + 1) * parts - 1) / io->rows;
}

typedef struct rows { /* of one head: row i at x + i * step */
    const double *q, *k, *v;
    int64_t q_step, k_step, v_step;
} rows;

/* Adds e^{l_p} o_p (V numbers) and returns e^{l_p}. */
static double add_part(const naive_io *io, const rows *r, int64_t b, int64_t i, int64_t part, double *sum) {
    int64_t K = wf_int(io->layer, "key_dim"), V = wf_int(io->layer, "value_dim");
    double total = 0.0;
    for (int64_t j = 0; j < io->rows; j++) {
        if (part_of(io, j) != part || !naive_sees(io, b, i, j))
            continue;
        double e = exp(wf_float(io->layer, "scale") * naive_dot(r->q + i * r->q_step, r->k + j * r->k_step, K));
        total += e;
        for (int64_t c = 0; c < V; c++)
            sum[c] += e * r->v[j * r->v_step + c];
    }
    return total;
}

static void turn(naive_io *io, double *x, int64_t heads) {
    const wf_json *rope = wf_given(io->layer, "rope") ? wf_get(io->layer, "rope")->object : NULL;
    int64_t K = wf_int(io->layer, "key_dim");
    for (int64_t i = 0; rope && i < io->batch * io->rows * heads; i++)
        naive_rope(x + i * K, wf_json_int(rope, "dim", K), wf_json_double(rope, "theta", 10000.0),
                   strcmp(wf_json_text(rope, "pairing", "half"), "half") == 0, naive_position(io, i / heads));
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t n = io->batch * io->rows, H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), K = wf_int(l, "key_dim"),
            V = wf_int(l, "value_dim");
    double *q = naive_linear(io, "q", io->x, n), *k = naive_linear(io, "k", io->x, n), *v = naive_linear(io, "v", io->x, n),
           *o = naive_zeros(io, n * H * V);
    turn(io, q, H);
    turn(io, k, G);
    for (int64_t at = 0; at < n * H; at++) {
        int64_t b = at / H / io->rows, i = at / H % io->rows, h = at % H, g = h / (H / G), first = b * io->rows;
        rows r = {q + (first * H + h) * K, k + (first * G + g) * K, v + (first * G + g) * V, H * K, G * K, G * V};
        double total = 0.0;
        for (int64_t part = 0; part < wf_int(l, "parts"); part++)
            total += add_part(io, &r, b, i, part, o + at * V);
        for (int64_t c = 0; total > 0.0 && c < V; c++)
            o[at * V + c] /= total;
    }
    io->y = naive_linear(io, "o", o, n);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 8, \"scale\": 0.9", NULL};
static const char *const cuts[] = {
    "", "\"parts\": 1", "\"parts\": 3, \"order\": \"striped\"", "\"parts\": 7", "\"parts\": 50, \"order\": \"striped\"", NULL};
static const char *const order[] = {"", "\"causal\": true", NULL};
static const char *const more[] = {"", "\"rope\": {}", "\"rope\": {\"theta\": 100.0, \"dim\": 2} @positions",
                                   "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", NULL};
static const char *const inputs[] = {"",        "@mask left",           "@mask right",      "@mask middle",       "@rows 1",
                                     "@rows 5", "@rows 70 @mask right", "@prefix @rows 70", "@prefix @mask left", NULL};
static const naive_axis axes[] = {sizes, cuts, order, more, inputs, NULL};
const naive_row naive_ring = {"ring", run, axes, 40};
