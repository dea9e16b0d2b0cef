/* safetensors.c - the reader. */
#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "base/reader.h"
#include "formats/tensor_file.h"

enum { HEADER_MAX = 100000000, LENGTH_BYTES = 8 };

typedef struct entry { /* a tensor as the header tells it */
    wf_stored_tensor tensor;
    int64_t begin, end; /* relative to the data */
    size_t at;          /* where in the file its name stands */
} entry;

struct wf_safetensors {
    const wf_mem *mem;
    wf_arena arena; /* names, dims, metadata */
    wf_file file;   /* empty when parsed from memory */
    entry *entries; /* by name in the end */
    size_t count, capacity;
    wf_stored_text *metadata;
    size_t n_metadata, metadata_capacity;
    bool has_metadata;
};

typedef struct parsing {
    wf_safetensors *file;
    wf_json_reader json;
    weft_error *err;
} parsing;

/* ---- element types ---- */

static const struct {
    const char *name;
    unsigned bits;
} element_types[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},    {"F8_E5M2", 8},
    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16}, {"BF16", 16}, {"I32", 32},
    {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},    {"I64", 64}, {"U64", 64},
};

unsigned wf_element_bits(const char *dtype, size_t length, const char **name) {
    for (size_t i = 0; i < sizeof element_types / sizeof *element_types; i++)
        if (strlen(element_types[i].name) == length && memcmp(element_types[i].name, dtype, length) == 0) {
            *name = element_types[i].name;
            return element_types[i].bits;
        }
    return 0;
}

/* ---- errors ---- */

static weft_status fail_tensor(const parsing *p, const entry *e, size_t at, const char *what) {
    return wf_fail_at(p->err, WEFT_BAD_INPUT, (int64_t)at, "tensor \"%.80s\": %s (byte %zu)", e->tensor.name, what, at);
}

static size_t value_at(const parsing *p) { return LENGTH_BYTES + p->json.value_offset; }

/* ---- the header ---- */

typedef struct item { /* what the pull reader found */
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, value_length;
} item;

static weft_status next(parsing *p, item *i) {
    return wf_json_next(&p->json, &i->kind, &i->key, &i->key_length, &i->value, &i->value_length);
}

static bool key_is(const item *i, const char *name) {
    return i->key_length == strlen(name) && memcmp(i->key, name, i->key_length) == 0;
}

/* A list of whole numbers from 0 on; at most `max` of them. */
static weft_status read_numbers(parsing *p, const entry *e, const item *list, int64_t *out, int max, int *count) {
    size_t at = value_at(p);
    if (list->kind != WF_JSON_ARRAY)
        return fail_tensor(p, e, at, "shape and data_offsets must be lists");
    for (*count = 0;; ++*count) {
        item i;
        WF_TRY(next(p, &i));
        if (i.kind == WF_JSON_END)
            return WEFT_OK;
        if (*count == max)
            return fail_tensor(p, e, at, "the list is too long");
        if (i.kind != WF_JSON_NUMBER || !wf_parse_i64(i.value, i.value_length, &out[*count]) || out[*count] < 0)
            return fail_tensor(p, e, value_at(p), "expected a whole number from 0 to 2^63 - 1");
    }
}

static weft_status read_shape(parsing *p, entry *e, const item *list) {
    int64_t dims[WF_STORED_RANK_MAX];
    WF_TRY(read_numbers(p, e, list, dims, WF_STORED_RANK_MAX, &e->tensor.rank));
    size_t size = (size_t)e->tensor.rank * sizeof *dims;
    int64_t *copy = wf_arena_alloc(&p->file->arena, size);
    if (!copy)
        return wf_fail_memory(p->err);
    memcpy(copy, dims, size);
    e->tensor.dims = copy;
    return WEFT_OK;
}

static weft_status read_offsets(parsing *p, entry *e, const item *list) {
    int64_t range[2];
    int count;
    size_t at = value_at(p);
    WF_TRY(read_numbers(p, e, list, range, 2, &count));
    if (count != 2 || range[0] > range[1])
        return fail_tensor(p, e, at, "data_offsets must be a begin and an end that is not before it");
    e->begin = range[0];
    e->end = range[1];
    return WEFT_OK;
}

static weft_status read_dtype(parsing *p, entry *e, const item *i, unsigned *bits) {
    if (i->kind != WF_JSON_STRING)
        return fail_tensor(p, e, value_at(p), "dtype must be a text");
    *bits = wf_element_bits(i->value, i->value_length, &e->tensor.dtype);
    if (*bits == 0)
        return fail_tensor(p, e, value_at(p), "unknown dtype");
    e->tensor.type = wf_dtype_by_safetensors(e->tensor.dtype);
    return WEFT_OK;
}

/* Does the shape fill the range exactly? */
static weft_status check_size(parsing *p, const entry *e, unsigned bits) {
    int64_t elements, total;
    if (!wf_product(e->tensor.dims, e->tensor.rank, &elements) || !wf_mul_i64(elements, bits, &total))
        return fail_tensor(p, e, e->at, "the shape is beyond 2^63 bits");
    if (total % 8 != 0 || total / 8 != e->end - e->begin)
        return fail_tensor(p, e, e->at, "shape and dtype do not fill the range data_offsets gives");
    return WEFT_OK;
}

static weft_status read_entry(parsing *p, entry *e) {
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    unsigned seen = 0, bits = 0;
    for (;;) {
        item i;
        WF_TRY(next(p, &i));
        if (i.kind == WF_JSON_END)
            break;
        unsigned member = key_is(&i, "dtype") ? DTYPE : key_is(&i, "shape") ? SHAPE : key_is(&i, "data_offsets") ? OFFSETS : 0;
        if (member == 0 || (seen & member))
            return fail_tensor(p, e, LENGTH_BYTES + p->json.key_offset, member ? "a member is given twice" : "unknown member");
        seen |= member;
        WF_TRY(member == DTYPE ? read_dtype(p, e, &i, &bits) : member == SHAPE ? read_shape(p, e, &i) : read_offsets(p, e, &i));
    }
    if (seen != ALL)
        return fail_tensor(p, e, e->at, "it needs dtype, shape and data_offsets");
    return check_size(p, e, bits);
}

static weft_status read_tensor(parsing *p, const item *i) {
    wf_safetensors *f = p->file;
    WF_TRY(wf_grow(f->mem, (void **)&f->entries, &f->capacity, f->count + 1, sizeof *f->entries, p->err));
    entry *e = &f->entries[f->count];
    *e = (entry){.at = LENGTH_BYTES + p->json.key_offset};
    e->tensor.name = wf_arena_strndup(&f->arena, i->key, i->key_length);
    if (!e->tensor.name)
        return wf_fail_memory(p->err);
    if (strlen(e->tensor.name) != i->key_length)
        return fail_tensor(p, e, e->at, "a NUL in the name");
    if (i->kind != WF_JSON_OBJECT)
        return fail_tensor(p, e, value_at(p), "it must be an object");
    f->count++;
    return read_entry(p, e);
}

static weft_status fail_metadata(const parsing *p, size_t at, const char *what) {
    return wf_fail_at(p->err, WEFT_BAD_INPUT, (int64_t)at, "__metadata__: %s (byte %zu)", what, at);
}

static weft_status read_metadata(parsing *p, wf_json_kind kind) {
    wf_safetensors *f = p->file;
    if (f->has_metadata)
        return fail_metadata(p, LENGTH_BYTES + p->json.key_offset, "given twice");
    f->has_metadata = true;
    if (kind == WF_JSON_NULL)
        return WEFT_OK;
    if (kind != WF_JSON_OBJECT)
        return fail_metadata(p, value_at(p), "it must be an object");
    for (;;) {
        item i;
        WF_TRY(next(p, &i));
        if (i.kind == WF_JSON_END)
            return WEFT_OK;
        if (i.kind != WF_JSON_STRING)
            return fail_metadata(p, value_at(p), "its values must be texts");
        WF_TRY(wf_grow(f->mem, (void **)&f->metadata, &f->metadata_capacity, f->n_metadata + 1, sizeof *f->metadata, p->err));
        wf_stored_text *m = &f->metadata[f->n_metadata++];
        *m = (wf_stored_text){wf_arena_strndup(&f->arena, i.key, i.key_length),
                              wf_arena_strndup(&f->arena, i.value, i.value_length)};
        if (!m->key || !m->value)
            return wf_fail_memory(p->err);
    }
}

static weft_status read_header(parsing *p) {
    item i;
    WF_TRY(next(p, &i));
    if (i.kind != WF_JSON_OBJECT)
        return wf_fail_at(p->err, WEFT_BAD_INPUT, LENGTH_BYTES, "the header must be an object (byte %d)", LENGTH_BYTES);
    for (;;) {
        WF_TRY(next(p, &i));
        if (i.kind == WF_JSON_END)
            break;
        WF_TRY(key_is(&i, "__metadata__") ? read_metadata(p, i.kind) : read_tensor(p, &i));
    }
    return next(p, &i); /* nothing but white space may follow */
}

/* ---- the whole ---- */

static int by_name(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int order = strcmp(x->tensor.name, y->tensor.name);
    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The tensors must tile the data: that also rules overlaps out. */
static weft_status check_tiling(parsing *p, size_t start, size_t data_size) {
    wf_safetensors *f = p->file;
    int64_t end = 0;
    if (f->count)
        qsort(f->entries, f->count, sizeof *f->entries, by_place);
    for (size_t i = 0; i < f->count; i++) {
        const entry *e = &f->entries[i];
        if (e->begin != end)
            return fail_tensor(p, e, e->at, e->begin > end ? "a hole before its data" : "its data overlaps that of another");
        if ((uint64_t)e->end > data_size)
            return fail_tensor(p, e, e->at, "its data ends beyond the file");
        end = e->end;
    }
    if ((uint64_t)end != data_size)
        return wf_fail_at(p->err, WEFT_BAD_INPUT, (int64_t)start + end, "%zu bytes follow the last tensor (byte %zu)",
                          data_size - (size_t)end, start + (size_t)end);
    return WEFT_OK;
}

static weft_status sort_names(parsing *p) {
    wf_safetensors *f = p->file;
    if (f->count)
        qsort(f->entries, f->count, sizeof *f->entries, by_name);
    for (size_t i = 1; i < f->count; i++) {
        const entry *a = &f->entries[i - 1], *b = &f->entries[i];
        if (strcmp(a->tensor.name, b->tensor.name) == 0)
            return fail_tensor(p, b, b->at, "the name is given twice");
    }
    return WEFT_OK;
}

static weft_status parse(wf_safetensors *f, const uint8_t *data, size_t size, weft_error *err) {
    wf_reader r = wf_reader_of(data, size);
    uint64_t length = wf_read_u64(&r);
    if (r.failed)
        return wf_fail_at(err, WEFT_BAD_INPUT, 0, "%zu bytes are too few for a safetensors file", size);
    if (length > HEADER_MAX)
        return wf_fail_at(err, WEFT_BAD_INPUT, 0, "a header of %llu bytes; the limit is %d (byte 0)",
                          (unsigned long long)length, HEADER_MAX);
    if (length > size - LENGTH_BYTES)
        return wf_fail_at(err, WEFT_BAD_INPUT, 0, "the header of %llu bytes is longer than the file (byte 0)",
                          (unsigned long long)length);
    parsing p = {.file = f, .err = err};
    size_t start = LENGTH_BYTES + (size_t)length;
    wf_json_open(&p.json, f->mem, (const char *)data + LENGTH_BYTES, (size_t)length, err);
    weft_status status = read_header(&p);
    bool syntax = p.json.failed != WEFT_OK;
    wf_json_close(&p.json);
    if (status == WEFT_BAD_INPUT && syntax) {
        if (err)
            err->offset += LENGTH_BYTES; /* the JSON reader counts from the header */
        wf_fail_in(err, "header");
    }
    WF_TRY(status);
    WF_TRY(sort_names(&p)); /* first: a name given twice is a better message than its overlap */
    WF_TRY(check_tiling(&p, start, size - start));
    WF_TRY(sort_names(&p));
    for (size_t i = 0; i < f->count; i++) {
        wf_stored_tensor *t = &f->entries[i].tensor;
        t->size = (size_t)(f->entries[i].end - f->entries[i].begin);
        t->offset = start + (size_t)f->entries[i].begin;
        t->data = data + t->offset;
    }
    return WEFT_OK;
}

static wf_safetensors *new_file(const wf_mem *mem) {
    wf_safetensors *f = wf_calloc(mem, 1, sizeof *f);
    if (f) {
        f->mem = mem;
        wf_arena_init(&f->arena, mem, 0);
    }
    return f;
}

weft_status wf_safetensors_parse(const wf_mem *mem, const void *data, size_t size, wf_safetensors **out, weft_error *err) {
    wf_safetensors *f = new_file(mem);
    weft_status status = f ? parse(f, data, size, err) : wf_fail_memory(err);
    if (status == WEFT_OK)
        *out = f;
    else
        wf_safetensors_free(f);
    return status;
}

weft_status wf_safetensors_open(const wf_mem *mem, const char *path, wf_safetensors **out, weft_error *err) {
    wf_safetensors *f = new_file(mem);
    if (!f)
        return wf_fail_memory(err);
    weft_status status = wf_file_open(mem, path, true, 0, &f->file, err);
    if (status == WEFT_OK) {
        status = parse(f, f->file.data, f->file.size, err);
        if (status != WEFT_OK)
            wf_fail_in(err, "%s", path);
    }
    if (status == WEFT_OK)
        *out = f;
    else
        wf_safetensors_free(f);
    return status;
}

void wf_safetensors_free(wf_safetensors *f) {
    if (!f)
        return;
    if (f->file.data)
        wf_file_close(&f->file);
    wf_arena_free(&f->arena);
    wf_free(f->mem, f->entries);
    wf_free(f->mem, f->metadata);
    wf_free(f->mem, f);
}

/* ---- looking things up ---- */

size_t wf_safetensors_count(const wf_safetensors *f) { return f->count; }
const wf_stored_tensor *wf_safetensors_at(const wf_safetensors *f, size_t i) {
    return i < f->count ? &f->entries[i].tensor : NULL;
}

const wf_stored_tensor *wf_safetensors_find(const wf_safetensors *f, const char *name) {
    for (size_t low = 0, high = f->count; low < high;) {
        size_t middle = (low + high) / 2;
        const wf_stored_tensor *t = &f->entries[middle].tensor;
        int order = strcmp(name, t->name);
        if (order == 0)
            return t;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const wf_stored_text *wf_safetensors_metadata(const wf_safetensors *f, size_t *count) {
    *count = f->n_metadata;
    return f->metadata;
}

const char *wf_safetensors_text(const wf_safetensors *f, const char *key) {
    for (size_t i = 0; i < f->n_metadata; i++)
        if (strcmp(f->metadata[i].key, key) == 0)
            return f->metadata[i].value;
    return NULL;
}

/* ---- the row ---- */
static bool is(const uint8_t *data, size_t size) {
    wf_reader r = wf_reader_of(data, size);
    uint64_t length = wf_read_u64(&r);
    return !r.failed && length <= HEADER_MAX && length <= size - LENGTH_BYTES && wf_read_u8(&r) == '{';
}

static void release(void *file) { wf_safetensors_free(file); }

static weft_status read_file(wf_tensor_file *file, weft_error *err) {
    wf_safetensors *own;
    WF_TRY(wf_safetensors_parse(file->mem, file->data, file->size, &own, err));
    file->owner = own;
    file->release = release;
    file->metadata = wf_safetensors_metadata(own, &file->n_metadata);
    for (size_t i = 0; i < own->count; i++)
        WF_TRY(wf_tensor_file_add(file, &own->entries[i].tensor, err));
    return WEFT_OK;
}

const wf_format wf_format_safetensors = {.name = "safetensors",
                                         .about = "a JSON header and the data without holes",
                                         .suffix = ".safetensors",
                                         .only = true,
                                         .whole = "model.safetensors",
                                         .index = "model.safetensors.index.json",
                                         .is = is,
                                         .parse = read_file};
