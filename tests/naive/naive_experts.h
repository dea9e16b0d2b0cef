/* naive_experts.h - one expert, shared by the mixtures. */
#ifndef WF_TESTS_NAIVE_EXPERTS_H
#define WF_TESTS_NAIVE_EXPERTS_H
#include "naive/naive.h"

/* y [dim] += after * expert_e(before * x). */
void naive_expert(naive_io *io, int64_t e, const double *x, double before, double after, double *y);
/* y [rows, dim] += the shared expert of moe. */
void naive_shared_expert(naive_io *io, int64_t rows, double *y);
#endif
