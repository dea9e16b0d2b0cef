#include "formats/tensor_file.h"
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

/* ---- the table ---- */
#define WF_FORMAT(name) extern const wf_format wf_format_##name;
#include "formats/formats.def"
#undef WF_FORMAT
#define WF_FORMAT(name) &wf_format_##name,
const wf_format *const wf_formats[] = {
#include "formats/formats.def"
    NULL};
#undef WF_FORMAT

/* The kind that alone has the file's suffix; else, the first that knows the bytes. */
const wf_format *wf_format_of(const char *path, const uint8_t *data, size_t size) {
    for (int i = 0; path && wf_formats[i]; i++)
        if (wf_formats[i]->only && wf_ends_with(path, wf_formats[i]->suffix))
            return wf_formats[i];
    for (int i = 0; wf_formats[i]; i++)
        if (wf_formats[i]->is(data, size))
            return wf_formats[i];
    return NULL;
}

/* ---- opening ---- */
static int by_name(const void *a, const void *b) {
    const wf_stored_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static weft_status sort(wf_tensor_file *f, weft_error *err) {
    if (f->count)
        qsort(f->list, f->count, sizeof *f->list, by_name);
    for (size_t i = 1; i < f->count; i++)
        if (strcmp(f->list[i - 1].name, f->list[i].name) == 0)
            return wf_fail_at(err, WEFT_BAD_INPUT, (int64_t)f->list[i].offset, "tensor \"%.80s\": the name is given twice",
                              f->list[i].name);
    return WEFT_OK;
}

/* Kinds that people have and that are not read, by bytes at a place near the beginning. */
static const struct {
    size_t at;
    const char *bytes, *name;
} unread[] = {
    {0, "GGUF", "GGUF (only its tokenizer is: weft tokenize)"}, {4, "TFL3", "TensorFlow Lite"}, {0, "\x89HDF\r\n", "HDF5"}};

static weft_status fail_kind(const wf_tensor_file *f, weft_error *err) {
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        size_t n = strlen(unread[i].bytes);
        if (f->size >= unread[i].at + n && memcmp(f->data + unread[i].at, unread[i].bytes, n) == 0)
            return wf_fail(err, WEFT_UNSUPPORTED, "a model in a file of this kind is not read: %s", unread[i].name);
    }
    return wf_fail(err, WEFT_BAD_INPUT, "these bytes are of no kind of tensor file that is known");
}

static weft_status parse(wf_tensor_file *f, const wf_format *kind, weft_error *err) {
    if (!kind)
        return fail_kind(f, err);
    f->kind = kind;
    WF_TRY(kind->parse(f, err));
    if (f->arena.failed)
        return wf_fail_memory(err);
    return sort(f, err);
}

static wf_tensor_file *new_file(const wf_mem *mem) {
    wf_tensor_file *f = wf_calloc(mem, 1, sizeof *f);
    if (f) {
        f->mem = mem;
        wf_arena_init(&f->arena, mem, 0);
    }
    return f;
}

static weft_status finish(wf_tensor_file *f, weft_status status, wf_tensor_file **out) {
    if (status == WEFT_OK)
        *out = f;
    else
        wf_tensor_file_free(f);
    return status;
}

weft_status wf_tensor_file_parse(const wf_mem *mem, const wf_format *kind, const void *data, size_t size, wf_tensor_file **out,
                                 weft_error *err) {
    wf_tensor_file *f = new_file(mem);
    if (!f)
        return wf_fail_memory(err);
    f->data = data;
    f->size = size;
    return finish(f, parse(f, kind ? kind : wf_format_of(NULL, data, size), err), out);
}

weft_status wf_tensor_file_open(const wf_mem *mem, const char *path, wf_tensor_file **out, weft_error *err) {
    wf_tensor_file *f = new_file(mem);
    if (!f)
        return wf_fail_memory(err);
    weft_status status = wf_file_open(mem, path, true, 0, &f->file, err);
    if (status == WEFT_OK) {
        f->data = f->file.data;
        f->size = f->file.size;
        status = parse(f, wf_format_of(path, f->data, f->size), err);
        if (status != WEFT_OK)
            wf_fail_in(err, "%s", path);
    }
    return finish(f, status, out);
}

void wf_tensor_file_free(wf_tensor_file *f) {
    if (!f)
        return;
    if (f->release)
        f->release(f->owner);
    for (size_t i = 0; i < f->n_blocks; i++)
        wf_free_big(f->mem, f->blocks[i]);
    wf_free(f->mem, f->blocks);
    wf_free(f->mem, f->list);
    wf_arena_free(&f->arena);
    if (f->file.data)
        wf_file_close(&f->file);
    wf_free(f->mem, f);
}

const wf_stored_tensor *wf_tensor_file_find(const wf_tensor_file *f, const char *name) {
    wf_stored_tensor key = {.name = name};
    return f->count ? bsearch(&key, f->list, f->count, sizeof *f->list, by_name) : NULL;
}

/* ---- for the kinds ---- */
static unsigned bits_of(const wf_stored_tensor *t) {
    const char *name;
    unsigned bits = t->type >= 0 ? 8 * (unsigned)wf_dtypes[t->type].size : wf_element_bits(t->dtype, strlen(t->dtype), &name);
    return bits ? bits : 128; /* C128, which safetensors files lack */
}

static weft_status check_size(const wf_stored_tensor *t, weft_error *err) {
    int64_t elements, bits;
    unsigned each = bits_of(t);
    if (!wf_product(t->dims, t->rank, &elements) || !wf_mul_i64(elements, each, &bits) || bits / 8 != (int64_t)t->size)
        return wf_fail_at(err, WEFT_BAD_INPUT, (int64_t)t->offset,
                          "tensor \"%.80s\": its shape does not fit its %zu bytes (at byte %zu)", t->name, t->size, t->offset);
    return WEFT_OK;
}

weft_status wf_tensor_file_add(wf_tensor_file *f, const wf_stored_tensor *tensor, weft_error *err) {
    WF_CHECK(tensor->rank >= 0 && tensor->rank <= WF_STORED_RANK_MAX, err, WEFT_BAD_INPUT, "tensor \"%.80s\": %d dimensions",
             tensor->name, tensor->rank);
    WF_TRY(check_size(tensor, err));
    WF_TRY(wf_grow(f->mem, (void **)&f->list, &f->capacity, f->count + 1, sizeof *f->list, err));
    int64_t *dims = wf_arena_alloc(&f->arena, (size_t)tensor->rank * sizeof *dims);
    char *name = wf_arena_strdup(&f->arena, tensor->name);
    if (!dims || !name)
        return wf_fail_memory(err);
    if (tensor->rank)
        memcpy(dims, tensor->dims, (size_t)tensor->rank * sizeof *dims);
    f->list[f->count] = *tensor;
    f->list[f->count].name = name;
    f->list[f->count++].dims = dims;
    return WEFT_OK;
}

weft_status wf_tensor_file_block(wf_tensor_file *f, size_t size, size_t most, void **out, weft_error *err) {
    WF_CHECK(size <= most && f->unpacked <= most - size, err, WEFT_BAD_INPUT,
             "unpacked, it would take more memory than a file of %zu bytes can hold", f->size);
    WF_TRY(wf_grow(f->mem, (void **)&f->blocks, &f->blocks_capacity, f->n_blocks + 1, sizeof *f->blocks, err));
    void *block = wf_alloc_big(f->mem, size ? size : 1);
    if (!block)
        return wf_fail_memory(err);
    f->blocks[f->n_blocks++] = *out = block;
    f->unpacked += size;
    return WEFT_OK;
}

void wf_swap_bytes(void *data, size_t size, size_t width) {
    uint8_t *at = data;
    for (size_t i = 0; width > 1 && i + width <= size; i += width)
        for (size_t k = 0; k < width / 2; k++) {
            uint8_t byte = at[i + k];
            at[i + k] = at[i + width - 1 - k];
            at[i + width - 1 - k] = byte;
        }
}
