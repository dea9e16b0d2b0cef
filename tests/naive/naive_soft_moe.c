/* z = x slots; slot inputs = softmax over the real tokens of z, turned, times x; y = softmax over the slots of z times the
 * experts' rows. */
#include "naive/naive.h"
#include "naive/naive_experts.h"

static void unit(double *x, int64_t n, int64_t step) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i * step] * x[i * step];
    for (int64_t i = 0; i < n; i++)
        x[i * step] /= sqrt(sum);
}

static double *copy(naive_io *io, const double *x, int64_t n) {
    double *y = naive_zeros(io, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i];
    return y;
}

/* z [rows, ES] */
static double *scores(naive_io *io, int64_t rows, int64_t dim, int64_t ES) {
    bool normed = wf_flag(io->layer, "normed");
    double *x = copy(io, io->x, rows * dim), *slots = copy(io, naive_weight(io, "slots"), dim * ES),
           *z = naive_zeros(io, rows * ES);
    for (int64_t n = 0; normed && n < rows; n++)
        unit(x + n * dim, dim, 1);
    for (int64_t s = 0; normed && s < ES; s++)
        unit(slots + s, dim, ES);
    for (int64_t i = 0; i < rows * ES; i++) {
        for (int64_t c = 0; c < dim; c++)
            z[i] += x[i / ES * dim + c] * slots[c * ES + i % ES];
        z[i] *= normed ? *naive_weight(io, "scale") : 1.0;
    }
    return z;
}

static void sequence(naive_io *io, const double *z, const double *x, const uint8_t *mask, int64_t dim, int64_t ES, double *y) {
    int64_t T = io->rows, S = wf_int(io->layer, "slots");
    double *in = naive_zeros(io, ES * dim), *out = naive_zeros(io, ES * dim);
    for (int64_t s = 0; s < ES; s++) {
        double sum = 0.0;
        for (int64_t t = 0; t < T; t++)
            sum += naive_real(mask, t) ? exp(z[t * ES + s]) : 0.0;
        for (int64_t t = 0; t < T; t++)
            for (int64_t c = 0; c < dim && naive_real(mask, t); c++)
                in[s * dim + c] += exp(z[t * ES + s]) / sum * x[t * dim + c];
        naive_expert(io, s / S, in + s * dim, 1.0, 1.0, out + s * dim);
    }
    for (int64_t t = 0; t < T; t++) {
        double sum = 0.0;
        for (int64_t s = 0; s < ES; s++)
            sum += exp(z[t * ES + s]);
        for (int64_t s = 0; s < ES; s++)
            for (int64_t c = 0; c < dim; c++)
                y[t * dim + c] += exp(z[t * ES + s]) / sum * out[s * dim + c];
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim"), ES = wf_int(l, "experts") * wf_int(l, "slots"), T = io->rows;
    double *z = scores(io, io->batch * T, dim, ES);
    io->y = naive_zeros(io, io->batch * T * dim);
    io->width = dim;
    for (int64_t b = 0; b < io->batch; b++)
        sequence(io, z + b * T * ES, io->x + b * T * dim, io->mask ? io->mask + b * T : NULL, dim, ES, io->y + b * T * dim);
}

static const char *const sizes[] = {"\"hidden\": 9, \"experts\": 3, \"slots\": 2", "\"hidden\": 6, \"experts\": 4",
                                    "\"hidden\": 16, \"experts\": 1, \"slots\": 5", NULL};
static const char *const norms[] = {"", "\"normed\": true", NULL};
static const char *const forms[] = {"", "\"gated\": false, \"activation\": \"gelu\"", "\"activation\": \"quick_gelu\"", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, norms, forms, masks, rows, NULL};
const naive_row naive_soft_moe = {"soft_moe", run, axes, 30};
