/* convert_files.c - what a model folder holds beside its weights. */
#include <string.h>
#include "base/reader.h"
#include "jobs/convert.h"

enum { CONFIG_BYTES = 16 << 20, MOST_PARTS = 64 };

/* Weights in any form, and what a training run left: these are not copied. */
static bool is_weights(const char *name) {
    static const char *const ends[] = {".safetensors", ".bin", ".pt",   ".pth", ".h5",        ".msgpack",
                                       ".onnx",        ".npz", ".gguf", ".ot",  ".index.json"};
    static const char *const runs[] = {"train.json", "log.jsonl", "log.csv"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (wf_ends_with(name, ends[i]))
            return true;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (wf_streq(name, runs[i]))
            return true;
    return false;
}

/* The plain files of a folder, as they are; `parts`: weights too. */
static weft_status copy_folder(const wf_conversion *c, const char *from, const char *to, bool parts) {
    wf_arena *arena = c->job->arena;
    char **names;
    size_t count;
    WF_TRY(wf_list_dir(arena, from, &names, &count, c->job->err));
    for (size_t i = 0; i < count; i++) {
        char *source;
        const char *target = wf_path_join(arena, to, names[i]);
        if (!target)
            return wf_fail_memory(c->job->err);
        if (names[i][0] == '.' || (!parts && (wf_streq(names[i], "config.json") || is_weights(names[i]))))
            continue;
        WF_TRY(wf_path_inside(arena, from, names[i], &source, c->job->err));
        if (wf_is_file(source))
            WF_TRY(wf_copy_file(&c->job->env->mem, source, target, c->job->err));
    }
    return WEFT_OK;
}

/* The folders of a chain of modules, such as pooling and a dense layer. */
static weft_status copy_parts(const wf_conversion *c) {
    wf_arena *arena = c->job->arena;
    const char *path = wf_path_join(arena, c->from, "modules.json");
    wf_json *modules;
    size_t n = 0;
    if (!path)
        return wf_fail_memory(c->job->err);
    if (!wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_json_parse_file(arena, path, &modules, c->job->err));
    for (const wf_json *j = modules->kind == WF_JSON_ARRAY ? modules->child : NULL; j && n < MOST_PARTS; j = j->next, n++) {
        const char *name = wf_json_text(j, "path", "");
        char *from;
        if (!*name)
            continue; /* the model itself */
        WF_TRY(wf_path_inside(arena, c->from, name, &from, c->job->err));
        const char *to = wf_path_join(arena, c->to, name);
        if (!to)
            return wf_fail_memory(c->job->err);
        if (!wf_is_dir(from))
            continue;
        WF_TRY(wf_make_dir(to, c->job->err));
        WF_TRY(copy_folder(c, from, to, true));
    }
    return WEFT_OK;
}

/* config.json with the type of the new files under the key that is there; without a new type, its bytes. */
static weft_status write_config(const wf_conversion *c) {
    static const char *const names[] = {[WF_F32] = "float32", [WF_BF16] = "bfloat16", [WF_F16] = "float16"};
    static const char *const keys[] = {"dtype", "torch_dtype"};
    wf_arena *arena = c->job->arena;
    const char *from = wf_path_join(arena, c->from, "config.json"), *to = wf_path_join(arena, c->to, "config.json");
    wf_json *config;
    bool said = false;
    if (!from || !to)
        return wf_fail_memory(c->job->err);
    if (!wf_is_file(from))
        return WEFT_OK;
    if (c->type < 0)
        return wf_copy_file(&c->job->env->mem, from, to, c->job->err);
    WF_TRY(wf_json_parse_file(arena, from, &config, c->job->err));
    WF_CHECK(config->kind == WF_JSON_OBJECT, c->job->err, WEFT_BAD_INPUT, "%s: a config must be an object", from);
    for (size_t i = 0; i < 2; i++) {
        bool use = wf_json_get(config, keys[i]) || (i == 1 && !said);
        said |= use;
        if (use && !wf_json_put(arena, config, keys[i], wf_json_new_string(arena, names[c->type], strlen(names[c->type]))))
            return wf_fail_memory(c->job->err);
    }
    wf_str text = wf_str_new(&c->job->env->mem);
    wf_json_print(&text, config, 2);
    wf_str_putc(&text, '\n');
    weft_status status =
        text.failed ? wf_fail_memory(c->job->err) : wf_write_file(&c->job->env->mem, to, text.data, text.length, c->job->err);
    wf_str_free(&text);
    return status;
}

weft_status wf_convert_files(wf_conversion *c) {
    if (!wf_is_dir(c->from))
        return WEFT_OK;
    WF_TRY(copy_folder(c, c->from, c->to, false));
    WF_TRY(copy_parts(c));
    return write_config(c);
}
