/* y = scale * Lin(down, norm(act(gate_scale * Lin(gate, x)) * Lin(up, x))), the norm where there is one; low rank: gate.high
 * low and up.high low are added to the weights of gate and up. */
#include "naive/naive.h"

static void run(naive_io *io) {
    int64_t rows = io->batch * io->rows, hidden = naive_width(io, "up.weight");
    double *gate = naive_linear(io, "gate", io->x, rows), *h = naive_linear(io, "up", io->x, rows);
    const double *low = wf_given(io->layer, "low_rank") ? naive_linear(io, "low", io->x, rows) : NULL;
    const double *to_gate = low ? naive_linear(io, "gate.high", low, rows) : NULL,
                 *to_up = low ? naive_linear(io, "up.high", low, rows) : NULL;
    for (int64_t i = 0; low && i < rows * hidden; i++) {
        gate[i] += to_gate[i];
        h[i] += to_up[i];
    }
    for (int64_t i = 0; i < rows * hidden; i++)
        h[i] *= naive_activation(wf_string(io->layer, "activation"), wf_float(io->layer, "gate_scale") * gate[i]);
    for (int64_t i = 0; wf_given(io->layer, "norm") && i < rows; i++)
        naive_rms(h + i * hidden, hidden, wf_json_double(wf_get(io->layer, "norm")->object, "eps", 1e-6),
                  naive_weight(io, "norm.weight"));
    io->y = naive_linear(io, "down", h, rows);
    io->width = naive_width(io, "down.weight");
    for (int64_t i = 0; i < rows * io->width; i++)
        io->y[i] *= wf_float(io->layer, "scale");
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
                                          NULL};
static const char *const biases[] = {"\"bias\": true", "", "\"down_bias\": true", NULL};
static const char *const norms[] = {"", "\"norm\": {}", "\"norm\": {\"eps\": 0.1}", NULL};
static const char *const scales[] = {
    "", "\"gate_scale\": 0.7", "\"low_rank\": 2", "\"low_rank\": 3, \"gate_scale\": 1.3", "\"scale\": -1.4", NULL};
static const char *const chunks[] = {"", "\"chunk\": 3", "\"chunk\": 8", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {widths, activations, biases, norms, scales, chunks, rows, NULL};
const naive_row naive_glu = {"glu", run, axes, 40};
