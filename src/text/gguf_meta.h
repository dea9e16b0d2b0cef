/* gguf_meta.h - the metadata of a GGUF file as far as a tokenizer needs it: views into the bytes, nothing copied. */
#ifndef WF_TEXT_GGUF_META_H
#define WF_TEXT_GGUF_META_H
#include "text/tokenizer.h"

typedef struct wf_gguf_value {
    wf_bytes key;
    uint32_t type; /* GGUF's number; WF_GGUF_ARRAY with `element` */
    uint32_t element;
    uint64_t count;      /* elements; 1 */
    const uint8_t *data; /* the value, or the first element */
    size_t bytes;        /* of all elements */
} wf_gguf_value;
enum { WF_GGUF_F32 = 6, WF_GGUF_BOOL = 7, WF_GGUF_STRING = 8, WF_GGUF_ARRAY = 9 };

typedef struct wf_gguf_meta {
    wf_gguf_value *values;
    size_t count;
} wf_gguf_meta;

/* Reads and checks everything before the tensors. `values` lives in the arena. */
weft_status wf_gguf_meta_read(wf_arena *arena, wf_bytes file, wf_gguf_meta *out, weft_error *err);
const wf_gguf_value *wf_gguf_find(const wf_gguf_meta *m, const char *key); /* NULL when absent */
/* A number, a flag or a text; `fallback` when absent or of another type. */
int64_t wf_gguf_int(const wf_gguf_meta *m, const char *key, int64_t fallback);
wf_bytes wf_gguf_text(const wf_gguf_meta *m, const char *key);
/* Walks over an array of texts: *at begins at 0. */
wf_bytes wf_gguf_next_text(const wf_gguf_value *v, size_t *at);
/* Element i of an array of 4-byte numbers. */
int32_t wf_gguf_i32(const wf_gguf_value *v, size_t i);
float wf_gguf_f32(const wf_gguf_value *v, size_t i);
#endif
