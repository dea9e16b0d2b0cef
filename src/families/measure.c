#include "families/measure.h"
#include <string.h>
#include "families/rules.h"

static weft_status put(wf_vars *vars, wf_json *object, const char *key, wf_json *value, weft_error *err) {
    return wf_json_put(vars->arena, object, key, value) ? WEFT_OK : wf_fail_memory(err);
}

/* Appended, not put: names are unique already, and there may be many. */
static weft_status shapes_of(wf_vars *vars, const wf_shards *shards, wf_json **out, weft_error *err) {
    wf_json *object = wf_json_new(vars->arena, WF_JSON_OBJECT);
    for (size_t i = 0; object && i < wf_shards_count(shards); i++) {
        const wf_stored_tensor *t = wf_shards_at(shards, i);
        wf_json *dims = wf_json_new(vars->arena, WF_JSON_ARRAY);
        for (int d = 0; d < t->rank; d++)
            wf_json_push(dims, wf_json_new_int(vars->arena, t->dims[d]));
        if (!wf_json_push(object, dims))
            return wf_fail_memory(err);
        dims->key = t->name;
    }
    *out = object;
    return object && !vars->arena->failed ? WEFT_OK : wf_fail_memory(err);
}

static weft_status put_facts(wf_vars *vars, const wf_shards *shards, const wf_json *given, weft_error *err) {
    wf_json *shapes = NULL, *none = wf_json_new(vars->arena, WF_JSON_OBJECT);
    if (!none)
        return wf_fail_memory(err);
    WF_TRY(shapes_of(vars, shards, &shapes, err));
    WF_TRY(wf_vars_put(vars, "tensors", (wf_value){.type = WF_OBJECT, .object = shapes}, err));
    WF_TRY(wf_vars_put(vars, "format", wf_value_string(wf_shards_format(shards)), err));
    return wf_vars_put(vars, "config", (wf_value){.type = WF_OBJECT, .object = given ? given : none}, err);
}

static weft_status find(wf_vars *vars, const wf_families *set, const wf_family **out, weft_error *err) {
    *out = NULL;
    for (size_t i = 0; i < set->count && !*out; i++) {
        const char *condition = wf_json_text(set->list[i].json, "recognized", NULL);
        wf_value holds;
        if (!condition)
            continue;
        WF_TRY(wf_vars_eval(vars, condition, &holds, err));
        if (wf_value_true(&holds))
            *out = &set->list[i];
    }
    return WEFT_OK;
}

static weft_status measure(wf_vars *vars, const wf_family *family, const wf_json *given, const wf_json **out, weft_error *err) {
    const wf_json *formulas = wf_json_get(family->json, "measured");
    const wf_json *type = wf_json_at(wf_json_get(family->json, "model_types"), 0);
    const char *name = type && type->kind == WF_JSON_STRING ? type->string : family->name;
    wf_json *config = given ? wf_json_copy(vars->arena, given) : wf_json_new(vars->arena, WF_JSON_OBJECT);
    WF_TRY(put(vars, config, "model_type", wf_json_new_string(vars->arena, name, strlen(name)), err));
    for (const wf_json *j = formulas ? formulas->child : NULL; j; j = j->next) {
        wf_value value;
        WF_CHECK(j->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "family %s: '%s' is measured by no expression", family->name,
                 j->key);
        WF_TRY(wf_vars_eval(vars, j->string, &value, err));
        WF_TRY(wf_vars_put(vars, j->key, value, err));
        if (value.type != WF_NULL)
            WF_TRY(put(vars, config, j->key, wf_value_to_json(vars->arena, &value), err));
    }
    *out = config;
    return WEFT_OK;
}

weft_status wf_family_measure(const wf_families *set, wf_arena *arena, const wf_shards *shards, const wf_json *given,
                              const wf_json **config, weft_error *err) {
    wf_vars vars = {.arena = arena};
    const wf_family *family;
    WF_TRY(put_facts(&vars, shards, given, err));
    WF_TRY(find(&vars, set, &family, err));
    if (family)
        return measure(&vars, family, given, config, err);
    WF_CHECK(wf_json_get(given, "model_type") || wf_json_get(given, "architectures"), err, WEFT_UNSUPPORTED,
             "no config.json, and no family knows tensors like these");
    *config = given;
    return WEFT_OK;
}
