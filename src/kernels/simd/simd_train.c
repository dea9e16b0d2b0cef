/* simd_train.c - vector forms of AdamW and dropout. */
#include "kernels/vec/fill.h"
#include "kernels/vec/philox.h"
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

static void dropout(float *y, const float *x, float p, wf_rng rng, uint64_t first, int64_t n) {
    vf keep = vf_set(1.0f / (1.0f - p)), zero = vf_set(0.0f);
    int64_t i = 0;
    for (; i < n && (first + (uint64_t)i) % 4; i++) /* up to a whole counter */
        y[i] = wf_rng_uniform(rng, first + (uint64_t)i) >= p ? x[i] * keep[0] : 0.0f;
    for (; i < n; i += PHILOX_WORDS) {
        uint32_t words[PHILOX_WORDS];
        philox_draw(rng, (first + (uint64_t)i) / 4, words);
        int64_t end = n - i < PHILOX_WORDS ? n - i : PHILOX_WORDS;
        WF_ROW(j, m, end, vi bits; memcpy(&bits, words + j, sizeof bits); bits = (bits >> 8) & 0xffffff;
               vf uniform = __builtin_convertvector(bits, vf) * 0x1p-24f;
               vput(y + i + j, vf_select(uniform >= p, vtake(x + i + j, m) * keep, zero), m););
    }
}

WF_FILL(train) {
    k->adamw = adamw;
    k->dropout = dropout;
}
