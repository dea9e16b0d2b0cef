/* info.c - what this build can do on this machine. */
#include <string.h>
#include "jobs/job.h"
#include "kernels/gemm/gemm.h"
#include "kernels/kernels.h"

static void put(wf_job *job, const char *key, const char *value) {
    wf_json_put(job->arena, job->json, key, wf_json_new_string(job->arena, value, strlen(value)));
    wf_str_printf(&job->text, "%-20s %s\n", key, value);
}

weft_status wf_job_info(wf_job *job) {
    static const char *const words[] = {NULL};
    wf_options o = wf_options_open(job->options, "info", words, job->err);
    wf_str sets = wf_str_new(&job->env->mem);
    WF_TRY(o.status);
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++)
        wf_str_printf(&sets, "%s%s", isa == wf_kernels_isas() ? "" : " ", *isa);
    put(job, "version", weft_version());
    put(job, "instruction_sets", wf_str_text(&sets));
    put(job, "instruction_set", job->env->kernels->isa);
    put(job, "matrix_products", wf_gemm_backend());
    put(job, "same_bits",
        wf_gemm_reproducible() ? "for every number of threads" : "not promised: this matmul backend splits work by threads");
    wf_str_free(&sets);
    wf_str_printf(&job->text, "%-20s %d of %d processors\n", "threads", wf_pool_threads(job->env->pool), wf_cpu_count());
    wf_json_put(job->arena, job->json, "threads", wf_json_new_int(job->arena, wf_pool_threads(job->env->pool)));
    wf_json_put(job->arena, job->json, "processors", wf_json_new_int(job->arena, wf_cpu_count()));
    return WEFT_OK;
}
