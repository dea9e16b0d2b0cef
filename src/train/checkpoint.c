#include "train/checkpoint.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/reader.h"
#include "formats/safetensors.h"

enum { KEEP = 2 };

/* One array of the file, in the order it is written. */
typedef struct part {
    const char *name;
    void *data;
    wf_dtype type;
    int64_t count;
} part;

typedef struct parts {
    part *list;
    size_t count;
} parts;

static size_t bytes_of(const part *p) { return (size_t)p->count * wf_dtypes[p->type].size; }

/* Parameters, optimizer states and averages, the schedule's plain struct. */
static weft_status collect(wf_trainer *t, const wf_model *model, wf_arena *arena, parts *out, weft_error *err) {
    size_t states = wf_trainer_states(t), n = 0;
    part *list = wf_arena_alloc(arena, (model->params.count + states + 1) * sizeof *list);
    if (!list)
        return wf_fail_memory(err);
    for (size_t i = 0; i < model->params.count; i++) {
        wf_param *p = model->params.list[i];
        if (p->frozen)
            continue; /* the base of an adapter has its values from its own file */
        list[n++] = (part){wf_arena_printf(arena, "parameter/%s", p->name), p->value, WF_F32, p->count};
    }
    for (size_t i = 0; i < states; i++) {
        wf_opt_state s = wf_trainer_state(t, i);
        list[n++] = (part){wf_arena_printf(arena, "%s/%s", s.slot, s.tensor), s.data, WF_F32, s.count};
    }
    list[n++] = (part){"schedule", &wf_trainer_schedule(t)->state, WF_U8, (int64_t)sizeof(wf_schedule_state)};
    for (size_t i = 0; i < n; i++)
        if (!list[i].name)
            return wf_fail_memory(err);
    *out = (parts){list, n};
    return WEFT_OK;
}

static void digest_text(const part *p, char out[17]) {
    snprintf(out, 17, "%016llx", (unsigned long long)XXH3_64bits(p->data, bytes_of(p)));
}

static weft_status digests(const parts *all, wf_arena *arena, const wf_mem *mem, char **out, weft_error *err) {
    wf_json *j = wf_json_new(arena, WF_JSON_OBJECT);
    char hex[17];
    for (size_t i = 0; i < all->count; i++) {
        digest_text(&all->list[i], hex);
        wf_json_put(arena, j, all->list[i].name, wf_json_new_string(arena, hex, 16));
    }
    wf_str text = wf_str_new(mem);
    if (j)
        wf_json_print(&text, j, 0);
    *out = j && !text.failed ? wf_arena_strdup(arena, wf_str_text(&text)) : NULL;
    wf_str_free(&text);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

static weft_status write_parts(const wf_mem *mem, const parts *all, const char *path, const wf_stored_text *meta, size_t n_meta,
                               wf_arena *arena, weft_error *err) {
    wf_tensor_plan *plan = wf_arena_alloc(arena, all->count * sizeof *plan);
    wf_safetensors_writer *w;
    if (!plan)
        return wf_fail_memory(err);
    for (size_t i = 0; i < all->count; i++)
        plan[i] = (wf_tensor_plan){all->list[i].name, all->list[i].type, 1, &all->list[i].count};
    WF_TRY(wf_safetensors_create(mem, path, &(wf_safetensors_plan){plan, all->count, meta, n_meta}, &w, err));
    for (size_t i = 0; i < all->count; i++) {
        weft_status status = wf_safetensors_put(w, all->list[i].data, bytes_of(&all->list[i]), err);
        if (status != WEFT_OK) {
            wf_safetensors_abort(w);
            return status;
        }
    }
    return wf_safetensors_commit(w, err);
}

/* The checkpoints of a folder, oldest first: names sort by their zero-padded step. */
static weft_status list_checkpoints(wf_arena *arena, const char *folder, char ***names, size_t *count, weft_error *err) {
    size_t n, kept = 0;
    *count = 0;
    if (!wf_is_dir(folder))
        return WEFT_OK;
    WF_TRY(wf_list_dir(arena, folder, names, &n, err));
    for (size_t i = 0; i < n; i++)
        if (wf_starts_with((*names)[i], "checkpoint-") && wf_ends_with((*names)[i], ".safetensors"))
            (*names)[kept++] = (*names)[i];
    *count = kept;
    return WEFT_OK;
}

/* What is left of writers that were killed. */
static void remove_leftovers(wf_arena *arena, const char *folder) {
    char **names;
    size_t n;
    if (wf_list_dir(arena, folder, &names, &n, NULL) != WEFT_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        const char *path =
            wf_starts_with(names[i], "checkpoint-") && strstr(names[i], ".tmp.") ? wf_path_join(arena, folder, names[i]) : NULL;
        if (path)
            unlink(path);
    }
}

static void prune(wf_arena *arena, const char *folder, size_t keep) {
    char **names;
    size_t n;
    if (list_checkpoints(arena, folder, &names, &n, NULL) != WEFT_OK)
        return;
    for (size_t i = 0; i + keep < n; i++) {
        const char *path = wf_path_join(arena, folder, names[i]);
        if (path)
            unlink(path);
    }
}

static weft_status save(wf_trainer *t, const wf_model *model, const char *folder, const wf_json *loop, wf_arena *arena,
                        weft_error *err) {
    const wf_mem *mem = &model->env->mem;
    parts all;
    char *sums;
    wf_str text = wf_str_new(mem);
    WF_TRY(wf_make_dir(folder, err));
    remove_leftovers(arena, folder);
    WF_TRY(collect(t, model, arena, &all, err));
    WF_TRY(digests(&all, arena, mem, &sums, err));
    wf_json_print(&text, loop, 0);
    char *copy = text.failed ? NULL : wf_arena_strdup(arena, wf_str_text(&text));
    char *path = wf_arena_printf(arena, "%s/checkpoint-%010lld.safetensors", folder, (long long)wf_trainer_steps(t));
    wf_str_free(&text);
    if (!copy || !path)
        return wf_fail_memory(err);
    const wf_stored_text meta[] = {{"format", "weft-checkpoint 1"}, {"loop", copy}, {"digests", sums}};
    WF_TRY(write_parts(mem, &all, path, meta, 3, arena, err));
    prune(arena, folder, KEEP);
    return WEFT_OK;
}

weft_status wf_checkpoint_save(wf_trainer *t, const wf_model *model, const char *folder, const wf_json *loop, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, &model->env->mem, 0);
    weft_status status = save(t, model, folder, loop, &arena, err);
    if (status == WEFT_OK && arena.failed) /* written, but old ones may be left */
        status = wf_fail_memory(err);
    wf_arena_free(&arena);
    return status;
}

weft_status wf_checkpoint_clear(const wf_mem *mem, const char *folder, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    remove_leftovers(&arena, folder);
    prune(&arena, folder, 0);
    bool failed = arena.failed;
    wf_arena_free(&arena);
    return failed ? wf_fail_memory(err) : WEFT_OK;
}

/* ---- loading ---- */
static weft_status verify_part(const part *p, const wf_safetensors *file, const wf_json *sums, const wf_stored_tensor **out,
                               weft_error *err) {
    const wf_stored_tensor *stored = wf_safetensors_find(file, p->name);
    char hex[17];
    WF_CHECK(stored, err, WEFT_BAD_INPUT, "tensor '%s' is missing", p->name);
    WF_CHECK(stored->size == bytes_of(p), err, WEFT_BAD_INPUT, "tensor '%s' at byte %zu has %zu bytes where %zu are expected",
             p->name, stored->offset, stored->size, bytes_of(p));
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)XXH3_64bits(stored->data, stored->size));
    const wf_json *sum = wf_json_get(sums, p->name);
    if (!sum || !wf_json_is_string(sum, hex))
        return wf_fail_at(err, WEFT_BAD_INPUT, (int64_t)stored->offset, "tensor '%s' at byte %zu does not match its checksum",
                          p->name, stored->offset);
    *out = stored;
    return WEFT_OK;
}

/* Everything is verified before anything is changed. */
static weft_status restore(const parts *all, const wf_safetensors *file, wf_arena *arena, wf_json **loop, weft_error *err) {
    const char *sums_text = wf_safetensors_text(file, "digests"), *loop_text = wf_safetensors_text(file, "loop");
    const wf_stored_tensor **stored = wf_arena_alloc(arena, all->count * sizeof *stored);
    wf_json *sums;
    WF_CHECK(sums_text && loop_text, err, WEFT_BAD_INPUT, "not a checkpoint of weft");
    if (!stored)
        return wf_fail_memory(err);
    WF_TRY(wf_json_parse(arena, sums_text, strlen(sums_text), 0, &sums, err));
    WF_TRY(wf_json_parse(arena, loop_text, strlen(loop_text), 0, loop, err));
    for (size_t i = 0; i < all->count; i++)
        WF_TRY(verify_part(&all->list[i], file, sums, &stored[i], err));
    for (size_t i = 0; i < all->count; i++)
        memcpy(all->list[i].data, stored[i]->data, stored[i]->size);
    return WEFT_OK;
}

static weft_status load_one(wf_trainer *t, const wf_model *model, const char *path, wf_arena *arena, wf_json **loop,
                            weft_error *err) {
    parts all;
    wf_safetensors *file;
    WF_TRY(wf_safetensors_open(&model->env->mem, path, &file, err));
    weft_status status = collect(t, model, arena, &all, err);
    if (status == WEFT_OK && (status = restore(&all, file, arena, loop, err)) != WEFT_OK)
        wf_fail_in(err, "%s", path);
    wf_safetensors_free(file);
    return status;
}

weft_status wf_checkpoint_load(wf_trainer *t, wf_model *model, const char *folder, wf_arena *arena, wf_json **loop, bool *found,
                               weft_error *err) {
    char **names;
    size_t n;
    weft_error first = {0};
    *found = false;
    WF_TRY(list_checkpoints(arena, folder, &names, &n, err));
    for (size_t i = n; i-- > 0;) {
        weft_error one = {0};
        const char *path = wf_path_join(arena, folder, names[i]);
        weft_status status = path ? load_one(t, model, path, arena, loop, &one) : wf_fail_memory(&one);
        if (status == WEFT_OK) {
            *found = true;
            wf_trainer_set_steps(t, wf_json_int(*loop, "step", 0));
            return WEFT_OK;
        }
        wf_log(model->env, WF_WARN, "%s; trying the checkpoint before it", one.message);
        first = first.status ? first : one;
    }
    if (n == 0)
        return WEFT_OK;
    if (err)
        *err = first;
    return first.status;
}
