/* y_kc = Re(sum_t sum_d x_td e^{-2 pi i (kt/T + cd/D)}). */
#include "naive/naive.h"

static void run(naive_io *io) {
    static const double PI = 3.14159265358979323846;
    int64_t T = io->rows, D = wf_int(io->layer, "dim");
    io->y = naive_zeros(io, io->batch * T * D);
    for (int64_t i = 0; i < io->batch * T * D; i++)
        for (int64_t j = 0; j < T * D; j++) {
            double turn = (double)(i / D % T * (j / D) % T) / (double)T + (double)(i % D * (j % D) % D) / (double)D;
            io->y[i] += io->x[i / D / T * T * D + j] * cos(2.0 * PI * turn);
        }
    io->width = D;
}

static const char *const rows[] = {"", "@rows 1", "@rows 8", "@rows 37", NULL};
static const naive_axis axes[] = {rows, NULL};
const naive_row naive_fourier = {"fourier", run, axes, 8};
