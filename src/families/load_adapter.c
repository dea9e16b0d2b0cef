#include "families/load_adapter.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "families/adapter_parts.h"
#include "formats/safetensors.h"

enum { CONFIG_BYTES = 1 << 20 };
static const char prefix[] = "base_model.model.";

/* ---- the folder ---- */
static weft_status read_folder(const wf_env *env, wf_arena *arena, const char *folder, wf_adapter_files *out, wf_json **json,
                               weft_error *err) {
    wf_file file;
    const char *path = wf_path_join(arena, folder, "adapter_model.safetensors");
    out->config_path = wf_path_join(arena, folder, "adapter_config.json");
    if (!path || !out->config_path)
        return wf_fail_memory(err);
    WF_CHECK(wf_is_dir(folder), err, WEFT_USAGE, "%s: no such folder", folder);
    WF_TRY(wf_file_open(&env->mem, out->config_path, false, CONFIG_BYTES, &file, err));
    weft_status status = wf_config_parse(arena, (const char *)file.data, file.size, json, err);
    wf_file_close(&file);
    if (status != WEFT_OK)
        return status == WEFT_NO_MEMORY ? status : wf_fail_in(err, "%s", out->config_path);
    return wf_safetensors_open(&env->mem, path, &out->tensors, err);
}

weft_status wf_adapter_files_open(const wf_env *env, wf_arena *arena, const char *folder, const wf_json *fresh,
                                  wf_adapter_files *out, weft_error *err) {
    wf_json *json = NULL;
    *out = (wf_adapter_files){.config_path = "adapter"};
    if (folder)
        WF_TRY(read_folder(env, arena, folder, out, &json, err));
    weft_status status = wf_adapter_config_read(&env->mem, folder ? json : fresh, &out->config, err);
    return status == WEFT_OK || status == WEFT_NO_MEMORY || !folder ? status : wf_fail_in(err, "%s", out->config_path);
}

void wf_adapter_files_close(wf_adapter_files *files) {
    wf_safetensors_free(files->tensors);
    files->tensors = NULL;
}

/* ---- names ---- */
/* A base model alone, without a head, has no first part in its names. */
static const char *hub_name(const wf_checkpoint *c, const char *name) {
    const char *base = wf_json_text(c->family->json, "base", NULL);
    const wf_json *classes = wf_json_get(c->config, "architectures"), *first = wf_json_at(classes, 0);
    size_t n = base ? strlen(base) : 0;
    bool bare = first && first->kind == WF_JSON_STRING && wf_ends_with(first->string, "Model") &&
                !wf_ends_with(first->string, "HeadModel") && !wf_ends_with(first->string, "HeadsModel");
    return bare && n && strncmp(name, base, n) == 0 && name[n] == '.' ? name + n + 1 : name;
}

/* The module a tensor belongs to, and the tensor's own name in it. */
static bool split_name(wf_arena *arena, const char *name, char **module, const char **leaf) {
    const char *dot = strrchr(name, '.');
    *leaf = dot ? dot + 1 : name;
    *module = wf_arena_strndup(arena, name, dot ? (size_t)(dot - name) : 0);
    return *module != NULL;
}

static weft_status touches(const wf_adapter_files *files, const wf_checkpoint *c, const char *tensor, bool *yes,
                           weft_error *err) {
    wf_arena arena;
    char *module;
    const char *leaf, *name = hub_name(c, tensor);
    wf_arena_init(&arena, files->config.mem, 0);
    weft_status status = split_name(&arena, name, &module, &leaf) ? WEFT_OK : wf_fail_memory(err);
    *yes = wf_adapter_saves(&files->config, name);
    if (status == WEFT_OK && !*yes)
        status = wf_adapter_targets(&files->config, &(wf_adapter_module){module, false}, yes, err);
    wf_arena_free(&arena);
    return status;
}

weft_status wf_adapter_unties(const wf_adapter_files *files, const wf_checkpoint *c, bool *yes, weft_error *err) {
    const wf_json *tied = wf_json_get(c->family->json, "tied");
    *yes = false;
    for (const wf_json *j = tied ? tied->child : NULL; j && !*yes; j = j->next) {
        WF_TRY(touches(files, c, j->key, yes, err));
        if (!*yes && j->kind == WF_JSON_STRING)
            WF_TRY(touches(files, c, j->string, yes, err));
    }
    return WEFT_OK;
}

/* ---- building ---- */
typedef struct module { /* a tensor of the base with terms of its own */
    const wf_tensor_map *map;
    const char *name, *key; /* the key without what follows the module */
    int64_t rank;
    float scale;
    bool table;
} module;

typedef struct builder {
    wf_checkpoint *c;
    const wf_adapter_files *files;
    wf_adapters *a;
    module *modules;
    size_t n_modules, used; /* used: tensors of the file that have a place */
    bool bare;              /* the file's names lack the base's first part */
    weft_error *err;
} builder;

static wf_model *model_of(const builder *b) { return b->c->model; }

static const wf_stored_tensor *stored(const builder *b, const char *key) {
    return b->files->tensors ? wf_safetensors_find(b->files->tensors, key) : NULL;
}

/* The maps outlive the checkpoint. */
static const wf_tensor_map *keep_map(builder *b, const wf_tensor_map *map) {
    wf_tensor_map *copy = wf_arena_alloc(&b->a->arena, sizeof *copy);
    wf_name_part *parts = wf_arena_alloc(&b->a->arena, map->n_parts * sizeof *parts);
    if (!copy || !parts)
        return NULL;
    *copy = *map;
    copy->parts = memcpy(parts, map->parts, map->n_parts * sizeof *parts);
    copy->name = wf_arena_strdup(&b->a->arena, map->name);
    return copy->name ? copy : NULL;
}

static bool is_table(const builder *b, const wf_tensor_map *map) {
    return model_of(b)->params.list[map->parts[0].param]->table;
}

/* The last product of a model of language. */
static bool is_output(const builder *b, const wf_tensor_map *map) {
    const wf_model *m = model_of(b);
    for (int i = 0; i < m->spec->n_heads; i++)
        if (m->spec->heads[i].row->classes == WF_CLASSES_VOCAB && m->heads[i].weight == m->params.list[map->parts[0].param])
            return true;
    return false;
}

static const char *name_in_file(const builder *b, const wf_tensor_map *map) {
    const char *base = wf_json_text(b->c->family->json, "base", NULL);
    size_t n = base ? strlen(base) : 0;
    if (!b->files->tensors)
        return hub_name(b->c, map->name);
    return b->bare && n && strncmp(map->name, base, n) == 0 && map->name[n] == '.' ? map->name + n + 1 : map->name;
}

/* Whether no name of the file begins with the family's base. */
static void find_bare(builder *b) {
    const char *base = wf_json_text(b->c->family->json, "base", NULL);
    size_t n = base ? strlen(base) : 0;
    b->bare = b->files->tensors && n;
    for (size_t i = 0; b->bare && i < wf_safetensors_count(b->files->tensors); i++) {
        const char *name = wf_safetensors_at(b->files->tensors, i)->name;
        b->bare = !(wf_starts_with(name, prefix) && strncmp(name + strlen(prefix), base, n) == 0);
    }
}

static weft_status find_modules(builder *b) {
    const wf_names *names = &b->c->names;
    b->modules = wf_arena_alloc(&b->c->arena, names->count * sizeof *b->modules);
    if (!b->modules)
        return wf_fail_memory(b->err);
    for (size_t i = 0; i < names->count; i++) {
        const wf_tensor_map *map = &names->list[i];
        module *m = &b->modules[b->n_modules];
        char *name;
        const char *leaf;
        bool targeted;
        if (!split_name(&b->a->arena, name_in_file(b, map), &name, &leaf))
            return wf_fail_memory(b->err);
        if (!wf_streq(leaf, "weight"))
            continue;
        *m = (module){.map = map, .name = name, .table = is_table(b, map)};
        bool linear = map->rank == 2 && !m->table && !is_output(b, map);
        WF_TRY(wf_adapter_targets(&b->files->config, &(wf_adapter_module){name, linear}, &targeted, b->err));
        if (!targeted)
            continue;
        WF_TRY(wf_adapter_strength(&b->files->config, name, &m->rank, &m->scale, b->err));
        m->key = wf_arena_printf(&b->a->arena, "%s%s", prefix, name);
        if (!m->key)
            return wf_fail_memory(b->err);
        b->n_modules++;
    }
    WF_CHECK(b->n_modules > 0, b->err, WEFT_BAD_INPUT, "no module of the model is a target of the adapter");
    return WEFT_OK;
}

/* ---- units ---- */
static wf_adapter_unit *unit_of(const builder *b, const wf_tensor_map *map) {
    for (size_t i = 0; i < b->a->n_units; i++)
        if (b->a->units[i].params[0] == model_of(b)->params.list[map->parts[0].param])
            return &b->a->units[i];
    return NULL;
}

static weft_status no_matrix(const builder *b, const char *name) {
    return wf_fail(b->err, WEFT_UNSUPPORTED, "an adapter of '%s' is not supported: it is no matrix here", name);
}

/* The rows of a part that has the columns of the whole; false when it is no matrix of them. */
static bool part_rows(const wf_param *p, const wf_name_part *part, const wf_tensor_map *map, int64_t columns, int64_t *rows) {
    *rows = part->count / columns;
    return p->rank >= 2 && p->dims[p->rank - 1] == columns && part->count % columns == 0 && *rows % map->pieces == 0 &&
           p->count % part->count == 0;
}

static weft_status start_unit(builder *b, const module *m, wf_adapter_unit *u) {
    const wf_tensor_map *map = m->map;
    bool turned = map->n_steps == 1;
    *u = (wf_adapter_unit){.n_parts = map->n_parts, .pieces = map->pieces, .where = m->name, .rank = m->rank};
    if (map->rank != 2 || map->n_steps > 1)
        return no_matrix(b, m->name);
    u->columns = map->dims[turned ? 0 : 1];
    u->swapped = m->table && !turned;
    for (size_t k = 0; k < map->n_parts; k++) {
        wf_param *p = model_of(b)->params.list[map->parts[k].param];
        if (!part_rows(p, &map->parts[k], map, u->columns, &u->rows[k]))
            return no_matrix(b, m->name);
        u->slices = p->count / map->parts[k].count;
        u->params[k] = p;
        u->first[k] = u->slices * u->all_rows;
        u->all_rows += u->rows[k];
    }
    WF_CHECK(!u->swapped || u->n_parts == 1, b->err, WEFT_UNSUPPORTED, "an adapter of the table '%s' in parts is not supported",
             m->name);
    u->scales = wf_arena_alloc(&b->a->arena, (size_t)u->slices * sizeof *u->scales);
    return u->scales ? WEFT_OK : wf_fail_memory(b->err);
}

static weft_status declare_factor(builder *b, const wf_adapter_unit *u, const char *what, int rank, const int64_t *dims,
                                  wf_param **out) {
    char name[320];
    snprintf(name, sizeof name, "adapter.%.280s.%s", u->where, what);
    WF_TRY(wf_param_add(&model_of(b)->params, name, rank, dims, out, b->err));
    return WEFT_OK;
}

static weft_status declare_unit(builder *b, wf_adapter_unit *u) {
    const wf_adapter_config *config = &b->files->config;
    int64_t rows = u->slices * u->all_rows, lengths = u->swapped ? u->slices * u->columns : rows;
    WF_TRY(declare_factor(b, u, "left", 2, (int64_t[]){rows, u->rank}, &u->left));
    WF_TRY(declare_factor(b, u, "right", 2, (int64_t[]){u->slices * u->rank, u->columns}, &u->right));
    if (config->dora)
        WF_TRY(declare_factor(b, u, "magnitude", 1, &lengths, &u->magnitude));
    for (size_t k = 0; k < u->n_parts; k++) {
        wf_adapter *a = wf_arena_alloc(&b->a->arena, sizeof *a);
        if (!a)
            return wf_fail_memory(b->err);
        *a = (wf_adapter){.left = u->left,
                          .right = u->right,
                          .magnitude = u->magnitude,
                          .by_column = u->swapped,
                          .first = u->first[k],
                          .slices = u->slices,
                          .rows = u->rows[k],
                          .columns = u->columns,
                          .rank = u->rank,
                          .scales = u->scales,
                          .dropout = u->params[k]->table ? 0.0f : config->dropout};
        u->params[k]->adapter = a;
    }
    return WEFT_OK;
}

static int64_t slice_of(const wf_tensor_map *map) { return map->parts[0].first / map->parts[0].count; }

/* Modules of the same parameters come together; the widest of them decides. */
static weft_status make_units(builder *b) {
    b->a->units = wf_arena_alloc(&b->a->arena, b->n_modules * sizeof *b->a->units);
    if (!b->a->units)
        return wf_fail_memory(b->err);
    for (size_t i = 0; i < b->n_modules; i++) {
        const module *m = &b->modules[i];
        wf_adapter_unit *u = unit_of(b, m->map);
        if (!u)
            WF_TRY(start_unit(b, m, u = &b->a->units[b->a->n_units++]));
        u->rank = u->rank > m->rank ? u->rank : m->rank;
        u->scales[slice_of(m->map)] = m->scale;
    }
    for (size_t i = 0; i < b->a->n_units; i++)
        WF_TRY(declare_unit(b, &b->a->units[i]));
    return WEFT_OK;
}

/* ---- tensors ---- */
static weft_status push_tensor(builder *b, const wf_adapter_tensor *t) {
    wf_adapters *a = b->a;
    WF_TRY(wf_grow(&model_of(b)->env->mem, (void **)&a->tensors, &a->capacity, a->n_tensors + 1, sizeof *a->tensors, b->err));
    a->tensors[a->n_tensors] = *t;
    a->tensors[a->n_tensors].count = t->rank == 2 ? t->dims[0] * t->dims[1] : t->dims[0];
    if (t->map)
        a->tensors[a->n_tensors].count = t->map->count;
    a->n_tensors++;
    return t->key ? WEFT_OK : wf_fail_memory(b->err);
}

static weft_status list_terms(builder *b, const module *m) {
    const wf_adapter_unit *u = unit_of(b, m->map);
    int64_t out = u->swapped ? u->columns : u->all_rows, in = u->swapped ? u->all_rows : u->columns;
    wf_adapter_tensor t = {.rank = 2, .trained = true, .unit = u, .slice = slice_of(m->map)};
    for (int part = WF_PART_A; part <= WF_PART_B; part++) {
        t.part = part;
        t.key = wf_arena_printf(&b->a->arena, m->table ? "%s.lora_embedding_%c" : "%s.lora_%c.weight", m->key, "AB"[part]);
        t.dims[0] = part == WF_PART_A ? m->rank : out;
        t.dims[1] = part == WF_PART_A ? in : m->rank;
        WF_TRY(push_tensor(b, &t));
    }
    if (!u->magnitude)
        return WEFT_OK;
    t.part = WF_PART_MAGNITUDE;
    t.key = wf_arena_printf(&b->a->arena, "%s.lora_magnitude_vector", m->key);
    t.rank = 1;
    t.dims[0] = out;
    return push_tensor(b, &t);
}

static bool is_target(const builder *b, const char *name) {
    for (size_t i = 0; i < b->n_modules; i++)
        if (wf_streq(b->modules[i].name, name))
            return true;
    return false;
}

/* Every bias is kept by its path in the trained model: that of a saved module once more, and the one it replaces, which counts
 * for nothing. Both come before the saved one. */
static weft_status list_copies(builder *b, const wf_adapter_tensor *saved, const char *own, const char *leaf) {
    static const char *const places[] = {"original_module", "modules_to_save"};
    for (int i = 0; i < 2; i++) {
        wf_adapter_tensor t = *saved;
        t.key = wf_arena_printf(&b->a->arena, "%s%s.%s.%s", prefix, own, places[i], leaf);
        t.trained = i == 1;
        if (!t.key)
            return wf_fail_memory(b->err);
        if (stored(b, t.key))
            WF_TRY(push_tensor(b, &t));
    }
    return WEFT_OK;
}

/* A tensor of the base that the adapter holds whole: of a saved module, or a bias that it trains; or one that its file holds
 * for no such reason, which stays as it is. */
static weft_status list_held(builder *b, const wf_tensor_map *map) {
    const wf_adapter_config *config = &b->files->config;
    const char *leaf, *name = name_in_file(b, map);
    char *own;
    if (!split_name(&b->a->arena, name, &own, &leaf))
        return wf_fail_memory(b->err);
    bool target = is_target(b, own), saved = wf_adapter_saves(config, name);
    bool bias = strstr(name, "bias") != NULL &&
                (config->bias == WF_ADAPTER_BIAS_ALL || (config->bias == WF_ADAPTER_BIAS_TARGETS && target));
    wf_adapter_tensor t = {.trained = saved || bias, .rank = map->rank};
    t.key = target ? wf_arena_printf(&b->a->arena, "%s%s.base_layer.%s", prefix, own, leaf)
                   : wf_arena_printf(&b->a->arena, "%s%s", prefix, name);
    if (!t.key)
        return wf_fail_memory(b->err);
    bool there = stored(b, t.key) != NULL;
    WF_CHECK(there || !saved || !b->files->tensors, b->err, WEFT_BAD_INPUT, "the adapter lacks the tensor '%s'", t.key);
    if (!there && !t.trained)
        return WEFT_OK;
    for (size_t k = 0; t.trained && k < map->n_parts; k++)
        model_of(b)->params.list[map->parts[k].param]->frozen = false;
    memcpy(t.dims, map->dims, sizeof t.dims);
    if (!(t.map = keep_map(b, map)))
        return wf_fail_memory(b->err);
    if (saved && bias)
        WF_TRY(list_copies(b, &t, own, leaf));
    return push_tensor(b, &t);
}

static weft_status list_tensors(builder *b) {
    for (size_t i = 0; i < b->n_modules; i++)
        WF_TRY(list_terms(b, &b->modules[i]));
    for (size_t i = 0; i < b->c->names.count; i++)
        WF_TRY(list_held(b, &b->c->names.list[i]));
    return WEFT_OK;
}

/* ---- values ---- */
static weft_status check_stored(const builder *b, const wf_adapter_tensor *t, const wf_stored_tensor *s) {
    bool same = s->rank == t->rank;
    for (int i = 0; same && i < s->rank; i++)
        same = s->dims[i] == t->dims[i];
    if (!same)
        return wf_fail_at(b->err, WEFT_BAD_INPUT, (int64_t)s->offset,
                          "the adapter's tensor '%s' at byte %zu has another shape than its config and the model say", t->key,
                          s->offset);
    WF_CHECK(s->type == WF_F32 || s->type == WF_BF16 || s->type == WF_F16 || s->type == WF_F64, b->err, WEFT_UNSUPPORTED,
             "the adapter's tensor '%s' is of type %s", t->key, s->dtype);
    return WEFT_OK;
}

/* A value of the base that will change is no longer the file's. */
static weft_status own_value(const builder *b, wf_param *p) {
    const wf_mem *mem = &model_of(b)->env->mem;
    if (p->owns_value)
        return WEFT_OK;
    float *copy = wf_alloc_big(mem, (size_t)p->count * sizeof *copy);
    if (!copy)
        return wf_fail_memory(b->err);
    p->value = memcpy(copy, p->value, (size_t)p->count * sizeof *copy);
    p->owns_value = true;
    return WEFT_OK;
}

/* As PEFT begins: A uniform in 1/sqrt(fan in) (or normal, std 1/r), B zero; of a table A zero and B normal. */
static void start_values(const builder *b, const wf_adapter_tensor *t, size_t index, float *file) {
    wf_rng rng = wf_rng_make(b->files->seed, 0xada0u, (uint32_t)index);
    bool normal = wf_json_is_string(wf_json_get(b->files->config.json, "init_lora_weights"), "gaussian");
    double bound = 1.0 / sqrt((double)t->dims[1]), spread = 1.0 / (double)t->dims[0];
    for (int64_t i = 0; i < t->count; i++) {
        if (t->part == (t->unit->swapped ? WF_PART_A : WF_PART_B))
            file[i] = 0.0f;
        else if (t->unit->swapped)
            file[i] = (float)wf_rng_normal(rng, (uint64_t)i);
        else
            file[i] = (float)(normal ? spread * (double)wf_rng_normal(rng, (uint64_t)i)
                                     : bound * (2.0 * (double)wf_rng_uniform(rng, (uint64_t)i) - 1.0));
    }
}

static weft_status read_tensor(builder *b, size_t index, float *file) {
    const wf_adapter_tensor *t = &b->a->tensors[index];
    const wf_stored_tensor *s = stored(b, t->key);
    for (size_t k = 0; t->map && k < t->map->n_parts; k++) {
        wf_param *p = model_of(b)->params.list[t->map->parts[k].param];
        WF_TRY(own_value(b, p));
    }
    b->used += s != NULL;
    if (s) {
        WF_TRY(check_stored(b, t, s));
        wf_dtypes[s->type].to_f32(file, s->data, t->count);
    } else if (t->map || (!b->files->tensors && t->part == WF_PART_MAGNITUDE)) {
        return WEFT_OK; /* the base's own */
    } else {
        WF_CHECK(!b->files->tensors, b->err, WEFT_BAD_INPUT, "the adapter lacks the tensor '%s'", t->key);
        start_values(b, t, index, file);
    }
    return wf_adapter_tensor_read(model_of(b), t, file, b->err);
}

static weft_status check_used(const builder *b) {
    size_t count = b->files->tensors && !b->files->partial ? wf_safetensors_count(b->files->tensors) : 0;
    for (size_t i = 0; b->used < count && i < count; i++) {
        const char *name = wf_safetensors_at(b->files->tensors, i)->name;
        size_t k = 0;
        while (k < b->a->n_tensors && !wf_streq(b->a->tensors[k].key, name))
            k++;
        WF_CHECK(k < b->a->n_tensors, b->err, WEFT_UNSUPPORTED, "the model has no place for the adapter's tensor '%s'", name);
    }
    return WEFT_OK;
}

static weft_status read_values(builder *b) {
    wf_model *m = model_of(b);
    int64_t most = 1;
    WF_TRY(wf_params_allocate(&m->params, b->err));
    for (size_t i = 0; i < b->a->n_tensors; i++)
        most = b->a->tensors[i].count > most ? b->a->tensors[i].count : most;
    for (size_t i = 0; i < b->a->n_units && !b->files->tensors; i++)
        wf_adapter_measure(&b->a->units[i], m->env->kernels);
    float *file = wf_alloc_big(&m->env->mem, (size_t)most * sizeof *file);
    weft_status status = file ? WEFT_OK : wf_fail_memory(b->err);
    for (size_t i = 0; i < b->a->n_tensors && status == WEFT_OK; i++)
        status = read_tensor(b, i, file);
    wf_free_big(&m->env->mem, file);
    return status == WEFT_OK ? check_used(b) : status;
}

/* ---- all together ---- */
static void release(const wf_mem *mem, struct wf_adapters *adapters) { wf_adapters_free(mem, adapters); }

/* The module of a tied pair that has terms of its own. */
static void note_tied(const builder *b) {
    const wf_json *tied = wf_json_get(b->c->family->json, "tied");
    for (const wf_json *j = b->a->parted && tied ? tied->child : NULL; j; j = j->next)
        for (size_t i = 0; i < b->n_modules; i++)
            if (wf_streq(b->modules[i].map->name, j->key) || wf_json_is_string(j, b->modules[i].map->name))
                b->a->term = b->modules[i].name;
}

/* A new adapter says how its base stores matrices: as [in, out] where the family turns them. */
static weft_status note_layout(builder *b) {
    bool turned = false;
    for (size_t i = 0; i < b->n_modules; i++)
        turned |= b->modules[i].map->n_steps == 1 && !b->modules[i].table;
    wf_arena *arena = &b->a->arena;
    return b->files->tensors || wf_json_put(arena, b->a->config, "fan_in_fan_out", wf_json_new_bool(arena, turned))
               ? WEFT_OK
               : wf_fail_memory(b->err);
}

static weft_status build(builder *b, bool values) {
    wf_model *m = model_of(b);
    if (!(b->a->config = wf_json_copy(&b->a->arena, b->files->config.json)))
        return wf_fail_memory(b->err);
    find_bare(b);
    WF_TRY(find_modules(b));
    note_tied(b);
    WF_TRY(note_layout(b));
    WF_TRY(make_units(b));
    for (size_t i = 0; i < m->own_params; i++)
        m->params.list[i]->frozen = true;
    WF_TRY(list_tensors(b));
    return values ? read_values(b) : WEFT_OK;
}

weft_status wf_adapters_attach(wf_checkpoint *c, const wf_adapter_files *files, bool untied, bool values, weft_error *err) {
    const wf_mem *mem = &c->model->env->mem;
    wf_adapters *a = wf_calloc(mem, 1, sizeof *a);
    if (!a)
        return wf_fail_memory(err);
    wf_arena_init(&a->arena, mem, 0);
    c->model->adapters = a;
    c->model->release_adapters = release;
    a->parted = untied;
    builder b = {.c = c, .files = files, .a = a, .err = err};
    weft_status status = build(&b, values);
    if (status == WEFT_OK || status == WEFT_NO_MEMORY || !files->tensors)
        return status;
    return wf_fail_in(err, "%s", files->config_path);
}
