/* side_attention and side_mlp without a stream beside x: plain attention, a plain feed-forward network. */
#include "naive/naive.h"

static void attention(naive_io *io) {
    int64_t heads = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim"), T = io->rows, rows = io->batch * T;
    double *q = naive_linear(io, "q", io->x, rows), *k = naive_linear(io, "k", io->x, rows),
           *v = naive_linear(io, "v", io->x, rows), *o = naive_zeros(io, rows * heads * K), *z = naive_zeros(io, T);
    io->attention = naive_zeros(io, rows * heads * T);
    for (int64_t n = 0; n < rows * heads; n++) {
        int64_t first = n / heads / T * T, at = n % heads * K;
        for (int64_t j = 0; j < T; j++)
            z[j] = naive_real(io->mask, first + j) ? naive_dot(q + n * K, k + (first + j) * heads * K + at, K) / sqrt((double)K)
                                                   : -INFINITY;
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            io->attention[((n / heads / T * heads + n % heads) * T + n / heads % T) * T + j] = z[j];
        for (int64_t c = 0; c < T * K; c++)
            o[n * K + c % K] += z[c / K] * v[(first + c / K) * heads * K + at + c % K];
    }
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(io->layer, "dim");
}

static void network(naive_io *io) {
    int64_t rows = io->batch * io->rows, hidden = wf_int(io->layer, "hidden");
    double *h = naive_linear(io, "up", io->x, rows);
    for (int64_t i = 0; i < rows * hidden; i++)
        h[i] = naive_activation(wf_string(io->layer, "activation"), h[i]);
    io->y = naive_linear(io, "down", h, rows);
    io->width = wf_int(io->layer, "dim");
}

static const char *const heads[] = {"\"heads\": 3, \"side_dim\": 6", "\"heads\": 2, \"side_dim\": 4",
                                    "\"heads\": 1, \"side_dim\": 3, \"key_dim\": 5", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", NULL};
static const naive_axis attention_axes[] = {heads, masks, NULL};
const naive_row naive_side_attention = {"side_attention", attention, attention_axes, 6};

static const char *const widths[] = {"\"side_dim\": 6", "\"side_dim\": 6, \"hidden\": 9", NULL};
static const char *const activations[] = {"", "\"activation\": \"relu\"", NULL};
static const naive_axis network_axes[] = {widths, activations, NULL};
const naive_row naive_side_mlp = {"side_mlp", network, network_axes, 4};
