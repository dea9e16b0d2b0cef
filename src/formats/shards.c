#include "formats/shards.h"
#include <string.h>
#include "base/json.h"
#include "base/reader.h"

typedef struct shard {
    const char *path;
    wf_safetensors *file;
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
    WF_TRY(wf_safetensors_open(s->mem, path, &s->list[s->count].file, err));
    *index = s->count++;
    return WEFT_OK;
}

static bool is_plain(const wf_json *name) {
    return name->kind == WF_JSON_STRING && name->length > 0 && strlen(name->string) == name->length &&
           !strchr(name->string, '/') && !strchr(name->string, '\\') && name->string[0] != '.';
}

enum { MOST_SHARDS = 10000 };

/* The shard of that name, opened when it is new. */
static weft_status find_shard(wf_shards *s, const char *folder, const wf_json *name, size_t *index, weft_error *err) {
    if (!is_plain(name))
        return wf_fail_at(err, WEFT_BAD_INPUT, name->offset, "the shard of '%s' is not a plain file name", name->key);
    const char *path = wf_path_join(&s->arena, folder, name->string);
    if (!path)
        return wf_fail_memory(err);
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
        WF_CHECK(wf_safetensors_find(s->list[at].file, j->key), err, WEFT_BAD_INPUT, "the shard '%s' has no tensor '%s'",
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

static weft_status open_folder(wf_shards *s, const char *folder, weft_error *err) {
    const char *one = wf_path_join(&s->arena, folder, "model.safetensors");
    const char *index = wf_path_join(&s->arena, folder, "model.safetensors.index.json");
    size_t first;
    if (!one || !index)
        return wf_fail_memory(err);
    if (wf_is_file(one) || !wf_is_file(index))
        return add(s, one, &first, err); /* says that it is missing when both are */
    return open_index(s, folder, index, err);
}

weft_status wf_shards_open(const wf_mem *mem, const char *folder, wf_shards **out, weft_error *err) {
    wf_shards *s = wf_calloc(mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    s->mem = mem;
    wf_arena_init(&s->arena, mem, 0);
    weft_status status = open_folder(s, folder, err);
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
        wf_safetensors_free(s->list[i].file);
    wf_free(s->mem, s->list);
    wf_arena_free(&s->arena);
    wf_free(s->mem, s);
}

size_t wf_shards_count(const wf_shards *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += wf_safetensors_count(s->list[i].file);
    return n;
}

const wf_stored_tensor *wf_shards_at(const wf_shards *s, size_t i) {
    for (size_t k = 0; k < s->count; k++) {
        size_t n = wf_safetensors_count(s->list[k].file);
        if (i < n)
            return wf_safetensors_at(s->list[k].file, i);
        i -= n;
    }
    return NULL;
}

const wf_stored_tensor *wf_shards_find(const wf_shards *s, const char *name) {
    const wf_stored_tensor *t = NULL;
    for (size_t k = 0; k < s->count && !t; k++)
        t = wf_safetensors_find(s->list[k].file, name);
    return t;
}

const char *wf_shards_path(const wf_shards *s, const wf_stored_tensor *t) {
    for (size_t k = 0; k < s->count; k++)
        if (wf_safetensors_find(s->list[k].file, t->name) == t)
            return s->list[k].path;
    return "";
}
