/* rwkvcpp.c - the files of rwkv.cpp: six numbers, then tensors, each with its name, sizes (last dimension first) and type.
 *
 * The converter keeps the decay of versions 4 and 5 as what the kernel multiplies with, and one number per head in 5.1. They
 * are given back as all other RWKV checkpoints have them: the logarithm of the rate, one per channel. Source: rwkv.cpp,
 * docs/FILE_FORMAT.md and python/convert_pytorch_to_ggml.py. */
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "formats/ggml_blocks.h"
#include "formats/tensor_file.h"

enum { MAGIC = 0x67676d66, VERSION_FIRST = 100, VERSION_LAST = 101, HEADER = 24, LONGEST_NAME = 256, MOST_RANK = 4 };

static const char *const types[] = {"F32", "F16", "Q4_0", "Q4_1", NULL, NULL, NULL, "Q5_0", "Q5_1", "Q8_0"};
enum { TYPES = sizeof types / sizeof *types };

typedef struct rwkvcpp {
    wf_tensor_file *file;
    wf_reader r;
    unsigned version;
    weft_error *err;
} rwkvcpp;

static weft_status fail(const rwkvcpp *f, size_t at, const char *what) {
    return wf_fail_at(f->err, WEFT_BAD_INPUT, (int64_t)at, "rwkv.cpp file: %s (byte %zu)", what, at);
}

/* ---- one tensor ---- */
static weft_status unpack(rwkvcpp *f, const wf_ggml_blocks *blocks, wf_stored_tensor *t, int64_t elements) {
    void *block;
    const uint8_t *from = t->data;
    t->size = (size_t)elements * sizeof(float);
    WF_TRY(wf_tensor_file_block(f->file, t->size, 16 * f->file->size, &block, f->err));
    for (int64_t i = 0; i < elements / WF_GGML_BLOCK; i++)
        blocks->unpack(from + (size_t)i * blocks->bytes, (float *)block + i * WF_GGML_BLOCK);
    t->data = block;
    t->type = WF_F32;
    return WEFT_OK;
}

static weft_status read_data(rwkvcpp *f, wf_stored_tensor *t, size_t at) {
    const wf_ggml_blocks *blocks = wf_ggml_blocks_find(t->dtype);
    int64_t elements, size;
    t->type = wf_dtype_by_safetensors(t->dtype);
    if (!wf_product(t->dims, t->rank, &elements) || elements == 0)
        return fail(f, at, "a tensor has no elements, or too many");
    if (blocks && (f->version == VERSION_FIRST || t->dims[t->rank - 1] % WF_GGML_BLOCK))
        return fail(f, at,
                    f->version == VERSION_FIRST ? "quantised tensors of version 100 are no longer read by anybody"
                                                : "a quantised row is not a multiple of 32");
    int64_t units = blocks ? elements / WF_GGML_BLOCK : elements,
            each = (int64_t)(blocks ? blocks->bytes : wf_dtypes[t->type].size);
    if (!wf_mul_i64(units, each, &size) || (uint64_t)size > wf_reader_left(&f->r))
        return fail(f, at, "a tensor ends beyond the file");
    t->offset = f->r.position;
    t->size = (size_t)size;
    t->data = wf_read_bytes(&f->r, t->size);
    return blocks ? unpack(f, blocks, t, elements) : WEFT_OK;
}

static weft_status read_tensor(rwkvcpp *f) {
    size_t at = f->r.position;
    char name[LONGEST_NAME + 1];
    int64_t dims[MOST_RANK];
    uint32_t rank = wf_read_u32(&f->r), length = wf_read_u32(&f->r), type = wf_read_u32(&f->r);
    if (f->r.failed || rank == 0 || rank > MOST_RANK || length == 0 || length > LONGEST_NAME)
        return fail(f, at, "the head of a tensor is damaged");
    if (type >= TYPES || !types[type])
        return fail(f, at, "a tensor is of an unknown type");
    for (uint32_t d = rank; d-- > 0;)
        dims[d] = wf_read_u32(&f->r);
    const uint8_t *text = wf_read_bytes(&f->r, length);
    if (!text || memchr(text, 0, length))
        return fail(f, at, "the name of a tensor is cut");
    memcpy(name, text, length);
    name[length] = 0;
    wf_stored_tensor t = {.name = name, .dtype = types[type], .rank = (int)rank, .dims = dims};
    WF_TRY(read_data(f, &t, at));
    return wf_tensor_file_add(f->file, &t, f->err);
}

/* ---- decays as checkpoints have them ---- */
static double rate_of_exponent(double stored) { return log(-stored); }    /* -e^w */
static double rate_of_factor(double stored) { return log(-log(stored)); } /* e^-e^w */
static double same(double stored) { return stored; }

/* 104 is where e^-x ends in fp32: beyond it a state is forgotten at once. */
static float bounded(double w) {
    double most = log(104.0);
    return (float)(w < -104.0 ? -104.0 : w > most ? most : w);
}

/* [heads, 1, 1] becomes [heads, width]. */
static weft_status convert(rwkvcpp *f, wf_stored_tensor *t, double (*of)(double), int64_t width) {
    void *block;
    int64_t count, *dims = wf_arena_alloc(&f->file->arena, 2 * sizeof *dims);
    WF_CHECK(t->type == WF_F32 && wf_product(t->dims, t->rank, &count), f->err, WEFT_BAD_INPUT,
             "tensor \"%.80s\": it must be of type F32", t->name);
    WF_TRY(wf_tensor_file_block(f->file, (size_t)(count * width) * sizeof(float), 16 * f->file->size, &block, f->err));
    if (!dims)
        return wf_fail_memory(f->err);
    for (int64_t i = 0; i < count * width; i++) {
        float stored;
        memcpy(&stored, (const char *)t->data + (size_t)(i / width) * sizeof stored, sizeof stored);
        ((float *)block)[i] = of == same ? stored : bounded(of((double)stored));
    }
    t->data = block;
    t->size = (size_t)(count * width) * sizeof(float);
    if (width > 1) {
        dims[0] = count;
        dims[1] = width;
        t->dims = dims;
        t->rank = 2;
    }
    return WEFT_OK;
}

static bool has(const rwkvcpp *f, const char *name) {
    for (size_t i = 0; i < f->file->count; i++)
        if (wf_streq(f->file->list[i].name, name))
            return true;
    return false;
}

static weft_status convert_decays(rwkvcpp *f, int64_t dim) {
    bool five = has(f, "blocks.0.att.ln_x.weight"), gated = has(f, "blocks.0.att.gate.weight");
    if (has(f, "blocks.0.att.time_maa_x") || has(f, "blocks.0.att.x_rwkvag"))
        return WEFT_OK; /* versions 6 and 7 keep them */
    for (size_t i = 0; i < f->file->count; i++) {
        wf_stored_tensor *t = &f->file->list[i];
        bool decay = wf_ends_with(t->name, ".att.time_decay"), first = wf_ends_with(t->name, ".att.time_first");
        int64_t heads = five && !gated ? t->dims[0] : 0, width = heads > 0 && dim % heads == 0 ? dim / heads : 1;
        if (decay || (first && width > 1))
            WF_TRY(convert(f, t, !decay ? same : five ? rate_of_factor : rate_of_exponent, width));
    }
    return WEFT_OK;
}

/* ---- the whole ---- */
static weft_status say(rwkvcpp *f, int64_t vocab, int64_t dim, int64_t layers) {
    wf_arena *arena = &f->file->arena;
    wf_json *config = wf_json_new(arena, WF_JSON_OBJECT);
    wf_json_put(arena, config, "vocab_size", wf_json_new_int(arena, vocab));
    wf_json_put(arena, config, "hidden_size", wf_json_new_int(arena, dim));
    wf_json_put(arena, config, "num_hidden_layers", wf_json_new_int(arena, layers));
    f->file->config = config;
    return arena->failed ? wf_fail_memory(f->err) : WEFT_OK;
}

static weft_status parse(wf_tensor_file *file, weft_error *err) {
    rwkvcpp f = {.file = file, .r = wf_reader_of(file->data, file->size), .err = err};
    uint32_t magic = wf_read_u32(&f.r);
    f.version = wf_read_u32(&f.r);
    int64_t vocab = wf_read_u32(&f.r), dim = wf_read_u32(&f.r), layers = wf_read_u32(&f.r);
    wf_read_u32(&f.r); /* the type of most tensors; each says its own */
    if (f.r.failed || magic != MAGIC)
        return fail(&f, 0, "its header is damaged");
    if (f.version < VERSION_FIRST || f.version > VERSION_LAST)
        return fail(&f, 4, "a version that is not known");
    while (wf_reader_left(&f.r) > 0)
        WF_TRY(read_tensor(&f));
    WF_TRY(convert_decays(&f, dim));
    return say(&f, vocab, dim, layers);
}

static bool is(const uint8_t *data, size_t size) {
    wf_reader r = wf_reader_of(data, size);
    return wf_read_u32(&r) == MAGIC && size >= HEADER;
}

const wf_format wf_format_rwkvcpp = {
    .name = "rwkv.cpp", .about = "the files of rwkv.cpp, RWKV 4 to 7", .suffix = ".bin", .is = is, .parse = parse};
