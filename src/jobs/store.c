#include "jobs/store.h"
#include "base/reader.h"
#include "families/load.h"

weft_status wf_store_model(wf_job *job, const wf_model *model, const wf_tokenizer *tokenizer, const char *folder) {
    const char *path = wf_path_join(job->arena, folder, "tokenizer.json");
    if (!path)
        return wf_fail_memory(job->err);
    WF_TRY(wf_make_dir(folder, job->err));
    int64_t end = wf_tokenizer_id(tokenizer, "<|endoftext|>", 13);
    WF_TRY(wf_model_save(model, folder, &(wf_save_options){.type = WF_F32, .bos = -1, .eos = end, .pad = -1}, job->err));
    return wf_tokenizer_save(tokenizer, path, job->err);
}

/* Exchanges the parameters with the averages; twice restores them. */
static void swap_average(wf_model *model, const wf_average *average) {
    for (size_t i = 0; i < average->count; i++) {
        wf_param *p = wf_param_find(&model->params, average->views[i].name);
        for (int64_t j = 0; p && j < p->count; j++) {
            float old = p->value[j];
            p->value[j] = average->mean[i][j];
            average->mean[i][j] = old;
        }
    }
}

weft_status wf_store_average(wf_job *job, wf_model *model, const wf_average *average, const wf_tokenizer *tokenizer,
                             const char *folder) {
    const char *path = wf_path_join(job->arena, folder, "average");
    if (!path)
        return wf_fail_memory(job->err);
    swap_average(model, average);
    weft_status status = wf_store_model(job, model, tokenizer, path);
    swap_average(model, average);
    return status;
}
