/* naive_heads.h - what the rows with a matrix per head share: scan(q,k,v,g) of the conformance documents and what stands around
 * it. */
#ifndef WF_TESTS_NAIVE_HEADS_H
#define WF_TESTS_NAIVE_HEADS_H
#include "naive/naive.h"

typedef struct naive_scan { /* rows [B,T,heads, K or V] */
    int64_t heads, key_dim, value_dim;
    const double *q, *k, *v;
    const double *g;     /* [B,T,heads,K] log decay, or NULL */
    const double *bonus; /* [heads,K], or NULL: the read is before the token, with a bonus for it */
    double scale;        /* of q */
    double *s;           /* [B,heads,K,V], moves on */
} naive_scan;

/* S_t = Diag(e^{g_t}) S_{t-1} + k_t v_t^T, o_t = S_t^T q_t -> [B,T,heads,V]. */
double *naive_scan_heads(naive_io *io, const naive_scan *a);
/* Lin(name, x), and when the slot name_conv.weight is there the short convolution with its state, then silu when asked, then
 * the mask. */
double *naive_project_conv(naive_io *io, const char *name, const double *x, bool silu);
/* The short convolution `name` of x [B,T,C], with its state. */
double *naive_convolve(naive_io *io, const char *name, const double *x, int64_t channels, bool silu);
/* x with padding rows 0. */
double *naive_masked(naive_io *io, const double *x, int64_t width);
/* [rows, groups, n] -> [rows, heads, n]: each group serves heads/groups heads in a row. */
double *naive_shared(naive_io *io, const double *x, int64_t rows, int64_t groups, int64_t heads, int64_t n);
/* Columns first..first+count-1 of [rows, width]. */
double *naive_columns(naive_io *io, const double *x, int64_t rows, int64_t width, int64_t first, int64_t count);
/* The row before each row of x, the first from the state `shift`. */
double *naive_shifted(naive_io *io);
/* Layer norm of every n numbers, weight and bias (or NULL) [groups*n] taken in turn. */
void naive_layer_norm(double *x, int64_t count, int64_t n, double eps, const double *weight, const double *bias,
                      int64_t groups);
double naive_log_sigmoid(double x);
#endif
