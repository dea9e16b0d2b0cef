/* dtype.c - the rows of the element types. The conversions here are the plain ones for files and odd types; hot paths between
 * fp32 and bf16 use the kernels of the same name. */
#include "kernels/dtype.h"

static float f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 1023u, bits;
    if (exponent == 31)
        bits = sign | 0x7f800000u | (fraction << 13);
    else if (exponent)
        bits = sign | ((exponent + 112u) << 23) | (fraction << 13);
    else { /* zero or subnormal: fraction * 2^-24 is exact in fp32 */
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* Shifts the fraction right by `shift` bits (at least 1), rounding to nearest even; a carry into the exponent is what IEEE
 * wants. */
static uint16_t round_shift(uint32_t fraction, int shift) {
    uint32_t half = 1u << (shift - 1), rest = fraction & (2 * half - 1), kept = fraction >> shift;
    return (uint16_t)(kept + (rest > half || (rest == half && (kept & 1u))));
}

static uint16_t f32_to_f16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
    if (magnitude >= 0x47800000u) /* 65536 and above, infinity included; 65520..65536 round up to infinity below */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) /* normal from 2^-14 */
        return (uint16_t)(sign | round_shift(magnitude - 0x38000000u, 13));
    int shift = 126 - (int)(magnitude >> 23); /* the 24-bit significand becomes a count of 2^-24 */
    if (shift > 25)
        return sign;
    return (uint16_t)(sign | round_shift((magnitude & 0x7fffffu) | 0x800000u, shift));
}

#define TO_F32(name, type, convert)                                                                                            \
    static void name##_to_f32(float *dst, const void *src, int64_t n) {                                                        \
        const char *at = src; /* perhaps misaligned: files promise nothing */                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                                      \
            type value;                                                                                                        \
            memcpy(&value, at + (size_t)i * sizeof value, sizeof value);                                                       \
            dst[i] = convert(value);                                                                                           \
        }                                                                                                                      \
    }
#define FROM_F32(name, type, convert)                                                                                          \
    static void name##_from_f32(void *dst, const float *src, int64_t n) {                                                      \
        type *d = dst;                                                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                        \
            d[i] = convert(src[i]);                                                                                            \
    }

TO_F32(fp32, float, )
FROM_F32(fp32, float, )
TO_F32(bf16, uint16_t, wf_bf16_to_f32)
FROM_F32(bf16, uint16_t, wf_f32_to_bf16)
TO_F32(fp16, uint16_t, f16_to_f32)
FROM_F32(fp16, uint16_t, f32_to_f16)
TO_F32(fp64, double, (float))
FROM_F32(fp64, double, )
TO_F32(int64, int64_t, (float))
TO_F32(int32, int32_t, (float))
TO_F32(int16, int16_t, (float))
TO_F32(int8, int8_t, (float))
TO_F32(uint8, uint8_t, (float))

const wf_dtype_row wf_dtypes[WF_DTYPE_COUNT] = {
    [WF_F32] = {"fp32", "F32", 4, fp32_to_f32, fp32_from_f32}, [WF_BF16] = {"bf16", "BF16", 2, bf16_to_f32, bf16_from_f32},
    [WF_F16] = {"fp16", "F16", 2, fp16_to_f32, fp16_from_f32}, [WF_F64] = {"fp64", "F64", 8, fp64_to_f32, fp64_from_f32},
    [WF_I64] = {"int64", "I64", 8, int64_to_f32, NULL},        [WF_I32] = {"int32", "I32", 4, int32_to_f32, NULL},
    [WF_I16] = {"int16", "I16", 2, int16_to_f32, NULL},        [WF_I8] = {"int8", "I8", 1, int8_to_f32, NULL},
    [WF_U8] = {"uint8", "U8", 1, uint8_to_f32, NULL},          [WF_BOOL8] = {"bool", "BOOL", 1, uint8_to_f32, NULL},
};

int wf_dtype_by_safetensors(const char *name) {
    for (int i = 0; i < WF_DTYPE_COUNT; i++)
        if (strcmp(name, wf_dtypes[i].safetensors) == 0)
            return i;
    return -1;
}
