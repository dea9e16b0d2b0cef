/* inspect.c - what a model, a folder or a file holds: the dispatch by what the argument names. */
#include <string.h>
#include "base/reader.h"
#include "families/load.h"
#include "formats/tensor_file.h"
#include "jobs/inspect.h"
#include "jobs/put.h"
#include "jobs/subject.h"

enum { USUAL_BATCH = 8, USUAL_CONTEXT = 256 };

typedef struct request {
    const char *name, *spec;
    wf_sizing sizing;
    wf_inspection step;
    bool context_given;
} request;

static const wf_json *optimizer(wf_job *job, wf_options *o) {
    const wf_json *j = o->status == WEFT_OK ? wf_json_get(o->object, "optimizer") : NULL;
    if (j && j->kind == WF_JSON_OBJECT)
        return j;
    wf_json *named = wf_json_new(job->arena, WF_JSON_OBJECT);
    wf_put_text(job->arena, named, "name", wf_option_text(o, "optimizer", "adamw"));
    return named;
}

static weft_status read_request(wf_job *job, request *r) {
    static const char *const words[] = {"model",
                                        "spec",
                                        "params",
                                        "vocab",
                                        "context",
                                        "batch",
                                        "precision",
                                        "checkpoint_activations",
                                        "keep_activations",
                                        "optimizer",
                                        "adapter",
                                        NULL};
    wf_options o = wf_options_open(job->options, "inspect", words, job->err);
    int64_t context = wf_option_int(&o, "context", 0, 1, INT32_MAX);
    r->sizing = (wf_sizing){(int64_t)wf_job_count(&o, "params", 1e6), wf_option_int(&o, "vocab", 256, 1, WF_MAX_VOCAB),
                            context ? context : USUAL_CONTEXT};
    r->name = wf_option_text(&o, "model", NULL);
    r->spec = wf_option_text(&o, "spec", NULL);
    r->context_given = context > 0;
    r->step = (wf_inspection){
        .context = context, .batch = wf_option_int(&o, "batch", USUAL_BATCH, 1, 1 << 20), .bf16 = wf_job_bf16(&o)};
    r->step.checkpoint_activations = wf_option_bool(&o, "checkpoint_activations", false);
    r->step.keep_activations = wf_option_bool(&o, "keep_activations", false);
    r->step.optimizer = optimizer(job, &o);
    return o.status;
}

static weft_status show(wf_job *job, request *r, const wf_model *model, const char *family) {
    if (!r->context_given)
        r->step.context = model->spec->context ? model->spec->context : r->sizing.context;
    WF_TRY(wf_inspect_model(job, model, family, r->step.context));
    return wf_inspect_memory(job, model, &r->step);
}

static weft_status show_folder(wf_job *job, request *r, const char *folder) {
    wf_checkpoint c;
    WF_TRY(wf_checkpoint_open(job->env, folder, &(wf_load_options){.config_only = true, .unmerged = true}, &c, job->err));
    weft_status status = show(job, r, c.model, c.family->name);
    wf_checkpoint_close(&c);
    WF_TRY(status);
    WF_TRY(wf_inspect_weights(job, folder));
    return wf_inspect_modules(job, folder);
}

static weft_status show_spec(wf_job *job, request *r, const char *name, const char *file) {
    wf_json *template_, *spec;
    wf_model *model;
    WF_CHECK(!job->env->adapter, job->err, WEFT_USAGE, "inspect: an adapter needs a model folder");
    WF_TRY(wf_subject_template(job, name, file, &template_, job->err));
    WF_TRY(wf_subject_spec(job, template_, &r->sizing, &spec, job->err));
    WF_TRY(wf_model_create(job->env, spec, &model, job->err));
    weft_status status = show(job, r, model, NULL);
    wf_model_free(model);
    return status;
}

/* The newest checkpoint of a training run: names sort by their step. Without one, a model whose weights say what they are. */
static weft_status show_run(wf_job *job, request *r, const char *folder) {
    char **names;
    size_t n;
    const char *last = NULL, *transformer;
    bool adapter;
    WF_TRY(wf_inspect_adapter(job, folder, &adapter));
    if (adapter)
        return WEFT_OK;
    WF_TRY(wf_inspect_transformer(job, folder, &transformer));
    if (transformer) {
        WF_TRY(show_folder(job, r, transformer));
        return wf_inspect_modules(job, folder);
    }
    WF_TRY(wf_list_dir(job->arena, folder, &names, &n, job->err));
    for (size_t i = 0; i < n; i++)
        if (wf_ends_with(names[i], ".safetensors"))
            last = names[i];
    if (!last)
        return show_folder(job, r, folder);
    const char *path = wf_path_join(job->arena, folder, last);
    return path ? wf_inspect_tensors(job, path) : wf_fail_memory(job->err);
}

/* Whatever is no JSON text, and JSON that holds tensors. */
static weft_status holds_tensors(wf_job *job, const char *path, bool *tensors) {
    wf_file file;
    *tensors = !wf_ends_with(path, ".json");
    if (*tensors)
        return WEFT_OK;
    WF_TRY(wf_file_open(&job->env->mem, path, true, 0, &file, job->err));
    *tensors = wf_format_of(path, file.data, file.size) != NULL;
    wf_file_close(&file);
    return WEFT_OK;
}

/* The tensors, and the model when the file says what it is. */
static weft_status show_weights(wf_job *job, request *r, const char *path) {
    wf_checkpoint c;
    weft_error quiet = {.offset = -1};
    WF_TRY(wf_inspect_tensors(job, path));
    weft_status status = wf_checkpoint_open(job->env, path, &(wf_load_options){.config_only = true}, &c, &quiet);
    if (status != WEFT_OK)
        return status == WEFT_UNSUPPORTED ? WEFT_OK : wf_fail(job->err, status, "%s", quiet.message);
    status = show(job, r, c.model, c.family->name);
    wf_checkpoint_close(&c);
    return status;
}

/* The config of a folder is no spec. */
static weft_status check_spec(wf_job *job, const char *path) {
    wf_json *json;
    WF_TRY(wf_json_parse_file(job->arena, path, &json, job->err));
    WF_CHECK(!wf_json_get(json, "model_type") && !wf_json_get(json, "architectures") && !wf_json_get(json, "peft_type"),
             job->err, WEFT_USAGE, "%s: this is the config of a folder, not a spec: inspect the folder it lies in", path);
    return WEFT_OK;
}

static weft_status show_file(wf_job *job, request *r, const char *path) {
    bool tokenizer = false, tensors;
    WF_TRY(holds_tensors(job, path, &tensors));
    if (tensors)
        return show_weights(job, r, path);
    WF_TRY(wf_inspect_tokenizer(job, path, &tokenizer));
    if (tokenizer)
        return WEFT_OK;
    WF_TRY(check_spec(job, path));
    return show_spec(job, r, NULL, path);
}

weft_status wf_job_inspect(wf_job *job) {
    request r;
    WF_TRY(read_request(job, &r));
    WF_CHECK(!r.name || !r.spec, job->err, WEFT_USAGE, "give either a model or a spec file, not both");
    if (!r.name || r.spec)
        return show_spec(job, &r, r.name, r.spec);
    WF_TRY(wf_subject_find(job, &r.name));
    if (wf_subject_is_folder(r.name))
        return show_folder(job, &r, r.name);
    if (wf_is_dir(r.name))
        return show_run(job, &r, r.name);
    if (wf_is_file(r.name))
        return show_file(job, &r, r.name);
    WF_CHECK(!strchr(r.name, '/'), job->err, WEFT_USAGE,
             "'%s' is neither a model folder nor a file, nor a name in the cache of the Hugging Face hub", r.name);
    return show_spec(job, &r, r.name, NULL);
}
