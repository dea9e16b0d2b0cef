/* ctranslate2.c - model.bin of CTranslate2: the name of its specification, then variables with their names. Weights of 8 and 16
 * bits are divided by the scale that stands beside them; small numbers (heads, switches) become the config's `variables`.
 * Source: CTranslate2, src/models/model.cc and python/ctranslate2/specs/model_spec.py. */
#include <string.h>
#include "base/checked.h"
#include "formats/tensor_file.h"

enum {
    NEWEST = 6,
    NAMED_SPECS = 2,
    WITH_ALIASES = 3,
    TYPED = 4,
    MOST_RANK = 8,
    LONGEST_NAME = 512,
    LEAST_VARIABLE = 3 + 1 + 5
};

static const char *const types[] = {"F32", "I8", "I16", "I32", "F16", "BF16"};
enum { TYPES = sizeof types / sizeof *types };

typedef struct variable {
    const char *name;
    int rank;
    int64_t dims[MOST_RANK], count;
    const char *type;
    const uint8_t *data;
    size_t size, offset;
} variable;

typedef struct ctranslate2 {
    wf_tensor_file *file;
    wf_reader r;
    uint32_t version, revision;
    const char *spec;
    variable *list;
    size_t count;
    wf_json *variables;
    weft_error *err;
} ctranslate2;

static weft_status fail(const ctranslate2 *c, size_t at, const char *what) {
    return wf_fail_at(c->err, WEFT_BAD_INPUT, (int64_t)at, "CTranslate2 file: %s (byte %zu)", what, at);
}

/* ---- reading ---- */
/* Two bytes of length, then the text with its NUL. */
static weft_status read_text(ctranslate2 *c, const char **out) {
    size_t at = c->r.position, length = wf_read_u16(&c->r);
    const uint8_t *text = length > 0 && length <= LONGEST_NAME ? wf_read_bytes(&c->r, length) : NULL;
    if (!text || memchr(text, 0, length) != text + length - 1)
        return fail(c, at, "a name is damaged");
    *out = wf_arena_strndup(&c->file->arena, (const char *)text, length - 1);
    return *out ? WEFT_OK : wf_fail_memory(c->err);
}

/* Before version 4 the type was told by its size. */
static const char *type_of_size(unsigned size) { return size == 4 ? "F32" : size == 2 ? "I16" : size == 1 ? "I8" : NULL; }

static weft_status read_variable(ctranslate2 *c, variable *v) {
    size_t at = c->r.position;
    WF_TRY(read_text(c, &v->name));
    v->rank = wf_read_u8(&c->r);
    if (v->rank > MOST_RANK)
        return fail(c, at, "a variable has too many dimensions");
    for (int d = 0; d < v->rank; d++)
        v->dims[d] = wf_read_u32(&c->r);
    unsigned kind = wf_read_u8(&c->r);
    uint64_t size = wf_read_u32(&c->r);
    v->type = c->version < TYPED ? type_of_size(kind) : kind < TYPES ? types[kind] : NULL;
    if (!v->type || c->r.failed)
        return fail(c, at, "a variable is of an unknown type");
    if (c->version < TYPED)
        size *= kind;
    if (size > wf_reader_left(&c->r) || !wf_product(v->dims, v->rank, &v->count))
        return fail(c, at, "a variable ends beyond the file");
    v->offset = c->r.position;
    v->size = (size_t)size;
    v->data = wf_read_bytes(&c->r, v->size);
    if ((uint64_t)v->count != size / wf_dtypes[wf_dtype_by_safetensors(v->type)].size)
        return fail(c, at, "a variable's size does not fit its shape");
    return WEFT_OK;
}

/* ---- tensors ---- */
static const variable *find(const ctranslate2 *c, const char *name) {
    for (size_t i = 0; i < c->count; i++)
        if (wf_streq(c->list[i].name, name))
            return &c->list[i];
    return NULL;
}

static weft_status add(ctranslate2 *c, const char *name, const variable *v, const void *data, bool unpacked) {
    wf_stored_tensor t = {.name = name, .dtype = v->type, .rank = v->rank, .dims = v->dims, .data = data, .offset = v->offset};
    t.type = unpacked ? WF_F32 : wf_dtype_by_safetensors(v->type);
    t.size = unpacked ? (size_t)v->count * sizeof(float) : v->size;
    return wf_tensor_file_add(c->file, &t, c->err);
}

/* One scale for all, or one per row. */
static weft_status unpack(ctranslate2 *c, const char *name, const variable *v, const variable *scale) {
    int type = wf_dtype_by_safetensors(v->type);
    void *block;
    if (!wf_streq(scale->type, "F32") || v->rank == 0 || (scale->count != 1 && scale->count != v->dims[0]))
        return fail(c, scale->offset, "a scale does not fit its weight");
    WF_TRY(wf_tensor_file_block(c->file, (size_t)v->count * sizeof(float), 8 * c->file->size, &block, c->err));
    float *out = block;
    wf_dtypes[type].to_f32(out, v->data, v->count);
    for (int64_t i = 0; i < v->count; i++) {
        float by;
        memcpy(&by, scale->data + (size_t)(scale->count == 1 ? 0 : i / (v->count / v->dims[0])) * sizeof by, sizeof by);
        out[i] /= by;
    }
    return add(c, name, v, block, true);
}

static weft_status put_number(ctranslate2 *c, const variable *v) {
    wf_arena *arena = &c->file->arena;
    float number;
    wf_dtypes[wf_dtype_by_safetensors(v->type)].to_f32(&number, v->data, 1);
    wf_json *j = v->type[0] == 'I' ? wf_json_new_int(arena, (int64_t)number) : wf_json_new_double(arena, (double)number);
    return wf_json_put(arena, c->variables, v->name, j) ? WEFT_OK : wf_fail_memory(c->err);
}

static weft_status add_variable(ctranslate2 *c, const char *name, const variable *v) {
    char *scale_name = wf_arena_printf(&c->file->arena, "%s_scale", v->name);
    if (!scale_name)
        return wf_fail_memory(c->err);
    const variable *scale = v->type[0] == 'I' ? find(c, scale_name) : NULL;
    if (scale)
        return unpack(c, name, v, scale);
    if (wf_ends_with(v->name, "_scale"))
        return WEFT_OK; /* read with its weight */
    return v->rank == 0 ? put_number(c, v) : add(c, name, v, v->data, false);
}

/* Other names of variables that are there. */
static weft_status read_aliases(ctranslate2 *c) {
    uint32_t count = c->version >= WITH_ALIASES ? wf_read_u32(&c->r) : 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t at = c->r.position;
        const char *alias, *name;
        WF_TRY(read_text(c, &alias));
        WF_TRY(read_text(c, &name));
        const variable *v = find(c, name);
        if (!v)
            return fail(c, at, "an alias of a variable that is not there");
        if (!wf_ends_with(alias, "_scale"))
            WF_TRY(add_variable(c, alias, v));
    }
    if (c->r.failed || wf_reader_left(&c->r) > 0)
        return fail(c, c->r.position, "something follows the last variable, or it is cut");
    return WEFT_OK;
}

/* ---- the whole ---- */
static weft_status read_head(ctranslate2 *c) {
    c->version = wf_read_u32(&c->r);
    if (c->r.failed || c->version < NAMED_SPECS || c->version > NEWEST)
        return fail(c, 0, "its version is not known");
    WF_TRY(read_text(c, &c->spec));
    c->revision = wf_read_u32(&c->r);
    size_t at = c->r.position;
    c->count = wf_read_u32(&c->r);
    if (c->r.failed || c->count > wf_reader_left(&c->r) / LEAST_VARIABLE)
        return fail(c, at, "it counts more variables than it can hold");
    c->list = wf_arena_alloc(&c->file->arena, c->count * sizeof *c->list);
    c->variables = wf_json_new(&c->file->arena, WF_JSON_OBJECT);
    return c->list && c->variables ? WEFT_OK : wf_fail_memory(c->err);
}

static weft_status say(ctranslate2 *c) {
    wf_arena *arena = &c->file->arena;
    wf_json *said = wf_json_new(arena, WF_JSON_OBJECT);
    wf_json_put(arena, said, "spec", wf_json_new_string(arena, c->spec, strlen(c->spec)));
    wf_json_put(arena, said, "revision", wf_json_new_int(arena, c->revision));
    wf_json_put(arena, said, "variables", c->variables);
    c->file->config = said;
    return arena->failed ? wf_fail_memory(c->err) : WEFT_OK;
}

static weft_status parse(wf_tensor_file *file, weft_error *err) {
    ctranslate2 c = {.file = file, .r = wf_reader_of(file->data, file->size), .err = err};
    WF_TRY(read_head(&c));
    for (size_t i = 0; i < c.count; i++)
        WF_TRY(read_variable(&c, &c.list[i]));
    for (size_t i = 0; i < c.count; i++)
        WF_TRY(add_variable(&c, c.list[i].name, &c.list[i]));
    WF_TRY(read_aliases(&c));
    return say(&c);
}

/* No magic number: a version, then the name of a specification. */
static bool is(const uint8_t *data, size_t size) {
    wf_reader r = wf_reader_of(data, size);
    uint32_t version = wf_read_u32(&r);
    size_t length = wf_read_u16(&r);
    const uint8_t *name = length > 4 && length < 64 ? wf_read_bytes(&r, length) : NULL;
    if (version < NAMED_SPECS || version > NEWEST || !name || name[length - 1] != 0)
        return false;
    for (size_t i = 0; i + 1 < length; i++)
        if (!((name[i] | 32) >= 'a' && (name[i] | 32) <= 'z') && !(name[i] >= '0' && name[i] <= '9'))
            return false;
    return true;
}

const wf_format wf_format_ctranslate2 = {.name = "CTranslate2",
                                         .about = "model.bin of CTranslate2, binary versions 2 to 6",
                                         .suffix = ".bin",
                                         .whole = "model.bin",
                                         .is = is,
                                         .parse = parse};
