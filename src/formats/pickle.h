/* pickle.h - Python's pickles as data. Nothing is executed: the opcodes and the globals that files of tensors use are rows of
 * tables (pickle.c, pickle_globals.c), each of which builds a value; any other is an error that names it.
 *
 * Bounded: every opcode of the text makes at most one value, no recursion on the input. Values live in the arena.
 * Source: Python's pickletools; torch/serialization.py and torch/_utils.py for what the globals mean. */
#ifndef WF_FORMATS_PICKLE_H
#define WF_FORMATS_PICKLE_H
#include "formats/tensor_file.h"

typedef enum wf_pickle_type {
    WF_PICKLE_NONE, /* also what nothing needs: hooks, devices, floats */
    WF_PICKLE_INT,  /* booleans too */
    WF_PICKLE_TEXT, /* bytes too */
    WF_PICKLE_LIST, /* tuples, sets; items */
    WF_PICKLE_DICT, /* items: key, value, key, value .. */
    WF_PICKLE_GLOBAL,
    WF_PICKLE_STORAGE,
    WF_PICKLE_TENSOR
} wf_pickle_type;

/* Elements of a storage, as a persistent id tells them. Whoever runs the pickle fills the data in. */
typedef struct wf_pickle_storage {
    const char *key;
    const char *type; /* as in safetensors files; NULL: bytes without a type */
    int64_t count;    /* elements, or bytes when there is no type */
    const uint8_t *data;
    size_t size, offset; /* bytes; where in the file */
} wf_pickle_storage;

typedef struct wf_pickle_tensor {
    wf_pickle_storage *storage;
    const char *type; /* NULL: that of the storage */
    int64_t first;    /* in elements, as the strides */
    int rank;
    int64_t *dims, *strides;
} wf_pickle_tensor;

struct wf_pickle_global;
typedef struct wf_pickle_value {
    wf_pickle_type type;
    int64_t integer;
    const char *text; /* 0-terminated */
    size_t length;
    struct wf_pickle_value **items;
    size_t count, capacity;
    const struct wf_pickle_global *global;
    wf_pickle_storage *storage;
    wf_pickle_tensor *tensor;
} wf_pickle_value;

typedef struct wf_pickle {
    wf_arena *arena;
    wf_pickle_storage **storages; /* each key once */
    size_t n_storages, storages_capacity;
    size_t copies, most_copies; /* items that calls have copied; no more than the text has bytes */
    const wf_mem *mem;
    weft_error *err;
} wf_pickle;

/* Runs one pickle that begins at the reader's place and leaves the reader behind it. */
weft_status wf_pickle_run(wf_pickle *p, wf_reader *r, wf_pickle_value **out);
void wf_pickle_close(wf_pickle *p);                                                 /* the list of storages */
const wf_pickle_value *wf_pickle_get(const wf_pickle_value *dict, const char *key); /* NULL when absent or no dict */

/* ---- private to the pickle ---- */
typedef struct wf_pickle_global {
    const char *module, *name;
    const char *type;                                                                     /* of a storage or of elements */
    weft_status (*call)(wf_pickle *p, const wf_pickle_value *args, wf_pickle_value *out); /* NULL: cannot be called */
} wf_pickle_global;

/* NULL when it is not in the table. */
const wf_pickle_global *wf_pickle_global_find(const char *module, const char *name);
/* A persistent id: ('storage', type, key, place, count, ..). */
weft_status wf_pickle_persistent(wf_pickle *p, const wf_pickle_value *id, wf_pickle_value *out);
/* Room for one more item. */
weft_status wf_pickle_push(wf_pickle *p, wf_pickle_value *list, wf_pickle_value *item);
#endif
