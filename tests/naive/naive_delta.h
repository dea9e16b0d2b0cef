/* naive_delta.h - what the definitions of the delta rules share. */
#ifndef WF_TESTS_NAIVE_DELTA_H
#define WF_TESTS_NAIVE_DELTA_H
#include "naive/naive_heads.h"

/* silu of Lin(name, x), through the short convolution name_conv when the option conv is given. */
double *naive_delta_input(naive_io *io, const char *name, const double *x);
/* Every n numbers over sqrt(sum x^2 + 1e-6), or for "sum" over max(sum |x|, 1e-6). */
void naive_directions(double *x, int64_t count, int64_t n, const char *kind);
/* y = Lin(o, merge(rms(o_h) * norm.weight) * act(gate)); gate NULL: none. o [B,T,heads,n]. */
void naive_finish(naive_io *io, double *o, int64_t heads, int64_t n, const double *gate, const char *act);

typedef struct naive_delta { /* the delta rule: sizes, and inputs [B,T,..] */
    int64_t heads, v_heads, key_dim, value_dim;
    const double *q, *k, *v, *beta;
    const double *g; /* [B,T,Hv] or [B,T,Hv,K] log decays; NULL: none */
    bool per_channel;
} naive_delta;
/* S~ = Diag(e^g) S, S = S~ + beta k (v - S~^T k)^T, o = S^T q / sqrt(K): [B,T,Hv,V]; state s. */
double *naive_delta_rule(naive_io *io, const naive_delta *d);
/* The axes that these rows share. */
extern const char *const naive_convs[], *const naive_left_right[], *const naive_carried[], *const naive_lengths[];
#endif
