/* dtype.h - element types as rows: size, names in files, conversion to and from fp32. */
#ifndef WF_KERNELS_DTYPE_H
#define WF_KERNELS_DTYPE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum wf_dtype {
    WF_F32,
    WF_BF16,
    WF_F16,
    WF_F64,
    WF_I64,
    WF_I32,
    WF_I16,
    WF_I8,
    WF_U8,
    WF_BOOL8,
    WF_DTYPE_COUNT
} wf_dtype;

typedef struct wf_dtype_row {
    const char *name;                                         /* "fp32", as the command line says it */
    const char *safetensors;                                  /* "F32" */
    size_t size;                                              /* bytes per element */
    void (*to_f32)(float *dst, const void *src, int64_t n);   /* integers too */
    void (*from_f32)(void *dst, const float *src, int64_t n); /* round to nearest even; NULL for integer types */
} wf_dtype_row;

extern const wf_dtype_row wf_dtypes[WF_DTYPE_COUNT];
int wf_dtype_by_safetensors(const char *name); /* -1 when unknown */

static inline float wf_bf16_to_f32(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint16_t wf_f32_to_bf16(float f) { /* round to nearest even, NaN stays NaN */
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
#endif
