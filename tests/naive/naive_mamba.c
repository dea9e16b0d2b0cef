/* x *= mask; [u|z] = Lin(in,x); u = silu(conv(u)) * mask; [dt|B|C] = Lin(x,u), normed; dt = softplus(Lin(dt,dt)); A =
 * -exp(a_log); h_t = exp(dt_t A) h_{t-1} + (dt_t u_t) B_t^T; y = Lin(o, (h_t C_t + d u_t) * silu(z_t)). */
#include "naive/naive.h"

/* The short convolution of one sequence, u [T, 2D] (its first D channels) -> [T, D]; window [D, W-1], oldest first, moves on.
 */
static void convolve(const naive_io *io, const double *uz, double *window, double *out) {
    const double *weight = naive_weight(io, "conv.weight"), *bias = naive_weight(io, "conv.bias");
    int64_t D = wf_int(io->layer, "inner"), W = wf_int(io->layer, "conv");
    for (int64_t t = 0; t < io->rows; t++)
        for (int64_t c = 0; c < D; c++) {
            double *last = window + c * (W - 1), now = uz[t * 2 * D + c],
                   sum = (bias ? bias[c] : 0.0) + weight[c * W + W - 1] * now;
            for (int64_t w = 0; w + 1 < W; w++)
                sum += weight[c * W + w] * last[w];
            for (int64_t w = 0; w + 2 < W; w++)
                last[w] = last[w + 1];
            if (W > 1)
                last[W - 2] = now;
            out[t * D + c] = sum * naive_sigmoid(sum);
        }
}

/* Columns first.. of [rows, width], normed when the spec says so. */
static double *columns(naive_io *io, const double *x, int64_t rows, int64_t width, int64_t first, int64_t count,
                       const char *norm) {
    double *y = naive_zeros(io, rows * count);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < count; c++)
            y[r * count + c] = x[r * width + first + c];
        if (wf_flag(io->layer, "inner_norms"))
            naive_rms(y + r * count, count, wf_float(io->layer, "norm_eps"), naive_weight(io, norm));
    }
    return y;
}

/* A product per head: x [rows, H*in] -> [rows, H*out], weight [out, in], or with several heads [H, in, out]. */
static double *by_head(naive_io *io, const char *name, const double *x, int64_t rows, int64_t in, int64_t out) {
    const double *weight = naive_weight(io, name);
    int64_t H = wf_int(io->layer, "heads");
    double *y = naive_zeros(io, rows * H * out);
    for (int64_t r = 0; r < rows * H; r++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                y[r * out + o] += x[r * in + i] * (H == 1 ? weight[o * in + i] : weight[(r % H * in + i) * out + o]);
    return y;
}

/* One channel at one row. */
static double scan(const naive_io *io, int64_t c, double u, double dt, const double *B, const double *C, double *h) {
    const double *a_log = naive_weight(io, "a_log");
    int64_t N = wf_int(io->layer, "state");
    double sum = naive_weight(io, "d")[c] * u;
    for (int64_t n = 0; n < N; n++) {
        h[n] = exp(-exp(a_log[c * N + n]) * dt) * h[n] + dt * u * B[n];
        sum += h[n] * C[n];
    }
    return sum;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, dim = wf_int(l, "dim"), D = wf_int(l, "inner"), N = wf_int(l, "state"),
            R = wf_int(l, "rank");
    int64_t W = wf_int(l, "conv"), width = R + 2 * N;
    double *x = naive_zeros(io, rows * dim), *u = naive_zeros(io, rows * D), *y = naive_zeros(io, rows * D);
    double *h = naive_state(io, "h", D * N), *window = naive_state(io, "conv", D * (W - 1));
    for (int64_t i = 0; i < rows * dim; i++)
        x[i] = naive_real(io->mask, i / dim) ? io->x[i] : 0.0;
    double *uz = naive_linear(io, "in", x, rows);
    for (int64_t b = 0; b < io->batch; b++)
        convolve(io, uz + b * T * 2 * D, window + b * D * (W - 1), u + b * T * D);
    for (int64_t i = 0; i < rows * D; i++)
        u[i] = naive_real(io->mask, i / D) ? u[i] : 0.0;
    int64_t H = wf_int(l, "heads"), wide = D / H; /* one row per head: [rows*H, ..] */
    double *all = by_head(io, "x.weight", u, rows, wide, width),
           *low = columns(io, all, rows * H, width, 0, R, "dt_norm.weight");
    double *B = columns(io, all, rows * H, width, R, N, "b_norm.weight"),
           *C = columns(io, all, rows * H, width, R + N, N, "c_norm.weight");
    double *dt = by_head(io, "dt.weight", low, rows, R, wide);
    const double *dt_bias = naive_weight(io, "dt.bias");
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < D; c++) {
            double z = uz[r * 2 * D + D + c], step = naive_activation("softplus", dt[r * D + c] + dt_bias[c]);
            int64_t read = (r * H + c / wide) * N;
            y[r * D + c] = scan(io, c, u[r * D + c], step, B + read, C + read, h + (r / T * D + c) * N) * z * naive_sigmoid(z);
        }
    io->y = naive_linear(io, "o", y, rows);
    io->width = dim;
}

static const char *const sizes[] = {"\"inner\": 10, \"state\": 3, \"rank\": 2", "\"state\": 5",
                                    "\"inner\": 17, \"state\": 1, \"rank\": 1", "\"inner\": 9, \"state\": 16, \"rank\": 3",
                                    NULL};
static const char *const convs[] = {"", "\"conv\": 3", "\"conv\": 2", "\"conv\": 1", "\"conv\": 5", NULL};
static const char *const conv_biases[] = {"", "\"conv_bias\": false", NULL};
static const char *const biases[] = {"", "\"bias\": [\"in\"]", "\"bias\": [\"o\"]", "\"bias\": [\"in\", \"o\"]", NULL};
static const char *const norms[] = {"", "\"inner_norms\": true", "\"inner_norms\": true, \"norm_eps\": 0.05",
                                    "\"inner_norms\": true, \"norm_eps\": 0.1, \"norm_affine\": false", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const states[] = {"", "@state", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, convs, conv_biases, biases, norms, masks, states, rows, NULL};
const naive_row naive_mamba = {"mamba", run, axes, 80};
static const char *const headed[] = {"\"inner\": 12, \"heads\": 3, \"rank\": 2, \"state\": 7",
                                     "\"inner\": 24, \"heads\": 2, \"state\": 3", "\"inner\": 20, \"heads\": 4, \"conv\": 3",
                                     NULL};
static const naive_axis head_axes[] = {headed, biases, masks, states, rows, NULL};
const naive_row naive_mamba_heads = {"mamba", run, head_axes, 12};
