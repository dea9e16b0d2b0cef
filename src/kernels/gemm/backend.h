/* backend.h - what a matmul backend (gemm_<name>.c) gives to gemm.c, which owns plans and tiles. */
#ifndef WF_KERNELS_GEMM_BACKEND_H
#define WF_KERNELS_GEMM_BACKEND_H
#include "kernels/gemm/gemm.h"
#include "kernels/kernels.h"

/* A tile: rows row..row+m-1 and columns column..column+n-1 of the output. */
typedef struct wf_gemm_tile {
    int64_t row, column, m, n;
} wf_gemm_tile;

struct wf_gemm_plan {
    wf_gemm g;              /* leading dimensions filled in */
    int64_t tile_m, tile_n; /* the largest tile; the last row and column of tiles may be smaller */
    int rows, columns;      /* of tiles */
    const wf_kernels *kernels;
    void *backend; /* its own data, may stay NULL */
};

/* Operands of one tile: pointers already at the tile. bias NULL for none. */
typedef struct wf_gemm_operands {
    const void *a, *b;
    void *c;
    const float *bias;
    float beta;
} wf_gemm_operands;

/* What gemm.c needs to choose tiles: a tile of m rows and n columns takes time m*n*(1 + row_cost/m + column_cost/n), where
 * row_cost is what preparing B costs for each of its columns and column_cost what preparing A costs for each of its rows. */
typedef struct wf_gemm_tiling {
    int row_step, column_step;   /* sizes are multiples of these, or the whole shape */
    int most_rows, most_columns; /* multiples of the steps */
    double row_cost, column_cost;
} wf_gemm_tiling;

wf_gemm_tiling wf_gemm_backend_tiling(const wf_gemm *g);
weft_status wf_gemm_backend_open(const wf_env *env, wf_gemm_plan *plan, weft_error *err);
void wf_gemm_backend_close(const wf_env *env, wf_gemm_plan *plan);
size_t wf_gemm_backend_scratch(const wf_gemm_plan *plan);
void wf_gemm_backend_run(const wf_gemm_plan *plan, const wf_gemm_tile *tile, const wf_gemm_operands *o, void *scratch);
#endif
