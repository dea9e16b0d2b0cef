/* gemm_builtin.c - matrix products without a library. */
#include "kernels/gemm/blocks.h"

const char *wf_gemm_backend(void) { return "built-in"; }
void wf_gemm_thread_init(void) {}
weft_status wf_gemm_backend_open(const wf_env *env, wf_gemm_plan *plan, weft_error *err) { return WEFT_OK; }
void wf_gemm_backend_close(const wf_env *env, wf_gemm_plan *plan) {}

wf_gemm_tiling wf_gemm_backend_tiling(const wf_gemm *g) { return wf_gemm_blocks_tiling(g); }
size_t wf_gemm_backend_scratch(const wf_gemm_plan *plan) { return wf_gemm_blocks_scratch(plan); }

void wf_gemm_backend_run(const wf_gemm_plan *plan, const wf_gemm_tile *t, const wf_gemm_operands *o, void *scratch) {
    wf_gemm_blocks_run(plan, t, o, scratch);
}
