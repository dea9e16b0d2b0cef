#include "verify/adapter.h"
#include <string.h>
#include "base/reader.h"

weft_status wf_fixture_adapter(wf_fixture *fx, const char **folder, weft_error *err) {
    const wf_json *name = wf_json_get(fx->json, "adapter");
    *folder = NULL;
    if (!name)
        return WEFT_OK;
    WF_CHECK(name->kind == WF_JSON_STRING && name->length && !strchr(name->string, '/') && name->string[0] != '.', err,
             WEFT_BAD_INPUT, "'adapter' must name a folder of the fixture");
    *folder = wf_path_join(&fx->arena, fx->path, name->string);
    return *folder ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_verify_adapter_tensors(wf_fixture *fx, const wf_model *model, const char *name, bool gradients,
                                      weft_error *err) {
    for (size_t i = 0; i < wf_adapters_count(model); i++) {
        const wf_adapter_tensor *t = wf_adapters_at(model, i);
        float *file = wf_arena_alloc(&fx->arena, (size_t)t->count * sizeof *file);
        char *full = wf_arena_printf(&fx->arena, "%s.%s", name, t->key);
        if (!file || !full)
            return wf_fail_memory(err);
        if (gradients && !t->trained)
            continue;
        WF_TRY(wf_adapter_tensor_write(model, t, gradients, file, err));
        WF_TRY(wf_fixture_compare(fx, full, NULL, file, t->count, err));
    }
    return WEFT_OK;
}

/* A tensor that the file holds once and the model, with this adapter, twice. */
static bool seen_before(const wf_checkpoint *c, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (wf_streq(wf_checkpoint_name(c, &c->names.list[k]), wf_checkpoint_name(c, &c->names.list[i])))
            return true;
    return false;
}

weft_status wf_verify_merged(wf_fixture *fx, const wf_checkpoint *c, weft_error *err) {
    for (size_t i = 0; i < c->names.count; i++) {
        const wf_tensor_map *map = &c->names.list[i];
        const float *parts[WF_NAME_PARTS];
        float *file = wf_arena_alloc(&fx->arena, (size_t)map->count * sizeof *file);
        float *scratch = wf_arena_alloc(&fx->arena, 2 * (size_t)map->count * sizeof *scratch);
        char *full = wf_arena_printf(&fx->arena, "merged.%s", wf_checkpoint_name(c, map));
        if (!file || !scratch || !full)
            return wf_fail_memory(err);
        if (wf_adapters_part(c->model) && seen_before(c, i))
            continue;
        for (size_t k = 0; k < map->n_parts; k++)
            parts[k] = c->model->params.list[map->parts[k].param]->value + map->parts[k].first;
        wf_map_write(map, parts, file, scratch);
        WF_TRY(wf_fixture_compare(fx, full, NULL, file, map->count, err));
    }
    return WEFT_OK;
}

weft_status wf_verify_unmerged(wf_fixture *fx, const wf_checkpoint *c, weft_error *err) {
    wf_model *base;
    wf_adapters_unmerge(c->model);
    WF_TRY(wf_model_load(fx->env, fx->path, NULL, &base, err));
    weft_status status = WEFT_OK;
    for (size_t i = 0; i < c->model->own_params && status == WEFT_OK; i++) {
        const wf_param *p = c->model->params.list[i], *was = wf_param_find(&base->params, p->name);
        if (p->adapter && was && memcmp(p->value, was->value, (size_t)p->count * sizeof *p->value) != 0)
            status = wf_fail(err, WEFT_FAILURE, "unmerging does not give '%s' of the base back", p->name);
    }
    wf_model_free(base);
    return status;
}
