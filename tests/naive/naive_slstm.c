/* pre-activations Lin(n,x) + R_n h per head; f~ = logsigmoid(f), m' = max(f~ + m, i) (first token without state: i, old state
 * ignored), c = e^{f~+m-m'} c + e^{i-m'} tanh(z), n alike with 1, h = sigmoid(og) c/n; y = Lin(o, layernorm per head (h) *
 * norm). Padding holds the states. */
#include <stdio.h>
#include <string.h>
#include "naive/naive_delta.h"

static void token(naive_io *io, double *const pre[4], int64_t row, double *const state[4], bool first, double *y) {
    const wf_layer *l = io->layer;
    int64_t W = wf_int(l, "hidden"), d = W / wf_int(l, "heads");
    static const char *const names[] = {"i.recurrent", "f.recurrent", "z.recurrent", "og.recurrent"};
    for (int g = 0; g < 4; g++)
        for (int64_t j = 0; j < W; j++)
            for (int64_t k = 0; k < d; k++)
                pre[g][row * W + j] += naive_weight(io, names[g])[j * d + k] * state[0][j / d * d + k];
    for (int64_t j = 0; j < W; j++) {
        double i = pre[0][row * W + j], f = naive_log_sigmoid(pre[1][row * W + j]), m = first ? i : fmax(f + state[3][j], i);
        double keep = first ? 0.0 : exp(f + state[3][j] - m), in = exp(i - m);
        state[1][j] = keep * state[1][j] + in * tanh(pre[2][row * W + j]);
        state[2][j] = keep * state[2][j] + in;
        state[3][j] = m;
        state[0][j] = y[row * W + j] = naive_sigmoid(pre[3][row * W + j]) * state[1][j] / state[2][j];
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, W = wf_int(l, "hidden"), H = wf_int(l, "heads");
    static const char *const gates[] = {"i", "f", "z", "og"}, *const names[] = {"h", "c", "n", "m"};
    double *pre[4], *all[4], *y = naive_zeros(io, rows * W);
    for (int i = 0; i < 4; i++) {
        pre[i] = naive_linear(io, gates[i], io->x, rows);
        all[i] = naive_state(io, names[i], W);
    }
    for (int64_t b = 0; b < io->batch; b++) {
        double *state[4] = {all[0] + b * W, all[1] + b * W, all[2] + b * W, all[3] + b * W};
        bool first = !io->state_in[0];
        for (int64_t t = 0; t < T; t++) {
            if (!naive_real(io->mask, b * T + t))
                continue;
            token(io, pre, b * T + t, state, first, y);
            first = false;
        }
    }
    naive_layer_norm(y, rows * W, W / H, wf_float(l, "norm_eps"), naive_weight(io, "norm.weight"), NULL, H);
    io->y = naive_linear(io, "o", y, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"hidden\": 10, \"heads\": 2", "\"hidden\": 7",
                                    "\"heads\": 4, \"hidden\": 20", NULL};
static const char *const norms[] = {"\"norm_eps\": 0.01", "\"norm_eps\": 0.1", "\"norm_eps\": 0.003", NULL};
static const naive_axis axes[] = {sizes, norms, naive_left_right, naive_lengths, NULL};
const naive_row naive_slstm = {"slstm", run, axes, 30};
