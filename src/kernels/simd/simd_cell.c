/* simd_cell.c - vector forms of the LSTM cell; gates in the order i, f, g, o. Outputs may be their own inputs (gates z, c
 * c_prev, dc_prev dc): a vector is read whole before it is written. */
#include "kernels/vec/fill.h"
#include "kernels/vec/math.h"
#include "kernels/vec/rows.h"

static void lstm_cell(float *h, float *c, float *gates, const float *z, const float *c_prev, int64_t n) {
    WF_ROW(j, m, n, vf i = vf_sigmoid(vtake(z + j, m)); vf f = vf_sigmoid(vtake(z + n + j, m));
           vf g = vf_tanh(vtake(z + 2 * n + j, m)); vf o = vf_sigmoid(vtake(z + 3 * n + j, m));
           vf cell = vf_fma(f, vtake(c_prev + j, m), i * g); vput(gates + j, i, m); vput(gates + n + j, f, m);
           vput(gates + 2 * n + j, g, m); vput(gates + 3 * n + j, o, m); vput(c + j, cell, m);
           vput(h + j, o * vf_tanh(cell), m););
}

static void lstm_cell_back(float *dz, float *dc_prev, const float *dh, const float *dc, const float *gates, const float *c,
                           const float *c_prev, int64_t n) {
    WF_ROW(j, m, n, vf i = vtake(gates + j, m); vf f = vtake(gates + n + j, m); vf g = vtake(gates + 2 * n + j, m);
           vf o = vtake(gates + 3 * n + j, m); vf squashed = vf_tanh(vtake(c + j, m)); vf up = vtake(dh + j, m);
           vf dcell = vf_fma(up * o, 1.0f - squashed * squashed, vtake(dc + j, m)); vf before = vtake(c_prev + j, m);
           vput(dc_prev + j, dcell * f, m); vput(dz + j, dcell * g * i * (1.0f - i), m);
           vput(dz + n + j, dcell * before * f * (1.0f - f), m); vput(dz + 2 * n + j, dcell * i * (1.0f - g * g), m);
           vput(dz + 3 * n + j, up * squashed * o * (1.0f - o), m););
}

WF_FILL(cell) {
    k->lstm_cell = lstm_cell;
    k->lstm_cell_back = lstm_cell_back;
}
