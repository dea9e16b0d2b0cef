/* pickle_globals.c - the globals that files of tensors name, and what a call of each builds. Nothing else exists. */
#include <string.h>
#include "formats/pickle.h"

static weft_status fail(wf_pickle *p, const char *what) { return wf_fail(p->err, WEFT_BAD_INPUT, "pickle: %s", what); }

static const wf_pickle_value *arg(const wf_pickle_value *args, size_t i, wf_pickle_type type) {
    return i < args->count && args->items[i]->type == type ? args->items[i] : NULL;
}

/* ---- containers ---- */
/* OrderedDict(), or of a list of pairs (Python 2) */
static weft_status ordered_dict(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out) {
    const wf_pickle_value *pairs = arg(args, 0, WF_PICKLE_LIST);
    *out = (wf_pickle_value){.type = WF_PICKLE_DICT};
    if (args->count && !pairs)
        return fail(p, "an OrderedDict of what are no pairs");
    for (size_t i = 0; pairs && i < pairs->count; i++) {
        const wf_pickle_value *pair = pairs->items[i];
        if (pair->type != WF_PICKLE_LIST || pair->count != 2 || p->copies++ > p->most_copies)
            return fail(p, "an OrderedDict of what are no pairs");
        WF_TRY(wf_pickle_push(p, out, pair->items[0]));
        WF_TRY(wf_pickle_push(p, out, pair->items[1]));
    }
    return WEFT_OK;
}

/* torch.Size((2, 3)) is that tuple */
static weft_status first_list(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out) {
    const wf_pickle_value *list = arg(args, 0, WF_PICKLE_LIST);
    if (!list)
        return fail(p, "a size that is no tuple");
    *out = *list;
    return WEFT_OK;
}

/* torch.device('cpu'): where it was does not matter */
static weft_status nothing(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out) {
    (void)p, (void)args;
    *out = (wf_pickle_value){.type = WF_PICKLE_NONE};
    return WEFT_OK;
}

/* ---- tensors ---- */
static bool read_ints(const wf_pickle_value *list, int64_t *out) {
    for (size_t i = 0; list && i < list->count; i++) {
        if (list->items[i]->type != WF_PICKLE_INT || list->items[i]->integer < 0)
            return false;
        out[i] = list->items[i]->integer;
    }
    return list;
}

/* (storage, first, size, stride, ..) */
static weft_status rebuild_tensor(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out) {
    const wf_pickle_value *storage = arg(args, 0, WF_PICKLE_STORAGE), *first = arg(args, 1, WF_PICKLE_INT),
                          *size = arg(args, 2, WF_PICKLE_LIST), *stride = arg(args, 3, WF_PICKLE_LIST);
    if (!storage || !first || !size || !stride || size->count != stride->count || size->count > WF_STORED_RANK_MAX ||
        first->integer < 0)
        return fail(p, "a tensor must be made of a storage, a place, sizes and strides");
    wf_pickle_tensor *t = wf_arena_alloc(p->arena, sizeof *t);
    int64_t *numbers = wf_arena_alloc(p->arena, 2 * size->count * sizeof *numbers);
    if (!t || !numbers)
        return wf_fail_memory(p->err);
    *t = (wf_pickle_tensor){storage->storage, NULL, first->integer, (int)size->count, numbers, numbers + size->count};
    if (!read_ints(size, t->dims) || !read_ints(stride, t->strides))
        return fail(p, "sizes and strides must be whole numbers from 0 on");
    *out = (wf_pickle_value){.type = WF_PICKLE_TENSOR, .tensor = t};
    return WEFT_OK;
}

/* (storage, first, size, stride, requires_grad, hooks, dtype, ..) */
static weft_status rebuild_tensor_v3(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out) {
    const wf_pickle_value *type = arg(args, 6, WF_PICKLE_GLOBAL);
    if (!type || !type->global->type)
        return fail(p, "a tensor without a type");
    WF_TRY(rebuild_tensor(p, args, out));
    out->tensor->type = type->global->type;
    return WEFT_OK;
}

/* (tensor, requires_grad, hooks, ..) */
static weft_status rebuild_parameter(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out) {
    const wf_pickle_value *tensor = arg(args, 0, WF_PICKLE_TENSOR);
    if (!tensor)
        return fail(p, "a parameter that is no tensor");
    *out = *tensor;
    return WEFT_OK;
}

/* ---- storages ---- */
static wf_pickle_storage *find_storage(const wf_pickle *p, const char *key) {
    for (size_t i = p->n_storages; i-- > 0;) /* the last ones first: files name them in turn */
        if (wf_streq(p->storages[i]->key, key))
            return p->storages[i];
    return NULL;
}

static weft_status new_storage(wf_pickle *p, const char *key, const char *type, int64_t count, wf_pickle_storage **out) {
    wf_pickle_storage *s = wf_arena_alloc(p->arena, sizeof *s);
    if (!s)
        return wf_fail_memory(p->err);
    *s = (wf_pickle_storage){.key = key, .type = type, .count = count};
    WF_TRY(wf_grow(p->mem, (void **)&p->storages, &p->storages_capacity, p->n_storages + 1, sizeof *p->storages, p->err));
    p->storages[p->n_storages++] = *out = s;
    return WEFT_OK;
}

/* ('storage', type, key, location, count) and, in old files, a view (key, first, count) or None */
weft_status wf_pickle_persistent(wf_pickle *p, const wf_pickle_value *id, wf_pickle_value *out) {
    const wf_pickle_value *word = id->type == WF_PICKLE_LIST ? arg(id, 0, WF_PICKLE_TEXT) : NULL;
    const wf_pickle_value *type = word ? arg(id, 1, WF_PICKLE_GLOBAL) : NULL, *key = word ? arg(id, 2, WF_PICKLE_TEXT) : NULL,
                          *count = word ? arg(id, 4, WF_PICKLE_INT) : NULL;
    if (!word || !wf_streq(word->text, "storage") || !type || !key || !count || count->integer < 0 || type->global->call)
        return fail(p, "a persistent id must be ('storage', type, key, place, count)");
    if (id->count > 5 && id->items[5]->type != WF_PICKLE_NONE)
        return wf_fail(p->err, WEFT_UNSUPPORTED, "pickle: storages that are views of others are not supported");
    wf_pickle_storage *s = find_storage(p, key->text);
    if (!s)
        WF_TRY(new_storage(p, key->text, type->global->type, count->integer, &s));
    if (s->count != count->integer || !wf_streq(s->type, type->global->type))
        return fail(p, "a storage is told in two ways");
    *out = (wf_pickle_value){.type = WF_PICKLE_STORAGE, .storage = s};
    return WEFT_OK;
}

/* ---- the table ---- */
static const wf_pickle_global globals[] = {
    {"collections", "OrderedDict", NULL, ordered_dict},
    {"torch._utils", "_rebuild_tensor", NULL, rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", NULL, rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v3", NULL, rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", NULL, rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", NULL, rebuild_parameter},
    {"torch", "Size", NULL, first_list},
    {"torch", "device", NULL, nothing},
    {"torch", "DoubleStorage", "F64", NULL},
    {"torch", "FloatStorage", "F32", NULL},
    {"torch", "HalfStorage", "F16", NULL},
    {"torch", "BFloat16Storage", "BF16", NULL},
    {"torch", "LongStorage", "I64", NULL},
    {"torch", "IntStorage", "I32", NULL},
    {"torch", "ShortStorage", "I16", NULL},
    {"torch", "CharStorage", "I8", NULL},
    {"torch", "ByteStorage", "U8", NULL},
    {"torch", "BoolStorage", "BOOL", NULL},
    {"torch", "ComplexFloatStorage", "C64", NULL},
    {"torch", "ComplexDoubleStorage", "C128", NULL},
    {"torch.storage", "UntypedStorage", NULL, NULL},
    {"torch.storage", "_UntypedStorage", NULL, NULL},
    {"torch", "UntypedStorage", NULL, NULL},
    {"torch", "float64", "F64", NULL},
    {"torch", "float32", "F32", NULL},
    {"torch", "float16", "F16", NULL},
    {"torch", "bfloat16", "BF16", NULL},
    {"torch", "int64", "I64", NULL},
    {"torch", "int32", "I32", NULL},
    {"torch", "int16", "I16", NULL},
    {"torch", "int8", "I8", NULL},
    {"torch", "uint8", "U8", NULL},
    {"torch", "uint16", "U16", NULL},
    {"torch", "uint32", "U32", NULL},
    {"torch", "uint64", "U64", NULL},
    {"torch", "bool", "BOOL", NULL},
    {"torch", "complex64", "C64", NULL},
    {"torch", "complex128", "C128", NULL},
    {"torch", "float8_e4m3fn", "F8_E4M3", NULL},
    {"torch", "float8_e5m2", "F8_E5M2", NULL},
    {"torch", "float8_e8m0fnu", "F8_E8M0", NULL},
};

const wf_pickle_global *wf_pickle_global_find(const char *module, const char *name) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (wf_streq(globals[i].module, module) && wf_streq(globals[i].name, name))
            return &globals[i];
    return NULL;
}
