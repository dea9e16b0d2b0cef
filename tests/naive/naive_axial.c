/* A_m: full attention along axis m, all other coordinates fixed; their sum, or one after the other. */
#include "naive/naive.h"
#include <stdio.h>
#include <string.h>

typedef struct axis {
    int64_t inner, size;
} axis;
static axis current; /* what `pair` compares */

static double pair(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    bool line = i % current.inner == j % current.inner && i / current.inner / current.size == j / current.inner / current.size;
    (void)h;
    return line && naive_sees(io, b, i, j) ? 0.0 : -INFINITY;
}

static double *project(naive_io *io, size_t m, const char *which, const double *x) {
    char name[32];
    snprintf(name, sizeof name, "axis%zu.%s", m, which);
    return naive_linear(io, name, x, io->batch * io->rows);
}

static void run(naive_io *io) {
    const wf_value *shape = wf_get(io->layer, "shape");
    bool sum = strcmp(wf_string(io->layer, "combine"), "sum") == 0;
    int64_t dim = wf_int(io->layer, "dim"), count = io->batch * io->rows * dim;
    double scale = 1.0 / sqrt((double)wf_int(io->layer, "key_dim")), *y = naive_zeros(io, count);
    const double *x = io->x;
    for (size_t m = 0; m < shape->count; m++) {
        current = (axis){1, shape->items[m].integer};
        for (size_t n = m + 1; n < shape->count; n++)
            current.inner *= shape->items[n].integer;
        double *one = project(
            io, m, "o", naive_attend(io, project(io, m, "q", x), project(io, m, "k", x), project(io, m, "v", x), scale, pair));
        for (int64_t e = 0; e < count; e++)
            y[e] = (sum ? y[e] : 0.0) + one[e];
        x = sum ? x : one;
    }
    io->y = y;
    io->width = dim;
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 5, \"value_dim\": 4",
                                    "\"heads\": 1", NULL};
static const char *const shapes[] = {"\"shape\": [3, 4] @rows 12",
                                     "\"shape\": [11]",
                                     "\"shape\": [2, 3, 4] @rows 24",
                                     "\"shape\": [5, 2, 2, 1, 2], \"combine\": \"sum\" @rows 40",
                                     "\"shape\": [4, 3], \"combine\": \"sequential\" @rows 12",
                                     NULL};
static const char *const order[] = {"", "\"causal\": true", NULL};
static const naive_axis axes[] = {sizes, shapes, order, NULL};
const naive_row naive_axial = {"axial", run, axes, 24};
