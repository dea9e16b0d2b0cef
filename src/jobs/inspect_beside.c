/* inspect_beside.c - what lies in a folder beside a model's config: its weights, the modules behind it, an adapter's config. */
#include <string.h>
#include "base/reader.h"
#include "families/adapter_config.h"
#include "formats/shards.h"
#include "jobs/inspect.h"
#include "jobs/put.h"

/* ---- weights ---- */
enum { TYPES_MAX = 8 };
typedef struct weights {
    const char *types[TYPES_MAX];
    size_t n_types, tensors;
    double bytes;
} weights;

static void add_type(weights *w, const char *type) {
    for (size_t i = 0; i < w->n_types; i++)
        if (wf_streq(w->types[i], type))
            return;
    if (w->n_types < TYPES_MAX)
        w->types[w->n_types++] = type;
}

static void tell_weights(wf_job *job, const wf_shards *shards) {
    weights w = {.tensors = wf_shards_count(shards)};
    char size[16];
    for (size_t i = 0; i < w.tensors; i++) {
        const wf_stored_tensor *t = wf_shards_at(shards, i);
        add_type(&w, t->dtype);
        w.bytes += (double)t->size;
    }
    wf_format_bytes(w.bytes, size);
    wf_json *out = wf_put_object(job->arena, job->json, "weights"), *types;
    wf_put_int(job->arena, out, "tensors", (int64_t)w.tensors);
    wf_put_number(job->arena, out, "bytes", w.bytes);
    types = wf_put_list(job->arena, out, "types");
    wf_str_printf(&job->text, "weights: %zu tensors, %s,", w.tensors, size);
    for (size_t i = 0; i < w.n_types; i++) {
        wf_json_push(types, wf_json_new_string(job->arena, w.types[i], strlen(w.types[i])));
        wf_str_printf(&job->text, " %s", w.types[i]);
    }
    wf_str_putc(&job->text, '\n');
}

weft_status wf_inspect_weights(wf_job *job, const char *folder) {
    wf_shards *shards;
    weft_error local = {.offset = -1};
    weft_status status = wf_shards_open(&job->env->mem, folder, &shards, &local);
    if (status == WEFT_NO_MEMORY)
        return wf_fail_memory(job->err);
    if (status == WEFT_OK) {
        tell_weights(job, shards);
        wf_shards_free(shards);
        return WEFT_OK;
    }
    wf_log(job->env, WF_WARN, "%s",
           status == WEFT_FAILURE ? "no weights lie beside the config: the model cannot be run" : local.message);
    wf_put_text(job->arena, wf_put_object(job->arena, job->json, "weights"), "problem", local.message);
    return WEFT_OK;
}

/* ---- modules of sentence-transformers ---- */
static const char *behind_last(const char *text, char c) {
    const char *at = strrchr(text, c);
    return at ? at + 1 : text;
}

/* "Pooling" -> what its config switches on: "mean_tokens". */
static weft_status tell_pooling(wf_job *job, const char *folder, const wf_json *module) {
    static const char mode[] = "pooling_mode_";
    char *inside;
    wf_json *config = NULL;
    weft_error quiet = {.offset = -1};
    if (wf_path_inside(job->arena, folder, wf_json_text(module, "path", ""), &inside, &quiet) != WEFT_OK)
        return job->arena->failed ? wf_fail_memory(job->err) : WEFT_OK;
    const char *path = wf_path_join(job->arena, inside, "config.json");
    if (!path)
        return wf_fail_memory(job->err);
    if (!wf_is_file(path) || wf_json_parse_file(job->arena, path, &config, &quiet) != WEFT_OK)
        return WEFT_OK;
    for (const wf_json *j = config->child; j; j = j->next)
        if (j->kind == WF_JSON_TRUE && j->key && wf_starts_with(j->key, mode))
            wf_str_printf(&job->text, " %s", j->key + strlen(mode));
    return WEFT_OK;
}

/* What modules.json says; NULL: there is none. */
static weft_status read_modules(wf_job *job, const char *folder, wf_json **out) {
    const char *path = wf_path_join(job->arena, folder, "modules.json");
    *out = NULL;
    if (!path)
        return wf_fail_memory(job->err);
    return wf_is_file(path) ? wf_json_parse_file(job->arena, path, out, job->err) : WEFT_OK;
}

weft_status wf_inspect_modules(wf_job *job, const char *folder) {
    wf_json *list;
    WF_TRY(read_modules(job, folder, &list));
    if (!list)
        return WEFT_OK;
    wf_json *out = wf_put_list(job->arena, job->json, "modules");
    wf_str_puts(&job->text, "sentence-transformers:");
    for (const wf_json *j = list->kind == WF_JSON_ARRAY ? list->child : NULL; j; j = j->next) {
        const char *name = behind_last(wf_json_text(j, "type", "?"), '.');
        wf_json_push(out, wf_json_new_string(job->arena, name, strlen(name)));
        wf_str_printf(&job->text, "%s %s", j == list->child ? "" : ",", name);
        if (wf_streq(name, "Pooling"))
            WF_TRY(tell_pooling(job, folder, j));
    }
    wf_str_puts(&job->text, " (see: weft embed)\n");
    return WEFT_OK;
}

weft_status wf_inspect_transformer(wf_job *job, const char *folder, const char **out) {
    wf_json *list;
    char *inside;
    *out = NULL;
    WF_TRY(read_modules(job, folder, &list));
    if (!list)
        return WEFT_OK;
    const char *own = wf_json_text(wf_json_at(list, 0), "path", "");
    if (!own[0])
        return WEFT_OK;
    WF_TRY(wf_path_inside(job->arena, folder, own, &inside, job->err));
    *out = inside;
    return WEFT_OK;
}

/* ---- an adapter's folder ---- */
static void tell_adapter(wf_job *job, const char *folder, const wf_json *config, const wf_adapter_config *a) {
    const char *base = wf_json_text(config, "base_model_name_or_path", NULL);
    wf_json *out = wf_put_object(job->arena, job->json, "adapter");
    wf_put_int(job->arena, out, "rank", a->rank);
    wf_put_number(job->arena, out, "alpha", a->alpha);
    wf_put_text(job->arena, out, "method", a->dora ? "dora" : "lora");
    wf_str_printf(&job->text, "%s: an adapter (%s), rank %lld, alpha %g%s", folder, a->dora ? "DoRA" : "LoRA",
                  (long long)a->rank, a->alpha,
                  a->all_linear ? ", of all-linear"
                  : a->targets  ? ", of"
                                : "");
    for (const wf_json *j = a->targets && a->targets->kind == WF_JSON_ARRAY ? a->targets->child : NULL; j; j = j->next)
        wf_str_printf(&job->text, " %s", j->kind == WF_JSON_STRING ? j->string : "?");
    if (a->targets && a->targets->kind == WF_JSON_STRING && !a->all_linear)
        wf_str_printf(&job->text, " %s", a->targets->string);
    if (base) {
        wf_put_text(job->arena, out, "base", base);
        wf_str_printf(&job->text, "; made on %s", base);
    }
    wf_str_puts(&job->text, "\n  beside its model: weft inspect MODEL --adapter FOLDER\n");
}

weft_status wf_inspect_adapter(wf_job *job, const char *folder, bool *is) {
    static const char *const files[] = {"adapter_model.safetensors", "adapter_model.bin"};
    const char *path = wf_path_join(job->arena, folder, "adapter_config.json");
    wf_adapter_config config;
    wf_json *json;
    *is = path && wf_is_file(path);
    if (!*is)
        return path ? WEFT_OK : wf_fail_memory(job->err);
    WF_TRY(wf_json_parse_file(job->arena, path, &json, job->err));
    weft_status status = wf_adapter_config_read(&job->env->mem, json, &config, job->err);
    if (status != WEFT_OK)
        return wf_fail_in(job->err, "%s", path);
    tell_adapter(job, folder, json, &config);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        path = wf_path_join(job->arena, folder, files[i]);
        if (!path)
            return wf_fail_memory(job->err);
        if (wf_is_file(path))
            return wf_inspect_tensors(job, path);
    }
    wf_log(job->env, WF_WARN, "%s: no weights of the adapter (adapter_model.safetensors) in it", folder);
    return WEFT_OK;
}
