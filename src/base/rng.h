/* rng.h - counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): value = f(seed, stream, index). No state, so any
 * thread may draw any index, and a resumed run draws the same numbers. */
#ifndef WF_BASE_RNG_H
#define WF_BASE_RNG_H
#include <stdint.h>

typedef struct wf_rng {
    uint64_t seed;
    uint64_t stream; /* made by wf_rng_stream from what the numbers are for */
} wf_rng;

/* What a stream is for: site (an id fixed by the program: init of a tensor, dropout of a layer, ...) and step. */
wf_rng wf_rng_make(uint64_t seed, uint32_t site, uint32_t step);
uint32_t wf_rng_u32(wf_rng rng, uint64_t index);
/* Four consecutive words, those of index 4*block .. 4*block+3. */
void wf_rng_u32x4(wf_rng rng, uint64_t block, uint32_t out[4]);
float wf_rng_uniform(wf_rng rng, uint64_t index);              /* [0, 1), 24 bits */
double wf_rng_uniform_double(wf_rng rng, uint64_t index);      /* [0, 1), 53 bits, uses words 2*index and 2*index+1 */
double wf_rng_normal(wf_rng rng, uint64_t index);              /* Box-Muller over uniform_double 2*index, 2*index+1 */
uint64_t wf_rng_below(wf_rng rng, uint64_t index, uint64_t n); /* 0..n-1, n > 0 (bias below 2^-32 for n < 2^32) */
/* The image of `i` under a seeded permutation of 0..n-1 (Feistel with cycle walking): shuffling without a table. */
uint64_t wf_rng_permute(wf_rng rng, uint64_t i, uint64_t n);
/* The n normal numbers that torch.manual_seed(seed); torch.randn(n) give as fp32 on a CPU, up to the last bits: what published
 * configs mean by a seed. */
void wf_torch_normal(float *value, int64_t n, uint64_t seed);
#endif
