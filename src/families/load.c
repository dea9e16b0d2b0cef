#include "families/load.h"
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "formats/shards.h"

/* ---- config.json ---- */
enum { CONFIG_BYTES = 16 << 20, FAMILY_BYTES = 1 << 20 };

typedef struct loader {
    const wf_env *env;
    const wf_load_options *options;
    wf_checkpoint *c;
    const char *config_path;
    wf_shards *shards;
    const wf_stored_tensor **tensors; /* per map of the names */
    weft_error *err;
} loader;

static weft_status read_config(loader *l, const char *folder) {
    wf_file file;
    wf_json *config;
    l->config_path = wf_path_join(&l->c->arena, folder, "config.json");
    if (!l->config_path)
        return wf_fail_memory(l->err);
    WF_TRY(wf_file_open(&l->env->mem, l->config_path, false, CONFIG_BYTES, &file, l->err));
    weft_status status = wf_config_parse(&l->c->arena, (const char *)file.data, file.size, &config, l->err);
    wf_file_close(&file);
    for (const wf_json *j = l->options->arguments ? l->options->arguments->child : NULL; status == WEFT_OK && j; j = j->next)
        if (!wf_json_put(&l->c->arena, config, j->key, wf_json_copy(&l->c->arena, j)))
            status = wf_fail_memory(l->err);
    if (status == WEFT_OK)
        l->c->config = config;
    return status;
}

static weft_status open_families(loader *l) {
    wf_file file;
    const char *path = l->options->family ? l->options->family : l->env->family;
    WF_TRY(wf_families_open(&l->env->mem, &l->c->families, l->err));
    if (!path)
        return WEFT_OK;
    WF_TRY(wf_file_open(&l->env->mem, path, false, FAMILY_BYTES, &file, l->err));
    weft_status status = wf_families_add(&l->c->families, path, (const char *)file.data, file.size, l->err);
    wf_file_close(&file);
    return status;
}

/* ---- names, with or without the base that files may leave out ---- */
static const char *without_base(const char *base, const char *name) {
    size_t n = base ? strlen(base) : 0;
    return n && strncmp(name, base, n) == 0 && name[n] == '.' ? name + n + 1 : name;
}

static const char *family_base(const wf_checkpoint *c) { return wf_json_text(c->family->json, "base", NULL); }

const char *wf_checkpoint_name(const wf_checkpoint *c, const wf_tensor_map *map) {
    size_t i = (size_t)(map - c->names.list);
    return c->found && c->found[i] ? c->found[i] : map->name;
}

/* Norms were called gamma and beta once. */
static const wf_stored_tensor *find_legacy(const loader *l, const char *name) {
    static const char *const renamed[2][2] = {{".weight", ".gamma"}, {".bias", ".beta"}};
    for (int i = 0; i < 2; i++)
        if (wf_ends_with(name, renamed[i][0])) {
            char *old =
                wf_arena_printf(&l->c->arena, "%.*s%s", (int)(strlen(name) - strlen(renamed[i][0])), name, renamed[i][1]);
            return old ? wf_shards_find(l->shards, old) : NULL;
        }
    return NULL;
}

static const wf_stored_tensor *find_either(const loader *l, const char *name) {
    const char *bare = without_base(family_base(l->c), name);
    const wf_stored_tensor *t = wf_shards_find(l->shards, name);
    t = t ? t : wf_shards_find(l->shards, bare);
    t = t ? t : find_legacy(l, name);
    return t ? t : find_legacy(l, bare);
}

/* ---- tied tensors ---- */
static bool same_tensor(const wf_stored_tensor *a, const wf_stored_tensor *b) {
    return a == b || (wf_streq(a->dtype, b->dtype) && a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
}

/* A config may tie what the file holds twice and differently; like the reference, the file is believed. */
static weft_status untie(loader *l, wf_json *spec) {
    const wf_json *tied = wf_json_get(l->c->family->json, "tied"), *head = wf_json_get(spec, "head");
    for (const wf_json *j = tied ? tied->child : NULL; j; j = j->next) {
        const wf_stored_tensor *a = find_either(l, j->key), *b = find_either(l, j->string);
        if (!a || !b || !wf_json_bool(head, "tied", false) || same_tensor(a, b))
            continue;
        wf_log(l->env, WF_WARN, "%s: '%s' and '%s' differ, so they are not tied", l->config_path, j->key, j->string);
        wf_json *loose = wf_json_copy(&l->c->arena, head);
        wf_json_put(&l->c->arena, loose, "tied", wf_json_new_bool(&l->c->arena, false));
        if (!wf_json_put(&l->c->arena, spec, "head", loose))
            return wf_fail_memory(l->err);
    }
    return WEFT_OK;
}

/* The other name of a tied tensor, for files that hold only that one. */
static const wf_stored_tensor *find_twin(const loader *l, const char *name) {
    const wf_json *tied = l->c->names.tied;
    for (const wf_json *j = tied ? tied->child : NULL; j; j = j->next)
        if (wf_json_is_string(j, name))
            return find_either(l, j->key);
    return NULL;
}

static bool is_twin(const loader *l, const char *name) {
    const wf_json *tied = l->c->names.tied;
    for (const wf_json *j = tied ? tied->child : NULL; j; j = j->next)
        if (wf_streq(j->key, name) || wf_streq(without_base(family_base(l->c), j->key), name))
            return true;
    return false;
}

/* ---- every tensor found and of the right shape, before anything is allocated ---- */
static void shape_text(int rank, const int64_t *dims, char out[96]) {
    int n = snprintf(out, 96, "[");
    for (int i = 0; i < rank && n < 70; i++)
        n += snprintf(out + n, 96 - (size_t)n, "%s%lld", i ? ", " : "", (long long)dims[i]);
    snprintf(out + n, 96 - (size_t)n, "]");
}

static weft_status check_tensor(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t) {
    char is[96], wanted[96];
    bool same = t->rank == map->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = t->dims[i] == map->dims[i];
    if (!same) {
        shape_text(t->rank, t->dims, is);
        shape_text(map->rank, map->dims, wanted);
        return wf_fail_at(l->err, WEFT_BAD_INPUT, (int64_t)t->offset,
                          "%s: tensor '%s' at byte %zu has the shape %s, the config says %s", wf_shards_path(l->shards, t),
                          t->name, t->offset, is, wanted);
    }
    WF_CHECK(t->type == WF_F32 || t->type == WF_BF16 || t->type == WF_F16 || t->type == WF_F64, l->err, WEFT_UNSUPPORTED,
             "%s: tensor '%s' is of type %s", wf_shards_path(l->shards, t), t->name, t->dtype);
    return WEFT_OK;
}

/* Whether the file holds the stack of some tensors with other cuts than the model has. */
static bool cut_elsewhere(const loader *l, const wf_tensor_map *maps, const wf_stored_tensor *const *tensors) {
    int64_t rows = 0;
    bool elsewhere = false;
    for (size_t k = 0; k < maps->siblings; k++) {
        const wf_tensor_map *map = &maps[k];
        if (map >= l->c->names.list + l->c->names.count || map->sibling != k || map->rank == 0 || !tensors[k] ||
            tensors[k]->rank != map->rank)
            return false;
        for (int d = 1; d < map->rank; d++)
            if (map->dims[d] != maps->dims[d] || tensors[k]->dims[d] != map->dims[d])
                return false;
        rows += tensors[k]->dims[0] - map->dims[0];
        elsewhere |= tensors[k]->dims[0] != map->dims[0];
    }
    return elsewhere && rows == 0;
}

/* The maps of such tensors follow the file. */
static weft_status follow_cuts(loader *l, wf_tensor_map *maps, const wf_stored_tensor *const *tensors) {
    wf_name_part all[WF_NAME_PARTS];
    int64_t row = maps->count / maps->dims[0], used = 0;
    size_t at = 0;
    for (size_t k = 0; k < maps->siblings; k++)
        all[k] = maps[k].parts[0];
    for (size_t k = 0; k < maps->siblings; k++) {
        wf_tensor_map *map = &maps[k];
        map->dims[0] = tensors[k]->dims[0];
        map->count = map->dims[0] * row;
        map->n_parts = 0;
        map->plain = false;
        if (!(map->parts = wf_arena_alloc(&l->c->arena, maps->siblings * sizeof *map->parts)))
            return wf_fail_memory(l->err);
        for (int64_t left = map->count, take; left > 0; left -= take) {
            take = left < all[at].count - used ? left : all[at].count - used;
            map->parts[map->n_parts++] = (wf_name_part){all[at].param, all[at].first + used, take};
            used += take;
            if (used == all[at].count)
                at++, used = 0;
        }
    }
    return WEFT_OK;
}

static weft_status find_tensors(loader *l, const char *folder) {
    const wf_names *names = &l->c->names;
    l->tensors = wf_arena_alloc(&l->c->arena, names->count * sizeof *l->tensors);
    l->c->found = wf_arena_alloc(&l->c->arena, names->count * sizeof *l->c->found);
    if (!l->tensors || !l->c->found)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->list[i].name;
        const wf_stored_tensor *t = find_either(l, name);
        if (!t)
            t = find_twin(l, name);
        WF_CHECK(t || wf_names_optional(names, name), l->err, WEFT_BAD_INPUT, "%s: the weights lack the tensor '%s'", folder,
                 name);
        l->tensors[i] = t;
        if (!(l->c->found[i] = wf_arena_strdup(&l->c->arena, t ? t->name : name)))
            return wf_fail_memory(l->err);
    }
    for (size_t i = 0; i < names->count; i++) {
        wf_tensor_map *map = &names->list[i];
        if (!l->tensors[i])
            continue;
        if (map->siblings > 1 && map->sibling == 0 && cut_elsewhere(l, map, l->tensors + i))
            WF_TRY(follow_cuts(l, map, l->tensors + i));
        WF_TRY(check_tensor(l, map, l->tensors[i]));
    }
    return WEFT_OK;
}

static bool is_read(const loader *l, const wf_stored_tensor *t) {
    for (size_t i = 0; i < l->c->names.count; i++)
        if (l->tensors[i] == t)
            return true;
    return is_twin(l, t->name) || wf_names_unused(&l->c->names, t->name);
}

static weft_status check_extra(const loader *l) {
    size_t count = wf_shards_count(l->shards);
    for (size_t i = 0; count > l->c->names.count && i < count; i++) {
        const wf_stored_tensor *t = wf_shards_at(l->shards, i);
        if (is_read(l, t))
            continue;
        WF_CHECK(!l->options->strict, l->err, WEFT_UNSUPPORTED, "%s: the model has no place for the tensor '%s'",
                 wf_shards_path(l->shards, t), t->name);
        wf_log(l->env, WF_WARN, "%s: the tensor '%s' is not used", wf_shards_path(l->shards, t), t->name);
    }
    return WEFT_OK;
}

/* ---- values ---- */
static bool can_map(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t) {
    return l->options->map && t && map->plain && t->type == WF_F32 && (uintptr_t)t->data % sizeof(float) == 0;
}

static void point_into_files(const loader *l) {
    for (size_t i = 0; i < l->c->names.count; i++) {
        wf_param *p = l->c->model->params.list[l->c->names.list[i].parts[0].param];
        union {
            const void *from;
            float *to;
        } data = {l->tensors[i] ? l->tensors[i]->data : NULL}; /* read-only by agreement: wf_load_options.map */
        if (can_map(l, &l->c->names.list[i], l->tensors[i]))
            p->value = data.to;
    }
}

static size_t largest_moved(const wf_names *names) {
    size_t most = 0;
    for (size_t i = 0; i < names->count; i++)
        if (!names->list[i].plain && (size_t)names->list[i].count > most)
            most = (size_t)names->list[i].count;
    return most;
}

static void read_tensor(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t, float *scratch) {
    wf_param **list = l->c->model->params.list;
    float *values[WF_NAME_PARTS];
    if (map->plain) {
        wf_param *p = list[map->parts[0].param];
        if (p->owns_value)
            wf_dtypes[t->type].to_f32(p->value, t->data, map->count);
        return;
    }
    for (size_t i = 0; i < map->n_parts; i++)
        values[i] = list[map->parts[i].param]->value + map->parts[i].first;
    wf_dtypes[t->type].to_f32(scratch, t->data, map->count);
    wf_map_read(map, scratch, values, scratch + map->count);
}

/* What a file may lack has its initial value. */
static void start_tensor(const loader *l, const wf_tensor_map *map) {
    for (size_t i = 0; i < map->n_parts; i++)
        wf_param_init(&l->c->model->params, l->c->model->params.list[map->parts[i].param], 0);
}

static void release_shards(void *files) { wf_shards_free(files); }

static weft_status read_values(loader *l) {
    wf_model *m = l->c->model;
    size_t most = largest_moved(&l->c->names);
    point_into_files(l);
    WF_TRY(wf_params_allocate(&m->params, l->err));
    for (size_t i = 0; i < m->params.count; i++)
        if (wf_names_computed(l->c->family, m->params.list[i]->name))
            wf_param_init(&m->params, m->params.list[i], 0);
    float *scratch = most ? wf_alloc_big(&l->env->mem, 3 * most * sizeof *scratch) : NULL;
    if (most && !scratch)
        return wf_fail_memory(l->err);
    for (size_t i = 0; i < l->c->names.count; i++)
        if (l->tensors[i])
            read_tensor(l, &l->c->names.list[i], l->tensors[i], scratch);
        else
            start_tensor(l, &l->c->names.list[i]);
    wf_free_big(&l->env->mem, scratch);
    if (!l->options->map)
        return WEFT_OK;
    m->files = l->shards;
    m->release_files = release_shards;
    l->shards = NULL;
    return WEFT_OK;
}

/* ---- all together ---- */
weft_status wf_model_names(const wf_model *model, const wf_family *family, wf_arena *arena, wf_names *out, weft_error *err) {
    const wf_params *params = &model->params;
    wf_named_shape *shapes = wf_arena_alloc(arena, params->count * sizeof *shapes);
    wf_named_model named = {shapes, params->count, model->spec->layers, NULL};
    wf_json *normal;
    if (!shapes)
        return wf_fail_memory(err);
    for (size_t i = 0; i < params->count; i++)
        shapes[i] = (wf_named_shape){params->list[i]->name, params->list[i]->rank, params->list[i]->dims};
    WF_TRY(wf_spec_normal(arena, model->spec, &normal, err));
    named.spec = normal;
    return wf_names_map(family, arena, &named, out, err);
}

/* A config that no model can be made of is bad input, not a bad argument. */
static weft_status of_config(const loader *l, weft_status status) {
    if (status == WEFT_OK || status == WEFT_NO_MEMORY)
        return status;
    wf_fail_in(l->err, "%s", l->config_path);
    if (status == WEFT_USAGE)
        status = WEFT_BAD_INPUT;
    if (l->err)
        l->err->status = status;
    return status;
}

static weft_status make_spec(loader *l, wf_json **spec) {
    wf_config_options options = {.env = l->env, .strict = l->options->strict};
    wf_spec *read;
    WF_TRY(wf_family_of_config(&l->c->families, l->c->config, &l->c->family, l->err));
    WF_TRY(wf_family_spec(l->c->family, &l->c->arena, l->c->config, &options, spec, l->err));
    return wf_spec_read(&l->c->arena, *spec, &read, l->err); /* a bad config is told before any weights are looked at */
}

static weft_status open_all(loader *l, const char *folder) {
    wf_json *spec;
    WF_CHECK(wf_is_dir(folder), l->err, WEFT_FAILURE, "%s: no such folder", folder);
    WF_TRY(open_families(l));
    WF_TRY(of_config(l, read_config(l, folder)));
    WF_TRY(of_config(l, make_spec(l, &spec)));
    if (l->options->config_only)
        return of_config(l, wf_model_create(l->env, spec, &l->c->model, l->err));
    WF_TRY(wf_shards_open(&l->env->mem, folder, &l->shards, l->err));
    WF_TRY(untie(l, spec));
    WF_TRY(of_config(l, wf_model_create(l->env, spec, &l->c->model, l->err)));
    WF_TRY(wf_model_names(l->c->model, l->c->family, &l->c->arena, &l->c->names, l->err));
    WF_TRY(find_tensors(l, folder));
    WF_TRY(check_extra(l));
    return read_values(l);
}

weft_status wf_checkpoint_open(const wf_env *env, const char *folder, const wf_load_options *options, wf_checkpoint *out,
                               weft_error *err) {
    static const wf_load_options plain = {0};
    weft_error own = {.offset = -1};
    loader l = {.env = env, .options = options ? options : &plain, .c = out, .err = err ? err : &own};
    memset(out, 0, sizeof *out);
    wf_arena_init(&out->arena, &env->mem, 0);
    weft_status status = open_all(&l, folder);
    wf_shards_free(l.shards);
    if (status != WEFT_OK)
        wf_checkpoint_close(out);
    return status;
}

void wf_checkpoint_close(wf_checkpoint *c) {
    wf_model_free(c->model);
    wf_families_close(&c->families);
    wf_arena_free(&c->arena);
    memset(c, 0, sizeof *c);
}

weft_status wf_model_load(const wf_env *env, const char *folder, const wf_load_options *options, wf_model **out,
                          weft_error *err) {
    wf_checkpoint c;
    WF_TRY(wf_checkpoint_open(env, folder, options, &c, err));
    *out = c.model;
    c.model = NULL;
    wf_checkpoint_close(&c);
    return WEFT_OK;
}
