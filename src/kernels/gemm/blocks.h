/* blocks.h - the matrix product by the vector kernels of kernels.def, for the built-in backend and for what a library does
 * worse. */
#ifndef WF_KERNELS_GEMM_BLOCKS_H
#define WF_KERNELS_GEMM_BLOCKS_H
#include "kernels/gemm/backend.h"

wf_gemm_tiling wf_gemm_blocks_tiling(const wf_gemm *g);
size_t wf_gemm_blocks_scratch(const wf_gemm_plan *plan);
void wf_gemm_blocks_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch);
/* The output from a tile of sums (leading dimension ld): plus the old value when beta is 1, plus the bias, in the output's
 * type. */
void wf_gemm_finish(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, const float *sums, int64_t ld);
#endif
