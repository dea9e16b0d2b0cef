/* tensor_file.h - a file of named tensors, whatever its kind. The kinds are the rows of formats/formats.def; each is one file
 * that checks what it reads and adds tensors.
 *
 *     wf_tensor_file *file;
 *     WF_TRY(wf_tensor_file_open(mem, "pytorch_model.bin", &file, err));
 *     const wf_stored_tensor *t = wf_tensor_file_find(file, "wte.weight");
 *
 * Data that can be used where it lies points into the mapped file; what is packed, quantised, turned or of the other byte order
 * is unpacked once, into memory of the file. Nothing in a file is ever executed. Memory stays within a small multiple of the
 * file's size. Errors start with the path. Thread rule: an open file never changes and may be shared. */
#ifndef WF_FORMATS_TENSOR_FILE_H
#define WF_FORMATS_TENSOR_FILE_H
#include "base/json.h"
#include "base/reader.h"
#include "formats/safetensors.h"

typedef struct wf_tensor_file wf_tensor_file;

typedef struct wf_format {
    const char *name, *about;
    const char *suffix; /* of its files: ".npz" */
    bool only;          /* no other kind has that suffix: such a file is judged by this kind, whatever its bytes */
    const char *whole;  /* its name in a model folder, NULL: none */
    const char *index;  /* the JSON file that lists its shards there, NULL: none */
    bool (*is)(const uint8_t *data, size_t size); /* by the first bytes, or by what only such a file can be */
    weft_status (*parse)(wf_tensor_file *file, weft_error *err);
} wf_format;

extern const wf_format *const wf_formats[]; /* NULL at the end */

/* The kind of a file by its name and bytes, NULL when it is none. `path` may be NULL. */
const wf_format *wf_format_of(const char *path, const uint8_t *data, size_t size);

struct wf_tensor_file {
    const wf_mem *mem;
    const wf_format *kind;
    wf_arena arena; /* names, shapes, the config */
    wf_file file;   /* empty when parsed from memory */
    const uint8_t *data;
    size_t size;
    wf_stored_tensor *list; /* by name once it is open */
    size_t count, capacity;
    const wf_stored_text *metadata;
    size_t n_metadata;
    const wf_json *config; /* what the file itself says about its model, in the words of a family; NULL: nothing */
    void **blocks;         /* memory of unpacked data */
    size_t n_blocks, blocks_capacity, unpacked;
    void *owner; /* of a kind with a reader of its own */
    void (*release)(void *owner);
};

weft_status wf_tensor_file_open(const wf_mem *mem, const char *path, wf_tensor_file **out, weft_error *err);
/* From memory, which must outlive the result. `kind` NULL: by the bytes. */
weft_status wf_tensor_file_parse(const wf_mem *mem, const wf_format *kind, const void *data, size_t size, wf_tensor_file **out,
                                 weft_error *err);
void wf_tensor_file_free(wf_tensor_file *file);                                            /* NULL is fine */
const wf_stored_tensor *wf_tensor_file_find(const wf_tensor_file *file, const char *name); /* NULL when absent */

/* ---- for the kinds ---- */
/* Adds a tensor; its name and dims are copied, its data is not. The data must be as large as its shape says, or the file is bad
 * input. `offset`: where in the file it lies. */
weft_status wf_tensor_file_add(wf_tensor_file *file, const wf_stored_tensor *tensor, weft_error *err);
/* Memory for data that has to be unpacked, `size` bytes; at most `most` bytes in all (checked before anything is allocated). */
weft_status wf_tensor_file_block(wf_tensor_file *file, size_t size, size_t most, void **out, weft_error *err);
/* Bits of an element type by its name in safetensors files ("F32"), 0 when unknown; *name receives a lasting copy. */
unsigned wf_element_bits(const char *dtype, size_t length, const char **name);
/* Turns the bytes of elements of `width` bytes around. */
void wf_swap_bytes(void *data, size_t size, size_t width);
#endif
