#include "families/load_rest.h"
#include <string.h>
#include "base/reader.h"

static weft_status copy_config(wf_arena *arena, const wf_json *from, const wf_json **out, weft_error *err) {
    wf_json *config = wf_json_new(arena, WF_JSON_OBJECT);
    for (const wf_json *j = from ? from->child : NULL; config && j; j = j->next)
        if (!wf_streq(j->key, "dtype") && !wf_streq(j->key, "torch_dtype"))
            wf_json_put(arena, config, wf_arena_strdup(arena, j->key), wf_json_copy(arena, j));
    *out = config;
    return arena->failed ? wf_fail_memory(err) : WEFT_OK;
}

/* One that is no object is told of by those who write text. */
static weft_status read_generation(wf_arena *arena, const char *folder, const wf_json **out, weft_error *err) {
    char *path = NULL;
    wf_json *json = NULL;
    weft_error local = {.offset = -1};
    if (!wf_is_dir(folder))
        return WEFT_OK;
    weft_status status = wf_path_inside(arena, folder, "generation_config.json", &path, &local);
    if (status == WEFT_OK && wf_is_file(path))
        status = wf_json_parse_file(arena, path, &json, &local);
    *out = status == WEFT_OK && json && json->kind == WF_JSON_OBJECT ? json : NULL;
    return status == WEFT_NO_MEMORY || arena->failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status copy_tensor(wf_arena *arena, const wf_stored_tensor *t, bool mapped, wf_stored_tensor *out,
                               weft_error *err) {
    int64_t *dims = wf_arena_alloc(arena, ((size_t)t->rank + 1) * sizeof *dims);
    void *data = mapped ? NULL : wf_arena_alloc(arena, t->size + 1);
    *out = *t;
    out->name = wf_arena_strdup(arena, t->name);
    out->dtype = wf_arena_strdup(arena, t->dtype);
    out->dims = dims;
    if (arena->failed)
        return wf_fail_memory(err);
    memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
    if (!mapped) {
        memcpy(data, t->data, t->size);
        out->data = data;
    }
    return WEFT_OK;
}

static bool is_kept(const wf_checkpoint *c, const wf_stored_tensor *t, const wf_stored_tensor *const *read, size_t skip) {
    bool kept = wf_names_kept(&c->names, t->name + skip);
    for (size_t i = 0; kept && i < c->names.count; i++)
        kept = read[i] != t;
    return kept;
}

weft_status wf_rest_keep(const wf_checkpoint *c, const char *path, const wf_shards *shards, const wf_stored_tensor *const *read,
                         size_t skip, bool mapped, weft_error *err) {
    wf_arena *arena = &c->model->arena;
    size_t n = wf_shards_count(shards), count = 0;
    wf_rest *rest = wf_arena_alloc(arena, sizeof *rest);
    for (size_t i = 0; i < n; i++)
        count += is_kept(c, wf_shards_at(shards, i), read, skip);
    if (!rest)
        return wf_fail_memory(err);
    *rest = (wf_rest){.family = wf_arena_strdup(arena, c->family->name),
                      .tensors = count ? wf_arena_alloc(arena, count * sizeof *rest->tensors) : NULL};
    if (arena->failed)
        return wf_fail_memory(err);
    for (size_t i = 0; i < n && rest->count < count; i++) {
        const wf_stored_tensor *t = wf_shards_at(shards, i);
        if (!is_kept(c, t, read, skip))
            continue;
        WF_TRY(copy_tensor(arena, t, mapped, &rest->tensors[rest->count], err));
        rest->tensors[rest->count++].name += skip;
    }
    WF_TRY(read_generation(arena, path, &rest->generation, err));
    c->model->rest = rest;
    return copy_config(arena, c->config, &rest->config, err);
}
