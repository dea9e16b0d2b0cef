/* safetensors.h - named tensors in a file: 8 bytes of header length, a JSON header, the data without holes.
 *
 *     wf_safetensors *file;
 *     WF_TRY(wf_safetensors_open(mem, "model.safetensors", &file, err));
 *     const wf_stored_tensor *t = wf_safetensors_find(file, "wte.weight");
 *
 * The reader trusts nothing: everything is checked before anything is sized by it, and memory stays within a small multiple of
 * the header. Stricter than the reference: names are unique and hold no NUL, entries have no members of other names.
 * Limits: header 100,000,000 bytes, 64 dimensions. Little-endian machines only.
 * Thread rule: an open file never changes and may be shared. */
#ifndef WF_FORMATS_SAFETENSORS_H
#define WF_FORMATS_SAFETENSORS_H
#include "base/mem.h"
#include "base/str.h"
#include "kernels/dtype.h"

enum { WF_STORED_RANK_MAX = 64 };

typedef struct wf_stored_tensor {
    const char *name;
    const char *dtype; /* as in the file: "F32", "F8_E4M3" */
    int type;          /* wf_dtype, -1 for element types weft only copies */
    int rank;
    const int64_t *dims;
    const void *data; /* maybe misaligned: the format promises nothing. Copy before use as numbers, or test the address */
    size_t size;      /* bytes */
    size_t offset;    /* of the data, in the file */
} wf_stored_tensor;

typedef struct wf_stored_text {
    const char *key, *value;
} wf_stored_text;

typedef struct wf_safetensors wf_safetensors;

weft_status wf_safetensors_open(const wf_mem *mem, const char *path, wf_safetensors **out,
                                weft_error *err); /* mapped; messages start with the path */
/* From memory, which must outlive the result. */
weft_status wf_safetensors_parse(const wf_mem *mem, const void *data, size_t size, wf_safetensors **out, weft_error *err);
void wf_safetensors_free(wf_safetensors *file); /* NULL is fine */

size_t wf_safetensors_count(const wf_safetensors *file);
const wf_stored_tensor *wf_safetensors_at(const wf_safetensors *file, size_t i);           /* sorted by name */
const wf_stored_tensor *wf_safetensors_find(const wf_safetensors *file, const char *name); /* NULL when absent */
const wf_stored_text *wf_safetensors_metadata(const wf_safetensors *file, size_t *count);  /* in the order of the file */
const char *wf_safetensors_text(const wf_safetensors *file, const char *key); /* of the metadata, NULL when absent */

/* ---- writing ---- */
typedef struct wf_tensor_plan {
    const char *name;
    wf_dtype type;
    int rank;
    const int64_t *dims;
    const char *dtype; /* the type's name in the file, for those weft only copies; NULL: that of `type` */
} wf_tensor_plan;

/* Bytes of the planned tensor; false when it is negative, no whole number or beyond 2^63. */
bool wf_tensor_plan_bytes(const wf_tensor_plan *tensor, int64_t *out);

typedef struct wf_safetensors_plan {
    const wf_tensor_plan *tensors; /* in this order their bytes follow */
    size_t n_tensors;
    const wf_stored_text *metadata;
    size_t n_metadata;
} wf_safetensors_plan;

/* The order of the reference's writer: wide elements first, so that every tensor is aligned to its elements; then by name. */
void wf_safetensors_order(wf_tensor_plan *tensors, size_t n);

/* The length and the header, appended to `out`; the bytes of the tensors follow in the order of the plan. */
weft_status wf_safetensors_header(const wf_safetensors_plan *plan, wf_str *out, int64_t *data_size, weft_error *err);

typedef struct wf_safetensors_writer wf_safetensors_writer;
/* Writes the header; the plan is not needed any more afterwards. The file appears at commit, whole or not at all. */
weft_status wf_safetensors_create(const wf_mem *mem, const char *path, const wf_safetensors_plan *plan,
                                  wf_safetensors_writer **out, weft_error *err);
/* The next bytes of the tensors, in any portions; more than planned is an error. */
weft_status wf_safetensors_put(wf_safetensors_writer *w, const void *data, size_t size, weft_error *err);
weft_status wf_safetensors_commit(wf_safetensors_writer *w, weft_error *err); /* frees w, also on failure */
void wf_safetensors_abort(wf_safetensors_writer *w);                          /* frees w; NULL is fine */
#endif
