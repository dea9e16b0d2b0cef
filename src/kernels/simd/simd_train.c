/* simd_train.c - vector forms of AdamW and dropout. */
#include "kernels/vec/fill.h"
#include "kernels/vec/rows.h"

static void adamw(float *p, float *m, float *v, const float *g, uint16_t *bf16, const wf_adam_step *step, int64_t n) {
    vf b1 = vf_set(step->beta1), b2 = vf_set(step->beta2), a1 = 1.0f - b1, a2 = 1.0f - b2;
    vf keep = vf_set(1.0f - step->lr * step->weight_decay), rate = vf_set(-step->lr / step->correct1);
    vf root = vf_set(1.0f / step->correct2), eps = vf_set(step->eps), clip = vf_set(step->grad_scale);
    WF_ROW(i, left, n, vf gradient = vtake(g + i, left) * clip; vf first = vf_fma(b1, vtake(m + i, left), a1 * gradient);
           vf second = vf_fma(b2, vtake(v + i, left), a2 * gradient * gradient);
           vf change = rate * first / vf_fma(vf_sqrt(second), root, eps); vf value = vf_fma(vtake(p + i, left), keep, change);
           vput(m + i, first, left); vput(v + i, second, left); vput(p + i, value, left);
           if (bf16) vput_bf16(bf16 + i, value, left););
}

/* ---- dropout: Philox 4x32-10 (base/rng.h), one counter per 64-bit lane, the same words as wf_rng_u32x4 ---- */

enum { BLOCKS = WF_VL / 2, WORDS = 4 * BLOCKS };
typedef uint64_t vq __attribute__((vector_size(8 * BLOCKS)));

/* Products of the lower halves of the lanes. */
WF_INLINE vq multiply(vq a, vq b) {
#if defined(__AVX512F__)
    return (vq)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (vq)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (vq)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

/* The words of counters block .. block + BLOCKS - 1. */
static void draw(wf_rng rng, uint64_t block, uint32_t words[WORDS]) {
    vq c0, c1, c2, c3, k0 = (rng.seed & 0xffffffffu) - (vq){0}, k1 = (rng.seed >> 32) - (vq){0};
    const vq m0 = 0xD2511F53u - (vq){0}, m1 = 0xCD9E8D57u - (vq){0};
    for (uint64_t i = 0; i < BLOCKS; i++)
        c0[i] = block + i;
    c1 = c0 >> 32;
    c2 = (rng.stream & 0xffffffffu) - (vq){0};
    c3 = (rng.stream >> 32) - (vq){0};
    for (int round = 0; round < 10; round++) {
        vq p0 = multiply(c0, m0), p1 = multiply(c2, m1);
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    vq low = (c0 & 0xffffffffu) | (c1 << 32), high = (c2 & 0xffffffffu) | (c3 << 32);
    for (int i = 0; i < BLOCKS; i++) {
        memcpy(words + 4 * i, &(uint64_t){low[i]}, 8);
        memcpy(words + 4 * i + 2, &(uint64_t){high[i]}, 8);
    }
}

static void dropout(float *y, const float *x, float p, wf_rng rng, uint64_t first, int64_t n) {
    vf keep = vf_set(1.0f / (1.0f - p)), zero = vf_set(0.0f);
    int64_t i = 0;
    for (; i < n && (first + (uint64_t)i) % 4; i++) /* up to a whole counter */
        y[i] = wf_rng_uniform(rng, first + (uint64_t)i) >= p ? x[i] * keep[0] : 0.0f;
    for (; i < n; i += WORDS) {
        uint32_t words[WORDS];
        draw(rng, (first + (uint64_t)i) / 4, words);
        int64_t end = n - i < WORDS ? n - i : WORDS;
        WF_ROW(j, m, end, vi bits; memcpy(&bits, words + j, sizeof bits); bits = (bits >> 8) & 0xffffff;
               vf uniform = __builtin_convertvector(bits, vf) * 0x1p-24f;
               vput(y + i + j, vf_select(uniform >= p, vtake(x + i + j, m) * keep, zero), m););
    }
}

WF_FILL(train) {
    k->adamw = adamw;
    k->dropout = dropout;
}
