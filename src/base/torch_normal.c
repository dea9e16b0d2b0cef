/* torch_normal.c - the normal numbers of torch's CPU generator: the Mersenne twister (Matsumoto & Nishimura 1998) and
 * Box-Muller over groups of 16 uniform numbers of 24 bits, or over pairs of 53 bits when there are fewer than 16
 * (aten/src/ATen/native/cpu/DistributionTemplates.h, ATen/core/DistributionsHelper.h). */
#include <math.h>
#include "base/rng.h"

enum { WORDS = 624, SHIFT = 397, GROUP = 16 };
static const double two_pi = 6.283185307179586476925286766559;

typedef struct twister {
    uint32_t word[WORDS];
    int next;
} twister;

static void seed_twister(twister *t, uint32_t seed) {
    t->word[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++)
        t->word[i] = 1812433253u * (t->word[i - 1] ^ t->word[i - 1] >> 30) + i;
    t->next = WORDS;
}

static void turn(twister *t) {
    for (int i = 0; i < WORDS; i++) {
        uint32_t y = (t->word[i] & 0x80000000u) | (t->word[(i + 1) % WORDS] & 0x7fffffffu);
        t->word[i] = t->word[(i + SHIFT) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->next = 0;
}

static uint32_t word_of(twister *t) {
    if (t->next == WORDS)
        turn(t);
    uint32_t y = t->word[t->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static double unit53(twister *t) {
    uint64_t high = word_of(t), low = word_of(t);
    return (double)((high << 32 | low) & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

static void group(twister *t, float *value) {
    float u[GROUP];
    for (int i = 0; i < GROUP; i++)
        u[i] = (float)(word_of(t) & 0xffffffu) * 0x1p-24f;
    for (int i = 0; i < GROUP / 2; i++) {
        double radius = sqrt(-2.0 * log(1.0 - (double)u[i])), angle = two_pi * (double)u[i + GROUP / 2];
        value[i] = (float)(radius * cos(angle));
        value[i + GROUP / 2] = (float)(radius * sin(angle));
    }
}

void wf_torch_normal(float *value, int64_t n, uint64_t seed) {
    twister t;
    seed_twister(&t, (uint32_t)seed);
    for (int64_t i = 0; n < GROUP && i < n; i += 2) {
        double angle = two_pi * unit53(&t), radius = sqrt(-2.0 * log1p(-unit53(&t)));
        value[i] = (float)(radius * cos(angle));
        if (i + 1 < n)
            value[i + 1] = (float)(radius * sin(angle));
    }
    for (int64_t i = 0; i + GROUP <= n; i += GROUP)
        group(&t, value + i);
    for (int64_t i = 0; n > GROUP && i < n % GROUP; i++)
        (void)word_of(&t);
    if (n > GROUP && n % GROUP != 0)
        group(&t, value + n - GROUP); /* the last ones have been drawn once in vain */
}
