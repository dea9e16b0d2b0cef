#include "jobs/store.h"
#include "base/reader.h"
#include "families/load_rest.h"

/* Copies a file of `like`, if there is one of this name. */
static weft_status copy_part(wf_job *job, const char *like, const char *name, const char *folder, bool *there) {
    char *from;
    const char *to = wf_path_join(job->arena, folder, name);
    *there = false;
    if (!to)
        return wf_fail_memory(job->err);
    if (!like || !wf_is_dir(like))
        return WEFT_OK;
    WF_TRY(wf_path_inside(job->arena, like, name, &from, job->err));
    *there = wf_is_file(from);
    return *there ? wf_copy_file(&job->env->mem, from, to, job->err) : WEFT_OK;
}

weft_status wf_store_tokenizer(wf_job *job, const wf_stored *stored, const char *folder) {
    static const char plain[] = "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n";
    static const char *const companions[] = {"special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
                                             "chat_template.json"};
    const char *path = wf_path_join(job->arena, folder, "tokenizer.json"),
               *words = wf_path_join(job->arena, folder, "tokenizer_config.json");
    bool there;
    if (!path || !words)
        return wf_fail_memory(job->err);
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++)
        WF_TRY(copy_part(job, stored->like, companions[i], folder, &there));
    WF_TRY(copy_part(job, stored->like, "tokenizer_config.json", folder, &there));
    if (!there)
        WF_TRY(wf_write_file(&job->env->mem, words, plain, sizeof plain - 1, job->err));
    else /* its file, not what its class makes of it */
        WF_TRY(copy_part(job, stored->like, "tokenizer.json", folder, &there));
    return there ? WEFT_OK : wf_tokenizer_save(stored->tokenizer, path, job->err);
}

weft_status wf_store_model(wf_job *job, const wf_model *model, const wf_stored *stored, const char *folder) {
    int64_t end = wf_rest_says(model, "eos_token_id") ? -1 : wf_tokenizer_id(stored->tokenizer, "<|endoftext|>", 13);
    WF_TRY(wf_make_dir(folder, job->err));
    WF_TRY(wf_model_save(model, folder, &(wf_save_options){.type = WF_F32, .bos = -1, .eos = end, .pad = -1}, job->err));
    return wf_store_tokenizer(job, stored, folder);
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

weft_status wf_store_average(wf_job *job, wf_model *model, const wf_average *average, const wf_stored *stored,
                             const char *folder) {
    const char *path = wf_path_join(job->arena, folder, "average");
    if (!path)
        return wf_fail_memory(job->err);
    swap_average(model, average);
    weft_status status = wf_store_model(job, model, stored, path);
    swap_average(model, average);
    return status;
}
