/* y = sum of scale * (rms(b) * branch_norm, or b), b = branch(in_scale * x). */
#include "naive/naive.h"
#include <stdio.h>
#include <string.h>

static void run(naive_io *io) {
    int64_t dim = wf_int(io->layer, "dim"), rows = io->batch * io->rows;
    double *sum = naive_zeros(io, rows * dim);
    char name[32];
    for (int i = 0; i < io->layer->n_parts; i++) {
        const wf_json *branch = wf_get(io->layer, "branches")->items[i].object, *norm = wf_json_get(branch, "norm");
        double *x = naive_zeros(io, rows * dim);
        for (int64_t e = 0; e < rows * dim; e++)
            x[e] = wf_json_double(branch, "in_scale", 1.0) * io->x[e];
        double *y = naive_part(io, i, x);
        snprintf(name, sizeof name, "%d.branch_norm.weight", i);
        for (int64_t r = 0; norm && r < rows; r++)
            naive_rms(y + r * dim, dim, wf_json_double(norm, "eps", 1e-6), naive_weight(io, name));
        for (int64_t e = 0; e < rows * dim; e++)
            sum[e] += wf_json_double(branch, "scale", 1.0) * y[e];
    }
    io->y = sum;
    io->width = dim;
}

#define ATTENTION(options)                                                                                                     \
    "{\"mixer\": \"attention\", \"spec\": {\"heads\": 3" options "}, \"norm\": {\"eps\": 0.02}, \"scale\": 0.7}"
static const char *const branches[] = {
    "\"branches\": [" ATTENTION(", \"causal\": true") ", {\"mixer\": \"mamba\", \"scale\": -1.3, \"in_scale\": 0.6}]",
    "\"branches\": [" ATTENTION("") "]",
    "\"branches\": [{\"mixer\": \"mamba\", \"norm\": {}}, {\"mixer\": \"retention\", \"spec\": {\"heads\": 3}}, " ATTENTION(
        ", \"window\": [2, 0]") "]",
    NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 16", NULL};
static const naive_axis axes[] = {branches, inputs, rows, NULL};
const naive_row naive_parallel = {"parallel", run, axes, 12};
