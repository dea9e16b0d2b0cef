#include "formats/shards_write.h"
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "base/json.h"
#include "base/reader.h"

typedef struct item { /* a tensor of the plan and the file it goes to */
    size_t index, file;
    uint64_t size;
} item;

typedef struct writing {
    const wf_mem *mem;
    const char *folder;
    const wf_shards_plan *plan;
    wf_arena arena;
    item *items;
    wf_tensor_plan *part; /* of one file */
    size_t files;
    uint64_t total;
    weft_error *err;
} writing;

/* In the order of the plan, a file after the other. */
static weft_status divide(writing *w) {
    uint64_t used = 0;
    size_t n = w->plan->n_tensors;
    w->items = wf_arena_alloc(&w->arena, (n + 1) * sizeof *w->items);
    w->part = wf_arena_alloc(&w->arena, (n + 1) * sizeof *w->part);
    if (!w->items || !w->part)
        return wf_fail_memory(w->err);
    w->files = 1;
    for (size_t i = 0; i < n; i++) {
        const wf_tensor_plan *t = &w->plan->tensors[i];
        int64_t size;
        WF_CHECK(wf_tensor_plan_bytes(t, &size), w->err, WEFT_FAILURE, "tensor \"%.64s\" is too large", t->name);
        if (used > 0 && used + (uint64_t)size > w->plan->limit) {
            w->files++;
            used = 0;
        }
        used += (uint64_t)size;
        w->total += (uint64_t)size;
        w->items[i] = (item){i, w->files - 1, (uint64_t)size};
    }
    return WEFT_OK;
}

static char *file_name(writing *w, size_t file) {
    return w->files == 1 ? wf_arena_strdup(&w->arena, "model.safetensors")
                         : wf_arena_printf(&w->arena, "model-%05zu-of-%05zu.safetensors", file + 1, w->files);
}

static size_t index_of(const writing *w, size_t first, size_t n, const char *name) {
    for (size_t i = first; i < first + n; i++)
        if (wf_streq(w->plan->tensors[i].name, name))
            return i;
    return first;
}

static weft_status put_tensors(const writing *w, size_t first, size_t n, wf_safetensors_writer *out) {
    for (size_t i = 0; i < n; i++) {
        const void *data;
        size_t size;
        WF_TRY(w->plan->bytes(w->plan->user, index_of(w, first, n, w->part[i].name), &data, &size, w->err));
        WF_TRY(wf_safetensors_put(out, data, size, w->err));
    }
    return WEFT_OK;
}

static weft_status write_file(writing *w, size_t file, size_t first, size_t n) {
    static const wf_stored_text format = {"format", "pt"};
    const char *name = file_name(w, file), *path = name ? wf_path_join(&w->arena, w->folder, name) : NULL;
    wf_safetensors_writer *out;
    if (!path)
        return wf_fail_memory(w->err);
    if (n)
        memcpy(w->part, w->plan->tensors + first, n * sizeof *w->part);
    wf_safetensors_order(w->part, n);
    WF_TRY(wf_safetensors_create(w->mem, path, &(wf_safetensors_plan){w->part, n, &format, 1}, &out, w->err));
    weft_status status = put_tensors(w, first, n, out);
    if (status == WEFT_OK)
        return wf_safetensors_commit(out, w->err);
    wf_safetensors_abort(out);
    return status;
}

static weft_status write_index(writing *w) {
    wf_json *index = wf_json_new(&w->arena, WF_JSON_OBJECT);
    wf_json *meta = wf_json_put(&w->arena, index, "metadata", wf_json_new(&w->arena, WF_JSON_OBJECT));
    wf_json_put(&w->arena, meta, "total_size", wf_json_new_int(&w->arena, (int64_t)w->total));
    wf_json *map = wf_json_put(&w->arena, index, "weight_map", wf_json_new(&w->arena, WF_JSON_OBJECT));
    for (size_t i = 0; i < w->plan->n_tensors; i++) {
        const char *name = file_name(w, w->items[i].file);
        wf_json_put(&w->arena, map, w->plan->tensors[i].name, name ? wf_json_new_string(&w->arena, name, strlen(name)) : NULL);
    }
    const char *path = wf_path_join(&w->arena, w->folder, "model.safetensors.index.json");
    wf_str text = wf_str_new(w->mem);
    wf_json_print(&text, index, 2);
    wf_str_putc(&text, '\n');
    weft_status status = path && !text.failed && !w->arena.failed ? wf_write_file(w->mem, path, text.data, text.length, w->err)
                                                                  : wf_fail_memory(w->err);
    wf_str_free(&text);
    return status;
}

static weft_status write_all(writing *w) {
    size_t n = w->plan->n_tensors;
    WF_TRY(divide(w));
    for (size_t file = 0, first = 0; file < w->files; file++) {
        size_t end = first;
        while (end < n && w->items[end].file == file)
            end++;
        WF_TRY(write_file(w, file, first, end - first));
        first = end;
    }
    return w->files > 1 ? write_index(w) : WEFT_OK;
}

weft_status wf_shards_write(const wf_mem *mem, const char *folder, const wf_shards_plan *plan, size_t *files, weft_error *err) {
    writing w = {.mem = mem, .folder = folder, .plan = plan, .err = err};
    wf_arena_init(&w.arena, mem, 0);
    weft_status status = write_all(&w);
    *files = w.files;
    wf_arena_free(&w.arena);
    return status;
}
