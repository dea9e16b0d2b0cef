/* philox.h - the random words of base/rng.h (Philox 4x32-10) in vectors, one counter per 64-bit lane. */
#ifndef WF_KERNELS_PHILOX_H
#define WF_KERNELS_PHILOX_H
#include "base/rng.h"
#include "kernels/vec/vec.h"

enum { PHILOX_BLOCKS = WF_VL / 2, PHILOX_WORDS = 4 * PHILOX_BLOCKS };
typedef uint64_t vq __attribute__((vector_size(8 * PHILOX_BLOCKS)));

/* Products of the lower halves of the lanes. */
WF_INLINE vq philox_multiply(vq a, vq b) {
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

/* The words of counters block .. block + PHILOX_BLOCKS - 1: those of indices 4*block and on. */
static __attribute__((unused)) void philox_draw(wf_rng rng, uint64_t block, uint32_t words[PHILOX_WORDS]) {
    vq c0, c1, c2, c3, k0 = (rng.seed & 0xffffffffu) - (vq){0}, k1 = (rng.seed >> 32) - (vq){0};
    const vq m0 = 0xD2511F53u - (vq){0}, m1 = 0xCD9E8D57u - (vq){0};
    for (uint64_t i = 0; i < PHILOX_BLOCKS; i++)
        c0[i] = block + i;
    c1 = c0 >> 32;
    c2 = (rng.stream & 0xffffffffu) - (vq){0};
    c3 = (rng.stream >> 32) - (vq){0};
    for (int round = 0; round < 10; round++) {
        vq p0 = philox_multiply(c0, m0), p1 = philox_multiply(c2, m1);
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    vq low = (c0 & 0xffffffffu) | (c1 << 32), high = (c2 & 0xffffffffu) | (c3 << 32);
    for (int i = 0; i < PHILOX_BLOCKS; i++) {
        memcpy(words + 4 * i, &(uint64_t){low[i]}, 8);
        memcpy(words + 4 * i + 2, &(uint64_t){high[i]}, 8);
    }
}
#endif
