/* tensor_json.c - tensors in a JSON file, each {"shape", "dtype": "torch.float32", "data": base64}, beside the "config" of
 * their model (checkpoints of minGPT for the web). */
#include <string.h>
#include "base/base64.h"
#include "base/checked.h"
#include "formats/tensor_file.h"

static const struct {
    const char *torch, *type;
} types[] = {{"torch.float32", "F32"}, {"torch.float16", "F16"}, {"torch.bfloat16", "BF16"}, {"torch.float64", "F64"},
             {"torch.int64", "I64"},   {"torch.int32", "I32"},   {"torch.uint8", "U8"},      {"torch.bool", "BOOL"}};

static const char *type_of(const wf_json *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (wf_json_is_string(name, types[i].torch))
            return types[i].type;
    return NULL;
}

static weft_status fail(const wf_json *j, const char *what, weft_error *err) {
    return wf_fail_at(err, WEFT_BAD_INPUT, j->offset, "tensor \"%.80s\": %s (byte %lld)", j->key, what, (long long)j->offset);
}

static weft_status read_shape(const wf_json *j, const wf_json *shape, int64_t *dims, weft_error *err) {
    if (shape->kind != WF_JSON_ARRAY || shape->count > WF_STORED_RANK_MAX)
        return fail(j, "its shape is no list", err);
    size_t i = 0;
    for (const wf_json *d = shape->child; d; d = d->next) {
        if (!d->is_integer || d->integer < 0)
            return fail(j, "its shape must hold whole numbers from 0 on", err);
        dims[i++] = d->integer;
    }
    return WEFT_OK;
}

static weft_status add(wf_tensor_file *file, const wf_json *j, weft_error *err) {
    const wf_json *shape = wf_json_get(j, "shape"), *data = wf_json_get(j, "data");
    int64_t dims[WF_STORED_RANK_MAX];
    void *block;
    wf_stored_tensor t = {.name = j->key, .dtype = type_of(wf_json_get(j, "dtype")), .dims = dims};
    if (!shape || !t.dtype || !data || data->kind != WF_JSON_STRING)
        return fail(j, "it needs a shape, a dtype that is known and data in base64", err);
    WF_TRY(read_shape(j, shape, dims, err));
    WF_TRY(wf_tensor_file_block(file, data->length, 2 * file->size, &block, err));
    if (!wf_base64_decode(data->string, data->length, block, &t.size))
        return fail(j, "its data is no base64", err);
    t.type = wf_dtype_by_safetensors(t.dtype);
    t.rank = (int)shape->count;
    t.data = block;
    t.offset = (size_t)data->offset;
    return wf_tensor_file_add(file, &t, err);
}

static bool is_tensor(const wf_json *j) {
    return j->kind == WF_JSON_OBJECT && wf_json_get(j, "shape") && wf_json_get(j, "data");
}

static weft_status parse(wf_tensor_file *file, weft_error *err) {
    wf_json *root;
    WF_TRY(wf_json_parse(&file->arena, (const char *)file->data, file->size, 0, &root, err));
    for (const wf_json *j = root->kind == WF_JSON_OBJECT ? root->child : NULL; j; j = j->next)
        if (is_tensor(j))
            WF_TRY(add(file, j, err));
    WF_CHECK(file->count > 0, err, WEFT_BAD_INPUT, "a JSON file without tensors");
    const wf_json *config = wf_json_get(root, "config");
    file->config = config && config->kind == WF_JSON_OBJECT ? config : NULL;
    return WEFT_OK;
}

/* An object with a tensor among its first bytes: configs and tokenizers have none. */
static bool is(const uint8_t *data, size_t size) {
    static const char dtype[] = "\"torch.";
    size_t n = sizeof dtype - 1;
    if (size == 0 || data[0] != '{')
        return false;
    for (size_t i = 0; i + n <= size && i < 4096; i++)
        if (memcmp(data + i, dtype, n) == 0)
            return true;
    return false;
}

const wf_format wf_format_tensor_json = {.name = "tensor JSON",
                                         .about = "tensors in base64 and a config in a JSON file",
                                         .suffix = ".json",
                                         .is = is,
                                         .parse = parse};
