/* tensors.c - see tensors.h. */
#include "verify/tensors.h"
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "base/reader.h"
#include "kernels/dtype.h"

static weft_status read_shape(const wf_json *entry, wf_fixture_tensor *t, weft_error *err) {
    const wf_json *shape = wf_json_get(entry, "shape");
    WF_CHECK(shape && shape->kind == WF_JSON_ARRAY && shape->count <= WF_FIXTURE_RANK, err, WEFT_BAD_INPUT,
             "tensor %s has no shape", t->name);
    for (const wf_json *d = shape->child; d; d = d->next) {
        WF_CHECK(d->is_integer, err, WEFT_BAD_INPUT, "tensor %s has a bad shape", t->name);
        t->dims[t->rank++] = d->integer;
    }
    WF_CHECK(wf_product(t->dims, t->rank, &t->count), err, WEFT_BAD_INPUT, "tensor %s has a bad shape", t->name);
    return WEFT_OK;
}

static weft_status read_tensor(wf_arena *arena, const wf_json *entry, const uint8_t *data, size_t size, wf_fixture_tensor *t,
                               weft_error *err) {
    t->name = entry->key;
    WF_TRY(read_shape(entry, t, err));
    int type = wf_dtype_by_safetensors(wf_json_text(entry, "dtype", ""));
    const wf_json *offsets = wf_json_get(entry, "data_offsets"), *first = wf_json_at(offsets, 0),
                  *last = wf_json_at(offsets, 1);
    WF_CHECK(type >= 0, err, WEFT_UNSUPPORTED, "tensor %s has type %s", t->name, wf_json_text(entry, "dtype", "none"));
    WF_CHECK(first && last && first->is_integer && last->is_integer && first->integer >= 0 && last->integer >= first->integer &&
                 (uint64_t)last->integer <= size &&
                 (uint64_t)(last->integer - first->integer) / wf_dtypes[type].size == (uint64_t)t->count,
             err, WEFT_BAD_INPUT, "tensor %s has bad offsets", t->name);
    t->data = wf_arena_alloc(arena, (size_t)t->count * sizeof(float));
    if (!t->data)
        return wf_fail_memory(err);
    wf_dtypes[type].to_f32(t->data, data + first->integer, t->count);
    return WEFT_OK;
}

static weft_status read_all(wf_arena *arena, const wf_file *file, wf_fixture_tensors *out, weft_error *err) {
    wf_reader r = wf_reader_of(file->data, file->size);
    uint64_t length = wf_read_u64(&r);
    WF_CHECK(!r.failed && length <= wf_reader_left(&r), err, WEFT_BAD_INPUT, "the header is longer than the file");
    const char *header = (const char *)wf_read_bytes(&r, (size_t)length);
    wf_json *root;
    WF_TRY(wf_json_parse(arena, header, (size_t)length, 0, &root, err));
    out->items = wf_arena_alloc(arena, (root->count + 1) * sizeof *out->items);
    if (!out->items)
        return wf_fail_memory(err);
    for (const wf_json *entry = root->child; entry; entry = entry->next)
        if (!wf_streq(entry->key, "__metadata__"))
            WF_TRY(read_tensor(arena, entry, file->data + r.position, wf_reader_left(&r), &out->items[out->count++], err));
    return WEFT_OK;
}

weft_status wf_fixture_read(wf_arena *arena, const char *folder, const char *file, bool optional, wf_fixture_tensors *out,
                            weft_error *err) {
    *out = (wf_fixture_tensors){0};
    char *path = wf_path_join(arena, folder, file);
    wf_file bytes;
    if (!path)
        return wf_fail_memory(err);
    if (optional && !wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_file_open(arena->mem, path, true, 0, &bytes, err));
    weft_status status = read_all(arena, &bytes, out, err);
    wf_file_close(&bytes);
    return status == WEFT_OK ? WEFT_OK : wf_fail_in(err, "%s", path);
}

const wf_fixture_tensor *wf_fixture_find(const wf_fixture_tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->count; i++)
        if (wf_streq(tensors->items[i].name, name))
            return &tensors->items[i];
    return NULL;
}

double wf_fixture_error(const wf_fixture_tensor *expected, const float *values, int64_t count) {
    double most = 0, size = 0;
    if (count != expected->count)
        return INFINITY;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)values[i] - (double)expected->data[i]), b = fabs((double)expected->data[i]);
        if (isnan(difference))
            return NAN;
        most = difference > most ? difference : most;
        size = b > size ? b : size;
    }
    return most == 0 ? 0 : most / size; /* infinite where the reference is zero and the result is not */
}
