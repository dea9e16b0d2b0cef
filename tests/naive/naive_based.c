/* a_ij = 1 + z + z^2/2 (taylor) or z^2 (rebased, q and k first through a layer norm over K, eps 1e-5, * feature.weight +
 * feature.bias), z = q_i.k_j / sqrt(K), j <= i when causal; o_i = sum_j a_ij v_j / (sum_j a_ij + eps). Written as the quadratic
 * form, without states. */
#include "naive/naive_heads.h"
#include <string.h>

static double *read_head(naive_io *io, const char *name) {
    int64_t rows = io->batch * io->rows, H = wf_int(io->layer, "heads"), K = wf_int(io->layer, "key_dim");
    double *y = naive_linear(io, name, io->x, rows);
    if (strcmp(wf_string(io->layer, "feature"), "rebased") == 0)
        naive_layer_norm(y, rows * H * K, K, 1e-5, naive_weight(io, "feature.weight"), naive_weight(io, "feature.bias"), 1);
    return y;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, rows = io->batch * T, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), V = wf_int(l, "value_dim");
    double *q = read_head(io, "q"), *k = read_head(io, "k"), *v = naive_linear(io, "v", io->x, rows),
           *o = naive_zeros(io, rows * H * V);
    bool taylor = strcmp(wf_string(l, "feature"), "taylor") == 0;
    for (int64_t n = 0; n < rows * H; n++) {
        int64_t first = n / H / T * T, last = wf_flag(l, "causal") ? n / H : first + T - 1;
        double sum = wf_float(l, "eps");
        for (int64_t j = first; j <= last; j++) {
            double z = 0.0;
            for (int64_t i = 0; i < K; i++)
                z += q[n * K + i] * k[(j * H + n % H) * K + i] / sqrt((double)K);
            double a = !naive_real(io->mask, j) ? 0.0 : taylor ? 1.0 + z + z * z / 2.0 : z * z;
            sum += a;
            for (int64_t c = 0; c < V; c++)
                o[n * V + c] += a * v[(j * H + n % H) * V + c];
        }
        for (int64_t c = 0; c < V; c++)
            o[n * V + c] /= sum;
    }
    io->y = naive_linear(io, "o", o, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5, \"value_dim\": 3",
                                    "\"heads\": 1, \"key_dim\": 1", "\"heads\": 4, \"value_dim\": 7", NULL};
static const char *const features[] = {"", "\"feature\": \"rebased\", \"eps\": 0.3", "\"feature\": \"taylor\", \"eps\": 0.2",
                                       "\"feature\": \"rebased\", \"eps\": 2.0", NULL};
static const char *const order[] = {"\"causal\": true", "", NULL};
static const char *const masks[] = {"", "@mask right", "@mask middle", NULL};
static const char *const lengths[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {heads, features, order, masks, lengths, NULL};
const naive_row naive_based = {"based", run, axes, 40};
