#include "families/load.h"
#include <stdio.h>
#include <string.h>
#include "base/checked.h"
#include "base/reader.h"
#include "families/load_adapter.h"
#include "families/measure.h"
#include "families/load_rest.h"
#include "formats/shards.h"

/* ---- config.json ---- */
enum { CONFIG_BYTES = 16 << 20, FAMILY_BYTES = 1 << 20 };

typedef struct loader {
    const wf_env *env;
    const wf_load_options *options;
    wf_checkpoint *c;
    const char *config_path;
    wf_shards *shards;
    const char *prefix;               /* of every name in the files beside the family's own; "": none */
    const wf_stored_tensor **tensors; /* per map of the names */
    wf_pairs pairs;                   /* tensors found equal */
    wf_adapter_files adapter;
    bool adapted, untied; /* there is an adapter; it parts a tied tensor */
    weft_error *err;
} loader;

static bool is_adapter(loader *l, const char *folder) {
    const char *path = wf_path_join(&l->c->arena, folder, "adapter_config.json");
    return path && wf_is_file(path);
}

static weft_status read_config(loader *l, const char *folder) {
    wf_file file;
    wf_json *config;
    char *path;
    WF_TRY(wf_path_inside(&l->c->arena, folder, "config.json", &path, l->err));
    WF_CHECK(wf_is_file(path) || !is_adapter(l, folder), l->err, WEFT_BAD_INPUT,
             "this is an adapter: open the model that it was trained on, with the adapter beside it (--adapter)");
    WF_CHECK(wf_is_file(path), l->err, WEFT_BAD_INPUT,
             "no config.json in it, nor weights of a known name; a model in one file is opened by that file's name");
    l->config_path = path;
    WF_TRY(wf_file_open(&l->env->mem, path, false, CONFIG_BYTES, &file, l->err));
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

/* What wrappers put before every name: data parallelism, compilation, training loops. */
static weft_status find_prefix(loader *l) {
    static const char *const wrappers[] = {"module.", "_orig_mod.", "state_dict.", "model_state_dict."};
    char *prefix = wf_arena_strdup(&l->c->arena, "");
    for (size_t w = 0; prefix && w < sizeof wrappers / sizeof *wrappers; w++) {
        char *longer = wf_arena_printf(&l->c->arena, "%s%s", prefix, wrappers[w]);
        size_t i = 0, count = wf_shards_count(l->shards);
        while (longer && i < count && wf_starts_with(wf_shards_at(l->shards, i)->name, longer))
            i++;
        if (count > 0 && i == count) {
            prefix = longer;
            w = SIZE_MAX; /* from the first one again: wrappers are wrapped */
        }
    }
    l->prefix = prefix;
    return prefix ? WEFT_OK : wf_fail_memory(l->err);
}

static const wf_stored_tensor *look_up(const loader *l, const char *name) {
    char *full = *l->prefix ? wf_arena_printf(&l->c->arena, "%s%s", l->prefix, name) : NULL;
    return wf_shards_find(l->shards, full ? full : name);
}

static const char *own_name(const loader *l, const wf_stored_tensor *t) { return t->name + strlen(l->prefix); }

/* Norms were called gamma and beta once. */
static const wf_stored_tensor *find_legacy(const loader *l, const char *name) {
    static const char *const renamed[2][2] = {{".weight", ".gamma"}, {".bias", ".beta"}};
    for (int i = 0; i < 2; i++)
        if (wf_ends_with(name, renamed[i][0])) {
            char *old =
                wf_arena_printf(&l->c->arena, "%.*s%s", (int)(strlen(name) - strlen(renamed[i][0])), name, renamed[i][1]);
            return old ? look_up(l, old) : NULL;
        }
    return NULL;
}

/* Of a base with more than one part files may leave out the first, in front of every name. */
static const char *without_first(const char *base, const char *name) {
    size_t n = wf_names_first(base);
    return n > 0 && strncmp(name, base, n) == 0 ? name + n : name;
}

static const wf_stored_tensor *find_either(const loader *l, const char *name) {
    const char *base = family_base(l->c), *bare = without_base(base, name), *shorter = without_first(base, name);
    const wf_stored_tensor *t = look_up(l, name);
    t = t ? t : look_up(l, bare);
    t = t || shorter == name ? t : look_up(l, shorter);
    t = t ? t : find_legacy(l, name);
    return t ? t : find_legacy(l, bare);
}

/* ---- tied tensors ---- */
static weft_status loosen(loader *l, wf_json *spec) {
    wf_json *loose = wf_json_copy(&l->c->arena, wf_json_get(spec, "head"));
    wf_json_put(&l->c->arena, loose, "tied", wf_json_new_bool(&l->c->arena, false));
    return wf_json_put(&l->c->arena, spec, "head", loose) ? WEFT_OK : wf_fail_memory(l->err);
}

/* The encoder's table of tokens: what it is has nothing to say of the head. */
static bool is_source_table(const loader *l, const char *name) {
    const wf_json *tables = wf_json_get(l->c->family->json, "tables");
    for (const wf_json *j = tables ? tables->child : NULL; j; j = j->next ? j->next->next : NULL)
        if (wf_json_is_string(j, name))
            return true;
    return false;
}

/* A config may tie what the file holds twice and differently; like the reference, the file is believed. */
static weft_status untie(loader *l, wf_json *spec) {
    const wf_json *tied = wf_json_get(l->c->family->json, "tied"), *head = wf_json_get(spec, "head");
    for (const wf_json *j = tied ? tied->child : NULL; j; j = j->next) {
        const wf_stored_tensor *a = find_either(l, j->key), *b = find_either(l, j->string);
        if (!a || !b || !wf_json_bool(head, "tied", false) || is_source_table(l, j->key) || wf_pairs_same(&l->pairs, a, b))
            continue;
        wf_log(l->env, WF_WARN, "%s: '%s' and '%s' differ, so they are not tied", l->config_path, j->key, j->string);
        WF_TRY(loosen(l, spec));
    }
    return WEFT_OK;
}

/* An encoder whose table of tokens is the decoder's, where the file holds two that differ: each has its own. */
static weft_status part_tables(loader *l, wf_json *spec) {
    const wf_json *tables = wf_json_get(l->c->family->json, "tables");
    wf_json *encoder = wf_json_copy(&l->c->arena, wf_json_get(spec, "encoder"));
    const wf_json *stem = encoder ? wf_json_get(encoder, "stem") : NULL;
    if (!wf_json_bool(stem, "shared", false))
        return WEFT_OK;
    for (const wf_json *j = tables ? tables->child : NULL; j && j->next; j = j->next->next) {
        const wf_stored_tensor *a = find_either(l, j->string), *b = find_either(l, j->next->string);
        if (!a || !b || wf_pairs_same(&l->pairs, a, b))
            continue;
        wf_log(l->env, WF_WARN, "%s: '%s' and '%s' differ, so they are not one", l->config_path, j->string, j->next->string);
        wf_json *own = wf_json_copy(&l->c->arena, stem);
        wf_json_put(&l->c->arena, own, "shared", wf_json_new_bool(&l->c->arena, false));
        if (!wf_json_put(&l->c->arena, encoder, "stem", own) || !wf_json_put(&l->c->arena, spec, "encoder", encoder))
            return wf_fail_memory(l->err);
    }
    return WEFT_OK;
}

/* An adapter of one use of a tied tensor leaves the other as it is. */
static weft_status untie_for_adapter(loader *l, wf_json *spec) {
    if (!l->adapted || !wf_json_bool(wf_json_get(spec, "head"), "tied", false))
        return WEFT_OK;
    WF_TRY(wf_adapter_unties(&l->adapter, l->c, &l->untied, l->err));
    return l->untied ? loosen(l, spec) : WEFT_OK;
}

/* Another name of a tied tensor, for files that hold only that one. */
static const wf_stored_tensor *find_twin(const loader *l, const char *name) {
    const wf_json *tied = l->c->names.tied;
    const wf_stored_tensor *found = NULL;
    for (const wf_json *j = tied ? tied->child : NULL; j && !found; j = j->next) {
        if (wf_json_is_string(j, name))
            found = find_either(l, j->key);
        else if (l->untied && j->kind == WF_JSON_STRING && wf_streq(j->key, name))
            found = find_either(l, j->string);
    }
    return found;
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
    return is_twin(l, own_name(l, t)) || wf_names_unused(&l->c->names, own_name(l, t));
}

/* Parts that the family does not have may be there when they do nothing. */
static weft_status check_zero(const loader *l, const wf_stored_tensor *t) {
    const char *bytes = t->data;
    for (size_t i = 0; i < t->size; i++)
        WF_CHECK(bytes[i] == 0, l->err, WEFT_UNSUPPORTED, "%s: the part of the model with the tensor '%s' is not supported",
                 wf_shards_path(l->shards, t), t->name);
    return WEFT_OK;
}

/* Tensors beyond the model's are a mistake somewhere, unless its heads were left away. */
static weft_status check_extra(const loader *l) {
    size_t count = wf_shards_count(l->shards);
    for (size_t i = 0; !l->options->body && count > l->c->names.count && i < count; i++) {
        const wf_stored_tensor *t = wf_shards_at(l->shards, i);
        if (is_read(l, t))
            continue;
        if (wf_names_zero(&l->c->names, own_name(l, t))) {
            WF_TRY(check_zero(l, t));
            continue;
        }
        WF_CHECK(!l->options->strict, l->err, WEFT_UNSUPPORTED, "%s: the model has no place for the tensor '%s'",
                 wf_shards_path(l->shards, t), t->name);
        wf_log(l->env, WF_WARN, "%s: the tensor '%s' is not used", wf_shards_path(l->shards, t), t->name);
    }
    return WEFT_OK;
}

/* ---- values ---- */
/* Numbers that can be moved from where they lie. */
static bool is_ready(const wf_stored_tensor *t) { return t->type == WF_F32 && (uintptr_t)t->data % sizeof(float) == 0; }

static wf_param *part_of(const loader *l, const wf_tensor_map *map, size_t i) {
    return l->c->model->params.list[map->parts[i].param];
}

static bool can_map(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t) {
    return l->options->map && t && map->plain && is_ready(t);
}

/* Matrices side by side in a tensor that is their stack turned: each a parameter of its own. Adapters want them in order. */
static bool can_map_turned(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t) {
    const wf_name_step *step = wf_map_turned(map);
    bool can = l->options->map && l->options->turned && !l->adapted && t && step && is_ready(t);
    for (size_t i = 0; can && i < map->n_parts; i++) {
        const wf_param *p = part_of(l, map, i);
        can = p->rank == 2 && p->count == map->parts[i].count && p->dims[1] == step->dims[1];
    }
    return can;
}

static void point_into_files(const loader *l) {
    for (size_t i = 0; i < l->c->names.count; i++) {
        const wf_tensor_map *map = &l->c->names.list[i];
        union {
            const void *from;
            float *to;
        } data = {l->tensors[i] ? l->tensors[i]->data : NULL}; /* read-only by agreement: wf_load_options.map */
        if (can_map(l, map, l->tensors[i]))
            part_of(l, map, 0)->value = data.to;
        if (!can_map_turned(l, map, l->tensors[i]))
            continue;
        for (size_t k = 0; k < map->n_parts; data.to += part_of(l, map, k)->dims[0], k++) {
            part_of(l, map, k)->value = data.to;
            part_of(l, map, k)->turned = wf_map_turned(map)->dims[0];
        }
    }
}

/* All of it is in its place already. */
static bool stays(const loader *l, const wf_tensor_map *map) {
    return map->plain ? !part_of(l, map, 0)->owns_value : part_of(l, map, 0)->turned != 0;
}

static size_t scratch_of(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t) {
    return map->plain || stays(l, map) ? 0 : (size_t)(wf_map_scratch(map) + (is_ready(t) ? 0 : map->count));
}

static void read_tensor(const loader *l, const wf_tensor_map *map, const wf_stored_tensor *t, float *scratch) {
    float *values[WF_NAME_PARTS];
    const float *from = t->data;
    if (stays(l, map))
        return;
    if (map->plain) {
        wf_dtypes[t->type].to_f32(part_of(l, map, 0)->value, t->data, map->count);
        return;
    }
    for (size_t i = 0; i < map->n_parts; i++)
        values[i] = part_of(l, map, i)->value + map->parts[i].first;
    if (!is_ready(t)) {
        wf_dtypes[t->type].to_f32(scratch, t->data, map->count);
        from = scratch;
        scratch += map->count;
    }
    wf_map_read(map, from, values, scratch);
}

typedef struct reading { /* of all values, shared by the threads */
    const loader *l;
    float *scratch;
    size_t each; /* scratch of a thread */
} reading;

enum { MOST_THREADS = 256 };

/* Each tensor goes to the thread with the least to do so far: every thread counts the same. */
static void read_share(void *arg, int thread, int n_threads) {
    const reading *r = arg;
    const wf_names *names = &r->l->c->names;
    float *own = r->scratch ? r->scratch + (size_t)thread * r->each : NULL;
    int64_t busy[MOST_THREADS] = {0};
    for (size_t i = 0; i < names->count; i++) {
        int to = 0;
        for (int k = 1; k < n_threads; k++)
            to = busy[k] < busy[to] ? k : to;
        busy[to] += names->list[i].count;
        if (to == thread && r->l->tensors[i])
            read_tensor(r->l, &names->list[i], r->l->tensors[i], own);
    }
}

static weft_status read_all(loader *l) {
    reading r = {.l = l};
    size_t threads = (size_t)wf_pool_threads(l->env->pool), bytes;
    for (size_t i = 0; i < l->c->names.count; i++) {
        size_t need = l->tensors[i] ? scratch_of(l, &l->c->names.list[i], l->tensors[i]) : 0;
        r.each = need > r.each ? need : r.each;
    }
    if (!wf_mul_size(r.each, threads * sizeof *r.scratch, &bytes))
        return wf_fail_memory(l->err);
    r.scratch = bytes ? wf_alloc_big(&l->env->mem, bytes) : NULL;
    if (bytes && !r.scratch)
        return wf_fail_memory(l->err);
    wf_pool_run(l->env->pool, read_share, &r);
    wf_free_big(&l->env->mem, r.scratch);
    return WEFT_OK;
}

/* What a file may lack has its initial value. */
static void start_tensor(const loader *l, const wf_tensor_map *map) {
    for (size_t i = 0; i < map->n_parts; i++)
        wf_param_init(&l->c->model->params, l->c->model->params.list[map->parts[i].param], 0);
}

static void release_shards(void *files) { wf_shards_free(files); }

static weft_status read_values(loader *l) {
    wf_model *m = l->c->model;
    point_into_files(l);
    WF_TRY(wf_params_allocate(&m->params, l->err));
    for (size_t i = 0; i < m->params.count; i++)
        if (wf_names_computed(l->c->family, m->params.list[i]->name))
            wf_param_init(&m->params, m->params.list[i], 0);
    WF_TRY(read_all(l));
    for (size_t i = 0; i < l->c->names.count; i++)
        if (!l->tensors[i])
            start_tensor(l, &l->c->names.list[i]);
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
    wf_named_shape *shapes = wf_arena_alloc(arena, model->own_params * sizeof *shapes);
    wf_named_model named = {shapes, model->own_params, model->spec->layers, NULL};
    wf_json *normal;
    if (!shapes)
        return wf_fail_memory(err);
    for (size_t i = 0; i < model->own_params; i++)
        shapes[i] = (wf_named_shape){params->list[i]->name, params->list[i]->rank, params->list[i]->dims};
    WF_TRY(wf_spec_normal(arena, model->spec, &normal, err));
    named.spec = normal;
    return wf_names_map(family, arena, &named, out, err);
}

/* A config that no model can be made of is bad input, not a bad argument. */
static weft_status of_config(const loader *l, weft_status status) {
    if (status == WEFT_OK || status == WEFT_NO_MEMORY)
        return status;
    if (!l->err || !wf_starts_with(l->err->message, l->config_path)) /* of a file that cannot be read it does */
        wf_fail_in(l->err, "%s", l->config_path);
    if (status == WEFT_USAGE)
        status = WEFT_BAD_INPUT;
    if (l->err)
        l->err->status = status;
    return status;
}

static weft_status drop_heads(loader *l, wf_json *spec) {
    wf_json *none = wf_json_new(&l->c->arena, WF_JSON_OBJECT);
    wf_json_put(&l->c->arena, none, "kind", wf_json_new_string(&l->c->arena, "none", 4));
    wf_json_put(&l->c->arena, spec, "head", none);
    wf_json_put(&l->c->arena, spec, "heads", wf_json_new(&l->c->arena, WF_JSON_ARRAY));
    return l->c->arena.failed ? wf_fail_memory(l->err) : WEFT_OK;
}

static weft_status make_spec(loader *l, wf_json **spec) {
    wf_config_options options = {.env = l->env, .strict = l->options->strict, .where = l->config_path};
    wf_spec *read;
    WF_TRY(wf_family_of_config(&l->c->families, l->c->config, &l->c->family, l->err));
    WF_TRY(wf_family_spec(l->c->family, &l->c->arena, l->c->config, &options, spec, l->err));
    if (l->options->body)
        WF_TRY(drop_heads(l, *spec));
    return wf_spec_read(&l->c->arena, *spec, &read, l->err); /* a bad config is told before any weights are looked at */
}

static weft_status open_shards(loader *l, const char *path) {
    if (!l->shards)
        WF_TRY(wf_shards_open(&l->env->mem, path, &l->shards, l->err));
    return find_prefix(l);
}

static bool names_model(const wf_json *config) {
    return wf_json_get(config, "model_type") || wf_json_get(config, "architectures");
}

/* What the weights say themselves, over a config that does not name its model. */
static weft_status measure_config(loader *l, const char *path) {
    const wf_json *own;
    WF_TRY(open_shards(l, path));
    own = wf_shards_config(l->shards);
    wf_json *given = l->c->config ? wf_json_copy(&l->c->arena, l->c->config) : wf_json_new(&l->c->arena, WF_JSON_OBJECT);
    for (const wf_json *j = own ? own->child : NULL; j; j = j->next)
        if (!wf_json_put(&l->c->arena, given, j->key, wf_json_copy(&l->c->arena, j)))
            return wf_fail_memory(l->err);
    return wf_family_measure(&l->c->families, &l->c->arena, l->shards, given, &l->c->config, l->err);
}

static bool has_config(loader *l, const char *folder) {
    char *path = wf_path_join(&l->c->arena, folder, "config.json");
    return path && wf_is_file(path);
}

/* A file of weights beside its config.json. */
static bool lies_in_model(loader *l, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *folder = slash ? wf_arena_strndup(&l->c->arena, path, (size_t)(slash - path) + 1) : ".";
    return folder && has_config(l, folder);
}

/* A folder's config.json comes first, so that a bad one is told before any weights are looked at. */
static weft_status find_config(loader *l, const char *path) {
    bool folder = wf_is_dir(path);
    l->config_path = path;
    if (folder && has_config(l, path)) {
        WF_TRY(of_config(l, read_config(l, path)));
        if (names_model(l->c->config))
            return WEFT_OK;
    }
    weft_error quiet = {.offset = -1};
    weft_status status = folder ? wf_shards_open(&l->env->mem, path, &l->shards, &quiet) : WEFT_OK;
    if (status == WEFT_FAILURE) /* no weights either: then the config is what is missing */
        return l->c->config ? WEFT_OK : of_config(l, read_config(l, path));
    if (status)
        return wf_fail(l->err, status, "%s", quiet.message);
    status = measure_config(l, path);
    if (status == WEFT_UNSUPPORTED)
        wf_fail_in(l->err, "%s", path);
    return status == WEFT_UNSUPPORTED && !folder && lies_in_model(l, path)
               ? wf_fail(l->err, status, "%s holds weights alone: open the folder it lies in", path)
               : status;
}

/* ---- an adapter beside it ---- */
static weft_status open_adapter(loader *l) {
    const wf_load_options *o = l->options;
    const char *path = o->adapter || o->new_adapter ? o->adapter : l->env->adapter;
    l->adapted = path || o->new_adapter;
    if (!l->adapted)
        return WEFT_OK;
    WF_TRY(wf_adapter_files_open(l->env, &l->c->arena, path, o->new_adapter, &l->adapter, l->err));
    l->adapter.seed = o->adapter_seed;
    l->adapter.partial = o->body;
    return WEFT_OK;
}

static weft_status attach_adapter(loader *l, bool values) {
    wf_model *m = l->c->model;
    if (!l->adapted)
        return WEFT_OK;
    WF_TRY(wf_adapters_attach(l->c, &l->adapter, l->untied, values, l->err));
    if (l->options->unmerged || !values)
        return WEFT_OK;
    WF_TRY(wf_adapters_merge(m, true, l->err));
    wf_adapters_drop(m);
    return WEFT_OK;
}

static weft_status create_only(loader *l, wf_json *spec) {
    WF_TRY(untie_for_adapter(l, spec));
    WF_TRY(of_config(l, wf_model_create(l->env, spec, &l->c->model, l->err)));
    if (!l->adapted)
        return WEFT_OK;
    WF_TRY(wf_model_names(l->c->model, l->c->family, &l->c->arena, &l->c->names, l->err));
    return attach_adapter(l, false);
}

static weft_status open_all(loader *l, const char *path) {
    wf_json *spec;
    WF_CHECK(wf_is_dir(path) || wf_is_file(path), l->err, WEFT_USAGE,
             "'%s' is neither a model folder nor a file, nor a name in the cache of the Hugging Face hub", path);
    WF_TRY(open_families(l));
    WF_TRY(find_config(l, path));
    WF_TRY(of_config(l, make_spec(l, &spec)));
    WF_TRY(open_adapter(l));
    if (l->options->config_only)
        return create_only(l, spec);
    WF_TRY(open_shards(l, path));
    WF_TRY(untie(l, spec));
    WF_TRY(part_tables(l, spec));
    WF_TRY(untie_for_adapter(l, spec));
    WF_TRY(of_config(l, wf_model_create(l->env, spec, &l->c->model, l->err)));
    WF_TRY(wf_model_names(l->c->model, l->c->family, &l->c->arena, &l->c->names, l->err));
    WF_TRY(find_tensors(l, path));
    WF_TRY(check_extra(l));
    WF_TRY(wf_rest_keep(l->c,
                        &(wf_rest_files){.path = path,
                                         .shards = l->shards,
                                         .read = l->tensors,
                                         .skip = strlen(l->prefix),
                                         .pairs = &l->pairs,
                                         .mapped = l->options->map},
                        l->err));
    WF_TRY(read_values(l));
    return attach_adapter(l, true);
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
    wf_adapter_files_close(&l.adapter);
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
