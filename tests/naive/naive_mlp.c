/* y = Lin(down, act(Lin(up, x))). */
#include "naive/naive.h"

static double one(const naive_io *io, const char *name) { return *naive_weight(io, name); }

/* Huang & Schlag 2024, eq. 8, with learned a_p and a_n. */
static double xielu(const naive_io *io, double x) {
    double beta = one(io, "xielu.beta"), a_p = log1p(exp(one(io, "xielu.alpha_p"))),
           a_n = beta + log1p(exp(one(io, "xielu.alpha_n")));
    return x > 0.0 ? a_p * x * x + beta * x : a_n * (expm1(fmin(x, one(io, "xielu.eps"))) - x) + beta * x;
}

static void run(naive_io *io) {
    int64_t rows = io->batch * io->rows, hidden = wf_int(io->layer, "hidden");
    double *h = naive_linear(io, "up", io->x, rows);
    bool learned = wf_is(io->layer, "activation", "xielu");
    for (int64_t i = 0; i < rows * hidden; i++)
        h[i] = learned ? xielu(io, h[i]) : naive_activation(wf_string(io->layer, "activation"), h[i]);
    io->y = naive_linear(io, "down", h, rows);
    io->width = wf_int(io->layer, "dim");
}

static const char *const widths[] = {"\"hidden\": 9", "\"hidden\": 33", "\"hidden\": 1", NULL};
static const char *const activations[] = {"",
                                          "\"activation\": \"relu\"",
                                          "\"activation\": \"gelu\"",
                                          "\"activation\": \"gelu_tanh\"",
                                          "\"activation\": \"quick_gelu\"",
                                          "\"activation\": \"silu\"",
                                          "\"activation\": \"relu2\"",
                                          "\"activation\": \"sigmoid\"",
                                          "\"activation\": \"tanh\"",
                                          "\"activation\": \"identity\"",
                                          "\"activation\": \"relu6\"",
                                          "\"activation\": \"leaky_relu\"",
                                          "\"activation\": \"hardswish\"",
                                          "\"activation\": \"mish\"",
                                          "\"activation\": \"gelu_10\"",
                                          "\"activation\": \"laplace\"",
                                          "\"activation\": \"sqrtsoftplus\"",
                                          "\"activation\": \"xielu\"",
                                          NULL};
static const char *const biases[] = {"\"bias\": true", "", NULL};
static const char *const chunks[] = {"", "\"chunk\": 3", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {widths, activations, biases, chunks, rows, NULL};
const naive_row naive_mlp = {"mlp", run, axes, 60};

static const char *const pieces[] = {"\"up_groups\": 2", "\"down_groups\": 2", "\"up_groups\": 2, \"down_groups\": 2", NULL};
static const char *const even_widths[] = {"\"hidden\": 6", "\"hidden\": 20", NULL};
static const naive_axis group_axes[] = {even_widths, pieces, biases, NULL};
const naive_row naive_mlp_groups = {"mlp", run, group_axes, 6};
