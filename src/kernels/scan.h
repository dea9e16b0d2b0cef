/* scan.h - kernel E, the selective scan of Mamba (Gu & Dao 2023, arXiv 2312.00752): per channel d and state n
 * h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t,  y_t = (sum_n C_tn h_tn + skip u_t) * silu(z_t). B and C may differ between
 * groups of neighbouring channels. A block is WF_SCAN_BLOCK channels of one group of one sequence. The backward recomputes h
 * from checkpoints every WF_SCAN_CHECKPOINT tokens. */
#ifndef WF_KERNELS_SCAN_H
#define WF_KERNELS_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WF_SCAN_BLOCK = 16, WF_SCAN_CHECKPOINT = 64 };

typedef struct wf_scan_args {
    int64_t batch, t, channels, state;
    int64_t groups;      /* of channels that read the same b and c; 0: one */
    const float *u, *dt; /* [B,T,D]; dt after softplus */
    const float *a_log;  /* [D,N]; A = -exp(a_log) */
    const float *b, *c;  /* [B,T,groups,N] */
    const float *skip;   /* [D] or NULL */
    const float *z;      /* [B,T,D] or NULL: no gate */
    const float *h_in;   /* [B,D,N] or NULL */
    float *h_out;        /* [B,D,N] or NULL; may be h_in */
    float *y;            /* [B,T,D] */
    float *checkpoints;  /* [B, ceil(T/WF_SCAN_CHECKPOINT), D, N]: h before each stretch; NULL when no backward follows */
    /* backward: overwritten outputs; parts are per block of a group and summed by the caller in order */
    const float *dy, *dh_out;        /* [B,T,D], [B,D,N]; NULL: zeros */
    float *du, *ddt, *dz;            /* [B,T,D]; dz NULL without gate */
    float *db_part, *dc_part;        /* [blocks of a group,B,T,groups,N] */
    float *da_log_part, *dskip_part; /* [B,D,N], [B,D] (dskip NULL without skip) */
    float *dh_in;                    /* [B,D,N] or NULL */
} wf_scan_args;

static inline int64_t wf_scan_groups(const wf_scan_args *a) { return a->groups ? a->groups : 1; }
/* Of one group of so many channels. */
static inline int64_t wf_scan_blocks(int64_t channels) { return (channels + WF_SCAN_BLOCK - 1) / WF_SCAN_BLOCK; }

typedef struct wf_scan_range {
    int64_t first, end; /* channels of a block */
    int64_t group, part;
} wf_scan_range;
/* Block 0 .. groups*blocks - 1 of a sequence, the blocks of a group one after the other. */
static inline wf_scan_range wf_scan_block(const wf_scan_args *a, int64_t index) {
    int64_t wide = a->channels / wf_scan_groups(a), blocks = wf_scan_blocks(wide), group = index / blocks,
            part = index % blocks;
    int64_t first = group * wide + part * WF_SCAN_BLOCK, end = first + WF_SCAN_BLOCK, last = (group + 1) * wide;
    return (wf_scan_range){first, end < last ? end : last, group, part};
}
/* Bytes of scratch (64-aligned) per thread for forward and backward pieces of these arguments. */
size_t wf_scan_scratch(const wf_scan_args *a, bool backward);
#endif
