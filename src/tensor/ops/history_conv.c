/* history_conv.c - the last rows of a convolution over the whole sequence, while decoding: y_t = sum_{s<=t} k_{t-s} x_s + bias
 * x_t summed directly from a cache of all rows so far. A piece is a block of channels of one sequence. */
#include "tensor/ops/elementwise.h"

enum { CACHE, K, BIAS, INPUTS };
enum { CHANNELS = 64 };

static int64_t blocks(const wf_tensor *y) { return (y->dims[2] + CHANNELS - 1) / CHANNELS; }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const wf_tensor *y = node->out[0];
    return pass == WF_FORWARD && phase == 0 ? (int)(y->dims[0] * blocks(y)) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *cache = node->in[CACHE], *y = node->out[0], *bias = node->in[BIAS];
    int64_t d = y->dims[2], b = piece / blocks(y), first = piece % blocks(y) * CHANNELS,
            n = d - first < CHANNELS ? d - first : CHANNELS;
    int64_t start = w->rt->start ? w->rt->start[b] : 0;
    const float *x = (const float *)cache->data + b * cache->dims[1] * d + first, *k = (const float *)node->in[K]->data + first;
    (void)pass, (void)phase;
    for (int64_t t = 0; t < y->dims[1]; t++) {
        float sum[CHANNELS] = {0};
        for (int64_t s = 0; s <= start + t; s++)
            for (int64_t c = 0; c < n; c++)
                sum[c] += k[(start + t - s) * d + c] * x[s * d + c];
        for (int64_t c = 0; c < n && bias; c++)
            sum[c] += ((const float *)bias->data)[first + c] * x[(start + t) * d + c];
        memcpy((float *)y->data + (b * y->dims[1] + t) * d + first, sum, (size_t)n * sizeof *sum);
    }
}

const wf_op wf_op_history_conv = {.name = "history_conv", .pieces = pieces, .run = run, .by_runtime = true, .no_grad = true};

wf_tensor *wf_history_conv(wf_tape *t, wf_tensor *cache, wf_tensor *k, wf_tensor *bias, int64_t rows) {
    if (!cache || !k || !(k = wf_cast(t, k, WF_F32)))
        return NULL;
    if (cache->rank != 3 || cache->type != WF_F32 || k->rank != 2 || k->dims[1] != cache->dims[2] ||
        k->dims[0] < cache->dims[1] || (bias && bias->count != cache->dims[2]))
        return wf_tape_error(t, WEFT_USAGE, "history_conv: shapes do not fit");
    wf_tensor *y = wf_out(t, WF_F32, 3, (int64_t[]){cache->dims[0], rows, cache->dims[2]});
    return y && wf_record(t, &wf_op_history_conv, INPUTS, (wf_tensor *[]){cache, k, bias}, 1, &y, NULL) ? y : NULL;
}
