/* alibi_keys.c - linear biases by the number of the key alone (Falcon): slope * n_j, slopes and products rounded to bfloat16,
 * then scaled with the scores. Under softmax it is the bias by distance, but for the rounding. */
#include "tensor/ops/elementwise.h"

typedef struct alibi_keys {
    const float *slopes; /* [H] */
    float scale;
} alibi_keys;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->out[0]->dims[0] : 0;
}

static float rounded(const wf_worker *w, float x) {
    uint16_t narrow;
    w->k->f32_to_bf16(&narrow, &x, 1);
    w->k->bf16_to_f32(&x, &narrow, 1);
    return x;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const alibi_keys *a = node->attr;
    int64_t heads = node->out[0]->dims[1], keys = node->out[0]->dims[3];
    const uint8_t *mask = node->in[0] ? (const uint8_t *)node->in[0]->data + piece * keys : NULL;
    float *to = (float *)node->out[0]->data + piece * heads * keys;
    (void)pass, (void)phase;
    for (int64_t h = 0; h < heads; h++) {
        float slope = rounded(w, a->slopes[h]);
        for (int64_t j = 0, n = -1; j < keys; j++) {
            n += !mask || mask[j];
            to[h * keys + j] = a->scale * (mask && !mask[j] ? 0.0f : rounded(w, slope * (float)n));
        }
    }
}

const wf_op wf_op_alibi_keys = {.name = "alibi_keys", .pieces = batch_pieces, .run = run, .no_grad = true};

wf_tensor *wf_alibi_keys(wf_tape *t, wf_tensor *mask, int64_t keys, const float *slopes, int64_t heads, float scale) {
    int64_t batch = mask ? mask->dims[0] : 1;
    if (!slopes || (mask && (mask->type != WF_U8 || mask->rank != 2 || mask->dims[1] != keys)))
        return wf_tape_error(t, slopes ? WEFT_USAGE : WEFT_NO_MEMORY, "alibi_keys: the mask does not fit");
    alibi_keys *a = attr_copy(t, &(alibi_keys){slopes, scale}, sizeof(alibi_keys));
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){batch, heads, 1, keys});
    return a && y && wf_record(t, &wf_op_alibi_keys, 1, &mask, 1, &y, a) ? y : NULL;
}
