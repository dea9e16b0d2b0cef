/* torch.c - what torch.save writes: a pickle beside the bytes of storages, in a zip archive (torch 1.6 on) or one after the
 * other (the older layout). Tensors are views of storages; only their names, shapes and elements are taken. Source:
 * torch/serialization.py. */
#include <string.h>
#include "base/checked.h"
#include "formats/pickle.h"
#include "formats/zip.h"

enum { DEEPEST = 8, MOST_VALUES = 10000000, MOST_VIEWS = 16, PROTOCOL = 1001 };

typedef struct torch {
    wf_tensor_file *file;
    wf_pickle pickle;
    bool swapped; /* elements are big-endian */
    size_t visited;
    weft_error *err;
} torch;

static size_t width_of(const char *type) {
    const char *name;
    return type ? (wf_streq(type, "C128") ? 16 : wf_element_bits(type, strlen(type), &name) / 8) : 1;
}

/* What is turned around at once: a complex number is two. */
static size_t swapped_width(const char *type) { return type && type[0] == 'C' ? width_of(type) / 2 : width_of(type); }

/* ---- tensors are views of storages ---- */
static weft_status fail_view(const torch *t, const char *name, const wf_pickle_storage *s, const char *what) {
    return wf_fail_at(t->err, WEFT_BAD_INPUT, (int64_t)s->offset, "tensor \"%.80s\": %s (byte %zu)", name, what, s->offset);
}

/* Elements of the view, and whether they lie one after the other. */
static bool measure(const wf_pickle_tensor *v, int64_t room, int64_t *count, bool *plain) {
    int64_t last = v->first, step, next = 1;
    *plain = true;
    if (!wf_product(v->dims, v->rank, count))
        return false;
    if (*count == 0)
        return true;
    for (int d = v->rank; d-- > 0;) {
        *plain &= v->dims[d] == 1 || v->strides[d] == next;
        next *= v->dims[d];
        if (!wf_mul_i64(v->dims[d] - 1, v->strides[d], &step) || !wf_add_i64(last, step, &last))
            return false;
    }
    return last < room;
}

static void gather(const wf_pickle_tensor *v, const uint8_t *from, size_t width, int64_t count, uint8_t *to) {
    int64_t index[WF_STORED_RANK_MAX] = {0}, at = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(to + (size_t)i * width, from + (size_t)at * width, width);
        for (int d = v->rank; d-- > 0;) {
            at += v->strides[d];
            if (++index[d] < v->dims[d])
                break;
            at -= v->strides[d] * v->dims[d];
            index[d] = 0;
        }
    }
}

static weft_status add_view(torch *t, const char *name, const wf_pickle_tensor *v) {
    const wf_pickle_storage *s = v->storage;
    const char *type = v->type ? v->type : s->type;
    size_t width = width_of(type);
    int64_t count;
    bool plain;
    void *block;
    if (!type)
        return fail_view(t, name, s, "its elements have no type");
    if (!measure(v, (int64_t)(s->size / width), &count, &plain))
        return fail_view(t, name, s, "it reaches beyond its storage");
    size_t first = count ? (size_t)v->first * width : 0;
    wf_stored_tensor out = {
        .name = name, .dtype = type, .type = wf_dtype_by_safetensors(type), .rank = v->rank, .dims = v->dims};
    out.size = (size_t)count * width;
    out.offset = s->offset + first;
    out.data = s->data + first;
    if (!plain || (t->swapped && width > 1)) {
        WF_TRY(wf_tensor_file_block(t->file, out.size, MOST_VIEWS * t->file->size, &block, t->err));
        gather(v, s->data + first, width, count, block);
        if (t->swapped)
            wf_swap_bytes(block, out.size, swapped_width(type));
        out.data = block;
    }
    return wf_tensor_file_add(t->file, &out, t->err);
}

/* ---- the tree of names ---- */
static weft_status add_member(torch *t, const char *prefix, const wf_pickle_value *key, const wf_pickle_value *value,
                              int depth);

static weft_status add_members(torch *t, const char *prefix, const wf_pickle_value *dict, int depth) {
    WF_CHECK(depth < DEEPEST, t->err, WEFT_BAD_INPUT, "pickle: dictionaries more than %d deep", (int)DEEPEST);
    for (size_t i = 0; i + 1 < dict->count; i += 2)
        WF_TRY(add_member(t, prefix, dict->items[i], dict->items[i + 1], depth));
    return WEFT_OK;
}

/* Dictionaries in dictionaries: the names are joined by dots. What is neither a tensor nor a dictionary is left out, and so is
 * a name that is no text (the numbered parameters of an optimizer). */
static weft_status add_member(torch *t, const char *prefix, const wf_pickle_value *key, const wf_pickle_value *value,
                              int depth) {
    WF_CHECK(t->visited++ < MOST_VALUES, t->err, WEFT_BAD_INPUT, "pickle: more than %d entries", (int)MOST_VALUES);
    if (key->type != WF_PICKLE_TEXT || (value->type != WF_PICKLE_TENSOR && value->type != WF_PICKLE_DICT))
        return WEFT_OK;
    WF_CHECK(strlen(key->text) == key->length, t->err, WEFT_BAD_INPUT, "tensor \"%.80s\": a NUL in the name", key->text);
    const char *name = *prefix ? wf_arena_printf(&t->file->arena, "%s.%s", prefix, key->text) : key->text;
    if (!name)
        return wf_fail_memory(t->err);
    return value->type == WF_PICKLE_TENSOR ? add_view(t, name, value->tensor) : add_members(t, name, value, depth + 1);
}

static weft_status add_all(torch *t, const wf_pickle_value *root) {
    WF_CHECK(root->type == WF_PICKLE_DICT, t->err, WEFT_BAD_INPUT, "the pickle is no dictionary of tensors");
    return add_members(t, "", root, 0);
}

/* ---- a zip archive: NAME/data.pkl, NAME/data/KEY, NAME/byteorder ---- */
static weft_status find_storages(torch *t, const wf_zip *zip, const char *prefix) {
    for (size_t i = 0; i < t->pickle.n_storages; i++) {
        wf_pickle_storage *s = t->pickle.storages[i];
        char *name = wf_arena_printf(&t->file->arena, "%sdata/%s", prefix, s->key);
        int64_t bytes;
        if (!name)
            return wf_fail_memory(t->err);
        const wf_zip_member *m = wf_zip_find(zip, name);
        WF_CHECK(m, t->err, WEFT_BAD_INPUT, "the archive lacks the storage '%.80s'", name);
        if (!wf_mul_i64(s->count, (int64_t)width_of(s->type), &bytes) || (uint64_t)bytes != m->size)
            return wf_fail_at(t->err, WEFT_BAD_INPUT, (int64_t)m->offset, "the storage '%.80s' has %zu bytes (byte %zu)", name,
                              m->size, m->offset);
        s->size = m->size;
        s->offset = m->offset;
        WF_TRY(wf_zip_read(t->file, m, &s->data, t->err));
    }
    return WEFT_OK;
}

static weft_status read_order(torch *t, const wf_zip *zip, const char *prefix) {
    char *name = wf_arena_printf(&t->file->arena, "%sbyteorder", prefix);
    const uint8_t *text;
    if (!name)
        return wf_fail_memory(t->err);
    const wf_zip_member *m = wf_zip_find(zip, name);
    if (!m)
        return WEFT_OK;
    WF_TRY(wf_zip_read(t->file, m, &text, t->err));
    t->swapped = m->size == 3 && memcmp(text, "big", 3) == 0;
    WF_CHECK(t->swapped || (m->size == 6 && memcmp(text, "little", 6) == 0), t->err, WEFT_BAD_INPUT,
             "the archive's byte order is neither little nor big");
    return WEFT_OK;
}

static weft_status run_member(torch *t, const wf_zip_member *m, wf_pickle_value **root) {
    const uint8_t *text;
    WF_TRY(wf_zip_read(t->file, m, &text, t->err));
    wf_reader r = wf_reader_of(text, m->size);
    weft_status status = wf_pickle_run(&t->pickle, &r, root);
    if (status == WEFT_BAD_INPUT && t->err && t->err->offset >= 0 && m->method == 0)
        t->err->offset += (int64_t)m->offset;
    return status;
}

static weft_status read_zip(torch *t) {
    wf_zip zip;
    wf_pickle_value *root;
    WF_TRY(wf_zip_open(&t->file->arena, t->file->data, t->file->size, &zip, t->err));
    const wf_zip_member *m = wf_zip_ends_with(&zip, "data.pkl");
    WF_CHECK(m, t->err, WEFT_BAD_INPUT, "the archive lacks data.pkl");
    const char *prefix = wf_arena_strndup(&t->file->arena, m->name, strlen(m->name) - strlen("data.pkl"));
    if (!prefix)
        return wf_fail_memory(t->err);
    WF_TRY(run_member(t, m, &root));
    WF_TRY(read_order(t, &zip, prefix));
    WF_TRY(find_storages(t, &zip, prefix));
    return add_all(t, root);
}

/* ---- the older layout: magic number, version, facts of the system, the pickle, the keys, then every storage ---- */
static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

static wf_pickle_storage *find_key(const torch *t, const wf_pickle_value *key) {
    for (size_t i = 0; i < t->pickle.n_storages; i++)
        if (key->type == WF_PICKLE_TEXT && wf_streq(t->pickle.storages[i]->key, key->text))
            return t->pickle.storages[i];
    return NULL;
}

static weft_status read_storages(torch *t, wf_reader *r, const wf_pickle_value *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        wf_pickle_storage *s = find_key(t, keys->items[i]);
        size_t at = r->position;
        WF_CHECK(s && !s->data, t->err, WEFT_BAD_INPUT, "the list of storages names one that no tensor has, or one twice");
        uint8_t *count_bytes = wf_arena_alloc(&t->file->arena, 8);
        const uint8_t *from = wf_read_bytes(r, 8);
        int64_t count, bytes;
        if (!count_bytes)
            return wf_fail_memory(t->err);
        if (from)
            memcpy(count_bytes, from, 8);
        if (t->swapped)
            wf_swap_bytes(count_bytes, 8, 8);
        memcpy(&count, count_bytes, 8);
        if (!from || count != s->count || !wf_mul_i64(count, (int64_t)width_of(s->type), &bytes) ||
            (uint64_t)bytes > wf_reader_left(r))
            return wf_fail_at(t->err, WEFT_BAD_INPUT, (int64_t)at, "the storage '%.80s' is cut or of another size (byte %zu)",
                              s->key, at);
        s->size = (size_t)bytes;
        s->offset = r->position;
        s->data = wf_read_bytes(r, s->size);
    }
    for (size_t i = 0; i < t->pickle.n_storages; i++)
        WF_CHECK(t->pickle.storages[i]->data, t->err, WEFT_BAD_INPUT, "the file lacks the storage '%.80s'",
                 t->pickle.storages[i]->key);
    return WEFT_OK;
}

static weft_status read_legacy(torch *t) {
    wf_reader r = wf_reader_of(t->file->data, t->file->size);
    wf_pickle_value *value, *system, *root, *keys;
    WF_TRY(wf_pickle_run(&t->pickle, &r, &value)); /* the magic number, known already */
    WF_TRY(wf_pickle_run(&t->pickle, &r, &value));
    WF_CHECK(value->type == WF_PICKLE_INT && value->integer == PROTOCOL, t->err, WEFT_UNSUPPORTED,
             "torch files of another version than %d are not supported", (int)PROTOCOL);
    WF_TRY(wf_pickle_run(&t->pickle, &r, &system));
    const wf_pickle_value *little = wf_pickle_get(system, "little_endian");
    t->swapped = little && little->type == WF_PICKLE_INT && little->integer == 0;
    WF_TRY(wf_pickle_run(&t->pickle, &r, &root));
    WF_TRY(wf_pickle_run(&t->pickle, &r, &keys));
    WF_CHECK(keys->type == WF_PICKLE_LIST, t->err, WEFT_BAD_INPUT, "the file does not list its storages");
    WF_TRY(read_storages(t, &r, keys));
    WF_CHECK(wf_reader_left(&r) == 0, t->err, WEFT_BAD_INPUT, "%zu bytes follow the last storage", wf_reader_left(&r));
    return add_all(t, root);
}

/* ---- the rows ---- */
static weft_status parse_with(wf_tensor_file *file, weft_status (*read)(torch *t), weft_error *err) {
    weft_error own = {.offset = -1};
    torch t = {.file = file, .err = err ? err : &own};
    t.pickle = (wf_pickle){.arena = &file->arena, .mem = file->mem, .err = t.err};
    weft_status status = read(&t);
    wf_pickle_close(&t.pickle);
    return status;
}

static weft_status parse_zip(wf_tensor_file *file, weft_error *err) { return parse_with(file, read_zip, err); }
static weft_status parse_legacy(wf_tensor_file *file, weft_error *err) { return parse_with(file, read_legacy, err); }

static bool is_torch(const uint8_t *data, size_t size) {
    static const char pickle[] = "data.pkl";
    wf_reader r = wf_reader_of(data, size);
    if (!wf_zip_is(data, size) || !wf_read_bytes(&r, 26))
        return false;
    size_t length = wf_read_u16(&r), n = sizeof pickle - 1;
    wf_read_u16(&r);
    const char *name = (const char *)wf_read_bytes(&r, length);
    return name && length >= n && memcmp(name + length - n, pickle, n) == 0;
}

static bool is_legacy(const uint8_t *data, size_t size) {
    return size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

const wf_format wf_format_torch = {.name = "torch",
                                   .about = "what torch.save writes: a pickle and storages in a zip archive",
                                   .suffix = ".pth",
                                   .whole = "pytorch_model.bin",
                                   .index = "pytorch_model.bin.index.json",
                                   .is = is_torch,
                                   .parse = parse_zip};
const wf_format wf_format_torch_legacy = {.name = "torch (legacy)",
                                          .about = "what torch.save wrote before 1.6: pickles and storages in a row",
                                          .suffix = ".pt",
                                          .whole = "pytorch_model.bin",
                                          .index = "pytorch_model.bin.index.json",
                                          .is = is_legacy,
                                          .parse = parse_legacy};
