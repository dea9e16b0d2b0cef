/* u_0 = x; step i reads v = u_i, or x + u_i, then beside it the rows of the first block (here x), normed where it has a norm:
 * u_{i+1} = step(rms(v) * step_norm), then times project. */
#include "naive/naive.h"
#include <stdio.h>
#include <string.h>

static double *input_of(naive_io *io, const wf_json *step, int i, const double *u) {
    int64_t dim = wf_int(io->layer, "dim"), rows = io->batch * io->rows;
    const wf_json *norm = wf_json_get(step, "norm");
    bool start = wf_json_bool(step, "start", false);
    int64_t width = start ? 2 * dim : dim;
    double *v = naive_zeros(io, rows * width);
    char name[32];
    snprintf(name, sizeof name, "%d.step_norm.weight", i);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < width; c++)
            v[r * width + c] = c >= dim ? io->x[r * dim + c - dim]
                                        : u[r * dim + c] + (wf_json_bool(step, "add", false) ? io->x[r * dim + c] : 0.0);
        if (norm)
            naive_rms(v + r * width, width, wf_json_double(norm, "eps", 1e-6), naive_weight(io, name));
    }
    return v;
}

static void run(naive_io *io) {
    int64_t dim = wf_int(io->layer, "dim"), rows = io->batch * io->rows;
    double *u = naive_zeros(io, rows * dim);
    char name[32];
    memcpy(u, io->x, (size_t)(rows * dim) * sizeof *u);
    for (int i = 0; i < io->layer->n_parts; i++) {
        const wf_json *step = wf_get(io->layer, "steps")->items[i].object;
        u = naive_part(io, i, input_of(io, step, i, u));
        snprintf(name, sizeof name, "%d.project", i);
        if (wf_json_bool(step, "project", false))
            u = naive_linear(io, name, u, rows);
    }
    io->y = u;
    io->width = dim;
}

#define ATTENTION(options) "{\"mixer\": \"attention\", \"start\": true, \"spec\": {\"heads\": 3, \"out_dim\": 12" options "}}"
static const char *const steps[] = {
    "\"steps\": [" ATTENTION(
        ", \"causal\": true") ", {\"mixer\": \"glu\", \"norm\": {\"eps\": 0.02}, \"project\": true, \"spec\": "
                              "{\"hidden\": 7}}, {\"mixer\": \"mamba\", \"norm\": {\"eps\": 0.05}, \"add\": true}]",
    "\"steps\": [" ATTENTION("") "]",
    "\"steps\": [{\"mixer\": \"retention\", \"spec\": {\"heads\": 3}, \"norm\": {}, \"project\": true}, {\"mixer\": "
    "\"mamba2\", "
    "\"spec\": {\"heads\": 2}}]",
    NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 16", NULL};
static const naive_axis axes[] = {steps, inputs, rows, NULL};
const naive_row naive_chain = {"chain", run, axes, 12};
