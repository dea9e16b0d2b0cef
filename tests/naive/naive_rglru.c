/* u = conv(Lin(in,x)); per block of channels ig = sigmoid(u W_ig + b), rg = sigmoid(u W_rg + b); la = -8 rg softplus(lambda);
 * h_t = e^{la} h_{t-1} + sqrt(1 - e^{2 la}) (u ig); a token of position 0: h_t = u ig. y = Lin(o, h * gelu_tanh(Lin(gate,x))).
 */
#include "naive/naive_delta.h"
#include <stdio.h>

/* sigmoid(u W + b), W [H,d,d] used as x @ W. */
static double *gate_of(naive_io *io, const char *name, const double *u) {
    char slot[64];
    int64_t H = wf_int(io->layer, "heads"), n = wf_int(io->layer, "inner"), d = n / H, rows = io->batch * io->rows;
    double *y = naive_zeros(io, rows * n);
    snprintf(slot, sizeof slot, "%s.weight", name);
    const double *weight = naive_weight(io, slot);
    snprintf(slot, sizeof slot, "%s.bias", name);
    const double *bias = naive_weight(io, slot);
    for (int64_t i = 0; i < rows * n; i++) {
        int64_t h = i % n / d, c = i % d;
        double sum = bias[h * d + c];
        for (int64_t j = 0; j < d; j++)
            sum += u[i - c + j] * weight[(h * d + j) * d + c];
        y[i] = naive_sigmoid(sum);
    }
    return y;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, n = wf_int(l, "inner");
    const double *u = naive_convolve(io, "conv", naive_linear(io, "in", io->x, rows), n, false),
                 *gate = naive_linear(io, "gate", io->x, rows);
    const double *ig = gate_of(io, "input_gate", u), *rg = gate_of(io, "recurrence_gate", u);
    double *h = naive_state(io, "h", n), *y = naive_zeros(io, rows * n);
    bool carried = io->state_in[0] != NULL;
    for (int64_t i = 0; i < rows * n; i++) {
        int64_t row = i / n, c = i % n;
        double la = -8.0 * rg[i] * naive_activation("softplus", naive_weight(io, "lambda")[c]), *state = h + row / T * n + c;
        bool reset = io->positions ? io->positions[row] == 0 : row % T == 0 && io->start == 0 && !carried;
        *state = reset ? u[i] * ig[i] : exp(la) * *state + sqrt(1.0 - exp(2.0 * la)) * (u[i] * ig[i]);
        y[i] = *state * naive_activation("gelu_tanh", gate[i]);
    }
    io->y = naive_linear(io, "o", y, rows);
    io->width = wf_int(l, "dim");
}

static const char *const sizes[] = {"\"heads\": 3", "\"heads\": 2, \"inner\": 10", "\"inner\": 7",
                                    "\"heads\": 4, \"inner\": 20", NULL};
static const char *const convs[] = {"", "\"conv\": 3", "\"conv\": 1", "\"conv\": 2", NULL};
static const char *const inputs[] = {"", "@state", "@positions", "@state @positions", NULL};
static const naive_axis axes[] = {sizes, convs, inputs, naive_lengths, NULL};
const naive_row naive_rglru = {"rglru", run, axes, 40};
