/* load_save.c - writing a model folder: the first family that says the spec exactly, its config, and its names of the weights.
 */
#include <string.h>
#include "base/reader.h"
#include "families/load_adapter.h"
#include "families/load_rest.h"
#include "formats/safetensors.h"

typedef struct saver {
    const wf_model *model;
    const wf_save_options *options;
    const wf_mem *mem;
    wf_arena arena;
    wf_families families;
    const wf_family *family;
    wf_json *normal, *config;
    wf_names names;
    const wf_rest *kept; /* of the model's folder, when it is saved as what it was opened as; else NULL */
    weft_error *err;
} saver;

/* ---- which family ---- */

enum { DEEPEST = 32 };

/* Numbers that a config says through arithmetic come back up to a rounding; models compute in fp32. */
static bool alike(const wf_json *a, const wf_json *b, int depth) {
    const wf_json *other = b ? b->child : NULL;
    if (!b || a->kind != b->kind || a->count != b->count || depth == DEEPEST)
        return false;
    if (a->kind == WF_JSON_NUMBER)
        return a->is_integer && b->is_integer ? a->integer == b->integer : (float)a->number == (float)b->number;
    if (!a->child)
        return wf_json_equal(a, b);
    for (const wf_json *j = a->child; j; j = j->next, other = other ? other->next : NULL)
        if (!alike(j, a->kind == WF_JSON_OBJECT ? wf_json_get(b, j->key) : other, depth + 1))
            return false;
    return true;
}

/* Files that hold two tables of tokens part those that a config says are one: what a model has apart is then no difference. */
static weft_status part_tables(saver *s, const wf_family *family, wf_json *spec, weft_error *err) {
    const wf_json *encoder = wf_json_get(spec, "encoder"), *ours = wf_json_get(s->normal, "encoder");
    wf_json *stem = encoder ? wf_json_copy(&s->arena, wf_json_get(encoder, "stem")) : NULL;
    if (!wf_json_get(family->json, "tables") || !stem || !wf_json_bool(stem, "shared", false) ||
        wf_json_bool(wf_json_get(ours, "stem"), "shared", false))
        return WEFT_OK;
    wf_json *parted = wf_json_copy(&s->arena, encoder);
    wf_json_put(&s->arena, stem, "shared", wf_json_new_bool(&s->arena, false));
    wf_json_put(&s->arena, parted, "stem", stem);
    wf_json_put(&s->arena, spec, "encoder", parted);
    return s->arena.failed ? wf_fail_memory(err) : WEFT_OK;
}

/* The same of a head whose own matrix the files hold beside the table that the config ties it to. */
static weft_status part_head(saver *s, wf_json *spec, weft_error *err) {
    const wf_json *head = wf_json_get(spec, "head"), *ours = wf_json_get(s->normal, "head");
    if (!head || !wf_json_bool(head, "tied", false) || !ours || wf_json_bool(ours, "tied", true))
        return WEFT_OK;
    wf_json *parted = wf_json_copy(&s->arena, head);
    wf_json_put(&s->arena, parted, "tied", wf_json_new_bool(&s->arena, false));
    wf_json_put(&s->arena, spec, "head", parted);
    return s->arena.failed ? wf_fail_memory(err) : WEFT_OK;
}

/* Whether a config is that of the same model; `own`: its folder's, whose weights are believed before it. */
static weft_status reads_back(saver *s, const wf_family *family, const wf_json *config, bool own, bool *exactly,
                              weft_error *err) {
    wf_json *spec, *normal;
    wf_spec *read;
    WF_TRY(wf_family_spec(family, &s->arena, config, &(wf_config_options){.strict = !own}, &spec, err));
    if (own) {
        WF_TRY(part_tables(s, family, spec, err));
        WF_TRY(part_head(s, spec, err));
    }
    WF_TRY(wf_spec_read(&s->arena, spec, &read, err));
    WF_TRY(wf_spec_normal(&s->arena, read, &normal, err));
    *exactly = alike(s->normal, normal, 0);
    return WEFT_OK;
}

/* Whether the config a family would write is. Only running out of memory is an error here. */
static weft_status says(saver *s, const wf_family *family, bool *exactly) {
    wf_json *config;
    weft_error local = {.offset = -1};
    weft_status status = wf_family_config(family, &s->arena, s->normal, s->model->spec->context, &config, &local);
    *exactly = false;
    if (status == WEFT_OK)
        status = reads_back(s, family, config, false, exactly, &local);
    if (*exactly) {
        status = wf_model_names(s->model, family, &s->arena, &s->names, &local);
        *exactly = status == WEFT_OK;
        s->config = config;
        s->family = family;
    }
    return status == WEFT_NO_MEMORY ? wf_fail_memory(s->err) : WEFT_OK;
}

static weft_status put(saver *s, wf_json *object, const char *key, wf_json *value) {
    return wf_json_put(&s->arena, object, key, value) ? WEFT_OK : wf_fail_memory(s->err);
}

static wf_json *text(saver *s, const char *value) { return wf_json_new_string(&s->arena, value, strlen(value)); }

/* weft's own: the spec as it was given, and its own names. */
static weft_status write_as_weft(saver *s) {
    const wf_family *own = NULL;
    wf_json *list = wf_json_new(&s->arena, WF_JSON_ARRAY);
    for (size_t i = 0; i < s->families.count; i++)
        if (wf_streq(s->families.list[i].name, "weft"))
            own = &s->families.list[i];
    WF_CHECK(own, s->err, WEFT_FAILURE, "the family 'weft' is not built in");
    s->config = wf_json_new(&s->arena, WF_JSON_OBJECT);
    if (!wf_json_push(list, text(s, "WeftForCausalLM")))
        return wf_fail_memory(s->err);
    WF_TRY(put(s, s->config, "architectures", list));
    WF_TRY(put(s, s->config, "model_type", text(s, "weft")));
    WF_TRY(put(s, s->config, "spec", wf_json_copy(&s->arena, s->model->spec->json)));
    return wf_model_names(s->model, own, &s->arena, &s->names, s->err);
}

/* First the family that the spec is named after, then those that stand alone, then those that are like another. */
enum { TURNS = 3 };
static int turn_of(const saver *s, const wf_family *family) {
    return wf_streq(s->model->spec->name, family->name) ? 0 : family->derived ? 2 : 1;
}

/* What the model was opened as, where its folder's own config, with all that nothing reads, still says it: no family needs to
 * find the words for it anew. What weights without a config say of themselves is none. */
static weft_status say_as_opened(saver *s, bool *exactly) {
    const wf_rest *rest = s->model->rest;
    const wf_family *family = NULL;
    weft_error local = {.offset = -1};
    *exactly = false;
    for (size_t i = 0; rest && !family && i < s->families.count; i++)
        if (wf_streq(s->families.list[i].name, rest->family))
            family = &s->families.list[i];
    if (!family || wf_json_get(family->json, "recognized"))
        return WEFT_OK;
    weft_status status = reads_back(s, family, rest->config, true, exactly, &local);
    if (*exactly) {
        status = wf_model_names(s->model, family, &s->arena, &s->names, &local);
        *exactly = status == WEFT_OK;
    }
    if (*exactly) {
        s->family = family;
        s->kept = rest;
        s->config = wf_json_copy(&s->arena, rest->config);
    }
    return status == WEFT_NO_MEMORY || (*exactly && !s->config) ? wf_fail_memory(s->err) : WEFT_OK;
}

static weft_status choose_family(saver *s) {
    bool exactly = false;
    WF_TRY(wf_families_open(s->mem, &s->families, s->err));
    WF_TRY(wf_spec_normal(&s->arena, s->model->spec, &s->normal, s->err));
    WF_TRY(say_as_opened(s, &exactly));
    for (int turn = 0; turn < TURNS && !exactly; turn++)
        for (size_t i = 0; i < s->families.count && !exactly; i++)
            if (wf_json_get(s->families.list[i].json, "config") && turn_of(s, &s->families.list[i]) == turn)
                WF_TRY(says(s, &s->families.list[i], &exactly));
    if (!exactly)
        return write_as_weft(s);
    if (s->model->rest && wf_streq(s->model->rest->family, s->family->name))
        s->kept = s->model->rest;
    return WEFT_OK;
}

/* ---- the JSON files ---- */
static wf_json *token(saver *s, int64_t id) { return wf_json_new_int(&s->arena, id); }

static weft_status write_json(saver *s, const char *folder, const char *name, const wf_json *json) {
    wf_str out = wf_str_new(s->mem);
    const char *path = wf_path_join(&s->arena, folder, name);
    wf_json_print(&out, json, 2);
    wf_str_putc(&out, '\n');
    weft_status status =
        path && !out.failed ? wf_write_file(s->mem, path, out.data, out.length, s->err) : wf_fail_memory(s->err);
    wf_str_free(&out);
    return status;
}

/* An id that is given; else what the folder's config says, one or a list, where the words of a family do not. */
static weft_status put_id(saver *s, const char *key, int64_t given) {
    const wf_json *own = s->model->rest ? wf_json_get(s->model->rest->config, key) : NULL, *said = wf_json_get(s->config, key);
    if (given >= 0)
        return put(s, s->config, key, token(s, given));
    return own && (!said || said->kind == WF_JSON_NULL) ? put(s, s->config, key, wf_json_copy(&s->arena, own)) : WEFT_OK;
}

static weft_status write_config(saver *s, const char *folder) {
    static const char *const names[] = {[WF_F32] = "float32", [WF_BF16] = "bfloat16", [WF_F16] = "float16"};
    WF_TRY(put(s, s->config, "dtype", text(s, names[s->options->type])));
    WF_TRY(put_id(s, "bos_token_id", s->options->bos));
    WF_TRY(put_id(s, "eos_token_id", s->options->eos));
    return write_json(s, folder, "config.json", s->config);
}

/* The folder's own settings with the ids that are given over them. No file where there is nothing to say: one without ids hides
 * from the reference those that the config names. */
static weft_status write_generation(saver *s, const char *folder) {
    static const char name[] = "generation_config.json";
    const wf_json *own = s->model->rest ? s->model->rest->generation : NULL;
    wf_json *json = own ? wf_json_copy(&s->arena, own) : wf_json_new(&s->arena, WF_JSON_OBJECT);
    const char *path = wf_path_join(&s->arena, folder, name);
    const struct {
        const char *key;
        int64_t id;
    } ids[] = {{"bos_token_id", s->options->bos}, {"eos_token_id", s->options->eos}, {"pad_token_id", s->options->pad}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id >= 0)
            WF_TRY(put(s, json, ids[i].key, token(s, ids[i].id)));
    if (!json || !path)
        return wf_fail_memory(s->err);
    if (json->child)
        return write_json(s, folder, name, json);
    return wf_is_file(path) ? wf_remove_file(path, s->err) : WEFT_OK;
}

/* ---- the weights ---- */
static const wf_tensor_map *map_of(const saver *s, const char *name) {
    for (size_t i = 0; i < s->names.count; i++)
        if (wf_streq(s->names.list[i].name, name))
            return &s->names.list[i];
    return NULL;
}

static const wf_rest_tensor *kept_tensor(const saver *s, const char *name) {
    for (size_t i = 0; i < s->kept->count; i++)
        if (wf_streq(s->kept->tensors[i].stored.name, name))
            return &s->kept->tensors[i];
    return NULL;
}

/* No scratch is needed where every tensor is written as it lies. */
static float *behind(float *scratch, int64_t count) { return scratch ? scratch + count : NULL; }

static weft_status put_tensor(saver *s, wf_safetensors_writer *w, const char *name, float *scratch) {
    const wf_tensor_map *map = map_of(s, name);
    const wf_dtype_row *type = &wf_dtypes[s->options->type];
    const float *values[WF_NAME_PARTS], *from;
    float *straight; /* not where they are put together */
    if (!map) {
        const wf_rest_tensor *t = kept_tensor(s, name);
        if (!t->twin)
            return wf_safetensors_put(w, t->stored.data, t->stored.size, s->err);
        map = map_of(s, t->twin);
    }
    straight = behind(scratch, map->plain ? 0 : 3 * map->count);
    for (size_t i = 0; i < map->n_parts; i++) {
        values[i] = wf_param_values(&s->model->params, s->model->params.list[map->parts[i].param], map->parts[i].first,
                                    map->parts[i].count, straight);
        straight = behind(straight, map->parts[i].count);
    }
    from = values[0];
    if (!map->plain) {
        wf_map_write(map, values, scratch, scratch + map->count);
        from = scratch;
    }
    if (type->from_f32 && s->options->type != WF_F32) {
        type->from_f32(scratch + 3 * map->count, from, map->count);
        from = scratch + 3 * map->count;
    }
    return wf_safetensors_put(w, from, (size_t)map->count * type->size, s->err);
}

static weft_status put_tensors(saver *s, const char *path, const wf_safetensors_plan *plan, float *scratch) {
    wf_safetensors_writer *w;
    WF_TRY(wf_safetensors_create(s->mem, path, plan, &w, s->err));
    weft_status status = WEFT_OK;
    for (size_t i = 0; i < plan->n_tensors && status == WEFT_OK; i++)
        status = put_tensor(s, w, plan->tensors[i].name, scratch);
    if (status == WEFT_OK)
        return wf_safetensors_commit(w, s->err);
    wf_safetensors_abort(w);
    return status;
}

static weft_status write_weights(saver *s, const char *folder) {
    static const wf_stored_text format = {"format", "pt"};
    const char *path = wf_path_join(&s->arena, folder, "model.safetensors");
    size_t most = 0, n = s->names.count, kept = s->kept ? s->kept->count : 0;
    wf_tensor_plan *tensors = wf_arena_alloc(&s->arena, (n + kept) * sizeof *tensors);
    if (!path || !tensors)
        return wf_fail_memory(s->err);
    for (size_t i = 0; i < n; i++) {
        const wf_tensor_map *map = &s->names.list[i];
        bool moved = !map->plain || s->options->type != WF_F32 || s->model->params.list[map->parts[0].param]->turned;
        tensors[i] = (wf_tensor_plan){map->name, s->options->type, map->rank, map->dims};
        most = moved && (size_t)map->count > most ? (size_t)map->count : most;
    }
    for (size_t i = 0; i < kept; i++) {
        const wf_stored_tensor *t = &s->kept->tensors[i].stored;
        const wf_tensor_map *twin = s->kept->tensors[i].twin ? map_of(s, s->kept->tensors[i].twin) : NULL;
        if (map_of(s, t->name) || (s->kept->tensors[i].twin && !twin))
            continue;
        tensors[n++] = twin ? (wf_tensor_plan){t->name, s->options->type, twin->rank, twin->dims}
                            : (wf_tensor_plan){t->name, (wf_dtype)t->type, t->rank, t->dims, t->dtype};
    }
    wf_safetensors_order(tensors, n);
    float *scratch = most ? wf_alloc_big(s->mem, 4 * most * sizeof *scratch) : NULL;
    if (most && !scratch)
        return wf_fail_memory(s->err);
    weft_status status = put_tensors(s, path, &(wf_safetensors_plan){tensors, n, &format, 1}, scratch);
    wf_free_big(s->mem, scratch);
    return status;
}

static weft_status save(saver *s, const char *folder) {
    wf_dtype type = s->options->type;
    WF_CHECK(type == WF_F32 || type == WF_BF16 || type == WF_F16, s->err, WEFT_USAGE,
             "weights are written as fp32, bf16 or fp16");
    WF_TRY(choose_family(s));
    WF_TRY(wf_make_dir(folder, s->err));
    WF_TRY(write_weights(s, folder));
    WF_TRY(write_config(s, folder));
    return write_generation(s, folder);
}

weft_status wf_model_save(const wf_model *model, const char *folder, const wf_save_options *options, weft_error *err) {
    static const wf_save_options plain = {WF_F32, -1, -1, -1};
    saver s = {.model = model, .options = options ? options : &plain, .mem = &model->env->mem, .err = err};
    if (model->adapters)
        return wf_adapters_save(model, folder, err);
    wf_arena_init(&s.arena, s.mem, 0);
    weft_status status = save(&s, folder);
    wf_families_close(&s.families);
    wf_arena_free(&s.arena);
    return status;
}
