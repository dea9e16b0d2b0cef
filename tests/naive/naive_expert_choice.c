/* p = softmax(Lin(router, x)) over the experts; expert e takes the C real tokens with the largest p_e; y_t = sum p_te
 * expert_e(x_t). */
#include "naive/naive.h"
#include "naive/naive_experts.h"

static void softmax(double *p, int64_t n) {
    double most = p[0], sum = 0.0;
    for (int64_t e = 0; e < n; e++)
        most = fmax(most, p[e]);
    for (int64_t e = 0; e < n; e++)
        sum += p[e] = exp(p[e] - most);
    for (int64_t e = 0; e < n; e++)
        p[e] /= sum;
}

/* How many real tokens of the sequence e prefers to t: among equals the first. */
static int64_t before(const naive_io *io, const double *p, int64_t b, int64_t t, int64_t e, int64_t E) {
    int64_t n = 0;
    for (int64_t s = 0; s < io->rows; s++) {
        double other = p[(b * io->rows + s) * E + e], own = p[(b * io->rows + t) * E + e];
        n += naive_real(io->mask, b * io->rows + s) && (other > own || (other == own && s < t));
    }
    return n;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t dim = wf_int(l, "dim"), E = wf_int(l, "experts"), T = io->rows, rows = io->batch * T;
    double *p = naive_linear(io, "router", io->x, rows), *y = naive_zeros(io, rows * dim);
    for (int64_t n = 0; n < rows; n++)
        softmax(p + n * E, E);
    for (int64_t n = 0; n < rows; n++)
        for (int64_t e = 0; e < E; e++) {
            bool taken = naive_real(io->mask, n) && before(io, p, n / T, n % T, e, E) < wf_int(l, "capacity");
            if (naive_constant(io, taken ? 1.0 : 0.0) != 0.0)
                naive_expert(io, e, io->x + n * dim, 1.0, p[n * E + e], y + n * dim);
        }
    io->y = y;
    io->width = dim;
}

static const char *const sizes[] = {"\"hidden\": 9, \"experts\": 4", "\"hidden\": 5, \"experts\": 6",
                                    "\"hidden\": 16, \"experts\": 1", NULL};
static const char *const capacities[] = {"\"capacity\": 3", "\"capacity\": 1", "\"capacity\": 6", "\"capacity\": 40", NULL};
static const char *const forms[] = {"", "\"gated\": false, \"activation\": \"gelu\"", "\"activation\": \"sigmoid\"", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 37", NULL};
static const naive_axis axes[] = {sizes, capacities, forms, masks, rows, NULL};
const naive_row naive_expert_choice = {"expert_choice", run, axes, 30};
