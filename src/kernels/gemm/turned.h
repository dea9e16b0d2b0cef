/* turned.h - products of few rows with a large B that lies [N,K], by C^T = B A^T. */
#ifndef WF_KERNELS_GEMM_TURNED_H
#define WF_KERNELS_GEMM_TURNED_H
#include "kernels/gemm/backend.h"

bool wf_gemm_is_turned(const wf_gemm *g);
wf_gemm_tiling wf_gemm_turned_tiling(void);
size_t wf_gemm_turned_scratch(const wf_gemm_plan *plan);
void wf_gemm_turned_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch);
#endif
