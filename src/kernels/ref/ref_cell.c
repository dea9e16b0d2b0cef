/* ref_cell.c - the LSTM cell (Hochreiter & Schmidhuber 1997, with forget gate), gates in the order i, f, g, o. */
#include <math.h>
#include "kernels/ref/ref.h"

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

void wf_ref_lstm_cell(float *h, float *c, float *gates, const float *z, const float *c_prev, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double i = sigmoid(z[j]), f = sigmoid(z[n + j]), g = tanh(z[2 * n + j]), o = sigmoid(z[3 * n + j]);
        double cell = f * c_prev[j] + i * g;
        gates[j] = (float)i;
        gates[n + j] = (float)f;
        gates[2 * n + j] = (float)g;
        gates[3 * n + j] = (float)o;
        c[j] = (float)cell;
        h[j] = (float)(o * tanh(cell));
    }
}

/* dh, dc: gradients of h and of c from later; dc_prev goes to the step before. */
void wf_ref_lstm_cell_back(float *dz, float *dc_prev, const float *dh, const float *dc, const float *gates, const float *c,
                           const float *c_prev, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        double i = gates[j], f = gates[n + j], g = gates[2 * n + j], o = gates[3 * n + j], squashed = tanh(c[j]);
        double dcell = dc[j] + dh[j] * o * (1 - squashed * squashed);
        double dforget = dcell * c_prev[j] * f * (1 - f), doutput = dh[j] * squashed * o * (1 - o);
        dc_prev[j] = (float)(dcell * f);
        dz[j] = (float)(dcell * g * i * (1 - i));
        dz[n + j] = (float)dforget;
        dz[2 * n + j] = (float)(dcell * i * (1 - g * g));
        dz[3 * n + j] = (float)doutput;
    }
}
