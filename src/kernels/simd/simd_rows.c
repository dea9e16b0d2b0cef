/* simd_rows.c - vector forms of conversions and elementwise arithmetic. */
#include "kernels/vec/fill.h"
#include "kernels/vec/vec.h"

static void add(float *dst, const float *a, const float *b, int64_t n) {
    int64_t i = 0;
    for (; i + WF_VL <= n; i += WF_VL)
        vf_store(dst + i, vf_load(a + i) + vf_load(b + i));
    vf_store_n(dst + i, vf_load_n(a + i, n - i) + vf_load_n(b + i, n - i), n - i);
}

WF_FILL(rows) { k->add = add; }
