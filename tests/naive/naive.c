/* naive.c - what the naive forms share. */
#include "naive/naive.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAIVE(name) &naive_##name,
const naive_row *const naive_rows[] = {
#include "naive/naive_rows.def"
};
#undef NAIVE
const size_t naive_row_count = sizeof naive_rows / sizeof *naive_rows;

double *naive_zeros(naive_io *io, int64_t count) {
    double *values = wf_arena_alloc(io->scratch, (size_t)(count + 1) * sizeof *values);
    if (!values)
        abort();
    memset(values, 0, (size_t)(count + 1) * sizeof *values);
    return values;
}

static int slot_index(const naive_io *io, const char *name) {
    for (size_t i = 0; i < io->layer->n_slots; i++)
        if (strcmp(io->layer->slots[i].name + io->layer->prefix, name) == 0)
            return (int)i;
    return -1;
}

const double *naive_weight(const naive_io *io, const char *name) {
    int i = slot_index(io, name);
    return i < 0 ? NULL : io->weights[i];
}

int64_t naive_width(const naive_io *io, const char *slot) {
    int i = slot_index(io, slot);
    return i < 0 ? 0 : io->layer->slots[i].dims[0];
}

/* Pieces of x through matrices of their own [groups, in, out]. */
static double *grouped_linear(naive_io *io, const double *weight, const double *bias, const int64_t *dims, const double *x,
                              int64_t rows) {
    int64_t groups = dims[0], in = dims[1], out = dims[2];
    double *y = naive_zeros(io, rows * groups * out);
    for (int64_t r = 0; r < rows * groups; r++)
        for (int64_t o = 0; o < out; o++) {
            int64_t g = r % groups;
            y[r * out + o] = bias ? bias[g * out + o] : 0.0;
            for (int64_t i = 0; i < in; i++)
                y[r * out + o] += weight[(g * in + i) * out + o] * x[r * in + i];
        }
    return y;
}

/* y += high (low x): low [rank, in], high [out, rank]. */
static void add_low_rank(const double *low, const double *high, const double *x, const int64_t sizes[4], double *y) {
    int64_t rows = sizes[0], in = sizes[1], rank = sizes[2], out = sizes[3];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < rank; k++) {
            double inner = 0.0;
            for (int64_t i = 0; i < in; i++)
                inner += low[k * in + i] * x[r * in + i];
            for (int64_t o = 0; o < out; o++)
                y[r * out + o] += high[o * rank + k] * inner;
        }
}

double *naive_linear(naive_io *io, const char *name, const double *x, int64_t rows) {
    char slot[64];
    snprintf(slot, sizeof slot, "%s.weight", name);
    int index = slot_index(io, slot);
    assert(index >= 0);
    const double *weight = io->weights[index];
    snprintf(slot, sizeof slot, "%s.bias", name);
    const double *bias = naive_weight(io, slot);
    const int64_t *dims = io->layer->slots[index].dims;
    if (io->layer->slots[index].rank == 3)
        return grouped_linear(io, weight, bias, dims, x, rows);
    int64_t out = dims[0], in = dims[1];
    double *y = naive_zeros(io, rows * out);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = bias ? bias[o] : 0.0;
            for (int64_t i = 0; i < in; i++)
                sum += weight[o * in + i] * x[r * in + i];
            y[r * out + o] = sum;
        }
    snprintf(slot, sizeof slot, "%s.low.weight", name);
    const double *low = naive_weight(io, slot);
    snprintf(slot, sizeof slot, "%s.high.weight", name);
    if (low)
        add_low_rank(low, naive_weight(io, slot), x, (int64_t[]){rows, in, wf_int(io->layer, "low_rank"), out}, y);
    return y;
}

/* Tails by erfc and the sigmoid: 1 + erf and 1 + tanh would round small values, and their derivatives, to 0. */
double naive_activation(const char *kind, double x) {
    static const double PI = 3.14159265358979323846;
    if (strcmp(kind, "relu") == 0)
        return x > 0.0 ? x : 0.0;
    if (strcmp(kind, "relu2") == 0)
        return x > 0.0 ? x * x : 0.0;
    if (strcmp(kind, "gelu") == 0)
        return 0.5 * x * erfc(-x / sqrt(2.0));
    if (strcmp(kind, "gelu_tanh") == 0)
        return x * naive_sigmoid(2.0 * sqrt(2.0 / PI) * (x + 0.044715 * x * x * x)); /* 0.5 (1 + tanh u) */
    if (strcmp(kind, "quick_gelu") == 0)
        return x * naive_sigmoid(1.702 * x);
    if (strcmp(kind, "silu") == 0)
        return x * naive_sigmoid(x);
    if (strcmp(kind, "sigmoid") == 0)
        return naive_sigmoid(x);
    if (strcmp(kind, "tanh") == 0)
        return tanh(x);
    if (strcmp(kind, "softplus") == 0)
        return log1p(exp(x));
    if (strcmp(kind, "exp") == 0)
        return exp(x);
    if (strcmp(kind, "elu1") == 0)
        return (x > 0.0 ? x : expm1(x)) + 1.0;
    if (strcmp(kind, "relu6") == 0)
        return fmin(fmax(x, 0.0), 6.0);
    if (strcmp(kind, "leaky_relu") == 0)
        return x > 0.0 ? x : 0.01 * x;
    if (strcmp(kind, "hardswish") == 0)
        return x * fmin(fmax(x + 3.0, 0.0), 6.0) / 6.0;
    if (strcmp(kind, "mish") == 0)
        return x * tanh(log1p(exp(x)));
    if (strcmp(kind, "gelu_10") == 0)
        return fmin(0.5 * x * erfc(-x / sqrt(2.0)), 10.0);
    if (strcmp(kind, "laplace") == 0)
        return 0.5 * erfc((0.707107 - x) / (0.282095 * sqrt(2.0)));
    if (strcmp(kind, "sqrtsoftplus") == 0)
        return sqrt(log1p(exp(x)));
    assert(strcmp(kind, "identity") == 0);
    return x;
}

void naive_rms(double *x, int64_t n, double eps, const double *weight) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    double root = sqrt(sum / (double)n + eps);
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] / root * (weight ? weight[i] : 1.0);
}

void naive_rope(double *x, int64_t n, double theta, bool half, double position) {
    for (int64_t p = 0; p < n / 2; p++) {
        double angle = position * pow(theta, -2.0 * (double)p / (double)n);
        double *a = x + (half ? p : 2 * p), *b = half ? a + n / 2 : a + 1, first = *a;
        *a = first * cos(angle) - *b * sin(angle);
        *b = *b * cos(angle) + first * sin(angle);
    }
}

void naive_softmax(double *z, int64_t n) {
    double most = -INFINITY, sum = 0.0;
    for (int64_t j = 0; j < n; j++)
        most = fmax(most, z[j]);
    for (int64_t j = 0; j < n; j++) {
        z[j] = z[j] > -INFINITY ? exp(z[j] - most) : 0.0;
        sum += z[j];
    }
    for (int64_t j = 0; j < n && sum > 0.0; j++)
        z[j] /= sum;
}

double *naive_part(naive_io *io, int i, const double *x) {
    const wf_layer *part = io->layer->parts[i];
    naive_io own = *io;
    own.layer = part;
    own.x = x;
    own.attention = NULL;
    own.constants += io->used;
    own.used = 0;
    for (size_t s = 0; s < part->n_slots; s++)
        own.weights[s] = io->weights[part->first_slot + s];
    for (int s = 0; s < part->n_states; s++)
        own.state_in[s] = io->state_in[part->first_state + s];
    for (size_t r = 0; r < naive_row_count; r++)
        if (strcmp(naive_rows[r]->mixer, part->row->name) == 0)
            naive_rows[r]->run(&own);
    io->used += own.used;
    for (int s = 0; s < part->n_states; s++)
        io->state_out[part->first_state + s] = own.state_out[s];
    return own.y;
}

double naive_dot(const double *a, const double *b, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

double *naive_attend(naive_io *io, const double *q, const double *k, const double *v, double scale, naive_pair pair) {
    const wf_layer *l = io->layer;
    int64_t H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim"),
            T = io->rows;
    double *z = naive_zeros(io, T), *out = naive_zeros(io, io->batch * T * H * V);
    for (int64_t i = 0; i < io->batch * T * H; i++) {
        int64_t row = i / H, b = row / T, h = i % H, g = h / (H / G);
        for (int64_t j = 0; j < T; j++)
            z[j] = scale * naive_dot(q + i * K, k + ((b * T + j) * G + g) * K, K) + pair(io, b, h, row % T, j);
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            for (int64_t c = 0; c < V; c++)
                out[i * V + c] += z[j] * v[((b * T + j) * G + g) * V + c];
    }
    return out;
}

void naive_self_attention(naive_io *io, naive_pair pair) {
    int64_t rows = io->batch * io->rows;
    const double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
                 *v = naive_linear(io, "v", io->x, rows);
    io->y = naive_linear(io, "o", naive_attend(io, q, k, v, 1.0 / sqrt((double)wf_int(io->layer, "key_dim")), pair), rows);
    io->width = wf_int(io->layer, "dim");
}

double naive_position(const naive_io *io, int64_t row) {
    return (double)(io->positions ? io->positions[row] : io->start + row % io->rows);
}

bool naive_sees(const naive_io *io, int64_t b, int64_t i, int64_t j) {
    bool same = !io->segments || io->segments[b * io->rows + i] == io->segments[b * io->rows + j];
    bool before = j <= i || (io->prefix && j < io->prefix[b]);
    return (!wf_layer_causal(io->layer) || before) && same && naive_real(io->mask, b * io->rows + j);
}

double naive_constant(naive_io *io, double value) {
    assert(io->used < NAIVE_MOST_CONSTANTS);
    if (!io->frozen)
        io->constants[io->used] = value;
    return io->constants[io->used++];
}

double *naive_state(naive_io *io, const char *name, int64_t per_sequence) {
    int64_t count = io->batch * per_sequence;
    double *values = naive_zeros(io, count);
    for (int i = 0; i < io->layer->n_states; i++) {
        if (strcmp(io->layer->states[i].row->name, name) != 0 || !io->layer->states[i].present)
            continue;
        if (io->state_in[i])
            memcpy(values, io->state_in[i], (size_t)count * sizeof *values);
        io->state_out[i] = values;
    }
    return values;
}
