#include "formats/shards.h"
#include <string.h>
#include "base/json.h"
#include "base/reader.h"

typedef struct shard {
    const char *path;
    wf_tensor_file *file;
} shard;

struct wf_shards {
    const wf_mem *mem;
    wf_arena arena; /* paths */
    shard *list;
    size_t count, capacity;
};

static weft_status add(wf_shards *s, const char *path, size_t *index, weft_error *err) {
    WF_TRY(wf_grow(s->mem, (void **)&s->list, &s->capacity, s->count + 1, sizeof *s->list, err));
    s->list[s->count] = (shard){.path = path};
    WF_TRY(wf_tensor_file_open(s->mem, path, &s->list[s->count].file, err));
    *index = s->count++;
    return WEFT_OK;
}

enum { MOST_SHARDS = 10000 };

/* The shard of that name, opened when it is new. */
static weft_status find_shard(wf_shards *s, const char *folder, const wf_json *name, size_t *index, weft_error *err) {
    char *path;
    if (name->kind != WF_JSON_STRING || !wf_is_plain_name(name->string, name->length))
        return wf_fail_at(err, WEFT_BAD_INPUT, name->offset, "the shard of '%s' is not a plain file name", name->key);
    WF_TRY(wf_path_inside(&s->arena, folder, name->string, &path, err));
    for (*index = 0; *index < s->count; ++*index)
        if (wf_streq(s->list[*index].path, path))
            return WEFT_OK;
    WF_CHECK(s->count < MOST_SHARDS, err, WEFT_BAD_INPUT, "more than %d shards", (int)MOST_SHARDS);
    WF_CHECK(wf_is_file(path), err, WEFT_BAD_INPUT, "the shard '%s' is missing", name->string);
    return add(s, path, index, err);
}

static weft_status read_map(wf_shards *s, const char *folder, const wf_json *index, weft_error *err) {
    const wf_json *map = wf_json_get(index, "weight_map");
    WF_CHECK(map && map->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "it has no 'weight_map'");
    for (const wf_json *j = map->child; j; j = j->next) {
        size_t at;
        WF_TRY(find_shard(s, folder, j, &at, err));
        WF_CHECK(wf_tensor_file_find(s->list[at].file, j->key), err, WEFT_BAD_INPUT, "the shard '%s' has no tensor '%s'",
                 j->string, j->key);
    }
    return WEFT_OK;
}

static weft_status open_index(wf_shards *s, const char *folder, const char *path, weft_error *err) {
    wf_json *index;
    WF_TRY(wf_json_parse_file(&s->arena, path, &index, err));
    weft_status status = read_map(s, folder, index, err);
    return status ? wf_fail_in(err, "%s", path) : WEFT_OK;
}

/* The file of that name, when the folder has it; else *path is NULL. */
static weft_status look_for(wf_shards *s, const char *folder, const char *name, char **path, weft_error *err) {
    *path = NULL;
    if (!name)
        return WEFT_OK;
    WF_TRY(wf_path_inside(&s->arena, folder, name, path, err));
    if (!wf_is_file(*path))
        *path = NULL;
    return WEFT_OK;
}

static weft_status open_folder(wf_shards *s, const char *folder, weft_error *err) {
    for (int i = 0; wf_formats[i]; i++) {
        const wf_format *kind = wf_formats[i];
        char *one, *index;
        size_t first;
        WF_TRY(look_for(s, folder, kind->whole, &one, err));
        if (one)
            return add(s, one, &first, err);
        WF_TRY(look_for(s, folder, kind->index, &index, err));
        if (index)
            return open_index(s, folder, index, err);
    }
    return wf_fail(err, WEFT_FAILURE, "%s: no file of weights in this folder (model.safetensors, pytorch_model.bin ..)",
                   folder);
}

weft_status wf_shards_open(const wf_mem *mem, const char *path, wf_shards **out, weft_error *err) {
    wf_shards *s = wf_calloc(mem, 1, sizeof *s);
    size_t first;
    if (!s)
        return wf_fail_memory(err);
    s->mem = mem;
    wf_arena_init(&s->arena, mem, 0);
    char *copy = wf_arena_strdup(&s->arena, path);
    weft_status status = !copy ? wf_fail_memory(err) : wf_is_dir(path) ? open_folder(s, copy, err) : add(s, copy, &first, err);
    if (status != WEFT_OK) {
        wf_shards_free(s);
        return status;
    }
    *out = s;
    return WEFT_OK;
}

void wf_shards_free(wf_shards *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        wf_tensor_file_free(s->list[i].file);
    wf_free(s->mem, s->list);
    wf_arena_free(&s->arena);
    wf_free(s->mem, s);
}

size_t wf_shards_count(const wf_shards *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->list[i].file->count;
    return n;
}

const wf_stored_tensor *wf_shards_at(const wf_shards *s, size_t i) {
    for (size_t k = 0; k < s->count; k++) {
        const wf_tensor_file *file = s->list[k].file;
        if (i < file->count)
            return &file->list[i];
        i -= file->count;
    }
    return NULL;
}

const wf_stored_tensor *wf_shards_find(const wf_shards *s, const char *name) {
    const wf_stored_tensor *t = NULL;
    for (size_t k = 0; k < s->count && !t; k++)
        t = wf_tensor_file_find(s->list[k].file, name);
    return t;
}

const char *wf_shards_path(const wf_shards *s, const wf_stored_tensor *t) {
    for (size_t k = 0; k < s->count; k++)
        if (wf_tensor_file_find(s->list[k].file, t->name) == t)
            return s->list[k].path;
    return "";
}

const wf_json *wf_shards_config(const wf_shards *s) { return s->count ? s->list[0].file->config : NULL; }
const char *wf_shards_format(const wf_shards *s) { return s->count ? s->list[0].file->kind->name : ""; }
