/* Rows i, f, g, o: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c). */
#include "naive/naive_rnn.h"

void naive_lstm_cell(const wf_layer *l, const double *ih, const double *hh, const double *bias, double *h, double *c,
                     int64_t n) {
    double gate[4][64];
    (void)l;
    for (int64_t r = 0; r < 4 * n; r++)
        gate[r / n][r % n] = ih[r] + naive_recurrent(hh, bias, r, h, n);
    for (int64_t i = 0; i < n; i++) {
        c[i] = naive_sigmoid(gate[1][i]) * c[i] + naive_sigmoid(gate[0][i]) * tanh(gate[2][i]);
        h[i] = naive_sigmoid(gate[3][i]) * tanh(c[i]);
    }
}

static void run(naive_io *io) { naive_rnn(io, naive_lstm_cell, 4); }

static const char *const sizes[] = {"\"hidden\": 7", "", "\"hidden\": 1", "\"hidden\": 19", NULL};
static const char *const layers[] = {"", "\"layers\": 2", "\"layers\": 3", NULL};
static const char *const directions[] = {"", "\"bidirectional\": true", NULL};
static const char *const biases[] = {"", "\"bias\": false", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, layers, directions, biases, masks, states, rows, NULL};
const naive_row naive_lstm = {"lstm", run, axes, 60};
