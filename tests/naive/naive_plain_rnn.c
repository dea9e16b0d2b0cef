/* h = act(Lin(ih, x) + hh h + b), act tanh or relu; a padding step leaves the state alone and outputs 0. */
#include <string.h>
#include "naive/naive_rnn.h"

static void cell(const wf_layer *l, const double *ih, const double *hh, const double *bias, double *h, double *c, int64_t n) {
    double next[64];
    (void)c;
    for (int64_t r = 0; r < n; r++)
        next[r] = naive_activation(wf_string(l, "activation"), ih[r] + naive_recurrent(hh, bias, r, h, n));
    memcpy(h, next, (size_t)n * sizeof *h);
}

static void run(naive_io *io) { naive_rnn(io, cell, 1); }

static const char *const sizes[] = {"\"hidden\": 7", "", "\"hidden\": 1", "\"hidden\": 19", NULL};
static const char *const layers[] = {"", "\"layers\": 2", "\"layers\": 3", NULL};
static const char *const directions[] = {"", "\"bidirectional\": true", NULL};
static const char *const options[] = {"", "\"bias\": false", "\"activation\": \"relu\"",
                                      "\"activation\": \"relu\", \"bias\": false", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, layers, directions, options, masks, states, rows, NULL};
const naive_row naive_plain_rnn = {"rnn", run, axes, 60};
