/* gru: b = sigmoid(Lin(z,x)), a = 1-b; lstm: f, i = sigmoid(..), a = f/(f+i), b = i/(f+i); h_t = a h_{t-1} + b
 * candidate(Lin(h,x)), padding leaves h alone; y = Lin(o,h). */
#include <string.h>
#include "naive/naive_delta.h"

static double candidate(const wf_layer *l, double t) {
    return strcmp(wf_string(l, "candidate"), "identity") == 0 ? t : t >= 0.0 ? t + 0.5 : naive_sigmoid(t);
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, n = wf_int(l, "hidden");
    bool gru = strcmp(wf_string(l, "cell"), "gru") == 0;
    double *c = naive_linear(io, "h", io->x, rows), *forget = naive_linear(io, gru ? "z" : "f", io->x, rows),
           *in = gru ? NULL : naive_linear(io, "i", io->x, rows);
    double *h = naive_state(io, "h", n), *y = naive_zeros(io, rows * n);
    for (int64_t at = 0; at < rows * n; at++) {
        double *state = h + at / n / T * n + at % n, f = naive_sigmoid(forget[at]), i = gru ? 0.0 : naive_sigmoid(in[at]);
        double a = gru ? 1.0 - f : f / (f + i), b = gru ? f : i / (f + i);
        y[at] = *state = naive_real(io->mask, at / n) ? a * *state + b * candidate(l, c[at]) : *state;
    }
    io->y = naive_linear(io, "o", y, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"", "\"hidden\": 17", "\"hidden\": 5", NULL};
static const char *const cells[] = {"", "\"cell\": \"lstm\"", NULL};
static const char *const candidates[] = {"", "\"candidate\": \"positive\"", NULL};
static const naive_axis axes[] = {sizes, cells, candidates, naive_left_right, naive_carried, naive_lengths, NULL};
const naive_row naive_minrnn = {"minrnn", run, axes, 40};
