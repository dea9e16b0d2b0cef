/* Rows r, z, n: n = tanh(ih_n + r (hh_n h + b_hh_n)) (after) or tanh(ih_n + hh_n (r h) + b_hh_n) (before), h = (1-z) n + z h.
 */
#include "naive/naive_rnn.h"
#include <string.h>

void naive_gru_cell(const wf_layer *l, const double *ih, const double *hh, const double *bias, double *h, double *c,
                    int64_t n) {
    double r[64], z[64], reset[64], fresh[64];
    bool before = strcmp(wf_string(l, "reset"), "before") == 0;
    (void)c;
    for (int64_t i = 0; i < n; i++) {
        r[i] = naive_sigmoid(ih[i] + naive_recurrent(hh, bias, i, h, n));
        z[i] = naive_sigmoid(ih[n + i] + naive_recurrent(hh, bias, n + i, h, n));
        reset[i] = r[i] * h[i];
    }
    for (int64_t i = 0; i < n; i++) {
        double product = naive_recurrent(hh, bias, 2 * n + i, before ? reset : h, n);
        fresh[i] = tanh(ih[2 * n + i] + (before ? product : r[i] * product));
    }
    for (int64_t i = 0; i < n; i++)
        h[i] = (1.0 - z[i]) * fresh[i] + z[i] * h[i];
}

static void run(naive_io *io) { naive_rnn(io, naive_gru_cell, 3); }

static const char *const sizes[] = {"\"hidden\": 7", "", "\"hidden\": 1", "\"hidden\": 19", NULL};
static const char *const layers[] = {"", "\"layers\": 2", "\"layers\": 3", NULL};
static const char *const directions[] = {"", "\"bidirectional\": true", NULL};
static const char *const biases[] = {"", "\"bias\": false", NULL};
static const char *const resets[] = {"", "\"reset\": \"before\"", "\"reset\": \"after\"", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, layers, directions, biases, resets, masks, states, rows, NULL};
const naive_row naive_gru = {"gru", run, axes, 60};
