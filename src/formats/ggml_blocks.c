/* ggml_blocks.c - source: ggml-quants.c. Half of the nibbles are the first sixteen elements, the other half the last. */
#include "formats/ggml_blocks.h"
#include <string.h>
#include "base/str.h"
#include "kernels/dtype.h"

enum { HALF = WF_GGML_BLOCK / 2 };

static float half_at(const uint8_t *at) {
    float value;
    wf_dtypes[WF_F16].to_f32(&value, at, 1);
    return value;
}

static void unpack_q4_0(const uint8_t *b, float *out) {
    float d = half_at(b);
    for (int i = 0; i < HALF; i++) {
        out[i] = (float)((b[2 + i] & 15) - 8) * d;
        out[i + HALF] = (float)((b[2 + i] >> 4) - 8) * d;
    }
}

static void unpack_q4_1(const uint8_t *b, float *out) {
    float d = half_at(b), least = half_at(b + 2);
    for (int i = 0; i < HALF; i++) {
        out[i] = (float)(b[4 + i] & 15) * d + least;
        out[i + HALF] = (float)(b[4 + i] >> 4) * d + least;
    }
}

/* The fifth bits of all elements, then nibbles as before. */
static int five_bits(const uint8_t *high, const uint8_t *nibbles, int i) {
    uint32_t bits;
    memcpy(&bits, high, sizeof bits);
    int low = i < HALF ? nibbles[i] & 15 : nibbles[i - HALF] >> 4;
    return low | (int)(bits >> i & 1u) << 4;
}

static void unpack_q5_0(const uint8_t *b, float *out) {
    float d = half_at(b);
    for (int i = 0; i < WF_GGML_BLOCK; i++)
        out[i] = (float)(five_bits(b + 2, b + 6, i) - 16) * d;
}

static void unpack_q5_1(const uint8_t *b, float *out) {
    float d = half_at(b), least = half_at(b + 2);
    for (int i = 0; i < WF_GGML_BLOCK; i++)
        out[i] = (float)five_bits(b + 4, b + 8, i) * d + least;
}

static void unpack_q8_0(const uint8_t *b, float *out) {
    float d = half_at(b);
    for (int i = 0; i < WF_GGML_BLOCK; i++)
        out[i] = (float)(int8_t)b[2 + i] * d;
}

static const wf_ggml_blocks rows[] = {
    {"Q4_0", 18, unpack_q4_0}, {"Q4_1", 20, unpack_q4_1}, {"Q5_0", 22, unpack_q5_0},
    {"Q5_1", 24, unpack_q5_1}, {"Q8_0", 34, unpack_q8_0},
};

const wf_ggml_blocks *wf_ggml_blocks_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
