/* keep_keys.c - a bias of the scores by the key alone, w[b,j,g], of which a row keeps only the largest: the other keys are
 * hidden from it (trainable dynamic mask attention, Shi et al. 2025, arXiv 2508.02124, section 3). Which are kept is a constant
 * of the backward. A piece is one group of heads of one sequence. */
#include <math.h>
#include "base/select.h"
#include "tensor/ops/elementwise.h"

enum { W, MASK };
typedef struct keep_keys {
    wf_keep_spec spec;
    int64_t b, s, g;
} keep_keys;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const keep_keys *a = node->attr;
    (void)pass;
    return phase == 0 ? (int)(a->b * a->g) : 0;
}

static bool visible(const wf_node *node, int64_t b, int64_t row, int64_t j, int64_t start) {
    const keep_keys *a = node->attr;
    const uint8_t *mask = node->in[MASK] ? node->in[MASK]->data : NULL;
    int64_t i = row + (a->spec.offset_from_start ? start : 0), seen = a->spec.cached ? start + a->spec.rows : a->s;
    return j < seen && (!a->spec.causal || j <= i) && i - j <= a->spec.left && j - i <= a->spec.right &&
           (!mask || mask[b * a->s + j]);
}

/* One row: the bias where a key is kept, -INFINITY elsewhere. Hidden keys stand among the others, up to the length of the call:
 * they have a say in which of equal keys are kept. */
static void forward_row(const wf_node *node, int64_t b, int64_t g, int64_t row, int64_t start, float *out, wf_worker *w) {
    const keep_keys *a = node->attr;
    const float *from = (const float *)node->in[W]->data + b * a->s * a->g + g;
    int64_t seen = a->spec.cached ? start + a->spec.rows : a->s, n = a->spec.length > seen ? a->spec.length : seen;
    int64_t keep = a->spec.keep < n ? a->spec.keep : n;
    wf_ranked *ranked = w->scratch;
    for (int64_t j = 0; j < n; j++)
        ranked[j] = (wf_ranked){j < a->s && visible(node, b, row, j, start) ? from[j * a->g] : -INFINITY, (int32_t)j};
    for (int64_t j = 0; j < a->s; j++)
        out[j] = -INFINITY;
    wf_select_largest(ranked, n, keep);
    for (int64_t k = 0; k < keep; k++)
        if (ranked[k].index < a->s)
            out[ranked[k].index] = ranked[k].value;
}

static float *score_row(const wf_node *node, void *data, int64_t b, int64_t h, int64_t row) {
    const keep_keys *a = node->attr;
    return (float *)data + ((b * a->spec.heads + h) * a->spec.rows + row) * a->s;
}

static void backward(const wf_node *node, int64_t b, int64_t g, wf_worker *w) {
    const keep_keys *a = node->attr;
    int64_t per = a->spec.heads / a->g;
    for (int64_t j = 0; j < a->s; j++) {
        double sum = 0.0;
        for (int64_t h = g * per; h < (g + 1) * per; h++)
            for (int64_t i = 0; i < a->spec.rows; i++)
                if (score_row(node, node->out[0]->data, b, h, i)[j] > -INFINITY)
                    sum += (double)score_row(node, node->out[0]->grad, b, h, i)[j];
        float one = (float)sum;
        store_din(node, W, (b * a->s + j) * a->g + g, 1, &one, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const keep_keys *a = node->attr;
    int64_t b = piece / a->g, g = piece % a->g, per = a->spec.heads / a->g, start = w->rt->start ? w->rt->start[b] : 0;
    (void)phase;
    if (pass == WF_BACKWARD) {
        backward(node, b, g, w);
        return;
    }
    for (int64_t i = 0; i < a->spec.rows; i++) {
        float *first = score_row(node, node->out[0]->data, b, g * per, i);
        forward_row(node, b, g, i, start, first, w);
        for (int64_t h = 1; h < per; h++)
            memcpy(score_row(node, node->out[0]->data, b, g * per + h, i), first, (size_t)a->s * sizeof *first);
    }
}

const wf_op wf_op_keep_keys = {.name = "keep_keys", .by_runtime = true, .pieces = pieces, .run = run, .saves_out = 1};

wf_tensor *wf_keep_keys(wf_tape *t, wf_tensor *x, wf_tensor *mask, const wf_keep_spec *spec) {
    x = wf_cast(t, x, WF_F32);
    if (!x)
        return NULL;
    if (x->rank != 3 || spec->keep < 1 || x->dims[1] > INT32_MAX || spec->length > INT32_MAX || spec->heads % x->dims[2] ||
        (mask && (mask->type != WF_U8 || mask->rank != 2 || mask->dims[0] != x->dims[0] || mask->dims[1] != x->dims[1])))
        return wf_tape_error(t, WEFT_USAGE, "keep_keys: keys, heads and mask do not fit");
    keep_keys *a = attr_copy(t, &(keep_keys){*spec, x->dims[0], x->dims[1], x->dims[2]}, sizeof(keep_keys));
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], spec->heads, spec->rows, x->dims[1]});
    wf_node *node = a && y ? wf_record(t, &wf_op_keep_keys, 2, (wf_tensor *[]){x, mask}, 1, &y, a) : NULL;
    if (node)
        node->scratch = (size_t)(a->s > spec->length ? a->s : spec->length) * sizeof(wf_ranked);
    return node ? y : NULL;
}
