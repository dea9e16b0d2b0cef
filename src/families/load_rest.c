#include "families/load_rest.h"
#include <string.h>
#include "base/reader.h"

bool wf_pairs_same(wf_pairs *p, const wf_stored_tensor *a, const wf_stored_tensor *b) {
    if (a == b)
        return true;
    for (size_t i = 0; i < p->n; i++)
        if ((p->list[i][0] == a && p->list[i][1] == b) || (p->list[i][0] == b && p->list[i][1] == a))
            return true;
    if (!wf_streq(a->dtype, b->dtype) || a->size != b->size || memcmp(a->data, b->data, a->size) != 0)
        return false;
    if (p->n < WF_PAIRS_MAX) {
        p->list[p->n][0] = a;
        p->list[p->n++][1] = b;
    }
    return true;
}

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

static weft_status copy_data(wf_arena *arena, const wf_stored_tensor *t, wf_stored_tensor *out, weft_error *err) {
    void *data = wf_arena_alloc(arena, t->size + 1);
    if (!data)
        return wf_fail_memory(err);
    memcpy(data, t->data, t->size);
    out->data = data;
    return WEFT_OK;
}

static weft_status copy_tensor(wf_arena *arena, const wf_stored_tensor *t, const char *name, wf_stored_tensor *out,
                               weft_error *err) {
    int64_t *dims = wf_arena_alloc(arena, ((size_t)t->rank + 1) * sizeof *dims);
    *out = *t;
    out->name = wf_arena_strdup(arena, name);
    out->dtype = wf_arena_strdup(arena, t->dtype);
    out->dims = dims;
    if (arena->failed)
        return wf_fail_memory(err);
    memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
    return WEFT_OK;
}

/* What is read of the file for a name of the model's; NULL: nothing, or it has no such name. */
static const wf_stored_tensor *read_as(const wf_names *names, const wf_stored_tensor *const *read, const char *name) {
    for (size_t i = 0; i < names->count; i++)
        if (wf_streq(names->list[i].name, name))
            return read[i];
    return NULL;
}

/* The pair of tied names that the tensor has, with or without the base, and the values of the other; NULL: none. */
static const wf_json *twin_of(const wf_names *names, const wf_stored_tensor *t, const wf_stored_tensor *const *read,
                              size_t skip, wf_pairs *pairs) {
    size_t base = names->base ? strlen(names->base) : 0;
    const char *name = t->name + skip;
    for (const wf_json *j = names->tied ? names->tied->child : NULL; j; j = j->next) {
        bool bare = base && wf_starts_with(j->key, names->base) && wf_streq(j->key + base, name);
        const wf_stored_tensor *other =
            j->kind == WF_JSON_STRING && (bare || wf_streq(j->key, name)) ? read_as(names, read, j->string) : NULL;
        if (other && wf_pairs_same(pairs, other, t))
            return j;
    }
    return NULL;
}

static bool is_read(const wf_checkpoint *c, const wf_stored_tensor *t, const wf_stored_tensor *const *read) {
    for (size_t i = 0; i < c->names.count; i++)
        if (read[i] == t)
            return true;
    return false;
}

/* A tensor beside those that are read, under its whole name: the others are written so too. */
static weft_status keep(const wf_checkpoint *c, const wf_stored_tensor *t, const wf_json *twin, const char *own, bool mapped,
                        wf_rest_tensor *out, weft_error *err) {
    wf_arena *arena = &c->model->arena;
    const char *name = twin ? twin->key : wf_names_whole(&c->names, arena, own);
    WF_TRY(name ? copy_tensor(arena, t, name, &out->stored, err) : wf_fail_memory(err));
    if (twin) {
        out->stored.data = NULL;
        out->twin = wf_arena_strdup(arena, twin->string);
        return out->twin ? WEFT_OK : wf_fail_memory(err);
    }
    return mapped ? WEFT_OK : copy_data(arena, t, &out->stored, err);
}

weft_status wf_rest_keep(const wf_checkpoint *c, const wf_rest_files *f, weft_error *err) {
    wf_arena *arena = &c->model->arena;
    size_t n = wf_shards_count(f->shards);
    const wf_spec *spec = c->model->spec;
    bool tied = spec->n_heads > 0 && spec->heads[0].tied; /* then the reference has one tensor, and writes one name of it */
    wf_rest *rest = wf_arena_alloc(arena, sizeof *rest);
    if (!rest)
        return wf_fail_memory(err);
    *rest = (wf_rest){.family = wf_arena_strdup(arena, c->family->name),
                      .tensors = wf_arena_alloc(arena, (n + 1) * sizeof *rest->tensors)};
    if (arena->failed)
        return wf_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const wf_stored_tensor *t = wf_shards_at(f->shards, i);
        if (is_read(c, t, f->read))
            continue;
        const wf_json *twin = tied ? NULL : twin_of(&c->names, t, f->read, f->skip, f->pairs);
        if (!twin && !wf_names_kept(&c->names, t->name + f->skip))
            continue;
        rest->tensors[rest->count] = (wf_rest_tensor){.twin = NULL};
        WF_TRY(keep(c, t, twin, t->name + f->skip, f->mapped, &rest->tensors[rest->count++], err));
    }
    WF_TRY(read_generation(arena, f->path, &rest->generation, err));
    c->model->rest = rest;
    return copy_config(arena, c->config, &rest->config, err);
}

static bool says(const wf_json *object, const char *key) {
    const wf_json *value = wf_json_get(object, key);
    return value && value->kind != WF_JSON_NULL;
}

bool wf_rest_says(const wf_model *model, const char *key) {
    return model->rest && (says(model->rest->generation, key) || says(model->rest->config, key));
}
