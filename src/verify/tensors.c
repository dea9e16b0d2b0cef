/* tensors.c - see tensors.h. */
#include "verify/tensors.h"
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "base/reader.h"
#include "formats/safetensors.h"

static weft_status read_tensor(wf_arena *arena, const wf_stored_tensor *from, wf_fixture_tensor *t, weft_error *err) {
    t->name = wf_arena_strdup(arena, from->name);
    t->rank = from->rank;
    WF_CHECK(from->type >= 0, err, WEFT_UNSUPPORTED, "tensor %s has type %s", from->name, from->dtype);
    WF_CHECK(from->rank <= WF_FIXTURE_RANK && wf_product(from->dims, from->rank, &t->count), err, WEFT_BAD_INPUT, "tensor %s has a bad shape",
             from->name);
    memcpy(t->dims, from->dims, (size_t)from->rank * sizeof *from->dims);
    t->data = wf_arena_alloc(arena, (size_t)t->count * sizeof(float));
    if (!t->name || !t->data)
        return wf_fail_memory(err);
    wf_dtypes[from->type].to_f32(t->data, from->data, t->count);
    return WEFT_OK;
}

static weft_status read_all(wf_arena *arena, const wf_safetensors *file, wf_fixture_tensors *out, weft_error *err) {
    size_t count = wf_safetensors_count(file);
    out->items = wf_arena_alloc(arena, (count + 1) * sizeof *out->items);
    if (!out->items)
        return wf_fail_memory(err);
    for (; out->count < count; out->count++)
        WF_TRY(read_tensor(arena, wf_safetensors_at(file, out->count), &out->items[out->count], err));
    return WEFT_OK;
}

weft_status wf_fixture_read(wf_arena *arena, const char *folder, const char *file, bool optional, wf_fixture_tensors *out,
                            weft_error *err) {
    *out = (wf_fixture_tensors){0};
    char *path = wf_path_join(arena, folder, file);
    wf_safetensors *stored;
    if (!path)
        return wf_fail_memory(err);
    if (optional && !wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_safetensors_open(arena->mem, path, &stored, err));
    weft_status status = read_all(arena, stored, out, err);
    wf_safetensors_free(stored);
    return status;
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
