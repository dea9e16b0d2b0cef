/* op_support.c - what every op uses: gradient targets, fp32 views of bf16 data, fixed splits. */
#include "tensor/tape.h"

void *wf_grad_in(const wf_node *node, int i, const wf_worker *w, float *beta) {
    int mode = i < node->n_in ? node->grad_mode[i] : 0;
    if (!mode)
        return NULL;
    wf_tensor *x = node->in[i];
    bool parameter = wf_base(x)->kind == WF_PARAMETER;
    *beta = mode == 1 && !(parameter && w->rt->micro > 0) ? 0.0f : 1.0f;
    return x->grad;
}

const float *wf_load(const wf_worker *w, const void *data, wf_dtype type, int64_t first, int64_t n, float *tmp) {
    if (type == WF_F32)
        return (const float *)data + first;
    w->k->bf16_to_f32(tmp, (const uint16_t *)data + first, n);
    return tmp;
}

void wf_store(const wf_worker *w, void *data, wf_dtype type, int64_t first, int64_t n, const float *values, float beta) {
    if (type == WF_F32) {
        float *dst = (float *)data + first;
        if (beta == 0.0f)
            w->k->scale(dst, 1.0f, values, n);
        else
            w->k->add(dst, dst, values, n);
        return;
    }
    uint16_t *dst = (uint16_t *)data + first;
    if (beta == 0.0f) {
        w->k->f32_to_bf16(dst, values, n);
        return;
    }
    float old[512];
    for (int64_t i = 0; i < n; i += 512) {
        int64_t m = n - i < 512 ? n - i : 512;
        w->k->bf16_to_f32(old, dst + i, m);
        w->k->add(old, old, values + i, m);
        w->k->f32_to_bf16(dst + i, old, m);
    }
}

int wf_split_pieces(int64_t count, int64_t grain) {
    int64_t n = (count + grain - 1) / (grain > 0 ? grain : 1);
    return n < 1 ? 1 : n > 64 ? 64 : (int)n;
}

void wf_split_bounds(int64_t count, int pieces, int p, int64_t *first, int64_t *end) {
    *first = count * p / pieces;
    *end = count * (p + 1) / pieces;
}

/* A short strip reads as much of the weights as a long one; of a long one more lies between a node and the next. */
enum { LONGEST_STRIP = 6, SHORTEST_STRIP = 2, ROUNDS = 2 };

/* Long strips first, shorter ones towards the end: then no thread waits long for the last one. A thread alone has equal ones.
 */
static int64_t strip_length(int64_t left, int threads) {
    int64_t strips = threads > 1 ? ROUNDS * threads : (left + LONGEST_STRIP - 1) / LONGEST_STRIP;
    int64_t n = (left + strips - 1) / strips;
    n = n < LONGEST_STRIP ? n : LONGEST_STRIP;
    n = n > SHORTEST_STRIP ? n : SHORTEST_STRIP;
    return n < left ? n : left;
}

int wf_strips(int64_t blocks, int threads) {
    int n = 0;
    for (; blocks > 0; n++)
        blocks -= strip_length(blocks, threads);
    return n;
}

void wf_strip_bounds(int64_t blocks, int threads, int strip, int64_t *first, int64_t *end) {
    for (*first = 0; strip > 0; strip--)
        *first += strip_length(blocks - *first, threads);
    *end = *first + strip_length(blocks - *first, threads);
}
