#include "mixers/distance_rows.h"
#include <math.h>

wf_tensor *wf_distance_waves(const wf_run *r, int64_t first, int64_t step, int64_t count, int64_t dim, double theta) {
    int64_t half = dim / 2;
    float *all = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)(count * dim) * sizeof *all);
    if (!all)
        return wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    for (int64_t i = 0; i < count * half; i++) {
        double angle = (double)(first + i / half * step) * pow(theta, -(double)(i % half) / (double)half);
        all[i / half * dim + i % half] = (float)sin(angle);
        all[i / half * dim + half + i % half] = (float)cos(angle);
    }
    return wf_constant(r->tape, 2, (int64_t[]){count, dim}, all);
}

int32_t *wf_distance_numbers(const wf_run *r, int64_t count) {
    int32_t *index = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)count * sizeof *index);
    for (int64_t i = 0; index && i < count; i++)
        index[i] = (int32_t)i;
    if (!index)
        wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    return index;
}

wf_tensor *wf_distance_query(const wf_run *r, const wf_layer *l, wf_tensor *q, const char *slot) {
    wf_tensor *b = wf_weight(r, l, slot);
    if (!b)
        return q;
    b = wf_reshape(r->tape, b, 1, &b->count);
    return wf_split_heads(r, wf_add_rows(r->tape, wf_merge_heads(r, q), b), wf_int(l, "heads"), wf_int(l, "key_dim"));
}
