#include "base/rng.h"
#include <math.h>

static const double two_pi = 6.283185307179586476925286766559;

static uint32_t multiply(uint32_t a, uint32_t b, uint32_t *low) {
    uint64_t product = (uint64_t)a * b;
    *low = (uint32_t)product;
    return (uint32_t)(product >> 32);
}

static void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        uint32_t low0, low1;
        uint32_t high0 = multiply(0xD2511F53u, c[0], &low0), high1 = multiply(0xCD9E8D57u, c[2], &low1);
        c[0] = high1 ^ c[1] ^ k0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1;
        c[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

wf_rng wf_rng_make(uint64_t seed, uint32_t site, uint32_t step) { return (wf_rng){seed, (uint64_t)site << 32 | step}; }

void wf_rng_u32x4(wf_rng rng, uint64_t block, uint32_t out[4]) {
    out[0] = (uint32_t)block;
    out[1] = (uint32_t)(block >> 32);
    out[2] = (uint32_t)rng.stream;
    out[3] = (uint32_t)(rng.stream >> 32);
    philox(out, (uint32_t)rng.seed, (uint32_t)(rng.seed >> 32));
}

uint32_t wf_rng_u32(wf_rng rng, uint64_t index) {
    uint32_t words[4];
    wf_rng_u32x4(rng, index / 4, words);
    return words[index % 4];
}

float wf_rng_uniform(wf_rng rng, uint64_t index) { return (float)(wf_rng_u32(rng, index) >> 8) * 0x1p-24f; }

static double unit(uint32_t low, uint32_t high) { return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53; }

double wf_rng_uniform_double(wf_rng rng, uint64_t index) {
    uint32_t words[4];
    wf_rng_u32x4(rng, index / 2, words);
    const uint32_t *pair = words + index % 2 * 2;
    return unit(pair[0], pair[1]);
}

double wf_rng_normal(wf_rng rng, uint64_t index) {
    uint32_t words[4];
    wf_rng_u32x4(rng, index, words);
    double radius = sqrt(-2.0 * log(1.0 - unit(words[0], words[1]))); /* 1 - u is never 0 */
    return radius * cos(two_pi * unit(words[2], words[3]));
}

/* The upper 64 bits of a 64 x 64 bit product. */
static uint64_t multiply_high(uint64_t a, uint64_t b) {
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t middle = ah * bl + (al * bl >> 32);
    uint64_t other = al * bh + (uint32_t)middle;
    return ah * bh + (middle >> 32) + (other >> 32);
}

uint64_t wf_rng_below(wf_rng rng, uint64_t index, uint64_t n) {
    uint32_t words[4];
    wf_rng_u32x4(rng, index / 2, words);
    const uint32_t *pair = words + index % 2 * 2;
    return multiply_high((uint64_t)pair[1] << 32 | pair[0], n);
}

/* The finalizer of splitmix64: every input bit reaches every output bit. */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

enum { FEISTEL_ROUNDS = 8 };

static uint64_t feistel(const uint32_t keys[FEISTEL_ROUNDS], uint64_t x, int half_bits) {
    uint64_t mask = ((uint64_t)1 << half_bits) - 1, left = x >> half_bits, right = x & mask;
    for (int round = 0; round < FEISTEL_ROUNDS; round++) {
        uint64_t next = left ^ (mix((uint64_t)keys[round] << 32 ^ right) & mask);
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

uint64_t wf_rng_permute(wf_rng rng, uint64_t i, uint64_t n) {
    if (n < 2 || i >= n)
        return i;
    uint32_t keys[FEISTEL_ROUNDS];
    wf_rng_u32x4(rng, 0, keys);
    wf_rng_u32x4(rng, 1, keys + 4);
    int half_bits = 1;
    while (half_bits < 32 && (n - 1) >> (2 * half_bits))
        half_bits++;
    /* The domain 4^half_bits is less than 4n; steps that leave 0..n-1 are walked on, which always comes back. */
    do
        i = feistel(keys, i, half_bits);
    while (i >= n);
    return i;
}
