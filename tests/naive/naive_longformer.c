/* Local rows see their band and the global rows by the local projections; global rows see all by the others; padding rows
 * nothing. */
#include "naive/naive.h"

static bool global(const naive_io *io, int64_t b, int64_t i) {
    return wf_flag(io->layer, "globals") && io->global_mask && io->global_mask[b * io->rows + i] &&
           naive_real(io->mask, b * io->rows + i);
}

static double local(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    const wf_value *window = wf_get(io->layer, "window"), *dilation = wf_get(io->layer, "dilation");
    int64_t d = dilation->type == WF_NULL ? 1 : dilation->items[h].integer;
    bool band = j - i >= -window->items[0].integer * d && j - i <= window->items[1].integer * d && (j - i) % d == 0;
    bool asks = naive_real(io->mask, b * io->rows + i) && !global(io, b, i);
    return asks && (band || global(io, b, j)) && naive_sees(io, b, i, j) ? 0.0 : -INFINITY;
}

static double everything(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j) {
    (void)h;
    return global(io, b, i) && naive_sees(io, b, i, j) ? 0.0 : -INFINITY;
}

static void run(naive_io *io) {
    int64_t rows = io->batch * io->rows, width = wf_int(io->layer, "heads") * wf_int(io->layer, "value_dim");
    double scale = 1.0 / sqrt((double)wf_int(io->layer, "key_dim"));
    double *o = naive_attend(io, naive_linear(io, "q", io->x, rows), naive_linear(io, "k", io->x, rows),
                             naive_linear(io, "v", io->x, rows), scale, local);
    if (wf_flag(io->layer, "globals")) {
        double *all = naive_attend(io, naive_linear(io, "q_global", io->x, rows), naive_linear(io, "k_global", io->x, rows),
                                   naive_linear(io, "v_global", io->x, rows), scale, everything);
        for (int64_t i = 0; i < rows * width; i++)
            o[i] += all[i];
    }
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(io->layer, "dim");
}

static const char *const sizes[] = {"\"heads\": 3, \"dilation\": [1, 2, 4]", "\"heads\": 4, \"kv_heads\": 2, \"value_dim\": 5",
                                    "\"heads\": 1, \"key_dim\": 8, \"dilation\": [3]", "\"heads\": 2", NULL};
static const char *const windows[] = {"\"window\": [2, 2]", "\"window\": [3, 0]", "\"window\": [0, 1]", "\"window\": [40, 50]",
                                      NULL};
static const char *const order[] = {"", "\"causal\": true", NULL};
static const char *const globals[] = {"@global", "", "\"globals\": false", "\"globals\": true @global", NULL};
static const char *const biases[] = {"", "\"bias\": []", "\"bias\": [\"k\", \"o\"]", NULL};
static const char *const inputs[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", "@rows 16", "@rows 67", NULL};
static const naive_axis axes[] = {sizes, windows, order, globals, biases, inputs, rows, NULL};
const naive_row naive_longformer = {"longformer", run, axes, 80};
